//! What stands around the words that were found, short enough to be shown among others.

use std::ops::Range;

use super::words::Words;

/// Characters before the first word that was found, and in all.
const BEFORE: usize = 120;
const MOST: usize = 480;

/// A part of a message, in which every run of white space is one space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    /// As it was written: escape it before showing it.
    pub text: String,
    /// Where the words stand in it that were looked for, in bytes.
    pub marks: Vec<Range<usize>>,
    /// The message begins before it, and goes on after it.
    pub begins_before: bool,
    pub goes_on: bool,
}

impl Excerpt {
    /// The part of a text around the first of these words, which stands at this byte.
    pub(super) fn around(text: &str, first: usize, words: &Words) -> Self {
        let start = text[..first].char_indices().rev().take(BEFORE).last().map_or(first, |(at, _)| at);
        let start = whole_word(text, start, first);
        let mut excerpt = Self { begins_before: start > 0, ..Self::default() };
        let mut characters = 0;
        for character in text[start..].chars() {
            if characters == MOST {
                excerpt.goes_on = true;
                break;
            }
            if !character.is_whitespace() {
                excerpt.text.push(character);
            } else if !excerpt.text.ends_with(' ') && !excerpt.text.is_empty() {
                excerpt.text.push(' ');
            } else {
                continue;
            }
            characters += 1;
        }
        excerpt.text.truncate(excerpt.text.trim_end().len());
        let mut from = 0;
        while let Some(found) = words.find(&excerpt.text, from) {
            from = found.end;
            excerpt.marks.push(found);
        }
        excerpt
    }

    /// Its pieces in their order, and whether each is marked.
    pub fn pieces(&self) -> impl Iterator<Item = (&str, bool)> {
        let ends = self.marks.iter().flat_map(|mark| [(mark.start, false), (mark.end, true)]);
        let mut from = 0;
        ends.chain([(self.text.len(), false)]).filter_map(move |(end, is_marked)| {
            let piece = self.text.get(from..end).unwrap_or_default();
            from = end;
            (!piece.is_empty()).then_some((piece, is_marked))
        })
    }
}

/// The end of the word that this byte stands in the middle of, unless it has none before `most`.
fn whole_word(text: &str, from: usize, most: usize) -> usize {
    if from == 0 || text[..from].ends_with(char::is_whitespace) {
        return from;
    }
    text[from..most].find(char::is_whitespace).map_or(from, |space| from + space)
}
