//! How long a prompt and an answer of any length take, from a few that were timed: the "idealized runtime" of Narayanan et
//! al. (arXiv 2305.02440), which is that of the model on this machine with nothing else going on.
//!
//! ```text
//! T(p, o) = a + b·p + c·p² + d·o + e·n(p, o)
//! ```
//!
//! for a prompt of p tokens and an answer of o: each token costs the weights (b, d) and the attention to all before it
//! (c, e), and each request something once (a). n are the KV cells that the answer's tokens read, which are more than there
//! are tokens (`cells_read`). Narayanan et al. have o·(p + o/2) there, which was 5 to 7 % off behind 448 and 640 tokens with
//! SmolLM2 135M on two threads.

use serde::{Deserialize, Serialize};

/// The coefficients, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// a: for the request.
    pub start_seconds: f64,
    /// b: for each token of the prompt.
    pub prompt_token_seconds: f64,
    /// c: for each token of the prompt and each before it, twice.
    pub prompt_square_seconds: f64,
    /// d: for each token of the answer.
    pub written_token_seconds: f64,
    /// e: for each token of the answer and each cell that it reads.
    pub written_place_seconds: f64,
}

/// A usual request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    pub name: &'static str,
    /// Tokens that are in the cache already.
    pub cached: u32,
    /// Tokens of the prompt that are to be computed.
    pub prompt: u32,
    /// Tokens of the answer.
    pub written: u32,
}

/// Requests that people know the length of.
pub const USUAL: [Request; 5] = [
    Request { name: "short question", cached: 0, prompt: 32, written: 128 },
    Request { name: "explanation", cached: 0, prompt: 64, written: 256 },
    Request { name: "page summarised", cached: 0, prompt: 1024, written: 128 },
    Request { name: "code edited", cached: 0, prompt: 768, written: 512 },
    Request { name: "turn behind 2048", cached: 2048, prompt: 32, written: 128 },
];

/// A prompt and an answer that were timed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timed {
    pub prompt: u32,
    pub written: u32,
    pub prompt_seconds: f64,
    pub written_seconds: f64,
}

impl Curve {
    /// The curve that is nearest to what was timed, by relative errors (least squares) and without coefficients below
    /// zero. `None` if too little was timed.
    pub fn through(timed: &[Timed]) -> Option<Self> {
        let prompts: Vec<([f64; 3], f64)> = timed
            .iter()
            .map(|run| ([1.0, f64::from(run.prompt), f64::from(run.prompt).powi(2)], run.prompt_seconds))
            .collect();
        let answers: Vec<([f64; 2], f64)> = timed
            .iter()
            .map(|run| ([f64::from(run.written), cells_read(run.written, run.prompt)], run.written_seconds))
            .collect();
        let [start_seconds, prompt_token_seconds, prompt_square_seconds] = nearest(&prompts)?;
        let [written_token_seconds, written_place_seconds] = nearest(&answers)?;
        Some(Self {
            start_seconds,
            prompt_token_seconds,
            prompt_square_seconds,
            written_token_seconds,
            written_place_seconds,
        })
    }

    /// Seconds until a prompt of so many tokens is computed of which `cached` are in the cache already.
    pub fn prompt_seconds(&self, prompt: u32, cached: u32) -> f64 {
        let to = |tokens: u32| {
            let tokens = f64::from(tokens);
            self.prompt_token_seconds * tokens + self.prompt_square_seconds * tokens * tokens
        };
        if prompt <= cached { 0.0 } else { self.start_seconds + to(prompt) - to(cached) }
    }

    /// Seconds for an answer of so many tokens behind so many.
    pub fn written_seconds(&self, written: u32, behind: u32) -> f64 {
        self.written_token_seconds * f64::from(written) + self.written_place_seconds * cells_read(written, behind)
    }

    /// Seconds to the first token of a request's answer, and to its last.
    pub fn of(&self, request: &Request) -> (f64, f64) {
        let whole = request.cached + request.prompt;
        let first = self.prompt_seconds(whole, request.cached);
        (first, first + self.written_seconds(request.written, whole))
    }

