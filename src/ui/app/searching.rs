//! Searching the messages of all chats while one types, and going to what was found.
//!
//! One search at a time is with the store. What was typed meanwhile is looked for when that one is answered.

use std::ops::Range;

use super::{App, Popup};
use crate::store::{ChatId, MessageId};
use crate::text::escape_line;
use crate::ui::composer::Field;
use crate::ui::msg::{Effect, FoundMessage};
use crate::ui::transcript::Entry;

/// The search while it is open.
#[derive(Debug, Default)]
pub struct ChatSearch {
    pub words: Field,
    pub found: Vec<FoundMessage>,
    pub chosen: usize,
    /// What the store looks for now, and what it has looked for.
    asked: Option<String>,
    answered: Option<String>,
}

/// A message that is to be chosen once its chat is there.
#[derive(Clone, Debug)]
pub(super) struct Jump {
    chat: ChatId,
    pub(super) message: MessageId,
    /// What was found of it.
    pub(super) place: Option<Range<usize>>,
}

impl ChatSearch {
    /// Whether what is shown was found for what is typed.
    pub fn is_answered(&self) -> bool {
        self.answered.as_deref() == Some(self.words.text().trim())
    }

    pub fn chosen_message(&self) -> Option<&FoundMessage> {
        self.found.get(self.chosen)
    }

    pub(super) fn move_by(&mut self, by: i16) {
        let last = self.found.len().saturating_sub(1);
        self.chosen = self.chosen.saturating_add_signed(by.into()).min(last);
    }

    /// What is to be asked of the store, if it is not busy.
    pub(super) fn ask(&mut self) -> Option<Effect> {
        let words = self.words.text().trim();
        if self.asked.is_some() || self.is_answered() {
            return None;
        }
        if words.is_empty() {
            self.answered = Some(String::new());
            self.found.clear();
            self.chosen = 0;
            return None;
        }
        self.asked = Some(words.to_owned());
        Some(Effect::SearchChats(words.to_owned()))
    }
}

impl App {
    /// Opens the search, with these words if there are any.
    pub(super) fn search_chats(&mut self, words: Option<String>) -> Vec<Effect> {
        if !self.has_store {
            self.notice("chats are not saved in this run, so there is nothing to search; start without `--private`");
            return Vec::new();
        }
        let words = Field::holding(&words.unwrap_or_default());
        let mut search = ChatSearch { words, ..ChatSearch::default() };
        let effect = search.ask();
        self.popup = Popup::Search(search);
        effect.into_iter().collect()
    }

    /// Tab in the list of chats: what was typed there is looked for in messages.
    pub(super) fn search_typed(&mut self) -> Vec<Effect> {
        let Popup::Chats(list) = &self.popup else { return Vec::new() };
        let words = list.filter.text().to_owned();
        self.search_chats(Some(words))
    }

    /// The store's answer.
    pub(super) fn found_messages(&mut self, words: String, found: Vec<FoundMessage>) -> Vec<Effect> {
        let Popup::Search(search) = &mut self.popup else { return Vec::new() };
        if search.asked.as_ref() != Some(&words) {
            return Vec::new();
        }
        search.asked = None;
        search.answered = Some(words);
        search.found = found;
        search.chosen = 0;
        search.ask().into_iter().collect()
    }

    /// The store could not answer: what it was asked is not asked again.
    pub(super) fn search_failed(&mut self) {
        if let Popup::Search(search) = &mut self.popup
            && search.asked.is_some()
        {
            search.answered = search.asked.take();
            search.found.clear();
        }
    }

    /// Goes to the message that is chosen.
    pub(super) fn open_found(&mut self) -> Vec<Effect> {
        let Popup::Search(search) = &self.popup else { return Vec::new() };
        let Some(FoundMessage { hit, .. }) = search.chosen_message().cloned() else { return Vec::new() };
        let jump = Jump { chat: hit.chat, message: hit.message, place: hit.place };
        if self.chat.get() == Some(&hit.chat) && self.choose_saved(&jump) {
            self.popup = Popup::Closed;
            return Vec::new();
        }
        let effects = self.open_chat(hit.chat);
        if !effects.is_empty() {
            self.jump = Some(jump);
        }
        effects
    }

