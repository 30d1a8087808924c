//! What can be typed, one file each: `tuichat` is `chat`, `tuichat -p` is `answer`, the others bear their own names.
//! They bring the settings and the rooms below together; what is done is done there.

pub mod answer;
pub mod batch;
pub mod bench;
pub mod chat;
pub mod chats;
pub mod completions;
pub mod config;
pub mod debug;
pub mod doctor;
pub mod engines;
pub mod help;
mod machine;
pub mod man;
pub mod models;
pub mod offers;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use serde::Serialize;

use crate::closed_stdout;
use crate::config::{Config, Directories, EngineName, Layers, Room, Settings, SettingsFile, unknown_variables};
use crate::engine::probe::Probe;
use crate::engine::profile::{Notes, Profile};
use crate::engine::protocol::{Asked, LoadSettings, Speculate};
use crate::engine::scripted::Script;
use crate::engine::tuning::Tuning;
use crate::engine::{Access, SnapshotSettings, Source};
use crate::exit::Failure;
use crate::hardware::{cores, limits};
use crate::logging::{self, Log};
use crate::models::{Elsewhere, Found, Library, ModelError, Places, catalog, create_private};
use crate::remarks::Remarks;
use crate::text;
use crate::text::wrapped::fitted_to;
use crate::ui::tty;

/// What every command starts from.
#[derive(Debug)]
pub struct Surroundings {
    pub directories: Directories,
    pub layers: Layers,
    pub config: Config,
    /// `config.toml`, to be changed.
    pub settings: SettingsFile,
}

