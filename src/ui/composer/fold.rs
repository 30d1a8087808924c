//! Folding lines to a width, at spaces where there are some. A line is folded anew only when it changes.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr;

use super::tokens::Tokens;
use super::units::{self, Class};
use crate::text::escape;

/// Columns from one tab stop to the next.
const TAB: usize = 4;

/// A unit as it is drawn in a column: never a control character.
pub fn shown<'a>(unit: &'a str, column: usize, tokens: &'a Tokens) -> Cow<'a, str> {
    if let Some(token) = tokens.get(unit) {
        return Cow::Borrowed(&token.label);
    }
    match unit {
        "\t" => Cow::Owned(" ".repeat(TAB - column % TAB)),
        "\n" => Cow::Borrowed(""),
        _ => escape(unit),
    }
}

pub fn width(unit: &str, column: usize, tokens: &Tokens) -> usize {
    shown(unit, column, tokens).width()
}

/// Where the rows of a line begin when it is folded. Spaces that have no room hang over the edge.
fn fold(line: &str, columns: usize, tokens: &Tokens) -> Vec<usize> {
    let mut rows = vec![0];
    let (mut row, mut column, mut at) = (0, 0, 0);
    // The last place where the row may end.
    let mut gap = 0;
    let mut before = Class::Space;
    while at < line.len() {
        let unit = units::after(line, at);
        let class = Class::of(unit);
        let wide = width(unit, column, tokens);
        if before == Class::Space || is_breakable(class) || is_breakable(before) {
            gap = at;
        }
        if column + wide > columns && class != Class::Space && at > row {
            row = if gap > row { gap } else { at };
            rows.push(row);
            column = columns_of(&line[row..at], tokens);
            // What was carried over may be as long as the row.
            if column + wide > columns && at > row {
                row = at;
                rows.push(row);
                column = 0;
            }
        }
        column += width(unit, column, tokens);
        at += unit.len();
        before = class;
    }
    rows
}

/// Whether a row may end beside such units, without a space.
fn is_breakable(class: Class) -> bool {
    matches!(class, Class::Han | Class::Hiragana | Class::Katakana | Class::Token)
}

/// The columns that a part of a row takes.
pub fn columns_of(text: &str, tokens: &Tokens) -> usize {
    let (mut at, mut column) = (0, 0);
    while at < text.len() {
        let unit = units::after(text, at);
        column += width(unit, column, tokens);
        at += unit.len();
    }
    column
}

/// The place in a row's text that is nearest to a column, not beyond it.
pub fn at_column(row: &str, wanted: usize, tokens: &Tokens) -> usize {
    let (mut at, mut column) = (0, 0);
    while at < row.len() {
        let unit = units::after(row, at);
        column += width(unit, column, tokens);
        if column > wanted {
            break;
        }
        at += unit.len();
    }
    at
}

/// The rows of all lines.
#[derive(Debug)]
pub struct Folds {
    columns: usize,
    /// Of each line where its rows begin; `None` until it is asked for.
    lines: Vec<Option<Vec<usize>>>,
}

impl Default for Folds {
    fn default() -> Self {
        Self { columns: 80, lines: vec![None] }
    }
}

impl Folds {
    pub fn set_columns(&mut self, columns: usize) {
        let columns = columns.max(1);
        if self.columns != columns {
            self.columns = columns;
            self.lines.fill(None);
        }
    }

    /// So many line ends gave way to others in this line.
    pub fn replaced(&mut self, line: usize, removed: usize, inserted: usize) {
        let end = (line + removed + 1).min(self.lines.len());
        self.lines.splice(line..end, std::iter::repeat_n(None, inserted + 1));
    }

    /// The rows of the text as ranges of it, in their order.
    pub fn rows(&mut self, text: &str, tokens: &Tokens) -> Vec<(usize, usize)> {
        let mut rows = Vec::with_capacity(self.lines.len());
        let mut start = 0;
        for (line, fold_of_line) in text.split('\n').zip(&mut self.lines) {
            let columns = self.columns;
            let starts = fold_of_line.get_or_insert_with(|| fold(line, columns, tokens));
            let ends = starts.iter().skip(1).copied().chain([line.len()]);
            rows.extend(starts.iter().zip(ends).map(|(from, to)| (start + from, start + to)));
            start += line.len() + 1;
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: &str, columns: usize) -> Vec<String> {
        let mut folds = Folds::default();
        folds.replaced(0, 0, text.matches('\n').count());
        folds.set_columns(columns);
        folds.rows(text, &Tokens::default()).into_iter().map(|(from, to)| text[from..to].to_owned()).collect()
    }

    #[test]
    fn lines_are_folded_at_spaces_and_long_words_where_they_must() {
        assert_eq!(folded("one two three", 8), ["one two ", "three"]);
        assert_eq!(folded("one two  three", 7), ["one two  ", "three"], "spaces hang over the edge");
        assert_eq!(folded("a longwordwithoutspaces b", 8), ["a ", "longword", "withouts", "paces b"]);
        assert_eq!(folded("", 8), [""]);
        assert_eq!(folded("a\n\nb", 8), ["a", "", "b"]);
    }

    #[test]
    fn wide_characters_are_folded_between_any_two_and_never_cut() {
        assert_eq!(folded("東京タワーへ行く", 7), ["東京タ", "ワーへ", "行く"]);
        assert_eq!(folded("ab👨‍👩‍👧c", 3), ["ab", "👨‍👩‍👧c"]);
        assert_eq!(folded("👍", 1), ["👍"]);
    }

    #[test]
    fn control_characters_are_shown_by_their_number() {
        assert_eq!(shown("\x1b", 0, &Tokens::default()), "<U+001B>");
        assert_eq!(shown("\t", 3, &Tokens::default()), " ");
    }
}
