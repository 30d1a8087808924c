//! Whether every keyword of a schema is one: what nobody knows, a keyword that is spelled wrongly above all, would be left
//! out in silence by whoever follows the schema.

use serde_json::{Map, Value};

use super::values;
use crate::text::plain::{self, meant};

/// What holds one schema.
const WITH_SCHEMA: [&str; 12] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// What holds a list of schemas.
const WITH_LIST: [&str; 5] = ["allOf", "anyOf", "items", "oneOf", "prefixItems"];
/// What holds schemas by names.
const WITH_NAMES: [&str; 6] =
    ["$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"];
/// What holds none, of all drafts, and what is only said about a schema.
const PLAIN: [&str; 44] = [
    "$anchor",
    "$comment",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveAnchor",
    "$recursiveRef",
    "$ref",
    "$schema",
    "$vocabulary",
    "const",
    "contentEncoding",
    "contentMediaType",
    "default",
    "dependentRequired",
    "deprecated",
    "description",
    "divisibleBy",
    "enum",
    "example",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "externalDocs",
    "format",
    "id",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "pattern",
    "readOnly",
    "required",
    "title",
    "type",
    "uniqueItems",
    "writeOnly",
];

/// The formats that answers are checked for.
const FORMATS: [&str; 17] = [
    "date",
    "date-time",
    "duration",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "iri",
    "iri-reference",
    "json-pointer",
    "regex",
    "relative-json-pointer",
    "time",
    "uri",
    "uri-reference",
    "uri-template",
    "uuid",
];

/// # Errors
/// Which keyword or format there is not, and where; or that it is no JSON.
pub fn check(schema: &str) -> Result<(), String> {
    let root: Value =
        serde_json::from_str(schema).map_err(|error| format!("it is not JSON: {}", plain::json(&error)))?;
    let mut targets = Vec::new();
    collect_targets(&root, &mut targets);
    let mut open = vec![(String::from("#"), &root)];
    while let Some((place, schema)) = open.pop() {
        let Value::Object(fields) = schema else { continue };
        for (key, value) in fields {
            let within = format!("{place}/{key}");
            values::check(key, value).map_err(|problem| format!("at `{within}`: {problem}"))?;
            match value {
                Value::String(format) if key == "format" && !FORMATS.contains(&format.as_str()) => {
                    return Err(format!("at `{place}`: {}", unknown_format(format)));
                }
                _ if is_plain(key) => {}
                Value::Array(items) if WITH_LIST.contains(&key.as_str()) => {
                    open.extend(items.iter().enumerate().map(|(at, item)| (format!("{within}/{at}"), item)));
                }
                _ if WITH_SCHEMA.contains(&key.as_str()) => open.push((within, value)),
                Value::Object(named) if WITH_NAMES.contains(&key.as_str()) => open.extend(by_names(&within, named)),
                _ if known().any(|known| known == key) => {}
                // Schemas may be kept anywhere, if something refers to them.
                _ if targets.iter().any(|target| *target == within || target.starts_with(&format!("{within}/"))) => {}
                _ => return Err(format!("at `{place}`: {}", unknown(key))),
            }
        }
    }
    Ok(())
}

fn is_plain(key: &str) -> bool {
    PLAIN.contains(&key) || key.starts_with("x-")
}

fn known() -> impl Iterator<Item = &'static str> {
    PLAIN.into_iter().chain(WITH_SCHEMA).chain(WITH_LIST).chain(WITH_NAMES)
}

fn by_names<'a>(within: &str, named: &'a Map<String, Value>) -> impl Iterator<Item = (String, &'a Value)> {
    named.iter().map(move |(name, schema)| (format!("{within}/{name}"), schema))
}

/// Where the references of the whole lead.
fn collect_targets<'root>(value: &'root Value, targets: &mut Vec<&'root str>) {
    match value {
        Value::Object(fields) => {
            targets.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|inner| collect_targets(inner, targets));
        }
        Value::Array(items) => items.iter().for_each(|inner| collect_targets(inner, targets)),
        _ => {}
    }
}

fn unknown(key: &str) -> String {
    let meant = meant(key, known()).map(|known| format!("; `{known}` may be meant")).unwrap_or_default();
    let shown: String = key.chars().take(40).collect();
    format!("there is no keyword `{shown}`{meant}, and a word of your own begins with `x-`")
}

fn unknown_format(format: &str) -> String {
    let shown: String = format.chars().take(40).collect();
    format!("no answer can be checked for the format `{shown}`; leave it out, or say it with `pattern`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_word_that_is_no_keyword_is_named_wherever_it_is() {
        for (schema, expected) in [
            (json!({"minlength": 3}), "at `#`: there is no keyword `minlength`; `minLength` may be meant, and"),
            (
                json!({"properties": {"a": {"not": {"enmu": []}}}}),
                "at `#/properties/a/not`: there is no keyword `enmu`; `enum` may be meant",
            ),
            (json!({"anyOf": [{}, {"nullable": true}]}), "at `#/anyOf/1`: there is no keyword `nullable`, and"),
            (json!({"$defs": {"a": {"fields": []}}}), "at `#/$defs/a`: there is no keyword `fields`"),
        ] {
            let problem = check(&schema.to_string()).unwrap_err();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }

    #[test]
    fn every_format_that_is_taken_is_checked() {
        for format in FORMATS {
            let schema = json!({"format": format}).to_string();
            assert_eq!(check(&schema), Ok(()), "{format}");
            let validator = super::super::Validator::new(&schema).unwrap();
            assert!(validator.check("\"\\u0000 (^\"").is_err(), "{format}");
        }
        assert!(
            check(&json!({"items": {"format": "colour"}}).to_string()).unwrap_err().contains("the format `colour`")
        );
    }

    #[test]
    fn names_values_and_what_is_referred_to_are_no_keywords() {
        for schema in [
            json!({"properties": {"minlength": {}, "a": true}, "const": {"b": 1}, "enum": [{"c": 1}], "x-mine": 1}),
            json!({"default": {"d": 1}, "examples": [{"e": 1}], "dependencies": {"a": ["b"]}, "items": [{}]}),
            json!({"shared": {"leaf": {"type": "null"}}, "$ref": "#/shared/leaf"}),
        ] {
            assert_eq!(check(&schema.to_string()), Ok(()), "{schema}");
        }
    }
}
