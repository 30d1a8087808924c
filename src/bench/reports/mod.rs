//! A run for others: as a table, as Markdown to post, as CSV, as the lines it was kept in, and as a page with charts.
//! All are told from the same [`Run`], whether it was just made, was kept, or is another program's.

mod charts;
mod csv;
mod facts;
mod html;
mod labels;
mod markdown;
mod sections;
mod text;

use std::path::Path;

use clap::ValueEnum;

use super::record::{Line, Run};
use super::tables;
use crate::exit::Failure;

pub use facts::{LLAMA_BENCH, Trust, flatten, measured, verdict};
pub use labels::Labels;
pub use sections::{Column, Section, is_anchor};
pub use text::render as plain;

/// What is not measured or cannot be.
pub const NOTHING: &str = "–";

/// What a run is told as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For the terminal
    Table,
    /// Tables that can be posted
    Markdown,
    /// A row for each case, with everything that is known of it
    Csv,
    /// The lines that are kept
    #[value(alias = "ndjson")]
    Jsonl,
    /// A page of its own, with charts
    Html,
}

impl Format {
    /// What a file with this ending holds.
    pub fn of_file(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_lowercase();
        match ending.as_str() {
            "txt" => Some(Self::Table),
            "md" | "markdown" => Some(Self::Markdown),
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" | "json" => Some(Self::Jsonl),
            "html" | "htm" => Some(Self::Html),
            _ => None,
        }
    }

    /// What to write into a file: what was asked for, else what its ending says.
    ///
    /// # Errors
    /// If neither says it.
    pub fn for_file(asked: Option<Self>, path: &Path) -> Result<Self, Failure> {
        asked.or_else(|| Self::of_file(path)).ok_or_else(|| {
            Failure::usage(format!(
                "what to write into {} is not clear from its ending; end it with .html, .md, .csv, .jsonl or .txt, or add \
                 `--format`",
                path.display()
            ))
        })
    }
}

/// A run as a text of this format.
pub fn render(run: &Run, format: Format) -> String {
    match format {
        Format::Table => tables::of(run),
        Format::Markdown => markdown::render(run),
        Format::Csv => csv::render(run),
        Format::Jsonl => run.lines().iter().map(Line::to_text).collect(),
        Format::Html => html::render(run),
    }
}

/// A table by itself, for the terminal or as Markdown.
pub fn table(section: &Section, format: Format) -> String {
    if format == Format::Markdown { markdown::table(section) } else { text::table(section) }
}

/// Writes a report into a file.
///
/// # Errors
/// If it cannot be written.
pub fn write(path: &Path, report: &str) -> Result<(), Failure> {
    std::fs::write(path, report)
        .map_err(|error| Failure::disk(format!("cannot write {}: {}", path.display(), crate::text::cause(&error))))
}

#[cfg(test)]
pub mod examples;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_what_its_ending_says_unless_another_format_was_asked_for() {
        let of = |asked, path: &str| Format::for_file(asked, Path::new(path));
        assert_eq!(of(None, "a/run.HTML"), Ok(Format::Html));
        assert_eq!(of(None, "run.md"), Ok(Format::Markdown));
        assert_eq!(of(Some(Format::Csv), "run.txt"), Ok(Format::Csv));
        assert!(of(None, "run").unwrap_err().message.contains(".html, .md, .csv"));
    }

    #[test]
    fn a_report_that_cannot_be_written_says_where() {
        assert!(write(Path::new("/no/such/folder/run.md"), "").unwrap_err().message.contains("/no/such/folder/run.md"));
    }
}
