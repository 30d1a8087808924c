//! Where the part of a message begins that can still change: its last block at the outermost level, or the last item
//! if that is a list.

use pulldown_cmark::{Event, Parser, Tag};

use super::math;
use super::page::is_empty;
use super::sheet::options;

/// The last part of some complete lines of Markdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// The last block begins here.
    Block { start: usize },
    /// The last block is a list that begins at `block` and whose last item begins at `start`, behind `items` others.
    /// `first` is the number of the first item, in a numbered list.
    Item { start: usize, block: usize, first: Option<u64>, items: usize },
}

impl Last {
    /// The last part of `markdown`.
    pub fn of(markdown: &str) -> Self {
        let marked = math::find(markdown);
        let settled = marked.unclosed.unwrap_or(markdown.len());
        let mut depth = 0usize;
        let mut last = Last::Block { start: 0 };
        for (event, range) in Parser::new_ext(&marked.text[..settled], options()).into_offset_iter() {
            let start = line_start(markdown, range.start);
            match &event {
                Event::End(_) => {}
                Event::Start(Tag::List(first)) if depth == 0 => {
                    last = Last::Item { start, block: start, first: *first, items: 0 };
                }
                _ if depth == 0 => last = Last::Block { start },
                Event::Start(Tag::Item) if depth == 1 => last = last.with_item(start),
                _ => {}
            }
            match event {
                Event::Start(_) => depth += 1,
                Event::End(_) => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        last.or_block_if_first()
    }

    /// The same list when one more item has begun.
    fn with_item(self, item: usize) -> Self {
        match self {
            Last::Item { start, block, first, items } if item > start => {
                Last::Item { start: item, block, first, items: items + 1 }
            }
            other => other,
        }
    }

    /// A list of one item is a block.
    fn or_block_if_first(self) -> Self {
        match self {
            Last::Item { block, items: 0, .. } => Last::Block { start: block },
            other => other,
        }
    }

    /// Where it begins.
    pub fn start(self) -> usize {
        match self {
            Last::Block { start } | Last::Item { start, .. } => start,
        }
    }
}

fn line_start(markdown: &str, at: usize) -> usize {
    markdown[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// Whether the last line of `lines`, which are complete, is empty.
pub fn ends_in_empty_line(lines: &str) -> bool {
    lines.strip_suffix('\n').unwrap_or(lines).rsplit('\n').next().is_some_and(is_empty)
}
