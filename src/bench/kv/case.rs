//! A case of the search for needles: a text with facts hidden in it, and the questions about them. The same seed and
//! number give the same case.

use clap::ValueEnum;
use serde::Serialize;

use super::exact;
use super::facts::{self, Fact};
use crate::bench::draw::Draw;
use crate::bench::texts::{Style, TEXTS, Text};

/// Places in the text where a needle may be: 0, 10 … 100 % of the way through.
pub const DEPTHS: u32 = 11;
/// Facts of the same form beside the one that is asked for.
const LOOK_ALIKES: usize = 4;
/// Tokens of a case that are not the text: the template, needles, questions and answers.
const RESERVED_TOKENS: u32 = 384;
/// Part of a case that is left to what is recalled, which is at most as much.
const RECALL_PART: u32 = 10;

/// What is hidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A code of seven digits.
    Number,
    /// The name of a person or a place.
    Name,
    /// A fact that could stand in the text anyway, told in its way.
    InPlace,
    /// Two facts in two places; both are asked for, one after the other.
    Two,
    /// One fact among others of the same form.
    LookAlikes,
}

impl Kind {
    pub const ALL: [Self; 5] = [Self::Number, Self::Name, Self::InPlace, Self::Two, Self::LookAlikes];
}

/// A question and the words that an exact answer holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub text: String,
    pub answer: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    pub number: u32,
    /// The text that it begins in.
    pub source: &'static str,
    pub kind: Kind,
    /// Tokens that everything takes together, about.
    pub length: u32,
    /// Where the (first) needle is, in percent of the text.
    pub depth: u32,
    pub document: String,
    /// In the order in which they are asked.
    pub questions: Vec<Question>,
}

impl Case {
    /// Draws a case. `bytes_per_token` tells how the model splits a text.
    ///
    /// Kinds, texts, lengths and depths each come in turn; as there are 5, 4 and 11 of them, few cases have much of
    /// each, and 220 have every combination.
    pub fn draw(seed: u64, number: u32, lengths: &[u32], bytes_per_token: &dyn Fn(&Text) -> f64) -> Self {
        let mut draw = Draw::new(seed, u64::from(number));
        // Another seed begins elsewhere in the turns, and so joins other ones.
        let mut turns = Draw::new(seed, u64::MAX);
        let mut turn = |of: usize| (number as usize + turns.below(of)) % of.max(1);
        let kind = Kind::ALL[turn(Kind::ALL.len())];
        let first_text = turn(TEXTS.len());
        let depth = turn(DEPTHS as usize) as u32 * 100 / (DEPTHS - 1);
        let length = lengths.get(turn(lengths.len())).copied().unwrap_or(RESERVED_TOKENS);
        let text = &TEXTS[first_text];
        let text_tokens = length.saturating_sub(length / RECALL_PART).saturating_sub(RESERVED_TOKENS);
        let mut haystack = Haystack::draw(first_text, text_tokens, bytes_per_token, &mut draw);
        let whole = haystack.text();
        // The facts name things that are in none of the texts; should one be there, another fact is drawn.
        let (asked, alike) = loop {
            let (asked, alike) = facts_of(kind, text.style, &mut draw);
            if asked.iter().all(|fact| !exact::holds(&whole, &fact.answer)) && are_distinct(&asked) {
                break (asked, alike);
            }
        };
        for (index, fact) in asked.iter().enumerate() {
            // The second of two is anywhere.
            let depth = if index == 0 { depth } else { draw.below(101) as u32 };
            haystack.hide(&fact.sentence, depth);
        }
        for fact in &alike {
            haystack.hide(&fact.sentence, draw.below(101) as u32);
        }
        let questions = asked.into_iter().map(|fact| Question { text: fact.question, answer: fact.answer }).collect();
        Self { number, source: text.name, kind, length, depth, document: haystack.text(), questions }
    }
}

/// The facts that are asked for, and those that only look like them.
fn facts_of(kind: Kind, style: Style, draw: &mut Draw) -> (Vec<Fact>, Vec<Fact>) {
    match kind {
        Kind::Number => (vec![facts::number(draw)], Vec::new()),
        Kind::Name => (vec![facts::name(draw)], Vec::new()),
        Kind::InPlace => (vec![facts::in_place(style, draw)], Vec::new()),
        Kind::Two => (vec![facts::number(draw), facts::name(draw)], Vec::new()),
        Kind::LookAlikes => {
            let (asked, alike) = facts::look_alikes(LOOK_ALIKES, draw);
            (vec![asked], alike)
        }
    }
}

/// Whether no fact tells the answer of another.
fn are_distinct(facts: &[Fact]) -> bool {
    facts.iter().all(|fact| {
        let tells = |other: &Fact| exact::holds(&other.sentence, &fact.answer);
        facts.iter().filter(|other| tells(other)).count() == 1
    })
}

/// A run of pieces of the texts, among which sentences are hidden.
struct Haystack {
    pieces: Vec<(Style, String)>,
    /// Bytes of the texts, without what is hidden.
    bytes: usize,
    /// Places of what is hidden, in `pieces`.
    hidden: Vec<usize>,
}

