//! A line that is written in, with the cursor where it is.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::widgets::Paragraph;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

use crate::text::escape_line;
use crate::ui::composer::Field;

/// Stands where the beginning of a line gave way.
const CUT: &str = "<";

/// Draws what is written behind its label, and puts the cursor there.
pub fn draw(label: &str, field: &Field, style: Style, area: Rect, frame: &mut Frame) {
    if area.is_empty() {
        return;
    }
    let (line, column) = shown(label, field, area.width.into());
    frame.render_widget(Paragraph::new(line).style(style), Rect { height: 1, ..area });
    frame.set_cursor_position(Position::new(area.x + column, area.y));
}

/// The label and as much of the line as has room in so many columns, and the column of the cursor. The beginning of a
/// long line gives way to [`CUT`].
pub fn shown(label: &str, field: &Field, width: usize) -> (String, u16) {
    let (before, behind) = field.around_cursor();
    let before = escape_line(before);
    let label = if label.width() < width { label } else { "" };
    let room = width.saturating_sub(label.width() + 1);
    let is_cut = before.width() > room;
    let mark = if is_cut && room > CUT.len() { CUT } else { "" };
    let mut surplus = if is_cut { before.width() + mark.len() - room } else { 0 };
    let start = before.grapheme_indices(true).find(|(_, grapheme)| {
        let is_left_out = surplus > 0;
        surplus = surplus.saturating_sub(grapheme.width());
        !is_left_out
    });
    let before = format!("{mark}{}", start.map_or("", |(start, _)| &before[start..]));
    let column = label.width() + before.width();
    (format!("{label}{before}{}", escape_line(behind)), column as u16)
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    use super::*;

    #[test]
    fn the_cursor_stays_in_view_of_a_line_that_is_too_long() {
        let mut field = Field::holding("the quick brown fox");
        assert_eq!(shown("> ", &field, 40), ("> the quick brown fox".into(), 21));
        assert_eq!(shown("> ", &field, 10), ("> <wn fox".into(), 9));
        field.edit(KeyEvent::new(KeyCode::Home, KeyModifiers::NONE));
        let (line, column) = shown("> ", &field, 10);
        assert!(line.starts_with("> the qui") && column == 2, "{line}");
        assert_eq!(shown("> ", &Field::holding("漢字漢字"), 7), ("> <字".into(), 5), "half of a wide one is no room");
        assert_eq!(shown("filter: ", &Field::holding("漢字"), 4), ("<字".into(), 3));
        assert_eq!(shown("", &Field::holding("x"), 0).1, 0);
    }
}
