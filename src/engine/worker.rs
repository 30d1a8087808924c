//! The engine's thread: one function per llama.cpp lifetime. [`serve`] holds the channel, [`with_model`] a model and
//! its context; both end with the request that they cannot answer themselves.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use super::backend::Choice;
use super::draft::Drafting;
use super::llama;
use super::loading::{Loaded, NotLoaded, Parts};
use super::placing::place_after;
use super::protocol::{CancelFlag, EngineError, Event, LoadSettings, Request, RequestId, Step, Trial, Work};
use super::rates;
use super::rpc;
use super::session::Session;
use super::{QUIET, Sink, next_request};
use crate::chat::Stats;
use crate::hardware::cores;
use crate::models::speeds;

/// Tokens computed in one call of the model. Larger ones are no faster on a CPU, and progress is told between them.
pub(super) const BATCH: u32 = 512;

/// Answers requests until their sender is gone or nobody listens.
pub(super) fn serve(requests: Receiver<Request>, shutdown: CancelFlag, sink: impl Sink) {
    let desk = Desk { requests, shutdown, sink: Rc::new(sink), listened_to: Rc::new(Cell::new(true)) };
    let mut next = desk.next();
    while let Some(request) = next {
        next = match request.work {
            // It comes here only where the thread that speaks to servers could not be started.
            Work::Load(settings) if settings.server.is_some() => {
                let words = "the system cannot start a thread for the server; close other programs and try again";
                desk.send(request.id, Step::Failed(EngineError::Server(words.into())));
                desk.next()
            }
            Work::Load(settings) => with_model(&desk, request.id, &request.cancel, &settings),
            Work::Plan(..) | Work::Prefill(..) | Work::Generate(..) | Work::Batch(_) => {
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
pub(super) struct Desk<S> {
    requests: Receiver<Request>,
    pub shutdown: CancelFlag,
    pub sink: Rc<S>,
    pub listened_to: Rc<Cell<bool>>,
}

impl<S: Sink> Desk<S> {
    /// The next request; `None` when there will be none.
    fn next(&self) -> Option<Request> {
        if self.shutdown.is_cancelled() || !self.listened_to.get() {
            return None;
        }
        next_request(&self.requests)
    }

    /// The next request. As long as none comes, nobody waits: that is when free memory is handed back and steps are
    /// timed.
    fn next_or_time_steps(&self, session: &mut Session<'_>) -> Option<Request> {
        let mut is_tidy = false;
        loop {
            match self.requests.recv_timeout(QUIET) {
                Ok(request) => return (!self.shutdown.is_cancelled() && self.listened_to.get()).then_some(request),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => {
                    if !std::mem::replace(&mut is_tidy, true) {
                        llama::give_back_what_is_free();
                    }
                    let is_one_left = session.time_a_step(&[&self.shutdown]);
                    if !is_one_left {
                        session.speculator.write_times();
                        return self.next();
                    }
                }
            }
        }
    }

    pub fn send(&self, id: RequestId, step: Step) -> bool {
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
            Ok(next) => {
                rpc::release();
                return next;
            }
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
            if let Some(sentence) = rpc::lost() {
                desk.send(id, Step::Failed(EngineError::Failed(sentence)));
                return Ok(desk.next());
            }
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
    // The request that ends this is answered when everything here is dropped.
    Ok(answer_with(desk, &mut session, &loaded, settings))
}

/// Answers with a loaded model, until a request that is about another model or none.
fn answer_with<S: Sink>(
    desk: &Desk<S>,
    session: &mut Session<'_>,
    loaded: &Loaded,
    settings: &LoadSettings,
) -> Option<Request> {
    loop {
        let request = desk.next_or_time_steps(session)?;
        if request.work.needs_weights()
            && let Err(error) = loaded.files.check().and_then(|()| rpc::check())
        {
            desk.send(request.id, Step::Failed(error));
            continue;
        }
        let flags = [&request.cancel, &desk.shutdown];
        let emit = |step| desk.send(request.id, with_reason(step));
        match request.work {
            Work::Generate(prompt, options) => {
                let answered = session.answer(&prompt, &options, &flags, &emit);
                match &answered {
                    // What the disk takes is not the speed of this machine.
                    Ok(finish) if finish.stats.is_reread => session.speculator.keep_no_times(),
                    Ok(finish) => remember_speed(settings, loaded, &finish.stats),
                    Err(_) => {}
                }
                emit(answered.map_or_else(Step::Failed, Step::Finished));
                session.speculator.write_times();
            }
            Work::Batch(batch) => {
                let answered = session.batch(&batch, &flags, &emit);
                emit(answered.map_or_else(Step::Failed, |()| Step::Done));
            }
            Work::Plan(prompt, think) => {
                let planned = session.plan(&prompt, think);
                emit(planned.map_or_else(Step::Failed, |cost| Step::Planned(Box::new(cost))));
            }
            Work::Prefill(prompt, think) => {
                let planned = session.prefill_ahead(&prompt, think, &flags, &emit);
                emit(planned.map_or_else(Step::Failed, |cost| Step::Planned(Box::new(cost))));
            }
            Work::Snapshot => {
                session.snapshot();
                emit(Step::Done);
            }
            Work::Forget(chat) => {
                session.forget(chat);
                emit(Step::Done);
            }
            Work::TimeSteps => {
                while session.speculator.keeps_times() && session.time_a_step(&flags) {}
                session.speculator.write_times();
                emit(Step::Done);
            }
            Work::Load(_) | Work::Unload => return Some(request),
        }
    }
}

/// Whatever failed for want of a server, it is the server that is told of.
fn with_reason(step: Step) -> Step {
    let lost = if matches!(step, Step::Failed(_)) { rpc::lost() } else { None };
    lost.map_or(step, |sentence| Step::Failed(EngineError::ServerLost(sentence)))
}

/// The threads that compute an answer where nobody says, and nothing was tried.
pub(super) fn default_threads() -> u32 {
    cores::this_machine().choose(None).crews.decode.threads
}

/// Keeps how fast an answer was, if it tells something: long enough, with little in the cache, on the threads that are
/// used where nobody says, with the weights in the order that a chat has them in, and by this machine alone.
fn remember_speed(settings: &LoadSettings, loaded: &Loaded, stats: &Stats) {
    const LEAST_ANSWER: u32 = 16;
    const LEAST_PROMPT: u32 = 64;
    const MOST_CELLS: u32 = 2048;
    let Some(file) = &settings.speeds else { return };
    let Some(decode) = stats.decode_tokens_per_second() else { return };
    let usage = &stats.usage;
    let is_usual = settings.threads.is_none_or(|threads| threads == default_threads()) && loaded.order.copies;
    let is_here = loaded.choice.backend != rpc::BACKEND;
    if usage.completion_tokens < LEAST_ANSWER || stats.cells_used > MOST_CELLS || !is_usual || !is_here {
        return;
    }
    // As fast as it would have been without guesses.
    let decode = decode / stats.speculation.speedup().unwrap_or(1.0);
    let computed = usage.prompt_tokens.saturating_sub(usage.cached_prompt_tokens);
    let prefill = stats.prefill_tokens_per_second().filter(|_| computed >= LEAST_PROMPT);
    speeds::remember(&settings.path, file, &rates::conditions(default_threads()), decode, prefill);
}
