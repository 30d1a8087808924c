//! The terminal interface.

pub mod markdown;
pub mod theme;
