//! What a script does with `tuichat -p` again and again: the same document, a saved chat, numbers of tokens, pipes of all
//! kinds. With tiny models, and with a real one where there is one.
#![cfg(unix)]

mod common;
#[path = "common/pty.rs"]
#[allow(dead_code)]
mod pty;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use common::engine::PATIENCE;
use common::program::{HELLO, Home, Ran};
use common::real_models::test_model;
use common::tiny_gguf::{CHATML, TinyModel};
use portable_pty::CommandBuilder;
use pty::Pty;
use serde_json::Value;
use tuichat::chat::{Ended, Role};
use tuichat::config::Directories;
use tuichat::store::{ChatId, Store};

/// A home with a tiny model and a document in it.
fn home() -> Home {
    let home = Home::new();
    TinyModel::default().context(2048).write(&home.path("tiny.gguf")).unwrap();
    let document: String = (1..60).map(|line| format!("{line}. The keeper counts ship {line}\n")).collect();
    home.write("doc.txt", document);
    home
}

/// Runs greedily with the tiny model.
fn ask(home: &Home, arguments: &[&str]) -> Ran {
    home.run(&[&["-m", "./tiny.gguf", "--temp", "0", "--max-tokens", "12"], arguments].concat())
}

fn object(ran: &Ran) -> Value {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.json()
}

fn tokens(object: &Value, name: &str) -> u64 {
    object["usage"][format!("{name}_tokens")].as_u64().unwrap()
}

