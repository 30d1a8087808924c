//! Random keys for a long time, with a scripted engine: nothing panics, and memory does not grow. An hour by itself;
//! `TUICHAT_SOAK_SECONDS=60 cargo test --release --test soak -- --ignored --nocapture` takes a minute, and
//! `TUICHAT_SOAK_SEED` other keys.
#![cfg(unix)]

#[path = "common/pty.rs"]
#[allow(dead_code)]
mod pty;

use std::path::Path;
use std::time::{Duration, Instant};

use portable_pty::CommandBuilder;
use pty::Pty;
use rustix::process::Signal;

/// Keys that are neither text nor lead out of the program at once.
const KEYS: &[&str] = &[
    "\r",
    "\r",
    "\n",
    "\x1b\r",
    "\x1b",
    "\x1b",
    "\x1b",
    "\t",
    "\x1b[Z",
    "\x7f",
    "\x1b[3~",
    "\x1b[A",
    "\x1b[B",
    "\x1b[C",
    "\x1b[D",
    "\x1b[1;2A",
    "\x1b[1;2B",
    "\x1b[1;3A",
    "\x1b[1;3B",
    "\x1b[1;5A",
    "\x1b[1;5B",
    "\x1b[1;5C",
    "\x1b[1;5D",
    "\x1b[5~",
    "\x1b[6~",
    "\x1b[H",
    "\x1b[F",
    "\x1b[1;5H",
    "\x1b[1;5F",
    "\x1bOP",
    "\x1bOQ",
    "\x1bOR",
    "\x1bOS",
    "\x1bb",
    "\x1bf",
    "\x1bd",
    "\x1b/",
    "\x1b\x7f",
    "\x1b[<64;3;3M",
    "\x1b[<65;3;3M",
    "\x1b[200~pasted\rtext\x1b[201~",
];
/// Ctrl with these letters; not C, D and Z, which leave or stop the program.
const CONTROLS: &[u8] = b"abefghijklmnopqrstuvwxy_";
const TEXTS: &[&str] =
    &["a", "b", " ", "word ", "é", "漢字", "👩‍👩‍👧", "e\u{301}", "@", "/", "?", "1", "y", "n", "e", "r", "d", "f", "q"];
/// Of the commands, with what may stand behind them. `/quit` leaves.
const COMMANDS: &[&str] = &[
    "new",
    "new",
    "resume",
    "resume 1",
    "rename Soaked",
    "fork",
    "undo",
    "retry",
    "continue",
    "edit",
    "copy",
    "copy code",
    "export",
    "system Be brief",
    "prompt",
    "model",
    "set",
    "set temp 0.5",
    "context",
    "pin",
    "unpin",
    "drop",
    "attach script.toml",
    "think",
    "spec",
    "kv",
    "stats",
    "theme mono",
    "theme light",
    "theme dark",
    "help",
    "nothing",
];

const SCRIPT: &str = r#"
token_ms = 10
prefill_ms = 20
[[answer]]
text = """
# A heading

Some *words* with `code`, a [link](https://example.org) and $x^2$.

| Left | Right |
|---|---:|
| one | 1 |
| two words | 2 |

```rust
fn main() {
    println!("{}", 1 + 1);
}
```

- one
  - two
1. three

> A quote, 漢字 and 👩‍👩‍👧.
"""
[[answer]]
text = "A short answer."
[[answer]]
text = "<b>No</b> \\[\\frac{a}{b}\\] | a | b |\n|-|\n**open `and ```never closed"
ended = "length"
[[answer]]
text = "It fails here."
ended = "error"
"#;

fn program(home: &Path) -> CommandBuilder {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tuichat"));
    command.env("TUICHAT_HOME", home);
    command.env("EDITOR", "true");
    command.env("VISUAL", "true");
    command.cwd(home);
    command.args(["--engine", &format!("scripted:{}", home.join("script.toml").display()), "-m", "x.gguf"]);
    command
}

