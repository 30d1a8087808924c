//! Loading a model: from a file and what was asked for to weights where they are best, and a context over them.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use super::Sink;
use super::backend::Choice;
use super::draft::Drafting;
use super::kv::{self, Checks, Key, KvRoom, KvType, KvTypes, Shape, Situation, Snapshots, Unknown, Wish};
use super::llama::{self, Context, ContextSettings, LoadError, Model, Placement};
use super::memory::{self, Plan};
use super::placing::{place, place_after, tried};
use super::probe::Verdict;
use super::profile::{self, Profile};
use super::protocol::{
    CancelFlag, DeviceInfo, EngineError, Event, KvInfo, LoadPart, LoadSettings, ModelInfo, RequestId, Step, Trial,
};
use super::rates;
use super::repacking;
use super::rereading::Sizes;
use super::rpc;
use super::session::Session;
use super::speculative::{Speculator, TimesFile};
use super::tuning;
use super::unchanged::Unchanged;
use super::worker::{BATCH, Desk};
use crate::hardware::cores::{self, CoreChoice};
use crate::hardware::limits;
use crate::models::fit::Curve;
use crate::models::{gguf, speeds};

/// Sequences of a model with recurrent layers.
const MOST_RECURRENT: u32 = 9;

/// What loading takes, part by part.
pub(super) struct Parts {
    last: Instant,
    pub done: Vec<LoadPart>,
}

impl Parts {
    pub fn begin() -> Self {
        Self { last: Instant::now(), done: Vec::new() }
    }

    /// What was begun with the last call has ended.
    pub fn push(&mut self, what: &'static str) {
        let now = Instant::now();
        self.done.push(LoadPart { what, ms: (now - self.last).as_secs_f64() * 1000.0 });
        self.last = now;
    }

    pub fn total_ms(&self) -> f64 {
        self.done.iter().map(|part| part.ms).sum()
    }
}

/// The last event of a load that came to nothing.
pub(super) type Last = Box<Step>;

/// Why a model is not loaded.
pub(super) enum NotLoaded {
    Last(Last),
    /// The device had no room for it, and this is where to try next.
    NoRoom(Box<Choice>),
}

impl NotLoaded {
    fn failed(error: EngineError) -> Self {
        Self::Last(Box::new(Step::Failed(error)))
    }

    fn cancelled() -> Self {
        Self::Last(Box::new(Step::Cancelled))
    }
}

/// A model and how it was placed.
pub(super) struct Loaded {
    pub model: Model,
    pub header: gguf::Header,
    pub choice: Choice,
    pub plan: Plan,
    pub order: repacking::Choice,
    pub files: Unchanged,
    cores: CoreChoice,
    /// What was found to be the fastest with this model, if that was looked for.
    profile: Option<Profile>,
    /// Why the device has no room for a context.
    pub no_room: RefCell<Option<String>>,
}

impl Loaded {
    /// Checks the file and the memory, then loads: at the place that is left, else where it is best.
    pub fn load<S: Sink>(
        desk: &Desk<S>,
        id: RequestId,
        cancel: &CancelFlag,
        settings: &LoadSettings,
        left: Option<Choice>,
        parts: &mut Parts,
    ) -> Result<Self, NotLoaded> {
        cores::unpin();
        let files = Unchanged::since_now(settings);
        let header = gguf::read_header(&settings.path)
            .map_err(|error| NotLoaded::failed(EngineError::bad_model(&settings.path, &error.to_string())))?;
        parts.push("header");
        check_threads(settings.threads).map_err(NotLoaded::failed)?;
        let is_first = left.is_none();
        let choice = match left {
            Some(choice) => choice,
            None => place(&header, settings).map_err(NotLoaded::failed)?,
        };
        parts.push("devices");
        let flags = [cancel, &desk.shutdown];
        let (choice, plan, order) = check_place(choice, &header, settings, &flags)?;
        parts.push("check");
        let loaded = weights(desk, id, cancel, &settings.path, &choice.placement);
        let model = loaded.map_err(|error| match error {
            LoadError::Cancelled => NotLoaded::cancelled(),
            LoadError::NoStart(words) => NotLoaded::failed(EngineError::Failed(words)),
            LoadError::Refused(_) if let Some(sentence) = rpc::lost() => {
                NotLoaded::failed(EngineError::Failed(sentence))
            }
            LoadError::Refused(words) if choice.is_on_gpu() => {
                NotLoaded::NoRoom(Box::new(place_after(&choice, &header, is_first, &words)))
            }
            LoadError::Refused(words) => NotLoaded::failed(EngineError::bad_model(&settings.path, &words)),
        })?;
        rpc::check().map_err(NotLoaded::failed)?;
        parts.push("weights");
        let tell = |threads| {
            desk.send(id, Step::Trying(Trial::Threads(threads)));
        };
        let cores = tuning::choose(&model, settings, &choice.backend, &tell, &flags)
            .map_err(|error| NotLoaded::Last(unknown(error)))?;
        parts.push("threads");
        tracing::info!(crews = ?cores.crews, reason = cores.reason, "chose the threads");
        let profile = profile::recall(settings, &choice.backend);
        let no_room = RefCell::new(None);
        Ok(Self { model, header, choice, plan, order, files, cores, profile, no_room })
    }

