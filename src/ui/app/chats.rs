//! The list of chats, and going from one chat to another.

use std::collections::HashMap;

use super::news::News;
use super::retrying::Again;
use super::stats::Spent;
use super::tree::Tree;
use super::{App, Held, Popup};
use crate::chat::Role;
use crate::store::ChatId;
use crate::text::escape_line;
use crate::ui::composer::Field;
use crate::ui::msg::{ChatRow, Effect, OpenedChat, OpenedMessage, Slot};
use crate::ui::transcript::{Answer, End, Entry, Hold, Question, Transcript};

/// The list of chats while it is open.
#[derive(Debug, Default)]
pub struct ChatList {
    /// `None` until the store has answered.
    rows: Option<Vec<ChatRow>>,
    pub filter: Field,
    pub chosen: usize,
    /// It shows those that were put away, and not the others.
    pub shows_archived: bool,
    /// The chosen chat is given this title.
    pub renaming: Option<Field>,
    /// What was done last, in a sentence.
    pub told: Option<String>,
}

impl ChatList {
    /// With these chats, and what was typed already.
    pub(super) fn holding(rows: Vec<ChatRow>, filter: &str) -> Self {
        Self { rows: Some(rows), filter: Field::holding(filter), ..Self::default() }
    }

    pub fn is_read(&self) -> bool {
        self.rows.is_some()
    }

    /// The chats in whose titles or tags all of the words stand that were typed; `#word` is a tag.
    pub fn matching(&self) -> Vec<&ChatRow> {
        let filter = self.filter.text().to_lowercase();
        let matches = |row: &&ChatRow| {
            let title = row.title.to_lowercase();
            let is_there = |word: &str| match word.strip_prefix('#') {
                Some(tag) => row.tags.iter().any(|known| known.starts_with(tag)),
                None => title.contains(word) || row.tags.iter().any(|known| known == word),
            };
            row.is_archived == self.shows_archived && filter.split_whitespace().all(is_there)
        };
        self.rows.iter().flatten().filter(matches).collect()
    }

    pub(super) fn move_by(&mut self, by: i16) {
        if self.renaming.is_none() {
            let last = self.matching().len().saturating_sub(1);
            self.chosen = self.chosen.saturating_add_signed(by.into()).min(last);
        }
    }

    fn chosen_row(&self) -> Option<&ChatRow> {
        self.matching().get(self.chosen).copied()
    }

    fn chosen_chat(&self) -> Option<ChatId> {
        self.chosen_row().map(|row| row.id)
    }

    fn row_mut(&mut self, chat: ChatId) -> Option<&mut ChatRow> {
        self.rows.iter_mut().flatten().find(|row| row.id == chat)
    }

    /// The line that is written in: a title, or what narrows the list.
    pub(super) fn field_mut(&mut self) -> &mut Field {
        self.renaming.as_mut().unwrap_or(&mut self.filter)
    }

    /// Another line is written there now.
    pub(super) fn narrow(&mut self) {
        self.told = None;
        if self.renaming.is_none() {
            self.chosen = 0;
        }
    }
}

impl App {
    pub(super) fn list_chats(&mut self) -> Vec<Effect> {
        if self.has_store {
            self.popup = Popup::Chats(ChatList::default());
            return vec![Effect::ListChats];
        }
        if self.has_parked() {
            self.popup = Popup::Chats(ChatList::holding(self.parked_rows(), ""));
        } else {
            self.notice("chats are not saved in this run, so there is no list; start without `--private`");
        }
        Vec::new()
    }

    pub(super) fn chats_listed(&mut self, saved: Vec<ChatRow>) -> Vec<Effect> {
        let rows = [self.parked_rows(), saved].concat();
        let effects = self.find_chat(&rows);
        if let Popup::Chats(list) = &mut self.popup {
            list.rows = Some(rows.clone());
            list.move_by(0);
        }
        self.chats = Some(rows);
        effects
    }

    /// Enter: the chosen chat gets the title that was written, or is opened.
    pub(super) fn open_chosen(&mut self) -> Vec<Effect> {
        let Popup::Chats(list) = &mut self.popup else { return Vec::new() };
        let Some(chat) = list.chosen_chat() else { return Vec::new() };
        match list.renaming.take() {
            Some(title) => self.rename_in_list(chat, title.text()),
            None => self.open_chat(chat),
        }
    }

    pub(super) fn open_chat(&mut self, chat: ChatId) -> Vec<Effect> {
        if !self.can_change_chat() {
            return Vec::new();
        }
        if chat.0 < 0 {
            return self.open_parked(chat);
        }
        self.popup = Popup::Closed;
        self.opening = Some(chat);
        vec![Effect::OpenChat(chat)]
    }

