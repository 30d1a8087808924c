//! llama.cpp behind safe types. The only place that names `llama_cpp_2` or `llama_cpp_sys_2`, and the only one that
//! may hold `unsafe`.
//!
//! Where the safe crate has a call, it is used (back end, model, vocabulary). The context is our own, on the raw
//! bindings, because the crate gives no access to the abort callback, the status of a decode or the thread counts.

mod context;
mod grammar;
mod heap;
#[cfg(all(test, not(feature = "portable")))]
mod kernels;
mod lanes;
mod log;
mod mapped;
mod model;
#[cfg(feature = "portable")]
mod modules;
mod observe;
mod pool;
mod quantize;
mod rows;
#[cfg(feature = "rpc")]
pub mod rpc;
mod span;
mod state;

use std::ffi::{CStr, c_char};
use std::sync::{Mutex, OnceLock, PoisonError};

use llama_cpp_2::LlamaBackendDeviceType;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_sys_2 as sys;
use serde::{Deserialize, Serialize};

use crate::engine::rpc as remote;
use crate::models::gguf::TensorType;

pub use context::{Context, ContextSettings, Decoded, Row};
pub use grammar::{Grammar, json_schema_to_grammar};
pub use heap::{give_back_what_is_free, give_back_what_is_freed};
pub use model::{LoadError, Model, Placement, Token, TokenKind};
pub use quantize::{Format, quantize};
pub use rows::{Rebuilt, Rows};
pub use span::Span;
pub use state::State;

/// Starts llama.cpp once per process: its log goes to `tracing` and never to the screen.
///
/// # Errors
/// Why it does not start, in words.
fn start() -> Result<(), &'static str> {
    static BACKEND: OnceLock<Result<LlamaBackend, String>> = OnceLock::new();
    BACKEND
        .get_or_init(|| {
            log::redirect();
            #[cfg(feature = "portable")]
            modules::load()?;
            LlamaBackend::init().map_err(|_| "llama.cpp cannot be started".to_owned())
        })
        .as_ref()
        .map_or_else(|why| Err(why.as_str()), |_| Ok(()))
}

/// The version of llama.cpp that is built in.
pub fn version() -> String {
    // SAFETY: the call takes nothing and gives a static string.
    unsafe { CStr::from_ptr(llama_cpp_sys_2::llama_version()) }.to_string_lossy().into_owned()
}

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceKind {
    /// The processor itself, or a library that computes on it.
    Cpu,
    /// A graphics processor with memory of its own.
    Discrete,
    /// One that shares the machine's memory.
    Integrated,
    /// A driver that computes on the processor what a graphics processor would, only slower (Mesa's llvmpipe).
    Software,
}

/// Something llama.cpp can compute on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its number, for `Model::load`.
    pub index: usize,
    /// llama.cpp's name for it (`Vulkan0`).
    pub name: String,
    /// `CPU`, `Metal` or `MTL`, `CUDA`, `Vulkan`, `RPC`.
    pub backend: String,
    /// What the maker calls it.
    pub description: String,
    pub kind: DeviceKind,
    /// Bytes of memory that are free now, and all of them; 0 where it does not tell.
    pub free_bytes: u64,
    pub total_bytes: u64,
}

impl Device {
    /// Whether layers can be put on it.
    pub fn is_gpu(&self) -> bool {
        self.kind != DeviceKind::Cpu
    }

    /// Whether its memory is the machine's.
    pub fn shares_memory(&self) -> bool {
        self.kind != DeviceKind::Discrete
    }
}

/// Held while devices are listed, or some are added: llama.cpp's list has no lock.
static LISTING: Mutex<()> = Mutex::new(());

/// The devices llama.cpp was built for and found here, and those of the servers that a model is shared among.
pub fn devices() -> Vec<Device> {
    if start().is_err() {
        return Vec::new();
    }
    let _listing = LISTING.lock().unwrap_or_else(PoisonError::into_inner);
    llama_cpp_2::list_llama_ggml_backend_devices()
        .into_iter()
        .filter_map(|device| {
            Some(Device {
                index: device.index,
                kind: kind_of(device.device_type, &device.backend, &device.description),
                name: device.name,
                description: match device.backend == remote::BACKEND {
                    true => remote::name_of(&device.description)?,
                    false => device.description,
                },
                backend: device.backend,
                free_bytes: device.memory_free as u64,
                total_bytes: device.memory_total as u64,
            })
        })
        .collect()
}

/// ggml takes Mesa's software driver for a card, and Apple's processors too.
fn kind_of(kind: LlamaBackendDeviceType, backend: &str, description: &str) -> DeviceKind {
    let description = description.to_lowercase();
    let is_software = ["llvmpipe", "lavapipe", "swiftshader"].iter().any(|name| description.contains(name));
    match kind {
        LlamaBackendDeviceType::Gpu | LlamaBackendDeviceType::IntegratedGpu if is_software => DeviceKind::Software,
        LlamaBackendDeviceType::Gpu if matches!(backend, "Metal" | "MTL") => DeviceKind::Integrated,
        LlamaBackendDeviceType::Gpu => DeviceKind::Discrete,
        LlamaBackendDeviceType::IntegratedGpu => DeviceKind::Integrated,
        _ => DeviceKind::Cpu,
    }
}

/// Which graphics processors llama.cpp is to see when it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visible {
    /// None of Vulkan's, so that none of its drivers is loaded.
    None,
    /// Vulkan's first, which may be a software driver: those are left out otherwise.
    First,
}

