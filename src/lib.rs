//! tuichat: talk to language models that run on your own machine, in the terminal.

pub mod chat;
pub mod cli;
pub mod config;
pub mod cpu_check;
pub mod engine;
pub mod exit;
pub mod logging;
pub mod models;
pub mod oneshot;
pub mod store;
pub mod text;
pub mod text_file;
