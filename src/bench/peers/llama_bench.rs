//! llama.cpp's own bench, started anew for every round, as it has no other way to take turns.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde::Deserialize;

use super::{Peer, Problem, Round, Task, Timed};
use crate::engine::protocol::CancelFlag;
use crate::text::{cause, escape_line};

/// How often it is looked whether it has ended, or somebody asked to stop.
const POLL: Duration = Duration::from_millis(20);
/// More is no output of it.
const MOST_BYTES: u64 = 16 << 20;

pub struct LlamaBench {
    path: PathBuf,
    version: Option<String>,
}

/// What it says of a test.
#[derive(Deserialize)]
struct Test {
    #[serde(default)]
    build_commit: String,
    #[serde(default)]
    build_number: u32,
    #[serde(default)]
    model_n_params: u64,
    n_prompt: u32,
    n_gen: u32,
    avg_ts: f64,
}

impl LlamaBench {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), version: None }
    }

    fn tests(&self, task: &Task, arguments: &[String], cancel: &CancelFlag) -> Result<Vec<Test>, Problem> {
        let shown = self.path.display();
        let mut command = Command::new(&self.path);
        command.arg("-m").arg(&task.model).args(["-t", &task.threads.to_string(), "-r", "1", "-o", "json"]);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("cannot start `{shown}`: {}", cause(&error)))?;
        let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
        let ended = wait(&mut child, cancel);
        let (stdout, stderr) = (joined(stdout), joined(stderr));
        if !ended? {
            let last = stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
            let last: String = escape_line(last).chars().take(200).collect();
            let why = if last.is_empty() { String::new() } else { format!(": {last}") };
            return Err(Problem::Failed(format!("`{shown}` failed{why}")));
        }
        let begin = stdout.find('[').unwrap_or(0);
        serde_json::from_str(&stdout[begin..])
            .map_err(|_| Problem::Failed(format!("`{shown}` told nothing that llama-bench would tell")))
    }
}

impl Peer for LlamaBench {
    fn begin(&mut self, task: &Task, cancel: &CancelFlag, _notes: &mut Vec<String>) -> Result<(), Problem> {
        let arguments = ["-p", "1", "-n", "0", "--no-warmup"].map(str::to_owned);
        // An old one does not know the last of them.
        let tests = match self.tests(task, &arguments, cancel) {
            Err(Problem::Failed(_)) => self.tests(task, &arguments[..4], cancel)?,
            other => other?,
        };
        let first = tests.first().ok_or_else(|| format!("`{}` measured nothing", self.path.display()))?;
        if first.model_n_params != 0 && task.parameters != 0 && first.model_n_params != task.parameters {
            return Err(Problem::Failed(format!(
                "it finds {} parameters in the model, and tuichat {}",
                first.model_n_params, task.parameters
            )));
        }
        self.version = (first.build_number > 0 || !first.build_commit.is_empty())
            .then(|| escape_line(&format!("{} ({})", first.build_number, first.build_commit)));
        Ok(())
    }

    fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// It warms up by itself, so there is no round that is not counted.
    fn round(&mut self, task: &Task, number: u32, cancel: &CancelFlag) -> Result<Round, Problem> {
        if number == 0 {
            return Ok(Round::default());
        }
        let arguments = ["-p", &task.prompt.to_string(), "-n", &task.written.to_string()].map(str::to_owned);
        let tests = self.tests(task, &arguments, cancel)?;
        let timed = |prompt: u32, written: u32| {
            let test = tests.iter().find(|test| (test.n_prompt, test.n_gen) == (prompt, written))?;
            let tokens = prompt + written;
            Some(Timed { tokens, seconds: f64::from(tokens) / test.avg_ts })
        };
        let round = Round { prefill: timed(task.prompt, 0), decode: timed(0, task.written) };
        match round {
            Round { prefill: None, .. } | Round { decode: None, .. } => {
                Err(Problem::Failed(format!("`{}` did not measure what it was asked to", self.path.display())))
            }
            round => Ok(round),
        }
    }
}

/// Reads what a program writes, beside whatever else happens.
fn collect(pipe: Option<impl Read + Send + 'static>) -> Option<JoinHandle<Vec<u8>>> {
    let pipe = pipe?;
    Some(thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.take(MOST_BYTES).read_to_end(&mut bytes);
        bytes
    }))
}

fn joined(reader: Option<JoinHandle<Vec<u8>>>) -> String {
    let bytes = reader.and_then(|reader| reader.join().ok()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether it ended well.
fn wait(child: &mut Child, cancel: &CancelFlag) -> Result<bool, Problem> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) if cancel.is_cancelled() => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(Problem::Stopped);
            }
            Ok(None) => thread::sleep(POLL),
            Err(error) => return Err(Problem::Failed(format!("cannot wait for it: {}", cause(&error)))),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    use super::*;

    fn script(text: &str) -> (tempfile::TempDir, LlamaBench) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("llama-bench");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let bench = LlamaBench::new(&path);
        (folder, bench)
    }

    fn task() -> Task {
        Task {
            model: "/no/model".into(),
            parameters: 5,
            bytes: 5,
            threads: 3,
            prompt: 512,
            written: 128,
            tokens: Vec::new(),
            text: String::new(),
        }
    }

    #[test]
    fn its_own_figures_are_taken() {
        let (_folder, mut bench) = script(
            r#"case "$*" in *"-t 3 -r 1 -o json -p 512 -n 128") ;; *--no-warmup) ;; *) exit 3 ;; esac
            echo 'some word before [' >&2
            echo '[{"build_commit": "abc", "build_number": 7, "model_n_params": 5, "n_prompt": 512, "n_gen": 0, "avg_ts": 64.0},'
            echo '{"n_prompt": 0, "n_gen": 128, "avg_ts": 16.0}]'"#,
        );
        let cancel = CancelFlag::default();
        bench.begin(&task(), &cancel, &mut Vec::new()).unwrap();
        assert_eq!(bench.version(), Some("7 (abc)"));
        let round = bench.round(&task(), 1, &cancel).unwrap();
        assert_eq!(
            (round.prefill.and_then(Timed::speed), round.decode.and_then(Timed::speed)),
            (Some(64.0), Some(16.0))
        );
        let other = Task { parameters: 6, ..task() };
        let problem = bench.begin(&other, &cancel, &mut Vec::new());
        assert_eq!(problem, Err(Problem::Failed("it finds 5 parameters in the model, and tuichat 6".into())));
    }

    #[test]
    fn what_goes_wrong_is_a_sentence() {
        for (text, part) in [
            ("echo 'error: no such model' >&2; exit 1", "llama-bench` failed: error: no such model"),
            ("echo hello", "told nothing that llama-bench would tell"),
            ("echo '[]'", "measured nothing"),
        ] {
            let (_folder, mut bench) = script(text);
            let problem = bench.begin(&task(), &CancelFlag::default(), &mut Vec::new());
            assert!(matches!(&problem, Err(Problem::Failed(said)) if said.contains(part)), "{text}: {problem:?}");
        }
    }

    #[test]
    fn it_is_ended_when_somebody_asks_to_stop() {
        let (_folder, mut bench) = script("exec sleep 60");
        let cancel = CancelFlag::default();
        cancel.cancel();
        let began = Instant::now();
        assert_eq!(bench.round(&task(), 1, &cancel), Err(Problem::Stopped));
        assert!(began.elapsed() < Duration::from_secs(30));
    }
}
