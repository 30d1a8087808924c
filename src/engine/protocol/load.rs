//! How a model is to be loaded.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::engine::kv::{KvTypes, SnapshotSettings};
use crate::engine::probe::Probe;
use crate::engine::remote::Server;
use crate::engine::tuning::Tuning;

use super::servers::{Reach, Servers};

/// Which model to load and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadSettings {
    /// The file; of a server's model, what it is called there (nothing means its only one).
    pub path: PathBuf,
    /// The server that has the model; what is set about computing then means nothing. `None` computes it here.
    pub server: Option<Server>,
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DeviceChoice {
    #[default]
    Auto,
    Cpu,
    Metal(Option<u32>),
    Cuda(Option<u32>),
    Vulkan(Option<u32>),
    /// Servers of llama.cpp's RPC, which share the layers.
    Rpc(Servers),
}

impl DeviceChoice {
    /// The words, without a number or servers.
    pub const WORDS: [&'static str; 5] = ["auto", "cpu", "metal", "cuda", "vulkan"];

    /// A machine that computes with it and is not this one.
    pub fn elsewhere(&self) -> Option<&str> {
        let Self::Rpc(servers) = self else { return None };
        servers.list.iter().find(|server| !server.is_here()).map(|server| server.host.as_str())
    }

    fn parts(&self) -> (&'static str, Option<u32>) {
        match *self {
            Self::Auto => ("auto", None),
            Self::Cpu => ("cpu", None),
            Self::Metal(number) => ("metal", number),
            Self::Cuda(number) => ("cuda", number),
            Self::Vulkan(number) => ("vulkan", number),
            Self::Rpc(_) => ("rpc", None),
        }
    }

    /// The word, which is also the feature of the build: `vulkan`.
    pub fn word(&self) -> &'static str {
        self.parts().0
    }

    /// Which of the back end's devices.
    pub fn number(&self) -> Option<u32> {
        self.parts().1
    }

    /// The servers that it names.
    pub fn servers(&self) -> Option<&Servers> {
        match self {
            Self::Rpc(servers) => Some(servers),
            _ => None,
        }
    }

    /// The same, its servers being no further away than this.
    pub fn within(mut self, reach: Reach) -> Self {
        if let Self::Rpc(servers) = &mut self {
            servers.reach = reach;
        }
        self
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Rpc(servers) = self {
            return servers.fmt(formatter);
        }
        match self.parts() {
            (word, Some(number)) => write!(formatter, "{word}:{number}"),
            (word, None) => formatter.write_str(word),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "rpc" || text.starts_with("rpc:") {
            let servers = Servers::parse(text).map(Self::Rpc);
            return servers.ok_or_else(|| {
                "a server of llama.cpp's RPC is `rpc:HOST:PORT`, up to 16 of them have commas between: \
                 `rpc:127.0.0.1:50052,127.0.0.1:50053`"
                    .into()
            });
        }
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
            _ => Err(format!(
                "a device is {}, one of several with its number (`vulkan:1`), or servers (`rpc:HOST:PORT`)",
                Self::WORDS.join(", ")
            )),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_a_word_with_or_without_a_number() {
        for text in ["auto", "cpu", "metal", "cuda:1", "vulkan", "vulkan:0", "rpc:127.0.0.1:1,rpc:127.0.0.1:2"] {
            assert_eq!(text.parse::<DeviceChoice>().unwrap().to_string(), text);
        }
        for text in ["", "gpu", "auto:1", "cpu:0", "vulkan:", "vulkan:x", "vulkan:-1", "Vulkan"] {
            assert!(text.parse::<DeviceChoice>().unwrap_err().contains("vulkan:1"), "{text}");
        }
        for text in ["rpc", "rpc:", "rpc:50052", "rpc:127.0.0.1"] {
            assert!(text.parse::<DeviceChoice>().unwrap_err().contains("rpc:HOST:PORT"), "{text}");
        }
    }
}
