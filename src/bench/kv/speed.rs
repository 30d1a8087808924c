//! Speed and size at depth: how fast prompts are computed and answers written behind a text of so many tokens, and what
//! its cache takes. All policies are timed in turn, forwards and backwards, so that what slows the machine down slows
//! them all.

use std::rc::Rc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::policy::{Budget, Policy};
use super::{Rigs, Settings};
use crate::bench::Ended;
use crate::bench::report::Report;
use crate::bench::statistics::{deviation, mean};
use crate::bench::stream::Stream;
use crate::engine::KvType;
use crate::engine::lab::{Kept, Lab, LabError, Rig, Token};

/// Tokens of a prompt that is timed.
pub const PROMPT: usize = 128;
/// Tokens that are written one by one.
pub const WRITTEN: usize = 32;
const ROUNDS: usize = 4;

/// What was timed, in the order in which it was.
#[derive(Clone, Debug, Default)]
pub struct Speeds {
    rows: Vec<Row>,
}

/// A policy with a budget at a depth.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub policy: Policy,
    pub budget: Budget,
    /// Tokens before what was timed.
    pub depth: u32,
    /// Of the cache before what was timed.
    pub cells: usize,
    pub bytes: u64,
    /// Tokens per second, a sample for each round.
    pub prefill: Vec<f64>,
    pub decode: Vec<f64>,
}

impl Speeds {
    /// The row of the same policy, budget and depth; this one if there is none yet.
    pub fn row(&mut self, row: Row) -> &mut Row {
        let is_same = |other: &Row| (other.policy, other.budget, other.depth) == (row.policy, row.budget, row.depth);
        let place = self.rows.iter().position(is_same).unwrap_or_else(|| {
            self.rows.push(row);
            self.rows.len() - 1
        });
        &mut self.rows[place]
    }

    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The whole cache in 16 bits at this depth.
    pub fn full(&self, depth: u32) -> Option<&Row> {
        self.rows.iter().find(|row| row.depth == depth && row.policy == Policy::Full)
    }
}

#[derive(Serialize)]
struct Record<'a> {
    suite: &'static str,
    test: &'static str,
    policy: Policy,
    budget_percent: Budget,
    type_k: KvType,
    type_v: KvType,
    n_prompt: usize,
    n_gen: usize,
    n_depth: u32,
    n_cells: usize,
    kv_bytes: u64,
    avg_ts: f64,
    stddev_ts: f64,
    samples_ts: &'a [f64],
}

/// A line that is being timed: whose rig it uses, and with which cache.
struct Contestant {
    rig: usize,
    cache: Option<Rc<Kept>>,
    row: Row,
}

