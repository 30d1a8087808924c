//! What every run takes for granted: that it may start threads and open files. Where a `ulimit`, a control group or a
//! full system says no, libraries end the program without a sentence (libgomp exits, others panic), so it is tried first.

use std::fs::File;
use std::sync::RwLock;
use std::thread;

/// Beside those that compute: the log, signals, engine, store, keyboard.
const THREADS: usize = 5;
/// Beside those that are open at the start: the log, the database with its log and its locks, the model, the terminal.
const FILES: usize = 16;

/// What the system denies that no run can do without: a sentence, and what to type.
pub fn what_is_denied() -> Option<(&'static str, &'static str)> {
    if !can_open(FILES) {
        Some((
            "the system lets tuichat open too few files at once",
            "type `ulimit -n 256` in this shell, or close other programs",
        ))
    } else if !can_start(THREADS) {
        Some((
            "the system lets tuichat start too few threads",
            "close other programs, or raise the limit (`ulimit -u`, or `pids.max` of a container)",
        ))
    } else {
        None
    }
}

/// Whether so many threads could be started now. Others may take them in the next moment.
pub fn can_start(threads: usize) -> bool {
    let gate = RwLock::new(());
    thread::scope(|scope| {
        let closed = gate.write();
        let started = (0..threads).all(|_| thread::Builder::new().spawn_scoped(scope, || drop(gate.read())).is_ok());
        drop(closed);
        started
    })
}

fn can_open(files: usize) -> bool {
    let Ok(first) = File::open("/dev/null") else { return !std::path::Path::new("/dev/null").exists() };
    let more: Vec<File> = (1..files).map_while(|_| first.try_clone().ok()).collect();
    more.len() + 1 == files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_limits_denies_nothing() {
        assert_eq!(what_is_denied(), None);
        assert!(can_start(0) && can_start(64));
    }
}
