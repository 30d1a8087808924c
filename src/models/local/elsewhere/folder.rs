//! A folder that a person named: GGUF files in it and in the folders below.

use std::path::Path;

use super::walk::{ModelFile, gguf_files, short_name};
use super::{Owner, Sighting};

const DEPTH: usize = 5;

/// Adds the models in `folder`.
pub fn find(folder: &Path, sightings: &mut Vec<Sighting>) {
    for path in gguf_files(folder, DEPTH) {
        let reference = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
        let above = path.parent().and_then(Path::file_name);
        let qualifier = above.map(|name| name.to_string_lossy().into_owned());
        let short = short_name(&path);
        let Some(file) = ModelFile::at(path) else { continue };
        let owner = Owner::Folder;
        sightings.push(Sighting { owner, short, qualifier, repository: None, reference, sha256: None, file });
    }
}
