//! Tables for people: columns side by side, the first to the left, the others to the right.

use unicode_width::UnicodeWidthStr;

/// Rows of as many cells as there are headings.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    has_words: bool,
}

impl Table {
    pub fn new<'a>(headings: impl IntoIterator<Item = &'a str>) -> Self {
        Self { rows: vec![headings.into_iter().map(str::to_owned).collect()], has_words: false }
    }

    /// The same with all columns to the left, for cells that hold words.
    pub fn of_words(self) -> Self {
        Self { has_words: true, ..self }
    }

    pub fn push(&mut self, row: Vec<String>) {
        self.rows.push(row);
    }

    /// The lines of the table.
    pub fn render(&self) -> String {
        let width_of = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.width()).max().unwrap_or_default()
        };
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns).map(width_of).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let space = " ".repeat(width - cell.width());
                line += &match (column, self.has_words) {
                    (0, _) => format!("{cell}{space}"),
                    (_, true) => format!("  {cell}{space}"),
                    (_, false) => format!("  {space}{cell}"),
                };
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_their_headings() {
        let mut table = Table::new(["policy", "known"]);
        table.push(vec!["window".into(), "3/4".into()]);
        table.push(vec!["none".into(), "12/12 · 100 %".into()]);
        assert_eq!(table.clone().of_words().render(), "policy  known\nwindow  3/4\nnone    12/12 · 100 %\n");
        assert_eq!(table.render(), "policy          known\nwindow            3/4\nnone    12/12 · 100 %\n");
    }
}
