//! Where tuichat's files are: where the system keeps such files, or all below `TUICHAT_HOME` (for tests, for a
//! memory stick).

use std::path::{Path, PathBuf};

use directories::ProjectDirs;

use crate::exit::Failure;
use crate::text::cause;

/// The folders. None of them need exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directories {
    pub config: PathBuf,
    pub data: PathBuf,
    pub models: PathBuf,
    pub cache: PathBuf,
    pub logs: PathBuf,
}

impl Directories {
    /// Finds the folders; `home` is the value of `TUICHAT_HOME`.
    ///
    /// # Errors
    /// If there is neither that nor a home directory.
    pub fn find(home: Option<PathBuf>) -> Result<Self, Failure> {
        if let Some(home) = home.filter(|home| !home.as_os_str().is_empty()) {
            let home = std::path::absolute(&home)
                .map_err(|error| Failure::usage(format!("`TUICHAT_HOME` is no usable folder: {}", cause(&error))))?;
            return Ok(Self {
                config: home.join("config"),
                data: home.join("data"),
                models: home.join("models"),
                cache: home.join("cache"),
                logs: home.join("logs"),
            });
        }
        let project = ProjectDirs::from("", "", "tuichat").ok_or_else(|| {
            Failure::error("there is no home directory to keep chats and models in")
                .hint("set the environment variable `TUICHAT_HOME` to a folder")
        })?;
        Ok(Self {
            config: project.config_dir().to_owned(),
            data: project.data_dir().to_owned(),
            models: project.data_dir().join("models"),
            cache: project.cache_dir().to_owned(),
            // Logs are state where the system knows such a thing; elsewhere they lie beside the chats.
            logs: project.state_dir().unwrap_or(project.data_dir()).join("logs"),
        })
    }

    /// # Errors
    /// If the value of `TUICHAT_HOME` is no folder and can become none.
    pub fn check_home(home: &Path) -> Result<(), Failure> {
        match home.ancestors().find(|path| path.exists()).filter(|path| !path.is_dir()) {
            None => Ok(()),
            Some(file) => {
                let (home, file) = (home.display(), file.display());
                Err(Failure::usage(format!("`TUICHAT_HOME` cannot be `{home}`: `{file}` is no folder"))
                    .hint("set it to a folder, which need not be there, or `unset TUICHAT_HOME`"))
            }
        }
    }

    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// The person's texts, by their names.
    pub fn prompts(&self) -> PathBuf {
        self.config.join("prompts")
    }

    /// The person's own themes, by their names.
    pub fn themes(&self) -> PathBuf {
        self.config.join("themes")
    }

    pub fn chats_file(&self) -> PathBuf {
        self.data.join("chats.db")
    }

    /// Pictures of the clipboard that were attached to messages.
    pub fn pictures(&self) -> PathBuf {
        self.data.join("pictures")
    }

    /// The theme that was chosen last.
    pub fn theme_file(&self) -> PathBuf {
        self.data.join("theme")
    }

    /// What was measured.
    pub fn runs(&self) -> PathBuf {
        self.data.join("bench")
    }

    /// What was computed of chats.
    pub fn snapshots(&self) -> PathBuf {
        self.cache.join("kv")
    }

    pub fn log_file(&self) -> PathBuf {
        self.logs.join("tuichat.log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_variable_moves_everything() {
        let directories = Directories::find(Some("/stick".into())).unwrap();
        for path in [directories.config_file(), directories.chats_file(), directories.models, directories.cache] {
            assert!(path.starts_with("/stick"), "{}", path.display());
        }
        assert!(directories.logs.starts_with("/stick"));
    }

    #[test]
    fn a_home_that_is_a_file_is_told_with_the_variable() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for home in [file.path().to_owned(), file.path().join("below")] {
            let failure = Directories::check_home(&home).unwrap_err();
            assert_eq!(failure.exit.code(), 2);
            let sentence =
                format!("`TUICHAT_HOME` cannot be `{}`: `{}` is no folder", home.display(), file.path().display());
            assert_eq!(failure.message, sentence);
        }
        assert_eq!(Directories::check_home(&std::env::temp_dir().join("not there/yet")), Ok(()));
    }

    #[test]
    fn a_relative_home_does_not_move_with_the_working_directory() {
        assert!(Directories::find(Some("stick".into())).unwrap().data.is_absolute());
    }
}
