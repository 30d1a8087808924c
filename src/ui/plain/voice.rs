//! The view of plain mode: compares the state with what was said of it, and says the rest. Nothing is ever written over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::Saying;
use super::keys::as_commands;
use super::page::{Page, sentence};
use super::pieces::Said;
use super::status::{self, Doing, Status};
use super::told::{List, Told, told};
use crate::store::{ChatId, MessageId};
use crate::text::escape_line;
use crate::ui::app::{App, Select};
use crate::ui::composer::summary;
use crate::ui::folds;
use crate::ui::msg::{Command, Slot};
use crate::ui::slash::{self, Written};
use crate::ui::transcript::{Answer, Entry, Question};

pub const PROMPT: &str = "You: ";
const CHOICE: &str = "Number: ";
/// Rows of a list at once.
const MOST_ROWS: usize = 20;
/// Of more messages that come at once only the last exchange is said.
const MOST_MESSAGES: usize = 2;
/// Characters of what is kept in the composer.
const MOST_KEPT: usize = 300;

/// An entry of the transcript that was said.
#[derive(Debug)]
enum Known {
    Message(Slot<MessageId>),
    Note(String),
}

impl Known {
    fn of(entry: &Entry) -> Self {
        match entry.saved() {
            Some(slot) => Self::Message(slot.clone()),
            None => Self::Note(entry.text().to_owned()),
        }
    }

    fn is(&self, entry: &Entry) -> bool {
        match (self, entry.saved()) {
            (Self::Message(known), Some(slot)) => Arc::ptr_eq(known, slot),
            (Self::Note(known), None) => known == entry.text(),
            _ => false,
        }
    }
}

/// An answer that is being said.
#[derive(Debug)]
struct Speech {
    answer: Known,
    text: Said,
    thoughts: Said,
    /// Its text, or its thoughts, have begun.
    has_begun: bool,
    thinks: bool,
    /// It goes on with an answer that had ended.
    goes_on: bool,
}

/// What was said, and what is to be written.
#[derive(Debug)]
pub struct Voice {
    pub page: Page,
    saying: Saying,
    /// The chat that is open.
    chat: Slot<ChatId>,
    known: Vec<Known>,
    speech: Option<Speech>,
    doing: Doing,
    told: Option<Told>,
    /// The first row of the list that was told last.
    top: usize,
    /// What the composer kept when that was said.
    kept: u64,
    /// The person has just typed a message.
    has_typed: bool,
    /// Lines of one message are being typed.
    pub is_collecting: bool,
    /// Something was begun that ends in a moment.
    pub is_waiting: bool,
    asks_to_leave: bool,
    asks_to_stop: bool,
    shows_thoughts: bool,
}

impl Voice {
    pub fn new(saying: Saying) -> Self {
        Self {
            page: Page::default(),
            saying,
            chat: Slot::default(),
            known: Vec::new(),
            speech: None,
            doing: Doing::default(),
            told: None,
            top: 0,
            kept: 0,
            has_typed: false,
            is_collecting: false,
            is_waiting: false,
            asks_to_leave: false,
            asks_to_stop: false,
            shows_thoughts: false,
        }
    }

    /// What was told over the chat, which the next line answers.
    pub fn told(&self) -> Option<&Told> {
        self.told.as_ref()
    }

    /// If this line is a message, the next one in the conversation is not to be said.
    pub fn typed(&mut self, line: &str) {
        let is_message = matches!(slash::read(line.trim_end()), Written::Message(_));
        self.has_typed = is_message && !line.trim().is_empty();
    }

    /// Tells the next rows of the list.
    pub fn tell_more(&mut self) {
        let Some(Told::List(list)) = &self.told else { return };
        if self.top + MOST_ROWS < list.rows.len() {
            self.top += MOST_ROWS;
            let list = list.clone();
            self.tell_rows(&list);
        } else {
            self.page.say("That was all of them.");
        }
    }

    /// Says what there is to say; returns what is to be done now that it was said.
    pub fn look(&mut self, app: &mut App, now: Instant) -> Option<Command> {
        // The next answer may have begun with the end of this one.
        self.tell_answer(app, now);
        self.tell_entries(app, now);
        self.tell_answer(app, now);
        for words in self.doing.look(app, self.saying.status, now) {
            self.page.say(&words);
        }
        self.tell_notices(app);
        self.tell_thoughts_switch(app);
        if let Some(command) = self.tell_found(app) {
            return Some(command);
        }
        let command = self.tell_over(app);
        self.tell_asked(app);
        if command.is_none() && self.is_listening(app) {
            self.tell_kept(app);
            self.page.prompt(match &self.told {
                Some(Told::List(_)) => CHOICE,
                Some(Told::Question { prompt, .. }) => prompt,
                _ => PROMPT,
            });
        }
        self.has_typed = false;
        command
    }

