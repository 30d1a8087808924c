//! Runs of `tuichat bench` from outside: that they are kept, listed, shown, and gone on with after a kill.

mod common;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::program::Home;
use common::tiny_gguf::TinyModel;
use serde_json::Value;

fn home() -> Home {
    let home = Home::new();
    TinyModel::default().context(2048).write(&home.path("tiny.gguf")).unwrap();
    home
}

/// The files of runs, by their names.
fn kept(home: &Home) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(home.path("home/data/bench")).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.sort();
    files
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn keys(lines: &[Value]) -> Vec<String> {
    let cases = lines.iter().filter(|line| line["record"] == "case");
    cases.map(|case| case["key"].as_str().unwrap().to_owned()).collect()
}

const DEPTHS: [&str; 9] =
    ["bench", "./tiny.gguf", "--suite", "depth", "--depths", "0,128,256,512", "--threads", "1", "--power=none"];

#[test]
fn a_killed_run_keeps_what_it_has_and_is_gone_on_with_each_case_once() {
    let home = home();
    let mut child = home.command(&[&DEPTHS[..], &["--rounds", "200"]].concat());
    let mut child = child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let has_cases =
        || kept(&home).first().is_some_and(|file| std::fs::read_to_string(file).unwrap().contains("\"case\""));
    let began = Instant::now();
    while !has_cases() {
        assert!(began.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let file = &kept(&home)[0];
    let before = std::fs::read_to_string(file).unwrap();
    let whole = &before[..before.rfind('\n').unwrap() + 1];
    let had = keys(&lines(whole));
    assert!(!had.is_empty() && had.len() < 8, "{had:?}");
    assert!(home.run(&["bench", "list"]).stdout.contains("killed"));
    assert!(home.run(&["bench", "list", "--json"]).stdout.contains("\"stopped\""), "scripts know one word for both");
    // As if the power had gone in the middle of a line.
    std::fs::write(file, format!("{whole}{{\"record\":\"case\",\"key\":\"ti")).unwrap();
    let shown = home.run(&["bench", "show"]);
    assert!(shown.stdout.contains("pp128 tok/s") && shown.stdout.contains("--continue"), "{}", shown.stdout);
    let id = lines(whole)[0]["id"].as_str().unwrap().to_owned();
    home.write("foreign.jsonl", whole.replace(&id, "2020-01-01-0000-quick"));
    let shown = home.run(&["bench", "show", "foreign.jsonl"]).stdout;
    assert!(shown.contains("the run has no end") && !shown.contains("--continue"), "it is not kept here: {shown}");

    let ran = home.run(&["bench", "--continue", "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let after = std::fs::read_to_string(file).unwrap();
    assert!(after.starts_with(whole), "what was measured stays as it was");
    let all = lines(&after);
    let (keys, unique) = (keys(&all), keys(&all).into_iter().collect::<BTreeSet<_>>());
    assert_eq!(keys.len(), unique.len(), "{keys:?}");
    assert_eq!(keys.iter().filter(|key| !key.contains("anchor")).count(), 8, "{keys:?}");
    assert_eq!((&all[0]["record"], &all.last().unwrap()["status"]), (&"run".into(), &"whole".into()));
    assert_eq!(kept(&home).len(), 1);
    // Whoever reads stdout gets the whole run.
    assert_eq!(lines(&ran.stdout).iter().filter(|line| line["record"] == "case").count(), keys.len());
    let again = home.run(&["bench", "--continue"]);
    assert!(again.code == Some(2) && again.stderr.contains("came to its end"), "{}", again.stderr);
}

#[test]
fn a_killed_search_keeps_its_timings_and_times_none_of_them_again() {
    let home = home();
    home.write("home/config/config.toml", "threads = 1\n");
    let exhaustive = ["bench", "./tiny.gguf", "--tune", "--exhaustive", "--rounds", "2"];
    let mut child = home.command(&exhaustive);
    let mut child = child.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let timings = |text: &str| -> Vec<Value> {
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        lines(whole).into_iter().filter(|line| line["record"] == "timing").collect()
    };
    let has_some =
        || kept(&home).first().is_some_and(|file| timings(&std::fs::read_to_string(file).unwrap()).len() > 4);
    let began = Instant::now();
    while !has_some() {
        assert!(began.elapsed() < Duration::from_secs(120) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let file = &kept(&home)[0];
    let before = std::fs::read_to_string(file).unwrap();
    let shown = home.run(&["bench", "show"]);
    assert!(shown.stdout.contains("timings so far, and nothing is chosen yet"), "{}", shown.stdout);
    assert!(shown.stdout.contains("--continue"), "{}", shown.stdout);

    let ran = home.run(&["bench", "--continue", "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let after = std::fs::read_to_string(file).unwrap();
    assert!(after.starts_with(&before[..before.rfind('\n').unwrap() + 1]), "what was timed stays as it was");
    let all = lines(&after);
    let numbers: Vec<u64> = timings(&after).iter().map(|timing| timing["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "each once");
    let case = |test: &str| all.iter().find(|line| line["test"] == test).unwrap_or_else(|| panic!("{test}: {after}"));
    let (choice, swept) = (case("choice"), case("exhaustive"));
    let made = choice["timings"].as_u64().unwrap() + swept["timings"].as_u64().unwrap();
    assert_eq!(made, numbers.len() as u64, "every timing that it goes by is there, and no other");
    assert!(swept["loss"].as_f64().unwrap() >= 0.0 && swept["search_part"].as_f64().unwrap() > 0.0, "{swept}");
    assert_eq!(all.last().unwrap()["status"], "whole");
}

#[test]
fn runs_are_kept_listed_and_shown_as_they_were_told() {
    let home = home();
    let ran = home.run(&["bench", "./tiny.gguf", "--threads", "1", "--rounds", "2", "--power", "none"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let listed = home.run(&["bench", "list", "--json"]).json();
    let id = listed[0]["id"].as_str().unwrap().to_owned();
    assert!(id.ends_with("-quick") && listed[0]["status"] == "whole" && listed[0]["cases"] == 2, "{listed}");
    let shown = home.run(&["bench", "show", &id[..id.len() - 3]]);
    // Behind it, and not kept, is what is recommended now.
    let told = ran.stdout.split("\non this machine (").next().unwrap();
    assert!(shown.stdout.ends_with(told), "{told}\nis not the end of\n{}", shown.stdout);
    let told = home.run(&["bench", "show", "last", "--json"]);
    assert_eq!(told.stdout, std::fs::read_to_string(&kept(&home)[0]).unwrap());
    let file = kept(&home)[0].display().to_string();
    assert_eq!(home.run(&["bench", "show", &file]).stdout, shown.stdout);
    let nowhere = home.run(&["bench", "show", "--out", "nowhere/run.html"]);
    assert!(nowhere.code == Some(5) && nowhere.stderr.contains("make the folder first"), "{}", nowhere.stderr);
    let none = home.run(&["bench", "show", "1999"]);
    assert!(none.code == Some(2) && none.stderr.contains("tuichat bench list"), "{}", none.stderr);
    home.write("data.jsonl", "[1]\n");
    let none = home.run(&["bench", "show", "data.jsonl"]);
    assert!(none.code == Some(2) && none.stderr.contains("is no run"), "{}", none.stderr);
}

#[test]
fn nothing_is_kept_of_a_private_run() {
    let home = home();
    let quick = ["bench", "./tiny.gguf", "--private", "--threads", "1", "--rounds", "1", "--power", "none", "--json"];
    let ran = home.run(&quick);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(lines(&ran.stdout).len(), 4, "run, two cases, end: {}", ran.stdout);
    assert!(kept(&home).is_empty());
    let ran = home.run(&["bench", "--continue", "--private"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("as it was begun"), "{}", ran.stderr);
}

#[test]
fn a_run_is_not_gone_on_with_under_other_circumstances() {
    let home = home();
    let ran = home.run(&[&DEPTHS[..], &["--rounds", "1"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let file = &kept(&home)[0];
    let text = std::fs::read_to_string(file).unwrap();
    let first_two: String = text.split_inclusive('\n').take(2).collect();
    std::fs::write(file, first_two.replace("\"rounds\":1", "\"rounds\":7")).unwrap();
    let ran = home.run(&["bench", "--continue", "last"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("another rounds (7)"), "{}", ran.stderr);
    std::fs::write(file, first_two.replace("\"llama_cpp\":\"", "\"llama_cpp\":\"other-")).unwrap();
    let ran = home.run(&["bench", "--continue", "last"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("another llama.cpp"), "{}", ran.stderr);
    let ran = home.run(&["bench", "./tiny.gguf", "--continue", "last"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("leave out models"), "{}", ran.stderr);
}

#[test]
fn a_suite_with_records_of_its_own_is_gone_on_with_where_a_part_of_it_was_done() {
    let home = Home::new();
    TinyModel::default().context(4096).write(&home.path("tiny.gguf")).unwrap();
    let spec = ["bench", "./tiny.gguf", "--suite", "spec", "--rounds", "1", "--threads", "1", "--depths", "64"];
    let ran = home.run(&[&spec[..], &["--ways", "auto", "--tasks", "json,prose"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(home.run(&["bench", "show"]).stdout.ends_with(&ran.stdout), "{}", ran.stdout);
    let file = &kept(&home)[0];
    let text = std::fs::read_to_string(file).unwrap();
    let first_class = text.find("\"unit\":\"tiny.gguf: answers, json\"").unwrap();
    let whole = &text[..first_class + text[first_class..].find('\n').unwrap() + 1];
    std::fs::write(file, whole).unwrap();
    let went_on = home.run(&["bench", "--continue"]);
    assert_eq!(went_on.code, Some(0), "{}", went_on.stderr);
    let after = std::fs::read_to_string(file).unwrap();
    assert!(after.starts_with(whole));
    assert_eq!(keys(&lines(&after)), keys(&lines(&text)));
    let row = |text: &str| -> Vec<String> {
        let line = text.lines().find(|line| line.starts_with("json")).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert!(row(&ran.stdout).len() > 3 && row(&ran.stdout) == row(&went_on.stdout), "{}", went_on.stdout);
}

#[cfg(target_os = "linux")]
#[test]
fn two_builds_are_compared_in_slices_of_time() {
    let (home, tuichat) = (home(), env!("CARGO_BIN_EXE_tuichat"));
    let mut command = std::process::Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/compare-speed.py")).arg(home.path("tiny.gguf"));
    command.args(["--tuichat", tuichat, "--other", tuichat, "--threads", "1", "--rounds", "3"]);
    let output = command.output().expect("python3 is there");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    let rows: Vec<Vec<&str>> = told.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.iter().map(|row| row[1]).collect::<Vec<_>>(), ["prompt", "answer"], "{told}");
    for row in rows {
        let [ours, other, ratio] = [row[2], row[3], row[4]].map(|word| word.parse::<f64>().expect(word));
        assert!((ours / other / ratio - 1.0).abs() < 0.01 && row.ends_with(&["3", "rounds"]), "{told}");
    }
}
