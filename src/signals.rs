//! Signals that end a run. The first asks: what was done is kept. The second leaves at once, and gives the terminal back if
//! something was drawn on it.

use std::io;
use std::thread;

use crate::exit::Exit;
use crate::ui::terminal::restore_after_crash;

/// Watches for SIGINT, SIGTERM and SIGHUP (the terminal is gone) on a thread of its own; the first calls `first` with the exit code to leave
/// with. The process must not go on to use the terminal as an interface: there a key press is no signal.
///
/// # Errors
/// If the system refuses a thread or a handler.
pub fn watch(first: impl FnOnce(Exit) + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _entered = runtime.enter();
        Signals::new()?
    };
    thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async move {
            first(signals.next().await);
            let exit = signals.next().await;
            restore_after_crash();
            std::process::exit(i32::from(exit.code()));
        });
    })?;
    Ok(())
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
            _ = self.hangup.recv() => Exit::HungUp,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Exit {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Exit::Interrupted,
            // There is no handler to wait for: the system's own ends the program.
            Err(_) => std::future::pending().await,
        }
    }
}
