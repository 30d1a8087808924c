//! A known model as `models.toml` says it, without what this machine makes of it.

use serde::Deserialize;

/// One known model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The name it is installed under.
    pub name: String,
    /// What its makers call it.
    pub title: String,
    /// The hub's repository, as in `OWNER/REPO`.
    pub repository: String,
    /// The commit at which its files are what is said here; without it, the newest.
    pub revision: Option<String>,
    /// The licence, as SPDX writes it where it has a name for it.
    pub license: String,
    /// What it is good for, in a few words.
    pub good_for: String,
    /// Tokens of context in training.
    pub context: u64,
    /// Numbers in its weights.
    pub parameters: u64,
    /// Numbers that a token goes through, in a mixture of experts.
    pub active_parameters: Option<u64>,
    /// It is one of the single-board-computer study's (arXiv 2511.07425).
    #[serde(default)]
    pub in_study: bool,
    /// It thinks before it answers.
    #[serde(default)]
    pub thinks: bool,
    /// Its repository has conditions to accept.
    #[serde(default)]
    pub gated: bool,
    /// The model of this catalogue that may guess tokens for it.
    pub draft: Option<String>,
    /// The least memory of a machine to which it is offered as the first model, where it is.
    pub starter_from_memory_bytes: Option<u64>,
    /// The numbers that size its layers and its KV cache.
    pub shape: Shape,
    /// Its files, one for each quantization; the first is the usual one.
    #[serde(rename = "file")]
    pub files: Vec<File>,
}

/// The numbers that size a model's layers and its KV cache.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shape {
    pub layers: u64,
    /// Width of a token's embedding.
    pub embedding: u64,
    /// Width of the feed-forward part; of one expert in a mixture.
    pub feed_forward: u64,
    pub heads: u64,
    pub kv_heads: u64,
    /// Numbers of a key in one head, and of a value.
    pub head_dim: u64,
    /// Tokens of the vocabulary.
    pub vocabulary: u64,
    /// Its files have no output matrix beside the embeddings.
    #[serde(default)]
    pub tied: bool,
    /// Tokens that most layers look back, where they do not look back to the beginning.
    pub sliding_window: Option<u64>,
    /// Layers that look back to the beginning, where most do not.
    pub global_layers: Option<u64>,
    pub experts: Option<u64>,
    pub experts_used: Option<u64>,
}

/// One file of a known model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its quantization, such as `Q4_K_M`.
    pub quantization: String,
    /// Its name in the repository.
    pub name: String,
    /// Its size; rounded where the hub has to tell.
    pub bytes: u64,
    /// Its SHA-256 where it is known beforehand; otherwise the hub tells it.
    pub sha256: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalog {
    model: Vec<Entry>,
}

/// Reads entries as `models.toml` has them.
///
/// # Errors
/// What is wrong, in one line.
pub fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let catalog: Catalog =
        toml::from_str(text).map_err(|error| error.to_string().replace('\n', " ").trim().to_owned())?;
    match catalog.model.iter().find(|entry| entry.files.is_empty()) {
        Some(entry) => Err(format!("`{}` has no `[[model.file]]`", entry.name)),
        None => Ok(catalog.model),
    }
}
