//! The files of a folder, or those that fit a pattern: what `.gitignore` names, hidden files and caches are left out, and
//! what is no text is told.

use std::path::{Component, Path, PathBuf};
use std::time::{Duration, Instant};

use globset::{GlobBuilder, GlobMatcher};
use ignore::{DirEntry, WalkBuilder};

use super::{Document, Reading, read_file};
use crate::text::escape_line;

const MOST_FILES: usize = 500;
/// As much as one file may have.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// A disk of any size is given up after that.
const MOST_TIME: Duration = Duration::from_secs(10);
/// Names of files that are told to be left out.
const MOST_NAMED: usize = 3;

/// What makes a pattern of a path.
const SPECIAL: [char; 4] = ['*', '?', '[', '{'];

pub fn is_pattern(path: &Path) -> bool {
    path.to_str().is_some_and(|path| path.contains(SPECIAL))
}

/// All files of a folder, or those that fit a pattern, by their names.
///
/// # Errors
/// If there is no text in them, or more than a model takes.
pub fn read(path: &Path) -> Result<Reading, String> {
    let shown = escape_line(&path.to_string_lossy());
    let files = find(path, &shown)?;
    if files.len() > MOST_FILES {
        return Err(format!("`{shown}` is more than {MOST_FILES} files; name fewer, as `{shown}/**/*.md` would"));
    }
    let mut reading = Reading::default();
    let (mut left_out, mut bytes) = (Vec::new(), 0);
    for file in &files {
        match read_file(file) {
            Ok(text) => {
                bytes += text.len();
                if bytes > MOST_BYTES {
                    return Err(format!("`{shown}` has more than 16 MiB of text, which no model can take in"));
                }
                reading.documents.push(Document { name: file.to_string_lossy().into_owned(), text });
            }
            Err(_) => left_out.push(escape_line(&file.to_string_lossy())),
        }
    }
    if reading.documents.is_empty() {
        return Err(match left_out.len() {
            0 if path.is_dir() => format!("`{shown}` has no files but hidden ones and those that `.gitignore` names"),
            0 => format!("no file fits `{shown}`; hidden ones and those that `.gitignore` names are left out"),
            count => format!("`{shown}` has no text: none of its {count} files can be read as such"),
        });
    }
    if !left_out.is_empty() {
        let more = if left_out.len() > MOST_NAMED { ", …" } else { "" };
        let names = left_out[..left_out.len().min(MOST_NAMED)].join(", ");
        let total = files.len();
        reading.notes.push(format!(
            "{} of {total} files of `{shown}` are no text and were left out: {names}{more}",
            left_out.len()
        ));
    }
    Ok(reading)
}

/// The files, in the order of their names; one more than there may be, if there are.
fn find(path: &Path, shown: &str) -> Result<Vec<PathBuf>, String> {
    let (root, pattern) = if path.is_dir() { (path.to_owned(), None) } else { split(path, shown)? };
    let wants_hidden = pattern.as_ref().is_some_and(|_| has_hidden(path));
    let walked = if root.as_os_str().is_empty() { Path::new(".") } else { &root };
    let mut walk = WalkBuilder::new(walked);
    walk.hidden(!wants_hidden).require_git(false).filter_entry(|entry| !is_noise(entry));
    let deadline = Instant::now() + MOST_TIME;
    let mut files = Vec::new();
    for entry in walk.build().flatten() {
        if Instant::now() >= deadline {
            return Err(format!("`{shown}` has too many files to be looked through; name a smaller folder"));
        }
        let found = entry.path().strip_prefix(".").unwrap_or(entry.path());
        let fits = pattern.as_ref().is_none_or(|pattern| pattern.is_match(found));
        if fits && entry.file_type().is_some_and(|kind| kind.is_file()) {
            files.push(found.to_owned());
        }
        if files.len() > MOST_FILES {
            break;
        }
    }
    files.sort();
    Ok(files)
}

/// What programs made and nobody asks about, where no `.gitignore` says so.
pub fn is_noise(entry: &DirEntry) -> bool {
    let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
    let name = entry.file_name();
    is_folder
        && entry.depth() > 0
        && (name == ".git"
            || name == "node_modules"
            || name == "__pycache__"
            || entry.path().join("CACHEDIR.TAG").exists())
}

/// The folder in which the files of a pattern lie, and what fits.
fn split(path: &Path, shown: &str) -> Result<(PathBuf, Option<GlobMatcher>), String> {
    let is_plain = |part: &Component<'_>| !part.as_os_str().to_string_lossy().contains(SPECIAL);
    let root: PathBuf = path.components().take_while(is_plain).collect();
    let whole = path.strip_prefix(".").unwrap_or(path);
    let glob = GlobBuilder::new(&whole.to_string_lossy()).literal_separator(true).build();
    let glob = glob.map_err(|error| format!("`{shown}` is no pattern for files: {}", error.kind()))?;
    Ok((root.strip_prefix(".").unwrap_or(&root).to_owned(), Some(glob.compile_matcher())))
}

fn has_hidden(path: &Path) -> bool {
    path.components().any(|part| matches!(part, Component::Normal(name) if name.to_string_lossy().starts_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let files: [(&str, &[u8]); 8] = [
            ("b.txt", b"bread"),
            ("a/one.rs", b"fn one() {}"),
            ("a/deep/two.rs", b"fn two() {}"),
            ("a/logo.png", b"\x89PNG\x00\x00"),
            ("out/made.rs", b"fn made() {}"),
            (".secret", b"key"),
            (".github/ci.yml", b"on: push"),
            ("node_modules/x.rs", b"fn x() {}"),
        ];
        for (path, bytes) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        std::fs::write(root.path().join(".gitignore"), "out/\n").unwrap();
        root
    }

    fn names(root: &Path, path: &str) -> Vec<String> {
        let reading = read(&root.join(path)).unwrap();
        let root = format!("{}/", root.display());
        reading.documents.into_iter().map(|document| document.name.replace(&root, "")).collect()
    }

    #[test]
    fn a_folder_is_its_text_without_what_is_ignored_and_what_is_no_text_is_told() {
        let root = tree();
        assert_eq!(names(root.path(), ""), ["a/deep/two.rs", "a/one.rs", "b.txt"]);
        let notes = read(root.path()).unwrap().notes;
        assert!(notes[0].starts_with("1 of 4 files of `") && notes[0].contains("a/logo.png"), "{notes:?}");
    }

    #[test]
    fn a_pattern_fits_as_in_a_shell() {
        let root = tree();
        assert_eq!(names(root.path(), "**/*.rs"), ["a/deep/two.rs", "a/one.rs"]);
        assert_eq!(names(root.path(), "a/*.rs"), ["a/one.rs"]);
        assert_eq!(names(root.path(), "{a/*.rs,*.txt}"), ["a/one.rs", "b.txt"]);
        assert_eq!(names(root.path(), ".github/*"), [".github/ci.yml"]);
    }

    #[test]
    fn nothing_too_much_and_what_is_no_pattern_are_sentences() {
        let root = tree();
        let refused = |path: &str| read(&root.path().join(path)).unwrap_err();
        assert!(refused("*.go").starts_with("no file fits `"));
        assert!(refused("a/*.png").contains("has no text"));
        assert!(refused("a/[").contains("is no pattern for files"));
        for number in 0..=MOST_FILES {
            std::fs::write(root.path().join(format!("a/{number}.txt")), "x").unwrap();
        }
        assert!(refused("a").contains("is more than 500 files"));
    }
}
