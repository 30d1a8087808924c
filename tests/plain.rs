//! The chat in plain lines: in a pseudo-terminal as a screen reader would hear it, and in a pipe as a script would write
//! it. With a scripted engine, and with a real model whose conversation is kept in `docs/plain.md`.
#![cfg(unix)]

#[path = "common/pty.rs"]
#[allow(dead_code)]
mod pty;
#[path = "common/real_models.rs"]
#[allow(dead_code)]
mod real_models;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use portable_pty::CommandBuilder;
use pty::Pty;
use rustix::process::Signal;
use tempfile::TempDir;
use tuichat::chat::Ended;
use tuichat::store::Store;

const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
/// A real model on a busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(120);
const DOCUMENT: &str = include_str!("../docs/plain.md");

/// A folder that is the program's home, with a script for its engine.
fn home(script: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("script.toml"), script).unwrap();
    home
}

fn engine(home: &Path) -> [String; 4] {
    let script = format!("scripted:{}", home.join("script.toml").display());
    ["--engine".into(), script, "-m".into(), "x.gguf".into()]
}

/// A terminal so large that nothing scrolls out of it and no line is folded.
fn run(home: &Path, environment: &[(&str, &str)], arguments: &[&str]) -> Pty {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tuichat"));
    command.env("TUICHAT_HOME", home);
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "ACCESSIBLE"] {
        command.env_remove(name);
    }
    for (name, value) in environment {
        command.env(name, value);
    }
    command.cwd(home);
    command.args(arguments);
    Pty::run(command, 240, 150)
}

fn chat(home: &Path, more: &[&str]) -> Talk {
    let engine = engine(home);
    let arguments: Vec<&str> =
        engine.iter().map(String::as_str).chain(["--plain"]).chain(more.iter().copied()).collect();
    Talk::with(run(home, &[], &arguments))
}

/// A chat, and how much of it was there when something was typed last.
struct Talk {
    pty: Pty,
    heard: usize,
}

impl Talk {
    fn with(pty: Pty) -> Self {
        let talk = Self { pty, heard: 0 };
        talk.wait_for("Type a message");
        talk
    }

    fn say(&mut self, line: &str) {
        self.type_keys(&format!("{line}\r"));
    }

    fn type_keys(&mut self, keys: &str) {
        self.heard = self.pty.screen().len();
        self.pty.send(keys);
    }

    /// Waits for these words, said since something was typed.
    fn wait_for(&self, words: &str) -> String {
        self.wait_until(words, |_, new| new.contains(words))
    }

