//! What was drawn while something was measured: a thread asks a meter several times a second, and energy is the area
//! under what it said.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::hardware::meters::Meter;

/// Between two questions to the meter.
const EVERY: Duration = Duration::from_millis(200);

/// Watts at moments, in order.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    samples: Vec<(Instant, f64)>,
}

impl Trace {
    pub fn push(&mut self, moment: Instant, watts: f64) {
        self.samples.push((moment, watts));
    }

    /// Joules between two moments, by the trapezoid rule. `None` where that was not covered by samples.
    pub fn joules(&self, from: Instant, to: Instant) -> Option<f64> {
        let (start, end) = (self.at(from)?, self.at(to)?);
        let within = self.samples.iter().copied().filter(|(moment, _)| from < *moment && *moment < to);
        let points: Vec<(Instant, f64)> =
            std::iter::once((from, start)).chain(within).chain(std::iter::once((to, end))).collect();
        let area = |pair: &[(Instant, f64)]| (pair[1].0 - pair[0].0).as_secs_f64() * (pair[0].1 + pair[1].1) / 2.0;
        Some(points.windows(2).map(area).sum())
    }

    /// Watts at a moment, between the samples around it.
    fn at(&self, moment: Instant) -> Option<f64> {
        let behind = self.samples.iter().position(|(sampled, _)| *sampled >= moment)?;
        let (after, then) = self.samples[behind];
        if after == moment {
            return Some(then);
        }
        let (before, first) = *self.samples.get(behind.checked_sub(1)?)?;
        let part = (moment - before).as_secs_f64() / (after - before).as_secs_f64();
        Some(first + (then - first) * part)
    }

    /// The mean of all samples.
    fn mean(&self) -> Option<f64> {
        let count = self.samples.len();
        (count > 0).then(|| self.samples.iter().map(|(_, watts)| watts).sum::<f64>() / count as f64)
    }
}

/// Asks a meter until it is dropped.
pub struct Sampler {
    trace: Arc<Mutex<Trace>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// What the machine drew before anything was measured.
    pub idle_watts: Option<f64>,
}

impl Sampler {
    /// Asks for so long what the machine draws while it does nothing, and goes on asking.
    ///
    /// # Errors
    /// A sentence, if the meter does not answer, or the system has no thread.
    pub fn start(mut meter: Meter, idle: Duration) -> Result<Self, String> {
        meter.watts(Instant::now())?;
        let (trace, ends) = (Arc::new(Mutex::new(Trace::default())), Arc::new(AtomicBool::new(false)));
        let (shared, told) = (Arc::clone(&trace), Arc::clone(&ends));
        let ask = move || {
            while !told.load(Ordering::Relaxed) {
                std::thread::sleep(EVERY);
                let moment = Instant::now();
                match meter.watts(moment) {
                    Ok(Some(watts)) => shared.lock().unwrap_or_else(PoisonError::into_inner).push(moment, watts),
                    Ok(None) => {}
                    Err(_) => return,
                }
            }
        };
        let thread = std::thread::Builder::new().name("power".into()).spawn(ask);
        let thread = thread.map_err(|error| format!("power is not measured: no thread ({error})"))?;
        std::thread::sleep(idle);
        let idle_watts = trace.lock().unwrap_or_else(PoisonError::into_inner).mean();
        Ok(Self { trace, ends, thread: Some(thread), idle_watts })
    }

    /// For those who look on.
    pub fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.trace))
    }

    /// Joules between two moments that are past; `None` where the meter was silent. Waits for the sample behind the
    /// second.
    pub fn joules(&self, from: Instant, to: Instant) -> Option<f64> {
        for _ in 0..3 {
            let joules = self.trace.lock().unwrap_or_else(PoisonError::into_inner).joules(from, to);
            if joules.is_some() {
                return joules;
            }
            std::thread::sleep(EVERY);
        }
        None
    }
}

/// What is drawn right now, for those who look on.
#[derive(Clone, Debug)]
pub struct Watch(Arc<Mutex<Trace>>);

impl Watch {
    /// The last sample.
    pub fn watts(&self) -> Option<f64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).samples.last().map(|(_, watts)| *watts)
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing more to say.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::hardware::meters::Choice;

    #[test]
    fn energy_is_the_area_under_the_power_to_the_joule() {
        let start = Instant::now();
        let second = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let mut trace = Trace::default();
        for (seconds, watts) in [(0.0, 4.0), (1.0, 4.0), (2.0, 8.0), (4.0, 8.0), (5.0, 2.0)] {
            trace.push(second(seconds), watts);
        }
        let joules = |from, to| trace.joules(second(from), second(to)).map(|joules| (joules * 1e6).round() / 1e6);
        assert_eq!(joules(0.0, 5.0), Some(4.0 + 6.0 + 16.0 + 5.0));
        assert_eq!(joules(1.0, 1.5), Some(2.5), "half of a slope");
        assert_eq!(joules(2.5, 3.5), Some(8.0), "between two samples");
        assert_eq!(joules(4.0, 5.5), None, "nobody knows what comes");
        assert_eq!(trace.joules(start - Duration::from_secs(1), second(1.0)), None);
    }

    #[test]
    fn a_meter_is_asked_while_something_is_measured() {
        let meter = Meter::find(&Choice::Command("echo 5".into()), Path::new("/"), &[]).unwrap();
        let sampler = Sampler::start(meter, Duration::from_millis(700)).unwrap();
        assert_eq!(sampler.idle_watts, Some(5.0));
        let from = Instant::now();
        std::thread::sleep(Duration::from_millis(300));
        let to = Instant::now();
        let joules = sampler.joules(from, to).unwrap();
        assert!((joules - 5.0 * (to - from).as_secs_f64()).abs() < 1e-6, "{joules}");
    }

    #[test]
    fn a_meter_that_does_not_answer_is_said_before_anything_is_measured() {
        let meter = Meter::find(&Choice::Command("exit 1".into()), Path::new("/"), &[]).unwrap();
        assert!(Sampler::start(meter, Duration::ZERO).err().unwrap().contains("failed"));
    }
}
