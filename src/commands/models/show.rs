//! `tuichat models show`: a model that is here, by its header, or one of the catalogue; and how it does on this machine.

use serde_json::{Value, json};

use super::{list, remarks, size};
use crate::commands::machine::Fit;
use crate::commands::{Surroundings, print, print_json};
use crate::exit::Failure;
use crate::models::catalog::{self, Entry};
use crate::models::fit::{Anatomy, Machine, USUAL};
use crate::models::gguf::{self, Header};
use crate::models::hub::{Hub, Reference, RemoteHeader};
use crate::models::{Found, Library, ModelError};
use crate::text::{self, parameters};

/// What a line takes up for its name.
const NAME_WIDTH: usize = 18;
/// A usual connection, for the time of a download: 50 Mbit/s.
const USUAL_BYTES_PER_SECOND: f64 = 50e6 / 8.0;

/// Prints what is known of the model that was typed.
pub fn run(typed: &str, library: &Library, as_json: bool, surroundings: &Surroundings) -> Result<(), Failure> {
    match (library.resolve(Some(typed)), catalog::by_argument(typed)) {
        (Ok(found), _) => show_file(&found, as_json, surroundings),
        (Err(_), _) if typed.starts_with("hf:") => show_remote(typed, as_json, surroundings),
        (Err(_), Some((entry, _))) => show_entry(entry, as_json, surroundings),
        (Err(error), None) => Err(error.into()),
    }
}

/// Prints the chat template of a model.
pub fn template(model: &Found) -> Result<(), Failure> {
    match header(model)?.chat_template() {
        Some(template) => print(&format!("{}\n", template.trim_end())),
        None => Err(Failure::error(format!("`{}` has no chat template, so it only goes on with a text", model.name))),
    }
}

fn show_file(model: &Found, as_json: bool, surroundings: &Surroundings) -> Result<(), Failure> {
    let header = header(model)?;
    let anatomy = Anatomy::of_header(&header);
    let mut machine = surroundings.machine();
    let mut fit = surroundings.fit(&anatomy, Some(&model.path), &machine);
    // Nothing has to be measured for a model that was seen at work.
    if !fit.is_measured {
        machine = measured(surroundings, std::slice::from_ref(&anatomy));
        fit = surroundings.fit(&anatomy, Some(&model.path), &machine);
    }
    let mut object = details(model, &header);
    if as_json {
        object["fit"] = fit.object();
        return print_json(&object);
    }
    print(&format!("{}{}", lines_of(&object), lines_of_fit(&fit, &anatomy, &machine)))
}

/// A file of the hub, by its header alone.
fn show_remote(typed: &str, as_json: bool, surroundings: &Surroundings) -> Result<(), Failure> {
    let reference = Reference::parse(typed)?;
    if surroundings.config.offline {
        let sentence = format!("`{reference}` is not on this machine, and `offline` is set");
        return Err(Failure::from(ModelError::Network(sentence)).hint("take it back with `--offline=no`"));
    }
    let RemoteHeader { place, commit, sha256, header } = Hub::from_environment()?.header_blocking(&reference)?;
    let anatomy = Anatomy::of_header(&header);
    let machine = measured(surroundings, std::slice::from_ref(&anatomy));
    let fit = surroundings.fit(&anatomy, None, &machine);
    let mut object = details_of(&place, &header);
    object["commit"] = json!(commit);
    object["sha256"] = json!(sha256);
    object["is_installed"] = json!(false);
    if as_json {
        object["fit"] = fit.object();
        return print_json(&object);
    }
    let seconds = header.file_bytes as f64 / USUAL_BYTES_PER_SECOND;
    print(&format!(
        "{}{}\nIt is not here. `tuichat models pull {reference}` gets it: {}, {} at 50 Mbit/s.\n",
        lines_of(&object),
        lines_of_fit(&fit, &anatomy, &machine),
        size(header.file_bytes),
        duration(seconds)
    ))
}