    /// Waits until the screen, and what of it is new, are as `condition` wants them.
    fn wait_until(&self, what: &str, condition: impl Fn(&str, &str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let screen = self.pty.screen();
            if screen.get(self.heard..).is_some_and(|new| condition(&screen, new)) {
                return screen;
            }
            assert!(Instant::now() < end, "waited in vain for: {what}\nthe screen:\n{screen}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for these words and a prompt behind them.
    fn wait_to_speak(&self, words: &str) -> String {
        let asks = |screen: &str| screen.ends_with("\nYou:") || screen.ends_with("\nNumber:");
        self.wait_until(words, |screen, new| new.contains(words) && asks(screen))
    }

    fn leave(&mut self) -> String {
        self.say("/quit");
        assert!(self.pty.wait_for_end().success());
        assert_eq!(self.pty.line_settings(), self.pty.settings_before());
        transcript(&self.pty)
    }
}

/// Everything that was written, which must be lines and nothing else.
fn transcript(chat: &Pty) -> String {
    let text = String::from_utf8(chat.bytes()).unwrap().replace("\r\n", "\n");
    let stranger = text.chars().find(|character| character.is_control() && *character != '\n');
    assert_eq!(stranger, None, "{text:?}");
    text
}

/// An answer of a thousand numbered words, one every 20 ms.
fn slow_answer() -> String {
    let words: Vec<String> = (1..=1000).map(|number| format!("word{number},")).collect();
    format!("[[answer]]\ntext = \"It begins. {}\"\n", words.join(" "))
}

/// What does not depend on the machine: the words behind "It begins." and the speed are left out.
fn without_times(transcript: &str) -> String {
    let line = |line: &str| match line {
        line if line.starts_with("It begins.") => "It begins. ...".to_owned(),
        line if line.starts_with("Answer done, ") => line.split(" token").next().unwrap().to_owned() + " tokens, ...",
        line => line.to_owned(),
    };
    let is_left_out = |line: &&str| {
        let is_model = is_row(line) && line.contains("(to download, ");
        is_model || ["word", "There are "].iter().any(|begins| line.starts_with(begins))
    };
    transcript.lines().filter(|line| !is_left_out(line)).map(line).collect::<Vec<_>>().join("\n") + "\n"
}

/// Whether it is a row of a list.
fn is_row(line: &str) -> bool {
    line.split_once(". ").is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

#[test]
fn a_whole_conversation_is_told_in_lines_and_nothing_is_drawn() {
    let script = format!(
        "token_ms = 5\n[[answer]]\ntext = \"Paris. \\u001b[31mNot red.\"\n{}[[answer]]\ntext = \"Lyon.\"\n",
        slow_answer()
    );
    let home = home(&script);
    let mut chat = chat(home.path(), &[]);
    chat.wait_to_speak("is ready.");
    chat.say("What is the capital of France?");
    chat.wait_to_speak("Answer done");
    chat.say("Tell me more.");
    chat.wait_for("It begins. ");
    chat.type_keys(CTRL_C);
    chat.wait_to_speak("Stopped.");
    chat.say("/retry");
    chat.wait_to_speak("Lyon.");
    chat.say("/set temp 0.2");
    chat.wait_to_speak("`temp` is `0.2`");
    chat.say("/model");
    chat.wait_to_speak("nothing to go back.");
    chat.say("nothing like this");
    chat.wait_to_speak("has \"nothing like this\" in it.");
    chat.say("");
    chat.wait_to_speak("You:");
    chat.say("/new");
    chat.wait_to_speak("This is a new chat.");
    chat.say("/resume");
    chat.wait_to_speak("nothing to go back.");
    chat.say("1");
    chat.wait_to_speak("This is the chat");
    chat.say("/copy");
    chat.wait_to_speak("`/save FILE`");
    insta::assert_snapshot!(without_times(&chat.leave()));
}

#[test]
fn what_was_said_is_saved_and_resumed() {
    let home = home("[[answer]]\ntext = \"the reply\"\n");
    let mut first = chat(home.path(), &[]);
    first.wait_to_speak("is ready.");
    for question in ["one", "two", "three"] {
        first.say(question);
        first.wait_to_speak("Answer done");
    }
    first.leave();
    let store = Store::open(&home.path().join("data/chats.db")).unwrap();
    let branch = store.branch(store.last_chat().unwrap().unwrap()).unwrap();
    let texts: Vec<&str> = branch.iter().map(|message| message.text.as_str()).collect();
    assert_eq!(texts, ["one", "the reply", "two", "the reply", "three", "the reply"]);
    assert_eq!(branch[5].ended, Some(Ended::Stop));
    drop(store);
    let mut again = chat(home.path(), &["--resume"]);
    let screen = again.wait_to_speak("the reply");
    assert!(
        screen.contains(
            "This is the chat \"the reply\" with 6 messages. The last ones are:\nYou: three\nAnswer:\nthe reply\n"
        ),
        "{screen}"
    );
    again.leave();
}

#[test]
fn the_terminal_or_the_environment_asks_for_lines_and_a_setting_has_the_last_word() {
    for (environment, is_plain) in [
        (&[("TERM", "dumb")][..], true),
        (&[("ACCESSIBLE", "1")][..], true),
        (&[("ACCESSIBLE", "0")][..], false),
        (&[("ACCESSIBLE", "1"), ("TUICHAT_PLAIN", "off")][..], false),
    ] {
        let home = home("");
        let engine = engine(home.path());
        let pty = run(home.path(), environment, &engine.each_ref().map(String::as_str));
        if is_plain {
            let mut chat = Talk::with(pty);
            chat.wait_to_speak("is ready.");
            chat.leave();
        } else {
            pty.wait_for("idle");
            assert!(String::from_utf8_lossy(&pty.bytes()).contains("\x1b[?1049h"), "{environment:?}");
        }
    }
}

#[test]
fn ctrl_c_at_the_prompt_asks_once_and_ctrl_d_leaves() {
    let home = home("");
    let mut chat = chat(home.path(), &[]);
    chat.wait_to_speak("is ready.");
    chat.type_keys(CTRL_C);
    chat.wait_to_speak("Press Ctrl-C again to leave.");
    chat.type_keys(CTRL_C);
    assert!(chat.pty.wait_for_end().success());
    let mut chat = self::chat(home.path(), &["--plain-status", "off"]);
    chat.wait_to_speak("You:");
    chat.type_keys(CTRL_D);
    assert!(chat.pty.wait_for_end().success());
    assert!(transcript(&chat.pty).ends_with("You: \n"));
}

#[test]
fn lines_that_are_pasted_are_one_message_and_quotes_hold_several() {
    let home = home("[[answer]]\ntext = \"the reply\"\n");
    let mut chat = chat(home.path(), &[]);
    chat.wait_to_speak("is ready.");
    let pasted: Vec<String> = (1..=12).map(|number| format!("line {number}")).collect();
    chat.say(&pasted.join("\r"));
    chat.wait_to_speak("An empty line sends it");
    chat.say("Sum up");
    chat.wait_to_speak("Answer done");
    for line in ["\"\"\"", "/one", "two\"\"\""] {
        // As slowly as a person would type.
        std::thread::sleep(Duration::from_millis(200));
        chat.say(line);
    }
    chat.wait_to_speak("Answer done");
    chat.leave();
    let store = Store::open(&home.path().join("data/chats.db")).unwrap();
    let branch = store.branch(store.last_chat().unwrap().unwrap()).unwrap();
    assert_eq!(branch[0].text, format!("{}\nSum up", pasted.join("\n")));
    assert_eq!(branch[2].text, "/one\ntwo");
}

#[test]
fn a_line_that_the_terminal_has_cut_is_not_sent() {
    let home = home("[[answer]]\ntext = \"the reply\"\n");
    let mut chat = chat(home.path(), &[]);
    chat.wait_to_speak("is ready.");
    chat.say(&"long ".repeat(1500));
    chat.wait_to_speak("Nothing was sent. `/attach FILE` sends a long text from a file.");
    assert!(!chat.leave().contains("Answer"));
}

#[test]
fn an_answer_in_progress_is_saved_when_the_program_is_told_to_end() {
    let home = home(&format!("token_ms = 20\n{}", slow_answer()));
    let mut chat = chat(home.path(), &[]);
    chat.wait_to_speak("is ready.");
    chat.say("Count");
    chat.wait_for("It begins. ");
    chat.pty.signal(Signal::TERM);
    assert!(chat.pty.wait_for_end().success());
    transcript(&chat.pty);
    let store = Store::open(&home.path().join("data/chats.db")).unwrap();
    let branch = store.branch(store.last_chat().unwrap().unwrap()).unwrap();
    assert!(branch[1].text.starts_with("It begins."), "{branch:?}");
    assert_eq!(branch[1].ended, Some(Ended::Interrupted));
}

/// What comes of lines that are piped in.
fn piped(home: &Path, arguments: &[&str], lines: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tuichat"))
        .args(arguments)
        .env("TUICHAT_HOME", home)
        .env("HOME", "/nonexistent")
        .env_remove("DISPLAY")
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_script_writes_lines_one_after_the_other() {
    let home = home("token_ms = 5\n[[answer]]\ntext = \"One two.\"\n[[answer]]\ntext = \"Three.\"\n");
    std::fs::write(home.path().join("notes.txt"), "milk\n").unwrap();
    let engine = engine(home.path());
    let arguments: Vec<&str> = engine.iter().map(String::as_str).chain(["--plain", "--plain-status=brief"]).collect();
    let lines = "Count\n/attach notes.txt\nSum up\n/stats\n\"\"\"\nseveral\nlines\n\"\"\"\n/save out.md\n/resume\n1\n";
    insta::assert_snapshot!(without_statistics(&piped(home.path(), &arguments, lines)));
    assert!(std::fs::read_to_string(home.path().join("out.md")).unwrap().contains("several\nlines"));
}

#[test]
fn what_a_command_did_is_said_before_the_next_line_is_taken() {
    let home = home("[[answer]]\ntext = \"One two.\"\n");
    let engine = engine(home.path());
    let arguments: Vec<&str> = engine.iter().map(String::as_str).chain(["--plain", "--plain-status=off"]).collect();
    let said = piped(home.path(), &arguments, "Count\n/tag food\n/theme nord\n/drop\n");
    let order =
        ["You: /tag food\nThis chat has the tag", "You: /theme nord\nThe theme is `nord`", "You: /drop\nNo file"];
    let places: Vec<_> = order.iter().map(|words| said.find(words)).collect();
    assert!(places.is_sorted() && places[0].is_some(), "{places:?} in:\n{said}");
}

/// The figures of `/stats` depend on the machine.
fn without_statistics(transcript: &str) -> String {
    let (before, rest) = transcript.split_once("Statistics:\n").unwrap();
    let (_, after) = rest.split_once("\nYou: ").unwrap();
    format!("{before}Statistics:\n...\nYou: {after}")
}

/// The conversation in the document, without what depends on the machine: what the model says, and how fast.
fn form(transcript: &str) -> Vec<String> {
    const SAYS: [&str; 7] =
        ["Answer done, ", "Stopped", "Ended at the limit", "You:", "Thinking.", "Loading", "The model "];
    let mut in_answer = false;
    let mut lines = Vec::new();
    for line in transcript.lines() {
        in_answer &= !SAYS.iter().any(|begins| line.starts_with(begins));
        if in_answer {
            continue;
        }
        in_answer = line == "Answer:";
        let line = match line {
            line if line.starts_with("Answer done, ") => "Answer done",
            line if line.starts_with("Loading the model") => "Loading the model",
            line if line.starts_with("The model ") => "The model is ready",
            line if is_row(line) => line.split(" (").next().unwrap_or(line),
            line => line,
        };
        lines.push(line.to_owned());
    }
    lines
}

#[test]
fn the_conversation_in_the_document_is_what_a_real_model_and_a_person_say() {
    let Some(model) = real_models::test_model() else { return };
    let home = tempfile::tempdir().unwrap();
    let model = model.display().to_string();
    let arguments = ["--plain", "--temp", "0", "--max-tokens", "40", "-m", &model];
    let mut chat = Talk::with(run(home.path(), &[], &arguments));
    chat.wait_to_speak("is ready.");
    chat.say("Name three colours.");
    chat.wait_to_speak("Ended at the limit of 40 tokens");
    chat.say("/set max_tokens auto");
    chat.wait_to_speak("`max_tokens` is `auto`");
    chat.say("Write a long story about a lighthouse.");
    chat.wait_until("words of the story", |_, new| {
        new.split_once("Answer:\n").is_some_and(|(_, story)| story.len() > 60)
    });
    chat.type_keys(CTRL_C);
    chat.wait_to_speak("Stopped.");
    chat.say("/set max_tokens 24");
    chat.wait_to_speak("`max_tokens` is `24`");
    chat.say("/retry");
    chat.wait_to_speak("Ended at the limit of 24 tokens");
    chat.say("/model smollm2");
    chat.wait_to_speak("nothing to go back.");
    chat.say("");
    chat.wait_to_speak("You:");
    chat.say("/new");
    chat.wait_to_speak("This is a new chat.");
    chat.say("/resume");
    chat.wait_to_speak("nothing to go back.");
    chat.say("1");
    chat.wait_to_speak("This is the chat");
    let transcript = chat.leave();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let (before, rest) = DOCUMENT.split_once("```text\n").unwrap();
        let (_, after) = rest.split_once("```").unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plain.md");
        std::fs::write(file, format!("{before}```text\n{transcript}```{after}")).unwrap();
        return;
    }
    let recorded = DOCUMENT.split("```text\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(form(&transcript), form(recorded), "{transcript}");
}

#[test]
fn other_branches_are_told_and_gone_to_by_number() {
    let home = home("[[answer]]\ntext = \"First.\"\n[[answer]]\ntext = \"Second.\"\n");
    let mut chat = chat(home.path(), &[]);
    chat.wait_to_speak("is ready.");
    chat.say("One?");
    chat.wait_to_speak("Answer done");
    chat.say("/retry");
    chat.wait_to_speak("Answer done");
    chat.say("/branch");
    let told = chat.wait_to_speak("shows the first branch");
    assert!(told.contains("2 1: First.\n2 2 (shown): Second.\n"), "{told}");
    chat.say("/branch 2 1");
    chat.wait_to_speak("Answer:\nFirst.\n");
    chat.leave();
}

#[test]
fn a_question_is_changed_in_the_persons_editor_and_no_line_is_lost() {
    let home = home("[[answer]]\ntext = \"The reply.\"\n");
    // It asks for a line of its own, which is not for the chat.
    std::fs::write(home.path().join("editor"), "#!/bin/sh\nread line\nsed -i \"s/One/$line/\" \"$1\"\n").unwrap();
    let engine = engine(home.path());
    let arguments: Vec<&str> = engine.iter().map(String::as_str).chain(["--plain"]).collect();
    let editor = format!("sh {}/editor", home.path().display());
    let mut chat = Talk::with(run(home.path(), &[("VISUAL", &editor)], &arguments));
    chat.wait_to_speak("is ready.");
    chat.say("One?");
    chat.wait_to_speak("Answer done");
    chat.say("/edit");
    chat.wait_to_speak("`/editor` changes it");
    chat.say("/editor");
    std::thread::sleep(Duration::from_millis(500));
    chat.say("Two");
    chat.wait_to_speak("Message 1 is written anew: Two?");
    chat.say("");
    chat.wait_to_speak("Answer done");
    chat.leave();
    let store = Store::open(&home.path().join("data/chats.db")).unwrap();
    let branch = store.branch(store.last_chat().unwrap().unwrap()).unwrap();
    assert_eq!(branch[0].text, "Two?");
}

#[test]
fn a_command_is_run_when_yes_was_typed() {
    let home = home("[[answer]]\ntext = \"The reply.\"\n");
    let engine = engine(home.path());
    let arguments: Vec<&str> = engine.iter().map(String::as_str).chain(["--plain", "--plain-status=brief"]).collect();
    let said = piped(home.path(), &arguments, "/run echo one\nno\n/run echo two\nyes\nWhat is it?\n/save out.txt\n");
    assert!(said.contains("Run this command? echo one\n"), "{said}");
    let saved = std::fs::read_to_string(home.path().join("out.txt")).unwrap();
    assert!(saved.contains("--- file: output of `echo two` ---\ntwo\n") && !saved.contains("one"), "{saved}");
}

#[test]
fn a_script_is_told_by_the_exit_code_that_an_answer_failed() {
    let home = home("[[answer]]\ntext = \"Half\"\nended = \"error\"\n");
    let engine = engine(home.path());
    let ran = |lines: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tuichat"))
            .args(engine.iter().map(String::as_str).chain(["--plain"]))
            .env("TUICHAT_HOME", home.path())
            .env("HOME", "/nonexistent")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, said) = ran("One?\n");
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(ran("/stats\n").0, Some(0));
}
