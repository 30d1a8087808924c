//! What is told of an input that is no batch: a binary file, a list of questions, JSON in another form. Pure.

use super::items::STDIN;
use crate::exit::Failure;
use crate::models::shell_word;

/// # Errors
/// If a line is of no text; `before` are the bytes that come before it.
pub fn refuse_binary(line: &[u8], before: u64, name: &str) -> Result<(), Failure> {
    let no_text = match line.iter().position(|byte| *byte == 0) {
        None if before == 0 => std::str::from_utf8(line).err().map(|error| error.valid_up_to()),
        found => found,
    };
    match no_text {
        None => Ok(()),
        Some(at) => {
            let sentence =
                format!("{name} is not UTF-8 text (byte {}), so there are no items in it", before + at as u64);
            Err(Failure::usage(sentence).hint("items are lines of JSON; `tuichat help batch` shows some"))
        }
    }
}

/// What lines were seen to be, by which it is told what the whole is where no line is an item.
#[derive(Debug, Default)]
pub struct Seen {
    /// Lines that are objects of JSON.
    pub objects: usize,
    /// The first line that is none.
    other: Option<Other>,
}

/// A line that is no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Other {
    /// A list, or the beginning of one.
    List,
    /// The beginning of an object that goes on in the next line.
    Object,
    /// A text in quotes.
    Quoted,
    /// Anything else, such as a question.
    Plain,
}

impl Seen {
    /// Takes in a line that is no object.
    pub fn other(&mut self, line: &[u8]) {
        self.other.get_or_insert(match line.trim_ascii_start().first() {
            Some(b'[') => Other::List,
            Some(b'{') => Other::Object,
            Some(b'"') => Other::Quoted,
            _ => Other::Plain,
        });
    }

    /// # Errors
    /// If there are lines and none of them is an item.
    pub fn check(&self, name: &str) -> Result<(), Failure> {
        let Some(other) = self.other.filter(|_| self.objects == 0) else { return Ok(()) };
        let (what, filter) = match other {
            Other::List => ("it is a list", "-c '.[]'"),
            Other::Object => ("its objects go over several lines", "-c ."),
            Other::Quoted => ("its lines are texts", "-c '{prompt: .}'"),
            Other::Plain => ("its lines are no JSON", "-Rc '{prompt: .}'"),
        };
        let file = if name == STDIN { String::new() } else { format!(" {}", shell_word(name.trim_matches('`'))) };
        Err(Failure::usage(format!("{name} has no items, which are JSON objects, each on a line of its own: {what}"))
            .hint(format!("`jq {filter}{file} | tuichat batch -` makes items of them")))
    }
}
