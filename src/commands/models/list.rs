//! `tuichat models list`.

use std::path::Path;

use serde_json::{Value, json};

use super::{elsewhere, remarks, size};
use crate::commands::machine::Fit;
use crate::commands::offers::is_here;
use crate::commands::{Surroundings, aside, engines, print, print_json};
use crate::exit::Failure;
use crate::models::catalog::{self, Entry, File};
use crate::models::fit::{Anatomy, Machine};
use crate::models::{Installed, Library, gguf};
use crate::text::filled;

/// Prints the installed models; with `catalog`, all that the catalogue knows, and how each would do on this machine.
pub fn run(library: &Library, of_catalog: bool, as_json: bool, surroundings: &Surroundings) -> Result<(), Failure> {
    let installed = library.list()?;
    let borrowed = library.borrowed()?;
    if of_catalog {
        return list_catalog(&installed, as_json, surroundings);
    }
    // What is here can be asked itself: nothing is measured for a list.
    let machine = surroundings.machine();
    let fit = |path: &Path| {
        let header = gguf::read_header(path).ok()?;
        Some(surroundings.fit(&Anatomy::of_header(&header), Some(path), &machine))
    };
    let of_servers = engines::models(surroundings);
    if as_json {
        let of_others = borrowed.iter().map(|model| elsewhere::object(model, fit(&model.path)));
        let objects = installed.iter().map(|model| object(model, fit(&model.path))).chain(of_others);
        return print_json(&objects.chain(engines::objects(&of_servers)).collect::<Vec<_>>());
    }
    let mut lines = String::new();
    for model in &installed {
        let Installed { name, size_bytes, quantization, .. } = model;
        let fit = match model.path.exists() {
            true => fit(&model.path).map(|fit| fit.sentence()).unwrap_or_default(),
            false => "its file is missing".into(),
        };
        let linked = if model.is_linked() { "linked" } else { "" };
        let name = filled(name, 32);
        let line = format!("{name}  {:>9}  {quantization:<7}  {linked:<7}{fit}", size(*size_bytes));
        lines.push_str(&format!("{}\n", line.trim_end()));
    }
    for group in elsewhere::groups(&borrowed, &fit).into_iter().chain(engines::groups(&of_servers)) {
        lines.push_str(if lines.is_empty() { "" } else { "\n" });
        lines.push_str(&group);
    }
    print(&lines)?;
    let known = catalog::entries().iter().filter(|entry| !is_here(entry, &installed)).count();
    if known > 0 {
        let (begin, more) = if lines.is_empty() { ("no model is here yet; ", "") } else { ("", " more") };
        aside(
            surroundings,
            &format!(
                "{begin}{known}{more} are known: `tuichat models list --catalog` tells how they would do here, and `tuichat \
             models pull NAME` gets one"
            ),
        );
    }
    Ok(())
}

fn list_catalog(installed: &[Installed], as_json: bool, surroundings: &Surroundings) -> Result<(), Failure> {
    let of_entry = |entry: &'static Entry| entry.files.iter().map(move |file| entry.anatomy(file));
    let all: Vec<Anatomy> = catalog::entries().iter().flat_map(of_entry).collect();
    let machine = surroundings.measured_machine(&all, || {
        remarks(surroundings).note("measuring how fast this machine computes, once: some seconds");
    });
    let recommended = catalog::recommended(&machine);
    let rows = catalog::entries().iter().map(|entry| {
        let file = entry.best_file(&machine);
        let here = installed.iter().find(|model| model.name == entry.installed_name(file));
        let fit = surroundings.fit(&entry.anatomy(file), here.map(|model| model.path.as_path()), &machine);
        (entry, file, fit)
    });
    if as_json {
        let object = |(entry, file, fit): (&Entry, &File, Fit)| {
            let mut object = entry_object(entry, file, &fit, &machine, surroundings);
            object["is_recommended"] = json!(entry.name == recommended.name);
            object["is_installed"] = json!(is_here(entry, installed));
            object
        };
        return print_json(&rows.map(object).collect::<Vec<_>>());
    }
    let mut lines = String::new();
    for (entry, file, fit) in rows {
        let mark = match entry {
            _ if is_here(entry, installed) => "*",
            entry if entry.name == recommended.name => ">",
            _ => " ",
        };
        lines.push_str(&format!(
            "{mark} {:<30}  {:>8}  {:<7}  {:<32}  {}\n",
            entry.name,
            size(file.bytes),
            file.quantization,
            fit.sentence(),
            entry.good_for
        ));
    }
    print(&lines)?;
    aside(
        surroundings,
        "* is here, > is the one to begin with; `tuichat models pull NAME` gets one in the quantization shown, `NAME:Q8_0` \
         in another; `tuichat models show NAME` tells more",
    );
    Ok(())
}

/// All that is known of a model of the catalogue, `file` being the one that suits this machine.
pub(super) fn entry_object(
    entry: &Entry,
    file: &File,
    fit: &Fit,
    machine: &Machine,
    surroundings: &Surroundings,
) -> Value {
    let of_file = |each: &File| {
        json!({
            "quantization": each.quantization,
            "file": each.name,
            "size_bytes": each.bytes,
            "sha256": each.sha256,
            "fit": surroundings.fit(&entry.anatomy(each), None, machine).object(),
        })
    };
    json!({
        "name": entry.name,
        "title": entry.title,
        "repository": entry.repository,
        "revision": entry.revision,
        "license": entry.license,
        "good_for": entry.good_for,
        "parameters": entry.parameters,
        "trained_context": entry.context,
        "thinks": entry.thinks,
        "gated": entry.gated,
        "draft": entry.draft,
        "quantization": file.quantization,
        "size_bytes": file.bytes,
        "fit": fit.object(),
        "files": entry.files.iter().map(of_file).collect::<Vec<_>>(),
    })
}

fn object(model: &Installed, fit: Option<Fit>) -> Value {
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
        "fit": fit.map(|fit| fit.object()),
    })
}
