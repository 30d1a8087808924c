//! What of tuichat reads files that others wrote and can do without llama.cpp, for the fuzz targets. The rooms are those
//! of `src/lib.rs`.
#![allow(dead_code)]

#[path = "../../src/chat.rs"]
pub mod chat;
#[path = "../../src/hardware/mod.rs"]
pub mod hardware;
#[path = "../../src/platform/mod.rs"]
pub mod platform;
#[path = "../../src/store/mod.rs"]
pub mod store;
#[path = "../../src/text/mod.rs"]
pub mod text;

pub mod bench;
pub mod exchange;
pub mod models;
