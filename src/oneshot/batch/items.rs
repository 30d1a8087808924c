//! Reading the items of a batch: one JSON object a line. What is wrong with an item is told in its place; only what is
//! wrong with all of them is an error here.

use std::collections::HashMap;
use std::io::{BufRead, Read};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::held_to::HeldTo;
use super::no_items::{Seen, refuse_binary};
use crate::chat::{Message, Role};
use crate::config::{Config, OF_ANSWERS, Settings, setting_meant};
use crate::engine::constraint::schema_of;
use crate::engine::protocol::{GenerateOptions, Prompt};
use crate::exit::Failure;
use crate::text::cause;
use crate::text::plain::{self, meant, plain};

/// What messages call what is piped in.
pub const STDIN: &str = "stdin";

/// More than any model takes.
const MOST_LINE_BYTES: u64 = 16 << 20;
/// All items are held in memory.
const MOST_BYTES: u64 = 512 << 20;
const MOST_ITEMS: usize = 500_000;

/// What keys that are no settings are called elsewhere.
const USUAL_NAMES: [(&str, &str); 3] = [("custom_id", "id"), ("text", "prompt"), ("question", "prompt")];

/// One item.
#[derive(Debug)]
pub struct Item {
    pub id: Value,
    /// Its line in the input, from 1.
    pub line: usize,
    pub asked: Result<Asked, Failure>,
}

/// What is asked, and how it is to be answered.
#[derive(Debug)]
pub struct Asked {
    pub prompt: Prompt,
    pub options: GenerateOptions,
}

/// A message as it is written in an item.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    role: Role,
    content: String,
}

/// Reads items, which are answered by the settings of `base` where they have none of their own. What answers are held to
/// is collected in `held_to`. Messages call the input `name`.
///
/// # Errors
/// If it cannot be read, is no text, is too much, has something else than items in all its lines, or two items have the
/// same id.
pub fn read(mut input: impl BufRead, name: &str, base: &Settings, held_to: &mut HeldTo) -> Result<Vec<Item>, Failure> {
    let usual = Config::from(base.clone());
    let mut reader = ItemReader { base, usual, held_to, seen: Seen::default() };
    let (mut items, mut bytes, mut line) = (Vec::new(), 0, Vec::new());
    let mut lines: HashMap<String, usize> = HashMap::new();
    for number in 1.. {
        let (read, is_long) = next_line(&mut input, &mut line, MOST_BYTES - bytes)
            .map_err(|error| Failure::usage(format!("cannot read the items: {}", cause(&error))))?;
        if read == 0 {
            break;
        }
        refuse_binary(&line, bytes, name)?;
        bytes += read;
        if bytes >= MOST_BYTES || items.len() >= MOST_ITEMS {
            return Err(Failure::usage(
                "there are more than 512 MiB or 500,000 items, which is too much for one batch",
            )
            .hint("split the items into several files"));
        }
        let text = line.strip_prefix("\u{feff}".as_bytes()).filter(|_| number == 1).unwrap_or(&line);
        if !is_long && text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let item = if is_long {
            failed(number, number.into(), "it is longer than 16 MiB, which no model can take in".into())
        } else {
            reader.item(number, text)
        };
        if let Some(earlier) = lines.insert(item.id.to_string(), number) {
            return Err(Failure::usage(format!(
                "the items of lines {earlier} and {number} have the same id, {}",
                item.id
            ))
            .hint("give each item an `id` of its own; without one, it is the number of the line"));
        }
        items.push(item);
    }
    reader.seen.check(name)?;
    Ok(items)
}

/// Reads a line, of at most `most` bytes; tells how many there were, and whether that is too much for an item. Of such a
/// line nothing is kept.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>, most: u64) -> std::io::Result<(u64, bool)> {
    let (mut bytes, mut is_long) = (0, false);
    loop {
        line.clear();
        let part = input.by_ref().take(MOST_LINE_BYTES).read_until(b'\n', line)? as u64;
        bytes += part;
        if part < MOST_LINE_BYTES || line.last() == Some(&b'\n') || bytes >= most {
            return Ok((bytes, is_long));
        }
        is_long = true;
    }
}

