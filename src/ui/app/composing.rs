//! What is done with what was written: sent, read as a command, filled with files.

use std::time::Instant;

use super::App;
use crate::ui::composer::{Part, sent, split_attached};
use crate::ui::msg::Effect;
use crate::ui::slash::{self, Written};

impl App {
    /// Enter: what was written is a command, or a message.
    pub(super) fn send(&mut self, now: Instant) -> Vec<Effect> {
        match self.composer.command_line().map(slash::read) {
            Some(Written::Mistake(sentence)) => {
                self.notice(sentence);
                Vec::new()
            }
            Some(Written::Command(command)) => {
                self.notices.clear();
                self.composer.take_command();
                self.look_ahead(now);
                self.command(command, now)
            }
            Some(Written::Message(_)) | None => self.send_written(now),
        }
    }

    /// What would be sent to the model of what is in the composer; nothing of a command.
    pub fn draft(&self) -> String {
        if self.has_draft() { message(&self.composer.parts()) } else { String::new() }
    }

    /// Whether something is written that would be sent to the model.
    pub fn has_draft(&self) -> bool {
        // A slash alone is the beginning of a command, as far as can be known.
        let is_command = self
            .composer
            .command_line()
            .is_some_and(|line| line == "/" || !matches!(slash::read(line), Written::Message(_)));
        !self.composer.is_empty() && !is_command
    }

    /// A file was read that is to be attached, or a sentence says why not.
    pub(super) fn attached(&mut self, read: Result<Part, String>) {
        let attached = read.and_then(|part| {
            self.composer.attach(&part)?;
            Ok(matches!(part, Part::Image(_)))
        });
        match attached {
            Ok(true) => self.notice("the models here cannot see pictures: they are told the name only"),
            Ok(false) => {}
            Err(sentence) => self.notice(sentence),
        }
    }

    pub(super) fn detach(&mut self, name: Option<&str>) {
        let sentence = match (self.composer.detach(name), name) {
            (Some(_), _) => return,
            (None, Some(name)) => {
                format!("no file `{}` is attached; `/drop` takes out the last one", crate::text::escape_line(name))
            }
            (None, None) => "no file is attached; `/attach PATH` attaches one".into(),
        };
        self.notice(sentence);
    }

    /// What the person's editor gets: everything but what is attached before it.
    pub(super) fn text_for_editor(&mut self) -> String {
        let text = sent(&split_attached(&self.composer.parts()).1);
        self.outside = Some((text.clone(), self.composer.revision()));
        text
    }

    /// The person's editor has ended. A text that became another one meanwhile is not lost.
    pub(super) fn edited_outside(&mut self, result: Result<String, String>) {
        let Some((before, revision)) = self.outside.take() else { return };
        match result {
            Err(sentence) => self.notice(sentence),
            Ok(text) if text == before => {}
            Ok(text) if revision == self.composer.revision() => {
                let (mut parts, _) = split_attached(&self.composer.parts());
                parts.push(Part::Text(text));
                self.composer.set(&parts);
            }
            Ok(text) => self.composer.give_back(&[Part::Text(text)]),
        }
    }

    pub(super) fn open_token(&mut self) {
        match self.composer.open_token() {
            Ok(()) => self.notices.clear(),
            Err(sentence) => self.notice(sentence),
        }
    }
}

/// What the model is told of what was written. A slash that makes a message of a command is left out.
pub(super) fn message(parts: &[Part]) -> String {
    let (mut attached, rest) = split_attached(parts);
    let written = sent(&rest);
    let written = match slash::read(&written) {
        Written::Message(message) => message,
        Written::Command(_) | Written::Mistake(_) => written,
    };
    attached.push(Part::Text(written));
    sent(&attached)
}

#[cfg(test)]
mod tests {
    use crate::ui::app::tester::{Tester, prompt, user};
    use crate::ui::composer::Part;
    use crate::ui::msg::{Command, Effect, Msg};

    fn file(name: &str) -> Part {
        Part::File { name: name.into(), text: "milk\n".into() }
    }

