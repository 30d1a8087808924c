//! Every setting there is, in turn: what the search for the fastest one is held against. Pure.

use super::race::{Limits, Race};
use super::setting::{Part, Setting, Space, Trial};
use crate::bench::statistics::Interval;

/// The best of a sweep and the chosen one, timed in turn once more: of many the fastest was lucky, too.
const DUEL: Limits = Limits { most_rounds: 5, is_short: false, has_to_show: false };

/// All settings, and then the fastest of them against the one that was chosen without them.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    settings: Vec<Setting>,
    all: Race,
    chosen: usize,
    duel: Option<Race>,
}

impl Sweep {
    /// Times each so often. `chosen` is one of them.
    pub fn new(space: &Space, chosen: Setting, rounds: u32) -> Self {
        let settings = space.all();
        let limits = Limits { most_rounds: rounds as usize, is_short: false, has_to_show: false };
        let all = Race::new(settings.len(), limits);
        let chosen = settings.iter().position(|setting| *setting == chosen).unwrap_or_default();
        Self { settings, all, chosen, duel: None }
    }

    /// What is to be timed next; `None` if all is known.
    pub fn next(&self) -> Option<Trial> {
        let place = match &self.duel {
            Some(duel) => [self.all.leader(), self.chosen][duel.next()?],
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
                if self.all.next().is_none() && self.all.leader() != self.chosen {
                    self.duel = Some(Race::new(2, DUEL));
                }
            }
        }
    }

    /// The fastest of all.
    pub fn best(&self) -> Setting {
        self.settings[self.all.leader()]
    }

    /// How many times as fast the best is as the chosen one; `None` if it is the chosen one.
    pub fn ratio(&self) -> Option<Interval> {
        Some(self.duel.as_ref()?.ratio(0, 1))
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
    use crate::bench::tune::synthetic::{Machine, given, plain, usual};

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
        assert_eq!((found.settings(), found.timings(), found.best().batch), (48, 48 * 3 + 10, 128));
        let ratio = found.ratio().unwrap();
        assert!(ratio.middle > 1.01 && ratio.low().unwrap() > 1.0, "{ratio:?}");
    }

    #[test]
    fn the_chosen_one_may_be_the_best() {
        let cpu = plain(2);
        let found = sweep(&mut Machine::quiet(&cpu), usual(&cpu));
        assert_eq!((found.best(), found.ratio(), found.timings()), (usual(&cpu), None, 48 * 3));
    }
}
