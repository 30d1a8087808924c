//! The chat in a real pseudo-terminal, with a scripted engine: what a person sees and what is left of the terminal.
#![cfg(unix)]

#[path = "../common/pty.rs"]
#[allow(dead_code)]
mod pty;

mod ending;
mod writing;

use std::path::Path;
use std::time::{Duration, Instant};

use portable_pty::CommandBuilder;
use pty::Pty;
use rustix::process::Signal;
use tempfile::TempDir;
use tuichat::store::Store;

const CTRL_C: &str = "\x03";
const CTRL_G: &str = "\x07";
const F3: &str = "\x1bOR";
const F6: &str = "\x1b[17~";
const CTRL_T: &str = "\x14";
const CTRL_Z: &str = "\x1a";
const ESCAPE: &str = "\x1b";

/// An answer of a thousand numbered words, one every 20 ms.
fn slow_script() -> String {
    let words: Vec<String> = (1..=1000).map(|number| format!("word{number}")).collect();
    format!("token_ms = 20\n[[answer]]\ntext = \"{}\"\n", words.join(" "))
}

/// A folder that is the program's home, with a script for its engine.
fn home(script: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("script.toml"), script).unwrap();
    home
}

fn arguments(home: &Path) -> Vec<String> {
    let script = home.join("script.toml");
    vec!["--engine".into(), format!("scripted:{}", script.display()), "-m".into(), "x.gguf".into()]
}

fn program(home: &Path) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tuichat"));
    command.env("TUICHAT_HOME", home);
    command.cwd(home);
    command
}

fn chat_with(home: &Path, more: &[&str]) -> Pty {
    let mut command = program(home);
    command.args(arguments(home));
    command.args(more);
    Pty::run(command, 80, 24)
}

fn chat(home: &Path) -> Pty {
    chat_with(home, &[])
}

fn leave(chat: &mut Pty) {
    chat.send(CTRL_C);
    chat.wait_for("press Ctrl-C again to leave");
    chat.send(CTRL_C);
    assert!(chat.wait_for_end().success());
}

#[test]
fn words_stream_escape_stops_and_the_terminal_is_given_back() {
    let home = home(&slow_script());
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send("Count\r");
    chat.wait_until("the first words of an answer in progress", |screen| {
        screen.contains("word3") && screen.contains("answering") && !screen.contains("word900")
    });
    chat.send(ESCAPE);
    let screen = chat.wait_for("· stopped");
    assert!(screen.contains("› Count") && screen.contains("word3"), "{screen}");
    leave(&mut chat);
    chat.assert_given_back();
}

#[test]
fn a_setting_is_changed_in_the_panel_and_in_the_file() {
    let home = home("[[answer]]\ntext = \"the reply\"\n");
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send(F6);
    chat.wait_for("model_folders");
    chat.send("borders\r");
    let screen = chat.wait_for("`borders` is `off` from now on");
    assert!(!screen.contains('╭') && screen.contains("Settings"), "{screen}");
    chat.send(ESCAPE);
    chat.wait_until("the chat without the panel", |screen| !screen.contains("filter: "));
    chat.send("/settings ctx lots\r");
    chat.wait_for("`ctx` cannot be `lots`: it must be `auto` or a whole number");
    chat.send("/settings ctx 4096\r");
    chat.wait_for("`ctx` is `4096` with the next model that is loaded");
    let file = std::fs::read_to_string(home.path().join("config/config.toml")).unwrap();
    let sample = tuichat::config::SAMPLE.replace("#borders = \"on\"", "borders = \"off\"");
    assert_eq!(file, sample.replace("#ctx = \"auto\"", "ctx = 4096"));
    leave(&mut chat);
    chat.assert_given_back();
}

