//! A download that is not whole yet: the bytes so far at their places in a file, which is named by the hash it is to
//! have, and a journal that says which of them are surely on disk.
//!
//! Two threads work along. One hashes what is there without a gap from the beginning, so that little is left to hash
//! in the end; when a later run goes on it begins with what the earlier one left. The other brings bytes to the disk
//! and then lets the journal vouch for them. What a power cut may have spoiled all the same is found by the hash.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::journal;
use super::ranges::Spans;
use crate::models::error::{DiskContext, ModelError};
use crate::models::files::no_space;
use crate::models::gguf::{GgufError, Header, read_header_of};
use crate::models::progress::{Listener, Meter, Progress, Step};
use crate::platform::files;
use crate::sha256::Sha256;

/// New bytes are brought to the disk when there are so many, or some and the last ones were a while ago.
const SYNC_BYTES: u64 = 16 << 20;
const SYNC_PAUSE: Duration = Duration::from_secs(2);
/// With so many bytes that the journal does not vouch for, no more are read: a kill or a power cut costs these, and
/// what the system had already taken from the network.
const UNSYNCED_BYTES_MAX: u64 = 32 << 20;
const HASH_CHUNK_BYTES: usize = 256 << 10;
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// Hashing that ends within this time is not worth a report.
const HASHING_UNSEEN: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub struct Part {
    /// Locked for as long as this exists.
    file: Arc<File>,
    path: PathBuf,
    size_bytes: u64,
    written: Spans,
    hashing: Hashing,
    keeping: Option<Keeping>,
}

impl Part {
    /// Opens the part that is to become `blob`, and waits while another process works on it. `None` if that
    /// process has finished it meanwhile.
    pub async fn open(blob: &Path, size_bytes: u64, listener: Listener<'_>) -> Result<Option<Self>, ModelError> {
        let path = blob.with_added_extension("part");
        let opening = || format!("open `{}`", path.display());
        loop {
            if blob.is_file() {
                return Ok(None);
            }
            let file = File::options().read(true).write(true).create(true).truncate(false).open(&path);
            let file = file.doing(opening)?;
            match file.try_lock() {
                Ok(()) if is_still_at(&file, &path) => return Self::take_up(file, path, size_bytes).map(Some),
                // The other process renamed or removed it: look again what is there.
                Ok(()) => continue,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error).doing(|| format!("lock `{}`", path.display())),
            }
            let done_bytes = kept_bytes(blob, size_bytes);
            listener(Progress { step: Step::Waiting, done_bytes, total_bytes: size_bytes, bytes_per_second: None });
            tokio::time::sleep(LOCK_PAUSE).await;
        }
    }

    /// Takes up what an earlier run left.
    fn take_up(file: File, path: PathBuf, size_bytes: u64) -> Result<Self, ModelError> {
        let reading = || format!("read `{}`", path.display());
        let journal = journal_of(&path);
        let file_bytes = file.metadata().doing(reading)?.len();
        let there = match journal::read(&journal, size_bytes).doing(reading)? {
            Some(there) => there.before(file_bytes),
            // Versions before the journal wrote one byte after the other.
            None if file_bytes <= size_bytes => Spans::up_to(file_bytes),
            None => Spans::default(),
        };
        journal::write(&journal, size_bytes, &there).doing(|| format!("write `{}`", journal.display()))?;
        let file = Arc::new(file);
        let hashing = Hashing::start(file.clone(), size_bytes)?;
        let keeping = Some(Keeping::start(file.clone(), journal, size_bytes, there.bytes())?);
        let mut part = Self { file, path, size_bytes, written: there, hashing, keeping };
        if file_bytes > size_bytes {
            part.restart()?;
        }
        part.hashing.go_on_to(part.written.unbroken());
        Ok(part)
    }

    /// Which bytes there are.
    pub fn written(&self) -> &Spans {
        &self.written
    }

    /// How many bytes there are.
    pub fn bytes(&self) -> u64 {
        self.written.bytes()
    }

    /// What its header says, once it is there.
    pub fn header(&self) -> Result<Header, GgufError> {
        read_header_of(&self.file, &self.path)
    }

    /// Puts bytes where they belong.
    pub fn write(&mut self, place: u64, bytes: &[u8]) -> Result<(), ModelError> {
        files::write_all_at(&self.file, bytes, place).map_err(|error| self.write_error(error))?;
        self.written.insert(place..place + bytes.len() as u64);
        self.hashing.go_on_to(self.written.unbroken());
        Ok(())
    }

    /// What to wait for before more is read, if the disk is far behind.
    pub fn congestion(&mut self) -> Result<Option<watch::Receiver<u64>>, ModelError> {
        self.keep_if_due()?;
        let bytes = self.bytes();
        Ok(self.keeping.as_mut().and_then(|keeping| {
            let is_behind = bytes > *keeping.kept.borrow_and_update() + UNSYNCED_BYTES_MAX;
            is_behind.then(|| keeping.kept.clone())
        }))
    }

    /// Has new bytes brought to the disk, if there are enough of them and the last ones are there.
    fn keep_if_due(&mut self) -> Result<(), ModelError> {
        let Some(keeping) = &mut self.keeping else { return Ok(()) };
        if keeping.has_ended() {
            let ended = keeping.end();
            return ended.map_err(|error| self.write_error(error));
        }
        let are_many = self.written.bytes() >= keeping.ordered_bytes + SYNC_BYTES;
        if keeping.is_idle() && (are_many || keeping.ordered_at.elapsed() >= SYNC_PAUSE) {
            keeping.order(&self.written);
        }
        Ok(())
    }

    /// Forgets all bytes.
    pub fn restart(&mut self) -> Result<(), ModelError> {
        // Its errors are about bytes that nobody wants any more.
        drop(self.keeping.take().map(|mut keeping| keeping.end()));
        let journal = journal_of(&self.path);
        // First: the journal must not vouch for bytes of other content.
        journal::write(&journal, self.size_bytes, &Spans::default())
            .and_then(|()| self.file.set_len(0))
            .map_err(|error| self.write_error(error))?;
        self.written = Spans::default();
        self.hashing = Hashing::start(self.file.clone(), self.size_bytes)?;
        self.keeping = Some(Keeping::start(self.file.clone(), journal, self.size_bytes, 0)?);
        Ok(())
    }

    /// The hash of all bytes, which are on disk afterwards.
    pub async fn finish(&mut self, listener: Listener<'_>) -> Result<String, ModelError> {
        if let Some(keeping) = &mut self.keeping {
            keeping.order(&self.written);
        }
        let sha256 = self.hashing.finish(self.size_bytes, listener).await;
        let sha256 = sha256.doing(|| format!("read `{}`", self.path.display()))?;
        let kept = self.keeping.as_mut().map(|keeping| &mut keeping.kept);
        if let Some(kept) = kept
            && kept.wait_for(|bytes| *bytes >= self.size_bytes).await.is_err()
        {
            self.keep_if_due()?;
        }
        Ok(sha256)
    }

    /// Puts the whole file where it belongs.
    pub fn persist(mut self, blob: &Path) -> io::Result<()> {
        drop(self.keeping.take().map(|mut keeping| keeping.end()));
        fs::rename(&self.path, blob)?;
        remove_if_there(&journal_of(&self.path))
    }

    /// Removes the file: what it holds is of no use.
    pub fn discard(mut self) -> Result<(), ModelError> {
        drop(self.keeping.take().map(|mut keeping| keeping.end()));
        fs::remove_file(&self.path)
            .and_then(|()| remove_if_there(&journal_of(&self.path)))
            .doing(|| format!("remove `{}`", self.path.display()))
    }

    fn write_error(&self, error: io::Error) -> ModelError {
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            return no_space(folder, self.size_bytes.saturating_sub(self.bytes()));
        }
        ModelError::Disk { doing: format!("write `{}`", self.path.display()), source: error }
    }
}

