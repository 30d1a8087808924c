//! tuichat: talk to language models that run on your own machine, in the terminal.

pub mod chat;
pub mod engine;
pub mod store;
pub mod text;
pub mod ui;
