//! The engine's thread: one function per llama.cpp lifetime.

use std::sync::mpsc::Receiver;

use super::Sink;
use super::protocol::{CancelFlag, EngineError, Event, Request, Step};

/// Answers requests until their sender is gone.
pub(super) fn serve(requests: Receiver<Request>, _shutdown: CancelFlag, sink: impl Sink) {
    for request in requests {
        sink.send(Event { id: request.id, step: Step::Failed(EngineError::NoModel) });
    }
}
