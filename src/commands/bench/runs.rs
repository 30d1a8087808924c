//! `tuichat bench list`, `show`, `compare` and `advice`: what is known without measuring.

use serde::Serialize;
use serde_json::Value;

use super::{advice, told};
use crate::bench::history::{History, Listed, id_of};
use crate::bench::record::{Run, Status};
use crate::bench::reports;
use crate::bench::table::Table;
use crate::cli::RunsCommand;
use crate::commands::{Surroundings, aside, print_fitted, print_json};
use crate::exit::{Exit, Failure};
use crate::text::counted;

/// # Errors
/// If there is no such run, or it cannot be printed.
pub fn run(command: &RunsCommand, surroundings: &Surroundings) -> Result<Exit, Failure> {
    let _log = surroundings.begin()?;
    let history = History::new(surroundings.directories.runs());
    match command {
        RunsCommand::Advice { json } => advice::run(*json, surroundings)?,
        RunsCommand::List { json } => {
            let mut listed = history.list();
            listed.reverse();
            if *json {
                print_json(&listed.iter().map(Summary::from).collect::<Vec<_>>())?;
            } else if listed.is_empty() {
                aside(surroundings, "no run is kept yet; `tuichat bench` makes one");
            } else {
                print_fitted(&table(&listed))?;
            }
        }
        RunsCommand::Show { run, json, telling } => told::show(run, &history, telling, *json)?,
        RunsCommand::Compare { first, second, json, telling } => {
            told::compare([first, second], &history, telling, *json)?;
        }
    }
    Ok(Exit::Success)
}

/// A run in a list. The keys are a contract.
#[derive(Serialize)]
struct Summary {
    id: String,
    started: Option<String>,
    suite: Option<String>,
    models: Vec<String>,
    cases: usize,
    /// Single timings of a search (`--tune`), which come before its cases.
    timings: usize,
    /// `whole`, `stopped` (by somebody, or killed: then it is not known whether it is `valid`), `failed`, `running`, or what
    /// is wrong with the file.
    status: String,
    valid: Option<bool>,
}

impl From<&Listed> for Summary {
    fn from(listed: &Listed) -> Self {
        let id = id_of(&listed.path);
        match &listed.run {
            Ok(run) => Self {
                id,
                started: Some(run.head.started.to_string()),
                suite: Some(run.head.suite.clone()),
                models: models(run),
                cases: reports::measured(run),
                timings: run.timings.len(),
                status: if listed.is_running { "running".into() } else { run.status().as_str().into() },
                valid: run.end.as_ref().map(|end| end.valid),
            },
            Err(words) => Self {
                id,
                started: None,
                suite: None,
                models: Vec::new(),
                cases: 0,
                timings: 0,
                status: words.clone(),
                valid: None,
            },
        }
    }
}

/// Those that were measured; before the first case, those that are to be.
fn models(run: &Run) -> Vec<String> {
    let measured: Vec<String> = run.models().into_iter().map(str::to_owned).collect();
    if !measured.is_empty() {
        return measured;
    }
    let meant = run.head.settings.get("models").and_then(Value::as_array).into_iter().flatten();
    let file_name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    meant.filter_map(Value::as_str).map(file_name).collect()
}

/// A cell of a table has room for one.
fn few(models: &[String]) -> String {
    match models {
        [] => String::new(),
        [model] => model.clone(),
        [model, more @ ..] => format!("{model} and {} more", more.len()),
    }
}

fn table(listed: &[Listed]) -> String {
    let mut table = Table::new(["run", "measured", "status", "models"]).of_words();
    for summary in listed.iter().map(Summary::from) {
        let doubtful =
            if summary.valid == Some(false) && summary.status == "whole" { ", not to be trusted" } else { "" };
        // A run that somebody stopped has an end, which says whether it is to be trusted.
        let is_killed = summary.status == Status::Stopped.as_str() && summary.valid.is_none();
        let status = if is_killed { "killed".into() } else { format!("{}{doubtful}", summary.status) };
        let is_search = summary.suite.as_deref() == Some("tune");
        let measured = measured(summary.cases, summary.timings, is_search);
        table.push(vec![summary.id, measured, status, few(&summary.models)]);
    }
    table.render()
}

/// A search has nothing but timings until it has chosen.
fn measured(cases: usize, timings: usize, is_search: bool) -> String {
    if cases == 0 && is_search { counted(timings as u64, "timing") } else { counted(cases as u64, "case") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_that_was_stopped_is_told_by_its_timings() {
        assert_eq!((measured(2, 0, false), measured(1, 30, true)), ("2 cases".into(), "1 case".into()));
        assert_eq!((measured(0, 7, true), measured(0, 1, true)), ("7 timings".into(), "1 timing".into()));
        assert_eq!((measured(0, 0, true), measured(0, 0, false)), ("0 timings".into(), "0 cases".into()));
    }

    #[test]
    fn several_models_are_told_by_the_first_and_their_number() {
        let names = ["a.gguf", "b.gguf", "c.gguf"].map(str::to_owned);
        assert_eq!(few(&names), "a.gguf and 2 more");
        assert_eq!((few(&names[..1]), few(&[])), ("a.gguf".into(), String::new()));
    }
}
