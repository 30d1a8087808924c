//! The part of an answer that `--extract` asks for, found while the answer comes: a code block line by line, a JSON value
//! when it is whole.

mod blocks;
mod value;

use crate::config::Extract;
use blocks::Blocks;
use value::Search;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    None,
    /// The answer ended in the middle of it.
    Cut(String),
    Whole(String),
}

/// Looks for the part in an answer that comes piece by piece.
pub struct Extractor {
    what: Extract,
    finder: Finder,
}

enum Finder {
    Blocks(Blocks),
    Value(Search),
}

impl Extractor {
    pub fn new(what: Extract) -> Self {
        let finder = match &what {
            Extract::Json => Finder::Value(Search::default()),
            Extract::Code => Finder::Blocks(Blocks::new(None)),
            Extract::Language(language) => Finder::Blocks(Blocks::new(Some(language.clone()))),
        };
        Self { what, finder }
    }

    /// Takes more of the answer, and gives what of the part can be shown by that.
    pub fn push(&mut self, piece: &str) -> String {
        match &mut self.finder {
            Finder::Blocks(blocks) => blocks.push(piece),
            Finder::Value(search) => search.push(piece),
        }
    }

    /// Whether nothing that follows can belong to the part.
    pub fn is_done(&self) -> bool {
        match &self.finder {
            Finder::Blocks(blocks) => blocks.is_done(),
            Finder::Value(search) => search.is_done(),
        }
    }

    /// The answer is at its end, by itself or `cut`. Gives what of the part is left to be shown, and the part.
    pub fn finish(&mut self, cut: bool) -> (String, Part) {
        match &mut self.finder {
            Finder::Blocks(blocks) => blocks.finish(cut),
            Finder::Value(search) => search.finish(),
        }
    }

    /// What to type where an answer has no such part.
    pub fn instead(&self, answer: &str) -> String {
        let has_block = || {
            let mut blocks = Extractor::new(Extract::Code);
            blocks.push(answer);
            blocks.finish(false).1 != Part::None
        };
        match &self.what {
            Extract::Language(_) if has_block() => "`--extract code` takes its code block in another language".into(),
            Extract::Language(language) => format!("say in the prompt that you want a code block in {language}"),
            Extract::Code => "say in the prompt that you want a code block".into(),
            Extract::Json => {
                "say in the prompt that you want JSON, or hold the answer to a form with `--schema`".into()
            }
        }
    }

    /// What it looks for, with its article.
    pub fn name(&self) -> String {
        match &self.what {
            Extract::Code => "code block".into(),
            Extract::Language(language) => format!("code block in `{language}`"),
            Extract::Json => "JSON value".into(),
        }
    }
}
