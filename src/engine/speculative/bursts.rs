//! When a draft model is asked. Unlike looking into the text, asking it takes time, so nothing is learned for free: it is
//! tried for a few steps, and where that does not pay, again after twice as many tokens.

use super::cost::Costs;

/// Steps of a trial.
const BURST: u32 = 4;
/// Tokens that are guessed in a trial.
const TRIAL_LENGTH: usize = 3;
/// Most tokens that are guessed at once.
const MOST: usize = 15;
const LEAST_GAIN: f64 = 1.05;
/// Tokens to wait before a trial, doubled after each that came to nothing.
const FIRST_WAIT: u32 = 16;
const MOST_WAIT: u32 = 4096;
/// The chance that is expected of a guess before any was seen. One that is good: else nothing would be tried.
const FIRST_CHANCE: f64 = 0.85;
const MEMORY: f64 = 64.0;
/// Part of a new measurement in the average.
const NEWEST: f64 = 0.2;
/// Part of all time that trials may take.
const MOST_LOSS: f64 = 0.01;

/// What is known of a draft model.
#[derive(Debug)]
pub struct Bursts {
    /// Sightings: tokens that were right, and all that were judged.
    right: f64,
    judged: f64,
    /// A guessed token's time, as a multiple of the time of one of the other model.
    cost: f64,
    steps: u32,
    wait: u32,
    next_wait: u32,
    /// Seconds of all steps of the session, and what asking has lost of them.
    spent: f64,
    lost: f64,
}

impl Bursts {
    /// Of a model of this size, as a part of the other's.
    pub fn new(size: f64) -> Self {
        Self {
            right: 0.0,
            judged: 0.0,
            cost: size,
            steps: 0,
            wait: FIRST_WAIT,
            next_wait: FIRST_WAIT,
            spent: 0.0,
            lost: 0.0,
        }
    }

    /// How many tokens it is to guess, while it would have to compute so many before.
    pub fn decide(&mut self, most: usize, behind: usize, costs: &Costs, cells: usize, insists: bool) -> usize {
        let most = most.min(MOST);
        let (length, gain) = (1..=most)
            .map(|length| (length, self.gain(length, costs, cells)))
            .max_by(|one, other| one.1.total_cmp(&other.1))
            .unwrap_or((0, 0.0));
        if insists {
            return if self.steps < BURST { most.min(TRIAL_LENGTH) } else { length };
        }
        let Some(plain) = costs.plain(cells).filter(|_| self.wait == 0) else { return 0 };
        // A prompt is computed several times as fast as an answer.
        let catching_up = behind as f64 * self.cost * plain / 4.0;
        if gain < LEAST_GAIN || self.lost.max(0.0) + catching_up > MOST_LOSS * self.spent {
            self.give_up();
            return 0;
        }
        if self.steps < BURST { most.min(TRIAL_LENGTH) } else { length }
    }

    fn gain(&self, length: usize, costs: &Costs, cells: usize) -> f64 {
        let chance = (3.0 * FIRST_CHANCE + self.right) / (3.0 + self.judged);
        let tokens: f64 = (0..=length).map(|right| chance.powi(right as i32)).sum();
        tokens / (costs.ratio(length + 1, cells) + length as f64 * self.cost)
    }

    /// It is not worth it now; what was seen counts for less the next time.
    fn give_up(&mut self) {
        self.wait = self.next_wait;
        self.next_wait = (self.next_wait * 2).min(MOST_WAIT);
        self.steps = 0;
        self.right /= 2.0;
        self.judged /= 2.0;
    }

    /// So many tokens came without it, in so many seconds.
    pub fn passed(&mut self, tokens: u32, seconds: f64) {
        self.wait = self.wait.saturating_sub(tokens);
        self.spent += seconds;
    }

    /// So many tokens were guessed in so many seconds, not counting what was computed before.
    pub fn guessed(&mut self, tokens: usize, seconds: f64, plain: Option<f64>) {
        if let Some(plain) = plain.filter(|_| tokens > 0) {
            self.cost += (seconds / tokens as f64 / plain - self.cost) * NEWEST.max(1.0 / f64::from(self.steps + 1));
        }
    }

