//! The conversation on the screen: its entries and which of their lines are in view.
//!
//! The place is kept as an entry and a line in it, never as a distance from the end, so it holds while text arrives
//! below. Only entries in view (and those a movement passes) are laid out: a frame costs the same whatever the
//! conversation's length.

mod entry;
mod known;
mod margin;
mod marked;
mod pictures;
mod recalled;
mod siblings;
mod wrap;

use std::sync::Arc;

use ratatui::text::Line;

use entry::Look;
pub use entry::{Answer, End, Entry, Note, Question, Sending};
pub use known::{Known, Told};
pub use margin::{Evicted, Hold};
use marked::Marked;
pub use recalled::Recalled;
pub use siblings::Siblings;
pub use wrap::{WrappedText, wrap};

use crate::ui::links::{Tag, Targets};
use crate::ui::msg::Scroll;
use crate::ui::pictures::{Picture, Protocol, Wanted};
use crate::ui::theme::Theme;

/// The first line in view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    entry: usize,
    line: usize,
}

/// What the view follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Anchor {
    /// The end: new text pushes older text up.
    #[default]
    End,
    /// This line stays the first in view.
    At(Place),
}

/// The conversation as it is shown.
#[derive(Debug, Default)]
pub struct Transcript {
    entries: Vec<Entry>,
    anchor: Anchor,
    /// The thoughts of finished answers are shown, and what was recalled for questions.
    pub show_thinking: bool,
    /// The size and the first line of the last layout.
    width: u16,
    height: u16,
    top: Place,
    visible: Vec<Line<'static>>,
    /// The entries before this one are above, in the terminal's scrollback.
    hidden: usize,
    /// What the keyboard has chosen.
    marked: Option<Marked>,
    targets: Targets,
    /// How pictures are shown, and in how many rows at most.
    picture_room: Option<(Protocol, u16)>,
    /// Those in view, and those to be read.
    pictures: Vec<Arc<Picture>>,
    wanted: Vec<Wanted>,
    /// How many entries there were when the end was last in view, and how long the last of them was.
    seen: (usize, usize),
}

impl Transcript {
    /// An empty one of the same size and looks.
    pub fn without_entries(&self) -> Self {
        Self { show_thinking: self.show_thinking, ..Self::default() }.in_place_of(self)
    }

