//! `tuichat -p`: one answer on stdout.

use std::io::{self, IsTerminal};
use std::path::Path;

use super::{Surroundings, source};
use crate::chat::{Message, Role};
use crate::cli::Talk;
use crate::engine::constraint::{self, Validator};
use crate::engine::protocol::{Constraint, Prompt};
use crate::exit::{Exit, Failure};
use crate::models::{Found, Library, identity};
use crate::oneshot::{self, Job, Question};
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

/// Finds the model before stdin is read: a mistake in its name should not have to wait for the whole pipe.
fn prepare(talk: Talk, surroundings: Surroundings) -> Result<Job, Failure> {
    let schema = check(surroundings.config.generate.constraint.as_ref())?;
    let source = source(&talk.engine)?;
    let model = surroundings.model(&talk.engine)?;
    let question = Question { typed: talk.prompt, files: talk.files };
    let text = question.read(io::stdin().is_terminal(), || text_file::read_from(io::stdin().lock(), "stdin"))?;
    let hashes_file = surroundings.hashes_file();
    let probe = surroundings.probe();
    let checks = surroundings.kv_checks_file();
    let step_times = surroundings.step_times_file();
    let draft = surroundings.draft_model(&model);
    let config = surroundings.config;
    let system = config.system.as_deref().map(|text| Message::new(Role::System, text));
    let messages = system.into_iter().chain([Message::new(Role::User, text)]).collect();
    Ok(Job {
        source,
        load: config.load_settings(model.clone(), draft, probe, None, checks, step_times),
        prompt: Prompt { chat: None, messages },
        options: config.generate,
        schema,
        quiet: config.quiet,
        hash: Box::new(move || sha256(model, hashes_file.as_deref())),
    })
}

/// Checks what the answer is to be held to, and gives what it can be checked against afterwards.
fn check(constraint: Option<&Constraint>) -> Result<Option<Validator>, Failure> {
    let Some(constraint) = constraint else { return Ok(None) };
    constraint::check(constraint).map_err(Failure::usage)?;
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
