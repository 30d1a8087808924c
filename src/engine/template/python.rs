//! What templates expect of Jinja beyond the language itself: functions and filters as Python has them.

use jiff::Zoned;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind};
use serde::Serialize;

/// Puts them all into an environment.
pub fn add_to(environment: &mut Environment<'_>) {
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("strftime_now", |format: &str| strftime(format, &Zoned::now()));
    environment.add_filter("tojson", to_json);
    // minijinja iterates over none, Python does not.
    environment.add_test("iterable", |value: &Value| !value.is_none() && value.try_iter().is_ok());
}

/// The source without `generation` blocks: they mark what is trained on and mean nothing here.
pub fn without_generation_tags(source: &str) -> String {
    let mut cleaned = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else { break };
        let end = start + length + 2;
        let word = rest[start + 2..end - 2].trim_matches(['-', '+']).trim();
        cleaned.push_str(&rest[..start]);
        if word != "generation" && word != "endgeneration" {
            cleaned.push_str(&rest[start..end]);
        }
        rest = &rest[end..];
    }
    cleaned + rest
}

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// Has the template believe that it is this time.
pub fn set_clock(environment: &mut Environment<'_>, now: Zoned) {
    environment.add_function("strftime_now", move |format: &str| strftime(format, &now));
}

fn strftime(format: &str, now: &Zoned) -> Result<String, Error> {
    jiff::fmt::strtime::format(format, now).map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

/// `tojson` as the templates' authors know it: Python's `json.dumps(…, ensure_ascii=False)`, a space after `:` and `,`,
/// and nothing escaped for HTML.
fn to_json(value: Value, options: Kwargs) -> Result<String, Error> {
    let wrong = |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, error.to_string());
    let indent: Option<usize> = options.get("indent")?;
    let mut bytes = Vec::new();
    match indent {
        Some(width) => {
            let spaces = " ".repeat(width.min(16));
            let formatter = serde_json::ser::PrettyFormatter::with_indent(spaces.as_bytes());
            value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter)).map_err(wrong)?;
        }
        None => value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, Spaced)).map_err(wrong)?,
    }
    String::from_utf8(bytes).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

/// JSON on one line with a space after each comma and colon.
struct Spaced;

impl serde_json::ser::Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, first: bool) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(&mut self, writer: &mut W) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}
