//! Which of several is the fastest, with as few timings as that takes: rounds in which all take turns, forwards and
//! backwards, so that whatever slows the machine down slows them all; whoever has clearly lost is out, and only those that
//! cannot be told apart go on. Pure.

use crate::bench::statistics::{Interval, faster_half, mean};

/// Whoever took this many times as long in each of so many rounds is out, however much the timings vary.
const HOPELESS: f64 = 1.25;
const LEAST_ROUNDS: usize = 2;
/// Who may be faster by no more than this need not be looked at further.
const ALIKE: f64 = 0.015;

/// How long it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Before so many it is not known how much timings vary: nobody is out for what that tells, nor is it over because
    /// nothing is left to gain.
    pub least_rounds: usize,
    pub most_rounds: usize,
    /// Whoever has lost is out, and it ends when there is nothing left to find out.
    pub is_short: bool,
}

/// Several that are timed in turn, in groups that are decided each for itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Race {
    groups: Vec<usize>,
    /// Of each, seconds by the round.
    seconds: Vec<Vec<f64>>,
    is_out: Vec<bool>,
    /// Whose turn it is in this round, the next one last.
    turns: Vec<usize>,
    rounds: usize,
    limits: Limits,
}

impl Race {
    /// All against all.
    pub fn new(count: usize, limits: Limits) -> Self {
        Self::grouped(vec![0; count], limits)
    }

