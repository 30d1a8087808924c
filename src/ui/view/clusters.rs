//! Characters that take several columns because they are put together of several: the syllables of Indian scripts,
//! families of emoji, flags. A terminal may have given each of their parts a cell of its own, and then the cells
//! behind the first are cleared only if they are written. ratatui does not write what it takes to be empty before and
//! after, so these cells are marked as not empty for as long as they are covered.

use ratatui::buffer::{Buffer, CellDiffOption, CellWidth};

/// Marks the cells that such characters cover.
pub fn mark_covered(buffer: &mut Buffer) {
    let is_put_together = |symbol: &str| symbol.len() >= 4 && symbol.chars().nth(1).is_some();
    let cells = buffer.content.iter().enumerate();
    let found: Vec<usize> = cells.filter(|(_, cell)| is_put_together(cell.symbol())).map(|(index, _)| index).collect();
    for index in found {
        let (x, y) = buffer.pos_of(index);
        let end = x.saturating_add(buffer[(x, y)].cell_width()).min(buffer.area.right());
        for covered in x + 1..end {
            buffer[(covered, y)].set_diff_option(CellDiffOption::AlwaysUpdate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    fn screen(text: &str) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 10, 1));
        buffer.set_string(0, 0, text, Style::new());
        mark_covered(&mut buffer);
        buffer
    }

    /// The columns that are written when `before` becomes `after`.
    fn written(before: &str, after: &str) -> Vec<u16> {
        screen(before).diff(&screen(after)).iter().map(|(x, ..)| *x).collect()
    }

    #[test]
    fn every_column_of_a_character_is_cleared() {
        assert_eq!(written("a स्ते", "a"), [2, 3]);
        assert_eq!(written("👩‍🚀", ""), [0, 1]);
        assert_eq!(written("🇩🇪 x", "x"), [0, 1, 3]);
    }

    #[test]
    fn what_stays_is_not_written_again() {
        assert_eq!(written("a स्ते 👩‍🚀", "a स्ते 👩‍🚀"), [0u16; 0]);
        assert_eq!(written("é 字", "é 字"), [0u16; 0]);
    }
}
