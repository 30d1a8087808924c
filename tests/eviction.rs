//! Conversations that are longer than the KV cache, with a tiny model.

mod common;

use common::engine::{Running, greedy, prompt, settings};
use common::tiny_gguf::TinyModel;
use tempfile::TempDir;
use tuichat::chat::{Ended, Message, Role};
use tuichat::engine::SnapshotSettings;
use tuichat::engine::protocol::{
    EngineError, Evict, Finish, KvSettings, LoadSettings, Passage, Pin, Step, Think, Work,
};

const CELLS: u32 = 512;
/// The sentence that is to be found again. Half of the text's tokens are single bytes.
const FACT: &str = "Zyx keeps quartz.";

struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        TinyModel::default().context(2048).write(&folder.path().join("tiny.gguf")).unwrap();
        Self { folder }
    }

    fn settings(&self, evict: Evict) -> LoadSettings {
        let kv = KvSettings { evict, ..KvSettings::default() };
        LoadSettings { kv, ..settings(&self.folder.path().join("tiny.gguf"), CELLS, 1) }
    }

    fn start(&self, evict: Evict) -> Running {
        Running::with(self.settings(evict))
    }
}

fn user(text: impl Into<String>) -> Message {
    Message::new(Role::User, text)
}

fn sentences(count: usize) -> String {
    (0..count).map(|number| format!("The {number} hen and the {number} inn. ")).collect()
}

/// An answer, and what was recalled for it.
fn ask(engine: &Running, chat: Option<i64>, messages: &[Message]) -> (String, Finish, Vec<Passage>) {
    engine.submit(Work::Generate(prompt(chat, messages), greedy(4)));
    let (mut text, mut recalled) = (String::new(), Vec::new());
    loop {
        match engine.next() {
            Step::Token(piece) => text.push_str(&piece.text),
            Step::Recalled(passages) => recalled = passages,
            Step::Finished(finish) => return (text, finish, recalled),
            Step::Failed(error) => panic!("{error}"),
            _ => {}
        }
    }
}

/// A text twice as long as the cache, an answer to it, and a question about its first sentence.
fn long_chat(engine: &Running, chat: Option<i64>) -> Vec<Message> {
    let mut messages = vec![user(format!("{FACT} {}\n\nWhat of the inn?", sentences(60)))];
    let (text, finish, _) = ask(engine, chat, &messages);
    assert!(finish.stats.usage.evicted_tokens > 400, "{:?}", finish.stats);
    messages.extend([Message::new(Role::Assistant, text), user("What does Zyx do with quartz?")]);
    messages
}

#[test]
fn a_prompt_longer_than_the_cache_is_answered_and_what_left_is_told() {
    let home = Home::new();
    for evict in [Evict::Auto, Evict::Score, Evict::Window] {
        let engine = home.start(evict);
        let messages = [Message::new(Role::System, "Be brief"), user(sentences(80)), user("And?")];
        let (_, finish, _) = ask(&engine, None, &messages);
        let Finish { stats, held, .. } = finish;
        assert!(stats.usage.prompt_tokens > 2 * CELLS, "{stats:?}");
        assert!(stats.cells_used <= CELLS);
        let (cached, evicted) =
            held.iter().fold((0, 0), |sum, it| (sum.0 + it.cached_tokens, sum.1 + it.evicted_tokens));
        assert!(evicted > CELLS && cached <= stats.cells_used, "{held:?}");
        assert!(held.iter().all(|it| it.cached_tokens + it.evicted_tokens == it.tokens), "{held:?}");
        assert_eq!((held[0].role, held[0].evicted_tokens), (Role::System, 0));
    }
}

#[test]
fn where_nothing_may_leave_a_long_prompt_is_refused() {
    let engine = Home::new().start(Evict::Off);
    engine.submit(Work::Generate(prompt(None, &[user(sentences(80))]), greedy(4)));
    assert!(matches!(engine.last(), Step::Failed(EngineError::ContextFull { .. })));
}

#[test]
fn the_next_turn_computes_only_what_is_new_although_most_left() {
    let engine = Home::new().start(Evict::Score);
    let messages = long_chat(&engine, None);
    let cost = engine.cost(Work::Plan(prompt(None, &messages), Think::Auto));
    assert!(cost.evicted_tokens > CELLS && cost.cached_tokens < CELLS, "{cost:?}");
    assert!(cost.prompt_tokens - cost.cached_tokens - cost.evicted_tokens < 64, "{cost:?}");
    let (_, finish, _) = ask(&engine, None, &messages);
    let usage = finish.stats.usage;
    assert!(usage.prompt_tokens - usage.cached_prompt_tokens < 64, "{usage:?}");
}

