//! The chat beside others: other windows with the same chats, the shell before and behind it, a disk that is slow at the
//! start.
#![cfg(unix)]

#[path = "common/pty.rs"]
#[allow(dead_code)]
mod pty;

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use portable_pty::CommandBuilder;
use pty::Pty;
use rusqlite::Connection;
use tempfile::TempDir;

const CTRL_C: &str = "\x03";
const CTRL_N: &str = "\x0e";
const CTRL_O: &str = "\x0f";

fn home(script: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("script.toml"), script).unwrap();
    home
}

fn answers(count: usize) -> String {
    (1..=count).map(|number| format!("[[answer]]\ntext = \"reply {number}\"\n")).collect()
}

/// An answer of a thousand numbered words, one every 20 ms.
fn slow_script() -> String {
    let words: Vec<String> = (1..=1000).map(|number| format!("word{number}")).collect();
    format!("token_ms = 20\n[[answer]]\ntext = \"{}\"\n", words.join(" "))
}

fn arguments(home: &Path) -> Vec<String> {
    let script = home.join("script.toml");
    vec!["--engine".into(), format!("scripted:{}", script.display()), "-m".into(), "x.gguf".into()]
}

fn window(home: &Path, more: &[&str]) -> Pty {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tuichat"));
    command.env("TUICHAT_HOME", home);
    command.cwd(home);
    command.args(arguments(home));
    command.args(more);
    Pty::run(command, 100, 24)
}

