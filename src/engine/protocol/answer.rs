//! What comes back for a prompt: its cost, the pieces of its answer, and how that ended.

use serde::{Deserialize, Serialize};

use crate::chat::{Ended, Repetition, Role, Stats};
use crate::text::mebibytes;

/// Some whole characters of an answer. One piece may hold several tokens (a character split between tokens, text
/// kept back because it could have become a stop string).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub channel: Channel,
    pub text: String,
    /// Tokens decoded for this answer so far.
    pub tokens: u32,
}

/// A token of an answer, with the likeliest ones in its place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Weighed {
    pub channel: Channel,
    #[serde(flatten)]
    pub chosen: Likely,
    /// The likeliest first. The chosen one need not be among them.
    pub top: Vec<Likely>,
}

/// A token and how likely the model found it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Likely {
    /// Its number in the model's vocabulary.
    pub id: i32,
    /// Part of a character is written as U+FFFD.
    pub text: String,
    /// The natural logarithm of its probability, before anything that sampling does.
    pub logprob: f32,
}

/// What a piece is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Answer,
    /// What a reasoning model writes between `<think>` and `</think>`, or other tags of its own.
    Thinking,
}

/// What answering a prompt would cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cost {
    /// Tokens of the whole rendered prompt.
    pub prompt_tokens: u32,
    /// How many of them are in the KV cache already.
    pub cached_tokens: u32,
    /// How many of them were computed and have left the KV cache to make room.
    pub evicted_tokens: u32,
    /// How many of those in the KV cache may not leave it.
    pub pinned_tokens: u32,
    /// Tokens of thoughts in the cache that the prompt leaves out.
    pub left_out_tokens: u32,
    /// KV cells there are.
    pub cells: u32,
    /// Milliseconds until the first token, from the speed that was measured; `None` until one was.
    pub first_token_ms: Option<f64>,
    /// The messages in order. The tokens of the prompt that are in none of them are the template's.
    pub messages: Vec<MessageCost>,
}

/// What a message costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageCost {
    pub role: Role,
    /// The first words, on one line.
    pub beginning: String,
    pub tokens: u32,
    pub cached_tokens: u32,
    pub evicted_tokens: u32,
    pub pin: Pin,
}

/// Whether the person wants a message kept in the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pin {
    #[default]
    None,
    /// It is kept.
    Kept,
    /// It may leave all the same: with the pinned messages before it, it is longer than what pins may keep.
    TooLong,
}

impl Pin {
    /// Whether the person wants it, be it kept or not.
    pub fn is_wanted(self) -> bool {
        self != Pin::None
    }
}

/// A piece of an earlier message, or of a file in one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passage {
    /// The message it is from, counted from 0.
    pub message: u32,
    pub role: Role,
    pub text: String,
}

/// How an answer ended and what it cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Finish {
    pub ended: Ended,
    /// What an answer repeated that ended for that.
    pub repetition: Option<Repetition>,
    pub stats: Stats,
    /// The seed that was used, given or drawn.
    pub seed: u32,
    /// What of the conversation the KV cache holds now.
    pub held: Vec<MessageCost>,
}

/// How the items of a batch are answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lanes {
    /// So many side by side.
    pub lanes: u32,
    /// Tokens that items begin with alike, computed once.
    pub shared_tokens: u32,
    /// Why so many, in words.
    pub reason: String,
}

/// The model is read from the disk again and again, since memory does not hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rereading {
    /// What is read for every token.
    pub bytes_per_token: u64,
    /// Tokens of context with which the model would have room, if that is what it takes.
    pub fitting_context: Option<u32>,
}

impl Rereading {
    /// The sentence; `choose` says how to choose a smaller model.
    pub fn sentence(&self, choose: &str) -> String {
        let context = match self.fitting_context {
            Some(tokens) => format!("start with `--ctx {tokens}`, or "),
            None => String::new(),
        };
        format!(
            "the model does not fit into the free memory: {} of it are read from the disk for every token; {context}{choose}",
            mebibytes(self.bytes_per_token)
        )
    }
}
