//! The ledger of the KV cache: which tokens were computed, in order, so that a prompt is computed only from where it
//! differs from them; and which of them are still in cells.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::archived::Archived;
use super::held::Held;
use super::llama::{Span, Token};
use super::prompt::KnownAnswers;

/// Answers whose tokens are remembered; more than this many and the cache has long lost the oldest.
const MOST_ANSWERS: usize = 1024;
/// A template may open the thoughts itself, in the last few tokens before the answer, and leave that out again in
/// later prompts. So the difference that thoughts make may begin this many tokens before them.
const OPENING_TOKENS: usize = 8;

/// The tokens that were computed, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    #[serde(skip)]
    pub tokens: Vec<Token>,
    /// Which of them are in cells. The others were evicted.
    pub(super) held: Held,
    /// What later prompts leave out: thoughts, from where the answer was asked for to its first word, and what was
    /// recalled for a question.
    pub(super) asides: Vec<Range<usize>>,
    /// Which of them can be read from the chat's archive.
    #[serde(default)]
    pub(super) archived: Archived,
}

/// How much of a prompt is in a cache.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// Tokens from the prompt's beginning that are there, once the asides are cut out.
    pub length: usize,
    /// Asides that the prompt leaves out, though it holds what follows them; in the cache's places.
    pub left_out: Vec<Range<usize>>,
}

impl Match {
    /// How many of the prompt's first `length` tokens, all of them found, are in these contents but evicted.
    pub fn evicted(&self, contents: &Contents, length: usize) -> usize {
        let mut place = length;
        for aside in &self.left_out {
            if aside.start < place {
                place += aside.len();
            }
        }
        let held: usize = self
            .left_out
            .iter()
            .map(|aside| contents.held.count(&(aside.start..aside.end.min(place).max(aside.start))))
            .sum();
        length - (contents.held.count(&(0..place)) - held)
    }
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
            let is_here = |aside: &&Range<usize>| {
                (aside.start.saturating_sub(OPENING_TOKENS)..aside.end).contains(&place)
                    && self.tokens.get(aside.end) == Some(next)
            };
            let Some(aside) = self.asides.iter().find(is_here) else { return found };
            found.left_out.push(place..aside.end);
            place = aside.end;
        }
    }

    /// Cells in use.
    pub fn cells(&self) -> usize {
        self.held.cells()
    }

    /// How many tokens were evicted.
    pub fn evicted(&self) -> usize {
        self.tokens.len() - self.held.cells()
    }

    /// Cuts the end off, and with it evicted tokens that would be the last; returns what is left.
    pub fn truncate(&mut self, length: usize) -> usize {
        let length = self.held.floor(length.min(self.tokens.len()));
        self.held.truncate(length);
        self.tokens.truncate(length);
        self.archived.truncate(length);
        self.asides.retain(|aside| aside.end <= length);
        length
    }

    /// Takes tokens out of the conversation. Returns the positions that are to be removed.
    pub fn cut(&mut self, range: &Range<usize>) -> Vec<Span> {
        let spans = self.held.cut(range);
        self.tokens.drain(range.clone());
        self.archived.cut(range);
        let touches = |other: &Range<usize>| other.start < range.end && range.start < other.end;
        self.asides.retain(|aside| !touches(aside));
        for later in self.asides.iter_mut().filter(|other| other.start >= range.end) {
            *later = later.start - range.len()..later.end - range.len();
        }
        spans
    }

    /// Whether the places lie in the tokens, as they do unless a file was made up.
    pub fn is_consistent(&self) -> bool {
        self.asides.iter().all(|range| range.start <= range.end && range.end <= self.tokens.len())
            && self.held.is_consistent(self.tokens.len())
            && self.archived.is_consistent(self.tokens.len())
    }
}

/// What was computed, how much the model attends to it, and the tokens of answers that may come again.
#[derive(Debug, Default)]
pub struct Ledger {
    contents: Contents,
    /// How strongly later tokens attended to each; negative where that was not observed.
    attention: Vec<f32>,
    known: KnownAnswers,
}

/// The attention to a token that was not observed yet.
const NOT_OBSERVED: f32 = -1.0;
/// Part of what is known of the attention to a token that the last observation makes.
const NEW_PART: f32 = 0.3;

impl Ledger {
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// Everything that was computed, evicted or not.
    pub fn tokens(&self) -> &[Token] {
        &self.contents.tokens
    }

    /// Cells in use.
    pub fn cells(&self) -> usize {
        self.contents.held.cells()
    }

    /// The next free position.
    pub fn next_position(&self) -> u32 {
        self.contents.held.next_position()
    }

    /// Tokens were computed.
    pub fn push(&mut self, tokens: &[Token]) {
        let before = self.contents.tokens.len();
        self.contents.tokens.extend_from_slice(tokens);
        self.contents.held.push(before..self.contents.tokens.len());
        self.attention.resize(self.contents.tokens.len(), NOT_OBSERVED);
    }

