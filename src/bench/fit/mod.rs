//! The suite `fit`: how long a prompt and an answer of any length take here, as a curve through a few that are timed
//! ([`Curve`]). Some are timed as well and not shown to the curve, so that it is known how far it can be trusted.

mod steps;
mod tables;

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::bench::Ended;
use crate::bench::draw::Draw;
use crate::bench::outlook::{Known, Outlook, Pace, Step};
use crate::bench::record::Run;
use crate::bench::report::Report;
use crate::bench::statistics::percentile;
use crate::bench::stream::Stream;
use crate::bench::suite::{self, Measurement, Models};
use crate::engine::KvTypes;
use crate::engine::lab::Lab;
use crate::models::fit::{Curve, Timed};

use steps::{Reference, Steps, median, undisturbed};
pub use tables::render;

/// The case of the curve itself.
const CURVE: &str = "curve";
/// Tokens of the prompts and answers that the curve is laid through.
const SHOWN: [(u32, u32); 12] = [
    (32, 16),
    (32, 64),
    (64, 32),
    (128, 16),
    (128, 64),
    (192, 32),
    (256, 16),
    (256, 64),
    (384, 48),
    (512, 16),
    (768, 64),
    (1024, 32),
];
/// Of those that it is tried on.
const UNSEEN: [(u32, u32); 5] = [(48, 40), (160, 24), (320, 56), (448, 20), (640, 40)];
/// What is timed first, to know how long the others may be.
const WARM_UP: (u32, u32) = (128, 8);
/// llama.cpp computes shorter prompts in another way.
const LEAST_PROMPT: u32 = 32;
const LEAST_ANSWER: u32 = 8;
/// All pairs together should take no longer; where they would, they are shorter.
const ROUND: Duration = Duration::from_secs(40);
/// Were all short, nothing would be known of long ones.
const LEAST_PART: f64 = 0.15;
/// Fewer rounds would not tell a hiccup from the rest.
pub const LEAST_ROUNDS: u32 = 3;
/// A curve that is further off in the middle is not remembered: something else was computing.
const TRUSTED: f64 = 0.1;

/// What is measured, and with what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    pub seed: u64,
    /// How often each pair is timed.
    pub rounds: u32,
    pub threads: Option<u32>,
}

/// The suite.
pub struct Fit {
    pub settings: Settings,
}

/// What the case of a pair says of it, and how far it was off.
#[derive(Serialize)]
struct Pair {
    test: String,
    n_prompt: u32,
    n_gen: u32,
    /// Undisturbed.
    prompt_seconds: f64,
    written_seconds: f64,
    /// Both, with whatever interfered.
    median_seconds: f64,
    predicted_seconds: f64,
    was_shown: bool,
}

/// A pair that was timed.
struct Measured {
    timed: Timed,
    median_seconds: f64,
}

/// What the case of the curve says.
#[derive(Serialize)]
struct Whole<'a> {
    test: &'static str,
    #[serde(flatten)]
    curve: &'a Curve,
    median_error: Option<f64>,
    is_remembered: bool,
}

impl Measurement for Fit {
    fn settings(&self) -> Map<String, Value> {
        suite::settings(&self.settings)
    }

    fn measure(&mut self, models: &Models<'_>, report: &Report) -> Result<(), Ended> {
        models.each(report, |lab| measure(lab, &self.settings, report))
    }

    fn outlook(&self, known: &Known<'_>) -> Outlook {
        let rounds = self.settings.rounds;
        let all: Vec<(u32, u32)> = SHOWN.iter().chain(&UNSEEN).copied().collect();
        let took = |pace: Pace| Timed {
            prompt: WARM_UP.0,
            written: WARM_UP.1,
            prompt_seconds: pace.reading(WARM_UP.0, 0),
            written_seconds: pace.writing(WARM_UP.1, WARM_UP.0),
        };
        let pairs = scaled(&all, known.pace.map_or(1.0, |pace| scale(&took(pace))), known.trained);
        let step = |(n_prompt, n_gen): &(u32, u32)| Step {
            test: format!("pp{n_prompt}+tg{n_gen}"),
            rounds,
            n_prompt: *n_prompt,
            n_gen: *n_gen,
            ..Step::default()
        };
        let seconds = known.pace.map(|pace| {
            let one = |(prompt, written): &(u32, u32)| pace.reading(*prompt, 0) + 2.0 * pace.writing(*written, *prompt);
            pairs.iter().map(one).sum::<f64>() * f64::from(rounds)
        });
        Outlook { steps: pairs.iter().map(step).collect(), seconds, ..Outlook::default() }
    }

