//! Readers of the machine: pure functions of a root path, so that tests feed them fixture trees.

pub mod cores;
pub mod gpus;
pub mod macos;
pub mod memory;
pub mod power;
pub mod volume;
