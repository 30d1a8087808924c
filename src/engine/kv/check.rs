//! Whether a model bears a number format of the KV cache: it reads a text that comes with the program, once with the
//! cache in f16 and once in that format, side by side, and what it expects to come next is compared. What is found is
//! remembered, so that it costs a few seconds once.
//!
//! A model cannot be judged by its size or its maker. Measured with this check (2 threads of an x86-64 CPU, the weights
//! in Q4_1 for SmolLM2, else in Q4_K_M); mean divergence in nats / same first choice / perplexity as a part of f16's:
//!
//! ```text
//!            SmolLM2 135M          Qwen2.5-Coder 0.5B    Qwen2.5-Coder 1.5B    Gemma 3 270M
//! q8_0       0.005 / 96 % / 0.99   0.007 / 96 % / 1.00   0.003 / 99 % / 1.00   0.009 / 97 % / 1.00
//! q8_0/q5_1  0.006 / 97 % / 0.99   0.007 / 95 % / 1.00   –                     –
//! q8_0/q4_0  0.014 / 94 % / 0.99   0.010 / 93 % / 1.01   0.008 / 98 % / 1.01   0.015 / 95 % / 1.03
//! q5_1       0.016 / 93 % / 1.03   0.701 / 67 % / 1.64   4.030 / 24 % / 35.6   0.048 / 89 % / 1.09
//! q5_0       0.020 / 93 % / 1.02   0.340 / 72 % / 1.28   –                     –
//! q4_1       0.053 / 86 % / 1.05   0.468 / 70 % / 1.39   –                     –
//! q4_0       0.063 / 87 % / 1.08   1.546 / 44 % / 3.40   5.360 / 8 % / 126.74   0.156 / 80 % / 1.17
//! q4_0/q8_0  0.052 / 88 % / 1.05   1.342 / 50 % / 2.76   –                     –
//! iq4_nl     0.086 / 83 % / 1.17   0.703 / 61 % / 1.74   –                     –
//! ```
//!
//! Keys are what must not be rounded to few bits. The limits lie above all that 8 bits did and below what begins to cost
//! answers.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::types::{KvType, KvTypes};
use crate::engine::divergence::{Divergence, Summary};
use crate::engine::llama::{self, Context, ContextSettings, Decoded, Model, Rows, Token};
use crate::engine::protocol::CancelFlag;
use crate::hardware::cores::Crews;
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
/// How fast a format is shows only where there is much to attend to: a conversation of so many tokens, ...
const DEPTH: usize = 1024;
/// ... behind which so many tokens are timed, and so many parts of a prompt.
const TIMED: usize = 12;
const TIMED_BATCHES: usize = 3;
const CELLS: u32 = 1536;

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
    /// The same of a prompt.
    pub prompt_speed: f64,
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
    pub crews: Crews,
}

impl Checks<'_> {
    /// What was found before, under the same conditions.
    pub fn recall(&self, types: KvTypes) -> Option<Outcome> {
        self.remembered().remove(&self.conditions(types))
    }

    /// What was found before, or is found now, which takes seconds: `begin` is called before.
    ///
    /// # Errors
    /// If it was cancelled, or cannot be computed.
    pub fn find(&self, types: KvTypes, begin: impl FnOnce(), cancel: &[&CancelFlag]) -> Result<Outcome, Unknown> {
        if let Some(known) = self.recall(types) {
            return Ok(known);
        }
        begin();
        let outcome = run(self.model, types, self.crews, cancel)?;
        tracing::info!(%types, ?outcome, good = outcome.is_good(), "checked a format of the KV cache");
        self.remember(types, outcome);
        Ok(outcome)
    }

    /// Bytes that trying these formats takes, where one token takes so many in 16 bits, and so many in them.
    pub fn bytes(&self, exact_cell: u64, cell: u64) -> u64 {
        let logits = (BATCH * self.model.vocabulary_size() * size_of::<f32>()) as u64;
        // Both contexts have them twice: where they are computed, and where they are handed out.
        u64::from(CELLS).saturating_mul(exact_cell.saturating_add(cell)).saturating_add(4 * logits)
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

    /// What a finding holds for, beside the model's file.
    pub fn conditions(&self, types: KvTypes) -> String {
        format!("{}, {}, {} threads, {types}", version(), self.backend, self.crews.decode.threads)
    }
}

