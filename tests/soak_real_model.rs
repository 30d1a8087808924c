//! A long time with a real model, as a hurried person spends it: asked, stopped, asked again, in a window that changes
//! its size, suspended, with other chats, models and downloads, and killed. No message is lost, nothing breaks, and
//! memory does not grow. An hour by itself, `TUICHAT_SOAK_SECONDS` less; needs `TUICHAT_TEST_MODEL` (see `make soak`).
#![cfg(unix)]

mod common;
#[allow(dead_code)]
#[path = "common/pty.rs"]
mod pty;

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::hub_server::{FILE, HubServer, REPOSITORY};
use common::program::Home;
use common::real_models::test_model;
use common::tiny_gguf::TinyModel;
use portable_pty::CommandBuilder;
use pty::Pty;
use rustix::process::Signal;
use tuichat::chat::Role;
use tuichat::store::Store;

const QUESTIONS: &[&str] = &[
    "Name three rivers.",
    "What is a prime number?",
    "Write a long story about a lighthouse.",
    "Count from one to two hundred.",
    "Explain rain to a child, with a list.",
    "Write a Rust function that adds two numbers.",
    "And why?",
];

/// What a person does, and how often of a hundred times.
const DEEDS: &[(Deed, u8)] = &[
    (Deed::Ask, 30),
    (Deed::Stop, 15),
    (Deed::Again, 8),
    (Deed::GoOn, 4),
    (Deed::Undo, 3),
    (Deed::Pin, 2),
    (Deed::Resize, 12),
    (Deed::Suspend, 4),
    (Deed::NewChat, 4),
    (Deed::OldChat, 8),
    (Deed::OtherModel, 4),
    (Deed::Pull, 3),
    (Deed::Attach, 3),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Deed {
    Ask,
    Stop,
    Again,
    GoOn,
    Undo,
    Pin,
    Resize,
    Suspend,
    NewChat,
    OldChat,
    OtherModel,
    Pull,
    Attach,
    Kill,
}

/// A chat with the real model, and everything around it.
struct Soak {
    home: Home,
    hub: HubServer,
    /// The model under two names.
    models: [PathBuf; 2],
    chat: Pty,
    random: fastrand::Rng,
    done: BTreeMap<Deed, u32>,
    /// Questions that were on disk when it was last looked.
    kept: usize,
}

fn program(home: &Home, hub: &HubServer, model: &Path, more: &[&str]) -> Pty {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tuichat"));
    for (name, _) in std::env::vars_os() {
        if ["HF_", "XDG_", "OLLAMA_", "LLAMA_", "TUICHAT_"]
            .iter()
            .any(|prefix| name.to_string_lossy().starts_with(prefix))
        {
            command.env_remove(name);
        }
    }
    command.env("TUICHAT_HOME", home.path("home"));
    command.env("HF_ENDPOINT", hub.endpoint());
    command.cwd(home.folder.path());
    command.args(["--ctx", "1024", "--max-tokens", "150", "-m"]);
    command.arg(model);
    command.args(more);
    Pty::run(command, 100, 30)
}

impl Soak {
    fn new(model: &Path, seed: u64) -> Self {
        let home = Home::new();
        let models = ["one.gguf", "two.gguf"].map(|name| home.path(name));
        models.iter().for_each(|link| symlink(model, link).unwrap());
        home.write("notes.txt", "The code is 4711. ".repeat(60));
        // So slow that who does something else meanwhile interrupts it.
        let content = TinyModel::default().bytes();
        let speed = content.len() / 4;
        let hub = HubServer::start(content).slowly(speed);
        let chat = program(&home, &hub, &models[0], &[]);
        let mut soak =
            Self { home, hub, models, chat, random: fastrand::Rng::with_seed(seed), done: BTreeMap::new(), kept: 0 };
        soak.settle();
        soak
    }

    /// A command or a message, whatever was open or written before.
    fn line(&mut self, text: &str) {
        // What comes at once behind Escape would be another key.
        self.keys("\x1b");
        self.wait(60);
        self.clear();
        self.keys(text);
        self.wait(60);
        // The first closes a menu of files or settings where one is open.
        self.keys("\r");
    }

    /// Takes out what is written: messages that waited come back into the text field, a line or more each.
    fn clear(&mut self) {
        self.keys(&"\x15\x7f".repeat(30));
    }

    fn keys(&mut self, keys: &str) {
        let _ = self.chat.try_send(keys);
    }

    fn wait(&self, milliseconds: u64) {
        std::thread::sleep(Duration::from_millis(milliseconds));
    }

    /// What is done next.
    fn draw(&mut self, may_kill: bool) -> Deed {
        let mut drawn = self.random.u8(..100);
        let chosen = DEEDS.iter().find(|(_, times)| {
            let is_it = drawn < *times;
            drawn = drawn.saturating_sub(*times);
            is_it
        });
        if may_kill && self.random.u8(..100) < 2 {
            return Deed::Kill;
        }
        chosen.map_or(Deed::Ask, |(deed, _)| *deed)
    }

    fn act(&mut self, may_kill: bool) {
        let deed = self.draw(may_kill);
        *self.done.entry(deed).or_default() += 1;
        match deed {
            Deed::Ask => {
                let question = *self.random.choice(QUESTIONS).unwrap();
                // Not `line`, whose Escape would stop the answer before.
                self.clear();
                self.keys(question);
                self.keys("\r");
            }
            Deed::Stop => self.keys("\x1b"),
            Deed::Again => self.line("/retry"),
            Deed::GoOn => self.line("/continue"),
            Deed::Undo => self.line("/undo"),
            Deed::Pin => self.line("/pin"),
            Deed::Resize => self.chat.resize(self.random.u16(5..180), self.random.u16(3..50)),
            Deed::Suspend => {
                self.chat.signal(Signal::TSTP);
                self.wait(300);
                self.chat.signal(Signal::CONT);
            }
            Deed::NewChat => self.line("/new"),
            Deed::OldChat => {
                let number = self.random.u8(1..20);
                self.line(&format!("/resume {number}"));
            }
            Deed::OtherModel => {
                let model = self.random.choice(&self.models).unwrap().display().to_string();
                self.line(&format!("/model {model}"));
            }
            Deed::Pull => {
                // So that there is something to pull.
                self.home.run(&["models", "rm", FILE.trim_end_matches(".gguf")]);
                self.line(&format!("/model hf:{REPOSITORY}/{FILE}"));
                self.wait(1000);
                self.keys("\r");
                let until = self.random.u64(500..8000);
                self.wait(until);
            }
            Deed::Attach => {
                self.line("/attach notes.txt");
                self.keys("What is the code?\r");
            }
            Deed::Kill => {
                self.chat.signal(Signal::KILL);
                self.chat.wait_for_end();
                self.check_disk();
                let again = if self.random.bool() { &["--resume"][..] } else { &[] };
                self.chat = program(&self.home, &self.hub, &self.models[0], again);
                self.wait(2000);
            }
        }
        assert!(self.chat.ended().is_none(), "ended after {deed:?}; {:?}\n{}", self.done, self.chat.screen());
    }

    /// Nothing is under way, in a new chat with the first model.
    fn settle(&mut self) {
        self.chat.resize(100, 30);
        // Each takes one message back that waits, and the last one stops the answer.
        for _ in 0..20 {
            self.keys("\x1b");
            self.wait(200);
        }
        let model = self.models[0].display().to_string();
        self.line(&format!("/model {model}"));
        self.wait(1500);
        self.line("/new");
        let is_settled = |screen: &str| screen.lines().next_back().is_some_and(|line| line.starts_with(" idle"));
        self.chat.wait_until("an idle chat", is_settled);
    }

    /// The database is sound, and no question that was in it is gone: nothing here deletes any.
    fn check_disk(&mut self) {
        let path = self.home.path("home/data/chats.db");
        let connection = rusqlite::Connection::open(&path).unwrap();
        let verdict: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(verdict, "ok");
        drop(connection);
        let store = Store::open(&path).unwrap();
        let chats = store.chats(usize::MAX).unwrap();
        let messages = chats.iter().flat_map(|chat| store.tree(chat.id).unwrap().messages);
        let kept = messages.filter(|message| message.role == Role::User).count();
        assert!(kept >= self.kept, "{kept} questions are left of {}", self.kept);
        self.kept = kept;
    }
}

/// Memory of its own in KiB: not the pages of the model's file, which the system may take back.
fn own_memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
#[ignore = "takes an hour"]
fn an_hour_of_asking_stopping_switching_pulling_and_killing_loses_nothing_and_memory_stays_flat() {
    let Some(model) = test_model() else { return };
    let time = Duration::from_secs(setting("TUICHAT_SOAK_SECONDS", 3600));
    let seed = setting("TUICHAT_SOAK_SEED", 1);
    let mut soak = Soak::new(&model, seed);
    let started = Instant::now();
    let (mut minute, mut sizes) = (0, Vec::new());
    while started.elapsed() < time {
        // A killed program begins its memory anew, so that comes first, and leaves time to use everything once.
        soak.act(started.elapsed() < time / 8);
        let pause = soak.random.u64(50..3000);
        soak.wait(pause);
        let now = started.elapsed().as_secs() / 60;
        if now > minute {
            minute = now;
            soak.settle();
            soak.chat.forget_bytes();
            soak.check_disk();
            sizes.push(own_memory(soak.chat.process()));
            println!("minute {minute}: {:?}, {} questions kept, {} KiB", soak.done, soak.kept, sizes[sizes.len() - 1]);
        }
    }
    println!("seed {seed}: {:?}, {} questions kept, sizes {sizes:?} KiB", soak.done, soak.kept);
    soak.settle();
    soak.keys("\x03");
    soak.chat.wait_for("press Ctrl-C again to leave");
    soak.keys("\x03");
    assert!(soak.chat.wait_for_end().success());
    soak.chat.assert_given_back();
    soak.check_disk();
    let least = |part: &[u64]| part.iter().copied().min();
    let quarter = sizes.len() / 4;
    if let (Some(settled), Some(size)) = (least(&sizes[quarter..2 * quarter]), least(&sizes[3 * quarter..])) {
        println!("least in the second quarter {settled} KiB, in the last {size} KiB");
        assert!(size < settled + settled / 20, "grown from {settled} to {size} KiB");
    }
}