    pub(super) fn delete_chosen(&mut self) -> Vec<Effect> {
        let current = self.chat.get().copied();
        let is_busy = self.is_answering() || self.outbox.is_some();
        let Popup::Chats(list) = &mut self.popup else { return Vec::new() };
        let Some(chat) = list.chosen_chat().filter(|_| list.renaming.is_none()) else { return Vec::new() };
        if is_busy && current == Some(chat) {
            list.told = Some("an answer is in progress there; stop it first".into());
            return Vec::new();
        }
        if chat.0 < 0 {
            list.rows.iter_mut().for_each(|rows| rows.retain(|row| row.id != chat));
            list.told = Some("deleted; nothing of it was on disk".into());
            list.move_by(0);
            self.drop_parked(chat);
            return Vec::new();
        }
        vec![Effect::DeleteChat(chat)]
    }

    pub(super) fn chat_deleted(&mut self, chat: ChatId) -> Vec<Effect> {
        if let Popup::Chats(list) = &mut self.popup {
            let title = list.row_mut(chat).map(|row| escape_line(&row.title)).unwrap_or_default();
            list.told = Some(format!("deleted; Ctrl-U brings it back: {title}"));
            list.rows.iter_mut().for_each(|rows| rows.retain(|row| row.id != chat));
        }
        self.move_in_popup(0);
        if self.chat.get() == Some(&chat) {
            self.begin_chat(Transcript::default());
        }
        vec![Effect::Forget(chat)]
    }

    pub(super) fn chat_restored(&mut self, chat: Option<ChatId>) -> Vec<Effect> {
        if let Popup::Chats(list) = &mut self.popup {
            list.told = Some(match chat {
                Some(_) => "it is there again".into(),
                None => "nothing was deleted here since the start".into(),
            });
        }
        chat.map(|_| Effect::ListChats).into_iter().collect()
    }

    /// Begins to write another title for the chosen chat.
    pub(super) fn rename_chosen(&mut self) {
        let Popup::Chats(list) = &mut self.popup else { return };
        let Some(row) = list.chosen_row() else { return };
        if row.is_open_elsewhere {
            list.told = Some("it is open in another window; rename it there".into());
            return;
        }
        list.renaming = Some(Field::holding(&row.title));
        list.told = None;
    }

    /// Esc: whether a title was being written, which stays as it was.
    pub(super) fn stop_renaming(&mut self) -> bool {
        let Popup::Chats(list) = &mut self.popup else { return false };
        list.renaming.take().is_some()
    }

    fn rename_in_list(&mut self, chat: ChatId, title: &str) -> Vec<Effect> {
        let title = escape_line(title.trim());
        if title.is_empty() {
            return Vec::new();
        }
        if let Popup::Chats(list) = &mut self.popup
            && let Some(row) = list.row_mut(chat)
        {
            row.title.clone_from(&title);
        }
        if chat.0 < 0 {
            self.rename_parked(chat, &title);
            return Vec::new();
        }
        if self.chat.get() == Some(&chat) {
            self.title = Some(title.clone());
        }
        vec![Effect::Rename { chat: filled(chat), title }]
    }

    /// Puts the chosen chat away, or takes it back.
    pub(super) fn archive_chosen(&mut self) -> Vec<Effect> {
        let Popup::Chats(list) = &mut self.popup else { return Vec::new() };
        let is_archived = !list.shows_archived;
        let Some(chat) = list.chosen_chat().filter(|_| list.renaming.is_none()) else { return Vec::new() };
        if chat.0 < 0 {
            list.told = Some("a private chat is in no archive: it is gone when you leave".into());
            return Vec::new();
        }
        let Some(row) = list.row_mut(chat) else { return Vec::new() };
        row.is_archived = is_archived;
        let title = escape_line(&row.title);
        list.told = Some(match is_archived {
            true => format!("put away; Ctrl-T lists what is: {title}"),
            false => format!("it is among the others again: {title}"),
        });
        list.move_by(0);
        vec![Effect::ArchiveChat { chat: filled(chat), is_archived }]
    }

    pub(super) fn show_archived(&mut self) {
        if let Popup::Chats(list) = &mut self.popup
            && list.renaming.is_none()
        {
            list.shows_archived = !list.shows_archived;
            (list.chosen, list.told) = (0, None);
        }
    }

