//! What is being written just before the cursor, for the menu of what it may become.

use super::undo::How;
use super::{Composer, units};

impl Composer {
    /// The line that may be a command, if the cursor is at its end.
    pub fn command_before_cursor(&self) -> Option<&str> {
        self.command_line().filter(|_| self.buffer.cursor() == self.buffer.text().len())
    }

    /// The path that is being written behind an `@` at a word's beginning.
    pub fn path_before_cursor(&self) -> Option<&str> {
        let (before, behind) = self.buffer.text().split_at(self.buffer.cursor());
        let start = before.rfind([' ', '\n', '\t', units::MARK]).map_or(0, |at| at + units::after(before, at).len());
        let path = before[start..].strip_prefix('@')?;
        behind.chars().next().is_none_or(char::is_whitespace).then_some(path)
    }

    /// Whether anything but white space is written before so many bytes before the cursor.
    pub fn is_blank_before(&self, bytes: usize) -> bool {
        let end = self.buffer.cursor() - bytes;
        self.buffer.text()[self.behind_attached().min(end)..end].trim().is_empty()
    }

    /// Writes something else in the place of so many bytes before the cursor.
    pub fn replace_before_cursor(&mut self, bytes: usize, with: &str) {
        let end = self.buffer.cursor();
        self.buffer.replace(end - bytes, end, &units::clean(with), How::Whole);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::with;
    use crossterm::event::{KeyCode, KeyModifiers};

    #[test]
    fn a_path_is_a_word_that_begins_with_the_sign() {
        for (text, path) in [
            ("@", Some("")),
            ("see @src/m", Some("src/m")),
            ("a\n@b", Some("b")),
            ("me@home", None),
            ("@a b", None),
            ("", None),
        ] {
            assert_eq!(with(text).path_before_cursor(), path, "{text:?}");
        }
        let mut composer = with("@src more");
        for _ in 0.." more".len() {
            super::super::tests::key(&mut composer, KeyCode::Left, KeyModifiers::NONE);
        }
        assert_eq!(composer.path_before_cursor(), Some("src"));
        composer.replace_before_cursor("@src".len(), "notes.txt");
        assert_eq!(composer.text(), "notes.txt more");
    }

    #[test]
    fn a_command_is_completed_at_its_end_only() {
        let mut composer = with("/re");
        assert_eq!(composer.command_before_cursor(), Some("/re"));
        super::super::tests::key(&mut composer, KeyCode::Left, KeyModifiers::NONE);
        assert_eq!(composer.command_before_cursor(), None);
    }
}
