//! The suite `kv`: what it costs to make the KV cache smaller, and what it brings. Needles that are found again, the
//! continuation of a text, bytes and speed, for each policy and budget.

pub mod case;
pub mod chart;
mod continuation;
mod facts;
mod needles;
mod policy;
mod read;
mod speed;
mod tables;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Map, Value};

pub use continuation::Continuations;
pub use needles::{Knowledge, Needles, Setup, Tally};
pub use policy::{Budget, Policy};
pub use speed::Speeds;

use crate::bench::Ended;
use crate::bench::record::Run;
use crate::bench::report::Report;
use crate::bench::speed::trusted;
use crate::bench::suite::{self, Measurement, Models};
use crate::bench::svg::Drawing;
use crate::bench::texts::{TEXTS, Text};
use crate::engine::KvTypes;
use crate::engine::lab::{Lab, LabError, Limits, Rig, Subject};

/// Cells for questions, answers and what is timed, beside those of a compressed cache.
const RESERVED_CELLS: usize = 256;

/// What is measured, and with what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    pub seed: u64,
    /// Needles that are asked for.
    pub cases: u32,
    pub policies: Vec<Policy>,
    pub budgets: Vec<Budget>,
    /// Tokens of a case; there is one at least.
    pub lengths: Vec<u32>,
    pub depths: Vec<u32>,
    pub parts: Vec<Part>,
}

/// A part of the suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Facts hidden in a text, asked for
    Needle,
    /// A text read on, compared with the whole cache
    Continuation,
    /// Bytes, and tokens per second
    Speed,
}

/// What a model came to.
#[derive(Clone, Debug)]
pub struct Results {
    pub subject: Subject,
    pub needles: Needles,
    pub continuations: Continuations,
    pub speeds: Speeds,
}

impl Results {
    pub fn of(subject: &Subject) -> Self {
        Self {
            subject: subject.clone(),
            needles: Needles::default(),
            continuations: Continuations::default(),
            speeds: Speeds::default(),
        }
    }

    /// All that was measured, as tables.
    pub fn tables(&self) -> String {
        tables::render(self)
    }
}

/// The suite.
pub struct Kv {
    pub settings: Settings,
}

impl Measurement for Kv {
    fn settings(&self) -> Map<String, Value> {
        suite::settings(&self.settings)
    }

    fn measure(&mut self, models: &Models<'_>, report: &Report) -> Result<(), Ended> {
        models.each(report, |lab| run(lab, &self.settings, report))
    }

    fn tables(&self, run: &Run) -> String {
        render(run)
    }

    fn drawing(&self, run: &Run) -> Option<String> {
        Some(chart::render(&read::of(run)))
    }
}

/// What a run of this suite came to, as charts.
pub fn drawings(run: &Run) -> Vec<Drawing> {
    chart::drawings(&read::of(run))
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
    let settings = within_training(settings, lab.subject(), report);
    for part in &settings.parts {
        match part {
            Part::Needle if settings.lengths.is_empty() => {}
            Part::Continuation if settings.lengths.is_empty() => {}
            Part::Needle => needles::measure(lab, &settings, report)?,
            Part::Continuation => continuation::measure(lab, &settings, report)?,
            Part::Speed => speed::measure(lab, &settings, report)?,
        }
    }
    report.clear();
    Ok(())
}

/// The settings without what is longer than the texts that the model was trained with.
fn within_training(settings: &Settings, subject: &Subject, report: &Report) -> Settings {
    let most = match subject.trained_context {
        0 => u32::MAX,
        trained => trained,
    };
    let timed = (speed::PROMPT + speed::WRITTEN) as u32;
    let fits = |tokens: u32| tokens <= most;
    let (lengths, long): (Vec<u32>, Vec<u32>) = settings.lengths.iter().partition(|length| fits(**length));
    let (depths, deep): (Vec<u32>, Vec<u32>) =
        settings.depths.iter().partition(|depth| fits(depth.saturating_add(timed)));
    // A word only about what would have been measured.
    let is_wanted = |part| settings.parts.contains(&part);
    let mut left_out = if is_wanted(Part::Needle) || is_wanted(Part::Continuation) { long } else { Vec::new() };
    left_out.extend(if is_wanted(Part::Speed) { deep } else { Vec::new() });
    if !left_out.is_empty() {
        let left_out: Vec<String> = left_out.iter().map(u32::to_string).collect();
        report.note(&format!(
            "note: {} was trained with texts of {most} tokens, so these lengths and depths are left out: {}",
            subject.name,
            left_out.join(", ")
        ));
    }
    Settings { lengths, depths, ..settings.clone() }
}

/// The limits under which a compressed cache is gone on with: beside the cells that may stay, a tenth as many for what
/// is recalled, and some for questions and answers.
fn limits(policy: Policy, cells: usize, recall: bool) -> Limits {
    let evict = policy.evict();
    Limits { evict, most_cells: policy.evicts().then_some(cells + cells / 10 + RESERVED_CELLS), recall }
}

/// A context for each pair of number formats, and the policies that use it.
struct Rigs<'lab>(Vec<(Vec<Policy>, Rig<'lab>)>);

impl<'lab> Rigs<'lab> {
    /// Makes the contexts that the policies need. What this model cannot have is left out, with a word about it; the
    /// whole cache in 16 bits it must have.
    fn make(lab: &'lab Lab, policies: &[Policy], cells: u32, report: &Report) -> Result<Self, LabError> {
        let mut kinds: Vec<(KvTypes, Vec<Policy>)> = Vec::new();
        for policy in policies {
            match kinds.iter_mut().find(|(types, _)| *types == policy.types()) {
                Some((_, others)) => others.push(*policy),
                None => kinds.push((policy.types(), vec![*policy])),
            }
        }
        let mut rigs = Vec::new();
        for (types, policies) in kinds {
            match lab.rig(cells, types) {
                Ok(mut rig) => {
                    let mut policies = policies;
                    if policies.iter().any(|policy| policy.evicts()) && !rig.can_evict() {
                        report.note("note: this kind of model cannot give up single cells, so that is left out");
                        policies.retain(|policy| !policy.evicts());
                    }
                    if policies.iter().any(|policy| policy.evicts()) {
                        rig.watch();
                    }
                    rigs.push((policies, rig));
                }
                Err(LabError::Engine(error)) if types != KvTypes::default() => {
                    report.note(&format!("note: {types} is left out: {error}"));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Self(rigs))
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = (&Vec<Policy>, &mut Rig<'lab>)> {
        self.0.iter_mut().map(|(policies, rig)| (&*policies, rig))
    }
}

/// How the model splits the texts.
struct BytesPerToken(Vec<(&'static str, f64)>);

impl BytesPerToken {
    fn of(lab: &Lab) -> Self {
        let ratio = |text: &Text| text.text.len() as f64 / lab.tokenize(text.text).len().max(1) as f64;
        Self(TEXTS.iter().map(|text| (text.name, ratio(text))).collect())
    }

    fn get(&self, text: &Text) -> f64 {
        self.0.iter().find(|(name, _)| *name == text.name).map_or(1.0, |(_, ratio)| *ratio)
    }
}
