//! Code blocks: the label, the rows, and the memory that keeps finished lines from being analysed again.

use ratatui::text::Span;

use super::syntax::{Analyser, Part};
use super::wrap::{Row, wrap_columns};
use crate::ui::theme::Theme;

/// Code stands in from the text by this much, if that leaves it enough room.
const INDENT_COLUMNS: usize = 2;

/// The row that names the language, if the fence does.
pub fn label_rows(info: &str, width: usize, theme: &Theme) -> Vec<Row> {
    let info = info.trim();
    if info.is_empty() {
        return Vec::new();
    }
    let line = if theme.ascii { "--" } else { "──" };
    wrap_columns(&[Span::styled(format!("{line} {info}"), theme.dim)], width)
}

/// The rows of one line of code.
pub fn line_rows(parts: &[(Part, String)], width: usize, theme: &Theme) -> Vec<Row> {
    let spans = parts.iter().map(|(part, text)| Span::styled(text.as_str(), part.style(theme)));
    indented_rows(&spans.collect::<Vec<_>>(), width, theme)
}

/// The rows of one line whose spaces matter, indented. Rows after the first bear a mark.
pub fn indented_rows(spans: &[Span<'_>], width: usize, theme: &Theme) -> Vec<Row> {
    if width < 2 * INDENT_COLUMNS {
        return wrap_columns(spans, width);
    }
    let mut rows = wrap_columns(spans, width - INDENT_COLUMNS);
    for (index, row) in rows.iter_mut().enumerate() {
        let mark = match (index, theme.ascii) {
            (0, _) if row.is_empty() => continue,
            (0, _) => "  ",
            (_, true) => "\\ ",
            (_, false) => "↳ ",
        };
        row.insert(0, Span::styled(mark, theme.dim));
    }
    rows
}

/// The analyser for a fence's language, or one that does nothing where the theme has no colours for code.
pub fn analyser(info: &str, theme: &Theme) -> Analyser {
    if theme.syntax.is_some() { Analyser::new(info) } else { Analyser::plain() }
}

/// One code block inside a list or quote, remembered while that is laid out again and again.
#[derive(Debug)]
struct Remembered {
    info: String,
    /// The complete lines that were analysed.
    text: String,
    lines: Vec<Vec<(Part, String)>>,
    /// Stands behind the last of `lines`.
    analyser: Analyser,
}

/// The code blocks of a block that is still growing, in their order.
#[derive(Debug, Default)]
pub struct Memory {
    blocks: Vec<Remembered>,
    next: usize,
    /// Lines given to an analyser, for tests of what is not done twice.
    #[cfg(test)]
    pub analysed_lines: usize,
}

impl Memory {
    /// Begins again with the first block.
    pub fn rewind(&mut self) {
        self.next = 0;
    }

    /// Forgets the blocks that were asked for since [`rewind`](Self::rewind).
    pub fn forget_used(&mut self) {
        self.blocks.drain(..self.next.min(self.blocks.len()));
        self.next = 0;
    }

    /// The rows of the next code block.
    pub fn rows(&mut self, info: &str, text: &str, width: usize, theme: &Theme) -> Vec<Row> {
        let block = self.block(info, text, theme);
        let complete = text.rfind('\n').map_or(0, |newline| newline + 1);
        let (fresh, unfinished) = (&text[block.text.len()..complete], &text[complete..]);
        for line in fresh.lines() {
            block.lines.push(block.analyser.line(line));
        }
        block.text.push_str(fresh);
        let mut rows = label_rows(info, width, theme);
        rows.extend(block.lines.iter().flat_map(|line| line_rows(line, width, theme)));
        if !unfinished.trim().is_empty() {
            rows.extend(line_rows(&block.analyser.clone().line(unfinished), width, theme));
        }
        #[cfg(test)]
        {
            self.analysed_lines += fresh.lines().count() + unfinished.lines().count();
        }
        rows
    }

    /// The next block, as far as it is still what is remembered.
    fn block(&mut self, info: &str, text: &str, theme: &Theme) -> &mut Remembered {
        let index = self.next;
        self.next += 1;
        let known = self.blocks.get(index).is_some_and(|block| block.info == info && text.starts_with(&block.text));
        if !known {
            self.blocks.truncate(index);
            self.blocks.push(Remembered {
                info: info.to_owned(),
                text: String::new(),
                lines: Vec::new(),
                analyser: analyser(info, theme),
            });
        }
        &mut self.blocks[index]
    }
}
