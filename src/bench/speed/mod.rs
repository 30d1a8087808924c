//! The suites that are lists of prompts and answers to be timed: `quick`, `depth`, `threads`, `sbc` and `quant`. What
//! `pp512` and `tg128` mean is what they mean to llama-bench.

mod anchor;
mod cases;
pub mod cooling;
#[cfg(test)]
mod golden;
mod model;
mod outlook;
pub mod plan;
#[cfg(test)]
mod scripted;
mod tables;
mod timing;

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use super::Ended;
use super::energy::Sampler;
use super::footprint::Footprint;
use super::live::Event;
use super::outlook::{Known, Outlook};
use super::peers::{self, Peers, Task, Which};
use super::quality;
use super::record::{Case, Run};
use super::report::{Report, base};
use super::stream::Stream;
use super::suite::{self, Measurement, Models};
use super::texts::TEXTS;
use crate::engine::lab::{Lab, Subject};
use crate::engine::protocol::CancelFlag;
use crate::hardware::bandwidth;
use crate::hardware::cores::{Cpu, this_machine};
use crate::hardware::health::Health;
use crate::hardware::meters::{Choice, Meter};
use crate::hardware::program_folders;
use crate::models::fit::Anatomy;
use crate::models::gguf;
use anchor::Anchor;
use cases::{Beside, Reads};
use cooling::CoolDown;
use plan::{Block, Kind, NamedSet};
use timing::Rounds;

#[cfg(test)]
pub use cases::tests_of;
pub use model::Model;
pub use outlook::of as outlook_of;
pub use tables::{beside, circumstances, memory, number, render, speed, title, trusted};
pub use timing::Player;

/// How long it is seen what the machine draws while it does nothing.
const IDLE: Duration = Duration::from_secs(5);

/// What is measured, and with what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    pub kind: Kind,
    pub seed: u64,
    /// Tokens of the prompt that is timed.
    pub prompt: u32,
    /// Tokens that are written one by one.
    pub written: u32,
    /// Tokens before what is timed.
    pub depths: Vec<u32>,
    /// How often each is timed.
    pub rounds: u32,
    /// Fewer rounds, but three at least, where they would take longer than this.
    pub within: Option<Duration>,
    pub cool_down: CoolDown,
    /// Threads that were asked for.
    pub threads: Option<u32>,
    #[serde(skip)]
    pub power: Choice,
    /// Sets of cores to compare, in suites that compare such.
    #[serde(skip)]
    pub sets: Vec<NamedSet>,
    /// Whether answers are judged, too.
    pub judges: bool,
    /// Other programs to measure in the same rounds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Which>,
}

impl Settings {
    fn blocks(&self, cpu: &Cpu) -> Vec<Block> {
        plan::blocks_on(&self.sets, self.kind, self.prompt, self.written, &self.depths, cpu)
    }
}

/// A list of prompts and answers.
pub struct Speed {
    pub settings: Settings,
}

impl Measurement for Speed {
    fn settings(&self) -> Map<String, Value> {
        suite::settings(&self.settings)
    }

    fn measure(&mut self, models: &Models<'_>, report: &Report) -> Result<(), Ended> {
        models.each(report, |lab| measure(lab, &self.settings, &Map::new(), models.cancel, report))
    }

    fn outlook(&self, known: &Known<'_>) -> Outlook {
        outlook::of(&self.settings, known)
    }

    fn has_speeds(&self) -> bool {
        true
    }

    fn tables(&self, run: &Run) -> String {
        render(run)
    }
}

/// Measures a model: those blocks that are not there yet. Their cases say what is `extra`, too.
///
/// # Errors
/// If it was stopped, the model fails or a record cannot be written.
pub fn measure(
    lab: &Lab,
    settings: &Settings,
    extra: &Map<String, Value>,
    cancel: &CancelFlag,
    report: &Report,
) -> Result<(), Ended> {
    let subject = lab.subject();
    let all = settings.blocks(this_machine());
    let all = within_training(all, subject, report);
    let mut base = base(subject);
    base.rest.extend(extra.clone());
    let is_there = |block: &Block| {
        block.iter().all(|item| {
            let (prompt, answer) = cases::tests(item);
            prompt.iter().chain(&answer).all(|test| report.has(&cases::key(&base, item, test)))
        })
    };
    let first = all.first().and_then(|block| block.first()).cloned();
    let (there, left): (Vec<Block>, Vec<Block>) = all.into_iter().partition(is_there);
    for case in there.iter().flatten().flat_map(called) {
        report.show(Event::Expected { cases: vec![case.clone()], repetitions: settings.rounds });
        report.show(Event::Finished { case, mean: None });
    }
    if !left.is_empty() {
        time(lab, settings, &left, first.as_ref(), &base, cancel, report)?;
    }
    if settings.judges {
        quality::measure(lab, settings.seed, report)?;
    }
    report.clear();
    Ok(())
}