impl Haystack {
    /// So many tokens, beginning somewhere in the first text; what it is too short for comes from the next ones.
    fn draw(first_text: usize, tokens: u32, bytes_per_token: &dyn Fn(&Text) -> f64, draw: &mut Draw) -> Self {
        let mut haystack = Self { pieces: Vec::new(), bytes: 0, hidden: Vec::new() };
        let mut tokens_left = f64::from(tokens);
        for (turn, text) in TEXTS.iter().cycle().skip(first_text).take(TEXTS.len()).enumerate() {
            let pieces = text.pieces();
            let most_bytes = (tokens_left * bytes_per_token(text)) as usize;
            let spare = text.text.len().saturating_sub(most_bytes);
            let start = if turn == 0 { draw.below(spare + 1) } else { 0 };
            let mut passed = 0;
            let mut taken = 0;
            for piece in pieces {
                passed += piece.len();
                if passed > start && taken + piece.len() <= most_bytes {
                    taken += piece.len();
                    haystack.pieces.push((text.style, piece.to_owned()));
                }
            }
            haystack.bytes += taken;
            tokens_left -= taken as f64 / bytes_per_token(text).max(f64::MIN_POSITIVE);
            if spare > 0 {
                break;
            }
        }
        haystack
    }

    /// Puts a sentence between two pieces, next to so many percent of the way.
    fn hide(&mut self, sentence: &str, depth: u32) {
        let wanted = self.bytes * depth as usize / 100;
        let mut passed: usize = 0;
        let mut best = (usize::MAX, 0);
        for place in 0..=self.pieces.len() {
            let distance = passed.abs_diff(wanted);
            if distance < best.0 {
                best = (distance, place);
            }
            if let Some((_, piece)) = self.pieces.get(place)
                && !self.hidden.contains(&place)
            {
                passed += piece.len();
            }
        }
        let place = best.1;
        let neighbour = self.pieces.get(place).or(self.pieces.last());
        let style = neighbour.map_or(Style::Novel, |(style, _)| *style);
        let next = self.pieces.get(place).map_or("", |(_, piece)| piece);
        let dressed = style.dress(sentence, next);
        for other in self.hidden.iter_mut().filter(|other| **other >= place) {
            *other += 1;
        }
        self.hidden.push(place);
        self.pieces.insert(place, (style, dressed));
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (_, piece) in &self.pieces {
            if !text.is_empty() && !text.ends_with(char::is_whitespace) {
                text.push(' ');
            }
            text += piece;
        }
        text.truncate(text.trim_end().len());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64, number: u32) -> Case {
        Case::draw(seed, number, &[2048, 4096, 8192], &|_| 4.0)
    }

    #[test]
    fn a_case_is_the_same_for_its_seed_and_another_for_another() {
        assert_eq!(draw(1, 3), draw(1, 3));
        assert_ne!(draw(1, 3).document, draw(2, 3).document);
        assert_ne!(draw(1, 3).questions, draw(1, 4).questions);
    }

    #[test]
    fn an_answer_is_in_the_text_exactly_once_and_the_questions_do_not_tell_it() {
        for case in (0..60).map(|number| draw(5, number)) {
            for question in &case.questions {
                assert_eq!(exact::occurrences(&case.document, &question.answer), 1, "{question:?}");
                assert!(case.questions.iter().all(|other| !exact::holds(&other.text, &question.answer)));
            }
        }
    }

    #[test]
    fn a_needle_is_a_whole_sentence_at_its_depth() {
        for case in (0..44).map(|number| draw(9, number)) {
            let answer = &case.questions[0].answer;
            let place = case.document.find(answer.as_str()).unwrap();
            let percent = place as f64 / case.document.len() as f64 * 100.0;
            let depth = f64::from(case.depth);
            // The sentence is some hundred bytes, and so is the sentence that it may not be put into.
            assert!((percent - depth).abs() < 12.0, "{percent} instead of {depth}: {case:?}");
            let before = case.document[..place].rfind(['.', '\n', '!', '?']).map_or(0, |end| end + 1);
            assert!(case.document[place..].starts_with(answer.as_str()) && before <= place);
        }
    }

    #[test]
    fn cases_are_as_long_as_asked_for_with_room_for_questions_and_recall() {
        for case in (0..44).map(|number| draw(7, number)) {
            let tokens = case.document.len() as f64 / 4.0;
            let most = f64::from(case.length) * 0.9;
            assert!(tokens < most && tokens > most - 384.0 - 600.0, "{tokens} of {}", case.length);
        }
    }

    #[test]
    fn a_length_that_one_text_is_too_short_for_takes_the_next_ones_too() {
        let case = Case::draw(1, 0, &[32_768], &|_| 4.0);
        assert!(case.document.len() > 100_000, "{}", case.document.len());
    }

    #[test]
    fn few_cases_have_every_kind_text_and_depth() {
        let cases: Vec<Case> = (0..11).map(|number| draw(3, number)).collect();
        let count = |of: &dyn Fn(&Case) -> String| cases.iter().map(of).collect::<std::collections::HashSet<_>>().len();
        assert_eq!(count(&|case| format!("{:?}", case.kind)), 5);
        assert_eq!(count(&|case| case.source.into()), 4);
        assert_eq!(count(&|case| case.depth.to_string()), 11);
        assert_eq!(count(&|case| case.length.to_string()), 3);
    }

    #[test]
    fn look_alikes_are_all_there_and_only_one_is_asked_for() {
        let case = (0..5).map(|number| draw(4, number)).find(|case| case.kind == Kind::LookAlikes).unwrap();
        assert_eq!(case.questions.len(), 1);
        let is_number = case.questions[0].answer.parse::<u32>().is_ok();
        let form = if is_number { "The access code of the " } else { " is called " };
        assert!(case.document.matches(form).count() > LOOK_ALIKES, "{}", case.document);
    }
}
