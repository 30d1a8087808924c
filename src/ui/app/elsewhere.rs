//! A chat that another window has open: it is shown as it is there, and what is sent here goes on in it if it is free by
//! then, else in a copy. Nothing is changed behind the other window's back, and what is being written here
//! is kept as the draft of a new chat.

use std::time::Instant;

use super::App;
use crate::store::ChatId;
use crate::ui::composer::Part;
use crate::ui::msg::{Effect, OpenedChat, Slot};
use crate::ui::transcript::Entry;

const SHOWN: &str = "this chat is open in another window, and what comes there is shown here; what you send here goes on \
    in a copy of it, or in the chat itself if that window has left it";
pub(super) const NOT_HERE: &str = "this chat is open in another window; `/fork` makes a copy that can be changed here";

/// What this window knows of the other one's chat.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    /// A message that was sent and waits for a chat to go on in.
    message: Option<Vec<Part>>,
}

impl App {
    /// The chat that was opened is another window's.
    pub(super) fn show_elsewhere(&mut self) -> Vec<Effect> {
        self.elsewhere = Some(Elsewhere::default());
        self.notice(SHOWN);
        vec![Effect::ReadDraft(None)]
    }

    /// The chat whose draft is what is being written here.
    pub(super) fn chat_of_draft(&self) -> Slot<ChatId> {
        if self.elsewhere.is_some() { Slot::default() } else { self.chat.clone() }
    }

    /// A message waits for a chat to go on in.
    pub(super) fn goes_on_elsewhere(&self) -> bool {
        self.elsewhere.as_ref().is_some_and(|elsewhere| elsewhere.message.is_some())
    }

    /// Asks for a chat in which this message can be sent.
    pub(super) fn send_from_elsewhere(&mut self) -> Vec<Effect> {
        let last = self.transcript.entries().iter().rev().find_map(Entry::saved).cloned();
        let (Some(chat), Some(message)) = (self.chat.get().copied(), last) else { return Vec::new() };
        let Some(elsewhere) = &mut self.elsewhere else { return Vec::new() };
        if elsewhere.message.is_some() {
            self.notice("the message before is still on its way; send this one in a moment");
            return Vec::new();
        }
        elsewhere.message = Some(self.composer.take());
        self.notices.clear();
        vec![Effect::GoOn { chat, message }]
    }

    /// There can be no chat to go on in: the message comes back.
    pub(super) fn stay_elsewhere(&mut self) {
        if let Some(parts) = self.elsewhere.as_mut().and_then(|elsewhere| elsewhere.message.take()) {
            self.composer.give_back(&parts);
        }
    }

    /// A copy of this chat is there, or the chat itself after its window has left it: goes to it, unless something was
    /// begun meanwhile.
    pub(super) fn forked(&mut self, chat: OpenedChat, now: Instant) -> Vec<Effect> {
        if self.reason_to_wait().is_some() {
            self.stay_elsewhere();
            self.notice("the fork is a chat of its own now; Ctrl-O lists it");
            return Vec::new();
        }
        let (id, is_same) = (chat.id, self.chat.get() == Some(&chat.id));
        let message = self.elsewhere.as_mut().and_then(|elsewhere| elsewhere.message.take());
        self.opening = Some(id);
        self.look_ahead(now);
        let options = self.options.clone();
        let mut effects = self.chat_opened(chat);
        // The copy goes on as its original would.
        self.options = options;
        effects.push(Effect::TakeChat(id));
        self.notice(match (is_same, &message) {
            (true, _) => "the other window has left this chat, so it goes on here",
            (false, Some(_)) => "the chat is open in another window, so this is a copy; Ctrl-O lists both",
            (false, None) => "this is the fork, a chat of its own; Ctrl-O lists the one it was made of",
        });
        if let Some(parts) = message {
            // A question that got no word of an answer gives way to this one.
            if self.unanswered_text().is_some_and(|text| self.is_written(&text)) {
                self.composer.take();
            }
            effects.extend(self.send_in_turn(parts));
        }
        effects
    }
}

#[cfg(test)]
mod tests {
    use crate::chat::{Ended, Role};
    use crate::engine::protocol::Step;
    use crate::store::{ChatId, MessageId};
    use crate::ui::app::tester::model;
    use crate::ui::app::tester::{Tester, opened, prompt, saves, settings, stored};
    use crate::ui::msg::{Command, Effect, Msg, OpenedChat, Save};

