//! What the system tells the program: that it is to end, that its terminal is gone, that it goes on after a stop.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, ctrl_break, ctrl_c, ctrl_close};

/// Each is heard of by its `recv`.
#[cfg(unix)]
#[derive(Debug)]
pub struct Signals {
    pub terminate: Signal,
    /// Ctrl-C where the terminal makes a signal of it, else somebody's `kill`.
    pub interrupt: Signal,
    pub hangup: Signal,
    pub continued: Signal,
}

#[cfg(unix)]
impl Signals {
    /// # Errors
    /// If the system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        let continued = SignalKind::from_raw(rustix::process::Signal::CONT.as_raw());
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            continued: signal(continued)?,
        })
    }
}

/// Each is heard of by its `recv`.
#[cfg(windows)]
#[derive(Debug)]
pub struct Signals {
    pub terminate: CtrlBreak,
    /// Ctrl-C where the console makes a signal of it.
    pub interrupt: CtrlC,
    /// The console's window was closed. The system waits some seconds then.
    pub hangup: CtrlClose,
    pub continued: Never,
}

#[cfg(windows)]
impl Signals {
    /// # Errors
    /// If the system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        Ok(Self { terminate: ctrl_break()?, interrupt: ctrl_c()?, hangup: ctrl_close()?, continued: Never })
    }
}

/// What does not happen: nothing stops a program here.
#[cfg(windows)]
#[derive(Debug)]
pub struct Never;

#[cfg(windows)]
impl Never {
    pub async fn recv(&mut self) -> Option<()> {
        std::future::pending().await
    }
}
