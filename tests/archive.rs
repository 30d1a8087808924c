//! A later question about a text longer than the cache: what left for the first one comes back from the archive, with a
//! tiny model, and with a real one that answers.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::engine::{Running, greedy, prompt, settings};
use common::real_models::test_model;
use common::tiny_gguf::TinyModel;
use tempfile::TempDir;
use tuichat::chat::{Ended, Message, Role};
use tuichat::engine::SnapshotSettings;
use tuichat::engine::protocol::{ChatKey, Evict, Finish, KvSettings, LoadSettings, Step, Think, Work};

const CELLS: u32 = 512;

fn user(text: impl Into<String>) -> Message {
    Message::new(Role::User, text)
}

fn assistant(text: impl Into<String>) -> Message {
    Message::new(Role::Assistant, text)
}

/// A folder for what is kept, and a model.
struct Home {
    folder: TempDir,
    model: PathBuf,
}

impl Home {
    fn with(model: &Path) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), model: model.to_owned() }
    }

    fn tiny() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("tiny.gguf");
        TinyModel::default().context(4096).write(&model).unwrap();
        Self { folder, model }
    }

    /// Nothing is recalled, so that what is answered from was selected.
    fn settings(&self, cells: u32) -> LoadSettings {
        let snapshots = SnapshotSettings {
            folder: self.folder.path().join("kv"),
            most_bytes: Some(1 << 30),
            model_sha256: Some("abc".into()),
            hashes: self.folder.path().join("hashes.json"),
        };
        let kv = KvSettings { evict: Evict::Score, no_recall: true, ..KvSettings::default() };
        LoadSettings { kv, snapshots: Some(snapshots), ..settings(&self.model, cells, 1) }
    }

    fn files(&self, extension: &str) -> Vec<PathBuf> {
        let files = fs::read_dir(self.folder.path().join("kv")).into_iter().flatten().flatten();
        files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|is| is == extension)).collect()
    }
}

fn sentences(count: usize) -> String {
    (0..count).map(|number| format!("The {number} hen and the {number} inn. ")).collect()
}

/// What came of a question.
struct Answered {
    text: String,
    finish: Finish,
    /// Tokens of the document that were looked through for it.
    selected_from: u32,
}

