//! The models of other programs as `tuichat models list` shows them.

use std::path::Path;

use serde_json::{Value, json};

use super::size;
use crate::commands::machine::Fit;
use crate::models::{Borrowed, Owner};
use crate::text::{escape_line, filled};

/// A text for each owner that keeps models: a heading, and a line for each model.
pub fn groups(models: &[Borrowed], fit: &dyn Fn(&Path) -> Option<Fit>) -> Vec<String> {
    let of_owner = |owner| models.iter().filter(move |model| model.owner == owner);
    let owners = Owner::ALL.into_iter().filter(|owner| of_owner(*owner).next().is_some());
    let home = std::env::home_dir();
    let group = |owner: Owner| {
        let lines = of_owner(owner).map(|model| {
            let path = match home.as_ref().and_then(|home| model.path.strip_prefix(home).ok()) {
                Some(below) => format!("~/{}", below.display()),
                None => model.path.display().to_string(),
            };
            let (name, size, path) = (filled(&model.name, 32), size(model.size_bytes), escape_line(&path));
            let fit = fit(&model.path).map(|fit| fit.sentence()).unwrap_or_default();
            format!("{name}  {size:>9}  {:<7}  {fit:<28}  {path}\n", model.quantization)
        });
        format!("From {}, used in place:\n{}", owner.title(), lines.collect::<String>())
    };
    owners.map(group).collect()
}

/// One of them as JSON.
pub fn object(model: &Borrowed, fit: Option<Fit>) -> Value {
    json!({
        "name": model.name,
        "path": model.path.to_string_lossy(),
        "sha256": model.sha256,
        "size_bytes": model.size_bytes,
        "quantization": model.quantization,
        "origin": model.origin(),
        "owned": false,
        "linked": false,
        "installed_at": null,
        "aliases": model.aliases,
        "fit": fit.map(|fit| fit.object()),
    })
}
