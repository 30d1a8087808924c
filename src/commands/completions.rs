//! `tuichat completions`: the script that a shell reads, and what the shell then asks this program while a command is
//! typed. It is answered from the command line's definition, the models folder, the catalogue, the chats and the texts:
//! without the network, and without a word about anything that goes wrong.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::StyledStr;
use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter};
use clap_complete::env::{CompleteEnv, Shells};

use super::{help, print};
use crate::bench::history::{self, History};
use crate::cli::{self, Shell};
use crate::config::{Directories, about_settings};
use crate::exit::Failure;
use crate::models::{Elsewhere, Library, Places, catalog};
use crate::text::escape_line;
use crate::{prompts, store};

/// Set by the script where the shell asks.
const VARIABLE: &str = "_TUICHAT_COMPLETE";
const NAME: &str = "tuichat";
/// More are no list to choose from.
const MOST_CHATS: u32 = 200;

/// Prints the script for a shell.
///
/// # Errors
/// If it cannot be written.
pub fn run(shell: Shell) -> Result<(), Failure> {
    let shells = Shells::builtins();
    let completer = shells.completer(shell.name()).expect("these shells are among those that are built in");
    let mut script = Vec::new();
    completer
        .write_registration(VARIABLE, NAME, NAME, NAME, &mut script)
        .map_err(|error| Failure::error(error.to_string()))?;
    print(&String::from_utf8_lossy(&script))
}

/// Whether a shell asks how a command goes on, which it has been told then.
pub fn answer() -> bool {
    let folder = std::env::current_dir().ok();
    let asked = CompleteEnv::with_factory(definition).var(VARIABLE).bin(NAME).completer(NAME);
    asked.try_complete(std::env::args_os(), folder.as_deref()).unwrap_or(true)
}

/// The command line, with those of its arguments marked that name models, chats, texts or topics.
fn definition() -> Command {
    with_names(cli::definition(), None)
}

fn with_names(command: Command, parent: Option<&str>) -> Command {
    let name = command.get_name().to_owned();
    let is_of_models = parent == Some("models");
    let is_of_chats = parent == Some("chats");
    let command = command.mut_args(|argument| match (argument.get_id().as_str(), is_of_models, name.as_str()) {
        ("reference", true, _) => completed(argument, &[catalogued]),
        ("model", true, "show") => completed(argument, &[files, installed, catalogued]),
        ("model", true, "rm" | "path" | "export") => completed(argument, &[installed]),
        ("model" | "models" | "draft_model", ..) => completed(argument, &[files, installed]),
        ("continues" | "compare", _, "bench") => completed(argument, &[files, last_run, runs]),
        ("run" | "first" | "second", ..) if parent == Some("bench") => completed(argument, &[files, last_run, runs]),
        ("resume" | "continues", ..) => completed(argument, &[last_chat, chats]),
        ("id", _, "archive" | "rm") if is_of_chats => completed(argument, &[chats]),
        ("id", ..) if is_of_chats => completed(argument, &[last_chat, chats]),

        ("prompt_name", ..) => completed(argument, &[prompts]),
        ("extract", ..) => completed(argument, &[parts]),
        ("name", _, "get" | "set" | "unset") if parent == Some("config") => completed(argument, &[settings]),
        ("value", _, "set") if parent == Some("config") => completed(argument, &[values]),
        ("words", _, "help") => completed(argument, &[topics, commands, options]),
        ("command", _, "man") => completed(argument, &[commands]),
        _ => argument,
    });
    command.mut_subcommands(|subcommand| with_names(subcommand, Some(&name)))
}

/// What an argument may be, by what is typed of it.
type Candidates = fn(&OsStr) -> Vec<CompletionCandidate>;

/// The argument with what it may be: of all candidates those that begin as what is typed does.
fn completed(argument: Arg, sources: &'static [Candidates]) -> Arg {
    argument.add(ArgValueCompleter::new(move |typed: &OsStr| {
        let mut candidates: Vec<_> = sources.iter().flat_map(|source| source(typed)).collect();
        candidates.retain(|candidate| candidate.get_value().as_encoded_bytes().starts_with(typed.as_encoded_bytes()));
        candidates.sort_by(|one, other| one.get_value().cmp(other.get_value()));
        candidates.dedup_by(|one, other| one.get_value() == other.get_value());
        candidates
    }))
}

/// Files where a path is typed.
fn files(typed: &OsStr) -> Vec<CompletionCandidate> {
    let is_path = typed.as_encoded_bytes().iter().any(|byte| matches!(byte, b'/' | b'.' | b'~'));
    if is_path { PathCompleter::file().complete(typed) } else { Vec::new() }
}

