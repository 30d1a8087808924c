//! The engine: one thread that owns the model and its context, spoken to over a channel. See [`protocol`] for
//! what is said and in which order.
//!
//! Dropping the [`Engine`] cancels what it is doing and ends the thread; a sink that returns `false` (nobody
//! listens any more) does the same.

pub mod about;
mod advance;
mod answering;
mod archived;
mod backend;
mod beginning;
mod calibrate;
pub mod constraint;
mod context;
mod continuing;
pub mod devices;
pub mod divergence;
mod draft;
#[cfg(test)]
mod equivalence;
mod eviction;
mod generate;
mod held;
pub mod inspect;
mod kv;
pub mod lab;
mod lanes;
#[allow(unsafe_code)]
mod llama;
mod loading;
mod memory;
mod parts;
mod placing;
mod plan;
pub mod probe;
pub mod profile;
mod prompt;
pub mod protocol;
pub mod rates;
mod recall;
pub mod remote;
mod repacking;
mod repetition;
mod rereading;
mod resume;
mod rpc;
mod sampler;
pub mod scripted;
mod session;
mod speculative;
mod speed;
mod stop;
mod template;
mod thinking;
pub mod tuning;
mod unchanged;
mod weighing;
mod worker;
mod writer;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[cfg(fuzzing)]
pub use kv::go_on_from_made_up;
pub use kv::{KvType, KvTypes, SnapshotSettings, remove_snapshots};
pub use llama::{give_back_what_is_free, set_abort_hook};
use protocol::{CancelFlag, Event, Request, RequestId, Work};

use crate::sandbox;

/// How often it is looked whether the engine has ended.
const POLL: Duration = Duration::from_millis(2);

/// Receives the engine's events, on the engine's thread. Returns `false` when nobody listens any more.
pub trait Sink: Send + 'static {
    fn send(&self, event: Event) -> bool;
}

impl<F: Fn(Event) -> bool + Send + 'static> Sink for F {
    fn send(&self, event: Event) -> bool {
        self(event)
    }
}

/// What answers the requests.
#[derive(Clone, Debug)]
pub enum Source {
    /// llama.cpp, in this process.
    Llama(Access),
    /// A script; see [`scripted`].
    Scripted(scripted::Script),
}

/// What the engine's thread may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    /// What the program may.
    All,
    /// Write below these folders only, and speak to nobody; see [`sandbox`].
    Confined(Vec<PathBuf>),
}

/// Starts an engine whose events go to `sink`, on the engine's thread.
///
/// # Errors
/// If the system cannot start another thread.
pub fn spawn(source: Source, sink: impl Sink + Clone + Sync) -> std::io::Result<Engine> {
    llama::give_back_what_is_freed();
    rpc::begin();
    // Only threads hold it, so that who listens hears when the last of them is gone.
    let held = Arc::new(sink);
    let sink = Arc::downgrade(&held);
    let sends = move |event| held.send(event);
    let here = match source {
        Source::Llama(access) => Thread::start("engine", move |requests, shutdown| {
            if let Access::Confined(folders) = access {
                let confined = sandbox::confine(&[folders, sandbox::places_of_drivers()].concat());
                tracing::info!(?confined, "the engine begins");
            }
            worker::serve(requests, shutdown, sends);
        }),
        Source::Scripted(script) => {
            Thread::start("engine", |requests, shutdown| scripted::serve(script, requests, shutdown, sends))
        }
    }?;
    let connect = move || {
        let sink = sink.upgrade().ok_or(std::io::ErrorKind::BrokenPipe)?;
        let sink = sink.as_ref().clone();
        Thread::start("remote engine", |requests, shutdown| remote::serve(requests, shutdown, sink))
    };
    Ok(Engine { here, elsewhere: Mutex::new(None), connect: Box::new(connect), next_id: AtomicU64::new(1) })
}

