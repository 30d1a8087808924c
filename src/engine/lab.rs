//! The engine's door for measuring: a model, and contexts over it that are driven step by step in the caller's own
//! thread. What is computed is computed by the calls that answer a chat, so what is measured is what a chat gets.
//! Contexts with KV caches of different number formats may be there at once.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::context::Contents;
use super::draft::Drafting;
use super::eviction::WATCHED_ROWS;
use super::kv::{Checks, KvType, KvTypes, Unknown};
use super::llama::{self, Context, ContextSettings, LoadError, Model};
use super::memory;
use super::placing::{place, tried};
use super::probe::Verdict;
use super::profile::{self, Notes, Profile};
use super::protocol::{
    CancelFlag, Channel, EngineError, Evict, Finish, GenerateOptions, LoadSettings, Passage, Prompt, Speculate,
    SpeculationOptions, Step, Think,
};
use super::rates;
use super::repacking;
use super::session::{Go, Session};
use super::speculative::Speculator;
use super::tuning;
use super::worker;
use crate::chat::{Message, Sampling};
use crate::hardware::cores::{self, Crews};
use crate::models::fit::Curve;
use crate::models::{gguf, speeds};

pub use super::llama::{Format, Token, quantize};

/// The version of llama.cpp.
pub fn library_version() -> String {
    llama::version()
}

/// Why a measurement came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LabError {
    #[error("it was stopped")]
    Cancelled,
    #[error("{0}")]
    Engine(#[from] EngineError),
}

impl From<Unknown> for LabError {
    fn from(unknown: Unknown) -> Self {
        match unknown {
            Unknown::Cancelled => LabError::Cancelled,
            Unknown::Failed(words) => LabError::Engine(EngineError::Failed(words)),
        }
    }
}

/// What is known of the model that is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub path: PathBuf,
    /// What the person calls it, else what its file does.
    pub name: String,
    pub architecture: String,
    pub quantization: String,
    pub parameters: u64,
    /// Bytes of the weights.
    pub size: u64,
    /// Context length in training, in tokens; 0 if the file does not say.
    pub trained_context: u32,
    pub backend: String,
    /// Threads that compute an answer.
    pub threads: u32,
    /// Why so many, in words.
    pub threads_reason: String,
    /// The version of llama.cpp.
    pub library: String,
}

impl Subject {
    /// A line about it, and what it runs on.
    pub fn title(&self) -> String {
        let Self { name, architecture, quantization, threads, backend, .. } = self;
        let plural = if *threads == 1 { "" } else { "s" };
        format!("{name} ({architecture} {quantization}, {threads} thread{plural}, {backend})\n")
    }
}

/// How long the steps of loading a model took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening {
    /// The header read, and whether the model may and can be loaded.
    pub checks: Duration,
    /// The weights mapped, or copied where they are repacked.
    pub weights: Duration,
    /// They were mapped.
    pub is_mapped: bool,
}

/// A loaded model.
pub struct Lab {
    model: Model,
    subject: Subject,
    opening: Opening,
    crews: Crews,
    /// Tokens that a chat computes at once.
    batch: u32,
    threads_file: Option<PathBuf>,
    /// Where it is remembered which formats of the KV cache the model bears.
    checks_file: Option<PathBuf>,
    /// Where speeds are remembered, if these are the threads of a chat.
    speeds_file: Option<PathBuf>,
    drafting: Drafting,
    cancel: CancelFlag,
}

