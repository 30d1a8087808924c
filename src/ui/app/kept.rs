//! What is being written, kept on disk with its chat: some seconds after the last key, when messages begin or cease to
//! wait, and when the chat is left. What waits to be sent is kept as a part of it, in its order.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use super::App;
use crate::store::ChatId;
use crate::ui::composer::{Part, bytes};
use crate::ui::msg::{Effect, Slot};

/// Nothing was typed for so long.
const AFTER: Duration = Duration::from_secs(3);
/// More is written only when the chat is left: a card is slow.
const MOST_BYTES: usize = 256 * 1024;

/// What is known of the draft on disk.
#[derive(Debug, Default)]
pub(super) struct Kept {
    is_on_disk: bool,
    /// What is on disk, in short.
    hash: u64,
    /// The text that was looked at last.
    seen: (u64, u64),
    due: Option<Instant>,
    /// What is written belongs to the chat that is being opened at the start.
    is_starting: bool,
    /// What is on disk is being read, and must not be written over unseen.
    is_unread: bool,
}

impl Kept {
    /// At the start, when perhaps a chat is being opened.
    pub(super) fn starting(opens_chat: bool) -> Self {
        Self { is_starting: opens_chat, is_unread: true, ..Self::default() }
    }

    /// The chat of the start is there, or will not be.
    pub(super) fn opened(&mut self) {
        self.is_starting = false;
    }

    /// What is on disk was read, or cannot be.
    pub(super) fn was_read(&mut self) {
        self.is_unread = false;
    }
}

impl App {
    pub(super) fn draft_due_at(&self) -> Option<Instant> {
        self.kept.due
    }

    /// After anything happened: what is to be written now, and when to look again.
    pub(super) fn keep_draft(&mut self, now: Instant) -> Option<Effect> {
        if !self.saves || self.history.is_searching() || self.opening.is_some() || self.kept.is_unread {
            return None;
        }
        let seen = (self.composer.revision(), self.queue.revision());
        if seen != self.kept.seen {
            let waits_otherwise = seen.1 != self.kept.seen.1;
            self.kept.seen = seen;
            let is_empty = self.composer.is_empty() && self.queue.is_empty();
            self.kept.due = match (is_empty, self.kept.is_on_disk) {
                (true, false) => None,
                (true, true) => Some(now),
                (false, _) if waits_otherwise => Some(now),
                (false, _) => Some(now + AFTER),
            };
        }
        self.kept.due.take_if(|due| now >= *due)?;
        let waiting: usize = self.queued().map(bytes).sum();
        if waiting > MOST_BYTES {
            return None;
        }
        let parts = self.unsent();
        if bytes(&parts) > MOST_BYTES { None } else { self.save_draft(parts) }
    }

    fn save_draft(&mut self, parts: Vec<Part>) -> Option<Effect> {
        let mut hasher = DefaultHasher::new();
        parts.hash(&mut hasher);
        let hash = hasher.finish();
        if parts.is_empty() && !self.kept.is_on_disk || self.kept.is_on_disk && hash == self.kept.hash {
            return None;
        }
        self.kept.is_on_disk = !parts.is_empty();
        self.kept.hash = hash;
        Some(Effect::SaveDraft { chat: self.chat_of_draft(), parts, adds: self.kept.is_unread })
    }

    /// What waits and what is being written, with a blank line between.
    fn unsent(&self) -> Vec<Part> {
        let mut messages: Vec<Vec<Part>> = self.queued().map(<[Part]>::to_vec).collect();
        messages.extend(self.written_before_editing());
        if !self.composer.is_empty() && !self.edits_nothing() {
            messages.push(self.composer.parts());
        }
        messages.join(&Part::Text("\n\n".into()))
    }

    /// The first message of a new chat is sent: what was kept of it is no draft of a new chat any more.
    pub(super) fn forget_new_draft(&mut self) -> Option<Effect> {
        let is_new = self.chat.get().is_none();
        (is_new && std::mem::take(&mut self.kept.is_on_disk)).then(|| Effect::SaveDraft {
            chat: Slot::default(),
            parts: Vec::new(),
            adds: false,
        })
    }

