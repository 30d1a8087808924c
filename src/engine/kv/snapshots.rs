//! The folder of snapshots: one file for each chat and key, written by a thread of its own, the ones used longest ago
//! deleted when there are too many. A file that is damaged or was made by something else is as good as none. Beside a
//! snapshot may be an archive, which is of no use without it and goes first.
//!
//! What many prompts begin with is kept in the same way, under a number that its tokens give.
//!
//! The folder is its own index: a name says whose file it is, and its time of change when it was last used.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

use super::archive::{self, Archive, NewRows, Title};
use super::file::{self, Opened};
use super::room::{self, ARCHIVE_EXTENSION, EXTENSION, Writing, make_room};
use super::{About, Kept};
use crate::engine::llama::Token;
use crate::engine::protocol::{CancelFlag, ChatKey};
use crate::models::{create_private, identity};

/// Bytes per second that a disk is taken to write before it was measured: what a good memory card does.
const UNKNOWN_DISK_SPEED: u64 = 60_000_000;
/// How often it is looked whether to go on waiting for what is being written.
const POLL: Duration = Duration::from_millis(20);

/// Where snapshots are kept and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotSettings {
    pub folder: PathBuf,
    /// Bytes of disk they may take; `None` lets the engine choose, and write only what is faster read than computed.
    pub most_bytes: Option<u64>,
    /// The SHA-256 of the model's file, if it is known.
    pub model_sha256: Option<String>,
    /// Where hashes of model files are remembered.
    pub hashes: PathBuf,
}

/// What a snapshot can be used with: anything else than all of this gives other numbers in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The model's file.
    pub model: PathBuf,
    /// Its chat template.
    pub template: String,
    /// Types of K and V.
    pub types: String,
    /// The version of llama.cpp.
    pub library: String,
}

impl Key {
    fn with(&self, sha256: &str) -> String {
        format!("{sha256} {:016x} {} {}", xxh3_64(self.template.as_bytes()), self.types, self.library)
    }
}

/// A snapshot that was found, of which the state is not read yet.
#[derive(Debug)]
pub struct Stored {
    pub chat: ChatKey,
    opened: Opened,
    path: PathBuf,
}

impl Stored {
    pub fn about(&self) -> &About {
        &self.opened.about
    }

    /// Reads the state. `None` if the file is damaged; then it is deleted.
    pub fn read(self) -> Option<Kept> {
        let about = self.opened.about.clone();
        match self.opened.state() {
            Some(state) => Some(Kept { chat: self.chat, about, state: Arc::new(state), is_written: true }),
            None => {
                tracing::warn!(path = %self.path.display(), "a damaged snapshot is not used");
                let _ = fs::remove_file(&self.path);
                None
            }
        }
    }
}

/// The snapshots of one model. Dropping this waits until everything is written, or until the program is told to stop.
#[derive(Debug)]
pub struct Snapshots {
    shared: Arc<Shared>,
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread that writes is told, and does in this order.
enum Job {
    Write(Kept),
    Append(NewRows),
    Remove(ChatKey),
    /// Say so when everything before this is done.
    Tell(mpsc::Sender<()>),
}

/// What both threads need.
#[derive(Debug)]
struct Shared {
    settings: SnapshotSettings,
    key: Key,
    /// The key as it is written, once the model's hash is known.
    whole_key: OnceLock<String>,
    /// Whether to stop in the middle of writing.
    stop: CancelFlag,
    /// Bytes per second that the disk was last seen to write; 0 until it was.
    disk_speed: AtomicU64,
    /// Bytes of rows that wait to be written.
    waiting: AtomicU64,
}

impl Snapshots {
    /// Opens the folder, which need not exist. Setting `stop` ends a writing that is under way, without a file.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn open(settings: SnapshotSettings, key: Key, stop: CancelFlag) -> io::Result<Self> {
        let whole_key = OnceLock::new();
        let known = settings.model_sha256.clone().or_else(|| identity::recall(&key.model, &settings.hashes));
        if let Some(sha256) = known {
            let _ = whole_key.set(key.with(&sha256));
        }
        let (disk_speed, waiting) = (AtomicU64::new(0), AtomicU64::new(0));
        let shared = Arc::new(Shared { settings, key, whole_key, stop, disk_speed, waiting });
        let (jobs, received) = mpsc::channel();
        let writer = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("snapshots".into()).spawn(move || {
            // There may be less room than there was.
            let _ = make_room(&writer.settings, &Writing { path: Path::new(""), bytes: 0, adds: false });
            for job in received {
                match job {
                    Job::Write(kept) => writer.write(&kept),
                    Job::Append(rows) => writer.append(&rows),
                    Job::Remove(chat) => remove(&writer.settings.folder, chat),
                    Job::Tell(done) => drop(done.send(())),
                }
            }
        })?;
        Ok(Self { shared, jobs: Some(jobs), thread: Some(thread) })
    }

