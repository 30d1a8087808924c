//! Writing the conversation to a file for others.

use std::path::{Path, PathBuf};

use super::App;
use crate::chat::Role;
use crate::exchange::{Form, file_name};
use crate::store::{FORM, WholeChat, WholeMessage};
use crate::text::escape_line;
use crate::ui::export::Refused;
use crate::ui::msg::{Effect, Exported};
use crate::ui::transcript::{End, Entry};

impl App {
    /// Writes the conversation, in the form that is named or that the path asks for; to replace a file it has to be asked
    /// for twice.
    pub(super) fn save(&mut self, wanted: Option<PathBuf>) -> Vec<Effect> {
        let (form, path) = match wanted {
            None => (Form::default(), None),
            Some(word) => match word.to_str().and_then(Form::named) {
                Some(form) => (form, None),
                None => (Form::of(&word).unwrap_or_default(), Some(word)),
            },
        };
        let chat = self.chat_on_screen();
        if chat.messages.iter().all(|message| message.role == Role::System) {
            self.notice("there is nothing to save yet; write a message first");
            return Vec::new();
        }
        let replaces = self.replaces_next.take().is_some_and(|asked| Some(asked) == path);
        let name = file_name(&chat.title, form);
        // The store knows more of a message than what is shown of it.
        let what = match self.chat.get().filter(|_| self.saves && form == Form::Json) {
            Some(chat) => Exported::Stored { chat: *chat, form },
            None => Exported::Text(form.write(&chat)),
        };
        vec![Effect::Export { path, name, what, replaces }]
    }

    pub(super) fn exported(&mut self, path: Option<PathBuf>, result: Result<PathBuf, Refused>) {
        match result {
            Ok(written) => self.notice(format!("this chat is written to `{}`", shown(&written))),
            Err(Refused::Exists(there)) => {
                self.notice(format!(
                    "`{}` is there already and was left as it is; the same command once more replaces it",
                    shown(&there)
                ));
                self.replaces_next = path;
            }
            Err(Refused::Failed(sentence)) => self.notice(sentence),
        }
    }

    /// The chat as far as it is known here, on all its branches.
    fn chat_on_screen(&self) -> WholeChat {
        let mut messages: Vec<WholeMessage> = Vec::new();
        let system = self.system.as_ref().map(|text| WholeMessage::new(1, None, Role::System, text.as_str()));
        messages.extend(system);
        let above = messages.len() as u32;
        let (mut leaf, on_screen) = (None, self.branches.path());
        let all = self.branches.all(&self.transcript);
        let place = |node| all.iter().position(|(other, ..)| *other == node).map(|place| place as u32 + 1 + above);
        for (number, (node, parent, entry)) in all.iter().enumerate() {
            let id = number as u32 + 1 + above;
            let parent = parent.and_then(place).or((above > 0).then_some(1));
            messages.extend(self.whole_message(id, parent, entry));
            if on_screen.contains(node) && self.is_worth_saving(entry) {
                leaf = Some(id);
            }
        }
        // Answers without a word are left out, and nothing is below them.
        let known: Vec<u32> = messages.iter().map(|message| message.id).collect();
        messages.retain(|message| message.parent.is_none_or(|parent| known.contains(&parent)));
        let first = messages.iter().find(|message| message.role == Role::User).map_or("", |message| &message.content);
        let (title, now) = (self.title_for(first), jiff::Timestamp::now());
        let time = jiff::Timestamp::from_second(now.as_second()).unwrap_or(now);
        WholeChat {
            tuichat: FORM,
            title,
            created_at: time,
            updated_at: time,
            tags: Vec::new(),
            archived: false,
            leaf,
            messages,
        }
    }

    fn is_worth_saving(&self, entry: &Entry) -> bool {
        matches!(entry, Entry::Question(_)) || entry.is_told()
    }

    fn whole_message(&self, id: u32, parent: Option<u32>, entry: &Entry) -> Option<WholeMessage> {
        match entry {
            Entry::Question(question) => Some(WholeMessage {
                pinned: question.hold.is_pinned,
                ..WholeMessage::new(id, parent, Role::User, question.text.text())
            }),
            Entry::Answer(answer) if answer.has_text() => Some(WholeMessage {
                thinking: answer.thinking.text().to_owned(),
                model: Some(self.model_name().to_owned()).filter(|name| !name.is_empty()),
                finish_reason: answer.end.as_ref().map(End::ended),
                pinned: answer.hold.is_pinned,
                ..WholeMessage::new(id, parent, Role::Assistant, answer.document.text())
            }),
            Entry::Answer(_) | Entry::Note(_) => None,
        }
    }
}

