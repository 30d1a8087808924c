//! What was sent before, in all chats: Up on the first row walks through it, Ctrl-R searches it. It is read from the
//! store when it is asked for the first time, and never waited for.

use super::App;
use super::composing::written_again;
use crate::ui::composer::{Composer, Field, Part};
use crate::ui::folds::Fold;
use crate::ui::msg::{Effect, SentMessage};

/// More than anybody walks through.
const MOST: usize = 1000;
/// A longer message is not kept to be sent again, here as in the store.
const MOST_BYTES: usize = 32 * 1024;

/// The messages sent before, and where one is in them.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The newest first.
    sent: Vec<SentMessage>,
    reading: Reading,
    walk: Option<Walk>,
    search: Option<Search>,
    /// What was sent in the private chat on the screen.
    private: Vec<String>,
}

/// Whether the store was asked.
#[derive(Debug, Default, PartialEq, Eq)]
enum Reading {
    #[default]
    NotYet,
    Asked {
        /// The person pressed Up, and waits for the first message.
        then_walks: bool,
    },
    Done,
}

#[derive(Debug)]
struct Walk {
    place: usize,
    /// What was being written.
    before: Vec<Part>,
    /// The text as it was put there; what was changed since is a text of the person's.
    revision: u64,
}

/// A search while it is open; what it finds is shown where one writes.
#[derive(Debug, Default)]
pub struct Search {
    pub words: Field,
    /// The messages that have the words, by their places. Looking through all of them takes too long for every key.
    found: Vec<usize>,
    /// Which of the messages found is shown.
    place: usize,
    /// What was being written.
    before: Composer,
}

impl History {
    pub(super) fn is_searching(&self) -> bool {
        self.search.is_some()
    }

    /// The line with the words of the search, if one is open.
    pub(super) fn words_mut(&mut self) -> Option<&mut Field> {
        self.search.as_mut().map(|search| &mut search.words)
    }

    /// The private chat is left: what was sent there is offered nowhere else.
    pub(super) fn forget_private(&mut self) {
        let private = std::mem::take(&mut self.private);
        self.sent.retain(|sent| !private.contains(&sent.text));
        (self.walk, self.search) = (None, None);
    }

    /// Looks for the words of the search, if one is open.
    fn look(&mut self) {
        let Some(search) = &mut self.search else { return };
        let words = search.words.text().to_lowercase();
        let has_them = |sent: &SentMessage| !words.is_empty() && sent.text.to_lowercase().contains(&words);
        search.found = (0..self.sent.len()).filter(|&place| has_them(&self.sent[place])).collect();
    }
}

impl App {
    /// A message was sent: it is the newest.
    pub(super) fn remember_sent(&mut self, text: &str, folds: &[Fold]) {
        self.remember(text, folds, false);
    }

    /// A command was written. One that is a word alone is as soon written again.
    pub(super) fn remember_command(&mut self, line: &str) {
        if line.trim().contains(' ') {
            self.remember(line.trim(), &[], true);
        }
    }

    fn remember(&mut self, text: &str, folds: &[Fold], is_command: bool) {
        self.history.walk = None;
        if text.len() > MOST_BYTES {
            return;
        }
        if self.is_private {
            self.history.private.push(text.to_owned());
        }
        self.history.sent.retain(|sent| sent.text != text);
        self.history.sent.insert(0, SentMessage { text: text.to_owned(), folds: folds.to_vec(), is_command });
        self.history.sent.truncate(MOST);
        self.history.look();
    }

    /// The store's answer: what was sent in earlier runs, too.
    pub(super) fn sent_read(&mut self, read: Vec<SentMessage>) {
        let then_walks = self.history.reading == Reading::Asked { then_walks: true };
        self.history.reading = Reading::Done;
        for message in read {
            if self.history.sent.iter().all(|sent| sent.text != message.text) {
                self.history.sent.push(message);
            }
        }
        self.history.sent.truncate(MOST);
        self.history.look();
        self.show_found();
        if then_walks {
            self.older();
        }
    }

    fn read_sent(&mut self, then_walks: bool) -> Option<Effect> {
        let is_asked = std::mem::replace(&mut self.history.reading, Reading::Asked { then_walks }) != Reading::NotYet;
        (!is_asked).then_some(Effect::ReadSent)
    }

    /// Up on the first row: the message sent before.
    pub(super) fn walk_back(&mut self) -> Vec<Effect> {
        if self.has_store && self.history.reading != Reading::Done {
            return self.read_sent(true).into_iter().collect();
        }
        self.older();
        Vec::new()
    }