/// What computes; another one may find something else.
pub fn version() -> String {
    format!("{} {}", env!("CARGO_PKG_VERSION"), llama::version())
}

/// Reads the text both ways, in step, so that neither needs the other's logits kept and both have the machine to the
/// same degree.
pub(super) fn run(model: &Model, types: KvTypes, crews: Crews, cancel: &[&CancelFlag]) -> Result<Outcome, Unknown> {
    let tokens = text(model);
    let context = |types| {
        let settings = ContextSettings { cells: CELLS, crews, batch: BATCH as u32, types, sequences: 1 };
        Context::new(model, settings).map_err(Unknown::Failed)
    };
    let mut reference = context(KvTypes::both(KvType::F16))?;
    let mut other = context(types)?;
    let mut divergence = Divergence::default();
    let mut position = 0;
    while position + 1 < tokens.len() {
        let rows = if position < BATCH * BATCHES { BATCH } else { 1 };
        let rows = &tokens[position..(position + rows).min(tokens.len() - 1)];
        done(reference.decode_with_all_logits(rows, position as u32, cancel))?;
        done(other.decode_with_all_logits(rows, position as u32, cancel))?;
        for row in 0..rows.len() {
            if position + row >= FIRST_JUDGED {
                divergence.push(reference.logits_of(row), other.logits_of(row), tokens[position + row + 1]);
            }
        }
        position += rows.len();
    }
    if let (Some(()), Some(())) = (deepen(&mut reference), deepen(&mut other)) {
        position = DEPTH;
    }
    let mut race = |rows: usize| {
        let time = |context: &mut Context<'_>| {
            let started = Instant::now();
            done(context.decode(&tokens[..rows], position as u32, cancel)).map(|()| started.elapsed().as_secs_f64())
        };
        let (first, second) = (time(&mut reference)?, time(&mut other)?);
        position += rows;
        Ok(first / second.max(f64::MIN_POSITIVE))
    };
    let speed = median((0..TIMED).map(|_| race(1)).collect::<Result<_, _>>()?);
    let prompt_speed = median((0..TIMED_BATCHES).map(|_| race(BATCH)).collect::<Result<_, _>>()?);
    Ok(Outcome { divergence: divergence.summary(), speed, prompt_speed })
}

/// Makes a conversation of [`DEPTH`] tokens of what a context holds, over and over: nonsense, but as slow as any.
/// `None` where the cache cannot be put together from parts; it is as it was then.
fn deepen(context: &mut Context<'_>) -> Option<()> {
    let state = context.state(u64::MAX)?;
    let rows = Rows::read(&state)?;
    let there = rows.positions().len();
    let mut rebuilt = rows.rebuild(&(0..DEPTH as u32).collect::<Vec<_>>())?;
    for cell in (0..DEPTH).step_by(there) {
        rebuilt.copy(cell, &rows, 0..there.min(DEPTH - cell));
    }
    context.set_state(rebuilt.bytes()).then_some(())
}

fn text(model: &Model) -> Vec<Token> {
    let begin = model.begin_token().filter(|_| model.adds_begin_token());
    let tokens = begin.into_iter().chain(model.tokenize(TEXT, false));
    tokens.take(BATCH * BATCHES + SINGLE + 1).collect()
}

fn done(decoded: Decoded) -> Result<(), Unknown> {
    match decoded {
        Decoded::Done => Ok(()),
        Decoded::Cancelled => Err(Unknown::Cancelled),
        failed => Err(Unknown::Failed(format!("the model does not compute ({failed:?})"))),
    }
}

