//! The first load of a model file, in a child process: llama.cpp aborts on some damaged files, and what aborts there
//! is an error message here. Files that passed are remembered as long as they are
//! untouched and the program is the same; where their hashes are known, so are others with the same content.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::kv::KvTypes;
use super::llama::{Context, ContextSettings, Decoded, LoadError, Model, Placement, version};
use super::memory;
use super::protocol::{CancelFlag, EngineError};
use crate::hardware::cores::Crews;
use crate::hardware::memory::Memory;
use crate::models::{gguf, identity};

/// The hidden command that a probing parent runs: `tuichat __probe FILE`.
pub const COMMAND: &str = "__probe";

const POLL: Duration = Duration::from_millis(5);
/// Of the child's last words.
const MOST_WORDS: u64 = 4096;

/// How files are probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// This program.
    pub program: PathBuf,
    /// Where it is remembered which files and contents passed, with which version of tuichat and of llama.cpp.
    pub passed: PathBuf,
    /// Where hashes of files are remembered.
    pub hashes: PathBuf,
    /// Whether the former may be written.
    pub may_write: bool,
}

/// What a probe found.
pub(super) enum Verdict {
    Good,
    Bad(EngineError),
    Cancelled,
}

impl Probe {
    /// Probes a file unless it passed before, or another file with the same content did.
    pub(super) fn check(&self, path: &Path, cancel: &[&CancelFlag]) -> Verdict {
        if self.has_passed(path) {
            return Verdict::Good;
        }
        // Where no child can be run, loading it here is all that is left.
        let Ok(verdict) = self.run(path, cancel) else { return Verdict::Good };
        if matches!(verdict, Verdict::Good) {
            self.remember(path);
        }
        verdict
    }

    /// Probes a file, whether it passed before or not.
    ///
    /// # Errors
    /// [`EngineError::BadModel`] if it cannot be loaded; any other if that cannot be tried.
    pub fn try_now(&self, path: &Path) -> Result<(), EngineError> {
        let header = gguf::read_header(path).map_err(|error| EngineError::bad_model(path, &error.to_string()))?;
        memory::check_trial(&header, Memory::read())?;
        match self.run(path, &[]) {
            Ok(Verdict::Good) => {
                self.remember(path);
                Ok(())
            }
            Ok(Verdict::Bad(error)) => Err(error),
            Ok(Verdict::Cancelled) => Err(EngineError::Failed("loading was cancelled".into())),
            Err(error) => Err(EngineError::Failed(format!("no process can be started to load the file in: {error}"))),
        }
    }

    fn has_passed(&self, path: &Path) -> bool {
        let passed = identity::recall(path, &self.passed).or_else(|| {
            let sha256 = identity::recall(path, &self.hashes)?;
            identity::recall_content(&sha256, &self.passed)
        });
        passed.is_some_and(|passed| passed == this_version())
    }

    /// Remembers that the file passed, and its content if its hash is known.
    fn remember(&self, path: &Path) {
        if !self.may_write {
            return;
        }
        identity::remember(path, &self.passed, &this_version());
        if let Some(sha256) = identity::recall(path, &self.hashes) {
            identity::remember_content(&sha256, &self.passed, &this_version());
        }
    }

    fn run(&self, path: &Path, cancel: &[&CancelFlag]) -> io::Result<Verdict> {
        let mut child = Command::new(&self.program)
            .arg(COMMAND)
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        loop {
            if cancel.iter().any(|flag| flag.is_cancelled()) {
                let _ = child.kill();
                let _ = child.wait();
                return Ok(Verdict::Cancelled);
            }
            match child.try_wait()? {
                None => std::thread::sleep(POLL),
                Some(status) if status.success() => return Ok(Verdict::Good),
                Some(status) => {
                    return Ok(Verdict::Bad(refusal(path, status.signal(), &last_words(&mut child))));
                }
            }
        }
    }
}

/// Of what does the loading: another one may refuse what this one takes.
fn this_version() -> String {
    format!("{} {}", env!("CARGO_PKG_VERSION"), version())
}

fn refusal(path: &Path, signal: Option<i32>, words: &str) -> EngineError {
    match signal {
        Some(signal) => EngineError::bad_model(path, &format!("llama.cpp crashes on it (signal {signal})")),
        None => EngineError::BadModel(words.to_owned()),
    }
}

/// The sentence on the child's standard error.
fn last_words(child: &mut Child) -> String {
    let mut words = String::new();
    if let Some(stderr) = child.stderr.take() {
        let _ = stderr.take(MOST_WORDS).read_to_string(&mut words);
    }
    let sentence = words.lines().next().unwrap_or_default();
    sentence.strip_prefix("error: ").unwrap_or(sentence).to_owned()
}

/// What the child does: everything that a first answer would do with the file, in small.
///
/// # Errors
/// If the file is no model that can be used.
pub fn load_and_decode(path: &Path) -> Result<(), EngineError> {
    let bad = |words: &str| EngineError::bad_model(path, words);
    gguf::read_header(path).map_err(|error| bad(&error.to_string()))?;
    // As they are stored, weights can be dropped where memory is short.
    let cpu = Placement { gpu_layers: Some(0), as_stored: true, ..Placement::default() };
    let model = Model::load(path, &cpu, |_| true).map_err(|error| match error {
        LoadError::Cancelled => bad("loading was cancelled"),
        LoadError::Refused(words) => bad(&words),
    })?;
    let settings = ContextSettings { cells: 256, crews: Crews::anywhere(1), batch: 64, types: KvTypes::default() };
    let mut context = Context::new(&model, settings).map_err(|words| bad(&words))?;
    let tokens = model.tokenize("Hello, world", true);
    match tokens.first().map(|first| context.decode(&[*first], 0, &[])) {
        Some(Decoded::Done) => Ok(()),
        None => Err(bad("its vocabulary has no token for a greeting")),
        Some(other) => Err(bad(&format!("it does not compute ({other:?})"))),
    }
}
