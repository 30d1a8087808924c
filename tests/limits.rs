//! A system that gives little: few open files, few threads. What is enough is enough, and what is not is a sentence.
#![cfg(target_os = "linux")]

mod common;
#[allow(dead_code)]
#[path = "common/pty.rs"]
mod pty;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::program::Home;
use common::real_models::say_skipped;
use common::tiny_gguf::TinyModel;
use portable_pty::CommandBuilder;
use pty::Pty;

const ANSWER: [&str; 9] = ["-p", "hello", "-m", "tiny.gguf", "--ctx", "256", "--max-tokens=4", "--threads", "2"];
const BINARY: &str = env!("CARGO_BIN_EXE_tuichat");
/// A user that owns nothing.
const NOBODY: &str = "65534";

/// A program that is being copied while another test starts one cannot be run as long as that has the copy open.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A home with a model of random weights that anybody may use, and a program in it.
fn home() -> (Home, PathBuf) {
    let home = Home::new();
    TinyModel::default().write(&home.path("tiny.gguf")).unwrap();
    let program = home.path("tuichat");
    fs::copy(BINARY, &program).unwrap();
    for (path, mode) in [(home.folder.path(), 0o777), (&program, 0o755), (&home.path("tiny.gguf"), 0o644)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    (home, program)
}

/// Runs behind what sets a limit; its exit code, and what it wrote.
fn run(home: &Home, limiter: &[&str], program: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(limiter[0]);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TUICHAT_")) {
        command.env_remove(name);
    }
    command.env("TUICHAT_HOME", home.path("home")).env("HOME", home.path("person")).current_dir(home.folder.path());
    command.args(&limiter[1..]).arg(program).args(arguments).stdin(Stdio::null());
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code(), told)
}

fn assert_is_a_sentence(told: &str) {
    assert!(told.contains("error: the system"), "{told}");
    assert!(!told.contains("panicked") && !told.contains("os error") && !told.contains("libgomp"), "{told}");
}

#[test]
fn sixty_four_open_files_are_enough_for_answers_and_chats() {
    let _turn = turn();
    let (home, program) = home();
    let limiter = ["sh", "-c", "ulimit -n 64; exec \"$@\"", "sh"];
    let (code, told) = run(&home, &limiter, &program, &ANSWER);
    assert_eq!(code, Some(0), "{told}");
    let mut command = CommandBuilder::new("sh");
    command.args(&limiter[1..]);
    command.arg(&program);
    command.args(&ANSWER[2..]);
    command.env("TUICHAT_HOME", home.path("home"));
    command.cwd(home.folder.path());
    let mut chat = Pty::run(command, 80, 24);
    chat.wait_for("idle");
    chat.send("hello\r");
    chat.wait_until("an answer", |screen| screen.contains(" idle") && screen.contains("tok/s"));
    chat.send("\x15/quit\r");
    assert!(chat.wait_for_end().success());
    chat.assert_given_back();
}

#[test]
fn too_few_open_files_are_a_sentence() {
    let _turn = turn();
    let (home, program) = home();
    for files in [4, 8, 12] {
        let limit = format!("ulimit -n {files}; exec \"$@\"");
        let (code, told) = run(&home, &["sh", "-c", &limit, "sh"], &program, &ANSWER);
        assert_eq!(code, Some(1), "{files}: {told}");
        assert_is_a_sentence(&told);
        assert!(told.contains("ulimit -n 256"), "{told}");
    }
}

#[test]
fn a_limit_of_threads_leaves_an_answer_or_is_a_sentence() {
    let _turn = turn();
    let (home, program) = home();
    // The limit does not bind root.
    let is_root = rustix::process::getuid().is_root();
    let become_nobody = format!("exec setpriv --reuid={NOBODY} --clear-groups \"$@\"");
    let prefix = if is_root { vec!["sh", "-c", &become_nobody, "sh", "prlimit"] } else { vec!["prlimit"] };
    let limited = |threads: u32, arguments: &[&str]| {
        let limit = format!("--nproc={threads}");
        run(&home, &[&prefix[..], &[&limit]].concat(), &program, arguments)
    };
    let (code, told) = limited(64, &["--version"]);
    if code != Some(0) {
        return say_skipped(&format!("nobody cannot run a program here: {}", told.trim()));
    }
    let mut seen = [false; 2];
    for threads in (1..12).chain([64]) {
        let (code, told) = limited(threads, &ANSWER);
        match code {
            Some(0) => seen[0] = true,
            _ => {
                assert_eq!(code, Some(1), "{threads}: {told}");
                assert_is_a_sentence(&told);
                seen[1] = true;
            }
        }
    }
    assert!(seen[1], "one thread is too few");
    assert!(seen[0] || !is_root, "and 64 are enough where nobody else has any");
}
