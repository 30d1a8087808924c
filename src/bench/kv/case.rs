//! The search for needles: a text with facts hidden in it, and the questions about them. The same seed and number give
//! the same texts. A long text has several needles: computing it is what takes longest, asking is short.

use clap::ValueEnum;
use serde::Serialize;

use super::facts::{self, Fact};
use crate::bench::draw::Draw;
use crate::bench::exact;
use crate::bench::texts::{Style, TEXTS, Text};

/// Places in the text where a needle may be: 0, 10 … 100 % of the way through.
pub const DEPTHS: u32 = 11;
/// Facts of the same form beside the one that is asked for.
const LOOK_ALIKES: usize = 4;
/// Tokens of a case that are not the text: the template, needles, questions and answers.
const RESERVED_TOKENS: u32 = 512;
/// A text has a needle for each so many tokens: an eighth of them holds the needles of all kinds, with their look-alikes.
const TOKENS_OF_NEEDLE: u32 = 1536;
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

/// Something that is hidden, and asked for on its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Needle {
    /// Counted from 0 over all texts.
    pub number: u32,
    pub kind: Kind,
    /// Where the (first) sentence is, in percent of the text.
    pub depth: u32,
    /// In the order in which they are asked.
    pub questions: Vec<Question>,
}

/// A text with needles in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Haystack {
    /// The text that it begins in.
    pub source: &'static str,
    /// Tokens that everything takes together, about.
    pub length: u32,
    pub text: String,
    pub needles: Vec<Needle>,
}

impl Haystack {
    /// Draws the text with this number. The texts before it have `hidden` of so many needles. `bytes_per_token` tells
    /// how the model splits a text.
    ///
    /// Kinds and depths come in turn from needle to needle, texts and lengths from text to text. As there are 5, 11
    /// and 4 of them, few needles have much of each, and 220 have every combination.
    pub fn draw(
        seed: u64,
        number: u32,
        hidden: u32,
        needles: u32,
        lengths: &[u32],
        bytes_per_token: &dyn Fn(&Text) -> f64,
    ) -> Self {
        let mut draw = Draw::new(seed, u64::from(number));
        // Another seed begins elsewhere in the turns, and so joins other ones.
        let mut turns = Draw::new(seed, u64::MAX);
        let mut turn = |of: usize| (number as usize + turns.below(of)) % of.max(1);
        let first_text = turn(TEXTS.len());
        let length = lengths.get(turn(lengths.len())).copied().unwrap_or(RESERVED_TOKENS);
        let (first_kind, first_depth) = (turns.below(Kind::ALL.len()) as u32, turns.below(DEPTHS as usize) as u32);
        let text = &TEXTS[first_text];
        let text_tokens = length.saturating_sub(length / RECALL_PART).saturating_sub(RESERVED_TOKENS);
        let mut pieces = Pieces::draw(first_text, text_tokens, bytes_per_token, &mut draw);
        let most = (length / TOKENS_OF_NEEDLE).clamp(1, Kind::ALL.len() as u32);
        let numbers = hidden..needles.min(hidden + most);
        let kinds = numbers.clone().map(|number| Kind::ALL[(first_kind + number) as usize % Kind::ALL.len()]);
        let drawn = draw_facts(&kinds.collect::<Vec<_>>(), text.style, &pieces.text(), &mut draw);
        let mut hidden = Vec::new();
        for (number, (kind, asked, alike)) in numbers.zip(drawn) {
            let depth = (first_depth + number) % DEPTHS * 100 / (DEPTHS - 1);
            for (index, fact) in asked.iter().enumerate() {
                // The second of two is anywhere.
                pieces.hide(&fact.sentence, if index == 0 { depth } else { draw.below(101) as u32 });
            }
            for fact in &alike {
                pieces.hide(&fact.sentence, draw.below(101) as u32);
            }
            let question = |fact: Fact| Question { text: fact.question, answer: fact.answer };
            hidden.push(Needle { number, kind, depth, questions: asked.into_iter().map(question).collect() });
        }
        Self { source: text.name, length, text: pieces.text(), needles: hidden }
    }
}