    /// The chat's snapshot, if there is one that this model can use. Its time of use is set to now.
    pub fn find(&self, chat: ChatKey) -> Option<Stored> {
        // A hash that was never computed here is that of no snapshot.
        let key = self.shared.whole_key.get()?;
        let stored = open(chat, self.shared.path(chat, key, EXTENSION), key)?;
        let _ = stored.opened.touch();
        Some(stored)
    }

    /// What is kept of beginnings of prompts and has most of these tokens, if that is so many of them. Its time of use
    /// is set to now.
    pub fn find_beginning(&self, tokens: &[Token], least: usize) -> Option<Stored> {
        let key = self.shared.whole_key.get()?;
        let mut best: Option<(usize, Stored)> = None;
        for found in room::files(&self.shared.settings.folder) {
            let Some(chat) = found.chat.filter(|chat| chat.is_of_beginning()) else { continue };
            if found.path != self.shared.path(chat, key, EXTENSION) {
                continue;
            }
            let Some(stored) = open(chat, found.path, key) else { continue };
            let length = stored.about().contents.compare(tokens).length;
            if length >= least && best.as_ref().is_none_or(|(longest, _)| length > *longest) {
                best = Some((length, stored));
            }
        }
        let (_, stored) = best?;
        let _ = stored.opened.touch();
        Some(stored)
    }

    /// Writes a snapshot, soon.
    pub fn write(&self, kept: Kept) {
        self.tell(Job::Write(kept));
    }

    /// Writes rows to a chat's archive, soon. `false` if more than `most_waiting` bytes would then wait to be written.
    pub fn append(&self, rows: NewRows, most_waiting: u64) -> bool {
        let bytes = rows.bytes.len() as u64;
        if self.shared.waiting.load(Ordering::Relaxed) + bytes > most_waiting {
            return false;
        }
        self.shared.waiting.fetch_add(bytes, Ordering::Relaxed);
        self.tell(Job::Append(rows));
        true
    }

    /// A chat's archive, with all rows that were to be written to it. `None` if there is no such one, or `go_on` said no
    /// before they were.
    pub fn archive(&self, title: Title, go_on: &dyn Fn() -> bool) -> Option<Archive> {
        let (done, is_done) = mpsc::channel();
        self.tell(Job::Tell(done));
        while let Err(error) = is_done.recv_timeout(POLL) {
            if error == mpsc::RecvTimeoutError::Disconnected || !go_on() {
                return None;
            }
        }
        let key = self.shared.whole_key.get()?;
        Archive::open(&self.shared.path(title.chat, key, ARCHIVE_EXTENSION), key, title)
    }

    /// Deletes a chat's snapshots, those for other models too, soon.
    pub fn remove(&self, chat: ChatKey) {
        self.tell(Job::Remove(chat));
    }

    fn tell(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }

    /// Whether writing or reading so many bytes takes less time than computing so many tokens again, at so many a
    /// second if that is known. Whoever says how much room there is wants them anyway.
    pub fn pays(&self, bytes: u64, tokens: usize, prefill_speed: Option<f64>) -> bool {
        if self.shared.settings.most_bytes.is_some() {
            return true;
        }
        let measured = self.shared.disk_speed.load(Ordering::Relaxed);
        let disk_speed = if measured == 0 { UNKNOWN_DISK_SPEED } else { measured };
        prefill_speed.is_none_or(|speed| bytes as f64 / disk_speed as f64 <= tokens as f64 / speed)
    }
}

