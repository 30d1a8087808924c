//! A private chat leaves no byte on disk: a word that is said there is looked for in everything that the program has
//! written.
#![cfg(unix)]

#[path = "common/pty.rs"]
#[allow(dead_code)]
mod pty;

use std::path::{Path, PathBuf};

use portable_pty::CommandBuilder;
use pty::Pty;
use tempfile::TempDir;

const CTRL_C: &str = "\x03";
const CTRL_N: &str = "\x0e";
const CTRL_O: &str = "\x0f";

/// Said in private. Its parts are looked for, too: the index of words has three characters each.
const CANARY: &str = "qzxjvk";
const PARTS: [&str; 5] = ["qzxjvk", "QZXJVK", "zxjvk", "xjv", "qzx"];

const SCRIPT: &str = "token_ms = 1\n[[answer]]\ntext = \"An answer with qzxjvk in it.\"\n[[answer]]\ntext = \"Second.\"\n\
    [[answer]]\ntext = \"Third.\"\n[[answer]]\ntext = \"Fourth.\"\n";

fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    // Outside of what is looked through.
    std::fs::create_dir(home.path().join("home")).unwrap();
    std::fs::write(home.path().join("script.toml"), SCRIPT).unwrap();
    home
}

fn program(home: &Path) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tuichat"));
    command.env("TUICHAT_HOME", home.join("home"));
    command.cwd(home);
    command
}

fn chat(home: &Path, more: &[&str]) -> Pty {
    let mut command = program(home);
    let script = home.join("script.toml");
    command.args(["--engine", &format!("scripted:{}", script.display()), "-m", "x.gguf", "--verbose"]);
    command.args(more);
    Pty::run(command, 80, 24)
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The files in which something of the canary is.
fn singing(home: &Path) -> Vec<PathBuf> {
    let sings = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        PARTS.iter().any(|part| bytes.windows(part.len()).any(|window| window == part.as_bytes()))
    };
    files(&home.join("home")).into_iter().filter(sings).collect()
}

fn leave(chat: &mut Pty) {
    chat.send(CTRL_C);
    chat.wait_for("press Ctrl-C again to leave");
    chat.send(CTRL_C);
    assert!(chat.wait_for_end().success());
}

#[test]
fn a_chat_that_is_saved_is_found_by_this_test() {
    let home = home();
    let mut chat = chat(home.path(), &[]);
    chat.wait_for("idle");
    chat.send(&format!("Say {CANARY}\r"));
    chat.wait_for("in it.");
    chat.wait_for("idle");
    leave(&mut chat);
    assert!(!singing(home.path()).is_empty());
}

#[test]
fn a_private_run_leaves_no_byte() {
    let home = home();
    let mut chat = chat(home.path(), &["--private"]);
    chat.wait_for("idle, private");
    chat.send(&format!("Say {CANARY}\r"));
    chat.wait_for("in it.");
    chat.send(&format!("/rename {CANARY}\r"));
    chat.send(&format!("a draft with {CANARY}"));
    chat.wait_for("a draft");
    assert_eq!(singing(home.path()), Vec::<PathBuf>::new());
    leave(&mut chat);
    assert_eq!(singing(home.path()), Vec::<PathBuf>::new());
    assert!(!home.path().join("home/data/chats.db").exists());
}

#[test]
fn a_private_chat_beside_saved_ones_leaves_no_byte() {
    let home = home();
    let mut chat = chat(home.path(), &[]);
    chat.wait_for("idle");
    chat.send("/private\r");
    chat.wait_for("idle, private");
    chat.send(&format!("Say {CANARY}\r"));
    chat.wait_for("in it.");
    chat.wait_for("idle, private");
    // A draft is written some seconds after the last key, where one is written at all.
    chat.send(&format!("a draft with {CANARY}"));
    chat.wait_for("a draft");
    std::thread::sleep(std::time::Duration::from_secs(4));
    // What was sent before, and undo, in a saved chat.
    chat.send(CTRL_N);
    chat.wait_until("a saved chat", |screen| !screen.contains("private") && !screen.contains(CANARY));
    chat.send("\x1b[A\x1f\x19");
    chat.send("public\r");
    chat.wait_for("Second.");
    chat.send("\x1b[A");
    chat.wait_for("› public");
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert!(!chat.screen().contains(CANARY), "{}", chat.screen());
    chat.send(CTRL_C);
    chat.wait_for("press Ctrl-C again to leave");
    // Back to the private one, a fork of it, and away.
    chat.send(CTRL_O);
    chat.wait_for("Private, in memory until you leave");
    chat.send("\r");
    chat.wait_for("idle, private");
    chat.send("/fork 2\r");
    chat.wait_for("this is the fork, private like the chat");
    chat.send(&format!("More {CANARY}\r"));
    chat.wait_for("Third.");
    chat.wait_for("idle, private");
    assert_eq!(singing(home.path()), Vec::<PathBuf>::new());
    leave(&mut chat);
    assert_eq!(singing(home.path()), Vec::<PathBuf>::new(), "of {:?}", files(&home.path().join("home")));
    assert!(home.path().join("home/data/chats.db").exists(), "the other chat was saved");
}

#[test]
fn nothing_that_was_computed_of_a_private_chat_is_kept() {
    let Some(model) = std::env::var_os("TUICHAT_TEST_MODEL") else {
        eprintln!("skipped: TUICHAT_TEST_MODEL names no model; type `make test`");
        return;
    };
    let home = home();
    let mut command = program(home.path());
    command.args(["--ctx", "2048", "--temp", "0", "--max-tokens", "8", "--snapshots", "1G", "-m"]);
    command.arg(&model);
    let mut chat = Pty::run(command, 100, 24);
    chat.wait_for("idle");
    chat.send("/private\r");
    chat.wait_for("idle, private");
    chat.send(&format!("{}What did I repeat, {CANARY}?\r", "I like long walks in the rain. ".repeat(10)));
    chat.wait_for("ended at the limit");
    leave(&mut chat);
    assert_eq!(files(&home.path().join("home/cache/kv")), Vec::<PathBuf>::new());
    assert_eq!(singing(home.path()), Vec::<PathBuf>::new());
}
