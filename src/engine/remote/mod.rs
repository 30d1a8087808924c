//! An engine elsewhere: a server that speaks OpenAI's chat protocol, behind the same channel as the engine of this
//! process. It loads nothing: a load finds the model on the server. What a server does not tell (what its cache holds,
//! what a prompt will cost) is unknown, and nobody is told that it is zero.
//!
//! Its thread is another than that of the local engine, which may not speak to anybody.

mod address;
mod answer;
mod connection;
mod events;
pub mod http;
mod patience;
mod request;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::Receiver;
use std::time::Instant;

pub use address::Server;
use connection::Connection;
pub use connection::{Listed, advice};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::runtime::{Builder, Runtime};

use super::Sink;
use super::protocol::{
    Batch, CancelFlag, EngineError, Event, GenerateOptions, Lanes, LoadSettings, Prompt, Request, RequestId, Step, Work,
};
use crate::chat::{Ended, Message, Role, ServerTold};

/// Answers of a batch that are asked for at once where neither the person nor the server says how many.
const USUAL_LANES: u32 = 4;

/// The models of a server, for lists.
///
/// # Errors
/// Why they are not known, with what to do.
pub fn models(server: &Server, cancel: &CancelFlag) -> Result<Vec<Listed>, EngineError> {
    runtime()?.block_on(connection::models(server, &[cancel]))
}

/// Answers requests until their sender is gone.
pub(super) fn serve(requests: Receiver<Request>, shutdown: CancelFlag, sink: impl Sink) {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            for request in requests {
                if !sink.send(Event { id: request.id, step: Step::Failed(error.clone()) }) {
                    return;
                }
            }
            return;
        }
    };
    let mut desk = Desk { runtime, shutdown, sink, connection: None };
    while let Some(request) = super::next_request(&requests) {
        let id = request.id;
        let is_heard = catch_unwind(AssertUnwindSafe(|| desk.perform(request))).unwrap_or_else(|_| {
            let words = "tuichat made a mistake with what the server said; the log says more".to_owned();
            desk.sink.send(Event { id, step: Step::Failed(EngineError::Server(words)) })
        });
        if !is_heard {
            return;
        }
    }
}

fn runtime() -> Result<Runtime, EngineError> {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| EngineError::Server(format!("cannot prepare a connection: {error}")))
}

struct Desk<S> {
    runtime: Runtime,
    shutdown: CancelFlag,
    sink: S,
    connection: Option<Connection>,
}

impl<S: Sink> Desk<S> {
    /// `false` when nobody listens any more.
    fn perform(&mut self, Request { id, cancel, work }: Request) -> bool {
        let last = match work {
            Work::Load(settings) => self.connect(id, &cancel, *settings),
            Work::Generate(prompt, options) => self.generate(id, &cancel, &prompt, &options),
            Work::Batch(batch) => self.batch(id, &cancel, &batch),
            Work::Plan(..) | Work::Prefill(..) => {
                Step::Failed(EngineError::Failed("a server does not tell what a prompt costs".into()))
            }
            Work::Snapshot | Work::Forget(_) | Work::TimeSteps => Step::Done,
            Work::Unload => {
                self.connection = None;
                Step::Unloaded
            }
        };
        self.sink.send(Event { id, step: last })
    }

    /// Finds the model on its server.
    fn connect(&mut self, id: RequestId, cancel: &CancelFlag, settings: LoadSettings) -> Step {
        self.connection = None;
        let Some(server) = settings.server else { return Step::Failed(EngineError::NoModel) };
        let began = Instant::now();
        self.sink.send(Event { id, step: Step::Loading(0.0) });
        let wanted = settings.path.to_str().filter(|model| !model.is_empty());
        let stops = [cancel, &self.shutdown];
        let opened = self.runtime.block_on(Connection::open(server, wanted, &stops));
        match opened {
            _ if cancel.is_cancelled() => Step::Cancelled,
            Ok(connection) => {
                let info = connection.info(began.elapsed().as_secs_f64() * 1000.0);
                self.connection = Some(connection);
                Step::Ready(Box::new(info))
            }
            Err(error) => Step::Failed(error),
        }
    }

