//! The keys of vi, for those who want them: a mode for writing and one for commands.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::Edited;
use super::buffer::{Buffer, Motion};
use super::tokens::Tokens;
use super::undo::How;
use super::units;

/// What the keys do, for the help.
pub const KEYS: &[(&str, &str)] = &[
    ("Esc", "from writing to commands; there, what Esc does else"),
    ("i, a, I, A", "write: before or behind the cursor, at the line's beginning or end"),
    ("o, O", "write on a new line below or above"),
    ("h, j, k, l", "a character or a row; above the first row: messages sent before"),
    ("w, b, e", "to the next word, to a word's beginning, to its end"),
    ("0, ^, $, gg, G", "the line's beginning, its text, its end; the first and the last line"),
    ("d, c, y", "delete, change or copy what a motion passes; dd, cc and yy whole lines"),
    ("x, X, s, D, C, S", "delete or change a character, the line's rest, the line"),
    ("r", "another character in the place of this one"),
    ("p, P", "what was deleted or copied, behind or before the cursor"),
    ("u, Ctrl-R", "undo, redo"),
    ("3w, d2b", "a number before a command repeats it"),
];

/// More repetitions are taken for a slip.
const MOST_TIMES: usize = 1000;

/// What is done to the text that a motion passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Delete,
    Change,
    Yank,
}

impl Operator {
    fn of(key: char) -> Option<Self> {
        match key {
            'd' => Some(Self::Delete),
            'c' => Some(Self::Change),
            'y' => Some(Self::Yank),
            _ => None,
        }
    }
}

/// What waits for the next key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Pending {
    #[default]
    Nothing,
    /// `g` was pressed.
    Go,
    /// `r` was pressed.
    Replace,
    /// `f`, `F`, `t` or `T` was pressed: it is not known here, and nor is the character it looks for.
    Seek,
}

/// Which mode it is, and what was pressed of a command.
#[derive(Debug, Default)]
pub struct Vi {
    is_normal: bool,
    operator: Option<Operator>,
    pending: Pending,
    count: Option<usize>,
    register: String,
    /// The register holds whole lines.
    holds_lines: bool,
}

impl Vi {
    /// Keys are commands.
    pub fn is_normal(&self) -> bool {
        self.is_normal
    }

    /// A command was begun, and Esc takes that back.
    pub fn is_waiting(&self) -> bool {
        self.operator.is_some() || self.pending != Pending::Nothing || self.count.is_some()
    }

    /// For another text: one begins by writing.
    pub fn begin(&mut self) {
        self.is_normal = false;
        self.forget();
    }

    fn forget(&mut self) {
        self.operator = None;
        self.pending = Pending::Nothing;
        self.count = None;
    }

    /// A key that is meant for this mode; `None` if it is for the usual ones.
    pub fn press(&mut self, key: KeyEvent, buffer: &mut Buffer, tokens: &Tokens) -> Option<Edited> {
        let is_ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
        if key.code == KeyCode::Esc || is_ctrl && key.code == KeyCode::Char('[') {
            self.escape(buffer);
            return Some(Edited::Done);
        }
        if !self.is_normal {
            return None;
        }
        let edited = match key.code {
            KeyCode::Char('r') if is_ctrl => {
                (0..self.take_count()).for_each(|_| buffer.redo());
                Edited::Done
            }
            KeyCode::Char(character) if (key.modifiers - KeyModifiers::SHIFT).is_empty() => {
                self.character(character, buffer, tokens)
            }
            KeyCode::Backspace if key.modifiers.is_empty() => self.character('h', buffer, tokens),
            _ => {
                self.forget();
                return None;
            }
        };
        if self.is_normal {
            stay_on_line(buffer);
        }
        Some(edited)
    }

    fn escape(&mut self, buffer: &mut Buffer) {
        self.forget();
        if !self.is_normal {
            self.is_normal = true;
            buffer.undo.close();
            let start = units::line_start(buffer.text(), buffer.cursor());
            if buffer.cursor() > start {
                buffer.go(buffer.place(Motion::Left));
            }
        }
    }

    fn take_count(&mut self) -> usize {
        self.count.take().unwrap_or(1).min(MOST_TIMES)
    }

