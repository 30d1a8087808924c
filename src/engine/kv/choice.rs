//! Which formats the KV cache is made of: what was asked for if it can be, else f16 as long as it has room, else the
//! finest rounding that the model was seen to bear. Pure; whoever calls it does the seeing.

use super::budget::whole_cells;
use super::check::{Outcome, Unknown};
use super::shape::{Shape, has_own_kernel};
use super::types::{KvType, KvTypes};
use crate::engine::profile::SOURCE;
use crate::text::mebibytes;

const F16: KvTypes = KvTypes { k: KvType::F16, v: KvType::F16 };
/// From fine to coarse. Keys bear less than values: rounding the keys of Qwen2.5 0.5B to 5 bits makes it useless,
/// rounding its values to 4 is hardly noticed (see `check`).
const CANDIDATES: [KvTypes; 4] = [
    KvTypes { k: KvType::Q8, v: KvType::Q8 },
    KvTypes { k: KvType::Q8, v: KvType::Q4 },
    KvTypes { k: KvType::Q5WithOffset, v: KvType::Q5WithOffset },
    KvTypes { k: KvType::Q4, v: KvType::Q4 },
];
/// Tokens that are enough for a conversation: no coarser format is taken to have more.
const ENOUGH: u32 = 2048;
/// Of f16's speed. More tokens that are held are worth a slower answer, but not any.
const LEAST_SPEED: f64 = 0.7;
/// The same for prompts, which are computed once.
const LEAST_PROMPT_SPEED: f64 = 0.5;

/// Formats, and why these, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    pub types: KvTypes,
    pub reason: String,
}

/// What there is to choose from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Situation<'a> {
    pub shape: Shape,
    pub backend: &'a str,
    /// Tokens that the conversation should have.
    pub tokens: u32,
    /// As many tokens as these are worth a slow answer.
    pub least: u32,
    /// Bytes for them.
    pub bytes: u64,
}

