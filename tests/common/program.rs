//! The program in a home of its own, run as a script would run it.

use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

/// A script that answers three words.
pub const HELLO: &str = "[[answer]]\ntext = \"Hello there, you\"\n";

/// Variables that say where other programs keep their models.
pub const VARIABLES_OF_OTHERS: [&str; 6] =
    ["OLLAMA_MODELS", "LLAMA_CACHE", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"];

/// A home for one test, with a scripted engine in it.
pub struct Home {
    pub folder: TempDir,
}

/// What a run left behind.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

impl Home {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// `tuichat` with these arguments, no settings but those of this home, and no models of other programs but those
    /// below `person`.
    pub fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tuichat"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TUICHAT_") {
                command.env_remove(name);
            }
        }
        for name in VARIABLES_OF_OTHERS {
            command.env_remove(name);
        }
        command.env("HOME", self.path("person")).env("OLLAMA_MODELS", self.path("person/.ollama/models"));
        command.env("TUICHAT_HOME", self.path("home")).args(arguments).current_dir(self.folder.path());
        command
    }

    /// Runs as cron would, with nothing to read.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.command(arguments);
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let (ended, has_ended) = mpsc::channel::<()>();
        let process = child.id();
        let watchdog = thread::spawn(move || {
            if has_ended.recv_timeout(Duration::from_secs(60)) == Err(mpsc::RecvTimeoutError::Timeout) {
                kill(process);
            }
        });
        let output = child.wait_with_output().unwrap();
        drop(ended);
        watchdog.join().unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub fn run_piped(&self, arguments: &[&str], stdin: &str) -> Ran {
        let mut command = Command::from_std(self.command(arguments));
        let output = command.write_stdin(stdin).timeout(Duration::from_secs(60)).output().unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs with a scripted engine.
    pub fn ask(&self, script: &str, arguments: &[&str]) -> Ran {
        self.write("script.toml", script);
        self.run(&[&["--engine", "scripted:script.toml"], arguments].concat())
    }

    pub fn ask_piped(&self, script: &str, arguments: &[&str], stdin: &str) -> Ran {
        self.write("script.toml", script);
        self.run_piped(&[&["--engine", "scripted:script.toml"], arguments].concat(), stdin)
    }

    /// Begins a run with a scripted engine.
    pub fn spawn(&self, script: &str, arguments: &[&str]) -> Child {
        self.write("script.toml", script);
        let mut command = self.command(&[&["--engine", "scripted:script.toml"], arguments].concat());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// Ends a process that somebody else waits for.
fn kill(process: u32) {
    let mut kill = match cfg!(windows) {
        true => std::process::Command::new("taskkill"),
        false => std::process::Command::new("kill"),
    };
    let arguments: &[&str] = if cfg!(windows) { &["/F", "/PID"] } else { &["-KILL"] };
    let _ = kill.args(arguments).arg(process.to_string()).status();
}
