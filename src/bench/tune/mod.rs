//! `bench --tune`: how a model is computed the fastest on this machine, found with few timings (`search`) or beside them
//! with all there are (`sweep`), and kept for chats.

mod outlook;
mod race;
mod records;
mod search;
mod setting;
mod sweep;
#[cfg(test)]
mod synthetic;
mod tables;
mod timed;
mod tuner;

use std::time::Instant;

use serde_json::{Map, Value};

use super::Ended;
use super::live::{Contender, Event};
use super::outlook::{Known, Outlook};
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
use setting::{Factor, Given, Part, Setting, Space, Workload};
use sweep::Sweep;
use timed::{Timed, Timings};
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

    fn outlook(&self, known: &Known<'_>) -> Outlook {
        outlook::of(&self.settings, known)
    }

    fn tables(&self, run: &Run) -> String {
        render(run)
    }
}

fn measure(lab: &Lab, load: &LoadSettings, settings: &Settings, report: &Report) -> Result<(), Ended> {
    if report.is_done(lab.subject(), CHOICE) {
        return Ok(());
    }
    report.progress("finding out whether the model bears a KV cache in 8 bits; then the search begins");
    let is_open = load.kv.types.is_none();
    let bears_eight_bits = is_open && lab.bears_eight_bits()? == Some(true);
    report.progress("warming up");
    let began = Instant::now();
    let earlier: Vec<Timed> = report.timings(lab.subject());
    let making = Making { types: load.kv.types.unwrap_or_default(), batch: 512, flash_attention: true };
    let mut tuner = Tuner::new(lab, report, making, earlier.first().map(|timed| timed.sample))?;
    let space = space(lab, load, settings, making, bears_eight_bits, &mut tuner)?;
    let mut timings = Timings::new(tuner, earlier, report, lab.subject(), began);
    let search = search(space, &mut timings, report)?;
    conclude(lab, &search, &timings, load.threads.is_some(), report)?;
    if settings.exhaustive {
        let swept = sweep(&mut timings, &search, settings.rounds, report)?;
        report.case(lab.subject(), records::SWEEP, &swept)?;
    }
    report.clear();
    Ok(report.done(lab.subject(), CHOICE)?)
}

/// What there is to try.
fn space(
    lab: &Lab,
    load: &LoadSettings,
    settings: &Settings,
    making: Making,
    bears_eight_bits: bool,
    tuner: &mut Tuner<'_>,
) -> Result<Space, Ended> {
    let without_attention = Making { flash_attention: false, ..making };
    Ok(Space::of(&Given {
        cpu: this_machine(),
        threads: load.threads,
        types: load.kv.types,
        guesses: match settings.spec {
            Speculate::Auto => None,
            Speculate::Off => Some(false),
            Speculate::Ngram | Speculate::Draft => Some(true),
        },
        may_guess: tuner.can_take_back()?,
        may_go_without_attention: lab.made_rig(256, without_attention).is_ok(),
        borne: if bears_eight_bits { &[KvTypes { k: KvType::Q8, v: KvType::Q8 }] } else { &[] },
        prompt: tuner.workload().prompt,
        is_on_gpu: lab.subject().backend != "CPU",
    }))
}

fn search(space: Space, timings: &mut Timings<'_>, report: &Report) -> Result<Search, Ended> {
    let mut search = Search::new(space);
    while let Some(trial) = search.next() {
        if let Some(heat) = search.heats().last() {
            let running = heat.race.next().unwrap_or_default();
            report.progress(&format!("{}, timing {}: {}", heat.title, search.timings() + 1, heat.name(running)));
            let of = |place: usize| Contender {
                name: heat.name(place),
                speeds: speeds(timings.workload(), heat.part, heat.race.seconds(place)),
                is_running: place == running,
                is_out: heat.race.is_out(place),
            };
            report.show(Event::Contenders((0..heat.contenders.len()).map(of).collect()));
        }
        search.took(timings.time(&trial)?);
    }
    Ok(search)
}

/// Keeps what was found, for chats and in the record.
fn conclude(
    lab: &Lab,
    search: &Search,
    timings: &Timings<'_>,
    threads_are_set: bool,
    report: &Report,
) -> Result<(), Ended> {
    let is_disturbed = timed::are_disturbed(timings.all());
    let is_remembered = !is_disturbed && lab.remember_profile(profile(search, threads_are_set));
    let speeds = timed::speeds(timings.all(), &search.chosen());
    if let Some((prefill, decode)) = speeds.filter(|_| !is_disturbed) {
        lab.remember_speed(decode, prefill);
    }
    for tried in Tried::all(search, timings.workload()) {
        report.case(lab.subject(), &tried.key(), &tried)?;
    }
    let choice = Choice::of(search, timings.workload(), speeds);
    Ok(report.case(lab.subject(), CHOICE, &choice.measured(timings.seconds(), is_disturbed, is_remembered))?)
}

/// What chats are to do from now on: what was chosen, and nothing about what somebody has set or nobody could choose.
fn profile(search: &Search, threads_are_set: bool) -> Profile {
    let Setting { crews, batch, types, guesses, .. } = search.chosen();
    let was_open = |factor| search.space().levels(factor).len() > 1;
    Profile {
        crews: (!threads_are_set).then_some(crews),
        batch: was_open(Factor::Batch).then_some(batch),
        types: was_open(Factor::Cache).then_some(types),
        guesses: was_open(Factor::Guesses).then_some(guesses),
    }
}

fn sweep(timings: &mut Timings<'_>, search: &Search, rounds: u32, report: &Report) -> Result<Swept, Ended> {
    let search_seconds = timings.seconds();
    let mut sweep = Sweep::new(search.space(), search.chosen(), rounds);
    let open = search.space().open();
    let mut seconds = 0.0;
    while let Some(trial) = sweep.next() {
        let (timing, of) = (sweep.timings() + 1, sweep.expected(rounds));
        match sweep.is_duel() {
            false => report.progress(&format!("every setting: timing {timing} of {of}")),
            true => report.progress("the fastest of all settings and the chosen one, in turn"),
        }
        let contender = |(setting, seconds): (Setting, &[f64])| Contender {
            name: setting.brief(&open),
            speeds: speeds(timings.workload(), Part::Turn, seconds),
            is_running: setting == trial.setting,
            is_out: false,
        };
        report.show(Event::Contenders(sweep.under_way().map(contender).collect()));
        let (is_duel, took) = (sweep.is_duel(), timings.time(&trial)?);
        if !is_duel {
            seconds = timings.seconds() - search_seconds;
        }
        sweep.took(took);
    }
    Ok(Swept::of(&sweep, &open, search_seconds, seconds))
}

/// Tokens per second of a part that took so long, each time.
fn speeds(workload: Workload, part: Part, seconds: &[f64]) -> Vec<f64> {
    seconds.iter().map(|seconds| speed(workload, part, *seconds)).collect()
}

/// Tokens per second of a part that took so long.
fn speed(workload: Workload, part: Part, seconds: f64) -> f64 {
    workload.tokens(part) / seconds
}
