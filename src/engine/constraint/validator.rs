//! The check of a whole answer against its schema, for what a grammar does not hold an answer to.

use serde_json::Value;

/// Longer messages are cut: they can quote the whole answer.
const MOST_CHARACTERS: usize = 300;

/// A schema to check answers with.
#[derive(Debug)]
pub struct Validator(jsonschema::Validator);

impl Validator {
    /// # Errors
    /// What is wrong with the schema, without a subject in front.
    pub fn new(schema: &str) -> Result<Self, String> {
        let schema: Value = serde_json::from_str(schema).map_err(|error| format!("it is not JSON ({error})"))?;
        jsonschema::options().should_validate_formats(true).build(&schema).map(Self).map_err(|error| describe(&error))
    }

    /// # Errors
    /// Why the answer does not satisfy the schema, as the rest of a sentence: "is not JSON …".
    pub fn check(&self, answer: &str) -> Result<(), String> {
        let value: Value = serde_json::from_str(answer).map_err(|error| format!("is not JSON ({error})"))?;
        self.0.validate(&value).map_err(|error| format!("does not satisfy the schema: {}", describe(&error)))
    }
}

fn describe(error: &jsonschema::ValidationError<'_>) -> String {
    let place = error.instance_path().as_str();
    let place = if place.is_empty() { String::new() } else { format!("at `{place}`: ") };
    let words = format!("{place}{error}");
    match words.char_indices().nth(MOST_CHARACTERS) {
        Some((cut, _)) => format!("{}…", &words[..cut]),
        None => words,
    }
}
