//! What groups of prompts begin with alike beside what most do, such as one of several documents: each such beginning is
//! computed once, into a sequence of its own behind what it has in common with the conversation's, and leaves the cache
//! when no prompt needs it any more.

use super::{LOOKED_AT, ROOM_TO_BEGIN, Run, Waiting, prefix};
use crate::engine::llama::{Decoded, Row, Token};
use crate::engine::protocol::{EngineError, Step};

/// All beginnings together, the shared one included, take at most this part of the cells.
const MOST_PART: usize = 2;

/// A beginning that is in the cache.
pub struct Beginning {
    pub sequence: u32,
    tokens: Vec<Token>,
    /// How many of its tokens are in the conversation's cells.
    shared: usize,
}

impl Beginning {
    /// Cells of its own.
    pub fn cells(&self) -> usize {
        self.tokens.len() - self.shared
    }
}

impl Run<'_, '_> {
    /// Cells of all beginnings beside the shared one.
    pub fn beginnings_cells(&self) -> usize {
        self.beginnings.iter().map(Beginning::cells).sum()
    }

    /// The sequence that holds the most of a prompt, and how many of its tokens need not be computed.
    pub fn best(&self, prompt: &[Token]) -> (u32, usize) {
        let can_be_cut = self.session.context.can_evict();
        let first = (0, prefix::of(prompt, &self.shared, can_be_cut));
        self.beginnings.iter().fold(first, |best, beginning| {
            let length = prefix::of(prompt, &beginning.tokens, can_be_cut);
            if length > best.1 { (beginning.sequence, length) } else { best }
        })
    }

    /// Looks at the next items, if none that waits was looked at.
    pub fn look_ahead(&mut self) -> Result<(), EngineError> {
        if self.waiting.front().is_none_or(|next| next.prepared.is_some()) {
            return Ok(());
        }
        let mut next: Vec<Waiting> = self.waiting.drain(..self.waiting.len().min(LOOKED_AT)).collect();
        for waiting in next.iter_mut().filter(|waiting| waiting.prepared.is_none()) {
            if self.is_stopped() {
                break;
            }
            let (prompt, options) = &self.batch.items[waiting.item];
            waiting.prepared = Some(self.session.prepare(prompt, options.think));
        }
        next.into_iter().rev().for_each(|waiting| self.waiting.push_front(waiting));
        self.find_beginnings(&|_| true)
    }

    /// Finds what groups of the items that were looked at begin with, as far as there is room, and computes it.
    pub fn find_beginnings(&mut self, emit: &dyn Fn(Step) -> bool) -> Result<(), EngineError> {
        if !self.session.context.can_evict() {
            return Ok(());
        }
        let cells = self.session.cells();
        let held = self.shared.len() + self.beginnings_cells();
        let room = (cells / MOST_PART).saturating_sub(held).min(cells.saturating_sub(self.used() + ROOM_TO_BEGIN));
        let known: Vec<&[Token]> = self.beginnings.iter().map(|beginning| &beginning.tokens[..]).collect();
        let prompts = self.waiting.iter().filter_map(|item| item.prepared.as_ref()?.as_ref().ok());
        let prompts: Vec<&[Token]> = prompts.map(|prepared| &prepared.tokens[..]).collect();
        for tokens in prefix::more(&prompts, &self.shared, &known, self.free_beginnings.len(), room) {
            self.compute_beginning(tokens, emit)?;
        }
        self.assign();
        Ok(())
    }

    /// Notes of the items that wait which beginning they will have.
    fn assign(&mut self) {
        for at in 0..self.waiting.len() {
            let from = match &self.waiting[at].prepared {
                Some(Ok(prepared)) => self.best(&prepared.tokens).0,
                _ => 0,
            };
            self.waiting[at].from = from;
        }
    }

    /// Computes a beginning into a sequence that is free. Where there is no room after all, there is none.
    fn compute_beginning(&mut self, tokens: Vec<Token>, emit: &dyn Fn(Step) -> bool) -> Result<(), EngineError> {
        let Some(sequence) = self.free_beginnings.pop() else { return Ok(()) };
        let shared = tokens.iter().zip(&self.shared).take_while(|(one, other)| one == other).count();
        if shared > 0 {
            self.session.context.share(0, sequence, shared as u32);
        }
        let mut done = shared;
        while done < tokens.len() {
            let progress = Step::Prefilling { done: done as u32, total: tokens.len() as u32, cached: shared as u32 };
            let end = tokens.len().min(done + self.session.context.batch_size());
            let rows: Vec<Row> = (done..end)
                .map(|place| Row { token: tokens[place], position: place as u32, sequence, is_asked: false })
                .collect();
            let decoded = match emit(progress) && !self.is_stopped() {
                true => self.session.context.decode_rows(&rows, self.cancel),
                false => Decoded::Cancelled,
            };
            match decoded {
                Decoded::Done => done = end,
                Decoded::Cancelled | Decoded::Full => {
                    self.forget_beginning(sequence);
                    return Ok(());
                }
                Decoded::Failed(status) => return Err(super::failed(status)),
            }
        }
        tracing::debug!(sequence, tokens = tokens.len(), shared, "some items begin alike");
        self.beginnings.push(Beginning { sequence, tokens, shared });
        Ok(())
    }

    fn forget_beginning(&mut self, sequence: u32) {
        self.session.context.forget(sequence);
        self.free_beginnings.push(sequence);
    }

    /// An item is done that had this beginning: it leaves the cache if it was the last one.
    pub fn release(&mut self, from: u32) {
        let is_used = self.lanes.iter().chain(&self.paused).any(|lane| lane.from == from)
            || self.waiting.iter().any(|waiting| waiting.from == from);
        if from > 0 && !is_used {
            self.drop_beginnings(|sequence| sequence == from);
        }
    }

    /// Takes beginnings out of the cache that no answer under way has; `false` if there are none of these. Items that
    /// wait are computed as a whole then.
    pub fn drop_beginnings(&mut self, is_meant: impl Fn(u32) -> bool) -> bool {
        let is_kept = |beginning: &Beginning| {
            !is_meant(beginning.sequence) || self.lanes.iter().any(|lane| lane.from == beginning.sequence)
        };
        let (kept, dropped): (Vec<_>, Vec<_>) = std::mem::take(&mut self.beginnings).into_iter().partition(is_kept);
        self.beginnings = kept;
        for beginning in &dropped {
            self.forget_beginning(beginning.sequence);
        }
        if !dropped.is_empty() {
            let mut paused = std::mem::take(&mut self.paused);
            for lane in paused.iter_mut().filter(|lane| dropped.iter().any(|gone| gone.sequence == lane.from)) {
                let best = self.best(lane.tokens());
                lane.rebase(best);
            }
            self.paused = paused;
            self.assign();
        }
        !dropped.is_empty()
    }
}
