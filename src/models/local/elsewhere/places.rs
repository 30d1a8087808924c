//! Where other programs keep their models. The environment comes in as values, so that all of it can be tested.

use std::fs;
use std::path::{Path, PathBuf};

use super::Owner;

/// Where Ollama keeps models where it runs as a service of the system.
const OLLAMA_SERVICE: &str = "/usr/share/ollama/.ollama/models";

/// The folders to look into, which need not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    folders: Vec<(Owner, PathBuf)>,
}

impl Places {
    /// Finds them as their programs do: from environment variables, the home of the person, and `named`, the folders
    /// of the setting `model_folders`.
    pub fn find(
        variable: impl Fn(&str) -> Option<PathBuf>,
        home: Option<&Path>,
        named: impl IntoIterator<Item = PathBuf>,
    ) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.as_os_str().is_empty());
        let at_home = |path: &str| home.map(|home| home.join(path));
        let mut places = Self::default();

        match variable("OLLAMA_MODELS") {
            Some(folder) => places.add(Owner::Ollama, Some(folder)),
            None => {
                places.add(Owner::Ollama, at_home(".ollama/models"));
                places.add(Owner::Ollama, Some(OLLAMA_SERVICE.into()));
            }
        }
        let homes = [home.and_then(lm_studio_home), at_home(".lmstudio"), at_home(".cache/lm-studio")];
        for home in homes.into_iter().flatten() {
            places.add(Owner::LmStudio, lm_studio_downloads(&home));
            places.add(Owner::LmStudio, Some(home.join("models")));
        }
        let cache = variable("XDG_CACHE_HOME").or_else(|| at_home(".cache"));
        let caches = if cfg!(target_os = "macos") { at_home("Library/Caches") } else { cache.clone() };
        let llama = variable("LLAMA_CACHE").or_else(|| caches.map(|caches| caches.join("llama.cpp")));
        places.add(Owner::LlamaCpp, llama);
        let hub = variable("HF_HUB_CACHE")
            .or_else(|| variable("HUGGINGFACE_HUB_CACHE"))
            .or_else(|| variable("HF_HOME").map(|home| home.join("hub")))
            .or_else(|| cache.map(|cache| cache.join("huggingface/hub")));
        places.add(Owner::HuggingFace, hub);
        for folder in named {
            let below_home = folder.strip_prefix("~").ok().and_then(|rest| Some(home?.join(rest)));
            places.add(Owner::Folder, Some(below_home.unwrap_or(folder)));
        }
        places
    }

    fn add(&mut self, owner: Owner, folder: Option<PathBuf>) {
        let Some(folder) = folder else { return };
        if !self.folders.iter().any(|(_, known)| *known == folder) {
            self.folders.push((owner, folder));
        }
    }

    /// Whose folders they are, and where.
    pub fn folders(&self) -> impl Iterator<Item = (Owner, &Path)> {
        self.folders.iter().map(|(owner, folder)| (*owner, folder.as_path()))
    }
}

/// LM Studio's home where a file in the person's home says that it was moved.
fn lm_studio_home(home: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(home.join(".lmstudio-home-pointer")).ok()?;
    let first = text.lines().next()?.trim();
    (!first.is_empty()).then(|| home.join(first))
}

/// Where LM Studio puts models, where its settings name another folder.
fn lm_studio_downloads(home: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(home.join("settings.json")).ok()?;
    let settings: serde_json::Value = serde_json::from_str(&text).ok()?;
    let folder = settings.get("downloadsFolder")?.as_str().filter(|folder| !folder.is_empty())?;
    Some(home.join(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(set: &[(&str, &str)], home: &Path, named: &[&str]) -> Vec<(Owner, String)> {
        let variable = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        let places = Places::find(variable, Some(home), named.iter().map(PathBuf::from));
        places.folders().map(|(owner, folder)| (owner, folder.to_string_lossy().into_owned())).collect()
    }

    #[cfg(not(target_os = "macos"))]
    #[test]
    fn without_variables_everything_is_below_home() {
        let expected = [
            (Owner::Ollama, "/home/me/.ollama/models"),
            (Owner::Ollama, OLLAMA_SERVICE),
            (Owner::LmStudio, "/home/me/.lmstudio/models"),
            (Owner::LmStudio, "/home/me/.cache/lm-studio/models"),
            (Owner::LlamaCpp, "/home/me/.cache/llama.cpp"),
            (Owner::HuggingFace, "/home/me/.cache/huggingface/hub"),
            (Owner::Folder, "/home/me/gguf"),
            (Owner::Folder, "/mnt/models"),
        ];
        let found = folders(&[("OLLAMA_MODELS", "")], Path::new("/home/me"), &["~/gguf", "/mnt/models"]);
        assert_eq!(found, expected.map(|(owner, folder)| (owner, folder.to_owned())));
    }

    #[test]
    fn variables_move_each_program_as_they_do_for_itself() {
        let of = |set: &[(&str, &str)], owner| {
            let found = folders(set, Path::new("/home/me"), &[]);
            found.into_iter().filter(|(one, _)| *one == owner).map(|(_, folder)| folder).collect::<Vec<_>>()
        };
        assert_eq!(of(&[("OLLAMA_MODELS", "/o")], Owner::Ollama), ["/o"]);
        assert_eq!(of(&[("LLAMA_CACHE", "/l")], Owner::LlamaCpp), ["/l"]);
        let hub = |set: &[(&str, &str)]| of(set, Owner::HuggingFace).concat();
        assert_eq!(hub(&[("XDG_CACHE_HOME", "/c")]), "/c/huggingface/hub");
        assert_eq!(hub(&[("XDG_CACHE_HOME", "/c"), ("HF_HOME", "/h")]), "/h/hub");
        assert_eq!(hub(&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/hub")]), "/hub");
        assert_eq!(hub(&[("HUGGINGFACE_HUB_CACHE", "/hub"), ("HF_HUB_CACHE", "/new")]), "/new");
    }

    #[test]
    fn lm_studio_may_have_moved_its_home_and_its_downloads() {
        let home = tempfile::tempdir().expect("a temporary folder");
        fs::write(home.path().join(".lmstudio-home-pointer"), "/moved\n").expect("written");
        fs::create_dir(home.path().join(".lmstudio")).expect("made");
        fs::write(home.path().join(".lmstudio/settings.json"), r#"{"downloadsFolder": "/big/disk"}"#).expect("written");
        let found = folders(&[], home.path(), &[]);
        let moved: Vec<_> = found.iter().filter(|(owner, _)| *owner == Owner::LmStudio).map(|(_, at)| at).collect();
        assert_eq!(moved[..2], ["/moved/models", "/big/disk"]);
        assert_eq!(moved.len(), 4);
    }
}
