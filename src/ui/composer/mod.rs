//! Where the person writes: a text that is folded, grows, and can be taken back, with large pastes and files in it as
//! tokens that are passed and deleted as one.
//!
//! - `buffer` is the text with its cursor; `units` says what one step is, `fold` where rows begin, `undo` what was
//!   changed.
//! - `tokens` are the pieces that stand for more, `parts` what is kept and sent of it all.
//! - `field` is a single line that is written in elsewhere.
//! - `editing` is what keys do, and `vi` what they do for those who want them so; `completing` what is being written
//!   just before the cursor.

mod buffer;
mod completing;
mod editing;
mod field;
mod fold;
mod parts;
mod tokens;
mod undo;
mod units;
mod vi;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer as Screen;
use ratatui::layout::Rect;
use ratatui::style::Style;

use buffer::{Buffer, Motion};
use editing::Action;
pub use editing::edits;
pub use field::Field;
pub use parts::{Part, attached_as, bytes, sent, split_attached, summary};
use tokens::{Kind, Tokens};
pub use tokens::{short as named, size};
use undo::How;
pub use vi::KEYS as VI_KEYS;
use vi::Vi;

/// Rows are counted anew for every key, so a text that is edited letter by letter must not be of any length.
const MOST_BYTES: usize = 512 * 1024;
const MOST_LINES: usize = 20_000;
/// With what tokens stand for: more than any model takes.
const MOST_BYTES_IN_ALL: usize = 16 * 1024 * 1024;
/// A paste of so many lines or characters becomes a token.
const LARGE_LINES: usize = 8;
const LARGE_CHARACTERS: usize = 1000;
/// No command is longer.
const MOST_COMMAND: usize = 8 * 1024;

/// What a key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edited {
    Done,
    /// The cursor was to leave the first row upwards, or the last one downwards.
    AboveFirst,
    BelowLast,
}

/// The text being written.
#[derive(Debug, Default)]
pub struct Composer {
    buffer: Buffer,
    tokens: Tokens,
    /// The rows of the last layout, the first of them in view, and how many are.
    rows: Vec<(usize, usize)>,
    top: usize,
    height: usize,
    vi: Option<Vi>,
    given_back: Option<GivenBack>,
}

/// What was sent and given back, and stands there as it came.
#[derive(Debug, Default)]
struct GivenBack {
    /// The text's revision then.
    revision: u64,
    /// In the order in which they were sent.
    messages: Vec<(Turn, Vec<Part>)>,
    /// What was being written.
    draft: Vec<Part>,
}

/// Says which of two messages was sent first.
pub type Turn = i64;

impl Composer {
    pub fn is_empty(&self) -> bool {
        self.buffer.text().is_empty()
    }

    /// The whole text, as it would be sent.
    pub fn text(&self) -> String {
        sent(&self.parts())
    }

    pub fn parts(&self) -> Vec<Part> {
        self.tokens.parts(self.buffer.text())
    }

    /// The one line that was written beside what is attached, if it begins with a slash: it may be a command.
    pub fn command_line(&self) -> Option<&str> {
        let line = &self.buffer.text()[self.behind_attached()..];
        let is_one = line.starts_with('/') && line.len() <= MOST_COMMAND && !line.contains(['\n', units::MARK]);
        is_one.then_some(line)
    }

    /// Takes out the command; what is attached stays.
    pub fn take_command(&mut self) {
        let at = self.behind_attached();
        if at == 0 {
            self.take();
        } else {
            let end = self.buffer.text().len();
            self.buffer.replace(at, end, "", How::Whole);
        }
    }

    /// Empties the composer and its undo history, and hands out the parts.
    pub fn take(&mut self) -> Vec<Part> {
        let parts = self.parts();
        self.begin(&[]);
        parts
    }

    /// Begins with this text. What was there before cannot be brought back.
    pub fn begin(&mut self, parts: &[Part]) {
        let (vi, revision) = (self.vi.take(), self.revision());
        *self = Self { vi, ..Self::default() };
        self.set(parts);
        self.buffer.undo = undo::Undo::default();
        self.buffer.revision = revision + 1;
        if let Some(vi) = &mut self.vi {
            vi.begin();
        }
    }

    /// From now on keys are commands of vi, or no more.
    pub fn use_keys_of_vi(&mut self, are_wanted: bool) {
        if self.vi.is_some() != are_wanted {
            self.vi = are_wanted.then(Vi::default);
        }
    }

    /// An empty one for these keys.
    pub fn for_keys(of_vi: bool) -> Self {
        Self { vi: of_vi.then(Vi::default), ..Self::default() }
    }

