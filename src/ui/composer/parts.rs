//! What was written, in parts: as it is kept, and as it is sent.

use serde::{Deserialize, Serialize};

use crate::text::escape_line;

/// A part of what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Text(String),
    /// A large paste.
    Paste(String),
    /// A text file that was attached.
    File { name: String, text: String },
}

/// What the model is told: the files first, each under its name, then what was written, in which pastes stand whole.
/// A file that was attached in the middle of a sentence leaves its name there.
pub fn sent(parts: &[Part]) -> String {
    let mut blocks: Vec<String> = Vec::new();
    let mut written = String::new();
    for (index, part) in parts.iter().enumerate() {
        match part {
            Part::Text(text) | Part::Paste(text) => written.push_str(text),
            Part::File { name, text } => {
                let name = escape_line(name);
                blocks.push(crate::text_file::under_its_name(&name, text));
                let is_between = !is_blank(&parts[..index]) && !is_blank(&parts[index + 1..]);
                if is_between {
                    written.push_str(&name);
                }
            }
        }
    }
    if blocks.is_empty() {
        return written;
    }
    let written = written.trim();
    if !written.is_empty() {
        blocks.push(written.to_owned());
    }
    blocks.join("\n\n")
}

/// Whether nothing was written in these parts.
fn is_blank(parts: &[Part]) -> bool {
    parts.iter().all(|part| match part {
        Part::Text(text) | Part::Paste(text) => text.trim().is_empty(),
        Part::File { .. } => true,
    })
}

/// How many bytes the parts take.
pub fn bytes(parts: &[Part]) -> usize {
    let sizes = parts.iter().map(|part| match part {
        Part::Text(text) | Part::Paste(text) => text.len(),
        Part::File { name, text } => name.len() + text.len(),
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Part {
        Part::Text(text.into())
    }

    fn file(name: &str) -> Part {
        Part::File { name: name.into(), text: "milk\n".into() }
    }

    #[test]
    fn pastes_stand_where_they_were_put() {
        let parts = [text("a "), Part::Paste("b\nc".into()), text(" d\n")];
        assert_eq!(sent(&parts), "a b\nc d\n");
    }

    #[test]
    fn files_come_first_as_in_one_answer_and_leave_their_names_in_a_sentence() {
        let a = "--- file: a.txt ---\nmilk\n--- end of file: a.txt ---";
        assert_eq!(sent(&[file("a.txt"), text(" Sum up")]), format!("{a}\n\nSum up"));
        assert_eq!(sent(&[text("Sum up: "), file("a.txt")]), format!("{a}\n\nSum up:"));
        assert_eq!(sent(&[text("Is "), file("a.txt"), text(" long?")]), format!("{a}\n\nIs a.txt long?"));
        assert_eq!(sent(&[file("a.txt")]), a);
        assert!(sent(&[file("a\x1b.txt")]).starts_with("--- file: a<U+001B>.txt ---"));
    }
}
