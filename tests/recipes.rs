//! The recipes of `docs/recipes.md`: the shell runs what is written there, with the small real model, and they do what they
//! are for.
#![cfg(unix)]

mod common;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::program::Home;
use common::real_models::test_model;
use serde_json::Value;

const DOCUMENT: &str = include_str!("../docs/recipes.md");
const RECIPES: [&str; 7] = [
    "A commit message from a diff",
    "A git hook",
    "An error explained",
    "A log in a few sentences",
    "JSON from a text",
    "A file translated",
    "Something every morning, by cron",
];
const LETTER: &str = "Dear Ann,\nwill you come to dinner on Friday? We begin at seven.\nYours, Ben\n";

/// The shell blocks below a heading.
fn blocks(recipe: &str) -> Vec<&'static str> {
    let (_, rest) = DOCUMENT.split_once(&format!("\n## {recipe}\n")).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect()
}

/// A folder to cook in, and the right to do so: two at once would slow each other down.
struct Kitchen {
    home: Home,
    model: std::path::PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl Kitchen {
    /// `None` where there is no model.
    fn new() -> Option<Self> {
        static TURN: Mutex<()> = Mutex::new(());
        let model = test_model()?;
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Self { home: Home::new(), model, _turn: turn })
    }

    /// What sh makes of a script, with `tuichat` in its path and no settings but the model and how to choose tokens.
    fn run(&self, script: &str) -> Output {
        let program = Path::new(env!("CARGO_BIN_EXE_tuichat"));
        let path = format!("{}:{}", program.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("TUICHAT_") || name.starts_with("GIT_") {
                shell.env_remove(&*name);
            }
        }
        shell.args(["-c", script]).env("PATH", path).env("HOME", self.home.path("person"));
        shell.env("TUICHAT_HOME", self.home.path("home")).env("TUICHAT_MODEL", &self.model);
        shell.env("TUICHAT_TEMP", "0").env("TUICHAT_MAX_TOKENS", "100").env("TUICHAT_DEVICE", "cpu");
        shell.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_EDITOR", "true");
        for who in ["AUTHOR", "COMMITTER"] {
            shell.env(format!("GIT_{who}_NAME"), "Ann").env(format!("GIT_{who}_EMAIL"), "ann@example.org");
        }
        shell.current_dir(self.home.folder.path()).stdin(Stdio::null()).output().unwrap()
    }

    /// What a script prints that succeeds.
    fn printed(&self, script: &str) -> String {
        let output = self.run(script);
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What all blocks of a recipe print together.
    fn cook(&self, recipe: &str) -> String {
        self.printed(&format!("set -e\n{}", blocks(recipe).join("\n")))
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.home.path(name)).unwrap()
    }

    fn stage_a_change(&self) {
        self.home.write("greet.sh", "#!/bin/sh\necho \"Hello, $1\"\n");
        self.printed("git init -q . && git add greet.sh");
    }

    fn write_log(&self) {
        let lines: String = (10..18)
            .map(|minute| format!("2026-03-04 07:{minute}:00 ERROR cannot reach the printer on floor {minute}\n"))
            .collect();
        self.home.write("app.log", format!("2026-03-04 07:09:00 INFO started\n{lines}"));
    }
}

fn assert_says_something(text: &str) {
    assert!(text.trim().chars().filter(|character| character.is_alphabetic()).count() > 5, "{text:?}");
}

#[test]
fn every_recipe_is_tested_here() {
    let headings: Vec<&str> = DOCUMENT.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    assert_eq!(headings, RECIPES);
    assert!(RECIPES.iter().all(|recipe| !blocks(recipe).is_empty()));
}

#[test]
fn a_diff_becomes_a_commit_message_and_the_hook_commits_with_one() {
    let Some(kitchen) = Kitchen::new() else { return };
    kitchen.stage_a_change();
    assert_says_something(&kitchen.cook(RECIPES[0]));
    kitchen.cook(RECIPES[1]);
    let message = kitchen.printed("git log -1 --format=%B");
    assert_says_something(&message);
    assert_eq!(message.trim().lines().count(), 1, "{message}");
    // A message of one's own is left alone, and a model that fails does not keep git from its work.
    let own = "git commit -q --allow-empty -m 'My own' && git log -1 --format=%s";
    assert_eq!(kitchen.printed(own), "My own\n");
    let failing =
        "TUICHAT_MODEL=no-such GIT_EDITOR='echo By hand >' git commit -q --allow-empty && git log -1 --format=%s";
    assert_eq!(kitchen.printed(failing), "By hand\n");
}

#[test]
fn an_error_is_explained() {
    let Some(kitchen) = Kitchen::new() else { return };
    kitchen.home.write("Makefile", "all: missing.c\n");
    assert_says_something(&kitchen.cook(RECIPES[2]));
}

#[test]
fn a_log_is_summarised_at_once_and_by_cron() {
    let Some(kitchen) = Kitchen::new() else { return };
    kitchen.write_log();
    assert_says_something(&kitchen.cook(RECIPES[3]));
    let printed = kitchen.cook(RECIPES[6]);
    assert_says_something(&printed);
    assert_eq!(kitchen.read("digest.txt"), printed);
    let output = kitchen.run("TUICHAT_MODEL=no-such ./digest.sh");
    assert!(!output.status.success() && output.stdout.is_empty() && !output.stderr.is_empty());
    assert_eq!(kitchen.read("digest.txt"), printed, "a result of before is kept");
}

#[test]
fn a_text_becomes_json_of_the_form_that_was_asked_for() {
    let Some(kitchen) = Kitchen::new() else { return };
    kitchen.home.write("letter.txt", LETTER);
    let printed = kitchen.cook(RECIPES[4]);
    let meeting: Value = serde_json::from_str(&kitchen.read("meeting.json")).unwrap();
    let keys: Vec<&String> = meeting.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["from", "to", "day"]);
    assert!(meeting["day"].as_str().unwrap().ends_with("day") && meeting["from"].is_string(), "{meeting}");
    let kinds = ["invitation", "complaint", "advertisement"].map(|kind| format!("letter.txt is {kind}\n"));
    assert!(kinds.contains(&printed), "{printed}");
}

#[test]
fn a_file_is_translated() {
    let Some(kitchen) = Kitchen::new() else { return };
    kitchen.home.write("brief.txt", "Bonjour, je m'appelle Marie. J'habite à Paris.\n");
    kitchen.cook(RECIPES[5]);
    assert_says_something(&kitchen.read("letter.txt"));
}
