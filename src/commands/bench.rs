//! `tuichat bench`: models measured on this machine, as tables on stdout, records or a chart.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::ValueEnum;

use super::{Surroundings, print};
use crate::bench::Ended;
use crate::bench::fit;
use crate::bench::kv::{self, Budget, Part, Policy, chart};
use crate::bench::report::Report;
use crate::bench::spec::{self, Class, Way};
use crate::bench::speed;
use crate::bench::tune;
use crate::cli::{BenchCommand, Suite, Tokens};
use crate::config::Probability;
use crate::engine::lab::Lab;
use crate::engine::protocol::{CancelFlag, LoadSettings};
use crate::engine::tuning::Tuning;
use crate::exit::{Exit, Failure};
use crate::hardware::cores;
use crate::hardware::meters::Choice;
use crate::signals;

const USUAL_LENGTHS: [u32; 3] = [2048, 4096, 8192];
const USUAL_DEPTHS: [u32; 6] = [0, 1024, 2048, 4096, 8192, 16_384];
const USUAL_CASES: u32 = 40;
/// Of the suite `spec`.
const USUAL_STEP_DEPTHS: [u32; 2] = [256, 2048];
const USUAL_TASKS: u32 = 1;
/// Of the suite `fit`.
const USUAL_FIT_ROUNDS: u32 = 5;
const USUAL_ROUNDS: u32 = 2;
/// Of the suites `quick` and `depth`.
const USUAL_TIMINGS: u32 = 5;
/// The suite `quick` takes two minutes at most, loading included, where the model is not very slow.
const QUICK: Duration = Duration::from_secs(90);

/// # Errors
/// If a model cannot be measured, or the results cannot be written.
pub fn run(command: BenchCommand, surroundings: &Surroundings) -> Result<Exit, Failure> {
    if let Some(option) = command.useless_option() {
        let sentence = "is for another suite; `tuichat bench --help` tells which";
        let sentence = if command.tune { "is of no use with `--tune`" } else { sentence };
        return Err(Failure::usage(format!("`{option}` {sentence}")));
    }
    let _log = surroundings.begin()?;
    let models = models(&command, surroundings)?;
    if let Some(way) = command.ways.iter().find(|way| way.needs_model())
        && models.iter().all(|model| model.draft.is_none())
    {
        return Err(Failure::usage(format!("`{way}` needs a draft model; name one with `--draft-model`")));
    }
    let records = command.json.then(|| Box::new(io::stdout()) as Box<dyn io::Write>);
    let report = Report::new(records, surroundings.config.quiet);
    let cancel = CancelFlag::default();
    let stopped_by = watch(&cancel)?;
    let is_json = command.json;
    if let Some(remark) = cores::this_machine().remark(command.threads) {
        report.note(&format!("warning: {remark}"));
    }
    let (tables, drawn, ended) = match command.suite {
        _ if command.tune => {
            let mut all = Vec::new();
            let ended = measure(&models, &cancel, &report, |lab| {
                all.push(tune::run(lab, &report)?);
                Ok(())
            });
            (all, None, ended)
        }
        Suite::Quick | Suite::Depth => {
            let settings = speed_settings(command);
            let mut all = Vec::new();
            let ended = measure(&models, &cancel, &report, |lab| {
                let mut results = speed::Results::of(lab.subject());
                let ended = speed::run(lab, &settings, &report, &mut results);
                all.push(results);
                ended
            });
            (all.iter().map(speed::Results::tables).collect(), None, ended)
        }
        Suite::Fit => {
            let settings = fit::Settings { seed: command.seed, rounds: command.rounds.unwrap_or(USUAL_FIT_ROUNDS) };
            let mut all = Vec::new();
            let ended = measure(&models, &cancel, &report, |lab| {
                let mut results = fit::Results::of(lab.subject());
                let ended = fit::run(lab, &settings, &report, &mut results);
                all.push(results);
                ended
            });
            (all.iter().map(fit::Results::tables).collect(), None, ended)
        }
        Suite::Kv => {
            let svg = command.svg.clone();
            let settings = kv_settings(command);
            let mut all = Vec::new();
            let ended = measure(&models, &cancel, &report, |lab| {
                let mut results = kv::Results::of(lab.subject());
                let ended = kv::run(lab, &settings, &report, &mut results);
                all.push(results);
                ended
            });
            let drawn = svg.map(|path| (path, chart::render(&all)));
            (all.iter().map(kv::Results::tables).collect::<Vec<_>>(), drawn, ended)
        }
        Suite::Spec => {
            let settings = spec_settings(command);
            let mut all = Vec::new();
            let ended = measure(&models, &cancel, &report, |lab| {
                let mut results = spec::Results::of(lab.subject());
                let ended = spec::run(lab, &settings, &report, &mut results);
                all.push(results);
                ended
            });
            (all.iter().map(spec::Results::tables).collect(), None, ended)
        }
    };
    report.clear();
    // What was measured counts, whatever came afterwards.
    if !is_json {
        print(&tables.join("\n"))?;
    }
    if let Some((path, drawing)) = drawn {
        write_chart(&path, &drawing)?;
    }
    match ended {
        Ok(()) => Ok(Exit::Success),
        Err(Ended::Stopped) => Ok(stopped_by.get().copied().unwrap_or(Exit::Interrupted)),
        Err(Ended::Failed(failure)) => Err(failure),
    }
}