    /// Where the model goes that guesses for this one: to the device that holds all of this one, else to the CPU.
    pub fn place_of_draft(&self) -> Placement {
        let placement = &self.choice.placement;
        let is_whole = placement.gpu_layers.is_some_and(|layers| layers > self.model.layers());
        if !is_whole || placement.experts_on_cpu > 0 {
            return Placement::cpu();
        }
        Placement { gpu_layers: None, ..placement.clone() }
    }

    /// What there is for the KV cache. If that is all of it on a device with memory of its own, it is what the weights left
    /// there.
    fn kv_room(&self) -> KvRoom {
        if !self.choice.is_all_in_own_memory {
            return self.plan.kv;
        }
        let mut devices = llama::devices();
        devices.retain(|device| self.choice.placement.devices.contains(&device.index) && device.total_bytes > 0);
        if devices.is_empty() {
            return KvRoom::UNLIMITED;
        }
        KvRoom::of_free(devices.iter().fold(0, |sum: u64, device| sum.saturating_add(device.free_bytes)))
    }

    /// Makes the context and what is around it. The error is the request's last event.
    pub fn open<'s>(
        &'s self,
        settings: &LoadSettings,
        drafting: &'s Drafting,
        tell_trial: &dyn Fn(KvTypes),
        [cancel, shutdown]: [&CancelFlag; 2],
    ) -> Result<(Session<'s>, kv::Choice), Last> {
        let chosen = self.choose_types(settings, tell_trial, &[cancel, shutdown])?;
        let mut session =
            self.session(settings, chosen.types, shutdown).map_err(|error| Box::new(Step::Failed(error)))?;
        let draft_model = drafting.open(&self.model, session.context.cells(), self.cores.crews);
        session.speculator = Speculator::new(self.choice.backend != "CPU", draft_model);
        if self.profile.is_some_and(|profile| profile.advises_against_guesses()) {
            session.speculator.leave_out();
        }
        if let Some(file) = &settings.step_times {
            session.speculator.keep_times(TimesFile {
                model: settings.path.clone(),
                file: file.clone(),
                version: kv::version(),
                conditions: format!(
                    "{}{}",
                    self.checks(settings).conditions(chosen.types),
                    if self.order.copies { "" } else { " as stored" }
                ),
            });
        }
        Ok((session, chosen))
    }

    /// Decides on the number formats of the KV cache.
    fn choose_types(
        &self,
        settings: &LoadSettings,
        tell_trial: &dyn Fn(KvTypes),
        cancel: &[&CancelFlag],
    ) -> Result<kv::Choice, Last> {
        let wish = self.wish(settings);
        let situation = Situation {
            shape: Shape::of(&self.model),
            backend: &self.choice.backend,
            tokens: wish.tokens(),
            least: settings.context.unwrap_or(kv::LEAST_CONTEXT).min(wish.tokens()),
            bytes: wish.bytes(self.kv_room()),
        };
        let checks = self.checks(settings);
        let chosen = match settings.kv.types {
            Some(types) => situation
                .asked_for(types, checks.recall(types))
                .map_err(|sentence| Box::new(Step::Failed(EngineError::Failed(sentence))))?,
            None => {
                // What could hold no conversation however it is rounded need not be tried.
                let has_room = |types| wish.cells(situation.shape.bytes_per_cell(types), self.kv_room());
                if has_room(KvTypes::both(KvType::Q4)).is_err() {
                    let hopeful = situation.hopeful(|types| checks.recall(types));
                    has_room(hopeful).map_err(|error| Box::new(Step::Failed(error)))?;
                }
                let trial_bytes = |types| {
                    let cell = |types| situation.shape.bytes_per_cell(types);
                    checks.bytes(cell(KvTypes::default()), cell(types))
                };
                let chosen = situation.best(|types| match checks.recall(types) {
                    Some(known) => Ok(known),
                    None if trial_bytes(types) > self.plan.kv.most => Err(Unknown::Failed("memory is short".into())),
                    None => checks.find(types, || tell_trial(types), cancel),
                });
                let fastest = self.profile.and_then(|profile| profile.types);
                situation.tuned(chosen.map_err(unknown)?, fastest)
            }
        };
        tracing::info!(types = %chosen.types, reason = chosen.reason, "chose the format of the KV cache");
        Ok(chosen)
    }

    fn checks<'s>(&'s self, settings: &'s LoadSettings) -> Checks<'s> {
        Checks {
            model: &self.model,
            path: &settings.path,
            file: settings.kv.checks.as_deref(),
            backend: &self.choice.backend,
            crews: self.cores.crews,
        }
    }

    fn wish(&self, settings: &LoadSettings) -> Wish {
        // What the place was chosen for.
        let counted = self.choice.cells.filter(|_| settings.kv.most_bytes.is_none());
        let wish = Wish::of(settings, self.model.trained_context());
        Wish { context: wish.context.or(counted), ..wish }
    }

    fn session(
        &self,
        settings: &LoadSettings,
        types: KvTypes,
        shutdown: &CancelFlag,
    ) -> Result<Session<'_>, EngineError> {
        let bytes_per_cell = Shape::of(&self.model).bytes_per_cell(types);
        let cells = self.wish(settings).cells(bytes_per_cell, self.kv_room())?;
        // What has tried something on this thread may have held it to some cores; who writes snapshots is not of the crew.
        cores::unpin();
        let snapshots = self.snapshots(settings, types, shutdown);
        let crews = self.cores.crews;
        // The state of a recurrent layer is one for each sequence, and large.
        let sequences = settings.expected.map_or(1, |expected| match self.model.is_recurrent() {
            true => expected.lanes.saturating_add(1).min(MOST_RECURRENT),
            false => expected.sequences(),
        });
        let batch = self.batch();
        let context =
            Context::new(&self.model, ContextSettings { cells, crews, batch, types, sequences }).map_err(|words| {
                if self.choice.is_on_gpu() {
                    self.no_room.replace(Some(words.clone()));
                }
                EngineError::NotEnoughMemory(format!(
                    "llama.cpp could not make a context of {cells} tokens ({words}); try a smaller one with `--ctx`"
                ))
            })?;
        let mut session = Session::new(&self.model, context, snapshots);
        session.eviction.policy = settings.kv.evict;
        session.sizes = Sizes { mapped: self.plan.mapped, cell: bytes_per_cell, ..session.sizes };
        session.no_recall = settings.kv.no_recall;
        session.speed.follow(self.curve(settings));
        Ok(session)
    }

    /// Tokens that are computed at once.
    fn batch(&self) -> u32 {
        self.profile.map_or(BATCH, |profile| profile.batch())
    }

    /// How long prompts take with this model, if `tuichat bench --suite fit` measured it under these conditions.
    fn curve(&self, settings: &LoadSettings) -> Option<Curve> {
        let file = settings.speeds.as_ref().filter(|_| self.choice.backend == "CPU" && self.order.copies)?;
        let usual = rates::default_threads();
        let is_usual = settings.threads.is_none_or(|threads| threads == usual);
        if is_usual { speeds::recall_curve(&settings.path, file, &rates::conditions(usual)) } else { None }
    }

    fn snapshots(&self, settings: &LoadSettings, types: KvTypes, shutdown: &CancelFlag) -> Option<Snapshots> {
        let key = Key {
            model: settings.path.clone(),
            template: self.model.chat_template().unwrap_or_default(),
            types: format!("{} {}", types.k.as_str(), types.v.as_str()),
            library: llama::version(),
        };
        let opened = Snapshots::open(settings.snapshots.clone()?, key, shutdown.clone());
        opened.inspect_err(|error| tracing::warn!(%error, "there are no snapshots in this run")).ok()
    }

    pub fn describe(&self, session: &Session<'_>, settings: &LoadSettings, chosen: kv::Choice) -> ModelInfo {
        let file_name = || settings.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let cells = session.context.cells();
        ModelInfo {
            name: settings.name.clone().or_else(|| self.header.name().map(str::to_owned)).unwrap_or_else(file_name),
            path: settings.path.clone(),
            server: None,
            quantization: Some(self.header.quantization()),
            parameters: Some(self.model.parameters()),
            size: Some(self.model.size()),
            trained_context: Some(self.model.trained_context()),
            has_template: session.template.is_some(),
            load_ms: 0.0,
            load_parts: Vec::new(),
            kv: Some(KvInfo {
                type_k: chosen.types.k.as_str().into(),
                type_v: chosen.types.v.as_str().into(),
                cells,
                bytes: u64::from(cells) * Shape::of(&self.model).bytes_per_cell(chosen.types),
                policy: session.policy().into(),
                reason: chosen.reason,
            }),
            device: Some(DeviceInfo {
                backend: self.choice.backend.clone(),
                name: self.choice.name.clone(),
                gpu_layers: self.choice.placement.gpu_layers.unwrap_or(0),
                threads: self.cores.crews.decode.threads,
                prefill_threads: self.cores.crews.prefill.threads,
                cores: self.cores.crews.decode.cores.to_string(),
                reason: self.choice.reason.clone(),
                repacked: self.order.copies,
                repack_reason: self.order.reason.clone(),
                cores_reason: self.cores.reason.clone(),
                batch: session.context.batch_size() as u32,
                batch_reason: match self.profile.and_then(|profile| profile.batch) {
                    Some(_) => format!("the fastest of those that {} tried with this model", profile::SOURCE),
                    None => "as usual".into(),
                },
                notice: self.choice.notice.clone(),
                elsewhere: settings.device.elsewhere().map(str::to_owned),
            }),
            draft: None,
        }
    }
}

