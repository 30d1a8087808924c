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
    /// Second copies of weights in the order that a kernel wants. What they were made of stays mapped, and is the
    /// first to go where memory is short.
    pub repacked: u64,
    /// The KV cache.
    pub kv: u64,
    /// Buffers of the computation, the vocabulary's tables, the program itself.
    pub working: u64,
}

impl Needs {
    /// What the system will show as resident while nothing else wants memory.
    pub fn resident(&self) -> u64 {
        self.weights + self.repacked + self.kv + self.working
    }

    /// What must be there for it to run without reading weights from the disk again and again.
    pub fn least(&self) -> u64 {
        self.resident() - self.repacked.min(self.weights)
    }
}

impl Anatomy {
    /// What it takes with a KV cache of so many tokens in 16 bits.
    pub fn needs(&self, context: u64, machine: &Machine) -> Needs {
        let is_repacked = |kind| machine.repacks.contains(&kind);
        let repackable = self.weights.iter().filter(|matrices| is_repacked(matrices.kind));
        let buffers = FEED_FORWARD_BUFFERS * self.feed_forward + EMBEDDING_BUFFERS * self.embedding;
        let cells = context.next_multiple_of(256);
        Needs {
            weights: self.file_bytes,
            repacked: repackable.map(|matrices| matrices.repackable_bytes).sum(),
            kv: cells.saturating_mul(self.kv_bytes_per_token),
            working: PROGRAM_BYTES
                .saturating_add(self.vocabulary.saturating_mul(TOKEN_BYTES))
                .saturating_add(self.merges.saturating_mul(MERGE_BYTES))
                .saturating_add(buffers.saturating_mul(4 * BATCH.min(cells))),
        }
    }
}
