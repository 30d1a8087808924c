//! An archive: the rows of the cells that left a chat's cache, in a file beside its snapshot, so that they can come back
//! without being computed. Which row is whose is known by the ledger, and kept with the snapshot.
//!
//! The form: a head of `MAGIC`, what the rows are of, and its hash; then the rows, each behind its hash (XXH3, 64 bits),
//! at places that follow from their numbers. Numbers are little-endian. A row that was never written, is damaged, or was
//! written by another program for its own, has the wrong hash.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::SystemTime;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::engine::protocol::ChatKey;
use crate::platform::files;

const MAGIC: &[u8; 16] = b"tuichat rows 1\0\0";
const HEAD_BYTES: usize = MAGIC.len() + 4 * 8;
const HASH_BYTES: usize = 8;

/// Which archive, and of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Title {
    pub chat: ChatKey,
    /// Tells it from earlier ones of the same chat.
    pub id: u64,
    pub row_bytes: usize,
}

impl Title {
    fn head(&self, key: &str) -> Vec<u8> {
        let mut head = MAGIC.to_vec();
        for number in [self.id, self.row_bytes as u64, xxh3_64(key.as_bytes())] {
            head.extend(number.to_le_bytes());
        }
        head.extend(xxh3_64(&head).to_le_bytes());
        head
    }

    fn place(&self, row: u32) -> u64 {
        HEAD_BYTES as u64 + u64::from(row) * (HASH_BYTES + self.row_bytes) as u64
    }
}

fn hash_of(row: &[u8], number: u32, seed: u64) -> u64 {
    xxh3_64_with_seed(row, seed ^ u64::from(number))
}

/// Rows that are to be written.
#[derive(Clone, Debug)]
pub struct NewRows {
    pub title: Title,
    /// The number of the first; the others follow.
    pub first: u32,
    /// What their hashes begin with.
    pub seed: u64,
    pub bytes: Vec<u8>,
}

/// Writes rows, at the beginning of a new file if they are the first. `go_on` is asked for each.
///
/// # Errors
/// As the file's; [`io::ErrorKind::NotFound`] if what comes before them is not there, [`io::ErrorKind::Interrupted`] if
/// it was not to go on.
pub(super) fn append(path: &Path, key: &str, rows: &NewRows, go_on: &dyn Fn() -> bool) -> io::Result<()> {
    let title = &rows.title;
    let is_new = rows.first == 0;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(is_new).truncate(is_new);
    let file = files::for_owner(&mut options).open(path)?;
    if is_new {
        files::write_all_at(&file, &title.head(key), 0)?;
    } else if !has_head(&file, title, key) {
        return Err(io::ErrorKind::NotFound.into());
    }
    for (number, row) in (rows.first..).zip(rows.bytes.chunks_exact(title.row_bytes)) {
        if !go_on() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let place = title.place(number);
        files::write_all_at(&file, &hash_of(row, number, rows.seed).to_le_bytes(), place)?;
        files::write_all_at(&file, row, place + HASH_BYTES as u64)?;
    }
    Ok(())
}

fn has_head(file: &File, title: &Title, key: &str) -> bool {
    let mut head = [0; HEAD_BYTES];
    files::read_exact_at(file, &mut head, 0).is_ok() && head == *title.head(key)
}

/// An archive that was found.
#[derive(Debug)]
pub struct Archive {
    file: File,
    title: Title,
}

impl Archive {
    /// `None` if there is none, or another. Its time of use is set to now.
    pub(super) fn open(path: &Path, key: &str, title: Title) -> Option<Self> {
        let file = File::open(path).ok()?;
        let _ = file.set_modified(SystemTime::now());
        has_head(&file, &title, key).then_some(Self { file, title })
    }

