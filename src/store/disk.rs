//! The file under the store: made for the owner alone, checked before anything is written to it, set up so that a
//! commit survives a power cut, copied before its schema changes.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use rusqlite_migration::{M, Migrations};

use super::error::{Result, StoreError};
use super::migrations::{APPLICATION_ID, STEPS};
use crate::hardware::volume::{Nature, Volume};
use crate::platform::files;

/// How long to wait for another program's transaction. An SD card may need seconds for one.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Stands for the path where there is none.
pub(super) const IN_MEMORY: &str = ":memory:";

/// Opens or begins the database at `path`. Returns its real path, which is the same for everyone who opens it
/// through whatever link, so that they meet at the same lock files.
pub(super) fn open(path: &Path) -> Result<(Connection, PathBuf)> {
    let path = real_path(path).map_err(|error| StoreError::file("create the folder of", path, error))?;
    // One at a time: SQLite's switch to WAL does not wait for others, and only one may migrate.
    let opening = lock_file(&path, "-opening")
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|error| StoreError::file("lock", &path, error))?;
    // A file that exists is never opened but by SQLite: closing it would drop the locks that another connection
    // of this process holds (POSIX record locks belong to the process).
    if !path.exists() {
        create_private(&path).map_err(|error| StoreError::file("create", &path, error))?;
    }
    let connection = connect(&path)?;
    restrict(&path);
    drop(opening);
    Ok((connection, path))
}

/// The same database without a file.
pub(super) fn open_in_memory() -> Result<Connection> {
    let path = Path::new(IN_MEMORY);
    let mut connection = Connection::open_in_memory().map_err(|error| StoreError::sqlite(path, error))?;
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    Migrations::from_slice(STEPS).to_latest(&mut connection).map_err(|error| StoreError::migration(path, error))?;
    Ok(connection)
}

/// Where the copy is that was made before a file of schema `version` was changed.
pub(super) fn backup_path(path: &Path, version: i64) -> PathBuf {
    beside(path, &format!(".backup-{version}"))
}

/// Opens a file beside the database that exists only to be locked.
pub(super) fn lock_file(path: &Path, suffix: &str) -> io::Result<File> {
    files::for_owner(File::options().create(true).truncate(false).write(true)).open(beside(path, suffix))
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

fn connect(path: &Path) -> Result<Connection> {
    let sqlite = |error| StoreError::sqlite(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sqlite)?;
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    let version = schema_version(&connection, path)?;
    if connection.is_readonly("main").map_err(sqlite)? {
        return Err(StoreError::ReadOnly { path: path.to_owned() });
    }
    // A file that is open elsewhere stays in the mode that it has: either is safe. So does one on a file system without
    // shared memory.
    let _ = connection.pragma_update(None, "journal_mode", journal(Volume::of(path).ok().as_ref()));
    // `fullfsync` is for macOS, where fsync alone does not reach the disk. Schema steps may rebuild tables, hence foreign
    // keys only after them.
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY;
             PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = OFF;",
        )
        .map_err(sqlite)?;
    migrate(&mut connection, path, version, STEPS)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(sqlite)?;
    Ok(connection)
}

/// How changes are made safe. The write-ahead log needs memory that all programs share that have the file open, which
/// programs on several machines cannot (https://www.sqlite.org/wal.html).
fn journal(volume: Option<&Volume>) -> &'static str {
    match volume.and_then(|volume| volume.kind).map(|kind| kind.nature) {
        Some(Nature::Network | Nature::Shared) => "DELETE",
        _ => "WAL",
    }
}