    /// What is to be chosen in this chat, which was just read.
    pub(super) fn take_jump(&mut self, chat: ChatId) -> Option<Jump> {
        self.jump.take().filter(|jump| jump.chat == chat)
    }

    /// Chooses a message by its place on disk, if it is on the screen.
    pub(super) fn choose_saved(&mut self, jump: &Jump) -> bool {
        let is_it = |entry: &Entry| entry.saved().is_some_and(|saved| saved.get() == Some(&jump.message));
        let entries = self.transcript.entries();
        let message = self.transcript.messages().position(|place| entries.get(place).is_some_and(is_it));
        let Some(message) = message else { return false };
        self.choose_found(message);
        if let (Some(entry), Some(place)) = (self.entry_of_message(message), &jump.place) {
            self.transcript.reveal_text(entry, place.clone(), &self.look.theme);
        }
        true
    }

    /// It was on no branch of the chat that was read.
    pub(super) fn tell_lost_jump(&mut self) {
        let title = self.title.as_deref().map(escape_line).unwrap_or_default();
        self.notice(format!("this message is no longer in `{title}`: it was deleted meanwhile"));
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::chat::{Ended, Role};
    use crate::store::{Excerpt, Hit};
    use crate::ui::app::tester::{Tester, opened, stored};
    use crate::ui::msg::{Command, Msg, OpenedChat};

    fn found(chat: i64, message: i64) -> FoundMessage {
        let excerpt = Excerpt {
            text: "How to bake bread?".into(),
            marks: std::iter::once(7..11).collect(),
            ..Excerpt::default()
        };
        let hit = Hit {
            chat: ChatId(chat),
            title: format!("Chat {chat}"),
            is_archived: false,
            message: MessageId(message),
            role: Role::User,
            created_at: jiff::Timestamp::UNIX_EPOCH,
            place: Some(7..11),
            excerpt,
        };
        FoundMessage { hit, when: "today 10:00".into() }
    }

    fn answer(tester: &mut Tester, words: &str, found: Vec<FoundMessage>) -> Vec<Effect> {
        tester.update(Msg::FoundMessages { words: words.into(), found })
    }

    fn asked(effects: &[Effect]) -> Option<&str> {
        effects.iter().find_map(|effect| match effect {
            Effect::SearchChats(words) => Some(words.as_str()),
            _ => None,
        })
    }

    fn search(tester: &Tester) -> &ChatSearch {
        let Popup::Search(search) = tester.app.popup() else { panic!("no search") };
        search
    }

    #[test]
    fn one_search_at_a_time_is_asked_for_and_then_what_was_typed_meanwhile() {
        let mut tester = Tester::saving();
        assert!(tester.key(KeyCode::F(5), KeyModifiers::NONE).is_empty());
        assert_eq!(asked(&tester.key(KeyCode::Char('b'), KeyModifiers::NONE)), Some("b"));
        tester.type_text("ake ");
        assert!(!search(&tester).is_answered());
        assert_eq!(asked(&answer(&mut tester, "b", vec![found(4, 2)])), Some("bake"));
        assert!(answer(&mut tester, "b", Vec::new()).is_empty(), "that was another question");
        assert_eq!(search(&tester).found.len(), 1, "what was found stays until there is something else");
        assert_eq!(asked(&answer(&mut tester, "bake", vec![found(4, 2), found(5, 9)])), None);
        assert!(search(&tester).is_answered() && search(&tester).found.len() == 2);
        for _ in 0..5 {
            tester.key(KeyCode::Backspace, KeyModifiers::NONE);
        }
        answer(&mut tester, "bak", Vec::new());
        assert!(search(&tester).found.is_empty() && search(&tester).is_answered());
    }

    #[test]
    fn a_failed_search_is_told_and_another_can_be_begun() {
        let mut tester = Tester::saving();
        assert_eq!(asked(&tester.send("/search bread")), Some("bread"));
        tester.update(Msg::StoreFailed("the disk is gone".into()));
        assert!(search(&tester).is_answered());
        assert_eq!(asked(&tester.key(KeyCode::Char('s'), KeyModifiers::NONE)), Some("breads"));
        let mut tester = Tester::ready();
        assert!(tester.send("/search bread").is_empty());
        assert!(tester.app.notices()[0].contains("not saved"), "{:?}", tester.app.notices());
    }

    #[test]
    fn what_was_typed_in_the_list_is_looked_for_in_messages() {
        let mut tester = Tester::saving();
        tester.command(Command::Chats);
        tester.type_text("bread");
        assert_eq!(asked(&tester.key(KeyCode::Tab, KeyModifiers::NONE)), Some("bread"));
    }

    /// A chat of a question, two answers and what follows the first of them, which is where it goes on.
    fn branched() -> OpenedChat {
        let end = Some(Ended::Stop);
        let messages = vec![
            stored(1, Role::User, "Why?", None),
            stored(2, Role::Assistant, "Because", end),
            stored(3, Role::User, "And then?", None),
            stored(4, Role::Assistant, "Nothing", end),
            stored(5, Role::Assistant, "How to bake bread?", end),
        ];
        let mut chat = opened(4, messages);
        chat.messages[4].parent = Some(MessageId(1));
        OpenedChat { leaf: Some(MessageId(4)), ..chat }
    }

    fn jumping(message: i64) -> Tester {
        let mut tester = Tester::saving();
        tester.send("/search bread");
        answer(&mut tester, "bread", vec![found(9, 1), found(4, message)]);
        tester.key(KeyCode::Down, KeyModifiers::NONE);
        let effects = tester.key(KeyCode::Enter, KeyModifiers::NONE);
        assert!(matches!(effects[..], [Effect::OpenChat(ChatId(4))]), "{effects:?}");
        tester.update(Msg::ChatOpened(branched()));
        tester
    }

    #[test]
    fn enter_opens_the_chat_on_the_branch_of_the_message_and_chooses_it() {
        let mut tester = jumping(5);
        assert_eq!(tester.answer_texts(), ["How to bake bread?"]);
        assert_eq!(tester.app.selected_entry().map(Entry::text), Some("How to bake bread?"));
        tester.key(KeyCode::Esc, KeyModifiers::NONE);
        let tester = jumping(1);
        assert_eq!(tester.answer_texts(), ["Because", "Nothing"], "the branch that the chat goes on with");
        assert_eq!(tester.app.selected_entry().map(Entry::text), Some("Why?"));
        let tester = jumping(99);
        assert_eq!(tester.answer_texts(), ["Because", "Nothing"]);
        assert!(tester.app.notices()[0].contains("deleted meanwhile"), "{:?}", tester.app.notices());
    }

    #[test]
    fn letters_are_written_behind_what_was_found_and_do_nothing_to_it() {
        let mut tester = jumping(1);
        tester.type_text("retry");
        assert_eq!(tester.app.composer().text(), "retry");
        assert!(tester.app.selection().is_none() && !tester.app.is_answering());
        let mut tester = jumping(1);
        tester.key(KeyCode::BackTab, KeyModifiers::SHIFT);
        assert_eq!(tester.app.selected_entry().map(Entry::text), Some("Why?"));
        tester.key(KeyCode::Char('e'), KeyModifiers::NONE);
        assert_eq!(tester.app.edited_message(), Some(1));
    }

    #[test]
    fn a_message_on_the_screen_is_chosen_without_reading_its_chat_again() {
        let mut tester = jumping(5);
        tester.key(KeyCode::Esc, KeyModifiers::NONE);
        tester.send("/search why");
        answer(&mut tester, "why", vec![found(4, 1)]);
        assert!(tester.key(KeyCode::Enter, KeyModifiers::NONE).is_empty());
        assert_eq!(tester.app.selected_entry().map(Entry::text), Some("Why?"));
        assert!(matches!(tester.app.popup(), Popup::Closed));
    }
}