    fn older(&mut self) {
        let walk = self.history.walk.take().filter(|walk| walk.revision == self.composer.revision());
        let mut place = walk.as_ref().map_or(0, |walk| walk.place + 1);
        if walk.is_none() && self.history.sent.first().is_some_and(|sent| self.is_written(&sent.text)) {
            // It is where one writes already.
            place += 1;
        }
        let Some(sent) = self.history.sent.get(place) else {
            self.history.walk = walk;
            return;
        };
        let parts = parts_of(sent);
        let before = walk.map_or_else(|| self.composer.parts(), |walk| walk.before);
        self.composer.set(&parts);
        self.composer.go_to_first_row();
        self.history.walk = Some(Walk { place, before, revision: self.composer.revision() });
    }

    /// Down on the last row: the message sent after, and at last what was being written.
    pub(super) fn walk_forward(&mut self) {
        let Some(walk) = self.history.walk.take().filter(|walk| walk.revision == self.composer.revision()) else {
            return;
        };
        let Some(place) = walk.place.checked_sub(1) else {
            self.composer.set(&walk.before);
            return;
        };
        let sent = &self.history.sent[place];
        self.composer.set(&parts_of(sent));
        self.history.walk = Some(Walk { place, before: walk.before, revision: self.composer.revision() });
    }

    /// Ctrl-R: a search, or the next message it finds.
    pub(super) fn search_sent(&mut self) -> Vec<Effect> {
        if self.history.search.is_some() {
            self.move_in_search(1);
            return Vec::new();
        }
        let before = std::mem::take(&mut self.composer);
        self.history.search = Some(Search { before, ..Search::default() });
        if self.has_store && self.history.reading == Reading::NotYet {
            return self.read_sent(false).into_iter().collect();
        }
        Vec::new()
    }

    /// Other words are searched for.
    pub(super) fn history_search_changed(&mut self) {
        if let Some(search) = &mut self.history.search {
            search.place = 0;
        }
        self.history.look();
        self.show_found();
    }

    /// To older messages that were found, or back to newer ones.
    pub(super) fn move_in_search(&mut self, by: i16) {
        if let Some(search) = &mut self.history.search {
            let last = search.found.len().saturating_sub(1);
            search.place = search.place.saturating_add_signed(by.into()).min(last);
        }
        self.show_found();
    }

    fn show_found(&mut self) {
        let Some(search) = &self.history.search else { return };
        let found = search.found.get(search.place).and_then(|&place| self.history.sent.get(place));
        let parts = found.map(parts_of).unwrap_or_default();
        self.composer.begin(&parts);
    }

    /// Enter: what was found is written in the place of what was being written.
    pub(super) fn take_found(&mut self) {
        let found = self.composer.parts();
        if self.close_search() && !found.is_empty() {
            self.composer.set(&found);
        }
    }

    /// Esc: what was being written comes back. Says whether a search was open.
    pub(super) fn close_search(&mut self) -> bool {
        let Some(search) = self.history.search.take() else { return false };
        self.composer = search.before;
        true
    }

    /// The search, which of the messages found is shown, and how many there are.
    pub fn search(&self) -> Option<(&Field, usize, usize)> {
        let search = self.history.search.as_ref()?;
        let found = search.found.len();
        Some((&search.words, if found == 0 { 0 } else { search.place + 1 }, found))
    }
}

