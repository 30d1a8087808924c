//! Every setting there is, in turn: what the search for the fastest one is held against. Pure.

use super::race::{Limits, Race};
use super::setting::{Part, Setting, Space, Trial};
use crate::bench::statistics::{Interval, faster_half};

/// So many of the fastest are timed once more, in turn with the chosen one: of many the fastest was lucky, too.
const FASTEST: usize = 3;
const DUEL: Limits = Limits { least_rounds: 12, most_rounds: 12, is_short: false };
/// Turns of the duel.
pub const DUEL_TURNS: f64 = (DUEL.most_rounds * (FASTEST + 1)) as f64;

/// All settings, and then the fastest of them against the one that was chosen without them.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    settings: Vec<Setting>,
    all: Race,
    chosen: usize,
    /// Places of those that are timed once more, the chosen one first.
    finalists: Vec<usize>,
    duel: Option<Race>,
}

impl Sweep {
    /// Times each so often. `chosen` is one of them.
    pub fn new(space: &Space, chosen: Setting, rounds: u32) -> Self {
        let settings = space.all();
        let rounds = rounds as usize;
        let limits = Limits { least_rounds: rounds, most_rounds: rounds, is_short: false };
        let all = Race::new(settings.len(), limits);
        let chosen = settings.iter().position(|setting| *setting == chosen).unwrap_or_default();
        Self { settings, all, chosen, finalists: Vec::new(), duel: None }
    }

    /// What is to be timed next; `None` if all is known.
    pub fn next(&self) -> Option<Trial> {
        let place = match &self.duel {
            Some(duel) => self.finalists[duel.next()?],
            None => self.all.next()?,
        };
        Some(Trial { setting: self.settings[place], part: Part::Turn })
    }

    /// It took so many seconds.
    pub fn took(&mut self, seconds: f64) {
        match &mut self.duel {
            Some(duel) => duel.took(seconds),
            None => {
                self.all.took(seconds);
                if self.all.next().is_none() {
                    self.begin_duel();
                }
            }
        }
    }

    fn begin_duel(&mut self) {
        let mut others: Vec<usize> = (0..self.settings.len()).filter(|place| *place != self.chosen).collect();
        others.sort_by(|one, other| self.seconds_of(*one).total_cmp(&self.seconds_of(*other)));
        self.finalists = std::iter::once(self.chosen).chain(others.into_iter().take(FASTEST)).collect();
        self.duel = Some(Race::new(self.finalists.len(), DUEL));
    }

    fn seconds_of(&self, place: usize) -> f64 {
        faster_half(self.all.seconds(place))
    }

    /// All are timed, and only the fastest are still at it.
    pub fn is_duel(&self) -> bool {
        self.duel.is_some()
    }

    /// The fastest of all, and how many times as fast it is as the chosen one, which it may be; both by the timings of these
    /// two and of the next best in turn.
    pub fn best(&self) -> (Setting, Interval) {
        let duel = self.duel.as_ref();
        let place = duel.map_or(0, |duel| duel.leader_beside(0));
        let ratio = duel.map_or(Interval::around(1.0, None), |duel| duel.ratio(place, 0));
        (self.settings[self.finalists.get(place).copied().unwrap_or(self.chosen)], ratio)
    }

    pub fn is_the_choice(&self) -> bool {
        self.best().0 == self.settings[self.chosen]
    }

    /// Each of those under way, with its seconds.
    pub fn under_way(&self) -> impl Iterator<Item = (Setting, &[f64])> {
        let all = (0..self.settings.len()).map(|place| (self.settings[place], self.all.seconds(place)));
        let duel = self.duel.as_ref().map(|duel| {
            self.finalists.iter().enumerate().map(|(turn, place)| (self.settings[*place], duel.seconds(turn)))
        });
        all.filter(|_| !self.is_duel()).chain(duel.into_iter().flatten())
    }

    pub fn settings(&self) -> usize {
        self.settings.len()
    }

    /// How often something was timed.
    pub fn timings(&self) -> usize {
        self.all.timings() + self.duel.as_ref().map_or(0, Race::timings)
    }

    /// How often something will have been timed before the duel.
    pub fn expected(&self, rounds: u32) -> usize {
        self.settings.len() * rounds as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::tune::synthetic::{Machine, Noise, given, plain, usual};

    fn sweep(machine: &mut Machine<'_>, chosen: Setting) -> Sweep {
        let mut sweep = Sweep::new(&Space::of(&given(machine.cpu)), chosen, 3);
        while let Some(trial) = sweep.next() {
            sweep.took(machine.time(&trial));
        }
        sweep
    }

    #[test]
    fn the_best_of_all_is_found_and_timed_against_the_chosen_one() {
        let cpu = plain(2);
        let found = sweep(&mut Machine { best_batch: 128, ..Machine::quiet(&cpu) }, usual(&cpu));
        let (best, ratio) = found.best();
        assert_eq!((found.settings(), found.timings(), best.batch), (48, 48 * 3 + 4 * 12, 128));
        assert!(ratio.middle > 1.01 && ratio.low().unwrap() > 1.0, "{ratio:?}");
    }

    #[test]
    fn the_chosen_one_may_be_the_best() {
        let cpu = plain(2);
        let found = sweep(&mut Machine::quiet(&cpu), usual(&cpu));
        let (best, ratio) = found.best();
        assert_eq!((best, ratio.middle, found.timings()), (usual(&cpu), 1.0, 48 * 3 + 4 * 12));
    }

    #[test]
    fn what_was_only_lucky_in_the_sweep_is_found_out_in_the_duel() {
        let cpu = plain(2);
        let lost = |seed| {
            let (noise, random) = (Noise::Slower(0.05), fastrand::Rng::with_seed(seed));
            let mut machine = Machine { noise, hiccups: 0.05, random, ..Machine::quiet(&cpu) };
            sweep(&mut machine, usual(&cpu)).best().1.middle - 1.0
        };
        let lost: Vec<f64> = (0..20).map(lost).collect();
        assert!(lost.iter().all(|lost| (0.0..0.02).contains(lost)), "the chosen one is the best: {lost:?}");
    }
}
