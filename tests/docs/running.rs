//! What the guide and `tuichat help` have typed is run, as it stands there: in a home that has what it speaks of, with a tiny model, a server
//! and a hub on this machine. `tests/recipes.rs` runs `docs/recipes.md`, with a real model.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use portable_pty::CommandBuilder;

use super::common::program::Home;
use super::guide::{Call, Page, guide, help};
use super::pty::Pty;
use super::world::{METER, World};

const CTRL_D: &str = "\x04";
const RECIPES: &str = "docs/recipes.md";

/// What a call ends with where all is as it should be.
fn expected(call: &[String]) -> &'static [i32] {
    let has = |part: &str| call.iter().any(|word| word.contains(part));
    match () {
        // What tiny models say satisfies nobody.
        () if has("--schema") || has("--extract") => &[0, 7],
        // This build has none of it, and says so.
        () if has("rpc:") => &[2],
        // The catalogue knows the hash of its models, and this hub has others.
        () if call.starts_with(&["models".into(), "pull".into()]) && !has("hf:") => &[4],
        () => &[0],
    }
}

/// Whether it opens the chat.
fn is_chat(written: &Call) -> bool {
    let first = written.words.get(1).map_or("-", String::as_str);
    let asks = written.words.iter().any(|word| ["-p", "--prompt-name", "--help", "config"].contains(&word.as_str()));
    first.starts_with('-') && !asks && !written.is_piped && !written.words.iter().any(|word| word.contains("rpc:"))
}

/// Opens a chat in a terminal and leaves it. What went otherwise.
fn chat(home: &Home, call: &[String]) -> Option<String> {
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tuichat"));
    command.args(call);
    command.cwd(home.folder.path());
    command.env("TUICHAT_HOME", home.path("home"));
    let mut chat = Pty::run(command, 100, 30);
    chat.answer_where_the_cursor_is();
    let is_plain = call.iter().any(|word| word == "--plain");
    let screen = chat.wait_for(if is_plain { "You:" } else { "idle" });
    chat.send(CTRL_D);
    let ended = chat.wait_for_end();
    (!ended.success()).then(|| format!("{ended:?}\n{screen}\n{}", chat.screen()))
}

fn run(home: &Home, hub: &str, call: &[String], is_piped: bool) -> Option<String> {
    let mut command = home.command(&call.iter().map(String::as_str).collect::<Vec<_>>());
    // Other tests compute, too, and threads that spin while they wait keep both from it.
    command.env("OMP_WAIT_POLICY", "passive");
    command.env("HF_ENDPOINT", hub).env("HF_HOME", home.path("no-token"));
    for name in ["HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"] {
        command.env_remove(name);
    }
    let mut command = assert_cmd::Command::from_std(command);
    command.write_stdin(if is_piped { "Bread, and\nwine.\n" } else { "" }).timeout(Duration::from_secs(120));
    let output = std::thread::scope(|scope| {
        let (ends, has_ended) = mpsc::channel::<()>();
        if call.iter().any(|word| word == METER) {
            scope.spawn(move || measure(&home.path(METER), &has_ended));
        }
        let output = command.output().unwrap();
        drop(ends);
        output
    });
    let is_expected = output.status.code().is_some_and(|code| expected(call).contains(&code));
    (!is_expected).then(|| format!("{:?}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// What a meter does: it writes into its file, until nobody wants to know any more.
fn measure(file: &Path, has_ended: &mpsc::Receiver<()>) {
    let mut file = OpenOptions::new().append(true).open(file).unwrap();
    let began = Instant::now();
    while has_ended.recv_timeout(Duration::from_millis(100)) == Err(mpsc::RecvTimeoutError::Timeout) {
        writeln!(file, "{:.3},5.0", began.elapsed().as_secs_f64()).unwrap();
    }
}

#[test]
fn every_call_of_the_guide_does_what_it_is_for() {
    does_what_it_is_for(guide().into_iter().filter(|(name, _)| name != RECIPES).collect(), 120);
}

#[test]
fn every_call_of_a_help_does_what_it_is_for() {
    does_what_it_is_for(help(), 60);
}

/// Runs the calls of these pages, of which there are more than so many.
fn does_what_it_is_for(pages: Vec<(String, Page)>, least: usize) {
    let world = World::new();
    let calls: Vec<(&String, Call)> =
        pages.iter().flat_map(|(name, page)| page.calls().into_iter().map(move |call| (name, call))).collect();
    assert!(calls.len() > least, "only {} were found", calls.len());
    let (mut wrong, mut done) = (Vec::new(), BTreeSet::new());
    for (page, written) in &calls {
        if !done.insert(&written.words) {
            continue;
        }
        let home = world.copy();
        let mut call = at_home(&world.call(&written.words[1..]), &home.path("person"));
        if page.starts_with("assets/help/") && call.first().is_some_and(|it| it == "bench") {
            // The guide's calls measure.
            call.push("--dry-run".into());
        }
        let tried = std::panic::catch_unwind(|| match is_chat(written) {
            true => chat(&home, &call),
            false => run(&home, &world.hub(), &call, written.is_piped),
        });
        let problem = tried.unwrap_or_else(|panic| Some(panic.downcast_ref::<String>().cloned().unwrap_or_default()));
        wrong.extend(problem.map(|problem| format!("{page}: {call:?}: {problem}")));
    }
    assert!(wrong.is_empty(), "{} of {} calls:\n{}", wrong.len(), calls.len(), wrong.join("\n\n"));
}

/// The words with a person's folder for `~`, as a shell has it.
fn at_home(call: &[String], person: &Path) -> Vec<String> {
    let expanded = |word: &String| word.strip_prefix("~/").map(|rest| person.join(rest).display().to_string());
    call.iter().map(|word| expanded(word).unwrap_or_else(|| word.clone())).collect()
}
