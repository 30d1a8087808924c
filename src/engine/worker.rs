//! The engine's thread: one function per llama.cpp lifetime. [`serve`] holds the channel, [`with_model`] a model and
//! its context; both end with the request that they cannot answer themselves.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::Sink;
use super::backend::Choice;
use super::draft::Drafting;
use super::kv::{self, Checks, Key, KvType, KvTypes, Shape, Situation, Snapshots, Unknown, Wish};
use super::llama::{self, Context, ContextSettings, LoadError, Model, Placement};
use super::placing::{NoPlace, place, place_after};
use super::probe::Verdict;
use super::protocol::{
    CancelFlag, DeviceInfo, EngineError, Event, KvInfo, LoadSettings, ModelInfo, Request, RequestId, Step, Work,
};
use super::rates;
use super::session::Session;
use super::speculative::{Speculator, TimesFile};
use crate::chat::Stats;
use crate::hardware::cores;
use crate::hardware::memory::Memory;
use crate::models::{gguf, speeds};
use crate::text::mebibytes;

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
    let started = Instant::now();
    let mut left = None;
    loop {
        match with_model_at(desk, id, cancel, settings, left.take(), started) {
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
    started: Instant,
) -> Result<Option<Request>, Box<Choice>> {
    let is_first = left.is_none();
    let loaded = match Loaded::load(desk, id, cancel, settings, left) {
        Ok(loaded) => loaded,
        Err(NotLoaded::NoRoom(next)) => return Err(next),
        Err(NotLoaded::Last(last)) => {
            desk.send(id, *last);
            return Ok(desk.next());
        }
    };
    let tell_trial = |types| {
        desk.send(id, Step::Trying(types));
    };
    let flags = [cancel, &desk.shutdown];
    let drafting = Drafting::load(settings, &loaded.model, &loaded.place_of_draft(), flags);
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
    let mut info = loaded.describe(&session, settings, chosen);
    info.draft = drafting.describe();
    info.load_ms = started.elapsed().as_secs_f64() * 1000.0;
    desk.send(id, Step::Ready(Box::new(info)));
    loop {
        let Some(request) = desk.next_or_time_steps(&mut session) else { return Ok(None) };
        match request.work {
            Work::Generate(prompt, options) => {
                let flags = [&request.cancel, &desk.shutdown];
                let answered = session.answer(&prompt, &options, &flags, &|step| desk.send(request.id, step));
                if let Ok(finish) = &answered {
                    remember_speed(settings, &loaded, &finish.stats);
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
    threads: u32,
    cores: Vec<usize>,
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
    ) -> Result<Self, NotLoaded> {
        let failed = |error| NotLoaded::Last(Box::new(Step::Failed(error)));
        let header = gguf::read_header(&settings.path)
            .map_err(|error| failed(EngineError::bad_model(&settings.path, &error.to_string())))?;
        check_weights_fit(header.file_bytes, Memory::read()).map_err(failed)?;
        match settings.probe.as_ref().map(|probe| probe.check(&settings.path, &[cancel, &desk.shutdown])) {
            None | Some(Verdict::Good) => {}
            Some(Verdict::Bad(error)) => return Err(failed(error)),
            Some(Verdict::Cancelled) => return Err(NotLoaded::Last(Box::new(Step::Cancelled))),
        }
        let is_first = left.is_none();
        let choice = match left {
            Some(choice) => choice,
            None => place(&header, settings, &[cancel, &desk.shutdown]).map_err(|reason| match reason {
                NoPlace::Cancelled => NotLoaded::Last(Box::new(Step::Cancelled)),
                NoPlace::Error(error) => failed(error),
            })?,
        };
        tracing::info!(backend = choice.backend, reason = choice.reason, "chose where the model runs");
        let sink = Rc::clone(&desk.sink);
        let listened_to = Rc::clone(&desk.listened_to);
        let (cancel, shutdown) = (cancel.clone(), desk.shutdown.clone());
        let progress = move |part| {
            listened_to.set(listened_to.get() && sink.send(Event { id, step: Step::Loading(part) }));
            listened_to.get() && !cancel.is_cancelled() && !shutdown.is_cancelled()
        };
        let model = Model::load(&settings.path, &choice.placement, progress).map_err(|error| match error {
            LoadError::Cancelled => NotLoaded::Last(Box::new(Step::Cancelled)),
            LoadError::Refused(words) if choice.is_on_gpu() => {
                NotLoaded::NoRoom(Box::new(place_after(&choice, &header, is_first, &words)))
            }
            LoadError::Refused(words) => failed(EngineError::bad_model(&settings.path, &words)),
        })?;
        let cores = cores::allowed();
        let threads = settings.threads.unwrap_or_else(default_threads).max(1);
        Ok(Self { model, header, choice, threads, cores, no_room: RefCell::new(None) })
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

    /// The memory that holds the KV cache. If that is all of it on a device with memory of its own, it is what the
    /// weights left there.
    fn memory(&self) -> Option<Memory> {
        if !self.choice.is_all_in_own_memory {
            return Memory::read();
        }
        let index = self.choice.placement.devices.first()?;
        let device = llama::devices().into_iter().find(|device| device.index == *index)?;
        let tells = device.total_bytes > 0;
        tells.then_some(Memory { total: device.total_bytes, available: device.free_bytes })
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
        let draft_model = drafting.open(&self.model, session.context.cells(), self.threads);
        session.speculator = Speculator::new(self.choice.backend != "CPU", draft_model);
        if let Some(file) = &settings.step_times {
            session.speculator.keep_times(TimesFile {
                model: settings.path.clone(),
                file: file.clone(),
                version: kv::version(),
                conditions: self.checks(settings).conditions(chosen.types),
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
            bytes: wish.bytes(self.memory()),
        };
        let checks = self.checks(settings);
        let chosen = match settings.kv.types {
            Some(types) => situation
                .asked_for(types, checks.recall(types))
                .map_err(|sentence| Box::new(Step::Failed(EngineError::Failed(sentence))))?,
            None => {
                // What could hold no conversation however it is rounded need not be tried.
                let has_room = |types| wish.cells(situation.shape.bytes_per_cell(types), self.memory());
                if has_room(KvTypes::both(KvType::Q4)).is_err() {
                    has_room(KvTypes::default()).map_err(|error| Box::new(Step::Failed(error)))?;
                }
                let chosen = situation.best(|types| checks.find(types, || tell_trial(types), cancel));
                chosen.map_err(|unknown| match unknown {
                    Unknown::Cancelled => Box::new(Step::Cancelled),
                    Unknown::Failed(words) => Box::new(Step::Failed(EngineError::Failed(words))),
                })?
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
            threads: self.threads,
        }
    }

    fn wish(&self, settings: &LoadSettings) -> Wish {
        // What the place was chosen for.
        let counted = self.choice.cells.filter(|_| settings.kv.most_bytes.is_none());
        Wish {
            context: settings.context.or(counted),
            most_bytes: settings.kv.most_bytes,
            trained: self.model.trained_context(),
        }
    }

    fn session(
        &self,
        settings: &LoadSettings,
        types: KvTypes,
        shutdown: &CancelFlag,
    ) -> Result<Session<'_>, EngineError> {
        let bytes_per_cell = Shape::of(&self.model).bytes_per_cell(types);
        let cells = self.wish(settings).cells(bytes_per_cell, self.memory())?;
        let context = Context::new(&self.model, ContextSettings { cells, threads: self.threads, batch: BATCH, types })
            .map_err(|words| {
                if self.choice.is_on_gpu() {
                    self.no_room.replace(Some(words.clone()));
                }
                EngineError::NotEnoughMemory(format!(
                    "llama.cpp could not make a context of {cells} tokens ({words}); try a smaller one with `--ctx`"
                ))
            })?;
        let mut session = Session::new(&self.model, context, self.snapshots(settings, types, shutdown));
        session.eviction.policy = settings.kv.evict;
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
                threads: self.threads,
                cores: cores::describe(&self.cores),
                reason: self.choice.reason.clone(),
                notice: self.choice.notice.clone(),
            },
            draft: None,
        }
    }
}

pub(super) fn default_threads() -> u32 {
    std::thread::available_parallelism().map_or(1, |threads| u32::try_from(threads.get()).unwrap_or(1))
}

/// Keeps how fast an answer was, if it tells something: long enough, with little in the cache, on the threads that are
/// used where nobody says.
fn remember_speed(settings: &LoadSettings, loaded: &Loaded, stats: &Stats) {
    const LEAST_ANSWER: u32 = 16;
    const LEAST_PROMPT: u32 = 64;
    const MOST_CELLS: u32 = 2048;
    let Some(file) = &settings.speeds else { return };
    let Some(decode) = stats.decode_tokens_per_second() else { return };
    let usage = &stats.usage;
    if usage.completion_tokens < LEAST_ANSWER || stats.cells_used > MOST_CELLS || loaded.threads != default_threads() {
        return;
    }
    // As fast as it would have been without guesses.
    let decode = decode / stats.speculation.speedup().unwrap_or(1.0);
    let computed = usage.prompt_tokens.saturating_sub(usage.cached_prompt_tokens);
    let prefill = stats.prefill_tokens_per_second().filter(|_| computed >= LEAST_PROMPT);
    speeds::remember(&settings.path, file, &rates::conditions(loaded.threads), decode, prefill);
}

/// Weights larger than all memory would be read from the disk again for every token.
pub(super) fn check_weights_fit(bytes: u64, memory: Option<Memory>) -> Result<(), EngineError> {
    let Some(memory) = memory.filter(|memory| bytes >= memory.total) else { return Ok(()) };
    Err(EngineError::NotEnoughMemory(format!(
        "the model has {} and this machine {} of memory; choose a smaller model with `-m`",
        mebibytes(bytes),
        mebibytes(memory.total)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn memory(total: u64, available: u64) -> Option<Memory> {
        Some(Memory { total, available })
    }

    #[test]
    fn a_model_larger_than_memory_is_refused() {
        assert!(check_weights_fit(2 * GIB, memory(GIB, GIB)).is_err());
        assert!(check_weights_fit(2 * GIB, memory(4 * GIB, GIB)).is_ok());
        assert!(check_weights_fit(2 * GIB, None).is_ok());
    }
}
