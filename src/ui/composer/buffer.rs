//! A text with a cursor: motions, changes that can be taken back, what was cut. It knows nothing of keys.
//!
//! Places are bytes of the text, always between two units.

use super::fold::{self, Folds};
use super::tokens::Tokens;
use super::undo::{How, Undo};
use super::units::{self, Class};

/// Where the cursor goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    Left,
    Right,
    /// A row of the folded text.
    Up,
    Down,
    /// To the beginning of this word or the one before, and to the end of this word or the next.
    WordLeft,
    WordRight,
    /// Back to where a space comes before.
    SpaceLeft,
    LineStart,
    FirstNonBlank,
    LineEnd,
    Top,
    Bottom,
    /// As `w`, `b` and `e` of vi, for which punctuation makes words, too.
    NextRun,
    RunStart,
    RunEnd,
}

/// Which way text is cut: what is cut next joins it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Forward,
    Backward,
}

/// The text and all that belongs to editing it.
#[derive(Debug, Default)]
pub struct Buffer {
    text: String,
    cursor: usize,
    /// The column that going up and down keeps to.
    goal: Option<usize>,
    pub undo: Undo,
    folds: Folds,
    cut: String,
    last_cut: Option<Cut>,
    /// Counts the changes of the text.
    pub revision: u64,
}

impl Buffer {
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// Puts other text in the place of a range, and the cursor behind it.
    pub fn replace(&mut self, from: usize, to: usize, with: &str, how: How) {
        let removed = self.text[from..to].to_owned();
        if removed == with {
            return;
        }
        self.undo.record(from, removed, with.to_owned(), self.cursor, how);
        self.splice(from, to, with);
        self.cursor = from + with.len();
        self.last_cut = None;
    }

    fn splice(&mut self, from: usize, to: usize, with: &str) {
        let ends = |text: &str| text.matches('\n').count();
        self.folds.replaced(ends(&self.text[..from]), ends(&self.text[from..to]), ends(with));
        self.text.replace_range(from..to, with);
        self.revision += 1;
        self.goal = None;
    }

    pub fn insert(&mut self, text: &str, how: How) {
        self.replace(self.cursor, self.cursor, text, how);
    }

    /// Moves the cursor to a place between units.
    pub fn go(&mut self, place: usize) {
        self.cursor = place.min(self.text.len());
        self.goal = None;
        self.last_cut = None;
        self.undo.separate();
    }

    /// Moves the cursor; whether it has moved.
    pub fn step(&mut self, motion: Motion, tokens: &Tokens) -> bool {
        let before = self.cursor;
        match motion {
            Motion::Up | Motion::Down => self.step_row(motion == Motion::Up, tokens),
            _ => {
                let place = self.place(motion);
                self.go(place);
            }
        }
        self.cursor != before
    }

    /// Where a motion that knows no rows would lead.
    pub fn place(&self, motion: Motion) -> usize {
        let (text, at) = (&self.text, self.cursor);
        match motion {
            Motion::Left => at - units::before(text, at).len(),
            Motion::Right => at + units::after(text, at).len(),
            Motion::WordLeft => units::word_start(text, at),
            Motion::WordRight => units::word_end(text, at),
            Motion::SpaceLeft => {
                let end = units::skip_back(text, at, |class| class == Class::Space);
                units::skip_back(text, end, |class| class != Class::Space)
            }
            Motion::LineStart => units::line_start(text, at),
            Motion::FirstNonBlank => {
                let start = units::line_start(text, at);
                let blank = text[start..].bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
                start + blank
            }
            Motion::LineEnd => units::line_end(text, at),
            Motion::Top => 0,
            Motion::Bottom => text.len(),
            Motion::NextRun => {
                let class = Class::of(units::after(text, at));
                let end = if class == Class::Space { at } else { units::run_end(text, at) };
                units::skip(text, end, |class| class == Class::Space)
            }
            Motion::RunStart => {
                let end = units::skip_back(text, at, |class| class == Class::Space);
                units::run_start(text, end)
            }
            Motion::RunEnd => {
                let next = at + units::after(text, at).len();
                let start = units::skip(text, next, |class| class == Class::Space);
                let end = units::run_end(text, start);
                end - units::before(text, end).len()
            }
            Motion::Up | Motion::Down => at,
        }
    }

