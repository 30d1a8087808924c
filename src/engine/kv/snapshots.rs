//! The folder of snapshots: one file for each chat and key, written by a thread of its own, the ones used longest ago
//! deleted when there are too many. A file that is damaged or was made by something else is as good as none. Beside a
//! snapshot may be an archive, which is of no use without it and goes first.
//!
//! The folder is its own index: a name says whose file it is, and its time of change when it was last used.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use xxhash_rust::xxh3::xxh3_64;

use super::archive::{self, Archive, NewRows, Title};
use super::file::{self, Opened};
use super::{About, Kept};
use crate::engine::protocol::{CancelFlag, ChatKey};
use crate::models::{create_private, identity};

const EXTENSION: &str = "kv";
const ARCHIVE_EXTENSION: &str = "rows";
/// Bytes that `auto` gives to snapshots, if that is not more than its part of what is free.
const AUTO_BYTES: u64 = 4 << 30;
const AUTO_PART: u64 = 10;
/// What is left free for everything else on the disk.
const RESERVE_BYTES: u64 = 256 << 20;
/// Bytes per second that a disk is taken to write before it was measured: what a good memory card does.
const UNKNOWN_DISK_SPEED: u64 = 60_000_000;
/// Half-written files of programs that were killed are deleted after this time.
const LEFT_OVER_AFTER: Duration = Duration::from_secs(60 * 60);
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
        let path = self.shared.path(chat, key, EXTENSION);
        let file = File::open(&path).ok()?;
        let _ = file.set_modified(SystemTime::now());
        let opened = file::open(file, key);
        if opened.is_none() {
            tracing::warn!(path = %path.display(), "a damaged snapshot is deleted");
            let _ = fs::remove_file(&path);
        }
        Some(Stored { chat, opened: opened?, path })
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

/// Deletes the snapshots of a chat from a folder.
pub fn remove(folder: &Path, chat: ChatKey) {
    for found in snapshots(folder).into_iter().filter(|found| found.chat == Some(chat)) {
        let _ = fs::remove_file(found.path);
    }
}

impl Shared {
    fn path(&self, chat: ChatKey, key: &str, extension: &str) -> PathBuf {
        self.settings.folder.join(format!("{}-{:016x}.{extension}", chat.0, xxh3_64(key.as_bytes())))
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

/// A file in the folder.
struct FoundFile {
    path: PathBuf,
    /// `None` for a file that is neither a snapshot nor an archive.
    chat: Option<ChatKey>,
    bytes: u64,
    used: SystemTime,
}

fn snapshots(folder: &Path) -> Vec<FoundFile> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| {
        let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        let path = entry.path();
        let is_snapshot = path.extension().is_some_and(|is| is == EXTENSION || is == ARCHIVE_EXTENSION);
        let name = path.file_stem()?.to_str()?;
        let chat = name.rsplit_once('-').filter(|_| is_snapshot).and_then(|(chat, _)| chat.parse().ok()).map(ChatKey);
        Some(FoundFile { chat, bytes: metadata.len(), used: metadata.modified().ok()?, path })
    });
    found.collect()
}

/// What is about to be written.
struct Writing<'p> {
    path: &'p Path,
    bytes: u64,
    /// They are added to the file; else they take its place.
    adds: bool,
}

impl Writing<'_> {
    /// Whether a file is the same chat's, and made with the same key.
    fn is_beside(&self, file: &FoundFile) -> bool {
        file.path.file_stem() == self.path.file_stem()
    }
}

