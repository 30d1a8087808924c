//! Nothing is computed twice: the next turn, a message that is being written, a chat that was left, and one that an
//! earlier program left, with tiny models.

mod common;

use std::fs;
use std::path::PathBuf;

use common::engine::{Running, greedy, prompt, settings};
use common::tiny_gguf::{CHATML, TinyModel};
use tempfile::TempDir;
use tuichat::chat::{Ended, Message, Role};
use tuichat::engine::SnapshotSettings;
use tuichat::engine::protocol::{ChatKey, GenerateOptions, LoadSettings, Step, Think, Work};

const CELLS: u32 = 2048;

fn user(text: &str) -> Message {
    Message::new(Role::User, text)
}

fn long_text(words: usize) -> String {
    (0..words).map(|word| format!("word{word} ")).collect()
}

/// A folder with a model in it.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        TinyModel::default().context(CELLS).write(&folder.path().join("tiny.gguf")).unwrap();
        Self { folder }
    }

    fn kv(&self) -> PathBuf {
        self.folder.path().join("kv")
    }

    fn settings(&self) -> LoadSettings {
        let snapshots = SnapshotSettings {
            folder: self.kv(),
            most_bytes: Some(1 << 30),
            model_sha256: None,
            hashes: self.folder.path().join("hashes.json"),
        };
        LoadSettings { snapshots: Some(snapshots), ..settings(&self.folder.path().join("tiny.gguf"), CELLS, 1) }
    }

    fn start(&self) -> Running {
        Running::with(self.settings())
    }

    fn snapshots(&self) -> Vec<PathBuf> {
        fs::read_dir(self.kv()).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }
}

/// A first turn in this chat, and the messages of the second.
fn first_turn(engine: &Running, chat: i64, words: usize) -> Vec<Message> {
    let question = user(&format!("chat {chat}: {}", long_text(words)));
    let (answer, _) = engine.ask(prompt(Some(chat), std::slice::from_ref(&question)), greedy(20));
    vec![question, Message::new(Role::Assistant, answer), user("go on")]
}

/// A first turn that an earlier program left on disk, and the messages of the second.
fn left_on_disk(home: &Home) -> Vec<Message> {
    let engine = home.start();
    let turns = first_turn(&engine, 1, 60);
    engine.submit(Work::Snapshot);
    engine.finish();
    turns
}

/// What a fresh engine answers.
fn fresh(home: &Home, messages: &[Message]) -> String {
    let settings = LoadSettings { snapshots: None, ..home.settings() };
    Running::with(settings).ask(prompt(None, messages), greedy(12)).0
}

#[test]
fn nothing_of_a_chat_without_a_name_goes_to_disk_with_the_next_one() {
    let home = Home::new();
    let engine = home.start();
    engine.ask(prompt(None, &[user(&format!("private: {}", long_text(60)))]), greedy(12));
    engine.submit(Work::Snapshot);
    first_turn(&engine, 1, 60);
    engine.submit(Work::Snapshot);
    engine.finish();
    let files = home.snapshots();
    let [file] = &files[..] else { panic!("{files:?}") };
    let bytes = fs::read(file).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let answers = text.split_once("\"answers\":[").and_then(|(_, rest)| rest.split_once("]]")).unwrap().0;
    assert_eq!(answers.matches('[').count(), 1, "{answers}");
    assert!(answers.matches(',').count() >= 12, "the longer one, of the chat that has a name: {answers}");
}

#[test]
fn a_plan_says_what_the_answer_then_costs() {
    let home = Home::new();
    let engine = home.start();
    let turns = first_turn(&engine, 1, 60);
    let cost = engine.cost(Work::Plan(prompt(Some(1), &turns), Think::Auto));
    let (_, finish) = engine.ask(prompt(Some(1), &turns), greedy(4));
    let usage = finish.stats.usage;
    assert_eq!((cost.prompt_tokens, cost.cached_tokens), (usage.prompt_tokens, usage.cached_prompt_tokens));
    assert!(cost.cached_tokens > 100 && cost.first_token_ms.is_some_and(|wait| wait > 0.0), "{cost:?}");

    let roles: Vec<Role> = cost.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant, Role::User]);
    assert_eq!(cost.messages[2].beginning, "go on");
    assert_eq!(
        (cost.messages[2].tokens, cost.messages[2].cached_tokens),
        (4, 0),
        "a token for each byte, and one for `on`"
    );
    let in_messages: u32 = cost.messages.iter().map(|message| message.tokens).sum();
    assert!(in_messages < cost.prompt_tokens, "the template has tokens too");
}

