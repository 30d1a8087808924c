//! The short form of a JSON schema: `name, age int, tags [str]`. What it can say is in `tuichat help schema`.

use serde_json::{Map, Value, json};

/// Lists and objects in one another.
const MOST_DEPTH: u32 = 32;
/// What is no word in an enumeration unless it stands in quotes: somebody meant the type.
const RESERVED: [&str; 7] = ["str", "int", "num", "bool", "null", "true", "false"];
/// What types are called elsewhere.
const USUAL_NAMES: [(&str, &str); 6] =
    [("string", "str"), ("text", "str"), ("integer", "int"), ("number", "num"), ("float", "num"), ("boolean", "bool")];
const TYPES: &str = "a type is `str`, `int`, `num`, `bool`, a list like `[str]`, fields in braces like `{street, zip int}` \
                     or words like `small|large`";

/// The JSON schema that a short form means: every field is required unless it has a `?`, and there are no others.
///
/// # Errors
/// What is wrong with it and where, without a subject in front: "at character 12: …".
pub fn schema_of(text: &str) -> Result<String, String> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    reader.whole().map(|schema| schema.to_string()).map_err(|problem| {
        let character = text[..reader.at].chars().count() + 1;
        format!("at character {character}: {problem}")
    })
}

struct Reader<'text> {
    text: &'text str,
    /// Where the next thing begins; where the mistake is, if there was one.
    at: usize,
    depth: u32,
}

/// A name, or one of the words of an enumeration.
struct Word {
    text: String,
    at: usize,
    is_quoted: bool,
}

impl Word {
    /// What it stands for among the words of an enumeration.
    fn value(&self) -> Value {
        match self.text.parse::<i64>() {
            Ok(number) if !self.is_quoted => number.into(),
            _ => self.text.as_str().into(),
        }
    }
}

