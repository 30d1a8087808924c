//! Making room in a full KV cache: what leaves it, and that what stays is where llama.cpp has it.
//!
//! What never leaves: the beginning (attention sinks, arXiv 2309.17453, and what the template writes before the first
//! message), the system prompt, what the person pinned, the question that is being answered, the last answer (an eighth
//! of the cells of it), and what is recent. Of the rest whole sentences leave, the least important first. How important
//! they are is told by
//! - how the question attends to them, where a question is known: read off llama.cpp's own attention while the question
//!   is computed behind what is in the cache;
//! - else, in a document (a long message), how unlike the others their values are and how rare their tokens;
//! - else how recent they are: what is to go on is read from what was just said. (With half of the cells for what later
//!   text attended to, the divergence from the whole cache is 0.92 of that for SmolLM2 135M and 1.1 to 1.4 times as large
//!   for Qwen2.5 0.5B and 1.5B; docs/kv-cache.md.) While a question is known, what came after it was asked is told by
//!   how later text attends to it.
//!
//! What leaves of a document is kept on disk where a chat's snapshots are (`archive`), so that the next question has a
//! selection of its own (`selection`).
//!
//! After every eviction the cache is compacted, so that decoding costs what the cells in use cost, and the n-th cell
//! holds the n-th token that is left.

mod archive;
mod selection;
#[cfg(test)]
mod tests;

use std::ops::Range;
use std::time::{Duration, Instant};

use super::kv::evict::{Candidate, least_important, segment_score, without};
use super::kv::score::{peculiarity, ranks};
use super::kv::segments::segments;
use super::llama::{Decoded, State, Token};
use super::parts::Part;
use super::protocol::{CancelFlag, EngineError, Evict};
use super::session::{Go, Session};
use crate::chat::Role;

/// Attention sinks.
const SINKS: usize = 4;
/// What the template writes before the first message stays as well, up to so many tokens.
const MOST_HEAD: usize = 48;
/// So many of a sentence's tokens, the best ones, tell how important it is (4 to 12 keep about as many facts, 16 fewer).
const TELLING_TOKENS: usize = 8;
/// The same of how a question attends to them.
const TELLING_TOKENS_OF_QUESTION: usize = 3;
/// The last tokens that never leave.
const RECENT: usize = 48;
/// Pinned messages stay up to this part of the cells.
const PINNED_PART: usize = 2;
/// A message of more than this part of the cells is a document.
const DOCUMENT_PART: usize = 4;
/// At most so many cells are freed at once, and this part of all; more where a question tells what to keep, because
/// then it is computed for each time.
const MOST_FREED: usize = 2048;
const FREED_PART: f32 = 0.25;
const FREED_PART_WITH_QUESTION: f32 = 0.375;
/// The last rows of each part of a prompt are watched, to learn what later text attends to.
pub(super) const WATCHED_ROWS: usize = 16;
/// While an answer is written, one token in so many is watched.
const WATCHED_STEP: usize = 64;

/// What asks in a prompt.
#[derive(Clone, Debug, Default)]
pub struct Asking {
    /// The tokens of the prompt that do.
    pub ranges: Vec<Range<usize>>,
    /// Those tokens.
    pub text: Vec<Token>,
    /// What is computed behind a part of the prompt to see what the question attends to.
    pub probe: Vec<Token>,
    /// An answer to it is gone on with.
    pub is_answered: bool,
}

/// What is known for evicting, beside the ledger.
#[derive(Debug, Default)]
pub struct Eviction {
    /// What leaves first; `Auto` is `Score` where the model can.
    pub policy: Evict,
    /// Fewer cells than the context has may be used.
    pub most_cells: Option<usize>,
    /// The messages of the prompt.
    parts: Vec<Part>,
    /// The messages, by their numbers, that the person pinned.
    pinned: Vec<usize>,
    asking: Asking,
    /// How strongly the question attends to the tokens of the ledger; shorter than that where more came later.
    asked: Vec<f32>,
    /// Tokens that left since the turn began.
    evicted: usize,
    /// What evicting and computing the question for it has taken since then.
    spent: Duration,
}

