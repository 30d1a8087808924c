//! Which of many things a few letters mean: what is called exactly so, then what begins so, then what has them in it,
//! then what has the letters in this order, the best first, and of equally good ones the shortest.

use nucleo_matcher::pattern::{AtomKind, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

/// How well something fits; less is better.
pub type Rank = (u8, u32, usize);

/// What a [`Rank`] begins with where the thing is called more than was typed, but begins with that.
pub const BEGINS_SO: u8 = 1;

/// A few letters, to be looked for in many texts.
pub struct Search {
    typed: String,
    pattern: Pattern,
    matcher: Matcher,
    characters: Vec<char>,
}

impl Search {
    pub fn new(typed: &str) -> Self {
        let typed = typed.to_lowercase();
        let pattern = Pattern::new(&typed, CaseMatching::Ignore, Normalization::Smart, AtomKind::Fuzzy);
        Self { typed, pattern, matcher: Matcher::new(Config::DEFAULT), characters: Vec::new() }
    }

    /// How well a text fits; nothing if it does not.
    pub fn rank(&mut self, text: &str) -> Option<Rank> {
        let lower = text.to_lowercase();
        if lower == self.typed {
            return Some((0, 0, 0));
        }
        let score = self.pattern.score(Utf32Str::new(text, &mut self.characters), &mut self.matcher)?;
        let class = match lower.find(&self.typed) {
            Some(0) => BEGINS_SO,
            Some(_) => 2,
            None => 3,
        };
        Some((class, u32::MAX - score, text.len()))
    }

    /// How well a description fits: only whole, and never as well as a name.
    pub fn rank_of_description(&self, text: &str) -> Option<Rank> {
        let text = text.to_lowercase();
        self.typed.split_whitespace().all(|word| text.contains(word)).then_some((4, 0, 0))
    }

    /// The things that fit, the best first; of equal ones the earlier. `texts` are what a thing is called.
    pub fn sorted<T>(
        &mut self,
        things: impl IntoIterator<Item = T>,
        texts: impl Fn(&T) -> Vec<String>,
    ) -> Vec<(Rank, T)> {
        self.ranked(things, |search, thing| texts(thing).iter().filter_map(|text| search.rank(text)).min())
    }

    /// The things that have a rank, likewise.
    pub fn ranked<T>(
        &mut self,
        things: impl IntoIterator<Item = T>,
        rank: impl Fn(&mut Self, &T) -> Option<Rank>,
    ) -> Vec<(Rank, T)> {
        let mut fitting: Vec<(Rank, T)> = Vec::new();
        for thing in things {
            let rank = rank(self, &thing);
            fitting.extend(rank.map(|rank| (rank, thing)));
        }
        if !self.typed.is_empty() {
            fitting.sort_by_key(|(rank, _)| *rank);
        }
        fitting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(typed: &str, texts: &[&'static str]) -> Vec<&'static str> {
        let sorted = Search::new(typed).sorted(texts.iter().copied(), |text| vec![(*text).to_owned()]);
        sorted.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn what_is_called_so_comes_before_what_begins_so_and_what_has_the_letters() {
        let texts = ["unpin", "pinned", "pin", "open inn"];
        assert_eq!(found("pin", &texts), ["pin", "pinned", "unpin", "open inn"]);
        assert_eq!(found("PN", &texts), ["pin", "pinned", "unpin", "open inn"]);
        assert_eq!(found("x", &texts), [""; 0]);
    }

    #[test]
    fn without_letters_everything_stays_in_its_order() {
        assert_eq!(found("", &["b", "a"]), ["b", "a"]);
    }

    #[test]
    fn words_may_come_in_any_order() {
        assert_eq!(found("nails rust", &["Rusty nails", "Rust borrow"]), ["Rusty nails"]);
    }
}
