//! What of a model tells its size in memory and its speed.

use crate::models::gguf::{Header, TensorType};

/// Weights of one type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Matrices {
    /// How the numbers are stored.
    pub kind: TensorType,
    /// Bytes of them in the file.
    pub bytes: u64,
    /// Bytes that are read for one token: all, but for the experts that it does not go to and for the embeddings, of
    /// which it takes one row.
    pub read_bytes: f64,
    /// Rows that are multiplied for one token.
    pub read_rows: f64,
    /// Bytes of which llama.cpp keeps a second copy in another order, where it has a kernel for that order.
    pub repackable_bytes: u64,
}

/// What of a model tells its size in memory and its speed.
#[derive(Clone, Debug, PartialEq)]
pub struct Anatomy {
    /// Size of the file, or of all its parts.
    pub file_bytes: u64,
    /// The weights by type.
    pub weights: Vec<Matrices>,
    /// Bytes of weights of which a token takes a row only: the embeddings, where another matrix makes the output.
    pub looked_up_bytes: u64,
    /// Numbers in all weights.
    pub parameters: u64,
    pub layers: u64,
    /// Width of a token's embedding.
    pub embedding: u64,
    /// Width of the feed-forward part that a token goes through: of all experts that it goes to.
    pub feed_forward: u64,
    /// Bytes of a token in the KV cache in 16 bits, in all layers.
    pub kv_bytes_per_token: u64,
    /// Tokens of the vocabulary.
    pub vocabulary: u64,
    /// Pairs of tokens that are merged to longer ones (BPE).
    pub merges: u64,
    /// Tokens of context in training; 0 if nobody says.
    pub trained_context: u64,
}

impl Anatomy {
    /// The anatomy of a model whose header was read.
    pub fn of_header(header: &Header) -> Self {
        let has_output = header.tensors.iter().any(|tensor| tensor.name == "output.weight");
        let experts = header.of_architecture("expert_count").unwrap_or(0);
        let experts_used = header.of_architecture("expert_used_count").unwrap_or(0);
        let used_part = if experts > 0 { experts_used as f64 / experts as f64 } else { 1.0 };
        let mut weights: Vec<Matrices> = Vec::new();
        let mut looked_up_bytes: u64 = 0;
        for tensor in &header.tensors {
            let is_embedding = tensor.name == "token_embd.weight";
            let part = match &tensor.name {
                // Where there is no output matrix, the embeddings are read as one.
                name if name.starts_with("token_embd") || name.starts_with("per_layer_token_embd") => {
                    if is_embedding && !has_output { 1.0 } else { 0.0 }
                }
                name if name.contains("_exps.") => used_part,
                _ => 1.0,
            };
            if part == 0.0 && tensor.name.contains("token_embd") {
                looked_up_bytes = looked_up_bytes.saturating_add(tensor.bytes);
            }
            let is_repackable = tensor.dimensions.len() > 1
                && tensor.dimensions.get(1).is_some_and(|rows| rows.is_multiple_of(8))
                && part > 0.0;
            add(
                &mut weights,
                Matrices {
                    kind: tensor.kind,
                    bytes: tensor.bytes,
                    read_bytes: tensor.bytes as f64 * part,
                    read_rows: tensor.dimensions.iter().skip(1).product::<u64>() as f64 * part,
                    repackable_bytes: if is_repackable { tensor.bytes } else { 0 },
                },
            );
        }
        let head_numbers = header.key_length().unwrap_or(0).saturating_add(header.value_length().unwrap_or(0));
        let expert_width = header.of_architecture("expert_feed_forward_length").unwrap_or(0);
        let dense_width = header.of_architecture("feed_forward_length").unwrap_or(0);
        Self {
            file_bytes: header.file_bytes,
            weights,
            looked_up_bytes,
            parameters: header.parameter_count(),
            layers: header.block_count().unwrap_or(0),
            embedding: header.embedding_length().unwrap_or(0),
            feed_forward: if expert_width > 0 { expert_width.saturating_mul(experts_used.max(1)) } else { dense_width },
            kv_bytes_per_token: header.kv_heads_of_all_layers().saturating_mul(head_numbers).saturating_mul(2),
            vocabulary: header.vocabulary_size().unwrap_or(0),
            merges: header.length_of("tokenizer.ggml.merges"),
            trained_context: header.context_length().unwrap_or(0),
        }
    }

    /// Bytes that are read for one token, the KV cache apart.
    pub fn read_bytes(&self) -> f64 {
        self.weights.iter().map(|matrices| matrices.read_bytes).sum()
    }
}

/// Puts weights to those of the same type.
pub(super) fn add(weights: &mut Vec<Matrices>, more: Matrices) {
    match weights.iter_mut().find(|known| known.kind == more.kind) {
        Some(known) => {
            known.bytes = known.bytes.saturating_add(more.bytes);
            known.read_bytes += more.read_bytes;
            known.read_rows += more.read_rows;
            known.repackable_bytes = known.repackable_bytes.saturating_add(more.repackable_bytes);
        }
        None => weights.push(more),
    }
}
