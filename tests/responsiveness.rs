//! The chat under load in a real pseudo-terminal: keys while an answer streams, long chats, slow lines, windows that
//! change. What is timed is `#[ignore]`d: on a quiet machine
//! `cargo test --release --test responsiveness -- --ignored --nocapture --test-threads 1` prints the figures and holds
//! them to their budgets.
#![cfg(unix)]

#[path = "common/pty.rs"]
#[allow(dead_code)]
mod pty;

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, native_pty_system};
use pty::{Pty, size};
use tempfile::TempDir;
use tuichat::chat::{Ended, Role};
use tuichat::store::{Store, StoredMessage};

const CTRL_C: &str = "\x03";
const CTRL_U: &str = "\x15";

/// An answer of so many words, one every 10 ms, in paragraphs with a list and code: 100 tokens per second.
fn script(words: usize) -> String {
    let mut text = String::new();
    for word in 1..=words {
        let _ = match word % 120 {
            0 => write!(text, "word{word}\n\n"),
            40 => write!(text, "word{word}\n\n```rust\nlet "),
            60 => write!(text, "word{word};\n```\n\n- one "),
            80 => write!(text, "word{word}\n- two "),
            100 => write!(text, "word{word}\n\n"),
            _ => write!(text, "word{word} "),
        };
    }
    format!("token_ms = 10\n[[answer]]\ntext = \"\"\"\n{text}\"\"\"\n")
}

fn home(script: &str) -> TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("script.toml"), script).unwrap();
    home
}

fn program(home: &Path, more: &[&str]) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tuichat"));
    command.env("TUICHAT_HOME", home);
    command.cwd(home);
    command.args(["--engine", &format!("scripted:{}", home.join("script.toml").display()), "-m", "x.gguf"]);
    command.args(more);
    command
}

fn chat(home: &Path) -> Pty {
    Pty::run(program(home, &[]), 80, 24)
}

fn leave(chat: &mut Pty) {
    chat.send(CTRL_C);
    chat.wait_for("press Ctrl-C again to leave");
    chat.send(CTRL_C);
    assert!(chat.wait_for_end().success());
    chat.assert_given_back();
}

/// The last answer on disk.
fn last_answer(home: &Path) -> Option<StoredMessage> {
    let store = Store::open(&home.join("data").join("chats.db")).ok()?;
    let branch = store.branch(store.last_chat().ok()??).ok()?;
    branch.into_iter().next_back().filter(|message| message.role == Role::Assistant)
}

#[test]
fn a_window_that_changes_two_thousand_times_costs_no_word_of_an_answer() {
    let home = home(&script(900));
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send("Count\r");
    chat.wait_for("word9");
    let mut random = fastrand::Rng::with_seed(8);
    for _ in 0..2000 {
        chat.resize(random.u16(1..220), random.u16(1..70));
        std::thread::sleep(Duration::from_millis(3));
    }
    chat.resize(100, 30);
    chat.wait_until("the whole answer", |screen| screen.contains("word900") && screen.contains("idle"));
    leave(&mut chat);
    let answer = last_answer(home.path()).unwrap();
    assert_eq!(answer.ended, Some(Ended::Stop));
    assert!((1..=900).all(|word| answer.text.contains(&format!("word{word}"))));
}

/// How often the loop of a program went to sleep, and so was woken.
#[cfg(target_os = "linux")]
fn sleeps(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/task/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    line.trim().parse().unwrap()
}

#[test]
#[cfg(target_os = "linux")]
fn an_answer_wakes_the_loop_for_its_frames_and_not_for_its_tokens() {
    let home = home(&script(2000).replace("token_ms = 10", "token_ms = 2"));
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send("Count\r");
    let shown =
        |screen: &str| screen.rsplit("word").next()?.split(|it: char| !it.is_ascii_digit()).next()?.parse::<u64>().ok();
    let first =
        shown(&chat.wait_until("the first words", |screen| shown(screen).is_some_and(|word| word > 100))).unwrap();
    let before = sleeps(chat.process());
    let last = shown(&chat.wait_until("many more", |screen| shown(screen).is_some_and(|word| word > 1500))).unwrap();
    let (words, woken) = (last - first, sleeps(chat.process()) - before);
    assert!(woken * 2 < words, "{words} words woke it {woken} times");
    chat.wait_for("idle");
    leave(&mut chat);
}

