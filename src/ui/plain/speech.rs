//! Saying an answer, while it comes and when it is there.

use std::time::Instant;

use super::keys::as_commands;
use super::page::sentence;
use super::pieces::Said;
use super::status;
use super::voice::Voice;
use crate::chat::Ended;
use crate::config::Status;
use crate::ui::app::App;
use crate::ui::transcript::{Answer, Entry, Known};

/// An answer that is being said.
#[derive(Debug)]
pub struct Speech {
    answer: Known,
    text: Said,
    thoughts: Said,
    /// Its text, or its thoughts, have begun.
    has_begun: bool,
    thinks: bool,
    /// It goes on with an answer that had ended.
    goes_on: bool,
}

impl Voice {
    /// An answer that had ended before it came here.
    pub(super) fn tell_whole(&mut self, answer: &Answer) {
        let text = answer.document.text().trim();
        if !text.is_empty() {
            self.page.say("Answer:");
            self.page.say(text);
        }
        self.tell_mark(answer);
    }

    pub(super) fn tell_mark(&mut self, answer: &Answer) {
        self.has_failed |= answer.end.as_ref().is_some_and(|end| end.ended() == Ended::Error);
        if !answer.mark().is_empty() {
            self.page.say(&sentence(&as_commands(answer.mark())));
        }
    }

    pub(super) fn begin(&mut self, entry: &Entry, answer: &Answer, goes_on: bool, now: Instant) {
        let (text, thoughts) = match goes_on {
            true => (answer.document.text().len(), answer.thinking.text().len()),
            false => (0, 0),
        };
        self.speech = Some(Speech {
            answer: Known::of(entry),
            text: Said::up_to(text, now),
            thoughts: Said::up_to(thoughts, now),
            has_begun: false,
            thinks: false,
            goes_on,
        });
    }

    pub(super) fn tell_answer(&mut self, app: &App, now: Instant) {
        let entries = app.transcript().entries();
        if self.speech.is_none() {
            let last = entries.iter().rev().find(|entry| entry.saved().is_some());
            if let Some(entry @ Entry::Answer(answer)) = last
                && answer.end.is_none()
                && app.is_answering()
            {
                self.begin(entry, answer, true, now);
            }
        }
        let Some(mut speech) = self.speech.take() else { return };
        let found = entries.iter().rev().find(|entry| speech.answer.is(entry));
        let Some(Entry::Answer(answer)) = found else {
            self.page.end_line();
            return;
        };
        let has_ended = answer.end.is_some();
        let text = answer.document.text();
        if app.transcript().show_thinking {
            let thoughts = answer.thinking.text();
            let is_over = has_ended || !text.trim().is_empty();
            let piece = speech.thoughts.next(thoughts, self.saying.pieces, is_over, now);
            if !piece.trim().is_empty() && !std::mem::replace(&mut speech.thinks, true) {
                self.page.say("Thoughts:");
            }
            if speech.thinks {
                self.page.add(piece);
            }
        }
        let piece = speech.text.next(text, self.saying.pieces, has_ended, now);
        let piece = match (has_ended, speech.has_begun || speech.goes_on) {
            (true, true) => piece.trim_end(),
            (true, false) => piece.trim(),
            (false, true) => piece,
            (false, false) => piece.trim_start(),
        };
        if !piece.is_empty() {
            if !std::mem::replace(&mut speech.has_begun, true) {
                self.tell_recalled(entries);
                self.page.say(if speech.goes_on { "The answer goes on:" } else { "Answer:" });
            }
            self.page.add(piece);
        }
        if !has_ended {
            self.speech = Some(speech);
            return;
        }
        self.page.end_line();
        match answer.mark().is_empty() {
            true => self.page.say_if(status::done(app.last_answer(), self.saying.status)),
            false => self.tell_mark(answer),
        }
    }

    /// What was brought back into the context for the question.
    fn tell_recalled(&mut self, entries: &[Entry]) {
        let question = entries.iter().rev().find_map(|entry| match entry {
            Entry::Question(question) => Some(question),
            _ => None,
        });
        let words = question.and_then(|question| question.recalled.in_words());
        self.page.say_if(words.filter(|_| self.saying.status == Status::Full).map(|words| sentence(&words)));
    }
}
