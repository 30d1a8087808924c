//! From a meter's own times to moments of this program: the clock of a meter may be another one, be set wrongly, or count
//! from whenever it was switched on. Pure.

use std::time::{Duration, Instant};

use super::csv::Sample;

/// Clocks that differ by less are taken to agree: a sample is not told at once.
const AGREE: f64 = 2.0;
/// A clock that was off by so much more or less later has not the same seconds.
const DRIFT: f64 = 1.0;

/// A moment by both clocks of this machine.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub instant: Instant,
    /// Seconds since 1970.
    pub unix: f64,
}

/// How a meter's times are to be read.
#[derive(Clone, Debug)]
pub struct Clock {
    began: Moment,
    /// Seconds to be added to its times; known from the first sample on that was just written.
    offset: Option<f64>,
    is_relative: bool,
    /// The least and the most that would have had to be added since.
    range: (f64, f64),
}

impl Clock {
    pub fn new(began: Moment) -> Self {
        Self { began, offset: None, is_relative: false, range: (f64::INFINITY, f64::NEG_INFINITY) }
    }

    /// A sample was just written.
    pub fn heard(&mut self, newest: &Sample, now: Instant) {
        let unix = self.began.unix + now.saturating_duration_since(self.began.instant).as_secs_f64();
        let off = unix - newest.until;
        self.range = (self.range.0.min(off), self.range.1.max(off));
        if self.offset.is_none() {
            self.is_relative = newest.is_relative;
            self.offset = Some(if off.abs() < AGREE { 0.0 } else { off });
        }
    }

    /// When a sample was. `None` before any was heard, and for what was before this program began to listen.
    pub fn instant(&self, sample: &Sample) -> Option<Instant> {
        let since = sample.at + self.offset? - self.began.unix;
        let since = Duration::try_from_secs_f64(since).ok()?;
        self.began.instant.checked_add(since)
    }

    /// What is to be said of it.
    pub fn remark(&self) -> Option<String> {
        let offset = self.offset.filter(|offset| *offset != 0.0 && !self.is_relative);
        let (least, most) = self.range;
        let behind = offset.map(|offset| {
            let word = if offset > 0.0 { "behind" } else { "ahead of" };
            format!("its clock is {} {word} this machine's, which is corrected", span(offset.abs()))
        });
        // What is written late is late by less than this, or the clock runs at another speed.
        let drift = (most - least > DRIFT + AGREE)
            .then(|| format!("its times came up to {} apart from this machine's", span(most - least)));
        let remarks: Vec<String> = behind.into_iter().chain(drift).collect();
        (!remarks.is_empty()).then(|| remarks.join("; "))
    }
}

fn span(seconds: f64) -> String {
    match seconds {
        ..120.0 => format!("{seconds:.1} s"),
        ..7200.0 => format!("{:.0} minutes", seconds / 60.0),
        _ => format!("{:.1} hours", seconds / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIX: f64 = 1_795_000_000.0;

    fn clock() -> (Clock, Instant) {
        let instant = Instant::now();
        (Clock::new(Moment { instant, unix: UNIX }), instant)
    }

    fn sample(at: f64, is_relative: bool) -> Sample {
        Sample { at, until: at, watts: 1.0, is_relative }
    }

    fn seconds(clock: &Clock, start: Instant, at: f64) -> Option<f64> {
        let instant = clock.instant(&sample(at, false))?;
        Some((instant.saturating_duration_since(start).as_secs_f64() * 1e3).round() / 1e3)
    }

    #[test]
    fn the_same_clock_is_believed_although_samples_are_heard_late() {
        let (mut clock, start) = clock();
        assert_eq!(seconds(&clock, start, UNIX + 1.0), None, "nobody knows yet");
        clock.heard(&sample(UNIX + 1.0, false), start + Duration::from_millis(1400));
        assert_eq!(seconds(&clock, start, UNIX + 1.0), Some(1.0));
        assert_eq!(seconds(&clock, start, UNIX - 5.0), None, "before anybody listened");
        assert_eq!(clock.remark(), None);
    }

    #[test]
    fn another_clock_is_corrected_and_that_is_said() {
        for (off, words) in [(-37.0, "37.0 s behind"), (3600.0, "60 minutes ahead of"), (-26_000.0, "7.2 hours behind")]
        {
            let (mut clock, start) = clock();
            clock.heard(&sample(UNIX + 2.0 + off, false), start + Duration::from_secs(2));
            assert_eq!(seconds(&clock, start, UNIX + 5.0 + off), Some(5.0));
            assert!(clock.remark().unwrap().contains(words), "{:?}", clock.remark());
        }
    }

    #[test]
    fn times_of_its_own_need_no_remark_and_those_that_drift_do() {
        let (mut clock, start) = clock();
        clock.heard(&sample(3.5, true), start + Duration::from_secs(2));
        assert_eq!(seconds(&clock, start, 4.5), Some(3.0));
        assert_eq!(clock.remark(), None);
        clock.heard(&sample(50.0, true), start + Duration::from_secs(60));
        assert_eq!(clock.remark().as_deref(), Some("its times came up to 11.5 s apart from this machine's"));
    }
}
