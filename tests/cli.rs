//! One answer, as a script sees it: stdout, stderr and exit codes, mostly with a scripted engine behind them.

mod common;

use std::io::{BufRead, BufReader};

use common::hub_server::sha256;
use common::program::{HELLO, Home, Ran};
use common::tiny_gguf::TinyModel;
use serde_json::{Value, json};

/// Words for a minute, and long before that somebody stops it.
const SLOW: &str = "token_ms = 20\n[[answer]]\ntext = \"\"\"\none\ntwo three four five six seven eight nine ten eleven \
    twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty twenty-one twenty-two twenty-three \
    twenty-four twenty-five twenty-six twenty-seven twenty-eight twenty-nine thirty thirty-one thirty-two thirty-three \
    thirty-four thirty-five thirty-six thirty-seven thirty-eight thirty-nine forty forty-one forty-two forty-three \
    forty-four forty-five forty-six forty-seven forty-eight forty-nine fifty\"\"\"\n";

#[test]
fn stdout_is_the_answer_and_nothing_else() {
    let ran = Home::new().ask(HELLO, &["-p", "hi"]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "Hello there, you\n", ""));
}

#[test]
fn a_device_or_a_folder_is_not_said_to_be_missing() {
    for model in ["/dev/null", "/tmp"] {
        let ran = Home::new().run(&["-p", "hi", "-m", model]);
        assert!(ran.code == Some(2) && ran.stderr.contains("is no file"), "{:?} {}", ran.code, ran.stderr);
    }
}

#[test]
fn an_answer_that_the_context_ended_says_so_beside_the_answer() {
    let home = Home::new();
    let model = home.write("tiny.gguf", TinyModel::default().bytes());
    let ask = |arguments: &[&str]| {
        home.run(&[&["-m", model.to_str().unwrap(), "-p", "hi", "--ctx", "256"], arguments].concat())
    };
    let ran = ask(&["--kv-evict", "off"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("the context of 256 tokens is full"), "{}", ran.stderr);
    // Where older text makes room, it is only nobody's wish that the answer be longer.
    let ran = ask(&["--loop-breaker", "off"]);
    let note = "note: the answer was cut after 256 tokens; a higher `--max-tokens` gives it more room\n";
    assert!(ran.code == Some(0) && ran.stderr.ends_with(note) && !ran.stderr.contains("is full"), "{}", ran.stderr);
    let ran = ask(&["--max-tokens", "5"]);
    let note = "note: the answer was cut after 5 tokens; a higher `--max-tokens` gives it more room\n";
    assert_eq!(ran.stderr, note);
}

#[test]
fn an_answer_longer_than_the_context_goes_on_where_rounded_keys_cannot_be_given_other_positions() {
    let home = Home::new();
    let model = home.write("tiny.gguf", TinyModel::default().context(512).bytes());
    for types in ["q8_0", "q4_0", "q8_0/f16", "f16"] {
        let most = ["--device", "cpu", "--threads", "1", "--max-tokens", "700", "--loop-breaker", "off"];
        let ran = home.run(&[&["-m", model.to_str().unwrap(), "-p", "hi", "--kv", types], &most[..]].concat());
        assert_eq!(ran.code, Some(0), "{types}: {}", ran.stderr);
    }
}

const EVICTING: &str = r#"
cells = 6
policy = "window"
[[answer]]
text = "Hello there, you"
evicted = [2, 1]
recalled = [{ message = 0, role = "user", text = "hi" }]
"#;

#[test]
fn what_left_the_cache_and_what_came_back_is_told_beside_the_answer_and_in_json() {
    let home = Home::new();
    let ran = home.ask(EVICTING, &["-p", "hi and more"]);
    assert_eq!(ran.stdout, "Hello there, you\n");
    let expected = "recalled 1 passage\n\
        note: 3 tokens left the KV cache to make room for others; `--kv-mem` gives it more memory\n";
    assert_eq!(ran.stderr, expected);
    assert_eq!(home.ask(EVICTING, &["-p", "hi and more", "--quiet"]).stderr, "");

    let object = home.ask(EVICTING, &["-p", "hi and more", "-o", "json"]).json();
    assert_eq!(object["recalled"], json!([{"message": 0, "role": "user", "text": "hi"}]));
    let kv = &object["kv"];
    assert_eq!((&kv["policy"], &kv["reason"]), (&"window".into(), &"the engine is scripted".into()));
    assert_eq!((&kv["evicted_tokens"], &kv["cells_used"]), (&3.into(), &4.into()));
    assert_eq!(object["usage"]["evicted_tokens"], 3);
    assert_eq!(home.ask(HELLO, &["-p", "hi", "-o", "json"]).json()["recalled"], json!([]));
}

#[test]
fn an_answer_cut_at_its_limit_of_tokens_is_not_said_to_fill_a_cache_that_makes_room() {
    let script = EVICTING.replace("evicted = [2, 1]", "");
    let ran = Home::new().ask(&script, &["-p", "hi and much more", "--max-tokens", "2"]);
    assert_eq!(
        (ran.code, ran.stderr.as_str()),
        (
            Some(0),
            concat!(
                "recalled 1 passage\n",
                "note: the answer was cut after 2 tokens; a higher `--max-tokens` gives it more room\n"
            )
        )
    );
}

#[test]
fn an_answer_that_repeats_itself_says_so_beside_the_answer_and_in_json() {
    let home = Home::new();
    let model = home.write("tiny.gguf", TinyModel::default().forgetful().bytes());
    let ask = |arguments: &[&str]| {
        home.run(&[&["-m", model.to_str().unwrap(), "-p", "hi", "--temp", "0", "--threads", "1"], arguments].concat())
    };
    let ran = ask(&["-o", "json"]);
    assert_eq!((ran.code, &ran.json()["finish_reason"]), (Some(0), &Value::from("loop")), "{}", ran.stderr);
    let repetition = &ran.json()["repetition"];
    let (period, times) = (repetition["period"].as_u64().unwrap(), repetition["times"].as_u64().unwrap());
    let expected = format!("because it repeats itself: the same {period} tokens {times} times; ");
    assert!(ran.stderr.contains(&expected) && ran.stderr.contains("`--loop-breaker off`"), "{}", ran.stderr);

    let ran = ask(&["-o", "json", "--loop-breaker", "off"]);
    assert_eq!((&ran.json()["finish_reason"], &ran.json()["repetition"]), (&"length".into(), &Value::Null));
    let ran = home.ask("[[answer]]\ntext = \"ha ha\"\nended = \"loop\"\n", &["-p", "hi", "--quiet"]);
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "ha ha\n", ""));
}