#[test]
fn a_plan_computes_nothing_and_knows_no_speed_before_anything_was_computed() {
    let home = Home::new();
    let engine = home.start();
    let messages = [user(&long_text(50))];
    let cost = engine.cost(Work::Plan(prompt(Some(1), &messages), Think::Auto));
    assert_eq!((cost.cached_tokens, cost.first_token_ms), (0, None));
    assert_eq!(engine.cost(Work::Plan(prompt(Some(1), &messages), Think::Auto)).cached_tokens, 0);
}

#[test]
fn a_plan_of_more_than_the_context_holds_is_no_error() {
    let home = Home::new();
    let cost = home.start().cost(Work::Plan(prompt(None, &[user(&long_text(1000))]), Think::Auto));
    assert!(cost.prompt_tokens > cost.cells, "{} of {}", cost.prompt_tokens, cost.cells);
}

#[test]
fn what_is_computed_ahead_is_not_computed_again() {
    let home = Home::new();
    let engine = home.start();
    let message = format!("{}and the last wor", long_text(40));
    let cost = engine.cost(Work::Prefill(prompt(None, &[user(&message)]), Think::Auto));
    let rest = cost.prompt_tokens - cost.cached_tokens;
    assert!(rest < 30, "{rest} of {} tokens are left", cost.prompt_tokens);

    let whole = [user(&format!("{message}d"))];
    let (answer, finish) = engine.ask(prompt(None, &whole), greedy(12));
    assert!(finish.stats.usage.cached_prompt_tokens >= cost.cached_tokens);
    assert_eq!(answer, fresh(&home, &whole));
}

#[test]
fn a_message_of_one_word_has_its_template_computed_ahead() {
    let home = Home::new();
    let engine = home.start();
    let system = Message::new(Role::System, long_text(30));
    let cost = engine.cost(Work::Prefill(prompt(None, &[system, user("Hel")]), Think::Auto));
    assert!(cost.messages[0].cached_tokens == cost.messages[0].tokens, "{cost:?}");
    assert_eq!(cost.messages[1].cached_tokens, 0);
}

#[test]
fn nothing_is_computed_ahead_when_the_chat_is_nearly_full() {
    let home = Home::new();
    let engine = home.start();
    let cost = engine.cost(Work::Prefill(prompt(None, &[user(&long_text(290))]), Think::Auto));
    assert!(cost.prompt_tokens + 256 > cost.cells && cost.prompt_tokens < cost.cells, "{}", cost.prompt_tokens);
    assert_eq!(cost.cached_tokens, 0);
}

#[test]
fn computing_ahead_can_be_cancelled_and_what_was_computed_is_used() {
    let home = Home::new();
    let engine = home.start();
    let messages = [user(&long_text(200))];
    let cancel = engine.submit(Work::Prefill(prompt(None, &messages), Think::Auto));
    while !matches!(engine.next(), Step::Prefilling { done: 1.., .. }) {}
    cancel.cancel();
    let Step::Planned(cost) = engine.last() else { panic!("it ends with what is left to pay") };
    assert!(cost.cached_tokens >= 512, "{cost:?}");
    let (answer, finish) = engine.ask(prompt(None, &messages), greedy(12));
    assert!(finish.stats.usage.cached_prompt_tokens >= 512);
    assert_eq!(answer, fresh(&home, &messages));
}

#[test]
fn thoughts_leave_the_cache_without_what_follows_them_being_computed_again() {
    let home = Home::new();
    // Opens the thoughts where the model is to speak, and leaves them out of what it said before.
    let template = format!("{CHATML}{{{{ '<think>\\n' }}}}");
    let model = TinyModel::default().context(CELLS).template(Some(&template));
    model.write(&home.folder.path().join("tiny.gguf")).unwrap();
    let engine = home.start();
    let options = GenerateOptions { think: Think::Budget(100), ..greedy(140) };
    let question = user(&long_text(20));
    let (answer, first) = engine.ask(prompt(Some(1), std::slice::from_ref(&question)), options.clone());
    assert!(!answer.is_empty() && answer.len() < 100, "{answer:?}");

    let turns = [question, Message::new(Role::Assistant, answer.as_str()), user("go on")];
    let cost = engine.cost(Work::Plan(prompt(Some(1), &turns), options.think));
    assert!(cost.left_out_tokens >= 100, "{cost:?}");
    assert!(cost.prompt_tokens < first.stats.cells_used, "the thoughts are longer than the new message");
    let rest = cost.prompt_tokens - cost.cached_tokens;
    assert!(rest < 40, "the answer is not computed again: {cost:?}");
    let (_, second) = engine.ask(prompt(Some(1), &turns), options.clone());
    assert_eq!(second.stats.usage.cached_prompt_tokens, cost.cached_tokens);
    // What was cut out is gone for good, on disk too.
    engine.submit(Work::Snapshot);
    engine.finish();
    let cost = home.start().cost(Work::Plan(prompt(Some(1), &turns), options.think));
    assert!(cost.prompt_tokens - cost.cached_tokens < 40, "{cost:?}");
}

