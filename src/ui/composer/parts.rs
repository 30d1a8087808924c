//! What was written, in parts: as it is kept, and as it is sent.

use serde::{Deserialize, Serialize};

use crate::text::escape_line;
use crate::text_file;

/// A part of what was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    Text(String),
    /// A large paste.
    Paste(String),
    /// A text file that was attached.
    File {
        name: String,
        text: String,
    },
    /// A picture that was attached, by its whole path. Its name is all that a model is told of it.
    Image(String),
}

/// What the model is told of something that was attached; nothing of what was written.
pub fn attached_as(part: &Part) -> Option<String> {
    part.attached().map(|(block, _)| block)
}

impl Part {
    /// What the model is told of something that was attached, and by which name.
    fn attached(&self) -> Option<(String, String)> {
        match self {
            Self::Text(_) | Self::Paste(_) => None,
            Self::File { name, text } => {
                let name = escape_line(name);
                Some((text_file::under_its_name(&name, text), name))
            }
            Self::Image(path) => Some((format!("[image: {}]", escape_line(path)), escape_line(path))),
        }
    }
}

/// What the model is told: what was attached first, each under its name, then what was written, in which pastes stand
/// whole. A file that was attached in the middle of a sentence leaves its name there.
pub fn sent(parts: &[Part]) -> String {
    let mut blocks: Vec<String> = Vec::new();
    let mut written = String::new();
    for (index, part) in parts.iter().enumerate() {
        match part {
            Part::Text(text) | Part::Paste(text) => written.push_str(text),
            Part::File { .. } | Part::Image(_) => {
                let Some((block, name)) = part.attached() else { continue };
                blocks.push(block);
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

/// The parts on one line, in which pastes and files are only named.
pub fn summary(parts: &[Part]) -> String {
    let words = parts.iter().map(|part| match part {
        Part::Text(text) => escape_line(text.trim()),
        Part::Paste(text) => format!("[paste: {} lines]", text.lines().count()),
        Part::File { name, .. } | Part::Image(name) => format!("[{}]", escape_line(name)),
    });
    words.filter(|words| !words.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Whether nothing was written in these parts.
fn is_blank(parts: &[Part]) -> bool {
    parts.iter().all(|part| match part {
        Part::Text(text) | Part::Paste(text) => text.trim().is_empty(),
        Part::File { .. } | Part::Image(_) => true,
    })
}

/// What was attached before anything was written, and the rest. The space behind what is attached is no part of it.
pub fn split_attached(parts: &[Part]) -> (Vec<Part>, Vec<Part>) {
    let mut rest: Vec<Part> = parts.to_vec();
    let mut attached = Vec::new();
    while matches!(rest.first(), Some(Part::File { .. } | Part::Image(_))) {
        attached.push(rest.remove(0));
        if let Some(Part::Text(text)) = rest.first_mut()
            && let Some(written) = text.strip_prefix(' ')
        {
            *text = written.to_owned();
            if text.is_empty() {
                rest.remove(0);
            }
        }
    }
    (attached, rest)
}

/// How many bytes the parts take.
pub fn bytes(parts: &[Part]) -> usize {
    let sizes = parts.iter().map(|part| match part {
        Part::Text(text) | Part::Paste(text) => text.len(),
        Part::File { name, text } => name.len() + text.len(),
        Part::Image(path) => path.len(),
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
        assert_eq!(sent(&[Part::Image("/a/b.png".into()), text("Hm")]), "[image: /a/b.png]\n\nHm");
        assert!(sent(&[file("a\x1b.txt")]).starts_with("--- file: a<U+001B>.txt ---"));
    }
}
