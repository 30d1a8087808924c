//! Guessing tokens, with tiny models: an answer is the same with guesses and without, whatever else happens to it.

mod common;

use std::collections::HashMap;
use std::path::PathBuf;

use common::engine::{Running, greedy, prompt, settings};
use common::tiny_gguf::{TinyModel, Value};
use tempfile::TempDir;
use tuichat::chat::{DraftedBy, Ended, Message, NotDrafted, Role, Sampling};
use tuichat::engine::protocol::{
    Constraint, Evict, Finish, GenerateOptions, KvSettings, LoadSettings, Speculate, SpeculationOptions, Step, Think,
    Work,
};

struct Home {
    folder: TempDir,
}

impl Home {
    fn new(model: TinyModel) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        model.write(&home.path("tiny.gguf")).unwrap();
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn settings(&self, cells: u32) -> LoadSettings {
        settings(&self.path("tiny.gguf"), cells, 1)
    }

    /// With a draft model beside it.
    fn with_draft(&self, draft: TinyModel, cells: u32) -> LoadSettings {
        draft.write(&self.path("draft.gguf")).unwrap();
        LoadSettings { draft: Some(Ok(self.path("draft.gguf"))), ..self.settings(cells) }
    }
}

fn user(text: &str) -> Message {
    Message::new(Role::User, text)
}

fn by(by: Speculate, options: GenerateOptions) -> GenerateOptions {
    GenerateOptions { speculation: SpeculationOptions { by, ..SpeculationOptions::default() }, ..options }
}

/// A model that goes round in circles, so that guesses are right for long, and wrong at first.
fn circling() -> TinyModel {
    TinyModel::default().context(4096).forgetful()
}

fn both(engine: &Running, messages: &[Message], options: &GenerateOptions) -> [(String, Finish); 2] {
    [Speculate::Off, Speculate::Ngram].map(|way| engine.ask(prompt(None, messages), by(way, options.clone())))
}

#[track_caller]
fn assert_same([(plain, without), (text, with)]: &[(String, Finish); 2]) {
    assert_eq!(text, plain);
    assert_eq!((with.ended, with.stats.usage), (without.ended, without.stats.usage));
    assert_eq!((with.stats.cells_used, &with.held), (without.stats.cells_used, &without.held));
    assert_eq!(without.stats.speculation.off, Some(NotDrafted::TurnedOff));
    let told = with.stats.speculation;
    assert!(told.drafter == Some(DraftedBy::Ngram) && told.accepted > 0 && told.accepted <= told.drafted, "{told:?}");
    assert!(with.stats.decode_calls < without.stats.decode_calls);
}

/// Without the cached tokens, which differ between the first time and the second.
fn asked_anew(engine: &Running, messages: &[Message], options: &GenerateOptions) -> [(String, Finish); 2] {
    engine.ask(prompt(None, messages), by(Speculate::Off, options.clone()));
    both(engine, messages, options)
}

#[test]
fn an_answer_is_the_same_with_guesses_in_fewer_steps() {
    let engine = Running::with(Home::new(circling()).settings(1024));
    assert_same(&asked_anew(&engine, &[user("hello there")], &greedy(200)));
}

#[test]
fn an_answer_ends_in_the_middle_of_right_guesses_where_it_would_end_without() {
    let engine = Running::with(Home::new(circling()).settings(1024));
    let messages = [user("hello there")];
    for length in [60, 61, 62, 63, 64, 65, 66, 67] {
        assert_same(&asked_anew(&engine, &messages, &greedy(length)));
    }
    let (whole, _) = engine.ask(prompt(None, &messages), greedy(120));
    let stop: String = whole.chars().rev().take(40).collect::<String>().chars().rev().collect();
    let stopped = asked_anew(&engine, &messages, &GenerateOptions { stop: vec![stop], ..greedy(200) });
    assert_same(&stopped);
    assert_eq!(stopped[1].1.ended, Ended::StopString);
    let looped = asked_anew(&engine, &messages, &greedy(3000));
    assert_same(&looped);
    assert_eq!((looped[1].1.ended, looped[1].1.repetition), (Ended::Loop, looped[0].1.repetition));
}

#[test]
fn the_next_turn_finds_in_the_cache_what_it_would_find_without_guesses() {
    let engine = Running::with(Home::new(circling()).settings(2048));
    let cached = [Speculate::Off, Speculate::Ngram].map(|way| {
        let (text, _) = engine.ask(prompt(None, &[user("hello")]), by(way, greedy(150)));
        let turns = [user("hello"), Message::new(Role::Assistant, text), user("and then?")];
        let (text, finish) = engine.ask(prompt(None, &turns), by(way, greedy(100)));
        (text, finish.stats.usage.cached_prompt_tokens)
    });
    assert_eq!(cached[0], cached[1]);
    assert!(cached[0].1 > 150);
}

