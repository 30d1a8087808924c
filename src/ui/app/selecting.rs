//! Choosing a message of the conversation with the keyboard, and a code block or a table in it. What is written in the
//! composer stays there meanwhile.

use std::time::Instant;

use super::App;
use super::branches::Sibling;
use crate::ui::markdown::parts::{Part, parts};
use crate::ui::msg::Effect;
use crate::ui::transcript::Entry;

/// What the keys do while a message is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Select {
    /// Choose the last message in view.
    Begin,
    Leave,
    Above,
    Below,
    First,
    Last,
    /// The next code block or table in the message; the message itself after the last one.
    NextPart,
    PartBefore,
    Copy,
    Edit,
    Retry,
    Fork,
    /// Twice.
    Delete,
    Sibling(Sibling),
    /// A letter that means nothing here.
    Nothing,
}

/// The message that is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Its place on the branch, counted from 0.
    pub(super) message: usize,
    /// Which of its code blocks and tables.
    pub(super) part: Option<usize>,
    /// What there is to choose among in it.
    pub(super) parts: Vec<Part>,
    /// The next `d` deletes it.
    pub deletes_next: bool,
    /// The search led to it: letters are written, until Shift-Tab or an arrow chooses.
    pub is_found: bool,
}

impl Selection {
    pub fn has_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    pub(super) fn part(&self) -> Option<&Part> {
        self.parts.get(self.part?)
    }
}

impl App {
    /// The message that is chosen, if one is.
    pub fn selection(&self) -> Option<&Selection> {
        self.selection.as_ref()
    }

    /// The chosen message itself.
    pub fn selected_entry(&self) -> Option<&Entry> {
        let place = self.entry_of_message(self.selection.as_ref()?.message)?;
        self.transcript.entries().get(place)
    }

    pub(super) fn select(&mut self, step: Select, now: Instant) -> Vec<Effect> {
        if step == Select::Begin {
            self.begin_selecting();
            return Vec::new();
        }
        let Some(selection) = &mut self.selection else { return Vec::new() };
        let deletes = std::mem::take(&mut selection.deletes_next);
        let is_found = selection.is_found;
        let (message, part, parts) = (selection.message, selection.part, selection.parts.len());
        let last = self.branches.path().len().saturating_sub(1);
        self.notices.clear();
        match step {
            Select::Begin => {}
            Select::Leave => self.stop_selecting(),
            // Whatever key answers the question whether to delete does nothing else.
            _ if deletes && step != Select::Delete => {}
            Select::Above => self.choose(message.saturating_sub(1)),
            Select::Below => self.choose((message + 1).min(last)),
            Select::First => self.choose(0),
            Select::Last => self.choose(last),
            Select::NextPart => self.choose_part(part.map_or(Some(0), |part| Some(part + 1))),
            Select::PartBefore if is_found => self.choose(message),
            Select::PartBefore => self.choose_part(match (part, parts) {
                (None, count) => count.checked_sub(1),
                (Some(part), _) => part.checked_sub(1),
            }),
            Select::Copy => return self.copy_selected(),
            Select::Edit => {
                self.edit_at(message);
                self.look_ahead(now);
            }
            Select::Retry => return self.retry_at(message, now),
            Select::Fork => return self.fork_at(message),
            Select::Delete if deletes => {
                let effects = self.delete_from(message, now);
                self.choose(message);
                return effects;
            }
            Select::Delete => match self.reason_not_to_branch() {
                Some(reason) => self.notice(reason),
                None => selection_of(&mut self.selection, |selection| selection.deletes_next = true),
            },
            Select::Nothing => self.notice("a message is chosen: Esc goes on writing, F1 tells the keys"),
            Select::Sibling(which) => {
                let effects = self.go_to_sibling(message, which, now);
                self.choose(message);
                return effects;
            }
        }
        Vec::new()
    }

    fn begin_selecting(&mut self) {
        let first = self.transcript.first_in_view();
        let chosen = if self.transcript.follows_end() {
            self.branches.path().len().checked_sub(1)
        } else {
            self.transcript.messages().position(|place| place >= first)
        };
        match chosen {
            Some(message) => self.choose(message),
            None => self.notice("there is no message yet; write one and send it with Enter"),
        }
    }

    /// Chooses a message, or the one before if there is none any more.
    pub(super) fn choose(&mut self, message: usize) {
        let message = message.min(self.branches.path().len().saturating_sub(1));
        let Some(entry) = self.entry_of_message(message) else { return self.stop_selecting() };
        let parts = self.transcript.entries().get(entry).map(|entry| parts(entry.text())).unwrap_or_default();
        self.selection = Some(Selection { message, part: None, parts, deletes_next: false, is_found: false });
        self.transcript.mark(Some(entry), None);
        self.transcript.reveal_marked(&self.look.theme);
    }

    fn choose_part(&mut self, part: Option<usize>) {
        let Some(message) = self.selection.as_ref().map(|selection| selection.message) else { return };
        // An answer may have grown since.
        self.choose(message);
        let Some(selection) = &mut self.selection else { return };
        if selection.parts.is_empty() {
            self.notice("there is no code block or table in this message");
            return;
        }
        selection.part = part.filter(|part| *part < selection.parts.len());
        let (part, entry) = (selection.part().cloned(), self.entry_of_message(message));
        self.transcript.mark(entry, part);
        self.transcript.reveal_marked(&self.look.theme);
    }

    /// Chooses what a search led to.
    pub(super) fn choose_found(&mut self, message: usize) {
        self.choose(message);
        selection_of(&mut self.selection, |selection| selection.is_found = true);
    }

    pub(super) fn stop_selecting(&mut self) {
        if self.selection.take().is_some() {
            self.transcript.mark(None, None);
        }
    }
}

fn selection_of(selection: &mut Option<Selection>, change: impl FnOnce(&mut Selection)) {
    if let Some(selection) = selection {
        change(selection);
    }
}
