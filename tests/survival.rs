//! Chats on a disk whose program is killed again and again.
#![cfg(unix)]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use tuichat::chat::Role;
use tuichat::store::Store;

/// Messages that one run is given.
const MESSAGES: usize = 6;
/// A run is killed within this time from its start, in milliseconds.
const LONGEST_LIFE: u64 = 1200;
/// So many runs go on with one chat, which the context holds.
const RUNS_OF_A_CHAT: usize = 6;

/// What the engine answers, always.
fn answer() -> String {
    let words: Vec<String> = (1..=60).map(|number| format!("word{number}")).collect();
    words.join(" ")
}

struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let script = format!("token_ms = 2\n[[answer]]\ntext = \"{}\"\n", answer());
        std::fs::write(home.path().join("script.toml"), script).unwrap();
        Self(home)
    }

    fn chats(&self) -> PathBuf {
        self.0.path().join("data").join("chats.db")
    }

    /// A chat in lines, gone on with if there is one.
    fn run(&self, is_first: bool) -> Child {
        let script = format!("scripted:{}", self.0.path().join("script.toml").display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_tuichat"));
        command.args(["--plain", "--engine", &script, "-m", "x.gguf"]).env("TUICHAT_HOME", self.0.path());
        if !is_first {
            command.args(["--resume", "last"]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
    }
}

/// Asks for answers to messages with these numbers, and kills the program. How many of the messages must have been saved:
/// all that have an answer but the last, which is saved while its answer begins.
fn talk_until_killed(home: &Home, from: usize, is_first: bool, life: Duration) -> usize {
    let mut program = home.run(is_first);
    let mut stdin = program.stdin.take().unwrap();
    let answered = Arc::new(AtomicUsize::new(0));
    let heard = Arc::clone(&answered);
    let stdout = BufReader::new(program.stdout.take().unwrap());
    let listener = std::thread::spawn(move || {
        // A chat that is gone on with tells its last answer again first.
        let mut is_told_again = false;
        for line in stdout.lines().map_while(Result::ok) {
            is_told_again |= line.starts_with("This is the chat");
            if line.ends_with("Answer:") && !std::mem::take(&mut is_told_again) {
                heard.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let lines: String = (from..from + MESSAGES).map(|number| format!("Message {number}\n")).collect();
    // Whoever is killed early reads none of it.
    let _ = stdin.write_all(lines.as_bytes());
    std::thread::sleep(life);
    program.kill().unwrap();
    program.wait().unwrap();
    listener.join().unwrap();
    answered.load(Ordering::SeqCst).saturating_sub(1)
}

/// Checks the file, and gives the messages of the chats.
fn sound_messages(path: &Path) -> Vec<String> {
    let store = Store::open(path).unwrap();
    let chats = store.chats(usize::MAX).unwrap().into_iter().rev();
    let branch: Vec<_> = chats.flat_map(|chat| store.branch(chat.id).unwrap()).collect();
    let answer = answer();
    for message in branch.iter().filter(|message| message.role == Role::Assistant) {
        assert!(answer.starts_with(&message.text), "{:?} is no beginning of the answer", message.text);
        assert!(message.ended.is_some(), "nobody writes it any more");
    }
    drop(store);
    let connection = rusqlite::Connection::open(path).unwrap();
    let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    branch.into_iter().filter(|message| message.role == Role::User).map(|message| message.text).collect()
}

fn survive(kills: usize) {
    let mut random = fastrand::Rng::with_seed(12);
    let home = Home::new();
    let (mut acknowledged, mut next) = (Vec::new(), 0);
    for kill in 0..kills {
        let life = Duration::from_millis(random.u64(..LONGEST_LIFE));
        let begun = talk_until_killed(&home, next, kill % RUNS_OF_A_CHAT == 0, life);
        acknowledged.extend((next..next + begun).map(|number| format!("Message {number}")));
        if !home.chats().exists() {
            continue;
        }
        let messages = sound_messages(&home.chats());
        let kept: Vec<&String> = messages.iter().filter(|text| acknowledged.contains(text)).collect();
        assert_eq!(kept, acknowledged.iter().collect::<Vec<_>>(), "each of these was answered");
        if !messages.is_empty() {
            next += MESSAGES;
        }
    }
    println!("{kills} kills, {} messages acknowledged, none lost", acknowledged.len());
    assert!(acknowledged.len() > kills / 2, "too few runs lived long enough to show anything");
}

#[test]
fn chats_survive_being_killed_at_any_moment() {
    survive(20);
}

#[test]
#[ignore = "takes minutes"]
fn chats_survive_being_killed_five_hundred_times() {
    survive(500);
}
