//! The terminal on Unix.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_current_process_group, kill_process};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use super::Size;

/// What is written to without a lock.
pub use std::os::fd::AsFd as Output;

/// How often the reader of keys has to look up on its own: never, since [`wake_reader`] wakes it.
pub const READER_LOOKS_UP: Option<Duration> = None;

/// The longest line that a terminal passes on; what is behind that in a line is lost.
pub const LONGEST_LINE: usize = if cfg!(target_os = "linux") { 4095 } else { 1023 };

/// More was not typed by a person.
const MOST_TYPED_AHEAD: u64 = 64 * 1024;

/// Before anything is written: terminals understand escape sequences.
pub fn prepare() {}

/// The size of the terminal at stdout.
///
/// # Errors
/// If there is none.
pub fn size() -> io::Result<Size> {
    Ok(size_of(io::stdout())?)
}

/// The size of the terminal at any of this program's ends.
pub fn size_of_any() -> Option<Size> {
    size_of(io::stdout()).or_else(|_| size_of(io::stderr())).or_else(|_| size_of(io::stdin())).ok()
}

fn size_of(end: impl AsFd) -> rustix::io::Result<Size> {
    let size = tcgetwinsize(end)?;
    Ok(Size { columns: size.ws_col, rows: size.ws_row, width: size.ws_xpixel, height: size.ws_ypixel })
}

/// A serial line says that it has no rows and no columns. Then it is told what terminals have had since 1978, unless
/// the environment knows better.
///
/// # Errors
/// If there is no terminal.
pub fn give_size_if_none() -> io::Result<()> {
    let mut size = tcgetwinsize(io::stdout())?;
    if size.ws_row == 0 || size.ws_col == 0 {
        let number = |name| std::env::var(name).ok()?.parse().ok().filter(|number| *number > 0);
        size.ws_row = number("LINES").unwrap_or(24);
        size.ws_col = number("COLUMNS").unwrap_or(80);
        tcsetwinsize(io::stdout(), size)?;
    }
    Ok(())
}

/// How the terminal hands over what is typed: its line settings.
#[derive(Clone, Debug)]
pub struct Modes(Termios);

impl Modes {
    /// As they are.
    ///
    /// # Errors
    /// If stdout is no terminal.
    pub fn read() -> io::Result<Self> {
        Ok(Self(tcgetattr(io::stdout())?))
    }

    /// Sets them. Takes no lock and allocates nothing.
    pub fn set(&self) {
        let _ = tcsetattr(io::stdout(), OptionalActions::Now, &self.0);
    }

    /// Sets them, but for that nothing is echoed and no Ctrl-C throws away what is on its way to the screen.
    pub fn set_silent(&self) {
        let mut silent = self.clone();
        silent.0.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        silent.0.local_modes.insert(LocalModes::NOFLSH);
        silent.set();
    }

    /// Every key comes at once, and as it is.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn set_raw(&self) -> io::Result<()> {
        // Only then crossterm tells Ctrl-J from Enter. It acts once; the settings are ours to change later.
        crossterm::terminal::enable_raw_mode()?;
        let mut raw = self.0.clone();
        raw.make_raw();
        Ok(tcsetattr(io::stdout(), OptionalActions::Now, &raw)?)
    }

    /// The lines that were typed while the terminal was not ours yet. Their ends have been changed from those of Enter to
    /// line feeds, which would be other keys to us. How many bytes of whole lines there are is known beforehand, so that
    /// nothing is waited for.
    pub fn typed_ahead(&self) -> Option<String> {
        if !self.0.local_modes.contains(LocalModes::ICANON) {
            return None;
        }
        let stdin = io::stdin();
        let mut left = rustix::io::ioctl_fionread(&stdin).ok()?.min(MOST_TYPED_AHEAD) as usize;
        let mut lines = Vec::new();
        while left > 0 {
            let mut line = vec![0; left];
            let count = rustix::io::read(&stdin, &mut line).ok().filter(|count| *count > 0)?;
            lines.extend_from_slice(&line[..count]);
            left -= count.min(left);
        }
        Some(String::from_utf8_lossy(&lines).into_owned()).filter(|lines| !lines.is_empty())
    }
}

/// Whether something was typed, or came through the pipe at stdin, that was not read.
pub fn has_input() -> bool {
    rustix::io::ioctl_fionread(io::stdin()).is_ok_and(|bytes| bytes > 0)
}

/// Writes some of these bytes, without a lock.
///
/// # Errors
/// As the system's.
pub fn write(to: &mut impl Output, bytes: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(&*to, bytes)?)
}

/// Stops the program as the shell's Ctrl-Z would, and returns when it is continued. The signal goes to the process group,
/// so that a `make` that waits for us stops too.
///
/// # Errors
/// If the system refuses.
pub fn stop() -> io::Result<()> {
    Ok(kill_current_process_group(Signal::TSTP)?)
}

/// Ends a wait for keys.
pub fn wake_reader() {
    // A change of size is the one thing that ends crossterm's waiting without a key.
    let _ = kill_process(getpid(), Signal::WINCH);
}
