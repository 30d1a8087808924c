//! From a chosen token to what may follow it: where it was drafted, that is computed already; else what was drafted in
//! vain is taken out of the cache, and the token is computed, with drafts behind it where that pays.

use std::time::Instant;

use super::llama::Token;
use super::protocol::{CancelFlag, EngineError, GenerateOptions};
use super::session::{Go, Session};

impl Session<'_> {
    /// An answer begins behind what is in the cache.
    pub(super) fn begin_answer(&mut self, options: &GenerateOptions) {
        self.speculator.begin(options, self.ledger.tokens(), self.context.can_evict());
    }

    /// Goes on with a token that was chosen; at most `left` more are to come.
    pub(super) fn advance(&mut self, token: Token, left: u32, cancel: &[&CancelFlag]) -> Result<Go, EngineError> {
        if self.speculator.follow(token) {
            let is_cancelled = cancel.iter().any(|flag| flag.is_cancelled());
            return Ok(if is_cancelled { Go::Cancelled } else { Go::On });
        }
        self.take_back_drafts()?;
        if !self.make_room(1)? {
            return Ok(Go::Full);
        }
        let (most, cells) = (self.most_drafted(left), self.ledger.cells());
        let drafted = self.speculator.draft(most, cells, |token| self.model.is_end_of_generation(token), cancel);
        let (started, watched) = (Instant::now(), self.context.watching_took());
        let go = if drafted.is_empty() {
            self.extend(&[token], cancel)?
        } else {
            self.compute_with_drafts(token, &drafted, cancel)?
        };
        if go == Go::On {
            // A graphics processor may still be at it until its results are asked for.
            self.context.logits();
            let is_typical = self.context.watching_took() == watched;
            self.speculator.stepped(self.ledger.cells(), started.elapsed().as_secs_f64(), is_typical);
        }
        Ok(go)
    }

    /// Takes what was drafted and not chosen out of the cache.
    pub(super) fn take_back_drafts(&mut self) -> Result<(), EngineError> {
        let length = self.speculator.run().without_unchosen(self.ledger.tokens()).len();
        self.speculator.end_run(self.ledger.cells());
        if self.keep(length) == length { Ok(()) } else { Err(self.disagreement()) }
    }

    /// Computes a token with drafts behind it. Their attention is not watched, since some of them will not be chosen.
    fn compute_with_drafts(
        &mut self,
        token: Token,
        drafted: &[Token],
        cancel: &[&CancelFlag],
    ) -> Result<Go, EngineError> {
        let chosen = self.ledger.tokens().len() + 1;
        let tokens: Vec<Token> = std::iter::once(token).chain(drafted.iter().copied()).collect();
        let go = self.decode_with_all_logits(&tokens, cancel)?;
        if go != Go::On {
            self.speculator.forget_run();
            self.keep(chosen);
        }
        Ok(go)
    }

    /// How many tokens may be drafted: none of them may push anything out of the cache, or be more than the answer may
    /// have, and none may be in the cache where it could not be taken back.
    fn most_drafted(&self, left: u32) -> usize {
        let next = self.ledger.next_position();
        if !self.context.can_truncate(next + 1) {
            return 0;
        }
        let positions = self.model.trained_context().max(self.context.cells()).saturating_sub(next);
        [self.room(), self.context.batch_size(), left as usize, positions as usize]
            .into_iter()
            .min()
            .map_or(0, |most| most.saturating_sub(1))
            .min(self.tokens_until_watched())
    }
}
