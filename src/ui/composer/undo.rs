//! Taking changes back and making them again, some at a time: a word that was typed is one step.

/// Steps that can be taken back, and how much text is kept for that.
const MOST_CHANGES: usize = 2000;
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// How a change came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Joins what was typed just before, up to the end of a word.
    Typed,
    /// Joins what was deleted just before.
    Erased,
    /// A step of its own.
    Whole,
}

/// A part of the text that gave way to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub at: usize,
    pub removed: String,
    pub inserted: String,
    /// Where the cursor was before.
    pub cursor: usize,
    step: u64,
}

/// The changes of a text.
#[derive(Debug, Default)]
pub struct Undo {
    done: Vec<Change>,
    undone: Vec<Change>,
    step: u64,
    last: Option<How>,
    /// Everything is one step until it is closed.
    is_open: bool,
}

impl Undo {
    /// Remembers a change that is made now.
    pub fn record(&mut self, at: usize, removed: String, inserted: String, cursor: usize, how: How) {
        self.undone.clear();
        let joins = self.is_open || self.joins(at, &removed, &inserted, how);
        if !joins {
            self.step += 1;
        }
        let change = Change { at, removed, inserted, cursor, step: self.step };
        self.done.push(change);
        self.last = Some(how);
        self.forget_oldest();
    }

    fn joins(&self, at: usize, removed: &str, inserted: &str, how: How) -> bool {
        let Some(last) = self.done.last().filter(|_| self.last == Some(how)) else { return false };
        match how {
            How::Typed => {
                let begins_word =
                    last.inserted.ends_with(char::is_whitespace) && !inserted.starts_with(char::is_whitespace);
                removed.is_empty() && last.at + last.inserted.len() == at && !begins_word
            }
            How::Erased => at + removed.len() == last.at || at == last.at,
            How::Whole => false,
        }
    }

    /// The next change is a step of its own.
    pub fn separate(&mut self) {
        self.last = None;
    }

    /// All changes up to [`Undo::close`] are one step.
    pub fn open(&mut self) {
        self.step += 1;
        self.is_open = true;
    }

    pub fn close(&mut self) {
        self.is_open = false;
        self.last = None;
    }

    /// The changes to take back now, the newest first.
    pub fn back(&mut self) -> Vec<Change> {
        self.close();
        let changes = pop_step(&mut self.done);
        self.undone.extend(changes.iter().cloned());
        changes
    }

    /// The changes to make again now, in their order.
    pub fn again(&mut self) -> Vec<Change> {
        self.close();
        let changes = pop_step(&mut self.undone);
        self.done.extend(changes.iter().cloned());
        changes
    }

    fn forget_oldest(&mut self) {
        let mut bytes = 0;
        let kept = self.done.iter().rev().take(MOST_CHANGES).take_while(|change| {
            bytes += change.removed.len() + change.inserted.len();
            bytes <= MOST_BYTES
        });
        let kept = kept.count().max(1);
        let surplus = self.done.len().saturating_sub(kept);
        if surplus > 0 {
            self.done.drain(..surplus);
        }
    }
}

fn pop_step(changes: &mut Vec<Change>) -> Vec<Change> {
    let Some(step) = changes.last().map(|change| change.step) else { return Vec::new() };
    let first = changes.iter().rposition(|change| change.step != step).map_or(0, |other| other + 1);
    let mut popped = changes.split_off(first);
    popped.reverse();
    popped
}
