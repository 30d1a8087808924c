//! A limit of bytes a second over all connections of a download.

use std::time::Duration;

use tokio::time::Instant;

/// Who takes bytes too early waits until they are due.
#[derive(Debug)]
pub struct Pace {
    bytes_per_second: f64,
    /// When all that was taken is paid for.
    due: Instant,
}

impl Pace {
    pub fn new(bytes_per_second: u64, now: Instant) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1) as f64, due: now }
    }

    /// Takes bytes that have come, and says when the next may be read. What was not taken in time is lost: after a
    /// pause the limit is the same.
    pub fn take(&mut self, bytes: usize, now: Instant) -> Instant {
        let costs = Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        self.due = self.due.max(now) + costs;
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_takers_share_one_limit() {
        let start = Instant::now();
        let mut pace = Pace::new(1000, start);
        let mut now = start;
        for _ in 0..10 {
            // Two connections take at once, and both wait.
            now = pace.take(300, now).max(pace.take(200, now));
        }
        assert_eq!((now - start).as_millis(), 5000);
    }

    #[test]
    fn what_was_not_used_in_a_pause_is_not_made_up_for() {
        let start = Instant::now();
        let mut pace = Pace::new(1000, start);
        let later = start + Duration::from_secs(60);
        assert_eq!(pace.take(500, later) - later, Duration::from_millis(500));
    }
}
