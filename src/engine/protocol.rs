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

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::{Deserialize, Serialize};

use super::kv::{KvTypes, SnapshotSettings};
use super::probe::Probe;
use super::tuning::Tuning;
use crate::chat::{Ended, Message, Repetition, Role, Sampling, Stats};
use crate::text::{escape_line, mebibytes};

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

/// Which model to load and how.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSettings {
    pub path: PathBuf,
    /// What the person calls the model; `None` takes the name that its file gives.
    pub name: Option<String>,
    /// KV cells; `None` lets the engine choose from the model and the memory.
    pub context: Option<u32>,
    /// Threads for decode and prefill; `None` lets the engine choose.
    pub threads: Option<u32>,
    pub tuning: Tuning,
    pub device: DeviceChoice,
    /// Layers on the GPU; `None` lets the engine choose.
    pub gpu_layers: Option<u32>,
    /// Whether weights are copied in the order that kernels want; `None` lets the engine choose.
    pub repack: Option<bool>,
    /// What will be computed; `None` for a conversation.
    pub expected: Option<Expected>,
    /// How a file that was never loaded is tried in a child process first; `None` does not.
    pub probe: Option<Probe>,
    /// Where the KV caches of chats are kept on disk; `None` keeps none there.
    pub snapshots: Option<SnapshotSettings>,
    pub kv: KvSettings,
    /// Load it although its weights have no room in memory and will be read from the disk again and again.
    pub insists: bool,
    /// The model that guesses tokens, or in a sentence why there is none; `None` if none was wanted.
    pub draft: Option<Result<PathBuf, String>>,
    /// A file that remembers how long models take for several tokens at once; `None` remembers nothing.
    pub step_times: Option<PathBuf>,
    /// A file that remembers how fast models were; `None` remembers nothing.
    pub speeds: Option<PathBuf>,
}

/// The one thing that will be computed with a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Of all messages.
    pub prompt_bytes: u32,
    /// Most tokens of the answer; `None` if the model says when it ends.
    pub answer_tokens: Option<u32>,
    /// So many answers are computed side by side at most; 0 for one answer by itself. The other numbers are then those of
    /// all prompts and answers together.
    pub lanes: u32,
}

impl Expected {
    /// An answer that is longer than this is longer than anyone expects.
    const LONG_ANSWER: u32 = 8192;
    /// What the template puts around the messages.
    const AROUND: u32 = 512;
    const BYTES_PER_TOKEN: u32 = 4;

    /// About how many tokens the prompt has.
    pub fn prompt_tokens(&self) -> u32 {
        self.prompt_bytes / Self::BYTES_PER_TOKEN
    }

    /// Beginnings that only some of the answers have, which are kept at once.
    pub const BEGINNINGS: u32 = 6;

    /// Sequences that the context needs: one for each lane, one for what they begin with, and more for what only some of
    /// them begin with.
    pub fn sequences(&self) -> u32 {
        self.lanes.saturating_add(if self.lanes > 1 { 1 + Self::BEGINNINGS } else { 1 })
    }

    /// Tokens that prompt and answer will hardly exceed: a token stands for a byte or more.
    pub fn most_tokens(&self) -> u32 {
        let answer = self.answer_tokens.unwrap_or(Self::LONG_ANSWER);
        self.prompt_bytes.saturating_add(Self::AROUND).saturating_add(answer)
    }
}

/// How much memory the KV cache may take, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KvSettings {
    /// Number formats; `None` lets the engine choose.
    pub types: Option<KvTypes>,
    /// Most bytes; `None` lets the engine choose. [`LoadSettings::context`] is stronger.
    pub most_bytes: Option<u64>,
    pub evict: Evict,
    /// Do not bring evicted text back that a message seems to be about.
    pub no_recall: bool,
    /// A file that remembers how well number formats did with models; `None` remembers nothing.
    pub checks: Option<PathBuf>,
}

/// What leaves the KV cache when it is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evict {
    /// The best this model can do.
    #[default]
    Auto,
    /// Nothing: what does not fit is refused.
    Off,
    /// All but the beginning and what is recent.
    Window,
    /// What the model attends to least.
    Score,
}

/// Where the model should run. A number says which of that back end's devices, from 0; without one it is the best of
/// them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    #[default]
    Auto,
    Cpu,
    Metal(Option<u32>),
    Cuda(Option<u32>),
    Vulkan(Option<u32>),
}

