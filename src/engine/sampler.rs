//! Choosing the next token from the logits: repeat penalty, top-k, top-p, min-p, temperature, draw; in the order of
//! llama.cpp's default chain, so that its settings mean the same here. And what a draw is made from, for whoever compares
//! two models' odds.

use std::collections::HashSet;

use super::llama::Token;
use crate::chat::Sampling;

/// How many of the last tokens the repeat penalty looks at (llama.cpp's default).
pub const REPEAT_WINDOW: usize = 64;

/// A token that may be chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    token: Token,
    logit: f32,
    probability: f32,
}

/// The tokens that may be drawn, with their probabilities; all others have none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Odds(Vec<(Token, f32)>);

impl Odds {
    pub fn of(&self, token: Token) -> f32 {
        self.0.iter().find(|(other, _)| *other == token).map_or(0.0, |(_, probability)| *probability)
    }

    /// The greatest of the probabilities.
    #[cfg(test)]
    pub fn most(&self) -> f32 {
        self.0.iter().map(|(_, probability)| *probability).fold(0.0, f32::max)
    }

    /// What these have more than the others, as odds. Where that is nothing, as rounding can have it, these themselves.
    pub fn beyond(&self, others: &Self) -> Self {
        let more = |(token, probability): &(Token, f32)| (*token, (probability - others.of(*token)).max(0.0));
        let left: Vec<(Token, f32)> = self.0.iter().map(more).collect();
        let sum: f32 = left.iter().map(|(_, probability)| probability).sum();
        if sum <= 0.0 {
            return self.clone();
        }
        Self(left.into_iter().map(|(token, probability)| (token, probability / sum)).collect())
    }

    /// A token by a random number from 0 to 1; `None` if there is none.
    pub fn draw(&self, random: f32) -> Option<Token> {
        let mut left = random;
        for (token, probability) in &self.0 {
            left -= probability;
            if left < 0.0 {
                return Some(*token);
            }
        }
        // Rounding can leave a crumb.
        self.0.iter().rfind(|(_, probability)| *probability > 0.0).map(|(token, _)| *token)
    }
}

/// Draws tokens. Two samplers with the same settings and seed draw the same from the same logits.
#[derive(Debug)]
pub struct Sampler {
    settings: Sampling,
    seed: u32,
    random: fastrand::Rng,
    penalised: Vec<f32>,
    candidates: Vec<Candidate>,
}

impl Sampler {
    /// Uses the seed of the settings, or draws one.
    pub fn new(settings: &Sampling) -> Self {
        let seed = settings.seed.unwrap_or_else(|| fastrand::u32(..));
        Self {
            settings: settings.clone(),
            seed,
            random: fastrand::Rng::with_seed(u64::from(seed)),
            penalised: Vec::new(),
            candidates: Vec::new(),
        }
    }

    /// The seed in use.
    pub fn seed(&self) -> u32 {
        self.seed
    }

    /// The next token, given the logits of all tokens and the last tokens of the conversation. `None` if no logit is
    /// a number, which a damaged model or an overflow can cause.
    pub fn sample(&mut self, logits: &[f32], recent: &[Token]) -> Option<Token> {
        self.penalised(logits, recent, |sampler, logits| {
            if sampler.settings.temperature <= 0.0 { best(logits) } else { sampler.draw(logits) }
        })
    }

    /// What [`Sampler::sample`] draws from.
    pub fn odds(&mut self, logits: &[f32], recent: &[Token]) -> Option<Odds> {
        self.penalised(logits, recent, |sampler, logits| {
            if sampler.settings.temperature <= 0.0 {
                return best(logits).map(|token| Odds(vec![(token, 1.0)]));
            }
            sampler.weigh(logits)?;
            let kept = sampler.candidates.iter();
            Some(Odds(kept.map(|candidate| (candidate.token, candidate.probability)).collect()))
        })
    }

    /// A random number from 0 to 1, of those that tokens are drawn with.
    pub fn random(&mut self) -> f32 {
        self.random.f32()
    }

    /// Whether tokens are drawn, and not the best taken.
    pub fn draws(&self) -> bool {
        self.settings.temperature > 0.0
    }

    /// Calls `choose` with the logits as the repeat penalty leaves them.
    fn penalised<T>(&mut self, logits: &[f32], recent: &[Token], choose: impl FnOnce(&mut Self, &[f32]) -> T) -> T {
        if self.settings.repeat_penalty == 1.0 {
            return choose(self, logits);
        }
        let mut penalised = std::mem::take(&mut self.penalised);
        penalised.clear();
        penalised.extend_from_slice(logits);
        penalise(&mut penalised, recent, self.settings.repeat_penalty);
        let chosen = choose(self, &penalised);
        self.penalised = penalised;
        chosen
    }