    fn step_row(&mut self, is_up: bool, tokens: &Tokens) {
        let rows = self.rows(tokens);
        let (row, column) = self.position(&rows, tokens);
        let goal = self.goal.unwrap_or(column);
        let next = if is_up { row.checked_sub(1) } else { Some(row + 1).filter(|next| *next < rows.len()) };
        let Some((from, to)) = next.map(|next| rows[next]) else { return };
        let place = from + fold::at_column(&self.text[from..to], goal, tokens);
        // The end of a folded row is the beginning of the next one.
        let is_folded = place == to && to > from && to < self.text.len() && !self.text[to..].starts_with('\n');
        self.go(if is_folded { place - units::before(&self.text, place).len() } else { place });
        self.goal = Some(goal);
    }

    /// Deletes up to where a motion leads; whether there was anything to delete.
    pub fn erase(&mut self, motion: Motion) -> bool {
        let (from, to) = self.range(motion);
        self.replace(from, to, "", How::Erased);
        from < to
    }

    /// Deletes up to where a motion leads, and keeps it for [`Buffer::paste_cut`].
    pub fn cut(&mut self, motion: Motion) {
        let (from, mut to) = self.range(motion);
        if motion == Motion::LineEnd && from == to {
            // At the end of a line its line end goes.
            to = from + units::after(&self.text, from).len();
        }
        let direction = if from < self.cursor { Cut::Backward } else { Cut::Forward };
        let cut = self.text[from..to].to_owned();
        if cut.is_empty() {
            return;
        }
        let joined = self.last_cut.is_some();
        self.replace(from, to, "", How::Whole);
        self.cut = match direction {
            _ if !joined => cut,
            Cut::Forward => std::mem::take(&mut self.cut) + &cut,
            Cut::Backward => cut + &self.cut,
        };
        self.last_cut = Some(direction);
    }

    /// Inserts what was cut last.
    pub fn paste_cut(&mut self) {
        let cut = self.cut.clone();
        self.insert(&cut, How::Whole);
    }

    /// What lies between the cursor and where a motion leads.
    fn range(&self, motion: Motion) -> (usize, usize) {
        let place = self.place(motion);
        (self.cursor.min(place), self.cursor.max(place))
    }

    pub fn undo(&mut self) {
        for change in self.undo.back() {
            self.splice(change.at, change.at + change.inserted.len(), &change.removed);
            self.cursor = change.cursor;
        }
        self.last_cut = None;
    }

    pub fn redo(&mut self) {
        for change in self.undo.again() {
            self.splice(change.at, change.at + change.removed.len(), &change.inserted);
            self.cursor = change.at + change.inserted.len();
        }
        self.last_cut = None;
    }

    pub fn set_columns(&mut self, columns: usize) {
        self.folds.set_columns(columns);
    }

    /// The rows of the folded text, as ranges of it.
    pub fn rows(&mut self, tokens: &Tokens) -> Vec<(usize, usize)> {
        self.folds.rows(&self.text, tokens)
    }