#[test]
fn with_little_motion_an_answer_grows_twice_a_second_and_keys_are_seen_at_once() {
    let home = home(&slow_script());
    let mut command = program(home.path());
    command.args(arguments(home.path()));
    command.env("NO_MOTION", "1");
    let mut chat = Pty::run(command, 80, 24);
    chat.wait_for("idle");
    chat.send("Count\r");
    chat.wait_for("word3");
    let (mut screens, end) = (1, Instant::now() + Duration::from_secs(2));
    let mut last = chat.screen();
    while Instant::now() < end {
        let screen = chat.screen();
        screens += usize::from(screen != last);
        last = screen;
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!((3..=7).contains(&screens), "{screens} screens in two seconds");
    chat.send("/");
    chat.wait_for("/new");
    chat.send("\x7f");
    leave(&mut chat);
    chat.assert_given_back();
}

#[test]
fn the_terminal_is_told_where_links_lead() {
    let home = home("[[answer]]\ntext = \"See [the docs](https://example.org/docs) and $x^2$.\"\n");
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send("Where?\r");
    chat.wait_for("See the docs (https://example.org/docs) and x².");
    let bytes = String::from_utf8_lossy(&chat.bytes()).into_owned();
    let (_, link) = bytes.split_once("\x1b]8;id=").unwrap();
    let (address, text) = link.split_once("\x1b\\").unwrap();
    assert!(address.ends_with(";https://example.org/docs") && text.contains("\x1b]8;;\x1b\\"), "{link:?}");
    leave(&mut chat);
    chat.assert_given_back();
}

#[test]
fn the_window_is_named_and_gets_its_title_back_and_the_mouse_can_be_left_alone() {
    let home = home("[[answer]]\ntext = \"the reply\"\n");
    let mut named = chat(home.path());
    named.wait_for("idle");
    named.send("Hello\r");
    named.wait_for("the reply");
    named.send("/rename Greetings\r");
    named.wait_for("this chat is called `Greetings`");
    leave(&mut named);
    let bytes = String::from_utf8_lossy(&named.bytes()).into_owned();
    assert!(bytes.contains("\x1b[22;2t") && bytes.contains("\x1b]2;Greetings - tuichat\x07"), "{bytes:?}");
    assert!(bytes.contains("\x1b[?1000h") && bytes.contains("\x1b[?1004h"));
    named.assert_given_back();
    let mut still = chat_with(home.path(), &["--mouse", "off", "--title", "off", "--notify", "off"]);
    still.wait_for("idle");
    leave(&mut still);
    still.assert_given_back();
    let bytes = String::from_utf8_lossy(&still.bytes()).into_owned();
    for sequence in ["\x1b[?1000h", "\x1b[?1004h", "\x1b[22;2t", "\x1b[23;2t", "\x1b]2;"] {
        assert!(!bytes.contains(sequence), "{sequence:?}");
    }
}

/// A chat in a terminal that says that it is kitty, or not.
fn chat_with_a_picture(home: &Path, is_kitty: bool, more: &[&str]) -> Pty {
    // A red dot.
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde\0\0\0\x0cIDATx\x9cc\xf8\xcf\xc0\0\0\x03\x01\x01\0\xc9\xfe\x92\xef\0\0\0\0IEND\xaeB`\x82";
    std::fs::write(home.join("dot.png"), png).unwrap();
    let mut command = program(home);
    for name in ["TMUX", "STY", "ZELLIJ", "TERM_PROGRAM", "SSH_CONNECTION", "SSH_TTY", "NO_COLOR", "KITTY_WINDOW_ID"] {
        command.env_remove(name);
    }
    if is_kitty {
        command.env("KITTY_WINDOW_ID", "1");
    }
    command.args(arguments(home));
    command.args(more);
    let mut chat = Pty::run(command, 100, 24);
    chat.wait_for("idle");
    chat.send("/attach dot.png\r");
    chat.wait_for("cannot see pictures");
    chat.send("What is this?\r");
    chat.wait_for("A dot.");
    chat
}

#[test]
fn a_picture_is_sent_to_a_terminal_that_shows_some_and_forgotten_when_it_is_given_back() {
    let home = home("[[answer]]\ntext = \"A dot.\"\n");
    let mut chat = chat_with_a_picture(home.path(), true, &[]);
    chat.wait_for("\u{10EEEE}");
    let sent = String::from_utf8_lossy(&chat.bytes()).into_owned();
    assert_eq!(sent.matches("\x1b_Ga=T,U=1,q=2,f=100,i=").count(), 1);
    leave(&mut chat);
    let all = String::from_utf8_lossy(&chat.bytes()).into_owned();
    let (_, after) = all.split_once("\x1b_Ga=d,d=I,q=2,i=").expect("the picture is forgotten");
    assert!(after.contains("\x1b[?1049l"));
    chat.assert_given_back();
}

#[test]
fn elsewhere_and_where_it_is_switched_off_a_picture_is_named_only() {
    for (is_kitty, more) in [(false, vec![]), (true, vec!["--images", "off"])] {
        let home = home("[[answer]]\ntext = \"A dot.\"\n");
        let mut chat = chat_with_a_picture(home.path(), is_kitty, &more);
        chat.wait_for("dot.png]");
        leave(&mut chat);
        let all = String::from_utf8_lossy(&chat.bytes()).into_owned();
        assert!(!all.contains("\x1b_G") && !all.contains('\u{10EEEE}'));
    }
}

#[test]
fn what_a_message_costs_is_told_while_it_is_written() {
    let home = home("prefill_ms = 2000\n");
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send("How many words?");
    chat.wait_for("4 tokens, 3 cached, first token in about 2 s");
    chat.send(F3);
    let screen = chat.wait_for("The next answer begins in about 2 s.");
    assert!(screen.contains("How many words?") && screen.contains("in all          4       3"), "{screen}");
    chat.send(ESCAPE);
    chat.wait_until("the text", |screen| screen.contains("› How many words?") && !screen.contains("The next answer"));
    chat.send(CTRL_C);
    chat.send(CTRL_C);
    assert!(chat.wait_for_end().success());
    chat.assert_given_back();
}

#[test]
fn a_real_chat_that_is_resumed_finds_what_was_computed_of_it() {
    let Some(model) = std::env::var_os("TUICHAT_TEST_MODEL") else {
        eprintln!("skipped: TUICHAT_TEST_MODEL names no model; type `make test`");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let run = |more: &[&str]| {
        let mut command = program(home.path());
        command.args(["--ctx", "2048", "--temp", "0", "--max-tokens", "8", "--snapshots", "1G", "-m"]);
        command.arg(&model);
        command.args(more);
        Pty::run(command, 100, 24)
    };
    let mut first = run(&[]);
    first.wait_for("idle");
    first.send(&format!("{}What did I repeat?\r", "I like long walks in the rain. ".repeat(10)));
    first.wait_for("ended at the limit");
    leave(&mut first);
    assert_eq!(std::fs::read_dir(home.path().join("cache/kv")).unwrap().count(), 1);

    let mut again = run(&["--resume"]);
    again.wait_for("ended at the limit");
    again.wait_for("idle");
    again.send(F3);
    let screen = again.wait_for("in all");
    let line = screen.lines().find(|line| line.contains("in all")).unwrap();
    let numbers: Vec<u32> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(matches!(numbers[..], [all, cached] if all > 90 && cached + 20 > all), "{screen}");
    again.send(ESCAPE);
    again.wait_until("the chat again", |screen| !screen.contains("in all"));
    leave(&mut again);
    again.assert_given_back();
}

#[test]
fn a_real_model_is_asked_stopped_and_left() {
    let Some(model) = std::env::var_os("TUICHAT_TEST_MODEL") else {
        println!("skipped: `make test` sets TUICHAT_TEST_MODEL to a real model");
        return;
    };
    let home = tempfile::tempdir().unwrap();
    let mut command = program(home.path());
    command.args(["--temp", "0", "-m"]);
    command.arg(model);
    let mut chat = Pty::run(command, 80, 24);
    chat.wait_for("idle");
    chat.send("Write a very long story about a lighthouse and its keeper.\r");
    let early = chat.wait_until("words of an answer in progress", |screen| {
        screen.contains("tok/s") && screen.contains("answering") && screen.contains("lighthouse and its keeper.\n\n")
    });
    chat.wait_until("more words", |screen| screen.contains("answering") && screen.len() > early.len() + 40);
    chat.send(ESCAPE);
    chat.wait_for("· stopped");
    leave(&mut chat);
    chat.assert_given_back();
}

#[test]
fn a_serial_line_that_has_no_size_gets_the_usual_one() {
    let home = home("[[answer]]\ntext = \"the reply\"\n");
    let mut command = program(home.path());
    command.args(arguments(home.path()));
    let mut chat = Pty::run_claiming(pty::size(0, 0), command, 80, 24);
    chat.wait_for("idle");
    chat.send("Hello\r");
    chat.wait_for("the reply");
    leave(&mut chat);
}

/// A chat of two turns. After the second the first question has left the cache, and its answer in part.
const EVICTING: &str = r#"
cells = 20
policy = "score"
[[answer]]
text = "The king lost his horse"
[[answer]]
text = "His horse"
evicted = [5, 2, 0, 0]
recalled = [{ message = 0, role = "user", text = "What did the king lose?" }]
"#;

#[test]
fn what_leaves_the_cache_is_marked_and_a_pin_outlives_the_program() {
    let home = home(EVICTING);
    let mut first = chat(home.path());
    first.wait_for("idle");
    first.send("What did the king lose?\r");
    first.wait_for("The king lost his horse");
    first.wait_for("idle");
    first.send("Say it again\r");
    let screen = first.wait_for("7 tokens left the cache");
    let marked =
        "┊›What did the king lose?\n\n│ The king lost his horse\n\n› Say it again\n  ▸ recalled 1 passage (Ctrl-T";
    assert!(screen.contains(marked), "{screen}");
    first.send("/pin\r");
    first.wait_for("message 3 is pinned");
    first.send("/context\r");
    let screen = first.wait_for("pinned: Say it again");
    assert!(screen.contains("┊  1 user            5       0        5  What did the king lose?"), "{screen}");
    first.send(ESCAPE);
    first.wait_until("the chat", |screen| !screen.contains("template"));
    leave(&mut first);

    let mut second = chat_with(home.path(), &["--resume", "last"]);
    let screen = second.wait_for("┃›Say it again");
    assert!(screen.starts_with("› What did the king lose?") && !screen.contains("recalled"), "{screen}");
    second.send("/unpin 3\r");
    second.wait_for("\n› Say it again");
    leave(&mut second);
}

const SHIFT_TAB: &str = "\x1b[Z";
const LEFT: &str = "\x1b[D";

#[test]
fn an_edited_question_is_a_branch_that_one_can_leave_and_find_again_after_a_restart() {
    let home = home("[[answer]]\ntext = \"The first answer.\"\n[[answer]]\ntext = \"Quite another one.\"\n");
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send("What is a tree?\r");
    chat.wait_for("The first answer.");
    chat.send("a draft");
    chat.wait_for("› a draft");
    chat.send(SHIFT_TAB);
    chat.wait_for("y copy");
    chat.send("ke");
    let screen = chat.wait_for("editing message 1");
    assert!(!screen.contains("› a draft"), "{screen}");
    chat.send(" A graph?\r");
    let screen = chat.wait_for("Quite another one.");
    assert!(screen.contains("› What is a tree? A graph?") && screen.contains("‹ 2/2 ›"), "{screen}");
    assert!(screen.contains("› a draft"), "what was being written is back: {screen}");
    chat.send(SHIFT_TAB);
    chat.wait_for("y copy");
    chat.send("k");
    chat.wait_for("▌ ‹ 2/2 ›");
    chat.send(LEFT);
    let screen = chat.wait_for("The first answer.");
    assert!(screen.contains("‹ 1/2 ›") && !screen.contains("A graph?"), "{screen}");
    // The clipboard is told in base64.
    chat.send("y");
    chat.wait_for("copied the question (15 bytes) through the terminal");
    let told = b"\x1b]52;c;V2hhdCBpcyBhIHRyZWU/\x07";
    assert!(chat.bytes().windows(told.len()).any(|bytes| bytes == told));
    chat.send(ESCAPE);
    chat.wait_for("Enter sends");
    leave(&mut chat);

    let mut chat = chat_with(home.path(), &["--resume"]);
    let screen = chat.wait_for("The first answer.");
    assert!(screen.contains("‹ 1/2 ›") && !screen.contains("A graph?"), "{screen}");
    leave(&mut chat);
}

#[test]
fn the_theme_follows_what_the_terminal_replies_and_no_key_is_lost_by_it() {
    const QUERY: &str = "\x1b]11;?\x1b\\";
    let home = home("");
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    let asked = |chat: &Pty| String::from_utf8_lossy(&chat.bytes()).matches(QUERY).count();
    assert_eq!(asked(&chat), 1);
    let before = chat.bytes().len();
    // Keys before it, in the middle of its way, and behind it; Alt-] is a key of a person, too.
    chat.send("ab\x1b]11;rgb:ffff/ffff/f0f0\x1b\\cd\x1b]e");
    chat.wait_for("› abcde");
    chat.send("\x1b");
    std::thread::sleep(Duration::from_millis(200));
    let screen = chat.screen();
    assert!(!screen.contains("rgb") && !screen.contains("11;"), "{screen}");
    let repainted = chat.bytes().len() - before;
    assert!(repainted > 200, "the other colours are drawn: {repainted} bytes");
    leave(&mut chat);
}
