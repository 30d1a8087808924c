//! tuichat: talk to language models that run on your own machine, in the terminal.
//!
//! The rooms, from the bottom up; a room never uses one above it.
//!
//! - Plain things all may use: [`chat`] (messages, how an answer ended), [`text`] (UTF-8, escaping), [`text_file`],
//!   [`documents`] (files, folders, pages and what commands say, as text), [`prompts`] (texts by their names),
//!   [`platform`] (files and processes where Unix and Windows differ), [`sha256`].
//! - What does the work, each knowing nothing of the others' business: [`hardware`] (what the machine is),
//!   [`store`] (chats on disk), [`models`] (files: finding, downloading, checking), [`engine`] (the thread that
//!   owns the model; [`engine::protocol`] is what is said to it).
//! - Chats as files, for others and back: [`exchange`].
//! - What a person sees: [`ui`] (the chat), [`oneshot`] (one answer on stdout), [`mod@bench`] (measurements).
//! - From the shell inwards: [`cli`] (what was typed), [`config`] (what it means with the file and the environment),
//!   [`mode`] (chat or one answer), [`commands`] (bring the rooms together, one file per command).
//! - Around all of it: [`exit`] (codes and failures), [`remarks`] (stderr), [`logging`], [`signals`], [`crash`],
//!   [`cpu_check`], [`closed_stdout`].
#![deny(unsafe_code)]

pub mod bench;
pub mod chat;
pub mod cli;
pub mod closed_stdout;
pub mod commands;
pub mod config;
pub mod cpu_check;
#[cfg(unix)]
#[allow(unsafe_code)]
pub mod crash;
pub mod documents;
pub mod engine;
pub mod exchange;
pub mod exit;
pub mod hardware;
pub mod logging;
pub mod mode;
pub mod models;
pub mod oneshot;
pub mod platform;
pub mod prompts;
pub mod remarks;
pub mod sandbox;
pub mod sha256;
pub mod signals;
pub mod store;
pub mod text;
pub mod text_file;
#[cfg(test)]
#[allow(dead_code)]
#[path = "../tests/common/tiny_gguf.rs"]
mod tiny_gguf;
pub mod ui;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};

use cli::unread::Unread;
use cli::{Arguments, Command, Talk, mistakes};
use commands::Surroundings;
use config::Settings;
use exit::{Exit, Failure};
use mode::{Circumstances, Mode};
use sandbox::NOWHERE;

// What a trial in a child ends with is what the program ends with.
const _: () = assert!(engine::probe::BAD_FILE == Exit::BadModel as u8);

/// Does what was typed.
///
/// # Errors
/// What went wrong, with the exit code to leave with.
pub fn run(arguments: Arguments) -> Result<Exit, Failure> {
    ui::tty::prepare();
    engine::set_abort_hook(give_terminal_back);
    // Whoever asked for a trial sees by what signal it ended.
    #[cfg(unix)]
    if !matches!(arguments.command, Some(Command::Probe { .. })) {
        crash::watch();
    }
    let circumstances = Circumstances::of(&arguments);
    let Arguments { talk, settings, command } = arguments;
    match command {
        None => talk_or_answer(talk, settings, circumstances),
        Some(Command::Probe { file: Some(file), on }) => {
            // What is tried on a device is confined as the engine that asks for it is.
            if on.is_none() {
                sandbox::confine(NOWHERE);
            }
            let tried = engine::probe::load_and_decode(&file, on.as_deref());
            tried.map(|()| Exit::Success).map_err(|error| {
                // For whoever runs it: on stderr the sentence stands in two parts, and drivers talk there.
                let _ = writeln!(std::io::stdout(), "{error}");
                Failure::from(&error)
            })
        }
        Some(Command::Probe { file: None, .. }) => {
            let told = engine::probe::tell_devices(std::io::stdout().lock());
            told.map(|()| Exit::Success).map_err(|error| Failure::output(&error))
        }
        Some(Command::Read { format }) => {
            sandbox::confine(NOWHERE);
            Ok(documents::convert_stdin(format).map_or_else(
                |problem| {
                    let _ = writeln!(std::io::stderr(), "{problem}");
                    Exit::Error
                },
                |()| Exit::Success,
            ))
        }
        // What needs no settings, or is there to say what is wrong with them.
        Some(Command::Completions { shell }) => commands::completions::run(shell).map(|()| Exit::Success),
        Some(Command::Doctor { json }) => commands::doctor::run(json, settings),
        Some(Command::Man { command, out }) => commands::man::run(&command, out.as_deref()).map(|()| Exit::Success),
        Some(Command::Help { words }) => commands::help::run(&words).map(|()| Exit::Success),
        Some(Command::Batch(command)) => {
            let settings = command.settings.clone().over(settings);
            commands::batch::run(*command, Surroundings::find(settings)?)
        }
        Some(Command::Models(command)) => commands::models::run(command, &Surroundings::find(settings)?),
        Some(Command::Engines(command)) => commands::engines::run(command, &Surroundings::find(settings)?),
        Some(Command::Chats(command)) => commands::chats::run(command, &Surroundings::find(settings)?),
        Some(Command::Config(command)) => commands::config::run(command, &Surroundings::find(settings)?),
        Some(Command::Bench(command)) => {
            let private = command.private.then_some(true).or(settings.private);
            commands::bench::run(*command, &Surroundings::find(Settings { private, ..settings })?)
        }
        Some(Command::Debug(command)) => commands::debug::run(command, &Surroundings::find(settings)?),
    }
}

/// A chat, or one answer.
fn talk_or_answer(talk: Talk, settings: Settings, circumstances: Circumstances) -> Result<Exit, Failure> {
    let form = settings.output;
    let ready = commands::answer::check(&talk)
        .and_then(|()| Surroundings::find(settings))
        .and_then(|surroundings| Ok((mode::decide(circumstances, surroundings.config.plain)?, surroundings)));
    match ready {
        Ok((Mode::OneShot, surroundings)) => commands::answer::run(talk, surroundings),
        Ok((Mode::Chat { is_plain }, surroundings)) => commands::chat::run(talk, is_plain, surroundings),
        Err(failure) => {
            let is_answer =
                circumstances.has_prompt || circumstances.has_answer_options || !circumstances.stdin_is_terminal;
            if is_answer {
                commands::answer::refuse(form, &failure);
            }
            Err(failure)
        }
    }
}

/// What is wrong with a command line that cannot be read. Whoever asked for JSON is told on stdout, too.
pub fn refuse(error: &clap::Error, line: &[OsString]) -> Failure {
    let failure = mistakes::failure(error, line);
    let found = Unread::of(line);
    let is_answer = found.output.is_some() || found.has_prompt || !std::io::stdin().is_terminal();
    if found.commands.is_empty() && is_answer {
        commands::answer::refuse(found.output, &failure);
    }
    failure
}

/// What is left to do when C++ is about to abort: the terminal is given back, and the person told.
fn give_terminal_back(message: &str) {
    ui::terminal::restore_after_crash();
    let failure = Failure::error(format!("llama.cpp stopped the program: {message}"))
        .hint("what was said is saved: go on with `tuichat --resume`, or check the file with `tuichat models check`");
    let _ = writeln!(std::io::stderr(), "{}", text::escape(&failure.to_string()));
}
