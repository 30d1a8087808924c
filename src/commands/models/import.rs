//! `tuichat models import`.

use std::path::Path;

use super::{make_private, remarks, tell_name, with_progress};
use crate::commands::{Surroundings, print};
use crate::exit::Failure;
use crate::models::{Import, Library};

/// Takes a model, or all of a folder, and prints the names they have afterwards.
pub fn run(file: &Path, how: Import, library: &Library, surroundings: &Surroundings) -> Result<(), Failure> {
    make_private(&surroundings.directories.models)?;
    if !file.is_dir() {
        let installed = with_progress(surroundings, |listener| library.import(file, how, listener))?;
        return tell_name(&installed.name, surroundings);
    }
    let outcomes = with_progress(surroundings, |listener| library.import_folder(file, how, listener))?;
    let mut refused = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(installed) => print(&format!("{}\n", installed.name))?,
            Err(error) => refused.push(error),
        }
    }
    let Some(last) = refused.pop() else { return Ok(()) };
    let mut remarks = remarks(surroundings);
    for error in refused {
        remarks.warning(&error.to_string());
    }
    Err(last.into())
}
