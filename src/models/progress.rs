//! How far a long step over a file has come.

use std::time::{Duration, Instant};

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Another process is downloading the same file.
    Waiting,
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
    /// Speed since the step began, without what was there before; `None` at its beginning.
    pub bytes_per_second: Option<f64>,
}

/// What receives the reports.
pub type Listener<'a> = &'a mut dyn FnMut(Progress);

/// Passes progress on to a listener, but not too often.
pub(super) struct Meter<'a> {
    listener: Listener<'a>,
    step: Step,
    total_bytes: u64,
    began: Instant,
    began_at_bytes: u64,
    reported: Option<Instant>,
}

impl<'a> Meter<'a> {
    const PAUSE: Duration = Duration::from_millis(100);

    pub(super) fn new(step: Step, done_bytes: u64, total_bytes: u64, listener: Listener<'a>) -> Self {
        Self { listener, step, total_bytes, began: Instant::now(), began_at_bytes: done_bytes, reported: None }
    }

    pub(super) fn report(&mut self, done_bytes: u64) {
        let due = self.reported.is_none_or(|last| last.elapsed() >= Self::PAUSE);
        if due || done_bytes == self.total_bytes {
            self.reported = Some(Instant::now());
            let (step, total_bytes) = (self.step, self.total_bytes);
            let bytes_per_second = self.bytes_per_second(done_bytes);
            (self.listener)(Progress { step, done_bytes, total_bytes, bytes_per_second });
        }
    }

    fn bytes_per_second(&self, done_bytes: u64) -> Option<f64> {
        let seconds = self.began.elapsed().as_secs_f64();
        let bytes = done_bytes.saturating_sub(self.began_at_bytes);
        (bytes > 0 && seconds > 0.0).then(|| bytes as f64 / seconds)
    }
}