#[test]
fn guesses_push_nothing_out_of_a_full_cache_and_what_leaves_it_is_the_same() {
    let home = Home::new(circling());
    let kv = KvSettings { evict: Evict::Auto, ..KvSettings::default() };
    let engine = |()| Running::with(LoadSettings { kv: kv.clone(), ..home.settings(256) });
    let options = GenerateOptions { loop_breaker: false, ..greedy(500) };
    let answers = [Speculate::Off, Speculate::Ngram]
        .map(|way| engine(()).ask(prompt(None, &[user("hello there")]), by(way, options.clone())));
    assert_eq!(answers[0].0, answers[1].0);
    let [(_, plain), (_, with)] = answers;
    assert_eq!(plain.stats.usage, with.stats.usage);
    assert!(plain.stats.usage.evicted_tokens > 200, "{:?}", plain.stats);
    assert_eq!((plain.stats.cells_used, plain.held), (with.stats.cells_used, with.held));
    assert!(with.stats.decode_calls * 2 < plain.stats.decode_calls);
}

#[test]
fn a_cache_from_which_nothing_may_leave_is_filled_to_its_last_cell() {
    let engine = Running::with(Home::new(circling()).settings(256));
    let options = GenerateOptions { loop_breaker: false, ..greedy(5000) };
    let answers = asked_anew(&engine, &[user("hello there")], &options);
    assert_same(&answers);
    assert_eq!((answers[1].1.ended, answers[1].1.stats.cells_used), (Ended::Length, 256));
}

#[test]
fn a_cancel_in_the_middle_of_guesses_leaves_a_cache_that_goes_on() {
    let engine = Running::with(Home::new(TinyModel::default().context(65_536).forgetful()).settings(32_768));
    let options = by(Speculate::Ngram, GenerateOptions { loop_breaker: false, ..greedy(30_000) });
    let cancel = engine.submit(Work::Generate(prompt(None, &[user("tell me")]), options));
    let mut part = String::new();
    while part.len() < 300 {
        if let Step::Token(piece) = engine.next() {
            part.push_str(&piece.text);
        }
    }
    cancel.cancel();
    let (rest, finish) = engine.answer();
    assert_eq!(finish.ended, Ended::Cancelled);
    let so_far = [user("tell me"), Message::new(Role::Assistant, part + &rest)];
    let options = GenerateOptions { loop_breaker: false, ..greedy(40) };
    let answers = asked_anew(&engine, &so_far, &options);
    assert_eq!(answers[0].0, answers[1].0);
    assert!(answers[0].1.stats.usage.cached_prompt_tokens >= finish.stats.cells_used - 1);
}

#[test]
fn under_a_grammar_and_a_limit_of_thoughts_an_answer_is_the_same() {
    let engine = Running::with(Home::new(circling()).settings(1024));
    let grammar = r#"root ::= ("ab" | "cd" | "ab cd ")+"#;
    let constraint = Some(Constraint::Grammar(grammar.into()));
    assert_same(&asked_anew(&engine, &[user("hello there")], &GenerateOptions { constraint, ..greedy(120) }));
    let thinking = GenerateOptions { think: Think::Budget(30), ..greedy(120) };
    let answers = asked_anew(&engine, &[user("<think> hello <think>")], &thinking);
    assert_eq!(answers[0].0, answers[1].0);
}

#[test]
fn with_a_seed_guesses_that_are_looked_up_do_not_change_what_is_drawn() {
    let engine = Running::with(Home::new(circling()).settings(1024));
    let sampling = Sampling { temperature: 0.4, repeat_penalty: 1.02, seed: Some(5), ..Sampling::default() };
    let options = GenerateOptions { sampling, max_tokens: Some(200), ..GenerateOptions::default() };
    let answers = asked_anew(&engine, &[user("hello there")], &options);
    // The logits of several tokens computed at once may differ in their last digits.
    let same = answers[0].0.bytes().zip(answers[1].0.bytes()).take_while(|(one, other)| one == other).count();
    assert!(same > 50, "{answers:?}");
}

#[test]
fn a_draft_model_guesses_and_the_answer_is_the_same() {
    let home = Home::new(circling());
    let engine = Running::with(home.with_draft(circling(), 1024));
    let [plain, with] = [Speculate::Off, Speculate::Draft]
        .map(|way| engine.ask(prompt(None, &[user("hello there")]), by(way, greedy(100))));
    assert_eq!(with.0, plain.0);
    let told = with.1.stats.speculation;
    assert_eq!((told.drafter, told.off), (Some(DraftedBy::Draft), None), "{told:?}");
    assert!(told.accepted * 10 > told.drafted * 9, "the same model guesses right: {told:?}");
    assert!(with.1.stats.decode_calls < plain.1.stats.decode_calls * 2 / 3);
}

