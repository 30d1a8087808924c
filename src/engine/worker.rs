//! The engine's thread: one function per llama.cpp lifetime. [`serve`] holds the channel, [`with_model`] a model and
//! its context; both end with the request that they cannot answer themselves.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::Sink;
use super::backend::Choice;
use super::draft::Drafting;
use super::kv::{self, Checks, Key, KvRoom, KvType, KvTypes, Shape, Situation, Snapshots, Unknown, Wish};
use super::llama::{self, Context, ContextSettings, LoadError, Model, Placement};
use super::memory::{self, Plan};
use super::placing::{place, place_after, tried};
use super::probe::Verdict;
use super::protocol::{
    CancelFlag, DeviceInfo, EngineError, Event, KvInfo, LoadPart, LoadSettings, ModelInfo, Request, RequestId, Step,
    Trial, Work,
};
use super::rates;
use super::repacking;
use super::rereading::Sizes;
use super::session::Session;
use super::speculative::{Speculator, TimesFile};
use super::tuning;
use crate::chat::Stats;
use crate::hardware::cores::{self, CoreChoice};
use crate::models::{gguf, speeds};

/// Tokens computed in one call of the model. Larger ones are no faster on a CPU, and progress is told between them.
pub(super) const BATCH: u32 = 512;

/// Where nothing was asked for so long, nobody waits.
const QUIET: Duration = Duration::from_millis(200);

/// Answers requests until their sender is gone or nobody listens.
pub(super) fn serve(requests: Receiver<Request>, shutdown: CancelFlag, sink: impl Sink) {
    let desk = Desk { requests, shutdown, sink: Rc::new(sink), listened_to: Rc::new(Cell::new(true)) };
    let mut next = desk.next();
    while let Some(request) = next {
        next = match request.work {
            Work::Load(settings) => with_model(&desk, request.id, &request.cancel, &settings),
            Work::Plan(..) | Work::Prefill(..) | Work::Generate(..) => {
                desk.send(request.id, Step::Failed(EngineError::NoModel));
                desk.next()
            }
            Work::Snapshot | Work::Forget(_) | Work::TimeSteps => {
                desk.send(request.id, Step::Done);
                desk.next()
            }
            Work::Unload => {
                desk.send(request.id, Step::Unloaded);
                desk.next()
            }
        };
    }
}

/// Where requests come in and events go out.
struct Desk<S> {
    requests: Receiver<Request>,
    shutdown: CancelFlag,
    sink: Rc<S>,
    listened_to: Rc<Cell<bool>>,
}

impl<S: Sink> Desk<S> {
    /// The next request; `None` when there will be none.
    fn next(&self) -> Option<Request> {
        if self.shutdown.is_cancelled() || !self.listened_to.get() {
            return None;
        }
        self.requests.recv().ok()
    }

    /// The next request. As long as none comes, nobody waits: that is when steps are timed.
    fn next_or_time_steps(&self, session: &mut Session<'_>) -> Option<Request> {
        loop {
            match self.requests.recv_timeout(QUIET) {
                Ok(request) => return (!self.shutdown.is_cancelled() && self.listened_to.get()).then_some(request),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    let is_one_left = session.time_a_step(&[&self.shutdown]);
                    if !is_one_left {
                        session.speculator.write_times();
                        return self.next();
                    }
                }
            }
        }
    }

    fn send(&self, id: RequestId, step: Step) -> bool {
        if !self.sink.send(Event { id, step }) {
            self.listened_to.set(false);
        }
        self.listened_to.get()
    }
}

/// Loads a model and answers with it, until a request that needs another model or none.
fn with_model<S: Sink>(desk: &Desk<S>, id: RequestId, cancel: &CancelFlag, settings: &LoadSettings) -> Option<Request> {
    let mut parts = Parts::begin();
    let mut left = None;
    loop {
        match with_model_at(desk, id, cancel, settings, left.take(), &mut parts) {
            Ok(next) => return next,
            Err(choice) => left = Some(*choice),
        }
    }
}