    /// Seconds for a prompt and the answer to it.
    pub fn seconds(&self, prompt: u32, written: u32) -> f64 {
        self.prompt_seconds(prompt, 0) + self.written_seconds(written, prompt)
    }
}

/// How many KV cells the tokens of an answer read behind a text of so many, all together.
///
/// llama.cpp computes with a multiple of 256 cells (`get_n_kv` of `llama-kv-cache.cpp`). Of fewer than 512 the empty ones
/// are passed over; more than that are divided among the threads (`use_split_kv_path` of `ggml-cpu/ops.cpp`), and all wait
/// for those whose part is full.
fn cells_read(written: u32, behind: u32) -> f64 {
    const STEP: u64 = 256;
    let cells = |before: u64| if before < STEP { before + 1 } else { (before + 1).next_multiple_of(STEP) };
    (0..u64::from(written)).map(|token| cells(u64::from(behind) + token) as f64).sum()
}

/// The coefficients, none below zero, with which the sum of the columns is nearest to the values, by relative errors: of
/// all choices of columns that may count, the best whose solution has nothing below zero. There are few columns, so that
/// all choices can be tried.
fn nearest<const N: usize>(rows: &[([f64; N], f64)]) -> Option<[f64; N]> {
    let rows: Vec<([f64; N], f64)> = rows.iter().copied().filter(|(_, value)| *value > 0.0).collect();
    let mut best: Option<([f64; N], f64)> = None;
    for choice in 1..1_u32 << N {
        let columns: Vec<usize> = (0..N).filter(|column| choice & (1 << column) != 0).collect();
        if rows.len() < columns.len() {
            continue;
        }
        let Some(solution) = solve(&rows, &columns).filter(|solution| solution.iter().all(|part| *part >= 0.0)) else {
            continue;
        };
        let error: f64 = rows.iter().map(|(row, value)| (sum(row, &solution) / value - 1.0).powi(2)).sum();
        if best.is_none_or(|(_, least)| error < least) {
            best = Some((solution, error));
        }
    }
    best.map(|(solution, _)| solution)
}

fn sum<const N: usize>(row: &[f64; N], coefficients: &[f64; N]) -> f64 {
    row.iter().zip(coefficients).map(|(value, coefficient)| value * coefficient).sum()
}