impl Visible {
    /// The variable that llama.cpp reads, and what it is to say.
    pub fn variable(self) -> (&'static str, &'static str) {
        match self {
            Visible::None => ("GGML_DISABLE_VULKAN", "1"),
            Visible::First => (VISIBLE_DEVICES, "0"),
        }
    }
}

/// The variable with which a person chooses among Vulkan's devices.
pub const VISIBLE_DEVICES: &str = "GGML_VK_VISIBLE_DEVICES";

/// Says what llama.cpp is to see; called at most once, before it is started.
pub fn show_devices(visible: Visible) {
    let (name, value) = visible.variable();
    // SAFETY: Rust's own readers and writers of the environment hold a lock. A library in C that reads it at the same time
    // on another thread sees the old table or the new one: the C library makes a new one for the first variable that is
    // added and does not free the old one, which is the process's own, and nothing else here adds any.
    unsafe { std::env::set_var(name, value) };
}

/// Types of which llama.cpp keeps a second copy on this processor, in the order that its kernels want: the conditions of
/// `ggml_repack_get_optimal_repack_type` in ggml-cpu's `repack.cpp`, but for those of RISC-V and s390.
pub fn repacked_types() -> Vec<TensorType> {
    let [avx2, avx512, neon, dot_product, matrix] = kernels_use();
    let arm = neon && (dot_product || matrix);
    let rules = [
        ("Q4_0", avx2 || arm),
        ("Q4_K", avx2 || arm),
        ("Q2_K", avx512),
        ("Q5_K", arm),
        ("Q6_K", arm),
        ("Q8_0", arm),
        ("IQ4_NL", avx2 || (neon && dot_product)),
        ("MXFP4", avx2 || (neon && dot_product)),
    ];
    rules.into_iter().filter(|(_, holds)| *holds).filter_map(|(name, _)| TensorType::from_name(name)).collect()
}

/// Whether the kernels for this processor use AVX2, AVX-512, NEON, its dot product, and its products of matrices.
#[cfg(not(feature = "portable"))]
fn kernels_use() -> [bool; 5] {
    // SAFETY: these look at the processor and take no argument. None of them starts llama.cpp, and with it the drivers of
    // graphics processors.
    unsafe {
        [
            sys::ggml_cpu_has_avx2() != 0,
            sys::ggml_cpu_has_avx512() != 0,
            sys::ggml_cpu_has_neon() != 0,
            sys::ggml_cpu_has_dotprod() != 0,
            sys::ggml_cpu_has_matmul_int8() != 0,
        ]
    }
}

/// The same, of the module that was chosen: those functions are in the modules, and the program is linked with none.
#[cfg(feature = "portable")]
fn kernels_use() -> [bool; 5] {
    let abilities = abilities();
    ["AVX2", "AVX512", "NEON", "DOTPROD", "MATMUL_INT8"].map(|name| abilities.iter().any(|ability| ability == name))
}

/// What the kernels for the processor were compiled for, by ggml's names: `AVX2`, `DOTPROD`, `OPENMP`.
pub fn abilities() -> Vec<String> {
    if start().is_err() {
        return Vec::new();
    }
    static ASKING: Mutex<()> = Mutex::new(());
    let asking = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: the call takes nothing and gives a string that lives until the next such call, which only comes when this
    // one's answer was copied: all of them are here, behind the lock.
    let text = unsafe { CStr::from_ptr(sys::llama_print_system_info()) }.to_string_lossy().into_owned();
    drop(asking);
    abilities_in(&text)
}

/// From `CPU : AVX2 = 1 | OPENMP = 1 | CUDA : ARCHS = 860 | …` those of the processor.
fn abilities_in(text: &str) -> Vec<String> {
    let mut is_of_cpu = false;
    let mut found = Vec::new();
    for part in text.split('|') {
        let ability = match part.split_once(" : ") {
            Some((backend, first)) => {
                is_of_cpu = backend.trim() == "CPU";
                first
            }
            None => part,
        };
        if let Some((name, "1")) = ability.split_once('=').map(|(name, value)| (name.trim(), value.trim()))
            && is_of_cpu
        {
            found.push(name.to_owned());
        }
    }
    found
}

static ABORT_HOOK: OnceLock<fn(&str)> = OnceLock::new();

extern "C" fn on_abort(message: *const c_char) {
    let text = if message.is_null() {
        "".into()
    } else {
        // SAFETY: ggml passes a string of its own that lives until it aborts, which is after this returns.
        unsafe { CStr::from_ptr(message) }.to_string_lossy()
    };
    if let Some(hook) = ABORT_HOOK.get() {
        hook(&text);
    }
}

/// Calls `hook` with ggml's message just before a failed assertion in C++ ends the process, so that the terminal can
/// be given back. The first hook stays.
pub fn set_abort_hook(hook: fn(&str)) {
    if ABORT_HOOK.set(hook).is_ok() {
        // SAFETY: a plain function pointer with the signature that ggml asks for; it does not unwind, since a hook
        // that panics ends the process at the `extern "C"` border.
        unsafe { llama_cpp_sys_2::ggml_set_abort_callback(Some(on_abort)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processors_abilities_are_told_from_those_of_other_devices() {
        let text = "CPU : SSE3 = 1 | AVX512 = 1 | SVE_CNT = 32 | OPENMP = 1 | CUDA : ARCHS = 860 | FORCE_MMQ = 1 | ";
        assert_eq!(abilities_in(text), ["SSE3", "AVX512", "OPENMP"]);
        assert_eq!(abilities_in(""), Vec::<String>::new());
    }

    #[test]
    fn llama_cpp_says_what_it_was_compiled_for() {
        let abilities = abilities();
        assert!(abilities.iter().any(|ability| ability == "OPENMP"), "{abilities:?}");
    }
}
