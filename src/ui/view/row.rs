//! A line of text into a row of the screen.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// What [`Buffer::set_line`] does, without looking for graphemes and their widths in ASCII, where each byte is a cell: a
/// frame while an answer grows is mostly that.
pub fn draw(line: &Line<'_>, row: Rect, buffer: &mut Buffer) {
    let row = row.intersection(buffer.area);
    if row.is_empty() {
        return;
    }
    let mut x = row.x;
    for span in &line.spans {
        let (style, room) = (line.style.patch(span.style), usize::from(row.right() - x));
        let text = span.content.as_ref();
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            let width = text.len().min(room);
            let start = buffer.index_of(row.x, row.y) + usize::from(x - row.x);
            for (cell, character) in buffer.content[start..start + width].iter_mut().zip(text.chars()) {
                cell.set_char(character).set_style(style);
            }
            x += width as u16;
        } else {
            x = buffer.set_stringn(x, row.y, text, room, style).0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ratatui::buffer::Cell;
    use ratatui::style::{Color, Style};
    use ratatui::text::Span;

    use super::*;

    fn spans() -> impl Strategy<Value = Vec<(String, u8)>> {
        let text = prop_oneof!["[ -~]{0,12}", "[a-z漢é\u{301}👩🚀\t]{0,6}"];
        prop::collection::vec((text, any::<u8>()), 0..6)
    }

    fn screen() -> Buffer {
        Buffer::filled(Rect::new(0, 0, 20, 3), Cell::new("x"))
    }

    proptest! {
        #[test]
        fn a_row_is_the_one_that_ratatui_draws(spans in spans(), x in 0u16..12, width in 1u16..30) {
            let styled = |(text, color)| Span::styled(text, Style::new().fg(Color::Indexed(color)));
            let line = Line::from(spans.into_iter().map(styled).collect::<Vec<_>>()).style(Style::new().bg(Color::Blue));
            let (mut drawn, mut expected) = (screen(), screen());
            let row = Rect::new(x, 1, width, 1).intersection(drawn.area);
            draw(&line, row, &mut drawn);
            expected.set_line(row.x, row.y, &line, row.width);
            prop_assert_eq!(drawn, expected);
        }
    }
}
