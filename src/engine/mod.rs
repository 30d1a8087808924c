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

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
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
pub fn spawn(source: Source, sink: impl Sink) -> std::io::Result<Engine> {
    llama::give_back_what_is_freed();
    rpc::begin();
    match source {
        Source::Llama(access) => Engine::start(move |requests, shutdown| {
            if let Access::Confined(folders) = access {
                let confined = sandbox::confine(&[folders, sandbox::places_of_drivers()].concat());
                tracing::info!(?confined, "the engine begins");
            }
            worker::serve(requests, shutdown, sink);
        }),
        Source::Scripted(script) => {
            Engine::start(|requests, shutdown| scripted::serve(script, requests, shutdown, sink))
        }
    }
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

/// A running engine thread.
#[derive(Debug)]
pub struct Engine {
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    next_id: AtomicU64,
    shutdown: CancelFlag,
}

impl Engine {
    /// Starts a thread that runs `body` on the requests until their sender is dropped. `body` also gets a flag
    /// that is set when the engine is dropped in the middle of a request.
    fn start(body: impl FnOnce(mpsc::Receiver<Request>, CancelFlag) + Send + 'static) -> std::io::Result<Self> {
        let (requests, receiver) = mpsc::channel();
        let shutdown = CancelFlag::default();
        let seen = shutdown.clone();
        let thread = std::thread::Builder::new().name("engine".into()).spawn(move || body(receiver, seen))?;
        Ok(Self { requests: Some(requests), thread: Some(thread), next_id: AtomicU64::new(1), shutdown })
    }

    /// Hands work to the engine and returns at once. The flag stops it.
    ///
    /// A stopped engine (its thread panicked) swallows requests; [`Engine::is_alive`] tells.
    pub fn submit(&self, work: Work) -> (RequestId, CancelFlag) {
        let id = RequestId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let cancel = CancelFlag::default();
        if let Some(requests) = &self.requests {
            let _ = requests.send(Request { id, cancel: cancel.clone(), work });
        }
        (id, cancel)
    }

    /// Lets the engine do what it was asked for and end; [`Engine::is_alive`] tells when it has.
    pub fn take_no_more(&mut self) {
        drop(self.requests.take());
    }

    /// Lets the engine do what it was asked for, but no longer than this, and ends it.
    pub fn finish(mut self, within: Duration) {
        self.take_no_more();
        let deadline = Instant::now() + within;
        while self.is_alive() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
    }

    /// Whether the thread is still there to answer.
    pub fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shutdown.cancel();
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
