//! `tuichat models`: what there is, and getting, checking and removing it. stdout is the result; progress is for
//! stderr.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::{Surroundings, print, print_json};
use crate::cli::ModelsCommand;
use crate::exit::{Exit, Failure};
use crate::hardware::memory::Memory;
use crate::models::gguf::{self, Header};
use crate::models::hub::{Hub, Pull};
use crate::models::{Found, Import, Installed, Library, ModelError, Progress, Step, catalog, create_private};
use crate::remarks::Remarks;
use crate::{signals, text};

/// What a machine is taken to have that does not tell.
const USUAL_MEMORY_BYTES: u64 = 8 << 30;

/// # Errors
/// If it cannot be done.
pub fn run(command: ModelsCommand, surroundings: &Surroundings) -> Result<Exit, Failure> {
    let _log = surroundings.begin()?;
    let library = surroundings.library();
    match command {
        ModelsCommand::List { json } => list(&library, json)?,
        ModelsCommand::Pull { reference } => pull(reference.as_deref(), &library, surroundings)?,
        ModelsCommand::Show { model, json } => show(&library.resolve(Some(&model))?, json)?,
        ModelsCommand::Rm { model } => {
            let removed = library.remove(&model)?;
            let freed = size(removed.freed_bytes);
            remarks(surroundings).note(&format!("`{}` is removed; {freed} are free again", removed.name));
        }
        ModelsCommand::Import { file, name, sha256 } => {
            make_private(&surroundings.directories.models)?;
            let how = Import { name: name.as_deref(), expected_sha256: sha256.as_deref() };
            let installed = with_progress(surroundings, |listener| library.import(&file, how, listener))?;
            print(&format!("{}\n", installed.name))?;
        }
        ModelsCommand::Check { model } => {
            let Found { path, sha256, .. } = library.resolve(Some(&model))?;
            let checked = with_progress(surroundings, |listener| Library::check(&path, sha256.as_deref(), listener))?;
            print(&format!("{}  {}\n", checked.sha256, path.display()))?;
        }
        ModelsCommand::Path { model: None } => print(&format!("{}\n", surroundings.directories.models.display()))?,
        ModelsCommand::Path { model: Some(name) } => {
            print(&format!("{}\n", library.resolve(Some(&name))?.path.display()))?;
        }
    }
    Ok(Exit::Success)
}

fn list(library: &Library, as_json: bool) -> Result<(), Failure> {
    let installed = library.list()?;
    if as_json {
        return print_json(&installed.iter().map(object).collect::<Vec<_>>());
    }
    let mut lines = String::new();
    for model in &installed {
        let Installed { name, size_bytes, quantization, .. } = model;
        lines.push_str(&format!("{name:<32}  {:>9}  {quantization}\n", size(*size_bytes)));
    }
    let known: Vec<_> =
        catalog::entries().iter().filter(|entry| !installed.iter().any(|model| model.name == entry.name)).collect();
    if !known.is_empty() {
        lines.push_str(if installed.is_empty() { "" } else { "\n" });
        lines.push_str("Not here yet; `tuichat models pull NAME` gets them:\n");
    }
    for entry in known {
        lines.push_str(&format!("{:<32}  {}\n", entry.name, entry.description));
    }
    print(&lines)
}

fn pull(reference: Option<&str>, library: &Library, surroundings: &Surroundings) -> Result<(), Failure> {
    if surroundings.config.offline {
        return Err(Failure::usage("a download needs the network, and `offline` is set")
            .hint("take it back with `--offline=no`, or bring a file with `tuichat models import FILE`"));
    }
    let what = match reference {
        Some(reference) => Pull::from_argument(reference)?,
        None => Pull::from(catalog::starter(Memory::read().map_or(USUAL_MEMORY_BYTES, |memory| memory.total))),
    };
    make_private(&surroundings.directories.models)?;
    let cancel = Arc::new(AtomicBool::new(false));
    let on_signal = cancel.clone();
    signals::watch(move |_| on_signal.store(true, Ordering::Relaxed))
        .map_err(|error| Failure::error(format!("cannot watch for signals: {error}")))?;
    let hub = Hub::from_environment()?;
    let installed = with_progress(surroundings, |listener| hub.pull_blocking(library, &what, &cancel, listener))?;
    print(&format!("{}\n", installed.name))
}

