//! A later question about a document gets a selection of its own: the document goes through the cache once more, its rows
//! taken from the archive and from the cache instead of being computed, and the question is held against each part.
//!
//! What is in the cache is copied first. So a question that is cancelled, and a row that turns out to be damaged, leave
//! everything as it was.

use std::time::Instant;

use super::super::archived::Archived;
use super::super::context::Contents;
use super::super::held::Held;
use super::super::kv::evict::least_important;
use super::super::kv::{Archive, Title};
use super::super::llama::{Rebuilt, Rows};
use super::super::protocol::{CancelFlag, EngineError, Step};
use super::super::resume::memory_for_copies;
use super::super::session::{Go, Session};
use super::{FREED_PART_WITH_QUESTION, MOST_FREED};

/// While it is gone through, at most this part of the cells is for what was found important before. The larger it is,
/// the more often the question is computed.
const KEPT_PART: usize = 2;
/// What is gone through at once, as a part of the cells: no less, or it would take for ever.
const LEAST_PART: usize = 8;

/// A token whose row is at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found {
    token: usize,
    position: u32,
    source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Cell(usize),
    Archive { row: u32, seed: u64 },
}

/// Why a selection came to nothing.
enum Failed {
    /// What was there is put back, and the answer is given with that.
    Without(&'static str),
    /// The same, and the archive is of no use any more.
    Lost(&'static str),
    Cancelled,
    Engine(EngineError),
}

impl From<EngineError> for Failed {
    fn from(error: EngineError) -> Self {
        Failed::Engine(error)
    }
}

/// What the rows are taken from.
struct Material<'m> {
    contents: &'m Contents,
    rows: Rows<'m>,
    archive: Archive,
    /// In the order of the conversation.
    found: Vec<Found>,
}

impl Session<'_> {
    /// Chooses anew what of the documents that left the cache is in it, by the question that is to come; `to_come` is
    /// how many tokens will be computed next.
    pub(in crate::engine) fn select_anew(
        &mut self,
        to_come: usize,
        cancel: &[&CancelFlag],
        emit: &dyn Fn(Step) -> bool,
    ) -> Result<Go, EngineError> {
        if self.eviction.question().is_empty() || self.archived() == 0 {
            return Ok(Go::On);
        }
        let started = Instant::now();
        let (spent, watched) = (self.eviction.spent, self.context.watching_took());
        let contents = self.ledger.contents().clone();
        let attention = self.ledger.attention().to_vec();
        let Some(state) = self.context.state(memory_for_copies(self.sizes.mapped)) else {
            tracing::info!("there is no memory to choose anew");
            return Ok(Go::On);
        };
        let selected = match self.material(&contents, &state, cancel) {
            Ok(material) => self.select(&material, to_come, cancel, emit),
            Err(failed) => Err(failed),
        };
        self.eviction.spent = spent + started.elapsed().saturating_sub(self.context.watching_took() - watched);
        let failed = match selected {
            Ok(held) => {
                let left = contents.held.tokens().filter(|token| !held.has(*token)).count();
                tracing::info!(cells = held.cells(), left, took = ?started.elapsed(), "selected anew");
                self.eviction.evicted += left;
                self.ledger.replace_cells(Contents { held, ..contents }, attention);
                return Ok(Go::On);
            }
            Err(failed) => failed,
        };
        if let Failed::Engine(error) = failed {
            return Err(error);
        }
        self.eviction.asked.clear();
        if !self.context.set_state(&state) {
            return Err(self.disagreement());
        }
        self.ledger.replace_cells(contents, attention);
        let reason = match failed {
            Failed::Without(reason) => reason,
            Failed::Lost(reason) => {
                self.ledger.set_archived(Archived::default());
                reason
            }
            Failed::Cancelled | Failed::Engine(_) => return Ok(Go::Cancelled),
        };
        tracing::warn!(reason, "the selection for an earlier question is used");
        Ok(Go::On)
    }