/// Waits until no window has chat 1 open: the new chat is on the screen before that is written.
fn wait_until_left(home: &Path) {
    let chats = Connection::open(home.join("data/chats.db")).unwrap();
    let is_open = || chats.query_row("SELECT opener IS NOT NULL FROM chats WHERE id = 1", [], |row| row.get(0));
    let end = Instant::now() + Duration::from_secs(30);
    while is_open().unwrap() {
        assert!(Instant::now() < end, "nobody has left it");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A shell that does this before or behind the chat, `$CHAT` being that.
fn shell(home: &Path, script: &str) -> Pty {
    let mut command = CommandBuilder::new("sh");
    command.env("TUICHAT_HOME", home);
    command.env("CHAT", format!("{} {}", env!("CARGO_BIN_EXE_tuichat"), arguments(home).join(" ")));
    command.cwd(home);
    command.args(["-c", script]);
    Pty::run(command, 100, 24)
}

fn leave(chat: &mut Pty) {
    chat.send(CTRL_C);
    chat.wait_for("press Ctrl-C again to leave");
    chat.send(CTRL_C);
    assert!(chat.wait_for_end().success());
    chat.assert_given_back();
}

#[test]
fn one_can_write_and_send_before_the_chats_are_open() {
    let home = home(&answers(1));
    std::fs::create_dir_all(home.path().join("data")).unwrap();
    let opening = File::create(home.path().join("data/chats.db-opening")).unwrap();
    opening.lock().unwrap();
    let mut chat = window(home.path(), &[]);
    chat.wait_for("starting");
    chat.send("Hello\r");
    chat.wait_for("› Hello");
    chat.send("and more");
    chat.wait_for("› and more");
    assert!(!chat.screen().contains("reply 1"), "it is not safe yet: {}", chat.screen());
    drop(opening);
    chat.wait_for("reply 1");
    chat.send("\x15");
    leave(&mut chat);
    let mut again = window(home.path(), &["--resume"]);
    again.wait_for("reply 1");
    leave(&mut again);
}

#[test]
fn what_was_written_before_the_chats_were_open_is_kept_when_one_leaves() {
    let home = home("");
    let mut first = window(home.path(), &[]);
    first.wait_for("idle");
    first.send("the first half");
    first.wait_for("› the first half");
    first.signal(rustix::process::Signal::TERM);
    first.wait_for_end();

    let opening = File::create(home.path().join("data/chats.db-opening")).unwrap();
    opening.lock().unwrap();
    let mut second = window(home.path(), &[]);
    second.wait_for("starting");
    second.send("the second half");
    second.wait_for("› the second half");
    second.signal(rustix::process::Signal::TERM);
    drop(opening);
    second.wait_for_end();
    let third = window(home.path(), &[]);
    third.wait_for("› the first half\n\n  the second half");
}

#[test]
fn a_chat_that_is_not_there_is_said_on_the_terminal_that_was_given_back() {
    let home = home("");
    let mut chat = window(home.path(), &["--resume", "99"]);
    assert_eq!(chat.wait_for_end().exit_code(), 1);
    chat.wait_for("there is no chat 99");
    chat.assert_given_back();
}

#[test]
fn a_line_that_is_typed_before_the_chat_has_the_terminal_is_sent() {
    let home = home(&answers(1));
    let mut chat = shell(home.path(), "echo soon; sleep 1; exec $CHAT");
    chat.wait_for("soon");
    chat.send("Typed early\rand more");
    let screen = chat.wait_for("reply 1");
    assert!(screen.contains("› Typed early\n\n  reply 1"), "{screen}");
    chat.wait_for("› and more");
}

#[test]
fn what_is_typed_while_the_chat_leaves_is_the_shells() {
    let home = home(&answers(1));
    let mut chat = shell(home.path(), "$CHAT; read line; echo \"the shell has: $line\"");
    chat.wait_for("idle");
    // A draft that cannot be written yet holds the program up after it has given the terminal back.
    let other = Connection::open(home.path().join("data/chats.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    chat.send("a draft");
    chat.wait_for("› a draft");
    chat.send(CTRL_C);
    chat.wait_for("press Ctrl-C again to leave");
    chat.send(CTRL_C);
    chat.wait_until("the shell's screen", |screen| !screen.contains("press Ctrl-C"));
    chat.send("make coffee\n");
    std::thread::sleep(std::time::Duration::from_millis(300));
    other.execute_batch("COMMIT").unwrap();
    let screen = chat.wait_for("the shell has: make coffee");
    assert_eq!(screen.matches("make coffee").count(), 1, "it is the shell that shows it: {screen}");
}

#[test]
fn ctrl_c_while_the_chat_leaves_is_seen_nowhere_and_loses_nothing() {
    let home = home(&answers(1));
    let mut chat = window(home.path(), &[]);
    chat.wait_for("idle");
    let other = Connection::open(home.path().join("data/chats.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    chat.send("a draft");
    chat.wait_for("› a draft");
    chat.send(CTRL_C);
    chat.wait_for("press Ctrl-C again to leave");
    chat.send(CTRL_C);
    chat.wait_until("the shell's screen", |screen| !screen.contains("press Ctrl-C"));
    chat.send(CTRL_C);
    chat.send("x\x1b[A");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(chat.screen().trim(), "", "nothing of it is echoed");
    assert!(chat.line_settings().contains("NOFLSH"), "{}", chat.line_settings());
    other.execute_batch("COMMIT").unwrap();
    assert!(chat.wait_for_end().success());
    chat.assert_given_back();
    let mut again = window(home.path(), &[]);
    again.wait_for("› a draft");
    again.send("\x15");
    leave(&mut again);
}

#[test]
fn windows_see_each_others_chats_and_write_into_none_of_them_unasked() {
    let home = home(&slow_script());
    let mut first = window(home.path(), &[]);
    first.wait_for("idle");
    first.send("Count\r");
    // What is there after a second is on disk.
    first.wait_for("word90");

    std::fs::write(home.path().join("script.toml"), answers(3)).unwrap();
    let mut second = window(home.path(), &["--resume"]);
    let screen = second.wait_for("open in another window");
    assert!(screen.contains("› Count") && !screen.contains("interrupted"), "{screen}");
    second.wait_for("idle");
    second.send(CTRL_O);
    second.wait_for("open here, 2 messages");
    second.send("\x1b");
    second.wait_until("the chat", |screen| !screen.contains("open here"));
    second.send("And you?\r");
    let screen = second.wait_for("reply 1");
    assert!(screen.contains("so this is a copy") && screen.contains("› Count"), "{screen}");
    second.wait_for("idle");
    second.send(CTRL_O);
    let screen = second.wait_for("in another window, 2 messages");
    assert!(screen.contains("Fork of Count") && screen.contains("open here, 4 messages"), "{screen}");
    second.send("\x1b");
    second.wait_until("the chat", |screen| !screen.contains("open here"));

    first.send("\x1b");
    let screen = first.wait_for("· stopped");
    assert!(screen.contains("word9") && !screen.contains("not saved"), "{screen}");
    first.send(CTRL_N);
    first.wait_until("a new chat", |screen| !screen.contains("word9"));
    wait_until_left(home.path());
    second.send("/resume 1\r");
    let screen = second.wait_for("· stopped");
    assert!(!screen.contains("another window"), "it is free now: {screen}");
    leave(&mut second);
    leave(&mut first);
}

#[test]
fn what_a_script_asks_in_a_chat_is_seen_in_its_window() {
    let home = home(&answers(2));
    let mut chat = window(home.path(), &[]);
    chat.wait_for("idle");
    chat.send("Hello\r");
    chat.wait_for("reply 1");
    chat.send("a draft");
    chat.wait_for("› a draft");
    std::fs::write(home.path().join("script.toml"), "[[answer]]\ntext = \"said to the script\"\n").unwrap();
    let mut script = std::process::Command::new(env!("CARGO_BIN_EXE_tuichat"));
    script.env("TUICHAT_HOME", home.path()).env("HOME", "/nonexistent");
    let ran = script.args(arguments(home.path())).args(["-p", "From a script", "--continue"]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    chat.wait_for("› From a script");
    let screen = chat.wait_for("said to the script");
    assert!(screen.contains("another program has written to this chat") && screen.contains("› a draft"), "{screen}");
    chat.send("\x15And now?\r");
    let screen = chat.wait_for("reply 2");
    assert!(screen.contains("said to the script") && !screen.contains("1/2"), "it goes on behind that: {screen}");
    leave(&mut chat);
}

#[test]
fn the_chat_that_was_open_last_is_the_one_to_go_on_with() {
    let home = home(&answers(2));
    let mut chat = window(home.path(), &[]);
    chat.wait_for("idle");
    chat.send("older\r");
    chat.wait_for("reply 1");
    chat.wait_for("idle");
    chat.send(CTRL_N);
    chat.wait_until("a new chat", |screen| !screen.contains("reply 1"));
    chat.send("newer\r");
    chat.wait_for("reply 2");
    chat.wait_for("idle");
    chat.send("/resume 1\r");
    chat.wait_for("reply 1");
    leave(&mut chat);
    let mut again = window(home.path(), &["--resume"]);
    let screen = again.wait_for("reply");
    assert!(screen.contains("older") && !screen.contains("newer"), "{screen}");
    leave(&mut again);
}

#[test]
fn a_theme_that_was_chosen_is_remembered() {
    let home = home("");
    let mut chat = window(home.path(), &[]);
    chat.wait_for("idle");
    chat.send("/theme mono\r");
    chat.wait_until("an empty text", |screen| !screen.contains("/theme"));
    let file = home.path().join("data/theme");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while std::fs::read_to_string(&file).ok().as_deref() != Some("mono\n") {
        assert!(std::time::Instant::now() < end, "it is not written");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    leave(&mut chat);
    // Without colours nothing is sent that sets one.
    let coloured = |chat: &Pty| String::from_utf8_lossy(&chat.bytes()).contains("\x1b[38;");
    let mut again = window(home.path(), &[]);
    again.wait_for("idle");
    leave(&mut again);
    assert!(!coloured(&again));
    let mut set = window(home.path(), &["--theme", "dark"]);
    set.wait_for("idle");
    leave(&mut set);
    assert!(coloured(&set));
}