    fn tables(&self, run: &Run) -> String {
        render(run)
    }
}

fn measure(lab: &Lab, settings: &Settings, report: &Report) -> Result<(), Ended> {
    if report.is_done(lab.subject(), CURVE) {
        return Ok(());
    }
    let (shown, unseen) = time_all(lab, settings, report)?;
    let timed: Vec<Timed> = shown.iter().map(|pair| pair.timed).collect();
    let Some(curve) = Curve::through(&timed) else { return Ok(()) };
    let pairs = shown.iter().map(|pair| (pair, true)).chain(unseen.iter().map(|pair| (pair, false)));
    for pair in pairs.map(|(measured, was_shown)| Pair::of(measured, &curve, was_shown)) {
        report.case(lab.subject(), &pair.test, &pair)?;
    }
    let errors: Vec<f64> = unseen.iter().map(|pair| off_by(&curve, &pair.timed)).collect();
    let median_error = percentile(&errors, 0.5);
    let is_remembered = median_error.is_some_and(|error| error <= TRUSTED) && lab.remember_curve(&curve);
    report.case(lab.subject(), CURVE, &Whole { test: CURVE, curve: &curve, median_error, is_remembered })?;
    Ok(report.done(lab.subject(), CURVE)?)
}

/// Times all pairs, those that the curve is laid through and those that it is tried on.
fn time_all(lab: &Lab, settings: &Settings, report: &Report) -> Result<(Vec<Measured>, Vec<Measured>), Ended> {
    let most = |pairs: &[(u32, u32)]| pairs.iter().map(|(prompt, written)| prompt + written).max().unwrap_or_default();
    let longest = most(&SHOWN).max(most(&UNSEEN));
    let mut rig = lab.rig(longest + 1, KvTypes::default())?;
    let tokens = Stream::of_all(lab, settings.seed).take(longest as usize);
    let mut reference = Reference::new(lab, &tokens)?;
    report.progress("warming up");
    let (prompt, written) = WARM_UP;
    Steps::time(&mut rig, &mut reference, &tokens, prompt, written)?;
    let warmed_up = [Steps::time(&mut rig, &mut reference, &tokens, prompt, written)?];
    let warmed_up = undisturbed(&warmed_up, reference.undisturbed().unwrap_or_default(), prompt, written);
    let part = warmed_up.map_or(1.0, |warmed_up| scale(&warmed_up));
    let trained = lab.subject().trained_context;
    let [shown, unseen] = [&SHOWN[..], &UNSEEN[..]].map(|pairs| scaled(pairs, part, trained));
    let pairs: Vec<(u32, u32)> = shown.iter().chain(&unseen).copied().collect();
    let rounds = settings.rounds;
    let mut all: Vec<Vec<Steps>> = vec![Vec::new(); pairs.len()];
    let mut draw = Draw::new(settings.seed, 1);
    for round in 1..=rounds {
        // In any order, so that what slows the machine down for a while does not slow neighbours down.
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        draw.shuffle(&mut order);
        for place in order {
            let (prompt, written) = pairs[place];
            report.progress(&format!("round {round} of {rounds}: a prompt of {prompt}, an answer of {written}"));
            all[place].push(Steps::time(&mut rig, &mut reference, &tokens, prompt, written)?);
        }
    }
    let a_reference = reference.undisturbed().unwrap_or_default();
    let measured = |((prompt, written), runs): (&(u32, u32), &Vec<Steps>)| {
        let timed = undisturbed(runs, a_reference, *prompt, *written)?;
        Some(Measured { timed, median_seconds: median(runs)? })
    };
    let mut shown: Vec<Measured> = pairs.iter().zip(&all).filter_map(measured).collect();
    let unseen = shown.split_off(SHOWN.len().min(shown.len()));
    Ok((shown, unseen))
}

fn seconds(run: &Timed) -> f64 {
    run.prompt_seconds + run.written_seconds
}

