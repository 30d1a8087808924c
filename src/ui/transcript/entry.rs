//! One entry of the transcript and its lines.

use std::ops::Range;

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::margin::{self, Hold};
use super::recalled::Recalled;
use super::siblings::Siblings;
use super::wrap::{WrappedText, wrap};
use crate::chat::{Ended, Message, Repetition, Role};
use crate::engine::protocol::Finish;
use crate::store::MessageId;
use crate::ui::folds::{self, Fold};
use crate::ui::markdown::Document;
use crate::ui::markdown::parts::Part;
use crate::ui::msg::Slot;
use crate::ui::pictures::{Attached, Room};
use crate::ui::theme::Theme;

/// Columns left of the text: the mark of who speaks.
const MARGIN: usize = 2;
/// Lines of thoughts that are shown while they come.
const THINKING_TAIL_LINES: usize = 6;

/// What the lines depend on beside the entry.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// Columns, the margin included.
    pub width: u16,
    pub theme: &'a Theme,
    /// Show the thoughts of finished answers too, and what was recalled.
    pub thinking: bool,
    /// How pictures are shown, if they are.
    pub pictures: Option<Room>,
}

impl Look<'_> {
    pub(super) fn text_width(&self) -> usize {
        usize::from(self.width).saturating_sub(MARGIN).max(1)
    }
}

/// Something in the transcript.
#[derive(Debug)]
pub enum Entry {
    Question(Question),
    Answer(Box<Answer>),
    /// Something the program says, not part of the conversation.
    Note(Note),
}

/// Whether the model has a question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sending {
    #[default]
    Sent,
    /// It waits for the model to be loaded.
    Waits,
    /// It was taken back before that.
    TakenBack,
}

impl Sending {
    /// What is said below the question.
    const fn mark(self) -> Option<&'static str> {
        match self {
            Self::Sent => None,
            Self::Waits => Some("waiting for the model"),
            Self::TakenBack => Some("taken back, not sent"),
        }
    }
}

/// What the person said.
#[derive(Debug, Default)]
pub struct Question {
    pub text: WrappedText,
    /// What of it was pasted or attached.
    pub folding: Option<Box<Folding>>,
    pub saved: Slot<MessageId>,
    pub sending: Sending,
    pub recalled: Recalled,
    pub hold: Hold,
    pub siblings: Siblings,
    pub pictures: Attached,
}

/// Parts of a question that are shown as a few words.
#[derive(Debug)]
pub struct Folding {
    folds: Vec<Fold>,
    /// The text with these folded.
    text: WrappedText,
}

/// What the model said.
#[derive(Default)]
pub struct Answer {
    pub document: Document,
    pub thinking: WrappedText,
    /// The thoughts are shown as one line; until then, as the last lines of them.
    pub folded: bool,
    pub saved: Slot<MessageId>,
    pub end: Option<End>,
    pub hold: Hold,
    pub siblings: Siblings,
    mark: WrappedText,
}

/// How an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Ended(Ended),
    /// It repeated itself, and so.
    Repeated(Repetition),
    /// The engine failed, with a sentence.
    Failed(String),
    /// It has as many tokens as an answer may have.
    AtMost(u32),
    /// The context, of so many tokens, is full.
    Full(u32),
    /// It has as many tokens as the cache has cells, and nobody asked for more: older text would make room for it, but
    /// in the end its own beginning would.
    FillsCache(u32),
    /// It had not ended when it was read: another window is writing it.
    Elsewhere,
}

impl End {
    /// The word for it on disk.
    pub fn ended(&self) -> Ended {
        match self {
            End::Ended(ended) => *ended,
            End::Repeated(_) => Ended::Loop,
            End::Failed(_) => Ended::Error,
            End::AtMost(_) | End::Full(_) | End::FillsCache(_) => Ended::Length,
            End::Elsewhere => Ended::Interrupted,
        }
    }
}

impl From<&Finish> for End {
    fn from(finish: &Finish) -> Self {
        finish.repetition.map_or(End::Ended(finish.ended), End::Repeated)
    }
}

