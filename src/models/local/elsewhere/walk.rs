//! Going through folders of others: bounded in depth and number, and undisturbed by what cannot be read, by links
//! that lead nowhere and by links that lead round in circles.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::models::hub::is_model_name;
use crate::platform::{FileId, files};
use crate::text::escape_line;

/// More than this below one folder is not looked at.
const ENTRIES_MAX: usize = 20_000;
/// A header without metadata is as long as this.
const MODEL_BYTES_MIN: u64 = 24;

/// Which file it is that this path leads to.
pub fn id_at(path: &Path) -> Option<FileId> {
    files::id_of(path, &fs::metadata(path).ok()?).ok()
}

/// A file that holds a model, or the first of those that do.
#[derive(Clone, Debug)]
pub struct ModelFile {
    pub path: PathBuf,
    /// The size of all its files.
    pub size_bytes: u64,
    pub id: FileId,
}

impl ModelFile {
    /// The file at `path`, if it begins as a GGUF file does. Of a model in several files, only the first one counts,
    /// and only if the others are beside it.
    pub fn at(path: PathBuf) -> Option<Self> {
        let found = Self::read(&path);
        if found.is_none() {
            tracing::debug!(path = %path.display(), "this is no model, or not a whole one");
        }
        let (size_bytes, id) = found?;
        Some(Self { path, size_bytes, id })
    }

    fn read(path: &Path) -> Option<(u64, FileId)> {
        let metadata = begins_as_gguf(path)?;
        let mut size_bytes = metadata.len();
        if let Some(part) = Part::of(path) {
            if part.number != 1 {
                return None;
            }
            for number in 2..=part.count {
                size_bytes = size_bytes.saturating_add(begins_as_gguf(&part.sibling(number))?.len());
            }
        }
        Some((size_bytes, files::id_of(path, &metadata).ok()?))
    }
}

/// What is known of the file if it is one and begins as a GGUF file does. Nothing is opened that might wait, as a
/// pipe would.
fn begins_as_gguf(path: &Path) -> Option<Metadata> {
    let metadata = fs::metadata(path).ok().filter(|it| it.is_file() && it.len() >= MODEL_BYTES_MIN)?;
    let mut magic = [0; 4];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).ok()?;
    (&magic == b"GGUF").then_some(metadata)
}

/// A file's place in a model of several files, as its name tells it: `NAME-00001-of-00003.gguf`.
struct Part<'a> {
    folder: &'a Path,
    stem: &'a str,
    number: u32,
    count: u32,
}

impl<'a> Part<'a> {
    fn of(path: &'a Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let (rest, count) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
        let (stem, number) = rest.rsplit_once('-')?;
        let read = |digits: &str| (digits.len() == 5).then(|| digits.parse().ok()).flatten();
        Some(Self { folder: path.parent()?, stem, number: read(number)?, count: read(count)? })
    }

    fn sibling(&self, number: u32) -> PathBuf {
        self.folder.join(format!("{}-{number:05}-of-{:05}.gguf", self.stem, self.count))
    }
}

/// A short name for a model file: without `.gguf`, and without the number of its part.
pub fn short_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match Part::of(path) {
        Some(part) => part.stem.to_owned(),
        None => name.strip_suffix(".gguf").unwrap_or(&name).to_owned(),
    }
}

/// The names in a folder, sorted; none if it cannot be read.
pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::debug!(folder = %folder.display(), %error, "a folder is not looked into");
            return Vec::new();
        }
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.take(ENTRIES_MAX).collect();
    names.sort();
    names
}

/// The paths below `folder` that are named as model files are, sorted, at most `depth` folders deep. Links are
/// followed, and no folder is entered twice.
pub fn gguf_files(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut entered = HashSet::new();
    let mut entries_left = ENTRIES_MAX;
    let mut open = vec![(folder.to_owned(), 0)];
    while let Some((folder, level)) = open.pop() {
        let is_new = id_at(&folder).is_some_and(|id| entered.insert(id));
        if !is_new {
            continue;
        }
        let mut below = Vec::new();
        for name in names_in(&folder) {
            if entries_left == 0 {
                tracing::debug!(folder = %folder.display(), "too many files; the rest is not looked at");
                return files;
            }
            entries_left -= 1;
            let path = folder.join(&name);
            if is_model_name(&name) {
                files.push(path);
            } else if level < depth && !name.starts_with('.') && path.is_dir() {
                below.push((path, level + 1));
            }
        }
        open.extend(below.into_iter().rev());
    }
    files
}

/// A word as a shell takes it, in quotation marks where it needs them, made harmless for a terminal.
pub fn shell_word(word: &str) -> String {
    let is_plain = |each: char| each.is_ascii_alphanumeric() || "-_./:+=@%,~".contains(each);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    escape_line(&format!("'{}'", word.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plant(folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(&path, b"GGUF and twenty bytes more...").expect("written");
        path
    }

    #[cfg(unix)]
    #[test]
    fn a_walk_ends_whatever_the_links_do() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = folder.path();
        let deep = plant(root, "a/b/deep.gguf");
        symlink(root, root.join("a/loop")).expect("linked");
        symlink("nowhere.gguf", root.join("dangling.gguf")).expect("linked");
        plant(root, "a/b/c/d/too-deep.gguf");
        plant(root, ".hidden/x.gguf");
        for no_model in ["mmproj-F16.gguf", "imatrix.gguf", "x.gguf.part", "x.gguf.downloadInProgress"] {
            plant(root, no_model);
        }
        assert_eq!(gguf_files(root, 2), [root.join("dangling.gguf"), deep]);
        assert!(ModelFile::at(root.join("dangling.gguf")).is_none());
        assert!(gguf_files(&root.join("missing"), 2).is_empty());
    }

    #[test]
    fn of_a_split_model_the_first_file_stands_for_all_and_only_if_all_are_there() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let first = plant(folder.path(), "m-00001-of-00002.gguf");
        assert!(ModelFile::at(first.clone()).is_none());
        let second = plant(folder.path(), "m-00002-of-00002.gguf");
        assert_eq!(ModelFile::at(first.clone()).map(|file| file.size_bytes), Some(58));
        assert!(ModelFile::at(second).is_none());
        assert_eq!(short_name(&first), "m");
    }

    #[test]
    fn what_is_no_file_of_gguf_is_no_model() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("x.gguf");
        for contents in ["", "GGUF", "<!DOCTYPE html> and more than enough bytes"] {
            fs::write(&path, contents).expect("written");
            assert!(ModelFile::at(path.clone()).is_none(), "{contents}");
        }
        fs::create_dir(folder.path().join("folder.gguf")).expect("made");
        assert!(ModelFile::at(folder.path().join("folder.gguf")).is_none());
    }

    #[test]
    fn a_word_reaches_the_shell_as_it_is_and_the_terminal_unharmed() {
        assert_eq!(shell_word("qwen2.5:0.5b"), "qwen2.5:0.5b");
        assert_eq!(shell_word("/my models/it's.gguf"), r"'/my models/it'\''s.gguf'");
        assert!(!shell_word("a\u{1b}[2J").contains('\u{1b}'));
    }
}