    /// Whether the person is to type something now.
    fn is_listening(&self, app: &App) -> bool {
        let is_asked = matches!(self.told, Some(Told::List(_) | Told::Question { .. }));
        let is_waited_for = !app.is_settled() && app.download().is_none() && !is_asked;
        !self.is_collecting && !self.is_waiting && !is_waited_for && !app.is_busy() && self.told != Some(Told::NotYet)
    }

    fn tell_entries(&mut self, app: &App, now: Instant) {
        let entries = app.transcript().entries();
        let is_other = !Arc::ptr_eq(&self.chat, app.chat_slot());
        if is_other {
            self.chat = app.chat_slot().clone();
        }
        if is_other && !self.known.is_empty() && app.open_chat_id().is_none() {
            self.page.say("This is a new chat.");
        }
        let new = self.take_new(entries);
        let messages: Vec<usize> = new.iter().copied().filter(|&place| entries[place].saved().is_some()).collect();
        let first = match messages.len().checked_sub(MOST_MESSAGES) {
            Some(left_out @ 1..) => {
                let all = app.transcript().messages().count();
                let title = app.title().map_or(String::new(), |title| format!(" \"{}\"", escape_line(title)));
                self.page.say(&format!("This is the chat{title} with {all} messages. The last ones are:"));
                messages.get(left_out).copied().unwrap_or_default()
            }
            _ => 0,
        };
        for place in new.into_iter().filter(|place| *place >= first) {
            match &entries[place] {
                Entry::Question(question) => self.tell_question(question),
                Entry::Answer(answer) if answer.end.is_some() => self.tell_whole(answer),
                Entry::Answer(answer) => self.begin(&entries[place], answer, false, now),
                Entry::Note(note) => self.page.say(&sentence(&as_commands(note.text.text()))),
            }
        }
    }

    /// The places of the entries that were not said yet.
    fn take_new(&mut self, entries: &[Entry]) -> Vec<usize> {
        let before = self.known.len();
        let is_as_before = |known: &[Known]| match (known.last(), before.checked_sub(1).and_then(|it| entries.get(it)))
        {
            (None, _) => true,
            (Some(last), Some(entry)) => last.is(entry),
            (Some(_), None) => false,
        };
        let new: Vec<usize> = if is_as_before(&self.known) {
            (before..entries.len()).collect()
        } else {
            let mut notes: HashMap<String, usize> = HashMap::new();
            let mut messages: Vec<*const _> = Vec::new();
            for known in &self.known {
                match known {
                    Known::Message(slot) => messages.push(Arc::as_ptr(slot)),
                    Known::Note(text) => *notes.entry(text.clone()).or_default() += 1,
                }
            }
            messages.sort_unstable();
            let is_new = |entry: &Entry| match entry.saved() {
                Some(slot) => messages.binary_search(&Arc::as_ptr(slot)).is_err(),
                None => match notes.get_mut(entry.text()) {
                    Some(count @ 1..) => {
                        *count -= 1;
                        false
                    }
                    _ => true,
                },
            };
            let places = entries.iter().map(is_new).enumerate();
            places.filter(|(_, is_new)| *is_new).map(|(place, _)| place).collect()
        };
        if !new.is_empty() || before != entries.len() {
            self.known = entries.iter().map(Known::of).collect();
        }
        new
    }

    fn tell_question(&mut self, question: &Question) {
        let is_typed = std::mem::take(&mut self.has_typed);
        if !is_typed {
            let text = question.text.text();
            let shown = as_commands(&folds::shown(text, question.folds(), text.len()));
            self.page.say(&format!("{PROMPT}{shown}"));
        }
        if question.waiting && self.saying.status != Status::Off {
            self.page.say("Your message waits for the model.");
        }
    }

    /// An answer that had ended before it came here.
    fn tell_whole(&mut self, answer: &Answer) {
        let text = answer.document.text().trim();
        if !text.is_empty() {
            self.page.say("Answer:");
            self.page.say(text);
        }
        self.tell_mark(answer);
    }

    fn tell_mark(&mut self, answer: &Answer) {
        if !answer.mark().is_empty() {
            self.page.say(&sentence(&as_commands(answer.mark())));
        }
    }

