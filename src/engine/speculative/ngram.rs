//! Guesses from what was said before: where the last tokens of the text stand earlier in it, what followed there is
//! likely to follow again (prompt lookup; SuffixDecoding, arXiv 2411.04975). Code that is edited, documents that are
//! quoted and tables that are filled in repeat themselves for long stretches.

use std::collections::HashMap;

use super::{Draft, Drafter, Ground, Kind};
use crate::chat::DraftedBy;
use crate::engine::llama::Token;
use crate::engine::protocol::CancelFlag;

/// Tokens by which places are found. With one, every article and comma would be a place.
const KEY: usize = 2;
/// So many of the latest places are looked at. They are the likeliest, and this bounds the time of a guess.
const MOST_PLACES: usize = 48;
/// Chains of places, a power of two. Few pairs of tokens share one by chance.
const CHAINS: usize = 1 << 16;
/// Places of a chain that are looked at, those of other pairs with them.
const MOST_LINKS: usize = 4 * MOST_PLACES;
/// Matches are not followed back beyond this: a longer one tells no more.
const LONGEST_MATCH: usize = 64;
/// Tokens that are remembered, 8 bytes each.
const MOST_TOKENS: usize = 1 << 18;
const NOWHERE: u32 = u32::MAX;
/// A match from which on it is clear which text is followed.
const LONG_MATCH: usize = 12;
/// So many tokens must be the same before and behind one for it to count as changed; behind a long match, one.
const AROUND: usize = 3;
/// A match that is better than going on where another text was left.
const GOOD_MATCH: usize = 6;
/// Tokens that are changed at most in a copy before it goes on.
const MOST_CHANGED: usize = 12;

/// All tokens of a conversation, chained by the two before each of them as in a compressor of the LZ77 family: a token
/// more costs one entry, a token less takes it back.
#[derive(Debug)]
pub struct Ngrams {
    text: Vec<Token>,
    /// Of each chain the last place.
    latest: Vec<u32>,
    /// For each place, the one before it in its chain.
    earlier: Vec<u32>,
    /// Where the last draft was taken from, moved on with the text as long as that is the same.
    followed: Option<usize>,
    /// Where the last one that was followed for long went another way, and how many tokens came since.
    left: Option<(usize, usize)>,
    /// What is followed was taken up again there.
    is_resumed: bool,
    /// A token that may have been changed.
    suspect: Option<Suspect>,
    /// What stood in its place where a copy differed by one token: a name that is changed once is changed everywhere.
    changed: HashMap<Token, Token>,
}

/// A token that a copy may have another for.
#[derive(Clone, Copy, Debug)]
struct Suspect {
    old: usize,
    new: usize,
    /// Tokens behind it that must be the same.
    needed: usize,
}

/// A place that is like the end of the text.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Of the token that may come next.
    next: usize,
    matched: usize,
}

impl Default for Ngrams {
    fn default() -> Self {
        Self {
            text: Vec::new(),
            latest: vec![NOWHERE; CHAINS],
            earlier: Vec::new(),
            followed: None,
            left: None,
            is_resumed: false,
            suspect: None,
            changed: HashMap::new(),
        }
    }
}

impl Ngrams {
    /// The tokens before a place by which it is found.
    fn key(&self, place: usize) -> Option<[Token; KEY]> {
        self.text.get(place.checked_sub(KEY)?..place)?.try_into().ok()
    }

    fn pop(&mut self) {
        let place = self.text.len().saturating_sub(1);
        let (key, earlier) = (self.key(place), self.earlier.pop());
        self.text.pop();
        if let (Some(key), Some(earlier)) = (key, earlier) {
            self.latest[chain(key)] = earlier;
        }
    }

    /// The place behind the followed one, if the text goes on as it does. Else it is noted where it was left.
    fn follow(&mut self, followed: usize, token: Token) -> Option<usize> {
        let there = self.text.get(followed).copied()?;
        if there == token {
            self.changed.remove(&there);
            return Some(followed + 1);
        }
        if self.changed.get(&there) == Some(&token) {
            return Some(followed + 1);
        }
        let matched = self.matched(followed);
        let is_clear = self.is_resumed || matched >= LONG_MATCH;
        if is_clear {
            self.left = Some((followed, 0));
        }
        if is_clear || matched >= AROUND {
            let needed = if is_clear { 1 } else { AROUND };
            self.suspect = Some(Suspect { old: followed, new: self.text.len(), needed });
        }
        self.is_resumed = false;
        None
    }

