//! How fast this machine computes with weights of each type: measured on models that are made for it, one of few large
//! layers for each type and one of many small layers, with the calls that a chat uses. It takes a second or two for the
//! types of a model, and is then remembered by whoever asked.

mod made;

use std::time::{Duration, Instant};

use super::kv::{self, KvTypes};
use super::llama::{Context, ContextSettings, Decoded, Model, Placement, Token};
pub use super::llama::{gpu_free_bytes, repacked_types};
use super::protocol::CancelFlag;
use super::worker;
use crate::hardware::cores;
use crate::models::fit::Rates;
use crate::models::gguf::TensorType;
use made::{MadeModel, SMALL, Sides, large};

/// Tokens of the prompt that is timed.
const PROMPT: usize = 64;
/// Decoding is timed for this long, but for a few tokens at least.
const DECODE_FOR: Duration = Duration::from_millis(120);
const LEAST_TOKENS: usize = 6;

/// How many threads compute where nobody says.
pub fn default_threads() -> u32 {
    worker::default_threads()
}

/// What a measurement of speed holds for: this program, on so many threads of these cores.
pub fn conditions(threads: u32) -> String {
    format!("{}, {threads} threads of {}", kv::version(), cores::describe(&cores::allowed()))
}

/// What a made model was seen to take.
#[derive(Clone, Copy)]
struct Times {
    /// Seconds for a token after another, the median.
    token: f64,
    /// Seconds for a token of the prompt.
    prompt: f64,
    /// Bytes of the weights that each of them reads.
    bytes: f64,
    layers: f64,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub rates: Rates,
    /// Something else was computing: one thread was faster than all of them. This is no day to go by.
    pub is_disturbed: bool,
}

/// Measures the speed of weights of these types on so many threads of the CPU.
///
/// # Errors
/// A sentence, if there is no memory for it, llama.cpp does not take a type, or it was cancelled.
pub fn measure(kinds: &[TensorType], threads: u32, cancel: &CancelFlag) -> Result<Measured, String> {
    let mut rates = Rates::default();
    let Some(first) = kinds.iter().min_by_key(|kind| bits(**kind)) else {
        return Ok(Measured { rates, is_disturbed: false });
    };
    let of_large = time(large(*first), *first, threads, cancel)?;
    let is_disturbed = threads > 1 && time(large(*first), *first, 1, cancel)?.token < of_large.token;
    let small = time(SMALL, *first, threads, cancel)?;
    rates.layer_seconds = layer_seconds(&of_large, &small, |times| times.token);
    rates.prompt_layer_seconds = layer_seconds(&of_large, &small, |times| times.prompt);
    for kind in kinds {
        let times = if kind == first { of_large } else { time(large(*kind), *kind, threads, cancel)? };
        let rate = |seconds: f64, of_layer: f64| times.bytes / (seconds - of_layer * times.layers).max(seconds / 2.0);
        rates.decode.insert(kind.name().into(), rate(times.token, rates.layer_seconds));
        rates.prefill.insert(kind.name().into(), rate(times.prompt, rates.prompt_layer_seconds));
    }
    Ok(Measured { rates, is_disturbed })
}

fn bits(kind: TensorType) -> u64 {
    8 * 256 / kind.block_elements() * kind.block_bytes()
}

/// What a layer takes beside its weights: both models have the same time for a byte, and this for each of their layers.
fn layer_seconds(large: &Times, small: &Times, seconds: impl Fn(&Times) -> f64) -> f64 {
    let part = small.bytes / large.bytes;
    let layers = small.layers - part * large.layers;
    ((seconds(small) - part * seconds(large)) / layers).max(0.0)
}

fn time(sides: Sides, kind: TensorType, threads: u32, cancel: &CancelFlag) -> Result<Times, String> {
    let made = MadeModel::write(sides, kind).map_err(|error| format!("cannot make a model to measure: {error}"))?;
    let flag = cancel.clone();
    let model = Model::load(made.path(), &Placement { devices: Vec::new(), gpu_layers: Some(0) }, move |_| {
        !flag.is_cancelled()
    })
    .map_err(|error| format!("cannot measure {}: {error:?}", kind.name()))?;
    let settings = ContextSettings { cells: 512, threads, batch: PROMPT as u32, types: KvTypes::default() };
    let mut context = Context::new(&model, settings)?;
    let mut run = |tokens: &[Token], position: usize| {
        let began = Instant::now();
        match context.decode(tokens, position as u32, &[cancel]) {
            Decoded::Done => Ok(began.elapsed().as_secs_f64()),
            Decoded::Cancelled => Err("it was stopped".to_owned()),
            other => Err(format!("cannot measure {}: {other:?}", kind.name())),
        }
    };
    let prompt_tokens: Vec<Token> = (1..=PROMPT as Token).collect();
    // The first pass pays for what is set up once.
    run(&prompt_tokens[..8], 0)?;
    let prompt = run(&prompt_tokens, 8)? / PROMPT as f64;
    let mut position = 8 + PROMPT;
    run(&[1], position)?;
    let (began, mut seconds) = (Instant::now(), Vec::new());
    while position + 1 < 500 && (seconds.len() < LEAST_TOKENS || began.elapsed() < DECODE_FOR) {
        position += 1;
        seconds.push(run(&[1], position)?);
    }
    seconds.sort_by(f64::total_cmp);
    Ok(Times {
        token: seconds[seconds.len() / 2],
        prompt,
        bytes: made.matrix_bytes() as f64,
        layers: f64::from(sides.layers),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_of_the_usual_quantizations_can_be_measured() {
        let kinds = [2, 3, 6, 8, 12, 13, 14, 20].map(|number| TensorType::from_number(number).unwrap());
        for kind in kinds {
            let times = time(SMALL, kind, 1, &CancelFlag::default()).unwrap();
            assert!(times.token > 0.0 && times.prompt > 0.0 && times.bytes > 1e6, "{}", kind.name());
        }
    }

    #[test]
    fn what_a_layer_takes_is_told_from_what_its_weights_take() {
        let (per_byte, layer) = (1e-10, 5e-5);
        let of =
            |layers: f64, bytes: f64| Times { token: bytes * per_byte + layers * layer, prompt: 1.0, bytes, layers };
        let found = layer_seconds(&of(2.0, 5e7), &of(24.0, 8e7), |times| times.token);
        assert!((found - layer).abs() < 1e-9, "{found}");
    }

    #[test]
    fn a_measurement_can_be_stopped() {
        let cancel = CancelFlag::default();
        cancel.cancel();
        assert!(measure(&[TensorType::from_number(8).unwrap()], 1, &cancel).is_err());
    }
}
