//! The first code block of an answer: what stands between two fences of Markdown.
//!
//! Fences are those of CommonMark, but may be indented as far as they like: models put blocks into lists.

use super::Part;

/// Names of one language. The first line that has both of two names makes them one.
const LANGUAGES: [&[&str]; 14] = [
    &["python", "py", "python3"],
    &["javascript", "js", "node"],
    &["typescript", "ts"],
    &["shell", "sh", "bash", "zsh"],
    &["rust", "rs"],
    &["ruby", "rb"],
    &["golang", "go"],
    &["c++", "cpp", "cxx"],
    &["c#", "csharp", "cs"],
    &["kotlin", "kt"],
    &["yaml", "yml"],
    &["markdown", "md"],
    &["powershell", "ps1", "pwsh"],
    &["dockerfile", "docker"],
];

/// Looks for the block.
pub struct Blocks {
    language: Option<String>,
    /// The line that is not at its end.
    line: String,
    state: State,
    /// The lines of the block, each with its end.
    text: String,
}

enum State {
    Outside,
    /// In a block; `wanted` if it is the one.
    Inside {
        fence: Fence,
        wanted: bool,
    },
    Done,
}

#[derive(Clone, Copy, PartialEq)]
struct Fence {
    mark: char,
    length: usize,
    indent: usize,
}

impl Blocks {
    /// Of this language, or of any.
    pub fn new(language: Option<String>) -> Self {
        Self { language, line: String::new(), state: State::Outside, text: String::new() }
    }

    pub fn push(&mut self, piece: &str) -> String {
        let mut shown = String::new();
        for part in piece.split_inclusive('\n') {
            self.line.push_str(part);
            if part.ends_with('\n') {
                let line = std::mem::take(&mut self.line);
                shown.push_str(&self.take(line.trim_end_matches(['\r', '\n'])));
            }
        }
        shown
    }

    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    pub fn finish(&mut self, cut: bool) -> (String, Part) {
        let line = std::mem::take(&mut self.line);
        let shown = if line.is_empty() { String::new() } else { self.take(line.trim_end_matches('\r')) };
        let text = self.text.strip_suffix('\n').unwrap_or(&self.text).to_owned();
        let part = match self.state {
            State::Done => Part::Whole(text),
            // A block that is not closed goes to the end of the text.
            State::Inside { wanted: true, .. } if cut => Part::Cut(text),
            State::Inside { wanted: true, .. } => Part::Whole(text),
            State::Inside { wanted: false, .. } | State::Outside => Part::None,
        };
        (shown, part)
    }

    /// Takes a line, and gives what of the block it is.
    fn take(&mut self, line: &str) -> String {
        let found = fence(line);
        match self.state {
            State::Done => {}
            State::Outside => {
                if let Some((fence, info)) = found {
                    let wanted = self.language.as_ref().is_none_or(|language| is_language(info, language));
                    self.state = State::Inside { fence, wanted };
                }
            }
            State::Inside { fence: opening, wanted } => {
                let closes = |(closing, info): (Fence, &str)| {
                    info.is_empty() && closing.mark == opening.mark && closing.length >= opening.length
                };
                if found.is_some_and(closes) {
                    self.state = if wanted { State::Done } else { State::Outside };
                } else if wanted {
                    let spaces = line.chars().take_while(|character| matches!(character, ' ' | '\t')).count();
                    let line = format!("{}\n", &line[spaces.min(opening.indent)..]);
                    self.text.push_str(&line);
                    return line;
                }
            }
        }
        String::new()
    }
}

/// The fence that a line is, and what stands behind it.
fn fence(line: &str) -> Option<(Fence, &str)> {
    let rest = line.trim_start_matches([' ', '\t']);
    let mark = rest.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let info = rest.trim_start_matches(mark);
    let length = rest.len() - info.len();
    let is_fence = length >= 3 && !(mark == '`' && info.contains('`'));
    is_fence.then(|| (Fence { mark, length, indent: line.len() - rest.len() }, info.trim()))
}

