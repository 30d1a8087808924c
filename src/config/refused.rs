//! Why the parser refused a value of an option, in words: the same for what was typed and for the environment.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::text::plain::alternatives;

/// What the value may be, or why it may not be what it is; `None` if the mistake is none of a value.
pub fn why(error: &clap::Error) -> Option<String> {
    match error.kind() {
        ErrorKind::InvalidValue => {
            let words = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(words)) if !words.is_empty() => {
                    format!("it must be {}", alternatives(words))
                }
                _ => "a text must be given".into(),
            };
            let meant = match error.get(ContextKind::SuggestedValue) {
                Some(ContextValue::String(meant)) => format!("; `{meant}` may be meant"),
                _ => String::new(),
            };
            Some(words + &meant)
        }
        ErrorKind::ValueValidation => std::error::Error::source(error).map(|source| in_words(&source.to_string())),
        _ => None,
    }
}

/// What Rust says of numbers, in words.
fn in_words(problem: &str) -> String {
    match problem {
        "invalid digit found in string" => return "it must be a whole number, 0 or more".into(),
        "cannot parse integer from empty string" => return "a number must be given".into(),
        "invalid float literal" => return "it must be a number".into(),
        _ => {}
    }
    match problem.split_once(" is not in ").and_then(|(number, range)| Some((number, range.split_once("..")?))) {
        Some((number, (least, most))) => {
            format!("{number} is not between {least} and {}", most.trim_start_matches('='))
        }
        None => problem.to_owned(),
    }
}