fn show(model: &Found, as_json: bool) -> Result<(), Failure> {
    let path = model.path.clone();
    let header = gguf::read_header(&path).map_err(|source| ModelError::BadFile { path, source })?;
    let object = details(model, &header);
    if as_json {
        return print_json(&object);
    }
    let lines = object.as_object().into_iter().flatten().map(|(key, value)| {
        let value = match value {
            Value::String(text) => text::escape_line(text),
            Value::Null => "not known".into(),
            other => other.to_string(),
        };
        format!("{:<16}  {value}\n", key.replace('_', " "))
    });
    print(&lines.collect::<String>())
}

fn details(model: &Found, header: &Header) -> Value {
    json!({
        "name": model.name,
        "path": model.path.to_string_lossy(),
        "sha256": model.sha256,
        "size_bytes": header.file_bytes,
        "title": header.name(),
        "architecture": header.architecture(),
        "quantization": header.quantization(),
        "parameters": header.parameter_count(),
        "trained_context": header.context_length(),
        "layers": header.block_count(),
        "has_template": header.chat_template().is_some(),
    })
}

fn object(model: &Installed) -> Value {
    json!({
        "name": model.name,
        "path": model.path.to_string_lossy(),
        "sha256": model.sha256,
        "size_bytes": model.size_bytes,
        "quantization": model.quantization,
        "origin": model.origin,
        "installed_at": model.installed_at,
    })
}

fn make_private(folder: &Path) -> Result<(), Failure> {
    create_private(folder)
        .map_err(|error| Failure::disk(format!("cannot make the folder {}: {error}", folder.display())))
}

fn remarks(surroundings: &Surroundings) -> Remarks<io::Stderr> {
    Remarks::on_stderr(surroundings.config.quiet)
}

/// Does what takes a while and shows how far it is.
fn with_progress<T>(
    surroundings: &Surroundings,
    work: impl FnOnce(&mut dyn FnMut(Progress)) -> Result<T, ModelError>,
) -> Result<T, ModelError> {
    let mut remarks = remarks(surroundings);
    let outcome = work(&mut |progress| remarks.progress(&status(&progress)));
    remarks.clear();
    outcome
}

fn status(progress: &Progress) -> String {
    let doing = match progress.step {
        Step::Waiting => return "another tuichat is downloading this; waiting for it".into(),
        Step::Downloading => "downloading",
        Step::Copying => "copying",
        Step::Hashing => "checking",
    };
    let percent = progress.done_bytes.saturating_mul(100) / progress.total_bytes.max(1);
    let mut status = format!("{doing} {percent} % of {}", size(progress.total_bytes));
    if let Some(speed) = progress.bytes_per_second {
        status.push_str(&format!(", {}/s", size(speed as u64)));
    }
    status
}

/// Bytes in the unit that people compare files in.
fn size(bytes: u64) -> String {
    if bytes < 1_000_000_000 {
        format!("{:.1} MB", bytes as f64 / 1e6)
    } else {
        format!("{:.2} GB", bytes as f64 / 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_one_line_that_says_how_far_and_how_fast() {
        let progress = Progress {
            step: Step::Downloading,
            done_bytes: 49_181_216,
            total_bytes: 98_362_432,
            bytes_per_second: Some(2_000_000.0),
        };
        assert_eq!(status(&progress), "downloading 50 % of 98.4 MB, 2.0 MB/s");
    }

    #[test]
    fn an_empty_file_is_no_division_by_nothing() {
        let progress = Progress { step: Step::Hashing, done_bytes: 0, total_bytes: 0, bytes_per_second: None };
        assert_eq!(status(&progress), "checking 0 % of 0.0 MB");
    }
}
