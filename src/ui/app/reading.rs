//! How long the model still reads before it answers, by its pace until now.

use std::time::{Duration, Instant};

/// Before that nobody has had time to wonder, and the pace is not sure.
const TOLD_AFTER: Duration = Duration::from_secs(2);

/// How a prompt is read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// When the first tokens were read, and how many.
    began: Option<(Instant, u32)>,
    left: Option<Duration>,
}

impl Reading {
    /// `done` of `total` tokens were read at `now`.
    pub(super) fn gets_on(&mut self, done: u32, total: u32, now: Instant) {
        let (since, first) = *self.began.get_or_insert((now, done));
        let (elapsed, read) = (now.saturating_duration_since(since), done.saturating_sub(first));
        let left = f64::from(total.saturating_sub(done)) / f64::from(read.max(1));
        self.left = (read > 0 && elapsed >= TOLD_AFTER).then(|| elapsed.mul_f64(left));
    }

    /// How long it still takes; nothing while that is not known.
    pub(super) fn left(&self) -> Option<Duration> {
        self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told_by_the_pace_once_that_is_known() {
        let mut reading = Reading::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        reading.gets_on(100, 1100, start);
        assert_eq!(reading.left(), None);
        reading.gets_on(200, 1100, after(1));
        assert_eq!(reading.left(), None, "too soon");
        reading.gets_on(300, 1100, after(4));
        assert_eq!(reading.left(), Some(Duration::from_secs(16)));
        reading.gets_on(1100, 1100, after(20));
        assert_eq!(reading.left(), Some(Duration::ZERO));
    }
}
