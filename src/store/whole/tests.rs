use proptest::prelude::*;

use super::*;
use crate::chat::{Speculation, Timings, Usage};

/// What a generated message is made of: how far above its parent stands, who speaks, and what.
type Drawn = (usize, bool, String, String, Option<f64>, u8, bool);

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    let text = "[a-z \n\"\\\\\u{0}\u{1b}天😀\u{202e}]{0,12}";
    let cost = proptest::option::of(0.0..1e7f64);
    proptest::collection::vec((0usize..4, any::<bool>(), text, "[a-z\n]{0,6}", cost, 0u8..7, any::<bool>()), 1..12)
}

/// Puts a chat with these messages into a store, with the calls that a conversation makes.
fn store_chat(store: &mut Store, system: Option<&str>, messages: &[Drawn]) -> ChatId {
    let chat = store.create_chat("A \"title\"\u{1b}\n", system).unwrap();
    let mut ids: Vec<MessageId> = Vec::new();
    for (up, asks, text, thinking, cost, ended, is_pinned) in messages {
        let parent = ids.iter().rev().nth(*up).copied();
        let id = match (asks, parent) {
            (true, _) | (_, None) => {
                store.add_question(chat, parent, text, is_pinned.then_some("[[0,1,\"paste\"]]")).unwrap()
            }
            (false, Some(parent)) => {
                let temperature = cost.map_or(0.1, |cost| (cost / 1e7) as f32);
                let sampling = Sampling { temperature, top_p: 0.95, seed: None, ..Sampling::default() };
                let id = store.begin_answer(chat, parent, "SmolLM2 135M", &sampling).unwrap();
                store.append_answer(id, text, thinking).unwrap();
                let stats = Stats {
                    usage: Usage { completion_tokens: u32::from(*ended), ..Usage::default() },
                    timings: Timings { decode_ms: cost.unwrap_or_default() / 3.0, ..Timings::default() },
                    speculation: Speculation { fuzzy: temperature, ..Speculation::default() },
                    major_faults: Some(u64::MAX),
                    ..Stats::default()
                };
                let words = ["stop", "length", "stop_string", "loop", "cancelled", "error", "interrupted"];
                let ended = words[usize::from(*ended)].parse().unwrap();
                store.finish_answer(id, ended, &stats, Some(u32::MAX)).unwrap();
                id
            }
        };
        store.pin_message(id, *is_pinned).unwrap();
        ids.push(id);
    }
    let leaf = ids.get(messages[0].2.len() % ids.len()).copied();
    store.go_to(chat, leaf.filter(|_| !messages.len().is_multiple_of(3))).unwrap();
    store.tag_chat(chat, &["art".into(), "work".into()], &[]).unwrap();
    store.archive_chat(chat, messages[0].6).unwrap();
    chat
}