impl Surroundings {
    /// Puts the settings together from the system and what was `typed`.
    ///
    /// # Errors
    /// If the system denies what every run needs, there is no place for files, or a setting from outside `config.toml`
    /// cannot be understood.
    pub fn find(typed: Settings) -> Result<Self, Failure> {
        if let Some((sentence, remedy)) = limits::what_is_denied() {
            return Err(Failure::error(sentence).hint(remedy));
        }
        let home = std::env::var_os("TUICHAT_HOME").map(PathBuf::from);
        home.as_deref().map_or(Ok(()), Directories::check_home)?;
        let directories = Directories::find(home)?;
        let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        let settings = SettingsFile::find(&directories, variable, typed.clone()).map_err(Failure::usage)?;
        let mut layers = Layers::read(&directories, variable, typed)?;
        let config = Config::from(layers.settings.clone());
        let in_text = |(name, value): (OsString, OsString)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        };
        layers.warnings.extend(unknown_variables(std::env::vars_os().map(in_text)));
        layers.warnings.extend(cores::this_machine().remark(config.threads));
        if let Err(sentence) = catalog::add_from(&directories.config.join("models.toml")) {
            layers.warnings.push(sentence);
        }
        Ok(Self { directories, layers, config, settings })
    }

    /// The same with what `config.toml` says now, if that can be read.
    fn renewed(&self) -> Self {
        let config = self.settings.config().unwrap_or_else(|| self.config.clone());
        let (directories, settings) = (self.directories.clone(), self.settings.clone());
        let layers = Layers { engines: self.layers.engines.clone(), ..Layers::default() };
        Self { directories, layers, config, settings }
    }

    /// Refuses half a config, tells the warnings on stderr and begins the log: what all commands do but the chat,
    /// which shows all of that itself.
    fn begin(&self) -> Result<Option<Log>, Failure> {
        self.layers.check()?;
        let (log, warning) = self.begin_log();
        let mut remarks = Remarks::on_stderr(self.config.quiet);
        for sentence in self.layers.warnings.iter().chain(&warning) {
            remarks.warning(sentence);
        }
        Ok(log)
    }

    /// The log, unless nothing may be written to disk, and why there is none where there should be one.
    fn begin_log(&self) -> (Option<Log>, Option<String>) {
        if self.config.private {
            return (None, None);
        }
        match logging::start(&self.directories, self.config.verbose) {
            Ok(log) => (Some(log), None),
            Err(sentence) => (None, Some(sentence)),
        }
    }

    /// The models of this machine: those that were installed, and those of other programs.
    fn library(&self) -> Library {
        let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let named = self.config.model_folders.iter().cloned();
        let places = Places::find(variable, std::env::home_dir().as_deref(), named);
        let elsewhere = Elsewhere::new(places, self.cache_file("headers.json"));
        Library::new(&self.directories.models).with_elsewhere(elsewhere)
    }

    /// The model of this machine that a word means, or the usual one.
    fn resolve(&self, typed: Option<&str>) -> Result<Found, ModelError> {
        let found = self.library().resolve(typed);
        found.map_err(|error| engines::explained(error, typed, &self.layers.engines))
    }

    /// Where hashes are remembered of models that are not in the library; `None` where nothing may be written.
    fn hashes_file(&self) -> Option<PathBuf> {
        self.cache_file("hashes.json")
    }

    /// How a model file that was never loaded is tried first; `None` where this program cannot tell where it is.
    fn probe(&self) -> Option<Probe> {
        let program = std::env::current_exe().ok()?;
        let cache = &self.directories.cache;
        let (passed, hashes) = (cache.join("passed.json"), cache.join("hashes.json"));
        let may_write = !self.config.private && create_private(cache).is_ok();
        Some(Probe { program, passed, hashes, may_write })
    }

    /// Where it is remembered how well KV types did with models; `None` where nothing may be written.
    fn kv_checks_file(&self) -> Option<PathBuf> {
        self.cache_file("kv-checks.json")
    }

    /// Where it is remembered how long steps of models take; `None` where nothing may be written.
    fn step_times_file(&self) -> Option<PathBuf> {
        self.cache_file("step-times.json")
    }

    /// Where it is remembered how fast models were; `None` where nothing may be written.
    fn speeds_file(&self) -> Option<PathBuf> {
        self.cache_file("speeds.json")
    }

    /// Where it is remembered which threads were the fastest with models; `None` where nothing may be written.
    fn threads_file(&self) -> Option<PathBuf> {
        self.cache_file("threads.json")
    }

    /// How this model was found to be computed the fastest on the CPU, if it was tried.
    fn tuned(&self, model: &Found) -> Option<Profile> {
        let file = self.threads_file();
        Notes { path: &model.path, file: file.as_deref(), backend: "CPU", cpu: cores::this_machine() }.recall()
    }

    fn cache_file(&self, name: &str) -> Option<PathBuf> {
        let cache = &self.directories.cache;
        if self.config.private || create_private(cache).is_err() { None } else { Some(cache.join(name)) }
    }

    /// Where the KV caches of chats are kept; `None` where nothing may be written.
    fn snapshots(&self, model: &Found) -> Option<SnapshotSettings> {
        let most_bytes = match self.config.snapshots {
            Room::Off => return None,
            Room::Auto => None,
            Room::Bytes(bytes) => Some(bytes),
        };
        let model_sha256 = model.sha256.clone();
        Some(SnapshotSettings {
            folder: self.directories.snapshots(),
            most_bytes,
            model_sha256,
            hashes: self.hashes_file()?,
        })
    }

    /// The model that guesses tokens for this one: the one that was named, else the one that the catalogue names, if it
    /// is there.
    fn draft_model(&self, model: &Found) -> Option<Result<PathBuf, String>> {
        let asked = self.config.generate.speculation.by.asks_model();
        if asked == Asked::Never { None } else { self.draft_model_named(model, None) }
    }

    /// The same, whether tokens are to be guessed or not; this name is stronger than that of the settings.
    fn draft_model_named(&self, model: &Found, name: Option<&str>) -> Option<Result<PathBuf, String>> {
        let resolve = |name: &str| self.library().resolve(Some(name)).map(|found| found.path);
        match (self.config.generate.speculation.by, name.or(self.config.draft_model.as_deref())) {
            (_, Some(name)) => Some(resolve(name).map_err(|error| error.to_string())),
            (mode, None) => {
                let named = catalog::by_name(&model.name).and_then(|entry| entry.draft.as_deref());
                let found = named.and_then(|name| resolve(name).ok()).map(Ok);
                let missing = || Err("none was named".into());
                found.or_else(|| (mode == Speculate::Draft).then(missing))
            }
        }
    }

    /// How to load this model; with `snapshots`, what is computed for chats is kept on disk.
    fn load_settings(&self, model: Found, snapshots: Option<SnapshotSettings>) -> LoadSettings {
        let (draft, probe) = (self.draft_model(&model), self.probe());
        let settings =
            self.config.load_settings(model, draft, probe, snapshots, self.kv_checks_file(), self.step_times_file());
        let file = self.threads_file();
        let tuning = Tuning { may_try: file.is_some(), file };
        LoadSettings { speeds: self.speeds_file(), tuning, ..settings }
    }

    /// What answers on this machine; a server is asked when its model is loaded.
    fn source(&self) -> Result<Source, Failure> {
        match &self.config.engine {
            EngineName::Llama | EngineName::Address(_) | EngineName::Named(_) => Ok(Source::Llama(self.access())),
            EngineName::Scripted(path) => Script::read(path).map(Source::Scripted).map_err(Failure::usage),
        }
    }

    /// What the engine may do: it writes to the cache, and of a private run nothing.
    fn access(&self) -> Access {
        if self.config.leaves_out_sandbox {
            return Access::All;
        }
        let folders = [self.directories.cache.clone(), self.directories.snapshots()];
        let is_written = !self.config.private && create_private(&self.directories.cache).is_ok();
        Access::Confined(if is_written { folders.into() } else { Vec::new() })
    }

    /// The model of this machine that the settings mean. A script is its own model.
    fn model(&self) -> Result<Found, Failure> {
        match &self.config.engine {
            EngineName::Llama | EngineName::Address(_) | EngineName::Named(_) => Ok(self.resolve(self.model_here())?),
            EngineName::Scripted(path) => Ok(Found { name: "scripted".into(), path: path.clone(), sha256: None }),
        }
    }
}

/// Sentences are not broken into lines of fewer columns.
const LEAST_COLUMNS: usize = 40;

/// Writes text to stdout, made harmless if that is a terminal. The text ends its own line.
fn print(text: &str) -> Result<(), Failure> {
    closed_stdout::check()?;
    let mut stdout = io::stdout().lock();
    let shown = if stdout.is_terminal() { text::escape(text) } else { text.into() };
    stdout.write_all(shown.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| Failure::output(&error))
}

/// The same of tables and sentences, which are fitted to the width of a terminal.
fn print_fitted(text: &str) -> Result<(), Failure> {
    let columns = tty::size_of_any().map_or(0, |size| usize::from(size.columns));
    match columns > 0 && io::stdout().is_terminal() {
        true => print(&fitted_to(text, columns.max(LEAST_COLUMNS))),
        false => print(text),
    }
}

/// Tells a person who looks on what is no part of the result. A script is told nothing.
fn aside(surroundings: &Surroundings, sentence: &str) {
    if io::stderr().is_terminal() {
        Remarks::on_stderr(surroundings.config.quiet).note(sentence);
    }
}

/// Writes a value to stdout as indented JSON.
fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|error| Failure::error(error.to_string()))?;
    print(&format!("{text}\n"))
}
