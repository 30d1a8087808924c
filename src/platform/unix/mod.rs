//! Linux, macOS and their kin.

pub mod files;
pub mod processes;
