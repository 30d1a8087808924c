//! What a person hands over beside their words, as text for the model: a file of text, code, HTML or PDF, all files of a
//! folder or of a pattern, what a command says.
//!
//! - `many` finds the files of a folder or a pattern; `fence` puts code into a block with its language.
//! - `formats` makes text of HTML and PDF, and `child` has that done by another process, which may fail as it likes.
//! - `command` runs a line of shell.

mod child;
mod command;
mod fence;
mod formats;
mod many;

use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use child::{COMMAND as CHILD_COMMAND, convert_stdin};
pub use command::{OUTPUT_OF, run};
pub use formats::Format;
pub use many::is_noise;

use crate::text::{cause, escape_line};
use crate::text_file;

/// The beginning of a file, by which its format is known.
const BEGINNING: u64 = 1024;
/// PDF is mostly pictures and fonts.
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// One file as the model is told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub name: String,
    pub text: String,
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    pub documents: Vec<Document>,
    /// What was left out, in sentences.
    pub notes: Vec<String>,
}

/// What a path means: a file, all files of a folder, or those that fit a pattern like `src/**/*.rs`.
///
/// # Errors
/// A sentence that names what cannot be read.
pub fn read(path: &Path) -> Result<Reading, String> {
    if path.is_dir() || (!path.exists() && many::is_pattern(path)) {
        return many::read(path);
    }
    let text = read_file(path)?;
    let name = path.to_string_lossy().into_owned();
    Ok(Reading { documents: vec![Document { name, text }], notes: Vec::new() })
}

/// Whether a path is no file, but stands for several.
pub fn stands_for_many(path: &Path) -> bool {
    path.is_dir() || (!path.exists() && many::is_pattern(path))
}

/// The text of one file.
fn read_file(path: &Path) -> Result<String, String> {
    let shown = format!("`{}`", escape_line(&path.to_string_lossy()));
    let cannot_read = |error: std::io::Error| format!("cannot read {shown}: {}", cause(&error));
    let mut file = File::open(path).map_err(cannot_read)?;
    let mut bytes = Vec::new();
    file.by_ref().take(BEGINNING).read_to_end(&mut bytes).map_err(cannot_read)?;
    let Some(format) = Format::of(path, &bytes) else {
        let text = text_file::read_from(bytes.chain(file), &shown)?;
        return Ok(fence::fenced(path, text));
    };
    file.take(MOST_BYTES - BEGINNING + 1).read_to_end(&mut bytes).map_err(cannot_read)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("{shown} is larger than 256 MiB; send a part of it"));
    }
    let text = child::convert(format, bytes).map_err(|problem| format!("{shown} {problem}"))?;
    // What is read of it is held to the same as other text.
    text_file::read_from(text.as_bytes(), &format!("the text of {shown}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    fn text_of(name: &str, bytes: &[u8]) -> Result<String, String> {
        let (_folder, path) = written(name, bytes);
        read(&path).map(|mut reading| reading.documents.remove(0).text)
    }

    #[test]
    fn code_gets_a_fence_and_prose_stays_as_it_is() {
        assert_eq!(text_of("a.rs", b"fn main() {}\n").unwrap(), "```rust\nfn main() {}\n```");
        assert_eq!(text_of("a.csv", b"a,b\n1,2\n").unwrap(), "```csv\na,b\n1,2\n```");
        assert_eq!(text_of("a.md", b"# Hi\n").unwrap(), "# Hi\n");
    }

    #[test]
    fn html_is_read_as_markdown_without_what_is_not_to_be_read() {
        let page = b"<!doctype html><title>T</title><script>alert(1)</script><style>p{}</style>\
            <h1>Head</h1><p>One <b>two</b> <a href='https://x.org/'>link</a><img src='data:image/png;base64,AAAA'></p>";
        let text = text_of("page", page).unwrap();
        assert!(text.contains("# Head") && text.contains("**two**") && text.contains("(https://x.org/)"), "{text}");
        assert!(!text.contains("alert") && !text.contains("p{}") && !text.contains("base64"), "{text}");
    }

    #[test]
    fn what_is_no_text_and_what_is_not_there_are_sentences() {
        assert!(text_of("x.bin", b"\x00\x01").unwrap_err().contains("is no text"));
        assert!(read(Path::new("/no/such/file")).unwrap_err().starts_with("cannot read `/no/such/file`"));
    }

    #[test]
    fn a_broken_pdf_is_a_sentence() {
        for broken in
            [&b"%PDF-1.7\n"[..], b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer << /Root 1 0 R >>"]
        {
            let sentence = text_of("a.pdf", broken).unwrap_err();
            assert!(sentence.contains("a.pdf` ") && sentence.contains("PDF"), "{sentence}");
        }
    }
}
