//! The system prompt of this chat: showing it, and changing it. It is the first message of a chat, under which every
//! answer was given, so a chat that has begun keeps its own, and another prompt begins another chat.

use std::path::PathBuf;

use super::App;
use super::words::Words;
use crate::ui::msg::Effect;

/// What is written to have none.
const NONE: &str = "none";

impl App {
    pub(super) fn system_prompt(&mut self, wanted: Option<&str>) -> Vec<Effect> {
        match wanted {
            None => self.show_system(),
            Some(NONE) => self.change_system(None),
            Some(text) => match text.strip_prefix('@') {
                Some(path) => return vec![Effect::ReadSystem(PathBuf::from(path))],
                None => self.change_system(Some(text.to_owned())),
            },
        }
        Vec::new()
    }

    /// The file was read that holds the system prompt.
    pub(super) fn system_read(&mut self, result: Result<String, String>) {
        match result {
            Ok(text) if text.trim().is_empty() => {
                self.notice("the file is empty; `/system none` takes the prompt away")
            }
            Ok(text) => self.change_system(Some(text.trim_end().to_owned())),
            Err(sentence) => self.notice(sentence),
        }
    }

    fn show_system(&mut self) {
        let mut words = Words::titled("System prompt");
        match &self.system {
            Some(text) => text.lines().for_each(|line| words.say(line)),
            None => words.say("This chat has none."),
        }
        words.say("");
        words.say("`/system TEXT`, `/system @FILE` and `/system none` change it");
        self.show_words(words);
    }

    pub(super) fn change_system(&mut self, system: Option<String>) {
        let is_begun = self.transcript.entries().iter().any(|entry| entry.message().is_some());
        if is_begun && !self.can_change_chat() {
            return;
        }
        if is_begun && !self.saves {
            self.notice(
                "this chat keeps the system prompt under which it began, and it is not saved: `/new` gives it up, then \
                 `/system` changes the prompt",
            );
            return;
        }
        let words = match system {
            Some(_) => "the system prompt is changed",
            None => "there is no system prompt",
        };
        if is_begun {
            self.new_chat();
            self.notice(format!("{words} in this new chat; the one before keeps its own (Ctrl-O goes back to it)"));
        } else {
            self.notice(format!("{words} in this chat"));
        }
        self.system = system;
    }
}

#[cfg(test)]
mod tests {
    use crate::chat::{Ended, Message, Role};
    use crate::ui::app::tester::{Tester, prompt, saves, user};
    use crate::ui::msg::{Effect, Msg, Save};

    #[test]
    fn a_chat_that_has_not_begun_takes_another_system_prompt() {
        let mut tester = Tester::saving();
        tester.send("/system You are a pirate");
        let effects = tester.send("Hi");
        assert!(
            matches!(saves(&effects)[..], [Save::Question { system: Some(text), .. }] if text == "You are a pirate")
        );
        let effects = tester.question_is_saved(1);
        assert_eq!(prompt(&effects).unwrap().messages, [Message::new(Role::System, "You are a pirate"), user("Hi")]);
        tester.token("Arr", 1);
        tester.finish(Ended::Stop);
        tester.send("/system");
        assert!(tester.words().starts_with("System prompt\nYou are a pirate"), "{}", tester.words());
    }

    #[test]
    fn another_system_prompt_begins_another_chat_where_one_has_begun() {
        let mut tester = Tester::saving();
        tester.send("Hi");
        tester.question_is_saved(1);
        tester.send("/system Be brief");
        assert!(tester.app.is_answering() && tester.app.notices()[0].contains("Esc"));
        tester.token("Hello", 1);
        tester.finish(Ended::Stop);
        tester.send("/system Be brief");
        assert!(tester.app.notices()[0].contains("new chat"), "{:?}", tester.app.notices());
        assert!(tester.app.transcript.entries().is_empty());
        let effects = tester.send("Hi");
        assert!(matches!(saves(&effects)[..], [Save::Question { system: Some(text), .. }] if text == "Be brief"));
        let mut tester = Tester::ready();
        tester.send("Hi");
        tester.token("Hello", 1);
        tester.finish(Ended::Stop);
        tester.send("/system Be brief");
        assert_eq!(tester.answer_texts(), ["Hello"], "what is not saved is not given up");
        assert!(tester.app.notices()[0].contains("`/new` gives it up"));
    }

    #[test]
    fn a_system_prompt_is_read_from_a_file() {
        let mut tester = Tester::saving();
        assert!(
            matches!(&tester.send("/system @pirate.txt")[..], [Effect::ReadSystem(path)] if path.ends_with("pirate.txt"))
        );
        tester.update(Msg::SystemRead(Err("cannot read `pirate.txt`".into())));
        assert_eq!(tester.app.notices(), ["cannot read `pirate.txt`"]);
        tester.update(Msg::SystemRead(Ok("You are a pirate\n".into())));
        let effects = tester.send("Hi");
        assert!(
            matches!(saves(&effects)[..], [Save::Question { system: Some(text), .. }] if text == "You are a pirate")
        );
        let mut tester = Tester::saving();
        tester.send("/system none");
        assert!(matches!(saves(&tester.send("Hi"))[..], [Save::Question { system: None, .. }]));
    }
}