/// What items are read with.
struct ItemReader<'r> {
    base: &'r Settings,
    /// What `base` comes to.
    usual: Config,
    held_to: &'r mut HeldTo,
    seen: Seen,
}

impl ItemReader<'_> {
    fn item(&mut self, line: usize, text: &[u8]) -> Item {
        let read = serde_json::from_slice::<Value>(text.trim_ascii_end());
        let mut object = match read {
            Ok(Value::Object(object)) => object,
            Ok(_) => {
                self.seen.other(text);
                return failed(line, line.into(), "it is no JSON object".into());
            }
            Err(error) => {
                self.seen.other(text);
                let problem = plain::json_behind(&error, line - 1);
                return failed(line, line.into(), format!("it is no JSON: {problem}"));
            }
        };
        self.seen.objects += 1;
        let id = match object.shift_remove("id") {
            None | Some(Value::Null) => line.into(),
            Some(id @ (Value::String(_) | Value::Number(_))) => id,
            Some(_) => return failed(line, line.into(), "`id` is to be a string or a number".into()),
        };
        match self.asked(object) {
            Ok(asked) => Item { id, line, asked: Ok(asked) },
            Err(sentence) => failed(line, id, sentence),
        }
    }

    fn asked(&mut self, mut object: Map<String, Value>) -> Result<Asked, String> {
        object.retain(|_, value| !value.is_null());
        if let Some(key) = object.keys().find(|key| !is_known(key)) {
            return Err(no_key(key));
        }
        let mut messages = messages(&mut object)?;
        let own = own_settings(object)?;
        let says_system = messages.first().is_some_and(|first| first.role == Role::System);
        if says_system && own.system.as_ref().is_some_and(|system| !system.is_empty()) {
            return Err("the item has `system` and a system message, and can have only one of them".into());
        }
        let (system, options) = if own == Settings::default() {
            (self.usual.system.clone(), self.usual.generate.clone())
        } else {
            let config = Config::from(own.over(self.base.clone()));
            (config.system, config.generate)
        };
        if let Some(constraint) = &options.constraint {
            self.held_to.check(constraint)?;
        }
        if let Some(system) = system.filter(|_| !says_system) {
            messages.insert(0, Message::new(Role::System, system));
        }
        Ok(Asked { prompt: Prompt { chat: None, messages }, options })
    }
}

/// An item with a mistake, which is told with its place.
fn failed(line: usize, id: Value, sentence: String) -> Item {
    let named = if id == line { String::new() } else { format!(" (id {id})") };
    Item { asked: Err(Failure::usage(format!("line {line}{named}: {sentence}"))), id, line }
}

/// The conversation of an item.
fn messages(object: &mut Map<String, Value>) -> Result<Vec<Message>, String> {
    match (object.shift_remove("prompt"), object.shift_remove("messages")) {
        (Some(Value::String(prompt)), None) if !prompt.trim().is_empty() => Ok(vec![Message::new(Role::User, prompt)]),
        (Some(Value::String(_)), None) => Err("`prompt` is empty, so there is nothing to answer".into()),
        (Some(_), None) => Err("`prompt` is to be a string".into()),
        (None, Some(list)) => {
            let said: Vec<Said> = serde_json::from_value(list)
                .map_err(|error| format!("`messages` cannot be understood: {}", plain::json(&error)))?;
            let is_asked = said.last().is_some_and(|last| last.role != Role::System && !last.content.is_empty());
            if !is_asked {
                return Err(
                    "`messages` must end with something said by the user, or by the assistant, who goes on".into()
                );
            }
            Ok(said.into_iter().map(|said| Message::new(said.role, said.content)).collect())
        }
        (Some(_), Some(_)) => Err("the item has `prompt` and `messages`, and can have only one of them".into()),
        (None, None) => Err("the item has no `prompt` and no `messages`".into()),
    }
}

