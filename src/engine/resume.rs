//! Going from one chat to another in one context: what was computed for the chat that is left is kept in memory and on
//! disk, and what was kept of the other is put back, if that is more than what the two have in common.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::archived::Archived;
use super::context::Contents;
use super::kv::{About, Kept, Shelf, Snapshots, Stored};
use super::llama::Token;
use super::prompt::KnownAnswers;
use super::protocol::ChatKey;
use super::session::Session;
use crate::hardware::memory::Memory;
use crate::text::Utf8Stream;

/// Fewer tokens than this are computed again sooner than they are worth keeping.
pub(super) const LEAST_TOKENS: usize = 64;
/// Part of the free memory that chats in the background may take.
const MEMORY_PART: u64 = 4;
/// What they may take where the free memory cannot be told.
const UNKNOWN_MEMORY_BYTES: u64 = 256 << 20;

/// Whose cache the context holds, and what is kept of others.
#[derive(Debug, Default)]
pub struct Chats {
    current: Option<ChatKey>,
    shelf: Shelf,
    snapshots: Option<Snapshots>,
    /// What is kept of the current chat, as long as it is not known whether that is better than what is there.
    waiting: Option<Waiting>,
    /// What the context holds is still another chat's.
    is_foreign: bool,
    /// What the current chat's snapshot on disk holds.
    written: Option<Contents>,
    /// What its template takes for the present time.
    clock: Option<Timestamp>,
}

/// What is kept of a chat.
#[derive(Debug)]
enum Waiting {
    InMemory(Kept),
    OnDisk(Stored),
}

impl Waiting {
    fn about(&self) -> &About {
        match self {
            Waiting::InMemory(kept) => &kept.about,
            Waiting::OnDisk(stored) => stored.about(),
        }
    }
}

impl Chats {
    pub fn new(snapshots: Option<Snapshots>) -> Self {
        Self { snapshots, ..Self::default() }
    }

    pub(super) fn snapshots(&self) -> Option<&Snapshots> {
        self.snapshots.as_ref()
    }

    /// What the template takes for the present time.
    pub(super) fn clock(&self) -> Option<Timestamp> {
        self.clock
    }

    /// Where what leaves the cache of the current chat is kept on disk, if it is.
    pub(super) fn archives(&self) -> Option<(ChatKey, &Snapshots)> {
        self.current.filter(|_| !self.is_foreign).zip(self.snapshots.as_ref())
    }
}