/// Something the program says in the transcript.
#[derive(Debug)]
pub struct Note {
    pub text: WrappedText,
    pub is_error: bool,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Answer").field("text", &self.document.text()).field("end", &self.end).finish()
    }
}

impl Answer {
    /// An answer that was saved.
    pub fn saved(text: &str, thinking: String, end: End, saved: Slot<MessageId>) -> Self {
        let mut answer = Self {
            document: Document::from_text(text),
            thinking: WrappedText::new(thinking),
            folded: true,
            saved,
            ..Self::default()
        };
        answer.finish(end);
        answer.document.settle();
        answer
    }

    /// Ends the answer; what is unusual about the end is shown below it.
    pub fn finish(&mut self, end: End) {
        self.mark = WrappedText::new(match &end {
            End::Failed(sentence) => sentence.clone(),
            End::Repeated(repetition) => format!("stopped because it repeats itself: {repetition}"),
            End::Ended(ended) => ended_in_words(*ended, self.document.text().is_empty()).to_owned(),
            End::AtMost(tokens) => format!(
                "ended at the limit of {tokens} tokens (`max_tokens`); Ctrl-G goes on, `/set max_tokens auto` lifts it"
            ),
            End::Full(tokens) => format!(
                "ended because the context of {tokens} tokens is full; `/new` begins another chat, and `--ctx {}` or a \
                 larger `--kv-mem` at the start makes room for more",
                tokens.saturating_mul(2)
            ),
            End::FillsCache(tokens) => format!(
                "ended at {tokens} tokens, as many as the cache holds; Ctrl-G goes on, `/set max_tokens {}` lets it be \
                 longer at once",
                tokens.saturating_mul(2)
            ),
            End::Elsewhere => "being written elsewhere; this is how far it is".into(),
        });
        self.end = Some(end);
        self.document.end();
    }

    /// Once it has begun, its thoughts become one line, and once it has ended, what it defines has its meaning further up.
    pub fn settle(&mut self) {
        self.folded = self.folded || self.has_text() || self.end.is_some();
        if self.end.is_some() {
            self.document.settle();
        }
    }

    /// What there is to say about its end.
    pub fn mark(&self) -> &str {
        self.mark.text()
    }

    /// Takes the end back, since the answer goes on; tells how it had ended.
    pub fn reopen(&mut self) -> Option<End> {
        self.mark = WrappedText::default();
        self.end.take()
    }

    /// Whether the model said something that the conversation can go on from.
    pub fn has_text(&self) -> bool {
        !self.document.text().trim().is_empty()
    }
}

/// What is to be said about the end of an answer; nothing if it is as it should be.
fn ended_in_words(ended: Ended, empty: bool) -> &'static str {
    match ended {
        Ended::Stop | Ended::StopString if empty => "the model answered nothing",
        Ended::Stop | Ended::StopString => "",
        // Which one is not on disk.
        Ended::Length => "ended at the limit (`max_tokens`, or the context was full); Ctrl-G goes on",
        Ended::Loop => "stopped because it repeats itself",
        Ended::Cancelled => "stopped",
        Ended::Error => "the engine failed here",
        Ended::Interrupted => "interrupted: the answer was not written to its end; Ctrl-G goes on",
    }
}

impl Entry {
    /// What the model is told of it; nothing of a note, and of an answer without a word.
    pub fn message(&self) -> Option<Message> {
        let (role, text, is_pinned) = match self {
            Entry::Question(question) => (Role::User, question.text.text(), question.hold.is_pinned),
            Entry::Answer(answer) => (Role::Assistant, answer.document.text(), answer.hold.is_pinned),
            Entry::Note(_) => return None,
        };
        self.is_told().then(|| Message { is_pinned, ..Message::new(role, text) })
    }

    /// How the KV cache holds the message that the model is told, if it is told one.
    pub fn hold_mut(&mut self) -> Option<&mut Hold> {
        let is_told = self.is_told();
        match self {
            Entry::Question(question) => Some(&mut question.hold),
            Entry::Answer(answer) => is_told.then_some(&mut answer.hold),
            Entry::Note(_) => None,
        }
    }

