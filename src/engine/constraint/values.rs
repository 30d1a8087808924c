//! What may stand behind a keyword of a schema, as far as all drafts agree. Whoever validates schemas says of a wrong word
//! that it has none of the forms of `anyOf`, which is of no help to the person who wrote it.

use serde_json::Value;

use crate::text::plain::{alternatives, meant};

const TYPES: [&str; 7] = ["string", "integer", "number", "boolean", "object", "array", "null"];

/// What types are called elsewhere.
const USUAL_NAMES: [(&str, &str); 13] = [
    ("str", "string"),
    ("text", "string"),
    ("char", "string"),
    ("int", "integer"),
    ("long", "integer"),
    ("num", "number"),
    ("float", "number"),
    ("double", "number"),
    ("bool", "boolean"),
    ("dict", "object"),
    ("map", "object"),
    ("list", "array"),
    ("none", "null"),
];

/// More of a value is not shown.
const MOST_CHARACTERS: usize = 60;

/// # Errors
/// What may stand there instead.
pub fn check(key: &str, value: &Value) -> Result<(), String> {
    let (is_right, wanted) = match key {
        "type" => return check_type(value),
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
            (value.is_object(), "an object of names with a schema each")
        }
        "anyOf" | "oneOf" | "allOf" | "prefixItems" => {
            (value.as_array().is_some_and(|list| !list.is_empty()), "a list of schemas")
        }
        "enum" => (value.is_array(), "a list of values"),
        "required" => (
            value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
            "a list of names of properties, beside `properties`",
        ),
        "additionalProperties" | "contains" | "propertyNames" | "not" | "if" | "then" | "else" => {
            (is_schema(value), "a schema")
        }
        "items" => (is_schema(value) || value.is_array(), "a schema"),
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" | "minContains"
        | "maxContains" => (is_count(value), "a whole number, 0 or more"),
        "minimum" | "maximum" => (value.is_number(), "a number"),
        "exclusiveMinimum" | "exclusiveMaximum" => (value.is_number() || value.is_boolean(), "a number"),
        "multipleOf" => (value.as_f64().is_some_and(|number| number > 0.0), "a number greater than 0"),
        "uniqueItems" => (value.is_boolean(), "true or false"),
        "pattern" | "format" | "$ref" | "title" | "description" => (value.is_string(), "a text"),
        _ => return Ok(()),
    };
    if is_right { Ok(()) } else { Err(format!("it is {}, and must be {wanted}", shown(value))) }
}

fn is_schema(value: &Value) -> bool {
    value.is_object() || value.is_boolean()
}

fn is_count(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number >= 0.0 && number.fract() == 0.0)
}

fn check_type(value: &Value) -> Result<(), String> {
    let names = match value {
        Value::String(_) => std::slice::from_ref(value),
        Value::Array(names) if !names.is_empty() => names.as_slice(),
        _ => return Err(format!("it is {}, and must be {}, or a list of them", shown(value), alternatives(&TYPES))),
    };
    match names.iter().find(|name| !TYPES.iter().any(|known| *name == known)) {
        None => Ok(()),
        Some(Value::String(name)) => {
            let usual = USUAL_NAMES.iter().find(|(usual, _)| usual.eq_ignore_ascii_case(name)).map(|(_, name)| *name);
            let near = usual.or_else(|| meant(name, TYPES)).map(|near| format!("; `{near}` may be meant"));
            let name: String = name.chars().take(MOST_CHARACTERS).collect();
            Err(format!("`{name}` is none of the types {}{}", listed(), near.unwrap_or_default()))
        }
        Some(other) => Err(format!("{} is none of the types {}", shown(other), listed())),
    }
}

fn listed() -> String {
    alternatives(&TYPES).replace(" or ", " and ")
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(MOST_CHARACTERS) {
        Some((cut, _)) => format!("`{}…`", &text[..cut]),
        None => format!("`{text}`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_type_that_is_none_is_told_with_the_one_that_was_meant() {
        let none = "is none of the types `string`, `integer`, `number`, `boolean`, `object`, `array` and `null`";
        for (value, expected) in [
            (json!("objekt"), format!("`objekt` {none}; `object` may be meant")),
            (json!("Dict"), format!("`Dict` {none}; `object` may be meant")),
            (json!(["string", "int"]), format!("`int` {none}; `integer` may be meant")),
            (json!("any"), format!("`any` {none}")),
            (json!(["string", 3]), format!("`3` {none}")),
        ] {
            assert_eq!(check("type", &value), Err(expected), "{value}");
        }
        for value in [json!({"a": 1}), json!([])] {
            let problem = check("type", &value).unwrap_err();
            assert!(problem.starts_with(&format!("it is `{value}`, and must be `string`, `integer`, ")), "{problem}");
        }
        for value in [json!("null"), json!(["string", "null"])] {
            assert_eq!(check("type", &value), Ok(()));
        }
    }

    #[test]
    fn a_value_that_cannot_stand_behind_its_keyword_is_told_with_what_can() {
        for (key, value, wanted) in [
            ("properties", json!(["a"]), "an object of names with a schema each"),
            ("anyOf", json!({}), "a list of schemas"),
            ("anyOf", json!([]), "a list of schemas"),
            ("enum", json!("a"), "a list of values"),
            ("required", json!(true), "a list of names of properties, beside `properties`"),
            ("items", json!("string"), "a schema"),
            ("additionalProperties", json!("no"), "a schema"),
            ("minLength", json!("3"), "a whole number, 0 or more"),
            ("maxItems", json!(-1), "a whole number, 0 or more"),
            ("minimum", json!("0"), "a number"),
            ("multipleOf", json!(0), "a number greater than 0"),
            ("uniqueItems", json!("yes"), "true or false"),
            ("pattern", json!(3), "a text"),
        ] {
            assert_eq!(check(key, &value), Err(format!("it is `{value}`, and must be {wanted}")), "{key}");
        }
        for (key, value) in [
            ("exclusiveMinimum", json!(true)),
            ("minLength", json!(3.0)),
            ("items", json!([{}])),
            ("additionalProperties", json!(false)),
            ("default", json!("anything")),
        ] {
            assert_eq!(check(key, &value), Ok(()), "{key}");
        }
    }
}
