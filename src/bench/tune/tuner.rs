//! Times settings with a real model.

use std::time::Instant;

use super::setting::{GUESSED, Part, Setting, Trial, Workload};
use crate::bench::stream::Stream;
use crate::engine::lab::{Lab, LabError, Making, Rig, Token};
use crate::engine::tuning::{UNDISTURBED, median, processor_seconds};
use crate::hardware::cores::{Crews, this_machine};
use crate::hardware::memory::Memory;

/// Prompts that may be timed; as long a one as takes no longer than this with the usual setting.
const PROMPTS: [u32; 4] = [512, 256, 128, 64];
const PROMPT_SECONDS: f64 = 4.0;
/// Tokens that are timed of an answer; as many as take no longer than this.
const ANSWERS: (u32, u32) = (4, 32);
const ANSWER_SECONDS: f64 = 1.5;
/// The whole answer, of which these are a sample, has a quarter of the prompt's tokens.
const ANSWER_PART: u32 = 4;
/// What is computed before a prompt is timed: threads that were asleep are awake then.
const WAKING: usize = 32;
/// Contexts are kept as long as so much memory is free; what uses several of them takes turns.
const LEAST_FREE: u64 = 1 << 30;

/// A model, contexts over it as the settings want them, and the text that is read.
pub struct Tuner<'lab> {
    lab: &'lab Lab,
    tokens: Vec<Token>,
    contexts: Vec<Made<'lab>>,
    workload: Workload,
    /// Tokens that are timed of an answer.
    answer: u32,
    seen: Vec<Seen>,
    /// The part of the processors' time that so many threads had, each time.
    shares: Vec<(u32, f64)>,
}

struct Made<'lab> {
    making: Making,
    rig: Rig<'lab>,
    crews: Crews,
}

/// Seconds for a token of a prompt and of an answer, guesses left aside.
struct Seen {
    setting: Setting,
    prompt: Option<f64>,
    token: Option<f64>,
}

impl<'lab> Tuner<'lab> {
    /// Warms the model up, and finds out how much of it can be timed.
    ///
    /// # Errors
    /// If there is not enough memory, it was stopped, or the model fails.
    pub fn new(lab: &'lab Lab, usual: Making) -> Result<Self, LabError> {
        let most = match lab.subject().trained_context {
            0 => u32::MAX,
            trained => trained.saturating_sub(ANSWERS.1 + 2 * GUESSED as u32),
        };
        let longest = PROMPTS.into_iter().find(|prompt| *prompt <= most).unwrap_or(PROMPTS[PROMPTS.len() - 1]);
        let tokens = Stream::of_all(lab, 1).take((longest + ANSWERS.1 + 1) as usize);
        let workload = Workload { prompt: longest, answer: longest / ANSWER_PART };
        let mut tuner = Self {
            lab,
            tokens,
            contexts: Vec::new(),
            workload,
            answer: ANSWERS.0,
            seen: Vec::new(),
            shares: Vec::new(),
        };
        let setting = Setting {
            crews: lab.crews(),
            batch: usual.batch,
            types: usual.types,
            guesses: false,
            flash_attention: usual.flash_attention,
        };
        let place = tuner.context(&setting)?;
        // Weights that come from the disk come now.
        tuner.prompt(place, WAKING)?;
        let token = tuner.prompt(place, WAKING)? / WAKING as f64;
        let is_short = |prompt: &u32| f64::from(*prompt) * token <= PROMPT_SECONDS;
        let fitting = PROMPTS.into_iter().filter(|prompt| *prompt <= longest).find(is_short);
        let prompt = fitting.unwrap_or(PROMPTS[PROMPTS.len() - 1]);
        tuner.workload = Workload { prompt, answer: prompt / ANSWER_PART };
        let token = tuner.answer_token(place, ANSWERS.0)?;
        tuner.answer = ((ANSWER_SECONDS / token.max(f64::MIN_POSITIVE)) as u32).clamp(ANSWERS.0, ANSWERS.1);
        Ok(tuner)
    }

    pub fn workload(&self) -> Workload {
        self.workload
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

    /// Times something once, in seconds.
    ///
    /// # Errors
    /// If there is not enough memory, it was stopped, or the model fails.
    pub fn time(&mut self, trial: &Trial) -> Result<f64, LabError> {
        let setting = &trial.setting;
        let place = self.context(setting)?;
        let (began, had) = (Instant::now(), processor_seconds());
        let mut seen = Seen { setting: *setting, prompt: None, token: None };
        let mut seconds = 0.0;
        let mut threads = setting.crews.prefill.threads;
        if trial.part != Part::Answer {
            let prompt = self.prompt(place, self.workload.prompt as usize)?;
            seen.prompt = Some(prompt / f64::from(self.workload.prompt));
            seconds += prompt;
        }
        if trial.part != Part::Prompt {
            let token = self.answer_token(place, self.answer)?;
            let step = match setting.guesses {
                true => Some(self.contexts[place].rig.time_step(GUESSED)?.1),
                false => None,
            };
            seen.token = Some(token);
            seconds += self.workload.answer_seconds(token, step);
            threads = if trial.part == Part::Answer { setting.crews.decode.threads } else { threads };
        }
        let most = this_machine().quota.unwrap_or(f64::MAX).min(f64::from(threads));
        self.shares.push((threads, (processor_seconds() - had) / (began.elapsed().as_secs_f64() * most)));
        self.seen.push(seen);
        Ok(seconds)
    }

    /// Tokens per second of prompts and of answers, as this setting was seen to compute them.
    pub fn speeds(&self, setting: &Setting) -> Option<(f64, f64)> {
        let of = |seconds: fn(&Seen) -> Option<f64>| {
            let same = self.seen.iter().filter(|seen| Setting { guesses: setting.guesses, ..seen.setting } == *setting);
            median(same.filter_map(seconds).collect()).map(|seconds| 1.0 / seconds)
        };
        Some((of(|seen| seen.prompt)?, of(|seen| seen.token)?))
    }

    /// Something else was computing meanwhile, so that it is no day to go by.
    pub fn is_disturbed(&self) -> bool {
        // One thread alone may have had its time where several had not.
        let of = |threads| self.shares.iter().filter(move |(of, _)| *of == threads).map(|(_, share)| *share);
        let mut medians = self.shares.iter().map(|(threads, _)| median(of(*threads).collect()));
        medians.any(|share| share.is_some_and(|share| share < UNDISTURBED))
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
                let cells = self.workload.prompt.max(self.tokens.len() as u32) + 2 * GUESSED as u32;
                let rig = self.lab.made_rig(cells, making)?;
                self.contexts.push(Made { making, rig, crews: self.lab.crews() });
                let place = self.contexts.len() - 1;
                // A new context is not warm.
                self.prompt(place, self.workload.prompt.min(batch) as usize)?;
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

    /// Seconds for a token of an answer behind the prompt, of so many.
    fn answer_token(&mut self, place: usize, count: u32) -> Result<f64, LabError> {
        let (prompt, rig) = (self.workload.prompt as usize, &mut self.contexts[place].rig);
        rig.fill(&self.tokens[..prompt], &|_| {})?;
        // Threads that were not there for the prompt are made for the first token.
        rig.go_on(&self.tokens[prompt..=prompt])?;
        let began = Instant::now();
        for token in &self.tokens[prompt + 1..][..count as usize] {
            rig.go_on(&[*token])?;
        }
        Ok(began.elapsed().as_secs_f64() / f64::from(count))
    }
}