/// Deletes the snapshots and archives used longest ago until so many bytes more may be written. An archive of the same
/// chat goes last, and only for its snapshot. `false` if so many never may.
fn make_room(settings: &SnapshotSettings, writing: &Writing<'_>) -> io::Result<bool> {
    let Writing { path, bytes, adds } = *writing;
    let mut found = snapshots(&settings.folder);
    found.retain(|file| {
        let is_left_over = file.chat.is_none() && file.used.elapsed().is_ok_and(|age| age > LEFT_OVER_AFTER);
        if is_left_over {
            let _ = fs::remove_file(&file.path);
        }
        file.chat.is_some() && (adds || file.path != path)
    });
    found.sort_by_key(|file| (writing.is_beside(file), file.used));
    let mut taken: u64 = found.iter().map(|file| file.bytes).sum();
    let disk = rustix::fs::statvfs(&settings.folder)?;
    let mut free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let most_bytes = settings.most_bytes.unwrap_or_else(|| AUTO_BYTES.min((free + taken) / AUTO_PART));
    let is_archive = path.extension().is_some_and(|is| is == ARCHIVE_EXTENSION);
    let own: u64 = found.iter().filter(|file| is_archive && writing.is_beside(file)).map(|file| file.bytes).sum();
    if own + bytes > most_bytes {
        return Ok(false);
    }
    for oldest in found {
        if taken + bytes <= most_bytes && free >= bytes + RESERVE_BYTES {
            break;
        }
        if is_archive && writing.is_beside(&oldest) {
            break;
        }
        fs::remove_file(&oldest.path)?;
        taken -= oldest.bytes;
        free += oldest.bytes;
    }
    Ok(free >= bytes + RESERVE_BYTES)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::engine::context::Ledger;

    struct Fixture {
        home: tempfile::TempDir,
    }

    impl Fixture {
        fn new() -> Self {
            let home = tempfile::tempdir().unwrap();
            fs::write(home.path().join("model.gguf"), "weights").unwrap();
            Self { home }
        }

        fn folder(&self) -> PathBuf {
            self.home.path().join("kv")
        }

        fn open_with(&self, most_bytes: impl Into<Option<u64>>, library: &str, stop: &CancelFlag) -> Snapshots {
            let settings = SnapshotSettings {
                folder: self.folder(),
                most_bytes: most_bytes.into(),
                model_sha256: None,
                hashes: self.home.path().join("hashes.json"),
            };
            let key = Key {
                model: self.home.path().join("model.gguf"),
                template: "{{ messages }}".into(),
                types: "f16 f16".into(),
                library: library.into(),
            };
            Snapshots::open(settings, key, stop.clone()).unwrap()
        }

        fn open(&self, most_bytes: u64) -> Snapshots {
            self.open_with(most_bytes, "1.0", &CancelFlag::default())
        }

        /// Writes one and waits for it.
        fn write(&self, kept: Kept) {
            self.open(1 << 20).write(kept);
        }

        fn files(&self) -> usize {
            fs::read_dir(self.folder()).map_or(0, Iterator::count)
        }
    }

    fn kept(chat: i64, bytes: usize) -> Kept {
        let mut ledger = Ledger::default();
        ledger.push(&[1, 2, 3]);
        let contents = ledger.contents().clone();
        let about = About { contents, ..About::default() };
        Kept { chat: ChatKey(chat), about, state: Arc::new(vec![chat as u8; bytes]), is_written: false }
    }

    #[test]
    fn a_snapshot_is_found_by_the_next_program_and_is_its_owners_alone() {
        let fixture = Fixture::new();
        fixture.write(kept(7, 1000));
        let found = fixture.open(1 << 20).find(ChatKey(7)).unwrap();
        assert_eq!(found.about().contents.tokens, [1, 2, 3]);
        let mode = fs::metadata(&found.path).unwrap().permissions().mode() & 0o777;
        let folder_mode = fs::metadata(fixture.folder()).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode, folder_mode), (0o600, 0o700));
        assert_eq!(*found.read().unwrap().state, vec![7; 1000]);
        assert!(fixture.open(1 << 20).find(ChatKey(8)).is_none());
    }

    #[test]
    fn another_model_or_another_library_does_not_find_it() {
        let fixture = Fixture::new();
        fixture.write(kept(7, 1000));
        assert!(fixture.open_with(1 << 20, "1.1", &CancelFlag::default()).find(ChatKey(7)).is_none());
        fs::write(fixture.home.path().join("model.gguf"), "other weights").unwrap();
        let snapshots = fixture.open(1 << 20);
        assert!(snapshots.find(ChatKey(7)).is_none());
        snapshots.write(kept(7, 10));
        drop(snapshots);
        assert_eq!(fixture.files(), 2, "each model has its own");
        remove(&fixture.folder(), ChatKey(7));
        assert_eq!(fixture.files(), 0);
    }

    #[test]
    fn the_snapshots_used_longest_ago_are_deleted_for_new_ones() {
        let fixture = Fixture::new();
        for chat in 1..=3 {
            let snapshots = fixture.open(3 * 1500);
            snapshots.write(kept(chat, 1000));
            drop(snapshots);
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(fixture.files(), 3);
        assert!(fixture.open(3 * 1500).find(ChatKey(1)).is_some(), "now it was used last");
        std::thread::sleep(Duration::from_millis(20));
        let snapshots = fixture.open(3 * 1500);
        snapshots.write(kept(4, 2000));
        drop(snapshots);
        let there: Vec<i64> = (1..=4).filter(|chat| fixture.open(3 * 1500).find(ChatKey(*chat)).is_some()).collect();
        assert_eq!(there, [1, 4], "{there:?}");
    }

    #[test]
    fn what_is_larger_than_all_of_the_room_is_not_written_and_deletes_nothing() {
        let fixture = Fixture::new();
        fixture.write(kept(1, 1000));
        let snapshots = fixture.open(1500);
        snapshots.write(kept(2, 2000));
        drop(snapshots);
        let snapshots = fixture.open(1500);
        assert!(snapshots.find(ChatKey(1)).is_some() && snapshots.find(ChatKey(2)).is_none());
    }

    #[test]
    fn a_damaged_state_is_not_used_and_deleted() {
        let fixture = Fixture::new();
        fixture.write(kept(7, 1000));
        let found = fixture.open(1 << 20).find(ChatKey(7)).unwrap();
        let mut bytes = fs::read(&found.path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(&found.path, bytes).unwrap();
        assert!(fixture.open(1 << 20).find(ChatKey(7)).unwrap().read().is_none());
        assert_eq!(fixture.files(), 0);
    }

    #[test]
    fn a_program_that_is_told_to_stop_leaves_no_part_of_a_file() {
        let fixture = Fixture::new();
        let stop = CancelFlag::default();
        let snapshots = fixture.open_with(1 << 20, "1.0", &stop);
        stop.cancel();
        snapshots.write(kept(7, 1000));
        drop(snapshots);
        assert_eq!(fixture.files(), 0);
    }

    #[test]
    fn a_deleted_chat_is_deleted_here_even_if_it_waits_to_be_written() {
        let fixture = Fixture::new();
        let snapshots = fixture.open(1 << 20);
        snapshots.write(kept(7, 1000));
        snapshots.remove(ChatKey(7));
        drop(snapshots);
        assert_eq!(fixture.files(), 0);
    }

    fn title(chat: i64) -> Title {
        Title { chat: ChatKey(chat), id: 5, row_bytes: 100 }
    }

    /// Writes so many rows of an archive and waits for them.
    fn append(snapshots: &Snapshots, chat: i64, first: u32, rows: usize) -> Option<Archive> {
        let bytes = vec![chat as u8; rows * 100];
        assert!(snapshots.append(NewRows { title: title(chat), first, seed: 3, bytes }, 1 << 20));
        snapshots.archive(title(chat), &|| true)
    }

    #[test]
    fn an_archive_is_its_owners_alone_and_deleted_with_its_chat() {
        let fixture = Fixture::new();
        let snapshots = fixture.open(1 << 20);
        let archive = append(&snapshots, 7, 0, 10).unwrap();
        let mut row = [0; 100];
        assert!(archive.read(9, 3, &mut row) && row == [7; 100]);
        let mode = fs::metadata(fs::read_dir(fixture.folder()).unwrap().next().unwrap().unwrap().path()).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
        snapshots.write(kept(7, 1000));
        drop(snapshots);
        assert_eq!(fixture.files(), 2);
        remove(&fixture.folder(), ChatKey(7));
        assert_eq!(fixture.files(), 0);
    }

    #[test]
    fn an_archive_makes_room_for_what_was_used_later_before_its_snapshot_does() {
        let fixture = Fixture::new();
        let snapshots = fixture.open(6000);
        assert!(append(&snapshots, 1, 0, 20).is_some());
        std::thread::sleep(Duration::from_millis(20));
        snapshots.write(kept(1, 1000));
        snapshots.archive(title(1), &|| true).unwrap();
        // Reading it is using it, but it goes first all the same where its own snapshot needs the room.
        snapshots.write(kept(1, 4500));
        assert!(snapshots.archive(title(1), &|| true).is_none());
        assert!(snapshots.find(ChatKey(1)).is_some());
    }

    #[test]
    fn an_archive_that_grows_larger_than_all_of_the_room_is_given_up_and_its_snapshot_stays() {
        let fixture = Fixture::new();
        let snapshots = fixture.open(4000);
        snapshots.write(kept(1, 1000));
        snapshots.write(kept(2, 500));
        assert!(append(&snapshots, 1, 0, 10).is_some());
        assert!(snapshots.find(ChatKey(2)).is_some());
        assert!(append(&snapshots, 1, 10, 30).is_none(), "more than 4,000 bytes of rows");
        let there = [1, 2].map(|chat| snapshots.find(ChatKey(chat)).is_some());
        assert_eq!(there, [true, true], "nothing is deleted for what never fits");
        assert!(append(&snapshots, 1, 40, 1).is_none(), "what came before is missing");
        assert!(append(&snapshots, 1, 0, 1).is_some(), "it is begun anew");
    }

    #[test]
    fn rows_that_would_wait_in_too_much_memory_are_not_taken() {
        let fixture = Fixture::new();
        let rows = NewRows { title: title(1), first: 0, seed: 3, bytes: vec![1; 1000] };
        assert!(!fixture.open(1 << 20).append(rows, 999));
        assert_eq!(fixture.files(), 0);
    }

    #[test]
    fn a_snapshot_pays_where_the_disk_is_faster_than_the_model() {
        let fixture = Fixture::new();
        let snapshots = fixture.open_with(None, "1.0", &CancelFlag::default());
        // 4,096 tokens of 28 KiB at 30 and at 30,000 tokens a second.
        let bytes = 2 * 4096 * 28 * 1024;
        assert!(snapshots.pays(bytes, 4096, Some(30.0)) && snapshots.pays(bytes, 4096, None));
        assert!(!snapshots.pays(bytes, 4096, Some(30_000.0)));
        assert!(fixture.open(1 << 20).pays(bytes, 4096, Some(30_000.0)), "it was asked for");
    }
}
