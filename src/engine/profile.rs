//! What was found to be the fastest with a model, kept for its file and these cores: threads, and where `tuichat bench
//! --tune` looked further, how many tokens are computed at once, the format of the KV cache, and whether guessing pays.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::kv::{self, KvTypes};
use super::protocol::LoadSettings;
use super::worker::BATCH;
use crate::hardware::cores::{self, Cpu, Crew, Crews};
use crate::models::identity;

/// Where a value of the profile is from, for reasons in words.
pub const SOURCE: &str = "`tuichat bench --tune`";
/// Fewer tokens at once than this are no batch.
const LEAST_BATCH: u32 = 32;

/// How a model is computed the fastest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// `None` if that was not found out.
    #[serde(flatten)]
    pub crews: Option<Crews>,
    /// Tokens of a prompt that are computed at once; `None` for the usual number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<u32>,
    /// The format of the KV cache where there is room for any; `None` for the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<KvTypes>,
    /// Whether guessing tokens can save time; `None` if that was not found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guesses: Option<bool>,
}

impl Profile {
    /// Only threads were looked for.
    pub fn of(crews: Crews) -> Self {
        Self { crews: Some(crews), ..Self::default() }
    }

    /// Tokens at once that memory was planned for: what is kept in a file may be anything.
    pub fn batch(&self) -> u32 {
        self.batch.filter(|batch| (LEAST_BATCH..=BATCH).contains(batch)).unwrap_or(BATCH)
    }

    /// What it is, for people: `2 threads for answers and 4 for prompts, 256 tokens at once, a KV cache in q8_0`.
    pub fn words(&self) -> String {
        let crew = |crew: Crew| match crew.cores.is_empty() {
            true => crew.threads.to_string(),
            false => format!("{} on cores {}", crew.threads, crew.cores),
        };
        let threads = self.crews.map(|crews| match (crew(crews.decode), crew(crews.prefill)) {
            (decode, prefill) if decode == prefill => format!("threads: {decode}"),
            (decode, prefill) => format!("threads: {decode} for answers, {prefill} for prompts"),
        });
        let mut parts: Vec<String> = threads.into_iter().collect();
        parts.extend(self.batch.map(|_| format!("{} tokens at once", self.batch())));
        parts.extend(self.types.map(|types| format!("a KV cache in {types}")));
        parts.extend(self.guesses.map(|guesses| if guesses { "guessing" } else { "no guessing" }.to_owned()));
        parts.join("; ")
    }

    /// Guessing was found to save no time here.
    pub fn advises_against_guesses(&self) -> bool {
        self.guesses == Some(false)
    }
}

/// What is kept of the model that these settings load, if it runs there.
pub fn recall(settings: &LoadSettings, backend: &str) -> Option<Profile> {
    let notes =
        Notes { path: &settings.path, file: settings.tuning.file.as_deref(), backend, cpu: cores::this_machine() };
    notes.recall()
}

/// What is remembered of a model.
#[derive(Debug)]
pub struct Notes<'a> {
    /// The model's file.
    pub path: &'a Path,
    /// Where it is remembered, if it is.
    pub file: Option<&'a Path>,
    /// What the model runs on.
    pub backend: &'a str,
    pub cpu: &'a Cpu,
}

impl Notes<'_> {
    /// What was found before under the same conditions.
    pub fn recall(&self) -> Option<Profile> {
        self.remembered().remove(&self.conditions())
    }

    pub fn remember(&self, profile: Profile) {
        let Some(file) = self.file else { return };
        let mut known = self.remembered();
        known.retain(|conditions, _| conditions.starts_with(&kv::version()));
        known.insert(self.conditions(), profile);
        if let Ok(fact) = serde_json::to_string(&known) {
            identity::remember(self.path, file, &fact);
        }
    }

    fn remembered(&self) -> BTreeMap<String, Profile> {
        let fact = self.file.and_then(|file| identity::recall(self.path, file));
        fact.and_then(|fact| serde_json::from_str(&fact).ok()).unwrap_or_default()
    }

    fn conditions(&self) -> String {
        format!("{}, {}, {}", kv::version(), self.backend, self.cpu.conditions())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::kv::KvType;

    #[test]
    fn what_was_found_is_remembered_for_the_file_and_these_cores_only() {
        let folder = tempfile::tempdir().unwrap();
        let (path, file) = (folder.path().join("m.gguf"), folder.path().join("threads.json"));
        std::fs::write(&path, "weights").unwrap();
        let cpu = Cpu { quota: Some(1.5), ..Cpu::default() };
        let notes = Notes { path: &path, file: Some(&file), backend: "CPU", cpu: &cpu };
        let crews = Crews { decode: Crew { threads: 4, cores: (4..8).collect() }, prefill: Crew::anywhere(8) };
        let types = Some(KvTypes::both(KvType::Q8));
        let profile = Profile { crews: Some(crews), batch: Some(128), types, guesses: Some(false) };
        assert_eq!(
            profile.words(),
            "threads: 4 on cores 4-7 for answers, 8 for prompts; 128 tokens at once; a KV cache in q8_0; no guessing"
        );
        assert_eq!(Profile::of(Crews::anywhere(2)).words(), "threads: 2");
        assert_eq!(notes.recall(), None);
        notes.remember(profile);
        assert_eq!(notes.recall(), Some(profile));
        assert_eq!(Notes { backend: "Vulkan", ..notes }.recall(), None);
        assert_eq!(Notes { path: &path, file: Some(&file), backend: "CPU", cpu: &Cpu::default() }.recall(), None);
        std::fs::write(&path, "other weights").unwrap();
        assert_eq!(Notes { path: &path, file: Some(&file), backend: "CPU", cpu: &cpu }.recall(), None);
    }

    #[test]
    fn what_only_knows_threads_is_read_and_leaves_the_rest_as_usual() {
        let crews = Crews::anywhere(3);
        let old = serde_json::to_string(&crews).unwrap();
        let read: Profile = serde_json::from_str(&old).unwrap();
        assert_eq!((read, read.batch(), read.advises_against_guesses()), (Profile::of(crews), BATCH, false));
        assert_eq!(serde_json::to_string(&read).unwrap(), old);
        let without = Profile { batch: Some(256), ..Profile::default() };
        let text = serde_json::to_string(&without).unwrap();
        assert_eq!((text.as_str(), serde_json::from_str(&text).ok()), (r#"{"batch":256}"#, Some(without)));
        assert_eq!(without.words(), "256 tokens at once");
    }

    #[test]
    fn more_tokens_at_once_than_memory_is_planned_for_are_not_believed() {
        let batch = |batch| Profile { batch: Some(batch), ..Profile::of(Crews::anywhere(1)) }.batch();
        assert_eq!([0, 1, 128, 256, 512, 513, u32::MAX].map(batch), [512, 512, 128, 256, 512, 512, 512]);
    }
}