/// The same, where it is best, or at a place that is left after another had no room. The error is where to try next.
fn with_model_at<S: Sink>(
    desk: &Desk<S>,
    id: RequestId,
    cancel: &CancelFlag,
    settings: &LoadSettings,
    left: Option<Choice>,
    parts: &mut Parts,
) -> Result<Option<Request>, Box<Choice>> {
    let is_first = left.is_none();
    let loaded = match Loaded::load(desk, id, cancel, settings, left, parts) {
        Ok(loaded) => loaded,
        Err(NotLoaded::NoRoom(next)) => return Err(next),
        Err(NotLoaded::Last(last)) => {
            desk.send(id, *last);
            return Ok(desk.next());
        }
    };
    let tell_trial = |types| {
        desk.send(id, Step::Trying(Trial::Kv(types)));
    };
    let flags = [cancel, &desk.shutdown];
    let drafting = Drafting::load(settings, &loaded.model, &loaded.place_of_draft(), loaded.plan.mapped, flags);
    if drafting.describe().is_some() {
        parts.push("draft model");
    }
    let (mut session, chosen) = match loaded.open(settings, &drafting, &tell_trial, flags) {
        Ok(opened) => opened,
        Err(last) => {
            if let Some(words) = loaded.no_room.take() {
                return Err(Box::new(place_after(&loaded.choice, &loaded.header, is_first, &words)));
            }
            desk.send(id, *last);
            return Ok(desk.next());
        }
    };
    parts.push("context");
    let mut info = loaded.describe(&session, settings, chosen);
    info.draft = drafting.describe();
    info.load_ms = parts.total_ms();
    info.load_parts = std::mem::take(&mut parts.done);
    desk.send(id, Step::Ready(Box::new(info)));
    loop {
        let Some(request) = desk.next_or_time_steps(&mut session) else { return Ok(None) };
        match request.work {
            Work::Generate(prompt, options) => {
                let flags = [&request.cancel, &desk.shutdown];
                let answered = session.answer(&prompt, &options, &flags, &|step| desk.send(request.id, step));
                match &answered {
                    // What the disk takes is not the speed of this machine.
                    Ok(finish) if finish.stats.is_reread => session.speculator.keep_no_times(),
                    Ok(finish) => remember_speed(settings, &loaded, &finish.stats),
                    Err(_) => {}
                }
                desk.send(request.id, answered.map_or_else(Step::Failed, Step::Finished));
                session.speculator.write_times();
            }
            Work::Plan(prompt, think) => {
                let planned = session.plan(&prompt, think);
                desk.send(request.id, planned.map_or_else(Step::Failed, |cost| Step::Planned(Box::new(cost))));
            }
            Work::Prefill(prompt, think) => {
                let flags = [&request.cancel, &desk.shutdown];
                let planned = session.prefill_ahead(&prompt, think, &flags, &|step| desk.send(request.id, step));
                desk.send(request.id, planned.map_or_else(Step::Failed, |cost| Step::Planned(Box::new(cost))));
            }
            Work::Snapshot => {
                session.snapshot();
                desk.send(request.id, Step::Done);
            }
            Work::Forget(chat) => {
                session.forget(chat);
                desk.send(request.id, Step::Done);
            }
            Work::TimeSteps => {
                let flags = [&request.cancel, &desk.shutdown];
                while session.speculator.keeps_times() && session.time_a_step(&flags) {}
                session.speculator.write_times();
                desk.send(request.id, Step::Done);
            }
            Work::Load(_) => return Ok(Some(request)),
            Work::Unload => {
                drop(session);
                drop((loaded, drafting));
                desk.send(request.id, Step::Unloaded);
                return Ok(desk.next());
            }
        }
    }
}

/// What loading takes, part by part.
struct Parts {
    last: Instant,
    done: Vec<LoadPart>,
}

