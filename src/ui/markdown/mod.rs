//! The Markdown of a message as lines of the screen, laid out anew only where it can still change.
//!
//! A message grows at its end, and Markdown's outermost blocks never change once the next one has begun. So a
//! [`Document`] keeps the lines of all finished blocks and lays out only the last one after each piece; of a list at
//! the outermost level, only the last item; inside of a code block there, only the last line. What could change lines
//! further up all the same, links and footnotes that are defined later than they are used, is shown as written until
//! the message is [settled](Document::settle). Everything else (what Markdown means, how wide a character is, what
//! colour code has) belongs to the modules below:
//!
//! - `source`: text made harmless; `last`: where the part begins that can still change
//! - `blocks`: blocks to lines; `page`: margins and empty lines; `inline`: words in their styles; `notes`: footnotes
//! - `wrap`: rows of limited width; `table`: columns; `math`: formulas
//! - `fence`, `code`, `syntax`: code blocks and their colours
//! - `parts`: code blocks and tables as they were written, to be copied

mod blocks;
mod code;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod cost;
mod fence;
#[cfg(test)]
mod gfm;
mod inline;
pub mod languages;
mod last;
mod math;
mod notes;
mod page;
pub mod parts;
mod sheet;
mod source;
mod syntax;
mod table;
#[cfg(test)]
mod tests;
mod wrap;

use ratatui::text::{Line, Span};

use crate::ui::links::Links;
use crate::ui::theme::Theme;
use code::Memory;
use fence::Fence;
use last::Last;
use sheet::{Part, Sheet};
use source::{Cleaner, visible};
use syntax::Analyser;

/// An open block of so many bytes is not laid out again for each piece, but when it has grown by a share of its length:
/// what a large table costs must not grow with the square of its length.
const LARGE_BLOCK_BYTES: usize = 4_096;
const LARGE_BLOCK_SHARE: usize = 128;

/// One message's Markdown, laid out incrementally.
#[derive(Debug, Default)]
pub struct Document {
    text: String,
    /// For what `lines` were laid out.
    look: Option<Look>,
    lines: Vec<Line<'static>>,
    /// How many of `lines` can no longer change.
    final_lines: usize,
    cleaner: Cleaner,
    /// The bytes of `text` that have gone through `cleaner`.
    cleaned: usize,
    /// The clean text that belongs to no final line.
    open: String,
    /// The bytes of `open` in which no further finished block will be found.
    searched: usize,
    /// The code block at the outermost level that `open` continues.
    fence: Option<OpenFence>,
    /// The list at the outermost level that `open` goes on with.
    list: Option<OpenList>,
    memory: Memory,
    links: Links,
    /// All of the message is there: what is defined in it is looked up.
    is_settled: bool,
    /// Nothing more is to come for now.
    has_ended: bool,
    /// The length at which the message was found to define nothing.
    bytes_without_definitions: usize,
    /// Bytes of Markdown laid out so far, for tests of what is not done twice.
    #[cfg(test)]
    laid_out_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    width: u16,
    theme: Theme,
}

#[derive(Debug)]
struct OpenFence {
    fence: Fence,
    analyser: Analyser,
    /// Whether the block has a line on the screen yet.
    drawn: bool,
}

/// A list of which some items are finished.
#[derive(Clone, Copy, Debug)]
struct OpenList {
    /// The number of the next item, in a numbered list.
    next: Option<u64>,
    /// The author left an empty line before it.
    is_apart: bool,
}

impl Document {
    /// An empty document.
    pub fn new() -> Self {
        Self::default()
    }

    /// A document that holds `text`. Nothing is laid out yet.
    pub fn from_text(text: &str) -> Self {
        Self { text: text.to_owned(), ..Self::default() }
    }

    /// Appends what has arrived of a message.
    pub fn push_str(&mut self, delta: &str) {
        if std::mem::take(&mut self.is_settled) {
            self.look = None;
        }
        self.has_ended = false;
        self.text.push_str(delta);
    }

    /// Says that nothing more comes for now: what was waiting to be laid out with more is laid out.
    pub fn end(&mut self) {
        self.has_ended = true;
    }

    /// Says that the message is whole. Links and footnotes become what they are defined as, also where the definition
    /// stands behind them; a message without such definitions stays as it is.
    pub fn settle(&mut self) {
        let is_known = self.is_settled || self.bytes_without_definitions == self.text.len();
        if is_known {
            return;
        }
        if self.text.contains("]:") && notes::has_definitions(&self.text) {
            self.is_settled = true;
            self.look = None;
        } else {
            self.bytes_without_definitions = self.text.len();
        }
    }

    /// The Markdown as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lines at this width. They are kept until the text grows or the look changes. No line is wider than
    /// `width`, if that is at least 4. In a very long block the last words may be missing until [`end`](Self::end).
    pub fn lines(&mut self, width: u16, theme: &Theme) -> &[Line<'static>] {
        let look = Look { width, theme: *theme };
        if self.look != Some(look) {
            self.begin_again(look);
        }
        if self.cleaned < self.text.len() && self.is_due() {
            self.cleaner.push(&self.text[self.cleaned..], &mut self.open);
            self.cleaned = self.text.len();
            self.lines.truncate(self.final_lines);
            if !self.is_settled {
                self.finish_blocks(look);
            }
            self.draw_open(look);
        }
        &self.lines
    }

    /// Whether enough has come that it is worth laying out the open block again.
    fn is_due(&self) -> bool {
        let waiting = self.text.len() - self.cleaned;
        self.has_ended || self.open.len() < LARGE_BLOCK_BYTES || waiting >= self.open.len() / LARGE_BLOCK_SHARE
    }

