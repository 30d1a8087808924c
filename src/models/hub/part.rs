//! A download that is not whole yet: the bytes so far, on disk under the hash they are to have, and their hash.
//!
//! There is no journal beside it. The name says which content it is to become, the bytes are hashed again when a
//! later run goes on, and what a power cut may have spoiled is found by the hash at the end.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::models::error::{DiskContext, ModelError};
use crate::models::identity::hex;
use crate::models::progress::{Listener, Meter, Progress, Step};

/// A power cut costs at most this much.
const SYNC_BYTES: u64 = 64 << 20;
const CHUNK_BYTES: usize = 1 << 20;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub struct Part {
    /// Locked for as long as this exists.
    file: File,
    path: PathBuf,
    hasher: Sha256,
    bytes: u64,
    unsynced_bytes: u64,
}

impl Part {
    /// Opens the part that is to become `blob`, and waits while another process works on it. `None` if that
    /// process has finished it meanwhile.
    pub async fn open(blob: &Path, total_bytes: u64, listener: Listener<'_>) -> Result<Option<Self>, ModelError> {
        let path = blob.with_added_extension("part");
        let opening = || format!("open `{}`", path.display());
        loop {
            if blob.is_file() {
                return Ok(None);
            }
            let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
            let file = file.doing(opening)?;
            match file.try_lock() {
                Ok(()) if is_still_at(&file, &path) => {
                    let mut part = Self { file, path, hasher: Sha256::new(), bytes: 0, unsynced_bytes: 0 };
                    part.take_up(total_bytes, listener).await?;
                    return Ok(Some(part));
                }
                // The other process renamed or removed it: look again what is there.
                Ok(()) => continue,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error).doing(|| format!("lock `{}`", path.display())),
            }
            let done_bytes = file.metadata().doing(opening)?.len();
            listener(Progress { step: Step::Waiting, done_bytes, total_bytes, bytes_per_second: None });
            tokio::time::sleep(LOCK_PAUSE).await;
        }
    }

    /// Hashes what an earlier run left. The pauses let a cancel through.
    async fn take_up(&mut self, total_bytes: u64, listener: Listener<'_>) -> Result<(), ModelError> {
        let left_bytes = self.file.metadata().doing(|| self.reading())?.len();
        if left_bytes > total_bytes {
            return self.restart();
        }
        let mut meter = Meter::new(Step::Hashing, 0, left_bytes, listener);
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let length = self.file.read(&mut chunk).doing(|| self.reading())?;
            if length == 0 {
                return Ok(());
            }
            self.hasher.update(&chunk[..length]);
            self.bytes += length as u64;
            meter.report(self.bytes);
            tokio::task::yield_now().await;
        }
    }

    /// How many bytes there are.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn append(&mut self, chunk: &[u8]) -> Result<(), ModelError> {
        self.file.write_all(chunk).doing(|| self.writing())?;
        self.hasher.update(chunk);
        self.bytes += chunk.len() as u64;
        self.unsynced_bytes += chunk.len() as u64;
        if self.unsynced_bytes >= SYNC_BYTES { self.sync() } else { Ok(()) }
    }

    /// Forgets all bytes.
    pub fn restart(&mut self) -> Result<(), ModelError> {
        self.file.set_len(0).and_then(|()| self.file.rewind()).doing(|| self.writing())?;
        self.hasher = Sha256::new();
        self.bytes = 0;
        Ok(())
    }

    /// The hash of all bytes, which are on disk afterwards.
    pub fn finish(&mut self) -> Result<String, ModelError> {
        self.sync()?;
        Ok(hex(self.hasher.clone()))
    }

    /// Puts the whole file where it belongs.
    pub fn persist(self, blob: &Path) -> io::Result<()> {
        fs::rename(&self.path, blob)
    }

    /// Removes the file: what it holds is of no use.
    pub fn discard(self) -> Result<(), ModelError> {
        fs::remove_file(&self.path).doing(|| format!("remove `{}`", self.path.display()))
    }

    fn sync(&mut self) -> Result<(), ModelError> {
        self.file.sync_data().doing(|| self.writing())?;
        self.unsynced_bytes = 0;
        Ok(())
    }

    fn reading(&self) -> String {
        format!("read `{}`", self.path.display())
    }

    fn writing(&self) -> String {
        format!("write `{}`", self.path.display())
    }
}

fn is_still_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}
