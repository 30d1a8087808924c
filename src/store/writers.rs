//! Who is writing which answer. An answer without an end is either being written by a program that runs, or was cut
//! off with a program that died, and only the second may be marked as interrupted.
//!
//! Each store that writes answers holds the lock of one numbered file beside the database, and puts the number on
//! the answers it is writing. The system frees the lock when the program ends, however it ends, so whoever can take
//! the lock knows that the answers under its number are abandoned. (A process id would not do: ids are used again.)
//! There are as many files as there ever were writers at once, so they need no tidying.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use crate::chat::Ended;

use super::{Result, Store, StoreError, disk};

/// The right to write answers under a number, until dropped.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) number: i64,
    /// `None` in memory, where there is nobody else.
    _lock: Option<File>,
}

impl Store {
    /// This store's number.
    pub(super) fn writer_number(&mut self) -> Result<i64> {
        if let Some(writer) = &self.writer {
            return Ok(writer.number);
        }
        let writer = match &self.path {
            Some(path) => claim(path).map_err(|error| StoreError::file("lock", path, error))?,
            None => Writer { number: 0, _lock: None },
        };
        self.mark_interrupted_of(writer.number)?;
        Ok(self.writer.insert(writer).number)
    }

    /// Marks the answers whose writer is gone. Returns whether there were any.
    pub(super) fn mark_interrupted(&self) -> Result<bool> {
        let Some(path) = &self.path else { return Ok(false) };
        let own = self.writer.as_ref().map(|writer| writer.number);
        let others: Vec<i64> = self.read(|connection| {
            connection
                .prepare_cached("SELECT DISTINCT writer FROM messages WHERE writer IS NOT NULL AND writer IS NOT ?1")?
                .query_map([own], |row| row.get(0))?
                .collect()
        })?;
        let mut any = false;
        for number in others {
            let lock = try_lock(path, number).map_err(|error| StoreError::file("lock", path, error))?;
            // Held while marking, so that nobody starts to write under this number meanwhile.
            if lock.is_some() {
                any |= self.mark_interrupted_of(number)?;
            }
        }
        Ok(any)
    }

    fn mark_interrupted_of(&self, number: i64) -> Result<bool> {
        let marked = self.write(|transaction| {
            transaction.execute("UPDATE chats SET opener = NULL WHERE opener = ?1", [number])?;
            transaction.execute(
                "UPDATE messages SET ended = ?2, writer = NULL WHERE writer = ?1",
                (number, Ended::Interrupted.as_str()),
            )
        })?;
        Ok(marked > 0)
    }
}

/// Takes the first number that is free.
fn claim(path: &Path) -> io::Result<Writer> {
    let mut number = 0;
    loop {
        if let Some(lock) = try_lock(path, number)? {
            return Ok(Writer { number, _lock: Some(lock) });
        }
        number += 1;
    }
}

/// Whether the program with this number still runs.
pub(super) fn is_running(path: &Path, number: i64) -> bool {
    matches!(try_lock(path, number), Ok(None))
}

/// The lock of a number, if nobody holds it.
fn try_lock(path: &Path, number: i64) -> io::Result<Option<File>> {
    let file = disk::lock_file(path, &format!("-writer-{number}"))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
