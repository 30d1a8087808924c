//! From what `--model` was given to a file.

use std::path::{Path, PathBuf};

use super::library::{Installed, Library, Origin};
use crate::models::gguf::split::PartName;
use crate::models::hub::{Reference, Wanted};
use crate::models::{ModelError, catalog};
use crate::text::escape_line;

/// Shorter words are no commits but names.
const SHORT_COMMIT: usize = 7;

/// A file to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What to call it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its SHA-256 if it is installed; otherwise [`crate::models::identity::sha256_of`] computes it.
    pub sha256: Option<String>,
}

impl From<Installed> for Found {
    fn from(model: Installed) -> Self {
        Self { name: model.name, path: model.path, sha256: Some(model.sha256) }
    }
}

impl Library {
    /// Finds the model that an argument means: the name of an installed model (in any case, or as much of it as
    /// tells it from the others), a path, or `hf:OWNER/REPO[@REVISION][:QUANT|/FILE]` if it was pulled before. Without
    /// an argument: the model used last, else the first of those installed.
    ///
    /// # Errors
    /// If nothing or more than one model is meant; the sentence says what to type.
    pub fn resolve(&self, argument: Option<&str>) -> Result<Found, ModelError> {
        match argument {
            None => self.usual().map(Found::from),
            Some(reference) if reference.starts_with("hf:") => self.pulled(reference).map(Found::from),
            Some(path) if looks_like_path(path) => at_path(Path::new(path)),
            Some(name) => match self.find(name) {
                Err(_) if Path::new(name).is_file() => at_path(Path::new(name)),
                other => other.map(Found::from),
            },
        }
    }

    /// The installed model that this name, in any case or shortened, means.
    ///
    /// # Errors
    /// If it means none or several.
    pub fn find(&self, name: &str) -> Result<Installed, ModelError> {
        let models = self.list()?;
        let wanted = name.to_lowercase();
        let exact = models.iter().find(|model| model.name == name);
        let exact = exact.or_else(|| only(models.iter().filter(|model| model.name.to_lowercase() == wanted)));
        if let Some(model) = exact {
            return Ok(model.clone());
        }
        let candidates: Vec<_> = models
            .iter()
            .filter(|model| !wanted.is_empty() && model.name.to_lowercase().starts_with(&wanted))
            .collect();
        let shown = escape_line(name);
        match candidates.as_slice() {
            [model] => Ok((*model).clone()),
            [] if models.is_empty() => Err(ModelError::NotFound(format!(
                "no model named `{shown}`: none is installed; get one with `tuichat models pull{}`",
                catalogue_name(name)
            ))),
            [] => Err(ModelError::NotFound(format!(
                "no model named `{shown}`; installed: {}; get another with `tuichat models pull{}`",
                names(models.iter()),
                catalogue_name(name)
            ))),
            several => Err(ModelError::NotFound(format!(
                "`{shown}` could be {}; type more of the name",
                names(several.iter().copied())
            ))),
        }
    }

    fn usual(&self) -> Result<Installed, ModelError> {
        let models = self.list()?;
        let last_used = self.last_used();
        let usual = models.iter().find(|model| Some(&model.name) == last_used.as_ref()).or(models.first());
        usual.cloned().ok_or_else(|| {
            ModelError::NotFound(
                "no model is installed; get one with `tuichat models pull`, or name a file with `--model PATH`".into(),
            )
        })
    }

    fn pulled(&self, text: &str) -> Result<Installed, ModelError> {
        let reference = Reference::parse(text)?;
        let models = self.of_repository(&reference.repository)?;
        let of_revision = |model: &Installed| match (&reference.revision, &model.origin) {
            (None, _) => true,
            (Some(wanted), Origin::Hub { commit, revision, .. }) => {
                let is_short_commit = wanted.len() >= SHORT_COMMIT && commit.starts_with(wanted.as_str());
                revision.as_ref() == Some(wanted) || is_short_commit
            }
            (Some(_), Origin::File { .. }) => false,
        };
        let matching = models.into_iter().filter(of_revision);
        let mut matching = matching.filter(|model| match (&reference.wanted, &model.origin) {
            (Wanted::Any, _) => true,
            (Wanted::Quantization(wanted), _) => model.quantization.eq_ignore_ascii_case(wanted),
            (Wanted::File(wanted), Origin::Hub { file, .. }) => {
                // Any file of a split model means all of it.
                let first = PartName::parse(wanted).map(|name| name.other(1));
                first.as_ref().unwrap_or(wanted) == file
            }
            (Wanted::File(_), Origin::File { .. }) => false,
        });
        matching.next().ok_or_else(|| {
            ModelError::NotFound(format!(
                "`{reference}` is not on this machine; get it with `tuichat models pull {reference}`"
            ))
        })
    }
}

/// What to type behind `pull` for a model of this name: nothing for one that the catalogue does not have.
fn catalogue_name(name: &str) -> String {
    catalog::by_name(name).map(|entry| format!(" {}", entry.name)).unwrap_or_default()
}

fn looks_like_path(argument: &str) -> bool {
    argument.contains(std::path::MAIN_SEPARATOR) || argument.to_lowercase().ends_with(".gguf")
}

fn at_path(path: &Path) -> Result<Found, ModelError> {
    if path.exists() && !path.is_file() {
        return Err(ModelError::BadArgument(format!(
            "`{}` is no file but a folder or a device; name a GGUF file",
            escape_line(&path.display().to_string())
        )));
    }
    if !path.is_file() {
        return Err(ModelError::NotFound(format!(
            "there is no file `{}`; `tuichat models list` shows the installed models",
            escape_line(&path.display().to_string())
        )));
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    Ok(Found { name: escape_line(&stem), path: path.to_owned(), sha256: None })
}

fn only<'a>(mut models: impl Iterator<Item = &'a Installed>) -> Option<&'a Installed> {
    let first = models.next();
    models.next().is_none().then_some(first).flatten()
}

fn names<'a>(models: impl Iterator<Item = &'a Installed>) -> String {
    models.map(|model| format!("`{}`", model.name)).collect::<Vec<_>>().join(", ")
}