    /// An empty one with the same keys, which brings nothing back of what was written or cut.
    pub fn emptied(&self) -> Self {
        let mut empty = Self::for_keys(self.vi.is_some());
        empty.buffer.revision = self.revision() + 1;
        empty
    }

    /// Whether keys are commands of vi.
    pub fn is_in_normal_mode(&self) -> Option<bool> {
        self.vi.as_ref().map(Vi::is_normal)
    }

    /// Whether a key edits before it is anything else: of vi's all that are not commands of the program.
    pub fn wants_first(&self, (code, modifiers): (KeyCode, KeyModifiers)) -> bool {
        let Some(vi) = &self.vi else { return false };
        match code {
            KeyCode::Esc => !vi.is_normal() || vi.is_waiting(),
            KeyCode::Char('[') => modifiers == KeyModifiers::CONTROL,
            KeyCode::Char('r') if modifiers == KeyModifiers::CONTROL => vi.is_normal(),
            KeyCode::Char(_) => vi.is_normal() && modifiers.is_empty(),
            _ => false,
        }
    }

    /// Changes whenever the text does.
    pub fn revision(&self) -> u64 {
        self.buffer.revision
    }

    /// Puts the cursor where Up leaves the text.
    pub fn go_to_first_row(&mut self) {
        let end = self.buffer.rows(&self.tokens).first().map_or(0, |row| row.1);
        let is_folded = end < self.buffer.text().len() && !self.buffer.text()[end..].starts_with('\n');
        self.buffer.go(end - if is_folded { units::before(self.buffer.text(), end).len() } else { 0 });
    }

    /// Empties the composer in a way that undo takes back.
    pub fn clear(&mut self) {
        let end = self.buffer.text().len();
        self.buffer.replace(0, end, "", How::Whole);
    }

    /// Writes something else in the place of everything, in a way that undo takes back.
    pub fn set(&mut self, parts: &[Part]) {
        let text = self.marked(parts);
        let end = self.buffer.text().len();
        self.buffer.replace(0, end, &text, How::Whole);
    }

    /// Puts something that was sent but not answered before everything else.
    pub fn give_back(&mut self, parts: &[Part]) {
        self.give_back_in_turn(Turn::MIN, parts);
    }

    /// Puts something that was sent but not answered before what has been written since, and behind what was sent
    /// before it.
    pub fn give_back_in_turn(&mut self, turn: Turn, parts: &[Part]) {
        let mut given_back = self.given_back();
        let place = given_back.messages.partition_point(|(other, _)| *other < turn);
        given_back.messages.insert(place, (turn, parts.to_vec()));
        let messages = given_back.messages.iter().map(|(_, parts)| parts.as_slice());
        let all: Vec<&[Part]> = messages.chain([&*given_back.draft]).filter(|parts| !parts.is_empty()).collect();
        self.set(&all.join(&Part::Text("\n".into())));
        let end = self.buffer.text().len();
        self.buffer.go(end);
        self.given_back = Some(GivenBack { revision: self.buffer.revision, ..given_back });
    }

    /// What of the text was given back. If it was changed since, all of it counts as the last of that.
    fn given_back(&mut self) -> GivenBack {
        let parts = self.parts();
        match self.given_back.take() {
            Some(given_back) if given_back.revision == self.buffer.revision => given_back,
            Some(GivenBack { messages, .. }) if !self.is_empty() => {
                let turn = messages.last().map_or(Turn::MIN, |(turn, _)| *turn);
                GivenBack { messages: vec![(turn, parts)], ..GivenBack::default() }
            }
            _ => GivenBack { draft: parts, ..GivenBack::default() },
        }
    }

    /// Whether it holds what was given back, as it was, and nothing else.
    pub fn is_given_back(&self) -> bool {
        let is_as_given = |given: &GivenBack| given.revision == self.buffer.revision && given.draft.is_empty();
        !self.is_empty() && self.given_back.as_ref().is_some_and(is_as_given)
    }

    /// An editing key that no binding took.
    pub fn edit(&mut self, key: KeyEvent) -> Edited {
        if let Some(vi) = &mut self.vi
            && let Some(edited) = vi.press(key, &mut self.buffer, &self.tokens)
        {
            return edited;
        }
        editing::action(key).map_or(Edited::Done, |action| self.act(action))
    }

    fn act(&mut self, action: Action) -> Edited {
        match action {
            Action::Insert(character) => self.insert(character),
            Action::Move(motion) => return self.step(motion),
            Action::Erase(motion) => drop(self.buffer.erase(motion)),
            Action::Cut(motion) => self.buffer.cut(motion),
            Action::PasteCut => self.buffer.paste_cut(),
        }
        Edited::Done
    }