    fn draw(&mut self, logits: &[f32]) -> Option<Token> {
        self.weigh(logits)?;
        let mut left = self.random.f32();
        for candidate in &self.candidates {
            left -= candidate.probability;
            if left < 0.0 {
                return Some(candidate.token);
            }
        }
        // Rounding can leave a crumb.
        self.candidates.last().map(|candidate| candidate.token)
    }

    /// Makes the candidates those that may be drawn, with their probabilities.
    fn weigh(&mut self, logits: &[f32]) -> Option<()> {
        let best = logits[usize::try_from(best(logits)?).ok()?];
        self.keep_top_k(logits, best);
        let kept = &mut self.candidates;
        kept.sort_unstable_by(|one, other| other.logit.total_cmp(&one.logit).then(one.token.cmp(&other.token)));
        softmax(kept, 1.0);
        let nucleus = nucleus_length(kept, self.settings.top_p);
        let probable = probable_length(kept, self.settings.min_p);
        kept.truncate(nucleus.min(probable));
        softmax(kept, self.settings.temperature);
        Some(())
    }

    /// Fills the candidates with the k best, in no order. One pass with a small heap: the vocabulary has up to some
    /// hundred thousand tokens and this runs for each of them.
    fn keep_top_k(&mut self, logits: &[f32], best: f32) {
        self.candidates.clear();
        let k = match self.settings.top_k {
            0 => logits.len(),
            k => (k as usize).min(logits.len()),
        };
        // A token e^-40 times less probable than the best one is never drawn from 24 bits of randomness.
        let mut threshold = best - 40.0 * self.settings.temperature.max(1.0);
        for (token, logit) in logits.iter().enumerate() {
            if *logit >= threshold {
                self.candidates.push(Candidate { token: token as Token, logit: *logit, probability: 0.0 });
                // Selecting at twice k costs a constant number of comparisons for each candidate.
                if self.candidates.len() >= 2 * k + 32 {
                    self.select(k);
                    threshold = self.candidates[k - 1].logit;
                }
            }
        }
        if self.candidates.len() > k {
            self.select(k);
        }
    }

    fn select(&mut self, k: usize) {
        self.candidates.select_nth_unstable_by(k - 1, |one, other| {
            other.logit.total_cmp(&one.logit).then(one.token.cmp(&other.token))
        });
        self.candidates.truncate(k);
    }
}

/// The token with the greatest logit, the first of equal ones; `None` if there is no number among them.
///
/// The maximum is found in lanes, which compiles to vector instructions: this runs over the whole vocabulary for every
/// token of an answer.
pub fn best(logits: &[f32]) -> Option<Token> {
    const LANES: usize = 16;
    let mut greatest = [f32::NEG_INFINITY; LANES];
    let chunks = logits.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, logit) in greatest.iter_mut().zip(chunk) {
            // False for NaN.
            if *logit > *lane {
                *lane = *logit;
            }
        }
    }
    let greatest = greatest.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max);
    let token = logits.iter().position(|logit| *logit == greatest && greatest > f32::NEG_INFINITY)?;
    Token::try_from(token).ok()
}

/// Makes tokens that were used less likely: positive logits are divided, negative ones multiplied (Keskar et al. 2019,
/// arXiv:1909.05858, with llama.cpp's handling of the sign).
fn penalise(logits: &mut [f32], recent: &[Token], penalty: f32) {
    let window = &recent[recent.len().saturating_sub(REPEAT_WINDOW)..];
    let used: HashSet<Token> = window.iter().copied().collect();
    for token in used {
        if let Some(logit) = usize::try_from(token).ok().and_then(|token| logits.get_mut(token)) {
            *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
        }
    }
}

/// Sets the probabilities of candidates in descending order of logit.
fn softmax(candidates: &mut [Candidate], temperature: f32) {
    let Some(best) = candidates.first().map(|candidate| candidate.logit) else { return };
    let mut sum = 0.0;
    for candidate in candidates.iter_mut() {
        candidate.probability = ((candidate.logit - best) / temperature).exp();
        sum += candidate.probability;
    }
    for candidate in candidates {
        candidate.probability /= sum;
    }
}

/// Length of the shortest beginning whose probability reaches `p`, at least 1.
fn nucleus_length(candidates: &[Candidate], p: f32) -> usize {
    if p >= 1.0 {
        return candidates.len();
    }
    let mut sum = 0.0;
    let reached = candidates.iter().position(|candidate| {
        sum += candidate.probability;
        sum >= p
    });
    reached.map_or(candidates.len(), |last| last + 1)
}

