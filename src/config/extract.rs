//! Which part of an answer is wanted.

use std::fmt;
use std::str::FromStr;

const WANTED: &str = "`code`, `json`, or a language like `python`";

/// The first of its kind in the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extract {
    /// A code block, in whatever language.
    Code,
    /// A code block in this language.
    Language(String),
    /// A JSON value.
    Json,
}

impl FromStr for Extract {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let belongs = |character: char| character.is_alphanumeric() || "+#-_.".contains(character);
        match text {
            "code" => Ok(Extract::Code),
            "json" => Ok(Extract::Json),
            slip if let Some(word) = meant(slip) => Err(format!("`{word}` may be meant; it must be {WANTED}")),
            language if !language.is_empty() && language.chars().all(belongs) => {
                Ok(Extract::Language(language.to_lowercase()))
            }
            _ => Err(format!("it must be {WANTED}")),
        }
    }
}

/// The word that was meant by one with a letter too few or two letters the wrong way round. Longer ones may be languages:
/// `json5`.
fn meant(text: &str) -> Option<&'static str> {
    let letters = |text: &str| {
        let mut letters: Vec<char> = text.chars().collect();
        letters.sort_unstable();
        letters
    };
    let is_slip = |word: &&str| {
        let is_short = text.chars().count() + 1 == word.len();
        strsim::osa_distance(text, word) == 1 && (is_short || letters(text) == letters(word))
    };
    ["code", "json"].into_iter().find(is_slip)
}

impl fmt::Display for Extract {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Extract::Code => "code",
            Extract::Json => "json",
            Extract::Language(language) => language,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_no_language() {
        for (text, word) in [("jsn", "json"), ("josn", "json"), ("jso", "json"), ("cod", "code"), ("cdoe", "code")] {
            let problem = text.parse::<Extract>().unwrap_err();
            assert!(problem.starts_with(&format!("`{word}` may be meant")), "{problem}");
        }
        for text in ["json5", "jsonc", "jsonl", "node", "c", "js", "Rust"] {
            assert_eq!(text.parse(), Ok(Extract::Language(text.to_lowercase())));
        }
    }
}
