//! The program and its engine with a small real model: the same answers as llama.cpp itself, true numbers, and a stop
//! at any time that leaves nothing behind.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::engine::{PATIENCE, Running, greedy, prompt, settings};
use common::hub_server::sha256;
use common::program::Home;
use common::real_models::{say_skipped, test_model};
use serde::Deserialize;
use serde_json::Value;
use tuichat::chat::{Ended, Message, Role};
use tuichat::engine::protocol::{Finish, GenerateOptions, Speculate, SpeculationOptions, Step, Work};

/// What llama.cpp's own server answered, greedily; made by `scripts/reference-answers.py`.
#[derive(Deserialize)]
struct Reference {
    model_sha256: String,
    max_tokens: u32,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    messages: Vec<Line>,
    prompt_tokens: u64,
    answer: String,
    answer_tokens: u64,
    /// Tokens before the first whose logit is nearly that of another token: there, rounding decides.
    certain_tokens: u64,
    /// Bytes of `answer` that are made of those.
    certain_bytes: usize,
}

#[derive(Deserialize)]
struct Line {
    role: Role,
    content: String,
}

impl Case {
    fn says(&self, role: Role) -> Option<&str> {
        self.messages.iter().find(|line| line.role == role).map(|line| line.content.as_str())
    }

    /// All of the answer is certain, its end too.
    fn is_certain(&self) -> bool {
        self.certain_tokens == self.answer_tokens
    }
}

static REFERENCE: LazyLock<Reference> =
    LazyLock::new(|| serde_json::from_str(include_str!("fixtures/reference-answers.json")).unwrap());

/// The model that the reference answers are of, and the right to run it: two runs at once on the same cores would
/// slow each other down many times.
fn reference_model() -> Option<(PathBuf, MutexGuard<'static, ()>)> {
    static RUNS: Mutex<()> = Mutex::new(());
    static IS_REFERENCE: LazyLock<bool> = LazyLock::new(|| {
        test_model().is_some_and(|path| sha256(&std::fs::read(path).unwrap()) == REFERENCE.model_sha256)
    });
    let path = test_model()?;
    let turn = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    if *IS_REFERENCE {
        return Some((path, turn));
    }
    say_skipped("TUICHAT_TEST_MODEL is not the model of tests/fixtures/reference-answers.json");
    None
}

/// stdout of a run that succeeds.
fn run(home: &Home, arguments: &[&str], stdin: &str) -> String {
    run_with("", home, arguments, stdin)
}

