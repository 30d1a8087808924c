//! What was drawn while something was measured: a thread asks a meter several times a second, and energy is the area
//! under what it said.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::hardware::meters::Meter;

/// Between two questions to the meter.
const EVERY: Duration = Duration::from_millis(200);
/// What was drawn in a while without samples is not known: one that is longer than this, and than some of the usual ones.
const HOLE: Duration = Duration::from_secs(5);
const HOLE_OF_USUAL: u32 = 3;
/// For the sample behind a measurement it is waited for so long, and for longer where they come seldom.
const PATIENCE: Duration = Duration::from_millis(600);
const MOST_PATIENCE: Duration = Duration::from_secs(15);

/// Watts at moments, in order.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    samples: Vec<(Instant, f64)>,
}

impl Trace {
    pub fn push(&mut self, moment: Instant, watts: f64) {
        self.samples.push((moment, watts));
    }

    /// Joules between two moments, by the trapezoid rule. `None` where that was not covered by samples, or there is a hole
    /// among them.
    pub fn joules(&self, from: Instant, to: Instant) -> Option<f64> {
        let (start, end) = (self.at(from)?, self.at(to)?);
        let first = self.samples.iter().rposition(|(moment, _)| *moment <= from)?;
        let last = self.samples.iter().position(|(moment, _)| *moment >= to)?;
        let longest = self.samples[first..=last.max(first)].windows(2).map(|pair| pair[1].0 - pair[0].0).max();
        if longest.is_some_and(|longest| longest > self.hole()) {
            return None;
        }
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

    /// What lies between two samples usually.
    fn usual(&self) -> Option<Duration> {
        let mut between: Vec<Duration> = self.samples.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        between.sort_unstable();
        between.get(between.len() / 2).copied()
    }

    /// From here on it is a hole.
    fn hole(&self) -> Duration {
        self.usual().map_or(HOLE, |usual| HOLE.max(usual * HOLE_OF_USUAL))
    }

    /// The longest hole, in words; `None` if there is none.
    fn remark(&self) -> Option<String> {
        let longest = self.samples.windows(2).map(|pair| pair[1].0 - pair[0].0).max()?;
        (longest > self.hole()).then(|| format!("it told nothing for {:.0} s at the longest", longest.as_secs_f64()))
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
    /// What is to be said of the meter.
    remark: Arc<Mutex<Option<String>>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// What tells the watts, and what it does not see.
    pub about: &'static str,
    /// What the machine drew before anything was measured.
    pub idle_watts: Option<f64>,
}

impl Sampler {
    /// Asks for so long what the machine draws while it does nothing, and goes on asking.
    ///
    /// # Errors
    /// A sentence, if the meter does not answer, or the system has no thread.
    pub fn start(mut meter: Meter, idle: Duration) -> Result<Self, String> {
        meter.samples(Instant::now())?;
        let about = meter.about();
        let (trace, ends) = (Arc::new(Mutex::new(Trace::default())), Arc::new(AtomicBool::new(false)));
        let remark = Arc::new(Mutex::new(None));
        let (shared, remarked, told) = (Arc::clone(&trace), Arc::clone(&remark), Arc::clone(&ends));
        let ask = move || {
            let remark = |words: Option<String>| *remarked.lock().unwrap_or_else(PoisonError::into_inner) = words;
            while !told.load(Ordering::Relaxed) {
                std::thread::sleep(EVERY);
                match meter.samples(Instant::now()) {
                    Ok(samples) => {
                        let mut trace = shared.lock().unwrap_or_else(PoisonError::into_inner);
                        samples.into_iter().for_each(|(moment, watts)| trace.push(moment, watts));
                    }
                    Err(sentence) => return remark(Some(sentence)),
                }
                remark(meter.remark());
            }
        };
        let thread = std::thread::Builder::new().name("power".into()).spawn(ask);
        let thread = thread.map_err(|error| format!("power is not measured: no thread ({error})"))?;
        std::thread::sleep(idle);
        let mean = || trace.lock().unwrap_or_else(PoisonError::into_inner).mean();
        let began = Instant::now();
        while mean().is_none() && !idle.is_zero() && began.elapsed() < MOST_PATIENCE {
            std::thread::sleep(EVERY);
        }
        let idle_watts = mean();
        if idle_watts.is_none() && !idle.is_zero() {
            ends.store(true, Ordering::Relaxed);
            let waited = (idle + MOST_PATIENCE).as_secs();
            return Err(format!("power is not measured: {about} told nothing for {waited} s"));
        }
        Ok(Self { trace, remark, ends, thread: Some(thread), about, idle_watts })
    }

    /// For those who look on.
    pub fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.trace))
    }

    /// Joules between two moments that are past; `None` where the meter was silent. Waits for the sample behind the
    /// second, if it is to be expected.
    pub fn joules(&self, from: Instant, to: Instant) -> Option<f64> {
        loop {
            let patience = {
                let trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
                let joules = trace.joules(from, to);
                let last = trace.samples.last().map(|(moment, _)| *moment);
                if joules.is_some() || last.is_some_and(|last| last >= to) {
                    return joules;
                }
                trace.usual().map_or(PATIENCE, |usual| PATIENCE.max(usual * 3).min(MOST_PATIENCE))
            };
            if to.elapsed() > patience {
                return None;
            }
            std::thread::sleep(EVERY);
        }
    }

    /// What is to be said of the meter: clocks, holes, lines that could not be read. Nothing if it is as it should be.
    pub fn remark(&self) -> Option<String> {
        let told = self.remark.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let hole = self.trace.lock().unwrap_or_else(PoisonError::into_inner).remark();
        let remarks: Vec<String> = told.into_iter().chain(hole).collect();
        (!remarks.is_empty()).then(|| remarks.join("; "))
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
    fn what_was_drawn_in_a_hole_is_not_known() {
        let start = Instant::now();
        let second = |seconds: u64| start + Duration::from_secs(seconds);
        let mut trace = Trace::default();
        [0, 1, 2, 3, 20, 21, 22].into_iter().for_each(|seconds| trace.push(second(seconds), 2.0));
        assert_eq!(trace.joules(second(0), second(3)), Some(6.0));
        assert_eq!(trace.joules(second(2), second(21)), None);
        assert_eq!(trace.joules(second(5), second(10)), None, "wholly in the hole");
        assert_eq!(trace.joules(second(20), second(22)), Some(4.0));
        assert_eq!(trace.remark().as_deref(), Some("it told nothing for 17 s at the longest"));
        let mut seldom = Trace::default();
        (0..5).for_each(|sample| seldom.push(second(sample * 10), 2.0));
        assert_eq!(seldom.joules(second(5), second(35)), Some(60.0), "a meter that tells seldom has no holes by that");
        assert_eq!(seldom.remark(), None);
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