    /// Whether it is a message that the model is told.
    pub fn is_told(&self) -> bool {
        match self {
            Entry::Question(_) => true,
            Entry::Answer(answer) => answer.has_text(),
            Entry::Note(_) => false,
        }
    }

    /// The message as it would be in another chat; nothing of a note.
    pub fn copy(&self) -> Option<Self> {
        match self {
            Entry::Question(question) => {
                let hold = Hold { is_pinned: question.hold.is_pinned, ..Hold::default() };
                let copy = Question::folding(question.text.text().to_owned(), question.folds().to_vec());
                Some(Entry::Question(Question { hold, ..copy }))
            }
            Entry::Answer(answer) => {
                let end = answer.end.clone().unwrap_or(End::Ended(Ended::Interrupted));
                let thinking = answer.thinking.text().to_owned();
                let mut copy = Answer::saved(answer.document.text(), thinking, end, Slot::default());
                copy.hold.is_pinned = answer.hold.is_pinned;
                Some(Entry::Answer(Box::new(copy)))
            }
            Entry::Note(_) => None,
        }
    }

    /// The place on disk of a question or an answer.
    pub fn saved(&self) -> Option<&Slot<MessageId>> {
        match self {
            Entry::Question(question) => Some(&question.saved),
            Entry::Answer(answer) => Some(&answer.saved),
            Entry::Note(_) => None,
        }
    }

    /// The text of a question or an answer as it was written.
    pub fn text(&self) -> &str {
        match self {
            Entry::Question(question) => question.text.text(),
            Entry::Answer(answer) => answer.document.text(),
            Entry::Note(note) => note.text.text(),
        }
    }

    /// Says which of the messages in its place it is.
    pub fn set_siblings(&mut self, siblings: Siblings) {
        match self {
            Entry::Question(question) => question.siblings = siblings,
            Entry::Answer(answer) => answer.siblings = siblings,
            Entry::Note(_) => {}
        }
    }

    pub fn siblings(&self) -> Siblings {
        match self {
            Entry::Question(question) => question.siblings,
            Entry::Answer(answer) => answer.siblings,
            Entry::Note(_) => Siblings::default(),
        }
    }

    /// The lines in which a part of the text stands, its label included.
    pub fn lines_of(&mut self, part: &Part, look: Look) -> Range<usize> {
        let width = look.text_width();
        let (before, whole) = (&self.text()[..part.range.start], &self.text()[..part.range.end]);
        let (before, whole) = match &*self {
            Entry::Answer(_) => {
                let rows = |text: &str| Document::from_text(text).lines(width as u16, look.theme).len();
                let before = rows(before);
                // An empty line separates blocks.
                (if before > 0 { before + 1 } else { 0 }, rows(whole))
            }
            Entry::Question(question) if question.is_folded(look) => {
                let rows = |end| wrap(&folds::shown(question.text.text(), question.folds(), end), width).len();
                (rows(part.range.start).saturating_sub(1), rows(part.range.end))
            }
            Entry::Question(_) | Entry::Note(_) => {
                let rows = |text: &str| if text.is_empty() { 0 } else { wrap(text, width).len() };
                (rows(before.trim_end_matches('\n')), rows(whole.trim_end_matches('\n')))
            }
        };
        let above = match self {
            Entry::Answer(answer) => answer.parts(look).thinking,
            Entry::Question(_) | Entry::Note(_) => 0,
        };
        above + before..above + whole.max(before)
    }

    /// How many lines the entry has, the empty one below it included.
    pub fn height(&mut self, look: Look) -> usize {
        let width = look.text_width();
        match self {
            Entry::Question(question) => question.parts(look).total() + 1,
            Entry::Note(note) => note.text.lines(width).len() + 1,
            Entry::Answer(answer) => answer.parts(look).total() + 1,
        }
    }

