//! `tuichat models check`.

use super::with_progress;
use crate::commands::{Surroundings, print};
use crate::exit::Failure;
use crate::models::{Found, Library};

/// Reads a whole file, and prints its hash.
pub fn run(model: Found, surroundings: &Surroundings) -> Result<(), Failure> {
    let Found { path, sha256, .. } = model;
    let checked = with_progress(surroundings, |listener| Library::check(&path, sha256.as_deref(), listener))?;
    print(&format!("{}  {}\n", checked.sha256, path.display()))
}
