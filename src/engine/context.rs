//! The ledger of the KV cache: which tokens are in it, in order, so that a prompt is computed only from where it
//! differs from what was computed before.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::llama::Token;
use super::prompt::KnownAnswers;

/// Answers whose tokens are remembered; more than this many and the cache has long lost the oldest.
const MOST_ANSWERS: usize = 1024;
/// A template may open the thoughts itself, in the last few tokens before the answer, and leave that out again in
/// later prompts. So the difference that thoughts make may begin this many tokens before them.
const OPENING_TOKENS: usize = 8;

/// The tokens in a KV cache at positions 0, 1, 2, …
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    #[serde(skip)]
    pub tokens: Vec<Token>,
    /// Where the thoughts are: from where the answer was asked for to its first word.
    pub(super) thoughts: Vec<Range<usize>>,
}

/// How much of a prompt is in a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Tokens from the prompt's beginning that are there, once the thoughts are cut out.
    pub length: usize,
    /// Thoughts that the prompt leaves out, though it holds what follows them; in the cache's places.
    pub left_out: Vec<Range<usize>>,
}

impl Contents {
    /// How much of this prompt is there.
    pub fn compare(&self, prompt: &[Token]) -> Match {
        let mut found = Match::default();
        let mut place = 0;
        loop {
            let cached = self.tokens.get(place..).unwrap_or_default();
            let wanted = prompt.get(found.length..).unwrap_or_default();
            let common = cached.iter().zip(wanted).take_while(|(cached, wanted)| cached == wanted).count();
            place += common;
            found.length += common;
            let Some(next) = prompt.get(found.length) else { return found };
            let is_here = |thoughts: &&Range<usize>| {
                (thoughts.start.saturating_sub(OPENING_TOKENS)..thoughts.end).contains(&place)
                    && self.tokens.get(thoughts.end) == Some(next)
            };
            let Some(thoughts) = self.thoughts.iter().find(is_here) else { return found };
            found.left_out.push(place..thoughts.end);
            place = thoughts.end;
        }
    }

    /// Cuts the end off.
    pub fn truncate(&mut self, length: usize) {
        self.tokens.truncate(length);
        self.thoughts.retain(|thoughts| thoughts.end <= length);
    }

    /// Takes tokens out; what is behind them moves into their place.
    pub fn cut(&mut self, range: Range<usize>) {
        self.tokens.drain(range.clone());
        let touches = |other: &Range<usize>| other.start < range.end && range.start < other.end;
        self.thoughts.retain(|thoughts| !touches(thoughts));
        for later in self.thoughts.iter_mut().filter(|other| other.start >= range.end) {
            *later = later.start - range.len()..later.end - range.len();
        }
    }

    /// Whether the places lie in the tokens, as they do unless a file was made up.
    pub fn is_consistent(&self) -> bool {
        self.thoughts.iter().all(|range| range.start <= range.end && range.end <= self.tokens.len())
    }
}

/// What is in the cache, and the tokens of answers that may come again.
#[derive(Debug, Default)]
pub struct Ledger {
    contents: Contents,
    known: KnownAnswers,
}

impl Ledger {
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Everything in the cache.
    pub fn tokens(&self) -> &[Token] {
        &self.contents.tokens
    }

    /// The next free position.
    pub fn next_position(&self) -> u32 {
        u32::try_from(self.contents.tokens.len()).unwrap_or(u32::MAX)
    }

    /// Tokens were computed.
    pub fn push(&mut self, tokens: &[Token]) {
        self.contents.tokens.extend_from_slice(tokens);
    }

    /// The cache was cut to this length.
    pub fn truncate(&mut self, length: usize) {
        self.contents.truncate(length);
    }

    /// Positions were taken out of the cache.
    pub fn cut(&mut self, range: Range<usize>) {
        self.contents.cut(range);
    }

    /// The cache was filled with something else.
    pub fn replace(&mut self, contents: Contents) {
        self.contents = contents;
    }

    /// An answer was written behind the first `asked` tokens: its text, and of how many tokens of thoughts and then
    /// which tokens it is made. The last of them need not be in the cache.
    pub fn answered(&mut self, asked: usize, thoughts: usize, text: String, tokens: Vec<Token>) {
        if thoughts > 0 && asked + thoughts < self.contents.tokens.len() {
            self.contents.thoughts.push(asked..asked + thoughts);
        }
        self.remember(text, tokens);
    }

