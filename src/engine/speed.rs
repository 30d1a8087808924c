//! How fast prompts are computed on this machine, as seen.

use std::time::Duration;

/// From this many tokens in one call on, the speed per token hardly changes.
const LARGE: usize = 64;
/// Part of a new measurement in the estimate.
const NEWEST: f64 = 0.3;

/// Seconds per token in large and in small calls, as moving averages; a small call costs more for each token.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PrefillSpeed {
    large: Option<f64>,
    small: Option<f64>,
}

impl PrefillSpeed {
    /// So many tokens were computed in this time.
    pub fn measured(&mut self, tokens: usize, time: Duration) {
        if tokens == 0 {
            return;
        }
        let per_token = time.as_secs_f64() / tokens as f64;
        let average = if tokens >= LARGE { &mut self.large } else { &mut self.small };
        *average = Some(average.map_or(per_token, |old| old + NEWEST * (per_token - old)));
    }

    /// What was measured in an earlier run, until something is measured here.
    pub fn assume(&mut self, tokens_per_second: Option<f64>) {
        self.large = self.large.or(tokens_per_second.filter(|speed| *speed > 0.0).map(|speed| 1.0 / speed));
    }

    /// Tokens per second in large calls.
    pub fn tokens_per_second(&self) -> Option<f64> {
        self.large.map(|seconds| 1.0 / seconds)
    }

    /// How long computing so many tokens takes; unknown until something was measured.
    pub fn estimate(&self, tokens: usize) -> Option<Duration> {
        let (first, second) = if tokens >= LARGE { (self.large, self.small) } else { (self.small, self.large) };
        first.or(second).map(|per_token| Duration::from_secs_f64(per_token * tokens as f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_estimated_before_something_was_measured() {
        assert_eq!(PrefillSpeed::default().estimate(10), None);
    }

    #[test]
    fn an_estimate_is_what_was_measured_for_calls_of_that_size() {
        let mut speed = PrefillSpeed::default();
        speed.measured(512, Duration::from_millis(512));
        assert_eq!(speed.estimate(1000), Some(Duration::from_secs(1)));
        assert_eq!(speed.estimate(10), Some(Duration::from_millis(10)));
        speed.measured(10, Duration::from_millis(50));
        assert_eq!(speed.estimate(10), Some(Duration::from_millis(50)));
        assert_eq!(speed.tokens_per_second().map(f64::round), Some(1000.0));
    }

    #[test]
    fn a_new_measurement_moves_the_estimate_towards_it() {
        let mut speed = PrefillSpeed::default();
        speed.measured(100, Duration::from_secs(1));
        speed.measured(100, Duration::from_secs(2));
        let estimate = speed.estimate(100).unwrap();
        assert!(estimate > Duration::from_secs(1) && estimate < Duration::from_secs(2), "{estimate:?}");
    }

    #[test]
    fn an_earlier_run_is_believed_until_this_one_knows_better() {
        let mut speed = PrefillSpeed::default();
        speed.assume(Some(100.0));
        assert_eq!(speed.estimate(200), Some(Duration::from_secs(2)));
        speed.measured(1, Duration::from_millis(7));
        assert_eq!(speed.estimate(1), Some(Duration::from_millis(7)));
    }
}
