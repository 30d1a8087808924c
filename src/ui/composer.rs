//! Where the person writes: a text area that folds long lines, grows with its text and takes pastes as text.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::Widget;
use ratatui_textarea::{CursorMove, TextArea, WrapMode};

/// Folding is done anew for every key, so a text that no model could read must not make typing slow.
const MOST_BYTES: usize = 512 * 1024;
const MOST_LINES: usize = 20_000;

/// The text being written.
#[derive(Debug)]
pub struct Composer {
    area: TextArea<'static>,
}

impl Default for Composer {
    fn default() -> Self {
        let mut area = TextArea::default();
        area.set_wrap_mode(WrapMode::WordOrGlyph);
        area.set_cursor_line_style(Style::default());
        // The terminal's own cursor is used: screen readers and input methods follow it.
        area.set_cursor_style(Style::default());
        area.set_max_histories(200);
        Self { area }
    }
}

impl Composer {
    pub fn is_empty(&self) -> bool {
        self.area.is_empty()
    }

    pub fn text(&self) -> String {
        self.area.lines().join("\n")
    }

    /// Empties the composer and its undo history, and hands out the text.
    pub fn take(&mut self) -> String {
        let text = self.text();
        *self = Self::default();
        text
    }

    /// Empties the composer in a way that undo takes back.
    pub fn clear(&mut self) {
        self.area.clear();
    }

    /// An editing key that no binding took.
    pub fn edit(&mut self, key: KeyEvent) {
        self.area.input(key);
    }

    pub fn newline(&mut self) {
        self.area.insert_newline();
    }

    pub fn undo(&mut self) {
        self.area.undo();
    }

    pub fn redo(&mut self) {
        self.area.redo();
    }

    pub fn delete_to_line_start(&mut self) {
        self.area.delete_line_by_head();
    }

    /// Inserts a paste as it is. Terminals send its line ends as carriage returns.
    ///
    /// # Errors
    /// A sentence, if the text would become too long to be edited; nothing is inserted then.
    pub fn paste(&mut self, text: &str) -> Result<(), String> {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let bytes: usize = self.area.lines().iter().map(|line| line.len() + 1).sum();
        let lines = self.area.lines().len() + text.matches('\n').count();
        if bytes + text.len() > MOST_BYTES || lines > MOST_LINES {
            return Err(format!(
                "the paste was not inserted: it has {} KiB and a message holds at most {} KiB and {MOST_LINES} lines; give a file with `tuichat -p TEXT --file PATH`",
                text.len().div_ceil(1024),
                MOST_BYTES / 1024,
            ));
        }
        self.area.insert_str(text);
        Ok(())
    }

    /// Puts text that was sent but not answered before whatever has been written since.
    pub fn give_back(&mut self, text: &str) {
        let written = self.take();
        self.area.insert_str(text);
        if !written.is_empty() {
            self.area.insert_newline();
            self.area.insert_str(written);
        }
        self.area.move_cursor(CursorMove::Bottom);
        self.area.move_cursor(CursorMove::End);
    }

    /// Folds the text to `width` columns and returns how many rows of at most `most` it needs.
    ///
    /// The text area learns its width only by being drawn, so it is drawn aside first, as high as it may become:
    /// text that fits is then never scrolled out of sight.
    pub fn fit(&mut self, width: u16, most: u16) -> u16 {
        let most = most.max(1);
        let area = Rect::new(0, 0, width.max(1), most);
        (&self.area).render(area, &mut Buffer::empty(area));
        let rows = self.rows(most);
        let (top, _) = self.area.scroll_offset();
        if rows < most && top > 0 {
            self.area.scroll((-(top.min(i16::MAX as u16) as i16), 0));
        }
        rows
    }

    /// Column and row of the cursor within the area last drawn.
    pub fn cursor(&self) -> (u16, u16) {
        let cursor = self.area.screen_cursor();
        let (top, _) = self.area.scroll_offset();
        let row = cursor.row.saturating_sub(top.into());
        (cursor.col.min(u16::MAX.into()) as u16, row.min(u16::MAX.into()) as u16)
    }

    /// Rows of the folded text, counted up to `most`. Beyond the last row the text area answers with the last.
    fn rows(&self, most: u16) -> u16 {
        let mut rows = 1;
        let mut position = self.area.screen_to_data(0, 0);
        while rows < most {
            let next = self.area.screen_to_data(usize::from(rows), 0);
            if next == position {
                break;
            }
            position = next;
            rows += 1;
        }
        rows
    }
}

impl Widget for &Composer {
    fn render(self, area: Rect, buffer: &mut Buffer) {
        if !area.is_empty() {
            (&self.area).render(area, buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paste_keeps_its_lines_and_its_control_characters() {
        let mut composer = Composer::default();
        composer.paste("one\rtwo\r\nthree\nfour\x03\x1b").unwrap();
        assert_eq!(composer.text(), "one\ntwo\nthree\nfour\x03\x1b");
    }

    #[test]
    fn a_huge_paste_is_refused_with_a_sentence_and_changes_nothing() {
        let mut composer = Composer::default();
        composer.paste("before").unwrap();
        assert!(composer.paste(&"x".repeat(MOST_BYTES)).unwrap_err().contains("not inserted"));
        assert!(composer.paste(&"\n".repeat(MOST_LINES)).is_err());
        assert_eq!(composer.text(), "before");
    }

    #[test]
    fn the_composer_grows_with_folded_lines_up_to_its_most() {
        let mut composer = Composer::default();
        assert_eq!(composer.fit(10, 5), 1);
        composer.paste("one two three four").unwrap();
        assert_eq!(composer.fit(10, 5), 2);
        composer.paste("\n\n\n\n\n\n").unwrap();
        assert_eq!(composer.fit(10, 5), 5);
    }

    #[test]
    fn text_that_fits_again_after_shrinking_is_shown_from_its_first_row() {
        let mut composer = Composer::default();
        composer.paste("1\n2\n3\n4\n5\n6\n7\n8").unwrap();
        assert_eq!(composer.fit(10, 4), 4);
        for _ in 0..12 {
            composer.edit(KeyEvent::from(crossterm::event::KeyCode::Backspace));
        }
        assert_eq!(composer.text(), "1\n2");
        assert_eq!(composer.fit(10, 4), 2);
        assert_eq!(composer.area.scroll_offset().0, 0);
    }

    #[test]
    fn text_given_back_comes_before_what_was_written_since() {
        let mut composer = Composer::default();
        composer.paste("later").unwrap();
        composer.give_back("earlier");
        assert_eq!(composer.text(), "earlier\nlater");
    }

    #[test]
    fn clearing_can_be_undone() {
        let mut composer = Composer::default();
        composer.paste("a draft").unwrap();
        composer.clear();
        assert!(composer.is_empty());
        composer.undo();
        assert_eq!(composer.text(), "a draft");
    }
}
