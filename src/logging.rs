//! The log: a file that only its owner can read, never the screen. It holds what the program does, with ids and
//! counts, never what is said in a chat.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use tracing_appender::non_blocking::WorkerGuard;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Directories;
use crate::models::create_private;
use crate::platform::files;

/// Beyond this the log is put aside, and the one put aside before is dropped.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// Keeps the log going; what is still unwritten is written when it is dropped.
#[derive(Debug)]
pub struct Log(#[expect(dead_code, reason = "held for its destructor")] WorkerGuard);

/// Begins to log to the file in `directories`.
///
/// # Errors
/// A sentence, if the file cannot be opened or a log was begun already. The program goes on without one.
pub fn start(directories: &Directories, verbose: bool) -> Result<Log, String> {
    let path = directories.log_file();
    let file = open(&path).map_err(|error| format!("there is no log: cannot open {}: {error}", path.display()))?;
    let (writer, guard) = tracing_appender::non_blocking(file);
    let (ours, others) =
        if verbose { (LevelFilter::DEBUG, LevelFilter::INFO) } else { (LevelFilter::INFO, LevelFilter::WARN) };
    let targets = Targets::new().with_target("tuichat", ours).with_target("llama.cpp", ours).with_default(others);
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(writer).with_filter(targets);
    tracing_subscriber::registry().with(layer).try_init().map_err(|error| format!("there is no log: {error}"))?;
    Ok(Log(guard))
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        create_private(folder)?;
    }
    if path.metadata().is_ok_and(|metadata| metadata.len() > MOST_BYTES) {
        std::fs::rename(path, path.with_extension("log.old"))?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    files::for_owner(&mut options).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_the_log() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/tuichat.log");
        open(&path).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    }

    #[test]
    fn a_large_log_is_put_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tuichat.log");
        std::fs::write(&path, vec![b'x'; MOST_BYTES as usize + 1]).unwrap();
        assert_eq!(open(&path).unwrap().metadata().unwrap().len(), 0);
        assert!(folder.path().join("tuichat.log.old").exists());
    }
}
