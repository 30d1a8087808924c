//! A chat with a model that is here speaks to no network: no socket is opened but those of this machine's own windows
//! and those a program has to itself.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/pty.rs"]
#[allow(dead_code)]
mod pty;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use common::program::Home;
use common::real_models::{say_skipped, test_model};
use portable_pty::CommandBuilder;
use pty::Pty;

/// The sockets that a process has open now, by their numbers.
fn sockets(process: u32) -> BTreeSet<String> {
    let links = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let links = links.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    links.filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned())).collect()
}

/// Those of them that lead to no other machine.
fn of_this_machine(process: u32) -> BTreeSet<String> {
    let table = std::fs::read_to_string(format!("/proc/{process}/net/unix")).unwrap();
    table.lines().filter_map(|line| line.split_whitespace().nth(6)).map(str::to_owned).collect()
}

#[test]
fn a_chat_with_a_model_that_is_here_has_no_socket_that_leads_anywhere() {
    let Some(model) = test_model() else { return };
    let home = tempfile::tempdir().unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tuichat"));
    command.env("TUICHAT_HOME", home.path());
    command.args(["-m", model.to_str().unwrap(), "--max-tokens", "40", "--threads", "1"]);
    let mut chat = Pty::run(command, 100, 30);
    let looks = std::cell::Cell::new(0);
    let look = |process| {
        let strange: Vec<_> = sockets(process).difference(&of_this_machine(process)).cloned().collect();
        assert!(strange.is_empty(), "sockets that lead elsewhere: {strange:?}");
        looks.set(looks.get() + 1);
    };
    let process = chat.process();
    chat.wait_until("a model", |screen| {
        look(process);
        screen.contains("idle")
    });
    chat.send("Count to twenty.\r");
    chat.wait_until("an answer", |screen| {
        look(process);
        screen.contains("answering")
    });
    chat.wait_until("its end", |screen| {
        look(process);
        screen.contains("idle")
    });
    assert!(looks.get() > 5, "looked {} times", looks.get());
}

/// Runs the program under `strace`; returns the kinds of sockets it asked for.
fn traced(home: &Home, arguments: &[&str]) -> Vec<String> {
    let trace = home.path("trace");
    let program = home.command(arguments);
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e", "trace=network", "-o"]).arg(&trace).arg(program.get_program());
    strace.args(program.get_args()).current_dir(home.folder.path());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    // A hub at which nobody listens.
    strace.env("HF_ENDPOINT", "http://127.0.0.1:9");
    strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    let lines = std::fs::read_to_string(&trace).unwrap();
    let opened = lines.lines().filter_map(|line| line.split_once("socket(")?.1.split(',').next());
    opened.map(str::to_owned).collect()
}

fn can_trace(home: &Path) -> bool {
    let trial = Command::new("strace").args(["-qq", "-o"]).arg(home.join("trial")).arg("true").status();
    trial.is_ok_and(|status| status.success())
}

#[test]
fn an_answer_of_a_model_that_is_here_asks_for_no_socket_to_the_network() {
    let Some(model) = test_model() else { return };
    let home = Home::new();
    if !can_trace(home.folder.path()) {
        return say_skipped("there is no strace, or it may not look");
    }
    let network = |kinds: Vec<String>| kinds.into_iter().filter(|kind| kind != "AF_UNIX").collect::<Vec<_>>();
    let model = model.to_str().unwrap();
    let asked = traced(&home, &["-m", model, "-p", "Hi", "--max-tokens", "3", "--threads", "1"]);
    assert_eq!(network(asked), Vec::<String>::new());
    let pulled = network(traced(&home, &["models", "pull", "hf:someone/something"]));
    assert!(pulled.iter().any(|kind| kind.starts_with("AF_INET")), "what is looked for is seen: {pulled:?}");
}
