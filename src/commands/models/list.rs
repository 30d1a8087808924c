//! `tuichat models list`.

use serde_json::{Value, json};

use super::size;
use crate::commands::{print, print_json};
use crate::exit::Failure;
use crate::models::{Installed, Library, catalog};

/// Prints the installed models, and what else the catalogue knows.
pub fn run(library: &Library, as_json: bool) -> Result<(), Failure> {
    let installed = library.list()?;
    if as_json {
        return print_json(&installed.iter().map(object).collect::<Vec<_>>());
    }
    let mut lines = String::new();
    for model in &installed {
        let Installed { name, size_bytes, quantization, .. } = model;
        lines.push_str(&format!("{name:<32}  {:>9}  {quantization}\n", size(*size_bytes)));
    }
    let known: Vec<_> =
        catalog::entries().iter().filter(|entry| !installed.iter().any(|model| model.name == entry.name)).collect();
    if !known.is_empty() {
        lines.push_str(if installed.is_empty() { "" } else { "\n" });
        lines.push_str("Not here yet; `tuichat models pull NAME` gets them:\n");
    }
    for entry in known {
        lines.push_str(&format!("{:<32}  {}\n", entry.name, entry.good_for));
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
        "installed_at": model.installed_at,
    })
}
