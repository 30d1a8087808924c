//! llama.cpp's log, sent to `tracing` (target `llama.cpp`) instead of standard error.

use std::ffi::{CStr, c_char, c_void};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use llama_cpp_sys_2 as sys;

/// A line that is still growing (llama.cpp prints dots), and the newest error.
struct State {
    line: String,
    level: sys::ggml_log_level,
    last_error: Option<String>,
}

static STATE: Mutex<State> =
    Mutex::new(State { line: String::new(), level: sys::GGML_LOG_LEVEL_NONE, last_error: None });

/// llama.cpp logs a cancelled computation as an error. While one is being cancelled, errors are no more than details.
static CANCELLING: AtomicBool = AtomicBool::new(false);

/// Says whether a computation is being cancelled on purpose.
pub(super) fn set_cancelling(cancelling: bool) {
    CANCELLING.store(cancelling, Ordering::Relaxed);
}

/// Sends everything that llama.cpp and ggml log from now on to `tracing`.
pub(super) fn redirect() {
    // SAFETY: the callback has the signature asked for, takes no user data and never unwinds.
    unsafe { sys::llama_log_set(Some(receive), std::ptr::null_mut()) };
}

/// The newest error since the last call: usually the reason why a load returned nothing.
pub(super) fn take_last_error() -> Option<String> {
    STATE.lock().ok()?.last_error.take()
}

unsafe extern "C" fn receive(level: sys::ggml_log_level, text: *const c_char, _user_data: *mut c_void) {
    if text.is_null() {
        return;
    }
    // SAFETY: llama.cpp passes a string that ends in NUL and lives during the call.
    let text = unsafe { CStr::from_ptr(text) }.to_string_lossy();
    let Ok(mut state) = STATE.lock() else { return };
    if level != sys::GGML_LOG_LEVEL_CONT {
        state.level = level;
    }
    state.line.push_str(&text);
    while let Some(end) = state.line.find('\n') {
        let line: String = state.line.drain(..=end).collect();
        emit(&mut state, line.trim_end());
    }
}

fn emit(state: &mut State, line: &str) {
    match state.level {
        sys::GGML_LOG_LEVEL_ERROR if CANCELLING.load(Ordering::Relaxed) => {
            tracing::debug!(target: "llama.cpp", "{line}");
        }
        sys::GGML_LOG_LEVEL_ERROR => {
            tracing::error!(target: "llama.cpp", "{line}");
            // Said behind the reason, and no reason.
            if !(line.ends_with("failed to load model") && state.last_error.is_some()) {
                let reason = line.split_once("error loading model: ").map_or(line, |(_, reason)| reason);
                state.last_error = Some(reason.to_owned());
            }
        }
        sys::GGML_LOG_LEVEL_WARN => tracing::warn!(target: "llama.cpp", "{line}"),
        sys::GGML_LOG_LEVEL_INFO => tracing::debug!(target: "llama.cpp", "{line}"),
        _ => tracing::trace!(target: "llama.cpp", "{line}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_a_model_cannot_be_loaded_is_not_hidden_by_that_it_cannot() {
        let mut state = State { line: String::new(), level: sys::GGML_LOG_LEVEL_ERROR, last_error: None };
        emit(&mut state, "llama_model_load: error loading model: missing tensor 'output_norm.weight'");
        emit(&mut state, "llama_model_load_from_file_impl: failed to load model");
        assert_eq!(state.last_error.as_deref(), Some("missing tensor 'output_norm.weight'"));
    }
}