    /// With the size of another one, which it is shown in the place of.
    pub fn in_place_of(self, other: &Self) -> Self {
        Self { width: other.width, height: other.height, picture_room: other.picture_room, ..self }
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The answer in progress or the last one, if nothing came after it.
    pub fn last_answer_mut(&mut self) -> Option<&mut Answer> {
        match self.entries.iter_mut().rev().find(|entry| !matches!(entry, Entry::Note(_))) {
            Some(Entry::Answer(answer)) => Some(answer),
            _ => None,
        }
    }

    pub fn last_question_mut(&mut self) -> Option<&mut Question> {
        self.entries.iter_mut().rev().find_map(|entry| match entry {
            Entry::Question(question) => Some(question),
            _ => None,
        })
    }

    /// How the KV cache holds each message that the model is told, in their order.
    pub fn holds_mut(&mut self) -> impl Iterator<Item = &mut Hold> {
        self.entries.iter_mut().filter_map(Entry::hold_mut)
    }

    /// Says whether the person wants a message to stay in the KV cache; tells how much of it has left.
    pub fn pin(&mut self, entry: usize, is_pinned: bool) -> Evicted {
        let Some(hold) = self.entries.get_mut(entry).and_then(Entry::hold_mut) else { return Evicted::Nothing };
        hold.is_pinned = is_pinned;
        hold.evicted
    }

    pub fn push(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Says something in the transcript that is not part of the conversation.
    pub fn note(&mut self, text: impl Into<String>, is_error: bool) {
        self.push(Entry::Note(Note { text: WrappedText::new(text), is_error }));
    }

    /// Takes back what was said so in a note. What is in view stays there.
    pub fn remove_note(&mut self, text: &str) {
        let is_it = |entry: &Entry| matches!(entry, Entry::Note(note) if note.text.text() == text);
        while let Some(removed) = self.entries.iter().position(is_it) {
            self.entries.remove(removed);
            if let Anchor::At(place) = &mut self.anchor
                && place.entry > removed
            {
                place.entry -= 1;
            }
            if let Some(marked) = &mut self.marked {
                marked.removed(removed);
            }
        }
    }

    /// The places of questions and answers among the entries, in their order.
    pub fn messages(&self) -> impl DoubleEndedIterator<Item = usize> {
        let entries = self.entries.iter().enumerate();
        entries.filter(|(_, entry)| !matches!(entry, Entry::Note(_))).map(|(place, _)| place)
    }

    pub fn entry_mut(&mut self, entry: usize) -> Option<&mut Entry> {
        self.entries.get_mut(entry)
    }

    /// Removes everything from this entry on, and hands it out.
    pub fn split_off(&mut self, entries: usize) -> Vec<Entry> {
        let removed = self.entries.split_off(entries.min(self.entries.len()));
        if matches!(self.anchor, Anchor::At(place) if place.entry >= entries) {
            self.anchor = Anchor::End;
        }
        removed
    }

    /// The lines in view after [`Transcript::lay_out`], from the top.
    pub fn visible(&self) -> &[Line<'static>] {
        &self.visible
    }

    /// Where the links in view lead.
    pub fn link_targets(&self) -> Targets {
        self.targets.clone()
    }

    pub fn follows_end(&self) -> bool {
        self.anchor == Anchor::End
    }

    /// Whether text arrived below that has not been in view.
    pub fn has_unseen_text(&self) -> bool {
        !self.follows_end() && self.seen != self.extent()
    }

    /// The number of entries and the length of the last one's text: grows whenever text arrives.
    fn extent(&self) -> (usize, usize) {
        let length = match self.entries.last() {
            Some(Entry::Answer(answer)) => answer.document.text().len() + answer.thinking.text().len(),
            Some(Entry::Question(question)) => question.text.text().len(),
            Some(Entry::Note(note)) => note.text.text().len(),
            None => 0,
        };
        (self.entries.len(), length)
    }

    /// Lays out only the entries from this one on.
    pub fn hide_before(&mut self, entry: usize) {
        self.hidden = entry.min(self.entries.len());
    }

    /// How many lines there are from the first entry on that is not hidden, at most so many.
    pub fn shown_height(&mut self, width: u16, theme: &Theme, most: usize) -> usize {
        let look = self.look(width, theme);
        let mut height = 0;
        for entry in self.entries.iter_mut().skip(self.hidden).rev() {
            height += entry.height(look);
            if height >= most {
                return most;
            }
        }
        height
    }

    /// The lines of an entry that has come to its end, and where their links lead.
    pub fn finished_lines(&mut self, entry: usize, width: u16, theme: &Theme) -> (Vec<Line<'static>>, Targets) {
        let look = Look { pictures: None, ..self.look(width, theme) };
        let (mut lines, mut targets) = (Vec::new(), Targets::default());
        if let Some(entry) = self.entries.get_mut(entry) {
            if let Entry::Answer(answer) = entry {
                answer.settle();
            }
            let height = entry.height(look);
            entry.push_lines(look, 0..height, &mut lines);
            add_targets(entry, &lines, &mut targets);
        }
        (lines, targets)
    }

    fn look<'a>(&self, width: u16, theme: &'a Theme) -> Look<'a> {
        let look = Look { width, theme, thinking: self.show_thinking, pictures: None };
        Look { pictures: self.room(look), ..look }
    }

    /// Chooses the visible lines for an area of this size.
    pub fn lay_out(&mut self, width: u16, height: u16, theme: &Theme) {
        self.keep_place_at_width(width, theme);
        (self.width, self.height) = (width, height);
        if self.follows_end() {
            self.settle_last_answer();
        }
        let look = self.look(width, theme);
        let end = self.end_place(look);
        self.top = match self.anchor {
            Anchor::End => {
                self.seen = self.extent();
                end
            }
            // A window that grew shows more above rather than nothing below.
            Anchor::At(place) => self.clamped(look, place).min(end),
        };
        self.collect(look);
    }

    /// Once the answer itself has begun, its thoughts become one line, and once it has ended, what it defines has its
    /// meaning further up; not while the person reads there, whose place must hold.
    fn settle_last_answer(&mut self) {
        if let Some(answer) = self.last_answer_mut() {
            answer.settle();
        }
    }

