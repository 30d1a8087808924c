//! A model that takes as long as it is told to, by a clock of its own, for tests.

use std::time::{Duration, Instant};

use super::plan::Item;
use super::timing::Player;
use crate::bench::energy::Trace;
use crate::engine::lab::LabError;

/// Something that tells watts, and hears that time passes.
pub trait Power {
    fn passed_to(&self, now: Instant);
    fn joules(&self, from: Instant, to: Instant) -> Option<f64>;
}

/// Watts that are known beforehand.
impl Power for Trace {
    fn passed_to(&self, _now: Instant) {}

    fn joules(&self, from: Instant, to: Instant) -> Option<f64> {
        Trace::joules(self, from, to)
    }
}

/// The model, and what tells the watts beside it.
pub struct Scripted<P> {
    pub start: Instant,
    passed: Duration,
    position: u32,
    /// Seconds for a token of a prompt, and for each that is written, in turn.
    prompt: f64,
    each: Vec<f64>,
    pub written: usize,
    power: P,
    pub began: Vec<String>,
    faults: u64,
    /// The rounds in which others could have had their turn, before and behind.
    pub turns: Vec<(u32, bool)>,
}

impl Scripted<Trace> {
    /// The power rises by two watts in each second.
    pub fn new(prompt: f64, each: Vec<f64>) -> Self {
        let start = Instant::now();
        let mut trace = Trace::default();
        (0..5000).for_each(|tenth| {
            trace.push(start + Duration::from_millis(100 * tenth), 3.0 + 0.2 * tenth as f64);
        });
        Self::beside(trace, start, prompt, each)
    }

    /// Joules between two moments in seconds since the start.
    pub fn area(from: f64, to: f64) -> f64 {
        (3.0 * to + to * to) - (3.0 * from + from * from)
    }
}

impl<P: Power> Scripted<P> {
    /// A model beside this power.
    pub fn beside(power: P, start: Instant, prompt: f64, each: Vec<f64>) -> Self {
        Self {
            start,
            passed: Duration::ZERO,
            position: 0,
            prompt,
            each,
            written: 0,
            power,
            began: vec![],
            faults: 0,
            turns: vec![],
        }
    }

    fn pass(&mut self, duration: Duration) {
        self.passed += duration;
        self.power.passed_to(self.start + self.passed);
    }
}

impl<P: Power> Player for Scripted<P> {
    fn begin(&mut self, item: &Item) -> Result<(), LabError> {
        self.position = item.depth;
        self.began.push(item.name.clone());
        // What is not timed takes time as well.
        self.pass(Duration::from_millis(730));
        Ok(())
    }

    fn compute(&mut self, tokens: u32) -> Result<(), LabError> {
        let seconds = if tokens > 1 {
            self.prompt * f64::from(tokens)
        } else {
            self.written += 1;
            self.each[self.written % self.each.len()]
        };
        self.pass(Duration::from_secs_f64(seconds));
        self.position += tokens;
        self.faults += 1;
        Ok(())
    }

    fn now(&self) -> Instant {
        self.start + self.passed
    }

    fn joules(&self, from: Instant, to: Instant) -> Option<f64> {
        self.power.joules(from, to)
    }

    fn major_faults(&self) -> Option<u64> {
        Some(self.faults)
    }

    fn others(&mut self, round: u32, is_before: bool) -> Result<(), LabError> {
        self.turns.push((round, is_before));
        Ok(())
    }
}