    /// How many tokens are computed to choose anew: the question, once for each part of the documents.
    pub(in crate::engine) fn selection_cost(&self) -> usize {
        let question = self.eviction.question().len();
        let end = self.ledger.contents().archived.end();
        let tokens = self.archived() + self.ledger.contents().held.count(&(0..end));
        let room = self.cells().saturating_sub(question).max(1);
        if !self.eviction.is_asked_anew() || self.archived() == 0 || tokens <= self.most_ahead(end, 0) {
            return 0;
        }
        question * (1 + tokens.saturating_sub(room).div_ceil((room / KEPT_PART).max(1)))
    }

    /// How many of the tokens up to `end` may be in the cache if `to_come` will be computed next; no fewer than are.
    fn most_ahead(&self, end: usize, to_come: usize) -> usize {
        let (cells, contents) = (self.cells(), self.ledger.contents());
        let before = contents.held.count(&(0..end));
        let behind = contents.cells() - before;
        let to_free = to_come.max(((cells as f32 * FREED_PART_WITH_QUESTION) as usize).min(MOST_FREED));
        cells.saturating_sub(behind + to_free).max(before)
    }

    fn material<'m>(
        &self,
        contents: &'m Contents,
        state: &'m [u8],
        cancel: &[&CancelFlag],
    ) -> Result<Material<'m>, Failed> {
        let rows = Rows::read(state).ok_or(Failed::Lost("the cache has another form than was expected"))?;
        let (chat, snapshots) = self.chats.archives().ok_or(Failed::Without("nothing is kept of this chat"))?;
        let title = Title { chat, id: contents.archived.id(), row_bytes: rows.row_bytes() };
        let archive = snapshots.archive(title, &|| !is_cancelled(cancel));
        if is_cancelled(cancel) {
            return Err(Failed::Cancelled);
        }
        let archive = archive.ok_or(Failed::Lost("the archive is gone"))?;
        let found = found(contents);
        let grows = found.windows(2).all(|pair| pair[0].position < pair[1].position);
        if !grows || !rows.positions().iter().copied().eq(contents.held.positions()) {
            return Err(Failed::Lost("the archive is of other positions"));
        }
        Ok(Material { contents, rows, archive, found })
    }

    /// Goes through the documents, and leaves in the cache what was chosen and all that was behind them; returns what
    /// that is.
    fn select(
        &mut self,
        material: &Material<'_>,
        to_come: usize,
        cancel: &[&CancelFlag],
        emit: &dyn Fn(Step) -> bool,
    ) -> Result<Held, Failed> {
        let end = material.contents.archived.end();
        let (ahead, behind) = material.found.split_at(material.found.partition_point(|found| found.token < end));
        let most = self.most_ahead(end, to_come);
        let chosen =
            if ahead.len() <= most { ahead.to_vec() } else { self.go_through(material, ahead, most, cancel, emit)? };
        let all: Vec<Found> = chosen.iter().chain(behind).copied().collect();
        if all.len() > self.cells() {
            return Err(Failed::Without("there is no room for a selection"));
        }
        self.put_in(material, &all, cancel)?;
        Ok(self.ledger.contents().held.clone())
    }

    /// Holds the question against all of these tokens, part by part; returns the most important ones.
    fn go_through(
        &mut self,
        material: &Material<'_>,
        tokens: &[Found],
        most: usize,
        cancel: &[&CancelFlag],
        emit: &dyn Fn(Step) -> bool,
    ) -> Result<Vec<Found>, Failed> {
        let cells = self.cells();
        let room = cells.saturating_sub(self.eviction.question().len());
        let mut kept: Vec<Found> = Vec::new();
        let mut done = 0;
        while done < tokens.len() {
            let count = room.saturating_sub(kept.len()).min(tokens.len() - done);
            if count < (cells / LEAST_PART).min(tokens.len() - done) {
                return Err(Failed::Without("what never leaves takes too much room"));
            }
            let progress = Step::Selecting { done: done as u32, total: tokens.len() as u32 };
            if !emit(progress) {
                return Err(Failed::Cancelled);
            }
            kept.extend_from_slice(&tokens[done..done + count]);
            done += count;
            self.put_in(material, &kept, cancel)?;
            self.eviction.asked.clear();
            match self.decode_and_ask(&[], cancel)? {
                Go::On if self.eviction.asked.is_empty() => return Err(Failed::Lost("attention cannot be seen")),
                Go::On => {}
                Go::Cancelled => return Err(Failed::Cancelled),
                Go::Full => return Err(Failed::Without("there is no room for the question")),
            }
            let most = if done == tokens.len() { most } else { most.min(room / KEPT_PART) };
            let to_free = kept.len().saturating_sub(most);
            let leaving = least_important(self.candidates(), to_free);
            kept.retain(|found| !leaving.iter().any(|range| range.contains(&found.token)));
        }
        Ok(kept)
    }

    /// Fills the cache with the rows of these tokens, and makes the ledger that of the conversation up to the last of
    /// them.
    fn put_in(&mut self, material: &Material<'_>, tokens: &[Found], cancel: &[&CancelFlag]) -> Result<(), Failed> {
        let Some(last) = tokens.last() else { return Err(Failed::Without("there is nothing to select")) };
        let rebuilt = material.rebuild(tokens, cancel)?;
        if !self.context.set_state(rebuilt.bytes()) || self.context.last_position() != Some(last.position) {
            return Err(Failed::Lost("llama.cpp does not take what was put together"));
        }
        let whole = material.contents;
        let length = last.token + 1;
        self.ledger.replace(Contents {
            tokens: whole.tokens[..length].to_vec(),
            held: Held::of(tokens.iter().map(|found| (found.token, found.position))),
            asides: whole.asides.iter().filter(|aside| aside.end <= length).cloned().collect(),
            archived: Archived::default(),
        });
        Ok(())
    }
}

