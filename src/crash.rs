//! Ends that nothing of Rust runs in: the processor refuses an instruction or an access to memory, or C++ gives up. A
//! handler gives the terminal back and says what happened, and the program ends by the signal as it would have without
//! (so the shell sees it, and the system writes a core where that is wanted).

use std::io;
use std::mem;
use std::ptr;
use std::sync::OnceLock;

use libc::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, c_int, c_void, sigaction, siginfo_t};

use crate::ui::terminal::{restore_after_crash, write_fixed};

/// The signals, and what is said of each.
const FATAL: [(c_int, &str); 5] = [
    (SIGABRT, "error: the program gave itself up (SIGABRT)\n"),
    (
        SIGBUS,
        "error: a file in use became shorter or cannot be read any more, most likely the model's (SIGBUS)\n\
         hint: check it with `tuichat models check`\n",
    ),
    (SIGFPE, "error: a calculation was refused by the processor (SIGFPE)\n"),
    (
        SIGILL,
        "error: this processor lacks an instruction that tuichat was built with (SIGILL)\n\
         hint: build it on this machine with `make build`\n",
    ),
    (SIGSEGV, "error: the program crashed (SIGSEGV)\n"),
];
const SAVED: &str = "hint: what was said is saved: go on with `tuichat --resume`\n";

/// What these signals did before, in the order of [`FATAL`].
static BEFORE: OnceLock<[sigaction; FATAL.len()]> = OnceLock::new();

/// Has these signals end the program with a sane terminal and a sentence, from now on.
pub fn watch() {
    BEFORE.get_or_init(|| FATAL.map(|(signal, _)| replace(signal, &handler())));
}

fn handler() -> sigaction {
    // SAFETY: all zeros is an action: the default one, with no flags and no signals held back.
    let mut action: sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = on_fatal as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
    // An overflow of the stack is told on another one, where the thread has one.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    action
}

/// Sets what a signal does, and gives what it did.
fn replace(signal: c_int, action: &sigaction) -> sigaction {
    // SAFETY: both are actions, and the call reads the one and fills in the other. It is one of those that a handler may
    // make.
    unsafe {
        let mut before: sigaction = mem::zeroed();
        libc::sigaction(signal, action, ptr::from_mut(&mut before));
        before
    }
}

/// Calls nothing that takes a lock or allocates.
extern "C" fn on_fatal(signal: c_int, info: *mut siginfo_t, _context: *mut c_void) {
    restore_after_crash();
    let place = FATAL.iter().position(|(fatal, _)| *fatal == signal);
    if let Some((_, words)) = place.map(|place| FATAL[place]) {
        write_fixed(io::stderr(), words.as_bytes());
        write_fixed(io::stderr(), SAVED.as_bytes());
    }
    // SAFETY: the system hands over what is known of the signal, and it lives as long as this call.
    let is_sent = unsafe { info.as_ref() }.is_none_or(|info| info.si_code <= 0);
    // SAFETY: as above, all zeros is the default action.
    let default: sigaction = unsafe { mem::zeroed() };
    let before = place.and_then(|place| Some(BEFORE.get()?[place])).unwrap_or(default);
    if is_sent {
        replace(signal, &default);
        // SAFETY: takes a number. The signal comes when this returns.
        unsafe { libc::raise(signal) };
    } else {
        // The instruction is tried again, and refused again: by what was there before, which knows an overflow of the stack.
        replace(signal, &before);
    }
}
