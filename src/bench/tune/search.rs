//! The search for the fastest setting. A turn is a prompt and an answer, and what makes the one fast does nothing for the
//! other, but for the KV cache. So first threads are thinned out; then all ways to compute prompts race, and all to compute
//! answers, with each cache apart; and then the best of each cache against the usual setting, as whole turns. Pure: it says
//! what is to be timed and hears how long that took.

use super::race::{Limits, Race};
use super::setting::{Factor, Level, Part, Setting, Space, Trial, combinations};
use crate::bench::statistics::faster_half;
use crate::engine::KvTypes;

/// Another way than the usual one has to be faster by this much for a part of the turn, ...
const WORTH_IT: f64 = 1.01;
/// ... and as a whole not slower by more than chance; another format of the cache has to be faster by more, since it costs
/// exactness.
const HARDLY_SLOWER: f64 = 0.995;
const WORTH_ROUNDING: f64 = 1.015;
/// Who is slower by much is seen in two rounds, and nothing else.
const THINNING: Limits = Limits { least_rounds: 3, most_rounds: 2, is_short: true };
/// What is only told needs no more than an interval.
const ONLY_TOLD: Limits = Limits { least_rounds: 2, most_rounds: 2, is_short: false };
/// A search is to take a fifth of what all settings would: so the more there are, the more rounds it may have.
const SETTINGS_TO_A_ROUND: usize = 8;
const ROUNDS_OF_A_PART: (usize, usize) = (4, 10);
const LEAST_ROUNDS_OF_A_PART: usize = 3;
/// The turns at the end, of all that are compared there, are a part of the number of settings.
const ROUNDS_OF_THE_WHOLE: (usize, usize) = (4, 40);
const LEAST_ROUNDS_OF_THE_WHOLE: usize = 5;

/// Settings that are timed in turn to decide something.
#[derive(Clone, Debug, PartialEq)]
pub struct Heat {
    /// What is timed, for people.
    pub title: &'static str,
    /// What it decides.
    pub factors: Vec<Factor>,
    pub part: Part,
    pub contenders: Vec<Setting>,
    pub race: Race,
}

impl Heat {
    /// What a contender has that others have not: `256 at once, q8_0`.
    pub fn name(&self, place: usize) -> String {
        let first = &self.contenders[0];
        let differs = |factor: &Factor| self.contenders.iter().any(|it| it.level(*factor) != first.level(*factor));
        let differing: Vec<Factor> = Factor::ALL.into_iter().filter(differs).collect();
        self.contenders[place].brief(&differing)
    }

    /// The contender with this level that is the most like a setting.
    pub fn with_level(&self, level: Level, like: &Setting) -> Option<usize> {
        let having = (0..self.contenders.len()).filter(|place| {
            let contender = &self.contenders[*place];
            contender.level(level.factor()) == level
        });
        having.max_by_key(|place| self.contenders[*place].in_common(like, &Factor::ALL))
    }

    /// The best of those with the cache of this setting: this one unless another is worth it, and without guesses only if that is shown
    /// to be faster, since nobody knows what they might bring.
    fn best(&self, usual: &Setting) -> Setting {
        let place_of = |setting: &Setting| self.contenders.iter().position(|it| it == setting);
        let Some(first) = self.contenders.iter().position(|it| it.types == usual.types) else { return *usual };
        let leader = self.race.leader_beside(first);
        let guessing = self.contenders[leader].with(Level::Guesses(usual.guesses));
        let leader = match place_of(&guessing) {
            Some(place) if place != leader && self.race.ratio(leader, place).low().is_none_or(|low| low <= 1.0) => {
                place
            }
            _ => leader,
        };
        let stays = |place: &usize| !self.race.is_out(*place) && self.race.ratio(leader, *place).middle < WORTH_IT;
        self.contenders[place_of(usual).filter(stays).unwrap_or(leader)]
    }