/// The schema version of a file that is ours or empty.
pub(super) fn schema_version(connection: &Connection, path: &Path) -> Result<i64> {
    let (application, found, tables): (i64, i64, i64) = connection
        .query_row(
            "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_schema)
             FROM pragma_application_id, pragma_user_version",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .map_err(|error| StoreError::sqlite(path, error))?;
    let known = STEPS.len() as i64;
    let is_empty = (application, found, tables) == (0, 0, 0);
    if !is_empty && application != APPLICATION_ID {
        return Err(StoreError::OtherProgram { path: path.to_owned() });
    }
    if found > known {
        return Err(StoreError::FromTheFuture { path: path.to_owned(), found, known });
    }
    Ok(found)
}

/// Takes the file through the steps it lacks, in one transaction, after copying it if it holds anything.
fn migrate(connection: &mut Connection, path: &Path, version: i64, steps: &[M<'_>]) -> Result<()> {
    if 0 < version && version < steps.len() as i64 {
        back_up(connection, path, version)?;
    }
    Migrations::from_slice(steps).to_latest(connection).map_err(|error| StoreError::migration(path, error))
}

/// Copies the database. The copy gets its name only when it is whole and on disk.
fn back_up(connection: &Connection, path: &Path, version: i64) -> Result<()> {
    let file = |error| StoreError::file("write a backup of", path, error);
    let folder = path.parent().unwrap_or(Path::new("."));
    let part = beside(path, ".backup-part");
    if part.exists() {
        std::fs::remove_file(&part).map_err(file)?;
    }
    // SQLite takes an empty file for the target, and keeps its permissions.
    let copy = create_private(&part).map_err(file)?;
    connection
        .execute("VACUUM INTO CAST(?1 AS TEXT)", [part.as_os_str().as_encoded_bytes()])
        .map_err(|error| StoreError::sqlite(path, error))?;
    copy.sync_all().map_err(file)?;
    std::fs::rename(&part, backup_path(path, version)).map_err(file)?;
    files::sync_folder(folder).map_err(file)
}

/// Resolves links, after making the folder if there is none.
fn real_path(path: &Path) -> io::Result<PathBuf> {
    if path.exists() {
        return path.canonicalize();
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    create_private_folder(folder)?;
    Ok(folder.canonicalize()?.join(name))
}

/// Makes a folder and those above it, each synced into its parent, so that a power cut cannot take the first
/// chat away with its folder.
fn create_private_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().unwrap_or(Path::new(""));
    create_private_folder(parent)?;
    match files::folder_for_owner().create(folder) {
        // Another program may have been quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => return Ok(()),
        created => created?,
    }
    files::give_folder_to_owner(folder)?;
    files::sync_folder(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
}

fn create_private(path: &Path) -> io::Result<File> {
    let file = files::for_owner(File::options().create_new(true).write(true)).open(path)?;
    // The umask may have taken rights away that the owner needs.
    files::give_to_owner(path)?;
    Ok(file)
}

/// Takes other people's rights to an older file away; SQLite gives the files it makes beside it the same rights.
/// Some file systems have no rights to change, which is no reason to refuse the chats on them.
fn restrict(path: &Path) {
    for path in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
        let Ok(metadata) = path.metadata() else { continue };
        if files::rights(&metadata).is_none_or(|rights| rights & 0o077 == 0) {
            continue;
        }
        if let Err(error) = files::give_to_owner(&path) {
            tracing::warn!(%error, path = %path.display(), "others may read the chats, and this cannot be changed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::volume::Kind;
    use crate::store::Store;

    /// This version's steps and one more, which does `sql`.
    fn steps_and(sql: &'static str) -> Vec<M<'static>> {
        STEPS.iter().cloned().chain([M::up(sql)]).collect()
    }

    fn file_with_a_chat() -> (tempfile::TempDir, PathBuf, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chats.db");
        Store::open(&path).unwrap().create_chat("Kept", None).unwrap();
        let connection = connect(&path).unwrap();
        (folder, path, connection)
    }

    fn titles(connection: &Connection) -> Vec<String> {
        let mut statement = connection.prepare("SELECT title FROM chats").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
    }

    #[test]
    fn an_older_file_is_copied_for_the_owner_alone_before_it_is_migrated() {
        let (_folder, path, mut connection) = file_with_a_chat();
        let version = STEPS.len() as i64;
        std::fs::write(beside(&path, ".backup-part"), "cut off by a kill").unwrap();
        migrate(&mut connection, &path, version, &steps_and("UPDATE chats SET title = 'Changed'")).unwrap();
        assert_eq!(titles(&connection), ["Changed"]);

        let backup = backup_path(&path, version);
        if cfg!(unix) {
            assert_eq!(files::rights(&backup.metadata().unwrap()), Some(0o600));
        }
        let copy = connect(&backup).unwrap();
        assert_eq!(titles(&copy), ["Kept"]);
        assert_eq!(schema_version(&copy, &backup).unwrap(), version);
    }

    #[test]
    fn a_migration_that_fails_half_way_changes_nothing() {
        let (_folder, path, mut connection) = file_with_a_chat();
        let version = STEPS.len() as i64;
        let steps = steps_and("UPDATE chats SET title = 'Changed'; DROP TABLE nowhere");
        let error = migrate(&mut connection, &path, version, &steps).unwrap_err();
        assert!(matches!(error, StoreError::Migration { .. }), "{error}");
        assert_eq!(titles(&connection), ["Kept"]);
        assert_eq!(schema_version(&connection, &path).unwrap(), version);
    }

    #[test]
    fn a_new_file_is_not_copied() {
        let (folder, ..) = file_with_a_chat();
        let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let copies: Vec<_> = names.filter(|name| name.to_string_lossy().contains("backup")).collect();
        assert!(copies.is_empty(), "{copies:?}");
    }

    #[test]
    fn a_name_alone_is_a_file_where_the_program_runs() {
        let here = std::env::current_dir().unwrap().canonicalize().unwrap();
        assert_eq!(real_path(Path::new("no-such-file.db")).unwrap(), here.join("no-such-file.db"));
    }

    #[test]
    fn a_folder_that_several_programs_make_at_once_is_there_for_all_of_them() {
        let place = tempfile::tempdir().unwrap();
        for number in 0..50 {
            let folder = place.path().join(format!("{number}/data/tuichat"));
            let start = std::sync::Barrier::new(4);
            let make = || {
                start.wait();
                create_private_folder(&folder)
            };
            std::thread::scope(|scope| {
                let makers = [(); 4].map(|()| scope.spawn(make));
                makers.into_iter().for_each(|maker| maker.join().unwrap().unwrap());
            });
        }
        let file = place.path().join("file");
        File::create(&file).unwrap();
        assert!(create_private_folder(&file).is_err(), "a file stands in its place");
        assert!(create_private_folder(&file.join("chats")).is_err(), "a file stands above it");
    }

    #[test]
    fn programs_that_share_no_memory_share_no_write_ahead_log() {
        let on = |nature| Volume {
            free_bytes: 1 << 30,
            total_bytes: 1 << 31,
            kind: Some(Kind { name: "some", nature }),
            is_read_only: false,
        };
        assert_eq!(journal(Some(&on(Nature::Network))), "DELETE");
        assert_eq!(journal(Some(&on(Nature::Shared))), "DELETE");
        assert_eq!(journal(Some(&on(Nature::Local))), "WAL");
        assert_eq!(journal(None), "WAL");
    }

    #[test]
    fn a_commit_waits_for_the_disk() {
        let (_folder, _path, connection) = file_with_a_chat();
        let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap();
        let journal: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
        assert_eq!(journal, "wal");
        assert_eq!(pragma("synchronous"), 2, "FULL");
        assert_eq!((pragma("foreign_keys"), pragma("secure_delete")), (1, 1));
        assert_eq!(pragma("busy_timeout"), BUSY_TIMEOUT.as_millis() as i64);
    }
}
