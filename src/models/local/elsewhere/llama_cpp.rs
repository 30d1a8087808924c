//! The cache of older versions of llama.cpp: files in one folder, `OWNER_REPO_FILE.gguf`. Which part of such a name
//! is the repository's is told by the `manifest=OWNER=REPO=TAG.json` beside them, where there is one.

use std::path::Path;

use super::walk::{ModelFile, gguf_files, names_in, short_name};
use super::{Owner, Sighting};

/// Adds the models in `folder`.
pub fn find(folder: &Path, sightings: &mut Vec<Sighting>) {
    let repositories = repositories(folder);
    for path in gguf_files(folder, 0) {
        let reference = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = short_name(&path);
        let known = repositories.iter().find_map(|(owner, repo)| {
            let rest = name.strip_prefix(&format!("{owner}_{repo}_"))?;
            Some((owner, format!("{owner}/{repo}"), rest.to_owned()))
        });
        let Some(file) = ModelFile::at(path) else { continue };
        let (qualifier, repository, short) = match known {
            Some((owner, repository, rest)) => (Some(owner.clone()), Some(repository), rest),
            None => (None, None, name),
        };
        sightings.push(Sighting {
            owner: Owner::LlamaCpp,
            short,
            qualifier,
            repository,
            reference,
            sha256: None,
            file,
        });
    }
}

/// The repositories that the manifests name, the longest names first: `a_b` and `c` are not to be taken for `a` and
/// `b_c`.
fn repositories(folder: &Path) -> Vec<(String, String)> {
    let names = names_in(folder).into_iter().filter_map(|name| {
        let mut parts = name.strip_prefix("manifest=")?.split('=');
        Some((parts.next()?.to_owned(), parts.next()?.to_owned()))
    });
    let mut repositories: Vec<_> = names.collect();
    repositories.dedup();
    repositories.sort_by_key(|(owner, repo)| std::cmp::Reverse(owner.len() + repo.len()));
    repositories
}
