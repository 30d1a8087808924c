//! `tuichat bench`: models measured on this machine, as tables on stdout, lines of JSON or a chart; and the runs that are
//! kept.

mod advice;
mod dry_run;
mod runs;
mod suites;
mod told;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Surroundings, engines, print_fitted};
use crate::bench::Ended;
use crate::bench::fit;
use crate::bench::history::{History, Kept};
use crate::bench::live::{self, Live};
use crate::bench::machine::Machine;
use crate::bench::record::{Head, Run};
use crate::bench::report::{CORES, Report};
use crate::bench::speed::plan::NamedSet;
use crate::bench::suite::{Measurement, Models};
use crate::bench::trust;
use crate::cli::{Arguments, BenchCommand, Command, Suite, mistakes};
use crate::engine::lab;
use crate::engine::protocol::{CancelFlag, LoadSettings};
use crate::engine::tuning::Tuning;
use crate::exit::{Exit, Failure};
use crate::hardware::cores::{self, CoreSet, Cores};
use crate::hardware::health::Health;
use crate::signals;

/// The key under which the settings of a run have its models.
const MODELS: &str = "models";

/// # Errors
/// If a model cannot be measured, or the results cannot be written.
pub fn run(mut command: BenchCommand, surroundings: &Surroundings) -> Result<Exit, Failure> {
    if let Some(of_runs) = command.runs {
        return runs::run(&of_runs, surroundings);
    }
    check(&command)?;
    let _log = surroundings.begin()?;
    if let Some(engine) = command.engine.take() {
        command.peers.push(engines::peer(&engine, surroundings)?);
    }
    let wish = told::Wish::of(&command, &History::new(surroundings.directories.runs()))?;
    let is_viewed = !command.no_live && !wish.is_json() && !surroundings.config.quiet && live::is_wanted();
    let (command, earlier) = match &command.continues {
        Some(name) => take_up(&command, name, surroundings).map(|(command, run, kept)| (command, Some((run, kept))))?,
        None => (command, None),
    };
    let (is_dry, json, power) = (command.dry_run, command.json, command.source_of_power());
    let mut planned = Planned::of(command, surroundings)?;
    if is_dry {
        dry_run::tell(planned.suite, &*planned.measurement, &power, &planned.models, json, surroundings)?;
        return Ok(Exit::Success);
    }
    let cancel = CancelFlag::default();
    let stopped_by = watch(&cancel)?;
    let before = Health::read();
    let report = planned.report(earlier, wish.is_json(), surroundings)?;
    if is_viewed {
        show(&report, planned.suite, &cancel);
    }
    if let Some(remark) = &planned.remark {
        report.note(&format!("warning: {remark}"));
    }
    let ended = planned.measurement.measure(&Models { all: &planned.models, cancel: &cancel }, &report);
    report.leave();
    report.clear();
    let end = trust::end(&ended, &report.run(), [&before, &Health::read()], Timestamp::now());
    report.end(end)?;
    // What was measured counts, whatever came afterwards.
    planned.tell(&report, &wish, ended.is_ok(), surroundings)?;
    match ended {
        Ok(()) => Ok(Exit::Success),
        Err(Ended::Stopped) => {
            // A private run is kept nowhere, and has no name.
            if let Some(id) = Some(report.run().head.id.clone()).filter(|id| !id.is_empty()) {
                let has_nothing = report.run().cases.is_empty() && report.run().timings.is_empty();
                let begin = if has_nothing { "nothing was measured yet; " } else { "" };
                report.note(&format!("{begin}`tuichat bench --continue {id}` goes on with it"));
            }
            Ok(stopped_by.get().copied().unwrap_or(Exit::Interrupted))
        }
        Err(Ended::Failed(failure)) => Err(failure),
    }
}

/// What is wrong with a line whatever there is to measure.
fn check(command: &BenchCommand) -> Result<(), Failure> {
    if let Some(option) = command.useless_option() {
        let sentence = "is for another suite; `tuichat bench --help` tells which";
        let sentence = if command.tune { "is of no use with `--tune`" } else { sentence };
        return Err(Failure::usage(format!("`{option}` {sentence}")));
    }
    if command.suite == Suite::Fit && command.rounds.is_some_and(|rounds| rounds < fit::LEAST_ROUNDS) {
        let least = fit::LEAST_ROUNDS;
        return Err(Failure::usage(format!(
            "`--rounds` is at least {least} with `--suite fit`: fewer would not tell a hiccup from the rest"
        )));
    }
    if let Some(path) = command.power_csv.as_ref().filter(|path| !path.is_file()) {
        let sentence = format!("`--power-csv`: there is no file `{}`", path.display());
        return Err(
            Failure::usage(sentence).hint("start the meter first, and have it write lines `time,watts` into a file")
        );
    }
    Ok(())
}

