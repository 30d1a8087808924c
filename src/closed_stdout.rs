//! Whether stdout was closed when the program began (`>&-`). Rust's start opens `/dev/null` in its place, where an answer
//! would be lost without a word; so it is looked before that.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::exit::Failure;

static WAS_CLOSED: AtomicBool = AtomicBool::new(false);

#[cfg(unix)]
#[ctor::ctor(unsafe)]
fn look() {
    let is_open = rustix::io::fcntl_getfd(std::io::stdout()).is_ok();
    WAS_CLOSED.store(!is_open, Ordering::Relaxed);
}

/// # Errors
/// If what is written to stdout reaches nobody.
pub fn check() -> Result<(), Failure> {
    match WAS_CLOSED.load(Ordering::Relaxed) {
        false => Ok(()),
        true => Err(Failure::disk("cannot write the output: stdout is closed")
            .hint("leave out `>&-`; `> /dev/null` throws the output away")),
    }
}
