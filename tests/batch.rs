//! `tuichat batch` from outside: every item becomes one line whatever happens to it, in the order that was asked for; and
//! a run that was killed is gone on with, without an item lost or doubled.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::engine::{PATIENCE, Running, greedy, prompt, settings};
use common::program::{HELLO, Home, Ran};
use common::real_models::test_model;
use common::tiny_gguf::TinyModel;
use serde_json::{Value, json};
use tuichat::chat::{Ended, Message, Role};
use tuichat::engine::protocol::{Batch, EngineError, Expected, GenerateOptions, LoadSettings, Prompt, Step, Work};

/// Runs a batch with a scripted engine.
fn batch(home: &Home, script: &str, arguments: &[&str], stdin: &str) -> Ran {
    home.write("script.toml", script);
    home.run_piped(&[&["batch", "--engine", "scripted:script.toml"], arguments].concat(), stdin)
}

/// Runs the program with a real model, which takes as long as it takes.
fn run(home: &Home, arguments: &[&str], stdin: &str) -> Ran {
    let mut command = assert_cmd::Command::from_std(home.command(arguments));
    let output = command.write_stdin(stdin).timeout(PATIENCE).output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

fn ids(lines: &[Value]) -> Vec<Value> {
    lines.iter().map(|line| line["id"].clone()).collect()
}

#[test]
fn every_item_becomes_a_line_in_the_order_of_the_input() {
    let home = Home::new();
    let items = "{\"id\": \"a\", \"prompt\": \"one\"}\nnonsense\n\n{\"prompt\": \"two\", \"max_tokens\": 1}\n";
    let ran = batch(&home, HELLO, &["-"], items);
    let lines = lines(&ran.stdout);
    assert_eq!(ids(&lines), [json!("a"), json!(2), json!(4)]);
    assert_eq!((&lines[0]["text"], &lines[0]["finish_reason"]), (&json!("Hello there, you"), &json!("stop")));
    assert_eq!((&lines[0]["schema"], &lines[0]["error"]), (&json!(1), &Value::Null));
    assert_eq!((&lines[2]["text"], &lines[2]["finish_reason"]), (&json!("Hello"), &json!("length")));
    assert_eq!((&lines[1]["error"]["exit_code"], &lines[1]["finish_reason"]), (&json!(2), &json!("error")));
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("error: of 3 items 1 failed"), "{}", ran.stderr);
}