/// The same with these kernels (`TUICHAT_KERNELS`).
fn run_with(kernels: &str, home: &Home, arguments: &[&str], stdin: &str) -> String {
    let mut command = assert_cmd::Command::from_std(home.command(arguments));
    command.env("TUICHAT_KERNELS", kernels);
    let output = command.write_stdin(stdin).timeout(PATIENCE).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Where the arithmetic is llama.cpp's, too.
#[test]
fn greedy_answers_are_those_of_llama_cpp() {
    let Some((model, _turn)) = reference_model() else { return };
    let home = Home::new();
    let limit = REFERENCE.max_tokens.to_string();
    for case in &REFERENCE.cases {
        let question = case.says(Role::User).unwrap();
        let mut arguments = vec!["-m", model.to_str().unwrap(), "-p", question, "--temp", "0", "-o", "json"];
        arguments.extend(["--max-tokens", &limit, "--device", "cpu"]);
        if let Some(system) = case.says(Role::System) {
            arguments.extend(["--system", system]);
        }
        let object: Value = serde_json::from_str(&run_with("llama.cpp", &home, &arguments, "")).unwrap();
        assert_eq!(object["usage"]["prompt_tokens"], case.prompt_tokens, "{question}");
        let answer = object["text"].as_str().unwrap();
        assert!(answer.starts_with(&case.answer[..case.certain_bytes]), "{answer:?} instead of {:?}", case.answer);
        if case.is_certain() {
            assert_eq!(answer, case.answer);
            assert_eq!(object["usage"]["completion_tokens"], case.answer_tokens, "{answer}");
        }
    }
}

/// Sums are added up in another order, and what is rounded to 8 bits afterwards may be rounded otherwise: this model's
/// logits move by so much between llama.cpp's own kernels, too (`src/engine/equivalence.rs`).
#[test]
fn by_kernels_of_our_own_the_same_tokens_are_likely_up_to_rounding() {
    const ROUNDING: f64 = 0.53;
    let Some((model, _turn)) = reference_model() else { return };
    let home = Home::new();
    let mut differ = 0;
    for case in &REFERENCE.cases {
        let question = case.says(Role::User).unwrap();
        let mut arguments = vec!["-m", model.to_str().unwrap(), "-p", question, "--temp", "0", "-o", "json"];
        arguments.extend(["--max-tokens", "1", "--logprobs", "20", "--device", "cpu", "--threads", "2"]);
        let [ours, theirs] = ["", "llama.cpp"].map(|kernels| {
            let object: Value = serde_json::from_str(&run_with(kernels, &home, &arguments, "")).unwrap();
            let top = object["logprobs"][0]["top"].as_array().unwrap().clone();
            let of = |one: &Value| (one["id"].as_u64().unwrap(), one["logprob"].as_f64().unwrap());
            top.iter().map(of).collect::<BTreeMap<_, _>>()
        });
        let both = ours.iter().filter_map(|(id, one)| Some((one, theirs.get(id)?)));
        assert!(both.clone().count() >= 10, "{question}: {ours:?} and {theirs:?}");
        for (one, other) in both {
            assert!((one - other).abs() < ROUNDING, "{question}: {ours:?} and {theirs:?}");
        }
        differ += usize::from(ours != theirs);
    }
    if cfg!(all(target_arch = "x86_64", target_feature = "avx2")) {
        assert_ne!(differ, 0, "llama.cpp was compiled without our kernels: `cargo clean --release -p llama-cpp-sys-2`");
    }
}

#[test]
fn a_pipe_gets_the_answer_and_every_number_of_the_json_is_true() {
    let Some((model, _turn)) = reference_model() else { return };
    let case = REFERENCE.cases.iter().find(|case| case.says(Role::User).unwrap().starts_with("Complete:")).unwrap();
    assert!(case.is_certain() && case.answer_tokens <= 16);
    let home = Home::new();
    let piped = "The capital of France is";
    let mut arguments = vec!["-m", model.to_str().unwrap(), "-p", "Complete:", "--temp", "0", "--max-tokens", "16"];
    assert_eq!(run(&home, &arguments, piped), format!("{}\n", case.answer));

    // Without guesses, every number is known beforehand.
    arguments.extend(["-o", "json", "--seed", "7", "--device", "cpu", "--threads", "2", "--spec", "off"]);
    let started = Instant::now();
    let printed = run(&home, &arguments, piped);
    let wall_ms = started.elapsed().as_secs_f64() * 1000.0;
    let object: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(keys(&object), KEYS.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>());
    check_facts(&object, case, &model);
    check_timings(&object, case, wall_ms);
}

/// Every key of the contract, those of inner objects behind a dot.
const KEYS: &str = "schema text extracted thinking logprobs chat finish_reason error repetition recalled seed \
    model.name model.path model.sha256 model.quantization model.parameters \
    usage.prompt_tokens usage.cached_prompt_tokens usage.completion_tokens usage.evicted_tokens usage.kept_prompt_tokens \
    timings.load_ms timings.prefill_ms timings.eviction_ms timings.time_to_first_token_ms timings.decode_ms \
    timings.prefill_tokens_per_second timings.decode_tokens_per_second \
    speculative.drafter speculative.drafted speculative.accepted speculative.decode_calls speculative.off_reason \
    speculative.verified_calls speculative.spent_ms speculative.plain_ms speculative.speedup speculative.fuzzy \
    kv.type_k kv.type_v kv.cells kv.cells_used kv.bytes kv.policy kv.reason kv.evicted_tokens \
    device.backend device.name device.gpu_layers device.threads device.prefill_threads device.cores device.reason \
    device.cores_reason device.batch device.batch_reason device.repacked device.repack_reason timings.major_faults server";

fn keys(object: &Value) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for (key, value) in object.as_object().unwrap() {
        match value.as_object() {
            Some(inner) => keys.extend(inner.keys().map(|inner| format!("{key}.{inner}"))),
            None => drop(keys.insert(key.clone())),
        }
    }
    keys
}

