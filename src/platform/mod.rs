//! Where Unix and Windows differ about files and processes. Each function is there twice, with the same name and the
//! same promise: in `unix/` and in `windows/`. What a system has no equivalent for does nothing, and says so there.
//!
//! What the terminal is told differently is in `ui::tty`, and how the machine is read in `hardware`.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::{files, processes};
#[cfg(windows)]
pub use windows::{files, processes};

/// Which file of this machine a file is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    /// The disk, or the part of one, that holds it.
    pub device: u64,
    /// Its number there.
    pub number: u64,
}
