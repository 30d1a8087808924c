//! The title of a chat: the first words of its first message until it is given another.

use super::App;
use super::elsewhere::NOT_HERE;
use crate::text::escape_line;
use crate::text_file;
use crate::ui::msg::Effect;

const TITLE_CHARACTERS: usize = 48;

impl App {
    /// Gives the chat another title. One that has no message yet gets it with its first.
    pub(super) fn rename(&mut self, title: &str) -> Vec<Effect> {
        if !self.saves {
            self.notice("this chat is not saved, so it has no title");
            return Vec::new();
        }
        if self.elsewhere.is_some() {
            self.notice(NOT_HERE);
            return Vec::new();
        }
        let title = escape_line(title.trim());
        self.notice(format!("this chat is called `{title}`"));
        let is_begun = self.chat.get().is_some() || self.last_saved().is_some();
        let rename = is_begun.then(|| Effect::Rename { chat: self.chat.clone(), title: title.clone() });
        self.title = Some(title);
        rename.into_iter().collect()
    }

    /// What the chat is called whose first message this is.
    pub(super) fn title_for(&self, first: &str) -> String {
        self.title.clone().unwrap_or_else(|| title(first))
    }
}

/// The first words of a message, on one line.
fn title(text: &str) -> String {
    let line = escape_line(text_file::behind_files(text).trim());
    let mut title = String::new();
    for word in line.split_whitespace() {
        let length = title.chars().count();
        if length + word.chars().count() >= TITLE_CHARACTERS {
            let room = TITLE_CHARACTERS.saturating_sub(length + 1);
            if title.is_empty() {
                title.extend(word.chars().take(room));
            }
            title.push('…');
            return title;
        }
        if !title.is_empty() {
            title.push(' ');
        }
        title.push_str(word);
    }
    title
}

#[cfg(test)]
mod tests {
    use crate::chat::Ended;
    use crate::store::ChatId;
    use crate::ui::app::tester::{Tester, saves};
    use crate::ui::msg::{Effect, Save};

    #[test]
    fn a_chat_is_renamed_on_disk() {
        let mut tester = Tester::saving();
        tester.send("one");
        tester.question_is_saved(1);
        tester.token("first", 1);
        tester.finish(Ended::Stop);
        let effects = tester.send("/rename  Bread and butter");
        let [Effect::Rename { chat, title }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!((chat.get(), title.as_str()), (Some(&ChatId(1)), "Bread and butter"));
        assert!(tester.app.composer.is_empty());
        assert_eq!(tester.app.notices(), ["this chat is called `Bread and butter`"]);
    }

    #[test]
    fn a_chat_without_messages_gets_its_title_with_the_first() {
        let mut tester = Tester::saving();
        assert!(tester.send("/rename Bread").is_empty());
        let effects = tester.send("How long does it rise?");
        assert!(matches!(saves(&effects)[..], [Save::Question { title, .. }] if title == "Bread"));
    }

    #[test]
    fn a_title_is_asked_for_and_a_chat_that_is_not_saved_has_none() {
        let mut tester = Tester::saving();
        tester.send("/rename");
        assert!(tester.app.notices()[0].contains("`/rename TITLE`"), "{:?}", tester.app.notices());
        assert_eq!(tester.app.composer.text(), "/rename");
        let mut tester = Tester::ready();
        assert!(tester.send("/rename Bread").is_empty());
        assert!(tester.app.notices()[0].contains("not saved"));
    }
}