#[test]
fn what_left_comes_back_for_a_question_about_it_and_goes_again_with_the_next() {
    let engine = Home::new().start(Evict::Window);
    let mut messages = long_chat(&engine, None);
    let (text, finish, recalled) = ask(&engine, None, &messages);
    assert!(recalled.iter().any(|passage| passage.text.contains(FACT)), "{recalled:?}");
    assert!(recalled.iter().all(|passage| (passage.message, passage.role) == (0, Role::User)));
    assert_eq!(finish.held.len(), 4);
    messages.extend([Message::new(Role::Assistant, text), user("Thanks!")]);
    let cost = engine.cost(Work::Plan(prompt(None, &messages), Think::Auto));
    assert!(cost.left_out_tokens > 0 && cost.left_out_tokens <= CELLS / 10, "{cost:?}");
    let (_, finish, recalled) = ask(&engine, None, &messages);
    assert!(recalled.is_empty(), "{recalled:?}");
    let usage = finish.stats.usage;
    assert!(usage.prompt_tokens - usage.cached_prompt_tokens < 64, "{usage:?}");
}

#[test]
fn nothing_comes_back_where_that_is_switched_off() {
    let home = Home::new();
    let mut settings = home.settings(Evict::Window);
    settings.kv.no_recall = true;
    let engine = Running::with(settings);
    let messages = long_chat(&engine, None);
    assert!(ask(&engine, None, &messages).2.is_empty());
}

#[test]
fn a_pinned_message_stays() {
    let engine = Home::new().start(Evict::Window);
    let pinned = Message { is_pinned: true, ..user(FACT) };
    let messages = [pinned, Message::new(Role::Assistant, "Good."), user(sentences(60))];
    let (_, finish, _) = ask(&engine, None, &messages);
    assert_eq!(finish.held[0].pin, Pin::Kept);
    assert_eq!((finish.held[0].evicted_tokens, finish.held[0].cached_tokens), (0, finish.held[0].tokens));
    assert!(finish.held[2].evicted_tokens > 0);
}

#[test]
fn a_pinned_message_that_is_too_long_to_be_kept_is_told_as_such() {
    let engine = Home::new().start(Evict::Window);
    let pin = |message: Message| Message { is_pinned: true, ..message };
    let messages = [pin(user(FACT)), Message::new(Role::Assistant, "Good."), pin(user(sentences(60)))];
    let (_, finish, _) = ask(&engine, None, &messages);
    assert_eq!([0, 1, 2].map(|message: usize| finish.held[message].pin), [Pin::Kept, Pin::None, Pin::TooLong]);
    assert!(finish.held[2].evicted_tokens > 0);
}

#[test]
fn an_answer_may_be_longer_than_the_cache() {
    let engine = Home::new().start(Evict::Score);
    let options = tuichat::engine::protocol::GenerateOptions { loop_breaker: false, ..greedy(1500) };
    let (_, finish) = engine.ask(prompt(None, &[user("Go on")]), options);
    assert_eq!((finish.ended, finish.stats.usage.completion_tokens), (Ended::Length, 1500));
    assert!(finish.stats.usage.evicted_tokens > 900 && finish.stats.cells_used <= CELLS);
}

#[test]
fn a_chat_whose_beginning_left_goes_on_after_a_restart() {
    let home = Home::new();
    let with_snapshots = || LoadSettings {
        snapshots: Some(SnapshotSettings {
            folder: home.folder.path().join("kv"),
            most_bytes: Some(1 << 30),
            model_sha256: None,
            hashes: home.folder.path().join("hashes.json"),
        }),
        ..home.settings(Evict::Score)
    };
    let engine = Running::with(with_snapshots());
    let messages = long_chat(&engine, Some(1));
    let before = engine.cost(Work::Plan(prompt(Some(1), &messages), Think::Auto));
    engine.submit(Work::Snapshot);
    engine.finish();
    let engine = Running::with(with_snapshots());
    let after = engine.cost(Work::Plan(prompt(Some(1), &messages), Think::Auto));
    assert!(after.evicted_tokens > CELLS);
    assert_eq!((after.cached_tokens, after.evicted_tokens), (before.cached_tokens, before.evicted_tokens));
}