/// Least squares with some of the columns, the others' coefficients being zero: Gauss's elimination of the normal
/// equations. `None` if these have no single solution.
fn solve<const N: usize>(rows: &[([f64; N], f64)], columns: &[usize]) -> Option<[f64; N]> {
    let size = columns.len();
    // Columns of very different size are brought to about one.
    let scales: Vec<f64> = columns
        .iter()
        .map(|column| rows.iter().map(|(row, value)| (row[*column] / value).abs()).fold(0.0, f64::max))
        .collect();
    if scales.contains(&0.0) {
        return None;
    }
    let part = |row: &[f64; N], value: f64, index: usize| row[columns[index]] / value / scales[index];
    let mut equations = vec![vec![0.0; size + 1]; size];
    for (row, value) in rows {
        for (at, equation) in equations.iter_mut().enumerate() {
            for (other, cell) in equation[..size].iter_mut().enumerate() {
                *cell += part(row, *value, at) * part(row, *value, other);
            }
            equation[size] += part(row, *value, at);
        }
    }
    for at in 0..size {
        let pivot =
            (at..size).max_by(|one, other| equations[*one][at].abs().total_cmp(&equations[*other][at].abs()))?;
        equations.swap(at, pivot);
        if equations[at][at].abs() < 1e-12 {
            return None;
        }
        let (above, below) = equations.split_at_mut(at + 1);
        for equation in below {
            let factor = equation[at] / above[at][at];
            equation.iter_mut().zip(&above[at]).for_each(|(cell, pivot)| *cell -= factor * pivot);
        }
    }
    let mut solution = [0.0; N];
    let mut found = vec![0.0; size];
    for at in (0..size).rev() {
        let known: f64 = (at + 1..size).map(|column| equations[at][column] * found[column]).sum();
        found[at] = (equations[at][size] - known) / equations[at][at];
        solution[columns[at]] = found[at] / scales[at];
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAIRS: [(u32, u32); 8] =
        [(32, 8), (32, 64), (128, 8), (256, 32), (512, 8), (512, 64), (1024, 16), (1024, 64)];

    fn timed(curve: &Curve, noise: impl Fn(usize) -> f64) -> Vec<Timed> {
        let time = |(index, (prompt, written)): (usize, (u32, u32))| Timed {
            prompt,
            written,
            prompt_seconds: curve.prompt_seconds(prompt, 0) * noise(index),
            written_seconds: curve.written_seconds(written, prompt) * noise(index + 1),
        };
        PAIRS.into_iter().enumerate().map(time).collect()
    }

    #[test]
    fn a_prompt_behind_what_is_cached_takes_the_rest_of_the_time() {
        let curve = Curve {
            start_seconds: 0.5,
            prompt_token_seconds: 0.01,
            prompt_square_seconds: 1e-5,
            written_token_seconds: 0.1,
            written_place_seconds: 1e-4,
        };
        assert_eq!(curve.prompt_seconds(100, 0), 0.5 + 1.0 + 0.1);
        assert!((curve.prompt_seconds(200, 100) - (0.5 + 1.0 + 0.3)).abs() < 1e-12);
        assert_eq!(curve.prompt_seconds(100, 100), 0.0);
        assert!((curve.written_seconds(10, 100) - (10.0 * 0.1 + 1055.0 * 1e-4)).abs() < 1e-12);
        assert_eq!(curve.seconds(100, 10), curve.prompt_seconds(100, 0) + curve.written_seconds(10, 100));
    }

    #[test]
    fn a_token_reads_the_cells_that_are_filled_and_from_256_on_also_those_up_to_the_next_multiple() {
        let of_one = |before| cells_read(1, before);
        assert_eq!([0, 99, 255, 256, 511, 512, 767].map(of_one), [1.0, 100.0, 256.0, 512.0, 512.0, 768.0, 768.0]);
        assert_eq!(cells_read(3, 254), 255.0 + 256.0 + 512.0);
        assert_eq!(cells_read(0, 1000), 0.0);
        assert_eq!(of_one(u32::MAX), 4_294_967_296.0);
    }

    #[test]
    fn too_little_gives_no_curve() {
        assert_eq!(Curve::through(&[]), None);
        let nothing = Timed { prompt: 0, written: 0, prompt_seconds: 0.0, written_seconds: 0.0 };
        assert_eq!(Curve::through(&[nothing; 9]), None);
    }

    proptest! {
        #[test]
        fn a_curve_is_found_again_through_what_it_gives(
            start in 0.0f64..0.5,
            token in 1e-4f64..0.1,
            square in 0.0f64..1e-5,
            step in 1e-3f64..1.0,
            place in 0.0f64..1e-4,
        ) {
            let curve = Curve {
                start_seconds: start,
                prompt_token_seconds: token,
                prompt_square_seconds: square,
                written_token_seconds: step,
                written_place_seconds: place,
            };
            let found = Curve::through(&timed(&curve, |_| 1.0)).unwrap();
            for (prompt, written) in [(48, 12), (300, 100), (2000, 200)] {
                let (told, found) = (curve.seconds(prompt, written), found.seconds(prompt, written));
                prop_assert!((found / told - 1.0).abs() < 1e-3, "{found} {told}");
            }
        }

        #[test]
        fn no_coefficient_is_below_zero_whatever_the_noise(noise in prop::collection::vec(0.5f64..2.0, 16)) {
            let curve = Curve { prompt_token_seconds: 0.01, written_token_seconds: 0.1, ..Curve::default() };
            let found = Curve::through(&timed(&curve, |index| noise[index])).unwrap();
            let Curve { start_seconds, prompt_token_seconds, prompt_square_seconds, .. } = found;
            prop_assert!(start_seconds >= 0.0 && prompt_token_seconds >= 0.0 && prompt_square_seconds >= 0.0);
            prop_assert!(found.written_token_seconds >= 0.0 && found.written_place_seconds >= 0.0);
        }
    }
}
