//! Which entries were told already, where they are told once and stay: in plain lines, and above the lines that the chat
//! has at the bottom of a screen.

use std::collections::HashMap;
use std::sync::Arc;

use super::Entry;
use crate::store::MessageId;
use crate::ui::msg::Slot;

/// An entry that is known again.
#[derive(Debug)]
pub enum Known {
    Message(Slot<MessageId>),
    Note(String),
}

impl Known {
    pub fn of(entry: &Entry) -> Self {
        match entry.saved() {
            Some(slot) => Self::Message(slot.clone()),
            None => Self::Note(entry.text().to_owned()),
        }
    }

    pub fn is(&self, entry: &Entry) -> bool {
        match (self, entry.saved()) {
            (Self::Message(known), Some(slot)) => Arc::ptr_eq(known, slot),
            (Self::Note(known), None) => known == entry.text(),
            _ => false,
        }
    }
}

/// All entries that were told.
#[derive(Debug, Default)]
pub struct Told(Vec<Known>);

impl Told {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The places of the entries that were not told yet, which are from now on.
    pub fn take_new(&mut self, entries: &[Entry]) -> Vec<usize> {
        let before = self.0.len();
        let last = before.checked_sub(1).and_then(|last| entries.get(last));
        let goes_on = match (self.0.last(), last) {
            (None, _) => true,
            (Some(known), Some(entry)) => known.is(entry),
            (Some(_), None) => false,
        };
        let new: Vec<usize> = if goes_on { (before..entries.len()).collect() } else { self.missing(entries) };
        if !new.is_empty() || before != entries.len() {
            self.0 = entries.iter().map(Known::of).collect();
        }
        new
    }

    /// The places of those that are not known, wherever they stand.
    fn missing(&self, entries: &[Entry]) -> Vec<usize> {
        let mut notes: HashMap<&str, usize> = HashMap::new();
        let mut messages: Vec<*const _> = Vec::new();
        for known in &self.0 {
            match known {
                Known::Message(slot) => messages.push(Arc::as_ptr(slot)),
                Known::Note(text) => *notes.entry(text).or_default() += 1,
            }
        }
        messages.sort_unstable();
        let is_new = |entry: &Entry| match entry.saved() {
            Some(slot) => messages.binary_search(&Arc::as_ptr(slot)).is_err(),
            None => match notes.get_mut(entry.text()) {
                Some(count @ 1..) => {
                    *count -= 1;
                    false
                }
                _ => true,
            },
        };
        let places = entries.iter().map(is_new).enumerate();
        places.filter(|(_, is_new)| *is_new).map(|(place, _)| place).collect()
    }
}
