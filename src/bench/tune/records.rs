//! What a run keeps of a search: what was tried, what was chosen, and what a sweep says of that.

use serde::Serialize;

use super::search::{Heat, Search};
use super::setting::{Factor, Level, Part, REPEATED, Setting, Workload};
use super::speed;
use super::sweep::Sweep;
use crate::bench::statistics::{Interval, faster_half};

/// The tests of the cases.
pub const TRIED: &str = "tune";
pub const CHOICE: &str = "choice";
pub const SWEEP: &str = "exhaustive";

/// How many times as fast, with the interval of 95 %.
#[derive(Serialize)]
struct Ratio {
    ratio: f64,
    ratio_ci95_low: Option<f64>,
    ratio_ci95_high: Option<f64>,
}

impl From<Interval> for Ratio {
    fn from(interval: Interval) -> Self {
        Self { ratio: interval.middle, ratio_ci95_low: interval.low(), ratio_ci95_high: interval.high() }
    }
}

/// One way to set one thing. The ratio is to the usual one.
#[derive(Serialize)]
pub struct Tried {
    test: &'static str,
    /// `decode_threads`, `prefill_threads`, `batch`, `kv`, `spec`, `flash_attention`.
    factor: &'static str,
    title: &'static str,
    level: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tried_threads: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cores: Option<String>,
    n_prompt: u32,
    n_gen: u32,
    tokens_per_second: f64,
    samples_seconds: Vec<f64>,
    #[serde(flatten)]
    ratio: Ratio,
    is_usual: bool,
    is_chosen: bool,
    /// It had clearly lost, and was timed no further.
    is_out: bool,
    is_only_told: bool,
}

impl Tried {
    pub fn all(search: &Search, workload: Workload) -> Vec<Self> {
        Factor::ALL.into_iter().flat_map(|factor| Self::of_factor(search, factor, workload)).collect()
    }

    /// Each level of a factor as it was timed last, beside the usual one.
    fn of_factor(search: &Search, factor: Factor, workload: Workload) -> Vec<Self> {
        let (chosen, levels) = (search.chosen(), search.space().levels(factor));
        let heats = || search.heats().iter().filter(|heat| heat.factors.contains(&factor));
        let of = |level: &Level| {
            heats().rev().find_map(|heat| {
                let place = heat.with_level(*level, &chosen)?;
                // The usual one is of use only beside another.
                let has_others = heat.contenders.iter().any(|it| it.level(factor) != levels[0]);
                let usual = heat.with_level(levels[0], &heat.contenders[place])?;
                has_others.then(|| Self::of(heat, [place, usual], *level, &chosen, workload))
            })
        };
        levels.iter().filter_map(of).collect()
    }

    fn of(heat: &Heat, [place, usual]: [usize; 2], level: Level, chosen: &Setting, workload: Workload) -> Self {
        let (factor, part, seconds) = (level.factor(), heat.part, heat.race.seconds(place));
        let crew = match level {
            Level::Decode(crew) | Level::Prefill(crew) => Some(crew),
            _ => None,
        };
        Self {
            test: TRIED,
            factor: factor.key(),
            title: factor.title(),
            level: level.words(),
            tried_threads: crew.map(|crew| crew.threads),
            cores: crew.map(|crew| crew.cores.to_string()),
            n_prompt: if part == Part::Answer { 0 } else { workload.prompt },
            n_gen: if part == Part::Prompt { 0 } else { workload.answer },
            tokens_per_second: speed(workload, part, faster_half(seconds)),
            samples_seconds: seconds.to_vec(),
            ratio: heat.race.ratio(place, usual).into(),
            is_usual: place == usual,
            is_chosen: chosen.level(factor) == level,
            is_out: heat.race.is_out(place),
            is_only_told: factor.is_only_told(),
        }
    }

    pub fn key(&self) -> String {
        format!("{}: {}", self.title, self.level)
    }
}

