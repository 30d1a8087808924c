//! What llama-bench prints with `-o json` (one array) and `-o jsonl` (an object per line), as a run.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::bench::machine::Machine;
use crate::bench::record::{Case, Head, Run};
use crate::bench::reports::LLAMA_BENCH;
use crate::bench::statistics::Interval;

/// What is said of a test. All else is kept by its name.
#[derive(Deserialize)]
struct Test {
    model_filename: String,
    #[serde(default)]
    model_type: String,
    #[serde(default)]
    model_size: u64,
    #[serde(default)]
    model_n_params: u64,
    #[serde(default)]
    n_prompt: u32,
    #[serde(default)]
    n_gen: u32,
    #[serde(default)]
    n_depth: u32,
    #[serde(default)]
    n_threads: u32,
    type_k: Option<String>,
    type_v: Option<String>,
    avg_ts: f64,
    stddev_ts: Option<f64>,
    #[serde(default)]
    samples_ts: Vec<f64>,
    build_commit: Option<String>,
    build_number: Option<u64>,
    cpu_info: Option<String>,
    test_time: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Names that tell nothing of how a test was done.
const OF_NO_USE: [&str; 4] = ["avg_ns", "stddev_ns", "samples_ns", "gpu_info"];

/// The run in this text, called by this name.
///
/// # Errors
/// What is wrong with it.
pub fn read(text: &str, name: &str) -> Result<Run, String> {
    let tests: Vec<Test> = if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let read = |(number, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| format!("line {}: {error}", number + 1))
        };
        lines.map(read).collect::<Result<_, String>>()?
    };
    let first = tests.first().ok_or("it has no test")?;
    let version = match (&first.build_commit, first.build_number) {
        (Some(commit), Some(number)) if number > 0 => format!("{commit} (build {number})"),
        (commit, _) => commit.clone().unwrap_or_default(),
    };
    let times = tests.iter().filter_map(|test| test.test_time.as_deref()?.parse::<Timestamp>().ok());
    let head = Head {
        id: name.to_owned(),
        started: times.min().unwrap_or(Timestamp::UNIX_EPOCH),
        suite: LLAMA_BENCH.into(),
        tuichat: String::new(),
        llama_cpp: version,
        machine: Machine { cpu: first.cpu_info.clone(), ..Machine::default() },
        settings: common(&tests),
        command: Vec::new(),
        rest: Map::new(),
    };
    let mut run = Run::new(head);
    run.cases = tests.into_iter().enumerate().map(|(number, test)| test.case(number)).collect();
    Ok(run)
}