impl Eviction {
    /// A turn begins, with these messages, of which these are pinned.
    pub fn begin(&mut self, parts: Vec<Part>, pinned: Vec<usize>, asking: Asking) {
        let (policy, most_cells) = (self.policy, self.most_cells);
        *self =
            Self { policy, most_cells, parts, pinned, asking, asked: Vec::new(), evicted: 0, spent: Duration::ZERO };
    }

    /// So many tokens were put before the prompt's token with this number.
    pub fn inserted(&mut self, before: usize, count: usize) {
        let moved = |place: usize| if place >= before { place + count } else { place };
        let ranges = self.parts.iter_mut().map(|part| &mut part.tokens).chain(&mut self.asking.ranges);
        for range in ranges.filter(|range| range.end > before) {
            *range = moved(range.start)..moved(range.end);
        }
    }

    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Where the question begins.
    pub fn question_start(&self) -> Option<usize> {
        self.asking.ranges.last().map(|range| range.start)
    }

    /// Whether the question is one that has no answer yet.
    pub fn is_asked_anew(&self) -> bool {
        !self.asking.probe.is_empty() && !self.asking.is_answered
    }

    /// The question's tokens.
    pub fn question_text(&self) -> &[Token] {
        &self.asking.text
    }

    pub fn is_pinned(&self, message: usize) -> bool {
        self.pinned.contains(&message)
    }

    /// The pinned messages that so many cells have room for, the first ones first.
    pub fn kept_pins(&self, cells: usize) -> Vec<usize> {
        let mut left = cells / PINNED_PART;
        let pinned = self.parts.iter().filter(|part| self.is_pinned(part.message));
        let kept = pinned.filter(|part| {
            let fits = part.tokens.len() <= left;
            left -= if fits { part.tokens.len() } else { 0 };
            fits
        });
        kept.map(|part| part.message).collect()
    }

    /// Tokens that left since the turn began.
    pub fn evicted(&self) -> u32 {
        u32::try_from(self.evicted).unwrap_or(u32::MAX)
    }

    /// What evicting, and computing the question for it, has taken since the turn began.
    pub fn spent(&self) -> Duration {
        self.spent
    }

    /// What is computed to see what the question attends to.
    pub fn question(&self) -> &[Token] {
        &self.asking.probe
    }
}