#[test]
fn two_chats_take_turns_without_being_computed_again() {
    let home = Home::new();
    let engine = Running::with(LoadSettings { snapshots: None, ..home.settings() });
    let (first, second) = (first_turn(&engine, 1, 60), first_turn(&engine, 2, 50));
    for (chat, turns) in [(1, &first), (2, &second), (1, &first)] {
        let (answer, finish) = engine.ask(prompt(Some(chat), turns), greedy(12));
        let usage = finish.stats.usage;
        assert!(usage.prompt_tokens - usage.cached_prompt_tokens < 50, "chat {chat}: {usage:?}");
        assert_eq!(answer, fresh(&home, turns), "chat {chat}");
    }
}

#[test]
fn a_new_chat_is_typed_without_losing_the_one_that_was_left() {
    let home = Home::new();
    let engine = home.start();
    let turns = first_turn(&engine, 1, 60);
    // The new chat is not saved yet, so it has no key.
    engine.cost(Work::Prefill(prompt(None, &[user(&long_text(30))]), Think::Auto));
    let (_, finish) = engine.ask(prompt(Some(2), &[user(&long_text(30))]), greedy(4));
    assert!(finish.stats.usage.cached_prompt_tokens > 100, "what was typed counts: {:?}", finish.stats.usage);
    let cost = engine.cost(Work::Plan(prompt(Some(1), &turns), Think::Auto));
    assert!(cost.prompt_tokens - cost.cached_tokens < 50, "{cost:?}");
}

#[test]
fn a_chat_that_an_earlier_program_left_goes_on_at_once() {
    let home = Home::new();
    let turns = left_on_disk(&home);
    assert_eq!(home.snapshots().len(), 1);

    let engine = home.start();
    let cost = engine.cost(Work::Plan(prompt(Some(1), &turns), Think::Auto));
    assert!(cost.prompt_tokens - cost.cached_tokens < 50, "{cost:?}");
    assert!(cost.first_token_ms.is_some(), "the speed was written too");
    let (answer, finish) = engine.ask(prompt(Some(1), &turns), greedy(12));
    assert_eq!(finish.stats.usage.cached_prompt_tokens, cost.cached_tokens);
    assert_eq!(answer, fresh(&home, &turns));
}

#[test]
fn an_answer_that_an_earlier_program_left_unfinished_goes_on_at_once_as_if_it_had_not() {
    let home = Home::new();
    let question = user(&long_text(60));
    let engine = home.start();
    let (whole, _) = engine.ask(prompt(None, std::slice::from_ref(&question)), greedy(30));
    let (part, _) = engine.ask(prompt(Some(1), std::slice::from_ref(&question)), greedy(12));
    engine.submit(Work::Snapshot);
    engine.finish();

    let so_far = [question, Message::new(Role::Assistant, part.as_str())];
    let (rest, finish) = home.start().ask(prompt(Some(1), &so_far), greedy(18));
    let usage = finish.stats.usage;
    assert_eq!(usage.prompt_tokens - usage.cached_prompt_tokens, 1, "{usage:?}");
    assert_eq!(part + &rest, whole);
}

#[test]
fn a_chat_that_was_only_looked_at_is_not_written_with_what_another_left() {
    let home = Home::new();
    let engine = home.start();
    first_turn(&engine, 1, 60);
    engine.cost(Work::Plan(prompt(Some(2), &[user("another")]), Think::Auto));
    engine.submit(Work::Snapshot);
    assert!(matches!(engine.last(), Step::Done));
    engine.cost(Work::Plan(prompt(Some(3), &[user("a third")]), Think::Auto));
    engine.finish();
    let names: Vec<String> =
        home.snapshots().iter().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert!(names.len() == 1 && names[0].starts_with("1-"), "{names:?}");
}