    fn begin(&mut self, entry: &Entry, answer: &Answer, goes_on: bool, now: Instant) {
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

    fn tell_answer(&mut self, app: &App, now: Instant) {
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

    /// In the middle of an answer's line they wait for its end.
    fn tell_notices(&mut self, app: &mut App) {
        if self.speech.is_some() && !self.page.is_at_line_start() {
            return;
        }
        for notice in app.take_notices() {
            self.page.say(&sentence(&as_commands(&notice)));
        }
    }

    /// Thoughts are said from now on, or not any more.
    fn tell_thoughts_switch(&mut self, app: &App) {
        let shows = app.transcript().show_thinking;
        if shows == std::mem::replace(&mut self.shows_thoughts, shows) {
            return;
        }
        if !shows {
            self.page.say("Thoughts are left out from now on.");
            return;
        }
        self.page.say("Thoughts are told from now on.");
        let last = app.transcript().entries().iter().rev().find_map(|entry| match entry {
            Entry::Answer(answer) if answer.end.is_some() && !answer.thinking.is_empty() => Some(answer),
            _ => None,
        });
        if let Some(answer) = last {
            self.page.say("Those before the last answer were:");
            self.page.say(answer.thinking.text().trim());
        }
    }

    /// A message that a search has led to. Nothing stays chosen where nobody sees it.
    fn tell_found(&mut self, app: &App) -> Option<Command> {
        let entry = app.selected_entry()?;
        self.page.say("The message that was found:");
        match entry {
            Entry::Question(question) => self.tell_question(question),
            Entry::Answer(answer) => self.tell_whole(answer),
            Entry::Note(_) => {}
        }
        Some(Command::Select(Select::Leave))
    }

    /// What lies over the chat; a text is closed once it was read out.
    fn tell_over(&mut self, app: &App) -> Option<Command> {
        let now = told(app);
        if now == self.told {
            return None;
        }
        let before = std::mem::replace(&mut self.told, now);
        self.top = 0;
        match self.told.clone() {
            None | Some(Told::NotYet) => None,
            Some(Told::Words(lines)) => {
                lines.iter().for_each(|line| self.page.say(line));
                self.told = None;
                Some(Command::ClosePopup)
            }
            Some(Told::List(list)) => {
                let is_other = !matches!(&before, Some(Told::List(before)) if before.rows == list.rows && before.heading == list.heading);
                self.page.say_if(list.note.clone());
                if is_other {
                    self.page.say(&list.heading);
                    self.tell_rows(&list);
                    self.page.say(list.hint);
                }
                None
            }
            Some(Told::Question { lines, .. }) => {
                lines.iter().for_each(|line| self.page.say(line));
                None
            }
        }
    }

    fn tell_rows(&mut self, list: &List) {
        for row in list.rows.iter().skip(self.top).take(MOST_ROWS) {
            self.page.say(&row.words());
        }
        let left = list.rows.len().saturating_sub(self.top + MOST_ROWS);
        if left > 0 {
            self.page.say(&format!("There are {left} more; \"more\" tells the next ones."));
        }
    }

    fn tell_asked(&mut self, app: &App) {
        let leaves = app.leaves_on_interrupt();
        // Who has just stopped an answer wanted nothing else.
        if leaves && !self.asks_to_leave && !app.is_answering() {
            self.page.say("Press Ctrl-C again to leave.");
        }
        self.asks_to_leave = leaves;
        let stops = app.stops_download_on_escape();
        if stops && !self.asks_to_stop {
            self.page.say("Type `/stop` again to stop the download; what came of it is kept.");
        }
        self.asks_to_stop = stops;
    }

    /// What is kept to be sent, since nobody sees it.
    fn tell_kept(&mut self, app: &App) {
        let (composer, is_asked) = (app.composer(), self.told.is_some());
        if is_asked || composer.revision() == self.kept {
            return;
        }
        self.kept = composer.revision();
        if composer.is_empty() {
            if app.holds_queue() {
                self.page.say("An empty line sends what waits; `/stop` takes back the last of it.");
            }
            return;
        }
        let mut words: String = summary(&composer.parts()).chars().take(MOST_KEPT).collect();
        if words.chars().count() == MOST_KEPT {
            words.push_str(" and so on");
        }
        let (what, then) = match app.edited_message() {
            Some(number) => (
                format!("Message {number} is written anew"),
                "What you type takes its place, an empty line asks it again, `/stop` leaves it as it is.",
            ),
            None if app.replaces_written() => (
                "Kept, without an answer".into(),
                "An empty line sends it again, what you type takes its place, Ctrl-C clears it.",
            ),
            None => ("Written so far".into(), "An empty line sends it, what you type is added, Ctrl-C clears it."),
        };
        self.page.say(&format!("{what}: {words}"));
        self.page.say(then);
    }
}