    /// The chat is left, or the program: what is being written there is written to disk.
    pub(super) fn save_draft_now(&mut self) -> Option<Effect> {
        self.close_search();
        if !self.saves || self.kept.is_starting {
            return None;
        }
        let parts = self.unsent();
        self.save_draft(parts)
    }

    /// The chat is left for another: what is being written stays with it.
    pub(super) fn leave_draft(&mut self) -> Option<Effect> {
        let effect = self.save_draft_now();
        if self.has_store && !std::mem::take(&mut self.kept.is_starting) {
            self.queue.clear();
            self.forget_editing();
            self.composer.take();
        }
        self.kept = Kept { is_unread: true, ..Kept::default() };
        self.kept.seen = (self.composer.revision(), self.queue.revision());
        effect
    }

    /// What was being written in this chat when it was left.
    pub(super) fn draft_read(&mut self, chat: Option<ChatId>, parts: &[Part]) {
        if self.chat_of_draft().get().copied() != chat || self.opening.is_some() || self.is_private {
            return;
        }
        self.kept.was_read();
        if parts.is_empty() {
            return;
        }
        self.kept.is_on_disk = true;
        if self.elsewhere.is_some() {
            self.notice("in the text field is what you had begun to write for a new chat");
        }
        let is_given_back = self.unanswered_text().is_some_and(|text| self.is_written(&text));
        if self.composer.is_empty() || is_given_back {
            self.composer.begin(parts);
        } else {
            self.composer.give_back(parts);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Ended, Role};
    use crate::ui::app::tester::{Tester, opened, saves, settings, stored};
    use crate::ui::composer::sent;
    use crate::ui::msg::{Command, Msg, Save};

    /// Of which chat, and what, is written to disk.
    fn drafts(effects: &[Effect]) -> Vec<(Option<i64>, String)> {
        let drafts = effects.iter().filter_map(|effect| match effect {
            Effect::SaveDraft { chat, parts, .. } => Some((chat.get().map(|chat| chat.0), sent(parts))),
            _ => None,
        });
        drafts.collect()
    }

    fn read(tester: &mut Tester, chat: Option<i64>, text: &str) {
        tester.update(Msg::DraftRead { chat: chat.map(ChatId), parts: vec![Part::Text(text.into())] });
    }

    fn open(tester: &mut Tester, chat: i64, messages: Vec<crate::ui::msg::OpenedMessage>) -> Vec<Effect> {
        tester.app.opening = Some(ChatId(chat));
        tester.update(Msg::ChatOpened(opened(chat, messages)))
    }

    #[test]
    fn what_is_written_is_on_disk_some_seconds_after_the_last_key() {
        let mut tester = Tester::saving();
        tester.type_text("a thought");
        tester.wait(2900);
        assert!(drafts(&tester.update(Msg::Tick)).is_empty());
        tester.type_text("!");
        tester.wait(2900);
        assert!(drafts(&tester.update(Msg::Tick)).is_empty());
        tester.wait(100);
        assert_eq!(drafts(&tester.update(Msg::Tick)), [(None, "a thought!".into())]);
        tester.wait(9000);
        assert!(drafts(&tester.update(Msg::Tick)).is_empty(), "once");
    }

    #[test]
    fn a_draft_that_was_not_read_yet_is_added_to() {
        let adds = |effects: &[Effect]| {
            let mut drafts = effects.iter().filter_map(|effect| match effect {
                Effect::SaveDraft { adds, .. } => Some(*adds),
                _ => None,
            });
            drafts.next()
        };
        let mut tester = Tester::saving();
        tester.command(Command::NewChat);
        tester.type_text("x");
        assert_eq!(adds(&tester.update(Msg::Terminate)), Some(false), "it is that of before");
        let mut tester = Tester::starting(true, false);
        tester.type_text("a thought");
        tester.wait(9000);
        assert!(drafts(&tester.update(Msg::Tick)).is_empty());
        assert_eq!(adds(&tester.update(Msg::Terminate)), Some(true));
    }

    #[test]
    fn a_draft_that_was_sent_is_no_draft_any_more() {
        let mut tester = Tester::saving();
        tester.type_text("one");
        tester.wait(3000);
        tester.update(Msg::Tick);
        let effects = tester.command(Command::Send);
        assert_eq!(drafts(&effects), [(None, String::new())]);
        assert!(matches!(&effects[..], [Effect::SaveDraft { .. }, Effect::Save(Save::Question { .. })]));
        tester.question_is_saved(1);
        tester.token("first", 1);
        tester.finish(Ended::Stop);
        tester.type_text("two");
        tester.wait(3000);
        assert_eq!(drafts(&tester.update(Msg::Tick)), [(Some(1), "two".into())]);
        assert_eq!(drafts(&tester.command(Command::Send)), [(Some(1), String::new())]);
    }

    #[test]
    fn what_waits_is_on_disk_at_once_and_when_the_program_ends() {
        let mut tester = Tester::saving();
        tester.send("one");
        tester.question_is_saved(1);
        tester.token("first", 1);
        assert_eq!(drafts(&tester.send("two")), [(Some(1), "two".into())]);
        tester.type_text("three");
        let effects = tester.update(Msg::Terminate);
        assert_eq!(drafts(&effects), [(Some(1), "two\n\nthree".into())]);
        assert!(matches!(saves(&effects)[..], [.., Save::AnswerEnds { .. }]));
    }

    #[test]
    fn every_chat_has_a_draft_of_its_own() {
        let mut tester = Tester::saving();
        tester.type_text("for a new one");
        let effects =
            open(&mut tester, 4, vec![stored(1, Role::User, "q", None), stored(2, Role::Assistant, "a", None)]);
        assert_eq!(drafts(&effects), [(None, "for a new one".into())]);
        assert!(tester.app.composer.is_empty());
        read(&mut tester, Some(3), "for another");
        assert!(tester.app.composer.is_empty(), "it is of another chat");
        read(&mut tester, Some(4), "for this one");
        assert_eq!(tester.app.composer.text(), "for this one");
        let effects = tester.command(Command::NewChat);
        assert_eq!(drafts(&effects), [(Some(4), "for this one".into())]);
        assert!(matches!(effects[..], [.., Effect::ReadDraft(None)]), "{effects:?}");
        tester.type_text("early");
        read(&mut tester, None, "for a new one");
        assert_eq!(tester.app.composer.text(), "for a new one\nearly");
    }

    #[test]
    fn what_was_being_written_is_kept_when_ctrl_c_twice_leaves() {
        let mut tester = Tester::saving();
        tester.type_text("half a thought");
        tester.command(Command::Interrupt);
        assert!(tester.app.composer.is_empty());
        let effects = tester.command(Command::Interrupt);
        assert_eq!(drafts(&effects), [(None, "half a thought".into())]);
    }

    #[test]
    fn a_question_without_an_answer_is_not_given_back_twice() {
        let mut tester = Tester::saving();
        open(&mut tester, 4, vec![stored(1, Role::User, "why", None)]);
        assert_eq!(tester.app.composer.text(), "why");
        read(&mut tester, Some(4), "why not?");
        assert_eq!(tester.app.composer.text(), "why not?");
    }

    #[test]
    fn what_is_written_while_a_chat_is_resumed_belongs_to_it() {
        let (mut tester, effects) = Tester::start(Ok(settings()), true, Some(ChatId(4)));
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::ReadDraft(_))));
        tester.type_text("early");
        let effects = tester.update(Msg::ChatOpened(opened(4, Vec::new())));
        assert!(drafts(&effects).is_empty());
        assert_eq!(tester.app.composer.text(), "early");
    }

    #[test]
    fn nothing_is_written_of_a_private_chat() {
        let mut tester = Tester::ready();
        tester.type_text("secret");
        tester.wait(9000);
        assert!(drafts(&tester.update(Msg::Tick)).is_empty());
        assert!(drafts(&tester.command(Command::NewChat)).is_empty());
        assert_eq!(tester.app.composer.text(), "secret");
        assert!(drafts(&tester.update(Msg::Terminate)).is_empty());
    }
}