/// For a needle of each kind, the facts that are asked for, and those that only look like them.
///
/// The facts name things that are in none of the texts, and are about different things. Should an answer be told
/// elsewhere after all, others are drawn.
fn draw_facts(kinds: &[Kind], style: Style, text: &str, draw: &mut Draw) -> Vec<(Kind, Vec<Fact>, Vec<Fact>)> {
    loop {
        let mut drawn = Vec::new();
        for kind in kinds {
            let (asked, alike) = facts_of(*kind, style, draw);
            drawn.push((*kind, asked, alike));
        }
        let asked: Vec<&Fact> = drawn.iter().flat_map(|(_, asked, _)| asked).collect();
        let all: Vec<&Fact> = drawn.iter().flat_map(|(_, asked, alike)| asked.iter().chain(alike)).collect();
        if asked.iter().all(|fact| !exact::holds(text, &fact.answer) && is_told_once(fact, &all)) {
            return drawn;
        }
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

/// Whether of these facts only this one tells its answer, and only its question asks for it.
fn is_told_once(fact: &Fact, all: &[&Fact]) -> bool {
    let tells = |other: &&&Fact| exact::holds(&other.sentence, &fact.answer) || other.question == fact.question;
    all.iter().filter(tells).count() == 1 && !all.iter().any(|other| exact::holds(&other.question, &fact.answer))
}

/// A run of pieces of the texts, among which sentences are hidden.
struct Pieces {
    pieces: Vec<(Style, String)>,
    /// Bytes of the texts, without what is hidden.
    bytes: usize,
    /// Places of what is hidden, in `pieces`.
    hidden: Vec<usize>,
}

impl Pieces {
    /// So many tokens, beginning somewhere in the first text; what it is too short for comes from the next ones.
    fn draw(first_text: usize, tokens: u32, bytes_per_token: &dyn Fn(&Text) -> f64, draw: &mut Draw) -> Self {
        let mut drawn = Self { pieces: Vec::new(), bytes: 0, hidden: Vec::new() };
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
                    drawn.pieces.push((text.style, piece.to_owned()));
                }
            }
            drawn.bytes += taken;
            tokens_left -= taken as f64 / bytes_per_token(text).max(f64::MIN_POSITIVE);
            if spare > 0 {
                break;
            }
        }
        drawn
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

    /// Texts one after the other until so many needles are hidden.
    fn draw_all(seed: u64, needles: u32, lengths: &[u32]) -> Vec<Haystack> {
        let mut all: Vec<Haystack> = Vec::new();
        let mut hidden = 0;
        while hidden < needles {
            all.push(Haystack::draw(seed, all.len() as u32, hidden, needles, lengths, &|_| 4.0));
            hidden += all.last().unwrap().needles.len() as u32;
        }
        all
    }

    fn draw(seed: u64) -> Vec<Haystack> {
        draw_all(seed, 55, &[2048, 4096, 8192])
    }

    fn questions(haystack: &Haystack) -> Vec<&Question> {
        haystack.needles.iter().flat_map(|needle| &needle.questions).collect()
    }

    #[test]
    fn texts_are_the_same_for_their_seed_and_others_for_another() {
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn an_answer_is_in_the_text_exactly_once_and_no_question_tells_it() {
        for haystack in draw(5) {
            let questions = questions(&haystack);
            for question in &questions {
                assert_eq!(exact::occurrences(&haystack.text, &question.answer), 1, "{question:?}");
                assert!(questions.iter().all(|other| !exact::holds(&other.text, &question.answer)));
                assert_eq!(questions.iter().filter(|other| other.text == question.text).count(), 1);
            }
        }
    }

    #[test]
    fn a_needle_is_a_whole_sentence_at_its_depth() {
        for haystack in draw(9) {
            for needle in &haystack.needles {
                let place = haystack.text.find(needle.questions[0].answer.as_str()).unwrap();
                let percent = place as f64 / haystack.text.len() as f64 * 100.0;
                let depth = f64::from(needle.depth);
                // The sentence is some hundred bytes, and so are the others, and those that it may not be put into.
                assert!((percent - depth).abs() < 12.0, "{percent} instead of {depth}: {haystack:?}");
            }
        }
    }

    #[test]
    fn texts_are_as_long_as_asked_for_with_room_for_questions_and_recall() {
        for haystack in draw(7) {
            let tokens = haystack.text.len() as f64 / 4.0;
            let most = f64::from(haystack.length) * 0.9;
            assert!(tokens < most && tokens > most - 512.0 - 600.0, "{tokens} of {}", haystack.length);
        }
    }

    #[test]
    fn a_length_that_one_text_is_too_short_for_takes_the_next_ones_too() {
        let haystack = &draw_all(1, 1, &[32_768])[0];
        assert!(haystack.text.len() > 100_000, "{}", haystack.text.len());
    }

    #[test]
    fn few_needles_have_every_kind_text_length_and_depth() {
        let all = draw(3);
        let distinct = |values: Vec<String>| values.into_iter().collect::<std::collections::HashSet<_>>().len();
        assert_eq!(distinct(all.iter().map(|haystack| haystack.source.to_owned()).collect()), 4);
        assert_eq!(distinct(all.iter().map(|haystack| haystack.length.to_string()).collect()), 3);
        let needles = all.iter().flat_map(|haystack| &haystack.needles);
        assert_eq!(distinct(needles.map(|needle| format!("{:?} {}", needle.kind, needle.depth)).collect()), 55);
    }

    #[test]
    fn so_many_needles_are_hidden_as_were_asked_for_and_more_in_longer_texts() {
        for needles in [1, 5, 40] {
            let all = draw_all(1, needles, &[2048, 4096, 8192]);
            assert_eq!(all.iter().map(|haystack| haystack.needles.len()).sum::<usize>(), needles as usize);
        }
        let in_one = |length| draw_all(1, 5, &[length])[0].needles.len();
        assert_eq!([1024, 2048, 4096, 8192, 32_768].map(in_one), [1, 1, 2, 5, 5]);
    }

    #[test]
    fn look_alikes_are_all_there_and_only_one_is_asked_for() {
        let haystack = &draw_all(4, 5, &[8192])[0];
        let needle = haystack.needles.iter().find(|needle| needle.kind == Kind::LookAlikes).unwrap();
        assert_eq!(needle.questions.len(), 1);
        let is_number = needle.questions[0].answer.parse::<u32>().is_ok();
        let form = if is_number { "The access code of the " } else { " is called " };
        assert!(haystack.text.matches(form).count() > LOOK_ALIKES, "{}", haystack.text);
    }
}
