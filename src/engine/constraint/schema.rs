//! A JSON schema made ready for llama.cpp's converter, which follows a part of what schemas can say.
//!
//! What the converter would crash or hang on is refused. What it would follow wrongly is written in another way, so
//! that the answer may be held to more than the schema asks, and not to less. What it leaves out is left to the check
//! of the whole answer ([`super::Validator`]); the changelog lists it.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use super::pattern;
use crate::text::plain;

const MOST_BYTES: usize = 1 << 20;
/// Schemas in the schema, which the converter visits by recursion.
const MOST_SCHEMAS: u64 = 5000;
/// The converter writes rules for the square of the number of optional properties.
const MOST_OPTIONAL: usize = 128;
/// Names of properties become names of rules, joined by those around them.
const MOST_NAME_BYTES: usize = 256;
/// llama.cpp's limit on repetitions; it takes a greater upper bound as none.
const MOST_REPETITIONS: u64 = 2000;
/// The greatest integer that the converter writes in all cases.
const MOST_INTEGER: f64 = 999_999_999_999_999.0;

/// A schema that llama.cpp's converter can take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema(String);

/// Where a schema is in the whole one.
type Place = Vec<String>;

impl Schema {
    /// Makes a schema ready.
    ///
    /// # Errors
    /// What is wrong with it, without a subject in front: "it is not JSON …".
    pub fn prepare(text: &str) -> Result<Self, String> {
        if text.len() > MOST_BYTES {
            return Err(format!("it is longer than {} MiB", MOST_BYTES >> 20));
        }
        let mut root: Value =
            serde_json::from_str(text).map_err(|error| format!("it is not JSON: {}", plain::json(&error)))?;
        if holds_nul(&root) {
            return Err("it holds a NUL character".into());
        }
        let mut seen = HashSet::new();
        // What the converter visits on its own: the whole, and what is referred to.
        let mut starts = HashSet::from([Place::new()]);
        let mut open = vec![Place::new()];
        while let Some(place) = open.pop() {
            if !seen.insert(place.clone()) {
                continue;
            }
            if seen.len() as u64 > MOST_SCHEMAS {
                return Err(too_large());
            }
            let at = |problem: String| format!("at `#/{}`: {problem}", place.join("/"));
            let node =
                find_mut(&mut root, &place).ok_or_else(|| at("there is nothing that `$ref` could mean".into()))?;
            let node = as_object(node).map_err(at)?;
            rewrite(node).map_err(at)?;
            open.extend(children(node).into_iter().map(|child| [place.as_slice(), child.as_slice()].concat()));
            if let Some(reference) = node.get("$ref") {
                let target = target(reference).map_err(at)?;
                starts.insert(target.clone());
                open.push(target);
            }
        }
        check_size(&root, &seen, &starts)?;
        Ok(Self(root.to_string()))
    }

    pub fn text(&self) -> &str {
        &self.0
    }
}

fn too_large() -> String {
    format!("it is too large: it holds more than {MOST_SCHEMAS} schemas")
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        _ => false,
    }
}

/// The object that a schema is; `true`, which allows everything, becomes the empty one.
fn as_object(node: &mut Value) -> Result<&mut Map<String, Value>, String> {
    if *node == Value::Bool(true) {
        *node = json!({});
    }
    node.as_object_mut().ok_or_else(|| "a schema must be an object here".into())
}

/// Where `$ref` leads, as the converter understands it.
fn target(reference: &Value) -> Result<Place, String> {
    let text = reference.as_str().ok_or("`$ref` must be a text")?;
    match text.strip_prefix("#/") {
        Some(path) if !path.contains(['~', '%']) => Ok(path.split('/').map(str::to_owned).collect()),
        _ => Err(format!("`$ref` to `{text}` cannot be followed; refer to a place in the schema, as `#/$defs/name`")),
    }
}

fn find<'root>(root: &'root Value, place: &[String]) -> Option<&'root Value> {
    place.iter().try_fold(root, |value, part| match value {
        Value::Object(fields) => fields.get(part),
        Value::Array(items) => items.get(part.parse::<usize>().ok()?),
        _ => None,
    })
}

