//! A timing as it is kept, and the timings of a run: what was timed before the run was killed is not timed again.

use std::collections::VecDeque;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::setting::{Part, Setting, Trial, Workload};
use super::tuner::Tuner;
use crate::bench::Ended;
use crate::bench::report::Report;
use crate::engine::lab::Subject;
use crate::engine::tuning::{UNDISTURBED, median};

/// What a trial took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timed {
    #[serde(flatten)]
    pub trial: Trial,
    #[serde(flatten)]
    pub sample: Sample,
    /// For a token of the prompt, and for one of the answer without guesses.
    pub prompt_token_seconds: Option<f64>,
    pub token_seconds: Option<f64>,
    /// For a step of several tokens of which all but the first were guessed.
    pub step_seconds: Option<f64>,
    /// The part of the processors' time that the threads had.
    pub share: f64,
    /// With everything around it.
    #[serde(default)]
    pub whole_seconds: f64,
}

/// Tokens that are timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    pub n_prompt: u32,
    pub n_gen: u32,
}

impl Timed {
    /// Seconds of what the trial is about.
    pub fn seconds(&self, workload: Workload) -> f64 {
        let prompt = self.prompt_token_seconds.map(|token| token * f64::from(workload.prompt));
        let answer = self.token_seconds.map(|token| workload.answer_seconds(token, self.step_seconds));
        prompt.unwrap_or_default() + answer.unwrap_or_default()
    }

    /// As many as computed the last part.
    pub fn threads(&self) -> u32 {
        let crews = self.trial.setting.crews;
        if self.trial.part == Part::Answer { crews.decode.threads } else { crews.prefill.threads }
    }
}

/// Tokens per second of prompts and of answers, as a setting was seen to compute them; guesses left aside.
pub fn speeds(all: &[Timed], setting: &Setting) -> Option<(f64, f64)> {
    let of = |seconds: fn(&Timed) -> Option<f64>| {
        let is_same = |timed: &&Timed| Setting { guesses: setting.guesses, ..timed.trial.setting } == *setting;
        median(all.iter().filter(is_same).filter_map(seconds).collect()).map(|seconds| 1.0 / seconds)
    };
    Some((of(|timed| timed.prompt_token_seconds)?, of(|timed| timed.token_seconds)?))
}

/// Something else was computing meanwhile, so that it is no day to go by.
pub fn are_disturbed(all: &[Timed]) -> bool {
    // One thread alone may have had its time where several had not.
    let of = |threads| all.iter().filter(move |timed| timed.threads() == threads).map(|timed| timed.share);
    let mut medians = all.iter().map(|timed| median(of(timed.threads()).collect()));
    medians.any(|share| share.is_some_and(|share| share < UNDISTURBED))
}

/// Times with a model, and keeps each timing.
pub struct Timings<'a> {
    tuner: Tuner<'a>,
    report: &'a Report,
    subject: &'a Subject,
    /// Made before, and not asked for yet.
    earlier: VecDeque<Timed>,
    all: Vec<Timed>,
    /// When the last one was done.
    since: Instant,
}

impl<'a> Timings<'a> {
    /// Since `began` the tuner was being made ready.
    pub fn new(
        tuner: Tuner<'a>,
        earlier: Vec<Timed>,
        report: &'a Report,
        subject: &'a Subject,
        began: Instant,
    ) -> Self {
        Self { tuner, report, subject, earlier: earlier.into(), all: Vec::new(), since: began }
    }

    /// Seconds that something takes, timed now if it was not before.
    ///
    /// # Errors
    /// If there is not enough memory, it was stopped, the model fails or the timing cannot be written.
    pub fn time(&mut self, trial: &Trial) -> Result<f64, Ended> {
        let timed = match self.earlier.pop_front().filter(|earlier| earlier.trial == *trial) {
            Some(earlier) => earlier,
            None => self.time_now(trial)?,
        };
        self.all.push(timed);
        Ok(timed.seconds(self.tuner.workload()))
    }

    fn time_now(&mut self, trial: &Trial) -> Result<Timed, Ended> {
        // Another version asked for other things.
        self.earlier.clear();
        let timed = self.tuner.time(trial)?;
        let timed = Timed { whole_seconds: self.since.elapsed().as_secs_f64(), ..timed };
        self.since = Instant::now();
        self.report.timing(self.subject, &timed)?;
        Ok(timed)
    }

    pub fn workload(&self) -> Workload {
        self.tuner.workload()
    }

    /// All that was timed so far.
    pub fn all(&self) -> &[Timed] {
        &self.all
    }

    /// What all took, with everything around it.
    pub fn seconds(&self) -> f64 {
        self.all.iter().map(|timed| timed.whole_seconds).sum()
    }
}
