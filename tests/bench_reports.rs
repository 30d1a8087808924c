//! What `tuichat bench` makes of runs, from outside: reports in all forms, comparisons, and the view in a terminal.
#![cfg(unix)]

mod common;
#[path = "common/pty.rs"]
#[allow(dead_code)]
mod pty;

use std::time::{Duration, Instant};

use common::program::{Home, Ran};
use common::tiny_gguf::TinyModel;
use portable_pty::CommandBuilder;
use pty::Pty;
use serde_json::Value;
use tuichat::bench::live::{Event, Live};
use tuichat::engine::protocol::CancelFlag;

const LONG: [&str; 8] =
    ["bench", "./tiny.gguf", "--threads", "1", "--power=none", "--cool-down=off", "--rounds", "1000"];
const QUICK: [&str; 8] = ["bench", "./tiny.gguf", "--threads", "1", "--power=none", "--cool-down=off", "--rounds", "3"];

fn home() -> Home {
    let home = Home::new();
    TinyModel::default().context(2048).write(&home.path("tiny.gguf")).unwrap();
    home
}

fn run(home: &Home, arguments: &[&str]) -> Ran {
    let ran = home.run(arguments);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran
}

fn read(home: &Home, name: &str) -> String {
    std::fs::read_to_string(home.path(name)).unwrap()
}

#[test]
fn a_run_is_told_in_the_form_of_the_file_and_told_the_same_later() {
    let home = home();
    let ran = run(&home, &[&QUICK[..], &["--out", "run.html"]].concat());
    assert!(ran.stdout.contains("pp512"), "the table is for whoever waited: {}", ran.stdout);
    let page = read(&home, "run.html");
    for part in ["<!doctype html>", "<svg", "<td>tg128</td>", "prefers-color-scheme:dark", "<h2>Machine</h2>"] {
        assert!(page.contains(part), "{part}");
    }
    run(&home, &["bench", "show", "last", "--out", "again.html"]);
    assert_eq!(read(&home, "again.html"), page);

    let markdown = run(&home, &["bench", "show", "--format", "markdown"]).stdout;
    assert!(markdown.contains("| model ") && markdown.contains(" tg128 "), "{markdown}");
    let csv = run(&home, &["bench", "show", "--format", "csv"]).stdout;
    assert_eq!(csv.lines().filter(|line| line.contains(",tg128,")).count(), 1, "{csv}");
    let lines = run(&home, &["bench", "show", "--format", "jsonl"]).stdout;
    assert_eq!(lines, run(&home, &["bench", "show", "--json"]).stdout);
    std::fs::write(home.path("kept.jsonl"), &lines).unwrap();
    assert_eq!(run(&home, &["bench", "show", "kept.jsonl", "--format", "markdown"]).stdout, markdown);
}

#[test]
fn what_cannot_be_written_is_said_before_anything_is_measured() {
    let home = home();
    for (out, part) in [("run.doc", "end it with .html"), ("no/folder/run.md", "no folder")] {
        let began = Instant::now();
        let ran = home.run(&[&LONG[..], &["--out", out]].concat());
        assert!(ran.code != Some(0) && ran.stderr.contains(part) && ran.stdout.is_empty(), "{}", ran.stderr);
        assert!(began.elapsed() < Duration::from_secs(30));
    }
    let ran = home.run(&[&LONG[..], &["--compare", "yesterday"]].concat());
    assert!(ran.code == Some(2) && ran.stderr.contains("there is no run `yesterday`"), "{}", ran.stderr);
}

/// What llama-bench would print of the tiny model: this many times the speeds of a run of ours.
fn llama_bench(run: &str, factor: f64) -> String {
    let cases = run.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let cases = cases.filter(|line| line["record"] == "case" && line["samples_ts"].is_array());
    let tests = cases.map(|case| {
        let samples: Vec<f64> =
            case["samples_ts"].as_array().unwrap().iter().map(|speed| speed.as_f64().unwrap() * factor).collect();
        serde_json::json!({
            "build_commit": "abc", "build_number": 1, "cpu_info": "a CPU", "backends": "CPU",
            "model_filename": "/elsewhere/tiny.gguf", "model_size": case["model_size"],
            "model_n_params": case["model_n_params"], "n_threads": 1, "type_k": "f16", "type_v": "f16",
            "n_prompt": case["n_prompt"], "n_gen": case["n_gen"], "n_depth": 0, "avg_ts": samples[0], "stddev_ts": 0.0,
            "samples_ts": samples,
        })
    });
    Value::Array(tests.collect()).to_string()
}

