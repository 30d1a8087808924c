//! Notices that an answer goes round in circles: its tokens repeat, exactly, with some period.
//!
//! A repetition counts once it is [`PATIENCE`] tokens longer than three periods. So a word must come back hundreds of
//! times, a sentence of thirty tokens 16 times and a paragraph of two hundred 5 times. What people ask for stays below
//! that: an array of 100 zeros is 298 tokens with a period of 3, twenty equal JSON objects 459 with one of 23, and
//! numbers that count up are no repetition at all. In this project's own files the longest is 213 tokens, blank lines
//! of a screen. Models that run away do so with periods of one to sixty tokens, and without end.

use super::llama::Token;
use crate::chat::Repetition;

/// Whole paragraphs are shorter than this.
const LONGEST_PERIOD: usize = 1024;
const PATIENCE: u32 = 400;

/// Watches the tokens of one answer. Each costs a pass over 1024 counters, which takes a fraction of a microsecond.
#[derive(Debug)]
pub struct RepetitionDetector {
    tokens: Vec<Token>,
    /// How many tokens at the end equal the one a period before them: for the period of 1 in the last place, for that
    /// of 2 in the one before, and so on, in the order of the tokens they are compared with.
    matches: Vec<u32>,
}

impl Default for RepetitionDetector {
    fn default() -> Self {
        Self { tokens: Vec::new(), matches: vec![0; LONGEST_PERIOD] }
    }
}

impl RepetitionDetector {
    /// Takes the next token; tells if what came so far ends in too long a repetition, with its shortest period.
    pub fn push(&mut self, token: Token) -> Option<Repetition> {
        let earlier = &self.tokens[self.tokens.len().saturating_sub(LONGEST_PERIOD)..];
        let matches = &mut self.matches[LONGEST_PERIOD - earlier.len()..];
        let mut longest = 0;
        for (count, earlier) in matches.iter_mut().zip(earlier) {
            *count = if *earlier == token { *count + 1 } else { 0 };
            longest = longest.max(*count);
        }
        self.tokens.push(token);
        if longest < PATIENCE { None } else { self.shortest() }
    }

    /// The shortest period that was repeated too long.
    fn shortest(&self) -> Option<Repetition> {
        (1..).zip(self.matches.iter().rev()).find_map(|(period, count)| {
            // The first period matches nothing, so the repetition is one period longer than the matches.
            (*count >= PATIENCE + 2 * period).then(|| Repetition { period, times: count / period + 1 })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is found, and after how many tokens.
    fn find(tokens: impl IntoIterator<Item = Token>) -> Option<(usize, Repetition)> {
        let mut detector = RepetitionDetector::default();
        (1..).zip(tokens).find_map(|(count, token)| Some((count, detector.push(token)?)))
    }

    /// A block of different tokens, again and again.
    fn block(length: i32, times: usize) -> impl Iterator<Item = Token> {
        std::iter::repeat_n(1000..1000 + length, times).flatten()
    }

    #[test]
    fn words_sentences_and_paragraphs_that_come_back_for_ever_are_found() {
        for (length, tokens, times) in [(1, 403, 403), (12, 436, 36), (30, 490, 16), (60, 580, 9), (200, 1000, 5)] {
            let repetition = Repetition { period: length as u32, times };
            assert_eq!(find(block(length, 500)), Some((tokens, repetition)), "{length} tokens");
        }
        assert_eq!(find(block(1024, 4)).map(|(count, _)| count), Some(3472));
    }

    #[test]
    fn what_people_ask_for_is_let_through() {
        let equal_lines = |length, times| find(block(length, times).chain([1, 2, 3]));
        assert_eq!(equal_lines(3, 100), None, "an array of 100 zeros");
        assert_eq!(equal_lines(23, 20), None, "20 equal objects");
        assert_eq!(equal_lines(8, 50), None, "50 equal table rows");
        assert_eq!(equal_lines(300, 4), None, "a paragraph four times");
        let counted = (0..300).flat_map(|number| [7, 8, 2000 + number, 9, 10]);
        assert_eq!(find(counted), None, "equal lines with numbers that count up");
    }

    #[test]
    fn what_went_before_does_not_matter() {
        let (count, repetition) = find((0..5000).chain(block(12, 100))).unwrap();
        assert_eq!((count, repetition.period), (5000 + 436, 12));
    }

    #[test]
    fn one_other_token_begins_the_count_anew() {
        let broken = block(12, 36).chain([1]).chain(block(12, 36)).chain([2]).chain(block(12, 36));
        assert_eq!(find(broken), None);
    }

    #[test]
    fn a_period_longer_than_the_longest_is_not_looked_for() {
        assert_eq!(find(block(LONGEST_PERIOD as i32 + 1, 10)), None);
    }

    /// The definition, word for word.
    fn expected(tokens: &[Token]) -> Option<Repetition> {
        (1..=LONGEST_PERIOD).find_map(|period| {
            let pairs = tokens.iter().rev().zip(tokens.iter().rev().skip(period));
            let length = pairs.take_while(|(late, early)| late == early).count() + period;
            let repetition = Repetition { period: period as u32, times: (length / period) as u32 };
            (length >= PATIENCE as usize + 3 * period).then_some(repetition)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn what_is_found_is_what_the_definition_says(
            before in prop::collection::vec(0..3, 0..40),
            block in prop::collection::vec(0..3, 1..50),
            times in 1usize..60,
            after in prop::collection::vec(0..3, 0..20),
        ) {
            let repeated = std::iter::repeat_n(&block, times).flatten();
            let tokens: Vec<Token> = before.iter().chain(repeated).chain(&after).copied().collect();
            let first = (1..=tokens.len()).find_map(|count| Some((count, expected(&tokens[..count])?)));
            prop_assert_eq!(find(tokens), first);
        }

        #[test]
        fn text_at_random_is_no_repetition(tokens in prop::collection::vec(0..2, 0..3000)) {
            prop_assert_eq!(find(tokens), None);
        }
    }
}