    pub(super) fn new_chat(&mut self) -> Vec<Effect> {
        if !self.can_change_chat() {
            return Vec::new();
        }
        let becomes_saved = self.is_private && self.has_store;
        if self.chat.get().is_none() && self.transcript.last_question_mut().is_none() && !becomes_saved {
            // It is a new one already, with what is being written there.
            self.begin_chat(Transcript::default());
            return Vec::new();
        }
        let mut effects: Vec<Effect> = self.leave_draft().into_iter().collect();
        self.begin_chat(Transcript::default());
        if self.has_store {
            effects.extend([Effect::LeaveChat, Effect::ReadDraft(None)]);
        }
        effects
    }

    /// Goes to a chat that has nothing on disk yet.
    pub(super) fn begin_chat(&mut self, transcript: Transcript) {
        let size = self.transcript.without_entries();
        self.stop_editing();
        self.stop_selecting();
        // A question that waits in the composer because its chat gave no answer stays with that chat.
        if self.unanswered_text().is_some_and(|text| self.is_written(&text)) {
            self.composer.take();
        }
        self.again = Again::default();
        self.park();
        self.branches = Tree::default();
        let show_thinking = size.show_thinking;
        self.transcript = transcript.in_place_of(&size);
        self.transcript.show_thinking = show_thinking;
        self.chat = Slot::default();
        self.title = None;
        self.options.clone_from(&self.new_options);
        self.last_answer = None;
        self.spent = Spent::default();
        self.system.clone_from(&self.new_system);
        self.saves = self.has_store;
        self.is_private = self.is_private && !self.has_store;
        self.opening = None;
        self.elsewhere = None;
        self.news = News::default();
        self.held = Held::default();
        self.eviction_told = false;
        self.unkept_pins.clear();
        self.tokens_per_second = None;
        self.notices.clear();
        if let (super::Activity::NoModel(reason), false) = (&self.activity, self.awaits_model()) {
            self.transcript.note(reason.clone(), true);
        }
        self.note_base_model();
    }

    pub(super) fn chat_opened(&mut self, opened: OpenedChat) -> Vec<Effect> {
        if self.opening != Some(opened.id) {
            return Vec::new();
        }
        let mut system = None;
        let mut tree = Tree::default();
        let mut nodes = HashMap::with_capacity(opened.messages.len());
        for stored in opened.messages {
            if stored.message.role == Role::System {
                system = Some(stored.message.text);
                continue;
            }
            let (id, parent) = (stored.id, stored.parent.and_then(|parent| nodes.get(&parent).copied()));
            if let Some(entry) = entry_of(stored) {
                nodes.insert(id, tree.keep(parent, entry));
            }
        }
        let jump = self.take_jump(opened.id);
        let leaf = opened.leaf.and_then(|leaf| nodes.get(&leaf)).map(|&leaf| tree.branch_to(leaf));
        let wanted = jump.as_ref().and_then(|jump| nodes.get(&jump.message)).copied();
        // The branch that the chat goes on with, if what is wanted is on it.
        let branch = match wanted {
            Some(node) if !leaf.as_ref().is_some_and(|leaf| leaf.contains(&node)) => Some(tree.branch_through(node)),
            _ => leaf,
        };
        let mut transcript = Transcript::default();
        tree.show(&branch.unwrap_or_default(), &mut transcript);
        let mut effects: Vec<Effect> = self.leave_draft().into_iter().collect();
        self.begin_chat(transcript);
        self.branches = tree;
        self.chat = filled(opened.id);
        self.title = Some(opened.title);
        // A chat goes on as it began, whatever `--system` says now.
        self.system = system;
        if opened.is_elsewhere {
            effects.extend(self.show_elsewhere());
        } else {
            self.give_back_unanswered();
        }
        if let Some(jump) = jump
            && !self.choose_saved(&jump)
        {
            self.tell_lost_jump();
        }
        effects
    }
}

pub(super) fn filled<T>(value: T) -> Slot<T> {
    let slot = Slot::default();
    // A new slot is empty, so this always succeeds.
    let _ = slot.set(value);
    slot
}

/// A message that was read, as it is shown; nothing of a system prompt.
pub(super) fn entry_of(stored: OpenedMessage) -> Option<Entry> {
    match stored.message.role {
        Role::System => None,
        Role::User => Some(question(stored)),
        Role::Assistant => Some(answer(stored)),
    }
}

fn question(stored: OpenedMessage) -> Entry {
    let hold = pinned(stored.message.is_pinned);
    let question = Question::folding(stored.message.text, stored.folds);
    Entry::Question(Question { saved: filled(stored.id), hold, ..question })
}

