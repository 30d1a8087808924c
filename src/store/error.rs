//! What can go wrong with the chats on disk, in sentences that say what to do next.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::{ChatId, MessageId};

/// Why the store could not do what it was asked. No failure changes or removes what was saved before.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the disk that holds `{}` is full: free some space and try again; what was saved before is still there",
        .path.display())]
    DiskFull { path: PathBuf },

    #[error("`{}` cannot be written: check who may write there with `ls -ld`, choose another folder with \
        `TUICHAT_HOME=FOLDER`, or chat without saving with `tuichat --private`", .path.display())]
    ReadOnly { path: PathBuf },

    #[error("`{0}` is damaged or not a SQLite database, and was left as it is: `mv '{0}' '{0}.damaged'` lets \
        tuichat start a new one, `sqlite3 '{0}.damaged' .recover` may bring the old chats back", .path.display())]
    Damaged {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },

    #[error("`{}` is the database of another program, and was left as it is: choose another folder with \
        `TUICHAT_HOME=FOLDER`", .path.display())]
    OtherProgram { path: PathBuf },

    #[error("`{}` was written by a newer tuichat (schema {found}, this one knows {known}): update tuichat, or keep \
        this version's chats apart with `TUICHAT_HOME=FOLDER`", .path.display())]
    FromTheFuture { path: PathBuf, found: i64, known: i64 },

    #[error("another program has kept `{}` locked for {} seconds: close it and try again", .path.display(),
        super::disk::BUSY_TIMEOUT.as_secs())]
    Busy { path: PathBuf },

    #[error("cannot {action} `{}`: check the folder and its disk, or choose another with `TUICHAT_HOME=FOLDER`",
        .path.display())]
    File {
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },

    #[error("cannot bring `{}` to this version's schema, and left it as it was: go back to the tuichat that wrote \
        it, and report this", .path.display())]
    Migration {
        path: PathBuf,
        #[source]
        source: Box<rusqlite_migration::Error>,
    },

    #[error("cannot read or write `{0}`: try again, and if it stays so look at `sqlite3 '{0}' 'PRAGMA quick_check'`",
        .path.display())]
    Sqlite {
        path: PathBuf,
        #[source]
        source: rusqlite::Error,
    },

    #[error("there is no chat {0}, or it has been deleted: `tuichat chats list` shows those there are")]
    NoSuchChat(ChatId),

    #[error("there is no message {message} in chat {chat} to go on from: reopen it with `tuichat --resume {chat}`")]
    NoSuchMessage { chat: ChatId, message: MessageId },

    #[error("answer {0} is not being written here: it has ended, or its chat was deleted; ask again in a new chat")]
    NotBeingWritten(MessageId),

    #[error(
        "answer {0} cannot be gone on with: it is being written, something follows it already, or its chat was \
        deleted; `tuichat --resume` shows how it stands"
    )]
    NotToBeContinued(MessageId),

    #[error(
        "message {0} cannot be pinned or unpinned: its chat was deleted; `tuichat chats list` shows those there are"
    )]
    NotToBePinned(MessageId),

    #[error(
        "message {0} cannot be deleted: it is the system prompt, or is gone already; `tuichat chats rm` deletes a \
        whole chat"
    )]
    NotToBeDeleted(MessageId),

    #[error(
        "message {0} cannot be brought back: what was deleted is kept until tuichat ends, and not more than ten times"
    )]
    NotToBeRestored(MessageId),

    #[error("chat {0} is open in another window of tuichat: leave it there, and delete it then")]
    OpenElsewhere(ChatId),
}

/// The result of everything the store does.
pub type Result<T> = std::result::Result<T, StoreError>;

impl StoreError {
    /// Names what SQLite reports about the file at `path`.
    pub(super) fn sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { path },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged { path, source },
            Some(_) => Self::Sqlite { path, source },
            None if is_unreadable_value(&source) => Self::Damaged { path, source },
            None => Self::Sqlite { path, source },
        }
    }

    pub(super) fn migration(path: &Path, source: rusqlite_migration::Error) -> Self {
        match source {
            rusqlite_migration::Error::RusqliteError { err, .. } if err.sqlite_error_code().is_some() => {
                match Self::sqlite(path, err) {
                    Self::Sqlite { path, source } => Self::Migration { path, source: Box::new(source.into()) },
                    known => known,
                }
            }
            source => Self::Migration { path: path.to_owned(), source: Box::new(source) },
        }
    }

    /// Names what the system reports when it is asked to `action` (a verb and what follows it) the file at `path`.
    pub(super) fn file(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path },
            _ => Self::File { action, path, source },
        }
    }
}

/// Whether a value came back that we never wrote.
fn is_unreadable_value(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(error, FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..) | Utf8Error(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "chats.db";

    #[test]
    fn what_the_system_refuses_is_told_by_its_reason() {
        let named = |kind: io::ErrorKind| StoreError::file("write", Path::new(PATH), kind.into());
        for kind in [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded] {
            assert!(matches!(named(kind), StoreError::DiskFull { .. }), "{kind:?}");
        }
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::ReadOnlyFilesystem] {
            assert!(matches!(named(kind), StoreError::ReadOnly { .. }), "{kind:?}");
        }
        assert!(matches!(named(io::ErrorKind::NotADirectory), StoreError::File { action: "write", .. }));
    }

    #[test]
    fn a_value_that_nobody_wrote_is_damage_and_a_mistake_in_a_query_is_not() {
        let named = |error| StoreError::sqlite(Path::new(PATH), error);
        let strange = rusqlite::Error::InvalidColumnType(1, "title".into(), rusqlite::types::Type::Blob);
        assert!(matches!(named(strange), StoreError::Damaged { .. }));
        assert!(matches!(named(rusqlite::Error::InvalidQuery), StoreError::Sqlite { .. }));
    }

    #[test]
    fn a_migration_that_ends_at_a_full_disk_is_told_as_that() {
        let failed = |code| {
            let err = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
            StoreError::migration(
                Path::new(PATH),
                rusqlite_migration::Error::RusqliteError { query: String::new(), err },
            )
        };
        assert!(matches!(failed(rusqlite::ffi::SQLITE_FULL), StoreError::DiskFull { .. }));
        assert!(matches!(failed(rusqlite::ffi::SQLITE_ERROR), StoreError::Migration { .. }));
        let strange = rusqlite::Error::InvalidColumnType(1, "title".into(), rusqlite::types::Type::Blob);
        let unread = rusqlite_migration::Error::RusqliteError { query: String::new(), err: strange };
        assert!(matches!(StoreError::migration(Path::new(PATH), unread), StoreError::Migration { .. }));
    }
}