    /// The end is to be cut off; returns how many tokens are left, see [`Contents::truncate`].
    pub fn truncate(&mut self, length: usize) -> usize {
        let length = self.contents.truncate(length);
        self.attention.truncate(length);
        length
    }

    /// Takes tokens out of the conversation. Returns the positions that are to be removed.
    pub fn cut(&mut self, range: &Range<usize>) -> Vec<Span> {
        self.attention.drain(range.clone());
        self.contents.cut(range)
    }

    /// Tokens leave the cache. Returns the positions that are to be removed.
    pub fn evict(&mut self, range: &Range<usize>) -> Vec<Span> {
        self.contents.held.evict(range)
    }

    /// The archive has, or will have, these tokens.
    pub fn set_archived(&mut self, archived: Archived) {
        self.contents.archived = archived;
    }

    /// Positions are numbered anew from 0, see [`Held::close_gaps`]. What was archived had the old ones.
    pub fn close_gaps(&mut self) -> Vec<(Span, u32)> {
        self.contents.archived = Archived::default();
        self.contents.held.close_gaps()
    }

    /// The cache was filled with something else.
    pub fn replace(&mut self, contents: Contents) {
        self.attention = vec![NOT_OBSERVED; contents.tokens.len()];
        self.contents = contents;
    }

    /// The same conversation has other cells; how strongly each token was attended to stays known.
    pub fn replace_cells(&mut self, contents: Contents, attention: Vec<f32>) {
        self.replace(contents);
        self.attention.iter_mut().zip(attention).for_each(|(known, before)| *known = before);
    }

    /// Later tokens were seen to attend to the tokens in cells as strongly as this, cell by cell.
    pub fn observed(&mut self, cells: &[f32]) {
        for (token, seen) in self.contents.held.tokens().zip(cells) {
            let attention = &mut self.attention[token];
            *attention = if *attention < 0.0 { *seen } else { *attention + (seen - *attention) * NEW_PART };
        }
    }

    /// How strongly the tokens were attended to of late; negative where that was not observed.
    pub fn attention(&self) -> &[f32] {
        &self.attention
    }

    /// These tokens will be left out of later prompts.
    pub fn set_aside(&mut self, range: Range<usize>) {
        if !range.is_empty() && range.end < self.contents.tokens.len() {
            self.contents.asides.push(range);
        }
    }

    /// An answer was written behind the first `asked` tokens: its text, and of how many tokens of thoughts and then
    /// which tokens it is made. The last of them need not be in the cache.
    pub fn answered(&mut self, asked: usize, thoughts: usize, text: String, tokens: Vec<Token>) {
        self.set_aside(asked..asked + thoughts);
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
        assert_eq!(found, Match { length: 4, left_out: std::iter::once(2..6).collect() });
        ledger.cut(&(2..6));
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
        ledger.cut(&(4..6));
        ledger.cut(&(1..2));
        assert_eq!(ledger.tokens(), [1, 6, 2, 7]);
    }

    #[test]
    fn a_cut_off_end_takes_its_thoughts_along() {
        let mut ledger = thoughtful(&[1, 50, 6, 2], 1, 1);
        ledger.truncate(1);
        assert!(ledger.contents().asides.is_empty());
    }

    #[test]
    fn an_evicted_end_is_computed_again() {
        let mut ledger = ledger(&[1, 2, 3, 4, 5, 6]);
        ledger.evict(&(2..4));
        assert_eq!(ledger.contents().compare(&[1, 2, 3, 4, 9]).length, 4);
        assert_eq!((ledger.cells(), ledger.contents().evicted(), ledger.next_position()), (4, 2, 6));
        assert_eq!(ledger.truncate(4), 2);
        assert_eq!((ledger.tokens(), ledger.next_position()), (&[1, 2][..], 2));
    }

    #[test]
    fn attention_fades_and_goes_with_its_token() {
        let mut ledger = ledger(&[1, 2, 3, 4]);
        ledger.observed(&[0.5, 0.1, 0.2, 0.3]);
        ledger.evict(&(1..2));
        ledger.observed(&[0.1, 0.4, 0.1]);
        let expected = [0.38, 0.1, 0.26, 0.24];
        assert!(ledger.attention().iter().zip(expected).all(|(one, other)| (one - other).abs() < 1e-6));
        ledger.cut(&(0..1));
        assert_eq!((ledger.attention().len(), ledger.attention()[0]), (3, 0.1));
        ledger.push(&[5]);
        assert!(ledger.attention()[3] < 0.0);
    }

    #[test]
    fn an_answer_whose_last_token_was_never_computed_is_known_whole() {
        let mut ledger = ledger(&[1, 2, 6]);
        ledger.answered(2, 0, "answer".into(), vec![6, 7]);
        assert_eq!(ledger.known_answers().get("answer"), Some(&vec![6, 7]));
    }
}
