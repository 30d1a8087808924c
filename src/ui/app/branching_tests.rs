//! Tests of messages and branches against a store in memory: whatever is done, the screen, the tree and the store tell
//! the same, and a chat that is not saved looks like one that is.

use crossterm::event::KeyCode;
use proptest::prelude::*;

use super::rig::{Rig, both};
use super::tester::*;
use super::*;
use crate::chat::Message;
use crate::engine::protocol::{EngineError, Step};
use crate::models::offers::Place;
use crate::ui::markdown::parts::PartKind;
use crate::ui::msg::{CopyOf, Retry};
use crate::ui::transcript::Entry;

#[test]
fn an_edited_question_is_a_branch_of_its_own_and_the_first_one_stays() {
    both(|mut rig| {
        rig.tester.type_text("a draft");
        rig.choose(2);
        rig.key(KeyCode::Char('e'));
        assert_eq!((rig.written().as_str(), rig.tester.app.edited_message()), ("two", Some(3)));
        rig.keys("!");
        rig.key(KeyCode::Enter);
        assert_eq!(rig.prompt.as_ref().unwrap().0.messages, [user("one"), assistant("ONE"), user("two!")]);
        rig.answer("TWO!");
        assert_eq!((rig.written().as_str(), rig.tester.app.edited_message()), ("a draft", None));
        assert_eq!(rig.said(), ["one", "ONE", "two!", "TWO!"]);
        assert_eq!(rig.siblings()[2], (2, 2));
        rig.choose(2);
        rig.key(KeyCode::Left);
        assert_eq!((rig.said()[2..].to_vec(), rig.siblings()[2]), (vec!["two".to_owned(), "TWO".into()], (1, 2)));
        rig.assert_whole();
        rig.key(KeyCode::Left);
        assert!(rig.notices().contains("the first of these"), "{}", rig.notices());
        rig.key(KeyCode::Esc);
        rig.reopen();
        assert_eq!(rig.said()[2], "two");
        rig.assert_whole();
    });
}

#[test]
fn giving_up_an_edit_brings_back_what_was_being_written() {
    both(|mut rig| {
        rig.tester.type_text("a draft");
        rig.command(Command::EditMessage(Some(1)));
        assert_eq!((rig.written().as_str(), rig.tester.app.edited_message()), ("one", Some(1)));
        rig.key(KeyCode::Esc);
        assert_eq!((rig.written().as_str(), rig.tester.app.edited_message()), ("a draft", None));
        assert_eq!(rig.said().len(), 4);
        rig.command(Command::EditMessage(Some(2)));
        assert!(rig.notices().contains("/retry"), "{}", rig.notices());
        rig.command(Command::EditMessage(Some(9)));
        assert!(rig.notices().contains("there is no message 9"));
    });
}

#[test]
fn a_question_that_is_sent_as_it_was_is_asked_once_more() {
    both(|mut rig| {
        rig.command(Command::EditMessage(None));
        rig.key(KeyCode::Enter);
        rig.answer("again");
        assert_eq!(rig.said(), ["one", "ONE", "two", "again"]);
        assert_eq!(rig.siblings()[2..], [(1, 1), (2, 2)]);
        rig.assert_whole();
    });
}

#[test]
fn another_answer_is_a_sibling_and_may_have_a_temperature_of_its_own() {
    both(|mut rig| {
        rig.send("/retry 0.2");
        let (prompt, options) = rig.prompt.clone().unwrap();
        assert_eq!(prompt.messages, [user("one"), assistant("ONE"), user("two")]);
        assert_eq!(options.sampling.temperature, 0.2);
        rig.answer("second");
        rig.choose(3);
        rig.key(KeyCode::Char('r'));
        assert_eq!(rig.prompt.as_ref().unwrap().1, GenerateOptions::default(), "for one answer only");
        rig.answer("third");
        assert_eq!(rig.siblings()[3], (3, 3));
        rig.assert_whole();
        rig.choose(1);
        rig.key(KeyCode::Char('r'));
        assert_eq!(rig.prompt.as_ref().unwrap().0.messages, [user("one")]);
        rig.answer("other");
        assert_eq!(rig.said(), ["one", "other"]);
        rig.choose(1);
        rig.key(KeyCode::Left);
        assert_eq!(rig.said(), ["one", "ONE", "two", "third"], "what was said last below it");
        rig.assert_whole();
    });
}

#[test]
fn a_question_that_was_stopped_before_a_word_came_is_no_branch_when_it_is_sent_again() {
    both(|mut rig| {
        rig.ask("three", "");
        assert_eq!(rig.written(), "three");
        rig.tester.app.composer.clear();
        rig.ask("three", "THREE");
        assert_eq!((rig.said()[4..].to_vec(), rig.siblings()[4]), (vec!["three".to_owned(), "THREE".into()], (1, 1)));
        rig.assert_whole();
    });
}

