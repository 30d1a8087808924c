//! What this machine is to a model: its memory, and how fast its kernels are, measured once and remembered.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Surroundings;
use crate::engine::protocol::CancelFlag;
use crate::engine::{devices, rates};
use crate::hardware::memory::Memory;
use crate::models::fit::{Anatomy, Curve, Machine, Rates, Speed, Verdict};
use crate::models::{speeds, write_atomically};
use crate::remarks::Remarks;

/// Contexts whose memory is told.
const CONTEXTS: [u64; 2] = [2048, 8192];
/// Free bytes below which nothing is measured.
const LEAST_TO_MEASURE: u64 = 1 << 30;

#[derive(Default, Serialize, Deserialize)]
struct Remembered {
    /// Which program measured, and on what.
    conditions: String,
    rates: Rates,
}

/// What is to be told of a model on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    pub verdict: Verdict,
    /// `None` where a graphics processor would compute, or nothing could be measured.
    pub speed: Option<Speed>,
    /// The speed was seen in answers here and is no prediction.
    pub is_measured: bool,
    /// How long prompts and answers take, if `tuichat bench --suite fit` measured it.
    pub curve: Option<Curve>,
    /// Tokens of context, and the resident bytes with a KV cache of them in 16 bits.
    pub memory: Vec<(u64, u64)>,
}

impl Surroundings {
    /// This machine, with what was measured of it before.
    pub(super) fn machine(&self) -> Machine {
        Machine {
            memory: Memory::read(),
            gpu_bytes: devices::free_gpu_bytes(&self.config.device, self.probe().as_ref()),
            repacks: rates::repacked_types(),
            rates: self.remembered_rates(),
        }
    }

    /// This machine, with its speed measured for what these models need and what is not known yet. `begin` is told when
    /// that takes a moment.
    pub(super) fn measured_machine(&self, models: &[Anatomy], begin: impl FnOnce()) -> Machine {
        let mut machine = self.machine();
        let mut missing = Vec::new();
        for kind in models.iter().flat_map(|anatomy| machine.rates.missing(anatomy)) {
            if !missing.contains(&kind) {
                missing.push(kind);
            }
        }
        // What is computed on a graphics processor is not predicted from the speed of the other one, and a machine that is
        // short of memory has better uses for it.
        let has_room = machine.memory.is_none_or(|memory| memory.available >= LEAST_TO_MEASURE);
        if missing.is_empty() || machine.gpu_bytes.is_some() || !has_room {
            return machine;
        }
        begin();
        match rates::measure(&missing, self.threads(), &CancelFlag::default()) {
            Ok(rates) => {
                machine.rates.extend(rates);
                self.remember_rates(&machine.rates);
            }
            Err(sentence) => Remarks::on_stderr(self.config.quiet).warning(&sentence),
        }
        machine
    }

    /// What is to be told of a model; `path` is where it is, if it is here.
    pub(super) fn fit(&self, anatomy: &Anatomy, path: Option<&Path>, machine: &Machine) -> Fit {
        let file = path.zip(self.speeds_file());
        let conditions = rates::conditions(self.threads());
        let seen = file.as_ref().and_then(|(path, file)| speeds::recall(path, file, &conditions));
        let curve = file.as_ref().and_then(|(path, file)| speeds::recall_curve(path, file, &conditions));
        let predicted = if machine.gpu_bytes.is_some() { None } else { anatomy.speed(&machine.rates) };
        let speed = speeds::believed(seen, predicted);
        Fit {
            verdict: anatomy.verdict(machine, speed),
            speed,
            is_measured: seen.is_some(),
            curve,
            memory: CONTEXTS.map(|context| (context, anatomy.needs(context, machine).resident())).to_vec(),
        }
    }

    fn threads(&self) -> u32 {
        self.config.threads.unwrap_or_else(rates::default_threads)
    }

    fn remembered_rates(&self) -> Rates {
        let text = self.cache_file("rates.json").and_then(|file| std::fs::read_to_string(file).ok());
        let remembered: Remembered = text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        if remembered.conditions == rates::conditions(self.threads()) { remembered.rates } else { Rates::default() }
    }

    fn remember_rates(&self, measured: &Rates) {
        let Some(file) = self.cache_file("rates.json") else { return };
        let remembered = Remembered { conditions: rates::conditions(self.threads()), rates: measured.clone() };
        let written = serde_json::to_vec(&remembered).map_err(std::io::Error::from);
        if let Err(error) = written.and_then(|json| write_atomically(&file, &json)) {
            tracing::warn!(%error, "the speed of this machine is measured again next time");
        }
    }
}

impl Fit {
    /// The word, and the speed: `runs well, about 25 tok/s`.
    pub fn sentence(&self) -> String {
        let context = match self.verdict {
            Verdict::SmallerContext(tokens) => format!(" ({tokens} tokens)"),
            _ => String::new(),
        };
        let word = format!("{}{context}", self.verdict.word());
        match (self.verdict, self.speed) {
            (Verdict::DoesNotFit, _) | (_, None) => word,
            (_, Some(speed)) => format!("{word}, {}", self.speed_word(speed)),
        }
    }

    fn speed_word(&self, speed: Speed) -> String {
        let digits = if speed.decode < 10.0 { 1 } else { 0 };
        format!("{}{:.digits$} tok/s", if self.is_measured { "" } else { "about " }, speed.decode)
    }

    pub fn object(&self) -> Value {
        json!({
            "verdict": self.verdict.word().replace(' ', "_"),
            "context": match self.verdict {
                Verdict::SmallerContext(tokens) => json!(tokens),
                _ => Value::Null,
            },
            "resident_bytes": self.memory.iter().map(|(context, bytes)| (context.to_string(), json!(bytes)))
                .collect::<serde_json::Map<_, _>>(),
            "decode_tokens_per_second": self.speed.map(|speed| speed.decode),
            "prefill_tokens_per_second": self.speed.and_then(|speed| speed.prefill),
            "is_measured": self.is_measured,
            "curve": self.curve,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(verdict: Verdict, decode: f64, is_measured: bool) -> Fit {
        Fit { verdict, speed: Some(Speed { decode, prefill: Some(9.0) }), is_measured, curve: None, memory: Vec::new() }
    }

    #[test]
    fn a_prediction_is_told_from_what_was_measured() {
        assert_eq!(fit(Verdict::RunsWell, 24.6, false).sentence(), "runs well, about 25 tok/s");
        assert_eq!(fit(Verdict::RunsSlowly, 3.21, true).sentence(), "runs slowly, 3.2 tok/s");
        assert_eq!(
            fit(Verdict::SmallerContext(4096), 7.0, false).sentence(),
            "with smaller context (4096 tokens), about 7.0 tok/s"
        );
        assert_eq!(fit(Verdict::DoesNotFit, 1.0, false).sentence(), "does not fit");
    }
}
