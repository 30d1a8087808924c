//! The search for the fastest setting: factor after factor, each with what was found best of those before, then the
//! whole of it against the usual setting. Pure: it says what is to be timed and hears how long that took.

use super::race::{Limits, Race};
use super::setting::{Factor, Level, Part, Setting, Space, Trial};
use crate::engine::KvTypes;

/// What was chosen may be slower by no more than this, as far as its proof can tell.
const HARDLY_SLOWER: f64 = 0.97;
const OF_A_FACTOR: Limits = Limits { most_rounds: 4, is_short: true, has_to_show: false };
const TO_BE_SHOWN: Limits = Limits { most_rounds: 10, is_short: true, has_to_show: true };
/// What is only told needs no more than an interval.
const ONLY_TOLD: Limits = Limits { most_rounds: 2, is_short: false, has_to_show: false };
const OF_THE_WHOLE: Limits = Limits { most_rounds: 5, is_short: true, has_to_show: false };

/// A factor whose levels are timed in turn.
#[derive(Clone, Debug, PartialEq)]
pub struct Heat {
    pub levels: Vec<Level>,
    pub race: Race,
    /// What is not its business, as it was found best before.
    around: Setting,
}

impl Heat {
    pub fn factor(&self) -> Factor {
        self.levels[0].factor()
    }

    /// The level that is taken.
    pub fn best(&self) -> usize {
        let best = self.race.best();
        let is_shown = self.race.ratio(best, 0).low().is_some_and(|low| low > 1.0);
        match self.factor() {
            factor if factor.is_only_told() || (factor.has_to_be_shown() && !is_shown) => 0,
            _ => best,
        }
    }
}

/// Where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    space: Space,
    /// The last one is under way.
    heats: Vec<Heat>,
    /// What was found best so far.
    setting: Setting,
    /// The whole of it against the usual setting.
    proof: Option<Race>,
}

impl Search {
    pub fn new(space: Space) -> Self {
        let setting = space.usual;
        let mut search = Self { space, heats: Vec::new(), setting, proof: None };
        search.go_on();
        search
    }

    /// What is to be timed next, and of which factor; `None` if all is known.
    pub fn next(&self) -> Option<(Trial, Option<Level>)> {
        if let Some(proof) = &self.proof {
            let setting = [self.space.usual, self.setting][proof.next()?];
            return Some((Trial { setting, part: Part::Turn }, None));
        }
        let heat = self.heats.last()?;
        let level = heat.levels[heat.race.next()?];
        Some((Trial { setting: heat.around.with(level), part: heat.factor().part() }, Some(level)))
    }

    /// It took so many seconds.
    pub fn took(&mut self, seconds: f64) {
        match (&mut self.proof, self.heats.last_mut()) {
            (Some(proof), _) => proof.took(seconds),
            (None, Some(heat)) => heat.race.took(seconds),
            (None, None) => {}
        }
        self.go_on();
    }

    /// From a factor that is decided to the next one, and from the last one to the proof.
    fn go_on(&mut self) {
        if self.proof.is_some() {
            return;
        }
        if let Some(heat) = self.heats.last() {
            if heat.race.next().is_some() {
                return;
            }
            if !heat.factor().is_only_told() {
                self.setting = heat.around.with(heat.levels[heat.best()]);
            }
        }
        if let Some(levels) = self.space.factors.get(self.heats.len()) {
            let (limits, around) = match levels[0].factor().is_only_told() {
                // Rounded values cannot be read without flash attention.
                true => (ONLY_TOLD, self.setting.with(Level::Cache(KvTypes::default()))),
                false if levels[0].factor().has_to_be_shown() => (TO_BE_SHOWN, self.setting),
                false => (OF_A_FACTOR, self.setting),
            };
            let race = Race::new(levels.len(), limits);
            self.heats.push(Heat { levels: levels.clone(), race, around });
        } else if self.setting != self.space.usual {
            self.proof = Some(Race::new(2, OF_THE_WHOLE));
        }
    }

    /// Of the factors that were looked at.
    pub fn heats(&self) -> &[Heat] {
        &self.heats
    }

    pub fn space(&self) -> &Space {
        &self.space
    }

    /// The whole of what was found best against the usual setting; `None` where they are the same.
    pub fn proof(&self) -> Option<&Race> {
        self.proof.as_ref()
    }

    /// The setting to take: what was found best, if the whole of it is better than the usual one.
    pub fn chosen(&self) -> Setting {
        match &self.proof {
            Some(proof) if proof.best() == 0 || proof.ratio(1, 0).low().is_none_or(|low| low < HARDLY_SLOWER) => {
                self.space.usual
            }
            _ => self.setting,
        }
    }