/// The settings of an item, which are all that is left of it.
fn own_settings(object: Map<String, Value>) -> Result<Settings, String> {
    let mut own = Settings::default();
    for (key, value) in object {
        let value = match (key.as_str(), value) {
            ("stop", Value::String(stop)) => vec![stop].into(),
            ("schema", schema @ Value::Object(_)) => schema.to_string().into(),
            ("schema" | "grammar", Value::String(form)) if form.trim().is_empty() => {
                return Err(format!("`{key}` is empty; leave it out, or say what it is to be"));
            }
            ("schema", Value::String(schema)) if !schema.trim_start().starts_with('{') => {
                // Not the name of a file: what is in items may come from anywhere.
                let wrong =
                    |problem| format!("`schema` is no JSON schema, and as its short form it is wrong {problem}");
                schema_of(&schema).map_err(wrong)?.into()
            }
            (_, value) => value,
        };
        let one = Settings::deserialize(Value::Object(Map::from_iter([(key.clone(), value)])));
        own = one.map_err(|error| format!("`{key}`: {}", plain(&error.to_string())))?.over(own);
    }
    if own.stop.iter().flatten().any(String::is_empty) {
        return Err("`stop` has an empty text, which is in every answer; `[]` takes back what is set for all".into());
    }
    match (&own.schema, &own.grammar) {
        (Some(_), Some(_)) => return Err("the item has `schema` and `grammar`, and can have only one of them".into()),
        // The other one is not for this item.
        (Some(_), None) => own.grammar = Some(String::new()),
        (None, Some(_)) => own.schema = Some(String::new()),
        (None, None) => {}
    }
    Ok(own)
}

/// The settings that an item may have of its own, by their names in `config.toml`.
fn settings() -> impl Iterator<Item = &'static str> + Clone {
    std::iter::once("system").chain(OF_ANSWERS)
}

fn is_known(key: &str) -> bool {
    settings().any(|name| name == key) || ["prompt", "messages"].contains(&key)
}