    /// Where the links in the lines lead to.
    pub fn links(&self) -> &Links {
        &self.links
    }

    fn begin_again(&mut self, look: Look) {
        let cleaner = if self.is_settled { Cleaner::for_whole_text() } else { Cleaner::default() };
        let text = std::mem::take(&mut self.text);
        let (is_settled, has_ended) = (self.is_settled, self.has_ended);
        let bytes_without_definitions = self.bytes_without_definitions;
        *self = Self {
            text,
            is_settled,
            has_ended,
            bytes_without_definitions,
            cleaner,
            look: Some(look),
            ..Self::default()
        };
    }

    /// Draws, for good, all that nothing to come can change.
    fn finish_blocks(&mut self, look: Look) {
        loop {
            let progressed = if self.fence.is_some() { self.finish_code(look) } else { self.finish_markdown(look) };
            if !progressed {
                return;
            }
        }
    }

    /// Draws the complete lines of the open code block. Tells whether that has ended.
    fn finish_code(&mut self, look: Look) -> bool {
        let Some(mut open) = self.fence.take() else { return false };
        let mut consumed = 0;
        let mut closed = false;
        while let Some(length) = self.open[consumed..].find('\n') {
            let line = visible(&self.open[consumed..consumed + length]);
            consumed += length + 1;
            if open.fence.is_closed_by(&line) {
                closed = true;
                break;
            }
            let parts = open.analyser.line(&open.fence.code(&line));
            self.draw_code_line(&parts, open.drawn, look);
            open.drawn = true;
        }
        self.open.drain(..consumed);
        self.final_lines = self.lines.len();
        if !closed {
            self.fence = Some(open);
        }
        closed
    }

    fn draw_code_line(&mut self, parts: &[(syntax::Part, String)], drawn: bool, look: Look) {
        if !drawn {
            self.separate();
        }
        let rows = code::line_rows(parts, usize::from(look.width), &look.theme);
        self.lines.extend(rows.into_iter().map(Line::from));
    }

    /// Draws all blocks but the last, or enters the code block that is the last. Tells whether there was one.
    fn finish_markdown(&mut self, look: Look) -> bool {
        self.skip_empty_lines();
        if let Some((line, _)) = self.open.split_once('\n')
            && let Some(fence) = Fence::open(line)
        {
            self.open.drain(..=line.len());
            self.searched = 0;
            self.enter_fence(fence, look);
            return true;
        }
        // A line that is not complete may yet turn out to continue the block before.
        let complete = self.open.rfind('\n').map_or(0, |newline| newline + 1);
        if complete <= self.searched {
            return false;
        }
        let last = Last::of(&self.open[..complete]);
        self.searched = complete - last.start();
        if last.start() == 0 {
            return false;
        }
        let part: String = self.open.drain(..last.start()).collect();
        self.memory.rewind();
        self.draw_markdown(&part, look);
        self.memory.forget_used();
        self.final_lines = self.lines.len();
        self.list = match last {
            Last::Block { .. } => None,
            Last::Item { block, first, items, .. } => {
                let going_on = if block == 0 { self.list } else { None };
                let first = going_on.map_or(first, |list| list.next);
                let next = first.map(|number| (0..items).fold(number, |number, _| number.saturating_add(1)));
                Some(OpenList { next, is_apart: last::ends_in_empty_line(&part) })
            }
        };
        true
    }

    fn skip_empty_lines(&mut self) {
        let text = self.open.trim_start();
        let leading = &self.open[..self.open.len() - text.len()];
        if let Some(newline) = leading.rfind('\n') {
            self.open.drain(..=newline);
            self.searched = self.searched.saturating_sub(newline + 1);
        }
    }

    fn enter_fence(&mut self, fence: Fence, look: Look) {
        let label = code::label_rows(&fence.info, usize::from(look.width), &look.theme);
        let drawn = !label.is_empty();
        if drawn {
            self.separate();
            self.lines.extend(label.into_iter().map(Line::from));
        }
        self.final_lines = self.lines.len();
        let analyser = code::analyser(&fence.info, &look.theme);
        self.fence = Some(OpenFence { fence, analyser, drawn });
    }

    /// Draws, for now, the block that is still open.
    fn draw_open(&mut self, look: Look) {
        match &self.fence {
            Some(open) => {
                let line = visible(&self.open);
                if !line.trim().is_empty() && !open.fence.is_closed_by(&line) {
                    let (parts, drawn) = (open.analyser.clone().line(&open.fence.code(&line)), open.drawn);
                    self.draw_code_line(&parts, drawn, look);
                }
            }
            None => {
                let markdown = std::mem::take(&mut self.open);
                self.memory.rewind();
                self.draw_markdown(&markdown, look);
                self.open = markdown;
            }
        }
    }

    fn draw_markdown(&mut self, markdown: &str, look: Look) {
        let part = match (self.is_settled, self.list) {
            (true, _) => Part::Whole,
            (false, Some(list)) => Part::ListGoesOn(list.next),
            (false, None) => Part::Blocks,
        };
        let width = usize::from(look.width);
        let sheet = Sheet { width, theme: &look.theme, memory: &mut self.memory, links: &mut self.links };
        let lines = blocks::lay_out(markdown, part, sheet);
        if !lines.is_empty() {
            if self.list.is_none_or(|list| list.is_apart) {
                self.separate();
            }
            self.lines.extend(lines);
        }
        #[cfg(test)]
        {
            self.laid_out_bytes += markdown.len();
        }
    }

    /// An empty line between what stands above and the block to come.
    fn separate(&mut self) {
        if !self.lines.is_empty() {
            self.lines.push(Line::from(Vec::<Span<'static>>::new()));
        }
    }
}
