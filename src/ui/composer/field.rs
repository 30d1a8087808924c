//! A single line that is written in: what narrows a list, what is searched for, a title. It is edited by the keys of
//! the composer, without those of vi.

use crossterm::event::KeyEvent;

use super::buffer::{Buffer, Motion};
use super::editing::{self, Action};
use super::undo::How;
use super::units::MARK;

/// Nothing that is searched for is longer.
const MOST_BYTES: usize = 4 * 1024;

/// The line and its cursor.
#[derive(Debug, Default)]
pub struct Field {
    buffer: Buffer,
    /// What is typed first takes the place of the text, which any other key keeps.
    is_offered: bool,
}

impl Field {
    /// With this text, and the cursor behind it.
    pub fn holding(text: &str) -> Self {
        let mut field = Self::default();
        field.insert(text);
        field
    }

    /// With this text, as [`Field::holding`]; what is typed first takes its place.
    pub fn offering(text: &str) -> Self {
        Self { is_offered: true, ..Self::holding(text) }
    }

    pub fn text(&self) -> &str {
        self.buffer.text()
    }

    pub fn is_empty(&self) -> bool {
        self.text().is_empty()
    }

    /// What stands before the cursor, and what behind it.
    pub fn around_cursor(&self) -> (&str, &str) {
        self.text().split_at(self.buffer.cursor())
    }

    /// Does what a key does in a single line; whether the text is another one now.
    pub fn edit(&mut self, key: KeyEvent) -> bool {
        let before = self.buffer.revision;
        self.is_offered &= matches!(editing::action(key), Some(Action::Insert(_)));
        match editing::action(key) {
            None | Some(Action::Move(Motion::Up | Motion::Down)) => {}
            Some(Action::Insert(character)) => self.insert(character.encode_utf8(&mut [0; 4])),
            Some(Action::Move(motion)) => self.buffer.go(self.buffer.place(motion)),
            Some(Action::Erase(motion)) => drop(self.buffer.erase(motion)),
            Some(Action::Cut(motion)) => self.buffer.cut(motion),
            Some(Action::PasteCut) => self.buffer.paste_cut(),
        }
        self.buffer.revision != before
    }

    /// Writes this at the cursor. What ends lines, or is seen by no one, is left out.
    pub fn insert(&mut self, text: &str) {
        if std::mem::take(&mut self.is_offered) {
            self.buffer.go(self.text().len());
            self.buffer.erase(Motion::LineStart);
        }
        let shown = text.chars().filter(|character| !character.is_control() && *character != MARK);
        let mut room = MOST_BYTES.saturating_sub(self.text().len());
        let fitting = shown.take_while(|character| {
            let fits = character.len_utf8() <= room;
            room = room.saturating_sub(character.len_utf8());
            fits
        });
        let fitting: String = fitting.collect();
        self.buffer.insert(&fitting, How::Whole);
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;

    const CTRL: KeyModifiers = KeyModifiers::CONTROL;
    const NONE: KeyModifiers = KeyModifiers::NONE;

    fn press(field: &mut Field, code: KeyCode, modifiers: KeyModifiers) -> bool {
        field.edit(KeyEvent::new(code, modifiers))
    }

    #[test]
    fn a_line_is_edited_with_the_keys_of_the_composer() {
        let mut field = Field::holding("rust borrow checker");
        assert!(press(&mut field, KeyCode::Char('w'), CTRL));
        assert_eq!(field.text(), "rust borrow ");
        assert!(press(&mut field, KeyCode::Backspace, KeyModifiers::ALT));
        assert_eq!(field.text(), "rust ");
        assert!(!press(&mut field, KeyCode::Home, NONE), "the text is the same");
        assert!(press(&mut field, KeyCode::Char('a'), NONE));
        assert_eq!(field.around_cursor(), ("a", "rust "));
        assert!(press(&mut field, KeyCode::Char('y'), CTRL));
        press(&mut field, KeyCode::End, NONE);
        assert!(press(&mut field, KeyCode::Char('u'), CTRL));
        assert!(field.is_empty());
    }

    #[test]
    fn what_is_typed_takes_the_place_of_what_is_offered_unless_that_is_edited() {
        let mut field = Field::offering("0.8");
        assert!(press(&mut field, KeyCode::Char('1'), NONE));
        press(&mut field, KeyCode::Char('.'), NONE);
        assert_eq!(field.text(), "1.");
        let mut field = Field::offering("0.8");
        press(&mut field, KeyCode::Backspace, NONE);
        press(&mut field, KeyCode::Char('5'), NONE);
        assert_eq!(field.text(), "0.5");
        let mut field = Field::offering("0.8");
        press(&mut field, KeyCode::Home, NONE);
        press(&mut field, KeyCode::Char('1'), NONE);
        assert_eq!(field.text(), "10.8");
        let mut field = Field::offering("0.8");
        field.insert("0.3");
        assert_eq!(field.text(), "0.3");
    }

    #[test]
    fn it_stays_one_line_and_has_an_end() {
        let mut field = Field::holding("one\ntwo\u{1b}[2J");
        assert_eq!(field.text(), "onetwo[2J");
        assert!(!press(&mut field, KeyCode::Tab, NONE) && !press(&mut field, KeyCode::Up, NONE));
        field.insert(&"é".repeat(MOST_BYTES));
        assert!(field.text().len() <= MOST_BYTES && field.text().len() > MOST_BYTES - 2);
        assert!(!press(&mut field, KeyCode::Char('x'), NONE) || field.text().len() <= MOST_BYTES);
    }
}
