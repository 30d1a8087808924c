//! The view of plain mode: compares the state with what was said of it, and says the rest. Nothing is ever written over.

use std::sync::Arc;
use std::time::Instant;

use super::keys::as_commands;
use super::page::{Page, sentence};
use super::speech::Speech;
use super::status::Doing;
use super::told::{List, Told, told};
use crate::config::{Saying, Status, ThemeName};
use crate::store::ChatId;
use crate::text::escape_line;
use crate::ui::app::{App, Select};
use crate::ui::composer::summary;
use crate::ui::folds;
use crate::ui::msg::{Command, Slot};
use crate::ui::slash::{self, Written};
use crate::ui::transcript::{self, Entry, Question, Sending};

pub const PROMPT: &str = "You: ";
const CHOICE: &str = "Number: ";
/// Rows of a list at once.
const MOST_ROWS: usize = 20;
/// Of more messages that come at once only the last exchange is said.
const MOST_MESSAGES: usize = 2;
/// Characters of what is kept in the composer.
const MOST_KEPT: usize = 300;

/// What was said, and what is to be written.
#[derive(Debug)]
pub struct Voice {
    pub page: Page,
    pub(super) saying: Saying,
    /// The chat that is open.
    chat: Slot<ChatId>,
    known: transcript::Told,
    pub(super) speech: Option<Speech>,
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
    /// An answer did not come, or not to its end.
    pub has_failed: bool,
}

impl Voice {
    pub fn new(saying: Saying) -> Self {
        Self {
            page: Page::default(),
            saying,
            chat: Slot::default(),
            known: transcript::Told::default(),
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
            has_failed: false,
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

    /// A theme was chosen, which is nowhere to be seen here.
    pub fn tell_theme(&mut self, name: &ThemeName) {
        self.page.say(&format!("The theme is `{name}`, where the chat has the screen; plain lines have no colours."));
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
        let new = self.known.take_new(entries);
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
                Entry::Note(note) => {
                    self.has_failed |= note.is_error;
                    self.page.say(&sentence(&as_commands(note.text.text())));
                }
            }
        }
    }

    fn tell_question(&mut self, question: &Question) {
        let is_typed = std::mem::take(&mut self.has_typed);
        if !is_typed {
            let text = question.text.text();
            let shown = as_commands(&folds::shown(text, question.folds(), text.len()));
            self.page.say(&format!("{PROMPT}{shown}"));
        }
        if question.sending == Sending::Waits && self.saying.status != Status::Off {
            self.page.say("Your message waits for the model.");
        }
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
                "What you type takes its place, an empty line asks it again, `/editor` changes it, `/stop` leaves it as it is.",
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
