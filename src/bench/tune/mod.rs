//! `bench --tune`: how a model is computed the fastest on this machine, found with few timings (`search`) or beside them
//! with all there are (`sweep`), and kept for chats.

mod race;
mod records;
mod search;
mod setting;
mod sweep;
#[cfg(test)]
mod synthetic;
mod tables;
mod tuner;

use std::time::Instant;

use serde_json::{Map, Value};

use super::Ended;
use super::record::Run;
use super::report::Report;
use super::suite::{self, Measurement, Models};
use crate::engine::lab::{Lab, Making};
use crate::engine::profile::Profile;
use crate::engine::protocol::{LoadSettings, Speculate};
use crate::engine::{KvType, KvTypes};
use crate::hardware::cores::this_machine;
use records::{CHOICE, Choice, Swept, Tried};
use search::Search;
use setting::{Given, Part, Setting, Space, Workload};
use sweep::Sweep;
use tuner::Tuner;

pub use tables::render;

/// What one looks for the fastest setting with.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Settings {
    /// Every setting there is, too.
    pub exhaustive: bool,
    /// How often each of them is timed.
    pub rounds: u32,
    /// Whether tokens are guessed, as somebody has set it.
    pub spec: Speculate,
}

/// The suite.
pub struct Tune {
    pub settings: Settings,
}

impl Measurement for Tune {
    fn settings(&self) -> Map<String, Value> {
        suite::settings(&self.settings)
    }

    fn measure(&mut self, models: &Models<'_>, report: &Report) -> Result<(), Ended> {
        models.each(report, |lab| {
            let load = models.all.iter().find(|model| model.path == lab.subject().path);
            load.map_or(Ok(()), |load| measure(lab, load, &self.settings, report))
        })
    }

    fn tables(&self, run: &Run) -> String {
        render(run)
    }
}

fn measure(lab: &Lab, load: &LoadSettings, settings: &Settings, report: &Report) -> Result<(), Ended> {
    if report.is_done(lab.subject(), CHOICE) {
        return Ok(());
    }
    report.progress("whether the model bears a KV cache in 8 bits");
    let eight_bits = KvTypes::both(KvType::Q8);
    let is_open = load.kv.types.is_none();
    let borne = if is_open && lab.bears_eight_bits()? == Some(true) { vec![eight_bits] } else { Vec::new() };
    report.progress("warming up");
    let began = Instant::now();
    let types = load.kv.types.unwrap_or_default();
    let mut tuner = Tuner::new(lab, Making { types, batch: 512, flash_attention: true })?;
    let workload = tuner.workload();
    let given = Given {
        cpu: this_machine(),
        threads: load.threads,
        types: load.kv.types,
        guesses: match settings.spec {
            Speculate::Auto => None,
            Speculate::Off => Some(false),
            Speculate::Ngram | Speculate::Draft => Some(true),
        },
        may_guess: tuner.can_take_back()?,
        may_go_without_attention: lab.made_rig(256, Making { types, batch: 512, flash_attention: false }).is_ok(),
        borne: &borne,
        prompt: workload.prompt,
        is_on_gpu: lab.subject().backend != "CPU",
    };
    let space = Space::of(&given);
    let mut search = Search::new(space);
    while let Some((trial, level)) = search.next() {
        let what = level.map_or("all of it against the usual setting".to_owned(), |level| {
            format!("{}: {}", level.factor().title(), level.words())
        });
        report.progress(&format!("{what} (timing {})", search.timings() + 1));
        search.took(tuner.time(&trial)?);
    }
    let seconds = began.elapsed().as_secs_f64();
    let chosen = search.chosen();
    let is_disturbed = tuner.is_disturbed();
    let is_remembered = !is_disturbed && lab.remember_profile(profile(&search, load.threads.is_some()));
    let speeds = tuner.speeds(&chosen);
    if let Some((prefill, decode)) = speeds.filter(|_| !is_disturbed) {
        lab.remember_speed(decode, prefill);
    }
    for tried in Tried::all(&search, workload) {
        report.case(lab.subject(), &tried.key(), &tried)?;
    }
    let choice = Choice::of(&search, workload, speeds).measured(seconds, is_disturbed, is_remembered);
    if settings.exhaustive {
        let swept = sweep(&mut tuner, &search, settings.rounds, seconds, report)?;
        report.case(lab.subject(), CHOICE, &choice)?;
        report.case(lab.subject(), records::SWEEP, &swept)?;
    } else {
        report.case(lab.subject(), CHOICE, &choice)?;
    }
    report.clear();
    Ok(report.done(lab.subject(), CHOICE)?)
}

/// What chats are to do from now on: what was chosen, and nothing about what somebody has set or nobody could choose.
fn profile(search: &Search, threads_are_set: bool) -> Profile {
    let Setting { crews, batch, types, guesses, .. } = search.chosen();
    let was_tried = |factor| search.heats().iter().any(|heat| heat.factor() == factor);
    Profile {
        crews: (!threads_are_set).then_some(crews),
        batch: was_tried(setting::Factor::Batch).then_some(batch),
        types: was_tried(setting::Factor::Cache).then_some(types),
        guesses: was_tried(setting::Factor::Guesses).then_some(guesses),
    }
}

fn sweep(
    tuner: &mut Tuner<'_>,
    search: &Search,
    rounds: u32,
    search_seconds: f64,
    report: &Report,
) -> Result<Swept, Ended> {
    let mut sweep = Sweep::new(search.space(), search.chosen(), rounds);
    let began = Instant::now();
    while let Some(trial) = sweep.next() {
        let (timing, of) = (sweep.timings() + 1, sweep.expected(rounds));
        match timing <= of {
            true => report.progress(&format!("every setting: timing {timing} of {of}")),
            false => report.progress("the best of all settings against the chosen one"),
        }
        sweep.took(tuner.time(&trial)?);
    }
    Ok(Swept::of(&sweep, search_seconds, began.elapsed().as_secs_f64()))
}

/// Tokens per second of a part that took so long.
fn speed(workload: Workload, part: Part, seconds: f64) -> f64 {
    workload.tokens(part) / seconds
}