    /// The best with the usual cache: what its parts promise, unless whole turns are slower with it.
    fn best_exact(&self) -> usize {
        let types = self.contenders[0].types;
        let is_exact = |place: &usize| self.contenders[*place].types == types;
        let is_kept = |place: &usize| self.race.ratio(*place, 0).middle >= HARDLY_SLOWER;
        (1..self.contenders.len()).filter(is_exact).find(is_kept).unwrap_or(0)
    }
}

/// What is found out, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    AnswerThreads,
    PromptThreads,
    Prompts,
    Answers,
    Turns,
    Attention,
}

const STAGES: [Stage; 6] =
    [Stage::AnswerThreads, Stage::PromptThreads, Stage::Prompts, Stage::Answers, Stage::Turns, Stage::Attention];
const OF_PROMPTS: [Factor; 2] = [Factor::Prefill, Factor::Batch];
const OF_ANSWERS: [Factor; 2] = [Factor::Decode, Factor::Guesses];

/// Where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    space: Space,
    /// Stages that are over or under way; some have nothing to find out.
    begun: usize,
    /// The last one is under way.
    heats: Vec<Heat>,
}

impl Search {
    pub fn new(space: Space) -> Self {
        let mut search = Self { space, begun: 0, heats: Vec::new() };
        search.go_on();
        search
    }

    /// What is to be timed next; `None` if all is known.
    pub fn next(&self) -> Option<Trial> {
        let heat = self.heats.last()?;
        Some(Trial { setting: heat.contenders[heat.race.next()?], part: heat.part })
    }

    /// It took so many seconds.
    pub fn took(&mut self, seconds: f64) {
        if let Some(heat) = self.heats.last_mut() {
            heat.race.took(seconds);
        }
        self.go_on();
    }

    fn go_on(&mut self) {
        while self.next().is_none() && self.begun < STAGES.len() {
            let heat = self.heat(STAGES[self.begun]);
            self.begun += 1;
            self.heats.extend(heat.filter(|heat| heat.race.next().is_some()));
        }
    }

    fn heat(&self, stage: Stage) -> Option<Heat> {
        match stage {
            Stage::AnswerThreads => Some(self.thinning(Factor::Decode, Part::Answer)),
            Stage::PromptThreads => Some(self.thinning(Factor::Prefill, Part::Prompt)),
            Stage::Prompts => self.of_a_part("prompts", &OF_PROMPTS, Part::Prompt),
            Stage::Answers => self.of_a_part("answers", &OF_ANSWERS, Part::Answer),
            Stage::Turns => Some(self.of_turns()),
            Stage::Attention => Some(self.of_attention()),
        }
    }

    fn thinning(&self, factor: Factor, part: Part) -> Heat {
        let contenders = combinations(self.space.usual, &[self.space.levels(factor)]);
        let race = Race::new(contenders.len(), THINNING);
        Heat { title: factor.title(), factors: vec![factor], part, contenders, race }
    }

    /// All that is left of these factors, with each cache.
    fn of_a_part(&self, title: &'static str, factors: &[Factor], part: Part) -> Option<Heat> {
        let caches = self.space.levels(Factor::Cache);
        let levels: Vec<Vec<Level>> =
            factors.iter().map(|factor| self.left(*factor)).chain(std::iter::once(caches.clone())).collect();
        let contenders = combinations(self.space.usual, &levels);
        let (least, most) = ROUNDS_OF_A_PART;
        let most_rounds = (self.space.all().len() / SETTINGS_TO_A_ROUND).clamp(least, most);
        let cache =
            |it: &Setting| caches.iter().position(|level| *level == it.level(Factor::Cache)).unwrap_or_default();
        let groups = contenders.iter().map(cache).collect();
        let race = Race::grouped(groups, Limits { least_rounds: LEAST_ROUNDS_OF_A_PART, most_rounds, is_short: true });
        let has_choice = contenders.len() > caches.len();
        has_choice.then(|| Heat { title, factors: factors.to_vec(), part, contenders, race })
    }

