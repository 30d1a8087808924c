//! What `tuichat bench --dry-run` tells: what a run would find on this machine, what it would do, and what it could tell
//! in the end. Nothing is measured but what the machine draws right now.

mod text;

use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::Serialize;
use serde_json::{Map, Value};

use super::machine::Machine;
use super::outlook::{Known, Outlook, Pace};
use super::record::Condition;
use super::suite::Measurement;
use super::trust;
use crate::hardware::cores::{CoreChoice, Cpu};
use crate::hardware::health::Health;
use crate::hardware::memory::Memory;
use crate::hardware::meters::{Choice, Meter};
use crate::hardware::power::{self, Power};
use crate::models::fit::{Anatomy, Verdict};

/// Where to look: the files of a machine, and its programs.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub root: &'a Path,
    pub programs: &'a [PathBuf],
    pub cpu: &'a Cpu,
    pub memory: Option<Memory>,
}

/// What a run would find, do and tell. The keys are a contract.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    record: &'static str,
    suite: String,
    machine: Machine,
    /// What it is set to, as a run has it.
    settings: Map<String, Value>,
    power: Supply,
    /// How it feels now.
    health: Condition,
    /// What tells that the machine holds itself back.
    throttling_told_by: Vec<&'static str>,
    /// What speaks against figures that are measured now.
    doubts: Vec<String>,
    /// The figures of a case, by their keys.
    tells: Vec<&'static str>,
    models: Vec<Planned>,
    /// Of all models together.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
}

/// What the machine draws, and what tells it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Supply {
    is_measured: bool,
    /// What tells it and what that leaves out, or what is missing for it.
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    watts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_battery: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    charge_percent: Option<u8>,
}

/// A model, and what is known of it before it is measured.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub name: String,
    pub path: PathBuf,
    pub architecture: String,
    pub quantization: String,
    pub anatomy: Anatomy,
    pub verdict: Verdict,
    pub pace: Option<Pace>,
    pub choice: CoreChoice,
}

/// What is done with a model.
#[derive(Clone, Debug, Serialize)]
struct Planned {
    model_name: String,
    model_filename: String,
    model_type: String,
    model_size: u64,
    model_n_params: u64,
    /// Whether there is memory for it, in a word.
    verdict: String,
    n_threads: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_mask: Option<String>,
    cores_reason: String,
    #[serde(flatten)]
    outlook: Outlook,
}

impl Preview {
    /// Looks at a machine. `later` gives a moment that is a little later than now: where the watts follow from what is
    /// used in between, they are asked for twice.
    pub fn of(
        place: Place<'_>,
        suite: &str,
        measurement: &dyn Measurement,
        power: &Choice,
        models: &[Candidate],
        later: &mut dyn FnMut() -> Instant,
    ) -> Self {
        let health = Health::read_with(place.root, place.programs);
        let power = Supply::of(place, power, later);
        let planned: Vec<Planned> = models
            .iter()
            .map(|model| {
                let known = Known {
                    cpu: place.cpu,
                    usual: model.choice.crews.decode,
                    trained: u32::try_from(model.anatomy.trained_context).unwrap_or(u32::MAX),
                    pace: model.pace,
                    has_power: power.is_measured,
                };
                Planned::of(model, measurement.outlook(&known))
            })
            .collect();
        let seconds = planned.iter().map(|model| model.outlook.seconds).sum();
        Self {
            record: "preview",
            suite: suite.to_owned(),
            machine: Machine::read_under(place.root, place.cpu, place.memory),
            settings: measurement.settings(),
            doubts: doubts(&health, &power, models),
            tells: if measurement.has_speeds() { tells(&health, &power) } else { Vec::new() },
            throttling_told_by: health.throttling.told_by(),
            health: Condition::from(&health),
            power,
            models: planned,
            seconds,
        }
    }

    /// For people.
    pub fn text(&self) -> String {
        text::render(self)
    }
}

impl Supply {
    fn of(place: Place<'_>, choice: &Choice, later: &mut dyn FnMut() -> Instant) -> Self {
        let runs_on = power::read(place.root);
        let supply = Self {
            on_battery: runs_on.map(|power: Power| power.on_battery),
            charge_percent: runs_on.and_then(|power| power.charge_percent),
            ..Self::default()
        };
        let asked = Meter::find(choice, place.root, place.programs).and_then(|mut meter| {
            let watts = match meter.watts(Instant::now())? {
                Some(watts) => Some(watts),
                None => meter.watts(later())?,
            };
            Ok((meter.about().to_owned(), watts))
        });
        match asked {
            Ok((source, watts)) => Self { is_measured: true, source, watts, ..supply },
            Err(sentence) => Self { source: sentence, ..supply },
        }
    }
}

impl Planned {
    fn of(model: &Candidate, outlook: Outlook) -> Self {
        let (crew, anatomy) = (model.choice.crews.decode, &model.anatomy);
        let millions = anatomy.parameters as f64 / 1e6;
        let parameters = if millions < 1e3 { format!("{millions:.2} M") } else { format!("{:.2} B", millions / 1e3) };
        Self {
            model_name: model.name.clone(),
            model_filename: model.path.to_string_lossy().into_owned(),
            model_type: format!("{} {parameters} {}", model.architecture, model.quantization),
            model_size: anatomy.file_bytes,
            model_n_params: anatomy.parameters,
            verdict: model.verdict.word().to_owned(),
            n_threads: crew.threads,
            cpu_mask: (!crew.cores.is_empty()).then(|| crew.cores.to_string()),
            cores_reason: model.choice.reason.clone(),
            outlook,
        }
    }
}

/// Less than this is left of the battery: the run may not come to its end.
const LITTLE_CHARGE: u8 = 15;

fn doubts(health: &Health, power: &Supply, models: &[Candidate]) -> Vec<String> {
    let mut doubts = trust::beforehand(health);
    if let (Some(true), Some(percent)) = (power.on_battery, power.charge_percent)
        && percent < LITTLE_CHARGE
    {
        doubts.push(format!("the battery is at {percent} %, and may be empty before the end"));
    }
    for model in models {
        if model.verdict == Verdict::DoesNotFit {
            doubts.push(format!("there is not enough memory for {}", model.name));
        }
        doubts.extend(model.choice.remark.clone().filter(|remark| !doubts.contains(remark)));
    }
    doubts
}

/// What a case with a speed will have, by its keys in a record.
fn tells(health: &Health, power: &Supply) -> Vec<&'static str> {
    let mut keys = vec!["avg_ts", "stddev_ts", "ci95_low_ts", "ci95_high_ts", "samples_ts", "ttft_ms"];
    keys.extend(["token_ms_p5", "token_ms_p50", "token_ms_p95", "share_of_bandwidth", "kv_bytes"]);
    keys.extend(["pss_file_bytes", "pss_anonymous_bytes", "major_faults", "swap_bytes"]);
    if power.is_measured {
        keys.extend(["joules_per_token", "joules_per_token_net", "idle_watts", "watts"]);
    }
    keys.extend(health.celsius.map(|_| "celsius"));
    keys.extend(health.mhz.map(|_| "mhz"));
    let throttling = health.throttling;
    keys.extend(throttling.raspberry.map(|_| "throttled_bits"));
    keys.extend(throttling.count.map(|_| "throttled_count"));
    keys.extend(throttling.cooling.map(|_| "cooling_state"));
    keys
}

#[cfg(test)]
mod golden;
