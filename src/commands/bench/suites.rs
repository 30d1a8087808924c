//! From what was typed to the suite that is meant.

use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;

use crate::bench::cold::{self, Cold};
use crate::bench::fit::{self, Fit};
use crate::bench::kv::{self, Budget, Kv, Part, Policy};
use crate::bench::quant::Quant;
use crate::bench::soak::{self, Soak};
use crate::bench::spec::{self, Class, Spec, Way};
use crate::bench::speed::plan::{Kind, NamedSet};
use crate::bench::speed::{self, Speed};
use crate::bench::suite::Measurement;
use crate::bench::tune::{self, Tune};
use crate::cli::{BenchCommand, Suite, Tokens};
use crate::config::Probability;
use crate::engine::lab::Format;
use crate::engine::protocol::{LoadSettings, Speculate};

const USUAL_LENGTHS: [u32; 3] = [2048, 4096, 8192];
const USUAL_DEPTHS: [u32; 6] = [0, 1024, 2048, 4096, 8192, 16_384];
const USUAL_CASES: u32 = 40;
/// Of the suite `spec`.
const USUAL_STEP_DEPTHS: [u32; 2] = [256, 2048];
const USUAL_TASKS: u32 = 1;
const USUAL_ROUNDS: u32 = 2;
/// Of the suites that time prompts and answers.
const USUAL_TIMINGS: u32 = 5;
/// Of the suite `quant`.
const USUAL_FORMATS: [Format; 5] = [Format::Q8_0, Format::Q6K, Format::Q5KM, Format::Q4KM, Format::Q4_0];
/// Of the suite `soak`.
const USUAL_MINUTES: u32 = 10;
/// The suite `quick` takes two minutes at most, loading included, where the model is not very slow.
const QUICK: Duration = Duration::from_secs(90);

/// The suite that the command names, for these models, on these sets of cores if some were asked for. What it has to write
/// it writes into `cache`; `guesses` is what is set about guessing tokens.
pub fn of(
    command: BenchCommand,
    models: &[LoadSettings],
    sets: Vec<NamedSet>,
    cache: &Path,
    guesses: Speculate,
) -> Box<dyn Measurement> {
    let of_speed = |command, kind, threads| speed::Settings { sets, ..speed_settings(command, kind, threads) };
    let threads = models.first().and_then(|model| model.threads);
    match command.suite {
        _ if command.tune => {
            let rounds = command.rounds.unwrap_or(USUAL_TIMINGS);
            Box::new(Tune { settings: tune::Settings { exhaustive: command.exhaustive, rounds, spec: guesses } })
        }
        Suite::Kv => Box::new(Kv { settings: kv_settings(command) }),
        Suite::Spec => Box::new(Spec { settings: spec_settings(command) }),
        Suite::Quick => Box::new(Speed { settings: of_speed(command, Kind::Quick, threads) }),
        Suite::Depth => Box::new(Speed { settings: of_speed(command, Kind::Depth, threads) }),
        Suite::Threads => Box::new(Speed { settings: of_speed(command, Kind::Threads, threads) }),
        Suite::Sbc => Box::new(Speed { settings: of_speed(command, Kind::Sbc, threads) }),
        Suite::Quant => {
            let formats = or(command.formats.clone(), &USUAL_FORMATS);
            Box::new(Quant { settings: of_speed(command, Kind::Quant, threads), formats, folder: cache.join("bench") })
        }
        Suite::Cold => {
            let rounds = command.rounds.unwrap_or(USUAL_TIMINGS);
            Box::new(Cold { settings: cold::Settings { seed: command.seed, rounds, threads } })
        }
        Suite::Fit => {
            let rounds = command.rounds.unwrap_or(USUAL_TIMINGS);
            Box::new(Fit { settings: fit::Settings { seed: command.seed, rounds, threads } })
        }
        Suite::Soak => {
            let (minutes, power) = (command.minutes.unwrap_or(USUAL_MINUTES), command.source_of_power());
            Box::new(Soak { settings: soak::Settings { seed: command.seed, minutes, threads, power } })
        }
    }
}

fn speed_settings(command: BenchCommand, kind: Kind, threads: Option<u32>) -> speed::Settings {
    let (prompt, written) = if kind == Kind::Quick { (512, 128) } else { (128, 32) };
    let usual = if kind == Kind::Depth { &USUAL_DEPTHS } else { &[0][..] };
    let power = command.source_of_power();
    speed::Settings {
        kind,
        seed: command.seed,
        prompt,
        written,
        depths: or(command.depths.into_iter().map(|Tokens(tokens)| tokens).collect(), usual),
        rounds: command.rounds.unwrap_or(USUAL_TIMINGS),
        within: (kind == Kind::Quick && command.rounds.is_none()).then_some(QUICK),
        cool_down: command.cool_down.unwrap_or_default(),
        threads,
        power,
        sets: Vec::new(),
        judges: matches!(kind, Kind::Sbc | Kind::Quant),
        peers: command.peers,
    }
}

fn kv_settings(command: BenchCommand) -> kv::Settings {
    kv::Settings {
        seed: command.seed,
        cases: command.cases.unwrap_or(USUAL_CASES),
        policies: or(command.policies, &Policy::ALL),
        budgets: or(command.budgets, &Budget::USUAL),
        lengths: or(command.lengths.into_iter().map(|Tokens(tokens)| tokens).collect(), &USUAL_LENGTHS),
        depths: or(command.depths.into_iter().map(|Tokens(tokens)| tokens).collect(), &USUAL_DEPTHS),
        parts: or(command.only, Part::value_variants()),
    }
}

fn spec_settings(command: BenchCommand) -> spec::Settings {
    spec::Settings {
        seed: command.seed,
        cases: command.cases.unwrap_or(USUAL_TASKS),
        rounds: command.rounds.unwrap_or(USUAL_ROUNDS),
        depths: or(command.depths.into_iter().map(|Tokens(tokens)| tokens).collect(), &USUAL_STEP_DEPTHS),
        ways: or(command.ways, Way::value_variants()),
        classes: or(command.tasks, Class::value_variants()),
        fuzzy: command.fuzzy.into_iter().map(Probability::get).collect(),
    }
}

/// What was typed, else what is usual.
fn or<T: Clone>(typed: Vec<T>, usual: &[T]) -> Vec<T> {
    if typed.is_empty() { usual.to_vec() } else { typed }
}
