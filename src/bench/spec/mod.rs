//! The suite `spec`: what guessing tokens brings on this machine. How long steps of several tokens take, and answers to
//! five classes of tasks in all ways to guess; or, where that is asked for, what it costs to take guesses that are
//! nearly what the model would say.

mod answers;
mod fuzzy;
mod read;
mod steps;
mod tables;
mod tasks;

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::bench::Ended;
use crate::bench::record::Run;
use crate::bench::report::Report;
use crate::bench::speed::trusted;
use crate::bench::suite::{self, Measurement, Models};
use crate::engine::lab::{Lab, Subject};
use crate::engine::protocol::Speculate;

pub use tasks::{Class, Letter};

/// What is measured, and with what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    pub seed: u64,
    /// Tasks of each class.
    pub cases: u32,
    /// How often each is answered forwards and backwards.
    pub rounds: u32,
    /// Tokens before what is timed.
    pub depths: Vec<u32>,
    pub ways: Vec<Way>,
    pub classes: Vec<Class>,
    /// Thresholds of fuzzy answers to be judged; none for none.
    pub fuzzy: Vec<f32>,
}

/// A way to guess tokens, in the order of the tables. Without `--ways` all are measured, so each makes the suite longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
pub enum Way {
    /// None: what the others are measured by
    #[value(name = "off")]
    #[serde(rename = "off")]
    Off,
    /// Those looked up in the text, where they pay
    #[value(name = "auto")]
    #[serde(rename = "auto")]
    Auto,
    /// The same, whether they pay or not
    #[value(name = "ngram")]
    #[serde(rename = "ngram")]
    Ngram,
    /// Those of a draft model, whether they pay or not
    #[value(name = "draft")]
    #[serde(rename = "draft")]
    Draft,
    /// Those looked up and those of a draft model, where they pay
    #[value(name = "auto+draft")]
    #[serde(rename = "auto+draft")]
    AutoDraft,
}

impl Way {
    pub fn as_str(self) -> &'static str {
        match self {
            Way::Off => "off",
            Way::Auto => "auto",
            Way::Ngram => "ngram",
            Way::Draft => "draft",
            Way::AutoDraft => "auto+draft",
        }
    }

    fn mode(self) -> Speculate {
        match self {
            Way::Off => Speculate::Off,
            Way::Auto | Way::AutoDraft => Speculate::Auto,
            Way::Ngram => Speculate::Ngram,
            Way::Draft => Speculate::Draft,
        }
    }

    /// Whether it is a draft model that guesses.
    pub fn needs_model(self) -> bool {
        matches!(self, Way::Draft | Way::AutoDraft)
    }
}

impl fmt::Display for Way {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What a model came to.
#[derive(Clone, Debug)]
pub struct Results {
    subject: Subject,
    steps: Vec<steps::Row>,
    answers: Vec<answers::Row>,
    fuzzy: Vec<fuzzy::Row>,
}

impl Results {
    pub fn of(subject: &Subject) -> Self {
        Self { subject: subject.clone(), steps: Vec::new(), answers: Vec::new(), fuzzy: Vec::new() }
    }

    /// All that was measured, as tables.
    pub fn tables(&self) -> String {
        tables::render(self)
    }
}

/// The suite.
pub struct Spec {
    pub settings: Settings,
}

impl Measurement for Spec {
    fn settings(&self) -> Map<String, Value> {
        suite::settings(&self.settings)
    }

    fn measure(&mut self, models: &Models<'_>, report: &Report) -> Result<(), Ended> {
        models.each(report, |lab| run(lab, &self.settings, report))
    }

    fn tables(&self, run: &Run) -> String {
        render(run)
    }
}

/// All that a run of this suite came to.
pub fn render(run: &Run) -> String {
    let tables: Vec<String> = read::of(run).iter().map(Results::tables).collect();
    tables.join("\n") + &trusted(run)
}

/// Measures a model.
///
/// # Errors
/// If it was stopped, the model fails or a record cannot be written.
fn run(lab: &Lab, settings: &Settings, report: &Report) -> Result<(), Ended> {
    let mut settings = settings.clone();
    match lab.draft_problem() {
        Some(problem) => {
            report.note(&format!("note: {problem}"));
            settings.ways.retain(|way| !way.needs_model());
        }
        None if !lab.has_draft_model() => settings.ways.retain(|way| !way.needs_model()),
        None => {}
    }
    if !settings.ways.contains(&Way::Off) {
        settings.ways.insert(0, Way::Off);
    }
    if settings.fuzzy.is_empty() {
        steps::measure(lab, &settings, report)?;
        answers::measure(lab, &settings, report)?;
    } else {
        fuzzy::measure(lab, &settings, report)?;
    }
    report.clear();
    Ok(())
}
