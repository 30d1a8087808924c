//! Drafting against models and machines that are made up: what an answer is made of stays as it is, and drafting pays
//! or stays out of the way.

use super::Speculator;
use crate::chat::{NotDrafted, Sampling};
use crate::engine::llama::Token;
use crate::engine::protocol::{Speculate, SpeculationOptions};
use crate::engine::sampler::Sampler;

/// How long a machine takes for n tokens, as a multiple of one: between these, in a straight line.
struct Machine {
    name: &'static str,
    ratios: &'static [(usize, f64)],
}

/// Measured on two cores: Qwen2.5 1.5B and SmolLM2 135M. Then a machine to which several tokens are as dear as one after
/// the other, and one to which they cost hardly more than one.
const MACHINES: [Machine; 4] = [
    Machine {
        name: "Qwen 1.5B",
        ratios: &[(1, 1.0), (2, 1.72), (3, 2.43), (4, 3.0), (7, 4.8), (8, 7.2), (12, 8.8), (16, 8.6), (32, 14.0)],
    },
    Machine {
        name: "SmolLM2",
        ratios: &[(1, 1.0), (2, 1.51), (3, 1.9), (4, 2.28), (8, 4.1), (12, 5.8), (16, 7.6), (32, 14.0)],
    },
    Machine { name: "no gain", ratios: &[(1, 1.0), (32, 32.0)] },
    Machine { name: "wide", ratios: &[(1, 1.0), (32, 1.6)] },
];

impl Machine {
    fn ratio(&self, tokens: usize) -> f64 {
        let above = self.ratios.iter().position(|(size, _)| *size >= tokens).unwrap_or(self.ratios.len() - 1);
        let ((low, from), (high, to)) = (self.ratios[above.saturating_sub(1)], self.ratios[above]);
        if low == high { to } else { from + (to - from) * (tokens - low) as f64 / (high - low) as f64 }
    }
}

/// A kind of question: what was said before, and what the model says.
type Kind = fn(&mut fastrand::Rng) -> (Vec<Token>, Vec<Token>);

const LENGTH: usize = 320;

fn words(random: &mut fastrand::Rng, count: usize) -> Vec<Token> {
    // Few of them are frequent, as in any text.
    (0..count).map(|_| (3000.0 * random.f32().powi(4)) as Token).collect()
}

fn prose(random: &mut fastrand::Rng) -> (Vec<Token>, Vec<Token>) {
    (words(random, 200), words(random, LENGTH))
}

/// The text from before, with a change now and then.
fn edit(random: &mut fastrand::Rng) -> (Vec<Token>, Vec<Token>) {
    let code = words(random, LENGTH);
    let mut edited = words(random, 12);
    for part in code.chunks(35) {
        edited.extend(part);
        edited.extend(words(random, 3));
    }
    edited.truncate(LENGTH);
    (code, edited)
}

/// The text from before, with two names changed wherever they stand.
fn rename(random: &mut fastrand::Rng) -> (Vec<Token>, Vec<Token>) {
    let mut code = words(random, LENGTH);
    for token in &mut code {
        if random.u8(..12) == 0 {
            *token = 5000 + random.u32(..2) as Token;
        }
    }
    let mut renamed = words(random, 12);
    renamed.extend(code.iter().map(|token| if *token >= 5000 { token + 100 } else { *token }));
    renamed.truncate(LENGTH);
    (code, renamed)
}

/// The same names with other values.
fn records(random: &mut fastrand::Rng) -> (Vec<Token>, Vec<Token>) {
    let names = words(random, 15);
    let mut text = Vec::new();
    while text.len() < LENGTH {
        for name in names.chunks(5) {
            text.extend(name);
            text.extend(words(random, 3));
        }
    }
    (words(random, 300), text)
}

/// Words of a document, in pieces.
fn summary(random: &mut fastrand::Rng) -> (Vec<Token>, Vec<Token>) {
    let document = words(random, 800);
    let mut text = Vec::new();
    while text.len() < LENGTH {
        text.extend(words(random, 9));
        let (start, length) = (random.usize(..780), random.usize(3..10));
        text.extend(&document[start..start + length]);
    }
    (document, text)
}

/// Every draft goes wrong soon.
fn trap(random: &mut fastrand::Rng) -> (Vec<Token>, Vec<Token>) {
    let phrases: Vec<Vec<Token>> = (0..8).map(|_| words(random, 40)).collect();
    let mut text = Vec::new();
    while text.len() < LENGTH {
        let phrase = &phrases[random.usize(..8)];
        let (start, length) = (random.usize(..30), random.usize(3..7));
        text.extend(&phrase[start..start + length]);
        text.extend(words(random, 1));
    }
    (phrases.concat(), text)
}