/// How it is written in the composer.
fn parts_of(sent: &SentMessage) -> Vec<Part> {
    if sent.is_command { vec![Part::Text(sent.text.clone())] } else { written_again(&sent.text, &sent.folds) }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::chat::Ended;
    use crate::ui::app::tester::Tester;
    use crate::ui::msg::{Command, Msg};

    fn up(tester: &mut Tester) -> Vec<Effect> {
        tester.key(KeyCode::Up, KeyModifiers::NONE)
    }

    fn down(tester: &mut Tester) {
        tester.key(KeyCode::Down, KeyModifiers::NONE);
    }

    fn ctrl_r(tester: &mut Tester) -> Vec<Effect> {
        tester.key(KeyCode::Char('r'), KeyModifiers::CONTROL)
    }

    fn written(tester: &Tester) -> String {
        tester.app.composer.text()
    }

    fn search(tester: &Tester) -> Option<(&str, usize, usize)> {
        tester.app.search().map(|(words, place, count)| (words.text(), place, count))
    }

    /// A private chat in which these were sent.
    fn sent(texts: &[&str]) -> Tester {
        let mut tester = Tester::ready();
        for text in texts {
            tester.send(text);
            tester.token("yes", 1);
            tester.finish(Ended::Stop);
        }
        tester
    }

    #[test]
    fn up_walks_back_and_down_comes_back_to_what_was_being_written() {
        let mut tester = sent(&["one", "two", "one"]);
        tester.type_text("draft");
        up(&mut tester);
        assert_eq!(written(&tester), "one");
        up(&mut tester);
        assert_eq!(written(&tester), "two", "each message once");
        up(&mut tester);
        assert_eq!(written(&tester), "two", "there is no older one");
        down(&mut tester);
        assert_eq!(written(&tester), "one");
        down(&mut tester);
        assert_eq!(written(&tester), "draft");
        down(&mut tester);
        assert_eq!(written(&tester), "draft");
    }

    #[test]
    fn what_was_changed_is_a_text_of_its_own() {
        let mut tester = sent(&["one", "two"]);
        up(&mut tester);
        tester.type_text("!");
        up(&mut tester);
        assert_eq!(written(&tester), "two");
        down(&mut tester);
        assert!(written(&tester).contains('!'), "{}", written(&tester));
    }

    #[test]
    fn a_command_with_something_behind_it_comes_back_as_it_was_written() {
        let mut tester = sent(&["one", "//model is a word"]);
        for command in ["/attach  no such file", "/help", "/model no/such.gguf"] {
            tester.send(command);
            tester.key(KeyCode::Esc, KeyModifiers::NONE);
        }
        let mut walked = Vec::new();
        for _ in 0..4 {
            up(&mut tester);
            walked.push(written(&tester));
        }
        assert_eq!(walked, ["/model no/such.gguf", "/attach  no such file", "//model is a word", "one"]);
    }

    #[test]
    fn the_store_is_asked_once_and_not_waited_for() {
        let mut tester = Tester::saving();
        assert!(matches!(up(&mut tester)[..], [Effect::ReadSent]));
        assert!(up(&mut tester).is_empty() && written(&tester).is_empty());
        let sent = |text: &str| SentMessage { text: text.into(), folds: Vec::new(), is_command: false };
        tester.update(Msg::SentRead(vec![sent("/pin"), sent("older")]));
        assert_eq!(written(&tester), "/pin".replace('/', "//"), "a message that looks like a command stays one");
        up(&mut tester);
        assert_eq!(written(&tester), "older");
    }

    #[test]
    fn ctrl_r_searches_and_enter_takes_what_was_found() {
        let mut tester = sent(&["Bake bread", "Bake a cake", "Sing"]);
        tester.type_text("draft");
        assert!(ctrl_r(&mut tester).is_empty());
        tester.type_text("bake");
        assert_eq!((written(&tester).as_str(), search(&tester)), ("Bake a cake", Some(("bake", 1, 2))));
        ctrl_r(&mut tester);
        assert_eq!(written(&tester), "Bake bread");
        tester.key(KeyCode::Down, KeyModifiers::NONE);
        assert_eq!(written(&tester), "Bake a cake");
        tester.key(KeyCode::Backspace, KeyModifiers::NONE);
        tester.type_text("e br");
        assert_eq!(written(&tester), "Bake bread");
        assert!(tester.key(KeyCode::Enter, KeyModifiers::NONE).is_empty(), "it is not sent");
        assert_eq!((written(&tester).as_str(), search(&tester)), ("Bake bread", None));
        tester.command(Command::Undo);
        assert_eq!(written(&tester), "draft");
    }

    #[test]
    fn escape_and_ctrl_c_give_back_what_was_being_written() {
        for (code, modifiers) in [(KeyCode::Esc, KeyModifiers::NONE), (KeyCode::Char('c'), KeyModifiers::CONTROL)] {
            let mut tester = sent(&["one"]);
            tester.type_text("draft");
            ctrl_r(&mut tester);
            tester.type_text("o");
            tester.update(Msg::Paste("n".into()));
            assert_eq!(search(&tester), Some(("on", 1, 1)));
            tester.key(code, modifiers);
            assert_eq!((written(&tester).as_str(), search(&tester)), ("draft", None));
        }
    }

    #[test]
    fn nothing_found_is_nothing_taken() {
        let mut tester = sent(&["one"]);
        tester.type_text("draft");
        ctrl_r(&mut tester);
        tester.type_text("xyz");
        assert_eq!(search(&tester), Some(("xyz", 0, 0)));
        tester.key(KeyCode::Enter, KeyModifiers::NONE);
        assert_eq!(written(&tester), "draft");
    }
}
