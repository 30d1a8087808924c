//! A look at the file of chats that changes nothing: how much is in it, and whether it is whole.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::ChatId;
use super::disk::{beside, schema_version};
use super::error::{Result, StoreError};

/// What a look at the file tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    pub chats: u64,
    pub messages: u64,
    /// Of the file, and of what SQLite has written beside it.
    pub size_bytes: u64,
    /// Steps that the schema has been through, and that this program knows.
    pub schema: (u32, u32),
    /// Whether SQLite finds it whole; `None` where there was no time to look at all of it.
    pub is_whole: Option<bool>,
    /// What is wrong with it, in SQLite's words.
    pub complaint: Option<String>,
}

/// Looks at the chats at `path`, for about `patience` at most. `None` if there are none yet.
///
/// # Errors
/// If the file cannot be read, is not ours, or comes from a newer version.
pub fn inspect(path: &Path, patience: Duration) -> Result<Option<Inspection>> {
    let Ok(metadata) = path.metadata() else { return Ok(None) };
    let wal = beside(path, "-wal");
    let size_bytes = metadata.len() + wal.metadata().map_or(0, |metadata| metadata.len());
    // With nothing beside the file, nobody has it open, and SQLite would make files there.
    let is_closed = !wal.exists();
    let first = look(path, patience, size_bytes, is_closed);
    match first {
        // Somebody may have begun to write just then.
        Ok(Inspection { is_whole: Some(false), .. }) | Err(StoreError::Damaged { .. }) if is_closed && wal.exists() => {
            look(path, patience, size_bytes, false).map(Some)
        }
        other => other.map(Some),
    }
}

/// The chats at `path`, the latest first, `most` at most.
///
/// # Errors
/// If the file cannot be read.
pub fn titles(path: &Path, most: u32) -> Result<Vec<(ChatId, String)>> {
    let sqlite = |error| StoreError::sqlite(path, error);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let connection = open(path, !beside(path, "-wal").exists()).map_err(sqlite)?;
    let read = || -> rusqlite::Result<Vec<_>> {
        let mut statement = connection.prepare(
            "SELECT id, title FROM chats WHERE newest IS NOT NULL ORDER BY newest DESC, updated_at DESC LIMIT ?1",
        )?;
        statement.query_map([most], |row| Ok((ChatId(row.get(0)?), row.get(1)?)))?.collect()
    };
    read().map_err(sqlite)
}

fn look(path: &Path, patience: Duration, size_bytes: u64, is_closed: bool) -> Result<Inspection> {
    let sqlite = |error| StoreError::sqlite(path, error);
    let connection = open(path, is_closed).map_err(sqlite)?;
    let found = schema_version(&connection, path)?;
    let known = super::migrations::STEPS.len() as u32;
    let (chats, messages) = match found {
        0 => (0, 0),
        _ => connection
            .query_row("SELECT (SELECT count(*) FROM chats), (SELECT count(*) FROM messages)", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })
            .map_err(sqlite)?,
    };
    let (is_whole, complaint) = check(&connection, patience).map_err(sqlite)?;
    Ok(Inspection {
        chats: chats.max(0) as u64,
        messages: messages.max(0) as u64,
        size_bytes,
        schema: (u32::try_from(found).unwrap_or(0), known),
        is_whole,
        complaint,
    })
}

/// Opens the file without the right to write.
fn open(path: &Path, is_closed: bool) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = match is_closed {
        true => Connection::open_with_flags(immutable(path), flags | OpenFlags::SQLITE_OPEN_URI)?,
        false => Connection::open_with_flags(path, flags)?,
    };
    connection.busy_timeout(Duration::from_millis(200))?;
    Ok(connection)
}

/// The address under which SQLite makes no files beside this one.
fn immutable(path: &Path) -> String {
    let mut address = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                address.push(char::from(*byte))
            }
            other => address.push_str(&format!("%{other:02X}")),
        }
    }
    address + "?immutable=1"
}

