//! Models that other programs keep on this machine. They are used where they are: nothing here is ever written,
//! moved or removed.
//!
//! ```text
//! places         which folders: from the environment's values, the home and the settings
//! ollama, lm_studio, llama_cpp, hugging_face, folder      one layout each: from a folder to sightings
//! walk           bounded walking; whether a file is a model's
//! names          from sightings to names that tell them apart
//! ```
//!
//! Looking around happens in two steps, because a name is wanted more often than a list. [`Elsewhere::look`] opens
//! each file for its first four bytes; [`Elsewhere::list`] also reads the headers, and remembers what they say.

mod folder;
mod hugging_face;
mod llama_cpp;
mod lm_studio;
mod names;
mod ollama;
mod places;
mod walk;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(super) use names::fold;
pub use places::Places;
pub use walk::shell_word;
pub(super) use walk::{ModelFile, gguf_files};

use crate::models::gguf::{Header, read_header};
use crate::models::identity::{Facts, Stamp};
use crate::platform::FileId;

/// Who keeps a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// Ollama.
    Ollama,
    /// LM Studio.
    LmStudio,
    /// llama.cpp's own downloads, as it kept them before it took to the hub's cache.
    LlamaCpp,
    /// The cache that the tools of the Hugging Face hub share, newer versions of llama.cpp among them.
    HuggingFace,
    /// A folder that the setting `model_folders` names.
    Folder,
}

impl Owner {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 5] = [Self::Ollama, Self::LmStudio, Self::LlamaCpp, Self::HuggingFace, Self::Folder];

    /// What the names of its models begin with, before a `/`.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Ollama => "ollama",
            Self::LmStudio => "lmstudio",
            Self::LlamaCpp => "llama.cpp",
            Self::HuggingFace => "hf",
            Self::Folder => "folder",
        }
    }

    /// What people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Ollama => "Ollama",
            Self::LmStudio => "LM Studio",
            Self::LlamaCpp => "llama.cpp",
            Self::HuggingFace => "the Hugging Face cache",
            Self::Folder => "your folders",
        }
    }

    /// Whose model a name means, if it begins as such a name does.
    pub fn of_name(name: &str) -> Option<Self> {
        let (prefix, _) = name.split_once(['/', ':'])?;
        Self::ALL.into_iter().find(|owner| owner.prefix().eq_ignore_ascii_case(prefix))
    }
}

/// A model of another program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Borrowed {
    /// The name that `--model` takes: `ollama/qwen2.5-0.5b`.
    pub name: String,
    /// Other names that mean the same file.
    pub aliases: Vec<String>,
    /// Who keeps it.
    pub owner: Owner,
    /// What its owner calls it: `qwen2.5:0.5b`, `OWNER/REPO/FILE.gguf`, or the path in the folder.
    pub reference: String,
    /// The repository of the hub that it is from, as in `OWNER/REPO`, where the layout tells it.
    pub repository: Option<String>,
    /// Where its file is, or the first of its files.
    pub path: PathBuf,
    /// The size of all of its files.
    pub size_bytes: u64,
    /// The SHA-256 of its content where the layout tells it.
    pub sha256: Option<String>,
    /// Its quantization, such as `Q4_K_M`; empty before the header was read.
    pub quantization: String,
    /// Whether it brings a chat template; false before the header was read.
    pub has_template: bool,
    file: FileId,
}

impl Borrowed {
    /// Whose it is and what it is called there, as JSON.
    pub fn origin(&self) -> serde_json::Value {
        serde_json::json!({ "from": self.owner, "reference": self.reference })
    }

    /// Whether this is the content with this hash, or the file that `path` names.
    pub fn is_content_of(&self, sha256: &str, path: &Path) -> bool {
        self.sha256.as_deref() == Some(sha256) || walk::id_at(path) == Some(self.file)
    }

    /// What to do to be rid of it, as the end of a sentence.
    pub fn how_to_remove(&self) -> String {
        let by_hand = || format!("`rm {}` removes the file", walk::shell_word(&self.path.to_string_lossy()));
        match self.owner {
            Owner::Ollama => format!("`ollama rm {}` removes it", walk::shell_word(&self.reference)),
            Owner::LmStudio => format!("remove it in LM Studio under My Models, or {}", by_hand()),
            Owner::HuggingFace => match &self.repository {
                Some(repository) => {
                    format!("`hf cache rm {}` removes it", walk::shell_word(&format!("model/{repository}")))
                }
                None => by_hand(),
            },
            Owner::LlamaCpp | Owner::Folder => by_hand(),
        }
    }

    /// Whether this name, folded by [`names::fold`], is one of its whole names.
    pub(super) fn is_named(&self, folded: &str) -> bool {
        self.folded_names().any(|name| name == folded)
    }

    /// Whether one of its names begins like this.
    pub(super) fn begins_with(&self, folded: &str) -> bool {
        !folded.is_empty() && self.folded_names().any(|name| name.starts_with(folded))
    }

