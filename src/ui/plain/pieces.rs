//! An answer in the pieces in which it is said: what is spoken letter by letter as it comes cannot be listened to.

use std::time::{Duration, Instant};

use crate::config::Pieces;

/// After so long, whole words are said although their sentence has not ended.
const PATIENCE: Duration = Duration::from_secs(3);

/// How far a text that grows has been said.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    bytes: usize,
    /// When something was said last.
    at: Instant,
}

impl Said {
    /// A text of which so many bytes need not be said.
    pub fn up_to(bytes: usize, now: Instant) -> Self {
        Self { bytes, at: now }
    }

    /// What of `text` is to be said now; at its end all that is left.
    pub fn next<'t>(&mut self, text: &'t str, pieces: Pieces, has_ended: bool, now: Instant) -> &'t str {
        let from = text.floor_char_boundary(self.bytes);
        let rest = &text[from..];
        let waits_long = now.saturating_duration_since(self.at) >= PATIENCE;
        let end = match pieces {
            _ if has_ended => rest.len(),
            Pieces::Words => end_of_words(rest),
            Pieces::Sentences => end_of_sentences(rest),
            Pieces::Lines => end_of_lines(rest),
        };
        let end = if end == 0 && waits_long { end_of_words(rest) } else { end };
        if end > 0 {
            *self = Self::up_to(from + end, now);
        }
        &rest[..end]
    }
}

fn end_of_words(text: &str) -> usize {
    text.rfind(char::is_whitespace).map_or(0, |at| at + text[at..].chars().next().map_or(0, char::len_utf8))
}

fn end_of_lines(text: &str) -> usize {
    text.rfind('\n').map_or(0, |at| at + 1)
}

/// Behind the last sentence that is known to have ended: by a new line, or by its mark and a space. Some scripts write
/// no space there.
fn end_of_sentences(text: &str) -> usize {
    let mut end = end_of_lines(text);
    let mut ends_here = false;
    for (at, character) in text.char_indices() {
        let behind = at + character.len_utf8();
        match character {
            '.' | '!' | '?' | ':' | ';' | '…' => ends_here = true,
            '。' | '！' | '？' | '।' | '؟' => end = end.max(behind),
            '"' | '\'' | ')' | ']' | '”' | '’' | '»' | '*' | '_' if ends_here => {}
            _ if character.is_whitespace() && ends_here => {
                end = end.max(behind);
                ends_here = false;
            }
            _ => ends_here = false,
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is said of a text that comes in these parts.
    fn said(parts: &[&str], pieces: Pieces) -> Vec<String> {
        let now = Instant::now();
        let mut said = Said::up_to(0, now);
        let mut text = String::new();
        let mut all = Vec::new();
        for part in parts {
            text.push_str(part);
            all.push(said.next(&text, pieces, false, now).to_owned());
        }
        all.push(said.next(&text, pieces, true, now).to_owned());
        all.retain(|piece| !piece.is_empty());
        all
    }

    #[test]
    fn sentences_are_said_when_they_have_ended() {
        let parts = ["It is", " 3.5 km", ". That", " is (\"far.\") ", "1. One\n", "2. Tw", "o"];
        let expected = ["It is 3.5 km. ", "That is (\"far.\") ", "1. One\n", "2. ", "Two"];
        assert_eq!(said(&parts, Pieces::Sentences), expected);
    }

    #[test]
    fn scripts_without_spaces_have_sentences_too() {
        assert_eq!(said(&["你好。再", "见"], Pieces::Sentences), ["你好。", "再见"]);
    }

    #[test]
    fn words_and_lines_are_whole() {
        let parts = ["One tw", "o thr", "ee\nfo", "ur"];
        assert_eq!(said(&parts, Pieces::Words), ["One ", "two ", "three\n", "four"]);
        assert_eq!(said(&parts, Pieces::Lines), ["One two three\n", "four"]);
    }

    #[test]
    fn a_sentence_that_takes_long_is_said_in_words() {
        let now = Instant::now();
        let mut said = Said::up_to(0, now);
        assert_eq!(said.next("It is a lo", Pieces::Sentences, false, now), "");
        assert_eq!(said.next("It is a long", Pieces::Sentences, false, now + PATIENCE), "It is a ");
        assert_eq!(said.next("It is a long way", Pieces::Sentences, false, now + PATIENCE), "");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn nothing_is_lost_and_nothing_said_twice(parts in prop::collection::vec("[a.\n é。!\")]{0,5}", 0..8)) {
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            for pieces in [Pieces::Sentences, Pieces::Words, Pieces::Lines] {
                prop_assert_eq!(said(&parts, pieces).concat(), parts.concat());
            }
        }
    }
}