    fn insert(&mut self, character: char) {
        // A command typed behind what was given back a moment ago is meant as one.
        let is_command = character == '/' && self.is_given_back();
        let end = self.buffer.text().len();
        if is_command && self.buffer.cursor() == end {
            self.buffer.replace(0, end, "", How::Whole);
        }
        if self.buffer.text().len() < MOST_BYTES {
            self.buffer.insert(&units::clean(character.encode_utf8(&mut [0; 4])), How::Typed);
        }
    }

    fn step(&mut self, motion: Motion) -> Edited {
        match (self.buffer.step(motion, &self.tokens), motion) {
            (false, Motion::Up) => Edited::AboveFirst,
            (false, Motion::Down) => Edited::BelowLast,
            _ => Edited::Done,
        }
    }

    pub fn newline(&mut self) {
        self.insert('\n');
    }

    pub fn undo(&mut self) {
        self.buffer.undo();
    }

    pub fn redo(&mut self) {
        self.buffer.redo();
    }

    pub fn delete_to_line_start(&mut self) {
        self.buffer.cut(Motion::LineStart);
    }

    /// Inserts a paste: a large one as a token, another as it is. Terminals send its line ends as carriage returns.
    ///
    /// # Errors
    /// A sentence, if the text would become too long; nothing is inserted then.
    pub fn paste(&mut self, text: &str) -> Result<(), String> {
        let text = units::clean(text);
        self.has_room(text.len()).map_err(|sentence| format!("the paste was not inserted: {sentence}"))?;
        let is_large = text.lines().count() >= LARGE_LINES || text.chars().nth(LARGE_CHARACTERS - 1).is_some();
        let token = if is_large { self.tokens.add(Kind::Paste, text.as_str()) } else { None };
        let inserted = token.unwrap_or(text);
        self.buffer.insert(&inserted, How::Whole);
        Ok(())
    }

    /// Puts a file before what is being written, as a token.
    ///
    /// # Errors
    /// A sentence, if the message would become too long.
    pub fn attach(&mut self, part: &Part) -> Result<(), String> {
        let size = bytes(std::slice::from_ref(part));
        self.has_room(size).map_err(|sentence| format!("the file was not attached: {sentence}"))?;
        let at = self.behind_attached();
        let cursor = self.buffer.cursor();
        let inserted = self.marked(std::slice::from_ref(part)) + " ";
        self.buffer.replace(at, at, &inserted, How::Whole);
        self.buffer.go(if cursor >= at { cursor + inserted.len() } else { cursor });
        Ok(())
    }

    /// Where what is attached before the text ends.
    fn behind_attached(&self) -> usize {
        let text = self.buffer.text();
        let mut at = 0;
        loop {
            let unit = units::after(text, at);
            if self.tokens.get(unit).and_then(|token| token.kind.attached()).is_none() {
                return at;
            }
            at += unit.len();
            at += usize::from(text[at..].starts_with(' '));
        }
    }

    /// What is attached, by its names, in its order.
    pub fn attached_names(&self) -> Vec<&str> {
        let text = self.buffer.text();
        let marks = text.char_indices().filter(|(_, character)| *character == units::MARK);
        marks.filter_map(|(at, _)| self.tokens.get(units::after(text, at))?.kind.attached()).collect()
    }

    /// Takes out what was attached under this name, else what was attached last; its name, if there was one.
    pub fn detach(&mut self, wanted: Option<&str>) -> Option<String> {
        let text = self.buffer.text();
        let mut found = text.char_indices().filter(|(_, character)| *character == units::MARK).filter_map(|(at, _)| {
            let unit = units::after(text, at);
            let name = self.tokens.get(unit)?.kind.attached()?;
            wanted.is_none_or(|wanted| is_named(name, wanted)).then(|| (at, unit.len(), name.to_owned()))
        });
        let (at, length, name) = found.next_back()?;
        let end = at + length;
        let end = end + usize::from(text[end..].starts_with(' '));
        self.buffer.replace(at, end, "", How::Whole);
        let end = self.buffer.text().len();
        self.buffer.go(end);
        Some(name)
    }

    /// The words of the token beside the cursor, if it can be opened.
    pub fn token_at_cursor(&self) -> Option<&str> {
        let (from, to) = self.openable()?;
        self.tokens.get(&self.buffer.text()[from..to]).map(|token| token.label.as_str())
    }

