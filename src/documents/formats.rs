//! Text of what is not written as text: Markdown of HTML, and what the pages of a PDF say.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use clap::ValueEnum;
use pdf_extract::{Document, PlainTextOutput, output_doc_page};

/// What is not text yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Html,
    Pdf,
}

/// What of a page is not read.
const UNREAD: [&str; 8] = ["script", "style", "noscript", "template", "svg", "iframe", "nav", "object"];
/// A PDF may begin with something else before its own beginning.
const PDF: &[u8] = b"%PDF-";

impl Format {
    /// The format of a file with this name and beginning; nothing where it is text already.
    pub fn of(path: &Path, beginning: &[u8]) -> Option<Self> {
        let end = path.extension().and_then(|end| end.to_str()).unwrap_or_default().to_ascii_lowercase();
        let has_mark = beginning.windows(PDF.len()).any(|bytes| bytes == PDF);
        if beginning.starts_with(PDF) || (has_mark && end == "pdf") {
            return Some(Self::Pdf);
        }
        let start = String::from_utf8_lossy(beginning).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
        let is_page = start.starts_with("<!doctype html") || start.starts_with("<html");
        (is_page || ["html", "htm", "xhtml"].contains(&end.as_str())).then_some(Self::Html)
    }

    /// The text of these bytes.
    ///
    /// # Errors
    /// What is wrong with them, to be put behind the name of the file.
    pub fn convert(self, bytes: &[u8]) -> Result<String, String> {
        match self {
            Self::Html => html(bytes),
            Self::Pdf => pdf(bytes),
        }
    }
}

fn html(bytes: &[u8]) -> Result<String, String> {
    let page = std::str::from_utf8(bytes).map_err(|error| {
        format!(
            "is not UTF-8 text (byte {}); convert it first, for instance with `iconv -f latin1 -t utf-8`",
            error.valid_up_to()
        )
    })?;
    let converter = htmd::HtmlToMarkdown::builder().skip_tags(UNREAD.to_vec()).build();
    let text = converter.convert(page).map_err(|error| format!("cannot be read as HTML: {error}"))?;
    let text = without_inline_data(&text);
    if text.trim().is_empty() {
        return Err("is a page of HTML without text; what a browser shows of it is made by its scripts".into());
    }
    Ok(text)
}

/// Pictures that stand in the page itself are no text, and thousands of letters.
fn without_inline_data(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("(data:") {
        kept.push_str(&rest[..=at]);
        rest = &rest[at + 1..];
        rest = &rest[rest.find([')', '\n']).unwrap_or(rest.len())..];
    }
    kept + rest
}

fn pdf(bytes: &[u8]) -> Result<String, String> {
    let unreadable = |error: &dyn std::fmt::Display| format!("is a PDF that cannot be read: {error}");
    let mut document = Document::load_mem(bytes).map_err(|error| unreadable(&error))?;
    if document.is_encrypted() {
        document.decrypt("").map_err(|_| {
            "is a PDF that asks for a password; `qpdf --decrypt --password=… IN OUT` takes it away".to_owned()
        })?;
    }
    let pages = document.get_pages().len();
    if pages == 0 {
        return Err(unreadable(&"it has no pages"));
    }
    let mut text = String::new();
    let mut empty = 0;
    for number in 1..=pages {
        // A page that cannot be read costs no other.
        let said = catch_unwind(AssertUnwindSafe(|| page(&document, number as u32))).unwrap_or_default();
        let said = said.trim();
        empty += usize::from(said.is_empty());
        let said = if said.is_empty() { "(no text on this page)" } else { said };
        text.push_str(&format!("[page {number}]\n{said}\n\n"));
    }
    if empty == pages {
        return Err(
            "is a PDF without text, probably scanned; `ocrmypdf IN OUT` reads the letters in its pictures".into()
        );
    }
    Ok(text)
}

fn page(document: &Document, number: u32) -> String {
    let mut said = String::new();
    let mut output = PlainTextOutput::new(&mut said);
    // What came before a mistake counts.
    let _ = output_doc_page(document, &mut output, number);
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_by_the_beginning_or_the_name() {
        for (name, beginning, format) in [
            ("x", &b"%PDF-1.7"[..], Some(Format::Pdf)),
            ("x.PDF", b"junk\n%PDF-1.4", Some(Format::Pdf)),
            ("formats.rs", b"const PDF: &[u8] = b\"%PDF-\";", None),
            ("x.txt", b"\xef\xbb\xbf <!DOCTYPE HTML>", Some(Format::Html)),
            ("X.HTM", b"Hello", Some(Format::Html)),
            ("x.md", b"<b>bold</b>", None),
        ] {
            assert_eq!(Format::of(Path::new(name), beginning), format, "{name}");
        }
    }

    #[test]
    fn a_page_without_text_is_told() {
        assert!(html(b"<script>x()</script>").unwrap_err().contains("without text"));
        assert!(html(b"caf\xe9").unwrap_err().contains("iconv"));
    }
}