/// What is told of a key that means nothing: the one that was meant, or all of them.
fn no_key(key: &str) -> String {
    let known = ["id", "prompt", "messages"].into_iter().chain(settings());
    let usual = USUAL_NAMES.iter().find(|(usual, _)| *usual == key).map(|(_, name)| (*name).to_owned());
    let of_settings = || setting_meant(key).filter(|name| settings().any(|known| known == name));
    match usual.or_else(of_settings).or_else(|| meant(key, known.clone()).map(str::to_owned)) {
        Some(name) => format!("`{key}` is no key of an item; `{name}` may be meant"),
        None => format!("`{key}` is no key of an item; there are {}", known.collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::{Constraint, Think};

    fn read_with(base: &Settings, text: &str) -> Result<Vec<Item>, Failure> {
        read(text.as_bytes(), "`items.ndjson`", base, &mut HeldTo::default())
    }

    fn items(text: &str) -> Vec<Item> {
        read_with(&Settings::default(), text).unwrap()
    }

    fn one(text: &str) -> Asked {
        items(text).remove(0).asked.unwrap()
    }

    #[test]
    fn an_item_without_an_id_has_the_number_of_its_line() {
        let items =
            items("{\"prompt\": \"a\"}\n\n{\"id\": \"x\", \"prompt\": \"b\"}\r\n{\"id\": null, \"prompt\": \"c\"}");
        let ids: Vec<Value> = items.iter().map(|item| item.id.clone()).collect();
        assert_eq!(ids, [Value::from(1), "x".into(), 4.into()]);
        assert_eq!(items[1].asked.as_ref().unwrap().prompt.messages, [Message::new(Role::User, "b")]);
    }

    #[test]
    fn an_item_has_settings_of_its_own_over_those_of_all() {
        let base = Settings {
            temp: "0".parse().ok(),
            system: Some("Be brief".into()),
            schema: Some(r#"{"type": "string"}"#.into()),
            ..Settings::default()
        };
        let text = r#"{"prompt": "a", "seed": 7, "stop": "x", "think": 20, "max_tokens": 5}
            {"prompt": "a", "system": "", "grammar": "root ::= \"a\""}
            {"messages": [{"role": "system", "content": "Rhyme"}, {"role": "user", "content": "a"}], "schema": {}}
            {"prompt": "a", "schema": "name, age int"}"#;
        let items = read_with(&base, text).unwrap();
        let asked: Vec<&Asked> = items.iter().map(|item| item.asked.as_ref().unwrap()).collect();
        let first = &asked[0].options;
        assert_eq!((first.sampling.temperature, first.sampling.seed, first.max_tokens), (0.0, Some(7), Some(5)));
        assert_eq!((&first.stop[..], first.think), (&["x".to_owned()][..], Think::Budget(20)));
        assert_eq!(asked[0].prompt.messages[0], Message::new(Role::System, "Be brief"));
        assert_eq!(asked[1].prompt.messages.len(), 1, "an empty text takes back what is set for all");
        assert!(matches!(asked[1].options.constraint, Some(Constraint::Grammar(_))));
        assert_eq!(asked[2].prompt.messages[0], Message::new(Role::System, "Rhyme"));
        assert_eq!(asked[2].options.constraint, Some(Constraint::Schema("{}".into())));
        assert!(matches!(&asked[3].options.constraint, Some(Constraint::Schema(text)) if text.contains("\"age\"")));
    }

    #[test]
    fn an_answer_may_be_gone_on_with() {
        let asked = one(r#"{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#);
        assert!(asked.prompt.continues_answer());
    }

    #[test]
    fn what_is_wrong_with_an_item_is_told_in_its_place() {
        for (text, part) in [
            ("hello", "line 1: it is no JSON: something else stands where a value belongs (line 1, column 1)"),
            ("\n\n{\"a\" 1}", "line 3: it is no JSON: a `:` is missing behind a name (line 3, column 6)"),
            ("[1]", "line 1: it is no JSON object"),
            ("{}", "line 1: the item has no `prompt` and no `messages`"),
            (r#"{"id": "x", "prompt": "a", "temp": 9}"#, "line 1 (id \"x\"): `temp`: 9 is not between 0 and 5"),
            (r#"{"prompt": "a", "stop": [""]}"#, "`stop` has an empty text"),
            (r#"{"prompt": "a", "stop": ""}"#, "`stop` has an empty text"),
            (r#"{"prompt": " "}"#, "`prompt` is empty"),
            (r#"{"prompt": 3}"#, "`prompt` is to be a string"),
            (r#"{"prompt": "a", "messages": []}"#, "can have only one of them"),
            (r#"{"messages": []}"#, "must end with something said"),
            (
                r#"{"messages": [{"role": "robot", "content": "a"}]}"#,
                "`messages` cannot be understood: it is `robot`, and must be `system`, `user` or `assistant`",
            ),
            (r#"{"messages": [{"role": "user", "text": "a"}]}"#, "there is no key `text`, but `role` or `content`"),
            (r#"{"prompt": "a", "temperature": 0}"#, "`temperature` is no key of an item; `temp` may be meant"),
            (r#"{"prompt": "a", "max_token": 0}"#, "`max_token` is no key of an item; `max_tokens` may be meant"),
            (r#"{"promt": "a"}"#, "`promt` is no key of an item; `prompt` may be meant"),
            (
                r#"{"prompt": "a", "temp": "hot"}"#,
                "`temp`: it is the text \"hot\", and must be a number between 0 and 5",
            ),
            (
                r#"{"prompt": "a", "model": "x"}"#,
                "`model` is no key of an item; there are id, prompt, messages, system",
            ),
            (r#"{"prompt": "a", "temp": 9}"#, "`temp`: 9 is not between 0 and 5"),
            (r#"{"prompt": "a", "max_tokens": 0}"#, "`max_tokens`: "),
            (r#"{"prompt": "a", "think": "hard"}"#, "`think`: "),
            (r#"{"prompt": "a", "schema": "/etc/passwd"}"#, "`schema` is no JSON schema, and as its short form"),
            (r#"{"prompt": "a", "schema": {"type": "sting"}}"#, "the JSON schema cannot be used"),
            (r#"{"prompt": "a", "schema": ""}"#, "`schema` is empty"),
            (r#"{"prompt": "a", "grammar": " "}"#, "`grammar` is empty"),
            (r#"{"prompt": "a", "schema": {}, "grammar": "root ::= \"a\""}"#, "can have only one of them"),
            (r#"{"prompt": "a", "grammar": "root ::= x"}"#, "the grammar cannot be used"),
            (r#"{"id": [1], "prompt": "a"}"#, "`id` is to be a string or a number"),
            ("{\"prompt\": \"caf\u{e9}", "it is no JSON"),
        ] {
            let failure = items(&format!("{text}\n{{\"prompt\": \"good\"}}"));
            let sentence = &failure[0].asked.as_ref().unwrap_err().message;
            assert!(sentence.contains(part), "{text}: {sentence}");
            assert!(failure[1].asked.is_ok(), "the others are not concerned");
        }
    }

    #[test]
    fn what_has_no_items_at_all_is_refused_with_what_makes_items_of_it() {
        for (text, what, hint) in [
            ("Why?\nHow?\n", "its lines are no JSON", "jq -Rc '{prompt: .}' items.ndjson | tuichat batch -"),
            ("\n[{\"prompt\": \"a\"},\n {}]", "it is a list", "jq -c '.[]' items.ndjson | tuichat batch -"),
            ("{\n \"prompt\": \"a\"\n}\n", "its objects go over several lines", "jq -c . items.ndjson | tuichat"),
            ("\"a\"\n\"b\"\n", "its lines are texts", "jq -c '{prompt: .}' items.ndjson | tuichat batch -"),
        ] {
            let failure = read_with(&Settings::default(), text).unwrap_err();
            assert!(failure.message.ends_with(what), "{text}: {}", failure.message);
            assert!(failure.hint.as_ref().unwrap().contains(hint), "{failure}");
        }
        let failure = read("Why?".as_bytes(), STDIN, &Settings::default(), &mut HeldTo::default()).unwrap_err();
        assert_eq!(failure.hint.unwrap(), "`jq -Rc '{prompt: .}' | tuichat batch -` makes items of them");
    }

    #[test]
    fn what_is_no_text_is_refused_as_a_whole() {
        let refused = |bytes: &[u8]| read(bytes, "`x`", &Settings::default(), &mut HeldTo::default()).unwrap_err();
        assert!(refused(b"GGUF\x03\0\0\n\xff").message.starts_with("`x` is not UTF-8 text (byte 5), so there are no"));
        assert!(refused(b"\xff\xfe{\0").message.contains("(byte 3)"));
        assert!(refused(b"\x1f\x8b\x08").message.contains("(byte 1)"));
        assert!(refused(b"{\"prompt\": \"a\"}\n\0").message.contains("(byte 16)"));
        let latin = read(&b"{\"prompt\": \"a\"}\n\"caf\xe9\""[..], "`x`", &Settings::default(), &mut HeldTo::default());
        assert!(latin.unwrap()[1].asked.is_err(), "a line in another encoding is an item that failed");
    }

    #[test]
    fn an_item_with_a_mistake_keeps_its_id() {
        assert_eq!(items(r#"{"id": "x", "prompt": "a", "temp": 9}"#)[0].id, "x");
    }

    #[test]
    fn two_items_of_one_id_are_refused() {
        let same = |text: &str| read_with(&Settings::default(), text).unwrap_err().message;
        assert_eq!(
            same("{\"id\": \"x\"}\n{\"prompt\": \"a\"}\n{\"id\": \"x\"}"),
            "the items of lines 1 and 3 have the same id, \"x\""
        );
        assert_eq!(same("{\"id\": 2}\n{\"prompt\": \"a\"}"), "the items of lines 1 and 2 have the same id, 2");
        assert_eq!(items("{\"id\": \"2\"}\n{\"prompt\": \"a\"}").len(), 2, "a text is no number");
    }

    #[test]
    fn a_line_that_is_too_long_is_an_item_that_failed() {
        let long = std::io::repeat(b'a').take(MOST_LINE_BYTES + 5).chain(&b"\n{\"prompt\": \"b\"}"[..]);
        let items = read(std::io::BufReader::new(long), STDIN, &Settings::default(), &mut HeldTo::default()).unwrap();
        assert!(items[0].asked.as_ref().unwrap_err().message.contains("longer than 16 MiB"));
        assert_eq!((items.len(), items[1].line, items[1].asked.is_ok()), (2, 2, true));
    }

    #[test]
    fn a_stream_without_end_is_refused() {
        let endless = std::io::BufReader::new(std::io::repeat(b'a'));
        let failure = read(endless, STDIN, &Settings::default(), &mut HeldTo::default());
        assert!(failure.is_err());
    }
}
