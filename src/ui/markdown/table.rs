//! Tables: columns fitted to the width, cells wrapped, borders; or one record after the other where there is no
//! room for columns.

use pulldown_cmark::Alignment;
use ratatui::text::Span;

use super::wrap::{Row, longest_word, natural_width, row_width, wrap_words};
use crate::ui::theme::Theme;

/// A column is made narrower than its text down to this many columns of the screen, or down to its longest word
/// (up to a length). Where even that does not fit, records are easier to read.
const NARROWEST_COLUMN: usize = 6;
const LONGEST_KEPT_WORD: usize = 12;

/// A table's cells as styled text. The first row is the header.
#[derive(Debug, Default)]
pub struct Table {
    pub alignments: Vec<Alignment>,
    pub rows: Vec<Vec<Row>>,
}

/// The characters of borders.
struct Lines {
    horizontal: &'static str,
    vertical: &'static str,
    /// Left, middle and right of the upper, inner and lower border.
    top: [&'static str; 3],
    inner: [&'static str; 3],
    bottom: [&'static str; 3],
}

const BOX: Lines =
    Lines {
        horizontal: "─", vertical: "│", top: ["┌", "┬", "┐"], inner: ["├", "┼", "┤"], bottom: ["└", "┴", "┘"]
    };
const ASCII: Lines = Lines { horizontal: "-", vertical: "|", top: ["+"; 3], inner: ["+"; 3], bottom: ["+"; 3] };

impl Table {
    /// The table in rows of at most `width` columns.
    pub fn rows(&self, width: usize, theme: &Theme) -> Vec<Row> {
        match self.column_widths(width) {
            Some(widths) => self.grid(&widths, theme),
            None => self.records(width, theme),
        }
    }

    fn columns(&self) -> usize {
        self.rows.iter().map(Vec::len).max().unwrap_or(0).max(self.alignments.len())
    }

    /// The width of each column, borders not counted: as wide as its text, or else equal shares of what the
    /// narrower columns leave. `None` if some column would be too narrow.
    fn column_widths(&self, width: usize) -> Option<Vec<usize>> {
        let columns = self.columns();
        let room = width.checked_sub(3 * columns + 1)?;
        let natural = self.measure(natural_width);
        let words = self.measure(longest_word);
        let narrowest = |word: usize| word.clamp(NARROWEST_COLUMN, LONGEST_KEPT_WORD);
        let least: Vec<usize> =
            natural.iter().zip(words).map(|(&natural, word)| natural.min(narrowest(word))).collect();
        if least.iter().sum::<usize>() > room {
            return None;
        }
        let at = |share: usize| natural.iter().zip(&least).map(move |(&natural, &least)| natural.min(share.max(least)));
        let share = (1..=room).take_while(|&share| at(share).sum::<usize>() <= room).last().unwrap_or(1);
        let mut left_over = room - at(share).sum::<usize>();
        let widths = at(share).zip(&natural).map(|(width, &natural)| {
            let extra = left_over.min(1).min(natural - width);
            left_over -= extra;
            width + extra
        });
        Some(widths.collect())
    }

    /// The largest measure among the cells of each column, at least one.
    fn measure(&self, measure: impl Fn(&[Span<'_>]) -> usize) -> Vec<usize> {
        let cells = |column: usize| self.rows.iter().filter_map(move |row| row.get(column));
        (0..self.columns()).map(|column| cells(column).map(|cell| measure(cell)).max().unwrap_or(0).max(1)).collect()
    }

    fn grid(&self, widths: &[usize], theme: &Theme) -> Vec<Row> {
        let lines = if theme.ascii { &ASCII } else { &BOX };
        let border = |[left, middle, right]: [&str; 3]| {
            let segments: Vec<String> = widths.iter().map(|&width| lines.horizontal.repeat(width + 2)).collect();
            vec![Span::styled(format!("{left}{}{right}", segments.join(middle)), theme.border)]
        };
        let wrapped: Vec<Vec<Vec<Row>>> = self.rows.iter().map(|row| wrap_cells(row, widths)).collect();
        // Without lines between them, rows of several screen lines could not be told apart.
        let separate_all = wrapped.iter().skip(1).flatten().any(|cell| cell.len() > 1);
        let mut rows = vec![border(lines.top)];
        for (index, cells) in wrapped.iter().enumerate() {
            if index == 1 || (index > 1 && separate_all) {
                rows.push(border(lines.inner));
            }
            rows.extend(self.screen_lines(cells, widths, lines, theme));
        }
        rows.push(border(lines.bottom));
        rows
    }

    /// One row of the table, as many screen lines as its tallest cell.
    fn screen_lines(&self, cells: &[Vec<Row>], widths: &[usize], lines: &Lines, theme: &Theme) -> Vec<Row> {
        let height = cells.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let line = |index: usize| {
            let mut row = vec![Span::styled(lines.vertical, theme.border)];
            for (column, &width) in widths.iter().enumerate() {
                let content = cells.get(column).and_then(|cell| cell.get(index)).cloned().unwrap_or_default();
                let alignment = self.alignments.get(column).copied().unwrap_or(Alignment::None);
                let free = width.saturating_sub(row_width(&content));
                let before = match alignment {
                    Alignment::None | Alignment::Left => 0,
                    Alignment::Center => free / 2,
                    Alignment::Right => free,
                };
                row.push(Span::raw(" ".repeat(before + 1)));
                row.extend(content);
                row.push(Span::raw(" ".repeat(free - before + 1)));
                row.push(Span::styled(lines.vertical, theme.border));
            }
            row
        };
        (0..height).map(line).collect()
    }

    /// `Header: value` lines for each row, with an empty line between rows.
    fn records(&self, width: usize, theme: &Theme) -> Vec<Row> {
        let Some((header, records)) = self.rows.split_first() else {
            return Vec::new();
        };
        if records.is_empty() {
            return header.iter().flat_map(|cell| wrap_words(cell, width)).collect();
        }
        let mut rows = Vec::new();
        for (index, record) in records.iter().enumerate() {
            if index > 0 {
                rows.push(Row::new());
            }
            for (column, cell) in record.iter().enumerate() {
                let mut field = header.get(column).cloned().unwrap_or_default();
                field.push(Span::styled(": ", theme.strong));
                field.extend(cell.iter().cloned());
                rows.extend(wrap_words(&field, width));
            }
        }
        rows
    }
}

fn wrap_cells(cells: &[Row], widths: &[usize]) -> Vec<Vec<Row>> {
    cells.iter().zip(widths).map(|(cell, &width)| wrap_words(cell, width)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(table: &[&[&'static str]], alignments: &[Alignment], width: usize, theme: &Theme) -> Vec<String> {
        let cells = |row: &&[&'static str]| row.iter().map(|&cell| vec![Span::raw(cell)]).collect();
        let table = Table { alignments: alignments.to_vec(), rows: table.iter().map(cells).collect() };
        let text = |row: &Row| row.iter().map(|span| span.content.as_ref()).collect();
        table.rows(width, theme).iter().map(text).collect()
    }

    const SPEEDS: &[&[&str]] = &[&["board", "tok/s"], &["Pi 5", "11"], &["橙派", "9.5"]];

    #[test]
    fn columns_are_as_wide_as_their_text_and_aligned() {
        let drawn = rows(SPEEDS, &[Alignment::Center, Alignment::Right], 40, &Theme::plain());
        let expected = [
            "┌───────┬───────┐",
            "│ board │ tok/s │",
            "├───────┼───────┤",
            "│ Pi 5  │    11 │",
            "│ 橙派  │   9.5 │",
            "└───────┴───────┘",
        ];
        assert_eq!(drawn, expected);
    }

    #[test]
    fn a_wide_column_is_wrapped_and_a_narrow_one_left_alone() {
        let table: &[&[&str]] = &[&["id", "note"], &["1", "one two three four"], &["2", "five"]];
        let drawn = rows(table, &[], 20, &Theme { ascii: true, ..Theme::plain() });
        let expected = [
            "+----+-------------+",
            "| id | note        |",
            "+----+-------------+",
            "| 1  | one two     |",
            "|    | three four  |",
            "+----+-------------+",
            "| 2  | five        |",
            "+----+-------------+",
        ];
        assert_eq!(drawn, expected);
    }

    #[test]
    fn a_table_without_room_for_its_columns_becomes_records() {
        let table: &[&[&str]] = &[&["board", "speed"], &["Raspberry Pi", "eleven point five"], &["other", "slow"]];
        let drawn = rows(table, &[], 16, &Theme::plain());
        let expected = ["board: Raspberry", "Pi", "speed: eleven", "point five", "", "board: other", "speed: slow"];
        assert_eq!(drawn, expected);
    }

    fn cell() -> impl Strategy<Value = String> {
        let pieces =
            ["a", "word", " ", "字", "👩‍🚀", "🇩🇪", "e\u{301}", "ก็", "स्ते", "\t", "\n", "ﾊﾞ", "א", "❤️", "longerword"];
        proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn whatever_stands_in_cells_the_borders_stay_in_line_and_nothing_is_lost(
            cells in proptest::collection::vec(proptest::collection::vec(cell(), 3), 1..5), width in 4usize..70,
        ) {
            let rows = cells.iter().map(|row| row.iter().map(|cell| vec![Span::raw(cell.clone())]).collect()).collect();
            let table = Table { alignments: vec![Alignment::Right, Alignment::Center], rows };
            let drawn = table.rows(width, &Theme::plain());
            prop_assert!(drawn.iter().all(|row| row_width(row) <= width));
            if table.column_widths(width).is_some() {
                prop_assert!(drawn.iter().all(|row| row_width(row) == row_width(&drawn[0])), "{drawn:?}");
            }
            let text: String = drawn.iter().flatten().map(|span| span.content.as_ref()).collect();
            for piece in ["字", "👩‍🚀", "🇩🇪", "e\u{301}", "ก็", "स्ते", "❤️", "א"] {
                let count = |text: &str| text.matches(piece).count();
                let given: usize = cells.iter().skip(1).flatten().map(|cell| count(cell)).sum();
                prop_assert!(count(&text) >= given, "{piece} of {cells:?} in {text}");
            }
        }
    }
}