    /// Appends the lines of `range` to `lines`.
    pub fn push_lines(&mut self, look: Look, range: Range<usize>, lines: &mut Vec<Line<'static>>) {
        let first = lines.len();
        let text = match self {
            Entry::Question(question) => question.parts(look).text,
            Entry::Answer(_) | Entry::Note(_) => self.height(look).saturating_sub(1),
        };
        let marked = range.start.min(text)..range.end.min(text);
        let mark = self.hold_mut().and_then(|hold| hold.mark(look.theme));
        match self {
            Entry::Question(question) => lines.extend(range.map(|index| question.line(look, index))),
            Entry::Note(note) => lines.extend(range.map(|index| note.line(look, index))),
            Entry::Answer(answer) => answer.push_lines(look, range, lines),
        }
        if let Some(mark) = mark {
            lines.iter_mut().skip(first).take(marked.len()).for_each(|line| margin::put(mark, line, look.theme));
        }
    }
}

impl Question {
    /// With these parts folded until thoughts are shown, too.
    pub fn folding(text: String, folds: Vec<Fold>) -> Self {
        let folding = (!folds.is_empty()).then(|| {
            let folded = WrappedText::new(folds::shown(&text, &folds, text.len()));
            Box::new(Folding { folds, text: folded })
        });
        Self { text: WrappedText::new(text), folding, ..Self::default() }
    }

    /// Which parts of the text were pasted or attached.
    pub fn folds(&self) -> &[Fold] {
        self.folding.as_ref().map_or(&[], |folding| &folding.folds)
    }

    fn is_folded(&self, look: Look) -> bool {
        !look.thinking && folds::are_any(self.folds())
    }

    /// The lines of its text.
    fn lines(&mut self, look: Look) -> &[String] {
        let is_folded = self.is_folded(look);
        let text = match &mut self.folding {
            Some(folding) if is_folded => &mut folding.text,
            _ => &mut self.text,
        };
        text.lines(look.text_width())
    }

    /// Its own text, its pictures, what was recalled for it, and whether it was sent.
    fn parts(&mut self, look: Look) -> Parts {
        Parts {
            text: self.lines(look).len().max(1),
            pictures: self.pictures.height(self.text.text(), look.pictures),
            recalled: self.recalled.height(look),
            mark: usize::from(self.sending.mark().is_some()),
            siblings: self.siblings.height(),
            ..Parts::default()
        }
    }

    fn line(&mut self, look: Look, index: usize) -> Line<'static> {
        let theme = look.theme;
        let parts = self.parts(look);
        if let Some(text) = self.lines(look).get(index) {
            let mark = match (index, theme.ascii) {
                (0, false) => "› ",
                (0, true) => "> ",
                _ => "  ",
            };
            return Line::from(vec![Span::styled(mark, theme.user), Span::styled(text.clone(), theme.user)]);
        }
        if let Some(index) = index.checked_sub(parts.text).filter(|index| *index < parts.pictures) {
            return self.pictures.line(index, look.pictures, theme);
        }
        match index.checked_sub(parts.text + parts.pictures) {
            Some(index) if index < parts.recalled => self.recalled.line(look, index),
            Some(index) if index < parts.recalled + parts.mark => {
                marked(self.sending.mark().unwrap_or_default(), theme.dim)
            }
            Some(index) if index < parts.recalled + parts.mark + parts.siblings => self.siblings.line(theme),
            _ => Line::default(),
        }
    }
}

impl Note {
    fn line(&mut self, look: Look, index: usize) -> Line<'static> {
        let style = if self.is_error { look.theme.error } else { look.theme.dim };
        let mark = mark(self.is_error, look.theme);
        match self.text.lines(look.text_width()).get(index) {
            Some(text) if index == 0 => Line::from(vec![Span::styled(mark, style), Span::styled(text.clone(), style)]),
            Some(text) => marked(text, style),
            None => Line::default(),
        }
    }
}

/// The line counts of an entry's parts, from top to bottom.
#[derive(Default)]
struct Parts {
    thinking: usize,
    text: usize,
    pictures: usize,
    recalled: usize,
    mark: usize,
    siblings: usize,
}

impl Parts {
    fn total(&self) -> usize {
        self.thinking + self.text + self.pictures + self.recalled + self.mark + self.siblings
    }
}

impl Answer {
    /// Which lines of the thoughts are shown.
    fn thinking_lines(&mut self, look: Look) -> Range<usize> {
        let all = self.thinking.lines(look.text_width()).len();
        match (look.thinking, self.folded) {
            (true, _) => 0..all,
            (false, true) => all..all,
            (false, false) => all.saturating_sub(THINKING_TAIL_LINES)..all,
        }
    }

