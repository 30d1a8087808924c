//! From what `--model` was given to a file.

use std::path::{Path, PathBuf};

use super::elsewhere::{Borrowed, Owner, fold};
use super::library::{Installed, Library, Origin};
use crate::models::gguf::split::PartName;
use crate::models::hub::{Reference, Wanted, has_quantization};
use crate::models::{ModelError, catalog};
use crate::text::escape_line;

/// Shorter words are no commits but names.
const SHORT_COMMIT: usize = 7;
/// A sentence lists so many models of others, and counts more.
const LISTED_MAX: usize = 12;

/// A file to load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What to call it.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its SHA-256 if it is installed, or its place tells it; otherwise [`crate::models::identity::sha256_of`] computes it.
    pub sha256: Option<String>,
}

impl From<Installed> for Found {
    fn from(model: Installed) -> Self {
        Self { name: model.name, path: model.path, sha256: Some(model.sha256) }
    }
}

impl From<Borrowed> for Found {
    fn from(model: Borrowed) -> Self {
        Self { name: model.name, path: model.path, sha256: model.sha256 }
    }
}

impl Found {
    /// Whether [`Library::remember_used`] takes its name: it is installed, or another program's; a path has none.
    pub fn has_lasting_name(&self) -> bool {
        self.sha256.is_some() || Owner::of_name(&self.name).is_some()
    }
}

impl Library {
    /// Finds the model that an argument means: the name of an installed model (in any case, or as much of it as
    /// tells it from the others), that of another program's model (with or without the owner before it), a path, or
    /// `hf:OWNER/REPO[@REVISION][:QUANT|/FILE]` if it is on this machine. Without an argument: the model used last, else the
    /// first of those installed, else the first of another program.
    ///
    /// # Errors
    /// If nothing or more than one model is meant, the sentence says what to type; if a linked file changed.
    pub fn resolve(&self, argument: Option<&str>) -> Result<Found, ModelError> {
        match argument {
            None => self.usual(),
            Some(reference) if reference.starts_with("hf:") => self.pulled(reference),
            Some(path) if looks_like_path(path) && !is_borrowed_name(path) => at_path(Path::new(path)),
            Some(name) => match self.named(name) {
                Err(ModelError::NotFound(_)) if Path::new(name).is_file() => at_path(Path::new(name)),
                other => other,
            },
        }
    }

    /// The installed model that this name, in any case or shortened, means.
    ///
    /// # Errors
    /// If it means none or several.
    pub fn find(&self, name: &str) -> Result<Installed, ModelError> {
        let models = self.list()?;
        match exact(&models, name) {
            Some(model) => Ok(model.clone()),
            None => one_of(beginning_with(&models, name), name)?.cloned().ok_or_else(|| nothing(name, &models, &[])),
        }
    }

    /// Refuses the name of a model that another program keeps, and says how to be rid of it.
    pub(super) fn check_is_ours(&self, name: &str) -> Result<(), ModelError> {
        let installed = self.list()?;
        if exact(&installed, name).is_some() {
            return Ok(());
        }
        let folded = fold(name);
        let Some(model) = self.elsewhere().look().into_iter().find(|model| model.is_named(&folded)) else {
            return Ok(());
        };
        Err(ModelError::BadArgument(format!(
            "`{}` is kept by {}, and tuichat removes only what it installed; {}",
            model.name,
            model.owner.title(),
            model.how_to_remove()
        )))
    }

    /// What a name means: a whole name before the beginning of one, and what is installed before what is not.
    fn named(&self, name: &str) -> Result<Found, ModelError> {
        let installed = self.list()?;
        if let Some(model) = exact(&installed, name) {
            return model.clone().usable().map(Found::from);
        }
        let (borrowed, folded) = (self.elsewhere().look(), fold(name));
        let whole: Vec<_> = borrowed.iter().filter(|model| model.is_named(&folded)).collect();
        if let Some(model) = one_of(whole, name)? {
            return Ok(model.clone().into());
        }
        if let Some(model) = one_of(beginning_with(&installed, name), name)? {
            return model.clone().usable().map(Found::from);
        }
        let beginnings: Vec<_> = borrowed.iter().filter(|model| model.begins_with(&folded)).collect();
        match one_of(beginnings, name)? {
            Some(model) => Ok(model.clone().into()),
            None => Err(nothing(name, &installed, &borrowed)),
        }
    }

    fn usual(&self) -> Result<Found, ModelError> {
        let models = self.list()?;
        let last_used = self.last_used().unwrap_or_default();
        let is_last_used = |name: &String| *name == last_used;
        if let Some(model) = models.iter().find(|model| is_last_used(&model.name)) {
            return model.clone().usable().map(Found::from);
        }
        let is_borrowed = Owner::of_name(&last_used).is_some();
        let mut borrowed = if is_borrowed { self.elsewhere().look() } else { Vec::new() };
        let is_same = |model: &Borrowed| is_last_used(&model.name) || model.aliases.iter().any(is_last_used);
        if let Some(at) = borrowed.iter().position(is_same) {
            return Ok(borrowed.swap_remove(at).into());
        }
        if let Some(model) = models.iter().find_map(|model| model.clone().usable().ok()) {
            return Ok(model.into());
        }
        let mut borrowed = self.elsewhere().list();
        let first = borrowed.iter().position(|model| model.has_template).unwrap_or(0);
        if first < borrowed.len() {
            return Ok(borrowed.swap_remove(first).into());
        }
        match models.into_iter().next() {
            Some(broken) => broken.usable().map(Found::from),
            None => Err(ModelError::NotFound(
                "no model is installed; get one with `tuichat models pull`, or name a file with `--model PATH`".into(),
            )),
        }
    }

