//! `tuichat models export`.

use std::path::Path;

use super::{remarks, size, with_progress};
use crate::commands::{Surroundings, print};
use crate::exit::Failure;
use crate::models::Library;

/// Writes models into a folder, and prints the files.
pub fn run(names: &[String], folder: &Path, library: &Library, surroundings: &Surroundings) -> Result<(), Failure> {
    let models = names.iter().map(|name| library.resolve(Some(name))).collect::<Result<Vec<_>, _>>()?;
    let mut bytes = 0;
    for model in &models {
        let exported = with_progress(surroundings, |listener| library.export(model, folder, listener))?;
        bytes += exported.size_bytes;
        print(&format!("{}\n", exported.file.display()))?;
    }
    remarks(surroundings).note(&format!(
        "{} are in `{}`; take the folder to the other machine and type `tuichat models import FOLDER` there",
        size(bytes),
        folder.display()
    ));
    Ok(())
}