impl Lab {
    /// Loads a model, with the checks that a chat's model goes through. The flag stops this and whatever is computed
    /// with it.
    ///
    /// # Errors
    /// If the file is no model that can be used here, or it was stopped.
    pub fn open(settings: &LoadSettings, cancel: &CancelFlag) -> Result<Self, LabError> {
        let bad = |words: &str| LabError::Engine(EngineError::bad_model(&settings.path, words));
        let began = Instant::now();
        let header = gguf::read_header(&settings.path).map_err(|error| bad(&error.to_string()))?;
        let mut choice = place(&header, settings)?;
        let plan = memory::plan(&header, settings, &choice)?;
        choice.placement.as_stored =
            !repacking::choose(&header, settings, plan.has_room_to_repack, choice.is_on_gpu()).copies;
        match settings.probe.as_ref().map(|probe| probe.check(&settings.path, &[cancel])) {
            None | Some(Verdict::Good) => {}
            Some(Verdict::Bad(error)) => return Err(error.into()),
            Some(Verdict::Cancelled) => return Err(LabError::Cancelled),
        }
        let choice = tried(choice, settings, &[cancel]).ok_or(LabError::Cancelled)?;
        let flag = cancel.clone();
        let checks = began.elapsed();
        let load = Model::load(&settings.path, &choice.placement, move |_| !flag.is_cancelled());
        let model = load.map_err(|error| match error {
            LoadError::Cancelled => LabError::Cancelled,
            LoadError::NoStart(words) => LabError::Engine(EngineError::Failed(words)),
            LoadError::Refused(words) => bad(&words),
        })?;
        let weights = began.elapsed().saturating_sub(checks);
        let opening = Opening { checks, weights, is_mapped: choice.placement.as_stored };
        let chosen = tuning::choose(&model, settings, &choice.backend, &|_| {}, &[cancel])?;
        let file_name = || settings.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let subject = Subject {
            path: settings.path.clone(),
            name: settings.name.clone().or_else(|| header.name().map(str::to_owned)).unwrap_or_else(file_name),
            architecture: header.architecture().to_owned(),
            quantization: header.quantization(),
            parameters: model.parameters(),
            size: model.size(),
            trained_context: model.trained_context(),
            backend: choice.backend,
            threads: chosen.crews.decode.threads,
            threads_reason: chosen.reason,
            library: llama::version(),
        };
        let drafting = Drafting::load(settings, &model, &choice.placement, plan.mapped, [cancel, cancel]);
        let is_usual = settings.threads.is_none_or(|threads| threads == rates::default_threads());
        let batch = profile::recall(settings, &subject.backend).map_or(worker::BATCH, |profile| profile.batch());
        Ok(Self {
            model,
            subject,
            opening,
            crews: chosen.crews,
            batch,
            threads_file: settings.tuning.file.clone(),
            checks_file: settings.kv.checks.clone(),
            speeds_file: settings.speeds.clone().filter(|_| is_usual),
            drafting,
            cancel: cancel.clone(),
        })
    }

    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// How long it took to load.
    pub fn opening(&self) -> Opening {
        self.opening
    }

    /// Who computes, if nobody else is named.
    pub fn crews(&self) -> Crews {
        self.crews
    }

    /// Keeps what is the fastest with this model, for chats from now on; tells whether it could.
    pub fn remember_profile(&self, profile: Profile) -> bool {
        let (path, file) = (self.subject.path.as_path(), self.threads_file.as_deref());
        Notes { path, file, backend: &self.subject.backend, cpu: cores::this_machine() }.remember(profile);
        file.is_some()
    }

    /// Keeps how fast answers and prompts were seen to be, in tokens per second.
    pub fn remember_speed(&self, decode: f64, prefill: f64) {
        let Some(file) = &self.speeds_file else { return };
        let conditions = rates::conditions(rates::default_threads());
        speeds::remember(&self.subject.path, file, &conditions, decode, Some(prefill));
    }

    /// Whether the model answers as well with its KV cache in 8 bits as with 16, as far as can be told; `None` if it cannot
    /// have such a cache. It is tried, which takes seconds, unless it was before.
    ///
    /// # Errors
    /// If it was stopped.
    pub fn bears_eight_bits(&self) -> Result<Option<bool>, LabError> {
        let checks = Checks {
            model: &self.model,
            path: &self.subject.path,
            file: self.checks_file.as_deref(),
            backend: &self.subject.backend,
            crews: self.crews,
        };
        match checks.find(KvTypes::both(KvType::Q8), || {}, &[&self.cancel]) {
            Ok(outcome) => Ok(Some(outcome.is_good())),
            Err(Unknown::Failed(_)) => Ok(None),
            Err(Unknown::Cancelled) => Err(LabError::Cancelled),
        }
    }

