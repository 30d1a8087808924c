//! Windows.

pub mod files;
pub mod processes;