#[test]
fn a_template_that_writes_the_time_goes_on_with_the_one_it_wrote_first() {
    let home = Home::new();
    let template = format!("{{{{ strftime_now('%s%f') }}}} {}{CHATML}", "It is now. ".repeat(10));
    let model = TinyModel::default().context(CELLS).template(Some(&template));
    model.write(&home.folder.path().join("tiny.gguf")).unwrap();
    let engine = home.start();
    let turns = first_turn(&engine, 1, 30);
    let cost = engine.cost(Work::Plan(prompt(Some(1), &turns), Think::Auto));
    assert!(cost.prompt_tokens - cost.cached_tokens < 50, "{cost:?}");
    engine.submit(Work::Snapshot);
    engine.finish();
    let cost = home.start().cost(Work::Plan(prompt(Some(1), &turns), Think::Auto));
    assert!(cost.prompt_tokens - cost.cached_tokens < 50, "{cost:?}");
    let other = home.start().cost(Work::Plan(prompt(None, &turns), Think::Auto));
    assert_eq!(other.cached_tokens, 0);
}

#[test]
fn a_chat_is_written_when_another_is_opened() {
    let home = Home::new();
    let engine = home.start();
    first_turn(&engine, 1, 60);
    engine.cost(Work::Plan(prompt(Some(2), &[user("another")]), Think::Auto));
    engine.finish();
    assert_eq!(home.snapshots().len(), 1);
}

#[test]
fn a_snapshot_that_is_damaged_or_of_other_messages_costs_only_time() {
    let home = Home::new();
    let turns = left_on_disk(&home);
    let path = home.snapshots().pop().unwrap();
    let whole = fs::read(&path).unwrap();

    let edited = [user(&format!("chat 1: {}", long_text(40))), turns[1].clone(), user("go on")];
    assert_eq!(home.start().ask(prompt(Some(1), &edited), greedy(12)).0, fresh(&home, &edited));

    let expected = fresh(&home, &turns);
    for place in [3, 20, 40, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[place] ^= 4;
        fs::write(&path, damaged).unwrap();
        let (answer, finish) = home.start().ask(prompt(Some(1), &turns), greedy(12));
        assert_eq!((answer, finish.ended), (expected.clone(), Ended::Length), "byte {place}");
    }
    fs::write(&path, &whole[..whole.len() / 3]).unwrap();
    assert_eq!(home.start().ask(prompt(Some(1), &turns), greedy(12)).0, expected);
}

#[test]
fn a_snapshot_of_another_model_is_not_used() {
    let home = Home::new();
    let turns = left_on_disk(&home);
    TinyModel::default().context(CELLS).seed(2).write(&home.folder.path().join("tiny.gguf")).unwrap();
    assert_eq!(home.start().cost(Work::Plan(prompt(Some(1), &turns), Think::Auto)).cached_tokens, 0);
}

#[test]
fn a_smaller_context_takes_what_fits_and_nothing_else() {
    let home = Home::new();
    let turns = left_on_disk(&home);
    let cells = |cells| LoadSettings { context: Some(cells), ..home.settings() };
    let (large, small) = (Running::with(cells(1024)), Running::with(cells(256)));
    let cost = large.cost(Work::Plan(prompt(Some(1), &turns), Think::Auto));
    assert!(cost.prompt_tokens - cost.cached_tokens < 50, "{cost:?}");
    assert_eq!(small.cost(Work::Plan(prompt(Some(1), &turns), Think::Auto)).cached_tokens, 0);
}

#[test]
fn a_chat_that_is_forgotten_leaves_nothing_behind() {
    let home = Home::new();
    let engine = home.start();
    first_turn(&engine, 1, 60);
    engine.submit(Work::Snapshot);
    engine.submit(Work::Forget(ChatKey(1)));
    engine.submit(Work::Snapshot);
    engine.finish();
    assert_eq!(home.snapshots(), Vec::<PathBuf>::new());
}

#[test]
fn a_chat_that_did_not_change_is_not_written_again() {
    let home = Home::new();
    let turns = left_on_disk(&home);
    let path = home.snapshots().pop().unwrap();
    let engine = home.start();
    engine.cost(Work::Plan(prompt(Some(1), &turns), Think::Auto));
    let id = || tuichat::platform::files::id_of(&path, &fs::metadata(&path).unwrap()).unwrap();
    let before = id();
    engine.submit(Work::Snapshot);
    engine.finish();
    assert_eq!(id(), before);
}