/// A tree without the numbers that the store gave its messages.
fn told(store: &Store, chat: ChatId) -> (ChatTree, super::super::ChatSummary) {
    let mut tree = store.tree(chat).unwrap();
    let ids: Vec<MessageId> = tree.messages.iter().map(|message| message.id).collect();
    let number = |id: MessageId| MessageId(ids.binary_search(&id).unwrap() as i64);
    for message in &mut tree.messages {
        (message.id, message.parent) = (number(message.id), message.parent.map(number));
    }
    tree.leaf = tree.leaf.map(number);
    (tree, super::super::ChatSummary { id: ChatId(0), ..store.chat(chat).unwrap().unwrap() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn what_is_exported_and_imported_is_the_same_chat(messages in drawn(), has_system in any::<bool>()) {
        let mut store = Store::in_memory().unwrap();
        store.create_chat("Another", None).unwrap();
        let chat = store_chat(&mut store, has_system.then_some("Be brief"), &messages);
        let exported = serde_json::to_string_pretty(&store.whole_chat(chat).unwrap()).unwrap();
        let read: WholeChat = serde_json::from_str(&exported).unwrap();
        let whole = read.clone().put_right().unwrap();
        prop_assert_eq!(&whole, &read, "it is right as it is");
        prop_assert_eq!(store.import_chat(&whole).unwrap(), Imported::Known(chat), "it is here");

        let mut other = Store::in_memory().unwrap();
        let Imported::New(copy) = other.import_chat(&whole).unwrap() else { panic!("it was not there") };
        prop_assert_eq!(told(&other, copy), told(&store, chat));
        prop_assert_eq!(serde_json::to_string_pretty(&other.whole_chat(copy).unwrap()).unwrap(), exported);
        prop_assert_eq!(other.import_chat(&whole).unwrap(), Imported::Known(copy));
        let branch: Vec<String> = whole.branch().iter().map(|message| message.content.clone()).collect();
        let stored: Vec<String> = store.branch(chat).unwrap().into_iter().map(|message| message.text).collect();
        prop_assert_eq!(branch, stored);
    }
}

fn read(json: &str) -> std::result::Result<WholeChat, String> {
    let head = r#""tuichat":1,"title":"x","created_at":"2025-01-01T00:00:00Z","updated_at":"2025-01-01T00:00:00Z""#;
    let chat: WholeChat = serde_json::from_str(&format!("{{{head},{json}}}")).map_err(|error| error.to_string())?;
    chat.put_right()
}

#[test]
fn what_is_no_chat_is_a_sentence() {
    let message =
        |id: u32, parent: &str, role: &str| format!(r#"{{"id":{id},"parent":{parent},"role":"{role}","content":"x"}}"#);
    for (messages, leaf, sentence) in [
        (vec![], "null", "it has no message"),
        (vec![message(1, "null", "system")], "null", "it has no message"),
        (vec![message(1, "null", "user"), message(1, "null", "user")], "1", "have the same `id`"),
        (vec![message(1, "1", "user")], "1", "does not come after its `parent`"),
        (vec![message(1, "2", "user"), message(2, "1", "assistant")], "1", "does not come after its `parent`"),
        (vec![message(1, "7", "user")], "1", "does not come after its `parent`"),
        (vec![message(9, "7", "user")], "9", "it has no message 7"),
        (vec![message(1, "null", "user")], "4294967295", "which it does not have"),
        (
            vec![message(1, "null", "user"), message(2, "2", "system"), message(3, "2", "user")],
            "1",
            "does not come after its `parent`",
        ),
        (vec![message(1, "null", "robot")], "1", "robot"),
    ] {
        let error = read(&format!(r#""leaf":{leaf},"messages":[{}]"#, messages.join(","))).unwrap_err();
        assert!(error.contains(sentence), "{error}");
    }
    let newer = r#"{"tuichat":9,"title":"","created_at":"2025-01-01T00:00:00Z","updated_at":"2025-01-01T00:00:00Z","leaf":null,"messages":[]}"#;
    let newer: WholeChat = serde_json::from_str(newer).unwrap();
    assert!(newer.put_right().unwrap_err().contains("newer tuichat"));
}

#[test]
fn a_message_that_is_its_own_parent_ends_a_branch() {
    let chat = r#"{"tuichat":1,"title":"","created_at":"2025-01-01T00:00:00Z","updated_at":"2025-01-01T00:00:00Z",
        "leaf":1,"messages":[{"id":1,"parent":1,"role":"user","content":"x"}]}"#;
    let chat: WholeChat = serde_json::from_str(chat).unwrap();
    assert_eq!(chat.branch().len(), 1);
}

#[test]
fn what_says_nothing_is_not_written() {
    let message = serde_json::to_string(&WholeMessage::new(1, None, Role::User, "x")).unwrap();
    assert_eq!(message, r#"{"id":1,"parent":null,"role":"user","content":"x"}"#);
}

#[test]
fn a_chat_from_outside_is_put_right() {
    let chat = read(
        r##""leaf":30,"tags":["Work","two words","#work"],"messages":[
            {"id":30,"parent":20,"role":"assistant","content":"c"},
            {"id":5,"parent":null,"role":"user","content":"a","finish_reason":"stop"},
            {"id":20,"parent":10,"role":"system","content":"inner"},
            {"id":10,"parent":5,"role":"system","content":"inner"}]"##,
    )
    .unwrap();
    let told: Vec<_> =
        chat.messages.iter().map(|it| (it.id, it.parent, it.content.as_str(), it.finish_reason)).collect();
    assert_eq!(told, [(1, None, "a", None), (2, Some(1), "c", Some(Ended::Interrupted))]);
    assert_eq!((chat.leaf, chat.tags), (Some(2), vec!["work".to_owned()]));
}

#[test]
fn imported_chats_stand_among_the_others_by_their_age_and_none_is_the_last_one() {
    let mut store = Store::in_memory().unwrap();
    let chat = |title: &str, day: &str| {
        let time: Timestamp = format!("{day}T10:00:00Z").parse().unwrap();
        let messages = vec![WholeMessage::new(1, None, Role::User, title)];
        WholeChat {
            tuichat: FORM,
            title: title.into(),
            created_at: time,
            updated_at: time,
            tags: Vec::new(),
            archived: false,
            leaf: Some(1),
            messages,
        }
    };
    for (title, day) in [("march", "2024-03-01"), ("may", "2024-05-01"), ("january", "2024-01-01")] {
        store.import_chat(&chat(title, day)).unwrap();
    }
    for title in ["own", "later"] {
        let own = store.create_chat(title, None).unwrap();
        store.add_message(own, None, Role::User, "Hello").unwrap();
    }
    for (title, day) in [("april", "2024-04-01"), ("2023", "2023-01-01"), ("future", "2999-01-01")] {
        store.import_chat(&chat(title, day)).unwrap();
    }
    let titles: Vec<String> = store.chats(99).unwrap().into_iter().map(|chat| chat.title).collect();
    assert_eq!(titles, ["future", "later", "own", "may", "april", "march", "january", "2023"]);
    let last = store.last_chat().unwrap().unwrap();
    assert_eq!(store.chat(last).unwrap().unwrap().title, "later");
    assert_eq!(store.search("april", 9).unwrap().len(), 1);
}

#[test]
fn prompts_of_another_program_are_the_oldest_that_were_sent() {
    let mut store = Store::in_memory().unwrap();
    let chat = store.create_chat("x", None).unwrap();
    store.add_message(chat, None, Role::User, "mine").unwrap();
    let prompts = ["first".to_owned(), "second".to_owned(), "first".to_owned()];
    assert_eq!(store.import_prompts(&prompts).unwrap(), 2);
    assert_eq!(store.import_prompts(&prompts).unwrap(), 0);
    let sent = |most| store.sent(most, 1000).unwrap().into_iter().map(|sent| sent.text).collect::<Vec<_>>();
    assert_eq!(sent(9), ["mine", "second", "first"]);
    assert_eq!(sent(2), ["mine", "second"]);
}