    fn character(&mut self, key: char, buffer: &mut Buffer, tokens: &Tokens) -> Edited {
        match std::mem::take(&mut self.pending) {
            Pending::Replace => {
                self.replace(key, buffer);
                return Edited::Done;
            }
            Pending::Go => {
                if key == 'g' {
                    self.motion(Motion::Top, buffer, tokens);
                }
                self.forget();
                return Edited::Done;
            }
            Pending::Seek => {
                self.forget();
                return Edited::Done;
            }
            Pending::Nothing => {}
        }
        if let Some(digit) = key.to_digit(10).filter(|digit| *digit > 0 || self.count.is_some()) {
            self.count = Some((self.count.unwrap_or(0) * 10 + digit as usize).min(MOST_TIMES));
            return Edited::Done;
        }
        if let Some(operator) = Operator::of(key) {
            if self.operator == Some(operator) {
                self.lines(operator, buffer);
                self.forget();
            } else {
                self.operator = Some(operator);
            }
            return Edited::Done;
        }
        if let Some(motion) = motion(key) {
            let edited = self.motion(motion, buffer, tokens);
            self.forget();
            return edited;
        }
        match key {
            'g' => self.pending = Pending::Go,
            'f' | 'F' | 't' | 'T' => self.pending = Pending::Seek,
            'r' if self.operator.is_none() => self.pending = Pending::Replace,
            _ if self.operator.is_some() => self.forget(),
            _ => self.command(key, buffer),
        }
        Edited::Done
    }

    fn motion(&mut self, motion: Motion, buffer: &mut Buffer, tokens: &Tokens) -> Edited {
        let times = self.count.unwrap_or(1).min(MOST_TIMES);
        let Some(operator) = self.operator else {
            for _ in 0..times {
                match (buffer.step(motion, tokens), motion) {
                    (false, Motion::Up) => return Edited::AboveFirst,
                    (false, Motion::Down) => return Edited::BelowLast,
                    (false, _) => break,
                    (true, _) => {}
                }
            }
            return Edited::Done;
        };
        if matches!(motion, Motion::Up | Motion::Down | Motion::Top | Motion::Bottom) {
            self.lines_to(motion, operator, buffer, tokens);
            return Edited::Done;
        }
        let from = buffer.cursor();
        // `cw` changes a word and leaves the space behind it.
        let is_on_word = !units::after(buffer.text(), from).starts_with(char::is_whitespace);
        let to = match motion {
            Motion::NextRun if operator == Operator::Change && is_on_word => {
                let end = units::run_end(buffer.text(), from);
                (1..times).fold(end, |end, _| {
                    units::run_end(buffer.text(), units::skip(buffer.text(), end, |class| class == units::Class::Space))
                })
            }
            _ => {
                (0..times).for_each(|_| buffer.go(buffer.place(motion)));
                let place = buffer.cursor();
                match motion {
                    Motion::NextRun => place.min(units::line_end(buffer.text(), from).max(from)),
                    Motion::RunEnd => place + units::after(buffer.text(), place).len(),
                    _ => place,
                }
            }
        };
        buffer.go(from);
        self.apply(operator, from.min(to), from.max(to), buffer);
        Edited::Done
    }

    fn apply(&mut self, operator: Operator, from: usize, to: usize, buffer: &mut Buffer) {
        self.register = buffer.text()[from..to].to_owned();
        self.holds_lines = false;
        if operator == Operator::Change {
            self.write(buffer);
        }
        if operator != Operator::Yank {
            buffer.replace(from, to, "", How::Whole);
        }
        buffer.go(from);
    }

    /// From here on keys are text, and all of it until Esc is one step for undo.
    fn write(&mut self, buffer: &mut Buffer) {
        self.is_normal = false;
        buffer.undo.open();
    }

    /// `dd`, `cc` and `yy`.
    fn lines(&mut self, operator: Operator, buffer: &mut Buffer) {
        let times = self.take_count();
        let from = units::line_start(buffer.text(), buffer.cursor());
        let mut to = units::line_end(buffer.text(), buffer.cursor());
        for _ in 1..times {
            if to < buffer.text().len() {
                to = units::line_end(buffer.text(), to + 1);
            }
        }
        self.whole_lines(operator, from, to, buffer);
    }

    fn lines_to(&mut self, motion: Motion, operator: Operator, buffer: &mut Buffer, tokens: &Tokens) {
        let here = buffer.cursor();
        buffer.step(motion, tokens);
        let there = buffer.cursor();
        buffer.go(here);
        let from = units::line_start(buffer.text(), here.min(there));
        let to = units::line_end(buffer.text(), here.max(there));
        self.whole_lines(operator, from, to, buffer);
    }

