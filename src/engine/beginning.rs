//! What later prompts will begin with, too, such as a document that several questions are asked about: what is computed
//! of it is kept on disk, and taken from there.
//!
//! It is kept as the cache is right behind it, so a model whose cache cannot give tokens back can use it as well.

use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::kv::{About, Kept};
use super::llama::Token;
use super::parts;
use super::protocol::{CancelFlag, ChatKey, EngineError, GenerateOptions, Step};
use super::resume::{LEAST_TOKENS, memory_for_copies};
use super::session::{Go, Session};
use super::template::Rendered;

impl Session<'_> {
    /// Takes from the disk what is kept of a prompt's beginning, if later prompts are to share it; returns how many tokens
    /// they will.
    pub(super) fn take_beginning(&mut self, rendered: &Rendered, tokens: &[Token], options: &GenerateOptions) -> usize {
        let (Some(shared), Some(snapshots)) = (options.shared, self.chats.snapshots()) else { return 0 };
        if let Some(stored) = snapshots.find_beginning(tokens, LEAST_TOKENS) {
            self.restore_stored(stored, tokens);
        }
        let Some(last) = rendered.bodies.last() else { return 0 };
        let end = (last.range.start + shared).min(last.range.end);
        let ends = parts::ends(self.model, rendered, tokens);
        ends.partition_point(|token_end| *token_end <= end)
    }

    /// Computes the first `length` tokens of a prompt, of which `cached` are in the cache, and keeps them on disk; returns
    /// how many tokens of the beginning are there then.
    pub(super) fn keep_beginning(
        &mut self,
        length: usize,
        tokens: &[Token],
        cached: usize,
        cancel: &[&CancelFlag],
        emit: &dyn Fn(Step) -> bool,
    ) -> Result<u32, EngineError> {
        if length < LEAST_TOKENS {
            return Ok(0);
        }
        // A few tokens more are computed as soon as they are read.
        if length < cached + LEAST_TOKENS {
            return Ok(cached.min(length) as u32);
        }
        // What an answer finds where text had to leave the cache was chosen by its question.
        if self.ledger.contents().evicted() > 0 || self.room() < tokens.len() - cached {
            return Ok(0);
        }
        if self.prefill(tokens, cached, length, cancel, emit)? != Go::On {
            return Ok(0);
        }
        Ok(if self.write_beginning() { length as u32 } else { 0 })
    }

    /// Writes what is in the cache, soon; `false` if there is no memory for a copy.
    fn write_beginning(&self) -> bool {
        let Some(snapshots) = self.chats.snapshots() else { return false };
        let Some(state) = self.context.state(memory_for_copies(self.sizes.mapped)) else { return false };
        let contents = self.ledger.contents().clone();
        let bytes: Vec<u8> = contents.tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
        let prefill_speed = self.speed.tokens_per_second();
        snapshots.write(Kept {
            chat: ChatKey::of_beginning(xxh3_64(&bytes)),
            about: About { contents, answers: Vec::new(), prefill_speed, clock: self.chats.clock() },
            state: Arc::new(state),
            is_written: false,
        });
        true
    }
}
