//! On which cores the program computes, and with how many threads, as they are allowed to it.
#![cfg(target_os = "linux")]

mod common;

use std::process::Output;

use common::program::Home;
use common::tiny_gguf::TinyModel;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::Value;

/// The cores that this test may run on.
fn allowed() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap();
    (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect()
}

/// One answer of a tiny model, by a program that may run on these cores only.
fn answer_on(cores: &[usize], arguments: &[&str]) -> Output {
    let home = Home::new();
    let model = home.write("tiny.gguf", TinyModel::default().bytes());
    let common = ["-m", model.to_str().unwrap(), "-p", "hi", "--device", "cpu", "--max-tokens", "3", "-o", "json"];
    let mut command = home.command(&[&common, arguments].concat());
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    // A thread of its own, since what it may is what the program may.
    std::thread::scope(|scope| {
        let run = || {
            sched_setaffinity(None, &set).unwrap();
            command.output().unwrap()
        };
        scope.spawn(run).join().unwrap()
    })
}

fn device(output: &Output) -> Value {
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{object}");
    object["device"].clone()
}

#[test]
fn a_program_that_may_use_one_core_computes_with_one_thread() {
    for core in allowed() {
        let device = device(&answer_on(&[core], &[]));
        assert_eq!((&device["threads"], &device["prefill_threads"]), (&1.into(), &1.into()), "{device}");
        assert_eq!(device["cores"], core.to_string());
        assert!(device["cores_reason"].as_str().is_some_and(|words| words.starts_with("1 of ")), "{device}");
    }
}

#[test]
fn more_threads_than_cores_are_taken_and_said_to_be_slow() {
    let core = allowed()[0];
    let output = answer_on(&[core], &["--threads", "2"]);
    assert_eq!(device(&output)["threads"], 2);
    let remark = String::from_utf8(output.stderr).unwrap();
    assert!(remark.contains("2 threads are more than the 1 processor this program may use"), "{remark}");
    assert!(remark.contains("`--threads 1`"), "{remark}");
    assert_eq!(String::from_utf8(answer_on(&[core], &["--threads", "1"]).stderr).unwrap(), "");
}
