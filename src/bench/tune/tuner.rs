//! Times settings with a real model.

use std::time::Instant;

use super::setting::{GUESSED, Part, Setting, Trial, Workload};
use super::timed::{Sample, Timed};
use crate::bench::report::Report;
use crate::bench::stream::Stream;
use crate::engine::lab::{Lab, LabError, Making, Rig, Token};
use crate::engine::tuning::{median, processor_seconds};
use crate::hardware::cores::{Crews, this_machine};
use crate::hardware::memory::Memory;

/// Prompts that may be timed; as long a one as takes no longer than this with the usual setting.
const PROMPTS: [u32; 4] = [512, 256, 128, 64];
pub const PROMPT_SECONDS: f64 = 10.0;
/// Tokens that are timed of an answer; as many as take no longer than this.
pub const ANSWERS: (u32, u32) = (4, 32);
const ANSWER_SECONDS: f64 = 1.5;
/// The whole answer, of which these are a sample, has a quarter of the prompt's tokens.
const ANSWER_PART: u32 = 4;
/// What is computed before a prompt is timed: threads that were asleep are awake then.
const WAKING: usize = 32;
/// A step of several tokens is timed so often, and the fastest counts.
const STEPS: usize = 2;
/// Contexts are kept as long as so much memory is free; what uses several of them takes turns.
const LEAST_FREE: u64 = 1 << 30;

/// Tokens of the prompt that is timed, of a model that was trained with so many (0 if nobody says) and takes so many seconds
/// for each; the longest there is where that is not known.
pub fn prompt(trained: u32, token_seconds: Option<f64>) -> u32 {
    let most = match trained {
        0 => u32::MAX,
        trained => trained.saturating_sub(ANSWERS.1 + 2 * GUESSED as u32),
    };
    let fits = |prompt: &u32| *prompt <= most && f64::from(*prompt) * token_seconds.unwrap_or(0.0) <= PROMPT_SECONDS;
    PROMPTS.into_iter().find(fits).unwrap_or(PROMPTS[PROMPTS.len() - 1])
}

/// A model, contexts over it as the settings want them, and the text that is read.
pub struct Tuner<'lab> {
    lab: &'lab Lab,
    report: &'lab Report,
    tokens: Vec<Token>,
    contexts: Vec<Made<'lab>>,
    sample: Sample,
}

struct Made<'lab> {
    making: Making,
    rig: Rig<'lab>,
    crews: Crews,
}

impl<'lab> Tuner<'lab> {
    /// Warms the model up, and finds out how much of it can be timed, unless that is known.
    ///
    /// # Errors
    /// If there is not enough memory, it was stopped, or the model fails.
    pub fn new(lab: &'lab Lab, report: &'lab Report, usual: Making, known: Option<Sample>) -> Result<Self, LabError> {
        let trained = lab.subject().trained_context;
        let longest = prompt(trained, None);
        let tokens = Stream::of_all(lab, 1).take((longest + ANSWERS.1 + 1) as usize);
        let sample = Sample { n_prompt: PROMPTS[PROMPTS.len() - 1], n_gen: ANSWERS.0 };
        let mut tuner = Self { lab, report, tokens, contexts: Vec::new(), sample };
        let place = tuner.context(&Setting {
            crews: lab.crews(),
            batch: usual.batch,
            types: usual.types,
            guesses: false,
            flash_attention: usual.flash_attention,
        })?;
        // Weights that come from the disk come now.
        tuner.prompt(place, WAKING)?;
        let token = tuner.prompt(place, WAKING)? / WAKING as f64;
        tuner.sample.n_prompt = prompt(trained, Some(token));
        let token = tuner.answer_token(place)?;
        tuner.sample.n_gen = ((ANSWER_SECONDS / token.max(f64::MIN_POSITIVE)) as u32).clamp(ANSWERS.0, ANSWERS.1);
        let fits = |known: &Sample| known.n_prompt <= longest && known.n_gen <= ANSWERS.1;
        tuner.sample = known.filter(fits).unwrap_or(tuner.sample);
        Ok(tuner)
    }

    pub fn workload(&self) -> Workload {
        Workload { prompt: self.sample.n_prompt, answer: self.sample.n_prompt / ANSWER_PART }
    }

