//! The thread that computes with a model gives away what it has no use for; see `src/sandbox.rs`, where it is tried what
//! such a thread can do.
#![cfg(target_os = "linux")]

mod common;

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use common::program::Home;
use common::tiny_gguf::TinyModel;
use tuichat::sandbox::{Confined, NOWHERE, confine};

/// Whether this kernel confines anything.
fn has_landlock() -> bool {
    let has = thread::spawn(|| confine(NOWHERE) != Confined::No).join().unwrap();
    if !has {
        eprintln!("skipped: this kernel has no Landlock, or it may not be used here");
    }
    has
}

/// Whether a thread gave privileges away, which one has to that is confined; Landlock itself is not told.
fn gave_away(status: &str) -> bool {
    status.lines().find_map(|line| line.strip_prefix("NoNewPrivs:")).is_some_and(|flag| flag.trim() == "1")
}

/// The status of the engine's thread, once there is one.
fn engine(process: u32) -> Option<String> {
    let mut threads = fs::read_dir(format!("/proc/{process}/task")).ok()?.flatten();
    let thread =
        threads.find(|thread| fs::read_to_string(thread.path().join("comm")).is_ok_and(|it| it == "engine\n"))?;
    fs::read_to_string(thread.path().join("status")).ok()
}

/// A home with a model of random weights, which answers without an end.
fn home() -> Home {
    let home = Home::new();
    TinyModel::default().write(&home.path("tiny.gguf")).unwrap();
    home
}

/// Begins an answer that does not end by itself.
fn begin(home: &Home, arguments: &[&str]) -> Child {
    let answer = ["-p", "hello", "-m", "tiny.gguf", "--ctx", "512", "--max-tokens", "100000000", "--loop-breaker=off"];
    let mut command = home.command(&[&answer, arguments].concat());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Whether the engine of this run gave privileges away, once it computes, and whether the first thread did.
fn seen(mut child: Child) -> (bool, bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while engine(child.id()).is_none() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    thread::sleep(Duration::from_millis(200));
    let statuses = (engine(child.id()), fs::read_to_string(format!("/proc/{}/status", child.id())));
    child.kill().unwrap();
    child.wait().unwrap();
    (gave_away(&statuses.0.unwrap()), gave_away(&statuses.1.unwrap()))
}

#[test]
fn the_engine_is_confined_unless_that_is_switched_off_and_the_rest_is_not() {
    if !has_landlock() {
        return;
    }
    let home = home();
    assert_eq!(seen(begin(&home, &[])), (true, false));
    assert_eq!(seen(begin(&home, &["--sandbox", "off"])), (false, false));
}

#[test]
fn what_reads_foreign_formats_is_confined_before_it_reads() {
    if !has_landlock() {
        return;
    }
    let home = Home::new();
    let mut command = home.command(&["__read", "pdf"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let status = || fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    while !gave_away(&status()) && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    let is_confined = gave_away(&status());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(is_confined);
}

#[test]
fn a_confined_engine_remembers_in_the_cache_what_it_found() {
    let home = home();
    let ran = home.run(&["-p", "hello", "-m", "tiny.gguf", "--ctx", "512", "--max-tokens", "9", "--cache-prompt"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let cache = home.path("home/cache");
    assert!(cache.join("passed.json").exists(), "{:?}", fs::read_dir(&cache).unwrap().collect::<Vec<_>>());
}
