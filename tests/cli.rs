//! The program as a script sees it: stdout, stderr and exit codes, with a scripted engine behind them.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::Command;
use common::hub_server::{HubServer, REPOSITORY};
use common::tiny_gguf::TinyModel;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tuichat::chat::Role;
use tuichat::store::Store;

/// A home for one test, with a scripted engine in it.
struct Home {
    folder: TempDir,
}

/// What a run left behind.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }
}

impl Home {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// `tuichat` with these arguments and no settings but those of this home.
    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tuichat"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TUICHAT_") {
                command.env_remove(name);
            }
        }
        command.env("TUICHAT_HOME", self.path("home")).args(arguments).current_dir(self.folder.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.run_piped(arguments, "")
    }

    fn run_piped(&self, arguments: &[&str], stdin: &str) -> Ran {
        let mut command = Command::from_std(self.command(arguments));
        let output = command.write_stdin(stdin).timeout(Duration::from_secs(20)).output().unwrap();
        Ran {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs with a scripted engine.
    fn ask(&self, script: &str, arguments: &[&str]) -> Ran {
        self.ask_piped(script, arguments, "")
    }

    fn ask_piped(&self, script: &str, arguments: &[&str], stdin: &str) -> Ran {
        self.write("script.toml", script);
        self.run_piped(&[&["--engine", "scripted:script.toml"], arguments].concat(), stdin)
    }

    /// Begins a run with a scripted engine.
    fn spawn(&self, script: &str, arguments: &[&str]) -> Child {
        self.write("script.toml", script);
        let mut command = self.command(&[&["--engine", "scripted:script.toml"], arguments].concat());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

const HELLO: &str = "[[answer]]\ntext = \"Hello there, you\"\n";
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
fn json_is_one_object_with_every_key_of_the_contract() {
    let ran = Home::new().ask(HELLO, &["-p", "one two", "-o", "json", "--seed", "7"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let object = ran.json();
    for path in [
        "/schema",
        "/text",
        "/thinking",
        "/finish_reason",
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
        "/device/cores",
        "/device/reason",
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
        (&["-p", "x", "--system", "@no.txt"], "cannot read `no.txt`", ""),
        (&["-p", "x", "--temp", "9"], "9 is not between 0 and 5", "--help"),
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
    assert_eq!(ran.stderr, "error: x.gguf is cut short; get it again with `tuichat models pull`\n");
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
fn a_request_to_terminate_does_too_and_json_says_cancelled() {
    let ran = stopped_by(Signal::TERM, &["-p", "count", "-o", "ndjson"]);
    assert_eq!(ran.code, Some(143), "{}", ran.stderr);
    let last: Value = serde_json::from_str(ran.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((last["type"].as_str(), last["finish_reason"].as_str()), (Some("end"), Some("cancelled")));
    assert!(last["text"].as_str().unwrap().starts_with("one"));
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

#[test]
fn a_broken_config_is_no_half_config() {
    let home = Home::new();
    home.write("home/config/config.toml", "temp = 0.5\ntop_p = 7\n");
    let ran = home.ask(HELLO, &["-p", "hi"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    assert!(ran.stderr.contains("config.toml, line 2, column 9: 7 is not between 0 and 1"), "{}", ran.stderr);
    assert_eq!(home.run(&["config", "path"]).code, Some(0));
}

#[test]
fn an_unknown_setting_is_a_warning() {
    let home = Home::new();
    home.write("home/config/config.toml", "tempo = 0.5\n");
    let ran = home.ask(HELLO, &["-p", "hi"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "Hello there, you\n"));
    assert_eq!(ran.stderr, "warning: config.toml, line 1, column 1: there is no setting `tempo`\n");
}

#[test]
fn the_environment_is_over_the_file_and_the_command_line_over_both() {
    let home = Home::new();
    home.write("home/config/config.toml", "temp = 0.1\ntop_k = 1\nseed = 1\n");
    let mut command = home.command(&["--seed", "3", "config", "show"]);
    let output = command.env("TUICHAT_SEED", "2").env("TUICHAT_TOP_K", "2").output().unwrap();
    let shown: toml::Table = String::from_utf8(output.stdout).unwrap().parse().unwrap();
    let number = |key: &str| shown[key].as_integer();
    assert_eq!((shown["temp"].as_float(), number("top_k"), number("seed")), (Some(0.1), Some(2), Some(3)));
    assert_eq!(shown["min_p"].as_float(), Some(0.05));
}

#[test]
fn the_sample_config_that_is_printed_is_one_that_is_read() {
    let home = Home::new();
    let sample = home.run(&["config", "print-sample"]).stdout;
    assert!(sample.contains("top_k = 40"), "{sample}");
    home.write("home/config/config.toml", sample);
    let ran = home.ask(HELLO, &["-p", "hi"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
}

#[test]
fn help_shows_what_scripts_need() {
    let help = Home::new().run(&["--help"]);
    assert_eq!(help.code, Some(0));
    for part in ["--prompt", "--model", "--resume", "--private", "models", "chats", "config", "Examples:"] {
        assert!(help.stdout.contains(part), "{part}");
    }
    assert!(!help.stdout.contains("scripted"), "hidden options are shown");
}

#[test]
fn a_model_that_is_not_there_is_told_with_what_to_type() {
    let home = Home::new();
    for (arguments, code) in [(&["-m", "nosuch", "-p", "x"][..], 1), (&["-p", "x"], 1), (&["models", "rm", "x"], 1)] {
        let ran = home.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{arguments:?}");
        assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains("`tuichat models pull`"), "{}", ran.stderr);
    }
}

#[test]
fn a_file_that_is_no_model_is_code_4_before_anything_is_loaded() {
    let home = Home::new();
    home.write("bad.gguf", "GGUF, but not really");
    for arguments in [&["-m", "./bad.gguf", "-p", "x"][..], &["models", "check", "./bad.gguf"]] {
        let ran = home.run(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(4), ""), "{arguments:?} {}", ran.stderr);
        assert!(ran.stderr.contains("bad.gguf"), "{}", ran.stderr);
    }
}

#[test]
fn offline_downloads_nothing() {
    let ran = Home::new().run(&["models", "pull", "--offline"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("hint: "), "{}", ran.stderr);
}

#[test]
fn a_model_is_imported_listed_shown_found_and_removed() {
    let home = Home::new();
    let file = home.path("tiny.gguf");
    TinyModel::default().write(&file).unwrap();
    let imported = home.run(&["models", "import", "tiny.gguf", "--name", "mine"]);
    assert_eq!((imported.code, imported.stdout.as_str()), (Some(0), "mine\n"), "{}", imported.stderr);
    let listed = home.run(&["models", "list", "--json"]).json();
    assert_eq!((listed[0]["name"].as_str(), listed.as_array().map(Vec::len)), (Some("mine"), Some(1)));
    assert!(home.run(&["models", "list"]).stdout.starts_with("mine "));
    let shown = home.run(&["models", "show", "mine", "--json"]).json();
    assert_eq!((shown["sha256"].clone(), shown["architecture"].as_str()), (listed[0]["sha256"].clone(), Some("llama")));
    let path = home.run(&["models", "path", "mine"]).stdout;
    assert!(path.starts_with(home.run(&["models", "path"]).stdout.trim_end()), "{path}");
    let checked = home.run(&["models", "check", "mine"]);
    assert!(checked.stdout.starts_with(listed[0]["sha256"].as_str().unwrap()), "{}", checked.stderr);
    let wrong = home.run(&["models", "import", "tiny.gguf", "--name", "other", "--sha256", &"0".repeat(64)]);
    assert_eq!(wrong.code, Some(4), "{}", wrong.stderr);
    assert_eq!(home.run(&["models", "rm", "mine"]).code, Some(0));
    assert_eq!(home.run(&["models", "list", "--json"]).stdout, "[]\n");
}

#[test]
fn a_model_is_pulled_from_the_hub_and_one_that_is_not_there_is_code_6() {
    let home = Home::new();
    let server = HubServer::start(TinyModel::default().bytes());
    let pull = |reference: &str| {
        let mut command = home.command(&["models", "pull", reference]);
        command.env("HF_ENDPOINT", server.endpoint()).env_remove("HF_TOKEN").env("HF_HOME", home.path("hub"));
        command.output().unwrap()
    };
    let output = pull(&format!("hf:{REPOSITORY}"));
    assert_eq!((output.status.code(), output.stdout), (Some(0), b"model-q4_k_m\n".to_vec()));
    assert_eq!(home.run(&["models", "list", "--json"]).json()[0]["name"], "model-q4_k_m");
    let gone = HubServer::start(Vec::new()).refusals([404]);
    let mut command = home.command(&["models", "pull", "hf:no/such"]);
    let output = command.env("HF_ENDPOINT", gone.endpoint()).env("HF_HOME", home.path("hub")).output().unwrap();
    assert_eq!((output.status.code(), output.stdout), (Some(6), Vec::new()));
}

#[test]
fn chats_are_listed_shown_and_removed() {
    let home = Home::new();
    assert_eq!(home.run(&["chats", "list", "--json"]).stdout, "[]\n");
    let mut store = Store::open(&home.path("home/data/chats.db")).unwrap();
    let chat = store.create_chat("A \u{1b}title", Some("Be brief")).unwrap();
    let question = store.add_message(chat, None, Role::User, "Why?").unwrap();
    store.add_message(chat, Some(question), Role::Assistant, "Because.").unwrap();
    drop(store);
    let id = chat.to_string();
    assert_eq!(home.run(&["chats", "list", "--json"]).json()[0]["message_count"], 2);
    let line = home.run(&["chats", "list"]).stdout;
    assert!(line.contains("A <U+001B>title"), "{line}");
    let shown = home.run(&["chats", "show", &id]).stdout;
    assert!(shown.contains("## user\n\nWhy?") && shown.contains("## assistant\n\nBecause."), "{shown}");
    let object = home.run(&["chats", "show", &id, "--json"]).json();
    assert_eq!(object["messages"][1]["content"], "Why?");
    assert_eq!(home.run(&["chats", "rm", &id]).code, Some(0));
    let gone = home.run(&["chats", "show", &id]);
    assert_eq!(gone.code, Some(1));
    assert!(gone.stderr.contains("`tuichat chats list`"), "{}", gone.stderr);
}

/// All files and folders below.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        found.push(entry.path());
        found.extend(below(&entry.path()));
    }
    found
}

#[test]
fn what_is_written_is_for_the_owner_alone_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.write("script.toml", HELLO);
    let line = "umask 000; \"$0\" --engine scripted:script.toml -p hi -o json && \"$0\" chats list";
    let status = std::process::Command::new("sh")
        .args(["-c", line, env!("CARGO_BIN_EXE_tuichat")])
        .env("TUICHAT_HOME", home.path("home"))
        .current_dir(home.folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let written = below(&home.path("home"));
    assert!(written.iter().any(|path| path.ends_with("logs/tuichat.log")), "{written:?}");
    for path in written {
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} is {mode:o}", path.display());
    }
}

#[test]
fn private_leaves_nothing_on_disk() {
    let home = Home::new();
    assert_eq!(home.ask(HELLO, &["-p", "hi", "--private"]).stdout, "Hello there, you\n");
    assert_eq!(below(&home.path("home")), Vec::<PathBuf>::new());
}

#[test]
fn the_log_holds_nothing_of_what_is_said() {
    let home = Home::new();
    home.ask("[[answer]]\ntext = \"canary-answer\"\n", &["-p", "canary-question", "--verbose"]);
    let log = std::fs::read_to_string(home.path("home/logs/tuichat.log")).unwrap();
    assert!(!log.contains("canary"), "{log}");
}