/// What all tests have alike was set for the run.
fn common(tests: &[Test]) -> Map<String, Value> {
    let Some((first, others)) = tests.split_first() else { return Map::new() };
    let is_alike = |name: &str, value: &Value| others.iter().all(|test| test.rest.get(name) == Some(value));
    let names: HashSet<&str> = OF_NO_USE.into_iter().chain(["backends"]).collect();
    let all = first.rest.iter().filter(|(name, value)| !names.contains(name.as_str()) && is_alike(name, value));
    all.map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl Test {
    fn case(self, number: usize) -> Case {
        let test = self.name();
        let mut rest = self.rest;
        OF_NO_USE.iter().for_each(|name| drop(rest.shift_remove(*name)));
        let interval = Interval::of(&self.samples_ts);
        Case {
            key: format!("{number}: {test}"),
            runtime: LLAMA_BENCH.into(),
            test,
            model_filename: self.model_filename,
            model_type: self.model_type,
            model_size: self.model_size,
            model_n_params: self.model_n_params,
            n_prompt: self.n_prompt,
            n_gen: self.n_gen,
            n_depth: self.n_depth,
            n_threads: self.n_threads,
            type_k: self.type_k,
            type_v: self.type_v,
            avg_ts: Some(self.avg_ts),
            stddev_ts: self.stddev_ts,
            ci95_low_ts: interval.low(),
            ci95_high_ts: interval.high(),
            samples_ts: self.samples_ts,
            rest,
            ..Case::default()
        }
    }

    /// As llama-bench's own tables call it.
    fn name(&self) -> String {
        let timed = match (self.n_prompt, self.n_gen) {
            (prompt, 0) => format!("pp{prompt}"),
            (0, written) => format!("tg{written}"),
            (prompt, written) => format!("pp{prompt}+tg{written}"),
        };
        if self.n_depth == 0 { timed } else { format!("{timed} @ d{}", self.n_depth) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two tests as llama-bench prints them, but for names that nothing is made of.
    pub const ARRAY: &str = r#"[
  {"build_commit": "b1b2c3d", "build_number": 7000, "cpu_info": "Some CPU", "gpu_info": "", "backends": "CPU",
   "model_filename": "models/tiny-Q4_0.gguf", "model_type": "llama 134M Q4_0", "model_size": 90177536,
   "model_n_params": 134515008, "n_batch": 2048, "n_threads": 2, "type_k": "f16", "type_v": "f16", "flash_attn": false,
   "n_prompt": 512, "n_gen": 0, "n_depth": 1024, "test_time": "2026-11-27T09:00:00Z", "avg_ns": 1, "stddev_ns": 1,
   "avg_ts": 800.5, "stddev_ts": 1.5, "samples_ns": [1, 1], "samples_ts": [799.0, 802.0]},
  {"build_commit": "b1b2c3d", "build_number": 7000, "cpu_info": "Some CPU", "gpu_info": "", "backends": "CPU",
   "model_filename": "models/tiny-Q4_0.gguf", "model_type": "llama 134M Q4_0", "model_size": 90177536,
   "model_n_params": 134515008, "n_batch": 512, "n_threads": 2, "type_k": "f16", "type_v": "f16", "flash_attn": false,
   "n_prompt": 0, "n_gen": 128, "n_depth": 0, "test_time": "2026-11-27T09:01:00Z", "avg_ns": 1, "stddev_ns": 1,
   "avg_ts": 60.0, "stddev_ts": 1.0, "samples_ns": [1, 1], "samples_ts": [59.0, 61.0]}
]"#;

    #[test]
    fn an_array_is_a_run_with_the_names_of_its_tests_built_from_their_tokens() {
        let run = read(ARRAY, "other.json").unwrap();
        let tests: Vec<&str> = run.cases.iter().map(|case| case.test.as_str()).collect();
        assert_eq!(tests, ["pp512 @ d1024", "tg128"]);
        assert_eq!(run.head.llama_cpp, "b1b2c3d (build 7000)");
        assert_eq!(run.head.machine.line(), "Some CPU");
        assert_eq!(run.head.settings.get("flash_attn"), Some(&Value::Bool(false)));
        assert_eq!(run.head.settings.get("n_batch"), None, "it differs from test to test");
        assert_eq!(run.head.started.to_string(), "2026-11-27T09:00:00Z");
        let case = &run.cases[1];
        assert_eq!(
            (case.avg_ts, case.runtime.as_str(), case.text("backends")),
            (Some(60.0), "llama-bench", Some("CPU"))
        );
        assert!(case.ci95_low_ts.unwrap() < 59.0 && case.rest.get("samples_ns").is_none());
    }

    #[test]
    fn lines_are_the_same_run() {
        let array: Vec<Value> = serde_json::from_str(ARRAY).unwrap();
        let lines: String = array.iter().map(|test| format!("{test}\n")).collect();
        assert_eq!(read(&lines, "a").unwrap(), read(ARRAY, "a").unwrap());
    }

    #[test]
    fn what_is_something_else_is_said() {
        assert!(read("[]", "a").unwrap_err().contains("no test"));
        assert!(read("{\"a\": 1}\n", "a").unwrap_err().starts_with("line 1: missing field `model_filename`"));
        assert!(read("[{]", "a").is_err());
    }
}
