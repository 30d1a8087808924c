//! `tuichat bench --dry-run`: what a run would find, do and tell.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::bench::outlook::Pace;
use crate::bench::preview::{Candidate, Place, Preview};
use crate::bench::suite::Measurement;
use crate::commands::{Surroundings, print_fitted, print_json};
use crate::engine::protocol::LoadSettings;
use crate::engine::tuning;
use crate::exit::Failure;
use crate::hardware::cores;
use crate::hardware::memory::Memory;
use crate::hardware::meters::Choice;
use crate::hardware::program_folders;
use crate::models::fit::Anatomy;
use crate::models::{ModelError, gguf};
use crate::remarks::Remarks;

/// Where watts follow from what is used in between, it is looked at for so long.
const LOOK: Duration = Duration::from_millis(500);

/// # Errors
/// If a model's file cannot be read, or it cannot be printed.
pub fn tell(
    suite: &str,
    measurement: &dyn Measurement,
    power: &Choice,
    models: &[LoadSettings],
    is_json: bool,
    surroundings: &Surroundings,
) -> Result<(), Failure> {
    let candidates = candidates(models, surroundings)?;
    let programs = program_folders();
    let cpu = cores::this_machine();
    let place = Place { root: Path::new("/"), programs: &programs, cpu, memory: Memory::read() };
    let mut later = || {
        std::thread::sleep(LOOK);
        Instant::now()
    };
    let preview = Preview::of(place, suite, measurement, power, &candidates, &mut later);
    if is_json { print_json(&preview) } else { print_fitted(&preview.text()) }
}

fn candidates(models: &[LoadSettings], surroundings: &Surroundings) -> Result<Vec<Candidate>, Failure> {
    let header = |model: &LoadSettings| {
        let bad = |source| ModelError::BadFile { path: model.path.clone(), source };
        gguf::read_header(&model.path).map_err(|source| Failure::from(bad(source)))
    };
    let headers = models.iter().map(header).collect::<Result<Vec<_>, Failure>>()?;
    let anatomies: Vec<Anatomy> = headers.iter().map(Anatomy::of_header).collect();
    let mut remarks = Remarks::on_stderr(surroundings.config.quiet);
    let machine = surroundings.measured_machine(&anatomies, || remarks.progress("how fast this machine computes"));
    remarks.clear();
    let candidate = |((model, header), anatomy): ((&LoadSettings, gguf::Header), Anatomy)| {
        let fit = surroundings.fit(&anatomy, Some(&model.path), &machine);
        let file_name = || model.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Candidate {
            name: model.name.clone().or_else(|| header.name().map(str::to_owned)).unwrap_or_else(file_name),
            path: model.path.clone(),
            architecture: header.architecture().to_owned(),
            quantization: header.quantization(),
            verdict: fit.verdict,
            pace: fit.curve.map(Pace::Curve).or(fit.speed.filter(|speed| speed.prefill.is_some()).map(Pace::Speed)),
            choice: tuning::known(model, "CPU"),
            anatomy,
        }
    };
    Ok(models.iter().zip(headers).zip(anatomies).map(candidate).collect())
}
