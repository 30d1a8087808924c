//! `tuichat -p`: one answer on stdout.

#[cfg(unix)]
use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::models::with_progress;
use super::{Surroundings, chat, offers};
use crate::chat::{Message, Role};
use crate::cli::{ChatName, Talk, mistakes};
use crate::config::{self, Config, Directories, Output};
use crate::engine::SnapshotSettings;
use crate::engine::constraint::{self, Validator};
use crate::engine::protocol::{Constraint, Expected, GenerateOptions, LoadSettings, Prompt, Think};
use crate::exit::{Exit, Failure};
use crate::models::catalog::Entry;
use crate::models::hub::{Hub, Pull};
use crate::models::{Found, Library, ModelError, identity};
use crate::oneshot::{self, Job, Question, SavedChat, Stdin};
use crate::prompts::{self, PromptText};
use crate::remarks::Remarks;
use crate::signals;
use crate::store::Store;
use crate::text::file_size;
use crate::text_file;

/// # Errors
/// Why there is no answer, or only a part of one.
pub fn run(talk: Talk, surroundings: Surroundings) -> Result<Exit, Failure> {
    let mut log = None;
    oneshot::run(surroundings.config.output, || {
        log = surroundings.begin()?;
        prepare(talk, surroundings)
    })
}

/// Whether what was typed can be a question. A second name of a file that is none is probably the question itself.
///
/// # Errors
/// What to type instead.
pub fn check(talk: &Talk) -> Result<(), Failure> {
    let has_prompt = talk.prompt.is_some() || talk.prompt_name.is_some();
    match &talk.files[..] {
        [.., question] if !has_prompt && talk.files.len() > 1 && !question.exists() && question != Path::new("-") => {
            let question = question.to_string_lossy();
            Err(Failure::usage(format!("there is no prompt, and no file `{question}`"))
                .hint(mistakes::question(&question)))
        }
        _ => Ok(()),
    }
}

/// Tells on stdout that there is no answer, if it is to have a form of JSON. What it cannot be told to does not matter:
/// the program ends with the failure anyway.
pub fn refuse(typed: Option<Output>, failure: &Failure) {
    let directories = Directories::find(std::env::var_os("TUICHAT_HOME").map(Into::into)).ok();
    let form = config::form(directories.as_ref(), |name| std::env::var(name).ok(), typed);
    let _ = oneshot::refuse(form, failure);
}

/// Finds the model before stdin is read: a mistake in its name should not have to wait for the whole pipe. One that is
/// not here is got after that: nothing is downloaded for a question that cannot be read.
fn prepare(talk: Talk, mut surroundings: Surroundings) -> Result<Job, Failure> {
    let named = talk.prompt_name.map(|name| take_up_text(&name, &mut surroundings)).transpose()?;
    let schema = check_constraint(&surroundings)?;
    let source = surroundings.source()?;
    check_form(&surroundings)?;
    let chat = talk.continues.map(|name| saved_chat(name, &surroundings)).transpose()?;
    let answering = Answering::find(&surroundings)?;
    let question = Question { named, variables: talk.variables, typed: talk.prompt, files: talk.files };
    question.check()?;
    let asked = question.read(stdin(), || read_stdin(surroundings.config.quiet))?;
    for sentence in &asked.notes {
        Remarks::on_stderr(surroundings.config.quiet).note(&format!("note: {sentence}"));
    }
    let (mut load, hash) = answering.load(&surroundings, chat.is_some())?;
    let keeps = load.snapshots.is_some();
    let shared = (keeps && chat.is_none()).then_some(asked.shared);
    // An answer is waited for; a chat finds out which threads are the fastest.
    load.tuning.may_try = false;
    let config = surroundings.config.clone();
    let messages = messages(chat.as_ref(), config.system.as_deref(), asked.text);
    let tells_thoughts = matches!(config.generate.think, Think::On | Think::Budget(1..));
    load.expected = Some(expected(&messages, config.generate.max_tokens));
    Ok(Job {
        source,
        load,
        prompt: Prompt { chat: chat.as_ref().map(SavedChat::key), messages },
        options: GenerateOptions { shared, weighed: weighed(&config), ..config.generate },
        schema,
        extract: config.extract,
        quiet: config.quiet,
        tells_thoughts,
        chat,
        keeps,
        verbose: config.verbose,
        smaller: Box::new(move |bytes| offers::smaller(&surroundings, bytes)),
        hash,
    })
}

