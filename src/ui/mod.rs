//! The terminal interface.

pub mod theme;
