//! The models that tuichat knows by name: `assets/models.toml`, built into the program.

use std::sync::LazyLock;

use serde::Deserialize;

const CATALOG: &str = include_str!("../../assets/models.toml");

/// One known model file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name it is installed under.
    pub name: String,
    /// The hub's repository, as in `OWNER/REPO`.
    pub repository: String,
    /// The file in that repository.
    pub file: String,
    /// The file's SHA-256 where it is known beforehand; otherwise the hub tells it.
    pub sha256: Option<String>,
    /// The file's size where it is known beforehand.
    pub size_bytes: Option<u64>,
    /// The least memory of a machine to which it is offered as the first model.
    pub starter_from_memory_bytes: u64,
    /// The model of this catalogue that guesses tokens for it, where that was seen to be faster.
    pub draft: Option<String>,
    /// What it is, in a few words.
    pub description: String,
}

#[derive(Deserialize)]
struct Catalog {
    model: Vec<Entry>,
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    let catalog: Catalog = toml::from_str(CATALOG).expect("assets/models.toml is part of the program and tested");
    catalog.model
});

/// All known models, the most demanding first.
pub fn entries() -> &'static [Entry] {
    &ENTRIES
}

/// The model that is installed under this name, whatever its case.
pub fn by_name(name: &str) -> Option<&'static Entry> {
    entries().iter().find(|entry| entry.name.eq_ignore_ascii_case(name))
}

/// The model with this content.
pub fn by_sha256(sha256: &str) -> Option<&'static Entry> {
    entries().iter().find(|entry| entry.sha256.as_deref() == Some(sha256))
}

/// The model with this place on the hub.
pub fn by_file(repository: &str, file: &str) -> Option<&'static Entry> {
    entries().iter().find(|entry| entry.repository.eq_ignore_ascii_case(repository) && entry.file == file)
}

/// The model to begin with on a machine with this much memory.
pub fn starter(total_memory_bytes: u64) -> &'static Entry {
    let smallest = &entries()[entries().len() - 1];
    entries().iter().find(|entry| entry.starter_from_memory_bytes <= total_memory_bytes).unwrap_or(smallest)
}

/// The model with the least bytes to download, as far as they are known beforehand.
pub fn smallest() -> &'static Entry {
    let last = &entries()[entries().len() - 1];
    let sized = entries().iter().filter_map(|entry| Some((entry.size_bytes?, entry)));
    sized.min_by_key(|(bytes, _)| *bytes).map_or(last, |(_, entry)| entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{hub::Reference, identity::is_sha256, local::name};

    const GIB: u64 = 1 << 30;

    #[test]
    fn the_catalogue_is_well_formed() {
        let catalog: Catalog = toml::from_str(CATALOG).expect("assets/models.toml is valid");
        assert_eq!(catalog.model.len(), entries().len());
        for entry in entries() {
            assert!(name::check(&entry.name).is_ok(), "{}", entry.name);
            assert!(Reference::parse(&format!("hf:{}/{}", entry.repository, entry.file)).is_ok(), "{}", entry.name);
            assert!(entry.draft.as_deref().is_none_or(|name| by_name(name).is_some()), "{}", entry.name);
            assert!(entry.sha256.as_deref().is_none_or(is_sha256), "{}", entry.name);
        }
        assert!(entries().is_sorted_by(|one, next| one.starter_from_memory_bytes >= next.starter_from_memory_bytes));
    }

    #[test]
    fn the_first_model_depends_on_memory() {
        assert_eq!(starter(16 * GIB).name, "qwen2.5-1.5b-instruct");
        assert_eq!(starter(2 * GIB).name, "qwen2.5-0.5b-instruct");
        assert_eq!(starter(0).name, "smollm2-135m-instruct");
    }

    #[test]
    fn where_nobody_chooses_the_least_is_downloaded() {
        assert_eq!(smallest().name, "smollm2-135m-instruct");
    }
}
