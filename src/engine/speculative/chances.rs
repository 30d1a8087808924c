//! How often drafts are right, learned from every token that is chosen: where decoding is plain, a draft is made all
//! the same and compared with what the model then says, which costs nothing of its time.

use super::{Ground, Kind};

/// Lengths of a match from which on the next class begins.
const CLASSES: [usize; 8] = [2, 3, 4, 6, 9, 13, 21, 33];
/// What is expected of the shortest match before anything was seen; with so many sightings' weight. A longer match is
/// expected to do as well as a shorter one until it is known better.
const FIRST_CHANCE: f64 = 0.3;
/// The same where a copy goes on behind a change: most changes are small.
const FIRST_CHANCE_RESUMED: f64 = 0.6;
const WEIGHT: f64 = 3.0;
/// What was seen longer ago than so many sightings of a class counts less and less.
const MEMORY: f64 = 48.0;
/// So many of them are believed of another answer, which may be of another kind.
const MEMORY_OF_OTHERS: f64 = 12.0;

/// Sightings of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Seen {
    right: f64,
    all: f64,
}

impl Seen {
    fn push(&mut self, is_right: bool) {
        self.right += f64::from(u8::from(is_right));
        self.all += 1.0;
        self.forget(MEMORY);
    }

    fn forget(&mut self, most: f64) {
        if self.all > most {
            self.right *= most / self.all;
            self.all = most;
        }
    }
}

/// What was seen of drafts, by the length of the match that they were taken from, and how the place was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chances {
    seen: [[Seen; CLASSES.len()]; 3],
}

impl Chances {
    /// A token that was drafted for this reason was right, or it was not.
    pub fn push(&mut self, ground: Ground, is_right: bool) {
        self.seen[ground.kind as usize][class(ground)].push(is_right);
    }

    /// Another answer begins.
    pub fn begin(&mut self) {
        self.seen.iter_mut().flatten().for_each(|seen| seen.forget(MEMORY_OF_OTHERS));
    }

    /// How probable it is that a token drafted for this reason is right.
    pub fn of(&self, ground: Ground) -> f64 {
        let seen = &self.seen[ground.kind as usize][..=class(ground)];
        let first = if ground.kind == Kind::Resumed { FIRST_CHANCE_RESUMED } else { FIRST_CHANCE };
        let chance = seen.iter().fold(first, |chance, seen| (WEIGHT * chance + seen.right) / (WEIGHT + seen.all));
        // A few sightings in each of many classes are still few.
        let right: f64 = seen.iter().map(|seen| seen.right).sum();
        chance.min((right + 1.0) / (right + 2.0))
    }
}

fn class(ground: Ground) -> usize {
    CLASSES.iter().rposition(|least| ground.matched >= *least).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ground(matched: usize) -> Ground {
        Ground { matched, kind: Kind::Agreed }
    }

    #[test]
    fn a_chance_is_what_was_seen() {
        let mut chances = Chances::default();
        (0..400).for_each(|index| chances.push(ground(5), index % 4 != 0));
        assert!((chances.of(ground(5)) - 0.75).abs() < 0.05, "{}", chances.of(ground(5)));
        assert!((chances.of(ground(4)) - chances.of(ground(5))).abs() < 1e-9, "one class");
        assert!(chances.of(ground(3)) < 0.4 && chances.of(Ground { kind: Kind::Contested, ..ground(5) }) < 0.4);
    }

    #[test]
    fn a_longer_match_is_expected_to_do_as_well_as_a_shorter_one() {
        let mut chances = Chances::default();
        (0..40).for_each(|_| chances.push(ground(10), true));
        assert!(chances.of(ground(60)) > 0.9);
        (0..10).for_each(|_| chances.push(ground(60), false));
        assert!(chances.of(ground(60)) < 0.3 && chances.of(ground(10)) > 0.9);
    }

    #[test]
    fn a_few_sightings_are_no_certainty_however_long_the_match() {
        let mut chances = Chances::default();
        (2..30).for_each(|matched| chances.push(ground(matched), true));
        assert!((0.94..0.98).contains(&chances.of(ground(30))), "{}", chances.of(ground(30)));
    }

    #[test]
    fn what_another_answer_showed_is_soon_outweighed() {
        let mut chances = Chances::default();
        (0..500).for_each(|_| chances.push(ground(4), true));
        chances.begin();
        (0..8).for_each(|_| chances.push(ground(4), false));
        assert!(chances.of(ground(4)) < 0.65, "{}", chances.of(ground(4)));
    }
}
