//! `tuichat models list`.

use serde_json::{Value, json};

use super::{elsewhere, size};
use crate::commands::{print, print_json};
use crate::exit::Failure;
use crate::models::{Installed, Library, catalog};

/// Prints the installed models, those of other programs, and what else the catalogue knows.
pub fn run(library: &Library, as_json: bool) -> Result<(), Failure> {
    let installed = library.list()?;
    let borrowed = library.borrowed()?;
    if as_json {
        let objects: Vec<_> = installed.iter().map(object).chain(borrowed.iter().map(elsewhere::object)).collect();
        return print_json(&objects);
    }
    let mut lines = String::new();
    for model in &installed {
        let Installed { name, size_bytes, quantization, .. } = model;
        let linked = if model.is_linked() { "  linked" } else { "" };
        lines.push_str(&format!("{name:<32}  {:>9}  {quantization}{linked}\n", size(*size_bytes)));
    }
    for group in elsewhere::groups(&borrowed) {
        lines.push_str(if lines.is_empty() { "" } else { "\n" });
        lines.push_str(&group);
    }
    let known: Vec<_> =
        catalog::entries().iter().filter(|entry| !installed.iter().any(|model| model.name == entry.name)).collect();
    if !known.is_empty() {
        lines.push_str(if lines.is_empty() { "" } else { "\n" });
        lines.push_str("Not here yet; `tuichat models pull NAME` gets them:\n");
    }
    for entry in known {
        lines.push_str(&format!("{:<32}  {}\n", entry.name, entry.description));
    }
    print(&lines)
}

fn object(model: &Installed) -> Value {
    json!({
        "name": model.name,
        "path": model.path.to_string_lossy(),
        "sha256": model.sha256,
        "size_bytes": model.size_bytes,
        "quantization": model.quantization,
        "origin": model.origin,
        "owned": !model.is_linked(),
        "linked": model.is_linked(),
        "installed_at": model.installed_at,
    })
}