impl DeviceChoice {
    /// The words, without a number.
    pub const WORDS: [&'static str; 5] = ["auto", "cpu", "metal", "cuda", "vulkan"];

    fn parts(self) -> (&'static str, Option<u32>) {
        match self {
            Self::Auto => ("auto", None),
            Self::Cpu => ("cpu", None),
            Self::Metal(number) => ("metal", number),
            Self::Cuda(number) => ("cuda", number),
            Self::Vulkan(number) => ("vulkan", number),
        }
    }

    /// The word, which is also the feature of the build: `vulkan`.
    pub fn word(self) -> &'static str {
        self.parts().0
    }

    /// Which of the back end's devices.
    pub fn number(self) -> Option<u32> {
        self.parts().1
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (word, Some(number)) => write!(formatter, "{word}:{number}"),
            (word, None) => formatter.write_str(word),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, number) = match text.split_once(':') {
            Some((word, number)) => (word, Some(number.parse::<u32>().ok())),
            None => (text, None),
        };
        match (word, number) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("metal", None | Some(Some(_))) => Ok(Self::Metal(number.flatten())),
            ("cuda", None | Some(Some(_))) => Ok(Self::Cuda(number.flatten())),
            ("vulkan", None | Some(Some(_))) => Ok(Self::Vulkan(number.flatten())),
            _ => Err(format!("a device is {}, or one of several with its number: `vulkan:1`", Self::WORDS.join(", "))),
        }
    }
}

impl TryFrom<String> for DeviceChoice {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<DeviceChoice> for String {
    fn from(choice: DeviceChoice) -> Self {
        choice.to_string()
    }
}

/// Names a conversation that goes on, for as long as anything of it is kept. Chats have positive numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChatKey(pub i64);

impl ChatKey {
    /// The name of what several prompts begin with, from a hash of it: a negative number.
    pub fn of_beginning(hash: u64) -> Self {
        Self(-((hash >> 1).max(1) as i64))
    }

    pub fn is_of_beginning(self) -> bool {
        self.0 < 0
    }
}

/// A conversation to be answered, or gone on with if its last message is an answer. With a model that has no chat
/// template the texts are joined and continued.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Where the KV cache belongs to; `None` for a conversation that is not kept.
    pub chat: Option<ChatKey>,
    pub messages: Vec<Message>,
}

/// Prompts to be answered, none of which has to do with another. Nothing leaves the KV cache for them: one for which it
/// has no room fails.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub items: Vec<(Prompt, GenerateOptions)>,
    /// So many are answered side by side, as far as the context has sequences for them; `None` lets the engine choose.
    pub lanes: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct GenerateOptions {
    pub sampling: Sampling,
    /// At most so many tokens; `None` means until the model stops or the context is full.
    pub max_tokens: Option<u32>,
    /// The answer ends before the first of these.
    pub stop: Vec<String>,
    /// What the answer is held to; thoughts before it are free.
    pub constraint: Option<Constraint>,
    pub think: Think,
    /// Whether an answer that repeats itself is ended.
    pub loop_breaker: bool,
    pub speculation: SpeculationOptions,
    /// How many bytes of the last message later prompts will have, too, with all that is before it: what is computed of
    /// that is kept on disk for them, and taken from there where it is. `None` keeps and takes nothing.
    pub shared: Option<usize>,
    /// Tell what the model thought of each token, and of so many likeliest ones in its place; 0 tells nothing.
    pub weighed: u32,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
            max_tokens: None,
            stop: Vec::new(),
            constraint: None,
            think: Think::default(),
            loop_breaker: true,
            speculation: SpeculationOptions::default(),
            shared: None,
            weighed: 0,
        }
    }
}

/// Whether tokens are guessed, and several computed at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpeculationOptions {
    pub by: Speculate,
    /// Most tokens that are guessed at once; `None` lets the engine choose.
    pub most: Option<u32>,
    /// How far an answer may be from what the model would say, for more of its guesses to be taken: 0 (not at all) to 1.
    pub fuzzy: f32,
}

/// What guesses tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speculate {
    /// What there is, where it pays.
    #[default]
    Auto,
    /// Nothing.
    Off,
    /// What was said before, whether it pays or not.
    Ngram,
    /// A smaller model, whether it pays or not.
    Draft,
}

