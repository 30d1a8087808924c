//! `tuichat bench`: models measured on this machine, as tables on stdout, records or a chart.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use clap::ValueEnum;

use super::{Surroundings, print};
use crate::bench::Ended;
use crate::bench::kv::{self, Budget, Part, Results, Settings, chart};
use crate::bench::report::Report;
use crate::cli::{BenchCommand, Suite, Tokens};
use crate::engine::lab::Lab;
use crate::engine::protocol::{CancelFlag, LoadSettings};
use crate::exit::{Exit, Failure};
use crate::signals;

const USUAL_LENGTHS: [u32; 3] = [2048, 4096, 8192];
const USUAL_DEPTHS: [u32; 6] = [0, 1024, 2048, 4096, 8192, 16_384];

/// # Errors
/// If a model cannot be measured, or the results cannot be written.
pub fn run(command: BenchCommand, surroundings: &Surroundings) -> Result<Exit, Failure> {
    let _log = surroundings.begin()?;
    let models = models(&command, surroundings)?;
    let records = command.json.then(|| Box::new(io::stdout()) as Box<dyn io::Write>);
    let report = Report::new(records, surroundings.config.quiet);
    let cancel = CancelFlag::default();
    let stopped_by = watch(&cancel)?;
    let (is_json, svg) = (command.json, command.svg.clone());
    let settings = match command.suite {
        Suite::Kv => kv_settings(command),
    };
    let mut all = Vec::new();
    let mut ended = Ok(());
    for model in models {
        ended = measure(&model, &settings, &cancel, &report, &mut all);
        if ended.is_err() {
            break;
        }
    }
    report.clear();
    // What was measured counts, whatever came afterwards.
    if !is_json {
        let tables: Vec<String> = all.iter().map(Results::tables).collect();
        print(&tables.join("\n"))?;
    }
    if let Some(path) = &svg {
        write_chart(path, &all)?;
    }
    match ended {
        Ok(()) => Ok(Exit::Success),
        Err(Ended::Stopped) => Ok(stopped_by.get().copied().unwrap_or(Exit::Interrupted)),
        Err(Ended::Failed(failure)) => Err(failure),
    }
}

fn measure(
    model: &LoadSettings,
    settings: &Settings,
    cancel: &CancelFlag,
    report: &Report,
    all: &mut Vec<Results>,
) -> Result<(), Ended> {
    report.progress(&format!("loading {}", model.name.as_deref().unwrap_or_default()));
    let lab = Lab::open(model, cancel)?;
    let mut results = Results::of(lab.subject());
    let ended = kv::run(&lab, settings, report, &mut results);
    all.push(results);
    ended
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
            let settings =
                surroundings.config.clone().load_settings(found, None, surroundings.probe(), None, None, None);
            Ok(LoadSettings { threads: command.threads.or(settings.threads), ..settings })
        })
        .collect()
}

fn kv_settings(command: BenchCommand) -> Settings {
    fn or<T>(typed: Vec<T>, usual: &[T]) -> Vec<T>
    where
        T: Clone,
    {
        if typed.is_empty() { usual.to_vec() } else { typed }
    }
    Settings {
        seed: command.seed,
        cases: command.cases,
        policies: command.policies,
        budgets: or(command.budgets, &Budget::USUAL),
        lengths: or(command.lengths.into_iter().map(|Tokens(tokens)| tokens).collect(), &USUAL_LENGTHS),
        depths: or(command.depths.into_iter().map(|Tokens(tokens)| tokens).collect(), &USUAL_DEPTHS),
        parts: or(command.only, Part::value_variants()),
    }
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

fn write_chart(path: &Path, all: &[Results]) -> Result<(), Failure> {
    std::fs::write(path, chart::render(all))
        .map_err(|error| Failure::disk(format!("cannot write the chart {}: {error}", path.display())))
}