/// What is going to be measured, and what is told of it.
struct Planned {
    suite: &'static str,
    measurement: Box<dyn Measurement>,
    models: Vec<LoadSettings>,
    /// The cores that were asked for.
    sets: Vec<NamedSet>,
    /// What speaks against the threads that were asked for.
    remark: Option<String>,
    /// Where the chart goes.
    svg: Option<PathBuf>,
    /// Models are recommended in the end.
    recommends: bool,
}

impl Planned {
    /// Finds the models, and holds this program to the cores that were asked for.
    fn of(command: BenchCommand, surroundings: &Surroundings) -> Result<Self, Failure> {
        let sets = confine(&command)?;
        let models = models(&command, &sets, surroundings)?;
        if let Some(way) = command.ways.iter().find(|way| way.needs_model())
            && models.iter().all(|model| model.draft.is_none())
        {
            return Err(Failure::usage(format!("`{way}` needs a draft model; name one with `--draft-model`")));
        }
        let svg = command.svg.clone();
        let remark = cores::this_machine().remark(command.threads);
        let suite = if command.tune { "tune" } else { command.suite.name() };
        let guesses = surroundings.config.generate.speculation.by;
        let recommends = command.tune || matches!(command.suite, Suite::Quick | Suite::Sbc);
        let measurement = suites::of(command, &models, sets.clone(), &surroundings.directories.cache, guesses);
        Ok(Self { suite, measurement, models, sets, remark, svg, recommends })
    }

    /// With what is measured, for the record.
    fn settings(&self) -> Map<String, Value> {
        let mut settings = self.measurement.settings();
        if !self.sets.is_empty() {
            let names = self.sets.iter().map(|set| set.name.clone().into()).collect::<Vec<Value>>();
            settings.insert(CORES.into(), names.into());
        }
        let paths = self.models.iter().map(|model| path_of(model).into()).collect::<Vec<Value>>();
        settings.insert(MODELS.into(), paths.into());
        settings
    }

    /// Begins a run, or goes on with an earlier one; its lines go to stdout where they are wanted.
    fn report(
        &self,
        earlier: Option<(Run, Kept)>,
        is_json: bool,
        surroundings: &Surroundings,
    ) -> Result<Report, Failure> {
        let settings = self.settings();
        let is_new = earlier.is_none();
        let (run, kept) = match earlier {
            Some((run, kept)) => {
                same(&run.head, &settings)?;
                (run, Some(kept))
            }
            None => begin(self.suite, settings, surroundings),
        };
        let out = is_json.then(|| Box::new(io::stdout()) as Box<dyn io::Write>);
        let report = Report::new(run, out, kept, surroundings.config.quiet);
        report.begin(is_new)?;
        Ok(report)
    }

    /// Tells what was measured, in the forms that were wished for, and what follows from it if it `is_whole`.
    fn tell(
        &self,
        report: &Report,
        wish: &told::Wish,
        is_whole: bool,
        surroundings: &Surroundings,
    ) -> Result<(), Failure> {
        wish.fulfil(&report.run(), || self.measurement.tables(&report.run()))?;
        if is_whole
            && self.recommends
            && wish.prints_tables()
            && let Some(advice) = advice::after_a_run(surroundings)
        {
            print_fitted(&format!("\n{advice}"))?;
        }
        if let Some(path) = &self.svg
            && let Some(drawing) = self.measurement.drawing(&report.run())
        {
            write_chart(path, &drawing)?;
        }
        Ok(())
    }
}

/// Shows the run while it is measured, where that can be.
fn show(report: &Report, suite: &str, cancel: &CancelFlag) {
    match Live::start(suite, cancel.clone()) {
        Ok(live) => report.show_in(live),
        Err(error) => report.note(&format!("warning: there is no view: {}", crate::text::cause(&error))),
    }
}

/// What holds for a new run, and the file in which it is kept, if it is.
fn begin(suite: &str, settings: Map<String, Value>, surroundings: &Surroundings) -> (Run, Option<Kept>) {
    let mut head = Head {
        id: String::new(),
        started: Timestamp::now(),
        suite: suite.into(),
        tuichat: env!("CARGO_PKG_VERSION").into(),
        llama_cpp: lab::library_version(),
        machine: Machine::read(),
        settings,
        command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        rest: Map::new(),
    };
    if surroundings.config.private {
        return (Run::new(head), None);
    }
    let kept = History::new(surroundings.directories.runs()).begin(&mut head);
    let kept = kept.inspect_err(|error| {
        let cause = crate::text::cause(error);
        crate::remarks::Remarks::on_stderr(surroundings.config.quiet).warning(&format!("the run is not kept: {cause}"));
    });
    (Run::new(head), kept.ok())
}

