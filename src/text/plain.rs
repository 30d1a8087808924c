//! What readers of JSON, TOML and settings say about a text they do not understand, in words for people. Pure.

/// Why a text is no JSON, or not the JSON that it should be: `a name must stand in double quotes (line 1, column 2)`.
pub fn json(error: &serde_json::Error) -> String {
    json_behind(error, 0)
}

/// The same of a text that stands behind so many lines of a file.
pub fn json_behind(error: &serde_json::Error, lines: usize) -> String {
    let words = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let Some(problem) = words.strip_suffix(&place) else { return plain(&words) };
    let problem = match problem {
        "EOF while parsing a value" if error.column() == 0 => return "it is empty".into(),
        "EOF while parsing a value" => "it ends where a value should come".into(),
        "EOF while parsing a list" => "it ends in the middle of a list".into(),
        "EOF while parsing an object" => "it ends in the middle of an object".into(),
        "EOF while parsing a string" => "it ends in the middle of a text".into(),
        "expected value" => "something else stands where a value belongs".into(),
        "expected ident" => "of words without quotes JSON has `true`, `false` and `null` only".into(),
        "key must be a string" => "a name must stand in double quotes".into(),
        "expected `:`" => "a `:` is missing behind a name".into(),
        "expected `,` or `]`" => "a `,` or `]` is missing".into(),
        "expected `,` or `}`" => "a `,` or `}` is missing".into(),
        "trailing comma" => "there is a comma behind the last value".into(),
        "trailing characters" => "something follows behind its end".into(),
        "invalid escape" => "a text has a `\\` before something that cannot follow it".into(),
        "number out of range" => "a number is too large".into(),
        "recursion limit exceeded" => "it is nested too deeply".into(),
        control if control.starts_with("control character") => {
            "a text has a line end or another control character in it".into()
        }
        other => plain(other),
    };
    format!("{problem} (line {}, column {})", lines + error.line(), error.column())
}

/// Why a value is not what it should be: `it is the text "hot", and must be a number`. What is not known stays.
pub fn plain(message: &str) -> String {
    let wrong = ["invalid type: ", "invalid value: "].into_iter().find_map(|what| message.strip_prefix(what));
    if let Some((found, wanted)) = wrong.and_then(|rest| rest.rsplit_once(", expected ")) {
        return format!("it is {}, and must be {}", found_in_words(found), wanted_in_words(wanted));
    }
    let quoted = |what: &str| message.strip_prefix(what)?.strip_suffix('`').filter(|name| !name.contains('`'));
    if let Some(name) = quoted("missing field `") {
        return format!("the key `{name}` is missing");
    }
    if let Some(name) = quoted("duplicate field `") {
        return format!("the key `{name}` is there twice");
    }
    let unknown = |what: &str| message.strip_prefix(what)?.split_once("`, expected ");
    if let Some((name, known)) = unknown("unknown variant `") {
        return format!("it is `{name}`, and must be {}", known_in_words(known));
    }
    if let Some((name, known)) = unknown("unknown field `") {
        return format!("there is no key `{name}`, but {}", known_in_words(known));
    }
    message.to_owned()
}

fn found_in_words(found: &str) -> String {
    let number = ["integer ", "floating point ", "boolean "].into_iter().find_map(|kind| found.strip_prefix(kind));
    match (found, number) {
        (_, Some(number)) => number.to_owned(),
        ("null" | "unit value" | "Option value", _) => "null".into(),
        ("sequence", _) => "a list".into(),
        ("map", _) => "an object".into(),
        _ => match found.strip_prefix("string ") {
            Some(text) => format!("the text {text}"),
            None => found.to_owned(),
        },
    }
}

fn wanted_in_words(wanted: &str) -> &str {
    match wanted {
        "a string" | "a borrowed string" | "string" => "a text",
        "a sequence" => "a list",
        "a boolean" => "true or false",
        "a map" => "an object",
        "f32" | "f64" => "a number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        one if one.starts_with("struct ") => "an object",
        other => other,
    }
}

/// `` one of `a`, `b`, `c` `` and `` `a` or `b` `` as one list.
fn known_in_words(known: &str) -> String {
    let names = known.strip_prefix("one of ").unwrap_or(known);
    let names: Vec<&str> = names.split('`').skip(1).step_by(2).collect();
    alternatives(&names)
}

