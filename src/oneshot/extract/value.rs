//! The first JSON value of an answer: an object or a list, wherever it stands, or the whole answer, whatever it is.
//!
//! What looks like a value and is none is passed over as far as it looked like one, so the inner parts of something
//! broken are never taken for the whole.

use serde_json::Value;
use serde_json::error::Category;

use super::Part;

/// Looks for the value.
#[derive(Default)]
pub struct Search {
    answer: String,
    /// No value begins before this byte.
    from: usize,
    /// Where the value is, once it is whole.
    found: Option<(usize, usize)>,
}

enum Found {
    Value(usize, usize),
    /// It begins there, and is not at its end.
    Open(usize),
    /// Up to here there is none.
    Nothing(usize),
}

impl Search {
    pub fn push(&mut self, piece: &str) -> String {
        self.answer.push_str(piece);
        // An answer that begins with a quotation mark may be one text, which is known when it ends.
        let may_be_a_text = self.answer.trim_start().starts_with('"');
        if self.found.is_some() || may_be_a_text || !piece.contains([']', '}']) {
            return String::new();
        }
        self.look()
    }

    pub fn is_done(&self) -> bool {
        self.found.is_some()
    }

    pub fn finish(&mut self) -> (String, Part) {
        let mut shown = String::new();
        if self.found.is_none() {
            let whole = self.answer.trim();
            if serde_json::from_str::<Value>(whole).is_ok() {
                let start = self.answer.len() - self.answer.trim_start().len();
                self.found = Some((start, start + whole.len()));
                shown = whole.to_owned();
            } else {
                shown = self.look();
            }
        }
        let part = match self.found {
            Some((start, end)) => Part::Whole(self.answer[start..end].to_owned()),
            None if matches!(first(&self.answer, self.from), Found::Open(_)) => {
                Part::Cut(self.answer[self.from..].to_owned())
            }
            None => Part::None,
        };
        (shown, part)
    }

    fn look(&mut self) -> String {
        match first(&self.answer, self.from) {
            Found::Value(start, end) => {
                self.found = Some((start, end));
                self.answer[start..end].to_owned()
            }
            Found::Open(from) | Found::Nothing(from) => {
                self.from = from;
                String::new()
            }
        }
    }
}

/// The first object or list from this byte on.
fn first(text: &str, mut from: usize) -> Found {
    while let Some(at) = text[from..].find(['{', '[']).map(|at| from + at) {
        let mut values = serde_json::Deserializer::from_str(&text[at..]).into_iter::<Value>();
        match values.next() {
            Some(Ok(_)) => return Found::Value(at, at + values.byte_offset()),
            Some(Err(error)) if error.classify() != Category::Eof => {
                let wrong = at + offset(&text[at..], error.line(), error.column());
                from = text.ceil_char_boundary(wrong.max(at + 1));
            }
            _ => return Found::Open(at),
        }
    }
    Found::Nothing(text.len())
}

/// The byte at a line and a column, both counted from one.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (before + column.saturating_sub(1)).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown before the end and at it, and the part.
    fn extracted(text: &str) -> (String, String, Part) {
        let mut search = Search::default();
        let shown: String = text.chars().map(|character| search.push(&character.to_string())).collect();
        let (rest, part) = search.finish();
        (shown, rest, part)
    }

    #[test]
    fn an_object_or_a_list_is_shown_when_it_is_whole_as_it_was_written() {
        for (text, expected) in [
            (
                "Here are 3:\n```json\n{ \"a\": [1, 2],\n \"b\": {} }\n```\nand {\"c\": 1}",
                "{ \"a\": [1, 2],\n \"b\": {} }",
            ),
            ("[1, \"]\"] [2]", "[1, \"]\"]"),
            ("see [the {\"x\": 1} object]", "{\"x\": 1}"),
            ("{ {\"a\": 1}", "{\"a\": 1}"),
            ("é {é} [\"é\"]", "[\"é\"]"),
            ("{name: 1}\n[2]", "[2]"),
        ] {
            assert_eq!(extracted(text), (expected.into(), String::new(), Part::Whole(expected.into())), "{text}");
        }
    }

    #[test]
    fn other_values_count_only_as_the_whole_answer() {
        for text in ["42", " \"a {} b\"\n", "null", "-1.5e3"] {
            assert_eq!(extracted(text), (String::new(), text.trim().into(), Part::Whole(text.trim().into())), "{text}");
        }
        for text in ["", "There are 3.", "Say \"hi\"", "{name: \"x\"}", "[\"a\" \"b\"]"] {
            assert_eq!(extracted(text), (String::new(), String::new(), Part::None), "{text}");
        }
        assert_eq!(extracted("\"Yes\", it is {\"a\": 1}").2, Part::Whole("{\"a\": 1}".into()));
    }

    #[test]
    fn a_part_of_something_broken_or_cut_is_not_taken_for_the_whole() {
        assert_eq!(extracted("{\"a\": {\"b\": 1}, c: 2}").2, Part::None);
        assert_eq!(extracted("Rows: [[1, 2], [3, 4], [5").2, Part::Cut("[[1, 2], [3, 4], [5".into()));
        assert_eq!(extracted("{\"a\": {}").2, Part::Cut("{\"a\": {}".into()));
        // Deeper than anybody reads.
        assert!(!matches!(extracted(&("[".repeat(5000) + &"]".repeat(5000))).2, Part::Whole(text) if text.len() > 300));
    }
}