    fn generate(&self, id: RequestId, cancel: &CancelFlag, prompt: &Prompt, options: &GenerateOptions) -> Step {
        let Some(connection) = &self.connection else { return Step::Failed(EngineError::NoModel) };
        let stops = [cancel, &self.shutdown];
        let emit = |step| self.sink.send(Event { id, step });
        self.runtime.block_on(answer::answer(connection, prompt, options, &stops, emit))
    }

    /// Some items at once: as many as were asked for, or as the server computes.
    fn batch(&self, id: RequestId, cancel: &CancelFlag, batch: &Batch) -> Step {
        let Some(connection) = &self.connection else { return Step::Failed(EngineError::NoModel) };
        let (lanes, reason) = match (batch.lanes, connection.slots) {
            (Some(lanes), _) => (lanes, "as was asked for"),
            (None, Some(slots)) => (slots, "the server computes so many at once"),
            (None, None) => (USUAL_LANES, "the server does not say how many it computes at once"),
        };
        let lanes = lanes.clamp(1, u32::try_from(batch.items.len()).unwrap_or(u32::MAX).max(1));
        self.sink.send(Event { id, step: Step::Lanes(Lanes { lanes, shared_tokens: 0, reason: reason.into() }) });
        let stops = [cancel, &self.shutdown];
        let one = |item: usize| {
            let (prompt, options) = &batch.items[item];
            let emit = move |step| match step {
                Step::Token(_) => self.sink.send(Event { id, step: Step::Item(item, Box::new(step)) }),
                _ => true,
            };
            let stops = &stops;
            async move { (item, answer::answer(connection, prompt, options, stops, emit).await) }
        };
        let is_stopped = || stops.iter().any(|stop| stop.is_cancelled());
        self.runtime.block_on(async {
            let mut waiting = 0..batch.items.len();
            let mut under_way: FuturesUnordered<_> = waiting.by_ref().take(lanes as usize).map(one).collect();
            while let Some((item, last)) = under_way.next().await {
                if !self.sink.send(Event { id, step: Step::Item(item, Box::new(last)) }) {
                    break;
                }
                if !is_stopped() {
                    under_way.extend(waiting.next().map(one));
                }
            }
        });
        Step::Done
    }
}

/// What came of speaking to a server as an answer would.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// The names of its models.
    pub models: Vec<String>,
    /// The one that was asked.
    pub model: String,
    pub program: Option<String>,
    pub context: Option<u32>,
    pub first_token_ms: f64,
    pub told: ServerTold,
}

/// Asks a server for its models, and this one of them (or the only one) for a token.
///
/// # Errors
/// What is wrong, with what to do.
pub fn try_out(server: &Server, wanted: Option<&str>, cancel: &CancelFlag) -> Result<Tried, EngineError> {
    runtime()?.block_on(async {
        let stops = [cancel];
        let models = connection::models(server, &stops).await.unwrap_or_default();
        let connection = Connection::open(server.clone(), wanted, &stops).await?;
        let prompt = Prompt { chat: None, messages: vec![Message::new(Role::User, "Hi")] };
        let options = GenerateOptions { max_tokens: Some(1), ..GenerateOptions::default() };
        let info = connection.info(0.0);
        match answer::answer(&connection, &prompt, &options, &stops, |_| true).await {
            Step::Finished(finish) if finish.ended != Ended::Cancelled => Ok(Tried {
                models: models.iter().map(|model| model.name().to_owned()).collect(),
                model: connection.model_name().to_owned(),
                program: info.server.as_ref().and_then(|server| server.program.clone()),
                context: info.server.as_ref().and_then(|server| server.context),
                first_token_ms: finish.stats.timings.time_to_first_token_ms,
                told: finish.stats.by_server.unwrap_or_default(),
            }),
            Step::Failed(error) => Err(error),
            _ => Err(EngineError::Server(format!("engine `{}` does not answer in time", server.name()))),
        }
    })
}
