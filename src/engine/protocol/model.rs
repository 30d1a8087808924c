//! What is known about a loaded model.

use std::path::PathBuf;

use serde::Serialize;

use crate::engine::remote::Server;

/// What is known about a model once it is loaded. A server tells little of its own: what it does not is `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// What the person calls it, else `general.name` of the file, else the file's name.
    pub name: String,
    /// The file; of a server's model, what it is called there.
    pub path: PathBuf,
    /// The server that has it; `None` for a model of this machine, in this process.
    pub server: Option<ServerInfo>,
    /// `Q4_K_M` and so on, from the file's type.
    pub quantization: Option<String>,
    pub parameters: Option<u64>,
    /// Bytes of the weights.
    pub size: Option<u64>,
    /// Context length the model was trained with, in tokens.
    pub trained_context: Option<u32>,
    /// Whether the file has a chat template; without one the model continues text.
    pub has_template: bool,
    pub load_ms: f64,
    /// What loading took, part by part.
    pub load_parts: Vec<LoadPart>,
    pub kv: Option<KvInfo>,
    pub device: Option<DeviceInfo>,
    pub draft: Option<DraftInfo>,
}

impl ModelInfo {
    /// Tokens that fit into its context, where that is known.
    pub fn cells(&self) -> Option<u32> {
        match &self.server {
            Some(server) => server.context,
            None => self.kv.as_ref().map(|kv| kv.cells),
        }
    }

    /// Whether it is known what its KV cache holds, and asked what a prompt would cost.
    pub fn tells_cache(&self) -> bool {
        self.kv.is_some()
    }

    /// Where text goes that it is to answer, if that is not this machine.
    pub fn sends_to(&self) -> Option<&str> {
        let server = self.server.as_ref().map(|server| &server.server).filter(|server| !server.is_on_this_machine());
        server.map(Server::host).or_else(|| self.device.as_ref()?.elsewhere.as_deref())
    }
}

/// The server that has a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    pub server: Server,
    /// What answers there, in its own words, where it says so.
    pub program: Option<String>,
    /// Tokens that fit into its context, where it says so.
    pub context: Option<u32>,
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
    /// Another machine that computes a part of it, and so sees what is said. In the reason, too.
    #[serde(skip_serializing)]
    pub elsewhere: Option<String>,
}
