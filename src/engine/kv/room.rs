//! Room in the folder of snapshots: which files are there, and which of them go for new ones.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::SnapshotSettings;
use crate::engine::protocol::ChatKey;
use crate::hardware::volume::Volume;

pub const EXTENSION: &str = "kv";
pub const ARCHIVE_EXTENSION: &str = "rows";
/// Bytes that `auto` gives to snapshots, if that is not more than its part of what is free.
const AUTO_BYTES: u64 = 4 << 30;
const AUTO_PART: u64 = 10;
/// What is left free for everything else on the disk.
const RESERVE_BYTES: u64 = 256 << 20;
/// Half-written files of programs that were killed are deleted after this time.
const LEFT_OVER_AFTER: Duration = Duration::from_secs(60 * 60);

/// A file in the folder.
pub struct FoundFile {
    pub path: PathBuf,
    /// `None` for a file that is neither a snapshot nor an archive.
    pub chat: Option<ChatKey>,
    bytes: u64,
    used: SystemTime,
}

/// What the names of a chat's files begin with.
pub fn name(chat: ChatKey) -> String {
    if chat.is_of_beginning() { format!("prompt{:016x}", chat.0.unsigned_abs()) } else { chat.0.to_string() }
}

fn read_name(name: &str) -> Option<ChatKey> {
    match name.strip_prefix("prompt") {
        Some(digits) => i64::from_str_radix(digits, 16).ok().map(|number| ChatKey(-number)),
        None => name.parse().ok().map(ChatKey),
    }
}

/// All files of the folder.
pub fn files(folder: &Path) -> Vec<FoundFile> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| {
        let metadata = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        let path = entry.path();
        let is_snapshot = path.extension().is_some_and(|is| is == EXTENSION || is == ARCHIVE_EXTENSION);
        let name = path.file_stem()?.to_str()?;
        let chat = name.rsplit_once('-').filter(|_| is_snapshot).and_then(|(chat, _)| read_name(chat));
        Some(FoundFile { chat, bytes: metadata.len(), used: metadata.modified().ok()?, path })
    });
    found.collect()
}

/// What is about to be written.
pub struct Writing<'p> {
    pub path: &'p Path,
    pub bytes: u64,
    /// They are added to the file; else they take its place.
    pub adds: bool,
}

impl Writing<'_> {
    /// Whether a file is the same chat's, and made with the same key.
    fn is_beside(&self, file: &FoundFile) -> bool {
        file.path.file_stem() == self.path.file_stem()
    }
}

/// Deletes the snapshots and archives used longest ago until so many bytes more may be written. An archive of the same
/// chat goes last, and only for its snapshot. `false` if so many never may.
///
/// # Errors
/// If the disk cannot be asked, or a file cannot be deleted.
pub fn make_room(settings: &SnapshotSettings, writing: &Writing<'_>) -> io::Result<bool> {
    let Writing { path, bytes, adds } = *writing;
    let mut found = files(&settings.folder);
    found.retain(|file| {
        let is_left_over = file.chat.is_none() && file.used.elapsed().is_ok_and(|age| age > LEFT_OVER_AFTER);
        if is_left_over {
            let _ = fs::remove_file(&file.path);
        }
        file.chat.is_some() && (adds || file.path != path)
    });
    found.sort_by_key(|file| (writing.is_beside(file), file.used));
    let mut taken: u64 = found.iter().map(|file| file.bytes).sum();
    let mut free = Volume::of(&settings.folder)?.free_bytes;
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
    use super::*;

    /// A file of so many bytes that was used so many seconds ago.
    fn file(folder: &Path, name: &str, bytes: usize, seconds: u64) {
        let path = folder.join(name);
        fs::write(&path, vec![0; bytes]).unwrap();
        let used = SystemTime::now() - Duration::from_secs(seconds);
        fs::File::options().write(true).open(&path).unwrap().set_modified(used).unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn make_room_for(folder: &Path, name: &str, bytes: u64, adds: bool, most_bytes: Option<u64>) -> bool {
        let (folder, hashes) = (folder.to_owned(), folder.join("hashes.json"));
        let path = folder.join(name);
        let settings = SnapshotSettings { folder, most_bytes, model_sha256: None, hashes };
        make_room(&settings, &Writing { path: &path, bytes, adds }).unwrap()
    }

    #[test]
    fn the_name_of_a_chat_says_which_it_is() {
        for chat in [ChatKey(7), ChatKey(-7), ChatKey(-i64::MAX)] {
            assert_eq!(read_name(&name(chat)), Some(chat));
        }
    }

    #[test]
    fn what_a_killed_program_left_goes_and_what_is_being_written_stays() {
        let folder = tempfile::tempdir().unwrap();
        file(folder.path(), "old.tmp", 10, 3 * 60 * 60);
        file(folder.path(), "new.tmp", 1000, 1);
        file(folder.path(), "1-key.kv", 40, 4 * 60 * 60);
        assert!(make_room_for(folder.path(), "2-key.kv", 60, false, Some(100)));
        assert_eq!(names(folder.path()), ["1-key.kv", "new.tmp"]);
    }

    #[test]
    fn the_ones_used_longest_ago_go_until_there_is_room_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let fill = || (1..4).for_each(|chat| file(folder.path(), &format!("{chat}-key.kv"), 40, 100 - chat));
        for (bytes, left) in [(10, 3), (11, 2), (50, 2), (90, 1), (91, 0), (130, 0)] {
            fill();
            assert!(make_room_for(folder.path(), "4-key.kv", bytes, false, Some(130)), "{bytes}");
            let expected = &["1-key.kv", "2-key.kv", "3-key.kv"][3 - left..];
            assert_eq!(names(folder.path()), expected, "{bytes}");
        }
        fill();
        assert!(!make_room_for(folder.path(), "4-key.kv", 131, false, Some(130)));
        assert_eq!(names(folder.path()).len(), 3, "what has no room takes none from others");
    }

    #[test]
    fn an_archive_takes_the_room_of_others_and_keeps_its_own() {
        let folder = tempfile::tempdir().unwrap();
        file(folder.path(), "1-key.rows", 60, 9);
        file(folder.path(), "2-key.kv", 60, 5);
        assert!(make_room_for(folder.path(), "1-key.rows", 50, true, Some(130)));
        assert_eq!(names(folder.path()), ["1-key.rows"]);
    }

    #[test]
    fn where_nobody_says_there_is_room_for_little_and_not_for_all() {
        let folder = tempfile::tempdir().unwrap();
        assert!(make_room_for(folder.path(), "1-key.kv", 100, false, None));
        assert!(!make_room_for(folder.path(), "1-key.kv", AUTO_BYTES + 1, false, None));
    }
}