#[test]
fn if_no_word_of_another_answer_comes_the_one_of_before_is_back() {
    both(|mut rig| {
        rig.command(Command::Retry(Retry::Same));
        rig.answer("");
        assert_eq!(rig.said(), ["one", "ONE", "two", "TWO"]);
        assert!(rig.written().is_empty() && rig.notices().contains("is back"), "{}", rig.notices());
        rig.assert_whole();
        rig.command(Command::Retry(Retry::Same));
        let effects = rig.tester.answer(Step::Failed(EngineError::Failed("the device went away".into())));
        rig.perform(effects);
        assert!(rig.notices().contains("the device went away; the answer of before is back"));
        assert_eq!(rig.siblings()[3], (1, 1), "an answer without a word is none");
        rig.assert_whole();
        rig.reopen();
        assert_eq!(rig.said().len(), 4);
    });
}

#[test]
fn another_model_is_loaded_before_it_answers_again() {
    let mut rig = Rig::of(true, &["one"]);
    let effects = rig.tester.send("/retry model oth");
    assert!(matches!(effects[..], [Effect::ListModels]), "{effects:?}");
    let effects = rig.tester.update(Msg::Offers(vec![here("tiny", None), here("other", None), download("oth")]));
    let [Effect::Get { choice, offer }] = &effects[..] else { panic!("{effects:?}") };
    let Place::Here { found, .. } = &offer.place else { panic!() };
    let settings =
        crate::engine::protocol::LoadSettings { name: Some("other".into()), path: found.path.clone(), ..settings() };
    rig.update(Msg::Got { choice: *choice, result: Ok(Box::new(settings)) });
    assert_eq!(rig.said(), ["one", "ONE"], "while it is loaded nothing is taken away");
    let info = ModelInfo { name: "other".into(), ..model(true) };
    let effects = rig.tester.model(Step::Ready(Box::new(info)));
    rig.perform(effects);
    assert_eq!(rig.prompt.as_ref().unwrap().0.messages, [user("one")]);
    rig.answer("from another");
    assert_eq!((rig.said(), rig.siblings()[1]), (vec!["one".into(), "from another".into()], (2, 2)));
    assert_eq!(rig.tester.notes(), ["`other` answers from here on"]);
    rig.assert_whole();

    rig.tester.send("/retry model nothing");
    rig.update(Msg::Offers(vec![here("tiny", None)]));
    assert!(rig.notices().contains("no model on this machine is called `nothing`"), "{}", rig.notices());
}

#[test]
fn the_last_exchange_is_taken_back_and_brought_back() {
    both(|mut rig| {
        rig.send("/undo");
        assert_eq!((rig.said().len(), rig.written().as_str()), (2, "two"));
        assert!(rig.notices().contains("/redo"));
        rig.assert_whole();
        rig.tester.command(Command::Interrupt);
        rig.send("/undo");
        assert_eq!((rig.said().len(), rig.written().as_str()), (0, "one"));
        rig.assert_whole();
        rig.command(Command::UndoExchange);
        assert!(rig.notices().contains("nothing to take back"));
        rig.command(Command::RedoExchange);
        assert_eq!((rig.said().len(), rig.written().as_str()), (2, ""), "as many times as it was taken back");
        rig.assert_whole();
        rig.send("/redo");
        assert_eq!((rig.said().len(), rig.written().as_str()), (4, ""));
        rig.assert_whole();
        rig.command(Command::RedoExchange);
        assert!(
            rig.notices()
                .ends_with("nothing was taken back here, and nothing deleted, so there is nothing to bring back")
        );
        rig.send("/retry");
        rig.answer("another");
        rig.command(Command::RedoExchange);
        assert!(rig.notices().contains("marked like ‹\u{a0}1/2\u{a0}›"), "{}", rig.notices());
    });
}

#[test]
fn a_question_that_is_written_anew_is_planned_behind_what_stands_before_it() {
    both(|mut rig| {
        rig.command(Command::EditMessage(Some(1)));
        rig.keys("!");
        rig.tester.wait(200);
        let effects = rig.tester.update(Msg::Tick);
        let prompts = effects.iter().filter_map(|effect| match effect {
            Effect::Plan(prompt, _) | Effect::Prefill { prompt, .. } => Some(prompt),
            _ => None,
        });
        let told: Vec<Vec<&str>> =
            prompts.map(|prompt| prompt.messages.iter().map(|message| message.text.as_str()).collect()).collect();
        assert_eq!(told, [["one!"]]);
    });
}

