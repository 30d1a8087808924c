//! The chat in a few lines at the bottom of the normal screen, in a pseudo-terminal that answers where its cursor is.
#![cfg(unix)]

#[path = "common/pty.rs"]
#[allow(dead_code)]
mod pty;

use std::path::Path;

use portable_pty::CommandBuilder;
use pty::Pty;
use tempfile::TempDir;

const SCRIPT: &str =
    "token_ms = 5\n[[answer]]\ntext = \"Hello there, you\"\n[[answer]]\ntext = \"And again **you**\"\n";

fn home(script: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("script.toml"), script).unwrap();
    home
}

/// A shell that has said something, and then runs the chat.
fn chat(home: &Path, rows: u16) -> Pty {
    let mut command = CommandBuilder::new("sh");
    command.env("TUICHAT_HOME", home);
    for name in ["DISPLAY", "WAYLAND_DISPLAY"] {
        command.env_remove(name);
    }
    command.cwd(home);
    let program = env!("CARGO_BIN_EXE_tuichat");
    let line = format!("echo before; {program} --inline --engine scripted:script.toml -m x.gguf; echo after $?");
    command.args(["-c", &line]);
    let mut pty = Pty::run(command, 60, rows);
    pty.answer_where_the_cursor_is();
    pty
}

fn place(screen: &str, words: &str) -> usize {
    screen.lines().position(|line| line.contains(words)).unwrap_or_else(|| panic!("no {words} in:\n{screen}"))
}

#[test]
fn what_was_said_stays_above_the_lines_and_after_the_end() {
    let home = home(SCRIPT);
    let mut chat = chat(home.path(), 24);
    let screen = chat.wait_for("idle");
    assert!(place(&screen, "before") < place(&screen, "Enter sends"), "{screen}");
    assert!(place(&screen, "idle") < 8, "they begin where the cursor was:\n{screen}");
    chat.send("One\r");
    chat.wait_for("Hello there, you");
    chat.wait_for("idle");
    chat.send("Two\r");
    chat.wait_for("And again you");
    let screen = chat.wait_for("idle");
    let order = ["before", "One", "Hello there, you", "Two", "And again you", "Enter sends"];
    let places: Vec<usize> = order.iter().map(|words| place(&screen, words)).collect();
    assert!(places.is_sorted(), "{screen}");
    assert!(!String::from_utf8_lossy(&chat.bytes()).contains("\x1b[?1049h"), "no other screen was needed");
    chat.send("\x04");
    let screen = chat.wait_for("after 0");
    assert!(
        screen.contains("before") && screen.contains("And again you") && !screen.contains("Enter sends"),
        "{screen}"
    );
    assert!(place(&screen, "after 0") - place(&screen, "And again you") <= 2, "{screen}");
    chat.wait_for_end();
    assert_eq!(chat.line_settings(), chat.settings_before());
}

#[test]
fn lists_have_the_whole_screen_and_give_it_back_as_it_was() {
    let home = home(SCRIPT);
    let mut chat = chat(home.path(), 20);
    chat.wait_for("idle");
    chat.send("One\r");
    chat.wait_for("Hello there, you");
    let before = chat.wait_for("idle");
    chat.send("/help\r");
    let screen = chat.wait_for("Keys");
    assert!(!screen.contains("before"), "{screen}");
    chat.send("\x1b");
    chat.wait_until("the lines are back", |screen| screen == before);
    chat.send("\x04");
    chat.wait_for("after 0");
}

#[test]
fn coming_back_from_the_shell_draws_the_lines_once() {
    let home = home(SCRIPT);
    let mut command = CommandBuilder::new("sh");
    command.env("TUICHAT_HOME", home.path());
    command.cwd(home.path());
    let program = env!("CARGO_BIN_EXE_tuichat");
    let line =
        format!("'{program}' --inline --engine scripted:script.toml -m x.gguf; echo in-the-shell; fg; echo left");
    command.args(["-mc", &line]);
    let mut chat = Pty::run(command, 60, 16);
    chat.answer_where_the_cursor_is();
    chat.wait_for("idle");
    chat.send("One\r");
    chat.wait_for("Hello there, you");
    chat.wait_for("idle");
    chat.send("\x1a");
    chat.wait_for("in-the-shell");
    chat.wait_for("idle");
    chat.send("back");
    let screen = chat.wait_for("› back");
    assert_eq!(screen.matches("F1 keys").count(), 1, "{screen}");
    assert_eq!(screen.matches('›').count(), 2, "{screen}");
    chat.send("\x03\x03");
    chat.wait_for("left");
}

#[test]
fn a_long_conversation_scrolls_and_another_size_keeps_one_composer() {
    let home = home("[[answer]]\ntext = \"one\\n\\ntwo\\n\\nthree\\n\\nfour\"\n");
    let mut chat = chat(home.path(), 16);
    chat.wait_for("idle");
    for question in ["First", "Second", "Third"] {
        chat.send(&format!("{question}\r"));
        chat.wait_until(question, |screen| {
            screen.contains(question) && screen.contains("four") && screen.contains("idle")
        });
    }
    for (columns, rows) in [(40, 18), (80, 14)] {
        chat.resize(columns, rows);
        chat.send("x");
        let screen = chat.wait_until("one composer", |screen| {
            screen.contains("› x") && screen.matches("F1 keys").count() == 1 && screen.matches("idle").count() <= 1
        });
        assert!(screen.lines().count() <= rows.into(), "{screen}");
        chat.send("\x7f");
    }
    chat.send("\x04");
    chat.wait_for("after 0");
}

#[test]
fn a_terminal_that_does_not_tell_its_cursor_has_the_lines_at_its_bottom() {
    let home = home(SCRIPT);
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tuichat"));
    command.env("TUICHAT_HOME", home.path());
    command.cwd(home.path());
    command.args(["--inline", "--engine", "scripted:script.toml", "-m", "x.gguf"]);
    let mut chat = Pty::run(command, 60, 20);
    let screen = chat.wait_for("idle");
    assert_eq!(place(&screen, "idle"), 19, "{screen}");
    chat.send("One\r");
    chat.wait_for("Hello there, you");
    chat.send("\x04");
    assert!(chat.wait_for_end().success());
    assert_eq!(chat.line_settings(), chat.settings_before());
}