    /// Puts the text in the place of the token beside the cursor.
    ///
    /// # Errors
    /// A sentence, if it is too long to be edited.
    pub fn open_token(&mut self) -> Result<(), String> {
        let Some((from, to)) = self.openable() else {
            return Err("there is no paste beside the cursor to be opened".into());
        };
        let Some(token) = self.tokens.get(&self.buffer.text()[from..to]) else { return Ok(()) };
        let text = token.text.clone();
        let lines = self.buffer.text().matches('\n').count() + text.matches('\n').count();
        if self.buffer.text().len() + text.len() > MOST_BYTES || lines > MOST_LINES {
            return Err(format!(
                "it is too long to be edited here: there is room for {} KiB and {MOST_LINES} lines",
                MOST_BYTES / 1024
            ));
        }
        self.buffer.replace(from, to, &text, How::Whole);
        Ok(())
    }

    /// Where the paste is that the cursor is before, or else behind.
    fn openable(&self) -> Option<(usize, usize)> {
        let (text, at) = (self.buffer.text(), self.buffer.cursor());
        let ranges = [(at, at + units::after(text, at).len()), (at - units::before(text, at).len(), at)];
        let is_paste = |unit: &str| self.tokens.get(unit).is_some_and(|token| token.kind == Kind::Paste);
        ranges.into_iter().find(|(from, to)| is_paste(&text[*from..*to]))
    }

    fn has_room(&self, more: usize) -> Result<(), String> {
        let text = self.buffer.text();
        if text.len() + self.tokens.bytes(text) + more <= MOST_BYTES_IN_ALL {
            return Ok(());
        }
        Err(format!(
            "it has {} KiB, and a message holds at most {} MiB in all",
            more.div_ceil(1024),
            MOST_BYTES_IN_ALL >> 20
        ))
    }

    /// The text for these parts, with tokens for what stands for more. What is too long to be edited becomes a token.
    fn marked(&mut self, parts: &[Part]) -> String {
        let mut text = String::new();
        for part in parts {
            let (kind, whole) = match part {
                Part::Text(whole) if whole.len() + text.len() <= MOST_BYTES => {
                    text.push_str(&units::clean(whole));
                    continue;
                }
                Part::Text(whole) | Part::Paste(whole) => (Kind::Paste, whole),
                Part::File { name, text } => (Kind::File(name.clone()), text),
                Part::Image(path) => {
                    text.extend(self.tokens.add(Kind::Image(path.clone()), ""));
                    continue;
                }
            };
            match self.tokens.add(kind, whole.as_str()) {
                Some(mark) => text.push_str(&mark),
                None => text.push_str(&units::clean(whole)),
            }
        }
        text
    }

    /// Folds the text to `width` columns and returns how many rows of at most `most` it needs.
    pub fn fit(&mut self, width: u16, most: u16) -> u16 {
        self.buffer.set_columns(width.into());
        self.rows = self.buffer.rows(&self.tokens);
        self.height = self.rows.len().min(usize::from(most.max(1)));
        let (row, _) = self.buffer.position(&self.rows, &self.tokens);
        let least = (row + 1).saturating_sub(self.height);
        self.top = self.top.clamp(least, row).min(self.rows.len() - self.height);
        self.height as u16
    }

    /// Column and row of the cursor within the rows in view.
    pub fn cursor(&self) -> (u16, u16) {
        let (row, column) = self.buffer.position(&self.rows, &self.tokens);
        (column.min(u16::MAX.into()) as u16, row.saturating_sub(self.top).min(u16::MAX.into()) as u16)
    }

    /// Whether there is more of the text above what is shown.
    pub fn begins_above(&self) -> bool {
        self.top > 0
    }

    /// Draws the rows that [`Composer::fit`] brought into view.
    pub fn draw(&self, area: Rect, screen: &mut Screen, token_style: Style) {
        let rows = self.rows.iter().skip(self.top).take(area.height.into());
        for (y, &(from, to)) in (area.y..).zip(rows) {
            let text = self.buffer.text().get(from..to).unwrap_or_default();
            let (mut at, mut column) = (0, 0);
            while at < text.len() && column < usize::from(area.width) {
                let unit = units::after(text, at);
                let style = if self.tokens.get(unit).is_some() { token_style } else { Style::default() };
                let shown = fold::shown(unit, column, &self.tokens);
                let room = usize::from(area.width) - column;
                screen.set_stringn(area.x + column as u16, y, &shown, room, style);
                column += unicode_width::UnicodeWidthStr::width(&*shown);
                at += unit.len();
            }
        }
    }
}

fn is_named(name: &str, wanted: &str) -> bool {
    name == wanted || name.rsplit('/').next() == Some(wanted)
}

#[cfg(test)]
mod tests;
