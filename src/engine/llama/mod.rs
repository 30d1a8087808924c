//! llama.cpp behind safe types. The only place that names `llama_cpp_2` or `llama_cpp_sys_2`, and the only one that
//! may hold `unsafe`.
//!
//! Where the safe crate has a call, it is used (back end, model, vocabulary). The context is our own, on the raw
//! bindings, because the crate gives no access to the abort callback, the status of a decode or the thread counts.

mod context;
mod grammar;
mod lanes;
mod log;
mod model;
mod observe;
mod rows;
mod span;
mod state;

use std::ffi::{CStr, c_char};
use std::sync::{Mutex, OnceLock, PoisonError};

use llama_cpp_2::LlamaBackendDeviceType;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_sys_2 as sys;

use crate::models::gguf::TensorType;

pub use context::{Context, ContextSettings, Decoded};
pub use grammar::{Grammar, json_schema_to_grammar};
pub use model::{LoadError, Model, Placement, Token, TokenKind};
pub use rows::{Rebuilt, Rows};
pub use span::Span;
pub use state::State;

/// Starts llama.cpp once per process: its log goes to `tracing` and never to the screen.
fn backend() -> Option<&'static LlamaBackend> {
    static BACKEND: OnceLock<Option<LlamaBackend>> = OnceLock::new();
    BACKEND
        .get_or_init(|| {
            log::redirect();
            LlamaBackend::init().ok()
        })
        .as_ref()
}

/// The version of llama.cpp that is built in.
pub fn version() -> String {
    // SAFETY: the call takes nothing and gives a static string.
    unsafe { CStr::from_ptr(llama_cpp_sys_2::llama_version()) }.to_string_lossy().into_owned()
}

/// Something llama.cpp can compute on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its number, for [`Model::load`].
    pub index: usize,
    /// `CPU`, `Metal`, `CUDA`, `Vulkan`.
    pub backend: String,
    /// What the maker calls it.
    pub description: String,
    /// Whether layers can be put on it.
    pub is_gpu: bool,
}

/// The devices llama.cpp was built for and found here.
pub fn devices() -> Vec<Device> {
    if backend().is_none() {
        return Vec::new();
    }
    llama_cpp_2::list_llama_ggml_backend_devices()
        .into_iter()
        .map(|device| Device {
            index: device.index,
            is_gpu: matches!(device.device_type, LlamaBackendDeviceType::Gpu | LlamaBackendDeviceType::IntegratedGpu),
            backend: device.backend,
            description: device.description,
        })
        .collect()
}

/// Free bytes of the graphics processor with the most of them, if there is one that this build can use.
pub fn gpu_free_bytes() -> Option<u64> {
    backend()?;
    let is_gpu = |kind| matches!(kind, LlamaBackendDeviceType::Gpu | LlamaBackendDeviceType::IntegratedGpu);
    let devices = llama_cpp_2::list_llama_ggml_backend_devices().into_iter();
    devices.filter(|device| is_gpu(device.device_type)).map(|device| device.memory_free as u64).max()
}

/// Types of which llama.cpp keeps a second copy on this processor, in the order that its kernels want: the conditions of
/// `ggml_repack_get_optimal_repack_type` in ggml-cpu's `repack.cpp`, but for those of RISC-V and s390.
pub fn repacked_types() -> Vec<TensorType> {
    // SAFETY: these look at the processor and take no argument.
    let (avx2, avx512, neon, dot_product, matrix) = unsafe {
        (
            sys::ggml_cpu_has_avx2() != 0,
            sys::ggml_cpu_has_avx512() != 0,
            sys::ggml_cpu_has_neon() != 0,
            sys::ggml_cpu_has_dotprod() != 0,
            sys::ggml_cpu_has_matmul_int8() != 0,
        )
    };
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

/// What the kernels for the processor were compiled for, by ggml's names: `AVX2`, `DOTPROD`, `OPENMP`.
pub fn abilities() -> Vec<String> {
    if backend().is_none() {
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