    /// Of so many guessed tokens the first ones were right. The step lost so many seconds, less than none if it won.
    pub fn judged(&mut self, right: usize, guessed: usize, lost: f64, seconds: f64) {
        self.right += right as f64;
        self.judged += (right + usize::from(right < guessed)) as f64;
        if self.judged > MEMORY {
            self.right *= MEMORY / self.judged;
            self.judged = MEMORY;
        }
        self.steps += 1;
        self.lost += lost;
        self.spent += seconds;
        if lost < 0.0 && self.steps >= BURST {
            self.next_wait = FIRST_WAIT;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine on which a further token costs this part of one.
    fn costs(slope: f64) -> Costs {
        let mut costs = Costs::new(true);
        (0..3).for_each(|_| costs.measured(1, 0, 0.05));
        [2, 4, 8, 16].into_iter().for_each(|rows| costs.measured(rows, 0, 0.05 * (1.0 + slope * (rows - 1) as f64)));
        costs
    }

    /// How many of 2000 tokens come with guesses of a model that is right with this chance; the whole time, against plain.
    fn run(size: f64, chance: f64, slope: f64) -> (u32, f64) {
        let costs = costs(slope);
        let mut random = fastrand::Rng::with_seed(1);
        let mut bursts = Bursts::new(size);
        let (mut tokens, mut with, mut time) = (0, 0, 0.0);
        while tokens < 2000 {
            let length = bursts.decide(15, 1, &costs, 0, false);
            let seconds = 0.05 * (costs.ratio(length + 1, 0) + length as f64 * size);
            if length == 0 {
                bursts.passed(1, seconds);
                tokens += 1;
            } else {
                let right = (0..length).take_while(|_| random.f64() < chance).count();
                bursts.guessed(length, 0.05 * length as f64 * size, costs.plain(0));
                bursts.judged(right, length, seconds - 0.05 * (right + 1) as f64, seconds);
                tokens += right as u32 + 1;
                with += right as u32 + 1;
            }
            time += seconds;
        }
        (with, f64::from(tokens) * 0.05 / time)
    }

    #[test]
    fn a_model_that_is_too_large_for_the_machine_is_never_asked() {
        assert_eq!(run(0.65, 0.9, 0.65).0, 0);
    }

    #[test]
    fn a_small_and_good_model_is_asked_nearly_always() {
        let (with, speedup) = run(0.05, 0.85, 0.05);
        assert!(with > 1700 && speedup > 2.0, "{with}, {speedup}");
    }

    #[test]
    fn a_model_that_guesses_badly_is_tried_rarely_and_costs_little() {
        let (with, speedup) = run(0.1, 0.1, 0.1);
        assert!(with > 0 && with < 100 && speedup > 0.98, "{with}, {speedup}");
    }

    #[test]
    fn who_insists_is_given_guesses_whatever_they_cost() {
        assert!(Bursts::new(2.0).decide(15, 1000, &costs(1.0), 0, true) > 0);
    }

    #[test]
    fn a_long_text_is_not_computed_for_a_trial_before_there_is_time_for_it() {
        let costs = costs(0.05);
        let mut bursts = Bursts::new(0.05);
        bursts.passed(100, 5.0);
        assert_eq!(bursts.decide(15, 4000, &costs, 0, false), 0);
        bursts.passed(10_000, 500.0);
        assert!(bursts.decide(15, 4000, &costs, 0, false) > 0);
    }

    #[test]
    fn a_trial_is_short_and_what_follows_it_is_as_long_as_pays() {
        let costs = costs(0.05);
        for insists in [false, true] {
            let mut bursts = Bursts { wait: 0, spent: 100.0, ..Bursts::new(0.05) };
            for steps in 0..BURST {
                bursts.steps = steps;
                assert_eq!(bursts.decide(15, 0, &costs, 0, insists), TRIAL_LENGTH);
            }
            bursts.steps = BURST;
            assert!(bursts.decide(15, 0, &costs, 0, insists) > TRIAL_LENGTH);
        }
    }

    #[test]
    fn catching_up_may_take_no_more_than_there_is_to_lose() {
        let costs = costs(0.05);
        // A hundredth of 100 seconds is there to lose, and 1600 tokens of 0.05 · 0.05 / 4 seconds are to be computed.
        let decide =
            |behind| Bursts { wait: 0, spent: 100.0, ..Bursts::new(0.05) }.decide(15, behind, &costs, 0, false);
        assert!(decide(1590) > 0);
        assert_eq!(decide(1610), 0);
    }

    #[test]
    fn after_each_trial_that_comes_to_nothing_the_wait_is_twice_as_long_and_what_was_seen_counts_half() {
        let mut bursts = Bursts { right: 8.0, judged: 16.0, steps: 3, wait: 0, ..Bursts::new(0.5) };
        bursts.give_up();
        assert_eq!((bursts.wait, bursts.next_wait, bursts.steps), (FIRST_WAIT, 2 * FIRST_WAIT, 0));
        assert_eq!((bursts.right, bursts.judged), (4.0, 8.0));
        bursts.give_up();
        assert_eq!((bursts.wait, bursts.next_wait), (2 * FIRST_WAIT, 4 * FIRST_WAIT));
        (0..20).for_each(|_| bursts.give_up());
        assert_eq!(bursts.wait, MOST_WAIT);
    }

    #[test]
    fn what_a_guess_costs_is_a_mean_at_first_and_then_follows_what_is_new() {
        let close = |cost: f64, expected: f64| assert!((cost - expected).abs() < 1e-9, "{cost}, not {expected}");
        let mut bursts = Bursts::new(0.5);
        bursts.guessed(2, 0.08, Some(0.1));
        close(bursts.cost, 0.4);
        bursts.steps = 1;
        bursts.guessed(4, 0.24, Some(0.1));
        close(bursts.cost, 0.5);
        bursts.steps = 99;
        bursts.guessed(1, 0.1, Some(0.1));
        close(bursts.cost, 0.6);
        bursts.guessed(0, 9.0, Some(0.1));
        bursts.guessed(4, 9.0, None);
        close(bursts.cost, 0.6);
    }

    #[test]
    fn a_guess_is_judged_up_to_the_first_token_that_was_wrong() {
        let mut bursts = Bursts::new(0.5);
        bursts.judged(2, 5, 0.5, 1.0);
        assert_eq!((bursts.right, bursts.judged), (2.0, 3.0));
        bursts.judged(3, 3, 0.25, 2.0);
        assert_eq!((bursts.right, bursts.judged), (5.0, 6.0));
        assert_eq!((bursts.steps, bursts.lost, bursts.spent), (2, 0.75, 3.0));
        (bursts.right, bursts.judged) = (32.0, MEMORY - 1.0);
        bursts.judged(0, 5, 0.0, 1.0);
        assert_eq!((bursts.right, bursts.judged), (32.0, MEMORY));
        bursts.judged(0, 5, 0.0, 1.0);
        assert_eq!(bursts.judged, MEMORY);
        assert!((bursts.right - 32.0 * MEMORY / (MEMORY + 1.0)).abs() < 1e-9, "{}", bursts.right);
    }

    #[test]
    fn a_trial_that_won_makes_the_next_wait_short_again() {
        let wait_after = |steps, lost| {
            let mut bursts = Bursts { steps, next_wait: 64, ..Bursts::new(0.5) };
            bursts.judged(3, 3, lost, 1.0);
            bursts.next_wait
        };
        assert_eq!(wait_after(BURST - 1, -0.1), FIRST_WAIT);
        assert_eq!(wait_after(BURST, -0.1), FIRST_WAIT);
        assert_eq!(wait_after(BURST - 2, -0.1), 64, "it is not over");
        assert_eq!(wait_after(BURST, 0.0), 64);
        assert_eq!(wait_after(BURST, 0.1), 64);
    }
}