/// Whoever stops keeps what there is.
impl Drop for Part {
    fn drop(&mut self) {
        if let Some(mut keeping) = self.keeping.take() {
            keeping.order(&self.written);
            if let Err(error) = keeping.end() {
                tracing::warn!(%error, part = %self.path.display(), "the end of an interrupted download is not kept");
            }
        }
    }
}

/// The thread that hashes.
#[derive(Debug)]
struct Hashing {
    /// How far there are bytes without a gap.
    reached: Option<Sender<u64>>,
    hashed: watch::Receiver<u64>,
    thread: Option<JoinHandle<io::Result<Option<String>>>>,
}

impl Hashing {
    fn start(file: Arc<File>, size_bytes: u64) -> Result<Self, ModelError> {
        let (reached, told) = channel();
        let (tell, hashed) = watch::channel(0);
        let thread = thread("hash", move || hash(&file, size_bytes, &told, &tell))?;
        Ok(Self { reached: Some(reached), hashed, thread: Some(thread) })
    }

    fn go_on_to(&self, end: u64) {
        // A thread that has ended says why when it is asked for the hash.
        let _ = self.reached.as_ref().map(|reached| reached.send(end));
    }

    async fn finish(&mut self, size_bytes: u64, listener: Listener<'_>) -> io::Result<String> {
        let mut meter = Meter::new(Step::Hashing, size_bytes, listener);
        let began = Instant::now();
        while self.hashed.changed().await.is_ok() {
            if began.elapsed() > HASHING_UNSEEN {
                meter.report(*self.hashed.borrow_and_update());
            }
        }
        self.end()?.ok_or_else(|| io::Error::other("it was not hashed to its end"))
    }

    fn end(&mut self) -> io::Result<Option<String>> {
        self.reached = None;
        self.thread.take().map_or(Ok(None), join)
    }
}

