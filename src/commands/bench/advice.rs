//! `tuichat bench advice`: the models that are here or can be had, with what is known of each, for the recommendation.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::bench::advice::{Candidate, NOTHING, advise, measured, render};
use crate::bench::history::History;
use crate::bench::machine::Machine as Described;
use crate::bench::record::Run;
use crate::bench::report::CORES;
use crate::commands::{Surroundings, print, print_fitted};
use crate::exit::Failure;
use crate::hardware::power;
use crate::models::fit::{Anatomy, Machine, Verdict};
use crate::models::{catalog, gguf};
use crate::remarks::Remarks;

/// # Errors
/// If it cannot be printed.
pub fn run(json: bool, surroundings: &Surroundings) -> Result<(), Failure> {
    let mut remarks = Remarks::on_stderr(surroundings.config.quiet);
    let here = here(surroundings);
    let anatomies: Vec<Anatomy> = here.iter().map(|model| model.anatomy.clone()).chain(catalogued()).collect();
    let machine = surroundings.measured_machine(&anatomies, || remarks.progress("how fast this machine computes"));
    remarks.clear();
    let candidates = candidates(surroundings, here, &machine);
    let advice = advise(&candidates, power::capacity_watt_hours(Path::new("/")));
    if !json {
        return print_fitted(&render(&Described::read().line(), &advice));
    }
    if advice.is_empty() {
        remarks.note(NOTHING);
    }
    let line = |one| serde_json::to_string(one).map_err(|error| Failure::error(error.to_string()));
    let lines = advice.iter().map(line).collect::<Result<Vec<_>, _>>()?;
    print(&lines.into_iter().map(|line| line + "\n").collect::<String>())
}

/// The same with what is known already, if that is enough to recommend something.
pub fn after_a_run(surroundings: &Surroundings) -> Option<String> {
    let candidates = candidates(surroundings, here(surroundings), &surroundings.machine());
    let advice = advise(&candidates, power::capacity_watt_hours(Path::new("/")));
    (!advice.is_empty()).then(|| render(&Described::read().line(), &advice))
}

/// A model on this machine.
struct Here {
    /// What one types to get it.
    name: String,
    path: PathBuf,
    quantization: String,
    anatomy: Anatomy,
}

impl Here {
    fn read(name: String, path: PathBuf) -> Option<Self> {
        let header = gguf::read_header(&path).ok()?;
        Some(Self { name, path, quantization: header.quantization(), anatomy: Anatomy::of_header(&header) })
    }
}

/// Those of the library, and those that were measured where they lie.
fn here(surroundings: &Surroundings) -> Vec<Here> {
    let installed = surroundings.library().list().unwrap_or_default();
    let borrowed = surroundings.library().borrowed().unwrap_or_default();
    let listed = installed.into_iter().map(|model| (model.name, model.path));
    let listed = listed.chain(borrowed.into_iter().map(|model| (model.name, model.path)));
    let mut named: Vec<(String, PathBuf)> = listed.collect();
    for run in runs(surroundings) {
        let paths = run.head.settings.get(super::MODELS).and_then(Value::as_array).cloned().unwrap_or_default();
        for path in paths.iter().filter_map(Value::as_str) {
            if named.iter().all(|(_, known)| known != Path::new(path)) {
                named.push((path.to_owned(), path.into()));
            }
        }
    }
    named.into_iter().filter_map(|(name, path)| Here::read(name, path)).collect()
}

/// The files of the catalogue, without those for which conditions have to be accepted.
fn files() -> impl Iterator<Item = (&'static catalog::Entry, &'static catalog::File)> {
    let entries = catalog::entries().iter().filter(|entry| !entry.gated);
    entries.flat_map(|entry| entry.files.iter().map(move |file| (entry, file)))
}

fn catalogued() -> impl Iterator<Item = Anatomy> {
    files().map(|(entry, file)| entry.anatomy(file))
}

/// Everything that has room and of which a speed is known.
fn candidates(surroundings: &Surroundings, here: Vec<Here>, machine: &Machine) -> Vec<Candidate> {
    let runs = runs(surroundings);
    let installed = surroundings.library().list().unwrap_or_default();
    let mut candidates: Vec<Candidate> =
        here.into_iter().filter_map(|model| of_file(surroundings, model, &runs, machine)).collect();
    for (entry, file) in files() {
        let name = entry.installed_name(file);
        if installed.iter().any(|model| model.name == name) {
            continue;
        }
        let fit = surroundings.fit(&entry.anatomy(file), None, machine);
        let Some(speed) = fit.speed.filter(|_| fit.verdict != Verdict::DoesNotFit) else { continue };
        candidates.push(Candidate {
            name: match file == entry.usual_file() {
                true => entry.name.clone(),
                false => format!("hf:{}:{}", entry.repository, file.quantization),
            },
            quantization: file.quantization.clone(),
            parameters: entry.parameters,
            bytes: file.bytes,
            is_here: false,
            speed: speed.decode,
            is_measured: false,
            is_doubtful: false,
            power: None,
        });
    }
    candidates
}

/// A model that is here, with what was measured of it last, else what was seen in answers, else what is predicted.
fn of_file(surroundings: &Surroundings, model: Here, runs: &[Run], machine: &Machine) -> Option<Candidate> {
    let fit = surroundings.fit(&model.anatomy, Some(&model.path), machine);
    let file_name = model.path.file_name()?.to_string_lossy().into_owned();
    let kept = runs.iter().find_map(|run| Some((measured(run, &file_name)?, is_valid(run))));
    let is_kept = kept.is_some();
    let ((speed, power), is_valid) = match (kept, fit.speed) {
        (Some(kept), _) => kept,
        (None, speed) => ((speed?.decode, None), true),
    };
    // What has run has room.
    let has_room = fit.verdict != Verdict::DoesNotFit || power.is_some();
    has_room.then_some(Candidate {
        name: model.name,
        quantization: model.quantization,
        parameters: model.anatomy.parameters,
        bytes: model.anatomy.file_bytes,
        is_here: true,
        speed,
        is_measured: fit.is_measured || is_kept,
        is_doubtful: !is_valid,
        power,
    })
}

/// The kept runs of this machine that tell how fast a chat is, those to be trusted first and the latest of them first.
fn runs(surroundings: &Surroundings) -> Vec<Run> {
    let this = Described::read();
    let is_of_use = |run: &Run| {
        let Described { board, cpu, cores, .. } = &run.head.machine;
        let is_usual = run.head.settings.get("threads").is_none_or(Value::is_null);
        (board, cpu, cores) == (&this.board, &this.cpu, &this.cores)
            && is_usual
            && !run.head.settings.contains_key(CORES)
            && ["quick", "depth", "sbc", "tune"].contains(&run.head.suite.as_str())
    };
    let listed = History::new(surroundings.directories.runs()).list();
    let mut runs: Vec<Run> = listed.into_iter().rev().filter_map(|listed| listed.run.ok()).filter(is_of_use).collect();
    runs.sort_by_key(|run| !is_valid(run));
    runs
}

/// Nothing speaks against what was measured.
fn is_valid(run: &Run) -> bool {
    run.end.as_ref().is_some_and(|end| end.valid)
}
