//! Servers of llama.cpp's RPC, among which a model's layers are shared (feature `rpc`): reached through a [`relay`], so that
//! one which goes away is a sentence and not the end of the process.
//!
//! What speaks TCP is a thread of its own, the operator, and what it starts: the engine's thread may not.

// Its tests run in every build, though only the operator uses all of it.
#[cfg(any(feature = "rpc", test))]
#[cfg_attr(not(feature = "rpc"), allow(dead_code))]
mod relay;
#[cfg(any(feature = "rpc", test))]
mod words;

#[cfg(feature = "rpc")]
mod operator;
#[cfg(feature = "rpc")]
pub use operator::{begin, check, hold, is_held, is_lost, lost, name_of, release, wait_for};

#[cfg(not(feature = "rpc"))]
mod without;
#[cfg(not(feature = "rpc"))]
pub use without::{begin, check, hold, is_held, is_lost, lost, name_of, release, wait_for};

/// What llama.cpp calls these devices' back end.
pub const BACKEND: &str = "RPC";