    fn collect(&mut self, look: Look) {
        self.visible.clear();
        self.targets = Targets::default();
        self.pictures.clear();
        let height = usize::from(self.height);
        let mut skip = self.top.line;
        let mut visible = std::mem::take(&mut self.visible);
        for index in self.top.entry..self.entries.len() {
            if visible.len() >= height {
                break;
            }
            let Some(entry) = self.entries.get_mut(index) else { break };
            let end = entry.height(look).min(skip + height - visible.len());
            let first = visible.len();
            entry.push_lines(look, skip..end, &mut visible);
            add_targets(entry, &visible[first..], &mut self.targets);
            pictures::collect(entry, look, &mut self.pictures, &mut self.wanted);
            self.put_mark(index, skip, visible.get_mut(first..).unwrap_or_default(), look);
            skip = 0;
        }
        visible.truncate(height);
        self.visible = visible;
    }

    /// At another width an entry has other lines: the same part of it stays on top.
    fn keep_place_at_width(&mut self, width: u16, theme: &Theme) {
        let Anchor::At(place) = self.anchor else { return };
        if width == self.width {
            return;
        }
        let (before, after) = (self.look(self.width, theme), self.look(width, theme));
        if let Some(entry) = self.entries.get_mut(place.entry) {
            let old = entry.height(before).max(1);
            let line = place.line * entry.height(after) / old;
            self.anchor = Anchor::At(Place { line, ..place });
        }
    }

    /// The first line in view when the last one is at the bottom.
    fn end_place(&mut self, look: Look) -> Place {
        let mut room = usize::from(self.height);
        for (index, entry) in self.entries.iter_mut().enumerate().skip(self.hidden).rev() {
            let height = entry.height(look);
            if height >= room {
                return Place { entry: index, line: height - room };
            }
            room -= height;
        }
        Place { entry: self.hidden, line: 0 }
    }

    /// `place`, or the nearest one that exists.
    fn clamped(&mut self, look: Look, place: Place) -> Place {
        match self.entries.get_mut(place.entry) {
            Some(entry) => Place { line: place.line.min(entry.height(look).saturating_sub(1)), ..place },
            None => self.end_place(look),
        }
    }

    /// Moves the view. Reaching the end makes it follow the end again.
    pub fn scroll(&mut self, scroll: Scroll, theme: &Theme) {
        let page = self.height.saturating_sub(2).max(1).min(i16::MAX as u16) as i16;
        match scroll {
            Scroll::Bottom => self.anchor = Anchor::End,
            Scroll::Top => self.go_to(Place::default(), theme),
            Scroll::PageUp => self.move_by(-page, theme),
            Scroll::PageDown => self.move_by(page, theme),
            Scroll::Lines(lines) => self.move_by(lines, theme),
        }
    }

    fn move_by(&mut self, lines: i16, theme: &Theme) {
        if lines > 0 && self.follows_end() {
            return;
        }
        let look = self.look(self.width, theme);
        let distance = usize::from(lines.unsigned_abs());
        let place = if lines < 0 { self.above(look, self.top, distance) } else { self.below(look, self.top, distance) };
        self.go_to(place, theme);
    }

    fn go_to(&mut self, place: Place, theme: &Theme) {
        let look = self.look(self.width, theme);
        self.anchor = if place >= self.end_place(look) { Anchor::End } else { Anchor::At(place) };
        self.top = place;
    }

    fn above(&mut self, look: Look, mut place: Place, mut lines: usize) -> Place {
        while lines > place.line {
            if place.entry == 0 {
                return Place::default();
            }
            lines -= place.line + 1;
            place.entry -= 1;
            place.line = self.entries.get_mut(place.entry).map_or(1, |entry| entry.height(look)).saturating_sub(1);
        }
        Place { line: place.line - lines, ..place }
    }

    fn below(&mut self, look: Look, mut place: Place, mut lines: usize) -> Place {
        while let Some(entry) = self.entries.get_mut(place.entry) {
            let left = entry.height(look).saturating_sub(place.line);
            if lines < left {
                return Place { line: place.line + lines, ..place };
            }
            lines -= left;
            place = Place { entry: place.entry + 1, line: 0 };
        }
        place
    }
}

/// Adds where the links in these lines of an entry lead.
fn add_targets(entry: &Entry, lines: &[Line<'_>], targets: &mut Targets) {
    let Entry::Answer(answer) = entry else { return };
    let colours = lines.iter().flat_map(|line| &line.spans).filter_map(|span| span.style.underline_color);
    for tag in colours.filter_map(Tag::from_colour) {
        if let Some(address) = answer.document.links().address(tag) {
            targets.add(tag, address);
        }
    }
}

#[cfg(test)]
mod tests;
