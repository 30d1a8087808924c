//! What the system knows of the terminal: its size, how it hands over what is typed, and writing to it at once. Each
//! function is there twice, for Unix and for Windows.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::*;
#[cfg(windows)]
pub use windows::*;

/// How large the terminal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub columns: u16,
    pub rows: u16,
    /// In dots; 0 where it does not tell.
    pub width: u16,
    pub height: u16,
}