const KINDS: [(&str, Kind); 6] =
    [("prose", prose), ("edit", edit), ("rename", rename), ("records", records), ("summary", summary), ("trap", trap)];

fn auto() -> SpeculationOptions {
    SpeculationOptions::default()
}

/// Of which the sizes that matter were timed before.
fn timed(machine: &Machine) -> Speculator<'static> {
    let mut speculator = Speculator::new(false, None);
    for size in [2, 3, 4, 8, 16, 32] {
        speculator.timed(size, 0, 1.0, machine.ratio(size));
    }
    speculator
}

/// How many times as fast an answer comes as without drafts.
fn speedup(
    speculator: &mut Speculator<'_>,
    machine: &Machine,
    options: SpeculationOptions,
    (before, answer): &(Vec<Token>, Vec<Token>),
    random: &mut fastrand::Rng,
) -> f64 {
    speculator.begin_with(options, before, true);
    let mut seconds = 0.0;
    for (index, token) in answer.iter().enumerate() {
        if speculator.follow(*token) {
            continue;
        }
        let cells = before.len() + index;
        speculator.end_run(cells);
        let drafted = speculator.draft_freely(answer.len() - index, cells).len();
        let time = 0.05 * machine.ratio(1 + drafted) * (0.95 + 0.1 * random.f64());
        speculator.stepped(cells, time, true);
        seconds += time;
    }
    0.05 * answer.len() as f64 / seconds
}

#[test]
fn an_answer_is_never_noticeably_slower_than_without_drafts() {
    for machine in &MACHINES {
        for (name, kind) in KINDS {
            let mut random = fastrand::Rng::with_seed(1);
            let speedups: Vec<f64> = (0..24)
                .map(|_| speedup(&mut Speculator::new(false, None), machine, auto(), &kind(&mut random), &mut random))
                .collect();
            let mean = speedups.iter().sum::<f64>() / speedups.len() as f64;
            let worst = speedups.iter().copied().fold(f64::MAX, f64::min);
            assert!(mean >= 0.99 && worst > 0.96, "{} {name}: {mean:.3}, worst {worst:.3}", machine.name);
        }
    }
}

#[test]
fn whatever_came_before_an_answer_is_not_slower_than_without_drafts() {
    for machine in &MACHINES {
        let mut random = fastrand::Rng::with_seed(2);
        let mut speculator = Speculator::new(false, None);
        let mut sums = [0.0; KINDS.len()];
        for _ in 0..24 {
            for (sum, (_, kind)) in sums.iter_mut().zip(KINDS) {
                *sum += speedup(&mut speculator, machine, auto(), &kind(&mut random), &mut random) / 24.0;
            }
        }
        assert!(sums.iter().all(|speedup| *speedup > 0.989), "{}: {sums:?}", machine.name);
    }
}

#[test]
fn with_times_that_are_known_a_first_answer_comes_faster_and_none_slower() {
    let least = [[1.4, 1.6], [1.5, 1.8], [0.99, 0.99], [4.5, 7.0]];
    for (machine, least) in MACHINES.iter().zip(least) {
        for (name, kind) in KINDS {
            let mut random = fastrand::Rng::with_seed(5);
            let speedups: Vec<f64> = (0..40)
                .map(|_| speedup(&mut timed(machine), machine, auto(), &kind(&mut random), &mut random))
                .collect();
            let mean = speedups.iter().sum::<f64>() / speedups.len() as f64;
            let least = match name {
                "edit" => least[0],
                "rename" => least[1],
                _ => 0.99,
            };
            let worst = speedups.iter().copied().fold(f64::MAX, f64::min);
            assert!(mean > least && worst > 0.96, "{} {name}: {mean:.3}, worst {worst:.3}", machine.name);
        }
    }
}

#[test]
fn a_text_that_is_repeated_comes_faster() {
    for (machine, least) in MACHINES.iter().zip([1.49, 1.55, 0.99, 4.5]) {
        let mut random = fastrand::Rng::with_seed(3);
        let mut speculator = Speculator::new(false, None);
        let mut told = 0.0;
        let speedups = (0..10).map(|_| {
            let speedup = speedup(&mut speculator, machine, auto(), &edit(&mut random), &mut random);
            told += speculator.told().speedup().unwrap_or(1.0) / 10.0;
            speedup
        });
        let mean = speedups.sum::<f64>() / 10.0;
        assert!(mean > least, "{}: {mean}", machine.name);
        assert!((told / mean - 1.0).abs() < 0.03, "{}: {told} is told of {mean}", machine.name);
    }
}

