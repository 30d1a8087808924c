//! What stands in the text as one piece: a large paste, or a file that was attached.

use std::sync::Arc;

use super::parts::Part;
use super::units;
use crate::documents::OUTPUT_OF;
use crate::text::escape_line;
use crate::text_file;

/// A name in a token is cut to this many characters.
const NAME_CHARACTERS: usize = 40;

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Paste,
    /// A text file of this name.
    File(String),
    /// A picture at this path.
    Image(String),
}

impl Kind {
    /// The name of what was attached.
    pub fn attached(&self) -> Option<&str> {
        match self {
            Self::Paste => None,
            Self::File(name) | Self::Image(name) => Some(name),
        }
    }
}

/// A piece of text that is shown as a few words.
#[derive(Clone, Debug)]
pub struct Token {
    pub kind: Kind,
    /// The words.
    pub label: String,
    pub text: Arc<str>,
}

/// All tokens since the composer was empty: undo may bring back those that were deleted.
#[derive(Debug, Default)]
pub struct Tokens {
    all: Vec<Token>,
    pastes: usize,
}

impl Tokens {
    /// Adds a token and returns what stands for it in the text; nothing if there are too many.
    pub fn add(&mut self, kind: Kind, text: impl Into<Arc<str>>) -> Option<String> {
        let mark = units::token(self.all.len())?;
        let text = text.into();
        let label = match &kind {
            Kind::Paste => {
                self.pastes += 1;
                let lines = text.lines().count();
                let size =
                    if lines > 1 { format!("{lines} lines") } else { format!("{} characters", text.chars().count()) };
                format!("[paste {}: {size}]", self.pastes)
            }
            Kind::File(name) => {
                format!("[{}, {}]", short(name), size(text_file::without_last_line_end(&text).len()))
            }
            Kind::Image(path) => format!("[{}, image]", short(path)),
        };
        self.all.push(Token { kind, label, text });
        Some(mark)
    }

    /// The token that a unit is.
    pub fn get(&self, unit: &str) -> Option<&Token> {
        self.all.get(units::token_index(unit)?)
    }

    /// The text in parts.
    pub fn parts(&self, text: &str) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(units::MARK) {
            let (plain, tail) = rest.split_at(start);
            let unit = units::after(tail, 0);
            if !plain.is_empty() {
                parts.push(Part::Text(plain.to_owned()));
            }
            parts.extend(self.get(unit).map(|token| match &token.kind {
                Kind::Paste => Part::Paste(token.text.to_string()),
                Kind::File(name) => Part::File { name: name.clone(), text: token.text.to_string() },
                Kind::Image(path) => Part::Image(path.clone()),
            }));
            rest = &tail[unit.len()..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        parts
    }

    /// How many bytes the tokens of a text stand for.
    pub fn bytes(&self, text: &str) -> usize {
        text.split(units::MARK).skip(1).filter_map(|rest| rest.chars().next()).fold(0, |sum, name| {
            let token = units::token_index(&[units::MARK, name].iter().collect::<String>());
            sum + token.and_then(|index| self.all.get(index)).map_or(0, |token| token.text.len())
        })
    }
}

/// A file's name without its folders, as far as it is told.
pub fn short(name: &str) -> String {
    let is_path = !name.starts_with(OUTPUT_OF);
    let name = escape_line(name.rsplit('/').next().filter(|_| is_path).unwrap_or(name));
    let length = name.chars().count();
    if length <= NAME_CHARACTERS {
        return name;
    }
    if !is_path {
        let head: String = name.chars().take(NAME_CHARACTERS - 3).collect();
        return format!("{head}...");
    }
    // The end tells files of one series apart.
    let tail: String = name.chars().skip(length - NAME_CHARACTERS + 3).collect();
    format!("...{tail}")
}

/// Bytes in words.
pub fn size(bytes: usize) -> String {
    match bytes {
        ..1000 => format!("{bytes} bytes"),
        1000..1_000_000 => format!("{} KB", bytes.div_ceil(1000)),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_what_it_stands_for() {
        let mut tokens = Tokens::default();
        let mark = tokens.add(Kind::Paste, "one\n".repeat(412)).unwrap();
        assert_eq!(tokens.get(&mark).unwrap().label, "[paste 1: 412 lines]");
        let mark = tokens.add(Kind::Paste, "x".repeat(1200)).unwrap();
        assert_eq!(tokens.get(&mark).unwrap().label, "[paste 2: 1200 characters]");
        let mark = tokens.add(Kind::File("a/b\x1b/notes.txt".into()), "x".repeat(2500)).unwrap();
        assert_eq!(tokens.get(&mark).unwrap().label, "[notes.txt, 3 KB]");
        let mark = tokens.add(Kind::File("output of `cat a/b`".into()), "x").unwrap();
        assert_eq!(tokens.get(&mark).unwrap().label, "[output of `cat a/b`, 1 bytes]");
        let mark = tokens.add(Kind::File("\x1b]0;x".repeat(30)), "x").unwrap();
        let label = &tokens.get(&mark).unwrap().label;
        assert!(!label.contains('\x1b') && label.chars().count() < 60, "{label}");
    }

    #[test]
    fn the_parts_of_a_text_are_in_their_order() {
        let mut tokens = Tokens::default();
        let paste = tokens.add(Kind::Paste, "pasted").unwrap();
        let file = tokens.add(Kind::File("a.txt".into()), "milk").unwrap();
        let text = format!("{file}see {paste}");
        let expected = [
            Part::File { name: "a.txt".into(), text: "milk".into() },
            Part::Text("see ".into()),
            Part::Paste("pasted".into()),
        ];
        assert_eq!(tokens.parts(&text), expected);
        assert_eq!(tokens.bytes(&text), 10);
    }
}