    fn whole_lines(&mut self, operator: Operator, from: usize, to: usize, buffer: &mut Buffer) {
        self.register = buffer.text()[from..to].to_owned() + "\n";
        self.holds_lines = true;
        match operator {
            Operator::Yank => {}
            Operator::Change => {
                self.write(buffer);
                buffer.replace(from, to, "", How::Whole);
            }
            Operator::Delete if to < buffer.text().len() => buffer.replace(from, to + 1, "", How::Whole),
            // The last line goes with the line end before it.
            Operator::Delete => {
                buffer.replace(from.saturating_sub(1), to, "", How::Whole);
                buffer.go(units::line_start(buffer.text(), buffer.cursor()));
            }
        }
    }

    fn command(&mut self, key: char, buffer: &mut Buffer) {
        let times = self.take_count();
        let at = buffer.cursor();
        let line_end = units::line_end(buffer.text(), at);
        match key {
            'i' => self.write(buffer),
            'a' => {
                self.write(buffer);
                let next = at + units::after(buffer.text(), at).len();
                buffer.go(next.min(line_end));
            }
            'I' => {
                self.write(buffer);
                buffer.go(buffer.place(Motion::FirstNonBlank));
            }
            'A' => {
                self.write(buffer);
                buffer.go(line_end);
            }
            'o' => {
                self.write(buffer);
                buffer.replace(line_end, line_end, "\n", How::Whole);
            }
            'O' => {
                self.write(buffer);
                let start = units::line_start(buffer.text(), at);
                buffer.replace(start, start, "\n", How::Whole);
                buffer.go(start);
            }
            'x' | 's' => {
                let end = (0..times).fold(at, |end, _| end + units::after(buffer.text(), end).len()).min(line_end);
                self.apply(if key == 'x' { Operator::Delete } else { Operator::Change }, at, end, buffer);
            }
            'X' => {
                let start = units::line_start(buffer.text(), at);
                let from = (0..times).fold(at, |from, _| from - units::before(buffer.text(), from).len()).max(start);
                self.apply(Operator::Delete, from, at, buffer);
            }
            'D' => self.apply(Operator::Delete, at, line_end, buffer),
            'C' => self.apply(Operator::Change, at, line_end, buffer),
            'S' => self.lines(Operator::Change, buffer),
            'p' | 'P' => self.paste(key == 'p', times, buffer),
            'u' => (0..times).for_each(|_| buffer.undo()),
            _ => {}
        }
    }

    fn paste(&self, is_behind: bool, times: usize, buffer: &mut Buffer) {
        let at = buffer.cursor();
        let text = self.register.repeat(times);
        if text.is_empty() {
            return;
        }
        if self.holds_lines {
            let lines = text.trim_end_matches('\n');
            let line_end = units::line_end(buffer.text(), at);
            let start = units::line_start(buffer.text(), at);
            if is_behind {
                buffer.replace(line_end, line_end, &format!("\n{lines}"), How::Whole);
                buffer.go(line_end + 1);
            } else {
                buffer.replace(start, start, &format!("{lines}\n"), How::Whole);
                buffer.go(start);
            }
            return;
        }
        let next = at + units::after(buffer.text(), at).len();
        let place = if is_behind { next.min(units::line_end(buffer.text(), at)) } else { at };
        buffer.replace(place, place, &text, How::Whole);
        buffer.go(buffer.place(Motion::Left));
    }

    /// `r`: another character in the place of this one.
    fn replace(&mut self, character: char, buffer: &mut Buffer) {
        self.forget();
        let at = buffer.cursor();
        let unit = units::after(buffer.text(), at).len();
        if at < units::line_end(buffer.text(), at) {
            buffer.replace(at, at + unit, &units::clean(&character.to_string()), How::Whole);
            buffer.go(at);
        }
    }
}

fn motion(key: char) -> Option<Motion> {
    Some(match key {
        'h' => Motion::Left,
        'l' | ' ' => Motion::Right,
        'j' => Motion::Down,
        'k' => Motion::Up,
        'w' => Motion::NextRun,
        'b' => Motion::RunStart,
        'e' => Motion::RunEnd,
        '0' => Motion::LineStart,
        '^' => Motion::FirstNonBlank,
        '$' => Motion::LineEnd,
        'G' => Motion::Bottom,
        _ => return None,
    })
}

/// In the mode for commands the cursor is on a character, not behind the last one of a line.
fn stay_on_line(buffer: &mut Buffer) {
    let (text, at) = (buffer.text(), buffer.cursor());
    let is_behind = at == units::line_end(text, at) && at > units::line_start(text, at);
    if is_behind {
        buffer.go(buffer.place(Motion::Left));
    }
}

#[cfg(test)]
mod tests;
