//! Which part of an answer is wanted.

use std::fmt;
use std::str::FromStr;

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
            language if !language.is_empty() && language.chars().all(belongs) => {
                Ok(Extract::Language(language.to_lowercase()))
            }
            _ => Err("it must be `code`, `json`, or a language like `python`".into()),
        }
    }
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