/// Measures one model after the other, until one cannot be.
fn measure(
    models: &[LoadSettings],
    cancel: &CancelFlag,
    report: &Report,
    mut run: impl FnMut(&Lab) -> Result<(), Ended>,
) -> Result<(), Ended> {
    for model in models {
        report.progress(&format!("loading {}", model.name.as_deref().unwrap_or_default()));
        run(&Lab::open(model, cancel)?)?;
    }
    Ok(())
}

/// Every name is looked up before anything is measured.
fn models(command: &BenchCommand, surroundings: &Surroundings) -> Result<Vec<LoadSettings>, Failure> {
    let library = surroundings.library();
    let usual = [surroundings.config.model.as_deref()];
    let typed: Vec<Option<&str>> = command.models.iter().map(|name| Some(name.as_str())).collect();
    let names = if typed.is_empty() { &usual[..] } else { &typed };
    names
        .iter()
        .map(|name| {
            let found = library.resolve(*name)?;
            let draft = match command.suite {
                _ if command.tune => None,
                Suite::Quick | Suite::Depth | Suite::Fit | Suite::Kv => None,
                Suite::Spec => surroundings.draft_model_named(&found, command.draft_model.as_deref()),
            };
            let settings =
                surroundings.config.clone().load_settings(found, draft, surroundings.probe(), None, None, None);
            let tuning = Tuning { file: surroundings.threads_file(), may_try: false };
            let threads = command.threads.or(settings.threads);
            Ok(LoadSettings { threads, tuning, speeds: surroundings.speeds_file(), ..settings })
        })
        .collect()
}

fn speed_settings(command: BenchCommand) -> speed::Settings {
    let is_quick = command.suite == Suite::Quick;
    let (prompt, written) = if is_quick { (512, 128) } else { (128, 32) };
    let usual = if is_quick { &[0][..] } else { &USUAL_DEPTHS };
    speed::Settings {
        seed: command.seed,
        prompt,
        written,
        depths: or(command.depths.into_iter().map(|Tokens(tokens)| tokens).collect(), usual),
        rounds: command.rounds.unwrap_or(USUAL_TIMINGS),
        within: (is_quick && command.rounds.is_none()).then_some(QUICK),
        power: command.power.unwrap_or(Choice::Auto),
    }
}

fn kv_settings(command: BenchCommand) -> kv::Settings {
    kv::Settings {
        seed: command.seed,
        cases: command.cases.unwrap_or(USUAL_CASES),
        policies: or(command.policies, &Policy::ALL),
        budgets: or(command.budgets, &Budget::USUAL),
        lengths: or(command.lengths.into_iter().map(|Tokens(tokens)| tokens).collect(), &USUAL_LENGTHS),
        depths: or(command.depths.into_iter().map(|Tokens(tokens)| tokens).collect(), &USUAL_DEPTHS),
        parts: or(command.only, Part::value_variants()),
    }
}

fn spec_settings(command: BenchCommand) -> spec::Settings {
    spec::Settings {
        seed: command.seed,
        cases: command.cases.unwrap_or(USUAL_TASKS),
        rounds: command.rounds.unwrap_or(USUAL_ROUNDS),
        depths: or(command.depths.into_iter().map(|Tokens(tokens)| tokens).collect(), &USUAL_STEP_DEPTHS),
        ways: or(command.ways, Way::value_variants()),
        classes: or(command.tasks, Class::value_variants()),
        fuzzy: command.fuzzy.into_iter().map(Probability::get).collect(),
    }
}

/// What was typed, else what is usual.
fn or<T: Clone>(typed: Vec<T>, usual: &[T]) -> Vec<T> {
    if typed.is_empty() { usual.to_vec() } else { typed }
}

/// A signal asks to stop; the code to leave with is noted.
fn watch(cancel: &CancelFlag) -> Result<Arc<OnceLock<Exit>>, Failure> {
    let stopped_by = Arc::new(OnceLock::new());
    let (cancel, noted) = (cancel.clone(), Arc::clone(&stopped_by));
    let watching = signals::watch(move |exit| {
        let _ = noted.set(exit);
        cancel.cancel();
    });
    watching.map_err(|error| Failure::error(format!("cannot watch for signals: {error}")))?;
    Ok(stopped_by)
}

fn write_chart(path: &Path, drawing: &str) -> Result<(), Failure> {
    std::fs::write(path, drawing)
        .map_err(|error| Failure::disk(format!("cannot write the chart {}: {error}", path.display())))
}
