//! Readers of the machine: pure functions of a root path, so that tests feed them fixture trees.

pub mod bandwidth;
#[cfg(test)]
pub mod boards;
mod control_group;
pub mod cores;
pub mod gpus;
pub mod health;
pub mod limits;
pub mod macos;
pub mod memory;
pub mod meters;
pub mod paging;
pub mod power;
pub mod volume;
#[cfg(windows)]
mod windows;

use std::path::PathBuf;

/// The folders in which programs are looked for.
pub fn program_folders() -> Vec<PathBuf> {
    std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect()
}
