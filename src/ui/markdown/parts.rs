//! The parts of a message that are worth taking out of it alone: code blocks and tables.

use std::ops::Range;

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

use super::sheet::options;

/// A code block or a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub kind: PartKind,
    /// Where in the message it stands, its fence included.
    pub range: Range<usize>,
    /// The code without its fence, or the table's Markdown.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartKind {
    Code,
    Table,
}

impl PartKind {
    /// What a sentence calls it.
    pub fn name(self) -> &'static str {
        match self {
            PartKind::Code => "code block",
            PartKind::Table => "table",
        }
    }
}

/// The parts of a message, from top to bottom.
pub fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut code: Option<Part> = None;
    for (event, range) in Parser::new_ext(text, options()).into_offset_iter() {
        match event {
            Event::Start(Tag::CodeBlock(_)) => {
                code = Some(Part { kind: PartKind::Code, range, text: String::new() });
            }
            Event::Text(words) if code.is_some() => {
                if let Some(part) = &mut code {
                    part.text.push_str(&words);
                }
            }
            Event::End(TagEnd::CodeBlock) => parts.extend(code.take()),
            Event::Start(Tag::Table(_)) => {
                let source = text[range.clone()].trim_end().to_owned() + "\n";
                parts.push(Part { kind: PartKind::Table, range, text: source });
            }
            _ => {}
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_comes_without_its_fence_and_a_table_as_it_was_written() {
        let text = "See:\n\n```rust\nfn main() {\n\n}\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nAnd\n\n1. so\n   ~~~\n   x\n   ~~~\n";
        let found = parts(text);
        let told: Vec<_> = found.iter().map(|part| (part.kind, part.text.as_str())).collect();
        let table = "| a | b |\n|---|---|\n| 1 | 2 |\n";
        assert_eq!(told, [(PartKind::Code, "fn main() {\n\n}\n"), (PartKind::Table, table), (PartKind::Code, "x\n")]);
        assert!(text[found[0].range.clone()].starts_with("```rust"));
    }

    #[test]
    fn a_code_block_that_is_still_being_written_is_one() {
        assert_eq!(parts("```\nhalf")[0].text.trim_end(), "half");
        assert!(parts("no parts here").is_empty());
    }
}