impl Parts {
    fn begin() -> Self {
        Self { last: Instant::now(), done: Vec::new() }
    }

    /// What was begun with the last call has ended.
    fn push(&mut self, what: &'static str) {
        let now = Instant::now();
        self.done.push(LoadPart { what, ms: (now - self.last).as_secs_f64() * 1000.0 });
        self.last = now;
    }

    fn total_ms(&self) -> f64 {
        self.done.iter().map(|part| part.ms).sum()
    }
}

/// The last event of a load that came to nothing.
type Last = Box<Step>;

/// Why a model is not loaded.
enum NotLoaded {
    Last(Last),
    /// The device had no room for it, and this is where to try next.
    NoRoom(Box<Choice>),
}

/// A model and how it was placed.
struct Loaded {
    model: Model,
    header: gguf::Header,
    choice: Choice,
    plan: Plan,
    order: repacking::Choice,
    cores: CoreChoice,
    /// Why the device has no room for a context.
    no_room: RefCell<Option<String>>,
}

impl Loaded {
    /// Checks the file and the memory, then loads: at the place that is left, else where it is best.
    fn load<S: Sink>(
        desk: &Desk<S>,
        id: RequestId,
        cancel: &CancelFlag,
        settings: &LoadSettings,
        left: Option<Choice>,
        parts: &mut Parts,
    ) -> Result<Self, NotLoaded> {
        let failed = |error| NotLoaded::Last(Box::new(Step::Failed(error)));
        cores::unpin();
        let header = gguf::read_header(&settings.path)
            .map_err(|error| failed(EngineError::bad_model(&settings.path, &error.to_string())))?;
        parts.push("header");
        let is_first = left.is_none();
        let choice = match left {
            Some(choice) => choice,
            None => place(&header, settings).map_err(failed)?,
        };
        parts.push("devices");
        memory::plan(&header, settings, &choice).map_err(failed)?;
        let flags = [cancel, &desk.shutdown];
        let cancelled = || NotLoaded::Last(Box::new(Step::Cancelled));
        match settings.probe.as_ref().map(|probe| probe.check(&settings.path, &flags)) {
            None | Some(Verdict::Good) => {}
            Some(Verdict::Bad(error)) => return Err(failed(error)),
            Some(Verdict::Cancelled) => return Err(cancelled()),
        }
        // What is computed where may be another after the trial.
        let mut choice = tried(choice, settings, &flags).ok_or_else(cancelled)?;
        let plan = memory::plan(&header, settings, &choice).map_err(failed)?;
        let order = repacking::choose(&header, settings, plan.has_room_to_repack);
        choice.placement.as_stored = !order.copies;
        tracing::info!(backend = choice.backend, reason = choice.reason, "chose where the model runs");
        parts.push("check");
        let sink = Rc::clone(&desk.sink);
        let listened_to = Rc::clone(&desk.listened_to);
        let flags = [cancel, &desk.shutdown];
        let clones = flags.map(Clone::clone);
        let progress = move |part| {
            listened_to.set(listened_to.get() && sink.send(Event { id, step: Step::Loading(part) }));
            listened_to.get() && !clones.iter().any(CancelFlag::is_cancelled)
        };
        let model = Model::load(&settings.path, &choice.placement, progress).map_err(|error| match error {
            LoadError::Cancelled => NotLoaded::Last(Box::new(Step::Cancelled)),
            LoadError::Refused(words) if choice.is_on_gpu() => {
                NotLoaded::NoRoom(Box::new(place_after(&choice, &header, is_first, &words)))
            }
            LoadError::Refused(words) => failed(EngineError::bad_model(&settings.path, &words)),
        })?;
        parts.push("weights");
        let tell = |threads| {
            desk.send(id, Step::Trying(Trial::Threads(threads)));
        };
        let cores = tuning::choose(&model, settings, &choice.backend, &tell, &flags)
            .map_err(|error| NotLoaded::Last(unknown(error)))?;
        parts.push("threads");
        tracing::info!(crews = ?cores.crews, reason = cores.reason, "chose the threads");
        let no_room = RefCell::new(None);
        Ok(Self { model, header, choice, plan, order, cores, no_room })
    }
    /// Where the model goes that guesses for this one: to the device that holds all of this one, else to the CPU.
    fn place_of_draft(&self) -> Placement {
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
        let index = self.choice.placement.devices.first();
        let device = llama::devices().into_iter().find(|device| Some(&device.index) == index);
        let tells = device.filter(|device| device.total_bytes > 0);
        tells.map_or(KvRoom::UNLIMITED, |device| KvRoom::of_free(device.free_bytes))
    }