    /// Remembers what an answer is made of.
    pub fn remember(&mut self, text: String, tokens: Vec<Token>) {
        if self.known.len() >= MOST_ANSWERS {
            self.known.clear();
        }
        self.known.insert(text, tokens);
    }

    pub fn known_answers(&self) -> &KnownAnswers {
        &self.known
    }

    /// Hands out the answers that are known, and knows none any more.
    pub fn take_known_answers(&mut self) -> KnownAnswers {
        std::mem::take(&mut self.known)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(tokens: &[Token]) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.push(tokens);
        ledger
    }

    #[test]
    fn a_prompt_is_reused_up_to_where_it_differs() {
        let contents = ledger(&[1, 2, 3, 4]).contents;
        assert_eq!(contents.compare(&[1, 2, 9, 4, 5]), Match { length: 2, left_out: vec![] });
        assert_eq!(contents.compare(&[7]).length, 0);
        assert_eq!(contents.compare(&[1, 2, 3, 4, 5]).length, 4);
        assert_eq!(contents.compare(&[]).length, 0);
    }

    /// A ledger of tokens in which an answer of the last ones follows thoughts.
    fn thoughtful(tokens: &[Token], asked: usize, thoughts: usize) -> Ledger {
        let mut ledger = ledger(tokens);
        ledger.answered(asked, thoughts, "answer".into(), tokens[asked + thoughts..].to_vec());
        ledger
    }

    #[test]
    fn thoughts_that_a_later_prompt_leaves_out_do_not_cost_what_follows_them() {
        // 1 2: the question; 3: the tag that the template opened; 50 51 52: thoughts; 6 7: the answer.
        let mut ledger = thoughtful(&[1, 2, 3, 50, 51, 52, 6, 7], 3, 3);
        let found = ledger.contents().compare(&[1, 2, 6, 7, 8]);
        assert_eq!(found, Match { length: 4, left_out: vec![2..6] });
        ledger.cut(2..6);
        assert_eq!(ledger.tokens(), [1, 2, 6, 7]);
        assert_eq!(ledger.contents().compare(&[1, 2, 6, 7, 8]), Match { length: 4, left_out: vec![] });
    }

    #[test]
    fn thoughts_that_a_later_prompt_keeps_are_reused() {
        let ledger = thoughtful(&[1, 2, 50, 51, 6, 7], 2, 2);
        assert_eq!(ledger.contents().compare(&[1, 2, 50, 51, 6, 7, 8]), Match { length: 6, left_out: vec![] });
    }

    #[test]
    fn thoughts_are_left_out_only_where_the_answer_follows() {
        let ledger = thoughtful(&[1, 2, 50, 51, 6, 7], 2, 2);
        assert_eq!(ledger.contents().compare(&[1, 2, 9]), Match { length: 2, left_out: vec![] });
        assert_eq!(ledger.contents().compare(&[4, 6, 7]), Match { length: 0, left_out: vec![] });
    }

    #[test]
    fn thoughts_of_several_answers_are_left_out_together() {
        let mut ledger = thoughtful(&[1, 50, 6], 1, 1);
        ledger.push(&[2, 60, 61, 7]);
        ledger.answered(4, 2, "second".into(), vec![7]);
        let found = ledger.contents().compare(&[1, 6, 2, 7, 3]);
        assert_eq!(found, Match { length: 4, left_out: vec![1..2, 4..6] });
        ledger.cut(4..6);
        ledger.cut(1..2);
        assert_eq!(ledger.tokens(), [1, 6, 2, 7]);
    }

    #[test]
    fn a_cut_off_end_takes_its_thoughts_along() {
        let mut ledger = thoughtful(&[1, 50, 6, 2], 1, 1);
        ledger.truncate(1);
        assert!(ledger.contents().thoughts.is_empty());
    }

    #[test]
    fn an_answer_whose_last_token_was_never_computed_is_known_whole() {
        let mut ledger = ledger(&[1, 2, 6]);
        ledger.answered(2, 0, "answer".into(), vec![6, 7]);
        assert_eq!(ledger.known_answers().get("answer"), Some(&vec![6, 7]));
    }
}
