//! The message, or the part of one, that the keyboard has chosen: how it is marked, and bringing it into view.

use std::ops::Range;

use ratatui::text::{Line, Span};

use super::entry::Look;
use super::{Entry, Place, Transcript};
use crate::ui::markdown::parts::{Part, PartKind};
use crate::ui::theme::Theme;

/// What is chosen.
#[derive(Debug)]
pub(super) struct Marked {
    entry: usize,
    part: Option<Part>,
    /// The lines of the part in the entry, at this width.
    lines: Option<(u16, Range<usize>)>,
}

impl Marked {
    /// An entry was removed above or below.
    pub(super) fn removed(&mut self, entry: usize) {
        self.entry -= usize::from(self.entry > entry);
    }

    /// The lines of its entry that are marked: all but the empty one below, or those of the part.
    fn lines(&mut self, entry: &mut Entry, look: Look) -> Range<usize> {
        let Some(part) = &self.part else {
            return 0..entry.height(look).saturating_sub(1);
        };
        match &self.lines {
            Some((width, lines)) if *width == look.width => lines.clone(),
            _ => {
                let lines = entry.lines_of(part, look);
                self.lines = Some((look.width, lines.clone()));
                lines
            }
        }
    }
}

impl Transcript {
    /// Marks a message, or a part of it; `None` marks nothing.
    pub fn mark(&mut self, entry: Option<usize>, part: Option<Part>) {
        self.marked = entry.map(|entry| Marked { entry, part, lines: None });
    }

    /// Moves the view as little as it takes to show what is marked, or its beginning if it is taller than the view.
    pub fn reveal_marked(&mut self, theme: &Theme) {
        let look = self.look(self.width, theme);
        let Some(mut marked) = self.marked.take() else { return };
        if let Some(entry) = self.entries.get_mut(marked.entry) {
            let lines = marked.lines(entry, look);
            self.reveal(look, marked.entry, lines, theme);
        }
        self.marked = Some(marked);
    }

    /// Moves the view as little as it takes to show the lines in which these bytes of an entry's text stand.
    pub fn reveal_text(&mut self, entry: usize, range: Range<usize>, theme: &Theme) {
        let look = self.look(self.width, theme);
        let Some(found) = self.entries.get_mut(entry).filter(|entry| entry.text().get(range.clone()).is_some()) else {
            return;
        };
        let lines = found.lines_of(&Part { kind: PartKind::Code, range, text: String::new() }, look);
        self.reveal(look, entry, lines, theme);
    }

    fn reveal(&mut self, look: Look, entry: usize, lines: Range<usize>, theme: &Theme) {
        if self.follows_end() {
            // What is below may have changed since it was laid out.
            self.top = self.end_place(look);
        }
        let height = usize::from(self.height).max(1);
        let first = Place { entry, line: lines.start };
        if first < self.top || lines.len() >= height {
            self.go_to(first, theme);
            return;
        }
        let last = Place { entry, line: lines.end.saturating_sub(1) };
        if self.below(look, self.top, height - 1) < last {
            let top = self.above(look, last, height - 1);
            self.go_to(top, theme);
        }
    }

    /// The message that is first in view: its place among the entries.
    pub fn first_in_view(&self) -> usize {
        self.top.entry
    }

    /// Marks lines of an entry that were just collected: the first of them is its line `from`.
    pub(super) fn put_mark(&mut self, index: usize, from: usize, lines: &mut [Line<'static>], look: Look) {
        let Some(marked) = self.marked.as_mut().filter(|marked| marked.entry == index) else { return };
        let Some(entry) = self.entries.get_mut(index) else { return };
        let range = marked.lines(entry, look);
        let in_range = lines.iter_mut().zip(from..).filter(|(_, line)| range.contains(line));
        in_range.for_each(|(line, _)| put(line, look.theme));
    }
}

/// Puts the mark into the first column; what stood there gives way.
fn put(line: &mut Line<'static>, theme: &Theme) {
    let mark = if theme.ascii { "#" } else { "▌" };
    match line.spans.first_mut() {
        Some(margin) => {
            let rest: String = margin.content.chars().skip(1).collect();
            margin.content = rest.into();
            line.spans.insert(0, Span::styled(mark, theme.accent));
        }
        None => line.spans.push(Span::styled(mark, theme.accent)),
    }
}