/// What was typed for a run that is to be gone on with, and the run.
fn take_up(
    typed: &BenchCommand,
    name: &str,
    surroundings: &Surroundings,
) -> Result<(BenchCommand, Run, Kept), Failure> {
    if !typed.is_bare() {
        let sentence = "`--continue` goes on with a run as it was begun; leave out models and other options";
        return Err(Failure::usage(sentence));
    }
    if surroundings.config.private {
        return Err(Failure::usage("`--continue` adds to a run that is kept, and with `private` nothing is kept"));
    }
    let (run, kept) = History::new(surroundings.directories.runs()).take_up(name)?;
    let read = Arguments::read(&run.head.command).map(|arguments| arguments.command);
    let Ok(Some(Command::Bench(command))) = read else {
        let sentence = format!("this version of tuichat does not know how to go on with `{}`", run.head.id);
        return Err(Failure::usage(sentence).hint("measure anew with `tuichat bench`"));
    };
    // Names and paths may mean others by now, or elsewhere.
    let models = run.head.settings.get(MODELS).and_then(Value::as_array).into_iter().flatten();
    let models = models.filter_map(|path| path.as_str().map(str::to_owned)).collect();
    Ok((BenchCommand { models, ..*command }, run, kept))
}

/// Refuses to mix what was measured under other circumstances.
fn same(head: &Head, settings: &Map<String, Value>) -> Result<(), Failure> {
    let id = &head.id;
    let hint = "measure anew with `tuichat bench`";
    if let Some((name, now)) = settings.iter().find(|(name, now)| head.settings.get(*name) != Some(now)) {
        let then = head.settings.get(name).unwrap_or(&Value::Null);
        return Err(
            Failure::usage(format!("`{id}` was begun with another {name} ({then}) than it has now ({now})")).hint(hint)
        );
    }
    let (then, now) = (&head.machine, Machine::read());
    if then.cpu != now.cpu || then.board != now.board || then.cores != now.cores {
        return Err(Failure::usage(format!("`{id}` was begun on another machine ({})", then.line())).hint(hint));
    }
    if head.llama_cpp != lab::library_version() {
        return Err(Failure::usage(format!("`{id}` was begun with another llama.cpp ({})", head.llama_cpp)).hint(hint));
    }
    Ok(())
}

/// Holds this program to the cores that were asked for, if some were.
fn confine(command: &BenchCommand) -> Result<Vec<NamedSet>, Failure> {
    if command.cores.len() > 1 && (command.tune || !matches!(command.suite, Suite::Sbc | Suite::Threads)) {
        let sentence = "`--cores` may be typed several times with `--suite sbc` and `--suite threads` only";
        return Err(Failure::usage(sentence).hint("separate the numbers of cores with commas: `--cores 0,2`"));
    }
    let refused = |words: String| Failure::usage(format!("`--cores`: {words}"));
    let set = |wish: &Cores| {
        Ok(NamedSet { name: wish.to_string(), cores: cores::this_machine().meant(wish).map_err(refused)? })
    };
    let sets = command.cores.iter().map(set).collect::<Result<Vec<_>, Failure>>()?;
    let all: CoreSet = sets.iter().flat_map(|set| set.cores.numbers()).collect();
    if !all.is_empty() {
        cores::confine(&all).map_err(refused)?;
    }
    Ok(sets)
}

/// Every name is looked up before anything is measured.
fn models(
    command: &BenchCommand,
    sets: &[NamedSet],
    surroundings: &Surroundings,
) -> Result<Vec<LoadSettings>, Failure> {
    // A thread on each core of a single set; of several, each case has its own.
    let on_each = match sets {
        [set] => u32::try_from(set.cores.len()).ok(),
        _ => None,
    };
    // What chats go by is measured on the cores that they have.
    let speeds = if sets.is_empty() { surroundings.speeds_file() } else { None };
    let usual = [surroundings.model_here()];
    let typed: Vec<Option<&str>> = command.models.iter().map(|name| Some(name.as_str())).collect();
    let names = if typed.is_empty() { &usual[..] } else { &typed };
    names
        .iter()
        .map(|name| {
            let found = surroundings.resolve(*name).map_err(|error| {
                let failure = Failure::from(error);
                let guess = name.and_then(|name| mistakes::guess(&["bench".into()], name));
                guess.into_iter().fold(failure, Failure::hint)
            })?;
            let guesses = !command.tune && command.suite == Suite::Spec;
            let draft = match guesses {
                true => surroundings.draft_model_named(&found, command.draft_model.as_deref()),
                false => None,
            };
            let checks = surroundings.kv_checks_file();
            let settings =
                surroundings.config.clone().load_settings(found, draft, surroundings.probe(), None, checks, None);
            let tuning = Tuning { file: surroundings.threads_file(), may_try: false };
            let threads = command.threads.or(on_each).or(settings.threads);
            Ok(LoadSettings { threads, tuning, speeds: speeds.clone(), ..settings })
        })
        .collect()
}

fn path_of(model: &LoadSettings) -> String {
    let path = std::path::absolute(&model.path).unwrap_or_else(|_| model.path.clone());
    path.to_string_lossy().into_owned()
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