/// What is in the answer's object beside the times.
fn check_facts(object: &Value, case: &Case, model: &Path) {
    let at = |path: &str| &object[path.split_once('.').unwrap().0][path.split_once('.').unwrap().1];
    assert_eq!((&object["schema"], &object["seed"]), (&Value::from(1), &Value::from(7)));
    assert_eq!((object["text"].as_str(), object["finish_reason"].as_str()), (Some(&*case.answer), Some("stop")));
    assert_eq!((&object["thinking"], &object["error"]), (&Value::Null, &Value::Null));

    let cells = at("kv.cells").as_u64().unwrap();
    let (layers, kv_heads, head_length, f16_bytes) = (30, 3, 64, 2);
    let prompt = case.prompt_tokens;
    let completion = case.answer_tokens;
    for (path, expected) in [
        ("model.path", Value::from(model.to_str().unwrap())),
        ("model.sha256", REFERENCE.model_sha256.as_str().into()),
        ("model.quantization", "Q4_1".into()),
        ("model.parameters", 134_515_008.into()),
        ("usage.prompt_tokens", prompt.into()),
        ("usage.cached_prompt_tokens", 0.into()),
        ("usage.completion_tokens", completion.into()),
        ("usage.evicted_tokens", 0.into()),
        ("speculative.drafter", Value::Null),
        ("speculative.drafted", 0.into()),
        ("speculative.accepted", 0.into()),
        ("speculative.decode_calls", (completion - 1).into()),
        ("kv.type_k", "f16".into()),
        ("kv.type_v", "f16".into()),
        ("kv.cells_used", (prompt + completion - 1).into()),
        ("kv.bytes", (cells * layers * kv_heads * (head_length + head_length) * f16_bytes).into()),
        ("kv.policy", "score".into()),
        ("kv.evicted_tokens", 0.into()),
        ("device.backend", "CPU".into()),
        ("device.gpu_layers", 0.into()),
        ("device.threads", 2.into()),
    ] {
        assert_eq!(at(path), &expected, "{path}");
    }
    for path in ["model.name", "speculative.off_reason", "kv.reason", "device.name", "device.cores", "device.reason"] {
        assert!(at(path).as_str().is_some_and(|text| !text.is_empty()), "{path} in {object}");
    }
    assert!((512..=8192).contains(&cells), "no more than the model was trained with");
}

fn check_timings(object: &Value, case: &Case, wall_ms: f64) {
    let timing = |name: &str| object["timings"][name].as_f64().filter(|value| *value > 0.0).unwrap();
    let (prefill_ms, decode_ms) = (timing("prefill_ms"), timing("decode_ms"));
    let first_token_ms = timing("time_to_first_token_ms");
    assert!(first_token_ms >= prefill_ms, "{object}");
    assert!(timing("load_ms") + first_token_ms + decode_ms <= wall_ms, "{object} took {wall_ms} ms");
    let is_speed = |name: &str, tokens: u64, milliseconds: f64| {
        let expected = tokens as f64 * 1000.0 / milliseconds;
        // Times and speeds are told with three decimals.
        let rounding = 0.0005 * (1.0 + expected / milliseconds) + 1e-9;
        assert!((timing(name) - expected).abs() <= rounding, "{name} in {object}");
    };
    is_speed("prefill_tokens_per_second", case.prompt_tokens, prefill_ms);
    is_speed("decode_tokens_per_second", case.answer_tokens - 1, decode_ms);
}

