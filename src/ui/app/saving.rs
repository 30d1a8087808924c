//! Writing the conversation to a file for others.

use std::path::PathBuf;

use super::App;
use crate::chat::Role;
use crate::text::escape_line;
use crate::ui::export::{Conversation, Refused, Said};
use crate::ui::msg::Effect;
use crate::ui::transcript::{End, Entry};

impl App {
    /// Writes the conversation; to replace a file it has to be asked for twice.
    pub(super) fn save(&mut self, path: Option<PathBuf>) -> Vec<Effect> {
        let conversation = self.conversation_to_export();
        if conversation.messages.iter().all(|said| said.role == Role::System) {
            self.notice("there is nothing to save yet; write a message first");
            return Vec::new();
        }
        let replaces = self.replaces_next.take().is_some_and(|asked| Some(asked) == path);
        let (text, name) = (conversation.text_for(path.as_deref()), conversation.file_name());
        vec![Effect::Export { path, name, text, replaces }]
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

    fn conversation_to_export(&self) -> Conversation {
        let plain = |role, content: &str| Said {
            role,
            content: content.to_owned(),
            thinking: None,
            finish_reason: None,
            pinned: false,
        };
        let entries = self.transcript.entries();
        let said = entries.iter().filter_map(|entry| match entry {
            Entry::Question(question) => {
                Some(Said { pinned: question.hold.is_pinned, ..plain(Role::User, question.text.text()) })
            }
            Entry::Answer(answer) if answer.has_text() => Some(Said {
                thinking: Some(answer.thinking.text().to_owned()).filter(|text| !text.is_empty()),
                finish_reason: answer.end.as_ref().map(End::ended),
                pinned: answer.hold.is_pinned,
                ..plain(Role::Assistant, answer.document.text())
            }),
            Entry::Answer(_) | Entry::Note(_) => None,
        });
        let messages: Vec<Said> = self.system.iter().map(|text| plain(Role::System, text)).chain(said).collect();
        let first = messages.iter().find(|said| said.role == Role::User).map_or("", |said| &said.content);
        Conversation { title: self.title_for(first), model: self.model_name().to_owned(), messages }
    }
}

fn shown(path: &std::path::Path) -> String {
    escape_line(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::chat::{Ended, Role};
    use crate::store::ChatId;
    use crate::ui::app::tester::{Tester, opened, settings, stored};
    use crate::ui::export::Refused;
    use crate::ui::msg::{Effect, Msg, OpenedChat};

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
        let [Effect::Export { path: None, name, text, replaces: false }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!(name, "why-is-the-sky-blue.md");
        assert_eq!(text, "# Why is the sky blue?\n\n## You\n\nWhy is the sky blue?\n\n## Tiny 1B\n\nBecause\n");
        let effects = tester.send("/export sky.json");
        assert!(matches!(&effects[..], [Effect::Export { text, .. }] if text.contains("\"role\": \"assistant\"")));
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
