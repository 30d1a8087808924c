//! What a run keeps of a search: what was tried, what was chosen, and what a sweep says of that.

use serde::Serialize;

use super::search::{Heat, Search};
use super::setting::{Level, Part, Setting, Workload};
use super::speed;
use super::sweep::Sweep;
use crate::bench::statistics::{Interval, mean};

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
        search.heats().iter().flat_map(|heat| Self::of_heat(heat, search.chosen(), workload)).collect()
    }

    fn of_heat(heat: &Heat, chosen: Setting, workload: Workload) -> Vec<Self> {
        let factor = heat.factor();
        let part = factor.part();
        let of = |(place, level): (usize, &Level)| {
            let seconds = heat.race.seconds(place);
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
                tokens_per_second: speed(workload, part, mean(seconds)),
                samples_seconds: seconds.to_vec(),
                ratio: heat.race.ratio(place, 0).into(),
                is_usual: place == 0,
                is_chosen: chosen.with(*level) == chosen,
                is_out: heat.race.is_out(place),
                is_only_told: factor.is_only_told(),
            }
        };
        heat.levels.iter().enumerate().map(of).collect()
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
    timings: usize,
    seconds: f64,
    is_disturbed: bool,
    is_remembered: bool,
}

impl Choice {
    pub fn of(search: &Search, workload: Workload, speeds: Option<(f64, f64)>) -> Self {
        let chosen = search.chosen();
        let is_usual = chosen == search.space().usual;
        let ratio = search.proof().filter(|_| !is_usual).map(|proof| proof.ratio(1, 0).into());
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
            fell_back: is_usual && search.proof().is_some(),
            ratio: ratio.unwrap_or(same),
            prefill_tokens_per_second: speeds.map(|(prefill, _)| prefill),
            decode_tokens_per_second: speeds.map(|(_, decode)| decode),
            set: set.map(|level| format!("{}: {}", set_title(level), level.words())).collect(),
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
    seconds: f64,
    /// What the search took of that.
    search_part: f64,
    is_the_choice: bool,
    /// `decode 2, prefill 2, batch 512, kv f16, spec on`.
    best: String,
    #[serde(flatten)]
    ratio: Ratio,
}

impl Swept {
    pub fn of(sweep: &Sweep, search_seconds: f64, seconds: f64) -> Self {
        let same = Ratio { ratio: 1.0, ratio_ci95_low: None, ratio_ci95_high: None };
        Self {
            test: SWEEP,
            combinations: sweep.settings(),
            timings: sweep.timings(),
            seconds,
            search_part: search_seconds / seconds,
            is_the_choice: sweep.ratio().is_none(),
            best: words(&sweep.best()),
            ratio: sweep.ratio().map_or(same, Ratio::from),
        }
    }
}

/// A whole setting in words.
fn words(setting: &Setting) -> String {
    let levels = [
        Level::Decode(setting.crews.decode),
        Level::Prefill(setting.crews.prefill),
        Level::Batch(setting.batch),
        Level::Cache(setting.types),
        Level::Guesses(setting.guesses),
    ];
    levels.map(|level| format!("{} {}", level.factor().title(), level.words())).join(", ")
}
