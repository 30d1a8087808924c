//! `tuichat models pull`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{make_private, with_progress};
use crate::commands::{Surroundings, print};
use crate::exit::Failure;
use crate::hardware::memory::Memory;
use crate::models::hub::{Hub, Pull};
use crate::models::{Library, catalog};
use crate::signals;

/// What a machine is taken to have that does not tell.
const USUAL_MEMORY_BYTES: u64 = 8 << 30;

/// Downloads a model, and prints the name it has afterwards.
pub fn run(reference: Option<&str>, library: &Library, surroundings: &Surroundings) -> Result<(), Failure> {
    if surroundings.config.offline {
        return Err(Failure::usage("a download needs the network, and `offline` is set")
            .hint("take it back with `--offline=no`, or bring a file with `tuichat models import FILE`"));
    }
    let what = match reference {
        Some(reference) => Pull::from_argument(reference)?,
        None => {
            let starter = catalog::starter(Memory::read().map_or(USUAL_MEMORY_BYTES, |memory| memory.total));
            Pull::of(starter, starter.usual_file())
        }
    };
    let hub = Hub::from_environment()?.limited_to(surroundings.config.limit_rate);
    make_private(&surroundings.directories.models)?;
    let cancel = Arc::new(AtomicBool::new(false));
    let on_signal = cancel.clone();
    signals::watch(move |_| on_signal.store(true, Ordering::Relaxed))
        .map_err(|error| Failure::error(format!("cannot watch for signals: {error}")))?;
    let installed = with_progress(surroundings, |listener| hub.pull_blocking(library, &what, &cancel, listener))?;
    print(&format!("{}\n", installed.name))
}
