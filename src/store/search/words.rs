//! What is looked for: the words that were typed, and where they stand in a text.

use std::ops::Range;

use aho_corasick::AhoCorasick;

/// A word of the index has so many characters.
const INDEXED: usize = 3;

/// The words that were typed.
#[derive(Debug)]
pub(super) struct Words(Vec<Word>);

#[derive(Debug)]
struct Word {
    text: String,
    /// Its characters in lower case.
    folded: Vec<char>,
    /// Finds it quickly, where only ASCII letters have two cases in it.
    quick: Option<AhoCorasick>,
}

impl Words {
    /// Splits what was typed at spaces, but not what stands in quotation marks. One that is not closed yet reaches to
    /// the end.
    pub(super) fn read(written: &str) -> Self {
        let mut words = Vec::new();
        for (index, part) in written.split('"').enumerate() {
            if index % 2 == 1 {
                words.push(part.trim());
            } else {
                words.extend(part.split_whitespace());
            }
        }
        Self(words.into_iter().filter_map(Word::new).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is asked of the index: all words that are long enough for it. `None` if none is.
    pub(super) fn query(&self) -> Option<String> {
        let long = self.0.iter().filter(|word| !word.is_short());
        let quoted: Vec<String> = long.map(|word| format!("\"{}\"", word.text.replace('"', "\"\""))).collect();
        (!quoted.is_empty()).then(|| quoted.join(" "))
    }

    /// Whether the words that are in no index stand in a text.
    pub(super) fn short_ones_are_in(&self, text: &str) -> bool {
        self.0.iter().filter(|word| word.is_short()).all(|word| word.find(text, 0).is_some())
    }

    /// Where a word stands first from this byte on.
    pub(super) fn find(&self, text: &str, from: usize) -> Option<Range<usize>> {
        self.0.iter().filter_map(|word| word.find(text, from)).min_by_key(|found| (found.start, usize::MAX - found.end))
    }
}

impl Word {
    fn new(text: &str) -> Option<Self> {
        // No text has these that a person looks for, and to SQLite one of them is an end.
        let text: String = text.chars().filter(|character| !character.is_control()).collect();
        let folded: Vec<char> = text.chars().map(folded).collect();
        let has_one_case =
            |character: &char| character.is_ascii() || !character.is_alphabetic() || is_caseless(*character);
        let quick = folded
            .iter()
            .all(has_one_case)
            .then(|| AhoCorasick::builder().ascii_case_insensitive(true).build([&text]).ok())
            .flatten();
        (!text.is_empty()).then_some(Self { text, folded, quick })
    }

    fn is_short(&self) -> bool {
        self.folded.len() < INDEXED
    }

    fn find(&self, text: &str, from: usize) -> Option<Range<usize>> {
        let rest = text.get(from..)?;
        if let Some(quick) = &self.quick {
            let found = quick.find(rest)?;
            return Some(from + found.start()..from + found.end());
        }
        let first = *self.folded.first()?;
        let mut starts = rest.char_indices().filter(|(_, character)| folded(*character) == first);
        starts.find_map(|(start, _)| {
            let mut characters = rest[start..].chars();
            let fits = self.folded.iter().all(|wanted| characters.next().map(folded) == Some(*wanted));
            let end = rest.len() - characters.as_str().len();
            fits.then_some(from + start..from + end)
        })
    }
}

fn is_caseless(character: char) -> bool {
    !character.is_lowercase() && !character.is_uppercase()
}

/// The character in lower case, where that is one character.
fn folded(character: char) -> char {
    if character.is_ascii() {
        return character.to_ascii_lowercase();
    }
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(lower), None) => lower,
        _ => character,
    }
}