/// Resident memory in KiB.
fn resident(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Something a person may do, in bytes.
fn keys(random: &mut fastrand::Rng) -> String {
    match random.u8(..100) {
        0..45 => random.choice(TEXTS).copied().unwrap_or_default().to_owned(),
        45..80 => random.choice(KEYS).copied().unwrap_or_default().to_owned(),
        80..90 => char::from(random.choice(CONTROLS).copied().unwrap_or(b'a') & 0x1f).to_string(),
        90..96 => format!("\x15/{}\r", random.choice(COMMANDS).copied().unwrap_or_default()),
        96..98 => "\x1b\x1b\x15Tell me more\r".to_owned(),
        _ => format!("\x1b[200~{}\x1b[201~", "line of a paste\r".repeat(random.usize(1..40))),
    }
}

/// Does something to the chat. What was typed last is kept.
fn act(chat: &mut Pty, random: &mut fastrand::Rng, last: &mut Vec<String>) {
    match random.u16(..1000) {
        0..4 => chat.resize(random.u16(2..200), random.u16(2..60)),
        4 => {
            chat.signal(Signal::STOP);
            chat.signal(Signal::CONT);
        }
        _ => {
            let keys = keys(random);
            // The program may just have ended.
            let _ = chat.try_send(&keys);
            last.push(keys);
            let surplus = last.len().saturating_sub(40);
            last.drain(..surplus);
        }
    }
}

/// What an empty chat takes, in KiB: keys that paste what they cut make messages of any length.
fn size_when_empty(chat: &mut Pty) -> u64 {
    let _ = chat.try_send("\x1b\x1b\x1b\x03");
    std::thread::sleep(Duration::from_millis(2500));
    let _ = chat.try_send("\x15/new\r");
    std::thread::sleep(Duration::from_millis(1500));
    resident(chat.process()).unwrap_or(0)
}

/// In the first quarter everything is used once. An answer may be in progress when a size is taken.
fn assert_settled(sizes: &[u64]) {
    let least = |part: &[u64]| part.iter().copied().min();
    let quarter = sizes.len() / 4;
    if let (Some(settled), Some(size)) = (least(&sizes[quarter..2 * quarter]), least(&sizes[3 * quarter..])) {
        println!("least in the second quarter {settled} KiB, in the last {size} KiB");
        assert!(size < settled + settled / 20, "grown from {settled} to {size} KiB");
    }
}

#[test]
#[ignore = "takes an hour"]
fn random_keys_for_an_hour_neither_break_the_chat_nor_make_it_grow() {
    let time = Duration::from_secs(setting("TUICHAT_SOAK_SECONDS", 3600));
    let seed = setting("TUICHAT_SOAK_SEED", 1);
    let mut random = fastrand::Rng::with_seed(seed);
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("script.toml"), SCRIPT).unwrap();
    let mut chat = Pty::run(program(home.path()), 80, 24);
    chat.wait_for("idle");
    let started = Instant::now();
    let (mut count, mut starts, mut minute) = (0u64, 1, 0);
    let mut sizes = Vec::new();
    let mut last = Vec::new();
    while started.elapsed() < time {
        if let Some(status) = chat.ended() {
            assert!(status.success(), "seed {seed}: ended after {last:?}: {status:?}\n{}", chat.screen());
            chat.assert_given_back();
            chat = Pty::run(program(home.path()), 80, 24);
            chat.wait_for("idle");
            starts += 1;
        }
        act(&mut chat, &mut random, &mut last);
        count += 1;
        std::thread::sleep(Duration::from_millis(random.u64(1..30)));
        let now = started.elapsed().as_secs() / 60;
        if now > minute {
            minute = now;
            chat.forget_bytes();
            let size = size_when_empty(&mut chat);
            sizes.push(size);
            println!("minute {minute}: {count} keys, {starts} starts, {size} KiB");
        }
    }
    println!("{count} keys, {starts} starts, sizes {sizes:?} KiB, seed {seed}");
    // A way out of whatever is open.
    chat.resize(80, 24);
    let _ = chat.try_send("\x1b\x1b\x1b\x15");
    let end = Instant::now() + Duration::from_secs(60);
    while chat.ended().is_none() {
        assert!(Instant::now() < end, "seed {seed}: the chat does not end after {last:?}\n{}", chat.screen());
        let _ = chat.try_send("\x03");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(chat.ended().is_some_and(|status| status.success()));
    chat.assert_given_back();
    assert_settled(&sizes);
}
