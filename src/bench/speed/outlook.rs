//! What a list of prompts and answers will take, before it is measured.

use super::anchor;
use super::cases;
use super::plan::{Block, Item};
use super::timing::LEAST_ROUNDS;
use super::{IDLE, Settings};
use crate::bench::live;
use crate::bench::outlook::{Known, Outlook, Pace, Step, lasting};
use crate::bench::quality;

/// How fast memory is read is looked at first.
const BANDWIDTH_SECONDS: f64 = 1.0;

/// All that is timed of a model, in the order of the cases.
pub fn of(settings: &Settings, known: &Known<'_>) -> Outlook {
    let mut blocks = settings.blocks(known.cpu);
    blocks.retain(|block| fits(block, known.trained));
    let within = settings.within.map(|within| within.as_secs_f64() / blocks.len().max(1) as f64);
    let idle = if known.has_power { IDLE.as_secs_f64() } else { 0.0 };
    let mut seconds = known.pace.map(|_| BANDWIDTH_SECONDS + idle);
    let (mut steps, mut fewest) = (Vec::new(), settings.rounds);
    for block in &blocks {
        let round = known.pace.map(|pace| block.iter().map(|item| round(item, &pace, known)).sum::<f64>());
        let rounds = match (round, within) {
            (Some(round), Some(within)) => {
                ((within / round.max(1e-3)) as u32).clamp(LEAST_ROUNDS.min(settings.rounds), settings.rounds)
            }
            _ => settings.rounds,
        };
        fewest = fewest.min(rounds);
        // Others in the same rounds are taken to be as fast.
        let programs = 1.0 + settings.peers.len() as f64;
        let depth = block.iter().map(|item| item.depth).max().unwrap_or_default();
        let fill = known.pace.map_or(0.0, |pace| pace.reading(depth, 0));
        seconds = seconds.zip(round).map(|(sum, round)| sum + fill + round * programs * f64::from(rounds + 1));
        steps.extend(block.iter().flat_map(|item| steps_of(item, rounds, known)));
    }
    if let (Some(item), Some(pace)) = (blocks.first().and_then(|block| block.first()), known.pace) {
        let again = anchor::times(blocks.len() as u32) * (anchor::ROUNDS.wanted + 1);
        seconds = seconds.map(|sum| sum + f64::from(again) * round(item, &pace, known));
    }
    if settings.judges {
        steps.push(Step { test: quality::WORD.into(), rounds: 1, ..Step::default() });
        seconds = seconds.zip(known.pace).map(|(sum, pace)| sum + quality::seconds(&pace));
    }
    let note = settings.within.filter(|_| fewest < settings.rounds).map(|within| {
        let (all, most) = (settings.rounds, lasting(within.as_secs_f64()));
        format!("{fewest} rounds: {all} would take longer than {most}; `--rounds {all}` takes them all the same")
    });
    Outlook { steps, seconds, note }
}

/// Whether a model was trained with texts as long as this.
pub fn fits(block: &Block, trained: u32) -> bool {
    // The first token, which is not timed, does not count.
    block.iter().all(|item| trained == 0 || item.cells() - 1 <= trained)
}

/// Seconds of one round of an item.
fn round(item: &Item, pace: &Pace, known: &Known<'_>) -> f64 {
    let slower = |is_prompt: bool| {
        item.crews.map_or(1.0, |crews| known.slower(if is_prompt { &crews.prefill } else { &crews.decode }))
    };
    let reading = pace.reading(item.prompt, item.depth) * slower(true);
    let first = u32::from(item.written > 0 && (!item.answers || item.prompt == 0));
    let writing = if item.written > 0 { pace.writing(item.written + first, item.answer_depth()) } else { 0.0 };
    reading + writing * slower(false)
}

fn steps_of(item: &Item, rounds: u32, known: &Known<'_>) -> impl Iterator<Item = Step> {
    let (prompt, answer) = cases::tests(item);
    let step = |test: String, is_prompt: bool| {
        let crew = item.crews.map_or(known.usual, |crews| if is_prompt { crews.prefill } else { crews.decode });
        Step {
            test: live::called(&test, &item.name, item.task.is_some()),
            rounds,
            n_prompt: if is_prompt { item.prompt } else { 0 },
            n_gen: if is_prompt { 0 } else { item.written },
            n_depth: if is_prompt { item.depth } else { item.answer_depth() },
            n_threads: Some(crew.threads),
            cores: (!crew.cores.is_empty()).then(|| crew.cores.to_string()),
        }
    };
    let steps = [prompt.map(|test| step(test, true)), answer.map(|test| step(test, false))];
    steps.into_iter().flatten()
}