#[test]
fn the_exit_code_says_whether_all_items_have_their_answers() {
    let home = Home::new();
    let code = |script: &str, items: &str| batch(&home, script, &["-"], items).code;
    let schema = r#"{"prompt": "a", "schema": {"type": "object"}}"#;
    assert_eq!(code(HELLO, r#"{"prompt": "a"}"#), Some(0));
    assert_eq!(code(HELLO, schema), Some(7));
    assert_eq!(code(HELLO, &format!("{schema}\n{{}}")), Some(1));
    assert_eq!(code("fail_load = \"it is damaged\"", r#"{"prompt": "a"}"#), Some(4));
    assert_eq!(code("[[answer]]\ntext = \"x\"\nended = \"error\"", r#"{"prompt": "a"}"#), Some(1));
    assert_eq!(code(HELLO, ""), Some(0), "there is nothing to do");
    assert_eq!(batch(&home, HELLO, &["missing.ndjson"], "").code, Some(2));
    assert_eq!(batch(&home, HELLO, &["."], "").code, Some(2));
    assert_eq!(batch(&home, HELLO, &["-", "--parallel", "65"], "").code, Some(2));
    assert_eq!(batch(&home, HELLO, &["-", "--schema", r#"{"type": "sting"}"#], "").code, Some(2));
}

#[test]
fn two_items_of_one_id_are_refused_before_anything_is_done() {
    let home = Home::new();
    let ran = batch(&home, HELLO, &["-"], "{\"id\": 1, \"prompt\": \"a\"}\n{\"id\": 1, \"prompt\": \"b\"}\n");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("lines 1 and 2 have the same id, 1"), "{}", ran.stderr);
}

#[test]
fn a_file_of_results_is_not_overwritten_but_gone_on_with() {
    let home = Home::new();
    let three = "{\"prompt\": \"a\"}\n{\"prompt\": \"b\"}\n{\"prompt\": \"c\"}\n";
    let items = home.write("items.ndjson", &three[..32]);
    let results = home.path("out.ndjson");
    let ran = batch(&home, HELLO, &["items.ndjson", "--output", "out.ndjson"], "");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{}", ran.stderr);
    let ran = batch(&home, HELLO, &["items.ndjson", "--output", "out.ndjson"], "");
    assert!(ran.code == Some(2) && ran.stderr.contains("go on with it by `--resume out.ndjson`"), "{}", ran.stderr);
    // Some more items, and a last line that a power cut tore.
    fs::write(items, three).unwrap();
    let written = fs::read_to_string(&results).unwrap();
    fs::write(&results, &written[..written.len() - 5]).unwrap();
    let ran = batch(&home, HELLO, &["items.ndjson", "--resume", "out.ndjson"], "");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(ids(&lines(&fs::read_to_string(&results).unwrap())), [1, 2, 3]);
    let ran = batch(&home, HELLO, &["items.ndjson", "--resume", "out.ndjson"], "");
    assert_eq!((ran.code, lines(&fs::read_to_string(&results).unwrap()).len()), (Some(0), 3), "nothing is left to do");
    let ran = batch(&home, HELLO, &["items.ndjson", "--resume", "items.ndjson"], "");
    assert!(ran.code == Some(2) && ran.stderr.contains("its line 1 is no result of a batch"), "{}", ran.stderr);
}

#[test]
fn a_failure_of_the_first_run_is_told_by_the_second() {
    let home = Home::new();
    home.write("items.ndjson", "{}\n{\"prompt\": \"b\"}\n");
    let run = || batch(&home, HELLO, &["items.ndjson", "--resume", "out.ndjson"], "").code;
    assert_eq!((run(), run()), (Some(1), Some(1)));
}

#[test]
fn items_that_failed_are_answered_again_where_that_is_asked_for() {
    let home = Home::new();
    home.write("items.ndjson", "{\"id\": \"a\"}\n{\"id\": \"b\", \"prompt\": \"b\"}\n");
    let run = |more: &[&str]| batch(&home, HELLO, &[&["items.ndjson", "--resume", "out.ndjson"], more].concat(), "");
    assert_eq!(run(&[]).code, Some(1));
    let ran = run(&[]);
    let told = [
        "note: all 2 items have their lines already",
        "note: 1 earlier line has an `error`; `--retry-failed` answers these items again",
        "error: of 2 items 1 failed",
        "hint: `jq -c 'select(.error) | [.id, .error.message]' out.ndjson` says why",
    ];
    assert_eq!((ran.code, ran.stderr.lines().collect::<Vec<_>>()), (Some(1), told.to_vec()));
    home.write("items.ndjson", "{\"id\": \"a\", \"prompt\": \"a\"}\n{\"id\": \"b\", \"prompt\": \"b\"}\n");
    let ran = run(&["--retry-failed"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let lines = lines(&fs::read_to_string(home.path("out.ndjson")).unwrap());
    assert_eq!(ids(&lines), ["b", "a"], "what is done again comes behind what was done");
    assert!(lines.iter().all(|line| line["text"] == "Hello there, you"));
    assert_eq!(batch(&home, HELLO, &["items.ndjson", "--retry-failed"], "").code, Some(2), "of what?");
}

#[cfg(unix)]
#[test]
fn an_interrupt_leaves_what_is_done() {
    use rustix::process::{Pid, Signal, kill_process};
    let home = Home::new();
    home.write("script.toml", format!("token_ms = 20\n{HELLO}"));
    let items: String = (0..1000).map(|item| format!("{{\"prompt\": \"{item}\"}}\n")).collect();
    home.write("items.ndjson", items);
    let arguments = ["batch", "items.ndjson", "--engine", "scripted:script.toml", "--output", "out.ndjson"];
    let mut child = home.command(&arguments).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_lines(&home.path("out.ndjson"), 3);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let mut stderr = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut stderr).unwrap();
    assert!(stderr.contains("of 1000 items are done; go on with `--resume out.ndjson`"), "{stderr}");
    let done = lines(&fs::read_to_string(home.path("out.ndjson")).unwrap());
    assert!(done.iter().all(|line| line["text"] == "Hello there, you"));
    assert_eq!(ids(&done), (1..=done.len()).collect::<Vec<_>>());
}

fn wait_for_lines(path: &Path, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    while fs::read_to_string(path).unwrap_or_default().lines().count() < count {
        assert!(Instant::now() < deadline, "no results come");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What became of an item.
type Outcome = Result<(String, Ended, u32), EngineError>;

/// Answers prompts with an engine.
fn answer(engine: &Running, items: &[(Prompt, GenerateOptions)], lanes: u32) -> Vec<Outcome> {
    let batch = Batch { items: items.to_vec(), lanes: Some(lanes) };
    engine.submit(Work::Batch(Box::new(batch)));
    let mut texts = vec![String::new(); items.len()];
    let mut outcomes: BTreeMap<usize, Outcome> = BTreeMap::new();
    loop {
        let step = engine.next();
        match step {
            Step::Item(item, step) => match *step {
                Step::Token(piece) => texts[item].push_str(&piece.text),
                Step::Finished(finish) => {
                    let cached = finish.stats.usage.cached_prompt_tokens;
                    let outcome = Ok((std::mem::take(&mut texts[item]), finish.ended, cached));
                    assert!(outcomes.insert(item, outcome).is_none(), "item {item} ends twice");
                }
                Step::Failed(error) => assert!(outcomes.insert(item, Err(error)).is_none(), "item {item} ends twice"),
                other => panic!("{other:?}"),
            },
            Step::Done => break,
            Step::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
    outcomes.into_values().collect()
}

fn tiny_engine(cells: u32, lanes: u32) -> (Running, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    TinyModel::default().context(2048).write(&path).unwrap();
    (Running::with(for_lanes(&path, cells, lanes)), folder)
}

fn for_lanes(model: &Path, cells: u32, lanes: u32) -> LoadSettings {
    let expected = Some(Expected { prompt_bytes: 0, answer_tokens: None, lanes });
    LoadSettings { expected, ..settings(model, cells, 1) }
}

fn asked(text: &str, max_tokens: u32) -> (Prompt, GenerateOptions) {
    (prompt(None, &[Message::new(Role::User, text)]), greedy(max_tokens))
}

#[test]
fn items_that_share_their_beginning_compute_it_once() {
    let (engine, _folder) = tiny_engine(2048, 4);
    let long = "the same words for all of them ".repeat(10);
    let items: Vec<_> = (0..6).map(|item| asked(&format!("{long}{item}"), 8)).collect();
    let outcomes = answer(&engine, &items, 4);
    assert_eq!(outcomes.len(), 6);
    for outcome in outcomes {
        let (_, _, cached) = outcome.unwrap();
        assert!(cached > 100, "{cached}");
    }
}

#[test]
fn items_of_each_group_compute_once_what_only_these_begin_with() {
    let (engine, _folder) = tiny_engine(2048, 4);
    let texts =
        ["a house by the sea, ", "one river and a bridge; ", "bread, butter and milk! "].map(|text| text.repeat(8));
    // One of each in turn, and more of them than are looked at ahead.
    let question = |item: usize| format!("{}{item}", texts[item % 3]);
    let items: Vec<_> = (0..600).map(|item| asked(&question(item), 2)).collect();
    let outcomes = answer(&engine, &items, 4);
    assert_eq!(outcomes.len(), 600);
    let cached: Vec<u32> = outcomes.iter().map(|outcome| outcome.as_ref().unwrap().2).collect();
    assert!(cached.iter().all(|tokens| *tokens > 90), "{cached:?}");
    let alone = answer(&engine, &items[..6], 1);
    for (item, (one, other)) in alone.iter().zip(&outcomes).enumerate() {
        let (one, other) = (one.as_ref().unwrap(), other.as_ref().unwrap());
        assert_eq!((&one.0, one.1), (&other.0, other.1), "item {item}");
    }
}

#[test]
fn a_model_with_a_recurrent_layer_answers_side_by_side_what_it_answers_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hybrid.gguf");
    TinyModel::default().context(2048).recurrent().write(&path).unwrap();
    let engine = Running::with(for_lanes(&path, 2048, 4));
    let text = "the same words for all of them ".repeat(6);
    let same: Vec<_> = (0..6).map(|item| asked(&format!("{text}{item}"), 8)).collect();
    let different: Vec<_> = (0..6).map(|item| asked(&format!("{item} {}", text.repeat(item + 1)), 8)).collect();
    for (items, is_shared) in [(same, true), (different, false)] {
        let (alone, together) = (answer(&engine, &items, 1), answer(&engine, &items, 4));
        for (item, (one, other)) in alone.iter().zip(&together).enumerate() {
            let (one, other) = (one.as_ref().unwrap(), other.as_ref().unwrap());
            assert_eq!(one.0.get(..4), other.0.get(..4), "item {item}: {one:?} {other:?}");
            assert_eq!(one.2 > 60, is_shared, "its state is shared where all begin alike: {one:?}");
        }
    }
    assert_eq!(answer(&engine, &[asked("short", 4), asked(&text.repeat(40), 4)], 4).len(), 2);
}

#[test]
fn beginnings_give_their_room_to_an_answer_that_needs_it() {
    let (engine, _folder) = tiny_engine(512, 2);
    let texts = ["first words ", "other words "].map(|text| text.repeat(8));
    let mut items: Vec<_> = (0..8).map(|item| asked(&format!("{}{item}", texts[item % 2]), 4)).collect();
    let (long, options) = asked("on and on", 1);
    items.insert(0, (long, GenerateOptions { max_tokens: None, loop_breaker: false, ..options }));
    let outcomes = answer(&engine, &items, 2);
    assert!(outcomes.len() == 9 && outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

#[test]
fn items_that_have_no_room_side_by_side_wait_for_each_other_and_say_the_same() {
    let (engine, _folder) = tiny_engine(512, 4);
    // Each may have 300 tokens, and there are 512 cells.
    let items: Vec<_> = (0..7).map(|item| asked(&format!("a question with the number {item}"), 250)).collect();
    let (alone, together) = (answer(&engine, &items, 1), answer(&engine, &items, 4));
    assert_eq!(together.len(), 7);
    let texts = |outcomes: &[Outcome]| -> Vec<(String, Ended)> {
        outcomes.iter().map(|outcome| outcome.clone().map(|(text, ended, _)| (text, ended)).unwrap()).collect()
    };
    let (alone, together) = (texts(&alone), texts(&together));
    assert!(alone.iter().any(|(_, ended)| *ended == Ended::Length), "some answers are long");
    // Rounding differs with the number of rows, and random weights have many near ties: the beginnings are the same.
    for ((one, _), (other, _)) in alone.iter().zip(&together) {
        let common = one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
        assert!(common >= 8.min(one.len()), "{one:?} {other:?}");
    }
}

#[test]
fn an_item_that_is_too_long_fails_alone() {
    let (engine, _folder) = tiny_engine(512, 2);
    let items = [asked("short", 4), asked(&"too long ".repeat(200), 4), asked("short too", 4)];
    let outcomes = answer(&engine, &items, 2);
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    assert!(matches!(outcomes[1], Err(EngineError::ItemTooLong { cells: 512, .. })), "{:?}", outcomes[1]);
}

#[test]
fn an_item_that_has_room_only_without_what_the_others_share_comes_last() {
    let (engine, _folder) = tiny_engine(512, 2);
    let shared = "what the others have in common ".repeat(6);
    let own = "something else ".repeat(20);
    let items = [asked(&own, 4), asked(&format!("{shared}1"), 4), asked(&format!("{shared}2"), 4)];
    let outcomes = answer(&engine, &items, 2);
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

#[test]
fn an_answer_without_a_limit_ends_where_the_context_does() {
    let (engine, _folder) = tiny_engine(256, 2);
    let (prompt, options) = asked("on and on", 1);
    let endless = GenerateOptions { max_tokens: None, loop_breaker: false, ..options };
    let outcomes = answer(&engine, &[(prompt.clone(), endless.clone()), (prompt, endless)], 2);
    for outcome in outcomes {
        let (_, ended, _) = outcome.unwrap();
        assert!(matches!(ended, Ended::Length | Ended::Stop), "{ended:?}");
    }
}

#[test]
fn a_batch_that_is_stopped_ends_at_once_and_the_next_one_is_answered() {
    let (engine, _folder) = tiny_engine(1024, 4);
    let items: Vec<_> = (0..50).map(|item| asked(&format!("question {item}"), 200)).collect();
    let cancel = engine.submit(Work::Batch(Box::new(Batch { items: items.clone(), lanes: Some(4) })));
    while !matches!(engine.next(), Step::Item(..)) {}
    cancel.cancel();
    assert!(matches!(engine.last(), Step::Done));
    assert_eq!(answer(&engine, &items[..3], 4).len(), 3);
}

/// The small real model, and the right to run it: two runs at once would slow each other down many times.
fn real_model() -> Option<(PathBuf, MutexGuard<'static, ()>)> {
    static RUNS: Mutex<()> = Mutex::new(());
    let path = test_model()?;
    Some((path, RUNS.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Short questions about one longer text.
fn questions(count: usize) -> String {
    let rivers: String = (1..=20).map(|number| format!("River number {number} is {} km long. ", number * 37)).collect();
    let items = (1..=count).map(|number| {
        let question = format!("{rivers}How long is river number {number}? One short sentence.");
        format!("{}\n", json!({"id": format!("q{number}"), "prompt": question}))
    });
    items.collect()
}

#[test]
fn killed_again_and_again_no_item_is_lost_or_doubled() {
    let Some((model, _turn)) = real_model() else { return };
    let home = Home::new();
    home.write("items.ndjson", questions(24));
    let results = home.path("out.ndjson");
    let options = ["--temp", "0", "--max-tokens", "12", "--ctx", "2048", "--device", "cpu", "--resume", "out.ndjson"];
    let arguments = [&["batch", "items.ndjson", "-m", model.to_str().unwrap()], &options[..]].concat();
    let mut written: Vec<Vec<u8>> = Vec::new();
    for kill in 1..=4 {
        let mut child = home.command(&arguments).stderr(Stdio::null()).spawn().unwrap();
        wait_for_lines(&results, (written.len() + 2).min(23));
        child.kill().unwrap();
        child.wait().unwrap();
        let now = fs::read(&results).unwrap();
        assert!(now.starts_with(&written.concat()), "what was written stays, after kill {kill}");
        if kill == 2 {
            // As a power cut in the middle of a line leaves it.
            fs::write(&results, &now[..now.len() - 7]).unwrap();
        }
        let whole = |bytes: &[u8]| bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
        written = whole(&fs::read(&results).unwrap()).into_iter().filter(|line| line.ends_with(b"\n")).collect();
    }
    let ran = run(&home, &arguments, "");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let lines = lines(&fs::read_to_string(&results).unwrap());
    let expected: Vec<Value> = (1..=24).map(|number| json!(format!("q{number}"))).collect();
    assert_eq!(ids(&lines), expected, "each once, in the order of the items");
    for line in &lines {
        assert!(line["error"].is_null() && !line["text"].as_str().unwrap().is_empty(), "{line}");
    }
    // What is left for the last run may be a single item, which shares nothing.
    let shares = |line: &&Value| line["usage"]["cached_prompt_tokens"].as_u64().unwrap() > 200;
    assert!(lines.iter().filter(shares).count() >= 23, "{lines:?}");
}

#[test]
fn a_batch_says_what_single_answers_say_up_to_near_ties() {
    let Some((model, _turn)) = real_model() else { return };
    let home = Home::new();
    let (model, items) = (model.to_str().unwrap(), questions(8));
    let common = ["-m", model, "--temp", "0", "--max-tokens", "16", "--device", "cpu", "--logprobs", "10"];
    let ran = run(&home, &[&["batch", "-", "--parallel", "4", "--as-done"], &common[..]].concat(), &items);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let answers: BTreeMap<String, Value> =
        lines(&ran.stdout).into_iter().map(|line| (line["id"].as_str().unwrap().to_owned(), line)).collect();
    for item in lines(&items).iter().take(4) {
        let question = item["prompt"].as_str().unwrap();
        let alone = run(&home, &[&["-p", question, "-o", "json", "--spec", "off"], &common[..]].concat(), "").json();
        let together = &answers[item["id"].as_str().unwrap()];
        let (one, other) = (alone["logprobs"].as_array().unwrap(), together["logprobs"].as_array().unwrap());
        let differs = one.iter().zip(other).find(|(one, other)| token(one) != token(other));
        let Some((one, other)) = differs else {
            assert_eq!(alone["text"], together["text"]);
            continue;
        };
        // Where they part, the other's choice was nearly as likely.
        let top = one["top"].as_array().unwrap();
        let [first, second] = [0, 1].map(|place| top[place]["logprob"].as_f64().unwrap());
        assert!(first - second < 0.5, "{one} {other}");
        assert!(top.iter().any(|likely| likely["id"] == *token(other)), "{one} {other}");
    }
}

/// Which token was chosen.
fn token(weighed: &Value) -> &Value {
    weighed.get("id").unwrap_or_else(|| panic!("{weighed}"))
}

#[test]
fn each_item_is_held_to_its_own_schema_and_settings() {
    let Some((model, _turn)) = real_model() else { return };
    let home = Home::new();
    let items = [
        json!({"id": "object", "prompt": "A person, please", "max_tokens": 60, "schema": {"type": "object",
            "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer", "maximum": 99}},
            "required": ["name", "age"], "additionalProperties": false}}),
        json!({"id": "word", "prompt": "Red or blue?", "grammar": "root ::= \"red\" | \"blue\""}),
        json!({"id": "cut", "prompt": "A list", "max_tokens": 2, "schema": {"type": "array", "items": {"type": "string"}, "minItems": 5}}),
        json!({"id": "stop", "prompt": "Count from one to nine.", "stop": ["5", "five"], "max_tokens": 40}),
    ];
    let items: String = items.iter().map(|item| format!("{item}\n")).collect();
    let model = model.to_str().unwrap();
    let ran = run(&home, &["batch", "-", "-m", model, "--temp", "0", "--device", "cpu", "--parallel", "4"], &items);
    let lines = lines(&ran.stdout);
    assert_eq!(ids(&lines), ["object", "word", "cut", "stop"]);
    let object: Value = serde_json::from_str(lines[0]["text"].as_str().unwrap()).unwrap();
    assert!(object["name"].is_string() && object["age"].is_i64(), "{object}");
    assert!(["red", "blue"].contains(&lines[1]["text"].as_str().unwrap()), "{}", lines[1]);
    assert_eq!((&lines[2]["error"]["exit_code"], &lines[2]["finish_reason"]), (&json!(7), &json!("length")));
    assert!(!lines[3]["text"].as_str().unwrap().contains('5'), "{}", lines[3]);
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
}
