//! LM Studio's folder: `OWNER/REPO/FILE.gguf`, as on the hub.

use std::path::Path;

use super::walk::{ModelFile, gguf_files, short_name};
use super::{Owner, Sighting};

const DEPTH: usize = 4;

/// Adds the models in `folder`.
pub fn find(folder: &Path, sightings: &mut Vec<Sighting>) {
    for path in gguf_files(folder, DEPTH) {
        let reference = path.strip_prefix(folder).unwrap_or(&path).to_string_lossy().into_owned();
        let mut parts = reference.split('/');
        let (owner, repo, file) = (parts.next(), parts.next(), parts.next());
        let repository = owner.zip(repo).filter(|_| file.is_some()).map(|(owner, repo)| format!("{owner}/{repo}"));
        let qualifier = owner.filter(|_| repo.is_some()).map(str::to_owned);
        let short = short_name(&path);
        let Some(file) = ModelFile::at(path) else { continue };
        sightings.push(Sighting {
            owner: Owner::LmStudio,
            short,
            qualifier,
            repository,
            reference,
            sha256: None,
            file,
        });
    }
}
