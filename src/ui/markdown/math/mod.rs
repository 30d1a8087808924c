//! Formulas in LaTeX, shown in Unicode where that is possible; else they stay as they are written. `find` says where
//! they are, `parse` what they mean (a `tree`), `symbols` has the tables, `linear` and `block` draw them on one line or several.

mod block;
mod find;
mod linear;
mod parse;
mod symbols;
#[cfg(test)]
mod tests;
mod tree;

use std::ops::Range;

use ratatui::text::Span;

pub use find::{Formula, find};

use super::page::is_empty;
use super::source::visible;
use super::wrap::{Row, wrap_columns, wrap_words};
use crate::ui::theme::Theme;

/// Longer formulas are shown as they are written.
const LONGEST_BYTES: usize = 4_000;
/// Formulas on lines of their own stand in from the text by this much, if that leaves enough room.
const INDENT_COLUMNS: usize = 2;

/// A formula without what stands at the left of its lines in a quote.
pub struct Written {
    /// With its delimiters.
    pub source: String,
    tex: String,
}

/// The formula in `source`.
pub fn unquoted(source: &str, formula: &Formula) -> Written {
    let text = |range: Range<usize>| {
        let lines = source.get(range).unwrap_or_default().split('\n').enumerate();
        let unquoted =
            lines.map(|(index, line)| if index == 0 { line } else { line.trim_start_matches(['>', ' ', '\t']) });
        visible(&unquoted.collect::<Vec<_>>().join("\n"))
    };
    Written { source: text(formula.range.clone()), tex: text(formula.inner.clone()) }
}

fn parsed(written: &Written, theme: &Theme) -> Option<tree::Node> {
    let is_possible = !theme.ascii && written.tex.len() <= LONGEST_BYTES;
    is_possible.then(|| parse::parse(&written.tex)).flatten()
}

/// The formula as a part of a line; `None` if it stays as it is written.
pub fn inline(written: &Written, theme: &Theme) -> Option<String> {
    parsed(written, theme).map(|node| linear::linear(&node).trim().to_owned())
}

/// The formula on lines of its own: as high as it wants to be if that is not too wide, else folded.
pub fn display_rows(written: &Written, width: usize, theme: &Theme) -> Vec<Row> {
    let indent = if width > 4 * INDENT_COLUMNS { INDENT_COLUMNS } else { 0 };
    let room = width - indent;
    let span = |text: &str| Span::styled(text.to_owned(), theme.math);
    let mut rows = match parsed(written, theme) {
        Some(node) => {
            let block = block::block(&node);
            if block.width() <= room {
                block.lines.iter().map(|line| vec![span(line.trim_end())]).collect()
            } else {
                wrap_words(&[span(linear::linear(&node).trim())], room)
            }
        }
        None => {
            let lines = written.source.split('\n').filter(|line| !is_empty(line));
            lines.flat_map(|line| wrap_columns(&[span(line)], room)).collect()
        }
    };
    for row in &mut rows {
        row.insert(0, Span::raw(" ".repeat(indent)));
    }
    rows
}
