//! How far a long step over a file has come.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Another process is downloading the same file.
    Waiting,
    /// The hub asked not to be asked for so many seconds.
    Postponed {
        /// Those that are left.
        seconds: u64,
    },
    /// Bytes arrive from the hub.
    Downloading,
    /// A file is copied into the models folder.
    Copying,
    /// A file is read to compute its SHA-256.
    Hashing,
}

/// A report, at most ten a second and one at the end of each step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What is being done.
    pub step: Step,
    /// Bytes that are done, those of earlier attempts included.
    pub done_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
    /// Speed over the last seconds; `None` as long as there is nothing to tell it from.
    pub bytes_per_second: Option<f64>,
}

impl Progress {
    /// How many seconds the rest takes at this speed.
    pub fn seconds_left(&self) -> Option<u64> {
        let speed = self.bytes_per_second.filter(|speed| *speed > 0.0)?;
        let seconds = self.total_bytes.saturating_sub(self.done_bytes) as f64 / speed;
        // Beyond a year nobody wants to know.
        (seconds < 3.2e7).then_some(seconds.ceil() as u64)
    }
}

/// What receives the reports.
pub type Listener<'a> = &'a mut dyn FnMut(Progress);

/// Makes a part's progress that of a whole in which so many bytes come before it.
pub(super) fn within(listener: Listener<'_>, before_bytes: u64, total_bytes: u64) -> impl FnMut(Progress) {
    move |progress| {
        listener(Progress { done_bytes: before_bytes + progress.done_bytes, total_bytes, ..progress });
    }
}

/// Passes progress on to a listener, but not too often.
pub(super) struct Meter<'a> {
    listener: Listener<'a>,
    step: Step,
    total_bytes: u64,
    began: Instant,
    speed: Speed,
    reported: Option<Instant>,
}

impl<'a> Meter<'a> {
    const PAUSE: Duration = Duration::from_millis(100);

    pub(super) fn new(step: Step, total_bytes: u64, listener: Listener<'a>) -> Self {
        Self { listener, step, total_bytes, began: Instant::now(), speed: Speed::default(), reported: None }
    }

    pub(super) fn report(&mut self, done_bytes: u64) {
        let due = self.reported.is_none_or(|last| last.elapsed() >= Self::PAUSE);
        if due || done_bytes == self.total_bytes {
            self.reported = Some(Instant::now());
            self.speed.note(self.began.elapsed(), done_bytes);
            self.tell(self.step, done_bytes);
        }
    }

    /// Reports another step in between, at once.
    pub(super) fn tell(&mut self, step: Step, done_bytes: u64) {
        let bytes_per_second = self.speed.bytes_per_second().filter(|_| step == self.step);
        (self.listener)(Progress { step, done_bytes, total_bytes: self.total_bytes, bytes_per_second });
    }
}

/// The speed over the last seconds.
#[derive(Debug, Default)]
struct Speed {
    /// When how many bytes were done, the oldest first.
    samples: VecDeque<(Duration, u64)>,
}

impl Speed {
    const WINDOW: Duration = Duration::from_secs(6);

    fn note(&mut self, at: Duration, bytes: u64) {
        // What had to begin again has no speed that its past would tell.
        if self.samples.back().is_some_and(|(_, before)| *before > bytes) {
            self.samples.clear();
        }
        self.samples.push_back((at, bytes));
        // The one before the window stays: it is where the window begins.
        while self.samples.get(1).is_some_and(|(second, _)| *second + Self::WINDOW <= at) {
            self.samples.pop_front();
        }
    }

    fn bytes_per_second(&self) -> Option<f64> {
        let ((from, first), (to, last)) = (self.samples.front()?, self.samples.back()?);
        let seconds = to.checked_sub(*from)?.as_secs_f64();
        (last > first && seconds > 0.0).then(|| (last - first) as f64 / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes a second for each tenth of a second, and the speed that is told in the end.
    fn speed(tenths: impl IntoIterator<Item = u64>) -> Option<f64> {
        let mut speed = Speed::default();
        let mut bytes = 0;
        speed.note(Duration::ZERO, bytes);
        for (tenth, each) in tenths.into_iter().enumerate() {
            bytes += each / 10;
            speed.note(Duration::from_millis(100 * (tenth as u64 + 1)), bytes);
        }
        speed.bytes_per_second()
    }

    #[test]
    fn the_speed_is_that_of_the_last_seconds() {
        assert_eq!(speed([]), None);
        assert_eq!(speed([1000; 3]), Some(1000.0));
        assert_eq!(speed([1000; 600].into_iter().chain([4000; 60])), Some(4000.0));
        assert_eq!(speed([1000; 600].into_iter().chain([4000; 30])), Some(2500.0));
        assert_eq!(speed([1000; 60].into_iter().chain([0; 60])), None, "it stands still");
    }

    #[test]
    fn a_download_that_begins_again_has_no_speed_yet() {
        let mut speed = Speed::default();
        for (second, bytes) in [(0, 0), (1, 500), (2, 100)] {
            speed.note(Duration::from_secs(second), bytes);
        }
        assert_eq!(speed.bytes_per_second(), None);
        speed.note(Duration::from_secs(3), 300);
        assert_eq!(speed.bytes_per_second(), Some(200.0));
    }

    #[test]
    fn the_time_left_follows_from_the_speed() {
        let progress = |bytes_per_second| Progress {
            step: Step::Downloading,
            done_bytes: 400,
            total_bytes: 1000,
            bytes_per_second,
        };
        assert_eq!(progress(Some(100.0)).seconds_left(), Some(6));
        assert_eq!(progress(Some(90.0)).seconds_left(), Some(7));
        assert_eq!(progress(Some(1e-9)).seconds_left(), None);
        assert_eq!(progress(None).seconds_left(), None);
    }
}
