//! What another program writes into the chat that is on the screen. It is shown as soon as nothing is under way here,
//! below what is there already; what is being written here stays as it is.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::App;
use super::chats::entry_of;
use super::tree::NodeId;
use crate::store::{MessageId, Stamp};
use crate::ui::msg::{Changes, Effect, OpenedMessage};
use crate::ui::transcript::{End, Entry};

/// How often it is looked whether an answer of another program goes on, which may have died.
const LOOK_EVERY: Duration = Duration::from_secs(1);
pub(super) const BEING_ANSWERED: &str = "another program is writing an answer here; wait until it is done";

/// What is known of the chat on disk.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Another program has written something, and it was not looked what.
    is_there: bool,
    is_asked: bool,
    seen: Option<Stamp>,
    look_at: Option<Instant>,
}

/// Where a message is that is known here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub node: NodeId,
    /// Its place among the entries, if it is on the screen.
    pub entry: Option<usize>,
}

/// What became of the messages that were read.
#[derive(Debug, Default)]
struct Learned {
    nodes: HashMap<MessageId, NodeId>,
    has_new: bool,
    has_changed: bool,
}

impl App {
    pub(super) fn news_due_at(&self) -> Option<Instant> {
        self.news.look_at
    }

    /// Another program has written something somewhere.
    pub(super) fn written_outside(&mut self) {
        self.news.is_there = true;
    }

    pub(super) fn look_for_news_if_due(&mut self, now: Instant) {
        if self.news.look_at.take_if(|at| now >= *at).is_some() {
            self.news.is_there = true;
        }
    }

    /// An answer of another program goes on even if nothing more is heard of it.
    pub(super) fn look_for_news_later(&mut self, now: Instant) {
        self.news.look_at = self.ends_elsewhere().then(|| now + LOOK_EVERY);
    }

    /// After anything happened: asks what was written, once it could be shown.
    pub(super) fn ask_for_news(&mut self) -> Option<Effect> {
        if !self.news.is_there || self.news.is_asked || !self.can_show_news() {
            return None;
        }
        let chat = *self.chat.get()?;
        self.news.is_there = false;
        self.news.is_asked = true;
        Some(Effect::ReadChanges { chat, seen: self.news.seen.clone() })
    }

    /// Whether nothing is under way here for which the conversation has to stay as it is.
    fn can_show_news(&self) -> bool {
        let is_on_disk = self.saves && self.chat.get().is_some_and(|chat| chat.0 > 0);
        let is_busy = self.is_answering() || self.outbox.is_some() || self.opening.is_some();
        let is_doing = self.selection.is_some() || self.editing.is_some() || self.history.is_searching();
        is_on_disk && !is_busy && !is_doing && !self.goes_on_elsewhere()
    }

    /// The last answer was not written to its end when it was read.
    fn ends_elsewhere(&self) -> bool {
        let last = self.transcript.entries().iter().rev().find(|entry| !matches!(entry, Entry::Note(_)));
        matches!(last, Some(Entry::Answer(answer)) if answer.end == Some(End::Elsewhere))
    }

    /// Another program is writing an answer in the chat that is open here.
    pub(super) fn is_answered_outside(&self) -> bool {
        self.elsewhere.is_none() && self.ends_elsewhere()
    }

    /// The chat was read again.
    pub(super) fn changes_read(&mut self, changes: Option<Changes>, now: Instant) -> Vec<Effect> {
        self.news.is_asked = false;
        let Some(Changes { chat, stamp }) = changes else {
            self.look_for_news_later(now);
            return Vec::new();
        };
        if self.chat.get() != Some(&chat.id) {
            return Vec::new();
        }
        if !self.can_show_news() {
            self.news.is_there = true;
            return Vec::new();
        }
        self.news.seen = Some(stamp);
        if let Some(title) = &mut self.title {
            *title = chat.title;
        }
        let learned = self.learn(chat.messages);
        let is_shown = self.show_leaf(chat.leaf.and_then(|leaf| learned.nodes.get(&leaf)).copied());
        if self.elsewhere.is_some() {
            self.forget_deleted(&learned.nodes);
        } else if learned.has_new {
            self.notice(match is_shown {
                true => "another program has written to this chat; what came is shown here",
                false => "another program has written to this chat, on another branch: ‹\u{a0}1/2\u{a0}› marks where",
            });
        }
        if learned.has_new || learned.has_changed {
            self.unkept_pins.clear();
            self.look_ahead(now);
        }
        self.look_for_news_later(now);
        self.send_next()
    }

