use proptest::prelude::*;

use super::*;
use crate::chat::{Ended, Role};
use crate::store::{ChatId, StoredMessage};

/// Imports a file of this name and content.
fn take(store: &mut Store, name: &str, content: impl AsRef<[u8]>) -> Result<Report, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    import(&path, store, &mut |_| {}).map_err(|error| error.to_string())
}

fn imported(content: impl AsRef<[u8]>) -> (Store, Report) {
    let mut store = Store::in_memory().unwrap();
    let report = take(&mut store, "chats.json", content).unwrap();
    (store, report)
}

/// The chats, the oldest first.
fn chats(store: &Store) -> Vec<(ChatId, String)> {
    store.chats(99).unwrap().into_iter().rev().map(|chat| (chat.id, chat.title)).collect()
}

fn titles(store: &Store) -> Vec<String> {
    chats(store).into_iter().map(|(_, title)| title).collect()
}

fn said(messages: &[StoredMessage]) -> Vec<(Role, &str)> {
    messages.iter().map(|message| (message.role, message.text.as_str())).collect()
}

/// A conversation as ChatGPT exports it: a hidden system message, a question that was edited once, an answer that was
/// asked for twice, and thoughts, a tool and a second part of the last answer.
const CHATGPT: &str = r#"[{"title": "Sky & sea", "create_time": 1700000000.25, "update_time": 1700000900.5,
 "conversation_id": "c1", "current_node": "tool-answer-2", "is_archived": true, "mapping": {
  "root": {"id": "root", "message": null, "parent": null, "children": ["sys"]},
  "sys": {"message": {"author": {"role": "system"}, "content": {"content_type": "text", "parts": [""]},
    "metadata": {"is_visually_hidden_from_conversation": true}}, "parent": "root", "children": ["q1", "q2"]},
  "q1": {"message": {"author": {"role": "user"}, "create_time": 1700000001.0,
    "content": {"content_type": "text", "parts": ["Why blue?"]}}, "parent": "sys", "children": ["a1", "a2"]},
  "a1": {"message": {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": ["Air."]},
    "metadata": {"model_slug": "gpt-4o"}}, "parent": "q1", "children": []},
  "a2": {"message": {"author": {"role": "assistant"}, "content": {"content_type": "text", "parts": ["Light."]}},
    "parent": "q1", "children": []},
  "q2": {"message": {"author": {"role": "user"}, "content": {"content_type": "multimodal_text",
    "parts": [{"content_type": "image_asset_pointer", "asset_pointer": "x"}, "Why green?"]}},
    "parent": "sys", "children": ["thought"]},
  "thought": {"message": {"author": {"role": "assistant"}, "content": {"content_type": "thoughts",
    "thoughts": [{"summary": "s", "content": "Algae, maybe"}]}}, "parent": "q2", "children": ["call"]},
  "call": {"message": {"author": {"role": "assistant"}, "recipient": "python",
    "content": {"content_type": "code", "text": "print(1)"}}, "parent": "thought", "children": ["tool"]},
  "tool": {"message": {"author": {"role": "tool", "name": "python"},
    "content": {"content_type": "execution_output", "text": "1"}}, "parent": "call", "children": ["tool-answer"]},
  "tool-answer": {"message": {"author": {"role": "assistant"}, "content": {"content_type": "text",
    "parts": ["Algae."]}}, "parent": "tool", "children": ["tool-answer-2"]},
  "tool-answer-2": {"message": {"author": {"role": "assistant"}, "recipient": "all",
    "content": {"content_type": "text", "parts": ["And sand."]}}, "parent": "tool-answer", "children": []}
 }}]"#;

