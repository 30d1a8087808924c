//! Whether a model's file is still what was loaded. Weights are read from it while answers are computed, so a file that is
//! written over gives nonsense, and one that became shorter ends the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::protocol::{EngineError, LoadSettings};
use crate::models::gguf::split;
use crate::platform::{FileId, files};
use crate::text::escape_line;

/// The files of a model as they were when it was loaded.
pub struct Unchanged(Vec<(Option<Seen>, PathBuf)>);

/// What the system says of a file.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    /// Another file in its place has another one.
    file: FileId,
    bytes: u64,
    written: Option<SystemTime>,
}

impl Seen {
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self { file: files::id_of(path, &found).ok()?, bytes: found.len(), written: found.modified().ok() })
    }
}

impl Unchanged {
    /// Remembers the files of a model, and of the one that guesses for it, before they are loaded.
    pub fn since_now(settings: &LoadSettings) -> Self {
        let models = [Some(&settings.path), settings.draft.as_ref().and_then(|draft| draft.as_ref().ok())];
        let files = models.into_iter().flatten().flat_map(|model| split::files(model));
        Self(files.map(|path| (Seen::of(&path), path)).collect())
    }

    /// # Errors
    /// If one of them was written to. One that is gone, or has another in its place, is in memory and on the disk as long as
    /// it is in use.
    pub fn check(&self) -> Result<(), EngineError> {
        let is_written_over = |then: &Option<Seen>, path: &Path| {
            then.zip(Seen::of(path)).is_some_and(|(then, now)| now.file == then.file && now != then)
        };
        match self.0.iter().find(|(then, path)| is_written_over(then, path)) {
            None => Ok(()),
            Some((_, path)) => Err(EngineError::BadModel(format!(
                "{} was written to while it was in use; load it again with `/model`, or check it with `tuichat models check`",
                escape_line(&path.display().to_string())
            ))),
        }
    }
}
