//! Times steps of several tokens while nobody waits, so that guesses need not be tried in sizes that may be slow: an
//! answer is over, nothing was asked since, and a few tokens are computed behind the conversation and taken out again.

use std::time::Instant;

use super::llama::{Decoded, Token};
use super::protocol::CancelFlag;
use super::session::Session;

/// A size that is expected to take longer is left to the answers: a request would have to wait for it.
const MOST_SECONDS: f64 = 1.0;

impl Session<'_> {
    /// The step that is to be timed next, in tokens; `None` if there is none or it cannot be.
    fn step_to_time(&self) -> Option<usize> {
        let next = self.ledger.next_position();
        let can_take_back = self.context.can_evict() && self.context.can_truncate(next) && next > 0;
        let positions = self.model.trained_context().max(self.context.cells()).saturating_sub(next) as usize;
        let most = self.room().min(self.context.batch_size()).min(positions);
        let most = if can_take_back { most } else { 0 };
        self.speculator.size_to_time(self.ledger.cells(), most, MOST_SECONDS)
    }

    /// Times one size, between two single tokens so that the machine is as busy for both; `false` if there is none left.
    /// What is in the cache stays as it is.
    pub fn time_a_step(&mut self, cancel: &[&CancelFlag]) -> bool {
        let Some(size) = self.step_to_time() else { return false };
        let Some((plain, step)) = self.time_size(size, cancel) else { return false };
        self.speculator.timed(size, self.ledger.cells(), plain, step);
        true
    }

    /// How many seconds one token takes behind what is in the cache, and so many at once; `None` if it was stopped or
    /// cannot be. What is in the cache stays as it is.
    pub fn time_size(&mut self, size: usize, cancel: &[&CancelFlag]) -> Option<(f64, f64)> {
        let text = self.ledger.tokens();
        // Any text will do, and so it may as well be some of this.
        let tokens: Vec<Token> = text.iter().rev().cycle().take(size).copied().collect();
        let before = self.time_step(tokens.get(..1)?, cancel)?;
        let step = self.time_step(&tokens, cancel)?;
        let behind = self.time_step(&tokens[..1], cancel)?;
        Some((before.min(behind), step))
    }

    fn time_step(&mut self, tokens: &[Token], cancel: &[&CancelFlag]) -> Option<f64> {
        let position = self.ledger.next_position();
        let started = Instant::now();
        let decoded = self.context.decode_with_all_logits(tokens, position, cancel);
        if decoded == Decoded::Done {
            // A graphics processor may still be at it until its results are asked for.
            self.context.logits();
        }
        let seconds = started.elapsed().as_secs_f64();
        if !self.context.truncate(position) {
            self.keep(0);
            return None;
        }
        (decoded == Decoded::Done).then_some(seconds)
    }
}