impl Reader<'_> {
    fn whole(&mut self) -> Result<Value, String> {
        let begin = self.at;
        let schema = match self.peek() {
            Some('[') => self.list()?,
            _ => match self.word()? {
                Some(first) if self.peek() == Some('|') => self.enumeration(first)?,
                _ => {
                    self.at = begin;
                    self.fields()?
                }
            },
        };
        match self.peek() {
            None => Ok(schema),
            Some(_) => Err(format!("{} does not belong here; a comma goes between fields", self.found())),
        }
    }

    /// `name, age int`
    fn fields(&mut self) -> Result<Value, String> {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        loop {
            let name =
                self.word()?.ok_or_else(|| format!("a field begins with its name, and not with {}", self.found()))?;
            if properties.contains_key(&name.text) {
                self.at = name.at;
                return Err(format!("there are two fields `{}`", name.text));
            }
            if !self.takes('?') {
                required.push(name.text.clone());
            }
            let schema = match self.peek() {
                None | Some(',' | '}') => json!({"type": "string"}),
                Some(_) => self.kind()?,
            };
            if self.peek() == Some('?') {
                return Err(format!("the `?` goes behind the name: `{}?`", name.text));
            }
            properties.insert(name.text, schema);
            if !self.takes(',') {
                break;
            }
        }
        Ok(json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false}))
    }

    /// What a field is.
    fn kind(&mut self) -> Result<Value, String> {
        match self.peek() {
            Some('[') => return self.list(),
            Some('{') => return self.nested('}', Self::fields),
            Some(':') => return Err("no `:` goes between a name and its type: `name str`".into()),
            _ => {}
        }
        let word = self.word()?.ok_or_else(|| format!("{} is no type; {TYPES}", self.found()))?;
        if self.peek() == Some('|') {
            return self.enumeration(word);
        }
        match word.text.as_str() {
            "str" => Ok(json!({"type": "string"})),
            "int" => Ok(json!({"type": "integer"})),
            "num" => Ok(json!({"type": "number"})),
            "bool" => Ok(json!({"type": "boolean"})),
            other => {
                let usual = USUAL_NAMES.iter().find(|(usual, _)| *usual == other);
                let meant = usual.map(|(_, name)| format!(", `{name}` may be meant")).unwrap_or_default();
                self.at = word.at;
                Err(format!("there is no type `{other}`{meant}; {TYPES}"))
            }
        }
    }

    /// `[str]`
    fn list(&mut self) -> Result<Value, String> {
        let items = self.nested(']', Self::kind)?;
        Ok(json!({"type": "array", "items": items}))
    }

    /// What stands in brackets or braces.
    fn nested(&mut self, end: char, inner: fn(&mut Self) -> Result<Value, String>) -> Result<Value, String> {
        self.at += 1;
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return Err(format!("there are more than {MOST_DEPTH} lists and braces in one another"));
        }
        let schema = inner(self)?;
        self.depth -= 1;
        match self.takes(end) {
            true => Ok(schema),
            false => Err(format!("there must be `{end}` instead of {}", self.found())),
        }
    }

    /// `happy|sad|neutral`, of which the first is read.
    fn enumeration(&mut self, first: Word) -> Result<Value, String> {
        let mut values = Vec::new();
        let mut next = first;
        loop {
            if !next.is_quoted && RESERVED.contains(&next.text.as_str()) {
                self.at = next.at;
                return Err(format!(
                    "`{0}` cannot be one of several words; write `\"{0}\"` for the text, and `name?` for a field that may be missing",
                    next.text
                ));
            }
            if values.contains(&next.value()) {
                self.at = next.at;
                return Err(format!("the word `{}` is there twice", next.text));
            }
            values.push(next.value());
            if !self.takes('|') {
                return Ok(json!({"enum": values}));
            }
            next =
                self.word()?.ok_or_else(|| format!("there must be a word behind `|` instead of {}", self.found()))?;
        }
    }

    /// A name or word, in quotes as JSON has them or without.
    fn word(&mut self) -> Result<Option<Word>, String> {
        let first = self.peek();
        let at = self.at;
        let rest = &self.text[at..];
        if first == Some('"') {
            let mut values = serde_json::Deserializer::from_str(rest).into_iter::<String>();
            let Some(Ok(text)) = values.next() else {
                return Err("a text in quotes is not closed, or has a wrong escape".into());
            };
            self.at += values.byte_offset();
            return Ok(Some(Word { text, at, is_quoted: true }));
        }
        let belongs = |character: char| character.is_alphanumeric() || character == '_' || character == '-';
        let length = rest.find(|character| !belongs(character)).unwrap_or(rest.len());
        self.at += length;
        Ok((length > 0).then(|| Word { text: rest[..length].to_owned(), at, is_quoted: false }))
    }

    /// The next character that is no space.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    fn takes(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        if is_there {
            self.at += wanted.len_utf8();
        }
        is_there
    }

    /// What is there instead of what should be.
    fn found(&mut self) -> String {
        match self.peek() {
            None => "the end".into(),
            Some(character) => format!("`{character}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(properties: Value, required: &[&str]) -> Value {
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }

    #[test]
    fn fields_are_required_texts_unless_they_say_otherwise() {
        let (text, int) = (json!({"type": "string"}), json!({"type": "integer"}));
        let list = |items: &Value| json!({"type": "array", "items": items});
        for (short, expected) in [
            ("name", object(json!({"name": text}), &["name"])),
            (
                "name, age int, tags [str]",
                object(json!({"name": text, "age": int, "tags": list(&text)}), &["name", "age", "tags"]),
            ),
            (
                "a num,b? bool , c?",
                object(json!({"a": {"type": "number"}, "b": {"type": "boolean"}, "c": text}), &["a"]),
            ),
            (
                "address {street, zip int}",
                object(
                    json!({"address": object(json!({"street": text, "zip": int}), &["street", "zip"])}),
                    &["address"],
                ),
            ),
            ("mood happy|sad | neutral", object(json!({"mood": {"enum": ["happy", "sad", "neutral"]}}), &["mood"])),
            ("stars 1|2|\"3\"", object(json!({"stars": {"enum": [1, 2, "3"]}}), &["stars"])),
            (
                "\"first name\", größe-in_cm int",
                object(json!({"first name": text, "größe-in_cm": int}), &["first name", "größe-in_cm"]),
            ),
            ("rows [[int]]\n", object(json!({"rows": list(&list(&int))}), &["rows"])),
            ("[{name, born int}]", list(&object(json!({"name": text, "born": int}), &["name", "born"]))),
            ("[red|green]", list(&json!({"enum": ["red", "green"]}))),
            ("spam|ham", json!({"enum": ["spam", "ham"]})),
        ] {
            let schema: Value = serde_json::from_str(&schema_of(short).unwrap()).unwrap();
            assert_eq!(schema, expected, "{short}");
            assert_eq!(super::super::check(&super::super::Constraint::Schema(schema.to_string())), Ok(()), "{short}");
        }
        assert!(schema_of("zebra, ant").unwrap().find("zebra") < schema_of("zebra, ant").unwrap().find("ant"));
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        for (short, expected) in [
            ("", "at character 1: a field begins with its name, and not with the end"),
            ("name,", "at character 6: a field begins with its name, and not with the end"),
            ("name,, age", "at character 6: a field begins with its name, and not with `,`"),
            (
                "name, age integer",
                "at character 11: there is no type `integer`, `int` may be meant; a type is `str`, `int`",
            ),
            ("größe int, name sting", "at character 17: there is no type `sting`"),
            ("name str age int", "at character 10: `a` does not belong here; a comma goes between fields"),
            ("name: str", "at character 5: no `:` goes between a name and its type: `name str`"),
            ("tags [str", "at character 10: there must be `]` instead of the end"),
            ("tags []", "at character 7: `]` is no type"),
            ("a {b, c", "at character 8: there must be `}` instead of the end"),
            ("a {}", "at character 4: a field begins with its name, and not with `}`"),
            ("a]", "at character 2: `]` is no type"),
            ("age int?", "at character 8: the `?` goes behind the name: `age?`"),
            ("a, b, a int", "at character 7: there are two fields `a`"),
            ("mood happy|", "at character 12: there must be a word behind `|` instead of the end"),
            ("mood happy|sad|happy", "at character 16: the word `happy` is there twice"),
            ("nick str|null", "at character 6: `str` cannot be one of several words"),
            ("a \"b", "at character 3: a text in quotes is not closed"),
            (&format!("a {}", "[".repeat(100)), "more than 32 lists and braces"),
        ] {
            let problem = schema_of(short).unwrap_err();
            assert!(problem.contains(expected), "{short}: {problem}");
        }
    }
}
