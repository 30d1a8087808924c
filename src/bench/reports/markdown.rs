//! A run to be posted: llama-bench's columns first, so that it can stand beside its tables.

use super::facts::{self, Trust, Verdict};
use super::sections::{self, Section};
use crate::bench::record::Run;
use crate::bench::speed::circumstances;

pub fn render(run: &Run) -> String {
    let mut text = String::new();
    for section in sections::of(run) {
        text += &format!("### {}\n\n{}\n", escape(&section.title), table(&section));
    }
    text += &format!("{}\n\n", escape(&facts::in_a_line(run)));
    let circumstances: Vec<String> = circumstances(run).lines().map(escape_but_code).collect();
    if !circumstances.is_empty() {
        text += &format!("{}\n\n", circumstances.join("; "));
    }
    let Verdict { trust, sentence, doubts } = facts::verdict(run);
    let sentence = escape(&sentence);
    text += &if trust == Trust::Valid { format!("{sentence}\n") } else { format!("**{sentence}**\n") };
    if !doubts.is_empty() {
        text.push('\n');
    }
    doubts.iter().for_each(|doubt| text += &format!("- {}\n", escape_but_code(doubt)));
    text
}

/// A table of GitHub's Markdown.
pub fn table(section: &Section) -> String {
    let cells: Vec<Vec<String>> =
        std::iter::once(section.columns.iter().map(|column| column.heading.clone()).collect())
            .chain(section.rows.iter().cloned())
            .map(|row: Vec<String>| row.iter().map(|cell| escape(cell)).collect())
            .collect();
    let width = |column: usize| {
        let widths = cells.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        widths.max().unwrap_or_default().max(3)
    };
    let widths: Vec<usize> = (0..section.columns.len()).map(width).collect();
    let line = |row: &[String]| {
        let cell = |((cell, column), &width): ((&String, &sections::Column), &usize)| {
            if column.is_number { format!(" {cell:>width$} |") } else { format!(" {cell:<width$} |") }
        };
        let cells: String = row.iter().zip(&section.columns).zip(&widths).map(cell).collect();
        format!("|{cells}\n")
    };
    let rule = |(column, &width): (&sections::Column, &usize)| {
        let line = "-".repeat(width + 1);
        if column.is_number { format!("{line}:|") } else { format!("{line}-|") }
    };
    let rule: String = section.columns.iter().zip(&widths).map(rule).collect();
    let mut lines = cells.iter().map(|row| line(row));
    let heading = lines.next().unwrap_or_default();
    format!("{heading}|{rule}\n{}", lines.collect::<String>())
}

/// A sentence of ours, in which what stands between backticks is to be typed and stays code.
fn escape_but_code(sentence: &str) -> String {
    let parts: Vec<&str> = sentence.split('`').collect();
    if parts.len().is_multiple_of(2) {
        return escape(sentence);
    }
    let written = |(at, part): (usize, &&str)| if at.is_multiple_of(2) { escape(part) } else { format!("`{part}`") };
    parts.iter().enumerate().map(written).collect()
}

/// Without what would be markup.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut last = ' ';
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        // An underscore in a word is one.
        let is_in_word = last.is_alphanumeric() && rest.peek().is_some_and(|next| next.is_alphanumeric());
        match character {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '~' => escaped.extend(['\\', character]),
            '_' if !is_in_word => escaped.extend(['\\', character]),
            other => escaped.push(other),
        }
        last = character;
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::reports::examples;

    #[test]
    fn a_run_can_be_posted_beside_llama_benchs_tables() {
        insta::assert_snapshot!(render(&examples::depth()));
    }

    #[test]
    fn what_is_to_be_typed_stays_code() {
        assert_eq!(escape_but_code("none; `--power cmd:X` asks <a>"), r"none; `--power cmd:X` asks \<a\>");
        assert_eq!(escape_but_code("a ` alone"), r"a \` alone");
    }

    #[test]
    fn names_cannot_break_the_table_or_be_markup() {
        let mut run = examples::depth();
        run.cases[0].model_filename = "a|b*c*<img src=x>_d_.gguf".into();
        let text = render(&run);
        assert!(text.contains(r"a\|b\*c\*\<img src=x\>\_d\_"), "{text}");
        let bars = |line: &str| line.replace("\\|", "").matches('|').count();
        let table: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert!(table.len() > 2 && table.iter().all(|line| bars(line) == bars(table[0])));
    }
}
