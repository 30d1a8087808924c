//! `tuichat models check`.

use super::with_progress;
use crate::commands::{Surroundings, print};
use crate::exit::Failure;
use crate::models::{Found, Library};

/// Reads a whole model, and prints the hash of each of its files, as `sha256sum` does.
pub fn run(model: Found, surroundings: &Surroundings) -> Result<(), Failure> {
    let Found { path, sha256, .. } = model;
    let checked = with_progress(surroundings, |listener| Library::check(&path, sha256.as_deref(), listener))?;
    let lines = checked.files.iter().map(|(file, sha256)| format!("{sha256}  {}\n", file.display()));
    print(&lines.collect::<String>())
}
