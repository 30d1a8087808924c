//! Which of several is the fastest, with as few timings as that takes: rounds in which all take turns, forwards and
//! backwards, so that whatever slows the machine down slows them all; and whoever has clearly lost is out. Pure.

use crate::bench::statistics::Interval;

/// Rounds before anyone is out, more where it has to be shown: of few rounds that agree some do so by chance.
const LEAST_ROUNDS: usize = 2;
const LEAST_ROUNDS_TO_SHOW: usize = 4;
/// Rounds before it is over where nothing is left to gain.
const LEAST_ROUNDS_TO_END: usize = 3;
/// Whoever took this many times as long in every round is out, before an interval can say so.
const HOPELESS: f64 = 1.25;
/// Who may be faster by no more than this need not be looked at further.
const ALIKE: f64 = 0.02;
/// The first stands unless another is faster by this much.
const WORTH_IT: f64 = 0.01;

/// How long it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub most_rounds: usize,
    /// Whoever has lost is out, and it ends when there is nothing left to find out.
    pub is_short: bool,
    /// That another than the first is faster has to be shown, not only to be likely.
    pub has_to_show: bool,
}

/// Several that are timed in turn; the first is the one that stands if none is better.
#[derive(Clone, Debug, PartialEq)]
pub struct Race {
    /// Of each, seconds by the round.
    seconds: Vec<Vec<f64>>,
    is_out: Vec<bool>,
    /// Whose turn it is in this round, the next one last.
    turns: Vec<usize>,
    rounds: usize,
    limits: Limits,
}

impl Race {
    pub fn new(count: usize, limits: Limits) -> Self {
        let mut race =
            Self { seconds: vec![Vec::new(); count], is_out: vec![false; count], turns: Vec::new(), rounds: 0, limits };
        race.begin_round();
        race
    }

    /// Who is to be timed next; `None` if it is over.
    pub fn next(&self) -> Option<usize> {
        self.turns.last().copied()
    }

    /// The next one took so long.
    pub fn took(&mut self, seconds: f64) {
        let Some(place) = self.turns.pop() else { return };
        self.seconds[place].push(seconds);
        if self.turns.is_empty() {
            self.rounds += 1;
            if self.limits.is_short {
                self.judge();
            }
            self.begin_round();
        }
    }

    fn begin_round(&mut self) {
        let is_over = self.rounds >= self.limits.most_rounds || (self.limits.is_short && self.is_decided());
        if is_over {
            return;
        }
        self.turns = self.left().collect();
        if self.rounds.is_multiple_of(2) {
            self.turns.reverse();
        }
    }

    fn left(&self) -> impl Iterator<Item = usize> {
        (0..self.seconds.len()).filter(|place| !self.is_out[*place])
    }

    fn judge(&mut self) {
        let least = if self.limits.has_to_show { LEAST_ROUNDS_TO_SHOW } else { LEAST_ROUNDS };
        if self.rounds < least {
            return;
        }
        let leader = self.leader();
        let lost: Vec<usize> = self.left().filter(|place| *place != leader && self.has_lost(*place, leader)).collect();
        lost.into_iter().for_each(|place| self.is_out[place] = true);
    }

    fn has_lost(&self, place: usize, leader: usize) -> bool {
        let is_shown = self.ratio(leader, place).low().is_some_and(|low| low > 1.0);
        let pairs = self.seconds[place].iter().zip(&self.seconds[leader]);
        is_shown || pairs.into_iter().all(|(its, leaders)| *its > leaders * HOPELESS)
    }

    /// One is left, or the others can hardly be faster than the fastest.
    fn is_decided(&self) -> bool {
        let leader = self.leader();
        let mut others = self.left().filter(|place| *place != leader).peekable();
        if others.peek().is_none() {
            return self.rounds > 0 || self.seconds.len() < 2;
        }
        if self.limits.has_to_show && leader != 0 {
            return false;
        }
        let may_gain = |place| self.ratio(place, leader).high().is_none_or(|high| high > 1.0 + ALIKE);
        self.rounds >= LEAST_ROUNDS_TO_END && !others.any(may_gain)
    }

    /// The fastest so far of those that are left.
    pub fn leader(&self) -> usize {
        let time = |place: &usize| Interval::of(&logarithms(&self.seconds[*place])).middle;
        self.left().min_by(|one, other| time(one).total_cmp(&time(other))).unwrap_or_default()
    }

