//! What a run is going to time, and about how long that takes: what suites say before they measure anything.

use serde::Serialize;

use crate::hardware::cores::{Cpu, Crew};
use crate::models::fit::{Curve, Speed};

/// How long a model takes here, as far as that is known beforehand.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// The suite `fit` measured it.
    Curve(Curve),
    /// Seen in answers, or predicted.
    Speed(Speed),
}

impl Pace {
    /// Seconds until so many tokens are read behind `behind`.
    pub fn reading(&self, tokens: u32, behind: u32) -> f64 {
        match self {
            Self::Curve(curve) if tokens > 0 => curve.prompt_seconds(behind.saturating_add(tokens), behind),
            Self::Curve(_) => 0.0,
            Self::Speed(speed) => f64::from(tokens) / speed.prefill.unwrap_or(speed.decode).max(f64::MIN_POSITIVE),
        }
    }

    /// Seconds until so many tokens are written behind `behind`.
    pub fn writing(&self, tokens: u32, behind: u32) -> f64 {
        match self {
            Self::Curve(curve) => curve.written_seconds(tokens, behind),
            Self::Speed(speed) => f64::from(tokens) / speed.decode.max(f64::MIN_POSITIVE),
        }
    }
}

/// What is known of a model and its machine before it is measured.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    pub cpu: &'a Cpu,
    /// Who computes if nobody else is named.
    pub usual: Crew,
    /// Tokens of context in training; 0 if nobody says.
    pub trained: u32,
    pub pace: Option<Pace>,
    /// Something tells watts, so that the idle machine is looked at first.
    pub has_power: bool,
}

impl Known<'_> {
    /// How many times as long others take than those that usually compute: by how many there are, and by the slowest of
    /// them, for which all wait.
    pub fn slower(&self, crew: &Crew) -> f64 {
        let rate = |crew: &Crew| {
            let of = self.cpu.cores.iter().filter(|core| crew.cores.is_empty() || crew.cores.contains(core.number));
            let slowest = of.map(|core| core.capacity).min().unwrap_or(1);
            f64::from(crew.threads) * f64::from(slowest)
        };
        rate(&self.usual) / rate(crew).max(f64::MIN_POSITIVE)
    }
}

/// Something that is timed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Step {
    /// What its case is called.
    pub test: String,
    /// How often, the first time apart that is not counted.
    pub rounds: u32,
    pub n_prompt: u32,
    pub n_gen: u32,
    pub n_depth: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub n_threads: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<String>,
}

/// All that is timed of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Outlook {
    pub steps: Vec<Step>,
    /// About how long all of it takes, loading and cooling down apart; `None` where that is not known.
    pub seconds: Option<f64>,
    /// Why it is not as somebody might expect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// `40 s`, `2:10 minutes`, `1:05 hours`.
pub fn lasting(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0..90 => format!("{} s", whole.max(1)),
        90..3600 => format!("{}:{:02} minutes", whole / 60, whole % 60),
        _ => format!("{}:{:02} hours", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_what_people_wait_in() {
        assert_eq!([0.2, 89.4, 130.0, 3900.0].map(lasting), ["1 s", "89 s", "2:10 minutes", "1:05 hours"]);
    }

    #[test]
    fn a_curve_knows_that_what_is_deep_takes_longer_and_speeds_do_not() {
        let curve = Curve { prompt_square_seconds: 0.001, written_place_seconds: 0.01, ..Curve::default() };
        let pace = Pace::Curve(curve);
        assert!((pace.reading(10, 0) - 0.1).abs() < 1e-9 && (pace.reading(10, 10) - 0.3).abs() < 1e-9);
        assert!(pace.writing(2, 100) > 10.0 * pace.writing(2, 0));
        let pace = Pace::Speed(Speed { decode: 5.0, prefill: Some(50.0) });
        assert_eq!((pace.reading(100, 9), pace.writing(10, 9)), (2.0, 2.0));
    }
}