#[test]
fn sizes_that_a_machine_is_bad_at_are_left_alone() {
    let mut random = fastrand::Rng::with_seed(4);
    let mut speculator = Speculator::new(false, None);
    let mut sizes = [0_u32; 65];
    for _ in 0..10 {
        let (before, answer) = edit(&mut random);
        speculator.begin_with(auto(), &before, true);
        for token in &answer {
            if !speculator.follow(*token) {
                speculator.end_run(0);
                let tokens = 1 + speculator.draft_freely(LENGTH, 0).len();
                sizes[tokens] += tokens as u32;
                speculator.stepped(0, 0.05 * MACHINES[0].ratio(tokens), true);
            }
        }
    }
    let between = |from: usize, to: usize| sizes[from..to].iter().sum::<u32>();
    assert!(between(8, 13) * 10 < between(16, 65), "{sizes:?}");
}

#[test]
fn without_leave_or_a_cache_that_gives_back_nothing_is_drafted() {
    let text = [1, 2, 3, 4, 5, 6, 1, 2, 3];
    for (by, can_take_back) in [(Speculate::Off, true), (Speculate::Ngram, false)] {
        let mut speculator = Speculator::new(false, None);
        speculator.begin_with(SpeculationOptions { by, ..auto() }, &text, can_take_back);
        assert!(!speculator.follow(4) && speculator.draft_freely(5, 0).is_empty());
        assert!(speculator.told().off.is_some());
    }
}

#[test]
fn what_saves_no_time_here_is_left_to_those_who_insist() {
    let text = [1, 2, 3, 4, 5, 6, 1, 2, 3];
    let drafted = |by| {
        let mut speculator = Speculator::new(false, None);
        speculator.leave_out();
        speculator.begin_with(SpeculationOptions { by, ..auto() }, &text, true);
        speculator.follow(4);
        (!speculator.draft_freely(5, 0).is_empty(), speculator.told().off)
    };
    assert_eq!(drafted(Speculate::Auto), (false, Some(NotDrafted::Tuned)));
    assert!(drafted(Speculate::Ngram).0);
}

#[test]
fn who_insists_has_drafts_at_once_and_no_more_than_were_asked_for() {
    let text = [1, 2, 3, 4, 5, 6, 1, 2];
    let mut speculator = Speculator::new(false, None);
    speculator.begin_with(SpeculationOptions { by: Speculate::Ngram, most: Some(2), fuzzy: 0.0 }, &text, true);
    assert!(!speculator.follow(3));
    assert!((1..=2).contains(&speculator.draft_freely(9, 0).len()));
}

/// A model of which each token depends on the one before.
fn logits(last: Token) -> [f32; 6] {
    std::array::from_fn(|token| ((last as f32 * 1.7 + token as f32 * 2.3).sin()) * 1.5)
}

#[test]
fn an_answer_with_drafts_is_distributed_as_one_without() {
    let plain = Sampling { temperature: 1.0, top_k: 0, top_p: 1.0, min_p: 0.0, repeat_penalty: 1.0, seed: Some(3) };
    for sampling in [
        plain.clone(),
        Sampling { temperature: 0.7, top_k: 4, ..plain.clone() },
        Sampling { top_p: 0.85, min_p: 0.1, ..plain.clone() },
    ] {
        let mut sampler = Sampler::new(&sampling);
        let mut speculator = Speculator::new(false, None);
        let options = SpeculationOptions { by: Speculate::Ngram, most: Some(4), fuzzy: 0.0 };
        speculator.begin_with(options, &[], true);
        let mut last = 0;
        let mut counts = [[0.0_f64; 6]; 6];
        for _ in 0..1_000_000 {
            let token = sampler.sample(&logits(last), &[]).unwrap();
            counts[last as usize][token as usize] += 1.0;
            if !speculator.follow(token) {
                speculator.end_run(0);
                speculator.draft_freely(9, 0);
                speculator.stepped(0, 1.0, true);
            }
            last = token;
        }
        let told = speculator.told();
        assert!(told.accepted > 100_000 && told.drafted > told.accepted, "{told:?}");
        for (last, counts) in counts.iter().enumerate() {
            let odds = Sampler::new(&sampling).odds(&logits(last as Token), &[]).unwrap();
            let total: f64 = counts.iter().sum();
            let expected = |token: usize| f64::from(odds.of(token as Token)) * total;
            let square: f64 = (0..6)
                .filter(|token| expected(*token) > 0.0)
                .map(|token| (counts[token] - expected(token)).powi(2) / expected(token))
                .sum();
            // The 99.9th percentile of chi-square with 5 degrees of freedom.
            assert!(square < 20.5, "behind {last}: {square}");
        }
    }
}
