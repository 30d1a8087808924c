//! How fast prompts are computed on this machine, as seen.

use std::time::Duration;

use crate::models::fit::Curve;

/// From this many tokens in one call on, the speed per token hardly changes.
const LARGE: usize = 64;
/// Part of a new measurement in the estimate.
const NEWEST: f64 = 0.3;

/// Seconds per token in large and in small calls, as moving averages; a small call costs more for each token.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PrefillSpeed {
    large: Option<f64>,
    small: Option<f64>,
    /// What the machine was measured to take when it had nothing else to do.
    curve: Option<Curve>,
    /// How much longer it takes now than by the curve, as a moving average.
    beside_curve: Option<f64>,
}

impl PrefillSpeed {
    /// Goes by this curve from now on.
    pub fn follow(&mut self, curve: Option<Curve>) {
        self.curve = curve;
    }

    /// So many tokens were computed in this time behind so many cells in use.
    pub fn measured(&mut self, tokens: usize, behind: usize, time: Duration) {
        if tokens == 0 {
            return;
        }
        let seconds = time.as_secs_f64();
        let average = |old: &mut Option<f64>, new: f64| *old = Some(old.map_or(new, |old| old + NEWEST * (new - old)));
        average(if tokens >= LARGE { &mut self.large } else { &mut self.small }, seconds / tokens as f64);
        if let Some(expected) = self.by_curve(tokens, behind).filter(|expected| tokens >= LARGE && *expected > 0.0) {
            average(&mut self.beside_curve, seconds / expected);
        }
    }

    /// Seconds by the curve alone.
    fn by_curve(&self, tokens: usize, behind: usize) -> Option<f64> {
        let behind = u32::try_from(behind).ok()?;
        Some(self.curve?.prompt_seconds(behind.checked_add(u32::try_from(tokens).ok()?)?, behind))
    }

    /// What was measured in an earlier run, until something is measured here.
    pub fn assume(&mut self, tokens_per_second: Option<f64>) {
        self.large = self.large.or(tokens_per_second.filter(|speed| *speed > 0.0).map(|speed| 1.0 / speed));
    }

    /// Tokens per second in large calls.
    pub fn tokens_per_second(&self) -> Option<f64> {
        self.large.map(|seconds| 1.0 / seconds)
    }

    /// How long computing so many tokens takes behind so many cells in use; unknown until something was measured.
    pub fn estimate(&self, tokens: usize, behind: usize) -> Option<Duration> {
        if let Some(seconds) = self.by_curve(tokens, behind) {
            return Duration::try_from_secs_f64(seconds * self.beside_curve.unwrap_or(1.0)).ok();
        }
        let (first, second) = if tokens >= LARGE { (self.large, self.small) } else { (self.small, self.large) };
        first.or(second).map(|per_token| Duration::from_secs_f64(per_token * tokens as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_estimated_before_something_was_measured() {
        assert_eq!(PrefillSpeed::default().estimate(10, 0), None);
    }

    #[test]
    fn an_estimate_is_what_was_measured_for_calls_of_that_size() {
        let mut speed = PrefillSpeed::default();
        speed.measured(512, 0, Duration::from_millis(512));
        assert_eq!(speed.estimate(1000, 0), Some(Duration::from_secs(1)));
        assert_eq!(speed.estimate(10, 0), Some(Duration::from_millis(10)));
        speed.measured(10, 0, Duration::from_millis(50));
        assert_eq!(speed.estimate(10, 0), Some(Duration::from_millis(50)));
        assert_eq!(speed.tokens_per_second().map(f64::round), Some(1000.0));
    }

    #[test]
    fn a_new_measurement_moves_the_estimate_towards_it() {
        let mut speed = PrefillSpeed::default();
        speed.measured(100, 0, Duration::from_secs(1));
        speed.measured(100, 0, Duration::from_secs(2));
        let estimate = speed.estimate(100, 0).unwrap();
        assert!(estimate > Duration::from_secs(1) && estimate < Duration::from_secs(2), "{estimate:?}");
    }

    #[test]
    fn an_earlier_run_is_believed_until_this_one_knows_better() {
        let mut speed = PrefillSpeed::default();
        speed.assume(Some(100.0));
        assert_eq!(speed.estimate(200, 0), Some(Duration::from_secs(2)));
        speed.measured(1, 0, Duration::from_millis(7));
        assert_eq!(speed.estimate(1, 0), Some(Duration::from_millis(7)));
    }

    #[test]
    fn a_curve_knows_that_what_comes_later_takes_longer_and_follows_the_machine() {
        let curve = Curve { prompt_token_seconds: 0.01, prompt_square_seconds: 1e-5, ..Curve::default() };
        let mut speed = PrefillSpeed::default();
        speed.follow(Some(curve));
        let seconds = |speed: &PrefillSpeed, behind| speed.estimate(100, behind).unwrap().as_secs_f64();
        assert!((seconds(&speed, 0) - 1.1).abs() < 1e-9, "nothing was measured in this run");
        assert!((seconds(&speed, 1000) - 3.1).abs() < 1e-9);
        speed.measured(100, 0, Duration::from_millis(2200));
        assert!((seconds(&speed, 1000) - 6.2).abs() < 1e-9, "the machine is half as fast today");
    }
}
