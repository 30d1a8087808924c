//! What the integration tests share. Each test file takes what it needs, so what one leaves unused is no dead code.
#![allow(dead_code)]

pub mod chat_server;
pub mod engine;
pub mod hub_server;
pub mod program;
pub mod real_models;
pub mod tiny_gguf;