/// A terminal at the end of a line that carries so many bytes a second.
fn slow_terminal(command: CommandBuilder, bytes_per_second: usize) -> (Box<dyn std::io::Write + Send>, impl Drop) {
    struct End {
        program: Box<dyn portable_pty::Child + Send + Sync>,
        /// The program is hung up when this is dropped.
        _terminal: Box<dyn portable_pty::MasterPty + Send>,
    }
    impl Drop for End {
        fn drop(&mut self) {
            let _ = self.program.kill();
        }
    }
    let pair = native_pty_system().openpty(size(80, 24)).unwrap();
    let program = pair.slave.spawn_command(command).unwrap();
    let mut reader = pair.master.try_clone_reader().unwrap();
    // Keys that come before the program has the terminal are the shell's.
    let mut first = [0; 64];
    reader.read_exact(&mut first).unwrap();
    std::thread::spawn(move || {
        let mut buffer = vec![0; bytes_per_second / 20];
        while let Ok(1..) = reader.read(&mut buffer) {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    (pair.master.take_writer().unwrap(), End { program, _terminal: pair.master })
}

#[test]
fn a_terminal_of_a_kilobyte_a_second_does_not_slow_the_engine_nor_what_is_saved() {
    let home = home(&script(600));
    let mut command = program(home.path(), &[]);
    command.env("TERM", "xterm-256color");
    let (mut keys, _end) = slow_terminal(command, 1000);
    keys.write_all(b"Count\r").unwrap();
    // 600 tokens at 10 ms each, and the frame that stands in the way at the start.
    let end = Instant::now() + Duration::from_secs(30);
    let mut longest = Duration::ZERO;
    let mut grown = (Instant::now(), 0);
    let answer = loop {
        assert!(Instant::now() < end, "the answer is not on disk");
        let answer = last_answer(home.path());
        let length = answer.as_ref().map_or(0, |answer| answer.text.len());
        if length > grown.1 {
            if grown.1 > 0 {
                longest = longest.max(grown.0.elapsed());
            }
            grown = (Instant::now(), length);
        }
        match answer {
            Some(answer) if answer.ended.is_some() => break answer,
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let speed = answer.stats.unwrap().decode_tokens_per_second().unwrap();
    println!("{speed:.1} tokens per second; saved at least every {longest:?}");
    assert!(speed > 50.0, "{speed}");
    assert!(longest < Duration::from_secs(4), "{longest:?}");
}

/// Processor time that a program has used, of all its threads.
fn processor_time(process: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// Processor time of all threads but the engine's, which plays a model here.
fn interface_time(process: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).unwrap().map(|thread| thread.unwrap().path());
    let of_interface = threads.filter(|thread| std::fs::read_to_string(thread.join("comm")).unwrap() != "engine\n");
    let nanoseconds = |thread: PathBuf| -> u64 {
        let statistics = std::fs::read_to_string(thread.join("schedstat")).unwrap();
        statistics.split_whitespace().next().unwrap().parse().unwrap()
    };
    Duration::from_nanos(of_interface.map(nanoseconds).sum())
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[test]
#[ignore = "times what a quiet machine does"]
fn a_key_is_on_the_screen_within_a_frame_while_an_answer_streams() {
    let home = home(&script(6000));
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    chat.send("Count\r");
    chat.wait_for("word9");
    let mut random = fastrand::Rng::with_seed(3);
    let mut written = String::new();
    let mut waits = Vec::new();
    let started = Instant::now();
    let before = processor_time(chat.process());
    for _ in 0..500 {
        std::thread::sleep(Duration::from_millis(random.u64(40..90)));
        if written.len() >= 40 {
            chat.send(CTRL_U);
            chat.wait_until("an empty composer", |screen| !screen.contains(&written));
            written.clear();
        }
        // No word of the answer.
        written.push(char::from(random.u8(b'A'..=b'Z')));
        let sent = Instant::now();
        chat.send(&written[written.len() - 1..]);
        chat.wait_until(&written, |screen| screen.lines().any(|line| line.trim_end().ends_with(&written)));
        waits.push(sent.elapsed());
    }
    let used = processor_time(chat.process()) - before;
    let share = used.as_secs_f64() / started.elapsed().as_secs_f64();
    assert!(chat.screen().contains("answering"), "the answer ended too early");
    waits.sort_unstable();
    let [median, p99, most] = [waits[250], waits[494], waits[499]].map(milliseconds);
    println!(
        "key to screen: median {median:.1} ms, p99 {p99:.1} ms, most {most:.1} ms; processor {:.1} %",
        share * 100.0
    );
    assert!(p99 <= 33.0);
}

#[test]
#[ignore = "times what a quiet machine does"]
fn the_interface_takes_under_two_hundredths_of_a_core_while_an_answer_streams_and_nothing_when_idle() {
    let home = home(&script(4000));
    let mut chat = chat(home.path());
    chat.wait_for("idle");
    std::thread::sleep(Duration::from_secs(1));
    let idle = processor_time(chat.process());
    let bytes = chat.bytes().len();
    std::thread::sleep(Duration::from_secs(5));
    assert_eq!(chat.bytes().len(), bytes, "something was drawn though nothing happened");
    let idle = processor_time(chat.process()) - idle;
    chat.send("Count\r");
    for part in ["the beginning", "the end"] {
        std::thread::sleep(Duration::from_secs(3));
        let before = interface_time(chat.process());
        std::thread::sleep(Duration::from_secs(15));
        let share = (interface_time(chat.process()) - before).as_secs_f64() / 15.0;
        println!("{part}: {:.2} % of a core at 100 tokens per second; idle {idle:?} in 5 s", share * 100.0);
        assert!(share < 0.02, "{share}");
    }
}

#[test]
#[ignore = "times what a quiet machine does"]
fn a_chat_of_ten_thousand_messages_is_open_at_once_and_scrolls_as_any_other() {
    let home = home("");
    std::fs::create_dir_all(home.path().join("data")).unwrap();
    let mut store = Store::open(&home.path().join("data").join("chats.db")).unwrap();
    let chat = store.create_chat("Long", None).unwrap();
    let mut parent = None;
    for number in 1..=10_000 {
        let role = if number % 2 == 1 { Role::User } else { Role::Assistant };
        let text = format!("message {number}: {}", "some words of **Markdown** and `code`. ".repeat(5));
        parent = Some(store.add_message(chat, parent, role, &text).unwrap());
    }
    drop(store);
    let mut opened = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        let mut chat = Pty::run(program(home.path(), &["--resume"]), 80, 24);
        chat.wait_for("message 10000:");
        opened.push(milliseconds(started.elapsed()));
        leave(&mut chat);
    }
    opened.sort_by(f64::total_cmp);
    let mut chat = Pty::run(program(home.path(), &["--resume"]), 80, 24);
    chat.wait_for("message 10000:");
    let mut waits = Vec::new();
    for _ in 0..50 {
        let before = chat.screen();
        let sent = Instant::now();
        chat.send("\x1b[5~");
        chat.wait_until("another page", |screen| screen != before);
        waits.push(milliseconds(sent.elapsed()));
    }
    let sent = Instant::now();
    chat.send("\x1b[1;5H");
    chat.wait_for("message 1:");
    let to_the_top = milliseconds(sent.elapsed());
    waits.sort_by(f64::total_cmp);
    println!(
        "program started to chat open: {opened:.0?} ms; a page up: median {:.1} ms, p98 {:.1} ms; to the first message: {to_the_top:.1} ms",
        waits[25], waits[48]
    );
    assert!(opened[2] <= 200.0, "{opened:?}");
    assert!(waits[48] <= 33.0 && to_the_top <= 33.0);
}
