//! The first load of a model file, in a child process: llama.cpp aborts on some damaged files, and what aborts there
//! is an error message here. Files that passed are remembered as long as they are
//! untouched and the program is the same; where their hashes are known, so are others with the same content.
//!
//! Drivers of graphics processors crash, too. So the child does not see any when it tries a file, and tries a device with
//! a file that passed: `tuichat __probe FILE --on Vulkan0`. Without a file it says which devices there are.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::devices::{self, Device};
use super::kv::KvTypes;
use super::llama::{self, Context, ContextSettings, Decoded, LoadError, Model, Placement, Visible, version};
use super::memory;
use super::protocol::{CancelFlag, EngineError};
use crate::hardware::cores::Crews;
use crate::hardware::memory::Memory;
use crate::models::{gguf, identity};
use crate::platform::processes;
use crate::text::escape_line;

/// The hidden command that a probing parent runs: `tuichat __probe FILE`.
pub const COMMAND: &str = "__probe";
/// The option that names a device.
const ON: &str = "--on";

/// Layers that are put on a device to try it: what comes after the last one, and that one. They take all kinds of steps
/// that the others take.
const TRIED_LAYERS: u32 = 2;
/// A driver that says nothing for so long never will.
const DRIVER_PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);
/// Bytes of what a child says, most of them.
const MOST_WORDS: u64 = 1 << 16;

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

    /// Tries a device with a model unless it was tried before with these drivers. The error says how it failed.
    pub(super) fn check_device(&self, path: &Path, device: &Device, cancel: &[&CancelFlag]) -> Verdict {
        let key = format!("device {} {} {}", device.name, device.description, devices::drivers());
        if self.recall(&key).is_some() {
            return Verdict::Good;
        }
        let arguments = [path.as_os_str(), OsStr::new(ON), OsStr::new(&device.name)];
        let Ok(ended) = self.child(&arguments, None, None, cancel) else { return Verdict::Good };
        match ended {
            Ended::Well(_) => {
                self.remember_word(&key, "good");
                Verdict::Good
            }
            Ended::Cancelled => Verdict::Cancelled,
            Ended::Badly(Badly { crash, words, .. }) => {
                Verdict::Bad(EngineError::Failed(crash.map_or(words, |how| crashed(&how))))
            }
        }
    }

    /// Asks a child for the devices that llama.cpp finds.
    pub(super) fn ask_for_devices(&self, visible: Option<Visible>) -> Asked {
        match self.child(&[], visible, Some(DRIVER_PATIENCE), &[]) {
            Ok(Ended::Well(json)) => serde_json::from_str(&json).map_or(Asked::Unknown, Asked::Told),
            Ok(Ended::Badly(Badly { crash, .. })) => crash.map_or(Asked::Unknown, |how| Asked::Crashed(crashed(&how))),
            Ok(Ended::Cancelled) => Asked::Crashed("did not answer".into()),
            Err(_) => Asked::Unknown,
        }
    }

    /// What this program remembered under a name.
    pub(super) fn recall(&self, name: &str) -> Option<String> {
        let fact = identity::recall_content(name, &self.passed)?;
        Some(fact.strip_prefix(&this_version())?.trim_start().to_owned())
    }

    /// Remembers a word under a name, for this program.
    pub(super) fn remember_word(&self, name: &str, word: &str) {
        if self.may_write {
            identity::remember_content(name, &self.passed, &format!("{} {word}", this_version()));
        }
    }

    fn run(&self, path: &Path, cancel: &[&CancelFlag]) -> io::Result<Verdict> {
        Ok(match self.child(&[path.as_os_str()], Some(Visible::None), None, cancel)? {
            Ended::Well(_) => Verdict::Good,
            Ended::Badly(Badly { crash: Some(how), .. }) => {
                Verdict::Bad(EngineError::bad_model(path, &format!("llama.cpp crashes on it ({how})")))
            }
            Ended::Badly(Badly { is_about_file: true, words, .. }) => Verdict::Bad(EngineError::BadModel(words)),
            Ended::Badly(Badly { words, .. }) => Verdict::Bad(EngineError::Failed(words)),
            Ended::Cancelled => Verdict::Cancelled,
        })
    }

    /// Runs the hidden command to its end, to a cancel or for so long.
    fn child(
        &self,
        arguments: &[&OsStr],
        visible: Option<Visible>,
        patience: Option<Duration>,
        cancel: &[&CancelFlag],
    ) -> io::Result<Ended> {
        let mut child = Command::new(&self.program)
            .arg(COMMAND)
            .args(arguments)
            .envs(visible.map(Visible::variable))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let started = Instant::now();
        loop {
            let is_late = patience.is_some_and(|patience| started.elapsed() > patience);
            if is_late || cancel.iter().any(|flag| flag.is_cancelled()) {
                let _ = child.kill();
                let _ = child.wait();
                return Ok(Ended::Cancelled);
            }
            match child.try_wait()? {
                None => std::thread::sleep(POLL),
                Some(status) if status.success() => return Ok(Ended::Well(said(child.stdout.take()))),
                Some(status) => return Ok(Ended::Badly(Badly::of(status, &mut child))),
            }
        }
    }
}

