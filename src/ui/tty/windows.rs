//! The terminal on Windows: its console. It has no line settings but on and off, no job control, and what is typed comes as
//! events, also what was typed before the program began.

use std::io::{self, IsTerminal};
use std::time::Duration;

use crossterm::ansi_support::supports_ansi;
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};

use super::Size;

/// What is written to. The console wants text in its own form, which the standard library makes; it takes a lock for that.
pub use std::io::Write as Output;

/// How often the reader of keys has to look up on its own: nothing wakes it.
pub const READER_LOOKS_UP: Option<Duration> = Some(Duration::from_millis(100));

/// The longest line that the console passes on, in the worst case.
pub const LONGEST_LINE: usize = 8191;

/// Before anything is written: has the console understand escape sequences, such as those of progress on stderr.
pub fn prepare() {
    supports_ansi();
}

/// The size of the console's window.
///
/// # Errors
/// If there is none.
pub fn size() -> io::Result<Size> {
    let (columns, rows) = crossterm::terminal::size()?;
    Ok(Size { columns, rows, width: 0, height: 0 })
}

/// The size of the console's window, if this program has one at any of its ends.
pub fn size_of_any() -> Option<Size> {
    let has_any = io::stdout().is_terminal() || io::stderr().is_terminal() || io::stdin().is_terminal();
    has_any.then(|| size().ok()).flatten()
}

/// Nothing to do: a console has a size.
///
/// # Errors
/// None here.
pub fn give_size_if_none() -> io::Result<()> {
    Ok(())
}

/// How the console hands over what is typed.
#[derive(Clone, Debug)]
pub struct Modes;

impl Modes {
    /// As they are.
    ///
    /// # Errors
    /// If stdout is no console, or one that does not understand sequences (before Windows 10).
    pub fn read() -> io::Result<Self> {
        if !io::stdout().is_terminal() {
            return Err(io::Error::other("stdout is no terminal"));
        }
        // This also switches the sequences on.
        match supports_ansi() {
            true => Ok(Self),
            false => Err(io::Error::other("this console knows no escape sequences; use Windows Terminal")),
        }
    }

    /// Lines are edited by the console again.
    pub fn set(&self) {
        let _ = disable_raw_mode();
    }

    /// The same: that what is typed is not echoed cannot be had alone.
    pub fn set_silent(&self) {
        self.set();
    }

    /// Every key comes at once, and as it is.
    ///
    /// # Errors
    /// If the console is gone.
    pub fn set_raw(&self) -> io::Result<()> {
        enable_raw_mode()
    }

    /// None: they come as keys.
    pub fn typed_ahead(&self) -> Option<String> {
        None
    }
}

/// It is not told. Lines that are pasted come one by one.
pub fn has_input() -> bool {
    false
}

/// Writes some of these bytes.
///
/// # Errors
/// As the system's.
pub fn write(to: &mut impl Output, bytes: &[u8]) -> io::Result<usize> {
    let written = to.write(bytes)?;
    to.flush()?;
    Ok(written)
}

/// Nothing to do: programs are not stopped here.
///
/// # Errors
/// None here.
pub fn stop() -> io::Result<()> {
    Ok(())
}

/// Nothing to do, see [`READER_LOOKS_UP`].
pub fn wake_reader() {}
