//! How fast this machine computes with weights of each type: measured on models that are made for it, one of few large
//! layers for each type and one of many small layers, with the calls that a chat uses. It takes a second or two for the
//! types of a model, and is then remembered by whoever asked.

mod made;

use std::time::{Duration, Instant};

use super::kv::{self, KvTypes};
pub use super::llama::repacked_types;
use super::llama::{Context, ContextSettings, Decoded, Model, Placement, Token};
use super::protocol::CancelFlag;
use super::tuning::{ShareWatch, UNDISTURBED};
use super::worker;
use crate::hardware::cores::{self, Crews};
use crate::models::fit::Rates;
use crate::models::gguf::TensorType;
use made::{FLAT, MadeModel, SMALL, Sides, large};

/// The type with which it is found out what layers take.
const BASE: &str = "Q8_0";
/// Tokens of the prompt that is timed.
const PROMPT: usize = 64;
/// Decoding is timed for this long, but for a few tokens at least.
const DECODE_FOR: Duration = Duration::from_millis(120);
const LEAST_TOKENS: usize = 6;
const GIVE_UP_AFTER: Duration = Duration::from_secs(1);
const BUSY: &str =
    "something else is computing on this machine, so how fast it is was not measured now; try again when it is idle";

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
    rows: f64,
    layers: f64,
}

/// Measures the speed of weights of these types on so many threads of the CPU.
///
/// # Errors
/// A sentence, if there is no memory for it, llama.cpp does not take a type, it was cancelled, or something else is
/// computing: then threads have less of the processors' time than is theirs, or one is faster than all of them.
pub fn measure(kinds: &[TensorType], threads: u32, cancel: &CancelFlag) -> Result<Rates, String> {
    let measured = measure_here(kinds, threads, cancel);
    cores::unpin();
    measured
}

fn measure_here(kinds: &[TensorType], threads: u32, cancel: &CancelFlag) -> Result<Rates, String> {
    let mut rates = Rates::default();
    let Some(base) = TensorType::from_name(BASE).filter(|_| !kinds.is_empty()) else { return Ok(rates) };
    let long = time(large(base), base, threads, cancel)?;
    if threads > 1 && time(large(base), base, 1, cancel)?.token < long.token {
        return Err(BUSY.into());
    }
    let (short, flat) = (time(SMALL, base, threads, cancel)?, time(FLAT, base, threads, cancel)?);
    rates.layer_seconds = layer_seconds([&long, &short, &flat]);
    rates.prompt_layer_seconds = prompt_layer_seconds(&long, &short);
    for kind in kinds {
        let (long, flat) = match *kind == base {
            true => (long, flat),
            false => (time(large(*kind), *kind, threads, cancel)?, time(FLAT, *kind, threads, cancel)?),
        };
        let (per_byte, per_row) = per_byte_and_row(&long, &flat, rates.layer_seconds);
        let prompt = (long.prompt - long.layers * rates.prompt_layer_seconds).max(long.prompt / 2.0);
        rates.decode.insert(kind.name().into(), 1.0 / per_byte);
        rates.row_seconds.insert(kind.name().into(), per_row);
        rates.prefill.insert(kind.name().into(), long.bytes / prompt);
    }
    Ok(rates)
}

/// What a byte and a row take, from models of long and of short rows and what a layer takes. What comes out below zero is
/// noise.
fn per_byte_and_row(long: &Times, flat: &Times, layer_seconds: f64) -> (f64, f64) {
    let of_weights = |times: &Times| (times.token - times.layers * layer_seconds).max(times.token / 2.0);
    let (seconds, flat_seconds) = (of_weights(long), of_weights(flat));
    let whole = long.bytes * flat.rows - flat.bytes * long.rows;
    let per_row = ((long.bytes * flat_seconds - flat.bytes * seconds) / whole).max(0.0);
    ((seconds - long.rows * per_row).max(seconds / 2.0) / long.bytes, per_row)
}

/// What a layer takes beside its weights: three models have the same time for a byte and for a row, and this for each of
/// their layers (Cramer's rule).
fn layer_seconds(models: [&Times; 3]) -> f64 {
    type Column = fn(&Times) -> f64;
    let determinant = |of: [Column; 3]| {
        let [a, b, c] = models.map(|times| of.map(|column| column(times)));
        a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0])
    };
    let (bytes, rows): (Column, Column) = (|times| times.bytes, |times| times.rows);
    let (layers, token): (Column, Column) = (|times| times.layers, |times| times.token);
    (determinant([bytes, rows, token]) / determinant([bytes, rows, layers])).max(0.0)
}

/// What a layer takes for a token of a prompt beside its weights, as long as rows are of no account there.
fn prompt_layer_seconds(large: &Times, small: &Times) -> f64 {
    let part = small.bytes / large.bytes;
    ((small.prompt - part * large.prompt) / (small.layers - part * large.layers)).max(0.0)
}

fn time(sides: Sides, kind: TensorType, threads: u32, cancel: &CancelFlag) -> Result<Times, String> {
    let made = MadeModel::write(sides, kind).map_err(|error| format!("cannot make a model to measure: {error}"))?;
    let flag = cancel.clone();
    let model = Model::load(made.path(), &Placement::cpu(), move |_| !flag.is_cancelled())
        .map_err(|error| format!("cannot measure {}: {error:?}", kind.name()))?;
    let crews = Crews::both(cores::this_machine().crew(threads));
    let settings = ContextSettings { cells: 512, crews, batch: PROMPT as u32, types: KvTypes::default(), sequences: 1 };
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
    let (began, watch, mut seconds) = (Instant::now(), ShareWatch::begin(threads), Vec::new());
    let is_enough =
        |tokens: usize| began.elapsed() > GIVE_UP_AFTER || (tokens >= LEAST_TOKENS && began.elapsed() >= DECODE_FOR);
    while position + 1 < 500 && (seconds.is_empty() || !is_enough(seconds.len())) {
        position += 1;
        seconds.push(run(&[1], position)?);
    }
    if watch.share() < UNDISTURBED {
        return Err(BUSY.into());
    }
    seconds.sort_by(f64::total_cmp);
    let (bytes, rows) = (made.matrix_bytes() as f64, made.rows() as f64);
    Ok(Times { token: seconds[seconds.len() / 2], prompt, bytes, rows, layers: f64::from(sides.layers) })
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
    fn what_rows_and_layers_take_is_told_from_what_bytes_take() {
        let (per_byte, row, layer) = (4e-11, 8e-9, 9e-5);
        let of = |bytes: f64, rows: f64, layers: f64| {
            let token = bytes * per_byte + rows * row + layers * layer;
            Times { token, prompt: token / 4.0, bytes, rows, layers }
        };
        let (long, short, flat) = (of(2.5e8, 5e4, 2.0), of(1.6e8, 1.8e5, 24.0), of(1.1e8, 2e5, 1.0));
        let found_layer = layer_seconds([&long, &short, &flat]);
        assert!((found_layer - layer).abs() < 1e-9, "{found_layer}");
        let (found_byte, found_row) = per_byte_and_row(&long, &flat, layer);
        assert!((found_byte - per_byte).abs() < 1e-15 && (found_row - row).abs() < 1e-12, "{found_byte} {found_row}");
    }

    #[test]
    fn a_measurement_can_be_stopped() {
        let cancel = CancelFlag::default();
        cancel.cancel();
        assert!(measure(&[TensorType::from_number(8).unwrap()], 1, &cancel).is_err());
    }
}
