//! Choosing a token where one was drafted.
//!
//! Exact: the chosen token is distributed as it would be without a draft, whatever was drafted.
//! - Drawing as ever, and seeing whether that is what was drafted: right for any draft and any way of drawing.
//! - Rejection sampling (arXiv 2211.17192, 2302.01318), where it is known with which probability `q` a token was drafted
//!   that the model would draw with `p`: it is taken with the probability `min(1, p/q)`, and else one is drawn from what
//!   `p` has more than `q`. It takes the drafted token more often, `Σ min(p, q)` against `Σ p·q` of the time.
//!
//! Fuzzy: a drafted token is also taken where the model finds it nearly as good as the best, or where it and the draft
//! model nearly agree on what may come (Fuzzy Speculative Decoding, arXiv 2502.20704).

use crate::engine::llama::Token;
use crate::engine::sampler::Odds;

/// A token that was drafted, with what is known about it.
#[derive(Clone, Copy, Debug)]
pub struct Drafted<'d> {
    pub token: Token,
    /// How probable each token was to be drafted; `None` for a draft that was not drawn.
    pub odds: Option<&'d Odds>,
    /// The draft model's logits, where they were kept.
    pub logits: Option<&'d [f32]>,
}

/// The token that comes where the model would draw from `odds` and this one was drafted with the probability that
/// `drafted_odds` gives it. `first` and `second` are random numbers from 0 to 1.
pub fn take_or_draw(odds: &Odds, drafted: Token, drafted_odds: &Odds, first: f32, second: f32) -> Option<Token> {
    let (p, q) = (odds.of(drafted), drafted_odds.of(drafted));
    if p > 0.0 && first * q < p {
        return Some(drafted);
    }
    odds.beyond(drafted_odds).draw(second)
}

/// Whether a fuzzy answer takes the drafted token without drawing: `fuzz` is 0 for never to 1 for always.
pub fn is_close(logits: &[f32], drafted: Drafted<'_>, fuzz: f32) -> bool {
    if fuzz <= 0.0 {
        return false;
    }
    match drafted.logits {
        Some(others) => divergence(logits, others) <= fuzz * std::f32::consts::LN_2,
        None => {
            let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let logit = usize::try_from(drafted.token).ok().and_then(|token| logits.get(token));
            logit.is_some_and(|logit| (logit - best).exp() >= 1.0 - fuzz)
        }
    }
}

