//! Readers of the machine: pure functions of a root path, so that tests feed them fixture trees.

pub mod bandwidth;
#[cfg(test)]
pub mod boards;
mod control_group;
pub mod cores;
pub mod gpus;
pub mod health;
pub mod macos;
pub mod memory;
pub mod meters;
pub mod paging;
pub mod power;
pub mod volume;
