//! A chat of 200 turns in a fixed amount of memory, with a real model: minutes long, so it runs only when it is asked
//! for, with `cargo test --release --test endurance -- --ignored --nocapture`. Speeds are printed, not judged.

mod common;

use std::path::Path;
use std::time::Duration;

use common::engine::{Running, greedy, prompt, settings};
use common::real_models::test_model;
use tuichat::chat::{Message, Role, Stats};
use tuichat::engine::KvTypes;
use tuichat::engine::protocol::{
    Evict, GenerateOptions, KvSettings, LoadSettings, Passage, Speculate, SpeculationOptions, Step, Work,
};

const TURNS: usize = 200;
const MEMORY: u64 = 32 << 20;
/// Memory is compared from here on: before, what grows once has grown.
const SETTLED: usize = 30;
/// A person reads an answer before the next message. Steps are timed meanwhile, as in every chat.
const READING: Duration = Duration::from_millis(400);
/// Told in the second turn, asked for in the last but one.
const FACT: &str = "Please remember this: the password of the garden gate is 4718236.";
const QUESTION: &str = "What is the password of the garden gate?";
const TOPICS: [&str; 10] =
    ["bees", "granite", "the tides", "paper", "violins", "bread", "comets", "salt", "maps", "glaciers"];

fn message(turn: usize) -> String {
    let topic = TOPICS[turn % TOPICS.len()];
    match turn {
        2 => FACT.into(),
        199 => QUESTION.into(),
        _ => format!(
            "Turn {turn}. Tell me something new about {topic}, in five sentences, and compare {topic} with {}.",
            TOPICS[(turn * 7 + 3) % TOPICS.len()]
        ),
    }
}

/// Resident memory in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// How fast these turns were written: tokens per second, and what they come of. What guesses save is the text's affair.
fn pace(turns: &[Stats]) -> String {
    let tokens: f64 = turns.iter().map(|stats| f64::from(stats.usage.completion_tokens.saturating_sub(1))).sum();
    let steps: f64 = turns.iter().map(|stats| f64::from(stats.decode_calls)).sum();
    let ms: f64 = turns.iter().map(|stats| stats.timings.decode_ms).sum();
    format!("{:.1} tok/s ({:.2} tokens a step of {:.1} ms)", tokens * 1000.0 / ms, tokens / steps, ms / steps)
}

/// A chat with a cache of its own, turn after turn.
struct Chat {
    engine: Running,
    messages: Vec<Message>,
    turns: Vec<Stats>,
    guesses: Speculate,
}

/// What an answer says, and which passages came back for it.
struct Answer {
    text: String,
    recalled: Vec<Passage>,
}

impl Chat {
    fn new(model: &Path) -> Self {
        let kv = KvSettings {
            types: Some(KvTypes::default()),
            most_bytes: Some(MEMORY),
            evict: Evict::Score,
            ..KvSettings::default()
        };
        let engine = Running::with(LoadSettings { context: None, kv, ..settings(model, 0, 2) });
        let system = Message::new(Role::System, "You are a helpful assistant. Answer at length, with examples.");
        Self { engine, messages: vec![system], turns: Vec::new(), guesses: Speculate::default() }
    }

    /// The next turn, and the time that it takes to read it.
    fn go_on(&mut self) -> Answer {
        let turn = self.turns.len() + 1;
        self.messages.push(Message::new(Role::User, message(turn)));
        let speculation = SpeculationOptions { by: self.guesses, ..SpeculationOptions::default() };
        let options = GenerateOptions { loop_breaker: false, speculation, ..greedy(160) };
        self.engine.submit(Work::Generate(prompt(Some(1), &self.messages), options));
        let (mut text, mut recalled) = (String::new(), Vec::new());
        let finish = loop {
            match self.engine.next() {
                Step::Token(piece) => text.push_str(&piece.text),
                Step::Recalled(passages) => recalled = passages,
                Step::Finished(finish) => break finish,
                Step::Failed(error) => panic!("turn {turn}: {error}"),
                _ => {}
            }
        };
        assert!(u64::from(finish.stats.cells_used) * 23_040 <= MEMORY);
        self.turns.push(finish.stats);
        self.messages.push(Message::new(Role::Assistant, text.clone()));
        std::thread::sleep(READING);
        Answer { text, recalled }
    }
}

#[test]
#[ignore = "takes minutes"]
fn a_chat_of_200_turns_stays_within_its_memory_and_knows_what_was_said_first() {
    let Some(model) = test_model() else { return };
    let mut chat = Chat::new(&model);
    let (mut settled, mut recalls) = (0, 0);
    for turn in 1..=TURNS {
        let Answer { text, recalled } = chat.go_on();
        recalls += usize::from(!recalled.is_empty());
        if turn == 199 {
            println!("{QUESTION} {text} (recalled {recalled:?})");
            assert!(text.contains("4718236"), "{text}");
        }
        if turn == SETTLED {
            settled = resident();
        }
        if turn % 20 == 0 {
            println!("turn {turn}: {} KiB resident", resident() >> 10);
        }
    }
    let prompt_tokens = chat.turns.last().unwrap().usage.prompt_tokens;
    let growth = resident() as f64 / settled as f64 - 1.0;
    let evicted: u32 = chat.turns.iter().map(|stats| stats.usage.evicted_tokens).sum();
    println!("{prompt_tokens} tokens, {evicted} evicted, passages recalled in {recalls} turns");
    println!("resident {} MiB, grown by {:.2} %", resident() >> 20, growth * 100.0);
    assert!(prompt_tokens > 20_000);
    assert!(growth < 0.01);
    compare_with_a_young_chat(chat, &model);
}

/// How fast it writes beside one in its turns 10 to 30, in turn with it: within a quarter of an hour the machine itself
/// changes by more than what is looked for. Without guesses, which are right more often in one text than in another.
fn compare_with_a_young_chat(mut old: Chat, model: &Path) {
    println!("turns 10 to 30: {}; the last 20: {}", pace(&old.turns[9..30]), pace(&old.turns[TURNS - 20..]));
    let mut young = Chat::new(model);
    (1..10).for_each(|_| drop(young.go_on()));
    (old.guesses, young.guesses) = (Speculate::Off, Speculate::Off);
    for pair in 0..21 {
        let order = if pair % 2 == 0 { [&mut old, &mut young] } else { [&mut young, &mut old] };
        order.into_iter().for_each(|chat| drop(chat.go_on()));
    }
    let (after, before) = (pace(&old.turns[TURNS..]), pace(&young.turns[9..]));
    println!("without guesses, turns 10 to 30 of another chat: {before}; turns 201 to 221 beside them: {after}");
}