/// The Jensen-Shannon divergence of what two models expect, 0 to ln 2. A vocabulary that is padded at its end is
/// compared without that.
fn divergence(logits: &[f32], others: &[f32]) -> f32 {
    let length = logits.len().min(others.len());
    let (logits, others) = (&logits[..length], &others[..length]);
    let log_total = |logits: &[f32]| {
        let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        best + logits.iter().map(|logit| (logit - best).exp()).sum::<f32>().ln()
    };
    let (total, other_total) = (log_total(logits), log_total(others));
    let share = |p: f32, mean: f32| if p > 0.0 { p * (p / mean).ln() } else { 0.0 };
    let sum: f32 = logits
        .iter()
        .zip(others)
        .map(|(logit, other)| {
            let (p, q) = ((logit - total).exp(), (other - other_total).exp());
            share(p, (p + q) / 2.0) + share(q, (p + q) / 2.0)
        })
        .sum();
    if sum.is_nan() { f32::INFINITY } else { sum / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Sampling;
    use crate::engine::sampler::Sampler;

    /// 8 tokens, of which the models think differently.
    const LOGITS: [f32; 8] = [2.0, 1.5, 0.3, -0.5, 1.0, -3.0, 0.0, -1.0];
    const OTHERS: [f32; 8] = [0.5, 2.5, -1.0, 0.4, 1.2, -0.5, -2.0, 0.2];
    const DRAWS: usize = 1_000_000;

    fn sampling() -> Sampling {
        Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, repeat_penalty: 1.0, seed: Some(11) }
    }

    /// Ways of truncating, each of which is a branch of the sampler.
    fn ways() -> Vec<Sampling> {
        vec![
            sampling(),
            Sampling { temperature: 0.6, ..sampling() },
            Sampling { top_k: 3, ..sampling() },
            Sampling { top_p: 0.8, ..sampling() },
            Sampling { min_p: 0.2, ..sampling() },
            Sampling { repeat_penalty: 1.7, top_k: 6, top_p: 0.95, min_p: 0.05, temperature: 0.8, ..sampling() },
        ]
    }

    const RECENT: [Token; 3] = [0, 4, 2];

    /// What the sampler says the odds are: the reference, which `sample` is tested against in its own file.
    fn expected(sampling: &Sampling, logits: &[f32]) -> Vec<f64> {
        let odds = Sampler::new(sampling).odds(logits, &RECENT).unwrap();
        (0..logits.len()).map(|token| f64::from(odds.of(token as Token))).collect()
    }

    /// The 99.9th percentile of chi-square, by Wilson and Hilferty's approximation.
    fn limit(freedom: f64) -> f64 {
        let part = 2.0 / (9.0 * freedom);
        freedom * (1.0 - part + 3.0902 * part.sqrt()).powi(3)
    }

    #[track_caller]
    fn assert_distributed(counts: &[usize], expected: &[f64], what: &str) {
        let draws: usize = counts.iter().sum();
        let mut square = 0.0;
        for (token, (count, p)) in counts.iter().zip(expected).enumerate() {
            if *p == 0.0 {
                assert_eq!(*count, 0, "{what}: token {token} can never come");
            } else {
                square += (*count as f64 - p * draws as f64).powi(2) / (p * draws as f64);
            }
        }
        let freedom = expected.iter().filter(|p| **p > 0.0).count() as f64 - 1.0;
        assert!(freedom == 0.0 || square < limit(freedom), "{what}: chi-square {square} of {counts:?}, {expected:?}");
    }

    /// How often each token comes.
    fn counts(mut choose: impl FnMut() -> Token) -> Vec<usize> {
        let mut counts = vec![0; LOGITS.len()];
        (0..DRAWS).for_each(|_| counts[choose() as usize] += 1);
        counts
    }

    #[test]
    fn how_far_two_models_may_differ_is_a_part_of_how_far_they_can() {
        let part = divergence(&LOGITS, &OTHERS) / std::f32::consts::LN_2;
        let drafted = Drafted { token: 0, odds: None, logits: Some(&OTHERS) };
        assert!(is_close(&LOGITS, drafted, part * 1.01) && !is_close(&LOGITS, drafted, part * 0.99));
    }

    #[test]
    fn what_is_drawn_beside_a_draft_of_ngrams_is_distributed_as_without_it() {
        for way in ways() {
            let mut sampler = Sampler::new(&way);
            // The draft is a token that the text before suggests, so it is one and the same; matching only looks at it.
            let counts = counts(|| sampler.sample(&LOGITS, &RECENT).unwrap());
            assert_distributed(&counts, &expected(&way, &LOGITS), &format!("{way:?}"));
        }
    }

    #[test]
    fn rejection_sampling_is_exact_whatever_is_cut_off_on_either_side() {
        for way in ways() {
            for other in ways() {
                let mut target = Sampler::new(&way);
                let mut drafter = Sampler::new(&Sampling { seed: Some(5), ..other.clone() });
                let (odds, drafted_odds) =
                    (target.odds(&LOGITS, &RECENT).unwrap(), drafter.odds(&OTHERS, &RECENT).unwrap());
                let mut random = fastrand::Rng::with_seed(9);
                let draws = DRAWS / 6;
                let mut counts = vec![0; LOGITS.len()];
                for _ in 0..draws {
                    let drafted = drafter.sample(&OTHERS, &RECENT).unwrap();
                    let token = take_or_draw(&odds, drafted, &drafted_odds, random.f32(), random.f32()).unwrap();
                    counts[token as usize] += 1;
                }
                assert_distributed(&counts, &expected(&way, &LOGITS), &format!("{way:?} after {other:?}"));
            }
        }
    }

    #[test]
    fn rejection_sampling_over_a_million_draws_is_exact_and_takes_the_most_there_is_to_take() {
        let mut target = Sampler::new(&sampling());
        let mut drafter = Sampler::new(&Sampling { seed: Some(3), ..sampling() });
        let (odds, drafted_odds) = (target.odds(&LOGITS, &[]).unwrap(), drafter.odds(&OTHERS, &[]).unwrap());
        let mut random = fastrand::Rng::with_seed(9);
        let mut taken = 0;
        let counts = counts(|| {
            let drafted = drafter.sample(&OTHERS, &[]).unwrap();
            let token = take_or_draw(&odds, drafted, &drafted_odds, random.f32(), random.f32()).unwrap();
            taken += usize::from(token == drafted);
            token
        });
        let probabilities: Vec<f64> = (0..8).map(|token| f64::from(odds.of(token))).collect();
        assert_distributed(&counts, &probabilities, "rejection sampling");
        let overlap: f64 = (0..8).map(|token| f64::from(odds.of(token).min(drafted_odds.of(token)))).sum();
        assert!((taken as f64 / DRAWS as f64 - overlap).abs() < 0.003, "{taken} taken, {overlap}");
    }

    #[test]
    fn a_draft_that_stops_where_the_draft_model_is_unsure_changes_nothing() {
        // Two tokens: the second is drafted only if the draft model is sure enough of it, whatever it would draw. What
        // comes second behind each first is distributed as the model has it.
        let mut target = Sampler::new(&sampling());
        let mut drafter = Sampler::new(&Sampling { seed: Some(4), ..sampling() });
        let second = |first: Token| LOGITS.map(|logit| logit * (0.3 + 0.2 * first as f32));
        let others = |first: Token| OTHERS.map(|logit| logit * (0.1 + 0.3 * first as f32));
        let target_odds: Vec<Odds> = (0..8).map(|token| target.odds(&second(token), &[]).unwrap()).collect();
        let drafted_odds: Vec<Odds> = (0..8).map(|token| drafter.odds(&others(token), &[]).unwrap()).collect();
        let (odds, first_odds) = (target.odds(&LOGITS, &[]).unwrap(), drafter.odds(&OTHERS, &[]).unwrap());
        let mut random = fastrand::Rng::with_seed(2);
        let mut counts = vec![vec![0; 8]; 8];
        let mut stops = 0;
        for _ in 0..DRAWS {
            let drafted = first_odds.draw(random.f32()).unwrap();
            let is_sure = drafted_odds[drafted as usize].most() >= 0.6;
            stops += usize::from(!is_sure);
            let next = is_sure.then(|| drafted_odds[drafted as usize].draw(random.f32()).unwrap());
            let first = take_or_draw(&odds, drafted, &first_odds, random.f32(), random.f32()).unwrap();
            let behind = &target_odds[first as usize];
            let last = match next.filter(|_| first == drafted) {
                Some(next) => {
                    take_or_draw(behind, next, &drafted_odds[first as usize], random.f32(), random.f32()).unwrap()
                }
                None => behind.draw(random.f32()).unwrap(),
            };
            counts[first as usize][last as usize] += 1;
        }
        assert!(stops > DRAWS / 20 && stops < DRAWS);
        for first in 0..8 {
            let expected: Vec<f64> = (0..8).map(|token| f64::from(target_odds[first].of(token))).collect();
            assert_distributed(&counts[first], &expected, &format!("behind {first}"));
        }
    }

    #[test]
    fn under_a_mask_what_is_drawn_again_is_distributed_over_what_is_allowed() {
        // As the guide does it: what is refused is left out, and drawn again.
        let allowed = [false, true, false, true, true, false, true, false];
        let mut sampler = Sampler::new(&sampling());
        let counts = counts(|| {
            let mut left = LOGITS;
            loop {
                let token = sampler.sample(&left, &[]).unwrap();
                if allowed[token as usize] {
                    return token;
                }
                left[token as usize] = f32::NEG_INFINITY;
            }
        });
        let masked: Vec<f32> = LOGITS
            .iter()
            .zip(allowed)
            .map(|(logit, is_allowed)| if is_allowed { *logit } else { f32::NEG_INFINITY })
            .collect();
        let odds = Sampler::new(&sampling()).odds(&masked, &[]).unwrap();
        let expected: Vec<f64> = (0..8).map(|token| f64::from(odds.of(token))).collect();
        assert_distributed(&counts, &expected, "masked");
    }

    #[test]
    fn without_fuzz_nothing_is_close_and_with_all_of_it_everything_is() {
        let drafted = Drafted { token: 5, odds: None, logits: None };
        let by_model = Drafted { logits: Some(&OTHERS), ..drafted };
        for drafted in [drafted, by_model] {
            assert!(!is_close(&LOGITS, drafted, 0.0));
            assert!(is_close(&LOGITS, drafted, 1.0));
        }
    }

    #[test]
    fn fuzzy_takes_what_is_nearly_as_probable_as_the_best() {
        let close = |token, fuzz| is_close(&LOGITS, Drafted { token, odds: None, logits: None }, fuzz);
        assert!(close(0, 0.01), "the best");
        // e^-0.5 is 0.61.
        assert!(close(1, 0.4) && !close(1, 0.38));
        assert!(!close(99, 0.9));
    }

    #[test]
    fn fuzzy_takes_what_the_draft_model_says_where_the_two_nearly_agree() {
        let close =
            |others: &[f32], fuzz| is_close(&LOGITS, Drafted { token: 5, odds: None, logits: Some(others) }, fuzz);
        assert!(close(&LOGITS, 0.001));
        assert!(!close(&OTHERS, 0.05) && close(&OTHERS, 0.5));
        let opposite = [f32::NEG_INFINITY, 50.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert!((divergence(&[50.0, f32::NEG_INFINITY, 0., 0., 0., 0., 0., 0.], &opposite) - 0.693).abs() < 0.001);
    }
}