#[test]
fn chatgpt_keeps_its_branches_and_loses_its_tools() {
    let (store, report) = imported(CHATGPT);
    assert_eq!((report.chats, &report.problems[..]), (1, &[][..]));
    let (chat, title) = chats(&store).remove(0);
    assert_eq!(title, "Sky & sea");
    let branch = store.branch(chat).unwrap();
    assert_eq!(said(&branch), [(Role::User, "Why green?"), (Role::Assistant, "Algae.\n\nAnd sand.")]);
    assert_eq!(branch[1].thinking, "Algae, maybe");
    let tree = store.tree(chat).unwrap().messages;
    assert_eq!(said(&tree[..3]), [(Role::User, "Why blue?"), (Role::Assistant, "Air."), (Role::Assistant, "Light.")]);
    assert_eq!((tree[1].parent, tree[2].parent, tree[3].parent), (Some(tree[0].id), Some(tree[0].id), None));
    assert_eq!((tree[1].model.as_deref(), tree[1].ended), (Some("gpt-4o"), Some(Ended::Stop)));
    assert_eq!(tree[0].created_at.as_millisecond(), 1_700_000_001_000);
    let summary = store.chat(chat).unwrap().unwrap();
    assert_eq!((summary.created_at.as_millisecond(), summary.is_archived), (1_700_000_000_250, true));
    assert_eq!(summary.updated_at.as_millisecond(), 1_700_000_900_500);
}

#[test]
fn importing_twice_does_not_double() {
    let line = r#"{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}"#;
    for (name, content) in [("conversations.json", CHATGPT.to_owned()), ("chats.jsonl", format!("{line}\n{line}\n"))] {
        let mut store = Store::in_memory().unwrap();
        let first = take(&mut store, name, &content).unwrap();
        let again = take(&mut store, name, &content).unwrap();
        assert_eq!((first.chats, again.chats), (1, 0), "{name}");
        assert_eq!(again.known, first.chats + first.known);
        assert_eq!(chats(&store).len(), 1);
    }
}

#[test]
fn messages_with_roles_are_chats_however_they_are_written() {
    let chat = r#"{"title": "One", "model": "qwen", "created_at": "2024-05-01T10:00:00Z", "messages": [
        {"role": "developer", "content": "Be brief"}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
        {"role": "assistant", "content": "Hel", "reasoning_content": "Hm"}, {"role": "tool", "content": "x"},
        {"role": "assistant", "content": "lo"}]}"#;
    let one_line = chat.replace('\n', " ");
    let claude = r#"{"name": "Two", "chat_messages": [{"sender": "human", "text": "Hi"}, {"sender": "assistant", "text": "Ho"}]}"#;
    let sharegpt = r#"{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho!"}]}"#;
    for content in [
        chat.to_owned(),
        format!("[{chat},{claude},{sharegpt}]"),
        format!("\u{feff}\n {{\"chats\": [{chat},{claude},{sharegpt}]}}"),
        format!("{one_line}\n\n{claude}\n{sharegpt}"),
        format!("{chat}\n{claude}{sharegpt}"),
    ] {
        let (store, report) = imported(&content);
        assert_eq!(report.problems, [""; 0], "{content}");
        let found = chats(&store).into_iter().find(|(_, title)| title == "One").expect("it has a title");
        let branch = store.branch(found.0).unwrap();
        let expected = [(Role::System, "Be brief"), (Role::User, "Hi"), (Role::Assistant, "Hel\n\nlo")];
        assert_eq!(said(&branch), expected, "{content}");
        assert_eq!((branch[2].thinking.as_str(), branch[2].model.as_deref()), ("Hm", Some("qwen")));
        assert_eq!(store.chat(found.0).unwrap().unwrap().created_at.to_string(), "2024-05-01T10:00:00Z");
        assert!([1, 3].contains(&report.chats), "{report:?}");
        assert!(report.chats == 1 || titles(&store).contains(&"Hi".to_owned()), "without a title, the first question");
    }
}

#[test]
fn messages_alone_are_one_chat_that_is_called_like_the_file() {
    let lines = "{\"role\":\"user\",\"content\":\"Hi\"}\n{\"role\":\"assistant\",\"content\":\"Ho\"}\n";
    let array = "[{\"role\":\"user\",\"content\":\"Hi\"},{\"role\":\"assistant\",\"content\":\"Ho\"}]";
    for content in [lines, array] {
        let mut store = Store::in_memory().unwrap();
        assert_eq!(take(&mut store, "my notes.jsonl", content).unwrap().chats, 1);
        assert_eq!(titles(&store), ["my notes"]);
        let branch = store.branch(chats(&store)[0].0).unwrap();
        assert_eq!(said(&branch), [(Role::User, "Hi"), (Role::Assistant, "Ho")]);
    }
}