fn directories() -> Option<Directories> {
    Directories::find(std::env::var_os("TUICHAT_HOME").map(Into::into)).ok()
}

fn installed(_: &OsStr) -> Vec<CompletionCandidate> {
    let models = directories().and_then(|found| Library::new(found.models).list().ok());
    let models = models.unwrap_or_default().into_iter();
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let places = Places::find(variable, std::env::home_dir().as_deref(), []);
    let of_others = Elsewhere::new(places, None).look().into_iter();
    let of_others = of_others.map(|model| candidate(&model.name, format!("of {}", model.owner.title())));
    models.map(|model| candidate(&model.name, model.quantization)).chain(of_others).collect()
}

/// The latest chats by their numbers.
fn chats(_: &OsStr) -> Vec<CompletionCandidate> {
    let chats = directories().and_then(|found| store::titles(&found.chats_file(), MOST_CHATS).ok());
    let chats = chats.unwrap_or_default().into_iter();
    chats.map(|(id, title)| candidate(&id.to_string(), escape_line(&title))).collect()
}

fn last_chat(_: &OsStr) -> Vec<CompletionCandidate> {
    vec![candidate("last", "the last chat".into())]
}

fn last_run(_: &OsStr) -> Vec<CompletionCandidate> {
    vec![candidate(history::LAST, "the last run".into())]
}

/// The runs of the bench that are kept.
fn runs(_: &OsStr) -> Vec<CompletionCandidate> {
    let kept = directories().map(|found| History::new(found.runs()).ids()).unwrap_or_default();
    kept.iter().map(|id| candidate(id, String::new())).collect()
}

fn prompts(_: &OsStr) -> Vec<CompletionCandidate> {
    let texts = directories().map(|found| prompts::all(&found.prompts()).0).unwrap_or_default();
    texts.iter().map(|text| candidate(&text.name, escape_line(text.beginning()))).collect()
}

fn settings(_: &OsStr) -> Vec<CompletionCandidate> {
    about_settings().iter().map(|about| candidate(&about.key, about.explanation.clone())).collect()
}

fn parts(_: &OsStr) -> Vec<CompletionCandidate> {
    let parts = [("code", "the first code block"), ("json", "the first JSON value"), ("off", "all of the answer")];
    parts.map(|(name, about)| candidate(name, about.into())).into()
}

fn topics(_: &OsStr) -> Vec<CompletionCandidate> {
    help::topics().map(|(name, about)| candidate(name, about.into())).collect()
}

/// The words that a setting can be, which is named by the word before.
fn values(_: &OsStr) -> Vec<CompletionCandidate> {
    let named = typed_behind("set").into_iter().next();
    let about = named.and_then(|name| about_settings().iter().find(|about| about.key == name.replace('-', "_")));
    about.into_iter().flat_map(|about| &about.words).map(|word| candidate(word, String::new())).collect()
}

/// The words behind this one on the line that is completed, without the last, which is being typed.
fn typed_behind(command: &str) -> Vec<String> {
    let line: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let Some(at) = line.iter().position(|word| word == command) else { return Vec::new() };
    let (_, behind) = line[at + 1..].split_last().unwrap_or((&line[at], &[]));
    behind.to_vec()
}

/// Commands; behind the name of one, those that it has.
fn commands(_: &OsStr) -> Vec<CompletionCandidate> {
    let before = ["man", "help"].into_iter().map(typed_behind).find(|words| !words.is_empty()).unwrap_or_default();
    let inner = cli::command_named(cli::definition(), before.iter().map(String::as_str));
    let definition = inner.unwrap_or_else(cli::definition);
    let shown = definition.get_subcommands().filter(|command| !command.is_hide_set());
    shown.map(|command| candidate(command.get_name(), about(command))).collect()
}

/// Options, which are explained by their names alone, too.
fn options(_: &OsStr) -> Vec<CompletionCandidate> {
    let definition = cli::definition();
    let shown = definition.get_arguments().filter(|argument| !argument.is_hide_set());
    let named = shown.filter_map(|argument| Some((argument.get_long()?, argument.get_help()?.to_string())));
    named.map(|(name, about)| candidate(name, about)).collect()
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn catalogued(_: &OsStr) -> Vec<CompletionCandidate> {
    catalog::entries().iter().map(|entry| candidate(&entry.name, entry.good_for.clone())).collect()
}

fn candidate(name: &str, description: String) -> CompletionCandidate {
    CompletionCandidate::new(name).help(Some(StyledStr::from(description)))
}
