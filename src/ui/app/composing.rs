//! What is done with what was written: sent, read as a command, written elsewhere.

use std::time::Instant;

use super::App;
use crate::ui::composer::{Part, sent, split_attached};
use crate::ui::folds::{self, Fold};
use crate::ui::msg::{Command, Effect};
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
                let line = self.composer.command_line().unwrap_or_default().to_owned();
                self.remember_command(&line);
                self.composer.take_command();
                self.written_command(command, now)
            }
            // What is written stays.
            Some(Written::Message(_)) | None if self.lacks_model() && self.has_draft() => self.list_models(),
            Some(Written::Message(_)) | None => self.send_written(now),
        }
    }

    /// Does what was written instead of a message.
    pub(super) fn written_command(&mut self, command: Command, now: Instant) -> Vec<Effect> {
        self.notices.clear();
        self.look_ahead(now);
        self.command(command, now)
    }

    /// Whether this message is what is in the composer.
    pub(super) fn is_written(&self, text: &str) -> bool {
        !self.composer.is_empty() && message(&self.composer.parts()) == text
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

/// The parts of a message that was sent, as they are written in the composer.
pub(super) fn written_again(text: &str, folds: &[Fold]) -> Vec<Part> {
    let whole = || vec![Part::Text(slash::written(text))];
    if folds.is_empty() {
        return whole();
    }
    let mut parts = folds::parts(text, folds);
    // What stands behind what is attached may look like a command.
    let written = parts.iter().position(|part| matches!(part, Part::Text(_) | Part::Paste(_)));
    if let Some(Part::Text(written)) = written.and_then(|index| parts.get_mut(index)) {
        let plain = written.strip_prefix(' ').unwrap_or(written);
        let escaped = slash::written(plain);
        if escaped != plain {
            *written = format!(" {escaped}");
        }
    }
    if message(&parts) == text { parts } else { whole() }
}

/// Of so many names it is said that they are no files.
const MOST_NAMES: usize = 3;

/// Words that were written with an `@` before them, as a file is attached, and are sent as they stand.
pub(super) fn look_for_names(parts: &[Part]) -> Option<Effect> {
    let written = parts.iter().filter_map(|part| match part {
        Part::Text(text) => Some(text.split_whitespace()),
        _ => None,
    });
    let names = written.flatten().filter_map(|word| word.strip_prefix('@'));
    let names = names.map(|name| name.trim_end_matches([',', '.', ';', ':', '!', '?', ')', '"', '\'']));
    let is_path = |name: &&str| name.starts_with(|first: char| first.is_alphanumeric() || "./~_-".contains(first));
    let names: Vec<String> = names.filter(is_path).take(MOST_NAMES).map(str::to_owned).collect();
    (!names.is_empty()).then_some(Effect::LookForFiles(names))
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
    use proptest::prelude::*;

    use crate::ui::app::tester::{Tester, prompt, user};
    use crate::ui::composer::Part;
    use crate::ui::msg::{Command, Effect, Msg};

    fn file(name: &str) -> Part {
        Part::File { name: name.into(), text: "milk\n".into() }
    }

    /// A message of a file and a large paste, sent and answered.
    fn sent_with_parts() -> (Tester, String) {
        let mut tester = Tester::ready();
        tester.update(Msg::Attached(Ok(file("a.txt"))));
        tester.type_text("Sum up ");
        tester.update(Msg::Paste("line\n".repeat(312)));
        let effects = tester.command(Command::Send);
        let text = prompt(&effects).unwrap().messages[0].text.clone();
        assert_eq!(text, format!("{BLOCK}\n\nSum up {}", "line\n".repeat(312).trim_end()));
        (tester, text)
    }

    #[test]
    fn pastes_and_files_stay_folded_when_a_message_is_given_back_edited_and_undone() {
        let (mut tester, text) = sent_with_parts();
        let is_folded = |tester: &Tester| {
            let parts = tester.app.composer.parts();
            matches!(&parts[..], [Part::File { .. }, Part::Text(_), Part::Paste(_)]) && tester.app.draft() == text
        };
        // Stopped before the first word.
        tester.command(Command::Stop);
        tester.finish(crate::chat::Ended::Cancelled);
        assert!(is_folded(&tester), "{:?}", tester.app.composer.parts());
        let effects = tester.command(Command::Send);
        assert_eq!(prompt(&effects).unwrap().messages[0].text, text);
        tester.token("yes", 1);
        tester.finish(crate::chat::Ended::Stop);
        tester.send("/edit");
        assert!(is_folded(&tester), "{:?}", tester.app.composer.parts());
        tester.command(Command::Stop);
        tester.send("/undo");
        assert!(is_folded(&tester), "{:?}", tester.app.composer.parts());
        tester.send("/redo");
        assert!(tester.app.composer.is_empty());
        tester.key(crossterm::event::KeyCode::Up, crossterm::event::KeyModifiers::NONE);
        assert!(is_folded(&tester), "{:?}", tester.app.composer.parts());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn a_message_that_is_written_again_is_the_same_message(
            kinds in prop::collection::vec((0..4_u8, "[a-z /\n]{0,8}"), 0..6)
        ) {
            let parts: Vec<Part> = kinds.into_iter().map(|(kind, words)| match kind {
                0 => Part::Text(words),
                1 => Part::Paste(words),
                2 => Part::File { name: "a.txt".into(), text: words },
                _ => Part::Image("/x.png".into()),
            }).collect();
            let text = super::message(&parts);
            let again = super::written_again(&text, &crate::ui::folds::of(&text, &parts));
            prop_assert_eq!(super::message(&again), text);
        }
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
    fn a_name_that_attaches_nothing_is_sent_and_told() {
        let mut tester = Tester::ready();
        let effects = tester.send("Compare @nofile, me@home and @a.txt.");
        assert_eq!(prompt(&effects).unwrap().messages, [user("Compare @nofile, me@home and @a.txt.")]);
        let [.., Effect::LookForFiles(names)] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!(names, &["nofile", "a.txt"]);
        tester.update(Msg::NotAttached { there: vec!["a.txt".into()], missing: vec!["nofile".into()] });
        assert_eq!(
            tester.app.notices(),
            [
                "`@nofile` is no file here, so it was sent as it stands",
                "`@a.txt` was sent as it stands; `/attach a.txt` attaches the file"
            ]
        );
        assert!(tester.app.is_answering());
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
        assert!(matches!(&effects[..], [Effect::EditOutside { text, .. }] if *text == "line\n".repeat(20)));
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
