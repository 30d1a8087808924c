//! `tuichat batch`: many items answered by a model that is loaded once.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use super::{Surroundings, answer, offers};
use crate::cli::BatchCommand;
use crate::engine::protocol::{Evict, Expected, LoadSettings};
use crate::exit::{Exit, Failure};
use crate::oneshot::batch::{self, Earlier, HeldTo, Item, Job};
use crate::remarks::Remarks;
use crate::text::cause;

/// # Errors
/// Why not every item has its answer.
pub fn run(command: BatchCommand, surroundings: Surroundings) -> Result<Exit, Failure> {
    let _log = surroundings.begin()?;
    let mut held_to = HeldTo::default();
    if let Some(constraint) = &surroundings.config.generate.constraint {
        held_to.check_from(constraint, &surroundings.layers.form_origin).map_err(Failure::usage)?;
    }
    let source = surroundings.source()?;
    let mut items = read(&command.items, &surroundings, &mut held_to)?;
    let (out, earlier): (Box<dyn io::Write>, Earlier) = match (&command.to, &command.resume_file) {
        (_, Some(path)) => {
            let (file, earlier) = batch::go_on(path, command.retry_failed)?;
            (Box::new(file), earlier)
        }
        (Some(path), None) => (Box::new(batch::begin(path)?), Earlier::default()),
        (None, None) => (batch::stdout()?, Earlier::default()),
    };
    let failed = earlier.tally.failed + earlier.tally.unsatisfied;
    let count = items.len();
    items.retain(|item| !earlier.done.contains(&item.id.to_string()));
    if items.is_empty() {
        let sentence = match count {
            0 if command.items == Path::new("-") => "note: there are no items on stdin".to_owned(),
            0 => format!("note: there are no items in `{}`", command.items.display()),
            1 => "note: the item has its line already".into(),
            _ => format!("note: all {count} items have their lines already"),
        };
        Remarks::on_stderr(surroundings.config.quiet).note(&sentence);
    }
    if failed > 0 {
        let are = if failed == 1 { "1 earlier line has" } else { &format!("{failed} earlier lines have") };
        let sentence = format!("note: {are} an `error`; `--retry-failed` answers these items again");
        Remarks::on_stderr(surroundings.config.quiet).note(&sentence);
    }
    // Of items that all fail, or are done, no model has to know.
    let load = match items.iter().any(|item| item.asked.is_ok()) {
        true => Some(load(&command, &surroundings, &items)?),
        false => None,
    };
    let written = command.to.as_ref().or(command.resume_file.as_ref());
    batch::run(Job {
        source,
        load,
        items,
        held_to,
        earlier,
        lanes: command.parallel.lanes(),
        as_done: command.as_done,
        out,
        quiet: surroundings.config.quiet,
        verbose: surroundings.config.verbose,
        written: written.cloned(),
        smaller: Box::new(move |bytes| offers::smaller(&surroundings, bytes)),
    })
}

fn read(path: &Path, surroundings: &Surroundings, held_to: &mut HeldTo) -> Result<Vec<Item>, Failure> {
    let settings = &surroundings.layers.settings;
    if path == Path::new("-") {
        return batch::read(io::stdin().lock(), batch::STDIN, settings, held_to);
    }
    let cannot_read = |error: io::Error| Failure::usage(format!("cannot read `{}`: {}", path.display(), cause(&error)));
    let file = File::open(path).map_err(cannot_read)?;
    if file.metadata().map_err(cannot_read)?.is_dir() {
        return Err(Failure::usage(format!("`{}` is a folder; name a file of items", path.display())));
    }
    batch::read(BufReader::new(file), &format!("`{}`", path.display()), settings, held_to)
}

/// How the model is loaded for these items.
fn load(command: &BatchCommand, surroundings: &Surroundings, items: &[Item]) -> Result<LoadSettings, Failure> {
    if let Some(load) = surroundings.server()? {
        surroundings.check_privacy(&load)?;
        return Ok(load);
    }
    let model = match surroundings.model() {
        Ok(found) => found,
        Err(failure) => answer::get(offers::to_get(&surroundings.config, failure)?, surroundings)?,
    };
    let asked: Vec<_> = items.iter().filter_map(|item| item.asked.as_ref().ok()).collect();
    let texts = asked.iter().flat_map(|asked| &asked.prompt.messages);
    let bytes = texts.fold(0_usize, |bytes, message| bytes.saturating_add(message.text.len()));
    let answers = asked.iter().try_fold(0_u32, |sum, asked| Some(sum.saturating_add(asked.options.max_tokens?)));
    let lanes = command.parallel.most().min(u32::try_from(asked.len()).unwrap_or(u32::MAX));
    let mut load = surroundings.load_settings(model, None);
    load.expected =
        Some(Expected { prompt_bytes: u32::try_from(bytes).unwrap_or(u32::MAX), answer_tokens: answers, lanes });
    // An item that has no room fails, and nothing is guessed where several tokens are computed at once anyway.
    load.kv.evict = Evict::Off;
    load.draft = None;
    load.tuning.may_try = false;
    Ok(load)
}