/// Length of the beginning whose members are at least `fraction` as probable as the first, at least 1.
fn probable_length(candidates: &[Candidate], fraction: f32) -> usize {
    let Some(best) = candidates.first().map(|candidate| candidate.probability) else { return 0 };
    candidates.partition_point(|candidate| candidate.probability >= fraction * best).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn settings() -> Sampling {
        Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, repeat_penalty: 1.0, seed: Some(7) }
    }

    /// How often each token is drawn.
    fn counts(settings: &Sampling, logits: &[f32], draws: usize) -> Vec<usize> {
        let mut sampler = Sampler::new(settings);
        let mut counts = vec![0; logits.len()];
        for _ in 0..draws {
            counts[sampler.sample(logits, &[]).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn temperature_zero_takes_the_best_and_of_equals_the_first() {
        let mut sampler = Sampler::new(&Sampling { temperature: 0.0, ..settings() });
        assert_eq!(sampler.sample(&[1.0, 3.0, 3.0, f32::NAN], &[]), Some(1));
    }

    #[test]
    fn draws_follow_the_softmax() {
        let counts = counts(&settings(), &[0.0, 2.0_f32.ln(), 7.0_f32.ln()], 20_000);
        for (count, expected) in counts.iter().zip([2000.0, 4000.0, 14_000.0]) {
            assert!((*count as f64 - expected).abs() < expected * 0.1, "{counts:?}");
        }
    }

    #[test]
    fn a_higher_temperature_evens_the_odds() {
        let logits = [0.0, 2.0];
        let cold = counts(&Sampling { temperature: 0.5, ..settings() }, &logits, 2000);
        let hot = counts(&Sampling { temperature: 2.0, ..settings() }, &logits, 2000);
        assert!(cold[0] < hot[0], "{cold:?} {hot:?}");
    }

    #[test]
    fn top_k_leaves_the_k_best() {
        let counts = counts(&Sampling { top_k: 2, ..settings() }, &[1.0, 1.1, 1.2, 0.9], 2000);
        assert!(counts[0] == 0 && counts[3] == 0 && counts[1] > 0 && counts[2] > 0, "{counts:?}");
    }

    #[test]
    fn top_p_leaves_the_smallest_set_that_reaches_p() {
        let logits = [0.5_f32.ln(), 0.3_f32.ln(), 0.2_f32.ln()];
        let counts = counts(&Sampling { top_p: 0.7, ..settings() }, &logits, 2000);
        assert!(counts[2] == 0 && counts[1] > 0, "{counts:?}");
    }

    #[test]
    fn min_p_drops_what_is_far_less_probable_than_the_best() {
        let logits = [0.6_f32.ln(), 0.37_f32.ln(), 0.03_f32.ln()];
        let counts = counts(&Sampling { min_p: 0.1, ..settings() }, &logits, 2000);
        assert!(counts[2] == 0 && counts[1] > 0, "{counts:?}");
    }

    #[test]
    fn the_same_seed_draws_the_same_tokens() {
        let logits: Vec<f32> = (0..100).map(|token| (token as f32 * 0.7).sin()).collect();
        let draw = || {
            let mut sampler = Sampler::new(&settings());
            (0..50).map(|_| sampler.sample(&logits, &[]).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(draw(), draw());
    }

    #[test]
    fn a_seed_that_was_drawn_is_told_and_reproduces_the_answer() {
        let first = Sampler::new(&Sampling { seed: None, ..settings() });
        let again = Sampler::new(&Sampling { seed: Some(first.seed()), ..settings() });
        assert_eq!(first.seed(), again.seed());
    }

    #[test]
    fn the_repeat_penalty_makes_used_tokens_less_likely_whatever_their_sign() {
        let mut sampler = Sampler::new(&Sampling { temperature: 0.0, repeat_penalty: 2.0, ..settings() });
        assert_eq!(sampler.sample(&[1.0, 0.9], &[0]), Some(1));
        assert_eq!(sampler.sample(&[-1.0, -1.5], &[0]), Some(1));
    }

    #[test]
    fn logits_without_a_number_choose_nothing() {
        let mut sampler = Sampler::new(&settings());
        assert_eq!(sampler.sample(&[f32::NAN, f32::NEG_INFINITY], &[]), None);
        assert_eq!(sampler.sample(&[], &[]), None);
    }

    proptest! {
        #[test]
        fn the_best_is_the_first_of_the_greatest(logits in prop::collection::vec(-5i8..5, 1..80)) {
            let logits: Vec<f32> = logits.into_iter().map(f32::from).collect();
            let greatest = logits.iter().copied().fold(f32::MIN, f32::max);
            let first = logits.iter().position(|logit| *logit == greatest).unwrap();
            prop_assert_eq!(best(&logits), Some(first as Token));
        }

        #[test]
        fn what_is_drawn_is_always_among_the_k_best(
            logits in prop::collection::vec(-20.0f32..20.0, 1..300),
            top_k in 1u32..50,
            seed in any::<u32>(),
        ) {
            let mut sampler = Sampler::new(&Sampling { top_k, seed: Some(seed), ..settings() });
            let token = sampler.sample(&logits, &[]).unwrap() as usize;
            let better = logits.iter().filter(|logit| **logit > logits[token]).count();
            prop_assert!(better < top_k as usize);
        }
    }
}
