//! Tests of deleting messages, and of bringing them back.

use crossterm::event::{KeyCode, KeyModifiers};

use super::rig::{Rig, both};
use crate::ui::msg::{Command, Effect, Retry};

#[test]
fn a_message_is_deleted_with_all_that_follows_when_asked_twice() {
    both(|mut rig| {
        rig.command(Command::Retry(Retry::Same));
        rig.answer("second");
        rig.choose(3);
        rig.keys("d");
        assert!(rig.tester.app.selection().unwrap().deletes_next);
        rig.key(KeyCode::Up);
        rig.key(KeyCode::Down);
        assert_eq!(rig.tester.app.selection().unwrap().message, 3, "the first key was the answer to the question");
        rig.keys("dd");
        assert_eq!((rig.said()[3].as_str(), rig.siblings()[3]), ("TWO", (1, 1)), "a sibling takes its place");
        rig.assert_whole();
        rig.choose(2);
        rig.keys("dd");
        assert_eq!(rig.said(), ["one", "ONE"]);
        rig.assert_whole();
        rig.key(KeyCode::Up);
        rig.keys("dd");
        assert!(rig.said().is_empty() && rig.tester.app.selection().is_none());
        rig.assert_whole();
        rig.ask("three", "THREE");
        assert_eq!(rig.siblings(), [(1, 1), (1, 1)]);
        rig.assert_whole();
    });
}

#[test]
fn what_was_deleted_last_comes_back_first_in_its_place_among_its_siblings() {
    both(|mut rig| {
        rig.command(Command::Retry(Retry::Same));
        rig.answer("second");
        rig.choose(3);
        rig.key(KeyCode::Left);
        rig.keys("dd");
        assert_eq!((rig.said()[3].as_str(), rig.siblings()[3]), ("second", (1, 1)));
        rig.choose(0);
        rig.keys("dd");
        assert!(rig.said().is_empty() && rig.notices().contains("`/redo`"), "{}", rig.notices());
        rig.send("/redo");
        assert_eq!(rig.said(), ["one", "ONE", "two", "second"]);
        rig.assert_whole();
        rig.choose(2);
        rig.keys("u");
        assert_eq!((rig.said()[3].as_str(), rig.siblings()[3]), ("TWO", (1, 2)));
        rig.assert_whole();
        rig.keys("u");
        assert!(rig.notices().contains("nothing was taken back here"), "{}", rig.notices());
        rig.reopen();
        assert_eq!((rig.said()[3].as_str(), rig.siblings()[3]), ("TWO", (1, 2)));
    });
}

#[test]
fn an_undo_after_a_deletion_is_taken_back_before_it() {
    both(|mut rig| {
        rig.choose(2);
        rig.keys("dd");
        rig.key(KeyCode::Esc);
        rig.send("/undo");
        assert!(rig.said().is_empty());
        rig.send("/redo");
        assert_eq!(rig.said(), ["one", "ONE"]);
        rig.send("/redo");
        assert_eq!(rig.said(), ["one", "ONE", "two", "TWO"]);
        rig.assert_whole();
    });
}

#[test]
fn what_was_taken_back_before_a_deletion_does_not_come_with_what_was_deleted() {
    both(|mut rig| {
        rig.send("/undo");
        rig.choose(1);
        rig.keys("dd");
        assert_eq!(rig.said(), ["one"]);
        rig.keys("u");
        assert_eq!((rig.said(), rig.written().as_str()), (vec!["one".to_owned(), "ONE".into()], "two"));
        rig.assert_whole();
        rig.key(KeyCode::Esc);
        rig.command(Command::RedoExchange);
        assert_eq!((rig.said().len(), rig.written().as_str()), (4, ""));
        rig.assert_whole();
    });
}

#[test]
fn a_deleted_message_is_not_in_what_was_computed_either() {
    let mut rig = Rig::of(true, &["one"]);
    rig.choose(0);
    rig.keys("d");
    let effects = rig.tester.key(KeyCode::Char('d'), KeyModifiers::NONE);
    assert!(
        matches!(effects[..], [Effect::GoTo { leaf: None, .. }, Effect::DeleteMessage { .. }, Effect::Forget(_)]),
        "{effects:?}"
    );
}