fn answer(stored: OpenedMessage) -> Entry {
    let end = stored.ended.map_or(End::Elsewhere, End::Ended);
    let saved = filled(stored.id);
    let mut answer = Answer::saved(&stored.message.text, stored.thinking, end, saved);
    answer.hold = pinned(stored.message.is_pinned);
    Entry::Answer(Box::new(answer))
}

fn pinned(is_pinned: bool) -> Hold {
    Hold { is_pinned, ..Hold::default() }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::chat::{Ended, Message};
    use crate::engine::protocol::Step;
    use crate::store::MessageId;
    use crate::ui::app::tester::{
        Tester, assistant, chat_row as row, model, opened, prompt, saves, settings, stored, user,
    };
    use crate::ui::msg::{Command, Msg, Save};

    #[test]
    fn a_resumed_chat_is_shown_and_gone_on_with() {
        let (mut tester, effects) = Tester::start(Ok(settings()), true, Some(ChatId(4)));
        assert!(matches!(effects[..], [Effect::Load(_), Effect::OpenChat(ChatId(4))]));
        tester.model(Step::Ready(Box::new(model(true))));
        assert!(tester.send("too early").is_empty());
        tester.command(Command::Interrupt);
        let messages = vec![
            stored(1, Role::System, "Be brief", None),
            stored(2, Role::User, "one", None),
            stored(3, Role::Assistant, "half an", Some(Ended::Interrupted)),
        ];
        tester.update(Msg::ChatOpened(opened(4, messages)));
        assert_eq!(tester.answer_texts(), ["half an"]);
        let effects = tester.send("two");
        let [Save::Question { parent: Some(parent), chat, .. }] = saves(&effects)[..] else { panic!("{effects:?}") };
        assert_eq!((parent.get(), chat.get()), (Some(&MessageId(3)), Some(&ChatId(4))));
        let effects = tester.question_is_saved(5);
        let expected = [Message::new(Role::System, "Be brief"), user("one"), assistant("half an"), user("two")];
        assert_eq!(prompt(&effects).unwrap().messages, expected);
    }

    #[test]
    fn a_resumed_question_without_an_answer_waits_in_the_composer() {
        let (mut tester, _) = Tester::start(Ok(settings()), true, Some(ChatId(4)));
        let messages = vec![stored(1, Role::User, "one", None)];
        tester.update(Msg::ChatOpened(opened(4, messages)));
        assert_eq!(tester.app.composer.text(), "one");
        tester.command(Command::NewChat);
        assert!(tester.app.composer.is_empty(), "it belongs to the other chat");
    }

    #[test]
    fn the_chat_list_filters_as_one_types_and_opens_the_chosen_chat() {
        let mut tester = Tester::saving();
        assert!(matches!(tester.key(KeyCode::Char('o'), KeyModifiers::CONTROL)[..], [Effect::ListChats]));
        tester.update(Msg::Chats(vec![row(1, "Bread"), row(2, "Rust borrow"), row(3, "Rusty nails")]));
        tester.type_text("rust");
        tester.key(KeyCode::Down, KeyModifiers::NONE);
        tester.key(KeyCode::Down, KeyModifiers::NONE);
        assert!(matches!(tester.key(KeyCode::Enter, KeyModifiers::NONE)[..], [Effect::OpenChat(ChatId(3))]));
        assert!(matches!(tester.app.popup(), Popup::Closed));
    }

    fn list(tester: &Tester) -> &ChatList {
        let Popup::Chats(list) = tester.app.popup() else { panic!("no list") };
        list
    }

    fn titles(tester: &Tester) -> Vec<&str> {
        list(tester).matching().iter().map(|row| row.title.as_str()).collect()
    }

    /// The list with these chats.
    fn listing(rows: Vec<ChatRow>) -> Tester {
        let mut tester = Tester::saving();
        tester.command(Command::Chats);
        tester.update(Msg::Chats(rows));
        tester
    }

    #[test]
    fn a_chat_is_deleted_at_once_and_can_be_brought_back() {
        let mut tester = listing(vec![row(1, "Bread"), row(2, "Rust")]);
        tester.command(Command::Move(1));
        let effects = tester.key(KeyCode::Delete, KeyModifiers::NONE);
        assert!(matches!(effects[..], [Effect::DeleteChat(ChatId(2))]), "{effects:?}");
        tester.update(Msg::ChatDeleted(ChatId(2)));
        assert_eq!((titles(&tester), list(&tester).chosen), (vec!["Bread"], 0));
        assert!(list(&tester).told.as_deref().is_some_and(|told| told.contains("Ctrl-U") && told.contains("Rust")));
        let effects = tester.key(KeyCode::Char('u'), KeyModifiers::CONTROL);
        assert!(matches!(effects[..], [Effect::RestoreChat]), "{effects:?}");
        assert!(matches!(tester.update(Msg::ChatRestored(Some(ChatId(2))))[..], [Effect::ListChats]));
        assert!(tester.update(Msg::ChatRestored(None)).is_empty());
    }

    #[test]
    fn a_chat_gets_another_title_in_the_list() {
        let mut tester = listing(vec![row(1, "Bread"), row(2, "Rust")]);
        tester.type_text("rus");
        tester.key(KeyCode::Char('r'), KeyModifiers::CONTROL);
        tester.type_text("y");
        assert!(tester.key(KeyCode::Delete, KeyModifiers::NONE).is_empty(), "a title is being written");
        let effects = tester.key(KeyCode::Enter, KeyModifiers::NONE);
        let [Effect::Rename { chat, title }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!((chat.get(), title.as_str(), titles(&tester)), (Some(&ChatId(2)), "Rusty", vec!["Rusty"]));
        tester.key(KeyCode::Char('r'), KeyModifiers::CONTROL);
        tester.type_text("!");
        tester.key(KeyCode::Esc, KeyModifiers::NONE);
        assert_eq!((titles(&tester), list(&tester).filter.text()), (vec!["Rusty"], "rus"));
        tester.key(KeyCode::Esc, KeyModifiers::NONE);
        assert!(matches!(tester.app.popup(), Popup::Closed));
    }

    #[test]
    fn what_is_put_away_is_listed_when_it_is_asked_for() {
        let mut tester = listing(vec![row(1, "Bread"), row(2, "Rust")]);
        let effects = tester.key(KeyCode::Char('a'), KeyModifiers::CONTROL);
        let [Effect::ArchiveChat { chat, is_archived: true }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!((chat.get(), titles(&tester)), (Some(&ChatId(1)), vec!["Rust"]));
        tester.key(KeyCode::Char('t'), KeyModifiers::CONTROL);
        assert_eq!(titles(&tester), ["Bread"]);
        let effects = tester.key(KeyCode::Char('a'), KeyModifiers::CONTROL);
        assert!(matches!(effects[..], [Effect::ArchiveChat { is_archived: false, .. }]), "{effects:?}");
        tester.key(KeyCode::Char('t'), KeyModifiers::CONTROL);
        assert_eq!(titles(&tester), ["Bread", "Rust"]);
    }

    #[test]
    fn tags_narrow_the_list() {
        let tagged = |id, title: &str, tags: &[&str]| ChatRow {
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ..row(id, title)
        };
        let mut tester = listing(vec![tagged(1, "Bread", &["food"]), tagged(2, "Food laws", &["work", "law"])]);
        tester.type_text("food");
        assert_eq!(titles(&tester).len(), 2, "a title, or a tag");
        for _ in 0..4 {
            tester.key(KeyCode::Backspace, KeyModifiers::NONE);
        }
        tester.type_text("#foo");
        assert_eq!(titles(&tester), ["Bread"]);
    }

    #[test]
    fn deleting_the_chat_on_the_screen_begins_a_new_one() {
        let mut tester = Tester::saving();
        tester.send("one");
        tester.question_is_saved(1);
        tester.token("x", 1);
        tester.finish(Ended::Stop);
        tester.command(Command::Chats);
        tester.update(Msg::ChatDeleted(ChatId(1)));
        assert!(tester.app.transcript.entries().is_empty());
        assert!(tester.app.chat.get().is_none());
    }

    #[test]
    fn another_chat_is_not_opened_in_mid_answer() {
        let mut tester = Tester::saving();
        tester.send("one");
        tester.question_is_saved(1);
        tester.command(Command::NewChat);
        assert!(tester.app.is_answering());
        assert!(tester.app.notices()[0].contains("Esc"));
        tester.command(Command::Chats);
        tester.update(Msg::Chats(vec![row(2, "Rust")]));
        assert!(tester.command(Command::OpenChosen).is_empty());
    }

    #[test]
    fn of_two_chats_opened_in_haste_the_second_is_shown() {
        let mut tester = Tester::saving();
        for chat in [1, 2] {
            tester.command(Command::Chats);
            tester.update(Msg::Chats(vec![row(chat, "a chat")]));
            tester.command(Command::OpenChosen);
        }
        for chat in [1, 2] {
            let messages = vec![stored(chat * 10, Role::User, &format!("question {chat}"), None)];
            tester.update(Msg::ChatOpened(opened(chat, messages)));
        }
        assert_eq!(tester.app.chat.get(), Some(&ChatId(2)));
        assert_eq!(tester.app.composer.text(), "question 2");
    }
}
