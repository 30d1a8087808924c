//! Timing: prompts computed at once and tokens one by one, at all depths in turn, forwards and backwards, so that what
//! slows the machine down slows them all.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Reads, Results, Settings};
use crate::bench::Ended;
use crate::bench::energy::Sampler;
use crate::bench::report::Report;
use crate::bench::statistics::{Interval, deviation, mean, percentile};
use crate::bench::stream::Stream;
use crate::engine::lab::{Kept, Lab, LabError, Rig, Subject, Token};

/// Fewer rounds would say nothing of the spread.
const LEAST_ROUNDS: u32 = 3;

/// A depth and what was timed behind it, a sample for each round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Tokens before what was timed.
    pub depth: u32,
    /// Tokens per second of the prompt.
    pub prefill: Vec<f64>,
    /// Tokens per second, written one by one.
    pub decode: Vec<f64>,
    /// Milliseconds of each token that was written, of all rounds.
    pub token_ms: Vec<f64>,
    /// Joules of each token of prompts, and of each that was written, where power is told.
    pub prefill_joules: Vec<f64>,
    pub decode_joules: Vec<f64>,
    /// The speed at which tokens were written as a share of that at which memory can be read.
    pub of_bandwidth: Option<f64>,
}

/// What a record says of a prompt or of an answer. The names are llama-bench's as far as it has them.
#[derive(Serialize)]
struct Record<'a> {
    suite: &'static str,
    test: String,
    n_prompt: usize,
    n_gen: usize,
    n_depth: u32,
    avg_ts: f64,
    stddev_ts: f64,
    ci95_low_ts: Option<f64>,
    ci95_high_ts: Option<f64>,
    samples_ts: &'a [f64],
    token_ms_p5: Option<f64>,
    token_ms_p50: Option<f64>,
    token_ms_p95: Option<f64>,
    share_of_bandwidth: Option<f64>,
    bandwidth_bytes_per_second: Option<f64>,
    joules_per_token: Option<f64>,
    idle_watts: Option<f64>,
}

impl Row {
    /// How near the writing came to the speed at which memory can be read, by the bytes of a token that cannot be saved.
    pub(super) fn share_of(&self, bandwidth: f64, reads: Reads) -> Option<f64> {
        let written = self.token_ms.len().checked_div(self.decode.len())? as f64;
        let bytes = reads.weights + reads.kv_per_token * (f64::from(self.depth) + written / 2.0);
        Some(mean(&self.decode) * bytes / bandwidth)
    }

    pub(super) fn record(
        &self,
        subject: &Subject,
        settings: &Settings,
        results: &Results,
        report: &Report,
    ) -> Result<(), Ended> {
        let depth = if self.depth == 0 { String::new() } else { format!(" @ d{}", self.depth) };
        let of = |n_prompt: usize, n_gen: usize| {
            let is_prompt = n_gen == 0;
            let samples = if is_prompt { &self.prefill } else { &self.decode };
            let joules = if is_prompt { &self.prefill_joules } else { &self.decode_joules };
            let interval = Interval::of(samples);
            let token = |share| if is_prompt { None } else { percentile(&self.token_ms, share) };
            let name = if is_prompt { format!("pp{n_prompt}{depth}") } else { format!("tg{n_gen}{depth}") };
            Record {
                suite: "speed",
                test: name,
                n_prompt,
                n_gen,
                n_depth: self.depth,
                avg_ts: mean(samples),
                stddev_ts: deviation(samples),
                ci95_low_ts: interval.low(),
                ci95_high_ts: interval.high(),
                samples_ts: samples,
                token_ms_p5: token(0.05),
                token_ms_p50: token(0.5),
                token_ms_p95: token(0.95),
                share_of_bandwidth: self.of_bandwidth.filter(|_| !is_prompt),
                bandwidth_bytes_per_second: results.bandwidth,
                joules_per_token: (!joules.is_empty()).then(|| mean(joules)),
                idle_watts: results.power.idle_watts,
            }
        };
        report.record(subject, &of(settings.prompt, 0))?;
        Ok(report.record(subject, &of(0, settings.written))?)
    }
}

