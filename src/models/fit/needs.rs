//! How much memory a model takes.

use super::{Anatomy, Machine};

/// Tokens that are computed at once in a prompt.
const BATCH: u64 = 512;
/// The program without a model: code, stacks, tables.
const PROGRAM_BYTES: u64 = 23 << 20;
/// llama.cpp's tables, per token and per merge of a vocabulary. These and the factors below were found on SmolLM2
/// 135M, Qwen2.5 0.5B and 1.5B and Gemma 3 270M, whose resident memory they give within 3 %.
const TOKEN_BYTES: u64 = 163;
const MERGE_BYTES: u64 = 122;
/// Buffers of the computation that are touched, in numbers of 4 bytes per token of a batch: so many times the width of
/// the feed-forward part, and of the embedding.
const FEED_FORWARD_BUFFERS: u64 = 3;
const EMBEDDING_BUFFERS: u64 = 4;

/// Bytes of memory, by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The file, which is mapped.
    pub weights: u64,
    /// Of the weights, those that are copied in the order that a kernel wants: they count once, since the engine hands
    /// back what they were copied from.
    pub repacked: u64,
    /// Weights that are hardly read: of the embeddings a token takes a row.
    pub seldom_read: u64,
    /// The KV cache.
    pub kv: u64,
    /// Buffers of the computation, the vocabulary's tables, the program itself.
    pub working: u64,
}

impl Needs {
    /// What the system will show as resident while nothing else wants memory.
    pub fn resident(&self) -> u64 {
        [self.kv, self.working].into_iter().fold(self.weights, u64::saturating_add)
    }

    /// What must be there for it to run without reading weights from the disk again and again.
    pub fn least(&self) -> u64 {
        self.resident().saturating_sub(self.seldom_read.min(self.weights))
    }
}

impl Anatomy {
    /// What it takes with a KV cache of so many tokens in 16 bits.
    pub fn needs(&self, context: u64, machine: &Machine) -> Needs {
        let is_repacked = |kind| machine.repacks.contains(&kind);
        let repackable = self.weights.iter().filter(|matrices| is_repacked(matrices.kind));
        let of_feed_forward = self.feed_forward.saturating_mul(FEED_FORWARD_BUFFERS);
        let buffers = of_feed_forward.saturating_add(self.embedding.saturating_mul(EMBEDDING_BUFFERS));
        let cells = context.next_multiple_of(256);
        Needs {
            weights: self.file_bytes,
            seldom_read: self.looked_up_bytes,
            repacked: repackable.fold(0, |sum, matrices| sum.saturating_add(matrices.repackable_bytes)),
            kv: cells.saturating_mul(self.kv_bytes_per_token),
            working: PROGRAM_BYTES
                .saturating_add(self.vocabulary.saturating_mul(TOKEN_BYTES))
                .saturating_add(self.merges.saturating_mul(MERGE_BYTES))
                .saturating_add(buffers.saturating_mul(4 * BATCH.min(cells))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::memory::Memory;
    use crate::models::fit::{Matrices, Verdict};
    use crate::models::gguf::TensorType;

    /// What a header may claim, true or not.
    fn claiming(number: u64) -> Anatomy {
        let kind = TensorType::from_name("Q4_K").expect("a type of ggml's");
        let (bytes, read) = (number, number as f64);
        let weights = vec![Matrices { kind, bytes, read_bytes: read, read_rows: read, repackable_bytes: number }; 2];
        Anatomy {
            file_bytes: number,
            weights,
            looked_up_bytes: 0,
            parameters: number,
            layers: number,
            embedding: number,
            feed_forward: number,
            kv_bytes_per_token: number,
            vocabulary: number,
            merges: number,
            trained_context: number,
        }
    }

    #[test]
    fn absurd_numbers_are_a_model_that_does_not_fit() {
        let memory = Memory { total: 1 << 40, available: 1 << 40 };
        let repacks = TensorType::from_name("Q4_K").into_iter().collect();
        let machine = Machine { memory: Some(memory), repacks, ..Machine::default() };
        for number in [u64::MAX, u64::MAX / 2, u64::MAX / 5, 1 << 62, 1 << 50] {
            assert_eq!(claiming(number).verdict(&machine, None), Verdict::DoesNotFit, "{number}");
        }
    }
}