/// What was chosen, and how it is beside the usual setting.
#[derive(Serialize)]
pub struct Choice {
    test: &'static str,
    decode_threads: u32,
    decode_cores: String,
    prefill_threads: u32,
    prefill_cores: String,
    batch: u32,
    type_k: &'static str,
    type_v: &'static str,
    spec: bool,
    n_prompt: u32,
    n_gen: u32,
    is_usual: bool,
    /// Something else looked better, but not as a whole.
    fell_back: bool,
    #[serde(flatten)]
    ratio: Ratio,
    prefill_tokens_per_second: Option<f64>,
    decode_tokens_per_second: Option<f64>,
    /// What somebody has set.
    set: Vec<String>,
    /// More tokens at once than this could not be told apart, since no longer prompt was timed.
    #[serde(skip_serializing_if = "Option::is_none")]
    untold_batches: Option<u32>,
    /// Of an answer, where guesses are taken to be right.
    #[serde(skip_serializing_if = "Option::is_none")]
    repeated_part: Option<f64>,
    timings: usize,
    seconds: f64,
    is_disturbed: bool,
    is_remembered: bool,
}

impl Choice {
    pub fn of(search: &Search, workload: Workload, speeds: Option<(f64, f64)>) -> Self {
        let chosen = search.chosen();
        let is_usual = chosen == search.space().usual;
        let turns = search.turns().filter(|_| !is_usual);
        let place = |heat: &Heat| heat.contenders.iter().position(|it| *it == chosen);
        let ratio = turns.and_then(|heat| Some(heat.race.ratio(place(heat)?, 0).into()));
        let same = Ratio { ratio: 1.0, ratio_ci95_low: None, ratio_ci95_high: None };
        let set = search.space().set.iter();
        Self {
            test: CHOICE,
            decode_threads: chosen.crews.decode.threads,
            decode_cores: chosen.crews.decode.cores.to_string(),
            prefill_threads: chosen.crews.prefill.threads,
            prefill_cores: chosen.crews.prefill.cores.to_string(),
            batch: chosen.batch,
            type_k: chosen.types.k.as_str(),
            type_v: chosen.types.v.as_str(),
            spec: chosen.guesses,
            n_prompt: workload.prompt,
            n_gen: workload.answer,
            is_usual,
            fell_back: is_usual && search.looked_better(),
            ratio: ratio.unwrap_or(same),
            prefill_tokens_per_second: speeds.map(|(prefill, _)| prefill),
            decode_tokens_per_second: speeds.map(|(_, decode)| decode),
            set: set.map(|level| format!("{}: {}", set_title(level), level.words())).collect(),
            untold_batches: (search.space().usual.batch > workload.prompt).then_some(workload.prompt),
            repeated_part: (search.space().levels(Factor::Guesses).len() > 1).then_some(REPEATED),
            timings: search.timings(),
            seconds: 0.0,
            is_disturbed: false,
            is_remembered: false,
        }
    }

    /// With what became of it.
    pub fn measured(self, seconds: f64, is_disturbed: bool, is_remembered: bool) -> Self {
        Self { seconds, is_disturbed, is_remembered, ..self }
    }
}

fn set_title(level: &Level) -> &'static str {
    match level {
        Level::Decode(_) | Level::Prefill(_) => "threads",
        other => other.factor().title(),
    }
}

/// The best of all settings. The ratio is to the chosen one.
#[derive(Serialize)]
pub struct Swept {
    test: &'static str,
    combinations: usize,
    timings: usize,
    /// What all of them took once each for each round, without the duel at the end.
    seconds: f64,
    /// What the search took of that.
    search_part: f64,
    is_the_choice: bool,
    /// `threads for answers 2, tokens at once 512, KV cache f16, guessing tokens on`.
    best: String,
    #[serde(flatten)]
    ratio: Ratio,
    /// How much longer the chosen one takes than the best, as a part.
    loss: f64,
}

impl Swept {
    pub fn of(sweep: &Sweep, open: &[Factor], search_seconds: f64, seconds: f64) -> Self {
        let (best, ratio) = sweep.best();
        Self {
            test: SWEEP,
            combinations: sweep.settings(),
            timings: sweep.timings(),
            seconds,
            search_part: search_seconds / seconds,
            is_the_choice: sweep.is_the_choice(),
            best: best.words(open),
            ratio: ratio.into(),
            loss: ratio.middle - 1.0,
        }
    }
}