/// Whether the words behind a fence name this language.
fn is_language(info: &str, language: &str) -> bool {
    let belongs = |character: char| character.is_alphanumeric() || "+#-_.".contains(character);
    let named = info.trim_start_matches(['{', '.', ' ']).split(|character| !belongs(character)).next();
    let named = named.unwrap_or_default().to_lowercase();
    named == language || LANGUAGES.iter().any(|names| names.contains(&&*named) && names.contains(&language))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is shown, and the part, of a text that comes in pieces of `length` bytes.
    fn extracted(language: Option<&str>, text: &str, length: usize) -> (String, Part) {
        let mut blocks = Blocks::new(language.map(str::to_owned));
        let mut shown = String::new();
        for piece in text.as_bytes().chunks(length) {
            shown.push_str(&blocks.push(std::str::from_utf8(piece).unwrap()));
        }
        let (rest, part) = blocks.finish(false);
        (shown + &rest, part)
    }

    #[test]
    fn the_first_block_is_taken_however_it_comes() {
        for (text, expected) in [
            ("Sure:\n```python\nprint(1)\n```\nDone.", "print(1)\n"),
            ("```\na\n\n  b\n```", "a\n\n  b\n"),
            ("~~~~ sh\n~~~\n```\n~~~~\nx", "~~~\n```\n"),
            ("````\n```\nx\n```\n````", "```\nx\n```\n"),
            ("1. A list:\n   ```sh\n   ls\n     -l\n x\n   ```\n", "ls\n  -l\nx\n"),
            ("a ```no``` b\n``` ` ```\n```\nx\n```", "x\n"),
            ("```\r\na\r\n```\r\n", "a\n"),
            ("```\nto the end", "to the end\n"),
            ("```\na\n``` b\n```\n", "a\n``` b\n"),
            ("```\na\n```\n```\nb\n```", "a\n"),
            ("```\n```\n", ""),
        ] {
            for length in [1, 3, 1000] {
                let (shown, part) = extracted(None, text, length);
                let whole = expected.strip_suffix('\n').unwrap_or(expected).to_owned();
                assert_eq!((shown.as_str(), part), (expected, Part::Whole(whole)), "{text:?} by {length}");
            }
        }
        assert_eq!(extracted(None, "no ``` here\n`code`", 4), (String::new(), Part::None));
    }

    #[test]
    fn a_language_is_known_by_its_names() {
        let text = "```text\nno\n```\n```{.Python}\nyes\n```\n```js\nlater\n```";
        for (language, expected) in [("python", "yes\n"), ("py", "yes\n"), ("javascript", "later\n"), ("text", "no\n")]
        {
            assert_eq!(extracted(Some(language), text, 5).0, expected, "{language}");
        }
        assert_eq!(extracted(Some("rust"), text, 5), (String::new(), Part::None));
        assert_eq!(extracted(Some("rust"), "```rust,ignore\nx\n```", 5).0, "x\n");
        assert_eq!(extracted(Some("py"), "```\nx\n```", 5).1, Part::None);
    }

    #[test]
    fn nothing_is_shown_before_the_block_and_each_line_as_it_comes() {
        let mut blocks = Blocks::new(None);
        let shown = ["Here:\n", "``", "`sh\n", "a", "b\nc", "d\n", "```", "\nmore"].map(|piece| blocks.push(piece));
        assert_eq!(shown, ["", "", "", "", "ab\n", "cd\n", "", ""]);
        assert!(blocks.is_done());
    }

    #[test]
    fn a_block_that_was_cut_is_told_apart() {
        let mut blocks = Blocks::new(None);
        assert_eq!(blocks.push("```\na\nb"), "a\n");
        assert_eq!(blocks.finish(true), ("b\n".into(), Part::Cut("a\nb".into())));
        let mut closed = Blocks::new(None);
        closed.push("```\na\n```");
        assert_eq!(closed.finish(true).1, Part::Whole("a".into()));
    }
}