#[test]
fn runs_are_compared_with_themselves_and_with_llama_bench() {
    let home = home();
    let lines = run(&home, &[&QUICK[..], &["--json"]].concat()).stdout;
    let same = run(&home, &["bench", "compare", "last", "last"]).stdout;
    assert_eq!(same.matches("no difference shown").count(), 2, "{same}");
    std::fs::write(home.path("theirs.json"), llama_bench(&lines, 0.1)).unwrap();
    let compared = run(&home, &["bench", "compare", "last", "theirs.json", "--json"]).stdout;
    let records: Vec<Value> = compared.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let pairs: Vec<&Value> = records.iter().filter(|record| record["record"] == "pair").collect();
    assert_eq!(pairs.len(), 2, "{compared}");
    for pair in pairs {
        assert!((pair["ratio"].as_f64().unwrap() - 0.1).abs() < 1e-6, "{pair}");
        assert!(pair["ratio_low"].as_f64().unwrap() < 0.1 && pair["ratio_high"].as_f64().unwrap() > 0.1);
        assert_eq!(pair["verdict"], "slower", "{pair}");
    }
    let ran = run(&home, &[&QUICK[..], &["--compare", "theirs.json", "--format", "markdown"]].concat());
    assert!(ran.stdout.contains(" B : A |") && ran.stdout.contains("% faster |"), "{}", ran.stdout);
    let ran = home.run(&["bench", "compare", "last", "tiny.gguf"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("is no run"), "{}", ran.stderr);
}

/// A run that takes minutes, in a terminal.
fn watched(home: &Home, more: &[&str]) -> Pty {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tuichat"));
    command.env("TUICHAT_HOME", home.path("home"));
    command.cwd(home.path(""));
    command.args([&LONG[..], more].concat());
    Pty::run(command, 80, 24)
}

#[test]
fn somebody_who_looks_on_sees_a_view_stops_it_and_keeps_what_was_measured() {
    let home = home();
    let mut bench = watched(&home, &["--suite", "depth", "--depths", "0,512,1k"]);
    bench.wait_until("the cases, and a first sample", |screen| {
        let has_sample = screen.lines().any(|line| line.contains("/1000 ") && !line.contains(" 0/1000 "));
        screen.contains("tuichat bench, suite depth") && screen.contains("tg32 @ d1024") && has_sample
    });
    bench.send("q");
    let status = bench.wait_for_end();
    assert_eq!(status.exit_code(), 130);
    bench.assert_given_back();
    let screen = bench.wait_for("--continue");
    assert!(!screen.contains("q stops"), "{screen}");
    let listed = run(&home, &["bench", "list"]).stdout;
    assert!(listed.contains("stopped"), "{listed}");
}

#[test]
fn sentences_of_a_run_are_broken_between_words_in_a_terminal_and_not_in_a_pipe() {
    let home = home();
    run(&home, &QUICK);
    let whole = run(&home, &["bench", "show"]).stdout;
    let sentence = whole.lines().next().unwrap();
    assert!(sentence.chars().count() > 45, "{sentence}");
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tuichat"));
    command.env("TUICHAT_HOME", home.path("home"));
    command.args(["bench", "show"]);
    let mut shown = Pty::run(command, 45, 60);
    assert!(shown.wait_for_end().success());
    let screen = shown.screen();
    let lines: Vec<&str> = screen.lines().map(str::trim_end).collect();
    let broken =
        (1..=lines.len()).find(|count| lines[..*count].join(" ").split_whitespace().eq(sentence.split_whitespace()));
    let broken = broken.unwrap_or_else(|| panic!("{sentence}\n{screen}"));
    assert!(broken > 1 && lines[1..broken].iter().all(|line| line.starts_with("  ")), "{screen}");
}

#[test]
fn a_signal_gives_the_terminal_back_the_first_time_and_the_second() {
    let home = home();
    let mut bench = watched(&home, &[]);
    bench.wait_for("tg128");
    bench.signal(rustix::process::Signal::TERM);
    assert_eq!(bench.wait_for_end().exit_code(), 143);
    bench.assert_given_back();
}

/// Not a test by itself: what the one below runs in a terminal.
#[test]
#[ignore = "panics, as a child of another test"]
fn a_measurement_that_panics() {
    let live = Live::start("quick", CancelFlag::default()).unwrap();
    live.tell(Event::Doing("looking at the roof".into()));
    std::thread::sleep(Duration::from_millis(600));
    panic!("the roof is on fire");
}

#[test]
fn a_panic_gives_the_terminal_back_and_is_told_after_the_view() {
    let mut command = CommandBuilder::new(std::env::current_exe().unwrap());
    command.args(["a_measurement_that_panics", "--exact", "--ignored", "--nocapture"]);
    command.env("RUST_BACKTRACE", "0");
    let mut child = Pty::run(command, 80, 24);
    child.wait_for("looking at the roof");
    assert_ne!(child.wait_for_end().exit_code(), 0);
    let screen = child.wait_for("the roof is on fire");
    assert!(!screen.contains("q stops"), "{screen}");
    let bytes = String::from_utf8_lossy(&child.bytes()).into_owned();
    let place = |text: &str| bytes.rfind(text).unwrap_or_else(|| panic!("no {text:?}: {bytes:?}"));
    assert!(place("\u{1b}[?1049l") < place("the roof is on fire"), "{bytes:?}");
    assert_eq!(child.line_settings(), child.settings_before());
}

#[test]
fn without_colours_or_by_wish_there_is_no_view() {
    let home = home();
    let mut bench = watched(&home, &["--no-live"]);
    bench.wait_for("warming up");
    assert!(!bench.screen().contains("q stops"), "{}", bench.screen());
    bench.send("\x03");
    assert_eq!(bench.wait_for_end().exit_code(), 130);
}