    /// Where a text was left for one token and goes on, that one was changed.
    fn learn_change(&mut self, token: Token) {
        let Some(Suspect { old, new, needed }) = self.suspect.take() else { return };
        let behind = self.text.len() - new;
        if self.text.get(old + behind) == Some(&token) {
            if behind == needed {
                self.changed.insert(self.text[old], self.text[new]);
            } else {
                self.suspect = Some(Suspect { old, new, needed });
            }
        }
    }

    /// The latest places behind the two tokens that the text ends with.
    fn places(&self) -> impl Iterator<Item = usize> + '_ {
        let key = self.key(self.text.len());
        let first = key.map(|key| self.latest[chain(key)]);
        std::iter::successors(first, |place| self.earlier.get(*place as usize).copied())
            .take_while(|place| *place != NOWHERE)
            .take(MOST_LINKS)
            .map(|place| place as usize)
            .filter(move |place| self.key(*place) == key)
            .take(MOST_PLACES)
    }

    /// How many tokens before this place are those that the text ends with.
    fn matched(&self, place: usize) -> usize {
        let before = self.text[..place].iter().rev();
        before
            .zip(self.text.iter().rev())
            .take(LONGEST_MATCH)
            .take_while(|(one, other)| self.is_same(**one, **other))
            .count()
    }

    /// Whether this token of the text is that one in a copy.
    fn is_same(&self, token: Token, copied: Token) -> bool {
        token == copied || self.changed.get(&token) == Some(&copied)
    }

    /// The place to draft from: where a text that was followed goes on, unless another place has a good match.
    fn best(&self) -> Option<(Place, Ground)> {
        let longest = self.longest();
        let resumed = self.resumed().filter(|resumed| {
            longest.is_none_or(|(place, _)| place.matched < GOOD_MATCH || place.next == resumed.next)
        });
        match resumed {
            Some(place) => Some((place, Ground { matched: place.matched, kind: Kind::Resumed })),
            None => longest,
        }
    }

    /// Where a text goes on that was followed until a moment ago: the first place behind where it was left that is like
    /// the end of the text, be it only by one token.
    fn resumed(&self) -> Option<Place> {
        let at = |next| Place { next, matched: self.matched(next) };
        if let Some(next) = self.followed.filter(|_| self.is_resumed) {
            return Some(at(next)).filter(|place| place.matched < LONG_MATCH);
        }
        let (left, _) = self.left.filter(|(_, since)| (1..=MOST_CHANGED).contains(since))?;
        let end = (left + 1 + MOST_CHANGED).min(self.text.len());
        (left + 1..end).map(at).find(|place| place.matched > 0)
    }

    /// The place with the longest match. Of several, one that goes on as most of them do, and of those the latest.
    fn longest(&self) -> Option<(Place, Ground)> {
        let places = self.followed.into_iter().chain(self.places());
        let mut found: Vec<Place> = places.map(|next| Place { next, matched: self.matched(next) }).collect();
        let longest = found.iter().map(|place| place.matched).max().filter(|matched| *matched >= KEY)?;
        found.retain(|place| place.matched == longest);
        let votes = |place: &Place| found.iter().filter(|other| self.text[other.next] == self.text[place.next]).count();
        let best = *found.iter().max_by_key(|place| (votes(place), place.next))?;
        let kind = if votes(&best) == found.len() { Kind::Agreed } else { Kind::Contested };
        Some((best, Ground { matched: longest, kind }))
    }
}

/// The chain of the places behind these tokens (Fibonacci hashing, Knuth 6.4).
fn chain(key: [Token; KEY]) -> usize {
    let pair = (u64::from(key[0].cast_unsigned()) << 32) | u64::from(key[1].cast_unsigned());
    (pair.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - CHAINS.trailing_zeros())) as usize
}

impl Drafter for Ngrams {
    fn begin(&mut self, text: &[Token]) {
        let text = &text[text.len().saturating_sub(MOST_TOKENS)..];
        let common = self.text.iter().zip(text).take_while(|(one, other)| one == other).count();
        (self.followed, self.left, self.is_resumed, self.suspect) = (None, None, false, None);
        self.changed.clear();
        while self.text.len() > common {
            self.pop();
        }
        text[common..].iter().for_each(|token| self.push(*token));
    }