#[test]
fn what_was_taken_back_and_written_otherwise_is_a_branch() {
    both(|mut rig| {
        rig.send("/undo");
        rig.keys("?");
        rig.key(KeyCode::Enter);
        rig.answer("TWO?");
        assert_eq!((rig.said()[2].as_str(), rig.siblings()[2]), ("two?", (2, 2)));
        rig.assert_whole();
    });
}

#[test]
fn an_answer_that_was_gone_on_from_is_not_continued_after_an_undo() {
    both(|mut rig| {
        rig.send("/undo");
        rig.command(Command::Continue);
        assert!(!rig.tester.app.is_answering());
        assert!(rig.notices().contains("another branch"), "{}", rig.notices());
    });
}

#[test]
fn with_a_chosen_message_other_keys_do_as_ever_and_a_letter_without_a_meaning_says_so() {
    let mut rig = Rig::of(true, &["one"]);
    rig.choose(0);
    rig.keys("x");
    assert!(rig.notices().contains("Esc goes on writing"), "{}", rig.notices());
    assert!(rig.written().is_empty());
    rig.key(KeyCode::F(3));
    assert!(matches!(rig.tester.app.popup(), Popup::Context { .. }));
}

#[test]
fn a_fork_is_a_chat_of_its_own() {
    let mut rig = Rig::of(true, &["one", "two"]);
    let first = *rig.tester.app.chat.get().unwrap();
    rig.send("/fork 2");
    assert_ne!(rig.tester.app.chat.get(), Some(&first));
    assert_eq!(rig.said(), ["one", "ONE"]);
    assert!(rig.notices().contains("the fork"), "{}", rig.notices());
    rig.ask("three", "THREE");
    rig.assert_whole();
    let store = rig.store.as_ref().unwrap();
    assert_eq!(store.branch(first).unwrap().len(), 4);
    assert_eq!(store.chats(9).unwrap()[0].title, "Fork of one");

    let mut rig = Rig::of(false, &["one"]);
    rig.send("/fork");
    assert!(rig.notices().contains("could not be saved"), "{}", rig.notices());
}

#[test]
fn while_an_answer_runs_what_cannot_be_done_says_so() {
    both(|mut rig| {
        rig.send("three");
        let effects = rig.tester.token("half", 1);
        rig.perform(effects);
        for text in ["/edit", "/retry", "/undo", "/redo"] {
            rig.send(text);
            assert!(rig.notices().contains("stop it with Esc first"), "{text}: {}", rig.notices());
        }
        rig.choose(0);
        for key in ['e', 'r', 'd'] {
            rig.key(KeyCode::Char(key));
            assert!(rig.notices().contains("stop it with Esc twice first"), "{key}: {}", rig.notices());
        }
        rig.key(KeyCode::Char('y'));
        assert_eq!(rig.copied, ["one"]);
        rig.key(KeyCode::Esc);
        rig.answer(" done");
        assert_eq!(rig.said().last().map(String::as_str), Some("half done"));
        rig.assert_whole();
    });
}

#[test]
fn parts_of_a_message_are_copied_as_they_were_written() {
    let mut rig = Rig::new(false);
    rig.ask("how?", "So:\n\n```rust\nfn main() {}\n```\n\n| a |\n|---|\n| 1 |\n");
    rig.choose(1);
    rig.keys("y");
    rig.key(KeyCode::Tab);
    rig.keys("c");
    rig.keys("ny");
    assert!(rig.notices().contains("copied the table (18 bytes) through the terminal"), "{}", rig.notices());
    rig.update(Msg::Copied { what: "the table".into(), bytes: 18 });
    assert!(rig.notices().contains("copied the table (18 bytes) to the clipboard"), "{}", rig.notices());
    rig.key(KeyCode::Tab);
    assert_eq!(rig.tester.app.selection().unwrap().part, None, "after the last part the message again");
    rig.key(KeyCode::Esc);
    rig.command(Command::Copy(CopyOf::LastPart(PartKind::Code)));
    rig.command(Command::Copy(CopyOf::LastAnswer));
    rig.send("/copy 1");
    let answer = rig.said()[1].clone();
    let table = "| a |\n|---|\n| 1 |\n";
    assert_eq!(rig.copied, [answer.as_str(), "fn main() {}\n", table, "fn main() {}\n", &answer, "how?"]);
    rig.send("/copy table");
    assert_eq!(rig.copied.last().map(String::as_str), Some(table));
    rig.send("/copy 7");
    assert!(rig.notices().contains("there is no message 7"));
}

#[test]
fn what_is_written_stays_while_a_message_is_chosen() {
    both(|mut rig| {
        rig.tester.type_text("a draft");
        rig.key(KeyCode::BackTab);
        assert_eq!(rig.tester.app.selection().unwrap().message, 3);
        rig.keys("xzgG");
        rig.key(KeyCode::Enter);
        assert_eq!((rig.written().as_str(), rig.tester.app.selection()), ("a draft", None));
        rig.key(KeyCode::BackTab);
        rig.update(Msg::Paste(" and more".into()));
        assert_eq!((rig.written().as_str(), rig.tester.app.selection()), ("a draft and more", None));
    });
}