fn time(
    lab: &Lab,
    settings: &Settings,
    blocks: &[Block],
    first: Option<&plan::Item>,
    base: &Case,
    cancel: &CancelFlag,
    report: &Report,
) -> Result<(), Ended> {
    let start = Health::read().celsius;
    report.progress("how fast the machine reads memory");
    let bandwidth = bandwidth::measure(lab.subject().threads as usize);
    let (sampler, power_source) = meter(&settings.power, report);
    let beside = Beside {
        base: base.clone(),
        reads: reads(lab.subject()),
        bandwidth,
        idle_watts: sampler.as_ref().and_then(|sampler| sampler.idle_watts),
        power_source,
    };
    let most = blocks.iter().flatten().chain(first).map(plan::Item::cells).max().unwrap_or_default();
    let tokens = Stream::of_all(lab, settings.seed).take(most as usize);
    let mut model = Model::new(lab, tokens, sampler.as_ref(), report)?;
    let mut anchor = Anchor::new(first.cloned(), &beside.base, report);
    let count = blocks.len();
    let within = settings.within.map(|within| within / count as u32);
    let rounds = Rounds { wanted: settings.rounds, within };
    let expected = blocks.iter().flatten().flat_map(called).collect();
    report.show(Event::Expected { cases: expected, repetitions: settings.rounds });
    for (number, block) in blocks.iter().enumerate() {
        if number > 0 {
            cooling::wait(settings.cool_down, start, report, cancel)?;
        }
        let part = if count > 1 { format!(" ({} of {count})", number + 1) } else { String::new() };
        let before = Footprint::read();
        model.take_turns_with(begin_peers(lab, settings, block, cancel, report)?);
        let samples = timing::time(&mut model, block, rounds, &telling(&part, report))?;
        let after = Footprint::read();
        for (item, samples) in block.iter().zip(&samples) {
            for case in cases::of(item, samples, &beside, before, after) {
                report.add(case)?;
            }
        }
        if let (Some(peers), Some(item), Some(samples)) = (model.take_turns_with(None), block.first(), samples.first())
        {
            add_peers(&peers, item, samples, &beside.base, report)?;
        }
        anchor.look(&mut model, number + 1 == count, report)?;
    }
    remark_on(sampler.as_ref(), report);
    Ok(())
}

/// Tells what is being timed; `part` says which of several blocks it belongs to.
fn telling(part: &str, report: &Report) -> impl Fn(&plan::Item, &timing::Samples, u32, u32) {
    move |item, samples, round, of| {
        let status = if round == 0 { "warming up".to_owned() } else { format!("round {round} of {of}") };
        let last = samples.decode.last().or(samples.prefill.last());
        let last = last.map(|speed| format!(", {speed:.1} tokens per second")).unwrap_or_default();
        report.progress(&format!("{}{part}: {status}{last}", described(item)));
        report.show(Event::Expected { cases: called(item), repetitions: of });
        report.show(Event::Began { cases: called(item) });
    }
}

/// What the cases of an item are called in a view.
fn called(item: &plan::Item) -> Vec<String> {
    let (prompt, answer) = cases::called(item);
    prompt.into_iter().chain(answer).collect()
}

/// Takes what the other programs did in the rounds of an item, beside our own speeds.
fn add_peers(
    peers: &Peers,
    item: &plan::Item,
    samples: &timing::Samples,
    base: &Case,
    report: &Report,
) -> Result<(), Ended> {
    let (prompt, answer) = cases::tests(item);
    let (prefill, decode) = (prompt.unwrap_or_default(), answer.unwrap_or_default());
    let own = peers::cases::Beside { base, prefill: (&prefill, &samples.prefill), decode: (&decode, &samples.decode) };
    for case in peers.measured().flat_map(|measured| peers::cases::of(measured, own)) {
        report.add(case)?;
    }
    Ok(())
}