/// Times all depths. A first round is not counted: it brings weights into memory.
pub(super) fn time(
    mut rig: Rig<'_>,
    lab: &Lab,
    settings: &Settings,
    sampler: Option<&Sampler>,
    report: &Report,
) -> Result<Vec<Row>, Ended> {
    let Some(deepest) = settings.depths.iter().copied().max() else { return Ok(Vec::new()) };
    let timed = settings.prompt.max(settings.written) + 1;
    let tokens = Stream::of_all(lab, settings.seed).take(deepest as usize + timed);
    let mut caches: Vec<Option<Kept>> = Vec::new();
    for &depth in &settings.depths {
        let depth = depth as usize;
        rig.fill(&tokens[..depth], &|done| report.progress(&format!("depth {depth}: computing, {done} tokens")))?;
        caches.push(if depth == 0 { None } else { Some(rig.keep()?) });
    }
    let mut rows: Vec<Row> = settings.depths.iter().map(|&depth| Row { depth, ..Row::default() }).collect();
    let mut rounds = settings.rounds;
    let started = Instant::now();
    for round in 0..=settings.rounds {
        if round > rounds {
            break;
        }
        let status = if round == 0 { "warming up".to_owned() } else { format!("round {round} of {rounds}") };
        let mut order: Vec<usize> = (0..rows.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for place in order {
            let depth = rows[place].depth as usize;
            report.progress(&format!("depth {depth}: {status}{}", last_speed(&rows[place])));
            let mut timing = Timing { rig: &mut rig, sampler, cache: caches[place].as_ref() };
            let behind = &tokens[depth..];
            let decode = timing.decode(&behind[..settings.written + 1])?;
            let prefill = timing.prefill(&behind[..settings.prompt])?;
            if round > 0 {
                rows[place].add(settings, decode, prefill);
            }
        }
        if round == 0
            && let Some(within) = settings.within
        {
            let fit = within.as_secs_f64() / started.elapsed().as_secs_f64().max(1e-3);
            rounds = (fit as u32).clamp(LEAST_ROUNDS.min(settings.rounds), settings.rounds);
        }
    }
    Ok(rows)
}

/// So that somebody who watches sees something.
fn last_speed(row: &Row) -> String {
    row.decode.last().map(|speed| format!(", {speed:.1} tokens per second")).unwrap_or_default()
}

/// What a prompt or an answer took.
struct Took {
    time: Duration,
    each_ms: Vec<f64>,
    joules: Option<f64>,
}

struct Timing<'a, 'lab> {
    rig: &'a mut Rig<'lab>,
    sampler: Option<&'a Sampler>,
    /// What stands before what is timed.
    cache: Option<&'a Kept>,
}

impl Timing<'_, '_> {
    fn begin(&mut self) -> Result<(), LabError> {
        match self.cache {
            Some(cache) => self.rig.put_back(cache),
            None => self.rig.fill(&[], &|_| {}),
        }
    }

    fn prefill(&mut self, tokens: &[Token]) -> Result<Took, LabError> {
        self.begin()?;
        let started = Instant::now();
        self.rig.go_on(tokens)?;
        Ok(self.took(started, Instant::now(), Vec::new()))
    }

    /// The first token is not counted: it finds other caches of the processor.
    fn decode(&mut self, tokens: &[Token]) -> Result<Took, LabError> {
        self.begin()?;
        self.rig.go_on(&tokens[..1])?;
        let started = Instant::now();
        let (mut last, mut each_ms) = (started, Vec::with_capacity(tokens.len()));
        for token in tokens[1..].chunks(1) {
            self.rig.go_on(token)?;
            let now = Instant::now();
            each_ms.push((now - last).as_secs_f64() * 1000.0);
            last = now;
        }
        Ok(self.took(started, last, each_ms))
    }

    fn took(&self, from: Instant, to: Instant, each_ms: Vec<f64>) -> Took {
        let joules = self.sampler.and_then(|sampler| sampler.joules(from, to));
        Took { time: to - from, each_ms, joules }
    }
}

impl Row {
    fn add(&mut self, settings: &Settings, decode: Took, prefill: Took) {
        let per_second = |tokens: usize, took: &Took| tokens as f64 / took.time.as_secs_f64().max(f64::MIN_POSITIVE);
        self.prefill.push(per_second(settings.prompt, &prefill));
        self.decode.push(per_second(settings.written, &decode));
        self.prefill_joules.extend(prefill.joules.map(|joules| joules / settings.prompt as f64));
        self.decode_joules.extend(decode.joules.map(|joules| joules / settings.written as f64));
        self.token_ms.extend(decode.each_ms);
    }
}
