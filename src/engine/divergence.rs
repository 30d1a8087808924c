//! How far one way of computing a model is from another: both read the same text, and their logits are compared place
//! by place. The measures are those of llama.cpp's `llama-perplexity --kl-divergence` (tools/perplexity), with natural
//! logarithms and 64-bit sums:
//!
//! - perplexity: `exp(−mean ln p(next token))`;
//! - divergence of a place, in nats: `KLD(reference ‖ other) = Σ p·(ln p − ln q)` over the vocabulary, with `p` of the
//!   reference and `q` of the other;
//! - percentiles are interpolated between the two values they fall between;
//! - same top: the share of places where both hold the same token the most probable.
//!
//! llama-perplexity stores the reference in 16 bits, so it differs from this in the fifth digit or so.

use serde::{Deserialize, Serialize};

use super::llama::Token;

/// What a place counts at most, in nats: a probability of nothing, or a logit that is no number, must spoil the mean
/// without making it useless.
const MOST_NATS: f64 = 100.0;

/// Takes in the rows of logits of a text, one place after the other.
#[derive(Clone, Debug, Default)]
pub struct Divergence {
    reference_surprise: f64,
    surprise: f64,
    divergences: Vec<f64>,
    same_top: u32,
}

/// What the places of a text came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Places that were compared. Without any, all else is 0.
    pub tokens: u32,
    pub reference_perplexity: f64,
    pub perplexity: f64,
    /// Nats.
    pub mean_kld: f64,
    /// Nats; a hundredth of the places diverge more.
    pub p99_kld: f64,
    /// Share of the places, 0 to 1.
    pub same_top: f64,
}

impl Divergence {
    /// Compares the logits of both for the place before `next`. Rows of different lengths, or that do not have the
    /// token, are left out.
    pub fn push(&mut self, reference: &[f32], other: &[f32], next: Token) {
        let Ok(next) = usize::try_from(next) else { return };
        if reference.len() != other.len() || next >= reference.len() {
            return;
        }
        let (reference_total, total) = (log_of_total(reference), log_of_total(other));
        self.reference_surprise += bounded(reference_total - f64::from(reference[next]));
        self.surprise += bounded(total - f64::from(other[next]));
        let divergence = reference.iter().zip(other).map(|(reference, other)| {
            let log_p = f64::from(*reference) - reference_total;
            let p = log_p.exp();
            // 0 · ln 0 is 0.
            if p == 0.0 { 0.0 } else { p * (log_p - f64::from(*other) + total) }
        });
        self.divergences.push(bounded(divergence.sum()));
        self.same_top += u32::from(top(reference) == top(other));
    }

    pub fn summary(&self) -> Summary {
        let tokens = self.divergences.len() as f64;
        if tokens == 0.0 {
            return Summary::default();
        }
        let mut sorted = self.divergences.clone();
        sorted.sort_by(f64::total_cmp);
        Summary {
            tokens: u32::try_from(sorted.len()).unwrap_or(u32::MAX),
            reference_perplexity: (self.reference_surprise / tokens).exp(),
            perplexity: (self.surprise / tokens).exp(),
            mean_kld: sorted.iter().sum::<f64>() / tokens,
            p99_kld: percentile(&sorted, 0.99),
            same_top: f64::from(self.same_top) / tokens,
        }
    }
}

fn bounded(nats: f64) -> f64 {
    // Rounding can take a divergence of nothing below it.
    if nats.is_nan() { MOST_NATS } else { nats.clamp(0.0, MOST_NATS) }
}

/// `ln Σ exp(logit)`.
fn log_of_total(logits: &[f32]) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = logits.iter().map(|logit| f64::from(*logit - largest).exp()).sum();
    f64::from(largest) + total.ln()
}

/// The most probable token; of several the first.
fn top(logits: &[f32]) -> Option<usize> {
    (0..logits.len()).reduce(|best, token| if logits[token] > logits[best] { token } else { best })
}