#[test]
fn a_draft_model_that_cannot_be_used_is_told_and_the_chat_goes_on() {
    let home = Home::new(circling());
    let missing = LoadSettings { draft: Some(Ok(home.path("no.gguf"))), ..home.settings(512) };
    let unnamed = LoadSettings { draft: Some(Err("no model named `x`".into())), ..home.settings(512) };
    let tokens = Value::Texts((0..300).map(|token| format!("t{token}")).collect());
    let other = TinyModel::default().set("tokenizer.ggml.tokens", tokens);
    let kinds = Value::I32s(vec![1; 300]);
    let other = other.set("tokenizer.ggml.token_type", kinds).set("tokenizer.ggml.merges", Value::Texts(Vec::new()));
    for (settings, part) in [
        (missing, "no cannot be the draft model: "),
        (unnamed, "there is no draft model: no model named `x`"),
        (home.with_draft(other, 512), "draft cannot be the draft model: "),
    ] {
        let engine = Running::start();
        let info = engine.load(settings).unwrap();
        let problem = info.draft.unwrap().problem.unwrap();
        assert!(problem.starts_with(part) && problem.contains("answers are written without one"), "{problem}");
        let (text, finish) = engine.ask(prompt(None, &[user("hi")]), by(Speculate::Draft, greedy(10)));
        assert!(!text.is_empty());
        assert_eq!(finish.stats.speculation.off, Some(NotDrafted::NoDraftModel));
    }
}

/// How often each answer of two tokens came.
fn counts(engine: &Running, way: Speculate, answers: usize) -> HashMap<String, f64> {
    let mut counts = HashMap::new();
    for seed in 0..answers {
        let sampling = Sampling { temperature: 0.7, seed: Some(seed as u32), ..Sampling::default() };
        let options = GenerateOptions { sampling, max_tokens: Some(3), ..GenerateOptions::default() };
        let (text, _) = engine.ask(prompt(None, &[user("ab ab ab ab")]), by(way, options));
        *counts.entry(text).or_default() += 1.0;
    }
    counts
}

fn total_variation(one: &HashMap<String, f64>, other: &HashMap<String, f64>) -> f64 {
    let of = |counts: &HashMap<String, f64>, text: &String| {
        counts.get(text).copied().unwrap_or(0.0) / counts.values().sum::<f64>()
    };
    let texts: std::collections::HashSet<&String> = one.keys().chain(other.keys()).collect();
    texts.into_iter().map(|text| (of(one, text) - of(other, text)).abs()).sum::<f64>() / 2.0
}

/// The 99.5th percentile of the total variation between two samples of the same answers, drawn from both together.
fn null(one: &HashMap<String, f64>, other: &HashMap<String, f64>) -> f64 {
    let mut pool = Vec::new();
    for counts in [one, other] {
        counts.iter().for_each(|(text, count)| pool.extend(std::iter::repeat_n(text, *count as usize)));
    }
    let mut random = fastrand::Rng::with_seed(1);
    let mut draw = |length: usize| {
        let mut counts = HashMap::new();
        (0..length).for_each(|_| *counts.entry(pool[random.usize(..pool.len())].clone()).or_default() += 1.0);
        counts
    };
    let half = pool.len() / 2;
    let mut variations: Vec<f64> = (0..400).map(|_| total_variation(&draw(half), &draw(half))).collect();
    variations.sort_by(f64::total_cmp);
    variations[397]
}

#[test]
fn answers_by_a_draft_model_are_distributed_as_those_without() {
    let home = Home::new(TinyModel::default().context(512));
    // Another model: it guesses wrong more often than not.
    let engine = Running::with(home.with_draft(TinyModel::default().context(512).seed(2), 256));
    let plain = counts(&engine, Speculate::Off, 20_000);
    let drafted = counts(&engine, Speculate::Draft, 20_000);
    let (variation, null) = (total_variation(&plain, &drafted), null(&plain, &drafted));
    assert!(variation < null, "{variation}, and by chance {null}");
}

#[test]
fn steps_are_timed_when_an_answer_is_over_and_that_is_kept_and_changes_nothing() {
    let home = Home::new(circling());
    let times = home.path("times.json");
    let messages = [user("hello there")];
    let ask = |settings: LoadSettings, times_steps: bool| {
        let engine = Running::with(settings);
        let options = by(Speculate::Ngram, greedy(40));
        let (first, _) = engine.ask(prompt(Some(1), &messages), options.clone());
        if times_steps {
            engine.submit(Work::TimeSteps);
            assert!(matches!(engine.last(), Step::Done));
        }
        let longer = [messages[0].clone(), Message::new(Role::Assistant, &first), user("and then")];
        let (second, finish) = engine.ask(prompt(Some(1), &longer), options);
        (first, second, finish.held, finish.stats.usage)
    };
    let plain = ask(home.settings(512), false);
    assert!(!times.exists());
    let kept = LoadSettings { step_times: Some(times.clone()), ..home.settings(512) };
    assert_eq!(ask(kept.clone(), true), plain);
    let written = std::fs::read_to_string(&times).unwrap();
    for size in ["2", "3", "4", "8", "16", "32"] {
        assert!(written.contains(&format!("\\\"{size}\\\":[")), "{size} in {written}");
    }
    std::fs::write(&times, &written[..written.len() - 9]).unwrap();
    assert_eq!(ask(kept, true), plain, "a damaged file costs nothing but what it held");
}