/// `` `a`, `b` or `c` ``.
pub fn alternatives(names: &[impl AsRef<str>]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{}`", name.as_ref())).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Which of these names was perhaps meant by one that is none of them.
pub fn meant<'known>(name: &str, known: impl IntoIterator<Item = &'known str>) -> Option<&'known str> {
    let name = name.to_lowercase();
    let distances = known.into_iter().map(|known| (strsim::damerau_levenshtein(&name, &known.to_lowercase()), known));
    let near = distances.filter(|(distance, known)| *distance <= (known.chars().count() / 3).clamp(1, 2));
    near.filter(|_| name.chars().count() > 1).min_by_key(|(distance, _)| *distance).map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_json_is_told_in_words_with_its_place() {
        for (text, expected) in [
            ("", "it is empty"),
            ("{\"a\": ", "it ends where a value should come (line 1, column 6)"),
            ("[1, ", "it ends where a value should come (line 1, column 4)"),
            ("[1", "it ends in the middle of a list (line 1, column 2)"),
            ("{\"a\": 1", "it ends in the middle of an object (line 1, column 7)"),
            ("\"a", "it ends in the middle of a text (line 1, column 2)"),
            ("nothing", "of words without quotes JSON has `true`, `false` and `null` only (line 1, column 2)"),
            ("hello", "something else stands where a value belongs (line 1, column 1)"),
            ("{a: 1}", "a name must stand in double quotes (line 1, column 2)"),
            ("{\"a\" 1}", "a `:` is missing behind a name (line 1, column 6)"),
            ("{\"a\": 1\n\"b\": 2}", "a `,` or `}` is missing (line 2, column 1)"),
            ("[1,]", "there is a comma behind the last value (line 1, column 4)"),
            ("1 2", "something follows behind its end (line 1, column 3)"),
            ("1.a", "invalid number (line 1, column 3)"),
            ("\"a\nb\"", "a text has a line end or another control character in it (line 2, column 0)"),
        ] {
            let error = serde_json::from_str::<serde_json::Value>(text).unwrap_err();
            assert_eq!(json(&error), expected, "{text}");
        }
        let error = serde_json::from_str::<serde_json::Value>("{a: 1}").unwrap_err();
        assert_eq!(json_behind(&error, 6), "a name must stand in double quotes (line 7, column 2)");
    }

    #[test]
    fn what_is_wrong_with_a_value_is_told_without_words_of_programmers() {
        for (message, expected) in [
            ("invalid type: string \"hot\", expected f64", "it is the text \"hot\", and must be a number"),
            ("invalid type: string \"x\", expected a sequence", "it is the text \"x\", and must be a list"),
            ("invalid value: integer `-1`, expected u32", "it is `-1`, and must be a whole number, 0 or more"),
            ("invalid type: map, expected a string", "it is an object, and must be a text"),
            ("invalid type: null, expected a boolean", "it is null, and must be true or false"),
            ("invalid type: unit value, expected struct Head", "it is null, and must be an object"),
            ("invalid type: sequence, expected a string", "it is a list, and must be a text"),
            ("invalid type: integer `1`, expected a name or a list", "it is `1`, and must be a name or a list"),
            (
                "unknown variant `robot`, expected one of `system`, `user`, `assistant`",
                "it is `robot`, and must be `system`, `user` or `assistant`",
            ),
            ("unknown field `text`, expected `role` or `content`", "there is no key `text`, but `role` or `content`"),
            ("missing field `content`", "the key `content` is missing"),
            ("9 is not between 0 and 5", "9 is not between 0 and 5"),
        ] {
            assert_eq!(plain(message), expected);
        }
    }

    #[test]
    fn a_name_that_is_nearly_one_of_these_is_found() {
        let known = ["temp", "max_tokens", "kv", "schema"];
        for (name, expected) in [
            ("max_token", Some("max_tokens")),
            ("schemas", Some("schema")),
            ("tmep", Some("temp")),
            ("TEMP", Some("temp")),
            ("maxtokns", Some("max_tokens")),
            ("tmpe_", None),
            ("vx", None),
            ("k", None),
            ("model", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(meant(name, known), expected, "{name}");
        }
    }
}