fn kept(home: &Home) -> Vec<PathBuf> {
    let folder = home.path("home/cache/kv");
    fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_second_question_about_a_document_computes_the_question_alone() {
    let home = home();
    let cached = ["--file", "doc.txt", "--cache-prompt", "-o", "json", "-p"];
    let first = object(&ask(&home, &[&cached[..], &["What is counted?"]].concat()));
    assert_eq!(tokens(&first, "cached_prompt"), 0);
    let document = tokens(&first, "kept_prompt");
    assert!(tokens(&first, "prompt") - document < 40 && document > 1000, "{}", first["usage"]);

    let second = object(&ask(&home, &[&cached[..], &["Who counts?"]].concat()));
    assert_eq!((tokens(&second, "cached_prompt"), tokens(&second, "kept_prompt")), (document, document));
    let plain = object(&ask(&home, &["--file", "doc.txt", "-o", "json", "-p", "Who counts?"]));
    assert_eq!((second["text"].as_str(), tokens(&plain, "cached_prompt")), (plain["text"].as_str(), 0));

    let files = kept(&home);
    assert_eq!(files.len(), 1, "nothing was written twice: {files:?}");
    assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_system_prompt_is_kept_and_a_longer_beginning_is_kept_beside_a_shorter_one() {
    let home = home();
    let system = "You count ships and boats. ".repeat(10);
    let with =
        |more: &[&str]| object(&ask(&home, &[&["--system", &system, "--cache-prompt", "-o", "json"], more].concat()));
    let first = with(&["-p", "One?"]);
    let second = with(&["-p", "Two?"]);
    assert!(tokens(&second, "cached_prompt") == tokens(&first, "kept_prompt"), "{}", second["usage"]);
    let third = with(&["-p", "Three?", "--file", "doc.txt"]);
    assert!(tokens(&third, "cached_prompt") >= tokens(&first, "kept_prompt"), "{}", third["usage"]);
    assert!(tokens(&third, "kept_prompt") > tokens(&third, "cached_prompt"), "{}", third["usage"]);
    assert_eq!(kept(&home).len(), 2);
}

#[test]
fn a_damaged_or_foreign_file_is_not_used_and_a_whole_one_takes_its_place() {
    let home = home();
    let cached = ["--file", "doc.txt", "--cache-prompt", "-o", "json", "-p", "Who counts?"];
    let first = object(&ask(&home, &cached));
    let path = kept(&home).pop().unwrap();
    let whole = fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damaged in [&flipped[..], &whole[..whole.len() / 2], b"", b"something else"] {
        fs::write(&path, damaged).unwrap();
        let again = object(&ask(&home, &cached));
        assert_eq!((tokens(&again, "cached_prompt"), &again["text"]), (0, &first["text"]));
        // But for the digits of a speed.
        assert!(fs::metadata(&path).unwrap().len().abs_diff(whole.len() as u64) < 64, "it is there again");
    }
    // Another model's file under the same name.
    TinyModel::default().context(2048).seed(2).write(&home.path("tiny.gguf")).unwrap();
    assert_eq!(tokens(&object(&ask(&home, &cached)), "cached_prompt"), 0);
}

#[test]
fn what_keeps_nothing_says_so() {
    let home = home();
    for (more, sentence) in [
        (&["--file", "doc.txt", "--private"][..], "`--private` writes nothing to disk"),
        (&["--file", "doc.txt", "--snapshots", "off"], "`--snapshots off` leaves no room"),
        (&[], "nothing of this prompt is kept"),
        (&["--file", "doc.txt", "--ctx", "512"], "nothing of this prompt is kept"),
    ] {
        let ran = ask(&home, &[&["-p", "Who counts?", "--cache-prompt"], more].concat());
        assert_eq!(ran.code, Some(0), "{more:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(sentence), "{more:?}: {}", ran.stderr);
        assert!(kept(&home).is_empty(), "{more:?}");
    }
}

#[test]
fn the_room_of_snapshots_is_not_exceeded_and_the_oldest_goes() {
    let home = home();
    let keep = |name: &str, first: &str| {
        home.write(name, format!("{first} {}", "and the ships come in ".repeat(25)));
        let size = ["--cache-prompt", "--snapshots", "400K", "-o", "json", "-p", "Who?", "--file", name];
        object(&ask(&home, &size))
    };
    let bytes = || kept(&home).iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>();
    for (name, first) in [("a.txt", "Anna"), ("b.txt", "Boris"), ("c.txt", "Clara")] {
        assert!(tokens(&keep(name, first), "kept_prompt") > 64);
        assert!(bytes() <= 400 << 10, "{}", bytes());
    }
    let count = kept(&home).len();
    assert!((1..3).contains(&count), "{count}");
    assert!(tokens(&keep("c.txt", "Clara"), "cached_prompt") > 64);
}

#[test]
fn a_real_model_answers_a_kept_document_as_it_answers_a_new_one() {
    let Some(model) = test_model() else { return };
    let home = Home::new();
    let town = |number: u32| format!("{number}. Town {number} has {} streets.\n", number * 7 % 30 + 3);
    home.write("towns.txt", (1..=40).map(town).collect::<String>());
    let model = model.to_str().unwrap();
    let always =
        ["-m", model, "--temp", "0", "--max-tokens", "20", "--device", "cpu", "--file", "towns.txt", "-o", "json"];
    let ask = |more: &[&str]| {
        let command = home.command(&[&always, more].concat());
        let output = assert_cmd::Command::from_std(command).timeout(PATIENCE).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let question = "Repeat the first two lines of the list.";
    let plain = ask(&["-p", question]);
    ask(&["-p", "How many towns are there?", "--cache-prompt"]);
    let kept = ask(&["-p", question, "--cache-prompt"]);
    assert_eq!(kept["text"], plain["text"]);
    assert!(plain["text"].as_str().unwrap().contains("Town 1 has 10 streets"), "{plain}");
    assert!(tokens(&kept, "cached_prompt") + 32 > tokens(&kept, "prompt"), "{}", kept["usage"]);
}

#[test]
fn every_token_has_its_probability_and_the_likeliest_ones() {
    let home = Home::new();
    // It goes round in circles, so that there is something to guess.
    TinyModel::default().forgetful().write(&home.path("tiny.gguf")).unwrap();
    let always = ["-m", "./tiny.gguf", "-p", "the in an", "--logprobs", "4", "-o", "json", "--loop-breaker", "off"];
    let ask = |more: &[&str]| object(&home.run(&[&always, more].concat()));
    let plain = ask(&["--temp", "0", "--spec", "off", "--max-tokens", "40"]);
    let weighed = plain["logprobs"].as_array().unwrap();
    assert_eq!(weighed.len() as u64, tokens(&plain, "completion"));
    let text: String = weighed.iter().map(|token| token["text"].as_str().unwrap()).collect();
    assert_eq!(text, plain["text"].as_str().unwrap(), "the tokens are the answer");
    for token in weighed {
        let top = token["top"].as_array().unwrap();
        let logprobs: Vec<f64> = top.iter().map(|likely| likely["logprob"].as_f64().unwrap()).collect();
        assert_eq!((top.len(), &top[0]["id"]), (4, &token["id"]), "a greedy answer takes the likeliest: {token}");
        assert_eq!(token["logprob"], top[0]["logprob"]);
        assert!(logprobs.is_sorted_by(|one, next| one >= next) && logprobs[0] <= 0.0, "{token}");
        assert!(logprobs.iter().map(|logprob| logprob.exp()).sum::<f64>() <= 1.000_1, "{token}");
        assert_eq!(token["channel"], "answer");
    }

    // Guessed tokens are weighed as well, and what sampling does changes nothing.
    let guessed = ask(&["--temp", "0", "--spec", "ngram", "--max-tokens", "40"]);
    assert!(guessed["speculative"]["drafted"].as_u64().unwrap() > 0, "{}", guessed["speculative"]);
    for (token, plain) in guessed["logprobs"].as_array().unwrap().iter().zip(weighed) {
        assert_eq!(token["id"], plain["id"]);
        assert!(
            (token["logprob"].as_f64().unwrap() - plain["logprob"].as_f64().unwrap()).abs() < 0.02,
            "{token} {plain}"
        );
    }
    let hot = ask(&["--temp", "2", "--top-k", "1", "--repeat-penalty", "1", "--max-tokens", "1"]);
    assert!((hot["logprobs"][0]["logprob"].as_f64().unwrap() - weighed[0]["logprob"].as_f64().unwrap()).abs() < 0.02);
}

#[test]
fn lines_of_tokens_have_the_probabilities_too_and_a_text_has_no_room_for_them() {
    let home = home();
    let ran = ask(&home, &["-p", "the in an", "--logprobs", "2", "-o", "ndjson"]);
    let lines: Vec<Value> = ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<&Value> = lines.iter().flat_map(|line| line["logprobs"].as_array().into_iter().flatten()).collect();
    let last = lines.last().unwrap()["logprobs"].as_array().unwrap();
    assert_eq!(told.len(), 2 * last.len(), "each is in a line of its own and in the last");
    assert!(lines.iter().any(|line| line["type"] == "token" && line["logprobs"][0]["top"][1]["logprob"].is_f64()));

    assert_eq!(object(&ask(&home, &["-p", "x", "-o", "json"]))["logprobs"], Value::Null);
    let refused = ask(&home, &["-p", "x", "--logprobs", "2"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""));
    assert!(refused.stderr.contains("-o json"), "{}", refused.stderr);
    home.write("home/config/config.toml", "logprobs = 2\n");
    assert_eq!(ask(&home, &["-p", "x"]).code, Some(0), "what is set for all answers is not meant for texts");
    assert!(object(&ask(&home, &["-p", "x", "-o", "json"]))["logprobs"][0]["top"][1].is_object());
}

fn store(home: &Home) -> Store {
    let directories = Directories::find(Some(home.path("home"))).unwrap();
    Store::open(&directories.chats_file()).unwrap()
}

/// A chat with a long first question and its answer.
fn begin_chat(home: &Home) -> ChatId {
    let mut store = store(home);
    let chat = store.create_chat("Ships", Some("You count ships.")).unwrap();
    let question = store.add_message(chat, None, Role::User, &"the ships come in ".repeat(20)).unwrap();
    store.add_message(chat, Some(question), Role::Assistant, "They do").unwrap();
    chat
}

#[test]
fn a_question_goes_on_with_a_saved_chat_and_is_saved_in_it() {
    let home = home();
    let chat = begin_chat(&home);
    let first = object(&ask(&home, &["-p", "How many?", "--continue", "-o", "json"]));
    assert_eq!(first["chat"], chat.0);
    let id = chat.to_string();
    let second = object(&ask(&home, &["-p", "And now?", "--continue", &id, "-o", "json"]));
    let (cached, before) = (tokens(&second, "cached_prompt"), tokens(&first, "prompt"));
    assert!(cached >= before, "the chat's snapshot was used: {cached} of {before}");

    let branch = store(&home).branch(chat).unwrap();
    let said: Vec<(Role, &str)> = branch[3..].iter().map(|message| (message.role, message.text.as_str())).collect();
    let answer = |object: &Value| object["text"].as_str().unwrap().to_owned();
    let (one, two) = (answer(&first), answer(&second));
    let expected =
        [(Role::User, "How many?"), (Role::Assistant, &one), (Role::User, "And now?"), (Role::Assistant, &two)];
    assert_eq!(said, expected);
    assert_eq!((branch[4].ended, branch[4].stats.is_some()), (Some(Ended::Length), true));
    assert_eq!(branch[4].model.as_deref(), first["model"]["name"].as_str());
}

#[test]
fn a_chat_that_is_not_there_or_may_not_be_written_is_told() {
    let home = home();
    for (arguments, code, sentence) in [
        (&["-p", "x", "--continue"][..], 1, "there is no chat to go on with"),
        (&["-p", "x", "--continue", "7"], 1, "7"),
        (&["-p", "x", "--continue", "seven"], 2, "`seven` is not the number of a chat"),
        (&["-p", "x", "--continue", "--private"], 2, "cannot be used with"),
    ] {
        let ran = home.ask(HELLO, arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(code), ""), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(sentence), "{arguments:?}: {}", ran.stderr);
    }
    home.write("home/config/config.toml", "private = true\n");
    let ran = home.ask(HELLO, &["-p", "x", "--continue"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("--private=no"), "{:?} {}", ran.code, ran.stderr);
}

#[test]
fn what_there_is_of_an_answer_is_saved_when_the_engine_fails() {
    let home = home();
    let chat = begin_chat(&home);
    let ran = home.ask("[[answer]]\ntext = \"Half an\"\nended = \"error\"\n", &["-p", "Well?", "--continue"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), "Half an\n"), "{}", ran.stderr);
    let last = store(&home).branch(chat).unwrap().pop().unwrap();
    assert_eq!((last.text.as_str(), last.ended), ("Half an", Some(Ended::Error)));
}

#[test]
fn thoughts_that_are_asked_for_go_to_stderr_and_are_not_in_the_answer() {
    let home = Home::new();
    let template = format!("{CHATML}{{{{ '<think>\\n' }}}}");
    TinyModel::default().template(Some(&template)).write(&home.path("tiny.gguf")).unwrap();
    let ran = ask(&home, &["-p", "hi", "--think", "6"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let thought = object(&ask(&home, &["-p", "hi", "--think", "6", "-o", "json"]));
    let thinking = thought["thinking"].as_str().unwrap();
    assert!(!thinking.is_empty() && ran.stderr.starts_with(thinking), "{:?} in {:?}", thinking, ran.stderr);
    assert_eq!(ran.stdout.trim_end(), thought["text"].as_str().unwrap().trim_end());
    assert_eq!(ask(&home, &["-p", "hi", "--think", "6", "--quiet"]).stderr, "");
    assert!(!ask(&home, &["-p", "hi"]).stderr.contains(thinking), "nobody asked for them");
}

/// Runs a line of shell in which `$tuichat` is the program with a scripted engine.
fn shell(home: &Home, line: &str) -> Ran {
    home.write("script.toml", HELLO);
    let program = home.command(&["--engine", "scripted:script.toml"]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", line]).current_dir(home.folder.path());
    shell.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("tuichat", format!("{} --engine scripted:script.toml", env!("CARGO_BIN_EXE_tuichat")));
    let output = shell.stdin(Stdio::null()).output().unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn a_stdin_that_gives_nothing_is_no_matter() {
    let home = Home::new();
    home.write("empty", "");
    for (stdin, note) in [
        ("< /dev/null", ""),
        ("<&-", ""),
        ("< empty", "note: nothing was piped in\n"),
        ("< script.toml <&-", ""),
        ("< empty --quiet", ""),
    ] {
        let ran = shell(&home, &format!("$tuichat -p hi {stdin}"));
        assert_eq!(
            (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
            (Some(0), "Hello there, you\n", note),
            "{stdin}"
        );
        let ran = shell(&home, &format!("$tuichat {stdin}"));
        assert!(ran.code == Some(2) && ran.stderr.contains("there is no prompt to answer"), "{stdin}: {}", ran.stderr);
    }
    let ran = shell(&home, "true | $tuichat -p hi");
    let expected = (Some(0), "Hello there, you\n", "note: nothing was piped in\n");
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), expected);
    let ran = shell(&home, "$tuichat -p hi --file empty");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), "note: `empty` is empty\n"));
    for (line, part) in [
        ("true | $tuichat --prompt-name summarize", "nothing was piped in, so the text `summarize` is about nothing"),
        ("$tuichat --prompt-name summarize --file empty", "`empty` is empty, so the text `summarize` is about nothing"),
    ] {
        let ran = shell(&home, line);
        assert!(ran.code == Some(2) && ran.stderr.contains(part), "{line}: {}", ran.stderr);
    }
    assert_eq!(shell(&home, "$tuichat --prompt-name summarize").code, Some(0), "cron has nothing to pipe in");
    let ran = shell(&home, "$tuichat -p hi < .");
    assert!(ran.code == Some(2) && ran.stderr.contains("cannot read stdin"), "{:?} {}", ran.code, ran.stderr);
}

#[test]
fn every_exit_code_is_that_of_its_failure() {
    let home = home();
    home.write("noise.gguf", "no model at all");
    let tiny = "$tuichat -m ./tiny.gguf --engine llama --max-tokens 4 --temp 0";
    for (line, code, said) in [
        ("$tuichat -p hi", 0, ""),
        ("$tuichat -p hi -m no-such-model --engine llama", 1, "no-such-model"),
        ("$tuichat -p hi --temp 9", 2, "between 0 and 5"),
        ("$tuichat -p hi -m ./noise.gguf --engine llama", 4, "noise.gguf"),
        ("$tuichat -p hi > /dev/full", 5, "cannot write the output"),
        ("$tuichat -p hi --engine llama --offline", 6, "--offline"),
        (&format!("{tiny} -p hi --schema '{{\"type\": \"object\"}}'"), 7, "does not satisfy the schema"),
        ("{ $tuichat -p hi; echo $? >&2; } | true", 0, ""),
        (&format!("{{ sleep 0.3; {tiny} -p hi; echo $? >&2; }} | true"), 0, "141"),
    ] {
        if line.contains("/dev/full") && !cfg!(target_os = "linux") {
            continue;
        }
        let line = line.replace("--engine llama", "").replace(
            "$tuichat",
            &match line.contains("--engine llama") {
                true => env!("CARGO_BIN_EXE_tuichat").to_owned(),
                false => "$tuichat".to_owned(),
            },
        );
        let ran = shell(&home, &line);
        assert_eq!(ran.code, Some(code), "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{line}: {}", ran.stderr);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn more_than_any_model_takes_in_is_refused_in_little_memory() {
    let home = Home::new();
    home.write("script.toml", HELLO);
    let mut command = home.command(&["--engine", "scripted:script.toml", "-p", "x"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let (mut most, mut written) = (0, 0);
    while written < 100 << 20 && std::io::Write::write_all(&mut stdin, &[b'y'; 1 << 16]).is_ok() {
        written += 1 << 16;
        let status = fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
        most = most.max(line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0));
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout), (Some(2), Vec::new()));
    assert!(stderr.contains("stdin is larger than 16 MiB"), "{stderr}");
    assert!(written < 20 << 20, "it went on reading: {written}");
    assert!(most < 100 << 10, "{most} KiB");
}

#[test]
fn a_terminal_is_given_what_a_pipe_is_but_for_escapes() {
    let home = Home::new();
    let text = "One\\u001b]0;title\\u0007\\n\\n  two \\u202e três 日本 👩‍👧\\tend";
    let script = format!("[[answer]]\ntext = \"{text}\"\n");
    for form in ["text", "json", "ndjson"] {
        let piped = home.ask(&script, &["-p", "hi", "-o", form, "--seed", "1"]).stdout;
        let mut command = CommandBuilder::new("sh");
        let line = "stty -opost; \"$1\" --engine scripted:script.toml -p hi -o $2 --seed 1 < /dev/null 2> /dev/null && \
                    echo the-end";
        command.args(["-c", line, "sh", env!("CARGO_BIN_EXE_tuichat"), form]);
        command.cwd(home.folder.path());
        command.env("TUICHAT_HOME", home.path("home"));
        let pty = Pty::run(command, 200, 50);
        pty.wait_for("the-end");
        let shown = String::from_utf8(pty.bytes()).unwrap();
        let shown = shown.split("the-end").next().unwrap();
        assert_eq!(without_times(shown), without_times(&tuichat::text::escape(&piped)), "{form}");
    }
}

/// What two runs have in common: no times.
fn without_times(text: &str) -> String {
    let line = |line: &str| match serde_json::from_str::<Value>(line) {
        Ok(mut object) if object.is_object() => {
            for key in ["timings", "speculative", "device", "kv"] {
                object[key] = Value::Null;
            }
            object.to_string()
        }
        _ => line.to_owned(),
    };
    text.split_inclusive('\n').map(|part| line(part.trim_end_matches('\n')) + "\n").collect()
}