impl Session<'_> {
    /// What leaves the cache when it is full, in a word.
    pub fn policy(&self) -> &'static str {
        match self.eviction.policy {
            _ if !self.evicts() => "off",
            Evict::Window => "window",
            Evict::Auto | Evict::Score | Evict::Off => "score",
        }
    }

    /// Whether anything may leave the cache.
    pub(super) fn evicts(&self) -> bool {
        self.eviction.policy != Evict::Off && self.context.can_evict()
    }

    /// Cells that may be used.
    pub(super) fn cells(&self) -> usize {
        let cells = self.context.cells() as usize;
        self.eviction.most_cells.map_or(cells, |most| most.min(cells))
    }

    /// Free cells.
    pub(super) fn room(&self) -> usize {
        self.cells().saturating_sub(self.ledger.cells())
    }

    /// How many cells are freed when there is no room.
    fn block(&self) -> usize {
        let part = if self.eviction.asked.is_empty() { FREED_PART } else { FREED_PART_WITH_QUESTION };
        ((self.cells() as f32 * part) as usize).clamp(1, MOST_FREED)
    }

    /// Sees to it that so many tokens can be computed. `false` if that cannot be.
    pub(super) fn make_room(&mut self, tokens: usize) -> Result<bool, EngineError> {
        if self.room() < tokens {
            if !self.evicts() {
                return Ok(false);
            }
            let cells = self.cells();
            self.evict_to(cells.saturating_sub(tokens.max(self.block())))?;
        }
        if self.room() < tokens {
            return Ok(false);
        }
        self.number_anew(tokens).map(|()| true)
    }

    /// Evicts what is least important until at most so many cells are in use, and compacts the cache. What never
    /// leaves may take more.
    pub fn evict_to(&mut self, cells: usize) -> Result<(), EngineError> {
        let used = self.ledger.cells();
        if used <= cells || !self.evicts() {
            return Ok(());
        }
        let started = Instant::now();
        let candidates = self.candidates();
        let chosen = least_important(candidates, used - cells);
        self.archive(&chosen);
        for range in &chosen {
            for span in self.ledger.evict(range) {
                if !self.context.remove(span) {
                    return Err(self.disagreement());
                }
            }
        }
        self.eviction.evicted += used - self.ledger.cells();
        tracing::debug!(before = used, after = self.ledger.cells(), "evicted");
        let done = if chosen.is_empty() { Ok(()) } else { self.compact() };
        self.eviction.spent += started.elapsed();
        done
    }

    /// Moves what is left of the cache together, so that no cell is free before one in use, and checks that llama.cpp
    /// holds the positions that the ledger says.
    pub(super) fn compact(&mut self) -> Result<(), EngineError> {
        let state = self.context.state(u64::MAX);
        let positions = state.as_deref().and_then(State::read);
        let agrees = positions
            .is_some_and(|state| state.positions().iter().copied().eq(self.ledger.contents().held.positions()));
        match state {
            Some(state) if agrees && self.context.set_state(&state) => Ok(()),
            _ => Err(self.disagreement()),
        }
    }

    /// The cache is not what it should be: better none than a wrong one.
    pub(super) fn disagreement(&mut self) -> EngineError {
        self.context.clear();
        self.ledger.truncate(0);
        EngineError::Failed(
            "the KV cache could not be made smaller, so it was emptied; send the message again, and if this comes back, use `--kv-evict off`"
                .into(),
        )
    }

    /// Where positions near the end of what the model was trained with, they begin anew: those of the cells are
    /// moved together, or, where the model cannot do that, their tokens are computed again.
    fn number_anew(&mut self, tokens: usize) -> Result<(), EngineError> {
        let most = self.model.trained_context().max(self.context.cells()) as usize;
        if self.ledger.next_position() as usize + tokens <= most || !self.evicts() {
            return Ok(());
        }
        if self.context.can_move() {
            for (span, to) in self.ledger.close_gaps() {
                self.context.move_down(span, to);
            }
            return Ok(());
        }
        let held: Vec<Token> = self.ledger.contents().held.tokens().map(|token| self.ledger.tokens()[token]).collect();
        self.context.clear();
        self.ledger.close_gaps();
        let mut position = 0;
        for chunk in held.chunks(self.context.batch_size()) {
            if self.context.decode(chunk, position, &[]) != Decoded::Done {
                return Err(self.disagreement());
            }
            position += chunk.len() as u32;
        }
        Ok(())
    }

    /// What may leave, with how important it is.
    fn candidates(&self) -> Vec<Candidate> {
        let held: Vec<usize> = self.ledger.contents().held.tokens().collect();
        let protected = self.protected(&held);
        let tokens = self.ledger.tokens();
        let pieces: Vec<Vec<u8>> = held.iter().map(|token| self.model.piece(tokens[*token])).collect();
        let scores = self.importance(&held);
        let telling = if self.eviction.asked.is_empty() { TELLING_TOKENS } else { TELLING_TOKENS_OF_QUESTION };
        let mut candidates = Vec::new();
        for segment in segments(&pieces) {
            // A segment with an evicted part in its middle is as many candidates as it has parts.
            let runs = held[segment.clone()].chunk_by(|one, next| one + 1 == *next);
            let mut start = segment.start;
            for run in runs {
                let range = run[0]..run[0] + run.len();
                let first = range.start;
                for tokens in without(std::slice::from_ref(&range), &protected) {
                    let score = segment_score(tokens.clone().map(|token| scores[start + token - first]), telling);
                    candidates.push(Candidate { cells: tokens.len(), tokens, score });
                }
                start += run.len();
            }
        }
        candidates
    }

    /// What never leaves, in order and without overlaps.
    fn protected(&self, held: &[usize]) -> Vec<Range<usize>> {
        let end = self.ledger.tokens().len();
        let eviction = &self.eviction;
        let cells = self.cells();
        let head = eviction.parts.first().map_or(0, |part| part.tokens.start).clamp(SINKS, MOST_HEAD);
        let mut protected: Vec<Range<usize>> = std::iter::once(0..head.min(end)).collect();
        // Each of these gets its share, so that together they leave something that can go.
        let mut add = |ranges: &mut dyn Iterator<Item = Range<usize>>, most_cells: usize| {
            let mut left = most_cells;
            for range in ranges {
                let range = range.start.min(end)..range.end.min(end);
                let taken = self.ledger.contents().held.count(&range);
                if taken <= left {
                    left -= taken;
                    protected.push(range);
                }
            }
        };
        let of_system = eviction.parts.iter().filter(|part| part.role == Role::System);
        add(&mut of_system.map(|part| part.tokens.clone()), cells / 8);
        let kept_pins = eviction.kept_pins(cells);
        let is_kept = |part: &&Part| kept_pins.contains(&part.message);
        add(&mut eviction.parts.iter().filter(is_kept).map(|part| part.tokens.clone()), cells);
        add(&mut eviction.asking.ranges.iter().cloned(), cells / 8);
        if let Some(open) = eviction.parts.iter().rfind(|part| part.role == Role::User) {
            add(&mut std::iter::once(open.tokens.start..end), cells / 8);
        }
        // What was just said is what the next message is about, whether its words say so or not.
        if let Some(answer) = eviction.parts.iter().rfind(|part| part.role == Role::Assistant) {
            let end = answer.tokens.end;
            add(&mut std::iter::once(answer.tokens.start.max(end.saturating_sub(cells / 8))..end), cells / 8);
        }
        let recent = match self.eviction.policy {
            Evict::Window => 1,
            _ => RECENT,
        };
        protected.push(held.len().checked_sub(recent).map_or(0, |first| held[first])..end);
        protected.sort_by_key(|range| range.start);
        protected
    }

    fn is_document(&self, part: &Part) -> bool {
        part.role == Role::User && part.tokens.len() > self.cells() / DOCUMENT_PART
    }

    /// How important each of these tokens is; numbers of one kind can be compared with one another, and those of
    /// different kinds by their ranks, 0 to 1.
    fn importance(&self, held: &[usize]) -> Vec<f32> {
        if self.eviction.policy == Evict::Window {
            return held.iter().map(|token| *token as f32).collect();
        }
        let asides = &self.ledger.contents().asides;
        let is_aside = |token: usize| asides.iter().any(|aside| aside.contains(&token));
        let asked = |token: &usize| self.eviction.asked.get(*token).copied().filter(|score| *score >= 0.0);
        let mut scores = vec![0.0; held.len()];
        let mut rank = |of: &[usize], values: &[f32]| {
            for (index, rank) in of.iter().zip(ranks(values)) {
                scores[*index] = rank;
            }
        };
        let (by_question, rest): (Vec<usize>, Vec<usize>) =
            (0..held.len()).partition(|index| asked(&held[*index]).is_some());
        let values: Vec<f32> = by_question.iter().filter_map(|index| asked(&held[*index])).collect();
        rank(&by_question, &values);
        let in_document = |index: &usize| {
            let token = held[*index];
            self.eviction.parts.iter().any(|part| part.tokens.contains(&token) && self.is_document(part))
        };
        let (document, chat): (Vec<usize>, Vec<usize>) = rest.iter().partition(|index| in_document(index));
        if !document.is_empty() {
            let values = self.peculiarity(held);
            rank(&document, &document.iter().map(|index| values[*index]).collect::<Vec<_>>());
        }
        let of_chat = |index: &usize| match self.eviction.asked.is_empty() {
            true => held[*index] as f32,
            false => self.ledger.attention()[held[*index]],
        };
        rank(&chat, &chat.iter().map(of_chat).collect::<Vec<_>>());
        for (index, token) in held.iter().enumerate() {
            if is_aside(*token) {
                scores[index] = -1.0;
            }
        }
        scores
    }

    /// How unlike the others each token is.
    fn peculiarity(&self, held: &[usize]) -> Vec<f32> {
        let tokens: Vec<Token> = held.iter().map(|token| self.ledger.tokens()[*token]).collect();
        let state = self.context.state(u64::MAX);
        peculiarity(&tokens, state.as_deref().and_then(State::read).as_ref(), self.model.kv_heads() as usize)
    }

    /// Whether the next computation of so many tokens is watched: soon something may have to leave.
    pub(super) fn watch(&mut self, tokens: usize) {
        let used = self.ledger.cells() + tokens;
        let is_step = tokens > 1 || used.is_multiple_of(WATCHED_STEP);
        if is_step && self.is_watched(used) {
            self.context.watch(WATCHED_ROWS, used);
        }
    }

    fn is_watched(&self, used: usize) -> bool {
        !self.eviction.asked.is_empty()
            && self.eviction.policy != Evict::Window
            && self.evicts()
            && used > self.cells() / 2
    }

    /// How many tokens may be computed together with the next one, if the one that is watched is to be computed alone.
    pub(super) fn tokens_until_watched(&self) -> usize {
        let next = self.ledger.cells() + 1;
        match next % WATCHED_STEP {
            _ if !self.is_watched(next) => usize::MAX,
            0 => 0,
            into => WATCHED_STEP - 1 - into,
        }
    }

    /// Takes what was seen in a computation.
    pub(super) fn learn(&mut self) {
        if let Some(seen) = self.context.observed() {
            self.ledger.observed(&seen);
        }
    }

    /// Computes the question behind what is in the cache and `tokens` more, to see what it attends to, and takes it
    /// out again. The tokens stay.
    pub(super) fn decode_and_ask(&mut self, tokens: &[Token], cancel: &[&CancelFlag]) -> Result<Go, EngineError> {
        let question = self.eviction.asking.probe.clone();
        let with_question: Vec<Token> = tokens.iter().chain(&question).copied().collect();
        self.context.watch(question.len(), self.ledger.cells() + with_question.len());
        let (started, watched) = (Instant::now(), self.context.watching_took());
        let go = self.decode(&with_question, cancel)?;
        let computing = started.elapsed().saturating_sub(self.context.watching_took() - watched);
        self.eviction.spent += computing.mul_f64(question.len() as f64 / with_question.len().max(1) as f64);
        let seen = self.context.observed();
        if go == Go::On {
            if let Some(seen) = seen {
                self.eviction.asked = vec![-1.0; self.ledger.tokens().len()];
                for (token, seen) in self.ledger.contents().held.tokens().zip(seen) {
                    self.eviction.asked[token] = seen;
                }
            }
            let length = self.ledger.tokens().len() - question.len();
            self.eviction.asked.truncate(length);
            if self.keep(length) != length {
                return Err(self.disagreement());
            }
        }
        Ok(go)
    }

    /// Sees what this question attends to in the cache.
    pub fn observe_question(&mut self, question: &[Token]) -> Result<Go, EngineError> {
        self.eviction.asking.probe = question.to_vec();
        self.decode_and_ask(&[], &[])
    }
}