    /// Reads a row into as many bytes as it has. `false` if it is not there or damaged.
    #[must_use]
    pub fn read(&self, row: u32, seed: u64, bytes: &mut [u8]) -> bool {
        let place = self.title.place(row);
        let mut hash = [0; HASH_BYTES];
        bytes.len() == self.title.row_bytes
            && files::read_exact_at(&self.file, &mut hash, place).is_ok()
            && files::read_exact_at(&self.file, bytes, place + HASH_BYTES as u64).is_ok()
            && u64::from_le_bytes(hash) == hash_of(bytes, row, seed)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const TITLE: Title = Title { chat: ChatKey(1), id: 77, row_bytes: 3 };

    fn rows(title: Title, first: u32, bytes: &[u8]) -> NewRows {
        NewRows { title, first, seed: 5, bytes: bytes.to_vec() }
    }

    fn read(path: &Path, title: Title, row: u32) -> Option<Vec<u8>> {
        let mut bytes = vec![0; title.row_bytes];
        Archive::open(path, "key", title)?.read(row, 5, &mut bytes).then_some(bytes)
    }

    fn written(path: &Path) {
        append(path, "key", &rows(TITLE, 0, b"abcdef"), &|| true).unwrap();
        append(path, "key", &rows(TITLE, 2, b"ghi"), &|| true).unwrap();
    }

    #[test]
    fn rows_are_read_by_their_numbers_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.rows");
        written(&path);
        assert_eq!(read(&path, TITLE, 1).unwrap(), b"def");
        assert_eq!(read(&path, TITLE, 2).unwrap(), b"ghi");
        assert!(read(&path, TITLE, 3).is_none());
        assert!(!Archive::open(&path, "key", TITLE).unwrap().read(2, 6, &mut [0; 3]), "another program's");
        assert!(read(&path, Title { id: 78, ..TITLE }, 0).is_none());
        assert!(read(&path, Title { row_bytes: 2, ..TITLE }, 0).is_none());
        assert!(Archive::open(&path, "another key", TITLE).is_none());
    }

    #[test]
    fn every_changed_byte_and_every_missing_end_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.rows");
        written(&path);
        let whole = fs::read(&path).unwrap();
        let is_read = || (0..3).all(|row| read(&path, TITLE, row).is_some());
        assert!(is_read());
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x10;
            fs::write(&path, damaged).unwrap();
            assert!(!is_read(), "byte {place} of {}", whole.len());
            fs::write(&path, &whole[..place]).unwrap();
            assert!(!is_read(), "cut at {place}");
        }
    }

    #[test]
    fn a_new_archive_takes_the_place_of_an_older_one_and_nothing_is_added_to_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.rows");
        let newer = Title { id: 78, ..TITLE };
        assert!(append(&path, "key", &rows(newer, 1, b"abc"), &|| true).is_err());
        written(&path);
        assert!(append(&path, "key", &rows(newer, 1, b"abc"), &|| true).is_err());
        append(&path, "key", &rows(newer, 0, b"xyz"), &|| true).unwrap();
        assert!(read(&path, TITLE, 0).is_none());
        assert_eq!(read(&path, newer, 0).unwrap(), b"xyz");
        assert!(read(&path, newer, 1).is_none());
    }

    #[test]
    fn writing_ends_when_it_is_not_to_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.rows");
        let error = append(&path, "key", &rows(TITLE, 0, b"abc"), &|| false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        assert!(read(&path, TITLE, 0).is_none());
    }

    #[test]
    fn a_row_in_the_place_of_another_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("1.rows");
        append(&path, "key", &rows(TITLE, 0, &[7; 24]), &|| true).unwrap();
        let whole = fs::read(&path).unwrap();
        let row = |number: u32| TITLE.place(number) as usize..TITLE.place(number + 1) as usize;
        for (one, other) in (0..8).flat_map(|one| (0..8).map(move |other| (one, other))) {
            let mut swapped = whole.clone();
            swapped[row(one)].copy_from_slice(&whole[row(other)]);
            fs::write(&path, swapped).unwrap();
            assert_eq!(read(&path, TITLE, one).is_some(), one == other, "{other} for {one}");
        }
    }
}
