//! What goes to stdout, in each of the three forms.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

use super::report::Report;
use crate::config::Output;
use crate::engine::protocol::{Channel, Piece, Weighed};
use crate::text;

/// What the engine is busy with before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Loading,
    Trying,
    /// Numbers of threads are tried.
    Tuning,
    Prefilling,
}

impl fmt::Display for Phase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Phase::Loading => "loading the model",
            Phase::Trying => "finding out which formats of the KV cache this model bears, once",
            Phase::Tuning => "finding out how many threads are the fastest with this model, once",
            Phase::Prefilling => "reading the prompt",
        })
    }
}

/// How far that is, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub phase: Phase,
    pub percent: u8,
}

/// How often a line tells how far something is: a load that takes a blink has no hundred of them.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Writes an answer, flushing whatever can be of use to a reader already.
pub struct Printer<W> {
    out: W,
    form: Output,
    /// A terminal must not be given what it could obey; a pipe gets what the model said.
    escape: bool,
    last: Option<char>,
    /// What the last line of progress was about, and when.
    told: Option<(Phase, Instant)>,
    /// What the model thought of the tokens of the next piece.
    weighed: Vec<Weighed>,
}

impl<W: Write> Printer<W> {
    pub fn new(out: W, form: Output, is_terminal: bool) -> Self {
        Self { out, form, escape: is_terminal, last: None, told: None, weighed: Vec::new() }
    }

    pub fn start(&mut self, model: &Path) -> io::Result<()> {
        if self.form != Output::Ndjson {
            return Ok(());
        }
        let version = env!("CARGO_PKG_VERSION");
        self.line(&json!({"type": "start", "schema": 1, "version": version, "path": model.to_string_lossy()}))
    }

    pub fn progress(&mut self, Progress { phase, percent }: Progress) -> io::Result<()> {
        let now = Instant::now();
        let is_soon = self.told.is_some_and(|(of, at)| of == phase && now - at < PROGRESS_EVERY && percent < 100);
        if self.form != Output::Ndjson || is_soon {
            return Ok(());
        }
        self.told = Some((phase, now));
        self.line(&json!({"type": "progress", "phase": phase, "percent": percent}))
    }

    /// What the model thought of a token whose text comes with a later piece.
    pub fn weighed(&mut self, weighed: &Weighed) {
        if self.form == Output::Ndjson {
            self.weighed.push(weighed.clone());
        }
    }

    pub fn piece(&mut self, piece: &Piece) -> io::Result<()> {
        match self.form {
            Output::Text if piece.channel == Channel::Answer => self.raw(&piece.text),
            Output::Text | Output::Json => Ok(()),
            Output::Ndjson => {
                let Piece { channel, text, tokens } = piece;
                let mut line = json!({"type": "token", "channel": channel, "text": text, "tokens": tokens});
                if !self.weighed.is_empty() {
                    line["logprobs"] = json!(std::mem::take(&mut self.weighed));
                }
                self.line(&line)
            }
        }
    }

    /// A part of the answer that was looked for, where stdout is the answer and nothing else.
    pub fn part(&mut self, text: &str) -> io::Result<()> {
        if self.form == Output::Text && !text.is_empty() { self.raw(text) } else { Ok(()) }
    }

    /// Ends the output; nothing may follow.
    pub fn end(&mut self, report: &Report) -> io::Result<()> {
        match self.form {
            Output::Text if self.last.is_some_and(|last| last != '\n') => self.raw("\n"),
            Output::Text => Ok(()),
            Output::Json => self.line(report),
            Output::Ndjson => {
                #[derive(Serialize)]
                struct LastLine<'report> {
                    r#type: &'static str,
                    #[serde(flatten)]
                    report: &'report Report,
                }
                let r#type = if report.error.is_some() { "error" } else { "end" };
                self.line(&LastLine { r#type, report })
            }
        }
    }

    fn raw(&mut self, text: &str) -> io::Result<()> {
        self.last = text.chars().last().or(self.last);
        let shown = if self.escape { text::escape(text) } else { text.into() };
        self.out.write_all(shown.as_bytes())?;
        self.out.flush()
    }

    /// One line of JSON. Control characters are escaped by JSON itself; direction marks only for a terminal.
    fn line(&mut self, object: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(object)?;
        self.raw(&text)?;
        self.raw("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(channel: Channel, text: &str) -> Piece {
        Piece { channel, text: text.into(), tokens: 1 }
    }

    fn printed(form: Output, is_terminal: bool, pieces: &[Piece]) -> String {
        let mut bytes = Vec::new();
        let mut printer = Printer::new(&mut bytes, form, is_terminal);
        let mut report = Report::default();
        for piece in pieces {
            printer.piece(piece).unwrap();
            report.add_piece(piece);
        }
        printer.end(&report).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn text_is_the_answer_alone_and_ends_its_line() {
        let pieces = [piece(Channel::Thinking, "hm"), piece(Channel::Answer, "a"), piece(Channel::Answer, "b")];
        assert_eq!(printed(Output::Text, false, &pieces), "ab\n");
        assert_eq!(printed(Output::Text, false, &[piece(Channel::Answer, "ab\n")]), "ab\n");
        assert_eq!(printed(Output::Text, false, &[]), "");
    }

    #[test]
    fn control_characters_are_shown_to_a_terminal_and_left_to_a_pipe() {
        let pieces = [piece(Channel::Answer, "\x1b]0;x\x07\n")];
        assert_eq!(printed(Output::Text, true, &pieces), "<U+001B>]0;x<U+0007>\n");
        assert_eq!(printed(Output::Text, false, &pieces), "\x1b]0;x\x07\n");
    }

    #[test]
    fn a_phase_is_told_by_its_first_line_and_its_end_and_not_a_hundred_times() {
        let mut bytes = Vec::new();
        let mut printer = Printer::new(&mut bytes, Output::Ndjson, false);
        for (phase, percents) in [(Phase::Loading, 0..=100), (Phase::Prefilling, 0..=1)] {
            percents.for_each(|percent| printer.progress(Progress { phase, percent }).unwrap());
        }
        let text = String::from_utf8(bytes).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.len() < 20, "{text}");
        let told = |line: &serde_json::Value| (line["phase"].clone(), line["percent"].as_u64());
        assert_eq!(told(&lines[0]), ("loading".into(), Some(0)));
        assert_eq!(told(&lines[lines.len() - 2]), ("loading".into(), Some(100)));
        assert_eq!(told(&lines[lines.len() - 1]), ("prefilling".into(), Some(0)));
    }

    #[test]
    fn every_line_of_ndjson_is_an_object_with_a_type() {
        let text = printed(Output::Ndjson, false, &[piece(Channel::Answer, "a\nb")]);
        let types: Vec<_> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["type"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(types, ["token", "end"]);
    }
}
