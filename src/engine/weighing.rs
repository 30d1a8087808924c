//! What a model thought of the tokens of its answer: logarithms of their probabilities, and which others were likely.
//!
//! They are those of the model's own distribution, the softmax of its logits: before the repeat penalty, the temperature,
//! top-k, top-p, min-p and whatever the answer is held to.

use super::llama::{Model, Token};
use super::protocol::{Channel, Likely, Weighed};
use super::session::Session;
use super::writer::Writer;

impl Session<'_> {
    /// Weighs a token that was chosen and not yet computed, beside the `most` likeliest.
    pub(super) fn weigh(&mut self, token: Token, most: u32) -> (Likely, Vec<Likely>) {
        weigh(self.model, self.speculator.run().logits(&mut self.context), token, most)
    }
}

/// Weighs a token that was chosen by these logits, beside the `most` likeliest.
pub(super) fn weigh(model: &Model, logits: &[f32], token: Token, most: u32) -> (Likely, Vec<Likely>) {
    let total = log_sum(logits);
    let of = |token: Token| usize::try_from(token).ok().and_then(|token| logits.get(token)).copied();
    let likely = |token: Token| {
        let logprob = f64::from(of(token).unwrap_or(f32::NEG_INFINITY)) - total;
        Likely { id: token, text: written(model, token), logprob: logprob as f32 }
    };
    (likely(token), likeliest(logits, most as usize).into_iter().map(likely).collect())
}

/// A token as it is read, or as the vocabulary writes it if that is nothing.
fn written(model: &Model, token: Token) -> String {
    let piece = model.piece(token);
    if piece.is_empty() { model.token_text(token) } else { String::from_utf8_lossy(&piece).into_owned() }
}

impl Weighed {
    /// A token that `writer` was just given.
    pub(super) fn new((chosen, top): (Likely, Vec<Likely>), was_thinking: bool, writer: &Writer) -> Self {
        let is_thought = was_thinking || writer.is_thinking();
        let channel = if is_thought { Channel::Thinking } else { Channel::Answer };
        Self { channel, chosen, top }
    }
}

/// The logarithm of the sum of e to the power of each logit.
fn log_sum(logits: &[f32]) -> f64 {
    let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().filter(|logit| !logit.is_nan()).map(|logit| f64::from(logit - greatest).exp()).sum();
    f64::from(greatest) + sum.ln()
}

/// The tokens with the greatest logits, the greatest first, of equal ones the first.
fn likeliest(logits: &[f32], most: usize) -> Vec<Token> {
    let mut best: Vec<(f32, Token)> = Vec::with_capacity(most + 1);
    for (token, logit) in (0..).zip(logits) {
        let is_better = best.len() < most || best.last().is_some_and(|(least, _)| logit > least);
        if is_better && !logit.is_nan() {
            let place = best.partition_point(|(other, _)| other >= logit);
            best.insert(place, (*logit, token));
            best.truncate(most);
        }
    }
    best.into_iter().map(|(_, token)| token).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_add_up_to_one() {
        let logits: Vec<f32> = (0..1000).map(|token| (token as f32 * 0.37).sin() * 40.0).collect();
        let total = log_sum(&logits);
        let sum: f64 = logits.iter().map(|logit| (f64::from(*logit) - total).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{sum}");
        assert!((log_sum(&[0.0, 0.0, f32::NAN, f32::NEG_INFINITY]) - 2f64.ln()).abs() < 1e-9);
    }

    #[test]
    fn the_likeliest_come_first_and_of_equal_ones_the_first() {
        assert_eq!(likeliest(&[1.0, 3.0, f32::NAN, 3.0, 2.0, -1.0], 3), [1, 3, 4]);
        assert_eq!(likeliest(&[1.0, 2.0], 5), [1, 0]);
        assert_eq!(likeliest(&[1.0], 0), [0; 0]);
    }
}
