//! Chats of which nothing is written to disk: those of a run with `--private`, and those that `/private` begins. One that
//! is left for another chat stays in memory until the program ends, and the list of chats shows it; its number is
//! negative, which no saved chat's is.

use super::stats::Spent;
use super::tree::Tree;
use super::{App, Popup};
use crate::chat::Stats;
use crate::engine::protocol::GenerateOptions;
use crate::store::ChatId;
use crate::ui::msg::{ChatRow, Effect};
use crate::ui::transcript::{Entry, Transcript};

/// The heading above them in the list.
const HEADING: &str = "Private, in memory until you leave";

/// The private chats that are not on the screen.
#[derive(Debug, Default)]
pub(super) struct Private {
    chats: Vec<Parked>,
    /// How many have been left so far.
    count: i64,
}

/// A private chat that was left for another one.
#[derive(Debug)]
struct Parked {
    id: ChatId,
    title: String,
    transcript: Transcript,
    branches: Tree,
    system: Option<String>,
    options: GenerateOptions,
    last_answer: Option<Stats>,
    spent: Spent,
}

impl App {
    /// Whether nothing of this chat is written to disk, because the person wants it so.
    pub fn is_private(&self) -> bool {
        self.is_private
    }

    /// Begins a private chat.
    pub(super) fn begin_private(&mut self) -> Vec<Effect> {
        if self.is_private {
            self.notice(match self.has_store {
                true => "this chat is private: nothing of it is written to disk; `/new` begins one that is saved",
                false => "this run is private: nothing is written to disk",
            });
            return Vec::new();
        }
        if !self.can_change_chat() {
            return Vec::new();
        }
        let mut effects: Vec<Effect> = self.leave_draft().into_iter().collect();
        self.begin_chat(Transcript::default());
        self.be_private();
        if self.has_store {
            effects.push(Effect::LeaveChat);
        }
        self.notice("this chat is private: nothing of it is written to disk, and it is gone when you leave tuichat");
        effects
    }

    /// The chat on the screen is one of which nothing is written.
    fn be_private(&mut self) {
        self.is_private = true;
        self.may_send_to = None;
        self.saves = false;
        // There is none on disk to be read.
        self.kept.was_read();
        self.kept.opened();
    }

    /// The private chat on the screen is left: it stays in memory, and what was written in it goes nowhere else.
    pub(super) fn park(&mut self) {
        if !self.is_private {
            return;
        }
        if self.has_store {
            self.composer = self.composer.emptied();
            self.queue.clear();
            self.history.forget_private();
        }
        self.branches.forget_deletions();
        let is_begun = !self.branches.is_empty();
        let title = self.title_for(&self.first_question());
        let (transcript, branches) = (std::mem::take(&mut self.transcript), std::mem::take(&mut self.branches));
        if !is_begun {
            return;
        }
        self.private.count += 1;
        self.private.chats.push(Parked {
            id: ChatId(-self.private.count),
            title,
            transcript,
            branches,
            system: self.system.take(),
            options: self.options.clone(),
            last_answer: self.last_answer.take(),
            spent: std::mem::take(&mut self.spent),
        });
    }

    fn first_question(&self) -> String {
        let entries = self.transcript.entries().iter();
        let mut questions = entries.filter(|entry| matches!(entry, Entry::Question(_)));
        questions.next().map_or(String::new(), |question| question.text().to_owned())
    }

    /// The private chats for the list, the one that was left last first.
    pub(super) fn parked_rows(&self) -> Vec<ChatRow> {
        let row = |parked: &Parked| ChatRow {
            id: parked.id,
            title: parked.title.clone(),
            age: "private".into(),
            day: HEADING.into(),
            messages: parked.transcript.messages().count() as u32,
            is_open_elsewhere: false,
            tags: Vec::new(),
            is_archived: false,
        };
        self.private.chats.iter().rev().map(row).collect()
    }

    pub(super) fn has_parked(&self) -> bool {
        !self.private.chats.is_empty()
    }