    /// What was not thinned out.
    fn left(&self, factor: Factor) -> Vec<Level> {
        let heat = self.heats.iter().find(|heat| heat.factors == [factor]);
        heat.map_or_else(
            || self.space.levels(factor),
            |heat| {
                let left = (0..heat.contenders.len()).filter(|place| !heat.race.is_out(*place));
                left.map(|place| heat.contenders[place].level(factor)).collect()
            },
        )
    }

    /// The usual setting, and the best with each cache.
    fn of_turns(&self) -> Heat {
        let usual = self.space.usual;
        let mut contenders = vec![usual];
        for cache in self.space.levels(Factor::Cache) {
            let prompts = self.best(&OF_PROMPTS, &usual.with(cache));
            let answers = self.best(&OF_ANSWERS, &usual.with(cache));
            let both = OF_ANSWERS.iter().fold(prompts, |both, factor| both.with(answers.level(*factor)));
            if !contenders.contains(&both) {
                contenders.push(both);
            }
        }
        let (least, most) = ROUNDS_OF_THE_WHOLE;
        let most_rounds = (self.space.all().len() * 2 / 3 / contenders.len()).clamp(least, most);
        let limits = Limits { least_rounds: LEAST_ROUNDS_OF_THE_WHOLE, most_rounds, is_short: true };
        let race = Race::new(contenders.len(), limits);
        Heat { title: "whole turns", factors: vec![Factor::Cache], part: Part::Turn, contenders, race }
    }

    /// The best way to compute a part with the cache of this setting.
    fn best(&self, factors: &[Factor], usual: &Setting) -> Setting {
        let heat = self.heats.iter().find(|heat| heat.factors == factors);
        let only = || factors.iter().fold(*usual, |setting, factor| setting.with(self.left(*factor)[0]));
        heat.map_or_else(only, |heat| heat.best(usual))
    }

    fn of_attention(&self) -> Heat {
        // Rounded values cannot be read without flash attention.
        let around = self.chosen().with(Level::Cache(KvTypes::default()));
        let contenders = combinations(around, &[self.space.levels(Factor::Attention)]);
        let race = Race::new(contenders.len(), ONLY_TOLD);
        let factor = Factor::Attention;
        Heat { title: factor.title(), factors: vec![factor], part: Part::Turn, contenders, race }
    }

    /// Of the factors that were looked at; the last one may be under way.
    pub fn heats(&self) -> &[Heat] {
        &self.heats
    }

    pub fn space(&self) -> &Space {
        &self.space
    }

    /// Whole turns, the usual setting first; `None` where nothing else is as good.
    pub fn turns(&self) -> Option<&Heat> {
        self.heats.iter().find(|heat| heat.factors == [Factor::Cache])
    }

    /// Another setting with the usual cache seemed to be the best of all, before whole turns were timed.
    pub fn looked_better(&self) -> bool {
        let usual = self.space.usual;
        self.turns().is_some_and(|heat| heat.contenders[1..].iter().any(|it| it.types == usual.types))
    }

    /// The setting to take.
    pub fn chosen(&self) -> Setting {
        let Some(turns) = self.turns() else { return self.space.usual };
        let exact = turns.best_exact();
        let is_rounded = |place: &usize| turns.contenders[*place].types != turns.contenders[exact].types;
        let rounded = (1..turns.contenders.len()).filter(|place| is_rounded(place) && !turns.race.is_out(*place));
        let gains = rounded.map(|place| (place, self.gain(turns, place, exact)));
        let best = gains.max_by(|(_, one), (_, other)| one.total_cmp(other));
        let place = best.filter(|(_, gain)| *gain >= WORTH_ROUNDING).map_or(exact, |(place, _)| place);
        turns.contenders[place]
    }

    /// How many times as fast one of whole turns is as another: by the turns, and by their parts as they were timed before.
    fn gain(&self, turns: &Heat, one: usize, other: usize) -> f64 {
        let rounds = turns.race.seconds(one).len().min(turns.race.seconds(other).len());
        let parts = self.gain_of_parts(&turns.contenders[one], &turns.contenders[other]);
        let seen = std::iter::once((turns.race.ratio(one, other).middle, rounds)).chain(parts);
        let (sum, count) = seen.fold((0.0, 0.0), |(sum, count), (ratio, rounds)| {
            (sum + ratio.ln() * rounds as f64, count + rounds as f64)
        });
        (sum / count).exp()
    }