#[test]
fn what_is_broken_is_told_with_its_place_and_the_rest_is_imported() {
    let good = |text: &str| format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}]}}"#);
    let lines = format!("{}\nno json\n{{\"a\":1}}\n{}\n\u{fffd}\n[1]\n", good("one"), good("two"));
    let (store, report) = imported(lines.as_bytes());
    assert_eq!((report.chats, report.problems.len()), (2, 4), "{report:?}");
    assert!(report.problems[0].starts_with("line 2 is no JSON: "), "{:?}", report.problems);
    assert!(report.problems[1].starts_with("line 3: it is no chat that is known here"), "{:?}", report.problems);
    assert_eq!(titles(&store), ["one", "two"]);

    let half = format!("[{}, 7, {{\"mapping\":{{}}}}, {}, {{\"mess", good("one"), good("two"));
    let (_, report) = imported(&half);
    assert_eq!((report.chats, report.problems.len()), (2, 3), "{report:?}");
    assert!(report.problems[0].starts_with("element 2: it is no chat"), "{:?}", report.problems);
    assert!(report.problems[2].starts_with("element 5 is no whole JSON"), "{:?}", report.problems);

    let many = "{}\n".repeat(50);
    let (_, report) = imported(format!("{}\n{many}", good("one")));
    assert_eq!((report.problems.len(), report.more_problems), (20, 30));
}

#[test]
fn hostile_files_are_sentences() {
    let mut store = Store::in_memory().unwrap();
    for (name, content, part) in [
        ("a.json", "", "it is empty"),
        ("a.json", "  \n ", "it is empty"),
        ("a.json", "hello", "neither `{` nor `[`"),
        ("a.db", "SQLite format 3\0 and nothing more", "no file of chats"),
    ] {
        let error = take(&mut store, name, content).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
    let deep = format!("[{}", "[".repeat(100_000));
    let circle = r#"[{"mapping":{"a":{"parent":"b","children":["b"],"message":{"author":{"role":"user"},
        "content":{"parts":["x"]}}},"b":{"parent":"a","children":["a"]}}}]"#;
    let own_parent = r#"[{"mapping":{"a":{"parent":"a","children":["a","a"]}},"current_node":"a"}]"#;
    let odd = r#"[{"mapping":{"a":7,"b":{"message":[],"parent":5,"children":"x"}}},{"messages":[7]},{"messages":[]},
        {"tuichat":1},{"tuichat":"x"},{"messages":[{"role":"user"}]},{"messages":[{"role":"pirate","content":"arr"}]},
        {"messages":[{"role":"user","content":null}]}]"#;
    for content in [&deep, circle, own_parent, odd, "[\"\\ud800\"]", "{\"a\":1e999}", "[NaN]"] {
        let report = take(&mut store, "a.json", content).unwrap();
        assert!(report.is_empty() && !report.problems.is_empty(), "{content:.80}: {report:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("none.json")] {
        assert!(import(&path, &mut store, &mut |_| {}).is_err());
    }
    assert_eq!(chats(&store), []);
}

