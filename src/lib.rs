//! tuichat: talk to language models that run on your own machine, in the terminal.
//!
//! The rooms, from the bottom up; a room never uses one above it.
//!
//! - Plain things all may use: [`chat`] (messages, how an answer ended), [`text`] (UTF-8, escaping), [`text_file`],
//!   [`prompts`] (texts by their names).
//! - What does the work, each knowing nothing of the others' business: [`hardware`] (what the machine is),
//!   [`store`] (chats on disk), [`models`] (files: finding, downloading, checking), [`engine`] (the thread that
//!   owns the model; [`engine::protocol`] is what is said to it).
//! - What a person sees: [`ui`] (the chat), [`oneshot`] (one answer on stdout), [`mod@bench`] (measurements).
//! - From the shell inwards: [`cli`] (what was typed), [`config`] (what it means with the file and the environment),
//!   [`mode`] (chat or one answer), [`commands`] (bring the rooms together, one file per command).
//! - Around all of it: [`exit`] (codes and failures), [`remarks`] (stderr), [`logging`], [`signals`], [`cpu_check`].
#![deny(unsafe_code)]

pub mod bench;
pub mod chat;
pub mod cli;
pub mod commands;
pub mod config;
pub mod cpu_check;
pub mod engine;
pub mod exit;
pub mod hardware;
pub mod logging;
pub mod mode;
pub mod models;
pub mod oneshot;
pub mod prompts;
pub mod remarks;
pub mod signals;
pub mod store;
pub mod text;
pub mod text_file;
#[cfg(test)]
#[allow(dead_code)]
#[path = "../tests/common/tiny_gguf.rs"]
mod tiny_gguf;
pub mod ui;

use std::io::Write;

use cli::{Arguments, Command};
use commands::Surroundings;
use exit::{Exit, Failure};
use mode::{Circumstances, Mode};

/// Does what was typed.
///
/// # Errors
/// What went wrong, with the exit code to leave with.
pub fn run(arguments: Arguments) -> Result<Exit, Failure> {
    engine::set_abort_hook(give_terminal_back);
    let circumstances = Circumstances::of(&arguments);
    match &arguments.command {
        Some(Command::Probe { file: Some(file), on }) => {
            let tried = engine::probe::load_and_decode(file, on.as_deref());
            return tried.map(|()| Exit::Success).map_err(|error| Failure::from(&error));
        }
        Some(Command::Probe { file: None, .. }) => {
            let told = engine::probe::tell_devices(std::io::stdout().lock());
            return told.map(|()| Exit::Success).map_err(|error| Failure::output(&error));
        }
        _ => {}
    }
    // What needs no settings, or is there to say what is wrong with them.
    match arguments.command {
        Some(Command::Completions { shell }) => return commands::completions::run(shell).map(|()| Exit::Success),
        Some(Command::Doctor { json }) => return commands::doctor::run(json, arguments.settings),
        Some(Command::Man { command, out }) => {
            return commands::man::run(&command, out.as_deref()).map(|()| Exit::Success);
        }
        Some(Command::Help { words }) => return commands::help::run(&words).map(|()| Exit::Success),
        _ => {}
    }
    if let Some(Command::Batch(command)) = arguments.command {
        let settings = command.settings.clone().over(arguments.settings);
        return commands::batch::run(*command, Surroundings::find(settings)?);
    }
    let mut settings = arguments.settings;
    if let Some(Command::Bench(command)) = &arguments.command
        && command.private
    {
        settings.private = Some(true);
    }
    let surroundings = Surroundings::find(settings)?;
    match arguments.command {
        Some(Command::Models(command)) => commands::models::run(command, &surroundings),
        Some(Command::Chats(command)) => commands::chats::run(command, &surroundings),
        Some(Command::Config(command)) => commands::config::run(command, &surroundings),
        Some(Command::Bench(command)) => commands::bench::run(*command, &surroundings),
        Some(Command::Debug(command)) => commands::debug::run(command, &surroundings),
        Some(
            Command::Probe { .. }
            | Command::Batch(_)
            | Command::Completions { .. }
            | Command::Man { .. }
            | Command::Help { .. }
            | Command::Doctor { .. },
        )
        | None => match mode::decide(circumstances)? {
            Mode::OneShot => commands::answer::run(arguments.talk, surroundings),
            Mode::Chat => commands::chat::run(arguments.talk, surroundings),
        },
    }
}

/// What is left to do when C++ is about to abort: the terminal is given back, and the person told.
fn give_terminal_back(message: &str) {
    ui::terminal::restore_after_crash();
    let failure = Failure::error(format!("llama.cpp stopped the program: {message}"))
        .hint("what was said is saved: go on with `tuichat --resume`, or check the file with `tuichat models check`");
    let _ = writeln!(std::io::stderr(), "{}", text::escape(&failure.to_string()));
}