/// The other programs, ready to do what the first item of a block does.
fn begin_peers(
    lab: &Lab,
    settings: &Settings,
    block: &[plan::Item],
    cancel: &CancelFlag,
    report: &Report,
) -> Result<Option<Peers>, Ended> {
    // Of the others only the beginning of a conversation can be asked.
    let Some(item) = block.first().filter(|item| item.depth == 0 && item.crews.is_none()) else { return Ok(None) };
    if settings.peers.is_empty() {
        return Ok(None);
    }
    let subject = lab.subject();
    let text = TEXTS[0].text;
    let task = Task {
        model: subject.path.clone(),
        parameters: subject.parameters,
        bytes: subject.size,
        threads: subject.threads,
        prompt: item.prompt,
        written: item.written,
        tokens: lab.tokenize(text),
        text: text.to_owned(),
    };
    report.progress("looking at the other programs");
    let mut notes = Vec::new();
    let peers = Peers::begin(&settings.peers, task, cancel, &mut notes);
    notes.iter().for_each(|note| report.note(note));
    peers.map(Some).map_err(|_| Ended::Stopped)
}

/// Measures the first item of the list again, if it was measured: what is different about it is the machine.
///
/// # Errors
/// If it was stopped, the model fails or a record cannot be written.
pub fn look_again(lab: &Lab, settings: &Settings, report: &Report) -> Result<(), Ended> {
    let Some(item) = settings.blocks(this_machine()).into_iter().flatten().next() else { return Ok(()) };
    let tokens = Stream::of_all(lab, settings.seed).take(item.cells() as usize);
    let mut model = Model::new(lab, tokens, None, report)?;
    Anchor::new(Some(item), &base(lab.subject()), report).look_now(&mut model, report)
}

/// What the machine draws is asked from now on, if something tells it; and what does, or why nothing does.
pub fn meter(power: &Choice, report: &Report) -> (Option<Sampler>, String) {
    let found = Meter::find(power, std::path::Path::new("/"), &program_folders()).and_then(|meter| {
        report.progress("what the machine draws while it does nothing");
        Sampler::start(meter, IDLE).inspect(|sampler| report.watch(sampler.watch()))
    });
    match found {
        Ok(sampler) => {
            let about = sampler.about.to_owned();
            (Some(sampler), about)
        }
        Err(sentence) => (None, sentence),
    }
}

/// Says in the end what is to be said of what told the watts.
pub fn remark_on(sampler: Option<&Sampler>, report: &Report) {
    if let Some((sampler, remark)) = sampler.and_then(|sampler| Some((sampler, sampler.remark()?))) {
        report.note(&format!("note: {}: {remark}", sampler.about));
    }
}

fn described(item: &plan::Item) -> String {
    match item.name.strip_prefix('d') {
        Some(depth) if item.task.is_none() => format!("depth {depth}"),
        _ => item.name.clone(),
    }
}

fn reads(subject: &Subject) -> Option<Reads> {
    let anatomy = Anatomy::of_header(&gguf::read_header(&subject.path).ok()?);
    Some(Reads { weights: anatomy.read_bytes(), kv_per_token: anatomy.kv_bytes_per_token as f64 })
}

/// The blocks without what is longer than the texts that the model was trained with.
fn within_training(blocks: Vec<Block>, subject: &Subject, report: &Report) -> Vec<Block> {
    let most = subject.trained_context;
    let (blocks, long): (Vec<Block>, Vec<Block>) =
        blocks.into_iter().partition(|block| outlook::fits(block, subject.trained_context));
    if !long.is_empty() {
        let is_of_depths = long.iter().flatten().all(|item| item.task.is_none());
        let names: Vec<String> = long.iter().flatten().map(|item| item.name.clone()).collect();
        let (what, names) = match is_of_depths {
            true => ("depths", names.iter().map(|name| name.trim_start_matches('d').to_owned()).collect()),
            false => ("tasks", names),
        };
        report.note(&format!(
            "note: {} was trained with texts of {most} tokens, so these {what} are left out: {}",
            subject.name,
            names.join(", ")
        ));
    }
    blocks
}
