//! Whether a model bears a number format of the KV cache: it reads a text that comes with the program, once with the
//! cache in f16 and once in that format, side by side, and what it expects to come next is compared. What is found is
//! remembered, so that it costs a few seconds once.
//!
//! A model cannot be judged by its size or its maker.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::types::{KvType, KvTypes};
use crate::engine::divergence::{Divergence, Summary};
use crate::engine::llama::{self, Context, ContextSettings, Decoded, Model, Token};
use crate::engine::protocol::CancelFlag;
use crate::models::identity;

/// Written for this; of the same licence as the program.
const TEXT: &str = include_str!("../../../assets/kv-check.txt");

/// Prompts are computed many tokens at a time and answers one by one, by different kernels: from 64 on a CPU takes
/// another way through the attention.
const BATCH: usize = 64;
const BATCHES: usize = 4;
const SINGLE: usize = 32;
/// What comes before has too little behind it to tell anything.
const FIRST_JUDGED: usize = 64;
const CELLS: u32 = 512;

/// A format is good whose mean divergence is at most this, in nats, ...
const MOST_DIVERGENCE: f64 = 0.03;
/// ... which holds the same token the most probable at this share of the places at least, ...
const LEAST_SAME_TOP: f64 = 0.90;
/// ... and which takes the perplexity no higher than this many times that of f16.
const MOST_PERPLEXITY: f64 = 1.05;

/// What a format did with a model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub divergence: Summary,
    /// Tokens per second of an answer, as a part of those with f16.
    pub speed: f64,
}

impl Outcome {
    /// Whether the model answers as well as with f16, as far as can be told.
    pub fn is_good(&self) -> bool {
        let Summary { mean_kld, same_top, perplexity, reference_perplexity, tokens, .. } = self.divergence;
        tokens > 0
            && mean_kld <= MOST_DIVERGENCE
            && same_top >= LEAST_SAME_TOP
            && perplexity <= reference_perplexity * MOST_PERPLEXITY
    }
}

/// Why nothing is known of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unknown {
    Cancelled,
    /// In words.
    Failed(String),
}

/// What is known of a model's formats, from this run or an earlier one.
#[derive(Debug)]
pub struct Checks<'a> {
    pub model: &'a Model,
    /// The model's file.
    pub path: &'a Path,
    /// Where it is remembered, if it is.
    pub file: Option<&'a Path>,
    /// What the model runs on.
    pub backend: &'a str,
    pub threads: u32,
}

impl Checks<'_> {
    /// What was found before, under the same conditions.
    pub fn recall(&self, types: KvTypes) -> Option<Outcome> {
        self.remembered().remove(&self.conditions(types))
    }

    /// What was found before, or is found now.
    ///
    /// # Errors
    /// If it was cancelled, or cannot be computed.
    pub fn find(&self, types: KvTypes, cancel: &[&CancelFlag]) -> Result<Outcome, Unknown> {
        if let Some(known) = self.recall(types) {
            return Ok(known);
        }
        let outcome = run(self.model, types, self.threads, cancel)?;
        tracing::info!(%types, ?outcome, good = outcome.is_good(), "checked a format of the KV cache");
        self.remember(types, outcome);
        Ok(outcome)
    }

    fn remember(&self, types: KvTypes, outcome: Outcome) {
        let Some(file) = self.file else { return };
        let mut known = self.remembered();
        known.retain(|conditions, _| conditions.starts_with(&version()));
        known.insert(self.conditions(types), outcome);
        if let Ok(fact) = serde_json::to_string(&known) {
            identity::remember(self.path, file, &fact);
        }
    }

    fn remembered(&self) -> BTreeMap<String, Outcome> {
        let fact = self.file.and_then(|file| identity::recall(self.path, file));
        fact.and_then(|fact| serde_json::from_str(&fact).ok()).unwrap_or_default()
    }

    fn conditions(&self, types: KvTypes) -> String {
        format!("{}, {}, {} threads, {types}", version(), self.backend, self.threads)
    }
}

