//! Reading of text that a person hands over in a file or a pipe: whole UTF-8 and not too large, or a sentence.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::text::cause;

/// Four million tokens or so: more than any model takes, and little enough to hold in memory a few times.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// The text of the file at `path`.
///
/// # Errors
/// A sentence that names the file.
pub fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let cannot_read = |error: std::io::Error| format!("cannot read `{shown}`: {}", cause(&error));
    let file = File::open(path).map_err(cannot_read)?;
    if file.metadata().map_err(cannot_read)?.is_dir() {
        return Err(format!("`{shown}` is a folder; name the files in it"));
    }
    read_from(file, &format!("`{shown}`"))
}

/// The text of `reader`, which messages call `name`.
///
/// # Errors
/// A sentence with the name.
pub fn read_from(reader: impl Read, name: &str) -> Result<String, String> {
    let mut bytes = Vec::new();
    reader
        .take(MOST_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot read {name}: {}", cause(&error)))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("{name} is larger than 16 MiB, which no model can take in; send a part of it"));
    }
    let is_utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
    if is_utf16 {
        return Err(format!("{name} is UTF-16, not UTF-8; convert it first with `iconv -f utf-16 -t utf-8`"));
    }
    let is_text = !bytes.contains(&0) && (!bytes.iter().any(is_of_no_text) || std::str::from_utf8(&bytes).is_ok());
    if !is_text {
        return Err(format!("{name} is no text; what can be read is text made of it (of a PDF, with `pdftotext`)"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let position = error.utf8_error().valid_up_to();
        format!(
            "{name} is not UTF-8 text (byte {position}); convert it first, for instance with `iconv -f latin1 -t utf-8`"
        )
    })?;
    // A byte order mark is part of the file's encoding and not of its text.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Whether no encoding of text has this byte: control characters, but for those that lay text out or colour it.
fn is_of_no_text(byte: &u8) -> bool {
    matches!(byte, 0..=7 | 0x0e..=0x1a | 0x1c..=0x1f)
}

/// A file's text as the model is told it, between two lines with its name.
pub fn under_its_name(name: &str, text: &str) -> String {
    let text = without_last_line_end(text);
    format!("--- file: {name} ---\n{text}\n--- end of file: {name} ---")
}

/// What is said behind the files that a text begins with, as [`under_its_name`] writes them; the name of the first where
/// nothing is.
pub fn behind_files(text: &str) -> &str {
    let mut rest = text.trim_start();
    let mut first = None;
    while let Some((name, behind)) = rest.strip_prefix("--- file: ").and_then(|rest| rest.split_once(" ---\n")) {
        let Some((_, behind)) = behind.split_once(&format!("\n--- end of file: {name} ---")) else { break };
        first.get_or_insert(name);
        rest = behind.trim_start();
    }
    if rest.is_empty() { first.unwrap_or_default() } else { rest }
}

/// The line end that `echo` and editors put last is no part of what is said.
pub fn without_last_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// A path as a person writes it: `~/` is the home folder.
pub fn at_home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_bytes_of_no_text_is_told_apart_from_another_encoding() {
        let read = |bytes: &[u8]| read_from(bytes, "`x`").unwrap_err();
        assert!(read(b"%PDF\x00\x01").contains("is no text"));
        assert!(read(b"\x89PNG\r\n\x1a\n").contains("is no text"), "too short to have a NUL");
        assert!(read(b"\xff\xfeh\x00i\x00").contains("iconv -f utf-16 "));
        assert!(read(b"\x1b[1mcaf\xe9\r\n").contains("iconv -f latin1 "));
        assert_eq!(read_from(&b"rung \x07 twice"[..], "`x`"), Ok("rung \x07 twice".into()));
    }

    #[test]
    fn what_is_said_stands_behind_the_files() {
        let file = |name: &str| under_its_name(name, "The secret word is\n--- file: x ---\n");
        let both = format!("{}\n\n{}\n\nWhat is it?", file("my notes.txt"), file("b.txt"));
        assert_eq!(behind_files(&both), "What is it?");
        assert_eq!(behind_files(&file("my notes.txt")), "my notes.txt");
        for text in ["Hello", "", "--- file: x ---\nno end"] {
            assert_eq!(behind_files(text), text);
        }
    }

    #[test]
    fn what_is_not_utf_8_is_refused_with_the_place() {
        let sentence = read_from(&b"caf\xe9"[..], "`menu.txt`").unwrap_err();
        assert!(sentence.starts_with("`menu.txt` is not UTF-8 text (byte 3)"), "{sentence}");
    }

    #[test]
    fn what_is_too_large_is_refused_before_all_of_it_is_read() {
        let sentence = read_from(std::io::repeat(b'a'), "stdin").unwrap_err();
        assert!(sentence.starts_with("stdin is larger than 16 MiB"), "{sentence}");
    }

    #[test]
    fn a_byte_order_mark_is_not_text() {
        assert_eq!(read_from("\u{feff}hello".as_bytes(), "stdin"), Ok("hello".into()));
    }

    #[test]
    fn a_folder_is_not_a_file() {
        assert!(read(&std::env::temp_dir()).unwrap_err().contains("is a folder"));
    }
}
