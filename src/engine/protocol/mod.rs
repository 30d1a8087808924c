//! What is said over the engine's channel, as plain data. The legal order of the events of one request:
//!
//! ```text
//! Load      Loading*  →  Ready | Failed | Cancelled
//! Plan      Planned | Failed
//! Prefill   Expected?  →  Prefilling*  →  Planned | Failed
//! Batch     Prefilling*  →  Lanes  →  (Item of: (Weighed | Token)*  →  Finished | Failed)*  →  Done | Failed
//! Generate  Prefilling*  →  Selecting*  →  Recalled?  →  Prefilling*  →  (Weighed | Token | Rereading)*  →  Finished | Failed
//! Snapshot  Done
//! Forget    Done
//! TimeSteps Done
//! Unload    Unloaded
//! ```
//!
//! Every event carries the id of its request, and every request ends in exactly one terminal event. A request
//! that was cancelled before it began ends the same way as one cancelled in the middle.

mod answer;
mod load;
mod model;
mod prompt;
mod servers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

pub use answer::{Channel, Cost, Finish, Lanes, Likely, MessageCost, Passage, Piece, Pin, Rereading, Weighed};
pub use load::{DeviceChoice, Evict, Expected, KvSettings, LoadSettings};
pub use model::{DeviceInfo, DraftInfo, KvInfo, LoadPart, ModelInfo, ServerInfo};
pub use prompt::{Asked, Batch, ChatKey, Constraint, GenerateOptions, Prompt, Speculate, SpeculationOptions, Think};
pub use servers::{Reach, Server, Servers};

use super::kv::KvTypes;
use crate::text::escape_line;

/// Names a request among those of one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Stops one request, from any thread, at any time; honoured within 200 ms.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Something the engine is asked to do.
#[derive(Clone, Debug)]
pub struct Request {
    pub id: RequestId,
    pub cancel: CancelFlag,
    pub work: Work,
}

#[derive(Clone, Debug)]
pub enum Work {
    /// Replace the model, if any, by this one.
    Load(Box<LoadSettings>),
    /// Say what answering the prompt would cost. Nothing is computed; a chat that was left is taken up again.
    Plan(Prompt, Think),
    /// Compute ahead what will not change while the person goes on writing the prompt's last message.
    Prefill(Prompt, Think),
    /// Answer the prompt.
    Generate(Prompt, GenerateOptions),
    /// Answer many prompts, several side by side. What they begin with alike is computed once.
    Batch(Box<Batch>),
    /// Write what was computed for the chat to disk, so that the next program need not compute it again.
    Snapshot,
    /// Delete whatever is kept of a chat.
    Forget(ChatKey),
    /// Find out how long steps of several tokens take, if that is not known and is kept: the program is about to leave.
    TimeSteps,
    /// Free the model and its context.
    Unload,
}

impl Work {
    /// Whether the model computes something for it.
    pub(super) fn needs_weights(&self) -> bool {
        matches!(self, Self::Prefill(..) | Self::Generate(..) | Self::Batch(_) | Self::TimeSteps)
    }
}

/// Something the engine says.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: RequestId,
    pub step: Step,
}

#[derive(Clone, Debug)]
pub enum Step {
    /// Part of the model that is loaded, 0 to 1.
    Loading(f32),
    /// Something is tried on the model, which takes seconds and is done once.
    Trying(Trial),
    Ready(Box<ModelInfo>),
    /// `done` of `total` prompt tokens are in the cache; `cached` of them were there before.
    Prefilling {
        done: u32,
        total: u32,
        cached: u32,
    },
    /// What of an earlier document is in the cache is being chosen anew, by the question: `done` of `total` tokens were
    /// looked through.
    Selecting {
        done: u32,
        total: u32,
    },
    /// Text that had been evicted was put before the question, since the question seems to be about it.
    Recalled(Vec<Passage>),
    /// What the prompt costs before it is computed ahead.
    Expected(Box<Cost>),
    Planned(Box<Cost>),
    /// What the model thought of a token, told before its text, if that was asked for.
    Weighed(Box<Weighed>),
    Token(Piece),
    /// The answer is slow because the model has no room in memory; told once.
    Rereading(Rereading),
    Finished(Finish),
    Failed(EngineError),
    /// How the items of a batch will be answered.
    Lanes(Lanes),
    /// What happens to an item of a batch, by its number from 0: `Weighed`, `Token`, `Finished` or `Failed`.
    Item(usize, Box<Step>),
    /// A load was cancelled.
    Cancelled,
    Done,
    Unloaded,
}

/// What is tried on a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// Number formats of the KV cache.
    Kv(KvTypes),
    /// So many threads.
    Threads(u32),
}

impl Step {
    /// Whether this is the last event of its request.
    pub fn is_terminal(&self) -> bool {
        match self {
            Step::Loading(_) | Step::Trying(_) | Step::Prefilling { .. } => false,
            Step::Selecting { .. } | Step::Recalled(_) => false,
            Step::Expected(_) | Step::Weighed(_) | Step::Token(_) | Step::Rereading(_) => false,
            Step::Lanes(_) | Step::Item(..) => false,
            Step::Ready(_) | Step::Planned(_) | Step::Finished(_) | Step::Failed(_) => true,
            Step::Cancelled | Step::Done | Step::Unloaded => true,
        }
    }
}

/// Why a request failed. The text says what happened and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    #[error("{0}")]
    NotEnoughMemory(String),
    #[error("{0}")]
    BadModel(String),
    #[error(
        "the conversation has {needed} tokens and the context holds {cells}; shorten the text, start a new chat, use a larger `--ctx` or `--kv-mem`, or let text leave the cache with `--kv-evict auto`"
    )]
    ContextFull { needed: u32, cells: u32 },
    #[error(
        "the item has {needed} tokens and the context holds {cells}; shorten it, or use a larger `--ctx` or `--kv-mem`"
    )]
    ItemTooLong { needed: u32, cells: u32 },
    #[error("the model's chat template failed: {0}; choose another model with `-m`")]
    Template(String),
    #[error("no model is loaded; choose one with `-m` or get one with `tuichat models pull`")]
    NoModel,
    /// A server cannot be reached, refuses, or is gone.
    #[error("{0}")]
    Server(String),
    /// What computed with it is gone: the model has to be loaded again.
    #[error("{0}")]
    ServerLost(String),
    #[error("{0}")]
    Failed(String),
}

impl EngineError {
    /// The sentence for a file that is no model, or none that can be used.
    pub(super) fn bad_model(path: &std::path::Path, words: &str) -> Self {
        Self::BadModel(format!(
            "{} cannot be loaded: {}; get the file again, or choose another model with `-m`",
            escape_line(&path.display().to_string()),
            escape_line(words)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_cancel_flag_is_seen_by_its_clones() {
        let flag = CancelFlag::default();
        let clone = flag.clone();
        flag.cancel();
        assert!(clone.is_cancelled());
    }
}