impl Drop for Snapshots {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A snapshot, if it is whole; else it is deleted.
fn open(chat: ChatKey, path: PathBuf, key: &str) -> Option<Stored> {
    let opened = file::open(File::open(&path).ok()?, key);
    if opened.is_none() {
        tracing::warn!(path = %path.display(), "a damaged snapshot is deleted");
        let _ = fs::remove_file(&path);
    }
    Some(Stored { chat, opened: opened?, path })
}

/// Deletes the snapshots of a chat from a folder.
pub fn remove(folder: &Path, chat: ChatKey) {
    for found in room::files(folder).into_iter().filter(|found| found.chat == Some(chat)) {
        let _ = fs::remove_file(found.path);
    }
}

impl Shared {
    fn path(&self, chat: ChatKey, key: &str, extension: &str) -> PathBuf {
        self.settings.folder.join(format!("{}-{:016x}.{extension}", room::name(chat), xxh3_64(key.as_bytes())))
    }

    /// Writes rows, or logs why not. An archive that misses some is given up, since what is lost is time only.
    fn append(&self, rows: &NewRows) {
        self.waiting.fetch_sub(rows.bytes.len() as u64, Ordering::Relaxed);
        if self.stop.is_cancelled() {
            return;
        }
        if let Err(error) = self.try_append(rows) {
            tracing::info!(%error, "what left the cache was not written");
        }
    }

    fn try_append(&self, rows: &NewRows) -> io::Result<()> {
        let key = self.hashed_key()?;
        create_private(&self.settings.folder)?;
        let path = self.path(rows.title.chat, key, ARCHIVE_EXTENSION);
        let writing = Writing { path: &path, bytes: rows.bytes.len() as u64, adds: rows.first > 0 };
        let appended = match make_room(&self.settings, &writing)? {
            true => archive::append(&path, key, rows, &|| !self.stop.is_cancelled()),
            false => Err(io::Error::new(io::ErrorKind::StorageFull, "it is more than what snapshots may take")),
        };
        if appended.is_err() {
            let _ = fs::remove_file(&path);
        }
        appended
    }

    /// Writes a snapshot, or logs why not. What is lost is time only.
    fn write(&self, kept: &Kept) {
        if self.stop.is_cancelled() {
            return;
        }
        if let Err(error) = self.try_write(kept) {
            tracing::warn!(%error, folder = %self.settings.folder.display(), "a snapshot was not written");
        }
    }

    fn try_write(&self, kept: &Kept) -> io::Result<()> {
        let key = self.hashed_key()?;
        let folder = &self.settings.folder;
        create_private(folder)?;
        let path = self.path(kept.chat, key, EXTENSION);
        let bytes = kept.state.len() as u64;
        if !make_room(&self.settings, &Writing { path: &path, bytes, adds: false })? {
            tracing::info!(bytes, "a snapshot is larger than what snapshots may take");
            return Ok(());
        }
        let started = Instant::now();
        // Only its owner may read a file that `tempfile` makes.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file::write(&mut file, key, &kept.about, &kept.state, &|| !self.stop.is_cancelled())?;
        file.as_file().sync_data()?;
        file.persist(&path)?;
        let speed = bytes as f64 / started.elapsed().as_secs_f64().max(1e-6);
        self.disk_speed.store(speed as u64, Ordering::Relaxed);
        tracing::info!(bytes, tokens = kept.about.contents.tokens.len(), speed, "wrote a snapshot");
        Ok(())
    }

    /// The key with the model's hash, which is computed once for each file.
    fn hashed_key(&self) -> io::Result<&str> {
        if let Some(key) = self.whole_key.get() {
            return Ok(key);
        }
        let sha256 =
            identity::sha256_of(&self.key.model, &self.settings.hashes, &mut |_| {}).map_err(io::Error::other)?;
        Ok(self.whole_key.get_or_init(|| self.key.with(&sha256)))
    }
}

#[cfg(test)]
mod tests;