fn percentile(sorted: &[f64], part: f64) -> f64 {
    let last = sorted.len() - 1;
    let place = part * last as f64;
    let below = (place as usize).min(last);
    let above = (below + 1).min(last);
    let share = place - below as f64;
    sorted[below] * (1.0 - share) + sorted[above] * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_near(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-6, "{left} is not {right}");
    }

    /// Logits that give these probabilities, shifted: only their differences count.
    fn logits(probabilities: [f32; 4], shift: f32) -> Vec<f32> {
        probabilities.iter().map(|probability| probability.ln() + shift).collect()
    }

    #[test]
    fn a_row_compared_with_itself_does_not_diverge() {
        let row = logits([0.5, 0.25, 0.125, 0.125], 3.0);
        let mut divergence = Divergence::default();
        divergence.push(&row, &row, 1);
        let summary = divergence.summary();
        assert_eq!((summary.tokens, summary.same_top), (1, 1.0));
        assert_near(summary.mean_kld, 0.0);
        assert_near(summary.reference_perplexity, 4.0);
        assert_near(summary.perplexity, 4.0);
    }

    #[test]
    fn two_places_come_to_what_the_formulas_give_by_hand() {
        let mut divergence = Divergence::default();
        let reference = logits([0.5, 0.25, 0.125, 0.125], 3.0);
        // KLD: ½ ln(.5/.25) + ¼ ln(.25/.5) + 0 + 0 = ¼ ln 2.
        divergence.push(&reference, &logits([0.25, 0.5, 0.125, 0.125], -7.0), 0);
        // KLD: ½ ln(.5/.5) + ¼ ln(.25/.125) + ⅛ ln(.125/.25) + 0 = ⅛ ln 2.
        divergence.push(&reference, &logits([0.5, 0.125, 0.25, 0.125], 0.0), 1);
        let summary = divergence.summary();
        let ln_2 = std::f64::consts::LN_2;
        assert_eq!((summary.tokens, summary.same_top), (2, 0.5));
        assert_near(summary.mean_kld, 0.1875 * ln_2);
        assert_near(summary.p99_kld, (0.99 * 0.25 + 0.01 * 0.125) * ln_2);
        // Surprise of the reference: ln 2 and ln 4; of the other: ln 4 and ln 8.
        assert_near(summary.reference_perplexity, (1.5 * ln_2).exp());
        assert_near(summary.perplexity, (2.5 * ln_2).exp());
    }

    #[test]
    fn what_is_impossible_spoils_the_mean_and_stays_a_number() {
        let row = logits([0.5, 0.25, 0.125, 0.125], 0.0);
        for broken in [vec![f32::NAN; 4], vec![f32::NEG_INFINITY; 4], logits([0.0, 0.5, 0.25, 0.25], 0.0)] {
            let mut divergence = Divergence::default();
            divergence.push(&row, &broken, 0);
            let summary = divergence.summary();
            assert_eq!(summary.mean_kld, MOST_NATS);
            assert!(summary.perplexity.is_finite() && summary.perplexity > 1e40);
            let json = serde_json::to_string(&summary).unwrap();
            assert_eq!(serde_json::from_str::<Summary>(&json).unwrap(), summary);
        }
        // What the reference never says does not matter.
        let mut divergence = Divergence::default();
        divergence.push(&logits([0.0, 0.5, 0.25, 0.25], 0.0), &logits([0.0, 0.5, 0.25, 0.25], 0.0), 1);
        assert_near(divergence.summary().mean_kld, 0.0);
    }

    #[test]
    fn rows_that_cannot_be_compared_are_left_out() {
        let mut divergence = Divergence::default();
        divergence.push(&[0.0; 4], &[0.0; 3], 0);
        divergence.push(&[0.0; 4], &[0.0; 4], 4);
        divergence.push(&[0.0; 4], &[0.0; 4], -1);
        divergence.push(&[], &[], 0);
        assert_eq!(divergence.summary(), Summary::default());
    }
}