impl Material<'_> {
    /// The bytes of a cache of these tokens.
    fn rebuild(&self, tokens: &[Found], cancel: &[&CancelFlag]) -> Result<Rebuilt, Failed> {
        let positions: Vec<u32> = tokens.iter().map(|found| found.position).collect();
        let mut rebuilt = self.rows.rebuild(&positions).ok_or(Failed::Without("memory is short"))?;
        let mut row = vec![0; self.rows.row_bytes()];
        for (cell, found) in tokens.iter().enumerate() {
            match found.source {
                Source::Cell(from) => rebuilt.copy(cell, &self.rows, from..from + 1),
                Source::Archive { .. } if is_cancelled(cancel) => return Err(Failed::Cancelled),
                Source::Archive { row: number, seed } => {
                    if !self.archive.read(number, seed, &mut row) {
                        return Err(Failed::Lost("the archive is damaged or not whole"));
                    }
                    rebuilt.put(cell, &row);
                }
            }
        }
        Ok(rebuilt)
    }
}

/// All tokens of a conversation whose rows are in the cache or in the archive, in order.
fn found(contents: &Contents) -> Vec<Found> {
    let held = contents.held.tokens().zip(contents.held.positions()).enumerate();
    let mut found: Vec<Found> =
        held.map(|(cell, (token, position))| Found { token, position, source: Source::Cell(cell) }).collect();
    let archived = contents.archived.tokens().filter(|it| !contents.held.has(it.token));
    found.extend(archived.map(|it| {
        let source = Source::Archive { row: it.row, seed: it.seed };
        Found { token: it.token, position: it.position, source }
    }));
    found.sort_by_key(|found| found.token);
    found
}

fn is_cancelled(cancel: &[&CancelFlag]) -> bool {
    cancel.iter().any(|flag| flag.is_cancelled())
}

#[cfg(test)]
mod tests;