    /// Row and column of the cursor among these rows. Between two rows of a line it is on the lower one.
    pub fn position(&self, rows: &[(usize, usize)], tokens: &Tokens) -> (usize, usize) {
        let row = rows.partition_point(|(from, _)| *from <= self.cursor).saturating_sub(1);
        let from = rows.get(row).map_or(0, |row| row.0);
        (row, fold::columns_of(&self.text[from..self.cursor], tokens))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn typed(text: &str) -> Buffer {
        let mut buffer = Buffer::default();
        for character in text.chars() {
            buffer.insert(&character.to_string(), How::Typed);
        }
        buffer
    }

    #[test]
    fn backspace_takes_a_whole_emoji_and_a_letter_with_its_marks() {
        let mut buffer = typed("ae\u{301}👨‍👩‍👧");
        assert!(buffer.erase(Motion::Left));
        assert_eq!(buffer.text(), "ae\u{301}");
        assert!(buffer.erase(Motion::Left));
        assert_eq!(buffer.text(), "a");
    }

    #[test]
    fn undo_takes_back_words_and_deletions_in_a_row_as_one() {
        let mut buffer = typed("one two");
        buffer.undo();
        assert_eq!(buffer.text(), "one ");
        buffer.redo();
        assert_eq!(buffer.text(), "one two");
        for _ in 0..5 {
            buffer.erase(Motion::Left);
        }
        assert_eq!(buffer.text(), "on");
        buffer.undo();
        assert_eq!((buffer.text(), buffer.cursor()), ("one two", 7));
        buffer.undo();
        buffer.undo();
        assert_eq!(buffer.text(), "");
        buffer.undo();
        buffer.redo();
        buffer.redo();
        assert_eq!(buffer.text(), "one two");
    }

    #[test]
    fn what_is_cut_in_a_row_comes_back_as_one() {
        let mut buffer = typed("one two three");
        buffer.cut(Motion::SpaceLeft);
        buffer.cut(Motion::SpaceLeft);
        assert_eq!(buffer.text(), "one ");
        buffer.paste_cut();
        assert_eq!(buffer.text(), "one two three");
        buffer.go(0);
        buffer.cut(Motion::LineEnd);
        assert_eq!(buffer.text(), "");
        buffer.paste_cut();
        assert_eq!(buffer.text(), "one two three", "another place, another cut");
    }

    #[test]
    fn going_up_and_down_keeps_the_column_over_shorter_rows() {
        let mut buffer = typed("longer line\nab\nlonger again");
        let tokens = Tokens::default();
        buffer.go(7);
        assert!(buffer.step(Motion::Down, &tokens));
        assert_eq!(buffer.cursor(), 14);
        assert!(buffer.step(Motion::Down, &tokens));
        assert_eq!(buffer.cursor(), 22);
        assert!(!buffer.step(Motion::Down, &tokens), "there is no further row");
        assert!(buffer.step(Motion::Up, &tokens) && buffer.step(Motion::Up, &tokens));
        assert_eq!(buffer.cursor(), 7);
        assert!(!buffer.step(Motion::Up, &tokens));
    }

    #[test]
    fn going_down_passes_every_row_of_a_folded_line() {
        let mut buffer = typed("one two three four");
        let tokens = Tokens::default();
        buffer.set_columns(6);
        buffer.go(3);
        let mut places = Vec::new();
        while buffer.step(Motion::Down, &tokens) {
            places.push(buffer.cursor());
        }
        assert_eq!(places, [7, 11, 17]);
    }

    proptest! {
        #[test]
        fn undo_brings_every_text_back_and_redo_the_last_one(
            steps in prop::collection::vec((0u8..8, "[a 東\u{301}\n👍🏽]{0,3}"), 0..40)
        ) {
            let mut buffer = Buffer::default();
            let tokens = Tokens::default();
            for (step, text) in steps {
                match step {
                    0 => buffer.insert(&text, How::Typed),
                    1 => buffer.insert(&text, How::Whole),
                    2 => drop(buffer.erase(Motion::Left)),
                    3 => drop(buffer.erase(Motion::WordRight)),
                    4 => buffer.cut(Motion::LineEnd),
                    5 => drop(buffer.step(Motion::WordLeft, &tokens)),
                    6 => drop(buffer.step(Motion::Up, &tokens)),
                    _ => buffer.paste_cut(),
                }
                prop_assert!(buffer.text().is_char_boundary(buffer.cursor()));
                let rows = buffer.rows(&tokens);
                let joined: Vec<&str> = rows.iter().map(|(from, to)| &buffer.text()[*from..*to]).collect();
                prop_assert_eq!(joined.concat(), buffer.text().replace('\n', ""));
            }
            let last = buffer.text().to_owned();
            for _ in 0..50 {
                buffer.undo();
            }
            prop_assert_eq!(buffer.text(), "");
            for _ in 0..50 {
                buffer.redo();
            }
            prop_assert_eq!(buffer.text(), last);
        }
    }
}