    /// Keeps how long prompts and answers take, for chats and for `models show`; tells whether it could.
    pub fn remember_curve(&self, curve: &Curve) -> bool {
        let Some(file) = &self.speeds_file else { return false };
        speeds::remember_curve(&self.subject.path, file, &rates::conditions(rates::default_threads()), curve);
        true
    }

    /// The tokens of a text without any conversation around it, and none added before it.
    pub fn tokenize(&self, text: &str) -> Vec<Token> {
        self.model.tokenize(text, false)
    }

    /// The token that every text begins with, if the model wants one.
    pub fn begin_token(&self) -> Option<Token> {
        self.model.begin_token().filter(|_| self.model.adds_begin_token())
    }

    /// Whether a draft model was asked for.
    pub fn has_draft_model(&self) -> bool {
        self.drafting.describe().is_some()
    }

    /// Why the draft model that was asked for is not there.
    pub fn draft_problem(&self) -> Option<String> {
        self.drafting.describe()?.problem
    }

    /// An empty context of so many cells for whole answers, with the draft model or without.
    ///
    /// # Errors
    /// If there is not enough memory.
    pub fn chat(&self, cells: u32, with_draft_model: bool) -> Result<Rig<'_>, LabError> {
        let mut rig = self.rig(cells, KvTypes::default())?;
        if with_draft_model {
            let draft_model = self.drafting.open(&self.model, cells, self.crews);
            rig.session.speculator = Speculator::new(rig.is_on_gpu, draft_model);
        }
        Ok(rig)
    }

    /// An empty context of so many cells.
    ///
    /// # Errors
    /// If there is not enough memory, or the model cannot have such a cache.
    pub fn rig(&self, cells: u32, types: KvTypes) -> Result<Rig<'_>, LabError> {
        self.made_rig(cells, Making { types, batch: self.batch, flash_attention: true })
    }

    /// The same, made in another way.
    ///
    /// # Errors
    /// As [`Lab::rig`].
    pub fn made_rig(&self, cells: u32, making: Making) -> Result<Rig<'_>, LabError> {
        let Making { types, batch, flash_attention } = making;
        let settings = ContextSettings { cells, crews: self.crews, batch, types, sequences: 1 };
        let made = match flash_attention {
            true => Context::new(&self.model, settings),
            false => Context::without_flash_attention(&self.model, settings),
        };
        let context = made.map_err(|words| {
            EngineError::NotEnoughMemory(format!(
                "llama.cpp could not make a {types} cache of {cells} tokens ({words}); try smaller ones with `--lengths` and `--depths`, or leave it out with `--policies`"
            ))
        })?;
        let mut session = Session::new(&self.model, context, None);
        let is_on_gpu = self.subject.backend != "CPU";
        session.speculator = Speculator::new(is_on_gpu, None);
        let mut rig = Rig { session, cancel: &self.cancel, watches: false, is_on_gpu };
        rig.limit(Limits::default());
        Ok(rig)
    }
}

/// How a context is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Making {
    /// Number formats of the KV cache.
    pub types: KvTypes,
    /// Most tokens that are computed at once.
    pub batch: u32,
    pub flash_attention: bool,
}

/// How much of a context may be used, and what happens when that is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub evict: Evict,
    /// `None` for all.
    pub most_cells: Option<usize>,
    /// Whether evicted text is brought back that a question seems to be about.
    pub recall: bool,
}

impl Default for Limits {
    /// All cells, and nothing is evicted.
    fn default() -> Self {
        Self { evict: Evict::Off, most_cells: None, recall: false }
    }
}

/// What a cache held.
#[derive(Clone, Debug)]
pub struct Kept {
    state: Vec<u8>,
    contents: Contents,
    /// What was seen of the attention to each cell.
    attention: Vec<f32>,
}

impl Kept {
    /// What the cells in use take, with llama.cpp's few bytes about each of them.
    pub fn bytes(&self) -> usize {
        self.state.len()
    }

    /// Cells in use.
    pub fn cells(&self) -> usize {
        self.contents.cells()
    }
}