/// What an answer is held to. [`super::constraint::check`] says whether it can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// JSON that satisfies this JSON schema, as far as the schema can be followed while the answer is written.
    Schema(String),
    /// A text of this grammar, in llama.cpp's GBNF.
    Grammar(String),
}

impl Constraint {
    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Schema(_) => "schema",
            Self::Grammar(_) => "grammar",
        }
    }
}

/// Whether a reasoning model is to think before it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Think {
    /// As its chat template has it.
    #[default]
    Auto,
    On,
    Off,
    /// With at most so many tokens; none is off.
    Budget(u32),
}

impl Think {
    /// What the chat template is told; `None` is nothing.
    pub fn is_wanted(self) -> Option<bool> {
        match self {
            Think::Auto => None,
            Think::On => Some(true),
            Think::Off | Think::Budget(0) => Some(false),
            Think::Budget(_) => Some(true),
        }
    }

    /// The most tokens of thoughts; `None` for any number.
    pub fn most_tokens(self) -> Option<u32> {
        match self {
            Think::Auto | Think::On => None,
            Think::Off => Some(0),
            Think::Budget(tokens) => Some(tokens),
        }
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

/// What is known about a model once it is loaded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ModelInfo {
    /// What the person calls it, else `general.name` of the file, else the file's name.
    pub name: String,
    pub path: PathBuf,
    pub architecture: String,
    /// `Q4_K_M` and so on, from the file's type.
    pub quantization: String,
    pub parameters: u64,
    /// Bytes of the weights.
    pub size: u64,
    /// Context length the model was trained with, in tokens.
    pub trained_context: u32,
    /// Whether the file has a chat template; without one the model continues text.
    pub has_template: bool,
    pub load_ms: f64,
    /// What loading took, part by part.
    pub load_parts: Vec<LoadPart>,
    pub kv: KvInfo,
    pub device: DeviceInfo,
    pub draft: Option<DraftInfo>,
}

/// A part of loading a model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LoadPart {
    pub what: &'static str,
    pub ms: f64,
}

/// The model that guesses tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DraftInfo {
    pub name: String,
    /// Why it cannot be used, in a sentence.
    pub problem: Option<String>,
}

/// The KV cache as it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KvInfo {
    pub type_k: String,
    pub type_v: String,
    /// Cells, that is tokens, it holds.
    pub cells: u32,
    pub bytes: u64,
    /// What leaves the cache when it is full: `off`, `window` or `score`.
    pub policy: String,
    /// Why these types and this policy, in words.
    pub reason: String,
}

/// Where the model runs, and why there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceInfo {
    /// `CPU`, `Metal`, `CUDA`, `Vulkan`.
    pub backend: String,
    pub name: String,
    pub gpu_layers: u32,
    /// Threads that compute an answer, token by token.
    pub threads: u32,
    /// Threads that compute a prompt.
    pub prefill_threads: u32,
    /// The cores the threads run on, as a list of ranges (`0-3`).
    pub cores: String,
    /// The reason for the choice of the device, in words.
    pub reason: String,
    /// Whether weights are copied in the order that kernels want, where there is such an order.
    pub repacked: bool,
    /// Why, in words.
    pub repack_reason: String,
    /// The reason for the choice of threads and cores, in words.
    pub cores_reason: String,
    /// Most tokens that are computed at once.
    pub batch: u32,
    /// Why so many, in words.
    pub batch_reason: String,
    /// What a person should be told of it, and what to do: a graphics processor that is not used, for one. Part of the
    /// reason, which is why it is not in the JSON.
    #[serde(skip_serializing)]
    pub notice: Option<String>,
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
    fn a_device_is_a_word_with_or_without_a_number() {
        for text in ["auto", "cpu", "metal", "cuda:1", "vulkan", "vulkan:0"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        for text in ["", "gpu", "auto:1", "cpu:0", "vulkan:", "vulkan:x", "vulkan:-1", "Vulkan"] {
            assert!(text.parse::<DeviceChoice>().unwrap_err().contains("vulkan:1"), "{text}");
        }
    }

    #[test]
    fn a_cancel_flag_is_seen_by_its_clones() {
        let flag = CancelFlag::default();
        let clone = flag.clone();
        flag.cancel();
        assert!(clone.is_cancelled());
    }
}