/// Times all policies at all depths.
///
/// # Errors
/// If it was stopped, the model fails or a record cannot be written.
pub fn measure(lab: &Lab, settings: &Settings, report: &Report) -> Result<(), Ended> {
    let Some(deepest) = settings.depths.iter().copied().max() else { return Ok(()) };
    let cells = deepest + (PROMPT + WRITTEN) as u32;
    let mut rigs = Rigs::make(lab, &settings.policies, cells, report)?;
    let tokens = Stream::of_all(lab, settings.seed).take(cells as usize + 1);
    let mut wholes = Vec::new();
    for depth in settings.depths.iter().copied() {
        let unit = format!("speed at depth {depth}");
        if report.is_done(lab.subject(), &unit) {
            continue;
        }
        let prompt = &tokens[..depth as usize];
        wholes = fill(&mut rigs, &wholes, report, prompt)?;
        let mut contestants = line_up(&mut rigs, &wholes, settings, prompt)?;
        for round in 0..ROUNDS {
            report.progress(&format!("speed at depth {depth}: round {} of {ROUNDS}", round + 1));
            let mut order: Vec<usize> = (0..contestants.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for place in order {
                let Contestant { rig, cache, row } = &mut contestants[place];
                let Some((_, rig)) = rigs.iter_mut().nth(*rig) else { continue };
                set_up(rig, cache.as_deref(), row)?;
                row.decode.push(time_decode(rig, &tokens[depth as usize..])?);
                set_up(rig, cache.as_deref(), row)?;
                row.prefill.push(time_prefill(rig, &tokens[depth as usize..])?);
            }
        }
        for contestant in contestants {
            record(lab, report, &contestant.row)?;
        }
        report.done(lab.subject(), &unit)?;
        report.note(&format!("speed at depth {depth}: done"));
    }
    Ok(())
}

/// What the rigs hold before anything is evicted; an empty cache cannot be copied, and need not be.
type Wholes = Vec<Option<Rc<Kept>>>;

/// Fills the rigs up to this depth, going on from the one before.
fn fill(rigs: &mut Rigs<'_>, before: &Wholes, report: &Report, prompt: &[Token]) -> Result<Wholes, LabError> {
    let mut wholes = Vec::new();
    for (index, (_, rig)) in rigs.iter_mut().enumerate() {
        if let Some(Some(whole)) = before.get(index) {
            rig.put_back(whole)?;
        }
        let depth = prompt.len();
        rig.fill(prompt, &|done| report.progress(&format!("speed at depth {depth}: computing, {done} tokens")))?;
        wholes.push(if prompt.is_empty() { None } else { Some(Rc::new(rig.keep()?)) });
    }
    Ok(wholes)
}

/// Compresses the caches.
fn line_up(
    rigs: &mut Rigs<'_>,
    wholes: &Wholes,
    settings: &Settings,
    prompt: &[Token],
) -> Result<Vec<Contestant>, LabError> {
    let mut contestants = Vec::new();
    for (index, ((policies, rig), whole)) in rigs.iter_mut().zip(wholes).enumerate() {
        for policy in policies {
            for budget in policy.budgets(&settings.budgets) {
                let cache = match whole {
                    Some(whole) if policy.evicts() => {
                        rig.put_back(whole)?;
                        rig.evict_to(policy.evict(), budget.cells(prompt.len()))?;
                        Some(Rc::new(rig.keep()?))
                    }
                    whole => whole.clone(),
                };
                let row = Row {
                    policy: *policy,
                    budget,
                    depth: prompt.len() as u32,
                    cells: cache.as_ref().map_or(0, |cache| cache.cells()),
                    bytes: cache.as_ref().map_or(0, |cache| cache.bytes() as u64),
                    prefill: Vec::new(),
                    decode: Vec::new(),
                };
                contestants.push(Contestant { rig: index, cache, row });
            }
        }
    }
    Ok(contestants)
}

fn set_up(rig: &mut Rig<'_>, cache: Option<&Kept>, row: &Row) -> Result<(), LabError> {
    match cache {
        Some(cache) => rig.put_back(cache)?,
        None => rig.fill(&[], &|_| {})?,
    }
    rig.limit(super::limits(row.policy, row.cells, false));
    Ok(())
}

/// Tokens per second, of a prompt computed at once.
fn time_prefill(rig: &mut Rig<'_>, tokens: &[Token]) -> Result<f64, LabError> {
    let started = Instant::now();
    rig.go_on(&tokens[..PROMPT])?;
    Ok(per_second(PROMPT, started.elapsed()))
}

/// Tokens per second, computed one by one. The first is not counted: it finds other caches of the processor.
fn time_decode(rig: &mut Rig<'_>, tokens: &[Token]) -> Result<f64, LabError> {
    rig.go_on(&tokens[..1])?;
    let started = Instant::now();
    for token in tokens[1..].chunks(1).take(WRITTEN) {
        rig.go_on(token)?;
    }
    Ok(per_second(WRITTEN, started.elapsed()))
}

fn per_second(tokens: usize, elapsed: Duration) -> f64 {
    tokens as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
}

fn record(lab: &Lab, report: &Report, row: &Row) -> Result<(), Ended> {
    for (n_prompt, n_gen, samples) in [(PROMPT, 0, &row.prefill), (0, WRITTEN, &row.decode)] {
        let record = Record {
            suite: "kv",
            test: "speed",
            policy: row.policy,
            budget_percent: row.budget,
            type_k: row.policy.types().k,
            type_v: row.policy.types().v,
            n_prompt,
            n_gen,
            n_depth: row.depth,
            n_cells: row.cells,
            kv_bytes: row.bytes,
            avg_ts: mean(samples),
            stddev_ts: deviation(samples),
            samples_ts: samples,
        };
        let part = if n_prompt > 0 { "prompt" } else { "answer" };
        let key = format!("speed at depth {}, {} {}, {part}", row.depth, row.policy, row.budget);
        report.case(lab.subject(), &key, &record)?;
    }
    Ok(())
}
