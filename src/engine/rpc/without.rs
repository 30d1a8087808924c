//! A build without RPC: nothing is held, and nothing lost.

use super::super::protocol::{CancelFlag, EngineError, Server};

pub fn begin() {}

/// # Errors
/// A sentence: this build cannot.
pub fn hold(_servers: &[Server]) -> Result<(), String> {
    Err("this build cannot use servers of llama.cpp's RPC; leave `--device` out, or build with \
         `GGML_RPC=ON cargo build --release --features rpc --target-dir target/rpc`"
        .into())
}

pub fn release() {}

pub fn is_held() -> bool {
    false
}

pub fn is_lost() -> bool {
    false
}

pub fn lost() -> Option<String> {
    None
}

pub fn check() -> Result<(), EngineError> {
    Ok(())
}

pub fn wait_for(_flags: &[&CancelFlag]) {}

pub fn name_of(_endpoint: &str) -> Option<String> {
    None
}
