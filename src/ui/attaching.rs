//! Reading what is attached to a message: text of files, folders and patterns, a picture by its path, the clipboard.

use std::path::{Path, PathBuf};

use image::RgbaImage;

use super::composer::Part;
use crate::documents::{self, Reading};
use crate::models::create_private;
use crate::text::escape_line;
use crate::text_file;

/// The first bytes of pictures, by which they are known whatever their names.
const PICTURES: [&[u8]; 5] = [b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0"];

/// What is to be attached, and what of it was left out, in sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    pub part: Part,
    pub notes: Vec<String>,
}

impl From<Part> for Attachment {
    fn from(part: Part) -> Self {
        Self { part, notes: Vec::new() }
    }
}

/// What lies at a path as it was written: perhaps in quotes or with backslashes, as terminals write what is dropped
/// on them, and perhaps with `~` for the home folder. Several files are one part, each under its name in it.
///
/// # Errors
/// A sentence that names the file.
pub fn read(written: &str) -> Result<Attachment, String> {
    let home = std::env::home_dir();
    let path = path(written, home.as_deref(), Path::exists);
    if is_picture(&path) {
        let whole = std::path::absolute(&path).unwrap_or(path);
        return Ok(Part::Image(whole.to_string_lossy().into_owned()).into());
    }
    Ok(as_one(&path.to_string_lossy(), documents::read(&path)?))
}

/// All that was read as one part of a message.
pub fn as_one(name: &str, reading: Reading) -> Attachment {
    let Reading { mut documents, notes } = reading;
    let part = match documents.len() {
        1 => {
            let only = documents.remove(0);
            Part::File { name: only.name, text: only.text }
        }
        count => {
            let blocks: Vec<String> = documents
                .iter()
                .map(|document| text_file::under_its_name(&escape_line(&document.name), &document.text))
                .collect();
            Part::File { name: format!("{} ({count} files)", name.trim_end_matches('/')), text: blocks.join("\n\n") }
        }
    };
    Attachment { part, notes }
}

/// Writes a picture of the clipboard into a folder, where it is attached from.
///
/// # Errors
/// A sentence, if there is no folder for it, or it cannot be written.
pub fn keep_picture(picture: RgbaImage, folder: Option<&Path>) -> Result<Attachment, String> {
    let folder = folder.ok_or(
        "the clipboard has a picture, which a private chat does not write to disk; save it yourself and attach the file",
    )?;
    let cannot = |error: &dyn std::fmt::Display| format!("the picture in the clipboard was not kept: {error}");
    create_private(folder).map_err(|error| cannot(&error))?;
    let file = tempfile::Builder::new().prefix("clipboard-").suffix(".png").tempfile_in(folder);
    let mut file = file.map_err(|error| cannot(&error))?;
    picture.write_to(&mut file, image::ImageFormat::Png).map_err(|error| cannot(&error))?;
    let path = file.path().to_string_lossy().into_owned();
    file.disable_cleanup(true);
    Ok(Part::Image(path).into())
}

/// Whether there is something at a path as it was written.
pub fn is_there(written: &str) -> bool {
    let home = std::env::home_dir();
    path(written, home.as_deref(), Path::exists).exists()
}

/// The path that was meant.
fn path(written: &str, home: Option<&Path>, exists: impl Fn(&Path) -> bool) -> PathBuf {
    let in_home = |path: &str| match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    };
    let written = written.trim();
    let as_it_is = in_home(written);
    if exists(&as_it_is) {
        return as_it_is;
    }
    let quoted = ['\'', '"'].iter().find_map(|quote| written.strip_prefix(*quote)?.strip_suffix(*quote));
    if let Some(path) = quoted {
        return in_home(path);
    }
    let unescaped = in_home(&without_backslashes(written));
    if exists(&unescaped) { unescaped } else { as_it_is }
}

fn without_backslashes(written: &str) -> String {
    let mut characters = written.chars();
    let mut plain = String::new();
    while let Some(character) = characters.next() {
        plain.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    plain
}

fn is_picture(path: &Path) -> bool {
    use std::io::Read;

    let mut first = Vec::new();
    // What cannot be read is told when it is read as text.
    let _ = std::fs::File::open(path).map(|file| file.take(16).read_to_end(&mut first));
    let is_webp = first.starts_with(b"RIFF") && first.get(8..12) == Some(b"WEBP");
    is_webp || PICTURES.iter().any(|beginning| first.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_be_quoted_escaped_or_in_the_home_folder() {
        let home = Path::new("/home/ada");
        let there = ["/tmp/my notes.txt", "/home/ada/a.txt", "/tmp/it's.txt", "/tmp/back\\slash"];
        let exists = |path: &Path| there.iter().any(|there| Path::new(there) == path);
        for (written, expected) in [
            ("/tmp/my notes.txt ", "/tmp/my notes.txt"),
            ("/tmp/my\\ notes.txt", "/tmp/my notes.txt"),
            ("'/tmp/my notes.txt'", "/tmp/my notes.txt"),
            ("\"/tmp/it's.txt\"", "/tmp/it's.txt"),
            ("/tmp/back\\slash", "/tmp/back\\slash"),
            ("~/a.txt", "/home/ada/a.txt"),
            ("no\\such", "no\\such"),
        ] {
            assert_eq!(path(written, Some(home), exists), Path::new(expected), "{written}");
        }
    }

    #[test]
    fn a_picture_is_known_by_its_bytes_and_named_by_its_whole_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a picture");
        std::fs::write(&path, b"\x89PNG\r\n\x1a\n....").unwrap();
        let path = path.to_string_lossy().into_owned();
        assert_eq!(read(&path), Ok(Part::Image(path).into()));
    }

    #[test]
    fn several_files_are_one_part_and_each_has_its_name_in_it() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.txt", "b.rs"] {
            std::fs::write(folder.path().join(name), "milk\n").unwrap();
        }
        let written = format!("{}/", folder.path().display());
        let Attachment { part: Part::File { name, text }, notes } = read(&written).unwrap() else { panic!() };
        assert_eq!(name, format!("{} (2 files)", folder.path().display()));
        assert!(text.contains("a.txt ---\nmilk\n---") && text.contains("b.rs ---\n```rust\nmilk\n```\n---"), "{text}");
        assert!(notes.is_empty());
        let Part::File { name, .. } = read(&format!("{written}*.rs")).unwrap().part else { panic!() };
        assert!(name.ends_with("/b.rs"), "{name}");
    }

    #[test]
    fn a_picture_of_the_clipboard_is_kept_but_not_for_a_private_chat() {
        let folder = tempfile::tempdir().unwrap();
        let pictures = folder.path().join("pictures");
        let Part::Image(path) = keep_picture(RgbaImage::new(2, 3), Some(&pictures)).unwrap().part else { panic!() };
        assert_eq!(image::open(&path).unwrap().height(), 3);
        assert!(keep_picture(RgbaImage::new(2, 3), None).unwrap_err().contains("a private chat"));
    }

    #[test]
    fn what_is_no_text_is_refused_as_in_one_answer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.bin");
        std::fs::write(&path, b"caf\xe9").unwrap();
        assert!(read(&path.to_string_lossy()).unwrap_err().contains("is not UTF-8 text"));
        assert!(read(&folder.path().to_string_lossy()).unwrap_err().contains("has no text"));
        assert!(read("/no/such/file").unwrap_err().starts_with("cannot read `/no/such/file`"));
    }
}
