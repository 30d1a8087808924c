//! What is in a file of a quantization, as llama.cpp's `llama_tensor_get_type` mixes it: which type the layers' matrices
//! have, which those have that matter more, and which the output has.

use super::anatomy::{Anatomy, Matrices, add};
use crate::models::catalog::{Entry, File};
use crate::models::gguf::TensorType;

/// The types of a quantization.
struct Mixture {
    most: &'static str,
    /// Of the values' matrices and of those that leave the feed-forward part, and of how many of them.
    more: &'static str,
    more_part: f64,
    output: &'static str,
}

impl Mixture {
    /// Of a quantization by its name; what is not known is taken for the usual one.
    fn of(quantization: &str) -> Self {
        let (most, more, more_part, output) = match quantization {
            "Q2_K" => ("Q2_K", "Q3_K", 1.0, "Q6_K"),
            "Q3_K_S" => ("Q3_K", "Q3_K", 1.0, "Q6_K"),
            "Q3_K_M" => ("Q3_K", "Q4_K", 1.0, "Q6_K"),
            "Q4_0" => ("Q4_0", "Q4_0", 1.0, "Q6_K"),
            "Q4_1" => ("Q4_1", "Q4_1", 1.0, "Q6_K"),
            "Q4_K_S" => ("Q4_K", "Q5_K", 0.25, "Q6_K"),
            "Q5_0" => ("Q5_0", "Q5_0", 1.0, "Q6_K"),
            "Q5_1" => ("Q5_1", "Q5_1", 1.0, "Q6_K"),
            "Q5_K_S" => ("Q5_K", "Q5_K", 1.0, "Q6_K"),
            "Q5_K_M" => ("Q5_K", "Q6_K", 0.5, "Q6_K"),
            "Q6_K" => ("Q6_K", "Q6_K", 1.0, "Q6_K"),
            "Q8_0" => ("Q8_0", "Q8_0", 1.0, "Q8_0"),
            "IQ4_NL" => ("IQ4_NL", "IQ4_NL", 1.0, "Q6_K"),
            "IQ4_XS" => ("IQ4_XS", "Q5_K", 0.125, "Q6_K"),
            "MXFP4" => ("MXFP4", "MXFP4", 1.0, "Q8_0"),
            "BF16" => ("BF16", "BF16", 1.0, "BF16"),
            "F16" => ("F16", "F16", 1.0, "F16"),
            "F32" => ("F32", "F32", 1.0, "F32"),
            _ => ("Q4_K", "Q6_K", 0.5, "Q6_K"),
        };
        Self { most, more, more_part, output }
    }
}

/// The type that is taken where the columns are no whole blocks of the wanted one.
fn for_columns(wanted: &'static str, columns: u64) -> TensorType {
    let kind = |name: &str| TensorType::from_name(name).expect("a type of ggml's");
    let wanted = kind(wanted);
    if columns.is_multiple_of(wanted.block_elements()) {
        return wanted;
    }
    kind(match wanted.name() {
        "Q2_K" | "Q3_K" | "IQ4_XS" => "IQ4_NL",
        "Q4_K" => "Q5_0",
        "Q5_K" => "Q5_1",
        "Q6_K" => "Q8_0",
        _ => "F16",
    })
}

impl Entry {
    /// The anatomy of a file of the catalogue, of which no header was read.
    pub fn anatomy(&self, file: &File) -> Anatomy {
        let shape = &self.shape;
        let mixture = Mixture::of(&file.quantization);
        let (width, inner) = (shape.embedding, shape.feed_forward);
        let (query, kv) = (shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim);
        let experts = shape.experts.unwrap_or(1).max(1);
        let used = shape.experts_used.unwrap_or(1).clamp(1, experts);
        let used_part = used as f64 / experts as f64;
        let mut weights = Vec::new();
        let mut matrix = |name: &'static str, columns: u64, rows: u64, count: f64, read_part: f64, repackable: bool| {
            let kind = for_columns(name, columns);
            let bytes = (columns * rows / kind.block_elements() * kind.block_bytes()) as f64 * count;
            let read_bytes = bytes * read_part;
            let bytes = bytes as u64;
            let repackable_bytes = if repackable && rows.is_multiple_of(8) { bytes } else { 0 };
            let read_rows = rows as f64 * count * read_part;
            add(&mut weights, Matrices { kind, bytes, read_bytes, read_rows, repackable_bytes });
        };
        let layers = shape.layers as f64;
        let (more, rest) = (layers * mixture.more_part, layers * (1.0 - mixture.more_part));
        // Where most of the weights are experts in 4 bits, attention is kept in 8.
        let attention = if mixture.most == "MXFP4" { "Q8_0" } else { mixture.most };
        let attention_more = if mixture.most == "MXFP4" { "Q8_0" } else { mixture.more };
        matrix(attention, width, query, layers, 1.0, true);
        matrix(attention, width, kv, layers, 1.0, true);
        matrix(attention_more, width, kv, more, 1.0, true);
        matrix(attention, width, kv, rest, 1.0, true);
        matrix(attention, query, width, layers, 1.0, true);
        let of_experts = experts as f64;
        matrix(mixture.most, width, inner, 2.0 * layers * of_experts, used_part, true);
        matrix(mixture.more, inner, width, more * of_experts, used_part, true);
        matrix(mixture.most, inner, width, rest * of_experts, used_part, true);
        matrix(mixture.output, width, shape.vocabulary, 1.0, 1.0, true);
        if !shape.tied {
            matrix(attention, width, shape.vocabulary, 1.0, 0.0, false);
        }
        let embeddings = for_columns(attention, width);
        let embedding_bytes = width * shape.vocabulary / embeddings.block_elements() * embeddings.block_bytes();
        Anatomy {
            file_bytes: file.bytes,
            weights,
            looked_up_bytes: if shape.tied { 0 } else { embedding_bytes },
            parameters: self.parameters,
            layers: shape.layers,
            embedding: width,
            feed_forward: inner * used,
            kv_bytes_per_token: shape.layers * kv * 4,
            vocabulary: shape.vocabulary,
            merges: shape.vocabulary,
            trained_context: self.context,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::models::catalog;

    #[test]
    fn the_weights_of_a_file_add_up_to_its_size() {
        for entry in catalog::entries() {
            for file in &entry.files {
                let anatomy = entry.anatomy(file);
                let sum: u64 = anatomy.weights.iter().map(|matrices| matrices.bytes).sum();
                let ratio = sum as f64 / file.bytes as f64;
                assert!((0.93..1.04).contains(&ratio), "{} {}: {ratio:.3}", entry.name, file.quantization);
            }
        }
    }
}