fn shown(path: &Path) -> String {
    escape_line(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::chat::{Ended, Role};
    use crate::exchange::Form;
    use crate::store::{ChatId, WholeChat};
    use crate::ui::app::tester::{Tester, opened, settings, stored};
    use crate::ui::export::Refused;
    use crate::ui::msg::{Effect, Exported, Msg, OpenedChat};

    fn answered() -> Tester {
        let mut tester = Tester::ready();
        tester.send("Why is the sky blue?");
        tester.token("Because", 1);
        tester.finish(Ended::Stop);
        tester
    }

    #[test]
    fn a_conversation_is_handed_over_as_text_with_a_name() {
        let mut tester = answered();
        let effects = tester.send("/save");
        let [Effect::Export { path: None, name, what: Exported::Text(text), replaces: false }] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(name, "why-is-the-sky-blue.md");
        assert_eq!(text, "# Why is the sky blue?\n\n## You\n\nWhy is the sky blue?\n\n## Tiny 1B\n\nBecause\n");
        let effects = tester.send("/export sky.json");
        let [Effect::Export { what: Exported::Text(text), .. }] = &effects[..] else { panic!("{effects:?}") };
        let read: WholeChat = serde_json::from_str(text).unwrap();
        assert_eq!(read.clone().put_right().unwrap(), read, "it can be imported");
        assert_eq!((read.messages[1].role, read.messages[1].content.as_str()), (Role::Assistant, "Because"));
        let effects = tester.send("/export html");
        assert!(
            matches!(&effects[..], [Effect::Export { path: None, name, .. }] if name == "why-is-the-sky-blue.html")
        );
        let mut tester = Tester::ready();
        assert!(tester.send("/save").is_empty());
        assert!(tester.app.notices()[0].contains("nothing to save yet"));
    }

    #[test]
    fn a_chat_that_was_resumed_is_saved_under_its_title() {
        let (mut tester, _) = Tester::start(Ok(settings()), true, Some(ChatId(4)));
        let messages = vec![stored(1, Role::User, "one", None), stored(2, Role::Assistant, "two", Some(Ended::Stop))];
        tester.update(Msg::ChatOpened(OpenedChat { title: "Bread".into(), ..opened(4, messages) }));
        let effects = tester.send("/save");
        assert!(matches!(&effects[..], [Effect::Export { name, .. }] if name == "bread.md"), "{effects:?}");
    }

    #[test]
    fn json_has_the_branches_of_a_private_chat_and_everything_of_a_saved_one() {
        let mut tester = answered();
        tester.send("/retry 0.2");
        tester.token("Air", 1);
        tester.finish(Ended::Length);
        let effects = tester.send("/save json");
        let [Effect::Export { what: Exported::Text(text), .. }] = &effects[..] else { panic!("{effects:?}") };
        let read: WholeChat = serde_json::from_str(text).unwrap();
        let told: Vec<_> = read.messages.iter().map(|it| (it.id, it.parent, it.content.as_str())).collect();
        assert_eq!(told, [(1, None, "Why is the sky blue?"), (2, Some(1), "Because"), (3, Some(1), "Air")]);
        assert_eq!((read.leaf, read.messages[2].finish_reason), (Some(3), Some(Ended::Length)));

        let (mut tester, _) = Tester::start(Ok(settings()), true, Some(ChatId(4)));
        let messages = vec![stored(1, Role::User, "one", None), stored(2, Role::Assistant, "two", Some(Ended::Stop))];
        tester.update(Msg::ChatOpened(opened(4, messages)));
        let effects = tester.send("/save x.json");
        let [Effect::Export { what: Exported::Stored { chat, form: Form::Json }, .. }] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!(*chat, ChatId(4));
    }

    #[test]
    fn a_file_is_replaced_when_the_same_is_asked_once_more() {
        let mut tester = answered();
        let path = PathBuf::from("sky.md");
        tester.send("/save sky.md");
        tester.update(Msg::Exported { path: Some(path.clone()), result: Err(Refused::Exists(path.clone())) });
        assert!(tester.app.notices()[0].contains("left as it is"), "{:?}", tester.app.notices());
        let replaces = |effects: Vec<Effect>| matches!(&effects[..], [Effect::Export { replaces: true, .. }]);
        assert!(!replaces(tester.send("/save other.md")), "that is another file");
        assert!(!replaces(tester.send("/save sky.md")), "it was not asked for twice in a row");
        tester.update(Msg::Exported { path: Some(path.clone()), result: Err(Refused::Exists(path.clone())) });
        assert!(replaces(tester.send("/save sky.md")));
        tester.update(Msg::Exported { path: Some(path.clone()), result: Ok(path) });
        assert_eq!(tester.app.notices(), ["this chat is written to `sky.md`"]);
    }
}