    /// How often something was timed.
    pub fn timings(&self) -> usize {
        let heats: usize = self.heats.iter().map(|heat| heat.race.timings()).sum();
        heats + self.proof.as_ref().map_or(0, Race::timings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::statistics::percentile;
    use crate::bench::tune::setting::Given;
    use crate::bench::tune::synthetic::{Machine, big_little, given, plain, search};
    use crate::engine::KvType;
    use crate::hardware::cores::Crew;

    #[test]
    fn on_a_quiet_machine_the_best_is_found_and_nothing_is_timed_twice_without_need() {
        let cpu = plain(2);
        let mut machine = Machine { best_batch: 256, ..Machine::quiet(&cpu) };
        let found = search(&mut machine, Space::of(&given(&cpu)));
        let chosen = found.chosen();
        assert_eq!((chosen.crews.decode.threads, chosen.crews.prefill.threads), (2, 2));
        assert_eq!((chosen.batch, chosen.types, chosen.guesses), (256, KvTypes::default(), true));
        assert!(found.timings() < 45, "{}", found.timings());
    }

    #[test]
    fn prompts_and_answers_get_the_cores_that_suit_them() {
        let cpu = big_little();
        let mut machine = Machine { little_helps_prompts: true, noise: 0.02, ..Machine::quiet(&cpu) };
        let chosen = search(&mut machine, Space::of(&given(&cpu))).chosen();
        assert_eq!((chosen.crews.decode.threads, chosen.crews.decode.cores.to_string().as_str()), (4, "4-7"));
        assert_eq!(chosen.crews.prefill.threads, 8);
    }

    #[test]
    fn what_is_found_is_near_the_best_with_noise_and_drift_in_a_fifth_of_a_sweeps_time() {
        let (mut lost, mut parts) = (Vec::new(), Vec::new());
        for (cpu, seed) in [plain(2), plain(4), big_little()].iter().flat_map(|cpu| (0..8).map(move |seed| (cpu, seed)))
        {
            let make = || Machine {
                noise: 0.03,
                drift: 1.0005,
                best_batch: 256,
                eight_bits: 1.06,
                steps_pay: seed % 2 == 0,
                random: fastrand::Rng::with_seed(seed),
                ..Machine::quiet(cpu)
            };
            let space = Space::of(&given(cpu));
            let mut machine = make();
            let chosen = search(&mut machine, space.clone()).chosen();
            let true_seconds = |setting| make().exact(&Trial { setting, part: Part::Turn });
            let all = space.all();
            let best = all.iter().map(|setting| true_seconds(*setting)).fold(f64::INFINITY, f64::min);
            lost.push(true_seconds(chosen) / best - 1.0);
            parts.push(machine.clock / all.iter().map(|setting| 5.0 * true_seconds(*setting)).sum::<f64>());
        }
        // What is shown with 95 % certainty is not shown now and then.
        assert!(lost.iter().filter(|lost| **lost > 0.03).count() <= 3, "{lost:?}");
        assert!(lost.iter().all(|lost| *lost < 0.09), "{lost:?}");
        assert!(percentile(&parts, 0.5).unwrap() < 0.2 && parts.iter().all(|part| *part < 0.3), "{parts:?}");
    }

    #[test]
    fn where_nothing_is_better_the_usual_setting_stays_without_a_proof() {
        let cpu = plain(1);
        let given = Given { guesses: Some(true), ..given(&cpu) };
        let found = search(&mut Machine::quiet(&cpu), Space::of(&given));
        assert_eq!((found.chosen(), found.proof()), (found.space().usual, None));
    }

    #[test]
    fn what_is_no_better_as_a_whole_is_not_taken() {
        let cpu = plain(2);
        // Alone each of them looks faster, together they are slower than what is usual.
        let mut machine = Machine { best_batch: 128, does_not_add_up: true, ..Machine::quiet(&cpu) };
        let found = search(&mut machine, Space::of(&given(&cpu)));
        assert!(found.proof().is_some());
        assert_eq!(found.chosen(), found.space().usual);
    }

    #[test]
    fn formats_that_are_faster_are_taken_and_guesses_that_save_nothing_are_left_out() {
        let cpu = plain(2);
        let mut machine = Machine { eight_bits: 1.2, steps_pay: false, ..Machine::quiet(&cpu) };
        let mut search = Search::new(Space::of(&given(&cpu)));
        while let Some((trial, _)) = search.next() {
            let Setting { types, flash_attention, .. } = trial.setting;
            assert!(flash_attention || !types.v.is_lossy(), "llama.cpp refuses that");
            search.took(machine.time(&trial));
        }
        let chosen = search.chosen();
        assert_eq!((chosen.types, chosen.guesses), (KvTypes::both(KvType::Q8), false));
        assert!(chosen.flash_attention, "it is only told");
    }

    #[test]
    fn what_only_looks_faster_is_not_rounded_for() {
        let cpu = plain(2);
        let rounded = |seed| {
            let random = fastrand::Rng::with_seed(seed);
            let mut machine = Machine { eight_bits: 1.0, noise: 0.06, random, ..Machine::quiet(&cpu) };
            search(&mut machine, Space::of(&given(&cpu))).chosen().types != KvTypes::default()
        };
        let wrong = (0..40).filter(|seed| rounded(*seed)).count();
        assert!(wrong <= 6, "{wrong} of 40");
    }

    #[test]
    fn flash_attention_stays_on_even_where_it_is_slower() {
        let cpu = plain(2);
        let mut machine = Machine { without_attention: 1.5, ..Machine::quiet(&cpu) };
        let found = search(&mut machine, Space::of(&given(&cpu)));
        let heat = found.heats().iter().find(|heat| heat.factor() == Factor::Attention).unwrap();
        assert!(heat.race.ratio(1, 0).middle > 1.4 && found.chosen().flash_attention);
        assert_eq!(found.chosen().crews.decode, Crew { threads: 2, cores: (0..2).collect() });
    }
}
