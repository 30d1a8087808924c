//! The terminal interface: a chat with one model.
//!
//! What happens becomes a message ([`msg`], keys through the table in [`keys`]), [`app`] changes its state by it and
//! answers with effects, [`view`] draws the state.
//!
//! - [`transcript`] and [`composer`]: the two parts of the screen with a state of their own.
//! - [`markdown`]: an answer's text to styled lines. [`theme`]: the styles.

mod app;
mod composer;
mod keys;
pub mod markdown;
mod msg;
pub mod theme;
mod transcript;
mod view;