fn ask(engine: &Running, chat: i64, messages: &[Message], tokens: u32) -> Answered {
    engine.submit(Work::Generate(prompt(Some(chat), messages), greedy(tokens)));
    let (mut text, mut selected_from) = (String::new(), 0);
    loop {
        match engine.next() {
            Step::Token(piece) => text.push_str(&piece.text),
            Step::Selecting { done, total } => {
                assert!(done < total);
                selected_from = total;
            }
            Step::Finished(finish) => return Answered { text, finish, selected_from },
            Step::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
}

/// A text twice as long as the cache and an answer about it, and the next question.
fn first_turn(engine: &Running, chat: i64) -> Vec<Message> {
    let mut messages = vec![user(format!("Chat {chat}. {}\n\nWhat of the inn?", sentences(70)))];
    let answered = ask(engine, chat, &messages, 4);
    assert!(answered.selected_from == 0 && answered.finish.stats.usage.evicted_tokens > CELLS);
    messages.extend([assistant(answered.text), user("And what of the hen?")]);
    messages
}

#[test]
fn a_later_question_looks_through_the_whole_text_and_computes_little() {
    let home = Home::tiny();
    let engine = Running::with(home.settings(CELLS));
    let mut messages = first_turn(&engine, 1);
    for question in ["And the first?", "Thank you."] {
        let before = engine.cost(Work::Plan(prompt(Some(1), &messages), Think::Auto));
        assert!(before.evicted_tokens > CELLS && before.cached_tokens < CELLS, "{before:?}");
        let answered = ask(&engine, 1, &messages, 4);
        let Finish { stats, held, ended, .. } = answered.finish;
        assert_eq!(ended, Ended::Length);
        assert!(answered.selected_from > 2 * CELLS, "{}", answered.selected_from);
        assert!(stats.timings.eviction_ms > 0.0 && stats.timings.eviction_ms < stats.timings.prefill_ms, "{stats:?}");
        assert!(stats.usage.prompt_tokens - stats.usage.cached_prompt_tokens < 64, "{stats:?}");
        assert!(stats.cells_used <= CELLS && stats.cells_used > CELLS / 2, "{stats:?}");
        assert!(held.iter().all(|it| it.cached_tokens + it.evicted_tokens == it.tokens), "{held:?}");
        assert!(held[1..].iter().all(|it| it.evicted_tokens == 0), "what came after the text stays: {held:?}");
        messages.extend([assistant(answered.text), user(question)]);
    }
}

#[test]
fn an_answer_that_is_gone_on_with_has_the_selection_that_it_began_with() {
    let home = Home::tiny();
    let engine = Running::with(home.settings(CELLS));
    let mut messages = first_turn(&engine, 1);
    let answered = ask(&engine, 1, &messages, 4);
    messages.push(assistant(answered.text));
    let answered = ask(&engine, 1, &messages, 4);
    assert_eq!(answered.selected_from, 0);
    let usage = answered.finish.stats.usage;
    assert_eq!(usage.prompt_tokens - usage.cached_prompt_tokens, 1, "{usage:?}");
}

#[test]
fn what_is_computed_ahead_is_not_computed_behind_the_old_selection() {
    let home = Home::tiny();
    let engine = Running::with(home.settings(CELLS));
    let messages = first_turn(&engine, 1);
    let cost = engine.cost(Work::Prefill(prompt(Some(1), &messages), Think::Auto));
    assert_eq!(cost.messages[2].cached_tokens, 0, "{cost:?}");
    assert_eq!(ask(&engine, 1, &messages, 4).finish.ended, Ended::Length);
}

#[test]
fn the_archive_is_there_after_a_restart_and_goes_with_the_chat() {
    let home = Home::tiny();
    let engine = Running::with(home.settings(CELLS));
    let messages = first_turn(&engine, 1);
    engine.submit(Work::Snapshot);
    engine.finish();
    assert_eq!((home.files("kv").len(), home.files("rows").len()), (1, 1));
    let engine = Running::with(home.settings(CELLS));
    let answered = ask(&engine, 1, &messages, 4);
    assert!(answered.selected_from > 2 * CELLS, "{}", answered.selected_from);
    engine.submit(Work::Forget(ChatKey(1)));
    engine.finish();
    assert_eq!((home.files("kv").len(), home.files("rows").len()), (0, 0));
}

#[test]
fn a_chat_that_is_left_and_taken_up_again_has_its_archive() {
    let home = Home::tiny();
    let engine = Running::with(home.settings(CELLS));
    let (first, second) = (first_turn(&engine, 1), first_turn(&engine, 2));
    for (chat, messages) in [(1, first), (2, second)] {
        assert!(ask(&engine, chat, &messages, 4).selected_from > 2 * CELLS);
    }
    engine.finish();
    assert_eq!(home.files("rows").len(), 2);
}

#[test]
fn without_an_archive_a_question_is_answered_with_what_was_kept() {
    let home = Home::tiny();
    let engine = Running::with(home.settings(CELLS));
    let messages = first_turn(&engine, 1);
    engine.submit(Work::Snapshot);
    engine.finish();
    fs::remove_file(&home.files("rows")[0]).unwrap();
    let engine = Running::with(home.settings(CELLS));
    let answered = ask(&engine, 1, &messages, 4);
    assert_eq!((answered.finish.ended, answered.selected_from), (Ended::Length, 0));
    assert!(answered.finish.stats.usage.cached_prompt_tokens > CELLS);
}

#[test]
fn nothing_is_archived_where_nothing_is_kept_on_disk() {
    let home = Home::tiny();
    let engine = Running::with(LoadSettings { snapshots: None, ..home.settings(CELLS) });
    let messages = first_turn(&engine, 1);
    assert_eq!(ask(&engine, 1, &messages, 4).selected_from, 0);
    engine.finish();
    assert!(home.files("rows").is_empty());
}

#[test]
fn a_selection_can_be_stopped_and_the_question_asked_again() {
    let home = Home::tiny();
    let engine = Running::with(home.settings(CELLS));
    let messages = first_turn(&engine, 1);
    let cancel = engine.submit(Work::Generate(prompt(Some(1), &messages), greedy(4)));
    while !matches!(engine.next(), Step::Selecting { .. }) {}
    cancel.cancel();
    let Step::Finished(finish) = engine.last() else { panic!("a stopped answer is one") };
    assert_eq!(finish.ended, Ended::Cancelled);
    let answered = ask(&engine, 1, &messages, 4);
    assert_eq!((answered.finish.ended, answered.selected_from > 2 * CELLS), (Ended::Length, true));
}

/// A text without these facts, of a free licence.
const NOVEL: &str = include_str!("../assets/bench/novel.txt");

/// Some of the novel, with a fact near its beginning and one near its end.
fn text_with(first: &str, second: &str) -> String {
    let paragraphs: Vec<&str> = NOVEL[..12_000].split("\n\n").collect();
    let mut text = String::new();
    for (number, paragraph) in paragraphs.iter().enumerate() {
        text.push_str(paragraph);
        if number == paragraphs.len() / 5 {
            text.push_str(&format!("\n\n{first}"));
        }
        if number == paragraphs.len() * 4 / 5 {
            text.push_str(&format!("\n\n{second}"));
        }
        text.push_str("\n\n");
    }
    text
}

#[test]
fn a_second_question_is_answered_from_what_left_for_the_first() {
    let Some(model) = test_model() else { return };
    let text =
        text_with("The pass code of the Lisbon office is 7394.", "Aunt Margaret's favourite fruit is the quince.");
    let answers = |keeps: bool| {
        let home = Home::with(&model);
        let settings = home.settings(768);
        let snapshots = settings.snapshots.clone().filter(|_| keeps);
        let engine = Running::with(LoadSettings { snapshots, ..settings });
        let mut messages = vec![user(format!("{text}\n\nWhat is the pass code of the Lisbon office?"))];
        let first = ask(&engine, 1, &messages, 24);
        messages.extend([assistant(first.text.as_str()), user("Which fruit does Aunt Margaret like best?")]);
        let second = ask(&engine, 1, &messages, 24);
        [first.text, second.text]
    };
    let (with, without) = (answers(true), answers(false));
    assert!(with[0].contains("7394") && with[1].contains("quince"), "{with:?}");
    assert!(without[0].contains("7394") && !without[1].contains("quince"), "{without:?}");
}

/// Facts, what asks for them, and what an answer must have.
const FACTS: [(&str, &str, &str); 6] = [
    ("The pass code of the Lisbon office is 7394.", "What is the pass code of the Lisbon office?", "7394"),
    ("Aunt Margaret's favourite fruit is the quince.", "Which fruit does Aunt Margaret like best?", "quince"),
    ("The ferry to Orkney leaves at 6:45.", "When does the ferry to Orkney leave?", "6:45"),
    ("Doctor Weiss keeps his telescope in the boathouse.", "Where does Doctor Weiss keep his telescope?", "boathouse"),
    ("The old violin was built by Tomasz Krol.", "Who built the old violin?", "Krol"),
    ("The garden gate is painted bright turquoise.", "Which colour is the garden gate?", "turquoise"),
];

/// With `cargo test --release --test archive -- --ignored --nocapture`; `TUICHAT_TEST_CELLS` and `TUICHAT_TEST_BYTES`
/// say how large the cache and the text are.
#[test]
#[ignore = "prints figures, and takes minutes"]
fn figures_of_later_questions_about_a_text_many_times_the_cache() {
    let Some(model) = test_model() else { return };
    let number = |name: &str, other: usize| std::env::var(name).map_or(other, |text| text.parse().unwrap());
    let (cells, bytes) = (number("TUICHAT_TEST_CELLS", 1024), number("TUICHAT_TEST_BYTES", 26_000));
    let paragraphs: Vec<&str> = NOVEL[..bytes].split("\n\n").collect();
    let mut text = String::new();
    for (number, paragraph) in paragraphs.iter().enumerate() {
        text.push_str(&format!("{paragraph}\n\n"));
        let place = |fact: usize| paragraphs.len() * (2 * fact + 1) / (2 * FACTS.len());
        for (fact, ..) in FACTS.iter().enumerate().filter(|(fact, _)| place(*fact) == number).map(|(_, fact)| fact) {
            text.push_str(&format!("{fact}\n\n"));
        }
    }
    for keeps in [true, false] {
        let home = Home::with(&model);
        let settings = home.settings(cells as u32);
        let snapshots = settings.snapshots.clone().filter(|_| keeps);
        let engine = Running::with(LoadSettings { snapshots, ..settings });
        let mut messages = vec![user(format!("{text}\n\n{}", FACTS[0].1))];
        let first = ask(&engine, 1, &messages, 24);
        println!("archive {keeps}: {:?} {:?} {:?}", first.text, first.finish.stats.usage, first.finish.stats.timings);
        messages.extend([assistant(first.text.as_str()), user("")]);
        let mut right = 0;
        for (_, question, answer) in &FACTS[1..] {
            messages[2] = user(*question);
            let answered = ask(&engine, 1, &messages, 24);
            let timings = answered.finish.stats.timings;
            right += usize::from(answered.text.contains(answer));
            println!("  {:.0} ms, selecting {:.0}: {:?}", timings.prefill_ms, timings.eviction_ms, answered.text);
        }
        let rows: u64 = home.files("rows").iter().map(|path| fs::metadata(path).unwrap().len()).sum();
        println!("  {right} of {} right, archive of {} MiB", FACTS.len() - 1, rows >> 20);
    }
}