    /// The same by the parts alone, with the rounds in which both were timed.
    fn gain_of_parts(&self, one: &Setting, other: &Setting) -> Option<(f64, usize)> {
        let parts = [OF_PROMPTS, OF_ANSWERS].map(|factors| {
            let heat = self.heats.iter().find(|heat| heat.factors == factors)?;
            let seconds = |setting: &Setting| {
                let is_it =
                    |it: &Setting| it.types == setting.types && it.in_common(setting, &factors) == factors.len();
                Some(heat.race.seconds(heat.contenders.iter().position(is_it)?))
            };
            let (ones, others) = (seconds(one)?, seconds(other)?);
            let rounds = ones.len().min(others.len());
            Some(([faster_half(&ones[..rounds]), faster_half(&others[..rounds])], rounds))
        });
        let [Some((prompts, first)), Some((answers, second))] = parts else { return None };
        Some(((prompts[1] + answers[1]) / (prompts[0] + answers[0]), first.min(second)))
    }

    /// How often something was timed.
    pub fn timings(&self) -> usize {
        self.heats.iter().map(|heat| heat.race.timings()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::tune::setting::Given;
    use crate::bench::tune::synthetic::{Machine, Noise, big_little, given, plain, search};
    use crate::engine::KvType;
    use crate::hardware::cores::{Cpu, Crew};

    #[test]
    fn on_a_quiet_machine_the_best_is_found_and_nothing_is_timed_twice_without_need() {
        let cpu = plain(2);
        let mut machine = Machine { best_batch: 256, ..Machine::quiet(&cpu) };
        let found = search(&mut machine, Space::of(&given(&cpu)));
        let chosen = found.chosen();
        assert_eq!((chosen.crews.decode.threads, chosen.crews.prefill.threads), (2, 2));
        assert_eq!((chosen.batch, chosen.types, chosen.guesses), (256, KvTypes::default(), true));
        assert!(found.timings() < 60, "{}", found.timings());
    }

    #[test]
    fn prompts_and_answers_get_the_cores_that_suit_them() {
        let cpu = big_little();
        let mut machine = Machine { little_helps_prompts: true, noise: Noise::BothWays(0.02), ..Machine::quiet(&cpu) };
        let chosen = search(&mut machine, Space::of(&given(&cpu))).chosen();
        assert_eq!((chosen.crews.decode.threads, chosen.crews.decode.cores.to_string().as_str()), (4, "4-7"));
        assert_eq!(chosen.crews.prefill.threads, 8);
    }

    /// What is lost by a search against the best of all settings, and its part of the time that these would take.
    fn held_against_all(make: &dyn Fn(&'static Cpu, u64) -> Machine<'static>) -> (Vec<f64>, Vec<f64>) {
        let boards: [&'static Cpu; 3] = [plain(2), plain(4), big_little()].map(|cpu| &*Box::leak(Box::new(cpu)));
        let held = |(cpu, seed): (&'static Cpu, u64)| {
            let space = Space::of(&given(cpu));
            let mut machine = make(cpu, seed);
            let chosen = search(&mut machine, space.clone()).chosen();
            let true_seconds = |setting| make(cpu, seed).exact(&Trial { setting, part: Part::Turn });
            let all: Vec<f64> = space.all().into_iter().map(true_seconds).collect();
            let best = all.iter().copied().fold(f64::INFINITY, f64::min);
            (true_seconds(chosen) / best - 1.0, machine.clock / (5.0 * all.iter().sum::<f64>()))
        };
        boards.into_iter().flat_map(|cpu| (0..8).map(move |seed| (cpu, seed))).map(held).unzip()
    }

    #[test]
    fn what_is_found_is_within_three_percent_of_the_best_in_a_fifth_of_a_sweeps_time() {
        // What disturbs a machine only makes it slower, and now and then by a third.
        for (noise, hiccups, eight_bits) in
            [(0.03, 0.03, 1.06), (0.05, 0.05, 1.06), (0.08, 0.05, 1.06), (0.05, 0.05, 1.04)]
        {
            let (lost, parts) = held_against_all(&|cpu, seed| Machine {
                noise: Noise::Slower(noise),
                hiccups,
                drift: 1.0005,
                best_batch: 256,
                eight_bits,
                steps_pay: seed % 2 == 0,
                random: fastrand::Rng::with_seed(seed),
                ..Machine::quiet(cpu)
            });
            // Where timings vary as much as on the busiest machines, one of them may be missed.
            let (misses, most) = if noise > 0.05 { (1, 0.22) } else { (0, 0.2) };
            assert!(lost.iter().filter(|lost| **lost > 0.03).count() <= misses, "{noise}: {lost:?}");
            assert!(lost.iter().all(|lost| *lost < 0.09), "{noise}: {lost:?}");
            assert!(parts.iter().all(|part| *part <= most), "{noise}: {parts:?}");
        }
    }

    #[test]
    fn timings_that_are_off_to_both_sides_cost_no_more() {
        let (lost, parts) = held_against_all(&|cpu, seed| Machine {
            noise: Noise::BothWays(0.03),
            drift: 1.0005,
            best_batch: 256,
            eight_bits: 1.06,
            steps_pay: seed % 2 == 0,
            random: fastrand::Rng::with_seed(seed),
            ..Machine::quiet(cpu)
        });
        assert!(lost.iter().all(|lost| *lost <= 0.03), "{lost:?}");
        assert!(parts.iter().all(|part| *part <= 0.2), "{parts:?}");
    }

    #[test]
    fn what_is_the_best_only_together_is_found() {
        let cpu = plain(4);
        // Fewer at once help only where the cache is rounded.
        let mut machine = Machine { small_batches_suit_rounding: true, eight_bits: 0.99, ..Machine::quiet(&cpu) };
        let chosen = search(&mut machine, Space::of(&given(&cpu))).chosen();
        assert_eq!((chosen.types, chosen.batch), (KvTypes::both(KvType::Q8), 128));
    }

    #[test]
    fn where_nothing_is_better_the_usual_setting_stays_without_whole_turns() {
        let cpu = plain(1);
        let given = Given { guesses: Some(true), borne: &[], ..given(&cpu) };
        let found = search(&mut Machine::quiet(&cpu), Space::of(&given));
        assert_eq!((found.chosen(), found.turns()), (found.space().usual, None));
    }

    #[test]
    fn what_is_no_better_as_a_whole_is_not_taken() {
        let cpu = plain(2);
        // Alone each of them looks faster, together they are slower than what is usual.
        let mut machine = Machine { best_batch: 128, does_not_add_up: true, ..Machine::quiet(&cpu) };
        let found = search(&mut machine, Space::of(&given(&cpu)));
        assert!(found.turns().is_some());
        assert_eq!(found.chosen(), found.space().usual);
    }

    #[test]
    fn formats_that_are_faster_are_taken_and_guesses_that_save_nothing_are_left_out() {
        let cpu = plain(2);
        let mut machine = Machine { eight_bits: 1.2, steps_pay: false, ..Machine::quiet(&cpu) };
        let mut search = Search::new(Space::of(&given(&cpu)));
        while let Some(trial) = search.next() {
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
            let noise = Noise::Slower(0.06);
            let mut machine = Machine { eight_bits: 1.0, noise, hiccups: 0.05, random, ..Machine::quiet(&cpu) };
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
        let heat = found.heats().iter().find(|heat| heat.factors == [Factor::Attention]).unwrap();
        assert!(heat.race.ratio(1, 0).middle > 1.4 && found.chosen().flash_attention);
        assert_eq!(found.chosen().crews.decode, Crew { threads: 2, cores: (0..2).collect() });
    }
}
