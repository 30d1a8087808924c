//! Looking for models on the hub.

use futures_util::TryStreamExt;
use hf_hub::repository::ModelInfo;

use super::{Hub, runtime};
use crate::models::ModelError;

/// A repository with GGUF files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// As in `OWNER/REPO`.
    pub repository: String,
    /// Over the last 30 days.
    pub downloads: u64,
    /// How many people like it.
    pub likes: u64,
    /// When it was last changed, as in `2026-01-31T12:00:00.000Z`, if the hub says so.
    pub updated: Option<String>,
    /// Whether its conditions must be accepted first.
    pub gated: bool,
}

impl Hub {
    /// Repositories with GGUF files that these words find, those downloaded most first, at most `limit`.
    ///
    /// # Errors
    /// If the hub cannot be asked, or answers what cannot be understood.
    pub fn search_blocking(&self, words: &str, limit: usize) -> Result<Vec<Hit>, ModelError> {
        runtime()?.block_on(self.search(words, limit))
    }

    async fn search(&self, words: &str, limit: usize) -> Result<Vec<Hit>, ModelError> {
        let client = self.metadata_client()?;
        let mut failures = 0;
        loop {
            let request = client.list_models().search(words).filter("gguf").sort("downloads").full(true).limit(limit);
            let models: Result<Vec<ModelInfo>, _> = match request.send() {
                Ok(stream) => stream.try_collect().await,
                Err(error) => Err(error),
            };
            match models {
                Ok(models) => return Ok(models.into_iter().map(hit).collect()),
                Err(error) => {
                    let error = self.classify(self.endpoint.as_str(), error);
                    self.wait_before_retry(&mut failures, error, &mut |_| {}).await?;
                }
            }
        }
    }
}

fn hit(model: ModelInfo) -> Hit {
    let gated = model.gated.is_some_and(|gated| gated != serde_json::Value::Bool(false));
    Hit {
        repository: model.id,
        downloads: model.downloads.unwrap_or(0),
        likes: model.likes.unwrap_or(0),
        updated: model.last_modified,
        gated,
    }
}
