//! The shipped texts, and where in them a sentence may be put. What they are and where they are from is written in
//! `assets/bench/README.md`.

/// A text to measure with.
#[derive(Debug, PartialEq, Eq)]
pub struct Text {
    pub name: &'static str,
    pub style: Style,
    pub text: &'static str,
}

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Novel,
    Play,
    Manual,
    Code,
}

pub const TEXTS: [Text; 4] = [
    Text { name: "novel", style: Style::Novel, text: include_str!("../../assets/bench/novel.txt") },
    Text { name: "play", style: Style::Play, text: include_str!("../../assets/bench/play.txt") },
    Text { name: "manual", style: Style::Manual, text: include_str!("../../assets/bench/manual.txt") },
    Text { name: "code", style: Style::Code, text: include_str!("../../assets/bench/code.txt") },
];

/// What a full stop follows without ending the sentence.
const ABBREVIATIONS: [&str; 8] = ["Mr", "Mrs", "Dr", "St", "Rev", "e.g", "i.e", "etc"];

impl Text {
    /// The text in pieces, in order and without gaps; between any two of them a sentence may be put.
    pub fn pieces(&self) -> Vec<&'static str> {
        let is_border: fn(&str, &str) -> bool = match self.style {
            Style::Novel | Style::Manual => is_between_sentences,
            Style::Play => |before, _| before.ends_with("\n\n"),
            Style::Code => is_between_statements,
        };
        let mut pieces = Vec::new();
        let mut rest = self.text;
        let mut from = 0;
        while let Some(place) = next_word_start(rest, from) {
            let (before, behind) = rest.split_at(place);
            if is_border(before, behind) {
                pieces.push(before);
                rest = behind;
                from = 0;
            } else {
                from = place;
            }
        }
        pieces.push(rest);
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }
}

impl Style {
    /// A sentence as it is put before `next` in a text of this style.
    pub fn dress(self, sentence: &str, next: &str) -> String {
        match self {
            Style::Novel | Style::Manual => format!("{sentence} "),
            Style::Play => format!("MERRIMAN: {sentence}\n\n"),
            Style::Code => {
                let line = next.trim_start_matches('\n');
                let indent = &line[..line.len() - line.trim_start_matches(' ').len()];
                format!("{indent}// {sentence}\n")
            }
        }
    }
}

/// Where the next word or line begins behind `from`: the first place where white space ends, or a line.
fn next_word_start(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_start = |place: &usize| {
        let (before, here) = (bytes[place - 1], bytes[*place]);
        before == b'\n' || (before == b' ' && !here.is_ascii_whitespace())
    };
    (from + 1..bytes.len()).find(is_start)
}

fn is_between_sentences(before: &str, behind: &str) -> bool {
    if before.ends_with("\n\n") {
        return !behind.starts_with('\n');
    }
    let said = before.trim_end().trim_end_matches(['"', '\'', ')', '*', '_']);
    let Some(stem) = said.strip_suffix(['.', '!', '?']) else { return false };
    let last_word = stem.rsplit(|letter: char| letter.is_whitespace() || letter == '(').next().unwrap_or_default();
    behind.starts_with(|first: char| first.is_uppercase() || first == '"') && !ABBREVIATIONS.contains(&last_word)
}

fn is_between_statements(before: &str, behind: &str) -> bool {
    let Some(line) = before.strip_suffix('\n') else { return false };
    line.ends_with(['\n', ';', '}']) && !behind.trim_start_matches(' ').starts_with(['\n', '.', ')', '}', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sha256;

    #[test]
    fn the_texts_are_those_that_the_readme_names() {
        let readme = include_str!("../../assets/bench/README.md");
        for text in &TEXTS {
            let row = readme.lines().find(|line| line.starts_with(&format!("| `{}.txt`", text.name)));
            let hash = sha256::of(text.text);
            assert!(row.is_some_and(|row| row.contains(&hash)), "{}: {hash}", text.name);
        }
    }

    #[test]
    fn pieces_are_the_text_and_there_are_many() {
        for text in &TEXTS {
            let pieces = text.pieces();
            assert_eq!(pieces.concat(), text.text, "{}", text.name);
            let longest = pieces.iter().map(|piece| piece.len()).max().unwrap_or_default();
            assert!(pieces.len() > 250 && longest < 2000, "{}: {} of {longest}", text.name, pieces.len());
        }
    }

    #[test]
    fn a_sentence_is_put_between_sentences_and_never_into_one() {
        let text = Text {
            name: "",
            style: Style::Novel,
            text: "Mr. Syme spoke. \"No!\" said he. It was i.e. nothing. 3.5 of it.",
        };
        assert_eq!(text.pieces(), ["Mr. Syme spoke. ", "\"No!\" said he. ", "It was i.e. nothing. 3.5 of it."]);
    }

    #[test]
    fn a_line_of_code_is_put_between_statements_with_their_indent() {
        let text = Text {
            name: "",
            style: Style::Code,
            text: "fn a() {\n    b(\n        c,\n    );\n    d();\n}\n\nfn e() {}\n",
        };
        assert_eq!(text.pieces(), ["fn a() {\n    b(\n        c,\n    );\n", "    d();\n}\n\n", "fn e() {}\n"]);
        assert_eq!(Style::Code.dress("Yes.", "    d();\n"), "    // Yes.\n");
    }
}