    fn push(&mut self, token: Token) {
        let place = self.text.len();
        self.left = self.left.map(|(place, since)| (place, since + 1)).filter(|(_, since)| *since <= MOST_CHANGED);
        self.learn_change(token);
        self.followed = self.followed.and_then(|followed| self.follow(followed, token));
        if place >= MOST_TOKENS {
            // The end of the text is what drafts are found by, so it cannot be left out.
            let half = self.text.split_off(MOST_TOKENS / 2);
            *self = Self::default();
            self.begin(&half);
            return self.push(token);
        }
        let earlier = self.key(place).map(|key| std::mem::replace(&mut self.latest[chain(key)], place as u32));
        self.earlier.push(earlier.unwrap_or(NOWHERE));
        self.text.push(token);
    }

    fn draft(&mut self, most: usize, _cancel: &[&CancelFlag]) -> Draft {
        let Some((place, ground)) = self.best() else { return Draft::default() };
        self.followed = Some(place.next);
        self.is_resumed = ground.kind == Kind::Resumed;
        let mut tokens = Vec::with_capacity(most);
        // A place near the end of the text goes on with what is drafted, as a text that repeats itself does.
        for index in place.next..place.next + most {
            let known = self.text.get(index).or_else(|| tokens.get(index - self.text.len()));
            tokens.extend(known.map(|token| self.changed.get(token).unwrap_or(token)).copied());
        }
        Draft { by: Some(DraftedBy::Ngram), tokens, ground, ..Draft::default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn over(text: &[Token]) -> Ngrams {
        let mut ngrams = Ngrams::default();
        ngrams.begin(text);
        ngrams
    }

    fn of(tokens: &[Token], ground: Ground) -> Draft {
        Draft { by: Some(DraftedBy::Ngram), tokens: tokens.to_vec(), ground, ..Draft::default() }
    }

    fn ground(matched: usize, kind: Kind) -> Ground {
        Ground { matched, kind }
    }

    #[test]
    fn a_name_that_was_changed_in_a_copy_is_changed_where_it_comes_again() {
        let text: Vec<Token> = (100..115).chain([7]).chain(200..210).chain([7]).chain(300..305).collect();
        let mut ngrams = over(&text);
        for token in (100..115).chain([8, 200]) {
            ngrams.draft(1, &[]);
            ngrams.push(token);
        }
        let expected: Vec<Token> = (201..210).chain([8]).chain(300..303).collect();
        let draft = ngrams.draft(13, &[]);
        assert_eq!(draft.tokens, expected);
        assert!(draft.ground.matched >= LONG_MATCH, "the change does not end the match: {:?}", draft.ground);
        for token in (201..210).chain([7]) {
            ngrams.draft(1, &[]);
            ngrams.push(token);
        }
        assert_eq!(ngrams.changed.len(), 0, "it was not changed this time");
    }

    #[test]
    fn a_copy_is_followed_over_a_name_that_was_changed_before() {
        let text: Vec<Token> = (100..115).chain([7]).chain(200..210).chain([7]).chain(300..305).collect();
        let mut ngrams = over(&text);
        for token in (100..115).chain([8]).chain(200..210).chain([8]) {
            ngrams.draft(1, &[]);
            ngrams.push(token);
        }
        assert_eq!(ngrams.draft(3, &[]).tokens, [300, 301, 302]);
    }

    #[test]
    fn where_a_copy_goes_on_is_drafted_unless_another_place_matches_well() {
        let phrase = |length: Token| (200..200 + length).chain([50]);
        for (length, expected) in [(5, (118, Kind::Resumed)), (6, (50, Kind::Agreed))] {
            let last = 200 + length - 1;
            let text: Vec<Token> = (100..117).chain([last]).chain(118..130).chain(phrase(length)).collect();
            let mut ngrams = over(&text);
            for token in (100..115).chain(200..200 + length) {
                ngrams.draft(1, &[]);
                ngrams.push(token);
            }
            let draft = ngrams.draft(1, &[]);
            assert_eq!((draft.tokens[0], draft.ground.kind), expected, "a match of {length}");
        }
    }

    #[test]
    fn pairs_that_end_alike_are_in_different_chains() {
        assert_ne!(chain([1, 9]), chain([2, 9]));
    }

    #[test]
    fn behind_a_short_match_more_must_agree_before_a_token_counts_as_changed() {
        let text: Vec<Token> = (100..104).chain([7]).chain(200..210).collect();
        let mut ngrams = over(&text);
        let changed = (100..104).chain([8]).chain(200..203).map(|token| {
            ngrams.draft(1, &[]);
            ngrams.push(token);
            ngrams.changed.len()
        });
        assert_eq!(changed.collect::<Vec<_>>(), [0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn what_followed_the_longest_match_is_drafted() {
        let draft = over(&[1, 2, 3, 50, 60, 9, 2, 3, 70, 80, 1, 2, 3]).draft(2, &[]);
        assert_eq!(draft, of(&[50, 60], ground(3, Kind::Agreed)));
    }

    #[test]
    fn without_two_tokens_that_came_before_there_is_no_draft() {
        assert_eq!(over(&[1, 2, 3, 4, 9, 3]).draft(4, &[]), Draft::default());
        assert_eq!(over(&[]).draft(4, &[]), Draft::default());
    }

    #[test]
    fn of_matches_as_long_the_continuation_that_came_most_often_is_drafted_and_the_disagreement_told() {
        let draft = over(&[1, 2, 50, 0, 1, 2, 50, 7, 1, 2, 60, 8, 1, 2]).draft(2, &[]);
        assert_eq!(draft, of(&[50, 7], ground(2, Kind::Contested)));
    }

    #[test]
    fn a_text_that_repeats_itself_is_drafted_beyond_its_end() {
        assert_eq!(over(&[1, 2, 3, 1, 2, 3]).draft(7, &[]).tokens, [1, 2, 3, 1, 2, 3, 1]);
    }

    #[test]
    fn a_place_that_is_followed_is_not_lost_among_later_ones() {
        let mut text = vec![1, 2, 3, 4, 5, 6, 7, 8];
        text.extend((0..200).flat_map(|number| [100 + number, 5, 6]));
        text.extend([1, 2, 3, 4]);
        let mut ngrams = over(&text);
        assert_eq!(ngrams.draft(1, &[]).tokens, [5]);
        ngrams.push(5);
        ngrams.push(6);
        assert_eq!(ngrams.draft(2, &[]), of(&[7, 8], ground(6, Kind::Agreed)));
    }

    #[test]
    fn a_copy_with_changes_goes_on_behind_each_change() {
        let source: Vec<Token> = (100..140).collect();
        let mut ngrams = over(&source);
        for token in 100..115 {
            ngrams.push(token);
            ngrams.draft(1, &[]);
        }
        // 115 is replaced by two others.
        ngrams.push(7);
        ngrams.draft(1, &[]);
        ngrams.push(8);
        assert_eq!(ngrams.draft(2, &[]), Draft::default(), "nothing says yet where it goes on");
        ngrams.push(116);
        assert_eq!(ngrams.draft(2, &[]), of(&[117, 118], ground(1, Kind::Resumed)));
        ngrams.push(117);
        assert_eq!(ngrams.draft(1, &[]), of(&[118], ground(2, Kind::Resumed)));
        // Once more, soon after; one token for one, so the match goes on before it.
        ngrams.push(9);
        ngrams.push(119);
        assert_eq!(ngrams.draft(2, &[]), of(&[120, 121], ground(4, Kind::Resumed)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut ngrams = Ngrams::default();
        (0..MOST_TOKENS as Token + 10).for_each(|token| ngrams.push(token));
        assert!(ngrams.text.len() <= MOST_TOKENS && ngrams.earlier.len() <= MOST_TOKENS);
        ngrams.begin(&ngrams.text.clone());
        let end = MOST_TOKENS as Token + 8;
        [end, end + 1].into_iter().for_each(|token| ngrams.push(token));
        assert_eq!(ngrams.text.last(), Some(&(end + 1)));
    }

    proptest! {
        /// Against looking at every place.
        #[test]
        fn the_match_is_the_longest_there_is(text in prop::collection::vec(0..4, 0..40)) {
            let draft = over(&text).draft(1, &[]);
            let matched = |place: usize| {
                (0..place).take_while(|back| text[place - 1 - back] == text[text.len() - 1 - back]).count()
            };
            let longest = (0..text.len()).map(matched).max().unwrap_or(0);
            prop_assert_eq!(draft.ground.matched, if longest < KEY { 0 } else { longest });
            prop_assert_eq!(draft.tokens.len(), usize::from(longest >= KEY));
        }

        #[test]
        fn a_text_that_was_cut_and_went_on_is_known_as_one_read_at_once(
            first in prop::collection::vec(0..3, 0..30),
            second in prop::collection::vec(0..3, 0..30),
        ) {
            let mut changed = over(&first);
            changed.draft(3, &[]);
            changed.begin(&second);
            prop_assert_eq!(changed.draft(9, &[]), over(&second).draft(9, &[]));
            prop_assert_eq!(&changed.latest, &over(&second).latest);
        }
    }
}