    fn pulled(&self, text: &str) -> Result<Found, ModelError> {
        let reference = Reference::parse(text)?;
        let models = self.of_repository(&reference.repository)?;
        let of_revision = |model: &Installed| match (&reference.revision, &model.origin) {
            (None, _) => true,
            (Some(wanted), Origin::Hub { commit, revision, .. }) => {
                let is_short_commit = wanted.len() >= SHORT_COMMIT && commit.starts_with(wanted.as_str());
                revision.as_ref() == Some(wanted) || is_short_commit
            }
            (Some(_), Origin::File { .. } | Origin::Archive { .. }) => false,
        };
        let mut matching: Vec<Installed> = models.into_iter().filter(of_revision).collect();
        // First as it was chosen on the hub, by the file's name; the header may say otherwise.
        if let Wanted::Quantization(wanted) = &reference.wanted {
            let is_named =
                |it: &Installed| matches!(&it.origin, Origin::Hub { file, .. } if has_quantization(file, wanted));
            matching.sort_by_key(|model| !is_named(model));
        }
        let mut matching = matching.into_iter().filter(|model| match (&reference.wanted, &model.origin) {
            (Wanted::Any, _) => true,
            (Wanted::Quantization(wanted), Origin::Hub { file, .. }) if has_quantization(file, wanted) => true,
            (Wanted::Quantization(wanted), _) => model.quantization.eq_ignore_ascii_case(wanted),
            (Wanted::File(wanted), Origin::Hub { file, .. }) => {
                // Any file of a split model means all of it.
                let first = PartName::parse(wanted).map(|name| name.other(1));
                first.as_ref().unwrap_or(wanted) == file
            }
            (Wanted::File(_), Origin::File { .. } | Origin::Archive { .. }) => false,
        });
        if let Some(model) = matching.next() {
            return model.usable().map(Found::from);
        }
        let mut borrowed = self.elsewhere().list().into_iter().filter(|model| {
            let repository = model.repository.as_deref().unwrap_or_default();
            repository.eq_ignore_ascii_case(&reference.repository)
                && match &reference.wanted {
                    Wanted::Any => true,
                    Wanted::Quantization(wanted) => {
                        let file = model.path.file_name().unwrap_or_default().to_string_lossy();
                        has_quantization(&file, wanted) || model.quantization.eq_ignore_ascii_case(wanted)
                    }
                    Wanted::File(wanted) => model.path.ends_with(wanted),
                }
        });
        borrowed.next().map(Found::from).ok_or_else(|| {
            ModelError::NotFound(format!(
                "`{reference}` is not on this machine; get it with `tuichat models pull {reference}`"
            ))
        })
    }
}

/// What both kinds of models are called.
trait Named {
    fn name(&self) -> &str;
}

impl Named for Installed {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for Borrowed {
    fn name(&self) -> &str {
        &self.name
    }
}

/// The model of this whole name, in this case or else in any.
fn exact<'a>(models: &'a [Installed], name: &str) -> Option<&'a Installed> {
    let of_name = models.iter().find(|model| model.name == name);
    of_name.or_else(|| only(models.iter().filter(|model| model.name.to_lowercase() == name.to_lowercase())))
}

fn beginning_with<'a>(models: &'a [Installed], name: &str) -> Vec<&'a Installed> {
    let wanted = name.to_lowercase();
    models.iter().filter(|model| !wanted.is_empty() && model.name.to_lowercase().starts_with(&wanted)).collect()
}

/// The one, if there is one.
///
/// # Errors
/// If there are several.
fn one_of<'a, T: Named>(models: Vec<&'a T>, name: &str) -> Result<Option<&'a T>, ModelError> {
    match models.as_slice() {
        [] => Ok(None),
        [model] => Ok(Some(*model)),
        several => Err(ModelError::NotFound(format!(
            "`{}` could be {}; type more of the name",
            escape_line(name),
            names(several)
        ))),
    }
}

/// That a name means nothing, and what there is.
fn nothing(name: &str, installed: &[Installed], borrowed: &[Borrowed]) -> ModelError {
    let shown = escape_line(name);
    let pull = catalogue_name(name);
    let kept = match borrowed.len() {
        0 => String::new(),
        1..=LISTED_MAX => format!(" kept by other programs: {};", names(&borrowed.iter().collect::<Vec<_>>())),
        many => format!(" other programs keep {many}, see `tuichat models list`;"),
    };
    ModelError::NotFound(match installed {
        [] => format!("no model named `{shown}`: none is installed;{kept} get one with `tuichat models pull{pull}`"),
        _ => format!(
            "no model named `{shown}`; installed: {};{kept} get another with `tuichat models pull{pull}`",
            names(&installed.iter().collect::<Vec<_>>())
        ),
    })
}

/// What to type behind `pull` for a model of this name: nothing for one that the catalogue does not have.
fn catalogue_name(name: &str) -> String {
    catalog::by_name(name).map(|entry| format!(" {}", entry.name)).unwrap_or_default()
}

/// Whether an argument is meant as a path and not as a name.
pub fn looks_like_path(argument: &str) -> bool {
    argument.contains(std::path::MAIN_SEPARATOR) || argument.to_lowercase().ends_with(".gguf")
}

/// Whether an argument with a `/` in it is meant as a name: it begins with an owner, and is no file.
fn is_borrowed_name(argument: &str) -> bool {
    let is_file_name = argument.to_lowercase().ends_with(".gguf");
    Owner::of_name(argument).is_some() && !is_file_name && !Path::new(argument).exists()
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

fn names<T: Named>(models: &[&T]) -> String {
    models.iter().map(|model| format!("`{}`", model.name())).collect::<Vec<_>>().join(", ")
}