/// Where nothing was asked for so long, nobody waits.
const QUIET: Duration = Duration::from_millis(200);

/// The next request; `None` once nobody can send any. While none comes, free memory is given back.
fn next_request(requests: &mpsc::Receiver<Request>) -> Option<Request> {
    match requests.recv_timeout(QUIET) {
        Err(mpsc::RecvTimeoutError::Timeout) => {
            llama::give_back_what_is_free();
            requests.recv().ok()
        }
        request => request.ok(),
    }
}

/// A running engine: the thread that computes here, and while a server answers, the one that speaks to it.
pub struct Engine {
    here: Thread,
    elsewhere: Mutex<Option<Thread>>,
    connect: Box<dyn Fn() -> std::io::Result<Thread> + Send + Sync>,
    next_id: AtomicU64,
}

impl Engine {
    /// Hands work to the engine and returns at once. The flag stops it.
    ///
    /// A stopped engine (its thread panicked) swallows requests; [`Engine::is_alive`] tells.
    pub fn submit(&self, work: Work) -> (RequestId, CancelFlag) {
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        if let Work::Load(settings) = &work {
            match (&settings.server, elsewhere.is_some()) {
                (Some(_), false) => {
                    *elsewhere = (self.connect)().inspect_err(|error| tracing::error!(%error, "no thread")).ok();
                    // The memory of a model that answers no more is worth something.
                    let (unload, _) = self.request(Work::Unload);
                    self.here.hand(unload);
                }
                (None, true) => *elsewhere = None,
                _ => {}
            }
        }
        let is_about_files = matches!(work, Work::Forget(_));
        let (request, cancel) = self.request(work);
        let id = request.id;
        match elsewhere.as_ref().filter(|_| !is_about_files) {
            Some(thread) => thread.hand(request),
            None => self.here.hand(request),
        }
        (id, cancel)
    }

    fn request(&self, work: Work) -> (Request, CancelFlag) {
        let id = RequestId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let cancel = CancelFlag::default();
        (Request { id, cancel: cancel.clone(), work }, cancel)
    }

    fn elsewhere(&mut self) -> Option<&mut Thread> {
        self.elsewhere.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut()
    }

    /// Lets the engine do what it was asked for and end; [`Engine::is_alive`] tells when it has.
    pub fn take_no_more(&mut self) {
        self.here.take_no_more();
        self.elsewhere().into_iter().for_each(Thread::take_no_more);
    }

    /// Lets the engine do what it was asked for, but no longer than this, and ends it.
    pub fn finish(mut self, within: Duration) {
        self.take_no_more();
        let deadline = Instant::now() + within;
        while self.is_alive() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
    }

    /// Whether a thread is still there to answer.
    pub fn is_alive(&self) -> bool {
        let elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        self.here.is_alive() || elsewhere.as_ref().is_some_and(Thread::is_alive)
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Engine").field("here", &self.here).finish_non_exhaustive()
    }
}

/// A thread that answers requests. Dropping it ends what it does.
#[derive(Debug)]
struct Thread {
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    shutdown: CancelFlag,
}

impl Thread {
    /// Starts a thread that runs `body` on the requests until their sender is dropped. `body` also gets a flag
    /// that is set when the thread is to end in the middle of a request.
    fn start(
        name: &str,
        body: impl FnOnce(mpsc::Receiver<Request>, CancelFlag) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (requests, receiver) = mpsc::channel();
        let shutdown = CancelFlag::default();
        let seen = shutdown.clone();
        let thread = std::thread::Builder::new().name(name.into()).spawn(move || body(receiver, seen))?;
        Ok(Self { requests: Some(requests), thread: Some(thread), shutdown })
    }

    fn hand(&self, request: Request) {
        if let Some(requests) = &self.requests {
            let _ = requests.send(request);
        }
    }

    fn take_no_more(&mut self) {
        drop(self.requests.take());
    }

    fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.take_no_more();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
