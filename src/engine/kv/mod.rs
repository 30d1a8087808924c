//! The KV cache beyond one conversation: what was computed for a chat is kept when another chat takes the context, in
//! memory (`shelf`) and on disk (`snapshots`, in the form of `file`), so that nothing is computed twice; and so is what
//! left the cache of a long text, on disk alone (`archive`).
//!
//! And what it is made of: `budget` says how many tokens it holds, `choice` in which number formats (`types`), from what
//! the model's `shape` and the device allow and what a `check` on the model itself found.

mod archive;
mod budget;
mod check;
mod choice;
pub mod evict;
mod file;
#[cfg(test)]
mod measured;
mod room;
pub mod score;
pub mod search;
pub mod segments;
mod shape;
mod shelf;
mod snapshots;
mod types;

use std::sync::Arc;

use jiff::Timestamp;

pub use archive::{Archive, NewRows, Title};
pub use budget::{KvRoom, LEAST_CONTEXT, Wish, whole_cells};
pub use check::{Checks, Unknown, version};
pub use choice::{Choice, Situation};
#[cfg(fuzzing)]
pub use file::go_on_from_made_up;
pub use shape::Shape;
pub use shelf::Shelf;
pub use snapshots::{Key, SnapshotSettings, Snapshots, Stored, remove as remove_snapshots};
pub use types::{KvType, KvTypes};

use super::context::Contents;
use super::llama::Token;
use super::protocol::ChatKey;

/// What the KV cache held for a chat, and what belongs to it.
#[derive(Clone, Debug)]
pub struct Kept {
    pub chat: ChatKey,
    pub about: About,
    /// The cache's content, as [`super::llama::Context::state`] gives it.
    pub state: Arc<Vec<u8>>,
    /// A snapshot on disk holds the same.
    pub is_written: bool,
}

/// What is known of a cache's content.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct About {
    pub contents: Contents,
    /// The tokens of answers that were written in this chat.
    pub answers: Vec<Vec<Token>>,
    /// How fast its prompts were computed, in tokens per second.
    pub prefill_speed: Option<f64>,
    /// What the chat template took for the present time.
    pub clock: Option<Timestamp>,
}
