//! The cache of the Hugging Face hub's tools: `models--OWNER--REPO/snapshots/COMMIT/FILE`, links into `blobs/HASH`.
//! `refs/main` says which commit is the newest that was fetched. Of a file as large as a model the blob's name is its
//! SHA-256.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use super::walk::{ModelFile, gguf_files, id_at, names_in, short_name};
use super::{Owner, Sighting};
use crate::sha256::is_sha256;

/// Folders inside a repository.
const DEPTH: usize = 3;

/// Adds the models in `folder`.
pub fn find(folder: &Path, sightings: &mut Vec<Sighting>) {
    for name in names_in(folder) {
        let Some(repository) = name.strip_prefix("models--").map(|rest| rest.replace("--", "/")) else { continue };
        add_repository(&folder.join(&name), &repository, sightings);
    }
}

/// Of a file that is in several commits, the newest counts, as far as that is known.
fn add_repository(folder: &Path, repository: &str, sightings: &mut Vec<Sighting>) {
    let newest = fs::read_to_string(folder.join("refs/main")).unwrap_or_default();
    let mut commits = names_in(&folder.join("snapshots"));
    commits.sort_by_key(|commit| commit != newest.trim());
    let mut seen = HashSet::new();
    for commit in commits {
        let snapshot = folder.join("snapshots").join(commit);
        for path in gguf_files(&snapshot, DEPTH) {
            let file = path.strip_prefix(&snapshot).unwrap_or(&path).to_string_lossy().into_owned();
            let Some(model) = ModelFile::at(path) else { continue };
            if !seen.insert(file.clone()) {
                continue;
            }
            sightings.push(Sighting {
                owner: Owner::HuggingFace,
                short: short_name(&model.path),
                qualifier: repository.split_once('/').map(|(owner, _)| owner.to_owned()),
                repository: Some(repository.to_owned()),
                reference: format!("{repository}/{file}"),
                sha256: sha256(&model),
                file: model,
            });
        }
    }
}

/// The hash that the name of the blob tells.
fn sha256(model: &ModelFile) -> Option<String> {
    let blob = fs::canonicalize(&model.path).ok()?;
    let is_blob = blob.parent()?.file_name()? == "blobs" && id_at(&blob) == Some(model.id);
    blob.file_name()?.to_str().filter(|name| is_blob && is_sha256(name)).map(str::to_owned)
}
