//! Reading a file that is attached to a message: text as it is, a picture by its path.

use std::path::{Path, PathBuf};

use super::composer::Part;
use crate::text::escape_line;
use crate::text_file;

/// The first bytes of pictures, by which they are known whatever their names.
const PICTURES: [&[u8]; 5] = [b"\x89PNG\r\n", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0"];

/// The file at a path as it was written: perhaps in quotes or with backslashes, as terminals write what is dropped
/// on them, and perhaps with `~` for the home folder.
///
/// # Errors
/// A sentence that names the file.
pub fn read(written: &str) -> Result<Part, String> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let path = path(written, home.as_deref(), Path::exists);
    if is_picture(&path) {
        let whole = std::path::absolute(&path).unwrap_or(path);
        return Ok(Part::Image(whole.to_string_lossy().into_owned()));
    }
    let text = text_file::read(&path).map_err(|sentence| escape_line(&sentence))?;
    Ok(Part::File { name: path.to_string_lossy().into_owned(), text })
}

/// Whether there is something at a path as it was written.
pub fn is_there(written: &str) -> bool {
    let home = std::env::var_os("HOME").map(PathBuf::from);
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
        assert_eq!(read(&path), Ok(Part::Image(path)));
    }

    #[test]
    fn what_is_no_text_is_refused_as_in_one_answer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.bin");
        std::fs::write(&path, b"\xff\xfe\x00").unwrap();
        assert!(read(&path.to_string_lossy()).unwrap_err().contains("is not UTF-8 text"));
        assert!(read(&folder.path().to_string_lossy()).unwrap_err().contains("is a folder"));
        assert!(read("/no/such/file").unwrap_err().starts_with("cannot read `/no/such/file`"));
    }
}
