//! `tuichat models show`.

use serde_json::{Value, json};

use crate::commands::{print, print_json};
use crate::exit::Failure;
use crate::models::gguf::{self, Header};
use crate::models::{Found, ModelError};
use crate::text;

/// Prints what the header of a model says.
pub fn run(model: &Found, as_json: bool) -> Result<(), Failure> {
    let header = header(model)?;
    let object = details(model, &header);
    if as_json {
        return print_json(&object);
    }
    let lines = object.as_object().into_iter().flatten().map(|(key, value)| {
        let value = match value {
            Value::String(text) => text::escape_line(text),
            Value::Null => "not known".into(),
            other => other.to_string(),
        };
        format!("{:<16}  {value}\n", key.replace('_', " "))
    });
    print(&lines.collect::<String>())
}

/// Prints the chat template of a model.
pub fn template(model: &Found) -> Result<(), Failure> {
    match header(model)?.chat_template() {
        Some(template) => print(&format!("{}\n", template.trim_end())),
        None => Err(Failure::error(format!("`{}` has no chat template; it only goes on with a text", model.name))),
    }
}

fn header(model: &Found) -> Result<Header, ModelError> {
    let path = model.path.clone();
    gguf::read_header(&path).map_err(|source| ModelError::BadFile { path, source })
}

fn details(model: &Found, header: &Header) -> Value {
    json!({
        "name": model.name,
        "path": model.path.to_string_lossy(),
        "sha256": model.sha256,
        "size_bytes": header.file_bytes,
        "title": header.name(),
        "architecture": header.architecture(),
        "quantization": header.quantization(),
        "parameters": header.parameter_count(),
        "trained_context": header.context_length(),
        "layers": header.block_count(),
        "has_template": header.chat_template().is_some(),
    })
}