#[test]
fn json_is_one_object_with_every_key_of_the_contract() {
    let ran = Home::new().ask(HELLO, &["-p", "one two", "-o", "json", "--seed", "7"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let object = ran.json();
    for path in [
        "/schema",
        "/text",
        "/extracted",
        "/thinking",
        "/finish_reason",
        "/repetition",
        "/error",
        "/seed",
        "/model/name",
        "/model/path",
        "/model/sha256",
        "/model/quantization",
        "/model/parameters",
        "/usage/prompt_tokens",
        "/usage/cached_prompt_tokens",
        "/usage/completion_tokens",
        "/usage/evicted_tokens",
        "/timings/load_ms",
        "/timings/prefill_ms",
        "/timings/time_to_first_token_ms",
        "/timings/decode_ms",
        "/timings/prefill_tokens_per_second",
        "/timings/decode_tokens_per_second",
        "/speculative/drafter",
        "/speculative/drafted",
        "/speculative/accepted",
        "/speculative/decode_calls",
        "/speculative/off_reason",
        "/kv/type_k",
        "/kv/type_v",
        "/kv/cells",
        "/kv/cells_used",
        "/kv/bytes",
        "/kv/policy",
        "/device/backend",
        "/device/name",
        "/device/gpu_layers",
        "/device/threads",
        "/device/prefill_threads",
        "/device/cores",
        "/device/reason",
        "/device/cores_reason",
    ] {
        assert!(object.pointer(path).is_some(), "{path} is missing in {object}");
    }
    assert_eq!(object["text"], "Hello there, you");
    assert_eq!(object["finish_reason"], "stop");
    assert_eq!(object["seed"], 7);
    assert_eq!(object["usage"]["completion_tokens"], 3);
    assert_eq!(object["model"]["sha256"].as_str().map(str::len), Some(64));
    assert_eq!(ran.stdout.lines().count(), 1);
}

#[test]
fn the_last_line_of_ndjson_is_the_object_of_json() {
    let home = Home::new();
    let ran = home.ask(HELLO, &["-p", "hi", "-o", "ndjson"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let types: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!((types[0], types[types.len() - 1]), ("start", "end"));
    assert!(types.contains(&"progress"));
    let tokens: String =
        lines.iter().filter(|line| line["type"] == "token").map(|line| line["text"].as_str().unwrap()).collect();
    let last = lines.last().unwrap();
    assert_eq!((tokens.as_str(), last["text"].as_str()), ("Hello there, you", Some("Hello there, you")));
    let keys = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let mut expected = vec!["type".to_owned()];
    expected.extend(keys(&home.ask(HELLO, &["-p", "hi", "-o", "json"]).json()));
    assert_eq!(keys(last), expected);
}

/// The scripted engine counts a token for each word of a message and one for the message.
fn prompt_tokens(ran: &Ran) -> u64 {
    ran.json()["usage"]["prompt_tokens"].as_u64().unwrap()
}

#[test]
fn piped_text_files_and_the_system_prompt_are_part_of_the_prompt() {
    let home = Home::new();
    home.write("notes.txt", "milk and bread\n");
    home.write("system.txt", "You are brief\n");
    let tokens = |arguments: &[&str], stdin: &str| {
        prompt_tokens(&home.ask_piped(HELLO, &[&["-o", "json"], arguments].concat(), stdin))
    };
    assert_eq!(tokens(&["-p", "Complete:"], ""), 2);
    assert_eq!(tokens(&["-p", "Complete:"], "The capital of France is"), 7);
    assert_eq!(tokens(&["-p", "-"], "The capital of France is"), 6);
    assert_eq!(tokens(&[], "The capital of France is"), 6);
    assert_eq!(tokens(&["-p", "x", "--system", "@system.txt"], ""), 2 + 4);
    // `--- file: notes.txt ---` and `--- end of file: notes.txt ---` around the three words.
    assert_eq!(tokens(&["-p", "x", "--file", "notes.txt"], ""), 2 + 4 + 3 + 6);
}

#[test]
fn control_characters_reach_a_pipe_as_they_are() {
    let ran = Home::new().ask("[[answer]]\ntext = \"a\\u001b[31mb\"\n", &["-p", "hi"]);
    assert_eq!(ran.stdout, "a\x1b[31mb\n");
}

#[test]
fn a_limit_on_tokens_ends_the_answer_and_says_so() {
    let ran = Home::new().ask(HELLO, &["-p", "hi", "-o", "json", "--max-tokens", "2"]);
    assert_eq!(
        (ran.json()["finish_reason"].as_str(), ran.json()["text"].as_str()),
        (Some("length"), Some("Hello there,"))
    );
    assert_eq!(ran.code, Some(0));
}

#[test]
fn a_model_without_a_template_is_named_on_stderr_unless_quiet() {
    let home = Home::new();
    let script = format!("has_template = false\n{HELLO}");
    assert!(home.ask(&script, &["-p", "hi"]).stderr.contains("no chat template"));
    assert_eq!(home.ask(&script, &["-p", "hi", "--quiet"]).stderr, "");
}

#[test]
fn mistakes_are_told_with_what_to_type_and_code_2() {
    let home = Home::new();
    home.write("latin1.txt", b"caf\xe9");
    for (arguments, sentence, hint) in [
        (&["-p", ""][..], "there is no prompt to answer", "tuichat -p TEXT"),
        (&[], "there is no prompt to answer", "tuichat -p TEXT"),
        (&["-p", "x", "--file", "no.txt"], "cannot read `no.txt`", ""),
        (&["-p", "x", "--file", "latin1.txt"], "is not UTF-8 text", "iconv"),
        (&["-p", "x", "--system", "@no.txt"], "`--system`: cannot read `no.txt`", ""),
        (&["-p", "x", "--temp", "9"], "9 is not between 0 and 5", "tuichat help temp"),
    ] {
        let ran = home.ask(HELLO, arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
        assert!(ran.stderr.contains(sentence) && ran.stderr.contains(hint), "{}", ran.stderr);
    }
}

#[test]
fn a_mistake_is_an_object_where_json_is_asked_for() {
    let ran = Home::new().ask(HELLO, &["-p", "", "-o", "json"]);
    assert_eq!(ran.code, Some(2));
    let object = ran.json();
    assert_eq!((object["finish_reason"].as_str(), object["error"]["kind"].as_str()), (Some("error"), Some("usage")));
    assert!(ran.stderr.starts_with("error: "));
}

#[test]
fn a_model_that_cannot_be_loaded_is_code_4() {
    let home = Home::new();
    let script = "fail_load = \"x.gguf is cut short; get it again with `tuichat models pull`\"\n";
    let ran = home.ask(script, &["-p", "hi"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(4), ""));
    assert_eq!(ran.stderr, "error: x.gguf is cut short\nhint: get it again with `tuichat models pull`\n");
    let ran = home.ask(script, &["-p", "hi", "-o", "ndjson"]);
    let last: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((last["type"].as_str(), last["error"]["kind"].as_str()), (Some("error"), Some("bad_model")));
}

#[test]
fn the_part_of_an_answer_before_a_failure_is_kept() {
    let script = "[[answer]]\ntext = \"Half an\"\nended = \"error\"\n";
    let home = Home::new();
    let ran = home.ask(script, &["-p", "hi"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), "Half an\n"));
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
    let object = home.ask(script, &["-p", "hi", "-o", "json"]).json();
    assert_eq!((object["text"].as_str(), object["finish_reason"].as_str()), (Some("Half an"), Some("error")));
}

#[test]
fn a_reader_that_leaves_stops_the_answer_quietly() {
    let home = Home::new();
    let mut child = home.spawn(SLOW, &["-p", "count"]);
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    // The reader is dropped here, and with it the pipe.
    assert_eq!(first, "one\n");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(141), Vec::new()));
}

#[cfg(unix)]
mod signals {
    use std::io::Read;
    use std::time::{Duration, Instant};

    use rustix::process::{Pid, Signal, kill_process};

    use super::*;

    /// Sends `signal` after the answer's first line; the exit code and what stdout and stderr got in all.
    fn stopped_by(signal: Signal, arguments: &[&str]) -> Ran {
        let home = Home::new();
        let mut child = home.spawn(SLOW, arguments);
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut stdout = String::new();
        while !stdout.contains("one") {
            assert!(reader.read_line(&mut stdout).unwrap() > 0, "it ended too early: {stdout}");
        }
        let started = Instant::now();
        kill_process(Pid::from_child(&child), signal).unwrap();
        reader.read_to_string(&mut stdout).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(started.elapsed() < Duration::from_millis(500), "it took {:?}", started.elapsed());
        Ran { code: output.status.code(), stdout, stderr: String::from_utf8(output.stderr).unwrap() }
    }

    #[test]
    fn an_interrupt_keeps_what_was_answered() {
        let ran = stopped_by(Signal::INT, &["-p", "count"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(130), ""));
        assert!(ran.stdout.starts_with("one\n") && ran.stdout.ends_with('\n'), "{}", ran.stdout);
        assert!(!ran.stdout.contains("fifty"));
    }

    #[test]
    fn a_request_to_terminate_or_a_hang_up_does_too_and_json_says_cancelled() {
        for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
            let ran = stopped_by(signal, &["-p", "count", "-o", "ndjson"]);
            assert_eq!(ran.code, Some(code), "{}", ran.stderr);
            let last: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
            assert_eq!((last["type"].as_str(), last["finish_reason"].as_str()), (Some("end"), Some("cancelled")));
            assert!(last["text"].as_str().unwrap().starts_with("one"));
        }
    }

    #[test]
    fn an_interrupt_while_the_model_loads_is_an_answer_that_never_began() {
        let home = Home::new();
        let mut child = home.spawn(&format!("load_ms = 60000\n{HELLO}"), &["-p", "hi", "-o", "ndjson"]);
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut stdout = String::new();
        reader.read_line(&mut stdout).unwrap();
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        reader.read_to_string(&mut stdout).unwrap();
        let last: Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
        assert_eq!((last["finish_reason"].as_str(), last["usage"].is_null()), (Some("cancelled"), true));
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }
}

#[test]
fn a_tiny_model_answers_and_every_number_is_its_own() {
    let home = Home::new();
    let file = home.path("tiny.gguf");
    TinyModel::default().write(&file).unwrap();
    let arguments = ["-m", "./tiny.gguf", "-p", "x", "-o", "json", "--temp", "0", "--max-tokens", "4", "--ctx", "256"];
    let ran = home.run(&arguments);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let object = ran.json();
    assert_eq!(object["model"]["sha256"], sha256(&std::fs::read(&file).unwrap()));
    assert!(object["usage"]["completion_tokens"].as_u64().unwrap() <= 4);
    assert_eq!(object["kv"]["cells"], 256);
    assert_eq!(home.run(&arguments).json()["text"], object["text"], "greedy answers are the same");
}

const NAMED: &str = r#"{"type": "object", "properties": {"name": {"type": "string"}, "year": {"type": "number", "minimum": 1500}}, "required": ["name", "year"]}"#;

#[test]
fn an_answer_that_does_not_satisfy_the_schema_is_told_with_its_own_code() {
    let home = Home::new();
    for (answer, expected) in [
        ("Hello there", "the answer is not JSON"),
        (
            r#"{"name": "x", "year": 3}"#,
            "the answer does not satisfy the schema: at `/year`: 3 is less than the minimum",
        ),
        (r#"{"name": "x"}"#, "\"year\" is missing"),
    ] {
        let script = format!("[[answer]]\ntext = '{answer}'\n");
        let ran = home.ask(&script, &["-p", "hi", "--schema", NAMED]);
        assert_eq!((ran.code, ran.stdout.trim_end()), (Some(7), answer), "{}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
        let object = home.ask(&script, &["-p", "hi", "--schema", NAMED, "-o", "json"]).json();
        assert_eq!((&object["text"], &object["finish_reason"]), (&answer.into(), &"stop".into()));
        assert_eq!((&object["error"]["kind"], &object["error"]["exit_code"]), (&"schema".into(), &7.into()));
    }
    let script = "[[answer]]\ntext = '{\"name\": \"Shakespeare\", \"year\": 1600}'\n";
    let schema = home.write("named.json", NAMED);
    for schema in [NAMED, schema.to_str().unwrap(), "named.json", "@named.json"] {
        let ran = home.ask(script, &["-p", "hi", "--schema", schema]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    }
    let ran = home.ask(script, &["-p", "hi", "--schema", NAMED, "--max-tokens", "3"]);
    assert!(ran.code == Some(7) && ran.stderr.contains("it reached `--max-tokens`"), "{:?} {}", ran.code, ran.stderr);
}

#[test]
fn a_schema_or_grammar_that_cannot_be_used_is_told_before_the_model_is_looked_at() {
    let home = Home::new();
    let model = home.write("broken.gguf", "no model");
    home.write("list.gbnf", "root ::= item+");
    home.write("text.json", "nothing of JSON");
    for (arguments, expected) in [
        (["--schema", "no/such.json"], "cannot read `no/such.json`"),
        (["--schema", "text.json"], "the JSON schema in `text.json` (`--schema`) cannot be used: it is not JSON"),
        (
            ["--schema", "{\"type\": \"sting\"}"],
            "the JSON schema of `--schema` cannot be used: at `#/type`: `sting` is none of the types `string`, ",
        ),
        (["--schema", "{\"$ref\": \"https://example.org\"}"], "refer to a place in the schema"),
        (
            ["--grammar", "list.gbnf"],
            "the grammar in `list.gbnf` (`--grammar`) cannot be used: line 1: there is no rule `item`",
        ),
        (["--grammar", "no/such.gbnf"], "cannot read `no/such.gbnf`"),
    ] {
        let ran = home.run(&[&["-m", model.to_str().unwrap(), "-p", "hi"], arguments.as_slice()].concat());
        assert!(ran.code == Some(2) && ran.stderr.contains(expected), "{:?} {}", ran.code, ran.stderr);
    }
    let ran = home.run(&["-p", "hi", "--schema", "{}", "--grammar", "list.gbnf"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("to a schema or to a grammar, and both are set"), "{}", ran.stderr);
}

const WITH_CODE: &str = "[[answer]]\ntext = \"\"\"Sure:\n```sh\nls\n```\nor\n```python\nprint('é')\n\nx = [1]\n```\nThat was {\"a\": [1, 2]}.\"\"\"\n";

#[test]
fn the_part_that_is_asked_for_is_all_that_stdout_gets() {
    let home = Home::new();
    for (what, expected) in [
        ("code", "ls"),
        ("bash", "ls"),
        ("python", "print('é')\n\nx = [1]"),
        ("json", "[1]"),
        ("off", "Sure:\n```sh\nls\n```\nor\n```python\nprint('é')\n\nx = [1]\n```\nThat was {\"a\": [1, 2]}."),
    ] {
        let ran = home.ask(WITH_CODE, &["-p", "hi", "--extract", what]);
        assert_eq!((ran.code, ran.stdout, ran.stderr.as_str()), (Some(0), format!("{expected}\n"), ""), "{what}");
        let object = home.ask(WITH_CODE, &["-p", "hi", "--extract", what, "-o", "json"]).json();
        let extracted = if what == "off" { Value::Null } else { expected.into() };
        assert_eq!((&object["extracted"], &object["error"]), (&extracted, &Value::Null), "{what}");
        assert!(object["text"].as_str().unwrap().ends_with("[1, 2]}."), "the whole answer is there too: {object}");
    }
    let lines = home.ask(WITH_CODE, &["-p", "hi", "--extract", "python", "-o", "ndjson"]).stdout;
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((&last["extracted"], lines.matches("\"token\"").count() > 3), (&"print('é')\n\nx = [1]".into(), true));
    home.write("home/config/config.toml", "extract = \"sh\"\n");
    assert_eq!(home.ask(WITH_CODE, &["-p", "hi"]).stdout, "ls\n");
}

#[test]
fn an_answer_without_the_part_is_code_7_and_goes_to_stderr() {
    let home = Home::new();
    for (what, expected) in [
        (
            "rust",
            "error: there is no code block in `rust` in the answer\nhint: say in the prompt that you want a code block in rust",
        ),
        ("code", "error: there is no code block in the answer\nhint: say in the prompt that you want a code block"),
        (
            "json",
            "error: there is no JSON value in the answer\nhint: say in the prompt that you want JSON, or hold the answer to a form with `--schema`",
        ),
    ] {
        let ran = home.ask(HELLO, &["-p", "hi", "--extract", what]);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(7), ""), "{what}");
        assert_eq!(ran.stderr, format!("the answer was:\nHello there, you\n{expected}\n"));
        let ran = home.ask(HELLO, &["-p", "hi", "--extract", what, "--quiet"]);
        assert_eq!((ran.code, ran.stderr), (Some(7), format!("{expected}\n")));
        let object = home.ask(HELLO, &["-p", "hi", "--extract", what, "-o", "json"]).json();
        assert_eq!((&object["extracted"], &object["error"]["kind"]), (&Value::Null, &"extract".into()));
    }
    let ran = home.ask(WITH_CODE, &["-p", "hi", "--extract", "rust"]);
    assert!(
        ran.stderr.ends_with("hint: `--extract code` takes its code block in another language\n"),
        "{}",
        ran.stderr
    );
    let ran = home.ask(WITH_CODE, &["-p", "hi", "--extract", "python", "--max-tokens", "7"]);
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    assert!(ran.stdout.starts_with("print('é')"), "the beginning is printed: {}", ran.stdout);
    assert!(ran.stderr.contains("the answer was cut in the middle of its code block in `python`"), "{}", ran.stderr);
    assert!(ran.stderr.contains("`--max-tokens`"), "{}", ran.stderr);
}

#[test]
fn an_answer_under_a_schema_is_whole_also_where_a_part_of_it_is_asked_for() {
    let script = "[[answer]]\ntext = '{\"name\": \"x\", \"year\": 1600} or so'\n";
    let ran = Home::new().ask(script, &["-p", "hi", "--schema", NAMED, "--extract", "json"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(7), "{\"name\": \"x\", \"year\": 1600}\n"));
    assert!(ran.stderr.contains("the answer is not JSON"), "{}", ran.stderr);
}

#[test]
fn a_schema_can_be_written_in_its_short_form() {
    let home = Home::new();
    let script = "[[answer]]\ntext = '{\"name\": \"x\", \"age\": \"old\"}'\n";
    let ran = home.ask(script, &["-p", "hi", "--schema", "name, age int"]);
    assert_eq!(ran.code, Some(7));
    assert!(ran.stderr.contains("at `/age`: \"old\" is not of type \"integer\""), "{}", ran.stderr);
    assert_eq!(home.ask(script, &["-p", "hi", "--schema", "name, age str, nick?"]).code, Some(0));
    let ran = home.ask(script, &["-p", "hi", "--schema", "name, age integer"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("wrong at character 11: there is no type `integer`"), "{}", ran.stderr);
}

#[test]
fn a_text_with_a_name_is_answered_with_everything_put_into_it() {
    let home = Home::new();
    home.write("home/config/prompts/mail.md", "Dear {{to}}: {{stdin}}, see {{file:notes.txt}}\n");
    home.write("notes.txt", "milk and {{bread}}\n");
    let ask = |arguments: &[&str], stdin: &str| {
        home.ask_piped(HELLO, &[&["-o", "json", "--prompt-name"], arguments].concat(), stdin)
    };
    // Dear, Ann:, piped, words, `,` see milk and {{bread}}; one for the message.
    assert_eq!(prompt_tokens(&ask(&["mail", "--var", "to=Ann"], "piped words\n")), 1 + 8);
    assert_eq!(prompt_tokens(&ask(&["mail", "--var", "to=Ann", "-p", "and this"], "piped words\n")), 1 + 8 + 2);
    assert_eq!(ask(&["summarize"], "piped words").code, Some(0));
    for (arguments, stdin, expected) in [
        (&["mail"][..], "x", "add `--var to=TEXT`"),
        (&["mail", "--var", "to=Ann", "--var", "from=Ben"], "x", "leave out `--var from=…`"),
        (&["mail", "--var", "to=Ann"], "", "| tuichat --prompt-name mail"),
        (&["male", "--var", "to=Ann"], "x", "there is no text `male`\nhint: there are `explain`, `mail`"),
    ] {
        let ran = ask(arguments, stdin);
        assert_eq!(ran.code, Some(2), "{arguments:?}");
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    }
    home.write("home/config/prompts/mail.md", "{{file:no/such.txt}}");
    assert!(ask(&["mail"], "").stderr.contains("cannot read `no/such.txt`"));
}

#[test]
fn a_text_is_answered_as_its_head_says_unless_something_else_is_typed() {
    let home = Home::new();
    let head = "+++\nsystem = \"two words\"\n[settings]\nmax_tokens = 2\n[variables]\nto = \"Ben\"\n+++\n";
    home.write("home/config/prompts/mail.md", format!("{head}Dear {{{{to}}}}"));
    home.write("home/config/config.toml", "max_tokens = 1\n");
    let ask = |arguments: &[&str]| home.ask(HELLO, &[&["-o", "json", "--prompt-name", "mail"], arguments].concat());
    // Two words each, and one for each message.
    let ran = ask(&[]);
    assert_eq!((ran.code, prompt_tokens(&ran)), (Some(0), 1 + 2 + 1 + 2), "{}", ran.stderr);
    assert!(ran.stdout.contains("\"completion_tokens\":2"), "{}", ran.stdout);
    let ran = ask(&["--max-tokens", "3", "--system", "", "--var", "to=Ann or Eve"]);
    assert_eq!((ran.code, prompt_tokens(&ran)), (Some(0), 1 + 4), "{}", ran.stderr);
    assert!(ran.stdout.contains("\"completion_tokens\":3"), "{}", ran.stdout);
    home.write("home/config/prompts/mail.md", "+++\n[settings]\ntmep = 1\n+++\nDear");
    let ran = ask(&[]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("mail.md` is not used: `tmep` is no setting of a text"), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: `temp` may be meant\n"), "{}", ran.stderr);
}

#[test]
fn every_command_explains_itself() {
    let home = Home::new();
    for command in ["bench", "batch", "models", "models pull", "chats show", "config show", "doctor", "completions"] {
        for flag in ["--help", "-h"] {
            let ran = home.run(&command.split(' ').chain([flag]).collect::<Vec<_>>());
            assert_eq!(ran.code, Some(0), "{command} {flag}: {}", ran.stderr);
            assert!(ran.stdout.contains(&format!("Usage: tuichat {command}")), "{}", ran.stdout);
        }
    }
}
