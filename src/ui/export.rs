//! Writing a conversation to a file for others. A file that is there already is replaced only when that was asked for.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::text::cause;
use crate::text_file::at_home;

/// Why a file was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It is there already.
    Exists(PathBuf),
    Failed(String),
}

/// Writes a file and says which. Without a path, or in a folder, it gets a name that is free.
///
/// # Errors
/// If a file of that path is there and `replaces` is not set, or the disk refuses.
pub fn write(path: Option<&Path>, name: &str, text: &str, replaces: bool) -> Result<PathBuf, Refused> {
    let path = path.map(at_home);
    match path {
        Some(path) if !path.is_dir() => {
            if replaces {
                replace(&path, text).map_err(|error| failed(&path, &error))?;
                return Ok(path);
            }
            create(&path, text).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => Refused::Exists(path.clone()),
                _ => failed(&path, &error),
            })?;
            Ok(path)
        }
        folder => create_with_free_name(&folder.unwrap_or_default().join(name), text),
    }
}

fn create_with_free_name(path: &Path, text: &str) -> Result<PathBuf, Refused> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let names = std::iter::once(path.to_owned())
        .chain((2..1000).map(|number| path.with_file_name(format!("{stem}-{number}.{extension}"))));
    for path in names {
        match create(&path, text) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed(&path, &error)),
        }
    }
    Err(Refused::Exists(path.to_owned()))
}

fn create(path: &Path, text: &str) -> io::Result<()> {
    fill(OpenOptions::new().write(true).create_new(true).open(path)?, path, text)
}

fn fill(mut file: File, path: &Path, text: &str) -> io::Result<()> {
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a file must not look like a whole one.
        let _ = fs::remove_file(path);
    }
    written
}

/// The old file stays until the new one is whole.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    new.write_all(text.as_bytes())?;
    if let Ok(old) = fs::metadata(path) {
        new.as_file().set_permissions(old.permissions())?;
    }
    new.as_file().sync_all()?;
    new.persist(path).map(drop).map_err(|error| error.error)
}

fn failed(path: &Path, error: &io::Error) -> Refused {
    Refused::Failed(format!("cannot write `{}`: {}", path.display(), cause(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_replaced_only_when_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sky.md");
        assert_eq!(write(Some(&path), "x.md", "one", false), Ok(path.clone()));
        assert_eq!(write(Some(&path), "x.md", "two", false), Err(Refused::Exists(path.clone())));
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        assert_eq!(write(Some(&path), "x.md", "two", true), Ok(path.clone()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "two");
        let Err(Refused::Failed(sentence)) = write(Some(&path.join("no/such")), "x.md", "", false) else { panic!() };
        assert!(sentence.starts_with("cannot write `"), "{sentence}");
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let folder = tempfile::tempdir().unwrap();
        for expected in ["sky.html", "sky-2.html"] {
            let written = write(Some(folder.path()), "sky.html", "text", false).unwrap();
            assert_eq!(written.file_name().unwrap(), expected);
        }
    }
}
