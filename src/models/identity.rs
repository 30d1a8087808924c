//! Which file a file is: its SHA-256, and other facts about it, remembered as long as the file is untouched.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{DiskContext, ModelError};
use super::files::write_atomically;
use super::gguf::split;
use super::progress::{Listener, Meter, Step, within};
use crate::platform::{FileId, files};
use crate::sha256::{self, Sha256, is_sha256};

/// Files that are remembered; the oldest beyond it are forgotten.
const REMEMBERED_MAX: usize = 256;
/// The same where facts are about all models of a machine.
const MANY_REMEMBERED_MAX: usize = 4096;
const CHUNK_BYTES: usize = 1 << 20;

/// What tells that a file was not touched since it was hashed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size_bytes: u64,
    modified_seconds: i64,
    modified_nanoseconds: i64,
}

impl Stamp {
    /// That of the file at `path`, of which this is known.
    pub(super) fn of(path: &Path, metadata: &Metadata) -> std::io::Result<Self> {
        let FileId { device, number: inode } = files::id_of(path, metadata)?;
        let (modified_seconds, modified_nanoseconds) = files::written_at(metadata);
        Ok(Self { device, inode, size_bytes: metadata.len(), modified_seconds, modified_nanoseconds })
    }

    pub(super) fn at(path: &Path) -> std::io::Result<Self> {
        Self::of(path, &std::fs::metadata(path)?)
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Whether size and time of change are the same. Numbers of devices and files may change when a disk is taken out
    /// and put in again.
    pub(super) fn is_as_old_and_large(&self, other: &Self) -> bool {
        let marks = |it: &Self| (it.size_bytes, it.modified_seconds, it.modified_nanoseconds);
        marks(self) == marks(other)
    }

    fn is_of_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// What tells that the model at `path` was not touched: of a split model, that none of its files was.
fn stamp(path: &Path) -> std::io::Result<Stamp> {
    let stamps = split::files(path).into_iter().map(|file| Stamp::at(&file));
    stamps
        .reduce(|all, next| {
            let (all, next) = (all?, next?);
            let later = |stamp: &Stamp| (stamp.modified_seconds, stamp.modified_nanoseconds);
            let (modified_seconds, modified_nanoseconds) = later(&all).max(later(&next));
            Ok(Stamp { size_bytes: all.size_bytes + next.size_bytes, modified_seconds, modified_nanoseconds, ..all })
        })
        .unwrap_or_else(|| Err(std::io::ErrorKind::NotFound.into()))
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Remembered {
    files: Vec<RememberedFile>,
    /// What is known of a content, whichever file holds it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    contents: Vec<RememberedContent>,
}

#[derive(Debug, Serialize, Deserialize)]
struct RememberedContent {
    sha256: String,
    fact: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct RememberedFile {
    #[serde(flatten)]
    stamp: Stamp,
    fact: String,
}

/// The SHA-256 of the model at `path` in 64 lower-case hex digits: from `cache_file` if the file is the same as
/// when it was hashed, else computed and remembered there. A cache that cannot be read or written costs time only. The
/// hash of a split model is that of its files' hashes.
///
/// # Errors
/// If a file cannot be read.
pub fn sha256_of(path: &Path, cache_file: &Path, listener: Listener) -> Result<String, ModelError> {
    let reading = || format!("read `{}`", path.display());
    let before = stamp(path).doing(reading)?;
    if let Some(known) = recall_stamp(&before, cache_file) {
        return Ok(known);
    }
    let sha256 = hash_model(path, listener)?.0;
    // A file that changed while it was read has no hash worth remembering.
    if stamp(path).doing(reading)? == before {
        remember_stamp(before, cache_file, &sha256);
    }
    Ok(sha256)
}

/// Reads the whole model at `path`: its hash, and its files with theirs.
pub(super) fn hash_model(path: &Path, listener: Listener) -> Result<(String, Vec<(PathBuf, String)>), ModelError> {
    let files = split::files(path);
    let sizes = files.iter().map(|file| std::fs::metadata(file).map_or(0, |metadata| metadata.len()));
    let sizes: Vec<u64> = sizes.collect();
    let (mut hashes, mut done_bytes) = (Vec::new(), 0);
    for (file, size_bytes) in files.into_iter().zip(&sizes) {
        let mut listener = within(listener, done_bytes, sizes.iter().sum());
        let sha256 = File::open(&file).and_then(|mut opened| hash(&mut opened, *size_bytes, &mut listener));
        let sha256 = sha256.doing(|| format!("read `{}`", file.display()))?;
        hashes.push((file, sha256));
        done_bytes += size_bytes;
    }
    let sha256 = of_parts(hashes.iter().map(|(_, sha256)| sha256.as_str()));
    Ok((sha256, hashes))
}

/// The hash of a model whose files have these: that of the file if there is one, otherwise that of the hashes, each on
/// a line.
pub(super) fn of_parts<'a>(hashes: impl IntoIterator<Item = &'a str>) -> String {
    let hashes: Vec<_> = hashes.into_iter().collect();
    match hashes.as_slice() {
        [single] => (*single).to_owned(),
        several => sha256::of(several.iter().map(|hash| format!("{hash}\n")).collect::<String>()),
    }
}

/// What was remembered of the file at `path` in `cache_file`, if the file is untouched since.
pub fn recall(path: &Path, cache_file: &Path) -> Option<String> {
    recall_stamp(&stamp(path).ok()?, cache_file)
}

/// Remembers a fact about the file at `path` as long as the file is untouched; a new fact replaces the old one.
/// What cannot be remembered costs time only.
pub fn remember(path: &Path, cache_file: &Path, fact: &str) {
    if let Ok(stamp) = stamp(path) {
        remember_stamp(stamp, cache_file, fact);
    }
}

/// What was remembered in `cache_file` of files with this content.
pub fn recall_content(sha256: &str, cache_file: &Path) -> Option<String> {
    load(cache_file).contents.into_iter().find(|known| known.sha256 == sha256).map(|known| known.fact)
}

/// Remembers a fact about all files with this content; a new fact replaces the old one. What cannot be remembered
/// costs time only.
pub fn remember_content(sha256: &str, cache_file: &Path, fact: &str) {
    let mut remembered = load(cache_file);
    remembered.contents.retain(|known| known.sha256 != sha256);
    remembered.contents.push(RememberedContent { sha256: sha256.to_owned(), fact: fact.to_owned() });
    let excess = remembered.contents.len().saturating_sub(REMEMBERED_MAX);
    remembered.contents.drain(..excess);
    save(cache_file, &remembered);
}

/// What is remembered of many files, read once and written once.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    cache_file: Option<&'a Path>,
    by_stamp: HashMap<Stamp, String>,
    new: Vec<RememberedFile>,
}

impl<'a> Facts<'a> {
    /// Those in `cache_file`; without one, nothing is known and nothing is kept.
    pub(super) fn open(cache_file: Option<&'a Path>) -> Self {
        let known = cache_file.map(load).unwrap_or_default().files;
        Self { cache_file, by_stamp: known.into_iter().map(|it| (it.stamp, it.fact)).collect(), new: Vec::new() }
    }

    /// What is known of the file with this stamp.
    pub(super) fn get(&self, stamp: &Stamp) -> Option<&str> {
        self.by_stamp.get(stamp).map(String::as_str)
    }

    /// Remembers a fact about the file with this stamp.
    pub(super) fn put(&mut self, stamp: Stamp, fact: String) {
        self.new.push(RememberedFile { stamp, fact });
    }

    /// Writes what is new.
    pub(super) fn save(self) {
        if let Some(cache_file) = self.cache_file.filter(|_| !self.new.is_empty()) {
            let mut remembered = load(cache_file);
            let is_new = |stamp: &Stamp| self.new.iter().any(|it| it.stamp.is_of_same_file(stamp));
            remembered.files.retain(|known| !is_new(&known.stamp));
            remembered.files.extend(self.new);
            let excess = remembered.files.len().saturating_sub(MANY_REMEMBERED_MAX);
            remembered.files.drain(..excess);
            save(cache_file, &remembered);
        }
    }
}

fn recall_stamp(stamp: &Stamp, cache_file: &Path) -> Option<String> {
    load(cache_file).files.into_iter().find(|known| known.stamp == *stamp).map(|known| known.fact)
}

fn remember_stamp(stamp: Stamp, cache_file: &Path, fact: &str) {
    let mut remembered = load(cache_file);
    remembered.files.retain(|known| !known.stamp.is_of_same_file(&stamp));
    remembered.files.push(RememberedFile { stamp, fact: fact.to_owned() });
    let excess = remembered.files.len().saturating_sub(REMEMBERED_MAX);
    remembered.files.drain(..excess);
    save(cache_file, &remembered);
}

/// The SHA-256 of what is left of `file`.
pub(super) fn hash(file: &mut File, size_bytes: u64, listener: Listener) -> std::io::Result<String> {
    let mut meter = Meter::new(Step::Hashing, size_bytes, listener);
    let mut hasher = Sha256::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut done_bytes = 0;
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(&chunk[..length]);
        done_bytes += length as u64;
        meter.report(done_bytes);
    }
}

/// A SHA-256 that a person typed, in either case.
pub(super) fn parse_sha256(text: &str) -> Result<String, ModelError> {
    let lower_case = text.trim().to_ascii_lowercase();
    if is_sha256(&lower_case) {
        return Ok(lower_case);
    }
    Err(ModelError::BadArgument("a SHA-256 is 64 hex digits; `sha256sum FILE` prints it".into()))
}

fn load(cache_file: &Path) -> Remembered {
    let text = std::fs::read_to_string(cache_file).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn save(cache_file: &Path, remembered: &Remembered) {
    let written = serde_json::to_vec(remembered)
        .map_err(std::io::Error::from)
        .and_then(|json| write_atomically(cache_file, &json));
    if let Err(error) = written {
        tracing::warn!(%error, file = %cache_file.display(), "cannot remember what a model's file is");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_counting_reads(path: &Path, cache_file: &Path) -> (String, usize) {
        let mut reports = 0;
        let sha256 = sha256_of(path, cache_file, &mut |_| reports += 1).expect("the file is readable");
        (sha256, reports)
    }

    #[test]
    fn an_untouched_file_is_hashed_once() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, cache_file) = (folder.path().join("abc"), folder.path().join("hashes.json"));
        std::fs::write(&path, "abc").expect("written");
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hash_counting_reads(&path, &cache_file), (expected.into(), 1));
        assert_eq!(hash_counting_reads(&path, &cache_file), (expected.into(), 0));

        std::fs::write(&path, "abd").expect("written");
        File::options()
            .append(true)
            .open(&path)
            .and_then(|file| file.set_modified(std::time::UNIX_EPOCH))
            .expect("the time can be set");
        let (changed, reads) = hash_counting_reads(&path, &cache_file);
        assert_ne!(changed, expected);
        assert_eq!(reads, 1);
    }

    #[test]
    fn a_broken_cache_is_no_obstacle() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, cache_file) = (folder.path().join("abc"), folder.path().join("hashes.json"));
        std::fs::write(&path, "abc").expect("written");
        std::fs::write(&cache_file, "{ not json").expect("written");
        assert_eq!(hash_counting_reads(&path, &cache_file).1, 1);
        assert_eq!(hash_counting_reads(&path, &cache_file).1, 0);
        assert_eq!(hash_counting_reads(&path, Path::new("/dev/null/no/cache")).1, 1);
    }
}