/// Whether the system has as many threads as will compute.
fn check_threads(wish: Option<u32>) -> Result<(), EngineError> {
    let crews = cores::this_machine().choose(wish).crews;
    let threads = crews.decode.threads.max(crews.prefill.threads);
    if limits::can_start(threads as usize) {
        return Ok(());
    }
    Err(EngineError::Failed(format!(
        "the system does not let tuichat start the {threads} threads that compute: close other programs, or type \
         `--threads 1`"
    )))
}

/// Whether the model can be where it was placed, by the memory and by trials of the file and the device. Gives where it
/// goes in the end, the memory there, and the order of its weights.
fn check_place(
    choice: Choice,
    header: &gguf::Header,
    settings: &LoadSettings,
    cancel: &[&CancelFlag],
) -> Result<(Choice, Plan, repacking::Choice), NotLoaded> {
    memory::plan(header, settings, &choice).map_err(NotLoaded::failed)?;
    match settings.probe.as_ref().map(|probe| probe.check(&settings.path, cancel)) {
        None | Some(Verdict::Good) => {}
        Some(Verdict::Bad(error)) => return Err(NotLoaded::failed(error)),
        Some(Verdict::Cancelled) => return Err(NotLoaded::cancelled()),
    }
    // What is computed where may be another after the trial.
    let mut choice = tried(choice, settings, cancel).ok_or_else(NotLoaded::cancelled)?;
    let plan = memory::plan(header, settings, &choice).map_err(NotLoaded::failed)?;
    let order = repacking::choose(header, settings, plan.has_room_to_repack, choice.is_on_gpu());
    choice.placement.as_stored = !order.copies;
    tracing::info!(backend = choice.backend, reason = choice.reason, "chose where the model runs");
    Ok((choice, plan, order))
}

/// Loads the weights, saying how much of them is there.
fn weights<S: Sink>(
    desk: &Desk<S>,
    id: RequestId,
    cancel: &CancelFlag,
    path: &Path,
    placement: &Placement,
) -> Result<Model, LoadError> {
    let sink = Rc::clone(&desk.sink);
    let listened_to = Rc::clone(&desk.listened_to);
    let flags = [cancel, &desk.shutdown].map(Clone::clone);
    let progress = move |part| {
        listened_to.set(listened_to.get() && sink.send(Event { id, step: Step::Loading(part) }));
        listened_to.get() && !flags.iter().any(CancelFlag::is_cancelled)
    };
    Model::load(path, placement, progress)
}

/// The last event of a load, if trying something came to nothing.
fn unknown(unknown: Unknown) -> Last {
    Box::new(match unknown {
        Unknown::Cancelled => Step::Cancelled,
        Unknown::Failed(words) => Step::Failed(EngineError::Failed(words)),
    })
}