/// What answers.
enum Answering {
    /// A server, asked so.
    Server(Box<LoadSettings>),
    Here(Found),
    /// A model that has to be downloaded first.
    Missing(&'static Entry),
}

/// Finds the SHA-256 of a file.
type Hash = Box<dyn FnOnce() -> Result<String, String> + Send>;

impl Answering {
    fn find(surroundings: &Surroundings) -> Result<Self, Failure> {
        if let Some(load) = surroundings.server()? {
            surroundings.check_privacy(&load)?;
            return Ok(Self::Server(Box::new(load)));
        }
        match surroundings.model() {
            Ok(found) => Ok(Self::Here(found)),
            Err(failure) => offers::to_get(&surroundings.config, failure).map(Self::Missing),
        }
    }

    /// How it is loaded, and what its file's hash is found by, if it has one. What is computed for a chat is kept.
    fn load(self, surroundings: &Surroundings, is_for_chat: bool) -> Result<(LoadSettings, Option<Hash>), Failure> {
        let model = match self {
            Self::Server(load) => return Ok((*load, None)),
            Self::Here(found) => found,
            Self::Missing(entry) => get(entry, surroundings)?,
        };
        let snapshots = match is_for_chat {
            true => surroundings.snapshots(&model),
            false if surroundings.config.cache_prompt => snapshots(surroundings, &model),
            false => None,
        };
        let load = surroundings.load_settings(model.clone(), snapshots);
        let hashes_file = surroundings.hashes_file();
        Ok((load, Some(Box::new(move || sha256(model, hashes_file.as_deref())))))
    }
}

/// The person's text with this name. What its head sets is in force from now on.
fn take_up_text(name: &str, surroundings: &mut Surroundings) -> Result<PromptText, Failure> {
    let folder = surroundings.directories.prompts();
    let named = prompts::find(&folder, name).map_err(Failure::usage)?;
    surroundings.layers.put_under_typed(named.head.layer(), &folder.join(format!("{}.md", named.name)))?;
    surroundings.config = Config::from(surroundings.layers.settings.clone());
    Ok(named)
}

/// The conversation that ends with the question.
fn messages(chat: Option<&SavedChat>, system: Option<&str>, question: String) -> Vec<Message> {
    let mut messages: Vec<Message> = match chat {
        Some(chat) => chat.messages().collect(),
        None => system.map(|text| Message::new(Role::System, text)).into_iter().collect(),
    };
    messages.push(Message::new(Role::User, question));
    messages
}

/// What stdin is connected to.
fn stdin() -> Stdin {
    let stdin = io::stdin();
    match stdin.is_terminal() {
        true => Stdin::Terminal,
        false if is_device(&stdin) => Stdin::Device,
        false => Stdin::Piped,
    }
}

#[cfg(unix)]
fn is_device(stdin: &io::Stdin) -> bool {
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileTypeExt;

    let file = stdin.as_fd().try_clone_to_owned().map(File::from);
    file.and_then(|file| file.metadata()).map_or(true, |metadata| metadata.file_type().is_char_device())
}

/// It cannot be told apart from a pipe here.
#[cfg(not(unix))]
fn is_device(_stdin: &io::Stdin) -> bool {
    true
}

/// What is piped in. Who looks on is told what is waited for: a pipe may never end.
fn read_stdin(quiet: bool) -> Result<String, String> {
    let stdin = io::stdin();
    let mut remarks = Remarks::on_stderr(quiet);
    if !stdin.is_terminal() {
        remarks.progress("reading what is piped in, until it ends");
    }
    let text = text_file::read_from(stdin.lock(), "stdin");
    remarks.clear();
    text
}

/// The chat that a question goes on with, after a word where `--system` was typed for it.
fn saved_chat(name: ChatName, surroundings: &Surroundings) -> Result<SavedChat, Failure> {
    if surroundings.config.private {
        return Err(Failure::usage("`--continue` needs the saved chats, and `private` is set")
            .hint("take it back with `--private=no`"));
    }
    let store = Store::open(&surroundings.directories.chats_file())?;
    let chat = chat::find(&store, name)?;
    let chat = SavedChat::open(store, chat)?;
    if surroundings.layers.typed.system.is_some() {
        let number = chat.key().0;
        let sentence = format!("note: chat {number} keeps the system prompt it began with, and `--system` is left out");
        Remarks::on_stderr(surroundings.config.quiet).note(&sentence);
    }
    Ok(chat)
}

/// Whether the form of the answer has room for what is to be told. What is set for all answers is not meant for texts.
fn check_form(surroundings: &Surroundings) -> Result<(), Failure> {
    let typed = surroundings.layers.typed.logprobs.map_or(0, |count| count.get());
    if typed > 0 && surroundings.config.output == Output::Text {
        return Err(Failure::usage("`--logprobs` tells numbers, for which a text has no room")
            .hint("type `-o json` or `-o ndjson` too, or take it back with `--logprobs 0`"));
    }
    Ok(())
}

/// How many tokens are told beside each, which a text has no room for.
fn weighed(config: &Config) -> u32 {
    if config.output == Output::Text { 0 } else { config.generate.weighed }
}

/// Where what prompts begin with is kept, or a word about why it is not.
fn snapshots(surroundings: &Surroundings, model: &Found) -> Option<SnapshotSettings> {
    let found = surroundings.snapshots(model);
    if found.is_none() {
        let why = match surroundings.config.private {
            true => "`--private` writes nothing to disk",
            false => "`--snapshots off` leaves no room for it",
        };
        Remarks::on_stderr(surroundings.config.quiet).note(&format!("note: `--cache-prompt` keeps nothing: {why}"));
    }
    found
}

fn expected(messages: &[Message], answer_tokens: Option<u32>) -> Expected {
    let bytes: usize = messages.iter().map(|message| message.text.len()).sum();
    Expected { prompt_bytes: u32::try_from(bytes).unwrap_or(u32::MAX), answer_tokens, lanes: 0 }
}

/// Downloads a model of the catalogue after saying so.
pub(super) fn get(entry: &Entry, surroundings: &Surroundings) -> Result<Found, Failure> {
    let size = format!(" ({})", file_size(entry.usual_file().bytes));
    let which = match &surroundings.config.model {
        None => format!("no model is here: getting `{}`{size} once", entry.name),
        Some(_) => format!("`{}` is not here: getting it{size} once", entry.name),
    };
    Remarks::on_stderr(surroundings.config.quiet).note(&format!("{which}; `--model` chooses another"));
    let cancel = Arc::new(AtomicBool::new(false));
    let stopped_by = Arc::new(OnceLock::new());
    let (stop, noted) = (Arc::clone(&cancel), Arc::clone(&stopped_by));
    let watching = signals::watch(move |exit| {
        let _ = noted.set(exit);
        stop.store(true, Ordering::Relaxed);
    });
    watching.map_err(|error| Failure::error(format!("cannot watch for signals: {error}")))?;
    let (hub, library) = (Hub::from_environment()?.limited_to(surroundings.config.limit_rate), surroundings.library());
    let what = Pull::of(entry, entry.usual_file());
    let pulled = with_progress(surroundings, |listener| hub.pull_blocking(&library, &what, &cancel, listener));
    match stopped_by.get() {
        Some(exit) => Err(Failure { exit: *exit, ..Failure::from(ModelError::Cancelled) }),
        None => Ok(pulled?.into()),
    }
}

/// Checks what the answer is to be held to, and gives what it can be checked against afterwards.
fn check_constraint(surroundings: &Surroundings) -> Result<Option<Validator>, Failure> {
    let Some(constraint) = &surroundings.config.generate.constraint else { return Ok(None) };
    constraint::check_from(constraint, &surroundings.layers.form_origin).map_err(Failure::usage)?;
    match constraint {
        Constraint::Schema(text) => Validator::new(text).map(Some).map_err(Failure::usage),
        Constraint::Grammar(_) => Ok(None),
    }
}

/// The hash of the model's file, remembered in `hashes_file` if there is one.
fn sha256(model: Found, hashes_file: Option<&Path>) -> Result<String, String> {
    let hash = match (model.sha256, hashes_file) {
        (Some(known), _) => Ok(known),
        (None, Some(file)) => identity::sha256_of(&model.path, file, &mut |_| {}),
        (None, None) => Library::check(&model.path, None, &mut |_| {}).map(|checked| checked.sha256),
    };
    hash.map_err(|error| error.to_string())
}
