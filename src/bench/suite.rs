//! What all suites are to the command that runs them.

use serde_json::{Map, Value};

use super::Ended;
use super::live::Event;
use super::outlook::{Known, Outlook};
use super::record::Run;
use super::report::Report;
use crate::engine::lab::Lab;
use crate::engine::protocol::{CancelFlag, LoadSettings};

/// Something to measure models by.
pub trait Measurement {
    /// With what it measures, for the record: a run can be gone on with where this is the same.
    fn settings(&self) -> Map<String, Value>;

    /// Measures the models, telling each case as it has it, and leaving out what is there already.
    ///
    /// # Errors
    /// If it was stopped, a model fails or a record cannot be written.
    fn measure(&mut self, models: &Models<'_>, report: &Report) -> Result<(), Ended>;

    /// What it is going to time of a model; nothing where its cases are found as it goes.
    fn outlook(&self, _known: &Known<'_>) -> Outlook {
        Outlook::default()
    }

    /// Whether its cases have speeds, and what stands beside these.
    fn has_speeds(&self) -> bool {
        false
    }

    /// All that was measured, as tables for people.
    fn tables(&self, run: &Run) -> String;

    /// A chart of it, where there is one.
    fn drawing(&self, _run: &Run) -> Option<String> {
        None
    }
}

/// The models to measure.
#[derive(Clone, Copy)]
pub struct Models<'a> {
    pub all: &'a [LoadSettings],
    pub cancel: &'a CancelFlag,
}

impl Models<'_> {
    /// Loads one model after the other and has it measured, until one cannot be.
    ///
    /// # Errors
    /// If a model cannot be loaded, and those of `measure`.
    pub fn each(&self, report: &Report, mut measure: impl FnMut(&Lab) -> Result<(), Ended>) -> Result<(), Ended> {
        for model in self.all {
            report.progress(&format!("loading {}", model.name.as_deref().unwrap_or_default()));
            let lab = Lab::open(model, self.cancel)?;
            report.show(Event::Model(lab.subject().title().trim_end().to_owned()));
            measure(&lab)?;
        }
        Ok(())
    }
}

/// Settings as the record has them, from what can be written as JSON.
pub fn settings(value: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}