    /// The one to take: the fastest, if that is worth it, else the first.
    pub fn best(&self) -> usize {
        let leader = self.leader();
        let gains = self.ratio(leader, 0).middle;
        if self.is_out[0] || gains >= 1.0 + WORTH_IT { leader } else { 0 }
    }

    /// How many times as fast one is as another, by the rounds that they share, with the interval of 95 %.
    pub fn ratio(&self, one: usize, other: usize) -> Interval {
        let pairs = self.seconds[one].iter().zip(&self.seconds[other]);
        Interval::of(&pairs.map(|(ones, others)| (others / ones).ln()).collect::<Vec<_>>()).exp()
    }

    /// What it took, by the round.
    pub fn seconds(&self, place: usize) -> &[f64] {
        &self.seconds[place]
    }

    pub fn is_out(&self, place: usize) -> bool {
        self.is_out[place]
    }

    /// How often something was timed.
    pub fn timings(&self) -> usize {
        self.seconds.iter().map(Vec::len).sum()
    }
}

fn logarithms(numbers: &[f64]) -> Vec<f64> {
    numbers.iter().map(|number| number.ln()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Limits = Limits { most_rounds: 5, is_short: true, has_to_show: false };

    /// Runs it with what each takes in each round.
    fn run(count: usize, limits: Limits, seconds: impl Fn(usize, usize) -> f64) -> (Race, Vec<usize>) {
        let mut race = Race::new(count, limits);
        let mut order = Vec::new();
        while let Some(place) = race.next() {
            order.push(place);
            let round = race.seconds(place).len();
            race.took(seconds(place, round));
        }
        (race, order)
    }

    #[test]
    fn all_take_turns_forwards_and_backwards_and_clear_losers_are_out() {
        let (race, order) = run(3, SHORT, |place, round| [1.0, 2.0, 0.8][place] + 0.001 * round as f64);
        assert_eq!(order, [0, 1, 2, 2, 1, 0]);
        assert_eq!((race.best(), race.is_out(0), race.is_out(1)), (2, true, true));
        let (race, order) = run(2, Limits { most_rounds: 3, is_short: false, ..SHORT }, |place, _| [1.0, 9.0][place]);
        assert_eq!((order.len(), race.timings(), race.is_out(1)), (6, 6, false));
    }

    #[test]
    fn what_comes_to_the_same_ends_early_and_leaves_the_first() {
        let (race, order) = run(2, SHORT, |place, round| 1.0 + 0.002 * ((place + round) % 2) as f64);
        assert_eq!((race.best(), order.len()), (0, 6));
    }

    #[test]
    fn a_drift_that_hits_all_decides_nothing() {
        // Each round is a third slower than the one before.
        let (race, _) = run(2, SHORT, |place, round| [1.0, 0.9][place] * 1.33_f64.powi(round as i32));
        assert_eq!(race.best(), 1);
        let ratio = race.ratio(1, 0);
        assert!((ratio.middle - 1.0 / 0.9).abs() < 1e-9 && ratio.low().unwrap() > 1.1, "{ratio:?}");
    }

    #[test]
    fn noise_takes_more_rounds_and_no_more_than_allowed() {
        let noise = [0.9, 1.2, 0.95, 1.1, 1.0];
        let (race, order) = run(2, SHORT, |place, round| noise[(round + 2 * place) % 5]);
        assert_eq!(order.len(), 10);
        assert!(!race.is_out(0) && !race.is_out(1));
    }

    #[test]
    fn what_has_to_be_shown_is_timed_until_it_is() {
        let limits = Limits { most_rounds: 10, has_to_show: true, ..SHORT };
        let (race, _) = run(2, limits, |place, round| [1.0, 0.9][place] + 0.001 * round as f64);
        assert_eq!((race.seconds(0).len(), race.best()), (4, 1));
        // Faster on the whole, but in every third round it is not.
        let (race, _) = run(2, limits, |place, round| [1.0, if round % 3 == 0 { 1.1 } else { 0.9 }][place]);
        assert_eq!(race.seconds(0).len(), 10);
        assert!(race.ratio(1, 0).low().unwrap() < 1.0);
    }

    #[test]
    fn a_single_one_needs_no_timing() {
        assert_eq!(run(1, SHORT, |_, _| 1.0).1, [0; 0]);
    }
}