#[test]
fn a_long_conversation_of_chatgpt_is_no_deep_recursion() {
    let mut nodes = vec![r#""0":{"parent":null,"children":["1"]}"#.to_owned()];
    for number in 1..20_000 {
        let role = if number % 2 == 1 { "user" } else { "assistant" };
        nodes.push(format!(
            r#""{number}":{{"parent":"{}","children":["{}"],"message":{{"author":{{"role":"{role}"}},"content":{{"parts":["x"]}}}}}}"#,
            number - 1,
            number + 1
        ));
    }
    let (store, report) = imported(format!(r#"[{{"title":"Long","mapping":{{{}}}}}]"#, nodes.join(",")));
    assert_eq!(report.chats, 1, "{report:?}");
    assert_eq!(store.branch(chats(&store)[0].0).unwrap().len(), 19_999);
}

#[test]
fn prompts_of_ollama_become_messages_that_were_sent_before() {
    let mut store = Store::in_memory().unwrap();
    let content = b"Why is the sky blue?\n/bye\n  \n/usr/bin is what?\n/set parameter seed 1\n\xff\xfe\nAnd the sea?\n";
    let report = take(&mut store, "history", content).unwrap();
    assert_eq!((report.prompts, report.problems.len()), (2, 1), "{report:?}");
    assert_eq!(take(&mut store, "history", content).unwrap().prompts, 0);
    let sent: Vec<String> = store.sent(9, 1000).unwrap().into_iter().map(|sent| sent.text).collect();
    assert_eq!(sent, ["And the sea?", "Why is the sky blue?"]);
    assert_eq!(take(&mut store, "ollama-history.txt", "[1] or [2]?\n").unwrap().prompts, 1);
    let long = [vec![b'x'; 3 << 20], b"\nshort\n".to_vec()].concat();
    let report = take(&mut store, "history", long).unwrap();
    assert_eq!((report.prompts, report.problems.len()), (1, 1), "{report:?}");
}

#[test]
fn the_chats_of_ollamas_app_are_read_from_its_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("db.sqlite");
    let app = rusqlite::Connection::open(&path).unwrap();
    app.execute_batch(
        "CREATE TABLE chats (id TEXT PRIMARY KEY, title TEXT NOT NULL DEFAULT '', created_at TIMESTAMP NOT NULL);
         CREATE TABLE messages (id INTEGER PRIMARY KEY, chat_id TEXT NOT NULL, role TEXT NOT NULL, content TEXT NOT NULL,
            thinking TEXT NOT NULL DEFAULT '', model_name TEXT, created_at TIMESTAMP NOT NULL);
         INSERT INTO chats VALUES ('a', 'Sky', '2025-09-01 12:00:00.5+02:00'), ('b', '', '2025-09-02 10:00:00');
         INSERT INTO messages (chat_id, role, content, thinking, model_name, created_at) VALUES
            ('a', 'user', 'Why blue?', '', NULL, '2025-09-01 12:00:01+02:00'),
            ('a', 'assistant', '', '', 'qwen3', '2025-09-01 12:00:02+02:00'),
            ('a', 'tool', 'x', '', NULL, '2025-09-01 12:00:02+02:00'),
            ('a', 'assistant', 'Air.', 'Hm', 'qwen3', 'no time');",
    )
    .unwrap();
    let mut store = Store::in_memory().unwrap();
    let report = import(&path, &mut store, &mut |_| {}).unwrap();
    assert_eq!((report.chats, report.problems.len()), (1, 1), "{report:?}");
    let chat = chats(&store)[0].0;
    let branch = store.branch(chat).unwrap();
    assert_eq!(said(&branch), [(Role::User, "Why blue?"), (Role::Assistant, "Air.")]);
    assert_eq!((branch[1].thinking.as_str(), branch[1].model.as_deref()), ("Hm", Some("qwen3")));
    assert_eq!(store.chat(chat).unwrap().unwrap().created_at.to_string(), "2025-09-01T10:00:00.5Z");
    assert_eq!(import(&path, &mut store, &mut |_| {}).unwrap().known, 1);
    app.execute_batch("DROP TABLE messages").unwrap();
    assert!(import(&path, &mut store, &mut |_| {}).unwrap_err().to_string().contains("of another program"));
}

#[test]
fn exported_chats_are_imported_a_line_each_or_alone() {
    let mut store = Store::in_memory().unwrap();
    let mut exported = Vec::new();
    for title in ["One", "Two"] {
        let chat = store.create_chat(title, Some("Be brief")).unwrap();
        let question = store.add_message(chat, None, Role::User, title).unwrap();
        store.add_message(chat, Some(question), Role::Assistant, "Yes").unwrap();
        exported.push(store.whole_chat(chat).unwrap());
    }
    let lines: String = exported.iter().map(|chat| serde_json::to_string(chat).unwrap() + "\n").collect();
    for (content, count) in [(lines, 2), (crate::exchange::Form::Json.write(&exported[0]), 1)] {
        let (other, report) = imported(&content);
        assert_eq!((report.chats, report.problems.len()), (count, 0));
        for (chat, whole) in chats(&other).iter().zip(&exported) {
            assert_eq!(&other.whole_chat(chat.0).unwrap(), whole);
        }
        assert_eq!(take(&mut store, "again.json", &content).unwrap().known, count, "they are here");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn no_file_ends_the_program(cut in 0usize..4000, flip in 0usize..4000, byte in any::<u8>()) {
        let mut bytes = CHATGPT.as_bytes().to_vec();
        let length = bytes.len();
        bytes[flip % length] = byte;
        bytes.truncate(length - cut % length);
        let mut store = Store::in_memory().unwrap();
        let _ = take(&mut store, "conversations.json", &bytes);
    }
}