    /// Whether steps of several tokens can be taken back, without which there are no guesses.
    ///
    /// # Errors
    /// If it was stopped.
    pub fn can_take_back(&mut self) -> Result<bool, LabError> {
        let Some(made) = self.contexts.first_mut().filter(|made| made.rig.can_evict()) else { return Ok(false) };
        match made.rig.time_step(GUESSED) {
            Ok(_) => Ok(true),
            Err(LabError::Cancelled) => Err(LabError::Cancelled),
            Err(LabError::Engine(_)) => Ok(false),
        }
    }

    /// Times something once.
    ///
    /// # Errors
    /// If there is not enough memory, it was stopped, or the model fails.
    pub fn time(&mut self, trial: &Trial) -> Result<Timed, LabError> {
        let setting = &trial.setting;
        let place = self.context(setting)?;
        let (began, had) = (Instant::now(), processor_seconds());
        let mut timed = Timed {
            trial: *trial,
            sample: self.sample,
            prompt_token_seconds: None,
            token_seconds: None,
            step_seconds: None,
            share: 0.0,
            whole_seconds: 0.0,
        };
        if trial.part != Part::Answer {
            let tokens = self.sample.n_prompt;
            timed.prompt_token_seconds = Some(self.prompt(place, tokens as usize)? / f64::from(tokens));
        }
        if trial.part != Part::Prompt {
            timed.token_seconds = Some(self.answer_token(place)?);
            timed.step_seconds = if setting.guesses { Some(self.step(place)?) } else { None };
        }
        let most = this_machine().quota.unwrap_or(f64::MAX).min(f64::from(timed.threads()));
        timed.share = (processor_seconds() - had) / (began.elapsed().as_secs_f64() * most);
        Ok(timed)
    }

    /// The context for a setting, with those computing that are to.
    fn context(&mut self, setting: &Setting) -> Result<usize, LabError> {
        let Setting { batch, types, flash_attention, crews, .. } = *setting;
        let making = Making { types, batch, flash_attention };
        let place = match self.contexts.iter().position(|made| made.making == making) {
            Some(place) => place,
            None => {
                let is_short = || Memory::read().is_some_and(|memory| memory.available < LEAST_FREE);
                while !self.contexts.is_empty() && is_short() {
                    self.contexts.remove(0);
                }
                let cells = self.tokens.len() as u32 + 2 * GUESSED as u32;
                let rig = self.lab.made_rig(cells, making)?;
                self.contexts.push(Made { making, rig, crews: self.lab.crews() });
                let place = self.contexts.len() - 1;
                // A new context is not warm.
                self.prompt(place, self.sample.n_prompt.min(batch) as usize)?;
                place
            }
        };
        let made = &mut self.contexts[place];
        if made.crews != crews {
            made.rig.set_crews(crews);
            made.crews = crews;
        }
        Ok(place)
    }

    /// Seconds for a prompt of so many tokens.
    fn prompt(&mut self, place: usize, tokens: usize) -> Result<f64, LabError> {
        let rig = &mut self.contexts[place].rig;
        rig.fill(&[], &|_| {})?;
        rig.go_on(&self.tokens[..WAKING.min(tokens)])?;
        rig.fill(&[], &|_| {})?;
        let began = Instant::now();
        for part in self.tokens[..tokens].chunks(rig.most_at_once()) {
            rig.go_on(part)?;
        }
        Ok(began.elapsed().as_secs_f64())
    }

    /// Seconds for a token of an answer behind the prompt: what the one in the middle of the sample takes, since a hiccup of
    /// the machine hits few of them.
    fn answer_token(&mut self, place: usize) -> Result<f64, LabError> {
        let Sample { n_prompt, n_gen } = self.sample;
        let (prompt, rig) = (n_prompt as usize, &mut self.contexts[place].rig);
        rig.fill(&self.tokens[..prompt], &|_| {})?;
        // Threads that were not there for the prompt are made for the first token.
        rig.go_on(&self.tokens[prompt..=prompt])?;
        let mut seconds = Vec::new();
        for token in &self.tokens[prompt + 1..][..n_gen as usize] {
            let began = Instant::now();
            rig.go_on(&[*token])?;
            seconds.push(began.elapsed().as_secs_f64());
            self.report.wrote();
        }
        Ok(median(seconds).unwrap_or_default())
    }

    /// Seconds for a step of several tokens behind the answer.
    fn step(&mut self, place: usize) -> Result<f64, LabError> {
        let rig = &mut self.contexts[place].rig;
        let mut fastest = f64::INFINITY;
        for _ in 0..STEPS {
            fastest = fastest.min(rig.time_step(GUESSED)?.1);
        }
        Ok(fastest)
    }
}
