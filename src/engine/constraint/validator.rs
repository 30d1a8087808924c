//! The check of a whole answer against its schema, for what a grammar does not hold an answer to.

use jsonschema::error::{TypeKind, ValidationErrorKind};
use serde_json::Value;

use crate::text::plain;

/// Longer messages are cut: they can quote the whole answer.
const MOST_CHARACTERS: usize = 300;

/// A schema to check answers with.
#[derive(Debug)]
pub struct Validator(jsonschema::Validator);

impl Validator {
    /// # Errors
    /// What is wrong with the schema, without a subject in front.
    pub fn new(schema: &str) -> Result<Self, String> {
        let schema: Value =
            serde_json::from_str(schema).map_err(|error| format!("it is not JSON: {}", plain::json(&error)))?;
        jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .map(Self)
            .map_err(|error| wrong_schema(&error))
    }

    /// # Errors
    /// Why the answer does not satisfy the schema, as the rest of a sentence: "is not JSON …".
    pub fn check(&self, answer: &str) -> Result<(), String> {
        let value: Value =
            serde_json::from_str(answer).map_err(|error| format!("is not JSON: {}", plain::json(&error)))?;
        self.0.validate(&value).map_err(|error| format!("does not satisfy the schema: {}", describe(&error)))
    }
}

/// What is wrong with the schema itself. What `anyOf` would tell is about the schema of schemas, which nobody knows.
fn wrong_schema(error: &jsonschema::ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::AnyOf { .. } | ValidationErrorKind::OneOfNotValid { .. } => {
            let value = error.instance().to_string();
            let value: String = value.chars().take(MOST_CHARACTERS).collect();
            format!("at `#{}`: {value} cannot stand there", error.instance_path().as_str())
        }
        _ => describe(error),
    }
}

fn describe(error: &jsonschema::ValidationError<'_>) -> String {
    let place = error.instance_path().as_str();
    let place = if place.is_empty() { String::new() } else { format!("at `{place}`: ") };
    let words = format!("{place}{}", in_words(error));
    match words.char_indices().nth(MOST_CHARACTERS) {
        Some((cut, _)) => format!("{}…", &words[..cut]),
        None => words,
    }
}

/// What is wrong, without the names of what found it.
fn in_words(error: &jsonschema::ValidationError<'_>) -> String {
    let value = error.instance();
    match error.kind() {
        ValidationErrorKind::AnyOf { .. } => format!("{value} has none of the forms that `anyOf` allows"),
        ValidationErrorKind::OneOfNotValid { .. } => format!("{value} has none of the forms that `oneOf` allows"),
        ValidationErrorKind::OneOfMultipleValid { .. } => {
            format!("{value} has more than one of the forms of `oneOf`, and must have exactly one")
        }
        ValidationErrorKind::FalseSchema => format!("{value} is not allowed here"),
        ValidationErrorKind::Not { .. } => format!("{value} has the form that `not` forbids"),
        ValidationErrorKind::Required { property } => format!("{property} is missing"),
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            let names: Vec<String> = unexpected.iter().map(|name| format!("\"{name}\"")).collect();
            format!("it has {}, which the schema does not have", names.join(", "))
        }
        ValidationErrorKind::Contains => format!("no item of {value} is one that `contains` asks for"),
        ValidationErrorKind::Format { format } => format!("{value} has not the form of `{format}`"),
        ValidationErrorKind::UniqueItems => format!("{value} has an item twice"),
        ValidationErrorKind::Type { kind: TypeKind::Multiple(types) } => {
            let names: Vec<String> = types.iter().map(|name| name.to_string()).collect();
            format!("{value} is not of the types {}", plain::alternatives(&names))
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_answer_lacks_is_told_without_the_words_of_the_validator() {
        for (schema, answer, expected) in [
            (r#"{"anyOf": [{"type": "null"}, {"minimum": 3}]}"#, "1", "1 has none of the forms that `anyOf` allows"),
            (r#"{"oneOf": [{"type": "null"}]}"#, "1", "1 has none of the forms that `oneOf` allows"),
            (r#"{"required": ["a"]}"#, "{}", "\"a\" is missing"),
            (
                r#"{"properties": {"a": {}}, "additionalProperties": false}"#,
                r#"{"b": 1}"#,
                "it has \"b\", which the schema does not have",
            ),
            (r#"{"format": "date"}"#, "\"soon\"", "\"soon\" has not the form of `date`"),
            (r#"{"type": ["null", "string"]}"#, "1", "1 is not of the types `null` or `string`"),
            (r#"{"type": "integer"}"#, "\"old\"", "\"old\" is not of type \"integer\""),
        ] {
            let problem = Validator::new(schema).unwrap().check(answer).unwrap_err();
            assert_eq!(problem, format!("does not satisfy the schema: {expected}"), "{schema}");
        }
        let validator = Validator::new("{}").unwrap();
        assert_eq!(
            validator.check("hello"),
            Err("is not JSON: something else stands where a value belongs (line 1, column 1)".into())
        );
    }

    #[test]
    fn what_is_wrong_with_a_schema_is_told_so_too() {
        let problem = Validator::new(r#"{"type": "sting"}"#).unwrap_err();
        assert_eq!(problem, "at `#/type`: \"sting\" cannot stand there");
    }
}