/// How a child ended.
enum Ended {
    /// With what it said.
    Well(String),
    Badly(Badly),
    Cancelled,
}

/// By a crash, or with a sentence.
struct Badly {
    /// How it crashed.
    crash: Option<String>,
    /// The file is no model that can be used; else it could not be tried.
    is_about_file: bool,
    words: String,
}

impl Badly {
    fn of(status: ExitStatus, child: &mut Child) -> Self {
        // The sentence alone is on stdout; drivers talk on stderr, too.
        let sentence = said(child.stdout.take());
        let sentence = sentence.trim();
        let words = match sentence.is_empty() {
            true => format!("the process that tries it ended without a word ({status})"),
            false => sentence.to_owned(),
        };
        Self { crash: processes::crash(status), is_about_file: status.code() == Some(BAD_FILE.into()), words }
    }
}

/// What the child ends with if the file is to blame.
pub const BAD_FILE: u8 = 4;

/// What came of asking for devices.
pub(super) enum Asked {
    Told(Vec<Device>),
    /// How, to be put behind `the driver`.
    Crashed(String),
    /// No child could be asked.
    Unknown,
}

fn crashed(how: &str) -> String {
    format!("crashed ({how})")
}

/// Of what does the loading: another one may refuse what this one takes.
fn this_version() -> String {
    format!("{} {}", env!("CARGO_PKG_VERSION"), version())
}

fn said(pipe: Option<impl Read>) -> String {
    let mut words = Vec::new();
    if let Some(pipe) = pipe {
        let _ = pipe.take(MOST_WORDS).read_to_end(&mut words);
    }
    String::from_utf8_lossy(&words).into_owned()
}

/// What the child does without a file: it says which devices llama.cpp finds, as JSON.
///
/// # Errors
/// If that cannot be written.
pub fn tell_devices(mut out: impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut out, &llama::devices())?;
    out.flush()
}

/// What the child does with a file: everything that a first answer would do with it, in small, on the CPU or with some
/// layers on the device of this name.
///
/// # Errors
/// If the file is no model that can be used, or the device does not compute.
pub fn load_and_decode(path: &Path, on: Option<&str>) -> Result<(), EngineError> {
    let bad = |words: &str| match on {
        Some(_) => EngineError::Failed(escape_line(words)),
        None => EngineError::bad_model(path, words),
    };
    gguf::read_header(path).map_err(|error| bad(&error.to_string()))?;
    // As they are stored, weights can be dropped where memory is short.
    let placement = match on {
        None => Placement { as_stored: true, ..Placement::cpu() },
        Some(name) => {
            let device = llama::devices().into_iter().find(|device| device.name == name);
            let device = device.ok_or_else(|| bad("it is not there any more"))?;
            Placement {
                devices: vec![device.index],
                gpu_layers: Some(TRIED_LAYERS),
                as_stored: true,
                ..Placement::default()
            }
        }
    };
    let model = Model::load(path, &placement, |_| true).map_err(|error| match error {
        LoadError::Cancelled => bad("loading was cancelled"),
        LoadError::NoStart(words) => EngineError::Failed(words),
        LoadError::Refused(words) => bad(&words),
    })?;
    let settings =
        ContextSettings { cells: 256, crews: Crews::anywhere(1), batch: 64, types: KvTypes::default(), sequences: 1 };
    let mut context = Context::new(&model, settings).map_err(|words| bad(&words))?;
    let tokens = model.tokenize("Hello, world", true);
    match tokens.first().map(|first| context.decode(&[*first], 0, &[])) {
        Some(Decoded::Done) if context.logits().iter().all(|logit| logit.is_nan()) => {
            Err(bad("it computes no number for any token, so its weights are damaged"))
        }
        Some(Decoded::Done) => Ok(()),
        None => Err(bad("its vocabulary has no token for a greeting")),
        Some(other) => Err(bad(&format!("it does not compute ({other:?})"))),
    }
}
