//! What goes to stderr beside the result: progress and thinking, for a person who looks on; notes and warnings.
//! Errors are not written here: the program ends with them.

use std::io::{self, IsTerminal, Write};

use crate::text;

const DIM: &str = "\x1b[2m";
const PLAIN: &str = "\x1b[0m";
const CLEAR_LINE: &str = "\r\x1b[K";

/// Writes to `out`. What cannot be written is left out: the answer goes on without its remarks.
pub struct Remarks<W> {
    out: W,
    quiet: bool,
    /// Whether somebody looks on, at a terminal that can clear a line.
    watched: bool,
    colours: bool,
    /// Thoughts are told where nobody looks on, too.
    tells_thoughts: bool,
    shown: Shown,
}

/// What stands on the current line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Nothing,
    Progress,
    Thinking,
}

impl Remarks<io::Stderr> {
    pub fn on_stderr(quiet: bool) -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let watched = io::stderr().is_terminal() && !is_dumb;
        Self::new(io::stderr(), quiet, watched, !set("NO_COLOR"))
    }
}

impl<W: Write> Remarks<W> {
    fn new(out: W, quiet: bool, watched: bool, colours: bool) -> Self {
        Self { out, quiet, watched, colours, tells_thoughts: false, shown: Shown::Nothing }
    }

    /// Whether thoughts are told where nobody looks on, too, as whoever asked for them may want them in a file.
    pub fn telling_thoughts(self, tells_thoughts: bool) -> Self {
        Self { tells_thoughts, ..self }
    }

    /// A sentence that stays, about which nothing needs to be done.
    pub fn note(&mut self, sentence: &str) {
        if !self.quiet {
            self.clear();
            let _ = writeln!(self.out, "{}", text::escape(sentence));
        }
    }

    /// A sentence about what is not as it was meant.
    pub fn warning(&mut self, sentence: &str) {
        self.note(&format!("warning: {sentence}"));
    }

    /// What is being done, until something else is said.
    pub fn progress(&mut self, status: &str) {
        if self.quiet || !self.watched {
            return;
        }
        let _ = write!(self.out, "{CLEAR_LINE}{}", text::escape_line(status));
        let _ = self.out.flush();
        self.shown = Shown::Progress;
    }

    /// What takes a while, where no progress is shown.
    pub fn lasting(&mut self, sentence: &str) {
        if !self.watched {
            self.note(sentence);
        }
    }

    pub fn thinking(&mut self, piece: &str) {
        if self.quiet || !(self.watched || self.tells_thoughts) {
            return;
        }
        if self.shown != Shown::Thinking {
            self.clear();
            self.shown = Shown::Thinking;
        }
        let piece = if self.watched { text::escape(piece) } else { piece.into() };
        let _ = if self.colours && self.watched {
            write!(self.out, "{DIM}{piece}{PLAIN}")
        } else {
            write!(self.out, "{piece}")
        };
        let _ = self.out.flush();
    }

    /// Leaves an empty line to what comes next.
    pub fn clear(&mut self) {
        let _ = match self.shown {
            Shown::Nothing => return,
            Shown::Progress => write!(self.out, "{CLEAR_LINE}"),
            Shown::Thinking => writeln!(self.out),
        };
        let _ = self.out.flush();
        self.shown = Shown::Nothing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(quiet: bool, watched: bool, colours: bool) -> String {
        let mut bytes = Vec::new();
        let mut remarks = Remarks::new(&mut bytes, quiet, watched, colours);
        remarks.progress("loading 50 %");
        remarks.thinking("hm\x1b");
        remarks.note("note: x");
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn nobody_looking_on_is_told_no_progress() {
        assert_eq!(written(false, false, true), "note: x\n");
    }

    #[test]
    fn thoughts_that_were_asked_for_go_to_a_file_as_they_are() {
        let mut bytes = Vec::new();
        let mut remarks = Remarks::new(&mut bytes, false, false, true).telling_thoughts(true);
        remarks.progress("loading 50 %");
        remarks.thinking("hm\x1b");
        remarks.clear();
        remarks.note("note: x");
        assert_eq!(String::from_utf8(bytes).unwrap(), "hm\x1b\nnote: x\n");
    }

    #[test]
    fn quiet_is_quiet() {
        assert_eq!(written(true, true, true), "");
    }

    #[test]
    fn without_colours_thinking_is_plain_and_never_terminal_control() {
        assert_eq!(written(false, true, false), "\r\x1b[Kloading 50 %\r\x1b[Khm<U+001B>\nnote: x\n");
        assert!(written(false, true, true).contains("\x1b[2mhm<U+001B>\x1b[0m"));
    }
}