impl Situation<'_> {
    /// The formats that were asked for; `known` is what was found of them earlier.
    ///
    /// # Errors
    /// A sentence, if they cannot be.
    pub fn asked_for(&self, types: KvTypes, known: Option<Outcome>) -> Result<Choice, String> {
        self.shape.check(types, self.backend)?;
        let mut reason = format!("{types} was asked for");
        match known {
            _ if types == F16 => {}
            Some(outcome) if outcome.is_good() => {
                reason.push_str(&format!("; this model bears it ({})", figures(&outcome)));
            }
            Some(outcome) => reason.push_str(&format!("; it changes this model's answers ({})", figures(&outcome))),
            None => {}
        }
        if !has_own_kernel(types, self.backend) {
            reason.push_str(&format!("; {} turns it into f16 for every token, which is slow", self.backend));
        }
        Ok(Choice { types, reason })
    }

    /// The best formats here. `try_out` says what one does with the model; it is asked only where there is need.
    ///
    /// # Errors
    /// If the trial was cancelled.
    pub fn best(&self, mut try_out: impl FnMut(KvTypes) -> Result<Outcome, Unknown>) -> Result<Choice, Unknown> {
        let needed = mebibytes(u64::from(self.tokens).saturating_mul(self.shape.bytes_per_cell(F16)));
        let room = mebibytes(self.bytes);
        if self.cells(F16) >= self.tokens {
            let reason = format!("{} tokens take {needed} in f16, and there is room for them", self.tokens);
            return Ok(Choice { types: F16, reason });
        }
        let mut notes =
            vec![format!("{} tokens would take {needed} in f16, and there are {room} for them", self.tokens)];
        let mut types = F16;
        for candidate in CANDIDATES.into_iter().filter(|candidate| self.is_possible(*candidate)) {
            if types != F16 && self.cells(types) >= ENOUGH.min(self.tokens) {
                break;
            }
            match try_out(candidate) {
                Ok(outcome) if !outcome.is_good() => {
                    let coarser = coarser_than(candidate);
                    notes.push(format!("{candidate} would change this model's answers ({})", figures(&outcome)));
                    if !coarser.is_empty() {
                        notes.push(format!("what is coarser still was not tried ({coarser})"));
                    }
                    break;
                }
                // But a slow conversation is better than none.
                Ok(outcome) if is_slow(&outcome) && self.cells(types) >= self.least => {
                    notes.push(format!("{candidate} would slow it down ({})", figures(&outcome)));
                }
                Ok(outcome) => {
                    notes.push(format!("this model bears {candidate} ({})", figures(&outcome)));
                    types = candidate;
                }
                Err(Unknown::Failed(words)) => notes.push(format!("{candidate} could not be tried: {words}")),
                Err(cancelled) => return Err(cancelled),
            }
        }
        if notes.len() == 1 {
            notes.push("this model or device takes nothing smaller".into());
        }
        notes.push(format!("so it is {types}, for {} tokens", self.cells(types).min(self.tokens)));
        Ok(Choice { types, reason: notes.join("; ") })
    }

    /// The smallest format that may well do where nothing was tried on purpose: `recall` says what was found earlier. The
    /// finest rounding is taken to do until it is known not to.
    pub fn hopeful(&self, recall: impl Fn(KvTypes) -> Option<Outcome>) -> KvTypes {
        let is_borne = |types: &KvTypes| recall(*types).map_or(*types == CANDIDATES[0], |outcome| outcome.is_good());
        let candidates = CANDIDATES.into_iter().filter(|candidate| self.is_possible(*candidate));
        candidates.take_while(is_borne).last().unwrap_or(F16)
    }

    /// The format that was found to be the fastest with this model, where nothing smaller than the usual one is needed; what
    /// is kept there was seen to be borne by the model.
    pub fn tuned(&self, choice: Choice, fastest: Option<KvTypes>) -> Choice {
        match fastest.filter(|types| *types != F16 && choice.types == F16 && self.is_possible(*types)) {
            Some(types) => Choice { types, reason: format!("{types} is the fastest that this model bears ({SOURCE})") },
            None => choice,
        }
    }

    fn is_possible(&self, types: KvTypes) -> bool {
        let is_fine = types == KvTypes::both(KvType::Q8);
        self.shape.check(types, self.backend).is_ok()
            && has_own_kernel(types, self.backend)
            && (is_fine || self.shape.is_rotated(types))
    }

    fn cells(&self, types: KvTypes) -> u32 {
        whole_cells(self.bytes, self.shape.bytes_per_cell(types))
    }
}

fn is_slow(outcome: &Outcome) -> bool {
    outcome.speed < LEAST_SPEED || outcome.prompt_speed < LEAST_PROMPT_SPEED
}

fn coarser_than(types: KvTypes) -> String {
    let coarser = CANDIDATES.into_iter().skip_while(|candidate| *candidate != types).skip(1);
    coarser.map(|types| types.to_string()).collect::<Vec<_>>().join(", ")
}