/// How far the curve is off, as a part of what was measured.
fn off_by(curve: &Curve, run: &Timed) -> f64 {
    (curve.seconds(run.prompt, run.written) / seconds(run) - 1.0).abs()
}

impl Pair {
    fn of(measured: &Measured, curve: &Curve, was_shown: bool) -> Self {
        let Timed { prompt, written, prompt_seconds, written_seconds } = measured.timed;
        Self {
            test: format!("pp{prompt}+tg{written}"),
            n_prompt: prompt,
            n_gen: written,
            prompt_seconds,
            written_seconds,
            median_seconds: measured.median_seconds,
            predicted_seconds: curve.seconds(prompt, written),
            was_shown,
        }
    }
}

/// The part of their lengths that the pairs may have, if a prompt and an answer took so long. The reference beside each
/// token of an answer takes about as long again.
fn scale(warmed_up: &Timed) -> f64 {
    let per_prompt_token = warmed_up.prompt_seconds / f64::from(warmed_up.prompt);
    let per_token = 2.0 * warmed_up.written_seconds / f64::from(warmed_up.written);
    let pairs = SHOWN.iter().chain(&UNSEEN);
    let round: f64 =
        pairs.map(|(prompt, written)| f64::from(*prompt) * per_prompt_token + f64::from(*written) * per_token).sum();
    (ROUND.as_secs_f64() / round.max(f64::MIN_POSITIVE)).clamp(LEAST_PART, 1.0)
}

/// The pairs with this part of their lengths, as far as the model was trained with such.
fn scaled(pairs: &[(u32, u32)], part: f64, trained: u32) -> Vec<(u32, u32)> {
    let of = |tokens: u32, least: u32| ((f64::from(tokens) * part) as u32).max(least);
    let scaled = pairs.iter().map(|(prompt, written)| (of(*prompt, LEAST_PROMPT), of(*written, LEAST_ANSWER)));
    scaled
        .map(|(prompt, written)| {
            if trained == 0 { (prompt, written) } else { (prompt.min(trained.saturating_sub(written).max(1)), written) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::cores::{Cpu, Crew};
    use crate::models::fit::Speed;

    #[test]
    fn what_is_going_to_be_timed_is_told_as_long_as_it_will_be() {
        let fit = Fit { settings: Settings { seed: 1, rounds: 5, threads: None } };
        let outlook = |pace| {
            let (usual, cpu) = (Crew::anywhere(2), Cpu::default());
            fit.outlook(&Known { cpu: &cpu, usual, trained: 0, pace, has_power: false })
        };
        let longest = |outlook: &Outlook| outlook.steps.iter().map(|step| step.n_prompt).max();
        assert_eq!((longest(&outlook(None)), outlook(None).seconds), (Some(1024), None));
        let slow = outlook(Some(Pace::Speed(Speed { prefill: Some(50.0), decode: 10.0 })));
        assert!(longest(&slow) < Some(500), "{slow:?}");
        assert!(slow.seconds.unwrap() > 4.0 * ROUND.as_secs_f64(), "{slow:?}");
    }

    #[test]
    fn slow_machines_are_given_shorter_prompts_and_answers() {
        let took =
            |prompt_seconds, written_seconds| Timed { prompt: 100, written: 10, prompt_seconds, written_seconds };
        assert_eq!(scale(&took(0.1, 0.1)), 1.0);
        assert_eq!(scale(&took(10.0, 5.0)), LEAST_PART);
        let part = scale(&took(2.0, 0.5));
        let pairs = scaled(&SHOWN, part, 0);
        let seconds: f64 =
            SHOWN.iter().chain(&UNSEEN).map(|(p, o)| (f64::from(*p) * 0.02 + f64::from(*o) * 0.1) * part).sum();
        assert!((seconds - ROUND.as_secs_f64()).abs() < 1e-6, "{seconds}");
        assert!(pairs.iter().all(|(prompt, written)| *prompt >= LEAST_PROMPT && *written >= LEAST_ANSWER));
        assert!(pairs.iter().any(|(prompt, _)| *prompt > 2 * LEAST_PROMPT));
        assert!(scaled(&SHOWN, 1.0, 256).iter().all(|(prompt, written)| prompt + written <= 256));
    }
}