/// Of neighbours in time, whatever else the machine does comes to the same: their ratios vary less than the ratio of
/// two medians, or of the two fastest.
fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios.get(ratios.len() / 2).copied().unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::llama::Placement;

    const Q8: KvTypes = KvTypes { k: KvType::Q8, v: KvType::Q8 };

    /// A model of random weights in a folder of its own.
    fn tiny() -> (tempfile::TempDir, std::path::PathBuf, Model) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        crate::tiny_gguf::TinyModel::default().write(&path).unwrap();
        let model = Model::load(&path, &Placement::default(), |_| true).unwrap();
        (folder, path, model)
    }

    #[test]
    fn the_text_is_long_enough_and_every_format_can_be_tried() {
        let (_folder, _path, model) = tiny();
        for kind in KvType::ALL {
            let outcome = run(&model, KvTypes { k: kind, v: KvType::Q8 }, Crews::anywhere(1), &[]).unwrap();
            assert_eq!(outcome.divergence.tokens as usize, BATCH * BATCHES + SINGLE - FIRST_JUDGED, "{kind:?}");
            assert!(outcome.speed > 0.0, "{kind:?}");
        }
        let same = run(&model, KvTypes::both(KvType::F16), Crews::anywhere(1), &[]).unwrap().divergence;
        assert!(same.mean_kld < 1e-9 && same.same_top == 1.0, "{same:?}");
    }

    #[test]
    fn what_was_found_is_remembered_for_the_same_conditions_only() {
        let (folder, path, model) = tiny();
        let file = folder.path().join("checks.json");
        let crews = Crews::anywhere;
        let checks =
            |threads| Checks { model: &model, path: &path, file: Some(&file), backend: "CPU", crews: crews(threads) };
        assert_eq!(checks(1).recall(Q8), None);
        let mut begun = 0;
        let found = checks(1).find(Q8, || begun += 1, &[]).unwrap();
        assert_eq!(checks(1).recall(Q8), Some(found));
        assert_eq!(checks(1).find(Q8, || begun += 1, &[&cancelled()]), Ok(found));
        assert_eq!(begun, 1);
        assert_eq!(checks(2).recall(Q8), None);
        assert_eq!(checks(1).recall(KvTypes { v: KvType::Q4, ..Q8 }), None);
        assert_eq!(Checks { backend: "Vulkan", ..checks(1) }.recall(Q8), None);

        let other = checks(1).find(KvTypes::both(KvType::Q4), || {}, &[]).unwrap();
        assert_eq!((checks(1).recall(Q8), checks(1).recall(KvTypes::both(KvType::Q4))), (Some(found), Some(other)));
        std::fs::write(&file, &std::fs::read(&file).unwrap()[..40]).unwrap();
        assert_eq!(checks(1).recall(Q8), None);
        checks(1).find(Q8, || {}, &[]).unwrap();
        assert!(checks(1).recall(Q8).is_some());
    }

    #[test]
    fn a_check_can_be_cancelled_and_then_knows_nothing() {
        let (folder, path, model) = tiny();
        let file = folder.path().join("checks.json");
        let checks =
            Checks { model: &model, path: &path, file: Some(&file), backend: "CPU", crews: Crews::anywhere(1) };
        assert_eq!(checks.find(Q8, || {}, &[&cancelled()]), Err(Unknown::Cancelled));
        assert_eq!(checks.recall(Q8), None);
    }

    fn cancelled() -> CancelFlag {
        let flag = CancelFlag::default();
        flag.cancel();
        flag
    }

    #[test]
    fn a_format_is_good_if_it_is_in_every_respect() {
        let good = Summary {
            tokens: 224,
            reference_perplexity: 100.0,
            perplexity: 104.0,
            mean_kld: MOST_DIVERGENCE,
            p99_kld: 0.0,
            same_top: LEAST_SAME_TOP,
        };
        let is_good = |divergence| Outcome { divergence, speed: 1.0, prompt_speed: 1.0 }.is_good();
        assert!(is_good(good));
        for bad in [
            Summary { tokens: 0, ..good },
            Summary { perplexity: 106.0, ..good },
            Summary { mean_kld: 0.031, ..good },
            Summary { same_top: 0.89, ..good },
        ] {
            assert!(!is_good(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_trial_takes_two_caches_and_the_logits_of_a_batch() {
        let (_folder, path, model) = tiny();
        let checks = Checks { model: &model, path: &path, file: None, backend: "CPU", crews: Crews::anywhere(1) };
        let logits = 64 * 4 * model.vocabulary_size() as u64;
        assert_eq!(checks.bytes(1000, 500), 1536 * 1500 + 4 * logits);
    }

    #[test]
    fn what_computes_is_the_program_and_its_llama_cpp() {
        assert_eq!(version(), format!("{} {}", env!("CARGO_PKG_VERSION"), llama::version()));
        assert!(!llama::version().is_empty());
    }

    #[test]
    fn of_several_ratios_the_middle_one_tells() {
        assert_eq!(median(vec![9.0, 2.0, 3.0, 1.0, 7.0]), 3.0);
        assert_eq!(median(Vec::new()), 1.0);
    }
}
