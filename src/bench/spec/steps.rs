//! How long a step of n tokens takes, as a multiple of one: what decides whether guesses pay.

use serde::Serialize;

use super::Settings;
use crate::bench::Ended;
use crate::bench::report::Report;
use crate::bench::statistics::{deviation, mean};
use crate::bench::stream::Stream;
use crate::engine::KvTypes;
use crate::engine::lab::Lab;

/// Tokens of a step.
pub const SIZES: [usize; 12] = [2, 3, 4, 5, 6, 8, 10, 12, 16, 24, 32, 48];
const ROUNDS: usize = 5;

/// A step of so many tokens behind so many others.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub depth: u32,
    pub tokens: usize,
    /// Seconds of a single token, by the round.
    pub single: Vec<f64>,
    /// Its time as a multiple of a single token's, by the round.
    pub ratios: Vec<f64>,
}

#[derive(Serialize)]
struct Record<'a> {
    suite: &'static str,
    test: &'static str,
    n_depth: u32,
    n_tokens: usize,
    avg_single_ms: f64,
    avg_ratio: f64,
    stddev_ratio: f64,
    samples_ratio: &'a [f64],
}

/// Times all sizes at all depths, forwards and backwards in turn.
///
/// # Errors
/// If it was stopped, the model fails or a record cannot be written.
pub fn measure(lab: &Lab, settings: &Settings, report: &Report) -> Result<(), Ended> {
    let largest = SIZES.into_iter().max().unwrap_or_default() as u32;
    for depth in settings.depths.iter().copied() {
        let unit = format!("steps behind {depth}");
        if report.is_done(lab.subject(), &unit) {
            continue;
        }
        let mut rig = lab.rig(depth + 2 * largest, KvTypes::default())?;
        let text = Stream::of_all(lab, settings.seed).take(depth as usize);
        rig.fill(&text, &|done| report.progress(&format!("steps behind {depth} tokens: computing, {done} tokens")))?;
        let of = |tokens| Row { depth, tokens, single: Vec::new(), ratios: Vec::new() };
        let mut timed = SIZES.map(of);
        for round in 0..ROUNDS {
            report.progress(&format!("steps behind {depth} tokens: round {} of {ROUNDS}", round + 1));
            let mut order: Vec<usize> = (0..timed.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for place in order {
                let (single, step) = rig.time_step(timed[place].tokens)?;
                timed[place].single.push(single);
                timed[place].ratios.push(step / single);
            }
        }
        for row in timed {
            report.case(
                lab.subject(),
                &format!("step of {} behind {depth}", row.tokens),
                &Record {
                    suite: "spec",
                    test: "step",
                    n_depth: depth,
                    n_tokens: row.tokens,
                    avg_single_ms: mean(&row.single) * 1000.0,
                    avg_ratio: mean(&row.ratios),
                    stddev_ratio: deviation(&row.ratios),
                    samples_ratio: &row.ratios,
                },
            )?;
        }
        report.done(lab.subject(), &unit)?;
        report.note(&format!("steps behind {depth} tokens: done"));
    }
    Ok(())
}