    /// Chat 4 with an answer that the other window is writing.
    fn theirs() -> OpenedChat {
        let answer = stored(2, Role::Assistant, "half an", None);
        OpenedChat { is_elsewhere: true, ..opened(4, vec![stored(1, Role::User, "one", None), answer]) }
    }

    fn watching() -> Tester {
        let (mut tester, _) = Tester::start(Ok(settings()), true, Some(ChatId(4)));
        tester.model(Step::Ready(Box::new(model(true))));
        let effects = tester.update(Msg::ChatOpened(theirs()));
        assert!(matches!(effects[..], [Effect::ReadDraft(None)]), "{effects:?}");
        tester
    }

    #[test]
    fn a_chat_of_another_window_is_shown_and_said_to_be_so() {
        let mut tester = watching();
        assert_eq!(tester.answer_texts(), ["half an"]);
        assert!(tester.app.notices()[0].contains("open in another window"), "{:?}", tester.app.notices());
        let end = tester.app.transcript.last_answer_mut().unwrap().end.clone();
        assert_ne!(end.map(|end| end.ended()), None, "it is not shown as if it came here");
        for command in ["/retry", "/edit", "/undo", "/continue", "/rename x", "/pin"] {
            tester.command(Command::Stop);
            assert!(tester.send(command).is_empty(), "{command}");
            let notices = tester.app.notices();
            assert!(notices.iter().any(|notice| notice.contains("`/fork`")), "{command}: {notices:?}");
        }
    }

    #[test]
    fn what_is_sent_to_it_goes_into_a_copy() {
        let mut tester = watching();
        let effects = tester.send("two");
        let [Effect::GoOn { chat: ChatId(4), message }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!(message.get(), Some(&MessageId(2)));
        let copy =
            vec![stored(7, Role::User, "one", None), stored(8, Role::Assistant, "half an", Some(Ended::Interrupted))];
        let effects = tester.update(Msg::Forked(opened(5, copy)));
        assert!(effects.iter().any(|effect| matches!(effect, Effect::TakeChat(ChatId(5)))));
        let [Save::Question { chat, text, .. }] = saves(&effects)[..] else { panic!("{effects:?}") };
        assert_eq!((chat.get(), text.as_str()), (Some(&ChatId(5)), "two"));
        assert!(tester.app.notices()[0].contains("this is a copy"), "{:?}", tester.app.notices());
        assert_eq!(prompt(&tester.question_is_saved(9)).unwrap().messages.len(), 3);
    }

    #[test]
    fn it_goes_on_here_once_the_other_window_has_left_it() {
        let mut tester = watching();
        tester.send("two");
        let whole =
            vec![stored(1, Role::User, "one", None), stored(2, Role::Assistant, "half an egg", Some(Ended::Stop))];
        let effects = tester.update(Msg::Forked(opened(4, whole)));
        assert_eq!(saves(&effects).len(), 1);
        assert_eq!(tester.answer_texts(), ["half an egg"]);
        assert!(tester.app.notices()[0].contains("has left this chat"), "{:?}", tester.app.notices());
    }

    #[test]
    fn a_message_that_finds_no_chat_comes_back() {
        let mut tester = watching();
        tester.send("two");
        tester.update(Msg::StoreFailed("the disk is full".into()));
        assert_eq!(tester.app.composer.text(), "two");
        assert!(matches!(tester.send("")[..], [Effect::GoOn { .. }]), "it can be sent again");
    }

    #[test]
    fn what_is_written_there_is_the_draft_of_a_new_chat() {
        let mut tester = watching();
        tester.update(Msg::DraftRead {
            chat: Some(ChatId(4)),
            parts: vec![crate::ui::composer::Part::Text("theirs".into())],
        });
        assert!(tester.app.composer.is_empty());
        tester.type_text("a thought");
        let effects = tester.update(Msg::Terminate);
        let draft = effects.iter().find_map(|effect| match effect {
            Effect::SaveDraft { chat, .. } => Some(chat.get().copied()),
            _ => None,
        });
        assert_eq!(draft, Some(None));
    }

    #[test]
    fn a_chat_that_is_left_is_free_for_other_windows() {
        let (mut tester, _) = Tester::start(Ok(settings()), true, Some(ChatId(4)));
        tester.update(Msg::ChatOpened(opened(
            4,
            vec![stored(1, Role::User, "one", None), stored(2, Role::Assistant, "x", Some(Ended::Stop))],
        )));
        let effects = tester.command(Command::NewChat);
        assert!(effects.iter().any(|effect| matches!(effect, Effect::LeaveChat)), "{effects:?}");
    }
}
