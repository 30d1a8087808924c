//! An item of a batch whose answer is under way, in a sequence of its own.

use std::time::Instant;

use crate::chat::Ended;
use crate::engine::answering::{Answering, milliseconds, no_number};
use crate::engine::llama::{Model, Row, Token};
use crate::engine::protocol::{EngineError, Finish, Step};
use crate::engine::weighing::weigh;

/// An answer under way.
pub struct Lane<'model> {
    /// Which of the batch's items it is.
    pub item: usize,
    pub sequence: u32,
    /// The sequence in whose cells its beginning is: the conversation's, or one of those beside it.
    pub from: u32,
    answer: Answering<'model>,
    /// The prompt, and what was chosen behind it.
    tokens: Vec<Token>,
    /// How many of them are in the cache ...
    computed: usize,
    /// ... and how many of those are in cells of the shared beginning.
    shared: usize,
    started: Instant,
    /// Of each token it is told how likely it was, and so many others.
    pub weighed: u32,
}

impl<'model> Lane<'model> {
    /// An item with this prompt, of which the first tokens are in the cache: so many, in a sequence `from`.
    pub fn new(
        item: usize,
        sequence: u32,
        tokens: Vec<Token>,
        (from, shared): (u32, usize),
        mut answer: Answering<'model>,
        started: Instant,
    ) -> Self {
        answer.stats.usage.prompt_tokens = tokens.len() as u32;
        answer.stats.usage.cached_prompt_tokens = shared as u32;
        Self { item, sequence, from, answer, tokens, computed: shared, shared, started, weighed: 0 }
    }

    /// Tokens, the last of which was not computed yet.
    pub fn length(&self) -> usize {
        self.tokens.len()
    }

    /// What it and its answer are so far.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// What it began with is no longer there; other cells have so many of its tokens. Only while it has no sequence.
    pub fn rebase(&mut self, (from, shared): (u32, usize)) {
        (self.from, self.shared) = (from, shared);
    }

    /// Tokens that are in cells of its beginning.
    pub fn shared(&self) -> usize {
        self.shared
    }

    /// Cells that it needs for itself to go on by one token.
    pub fn cells(&self) -> usize {
        self.tokens.len() - self.shared
    }

    /// How many tokens may still come.
    pub fn left(&self) -> usize {
        self.answer.left() as usize
    }

    /// Its sequence was emptied, and so it begins anew in this one, behind the shared beginning.
    pub fn restart(&mut self, sequence: u32) {
        (self.sequence, self.computed) = (sequence, self.shared);
    }

    /// Whether only the token is to be computed that was chosen last.
    pub fn is_writing(&self) -> bool {
        self.computed + 1 == self.tokens.len()
    }

    /// Its next tokens, at most so many. The last of all asks what follows.
    pub fn rows(&self, most: usize) -> impl Iterator<Item = Row> {
        let end = self.tokens.len().min(self.computed + most);
        (self.computed..end).map(|place| Row {
            token: self.tokens[place],
            position: place as u32,
            sequence: self.sequence,
            is_asked: place + 1 == self.tokens.len(),
        })
    }

    /// So many more of its tokens were computed.
    pub fn computed(&mut self, tokens: usize) {
        self.computed += tokens;
    }

    /// Chooses what follows, given the logits behind the last token; tells how it ended, if it did.
    pub fn choose(
        &mut self,
        model: &Model,
        logits: &[f32],
        emit: &dyn Fn(Step) -> bool,
    ) -> Result<Option<Ended>, EngineError> {
        let stats = &mut self.answer.stats;
        match stats.usage.completion_tokens {
            0 => stats.timings.prefill_ms = milliseconds(self.started.elapsed()),
            _ => stats.decode_calls += 1,
        }
        let forced = self.answer.forced();
        let chosen = match forced {
            Some(token) => Some(token),
            None => {
                let drawn = self.answer.sampler.sample(logits, &self.tokens).ok_or_else(no_number)?;
                self.answer.hold(drawn, logits, &self.tokens)?
            }
        };
        let Some(token) = chosen else { return Ok(Some(Ended::Stop)) };
        self.tokens.push(token);
        let is_end = forced.is_none() && model.is_end_of_generation(token);
        let weighed = (self.weighed > 0 && !is_end).then(|| weigh(model, logits, token, self.weighed));
        Ok(self.answer.take(token, forced.is_some(), weighed, emit))
    }

    /// Says what is left to say of it.
    pub fn finish(mut self, ended: Ended, emit: &dyn Fn(Step) -> bool) {
        self.answer.end(ended, emit);
        let mut stats = self.answer.stats;
        stats.cells_used = self.computed as u32;
        let (repetition, seed) = (self.answer.repetition, self.answer.sampler.seed());
        emit(Step::Finished(Finish { ended, repetition, stats, seed, held: Vec::new() }));
    }
}