    /// Each against those of its group, with those of the others in the same rounds.
    pub fn grouped(groups: Vec<usize>, limits: Limits) -> Self {
        let count = groups.len();
        let (seconds, is_out) = (vec![Vec::new(); count], vec![false; count]);
        let mut race = Self { groups, seconds, is_out, turns: Vec::new(), rounds: 0, limits };
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
            if self.limits.is_short && self.rounds >= LEAST_ROUNDS {
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
        self.turns = (0..self.seconds.len()).filter(|place| !self.is_out[*place]).collect();
        if self.rounds.is_multiple_of(2) {
            self.turns.reverse();
        }
    }

    fn left(&self, group: usize) -> impl Iterator<Item = usize> {
        (0..self.seconds.len()).filter(move |place| self.groups[*place] == group && !self.is_out[*place])
    }

    fn judge(&mut self) {
        let lost: Vec<usize> = (0..self.seconds.len())
            .filter(|place| !self.is_out[*place] && self.has_lost(*place, self.leader(self.groups[*place])))
            .collect();
        lost.into_iter().for_each(|place| self.is_out[place] = true);
    }

    fn has_lost(&self, place: usize, leader: usize) -> bool {
        let mut pairs = self.seconds[place].iter().zip(&self.seconds[leader]);
        let is_shown =
            self.rounds >= self.limits.least_rounds && self.lead(leader, place).low().is_some_and(|low| low > 1.0);
        place != leader && (is_shown || pairs.all(|(its, leaders)| *its > leaders * HOPELESS))
    }

    /// Of each group one is left, or the others can hardly be faster than the fastest.
    fn is_decided(&self) -> bool {
        let may_gain = |place: usize| {
            let leader = self.leader(self.groups[place]);
            let may_be = self.lead(place, leader).high().is_none_or(|high| high > 1.0 + ALIKE);
            place != leader && (may_be || self.rounds < self.limits.least_rounds)
        };
        !(0..self.seconds.len()).any(|place| !self.is_out[place] && may_gain(place))
    }

    /// The fastest so far of those that are left in the group of one.
    pub fn leader_beside(&self, place: usize) -> usize {
        self.leader(self.groups[place])
    }

    fn leader(&self, group: usize) -> usize {
        let time = |place: &usize| faster_half(&self.seconds[*place]);
        self.left(group).min_by(|one, other| time(one).total_cmp(&time(other))).unwrap_or_default()
    }

    /// How many times as fast one is as another, by the rounds that they share, with the interval of 95 %.
    pub fn ratio(&self, one: usize, other: usize) -> Interval {
        Interval::of(&self.logarithms(one, other)).moved_to(self.quotient(one, other).ln()).exp()
    }

    /// The same of two that are left in a group. How much timings vary is seen in all of the group, so it is known after few
    /// rounds.
    fn lead(&self, one: usize, other: usize) -> Interval {
        let leader = self.leader(self.groups[one]);
        let others = self.left(self.groups[one]).filter(|place| *place != leader);
        let (squares, freedom) = others.fold((0.0, 0), |(squares, freedom), place| {
            let logarithms = self.logarithms(place, leader);
            let middle = mean(&logarithms);
            let more: f64 = logarithms.iter().map(|logarithm| (logarithm - middle).powi(2)).sum();
            (squares + more, freedom + logarithms.len().saturating_sub(1))
        });
        let error = (squares / freedom as f64 / self.rounds as f64).sqrt();
        Interval::around(self.quotient(one, other).ln(), Some((error, freedom))).exp()
    }

    fn quotient(&self, one: usize, other: usize) -> f64 {
        let shared = self.seconds[one].len().min(self.seconds[other].len());
        faster_half(&self.seconds[other][..shared]) / faster_half(&self.seconds[one][..shared])
    }

    fn logarithms(&self, one: usize, other: usize) -> Vec<f64> {
        let pairs = self.seconds[one].iter().zip(&self.seconds[other]);
        pairs.map(|(ones, others)| (others / ones).ln()).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Limits = Limits { least_rounds: 3, most_rounds: 8, is_short: true };

    /// Runs it with what each takes in each round.
    fn run(mut race: Race, seconds: impl Fn(usize, usize) -> f64) -> (Race, Vec<usize>) {
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
        let (race, order) = run(Race::new(3, SHORT), |place, round| [1.0, 2.0, 0.7][place] + 0.001 * round as f64);
        assert_eq!(order, [0, 1, 2, 2, 1, 0]);
        assert_eq!((race.leader(0), race.is_out(0), race.is_out(1)), (2, true, true));
        let all = Race::new(2, Limits { least_rounds: 3, most_rounds: 3, is_short: false });
        let (race, order) = run(all, |place, _| [1.0, 9.0][place]);
        assert_eq!((order.len(), race.timings(), race.is_out(1)), (6, 6, false));
    }

    #[test]
    fn what_comes_to_the_same_ends_early() {
        let (_, order) = run(Race::new(2, SHORT), |place, round| 1.0 + 0.002 * ((place + round) % 2) as f64);
        assert_eq!(order.len(), 6);
    }

    #[test]
    fn a_drift_that_hits_all_decides_nothing() {
        // Each round is a third slower than the one before.
        let (race, _) = run(Race::new(2, SHORT), |place, round| [1.0, 0.9][place] * 1.33_f64.powi(round as i32));
        assert_eq!(race.leader(0), 1);
        let ratio = race.ratio(1, 0);
        assert!((ratio.middle - 1.0 / 0.9).abs() < 1e-9 && ratio.low().unwrap() > 1.1, "{ratio:?}");
    }

    #[test]
    fn a_hiccup_of_the_machine_puts_nobody_out() {
        // The faster one takes a third longer in the second of each four rounds.
        let hiccup = |place, round| [1.0, 0.95][place] * if place == 1 && round % 4 == 1 { 1.33 } else { 1.0 };
        let (race, _) = run(Race::new(2, SHORT), hiccup);
        assert_eq!((race.leader(0), race.is_out(1)), (1, false));
        assert!((race.ratio(1, 0).middle - 1.0 / 0.95).abs() < 1e-9);
    }

    #[test]
    fn noise_takes_more_rounds_and_no_more_than_allowed() {
        let noise = [0.9, 1.2, 0.95, 1.1, 1.0];
        let (race, order) = run(Race::new(2, SHORT), |place, round| noise[(round + 2 * place) % 5]);
        assert_eq!(order.len(), 16);
        assert!(!race.is_out(0) && !race.is_out(1));
    }

    #[test]
    fn groups_are_decided_each_for_itself_in_the_same_rounds() {
        let (race, order) = run(Race::grouped(vec![0, 0, 1, 1], SHORT), |place, _| [1.0, 1.5, 3.0, 2.0][place]);
        assert_eq!((race.leader(0), race.leader(1), order.len()), (0, 3, 8));
        assert!(race.is_out(1) && race.is_out(2) && !race.is_out(3), "slower than another group is not out");
    }

    #[test]
    fn a_single_one_needs_no_timing() {
        assert_eq!(run(Race::new(1, SHORT), |_, _| 1.0).1, [0; 0]);
    }
}