#[test]
fn pins_and_marks_follow_the_branch() {
    let mut rig = Rig::of(true, &["one", "two"]);
    rig.send("/pin 4");
    rig.command(Command::Retry(Retry::Same));
    rig.answer("second");
    let pins = |rig: &Rig| -> Vec<bool> {
        let entries = rig.tester.app.transcript.entries().iter().filter_map(Entry::message);
        entries.map(|message: Message| message.is_pinned).collect()
    };
    assert_eq!(pins(&rig), [false; 4]);
    rig.choose(3);
    rig.key(KeyCode::Left);
    assert_eq!(pins(&rig), [false, false, false, true]);
    let effects = rig.tester.tick_when_due();
    assert!(matches!(&effects[..], [Effect::Plan(prompt, _)] if prompt.messages[3].is_pinned), "{effects:?}");
}

#[derive(Clone, Debug)]
enum Action {
    Ask,
    AskInVain,
    Edit(usize),
    Retry(usize),
    RetryInVain(usize),
    Sibling(usize, bool),
    Undo,
    Redo,
    Delete(usize),
    Reopen,
    Fork(usize),
}

fn steps() -> impl Strategy<Value = Vec<Action>> {
    let place = 0usize..8;
    let step = prop_oneof![
        4 => Just(Action::Ask),
        1 => Just(Action::AskInVain),
        2 => place.clone().prop_map(Action::Edit),
        2 => place.clone().prop_map(Action::Retry),
        1 => place.clone().prop_map(Action::RetryInVain),
        4 => (place.clone(), any::<bool>()).prop_map(|(place, newer)| Action::Sibling(place, newer)),
        2 => Just(Action::Undo),
        1 => Just(Action::Redo),
        1 => place.clone().prop_map(Action::Delete),
        1 => Just(Action::Reopen),
        1 => place.prop_map(Action::Fork),
    ];
    proptest::collection::vec(step, 1..30)
}

impl Rig {
    fn take(&mut self, step: &Action, number: usize) {
        let (question, answer) = (format!("q{number}"), format!("a{number}"));
        self.tester.command(Command::Interrupt);
        self.tester.wait(5000);
        match step {
            Action::Ask => self.ask(&question, &answer),
            Action::AskInVain => self.ask(&question, ""),
            Action::Edit(place) => {
                self.choose(*place);
                self.key(KeyCode::Char('e'));
                if self.tester.app.edited_message().is_some() {
                    self.ask("!", &answer);
                } else {
                    self.key(KeyCode::Esc);
                }
            }
            Action::Retry(place) | Action::RetryInVain(place) => {
                self.choose(*place);
                self.key(KeyCode::Char('r'));
                self.answer(if matches!(step, Action::Retry(_)) { &answer } else { "" });
                self.command(Command::Select(Select::Leave));
            }
            Action::Sibling(place, newer) => {
                self.choose(*place);
                self.key(if *newer { KeyCode::Right } else { KeyCode::Left });
                self.command(Command::Select(Select::Leave));
            }
            Action::Undo => self.command(Command::UndoExchange),
            Action::Redo => self.command(Command::RedoExchange),
            Action::Delete(place) => {
                self.choose(*place);
                self.command(Command::Select(Select::Delete));
                self.command(Command::Select(Select::Delete));
                self.command(Command::Select(Select::Leave));
            }
            Action::Reopen => self.reopen(),
            Action::Fork(place) => {
                self.choose(*place);
                self.command(Command::Select(Select::Fork));
                self.command(Command::Select(Select::Leave));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn whatever_is_done_screen_tree_and_store_tell_the_same(steps in steps()) {
        let mut rig = Rig::new(true);
        for (number, step) in steps.iter().enumerate() {
            rig.take(step, number);
            rig.assert_whole();
            prop_assert!(rig.tester.app.saves, "{}", rig.notices());
            let before = (rig.said(), rig.siblings());
            rig.reopen();
            prop_assert_eq!((rig.said(), rig.siblings()), before);
        }
    }

    #[test]
    fn a_chat_that_is_not_saved_looks_like_one_that_is(steps in steps()) {
        let (mut saved, mut private) = (Rig::new(true), Rig::new(false));
        for (number, step) in steps.iter().enumerate() {
            if matches!(step, Action::Fork(_) | Action::Reopen) {
                continue;
            }
            saved.take(step, number);
            private.take(step, number);
            prop_assert_eq!((saved.said(), saved.siblings()), (private.said(), private.siblings()));
            prop_assert_eq!(saved.written(), private.written());
        }
    }
}