fn find_mut<'root>(root: &'root mut Value, place: &[String]) -> Option<&'root mut Value> {
    place.iter().try_fold(root, |value, part| match value {
        Value::Object(fields) => fields.get_mut(part),
        Value::Array(items) => items.get_mut(part.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Where the schemas in this one are.
fn children(node: &Map<String, Value>) -> Vec<Place> {
    let mut places = Vec::new();
    for key in ["items", "prefixItems", "oneOf", "anyOf", "allOf"] {
        match node.get(key) {
            Some(Value::Array(items)) => places.extend((0..items.len()).map(|at| vec![key.into(), at.to_string()])),
            Some(_) => places.push(vec![key.into()]),
            None => {}
        }
    }
    if let Some(Value::Object(properties)) = node.get("properties") {
        places.extend(properties.keys().map(|name| vec!["properties".into(), name.clone()]));
    }
    if node.get("additionalProperties").is_some_and(Value::is_object) {
        places.push(vec!["additionalProperties".into()]);
    }
    places
}

/// The converter builds a schema anew for every type that it may have, and a component of `allOf` for every mention.
fn check_size(root: &Value, schemas: &HashSet<Place>, starts: &HashSet<Place>) -> Result<(), String> {
    let built =
        starts.iter().filter_map(|place| find(root, place)).fold(0, |sum: u64, node| sum.saturating_add(weigh(node)));
    if built > 4 * MOST_SCHEMAS {
        return Err(too_large());
    }
    for place in schemas {
        let Some(Value::Object(node)) = find(root, place) else { continue };
        if node.contains_key("$ref") && resolve(root, node).is_none() {
            return Err(format!("at `#/{}`: `$ref` leads back to itself", place.join("/")));
        }
        let components = node.get("allOf").and_then(Value::as_array).into_iter().flatten();
        let parts = components.flat_map(|part| match part.get("oneOf").or(part.get("anyOf")) {
            Some(Value::Array(alternatives)) => alternatives.as_slice(),
            _ => std::slice::from_ref(part),
        });
        let properties = parts.filter_map(|part| resolve(root, part.as_object()?)?.get("properties")?.as_object());
        if properties.map(Map::len).sum::<usize>() > MOST_OPTIONAL {
            return Err(format!("at `#/{}`: `allOf` has more than {MOST_OPTIONAL} properties", place.join("/")));
        }
    }
    Ok(())
}

/// What a chain of `$ref` leads to; `None` if that is the chain itself.
fn resolve<'root>(root: &'root Value, node: &'root Map<String, Value>) -> Option<&'root Map<String, Value>> {
    let mut passed = HashSet::new();
    let mut node = node;
    while let Some(reference) = node.get("$ref") {
        if !passed.insert(reference.as_str()?) {
            return None;
        }
        node = find(root, &target(reference).ok()?)?.as_object()?;
    }
    Some(node)
}

/// How many schemas the converter makes of this one.
fn weigh(node: &Value) -> u64 {
    let Value::Object(fields) = node else { return 1 };
    let inner = children(fields)
        .iter()
        .filter_map(|place| find(node, place))
        .fold(0, |sum: u64, child| sum.saturating_add(weigh(child)));
    let types = fields.get("type").and_then(Value::as_array).map_or(1, Vec::len) as u64;
    let with_inner = match fields.get("type").and_then(Value::as_array) {
        Some(types) => types.iter().filter(|name| *name == "object" || *name == "array").count().max(1) as u64,
        None => 1,
    };
    types.saturating_add(inner.saturating_mul(with_inner))
}

/// Says the same, or something stricter, with what the converter follows.
fn rewrite(node: &mut Map<String, Value>) -> Result<(), String> {
    if node.contains_key("$ref") {
        return Ok(());
    }
    if node.get("prefixItems").is_some_and(Value::is_array) {
        // The converter would take `items` for all of them.
        node.remove("items");
    }
    rewrite_properties(node)?;
    for (least, most) in [("minLength", "maxLength"), ("minItems", "maxItems")] {
        rewrite_counts(node, least, most)?;
    }
    if has_type(node, "integer") {
        rewrite_integer(node)?;
    }
    if let Some(Value::String(text)) = node.get("pattern") {
        let pattern = pattern::rewrite(text);
        // What has a pattern and no type is a text to the converter, and stays one.
        node.entry("type").or_insert_with(|| "string".into());
        match pattern {
            Some(pattern) => node.insert("pattern".into(), pattern.into()),
            None => node.remove("pattern"),
        };
    }
    Ok(())
}

fn has_type(node: &Map<String, Value>, name: &str) -> bool {
    match node.get("type") {
        Some(Value::Array(types)) => types.iter().any(|one| one == name),
        Some(one) => one == name,
        None => false,
    }
}

fn rewrite_properties(node: &mut Map<String, Value>) -> Result<(), String> {
    let required: Vec<String> = match node.get("required") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let others = node.get("additionalProperties").filter(|others| others.is_object()).cloned();
    if !required.is_empty() && (node.contains_key("properties") || has_type(node, "object")) {
        let properties = node.entry("properties").or_insert_with(|| json!({}));
        let Value::Object(properties) = properties else { return Err("`properties` must be an object".into()) };
        for name in &required {
            // The converter knows no property that is only required.
            properties.entry(name.as_str()).or_insert_with(|| others.clone().unwrap_or_else(|| json!({})));
        }
    }
    let Some(Value::Object(properties)) = node.get("properties") else { return Ok(()) };
    if let Some(name) = properties.keys().find(|name| name.len() > MOST_NAME_BYTES) {
        let beginning: String = name.chars().take(20).collect();
        return Err(format!("the property `{beginning}…` has a name of more than {MOST_NAME_BYTES} bytes"));
    }
    if properties.keys().filter(|name| !required.contains(name)).count() > MOST_OPTIONAL {
        return Err(format!("it has more than {MOST_OPTIONAL} optional properties; make some of them required"));
    }
    let is_plain = |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !properties.keys().all(is_plain) {
        // The converter writes the characters of names into a set in brackets without escaping them.
        node.insert("additionalProperties".into(), false.into());
    }
    Ok(())
}

fn rewrite_counts(node: &mut Map<String, Value>, least: &str, most: &str) -> Result<(), String> {
    let mut count = |key: &str| match node.get(key) {
        None => Ok(None),
        Some(value) => {
            let number = value.as_f64().filter(|number| *number >= 0.0 && number.fract() == 0.0);
            // The cast saturates.
            let number = number.map(|number| number as u64).ok_or(format!("`{key}` must be a whole number"))?;
            node.insert(key.to_owned(), number.into());
            Ok(Some(number))
        }
    };
    let (least_count, most_count): (_, Result<_, String>) = (count(least)?.unwrap_or(0), count(most));
    let most_count = most_count?;
    if least_count > MOST_REPETITIONS {
        return Err(format!("`{least}` cannot be more than {MOST_REPETITIONS}"));
    }
    match most_count {
        Some(count) if count < least_count => Err(format!("`{least}` is greater than `{most}`")),
        Some(count) if count > MOST_REPETITIONS => {
            node.remove(most);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Both bounds, inclusive and within what the converter writes rightly: with one alone it allows some numbers beyond.
fn rewrite_integer(node: &mut Map<String, Value>) -> Result<(), String> {
    let bound = |key: &str| match node.get(key) {
        // Before draft 6 these are switches.
        None | Some(Value::Bool(_)) => Ok(None),
        Some(value) => value.as_f64().map(Some).ok_or(format!("`{key}` must be a number")),
    };
    let bounds = [bound("minimum")?, bound("exclusiveMinimum")?, bound("maximum")?, bound("exclusiveMaximum")?];
    if bounds.iter().all(Option::is_none) {
        return Ok(());
    }
    let [least, above, most, below] = bounds;
    let least = least.map_or(-MOST_INTEGER, f64::ceil).max(above.map_or(-MOST_INTEGER, |above| above.floor() + 1.0));
    let most = most.map_or(MOST_INTEGER, f64::floor).min(below.map_or(MOST_INTEGER, |below| below.ceil() - 1.0));
    let (least, most) = (least.max(-MOST_INTEGER), most.min(MOST_INTEGER));
    if least > most {
        return Err(format!(
            "no integer between the bounds can be written with {} digits",
            MOST_INTEGER.to_string().len()
        ));
    }
    node.remove("exclusiveMinimum");
    node.remove("exclusiveMaximum");
    node.insert("minimum".into(), (least as i64).into());
    node.insert("maximum".into(), (most as i64).into());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(schema: Value) -> Value {
        serde_json::from_str(Schema::prepare(&schema.to_string()).unwrap().text()).unwrap()
    }

    fn problem(schema: Value) -> String {
        Schema::prepare(&schema.to_string()).unwrap_err()
    }

    #[test]
    fn bounds_of_integers_become_two_that_are_inclusive() {
        for (schema, least, most) in [
            (json!({"type": "integer", "minimum": 100}), 100_i64, 999_999_999_999_999_i64),
            (json!({"type": "integer", "exclusiveMinimum": 1, "minimum": 0, "maximum": 9.5}), 2, 9),
            (
                json!({"type": ["integer", "null"], "exclusiveMaximum": 1e300}),
                -999_999_999_999_999,
                999_999_999_999_999,
            ),
        ] {
            let prepared = prepared(schema);
            assert_eq!((&prepared["minimum"], &prepared["maximum"]), (&json!(least), &json!(most)));
        }
        assert!(problem(json!({"type": "integer", "minimum": 3, "maximum": 2})).contains("no integer"));
    }

    #[test]
    fn what_is_required_and_not_described_becomes_a_property() {
        let schema = prepared(json!({"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a", "b"]}));
        assert_eq!(schema["properties"], json!({"a": {"type": "null"}, "b": {}}));
    }

    #[test]
    fn schemas_are_made_ready_wherever_a_reference_leads() {
        let schema = prepared(json!({"$ref": "#/x/0", "x": [{"pattern": "^a$"}, {"pattern": "^a$"}]}));
        assert_eq!(schema["x"], json!([{"pattern": "^(a)$", "type": "string"}, {"pattern": "^a$"}]));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (schema, expected) in [
            (json!([]), "at `#/`: a schema must be an object"),
            (json!({"properties": {"a": 1}}), "at `#/properties/a`: a schema must be an object"),
            (json!({"items": {"$ref": "#/$defs/a"}}), "at `#/$defs/a`: there is nothing"),
            (json!({"$ref": "https://example.org/a"}), "cannot be followed"),
            (json!({"$ref": "#"}), "cannot be followed"),
            (json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}), "leads back to itself"),
            (
                json!({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
                "leads back",
            ),
            (json!({"type": "string", "minLength": 5, "maxLength": 2}), "`minLength` is greater than `maxLength`"),
            (json!({"type": "array", "minItems": 1e12}), "`minItems` cannot be more than 2000"),
            (json!({"type": "array", "minItems": -1}), "`minItems` must be a whole number"),
            (json!({"const": "\0"}), "NUL"),
            (json!({"properties": {"n".repeat(300): {}}}), "more than 256 bytes"),
        ] {
            let problem = problem(schema);
            assert!(problem.contains(expected), "{problem}");
        }
        assert!(Schema::prepare("{").unwrap_err().contains("not JSON"));
        assert!(Schema::prepare(&"[".repeat(100_000)).unwrap_err().contains("nested too deeply"));
    }

    #[test]
    fn what_would_take_the_converter_for_ever_is_refused() {
        let properties: Map<String, Value> = (0..200).map(|at| (format!("p{at}"), json!({}))).collect();
        assert!(problem(json!({"properties": properties})).contains("optional properties"));
        let mut nested = json!({});
        for _ in 0..40 {
            nested = json!({"type": ["object", "array"], "properties": {"a": nested.clone()}, "items": nested});
            if nested.to_string().len() > 100_000 {
                break;
            }
        }
        assert!(problem(nested).contains("too large"));
        let parts = vec![json!({"$ref": "#/$defs/a"}); 200];
        let schema = json!({"allOf": parts, "$defs": {"a": {"properties": {"x": {}}}}});
        assert!(problem(schema).contains("more than 128 properties"));
    }
}