/// A numbered list, some 21 tokens a line. What the model is asked about it has to be beyond doubt, so that rounding
/// has no say in the answer.
fn question_about_towns(lines: u32) -> String {
    let town = |number: u32| {
        let (inhabitants, streets) = (number * 137 % 900 + 100, number * 7 % 30 + 3);
        format!("{number}. Town {number} has {inhabitants} inhabitants and {streets} streets.\n")
    };
    (1..=lines).map(town).collect::<String>() + "\nRepeat the first three lines of the list."
}

/// Makes a prompt of more than 6,000 tokens.
const LONG: u32 = 290;

#[cfg(unix)]
#[test]
fn an_interrupt_in_a_long_prefill_ends_in_an_object_that_says_so() {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::process::Stdio;

    use rustix::process::{Pid, Signal, kill_process};

    let Some((model, _turn)) = reference_model() else { return };
    let home = Home::new();
    let mut command = home.command(&["-m", model.to_str().unwrap(), "-o", "ndjson", "--device", "cpu"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(question_about_towns(LONG).as_bytes()).unwrap();
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let mut percent = 0;
    while percent == 0 {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0, "it ended too early");
        let object: Value = serde_json::from_str(&line).unwrap();
        if object["phase"] == "prefilling" {
            percent = object["percent"].as_u64().unwrap();
        }
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut rest = String::new();
    reader.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let last: Value = serde_json::from_str(rest.lines().last().unwrap()).unwrap();
    assert_eq!((last["type"].as_str(), last["finish_reason"].as_str()), (Some("end"), Some("cancelled")), "{last}");
    assert_eq!((last["text"].as_str(), &last["usage"]["completion_tokens"]), (Some(""), &Value::from(0)));
    assert!(last["usage"]["prompt_tokens"].as_u64().unwrap() > 6000);
}

/// An engine with the model in it.
fn load(model: &Path) -> Running {
    Running::with(settings(model, 8192, 2))
}

fn ask(engine: &Running, messages: &[Message]) -> (String, Finish) {
    engine.ask(prompt(None, messages), greedy(24))
}

fn user(text: &str) -> Message {
    Message::new(Role::User, text)
}

#[test]
fn the_second_turn_computes_only_what_is_new() {
    let Some((model, _turn)) = reference_model() else { return };
    let engine = load(&model);
    for case in &REFERENCE.cases {
        let question = user(case.says(Role::User).unwrap());
        let (answer, first) = ask(&engine, std::slice::from_ref(&question));
        let turns = [question, Message::new(Role::Assistant, answer), user("Tell me more.")];
        let (_, second) = ask(&engine, &turns);
        let (usage, cells_used) = (second.stats.usage, first.stats.cells_used);
        assert!(usage.cached_prompt_tokens >= cells_used - 1, "{usage:?} after {cells_used} cells");
    }
}

#[test]
fn a_text_that_is_repeated_is_the_same_with_guesses_and_without_and_takes_fewer_steps() {
    let Some((model, _turn)) = reference_model() else { return };
    let engine = load(&model);
    let question = prompt(None, &[user(&question_about_towns(30))]);
    let [(plain, without), (text, with)] = [Speculate::Off, Speculate::Ngram].map(|by| {
        let speculation = SpeculationOptions { by, ..SpeculationOptions::default() };
        engine.ask(question.clone(), GenerateOptions { speculation, ..greedy(60) })
    });
    assert!(plain.starts_with("1. Town 1 has"), "{plain}");
    assert_eq!(text, plain);
    assert_eq!(with.stats.usage.completion_tokens, without.stats.usage.completion_tokens);
    // How many are guessed at once follows from the machine's speed. Each guess that was right saved a step.
    let accepted = with.stats.speculation.accepted;
    assert_eq!(with.stats.decode_calls + accepted, without.stats.decode_calls, "{:?}", with.stats);
    assert!(accepted * 3 > with.stats.usage.completion_tokens, "{:?}", with.stats);
}

#[test]
fn an_answer_in_parts_is_the_same_as_one_at_once() {
    let Some((model, _turn)) = reference_model() else { return };
    let engine = load(&model);
    for case in &REFERENCE.cases {
        let question = user(case.says(Role::User).unwrap());
        let (whole, _) = engine.ask(prompt(None, std::slice::from_ref(&question)), greedy(40));
        let (mut text, _) = engine.ask(prompt(None, std::slice::from_ref(&question)), greedy(13));
        for _ in 0..3 {
            let so_far = [question.clone(), Message::new(Role::Assistant, text.as_str())];
            let (more, finish) = engine.ask(prompt(None, &so_far), greedy(9));
            let usage = finish.stats.usage;
            assert_eq!(usage.prompt_tokens - usage.cached_prompt_tokens, 1, "{text:?}");
            text.push_str(&more);
        }
        assert_eq!(text, whole);
    }
}

#[test]
fn a_cancelled_long_prefill_leaves_the_next_answer_as_from_a_fresh_start() {
    let Some((model, _turn)) = reference_model() else { return };
    let engine = load(&model);
    let question = prompt(None, &[user(&question_about_towns(LONG))]);
    let cancel = engine.submit(Work::Generate(question, greedy(24)));
    while !matches!(engine.next(), Step::Prefilling { done: 1.., .. }) {}
    // Into the middle of the next part.
    std::thread::sleep(Duration::from_millis(300));
    cancel.cancel();
    let (text, stopped) = engine.answer();
    assert_eq!((stopped.ended, text.as_str()), (Ended::Cancelled, ""));
    assert!(stopped.stats.usage.prompt_tokens > 6000 && stopped.stats.cells_used < 6000, "{:?}", stopped.stats);

    // Begins as the cancelled prompt does.
    let next = [user(&question_about_towns(30))];
    let (answer, finish) = ask(&engine, &next);
    assert!(finish.stats.usage.cached_prompt_tokens >= 500, "what was computed is used: {:?}", finish.stats);
    drop(engine);
    let (fresh, _) = ask(&load(&model), &next);
    assert_eq!(answer, fresh);
    assert!(fresh.starts_with("1. Town 1 has"), "{fresh}");
}

#[cfg(target_os = "linux")]
#[test]
fn the_memory_that_was_predicted_is_what_the_program_takes() {
    use std::process::Stdio;

    let Some((model, _turn)) = reference_model() else { return };
    let home = Home::new();
    let model = model.to_string_lossy();
    let shown = home.run(&["models", "show", &model, "--json"]);
    let predicted = shown.json()["fit"]["resident_bytes"]["2048"].as_u64().expect("a prediction");
    let text = "The ferryman counted the boats and wrote down the names of those who had crossed. ".repeat(80);
    let prompt = home.write("prompt.txt", text);
    let arguments = ["-p", "Sum this up.", "--file", &prompt.to_string_lossy(), "-m", &model, "--ctx", "2048"];
    let arguments = [&arguments[..], &["--kv", "f16", "--spec", "off", "--max-tokens", "16", "--quiet"]].concat();
    let mut command = home.command(&arguments);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts");
    let mut most = 0;
    while child.try_wait().expect("a child of ours").is_none() {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        most = most.max(kibibytes.unwrap_or(0) * 1024);
        std::thread::sleep(Duration::from_millis(10));
    }
    let ratio = predicted as f64 / most as f64;
    assert!((0.9..1.1).contains(&ratio), "{predicted} bytes were predicted and {most} taken: {ratio:.2}");
}