    /// Shows a private chat again.
    pub(super) fn open_parked(&mut self, id: ChatId) -> Vec<Effect> {
        let Some(place) = self.private.chats.iter().position(|parked| parked.id == id) else { return Vec::new() };
        self.popup = Popup::Closed;
        let mut effects: Vec<Effect> = self.leave_draft().into_iter().collect();
        let parked = self.private.chats.remove(place);
        self.begin_chat(parked.transcript);
        self.be_private();
        self.branches = parked.branches;
        self.title = Some(parked.title);
        self.system = parked.system;
        self.options = parked.options;
        self.last_answer = parked.last_answer;
        self.spent = parked.spent;
        if self.has_store {
            effects.push(Effect::LeaveChat);
        }
        effects
    }

    /// Drops a private chat that is not on the screen.
    pub(super) fn drop_parked(&mut self, id: ChatId) {
        self.private.chats.retain(|parked| parked.id != id);
    }

    pub(super) fn rename_parked(&mut self, id: ChatId, title: &str) {
        let parked = self.private.chats.iter_mut().find(|parked| parked.id == id);
        if let Some(parked) = parked {
            title.clone_into(&mut parked.title);
        }
    }

    /// Copies a private chat up to this message into another one, which is shown; the first stays in the list.
    pub(super) fn fork_private(&mut self, message: usize) -> Vec<Effect> {
        if let Some(reason) = self.reason_to_wait() {
            self.notice(reason);
            return Vec::new();
        }
        let places: Vec<usize> = self.transcript.messages().take(message + 1).collect();
        let entries = self.transcript.entries();
        let copies: Vec<Entry> =
            places.iter().filter_map(|place| entries.get(*place)).filter_map(Entry::copy).collect();
        if copies.is_empty() {
            self.notice("there is no message yet to copy into a new chat");
            return Vec::new();
        }
        let title = self.title_for(&self.first_question());
        let title = format!("Fork of {}", title.strip_prefix("Fork of ").unwrap_or(&title));
        let (system, options) = (self.system.clone(), self.options.clone());
        self.begin_chat(Transcript::default());
        self.be_private();
        copies.into_iter().for_each(|entry| self.push_message(entry));
        (self.system, self.options, self.title) = (system, options, Some(title));
        self.notice("this is the fork, private like the chat it was made of; Ctrl-O lists that one until you leave");
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::chat::Ended;
    use crate::ui::app::tester::{Tester, chat_row, prompt, saves, user};
    use crate::ui::msg::{Command, Msg};

    fn exchange(tester: &mut Tester, question: &str, answer: &str) -> Vec<Effect> {
        let mut effects = tester.send(question);
        effects.extend(tester.token(answer, 1));
        effects.extend(tester.finish(Ended::Stop));
        effects
    }

    /// What would be written to disk of a conversation.
    fn writes(effects: &[Effect]) -> Vec<&Effect> {
        let is_written = |effect: &&Effect| match effect {
            Effect::SaveDraft { parts, .. } => !parts.is_empty(),
            Effect::Save(_) | Effect::Rename { .. } | Effect::Pin { .. } | Effect::GoTo { .. } => true,
            _ => false,
        };
        effects.iter().filter(is_written).collect()
    }

    #[test]
    fn a_private_chat_writes_nothing_and_a_new_one_is_saved_again() {
        let mut tester = Tester::saving();
        let mut effects = tester.send("/private");
        assert!(tester.app.is_private() && tester.app.notices()[0].contains("private"));
        effects.extend(exchange(&mut tester, "canary one", "canary two"));
        assert_eq!(prompt(&effects).map(|prompt| prompt.chat), Some(None), "no snapshot is kept of it");
        tester.type_text("canary three");
        tester.wait(60_000);
        effects.extend(tester.update(Msg::Tick));
        effects.extend(tester.tick_when_due());
        tester.command(Command::Private);
        effects.extend(tester.command(Command::NewChat));
        assert!(writes(&effects).is_empty(), "{effects:?}");
        assert!(!tester.app.is_private() && tester.app.is_saved());
        assert!(tester.app.composer.is_empty());
        tester.update(Msg::DraftRead { chat: None, parts: Vec::new() });
        assert_eq!(saves(&tester.send("two")).len(), 1);
    }

    #[test]
    fn what_was_deleted_in_a_private_chat_is_gone_once_it_is_left() {
        let mut tester = Tester::saving();
        tester.command(Command::Private);
        exchange(&mut tester, "one", "yes");
        exchange(&mut tester, "two", "no");
        tester.key(KeyCode::BackTab, KeyModifiers::NONE);
        tester.type_text("dd");
        tester.command(Command::NewChat);
        let parked = tester.app.parked_rows()[0].id;
        tester.app.open_parked(parked);
        tester.command(Command::RedoExchange);
        assert!(tester.app.notices()[0].starts_with("nothing was taken back here"), "{:?}", tester.app.notices());
        assert_eq!(tester.app.transcript.messages().count(), 3);
    }

    #[test]
    fn nothing_of_a_private_chat_can_be_brought_back_into_a_saved_one() {
        let mut tester = Tester::saving();
        tester.command(Command::Private);
        exchange(&mut tester, "canary", "yes");
        tester.type_text("another canary");
        tester.key(KeyCode::Char('w'), KeyModifiers::CONTROL);
        tester.command(Command::NewChat);
        tester.update(Msg::DraftRead { chat: None, parts: Vec::new() });
        tester.update(Msg::SentRead(Vec::new()));
        for (code, modifiers) in [
            (KeyCode::Char('/'), KeyModifiers::CONTROL),
            (KeyCode::Char('y'), KeyModifiers::CONTROL),
            (KeyCode::Up, KeyModifiers::NONE),
        ] {
            tester.key(code, modifiers);
            assert!(tester.app.composer.is_empty(), "{code:?} brings back `{}`", tester.app.composer.text());
        }
    }

    #[test]
    fn a_private_chat_that_was_left_is_in_the_list_until_the_program_ends() {
        let mut tester = Tester::saving();
        tester.command(Command::Private);
        exchange(&mut tester, "secret bread", "yes");
        tester.command(Command::NewChat);
        tester.command(Command::Chats);
        tester.update(Msg::Chats(vec![chat_row(4, "Theme parks")]));
        let Popup::Chats(list) = tester.app.popup() else { panic!("no list") };
        let titles: Vec<&str> = list.matching().iter().map(|row| row.title.as_str()).collect();
        assert_eq!(titles, ["secret bread", "Theme parks"]);
        let effects = tester.command(Command::OpenChosen);
        assert!(tester.app.is_private() && writes(&effects).is_empty());
        assert_eq!(tester.answer_texts(), ["yes"]);
        let effects = exchange(&mut tester, "more", "indeed");
        assert_eq!(prompt(&effects).unwrap().messages.len(), 3);
        tester.command(Command::NewChat);
        tester.command(Command::Chats);
        tester.update(Msg::Chats(Vec::new()));
        assert!(tester.command(Command::DeleteChosen).is_empty());
        let Popup::Chats(list) = tester.app.popup() else { panic!("no list") };
        assert!(list.matching().is_empty());
    }

    #[test]
    fn the_fork_of_a_private_chat_is_private_and_both_can_be_gone_on_with() {
        for mut tester in [Tester::ready(), Tester::saving()] {
            tester.command(Command::Private);
            exchange(&mut tester, "one", "first");
            exchange(&mut tester, "two", "second");
            let effects = tester.send("/fork 2");
            assert!(writes(&effects).is_empty() && tester.app.is_private());
            assert_eq!(tester.answer_texts(), ["first"]);
            let effects = exchange(&mut tester, "three", "third");
            assert_eq!(prompt(&effects).unwrap().messages[2], user("three"));
            assert!(writes(&effects).is_empty(), "{effects:?}");
            let effects = tester.command(Command::Chats);
            if !effects.is_empty() {
                tester.update(Msg::Chats(Vec::new()));
            }
            tester.command(Command::OpenChosen);
            assert_eq!(tester.answer_texts(), ["first", "second"]);
            let effects = exchange(&mut tester, "four", "fourth");
            assert_eq!(prompt(&effects).unwrap().messages.len(), 5);
        }
        let mut tester = Tester::ready();
        tester.command(Command::Private);
        tester.command(Command::Stop);
        assert!(tester.send("/fork").is_empty());
        assert!(tester.app.notices()[0].contains("no message yet"), "{:?}", tester.app.notices());
    }
}