    const BLOCK: &str = "--- file: a.txt ---\nmilk\n--- end of file: a.txt ---";

    #[test]
    fn a_file_is_read_attached_and_sent_before_the_message() {
        let mut tester = Tester::ready();
        let effects = tester.send("/attach  my notes.txt");
        assert!(matches!(&effects[..], [Effect::Attach(path)] if path == "my notes.txt"));
        tester.update(Msg::Attached(Ok(file("a.txt"))));
        let effects = tester.send("Sum up");
        assert_eq!(prompt(&effects).unwrap().messages, [user(&format!("{BLOCK}\n\nSum up"))]);
    }

    #[test]
    fn a_second_file_is_attached_and_one_dropped_by_commands_beside_the_first() {
        let mut tester = Tester::ready();
        tester.update(Msg::Attached(Ok(file("a.txt"))));
        assert!(matches!(&tester.send("/attach b.txt")[..], [Effect::Attach(_)]));
        tester.update(Msg::Attached(Ok(file("b.txt"))));
        tester.send("/drop b.txt");
        assert_eq!(tester.app.composer.text(), BLOCK);
        tester.send("/drop b.txt");
        assert_eq!(tester.app.notices(), ["no file `b.txt` is attached; `/drop` takes out the last one"]);
        assert_eq!(tester.app.draft(), BLOCK, "what is attached counts for what a message costs");
        tester.send("//pin");
        tester.token("yes", 1);
        tester.finish(crate::chat::Ended::Stop);
        assert_eq!(tester.app.conversation().messages[0], user(&format!("{BLOCK}\n\n/pin")));
    }

    #[test]
    fn a_file_that_cannot_be_read_and_a_picture_are_sentences() {
        let mut tester = Tester::ready();
        tester.update(Msg::Attached(Err("`a.txt` is a folder; name the files in it".into())));
        assert_eq!(tester.app.notices(), ["`a.txt` is a folder; name the files in it"]);
        tester.update(Msg::Attached(Ok(Part::Image("/x/y.png".into()))));
        assert!(tester.app.notices()[1].contains("cannot see pictures"));
        let effects = tester.send("What is this?");
        assert_eq!(prompt(&effects).unwrap().messages, [user("[image: /x/y.png]\n\nWhat is this?")]);
    }

    #[test]
    fn the_editor_gets_the_whole_text_and_what_it_leaves_is_written() {
        let mut tester = Tester::ready();
        tester.update(Msg::Attached(Ok(file("a.txt"))));
        tester.update(Msg::Paste("line\n".repeat(20)));
        let effects = tester.command(Command::EditOutside);
        assert!(matches!(&effects[..], [Effect::EditOutside(text)] if *text == "line\n".repeat(20)));
        tester.update(Msg::EditedOutside(Ok("short".into())));
        assert_eq!(tester.app.composer.text(), format!("{BLOCK}\n\nshort"));
        tester.command(Command::Undo);
        assert_eq!(tester.app.composer.text(), format!("{BLOCK}\n\n{}", "line\n".repeat(20).trim()));
    }

    #[test]
    fn an_editor_that_fails_changes_nothing_and_says_so() {
        let mut tester = Tester::ready();
        tester.type_text("a draft");
        tester.command(Command::EditOutside);
        tester.update(Msg::EditedOutside(Err("`nano` is not there".into())));
        assert_eq!(tester.app.composer.text(), "a draft");
        assert_eq!(tester.app.notices(), ["`nano` is not there"]);
    }

    #[test]
    fn what_was_given_back_while_the_editor_ran_is_not_lost() {
        let mut tester = Tester::ready();
        tester.send("question");
        tester.type_text("next");
        tester.command(Command::EditOutside);
        tester.answer(crate::engine::protocol::Step::Failed(crate::engine::protocol::EngineError::Failed("x".into())));
        tester.update(Msg::EditedOutside(Ok("next one".into())));
        assert_eq!(tester.app.composer.text(), "next one\nquestion\nnext");
    }
}