impl Session<'_> {
    /// Leaves the current chat for this one, if it is another.
    pub(super) fn go_to(&mut self, chat: Option<ChatKey>) {
        if self.chats.current == chat {
            return;
        }
        if self.chats.current.is_some() {
            self.put_aside();
        }
        // They went along; those of a chat that nothing is kept of must not go along with the next one.
        self.ledger.take_known_answers();
        self.chats.current = chat;
        self.chats.is_foreign = true;
        self.chats.written = None;
        self.chats.waiting = chat.and_then(|chat| self.find(chat));
        let about = self.chats.waiting.as_ref().map(|waiting| waiting.about().clone()).unwrap_or_default();
        self.set_clock(about.clock.unwrap_or_else(Timestamp::now));
        for tokens in about.answers {
            let bytes: Vec<u8> = tokens.iter().flat_map(|token| self.model.piece(*token)).collect();
            // A cut answer may end with a part of a character, which is not shown.
            let text = Utf8Stream::default().push(&bytes);
            if bytes.starts_with(text.as_bytes()) {
                self.ledger.remember(text, tokens);
            }
        }
    }

    /// A template that writes the date must go on writing the one it wrote first, or nothing behind it could be reused
    /// on the next day.
    fn set_clock(&mut self, now: Timestamp) {
        self.chats.clock = Some(now);
        if let Some(Ok(template)) = &mut self.template {
            template.set_clock(now.to_zoned(TimeZone::system()));
        }
    }

    fn find(&mut self, chat: ChatKey) -> Option<Waiting> {
        let in_memory = self.chats.shelf.take(chat).map(Waiting::InMemory);
        in_memory.or_else(|| self.chats.snapshots.as_ref()?.find(chat).map(Waiting::OnDisk))
    }

    /// Makes what the context holds the current chat's: what was kept of it, if more of these tokens are in that than
    /// in the context, else what the context has of them.
    pub(super) fn restore_for(&mut self, tokens: &[Token]) {
        self.restore_kept(tokens);
        if std::mem::take(&mut self.chats.is_foreign) {
            // The archive is that of the chat that was left.
            self.ledger.set_archived(Archived::default());
            self.reuse(tokens);
        }
    }

    /// Puts back what was found on disk, if more of these tokens are in that than in the context.
    pub(super) fn restore_stored(&mut self, stored: Stored, tokens: &[Token]) {
        self.chats.waiting = Some(Waiting::OnDisk(stored));
        self.restore_kept(tokens);
    }

    fn restore_kept(&mut self, tokens: &[Token]) {
        let Some(waiting) = self.chats.waiting.take() else { return };
        let there = waiting.about().contents.compare(tokens).length;
        let here = self.ledger.contents().compare(tokens).length;
        let fits = waiting.about().contents.cells() < self.context.cells() as usize;
        if there < here + LEAST_TOKENS || !fits {
            return;
        }
        let kept = match waiting {
            Waiting::InMemory(kept) => Some(kept),
            Waiting::OnDisk(stored) => stored.read(),
        };
        let Some(kept) = kept else { return };
        let (length, next) = (kept.about.contents.tokens.len(), kept.about.contents.held.next_position());
        let is_restored =
            self.context.set_state(&kept.state) && self.context.last_position().is_some_and(|last| last + 1 == next);
        if !is_restored {
            tracing::warn!(length, "what was kept of a chat could not be put back");
            self.context.clear();
            self.ledger.truncate(0);
            return;
        }
        tracing::info!(length, "put back what was kept of a chat");
        self.speed.assume(kept.about.prefill_speed);
        self.chats.written = kept.is_written.then(|| kept.about.contents.clone());
        self.chats.is_foreign = false;
        self.ledger.replace(kept.about.contents);
    }

    /// Keeps the current chat in memory, and on disk where that pays.
    fn put_aside(&mut self) {
        // What waits was never put back, so it is still the best there is.
        if let Some(Waiting::InMemory(kept)) = self.chats.waiting.take() {
            self.chats.shelf.put(kept, memory_for_copies(self.sizes.mapped));
            return;
        }
        if let Some(mut kept) = self.kept() {
            self.write(&mut kept);
            self.chats.shelf.put(kept, memory_for_copies(self.sizes.mapped));
        }
    }

    /// Writes the current chat to disk where that pays and it is not there already.
    pub fn snapshot(&mut self) {
        let is_written = self.chats.written.as_ref() == Some(self.ledger.contents());
        if self.chats.snapshots.is_none() || is_written {
            return;
        }
        if let Some(mut kept) = self.kept() {
            self.write(&mut kept);
        }
    }

    /// Forgets whatever is kept of a chat.
    pub fn forget(&mut self, chat: ChatKey) {
        self.chats.shelf.remove(chat);
        if let Some(snapshots) = &self.chats.snapshots {
            snapshots.remove(chat);
        }
        if self.chats.current == Some(chat) {
            self.chats.current = None;
            self.chats.waiting = None;
            self.chats.is_foreign = true;
            self.ledger.take_known_answers();
        }
    }

    /// Writes the current chat to disk where that pays.
    fn write(&mut self, kept: &mut Kept) {
        let Some(snapshots) = &self.chats.snapshots else { return };
        let (contents, bytes) = (&kept.about.contents, kept.state.len() as u64);
        let written = self.chats.written.as_ref().map(|written| written.compare(&contents.tokens).length);
        // Where a snapshot holds a part, only the rest would be computed again.
        let pays = match written {
            Some(part) => snapshots.pays(bytes, contents.tokens.len() - part, kept.about.prefill_speed),
            None => snapshots.pays(2 * bytes, contents.tokens.len(), kept.about.prefill_speed),
        };
        if pays && self.chats.written.as_ref() != Some(contents) {
            kept.is_written = true;
            self.chats.written = Some(contents.clone());
            snapshots.write(kept.clone());
        }
    }

    /// A copy of what there is of the current chat, if that is worth keeping and there is memory for it.
    fn kept(&self) -> Option<Kept> {
        let chat = self.chats.current.filter(|_| !self.chats.is_foreign)?;
        let contents = self.ledger.contents().clone();
        if contents.tokens.len() < LEAST_TOKENS {
            return None;
        }
        let state = Arc::new(self.context.state(memory_for_copies(self.sizes.mapped))?);
        let answers = known_tokens(self.ledger.known_answers());
        let prefill_speed = self.speed.tokens_per_second();
        let is_written = self.chats.written.as_ref() == Some(&contents);
        Some(Kept {
            chat,
            about: About { contents, answers, prefill_speed, clock: self.chats.clock },
            state,
            is_written,
        })
    }
}

fn known_tokens(known: &KnownAnswers) -> Vec<Vec<Token>> {
    known.values().cloned().collect()
}

/// What copies of the cache may take, beside so many bytes of weights that are mapped and are to stay in memory.
pub(super) fn memory_for_copies(mapped: u64) -> u64 {
    Memory::read().map_or(UNKNOWN_MEMORY_BYTES, |memory| memory.available.saturating_sub(mapped) / MEMORY_PART)
}