fn figures(outcome: &Outcome) -> String {
    let Outcome { divergence, speed, prompt_speed } = outcome;
    format!(
        "divergence {:.3} nats, same first choice {:.0} %, {speed:.2} times the speed of f16 and {prompt_speed:.2} times for prompts",
        divergence.mean_kld,
        divergence.same_top * 100.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::divergence::Summary;

    const MIB: u64 = 1 << 20;
    /// SmolLM2 135M: 23,040 bytes per token in f16.
    const SHAPE: Shape = Shape {
        layers: 30,
        kv_heads: 3,
        key_length: 64,
        value_length: 64,
        has_flash_attention: true,
        has_shared_values: false,
    };

    fn situation(mebibytes: u64) -> Situation<'static> {
        Situation { shape: SHAPE, backend: "CPU", tokens: 8192, least: 512, bytes: mebibytes * MIB }
    }

    fn outcome(mean_kld: f64, same_top: f64, speed: f64) -> Outcome {
        let (perplexity, reference_perplexity) = (14.0, 14.0);
        let divergence =
            Summary { tokens: 224, reference_perplexity, perplexity, mean_kld, p99_kld: mean_kld, same_top };
        Outcome { divergence, speed, prompt_speed: speed }
    }

    fn bears_all(_: KvTypes) -> Result<Outcome, Unknown> {
        Ok(outcome(0.005, 0.96, 0.9))
    }

    /// What was measured on Qwen2.5-Coder 0.5B.
    fn qwen(types: KvTypes) -> Result<Outcome, Unknown> {
        Ok(match types.to_string().as_str() {
            "q8_0" => outcome(0.007, 0.96, 0.9),
            "q8_0/q4_0" => outcome(0.010, 0.93, 0.9),
            "q5_1" => outcome(0.70, 0.67, 0.9),
            _ => outcome(1.55, 0.44, 0.9),
        })
    }

    #[test]
    fn what_may_well_do_is_the_smallest_that_was_seen_to_or_the_finest() {
        let situation = situation(8);
        let text = |recall: &dyn Fn(KvTypes) -> Option<Outcome>| situation.hopeful(recall).to_string();
        assert_eq!(text(&|_| None), "q8_0");
        assert_eq!(text(&|types| qwen(types).ok()), "q8_0/q4_0");
        assert_eq!(text(&|types| (types.to_string() != "q5_1").then(|| bears_all(types).unwrap())), "q8_0/q4_0");
        assert_eq!(text(&|_| Some(outcome(0.7, 0.6, 0.9))), "f16");
        let elsewhere =
            Situation { backend: "Vulkan0", shape: Shape { has_flash_attention: false, ..SHAPE }, ..situation };
        assert_eq!(elsewhere.hopeful(|_| None).to_string(), "f16");
    }

    /// Answers well but slowly.
    fn slow(_: KvTypes) -> Result<Outcome, Unknown> {
        Ok(outcome(0.005, 0.96, 0.5))
    }

    /// Reads slowly, but answers well and fast.
    fn slow_with_prompts(_: KvTypes) -> Result<Outcome, Unknown> {
        Ok(Outcome { prompt_speed: 0.4, ..outcome(0.005, 0.96, 0.9) })
    }

    #[test]
    fn of_16_bits_nobody_needs_to_hear_that_the_model_bears_them() {
        let choice = situation(180).asked_for(F16, Some(outcome(0.0, 1.0, 1.0))).unwrap();
        assert_eq!(choice.reason, "f16 was asked for");
    }

    #[test]
    fn what_is_just_fast_enough_is_not_slow() {
        let just = Outcome { prompt_speed: LEAST_PROMPT_SPEED, ..outcome(0.0, 1.0, LEAST_SPEED) };
        assert!(!is_slow(&just));
    }

    #[test]
    fn the_finest_format_is_taken_that_has_room_and_that_the_model_bears() {
        type Trial = fn(KvTypes) -> Result<Outcome, Unknown>;
        let table: [(u64, Trial, &str); 16] = [
            (180, bears_all, "f16"),
            (179, bears_all, "q8_0"),
            (24, bears_all, "q8_0"),
            (20, bears_all, "q8_0/q4_0"),
            (17, bears_all, "q5_1"),
            (13, bears_all, "q4_0"),
            (1, bears_all, "q4_0"),
            (180, qwen, "f16"),
            (24, qwen, "q8_0"),
            (17, qwen, "q8_0/q4_0"),
            (1, qwen, "q8_0/q4_0"),
            (179, slow, "f16"),
            (12, slow, "f16"),
            (12, slow_with_prompts, "f16"),
            (8, slow, "q8_0"),
            (1, slow, "q4_0"),
        ];
        for (mebibytes, trial, expected) in table {
            let choice = situation(mebibytes).best(trial).unwrap();
            assert_eq!(choice.types.to_string(), expected, "{mebibytes} MiB: {}", choice.reason);
        }
    }

    #[test]
    fn tokens_that_were_asked_for_are_worth_a_slow_answer() {
        let asked_for = |tokens| Situation { tokens, least: tokens, ..situation(8) };
        assert_eq!(asked_for(512).best(slow).unwrap().types.to_string(), "q8_0");
        assert_eq!(asked_for(768).best(slow).unwrap().types.to_string(), "q8_0/q4_0");
        assert_eq!(asked_for(1024).best(slow).unwrap().types.to_string(), "q4_0");
    }

    #[test]
    fn whatever_the_memory_a_format_that_failed_is_not_taken_and_its_figures_are_told() {
        for mebibytes in 0..200 {
            let choice = situation(mebibytes).best(qwen).unwrap();
            assert!(!["q5_1", "q4_0"].contains(&choice.types.to_string().as_str()), "{}", choice.reason);
        }
        let reason = situation(8).best(qwen).unwrap().reason;
        assert!(reason.contains("coarser still was not tried (q4_0)"), "{reason}");
        let told = "q5_1 would change this model's answers (divergence 0.700 nats, same first choice 67 %";
        assert!(reason.contains(told) && reason.ends_with("; so it is q8_0/q4_0, for 768 tokens"), "{reason}");
    }

    #[test]
    fn nothing_is_tried_out_that_is_not_needed() {
        let mut tried = Vec::new();
        let mut trial = |mebibytes| {
            tried.clear();
            let noted = |types: KvTypes| {
                tried.push(types.to_string());
                bears_all(types)
            };
            situation(mebibytes).best(noted).unwrap();
            tried.join(" ")
        };
        assert_eq!([trial(500), trial(100), trial(20)], ["", "q8_0", "q8_0 q8_0/q4_0"]);
    }

    #[test]
    fn what_has_no_kernel_or_no_rotation_is_not_tried() {
        let choose = |situation: Situation<'_>| situation.best(bears_all).unwrap().types.to_string();
        assert_eq!(choose(Situation { backend: "Metal", ..situation(20) }), "q5_1");
        assert_eq!(choose(Situation { backend: "CUDA", ..situation(20) }), "q4_0");
        let unrotated = Shape { key_length: 96, value_length: 96, ..SHAPE };
        assert_eq!(choose(Situation { shape: unrotated, ..situation(8) }), "q8_0");
        let odd = Shape { key_length: 80, value_length: 80, ..SHAPE };
        let choice = Situation { shape: odd, ..situation(20) }.best(bears_all).unwrap();
        assert_eq!(choice.types, F16);
        assert!(choice.reason.contains("takes nothing smaller"), "{}", choice.reason);
    }

    #[test]
    fn a_trial_that_fails_leaves_f16_and_one_that_is_cancelled_ends_the_choice() {
        let failed = situation(20).best(|_| Err(Unknown::Failed("no room".into()))).unwrap();
        assert!(failed.types == F16 && failed.reason.contains("q8_0 could not be tried: no room"), "{}", failed.reason);
        assert_eq!(situation(20).best(|_| Err(Unknown::Cancelled)), Err(Unknown::Cancelled));
    }

    #[test]
    fn what_tuning_found_counts_only_where_memory_leaves_the_choice() {
        let q8 = KvTypes::both(KvType::Q8);
        let tuned = |mebibytes, fastest| {
            let situation = situation(mebibytes);
            situation.tuned(situation.best(bears_all).unwrap(), fastest)
        };
        let choice = tuned(180, Some(q8));
        assert_eq!((choice.types, choice.reason.contains("bench --tune")), (q8, true));
        assert_eq!((tuned(180, None).types, tuned(180, Some(F16)).types), (F16, F16));
        assert_eq!(tuned(17, Some(q8)).types.to_string(), "q5_1");
        let odd = Situation { shape: Shape { key_length: 80, value_length: 80, ..SHAPE }, ..situation(180) };
        assert_eq!(odd.tuned(odd.best(bears_all).unwrap(), Some(q8)).types, F16);
    }

    #[test]
    fn what_was_asked_for_is_taken_with_what_is_known_of_it() {
        let q4 = KvTypes::both(KvType::Q4);
        let reason = |known| situation(1).asked_for(q4, known).unwrap().reason;
        assert_eq!(reason(None), "q4_0 was asked for");
        assert!(reason(qwen(q4).ok()).contains("it changes this model's answers (divergence 1.550 nats"));
        assert!(reason(bears_all(q4).ok()).contains("this model bears it"));
        let mixed = "q8_0/q4_0".parse().unwrap();
        assert!(Situation { backend: "Metal", ..situation(1) }.asked_for(mixed, None).is_err());
        let slow = Situation { backend: "CUDA", ..situation(1) }.asked_for(mixed, None).unwrap();
        assert!(slow.reason.contains("CUDA turns it into f16"));
    }
}
