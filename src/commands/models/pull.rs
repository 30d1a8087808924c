//! `tuichat models pull`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{make_private, tell_name, with_progress};
use crate::commands::{Surroundings, offers};
use crate::exit::Failure;
use crate::models::hub::{Hub, Pull};
use crate::models::{Library, ModelError};
use crate::signals;

/// Downloads a model, and prints the name it has afterwards.
pub fn run(reference: Option<&str>, library: &Library, surroundings: &Surroundings) -> Result<(), Failure> {
    if surroundings.config.offline {
        let sentence = "a download needs the network, and `offline` is set".to_owned();
        return Err(Failure::from(ModelError::Network(sentence))
            .hint("take it back with `--offline=no`, or bring a file with `tuichat models import FILE`"));
    }
    let what = match reference {
        Some(reference) => offers::pull_of(reference, &surroundings.machine())?,
        None => {
            let first = offers::recommended(&surroundings.machine());
            Pull::of(first, first.usual_file())
        }
    };
    let hub = Hub::from_environment()?.limited_to(surroundings.config.limit_rate);
    make_private(&surroundings.directories.models)?;
    let cancel = Arc::new(AtomicBool::new(false));
    let on_signal = cancel.clone();
    signals::watch(move |_| on_signal.store(true, Ordering::Relaxed))
        .map_err(|error| Failure::error(format!("cannot watch for signals: {error}")))?;
    let installed = with_progress(surroundings, |listener| hub.pull_blocking(library, &what, &cancel, listener))?;
    tell_name(&installed.name, surroundings)
}
