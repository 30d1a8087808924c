//! `tuichat models rm`.

use super::{remarks, size};
use crate::commands::Surroundings;
use crate::exit::Failure;
use crate::models::Library;

/// Removes an installed model, and says what that frees.
pub fn run(name: &str, library: &Library, surroundings: &Surroundings) -> Result<(), Failure> {
    let removed = library.remove(name)?;
    let sentence = match removed.linked_to {
        Some(path) => format!("`{}` is forgotten; its file stays where it is: `{}`", removed.name, path.display()),
        None => format!("`{}` is removed; {} are free again", removed.name, size(removed.freed_bytes)),
    };
    remarks(surroundings).note(&sentence);
    Ok(())
}
