//! The chats, in one SQLite file: each chat is a tree of messages, and a message that was shown as sent is on disk.
//!
//! - `disk` opens the file: private, durable, migrated, and refused with a sentence where it cannot be used.
//! - `migrations` is the schema, and only grows.
//! - `chats`, `messages`, `tree` and `answers` are the calls; each is a transaction of its own and durable when it
//!   returns.
//! - `drafts` is what was being written, and what was sent before.
//! - `search` finds words in all messages; `tags` and `deleted` are what lists of chats need beside: tags, the archive,
//!   and taking a deletion back.
//! - `whole` is a chat as plain data, to be exported and imported.
//! - `writers` tells an answer that is being written from one whose program died; `windows` which chat is open where.
//! - `changes` notices what other programs write.
//! - `inspect` looks at the file and changes nothing.
//! - `handle` puts a store on a thread of its own.
//!
//! Several programs may use one file at the same time. Text is stored as it came; whoever shows it escapes it. What a
//! model or a template makes of the messages is no concern of this part.

mod answers;
mod changes;
mod chats;
mod deleted;
mod disk;
mod drafts;
mod error;
mod handle;
mod inspect;
mod messages;
mod migrations;
mod search;
mod tags;
mod tree;
mod whole;
mod windows;
mod writers;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, Transaction};

pub use changes::Stamp;
pub use chats::ChatSummary;
pub use deleted::MOST_DELETIONS;
pub use drafts::Sent;
pub use error::{Result, StoreError};
pub use handle::{Guard, Handle};
pub use inspect::{Inspection, inspect, titles};
pub use messages::StoredMessage;
pub use search::{Excerpt, Hit};
pub use tags::read_tag;
pub use tree::ChatTree;
pub use whole::{FORM, Imported, WholeChat, WholeMessage};

/// Names a chat for as long as its file lives; never used again after the chat is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChatId(pub i64);

/// Names a message; a later message of any chat has a greater id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId(pub i64);

/// An open file of chats: one connection, synchronous. Use [`Handle`] where a slow disk must not be waited for.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    /// `None` if the chats are in memory only.
    path: Option<PathBuf>,
    /// Claimed with the first answer.
    writer: Option<writers::Writer>,
    /// Chats that were deleted here and can be brought back, the last one last.
    deleted: Vec<deleted::Deleted>,
    /// Messages, likewise.
    deleted_messages: Vec<deleted::DeletedMessages>,
}

impl Store {
    /// Opens the chats at `path`, or begins an empty file. Folders that are missing are made for the owner alone
    /// (0700), and so is the file (0600). Answers that a program left unfinished when it died are marked
    /// [`Interrupted`](crate::chat::Ended::Interrupted).
    ///
    /// # Errors
    /// If the file cannot be made, read or written, is damaged, is not ours, or comes from a newer version. It is
    /// then left as it was.
    pub fn open(path: &Path) -> Result<Self> {
        let (connection, path) = disk::open(path)?;
        let store =
            Self { connection, path: Some(path), writer: None, deleted: Vec::new(), deleted_messages: Vec::new() };
        store.mark_interrupted()?;
        Ok(store)
    }

    /// A store that touches no disk and is gone when it is dropped.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn in_memory() -> Result<Self> {
        Ok(Self {
            connection: disk::open_in_memory()?,
            path: None,
            writer: None,
            deleted: Vec::new(),
            deleted_messages: Vec::new(),
        })
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        query(&self.connection).map_err(|error| self.named(error))
    }

    /// Runs `change` in a transaction that takes the write lock at once, so that it waits for another program's
    /// instead of failing half-way. Takes `&self` so that reading may clean up; every public change takes `&mut self`.
    fn write<T>(&self, change: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T> {
        let changed = self.connection.unchecked_transaction().and_then(|transaction| {
            let value = change(&transaction)?;
            transaction.commit()?;
            Ok(value)
        });
        changed.map_err(|error| self.named(error))
    }

    fn named(&self, error: rusqlite::Error) -> StoreError {
        StoreError::sqlite(self.path.as_deref().unwrap_or(Path::new(disk::IN_MEMORY)), error)
    }
}

macro_rules! stored_as_integer {
    ($id:ty) => {
        impl fmt::Display for $id {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }

        impl ToSql for $id {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                self.0.to_sql()
            }
        }

        impl FromSql for $id {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                i64::column_result(value).map(Self)
            }
        }
    };
}

stored_as_integer!(ChatId);
stored_as_integer!(MessageId);

impl FromStr for ChatId {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        text.parse()
            .map(Self)
            .map_err(|_| format!("`{text}` is not the number of a chat; `tuichat chats list` shows them"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_id_reads_back_from_what_it_prints() {
        assert_eq!(ChatId(42).to_string().parse(), Ok(ChatId(42)));
        assert!("last".parse::<ChatId>().unwrap_err().contains("tuichat chats list"));
    }
}