impl Drop for Hashing {
    /// The file is locked as long as the thread has it.
    fn drop(&mut self) {
        let _ = self.end();
    }
}

/// Hashes from the beginning as far as it is told to; `None` if it is told to stop.
fn hash(file: &File, size_bytes: u64, told: &Receiver<u64>, tell: &watch::Sender<u64>) -> io::Result<Option<String>> {
    let mut hasher = Sha256::default();
    let mut chunk = vec![0; HASH_CHUNK_BYTES];
    let (mut done, mut end) = (0, 0);
    while done < size_bytes {
        match if done < end { told.try_recv() } else { told.recv().map_err(TryRecvError::from) } {
            Ok(further) => end = end.max(further),
            Err(TryRecvError::Disconnected) => return Ok(None),
            Err(TryRecvError::Empty) => {
                let length = (end - done).min(HASH_CHUNK_BYTES as u64) as usize;
                files::read_exact_at(file, &mut chunk[..length], done)?;
                hasher.update(&chunk[..length]);
                done += length as u64;
                tell.send_replace(done);
            }
        }
    }
    Ok(Some(hasher.finish()))
}

/// The thread that brings bytes to the disk and keeps the journal.
#[derive(Debug)]
struct Keeping {
    orders: Option<Sender<Spans>>,
    ordered_bytes: u64,
    ordered_at: Instant,
    /// How many bytes the journal vouches for.
    kept: watch::Receiver<u64>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Keeping {
    fn start(file: Arc<File>, journal: PathBuf, size_bytes: u64, kept_bytes: u64) -> Result<Self, ModelError> {
        let (orders, ordered) = channel::<Spans>();
        let (tell, kept) = watch::channel(kept_bytes);
        let thread = thread("sync", move || {
            for there in ordered {
                file.sync_data()?;
                journal::write(&journal, size_bytes, &there)?;
                tell.send_replace(there.bytes());
            }
            Ok(())
        })?;
        let ordered_at = Instant::now();
        Ok(Self { orders: Some(orders), ordered_bytes: kept_bytes, ordered_at, kept, thread: Some(thread) })
    }

    fn is_idle(&self) -> bool {
        *self.kept.borrow() == self.ordered_bytes
    }

    /// Whether the thread has failed.
    fn has_ended(&self) -> bool {
        self.kept.has_changed().is_err()
    }

    fn order(&mut self, there: &Spans) {
        if there.bytes() > self.ordered_bytes {
            (self.ordered_bytes, self.ordered_at) = (there.bytes(), Instant::now());
            // A thread that has failed says so at its end.
            let _ = self.orders.as_ref().map(|orders| orders.send(there.clone()));
        }
    }

    /// Lets the thread do what it was told, and hands out its failure.
    fn end(&mut self) -> io::Result<()> {
        self.orders = None;
        self.thread.take().map_or(Ok(()), join)
    }
}

fn thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<JoinHandle<io::Result<T>>, ModelError> {
    std::thread::Builder::new().name(name.into()).spawn(work).doing(|| "start a thread for a download".into())
}

fn join<T>(thread: JoinHandle<io::Result<T>>) -> io::Result<T> {
    thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread of the download stopped")))
}

/// How much of `blob` an earlier run left.
pub fn kept_bytes(blob: &Path, size_bytes: u64) -> u64 {
    let there = journal::read(&journal_of(&blob.with_added_extension("part")), size_bytes);
    there.ok().flatten().map_or(0, |there| there.bytes())
}

fn journal_of(part: &Path) -> PathBuf {
    part.with_added_extension("json")
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn is_still_at(file: &File, path: &Path) -> bool {
    files::is_still_at(file, path).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_run_left_is_what_its_journal_vouches_for() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let blob = folder.path().join("blob");
        assert_eq!(kept_bytes(&blob, 100), 0);
        let there: Spans = [0..10, 20..27].into_iter().collect();
        journal::write(&journal_of(&blob.with_added_extension("part")), 100, &there).expect("written");
        assert_eq!((kept_bytes(&blob, 100), kept_bytes(&blob, 99)), (17, 0));
    }

    #[test]
    fn a_part_that_was_renamed_or_made_anew_is_no_longer_at_its_place() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [path, other] = ["part", "other"].map(|name| folder.path().join(name));
        let file = File::create(&path).expect("a file");
        assert!(is_still_at(&file, &path));
        fs::rename(&path, &other).expect("renamed");
        assert!(!is_still_at(&file, &path) && is_still_at(&file, &other));
        File::create(&path).expect("a file");
        assert!(!is_still_at(&file, &path));
    }

    #[test]
    fn what_is_not_there_need_not_be_removed_and_what_stays_is_told() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("note");
        assert!(remove_if_there(&path).is_ok());
        fs::write(&path, "").expect("written");
        assert!(remove_if_there(&path).is_ok() && !path.exists());
        assert!(remove_if_there(folder.path()).is_err());
    }
}