    /// Its names with what they begin with and without.
    fn folded_names(&self) -> impl Iterator<Item = String> {
        let whole = self.aliases.iter().chain([&self.name]);
        let parts = whole.clone().filter_map(|name| name.split_once('/')).map(|(_, rest)| rest);
        whole.map(String::as_str).chain(parts).chain([self.reference.as_str()]).map(names::fold)
    }
}

/// A model file as a layout tells of it.
#[derive(Clone, Debug)]
struct Sighting {
    owner: Owner,
    /// A short name, not yet made of the letters that names have.
    short: String,
    /// What tells it from others of this short name: the repository's owner, or a folder.
    qualifier: Option<String>,
    reference: String,
    repository: Option<String>,
    sha256: Option<String>,
    file: walk::ModelFile,
}

/// What a header says, as it is remembered.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Fact {
    Model { quantization: String, has_template: bool },
    Refused(String),
}

/// The models of other programs.
#[derive(Clone, Debug, Default)]
pub struct Elsewhere {
    places: Places,
    facts_file: Option<PathBuf>,
}

impl Elsewhere {
    /// Those in these places. What their headers say is remembered in `facts_file`, if there is one.
    pub fn new(places: Places, facts_file: Option<PathBuf>) -> Self {
        Self { places, facts_file }
    }

    /// All that look like models, by owner and name, without what only their headers tell. What cannot be read is
    /// left out.
    pub fn look(&self) -> Vec<Borrowed> {
        let mut sightings = Vec::new();
        for (owner, folder) in self.places.folders() {
            let before = sightings.len();
            match owner {
                Owner::Ollama => ollama::find(folder, &mut sightings),
                Owner::LmStudio => lm_studio::find(folder, &mut sightings),
                Owner::LlamaCpp => llama_cpp::find(folder, &mut sightings),
                Owner::HuggingFace => hugging_face::find(folder, &mut sightings),
                Owner::Folder => folder::find(folder, &mut sightings),
            }
            tracing::debug!(folder = %folder.display(), models = sightings.len() - before, "looked for models");
        }
        merge(names::name(sightings))
    }

    /// All that can be loaded, with what their headers say.
    pub fn list(&self) -> Vec<Borrowed> {
        let mut facts = Facts::open(self.facts_file.as_deref());
        let mut models = self.look();
        models.retain_mut(|model| describe(model, &mut facts));
        facts.save();
        models
    }
}

/// Makes one model of several names for one file: the first, with the others beside it.
fn merge(named: Vec<(String, Sighting)>) -> Vec<Borrowed> {
    let mut models: Vec<Borrowed> = Vec::new();
    let mut known: HashMap<FileId, usize> = HashMap::new();
    for (name, sighting) in named {
        let file = sighting.file.id;
        if let Some(&at) = known.get(&file) {
            let model = &mut models[at];
            model.sha256 = model.sha256.take().or(sighting.sha256);
            model.repository = model.repository.take().or(sighting.repository);
            model.aliases.push(name);
            continue;
        }
        known.insert(file, models.len());
        let Sighting { owner, reference, repository, sha256, file: walk::ModelFile { path, size_bytes, id }, .. } =
            sighting;
        let (aliases, quantization, has_template) = (Vec::new(), String::new(), false);
        models.push(Borrowed {
            name,
            aliases,
            owner,
            reference,
            repository,
            path,
            size_bytes,
            sha256,
            quantization,
            has_template,
            file: id,
        });
    }
    models
}

/// Fills in what the header says. False if the file cannot be loaded.
fn describe(model: &mut Borrowed, facts: &mut Facts) -> bool {
    let Ok(stamp) = Stamp::at(&model.path) else { return false };
    let remembered = facts.get(&stamp).and_then(|fact| serde_json::from_str(fact).ok());
    let fact = remembered.unwrap_or_else(|| {
        let fact = read_fact(&model.path);
        if let Ok(text) = serde_json::to_string(&fact) {
            facts.put(stamp, text);
        }
        fact
    });
    match fact {
        Fact::Model { quantization, has_template } => {
            (model.quantization, model.has_template) = (quantization, has_template);
            true
        }
        Fact::Refused(reason) => {
            tracing::debug!(model = model.name, path = %model.path.display(), reason, "a model is left out");
            false
        }
    }
}

fn read_fact(path: &Path) -> Fact {
    match read_header(path) {
        Ok(header) if only_embeds(&header) => Fact::Refused("it makes embeddings, not text".into()),
        Ok(header) => {
            Fact::Model { quantization: header.quantization(), has_template: header.chat_template().is_some() }
        }
        Err(error) => Fact::Refused(error.to_string()),
    }
}

/// Whether the model is an encoder, such as `bert` or `nomic-bert`, which cannot be talked to.
fn only_embeds(header: &Header) -> bool {
    header.architecture().contains("bert")
}

#[cfg(test)]
mod tests;