    /// Makes the context and what is around it. The error is the request's last event.
    fn open<'s>(
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
                    has_room(KvTypes::default()).map_err(|error| Box::new(Step::Failed(error)))?;
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
                chosen.map_err(unknown)?
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
        let context =
            Context::new(&self.model, ContextSettings { cells, crews, batch: BATCH, types }).map_err(|words| {
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
        Ok(session)
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

    fn describe(&self, session: &Session<'_>, settings: &LoadSettings, chosen: kv::Choice) -> ModelInfo {
        let file_name = || settings.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let cells = session.context.cells();
        ModelInfo {
            name: settings.name.clone().or_else(|| self.header.name().map(str::to_owned)).unwrap_or_else(file_name),
            path: settings.path.clone(),
            architecture: self.header.architecture().to_owned(),
            quantization: self.header.quantization(),
            parameters: self.model.parameters(),
            size: self.model.size(),
            trained_context: self.model.trained_context(),
            has_template: session.template.is_some(),
            load_ms: 0.0,
            load_parts: Vec::new(),
            kv: KvInfo {
                type_k: chosen.types.k.as_str().into(),
                type_v: chosen.types.v.as_str().into(),
                cells,
                bytes: u64::from(cells) * Shape::of(&self.model).bytes_per_cell(chosen.types),
                policy: session.policy().into(),
                reason: chosen.reason,
            },
            device: DeviceInfo {
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
                notice: self.choice.notice.clone(),
            },
            draft: None,
        }
    }
}

/// The threads that compute an answer where nobody says, and nothing was tried.
pub(super) fn default_threads() -> u32 {
    cores::this_machine().choose(None).crews.decode.threads
}

/// The last event of a load, if trying something came to nothing.
fn unknown(unknown: Unknown) -> Last {
    Box::new(match unknown {
        Unknown::Cancelled => Step::Cancelled,
        Unknown::Failed(words) => Step::Failed(EngineError::Failed(words)),
    })
}

/// Keeps how fast an answer was, if it tells something: long enough, with little in the cache, on the threads that are
/// used where nobody says, with the weights in the order that a chat has them in.
fn remember_speed(settings: &LoadSettings, loaded: &Loaded, stats: &Stats) {
    const LEAST_ANSWER: u32 = 16;
    const LEAST_PROMPT: u32 = 64;
    const MOST_CELLS: u32 = 2048;
    let Some(file) = &settings.speeds else { return };
    let Some(decode) = stats.decode_tokens_per_second() else { return };
    let usage = &stats.usage;
    let is_usual = settings.threads.is_none_or(|threads| threads == default_threads()) && loaded.order.copies;
    if usage.completion_tokens < LEAST_ANSWER || stats.cells_used > MOST_CELLS || !is_usual {
        return;
    }
    // As fast as it would have been without guesses.
    let decode = decode / stats.speculation.speedup().unwrap_or(1.0);
    let computed = usage.prompt_tokens.saturating_sub(usage.cached_prompt_tokens);
    let prefill = stats.prefill_tokens_per_second().filter(|_| computed >= LEAST_PROMPT);
    speeds::remember(&settings.path, file, &rates::conditions(default_threads()), decode, prefill);
}