/// Asks SQLite whether the file is whole, and for its first complaint if it is not.
fn check(connection: &Connection, patience: Duration) -> rusqlite::Result<(Option<bool>, Option<String>)> {
    let interrupt = connection.get_interrupt_handle();
    let (done, waiting) = mpsc::channel::<()>();
    let clock = std::thread::spawn(move || {
        if waiting.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            interrupt.interrupt();
        }
    });
    let said = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    drop(done);
    let _ = clock.join();
    match said {
        Ok(word) if word == "ok" => Ok((Some(true), None)),
        Ok(complaint) => Ok((Some(false), Some(complaint))),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => Ok((None, None)),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn with_a_chat() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chats % ? é.db");
        Store::open(&path).unwrap().create_chat("Kept", None).unwrap();
        (folder, path)
    }

    fn names(folder: &Path) -> Vec<std::ffi::OsString> {
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_look_counts_and_changes_nothing() {
        let (folder, path) = with_a_chat();
        let before = (names(folder.path()), std::fs::read(&path).unwrap());
        let found = inspect(&path, PATIENCE).unwrap().unwrap();
        assert_eq!((found.chats, found.is_whole), (1, Some(true)));
        assert_eq!(found.schema.0, found.schema.1);
        assert_eq!((names(folder.path()), std::fs::read(&path).unwrap()), before);
        assert_eq!(inspect(&folder.path().join("none.db"), PATIENCE).unwrap(), None);
    }

    #[test]
    fn the_titles_are_read_without_a_change() {
        let (folder, path) = with_a_chat();
        let mut store = Store::open(&path).unwrap();
        let chat = store.create_chat("Bread", None).unwrap();
        store.add_message(chat, None, crate::chat::Role::User, "How?").unwrap();
        drop(store);
        let before = names(folder.path());
        // A chat without a message is in no list.
        assert_eq!(titles(&path, 9).unwrap(), [(chat, "Bread".to_owned())]);
        assert_eq!(names(folder.path()), before);
        assert_eq!(titles(&folder.path().join("none.db"), 9).unwrap(), []);
    }

    #[test]
    fn a_file_that_is_open_elsewhere_is_seen_as_it_is_there() {
        let (_folder, path) = with_a_chat();
        let mut store = Store::open(&path).unwrap();
        store.create_chat("Another", None).unwrap();
        let found = inspect(&path, PATIENCE).unwrap().unwrap();
        assert_eq!(found.chats, 2);
        let sizes = [path.clone(), beside(&path, "-wal")].map(|path| path.metadata().unwrap().len());
        assert_eq!(found.size_bytes, sizes.iter().sum::<u64>());
    }

    #[test]
    fn an_empty_file_holds_no_chats() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chats.db");
        std::fs::write(&path, "").unwrap();
        let found = inspect(&path, PATIENCE).unwrap().unwrap();
        assert_eq!((found.chats, found.messages, found.schema.0), (0, 0, 0));
    }

    #[test]
    fn a_check_that_takes_too_long_says_nothing_and_one_that_cannot_be_made_fails() {
        let connection = Connection::open_in_memory().unwrap();
        let many = "CREATE TABLE t AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000)
             SELECT i, hex(randomblob(50)) AS text FROM n; CREATE INDEX by_text ON t (text);";
        connection.execute_batch(many).unwrap();
        let hurried = || check(&connection, Duration::from_micros(200)).unwrap();
        assert!((0..100).any(|_| hurried() == (None, None)));
        assert_eq!(check(&connection, PATIENCE).unwrap(), (Some(true), None));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, "no database at all, but long enough for a header".repeat(20)).unwrap();
        assert!(check(&Connection::open(file.path()).unwrap(), PATIENCE).is_err());
    }

    #[test]
    fn what_is_damaged_newer_or_of_others_is_told_apart() {
        let (_folder, path) = with_a_chat();
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        drop(connection);
        let newer = inspect(&path, PATIENCE).unwrap_err();
        assert!(matches!(newer, StoreError::FromTheFuture { found: 99, .. }), "{newer}");
        std::fs::write(&path, "no database at all, but long enough for a header".repeat(20)).unwrap();
        assert!(matches!(inspect(&path, PATIENCE).unwrap_err(), StoreError::Damaged { .. }));
    }

    #[test]
    fn a_page_that_is_overwritten_is_found() {
        let (_folder, path) = with_a_chat();
        let mut bytes = std::fs::read(&path).unwrap();
        let page = bytes.len() / 4096 - 1;
        bytes[page * 4096..(page + 1) * 4096].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();
        let found = inspect(&path, PATIENCE);
        let is_found = match &found {
            Ok(Some(inspection)) => inspection.is_whole == Some(false) && inspection.complaint.is_some(),
            Err(StoreError::Damaged { .. }) => true,
            _ => false,
        };
        assert!(is_found, "{found:?}");
    }
}
