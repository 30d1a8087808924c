//! What leaves the cache of a document goes to the chat's archive, from where a later question can have it back.
//!
//! Not everywhere: only where the chat is kept on disk and its sentences are chosen by what a question attends to, and
//! not with sliding windows, whose layers have two caches of different cells.

use std::ops::Range;

use super::super::kv::{NewRows, Title, evict::common};
use super::super::llama::Rows;
use super::super::resume::memory_for_copies;
use super::super::session::Session;
use super::{Evict, Part};

impl Session<'_> {
    /// Whether what leaves a document is kept on disk.
    fn archives(&self) -> bool {
        let chooses = self.evicts() && self.eviction.policy != Evict::Window;
        chooses && self.model.window() == 0 && self.chats.archives().is_some()
    }

    /// Writes to the archive what is about to leave of documents and is not there yet. What cannot be written will be
    /// missing, and no more than that.
    pub(super) fn archive(&mut self, leaving: &[Range<usize>]) {
        if !self.archives() {
            return;
        }
        let mut leaving = leaving.to_vec();
        leaving.sort_by_key(|range| range.start);
        let contents = self.ledger.contents();
        let of_documents = common(&leaving, &self.documents());
        let new = contents.archived.missing_of(&of_documents);
        let stretches: Vec<_> = new.iter().flat_map(|range| contents.held.stretches(range)).collect();
        if stretches.is_empty() {
            return;
        }
        let Some(state) = self.context.state(memory_for_copies(self.sizes.mapped)) else { return };
        let Some(rows) = Rows::read(&state) else { return };
        if !rows.positions().iter().copied().eq(contents.held.positions()) {
            return;
        }
        let mut bytes = Vec::new();
        let count: usize = stretches.iter().map(|stretch| stretch.tokens.len()).sum();
        if bytes.try_reserve_exact(count * rows.row_bytes()).is_err() {
            return;
        }
        for stretch in &stretches {
            for cell in stretch.cell..stretch.cell + stretch.tokens.len() {
                rows.copy_row(cell, &mut bytes);
            }
        }
        let mut archived = contents.archived.clone();
        let seed = fastrand::u64(..);
        let numbers: Vec<u32> =
            stretches.into_iter().map(|stretch| archived.add(stretch.tokens, stretch.position, seed)).collect();
        let is_written = self.chats.archives().is_some_and(|(chat, snapshots)| {
            let title = Title { chat, id: archived.id(), row_bytes: rows.row_bytes() };
            snapshots.pays(2 * bytes.len() as u64, count, self.speed.tokens_per_second())
                && snapshots
                    .append(NewRows { title, first: numbers[0], seed, bytes }, memory_for_copies(self.sizes.mapped))
        });
        if is_written {
            self.ledger.set_archived(archived);
        }
    }

    /// The tokens of long messages, in order.
    fn documents(&self) -> Vec<Range<usize>> {
        let is_document = |part: &&Part| self.is_document(part);
        self.eviction.parts.iter().filter(is_document).map(|part| part.tokens.clone()).collect()
    }

    /// How many tokens left the cache that can come back from the archive.
    pub fn archived(&self) -> usize {
        let contents = self.ledger.contents();
        contents.archived.ranges().map(|range| range.len() - contents.held.count(range)).sum()
    }
}