    /// Takes in what is new of these messages. What was said here is known already.
    fn learn(&mut self, messages: Vec<OpenedMessage>) -> Learned {
        let known = self.branches.known(&self.transcript);
        let mut learned = Learned::default();
        for stored in messages {
            let (id, parent) = (stored.id, stored.parent.and_then(|parent| learned.nodes.get(&parent).copied()));
            let Some(entry) = entry_of(stored) else { continue };
            let node = match known.get(&id) {
                Some(&known) => {
                    learned.has_changed |= self.catch_up(known, entry);
                    known.node
                }
                None => {
                    learned.has_new = true;
                    self.branches.keep(parent, entry)
                }
            };
            learned.nodes.insert(id, node);
        }
        learned
    }

    /// Shows how far an answer has come that another program writes; whether it has changed.
    fn catch_up(&mut self, known: Known, stored: Entry) -> bool {
        let (Some(Entry::Answer(shown)), Entry::Answer(mut stored)) =
            (self.branches.entry_mut(known, &mut self.transcript), stored)
        else {
            return false;
        };
        let is_theirs = self.elsewhere.is_some() || shown.end == Some(End::Elsewhere);
        let is_same = shown.document.text() == stored.document.text()
            && shown.thinking.text() == stored.thinking.text()
            && shown.end == stored.end;
        if !is_theirs || is_same {
            return false;
        }
        (stored.hold, stored.siblings) = (shown.hold, shown.siblings);
        *shown = stored;
        true
    }

    /// Shows the branch that the chat goes on with, unless that leads away from what is on the screen of the window
    /// that has the chat; whether it is shown.
    fn show_leaf(&mut self, leaf: Option<NodeId>) -> bool {
        let branch = leaf.map(|leaf| self.branches.branch_to(leaf)).unwrap_or_default();
        let goes_on_here = branch.starts_with(self.branches.path());
        let is_shown = goes_on_here || self.elsewhere.is_some();
        if is_shown {
            self.branches.show(&branch, &mut self.transcript);
        }
        self.branches.mark_all(&mut self.transcript);
        is_shown
    }