fn show_entry(entry: &Entry, as_json: bool, surroundings: &Surroundings) -> Result<(), Failure> {
    let anatomies: Vec<Anatomy> = entry.files.iter().map(|file| entry.anatomy(file)).collect();
    let machine = measured(surroundings, &anatomies);
    let best = entry.best_file(&machine);
    let anatomy = entry.anatomy(best);
    let fit = surroundings.fit(&anatomy, None, &machine);
    if as_json {
        let mut object = list::entry_object(entry, best, &fit, &machine, surroundings);
        object["is_installed"] = json!(false);
        return print_json(&object);
    }
    let mut lines = lines_of(&json!({
        "name": entry.name,
        "title": entry.title,
        "good_for": entry.good_for,
        "repository": entry.repository,
        "license": entry.license,
        "parameters": entry.parameters,
        "trained_context": entry.context,
        "draft": entry.draft.as_deref().unwrap_or("none"),
    }));
    lines.push_str(&lines_of_fit(&fit, &anatomy, &machine));
    lines.push_str("\nIt is not here. Its files, and how each would do on this machine:\n");
    for file in &entry.files {
        let fit = surroundings.fit(&entry.anatomy(file), None, &machine);
        let mark = if file == best { ">" } else { " " };
        let seconds = file.bytes as f64 / USUAL_BYTES_PER_SECOND;
        let time = format!("{} at 50 Mbit/s", duration(seconds));
        lines.push_str(&format!(
            "{mark} {:<8} {:>9}  {time:<21}  {}\n",
            file.quantization,
            size(file.bytes),
            fit.sentence()
        ));
    }
    lines.push_str(&format!("\n`tuichat models pull {}` gets the one marked with `>`.\n", entry.name));
    print(&lines)
}

fn measured(surroundings: &Surroundings, models: &[Anatomy]) -> Machine {
    surroundings.measured_machine(models, || {
        remarks(surroundings).note("measuring how fast this machine computes, once: some seconds");
    })
}

fn lines_of(object: &Value) -> String {
    let line = |(key, value): (&String, &Value)| {
        let value = match (key.as_str(), value) {
            ("size_bytes", Value::Number(bytes)) => size(bytes.as_u64().unwrap_or_default()),
            ("parameters", Value::Number(count)) => parameters(count.as_u64().unwrap_or_default()),
            (_, Value::String(text)) => text::escape_line(text),
            (_, Value::Null) => "not known".into(),
            (_, Value::Bool(is_so)) => if *is_so { "yes" } else { "no" }.into(),
            (_, other) => other.to_string(),
        };
        let name = key.trim_end_matches("_bytes").replace('_', " ");
        format!("{name:<NAME_WIDTH$}{value}\n")
    };
    object.as_object().into_iter().flatten().map(line).collect()
}

fn lines_of_fit(fit: &Fit, anatomy: &Anatomy, machine: &Machine) -> String {
    let mut lines = format!("{:<NAME_WIDTH$}{}\n", "on this machine", fit.sentence());
    if let Some(prefill) = fit.speed.and_then(|speed| speed.prefill) {
        lines.push_str(&format!("{:<NAME_WIDTH$}{prefill:.0} tok/s\n", "reads prompts at"));
    }
    for (curve, request) in fit.curve.iter().flat_map(|curve| USUAL.iter().map(move |request| (curve, request))) {
        let (first, whole) = curve.of(request);
        lines.push_str(&format!(
            "{:<NAME_WIDTH$}{first:.1} s to the first token, {whole:.0} s to the last ({} tokens and {})\n",
            request.name, request.prompt, request.written
        ));
    }
    for (context, bytes) in &fit.memory {
        let needs = anatomy.needs(*context, machine);
        lines.push_str(&format!(
            "{:<NAME_WIDTH$}{} with {context} tokens of context ({} weights, {} of them copied for the processor, {} \
             cache, {} else)\n",
            "memory",
            size(*bytes),
            size(needs.weights),
            size(needs.repacked),
            size(needs.kv),
            size(needs.working)
        ));
    }
    lines
}

fn duration(seconds: f64) -> String {
    match seconds {
        ..90.0 => format!("{seconds:.0} s"),
        ..5400.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

fn header(model: &Found) -> Result<Header, ModelError> {
    let path = model.path.clone();
    gguf::read_header(&path).map_err(|source| ModelError::BadFile { path, source })
}

fn details(model: &Found, header: &Header) -> Value {
    let mut object = json!({
        "name": model.name,
        "path": model.path.to_string_lossy(),
        "sha256": model.sha256,
    });
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), details_of(&model.name, header)) {
        object.extend(more);
    }
    object
}

fn details_of(name: &str, header: &Header) -> Value {
    json!({
        "name": name,
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