/// What computes; another one may find something else.
fn version() -> String {
    format!("{} {}", env!("CARGO_PKG_VERSION"), llama::version())
}

/// Reads the text both ways, in step, so that neither needs the other's logits kept and both have the machine to the
/// same degree.
fn run(model: &Model, types: KvTypes, threads: u32, cancel: &[&CancelFlag]) -> Result<Outcome, Unknown> {
    let tokens = text(model);
    let context = |types| {
        let settings = ContextSettings { cells: CELLS, threads, batch: BATCH as u32, types };
        Context::new(model, settings).map_err(Unknown::Failed)
    };
    let mut reference = context(KvTypes::both(KvType::F16))?;
    let mut other = context(types)?;
    let mut divergence = Divergence::default();
    let mut times = (Vec::new(), Vec::new());
    let mut position = 0;
    while position + 1 < tokens.len() {
        let rows = if position < BATCH * BATCHES { BATCH } else { 1 };
        let rows = &tokens[position..(position + rows).min(tokens.len() - 1)];
        let spent = (decode(&mut reference, rows, position, cancel)?, decode(&mut other, rows, position, cancel)?);
        for row in 0..rows.len() {
            if position + row >= FIRST_JUDGED {
                divergence.push(reference.logits_of(row), other.logits_of(row), tokens[position + row + 1]);
            }
        }
        if rows.len() == 1 {
            times.0.push(spent.0);
            times.1.push(spent.1);
        }
        position += rows.len();
    }
    Ok(Outcome { divergence: divergence.summary(), speed: ratio(&times.0, &times.1) })
}

fn text(model: &Model) -> Vec<Token> {
    let begin = model.begin_token().filter(|_| model.adds_begin_token());
    let tokens = begin.into_iter().chain(model.tokenize(TEXT, false));
    tokens.take(BATCH * BATCHES + SINGLE + 1).collect()
}

fn decode(
    context: &mut Context<'_>,
    tokens: &[Token],
    position: usize,
    cancel: &[&CancelFlag],
) -> Result<Duration, Unknown> {
    let started = Instant::now();
    match context.decode_with_all_logits(tokens, position as u32, cancel) {
        Decoded::Done => Ok(started.elapsed()),
        Decoded::Cancelled => Err(Unknown::Cancelled),
        failed => Err(Unknown::Failed(format!("the model does not compute ({failed:?})"))),
    }
}

/// How many times the others fit in the reference, by the fastest of each: what disturbs a token makes it slower only.
/// By medians f16 was seen at 0.80 and at 1.46 times its own speed on a machine that was busy.
fn ratio(reference: &[Duration], others: &[Duration]) -> f64 {
    match (reference.iter().min(), others.iter().min()) {
        (Some(reference), Some(other)) if !other.is_zero() => reference.as_secs_f64() / other.as_secs_f64(),
        _ => 1.0,
    }
}

#[cfg(test)]
mod measure {
    use super::*;
    use crate::engine::llama::Placement;
    #[test]
    #[ignore]
    fn table() {
        let path = std::env::var("TTA_MODEL").unwrap();
        let model = Model::load(Path::new(&path), &Placement::default(), |_| true).unwrap();
        eprintln!("{path} {} tokens", text(&model).len());
        for types in ["f16", "q8_0", "q8_0/q4_0", "q5_1", "q4_0"] {
            let started = Instant::now();
            let outcome = run(&model, types.parse().unwrap(), 2, &[]).unwrap();
            let d = outcome.divergence;
            eprintln!(
                "{types:10} n {} ppl {:.3} {:.3} kld {:.5} p99 {:.4} top {:.4} speed {:.3} took {:.1}",
                d.tokens,
                d.reference_perplexity,
                d.perplexity,
                d.mean_kld,
                d.p99_kld,
                d.same_top,
                outcome.speed,
                started.elapsed().as_secs_f64()
            );
        }
    }
}