/// An answer as it was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub text: String,
    /// What was brought back of the text that had been evicted.
    pub recalled: Vec<Passage>,
}

/// A context that is filled, compressed and asked by hand.
pub struct Rig<'lab> {
    session: Session<'lab>,
    cancel: &'lab CancelFlag,
    watches: bool,
    is_on_gpu: bool,
}

impl Rig<'_> {
    /// The tokens of a conversation as the model is to see it.
    ///
    /// # Errors
    /// If the model's chat template fails.
    pub fn tokens_of(&mut self, messages: &[Message]) -> Result<Vec<Token>, LabError> {
        let prompt = Prompt { chat: None, messages: messages.to_vec() };
        Ok(self.session.take_up(&prompt, Think::Off)?.1)
    }

    /// The most tokens that are computed in one go.
    pub fn most_at_once(&self) -> usize {
        self.session.context.batch_size()
    }

    /// Has others compute from now on.
    pub fn set_crews(&mut self, crews: Crews) {
        self.session.context.set_crews(crews);
    }

    /// Whether single cells can be given up.
    pub fn can_evict(&self) -> bool {
        self.session.context.can_evict()
    }

    /// Sets the limits for what comes.
    pub fn limit(&mut self, limits: Limits) {
        self.session.eviction.policy = limits.evict;
        self.session.eviction.most_cells = limits.most_cells;
        self.session.no_recall = !limits.recall;
    }

    /// Sees from now on what the last rows of every part of a text attend to while it is computed, as a chat does whose
    /// cache fills up.
    pub fn watch(&mut self) {
        self.watches = true;
    }

    /// Fills the cache with these tokens, as far as they are not there yet; `progress` is told how many are.
    ///
    /// # Errors
    /// If they are too many, it was stopped, or the model fails.
    pub fn fill(&mut self, tokens: &[Token], progress: &dyn Fn(usize)) -> Result<(), LabError> {
        self.limit(Limits::default());
        let mut done = self.session.reuse(tokens);
        for chunk in tokens[done..].chunks(self.session.context.batch_size()) {
            progress(done);
            if self.watches {
                self.session.context.watch(WATCHED_ROWS, done + chunk.len());
            }
            let go = self.session.decode(chunk, &[self.cancel])?;
            self.check(go, chunk.len())?;
            self.session.learn();
            done += chunk.len();
        }
        Ok(())
    }

    /// Begins a turn of a conversation whose beginning is in the cache: its last message is the question.
    ///
    /// # Errors
    /// If the model's chat template fails.
    pub fn begin_turn(&mut self, messages: &[Message]) -> Result<(), LabError> {
        self.tokens_of(messages).map(drop)
    }

    /// Sees what the question of the turn attends to.
    ///
    /// # Errors
    /// As [`Rig::fill`].
    pub fn observe_question(&mut self) -> Result<(), LabError> {
        let question = self.session.eviction.question().to_vec();
        let go = self.session.observe_question(&question)?;
        self.check(go, question.len())
    }

    /// Evicts what is least important until at most so many cells are in use, but for those that never leave.
    ///
    /// # Errors
    /// If the cache cannot be made smaller.
    pub fn evict_to(&mut self, policy: Evict, cells: usize) -> Result<(), LabError> {
        self.limit(Limits { evict: policy, most_cells: Some(cells), recall: false });
        Ok(self.session.evict_to(cells)?)
    }

    /// Computes tokens behind what is in the cache, in one go and within the limits; gives the logits of what may
    /// follow the last of them.
    ///
    /// # Errors
    /// As [`Rig::fill`].
    pub fn go_on(&mut self, tokens: &[Token]) -> Result<&[f32], LabError> {
        let go = self.session.extend(tokens, &[self.cancel])?;
        self.check(go, tokens.len())?;
        Ok(self.session.context.logits())
    }

    /// Takes down what the cache holds.
    ///
    /// # Errors
    /// If llama.cpp cannot, or memory is short.
    pub fn keep(&self) -> Result<Kept, LabError> {
        let state = self.session.context.state(u64::MAX).ok_or_else(|| {
            EngineError::NotEnoughMemory(
                "a KV cache could not be copied aside; try smaller ones with `--lengths` and `--depths`".into(),
            )
        })?;
        let ledger = &self.session.ledger;
        let attention = ledger.contents().held.tokens().map(|token| ledger.attention()[token]).collect();
        Ok(Kept { state, contents: ledger.contents().clone(), attention })
    }

    /// Makes the cache hold what it held, without holes.
    ///
    /// # Errors
    /// If llama.cpp does not take it.
    pub fn put_back(&mut self, kept: &Kept) -> Result<(), LabError> {
        if !self.session.context.set_state(&kept.state) {
            self.session.ledger.truncate(0);
            let sentence =
                "llama.cpp did not take back a KV cache that it gave; leave the policy out with `--policies`";
            return Err(EngineError::Failed(sentence.into()).into());
        }
        self.session.ledger.replace(kept.contents.clone());
        self.session.ledger.observed(&kept.attention);
        Ok(())
    }

    /// The greedy answer to a conversation, as a chat would give it within the limits, one token after the other.
    ///
    /// # Errors
    /// If the conversation is too long, it was stopped, or the model fails.
    pub fn answer(&mut self, messages: &[Message], most_tokens: u32) -> Result<Answer, LabError> {
        let options = GenerateOptions {
            sampling: Sampling { temperature: 0.0, ..Sampling::default() },
            max_tokens: Some(most_tokens),
            think: Think::Off,
            speculation: SpeculationOptions { by: Speculate::Off, ..SpeculationOptions::default() },
            ..GenerateOptions::default()
        };
        Ok(self.ask(messages, &options)?.0)
    }

    /// The answer to a conversation as a chat would give it within the limits, and what it cost.
    ///
    /// # Errors
    /// As [`Rig::answer`].
    pub fn ask(&mut self, messages: &[Message], options: &GenerateOptions) -> Result<(Answer, Finish), LabError> {
        let prompt = Prompt { chat: None, messages: messages.to_vec() };
        let answer = std::cell::RefCell::new(Answer::default());
        let listen = |step: Step| {
            match step {
                Step::Token(piece) if piece.channel == Channel::Answer => {
                    answer.borrow_mut().text.push_str(&piece.text);
                }
                Step::Recalled(passages) => answer.borrow_mut().recalled = passages,
                _ => {}
            }
            true
        };
        let finish = self.session.answer(&prompt, options, &[self.cancel], &listen)?;
        if self.cancel.is_cancelled() {
            return Err(LabError::Cancelled);
        }
        Ok((answer.into_inner(), finish))
    }

    /// How many seconds one token takes behind what is in the cache, and so many at once. What is in the cache stays as it
    /// is.
    ///
    /// # Errors
    /// If it was stopped, or the model cannot take tokens back.
    pub fn time_step(&mut self, tokens: usize) -> Result<(f64, f64), LabError> {
        match self.session.time_size(tokens, &[self.cancel]) {
            Some(times) => Ok(times),
            None if self.cancel.is_cancelled() => Err(LabError::Cancelled),
            None => Err(EngineError::Failed("steps of several tokens cannot be timed with this model".into()).into()),
        }
    }

    /// Times the steps that are not known yet, as a chat does while nobody waits.
    pub fn time_steps(&mut self) {
        while self.session.time_a_step(&[self.cancel]) {}
    }

    /// How long steps of several tokens were seen to take beside one of one, by their tokens, at so many cells in use.
    pub fn step_ratios(&self, cells: usize) -> Vec<(usize, f64)> {
        self.session.speculator.step_ratios(cells)
    }

    /// Forgets what was learned of drafts and of the times of steps.
    pub fn forget_drafts(&mut self) {
        self.session.speculator = Speculator::new(self.is_on_gpu, None);
    }

    fn check(&self, go: Go, more: usize) -> Result<(), LabError> {
        match go {
            Go::On => Ok(()),
            Go::Cancelled => Err(LabError::Cancelled),
            Go::Full => {
                let needed = self.session.ledger.next_position().saturating_add(more as u32);
                Err(EngineError::ContextFull { needed, cells: self.session.context.cells() }.into())
            }
        }
    }
}
