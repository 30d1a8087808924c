//! Signals that end a run. The first asks: what was done is kept. The second leaves at once, and gives the terminal back if
//! something was drawn on it.

use std::io;
use std::thread;

use crate::exit::Exit;
use crate::ui::signals::Signals;
use crate::ui::terminal::restore_after_crash;

/// Watches for SIGINT, SIGTERM and SIGHUP (the terminal is gone), or what Windows has of them, on a thread of its own; the first calls `first` with the exit code to leave
/// with. The process must not go on to use the terminal as an interface: there a key press is no signal.
///
/// # Errors
/// If the system refuses a thread or a handler.
pub fn watch(first: impl FnOnce(Exit) + Send + 'static) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals = {
        let _entered = runtime.enter();
        Signals::listen()?
    };
    thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async move {
            first(next(&mut signals).await);
            let exit = next(&mut signals).await;
            restore_after_crash();
            std::process::exit(i32::from(exit.code()));
        });
    })?;
    Ok(())
}

async fn next(signals: &mut Signals) -> Exit {
    tokio::select! {
        _ = signals.interrupt.recv() => Exit::Interrupted,
        _ = signals.terminate.recv() => Exit::Terminated,
        _ = signals.hangup.recv() => Exit::HungUp,
    }
}