    fn parts(&mut self, look: Look) -> Parts {
        let width = look.text_width();
        let text = self.document.lines(width as u16, look.theme).len();
        // With an empty line before the answer.
        let thinking = match self.thinking.is_empty() {
            true => 0,
            false => 1 + self.thinking_lines(look).len() + usize::from(text > 0),
        };
        let mark = self.mark.lines(width).len();
        // An answer of which nothing is there yet shows a placeholder.
        let text = if thinking + text + mark == 0 { 1 } else { text };
        Parts { thinking, text, mark, siblings: self.siblings.height(), ..Parts::default() }
    }

    fn push_lines(&mut self, look: Look, range: Range<usize>, lines: &mut Vec<Line<'static>>) {
        let parts = self.parts(look);
        let part = |from: usize, count: usize| {
            range.start.saturating_sub(from).min(count)..range.end.saturating_sub(from).min(count)
        };
        for index in part(0, parts.thinking) {
            lines.push(self.thinking_line(look, index));
        }
        let text = self.document.lines(look.text_width() as u16, look.theme);
        for index in part(parts.thinking, parts.text) {
            lines.push(match text.get(index) {
                Some(line) => indented(line.clone()),
                None => marked(if look.theme.ascii { "..." } else { "…" }, look.theme.dim),
            });
        }
        for index in part(parts.thinking + parts.text, parts.mark) {
            lines.push(self.mark_line(look, index));
        }
        for _ in part(parts.thinking + parts.text + parts.mark, parts.siblings) {
            lines.push(self.siblings.line(look.theme));
        }
        // The empty line below.
        if range.end > parts.total() && range.start <= parts.total() {
            lines.push(Line::default());
        }
    }

    fn mark_line(&mut self, look: Look, index: usize) -> Line<'static> {
        let theme = look.theme;
        let is_error = matches!(self.end, Some(End::Failed(_) | End::Ended(Ended::Error)));
        let style = if is_error { theme.error } else { theme.dim };
        let text = self.mark.lines(look.text_width()).get(index).cloned().unwrap_or_default();
        let mark = if index == 0 { mark(is_error, theme) } else { "  " };
        Line::from(vec![Span::styled(mark, style), Span::styled(text, style)])
    }

    fn thinking_line(&mut self, look: Look, index: usize) -> Line<'static> {
        let shown = self.thinking_lines(look);
        let line = match index.checked_sub(1) {
            Some(index) if index == shown.len() => return Line::default(),
            Some(index) => self.thinking.lines(look.text_width()).get(shown.start + index).cloned().unwrap_or_default(),
            None => self.thinking_head(look, &shown),
        };
        marked(&line, look.theme.dim)
    }

    /// How long the thoughts are, and how to see more or less of them.
    fn thinking_head(&mut self, look: Look, shown: &Range<usize>) -> String {
        let words = match self.thinking.words() {
            1 => "1 word".to_owned(),
            words => format!("{words} words"),
        };
        let (open, closed) = if look.theme.ascii { ("-", "+") } else { ("▾", "▸") };
        match (look.thinking, self.folded) {
            (false, true) => format!("{closed} thought in {words} (Ctrl-T shows them)"),
            (false, false) if shown.start > 0 => format!("{open} thinking, {words} so far (Ctrl-T shows them all)"),
            (_, false) => format!("{open} thinking, {words} so far"),
            (true, true) => format!("{open} thought in {words} (Ctrl-T folds them)"),
        }
    }
}

fn mark(is_error: bool, theme: &Theme) -> &'static str {
    match (is_error, theme.ascii) {
        (true, false) => "✗ ",
        (true, true) => "! ",
        (false, false) => "· ",
        (false, true) => "- ",
    }
}

/// Text behind an empty margin.
pub(super) fn marked(text: &str, style: Style) -> Line<'static> {
    Line::from(vec![Span::raw("  "), Span::styled(text.to_owned(), style)])
}

fn indented(mut line: Line<'static>) -> Line<'static> {
    line.spans.insert(0, Span::raw("  "));
    line
}