    /// What the other window has deleted is gone here, too.
    fn forget_deleted(&mut self, there: &HashMap<MessageId, NodeId>) {
        let known = self.branches.known(&self.transcript);
        let gone = known.iter().filter(|(id, known)| !there.contains_key(id) && known.entry.is_none());
        for (_, known) in gone {
            self.branches.remove(known.node, &mut self.transcript);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Ended, Role};
    use crate::store::{ChatId, Store};
    use crate::ui::app::tester::{Tester, opened, prompt, saves, stored, user};
    use crate::ui::msg::{Command, Msg, OpenedChat, Save};

    /// Chat 1 with a question and its answer, which were asked here.
    fn answered() -> Tester {
        let mut tester = Tester::saving();
        tester.send("one");
        tester.question_is_saved(1);
        tester.token("1", 1);
        tester.finish(Ended::Stop);
        name_answer(&mut tester, 2);
        tester
    }

    fn name_answer(tester: &mut Tester, id: i64) {
        tester.app.transcript.last_answer_mut().unwrap().saved.get_or_init(|| MessageId(id));
    }

    /// The chat after another program asked something that is answered so far.
    fn asked_outside(answer: &str, ended: Option<Ended>) -> OpenedChat {
        let messages = vec![
            stored(1, Role::User, "one", None),
            stored(2, Role::Assistant, "1", Some(Ended::Stop)),
            stored(3, Role::User, "two", None),
            stored(4, Role::Assistant, answer, ended),
        ];
        opened(1, messages)
    }

    fn stamp() -> Stamp {
        let mut store = Store::in_memory().unwrap();
        let chat = store.create_chat("x", None).unwrap();
        store.stamp(chat).unwrap()
    }

    fn asks(effects: &[Effect]) -> bool {
        effects.iter().any(|effect| matches!(effect, Effect::ReadChanges { chat: ChatId(1), .. }))
    }

    fn read(tester: &mut Tester, chat: OpenedChat) -> Vec<Effect> {
        tester.update(Msg::Changed(Some(Box::new(Changes { chat, stamp: stamp() }))))
    }

    #[test]
    fn what_another_program_asks_is_shown_and_a_draft_stays() {
        let mut tester = answered();
        tester.type_text("a draft");
        assert!(asks(&tester.update(Msg::WrittenOutside)));
        read(&mut tester, asked_outside("2", Some(Ended::Stop)));
        assert_eq!(tester.answer_texts(), ["1", "2"]);
        assert_eq!(tester.app.composer.text(), "a draft");
        assert!(tester.app.notices()[0].contains("another program"), "{:?}", tester.app.notices());
        tester.command(Command::Interrupt);
        let effects = tester.send("three");
        let [Save::Question { parent: Some(parent), .. }] = saves(&effects)[..] else { panic!("{effects:?}") };
        assert_eq!(parent.get(), Some(&MessageId(4)), "it goes on behind that");
    }

    #[test]
    fn it_waits_for_the_end_of_an_answer_that_is_under_way_here() {
        let mut tester = answered();
        tester.send("mine");
        tester.question_is_saved(5);
        tester.token("m", 1);
        name_answer(&mut tester, 6);
        assert!(!asks(&tester.update(Msg::WrittenOutside)));
        assert!(asks(&tester.finish(Ended::Stop)));
        let mut chat = asked_outside("2", Some(Ended::Stop));
        for (id, parent, role) in [(5, 2, Role::User), (6, 5, Role::Assistant)] {
            let ended = (role == Role::Assistant).then_some(Ended::Stop);
            let text = if role == Role::User { "mine" } else { "m" };
            chat.messages.push(OpenedMessage { parent: Some(MessageId(parent)), ..stored(id, role, text, ended) });
        }
        read(&mut tester, chat);
        assert_eq!(tester.answer_texts(), ["1", "m"], "what is on the screen stays there");
        assert!(tester.app.notices()[0].contains("on another branch"), "{:?}", tester.app.notices());
        let question = tester.app.transcript.entries().iter().rev().find(|entry| matches!(entry, Entry::Question(_)));
        assert_eq!(question.map(|entry| entry.siblings().count), Some(2));
    }

    #[test]
    fn an_answer_that_grows_elsewhere_grows_here_and_what_is_sent_waits_for_it() {
        let mut tester = answered();
        tester.update(Msg::WrittenOutside);
        read(&mut tester, asked_outside("it", None));
        assert_eq!(tester.answer_texts(), ["1", "it"]);
        assert!(saves(&tester.send("three")).is_empty());
        assert_eq!(tester.app.queued().len(), 1);
        tester.app.notices.clear();
        tester.wait(1500);
        assert!(asks(&tester.update(Msg::Tick)), "its program may have died without a word");
        read(&mut tester, asked_outside("it is", None));
        assert_eq!(tester.answer_texts(), ["1", "it is"]);
        assert!(tester.app.notices().is_empty(), "it was told once");
        tester.update(Msg::WrittenOutside);
        let effects = read(&mut tester, asked_outside("it is two", Some(Ended::Stop)));
        let [Save::Question { text, .. }] = saves(&effects)[..] else { panic!("{effects:?}") };
        assert_eq!(text, "three");
        let effects = tester.question_is_saved(7);
        let messages = &prompt(&effects).unwrap().messages;
        assert_eq!((messages.len(), messages.last()), (5, Some(&user("three"))));
    }

    #[test]
    fn a_chat_of_another_window_follows_that() {
        let mut tester = answered();
        let theirs = |chat| OpenedChat { is_elsewhere: true, ..chat };
        tester.command(Command::NewChat);
        tester.app.opening = Some(ChatId(1));
        tester.update(Msg::ChatOpened(theirs(asked_outside("2", Some(Ended::Stop)))));
        tester.update(Msg::WrittenOutside);
        let mut chat = asked_outside("2", Some(Ended::Stop));
        chat.messages.truncate(2);
        chat.leaf = Some(MessageId(2));
        read(&mut tester, theirs(chat));
        assert_eq!(tester.answer_texts(), ["1"], "the rest was deleted there");
        tester.update(Msg::WrittenOutside);
        read(&mut tester, theirs(asked_outside("two", None)));
        assert_eq!(tester.answer_texts(), ["1", "two"]);
    }

    #[test]
    fn a_change_of_a_chat_that_was_left_changes_nothing() {
        let mut tester = answered();
        tester.update(Msg::WrittenOutside);
        tester.command(Command::NewChat);
        assert!(read(&mut tester, asked_outside("2", Some(Ended::Stop))).is_empty());
        assert!(tester.answer_texts().is_empty());
        assert!(tester.update(Msg::WrittenOutside).is_empty(), "a new chat is on no disk");
    }
}
