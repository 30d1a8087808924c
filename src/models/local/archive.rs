//! Models in zip archives; Python wheels are such, too. The names in an archive are only ever shown and compared:
//! nothing is written to where they say.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::models::error::{DiskContext, ModelError};
use crate::models::gguf::GgufError;
use crate::models::hub::is_model_name;
use crate::text::escape_line;

/// What a zip archive with something in it begins with.
const MAGIC: &[u8; 4] = b"PK\x03\x04";
const LISTED_MAX: usize = 20;

/// An open archive.
pub struct Archive {
    path: PathBuf,
    zip: ZipArchive<File>,
}

/// A model in an archive.
pub struct Member<'a> {
    /// Its name, as the archive spells it.
    pub name: String,
    /// Its size when it is unpacked, as the archive tells it.
    pub size_bytes: u64,
    index: usize,
    archive: &'a mut Archive,
}

impl Archive {
    /// The archive at `path`; `None` if the file is something else, or cannot be read.
    ///
    /// # Errors
    /// If it is a damaged archive.
    pub fn open(path: &Path) -> Result<Option<Self>, ModelError> {
        let mut magic = [0; 4];
        let is_file = path.is_file();
        let Some(mut file) = is_file.then(|| File::open(path).ok()).flatten() else { return Ok(None) };
        if file.read_exact(&mut magic).is_err() || &magic != MAGIC {
            return Ok(None);
        }
        let zip = ZipArchive::new(file).map_err(|error| refused(path, "", &error))?;
        Ok(Some(Self { path: path.to_owned(), zip }))
    }

    /// The model in it: the `wanted` one, or the only one.
    ///
    /// # Errors
    /// If there is none or there are several, or it cannot be unpacked.
    pub fn member(&mut self, wanted: Option<&str>) -> Result<Member<'_>, ModelError> {
        let models = self.models()?;
        let shown = escape_line(&self.path.to_string_lossy());
        let chosen: Vec<_> = models.iter().filter(|(_, name)| wanted.is_none_or(|it| it == name)).collect();
        let (index, name) = match chosen.as_slice() {
            [(index, name)] => (*index, name.clone()),
            [] if models.is_empty() => {
                return Err(ModelError::NotFound(format!("`{shown}` holds no GGUF file")));
            }
            [] => {
                return Err(ModelError::NotFound(format!(
                    "`{shown}` holds no model `{}`; it holds {}",
                    escape_line(wanted.unwrap_or_default()),
                    listed(&models)
                )));
            }
            several => {
                return Err(ModelError::BadArgument(format!(
                    "`{shown}` holds {} models: {}; name one with `--member`",
                    several.len(),
                    listed(&models)
                )));
            }
        };
        let entry = self.zip.by_index_raw(index).map_err(|error| refused(&self.path, &name, &error))?;
        let (is_encrypted, size_bytes) = (entry.encrypted(), entry.size());
        drop(entry);
        if is_encrypted {
            return Err(ModelError::BadArgument(format!(
                "`{}` in `{shown}` is encrypted; unpack it and import the file",
                escape_line(&name)
            )));
        }
        Ok(Member { name, size_bytes, index, archive: self })
    }

    /// The entries that are named as models are.
    fn models(&mut self) -> Result<Vec<(usize, String)>, ModelError> {
        let names: Result<Vec<_>, _> = self.zip.file_names().map(|name| name.map(|name| name.into_owned())).collect();
        let names = names.map_err(|error| refused(&self.path, "", &error))?;
        Ok(names.into_iter().enumerate().filter(|(_, name)| is_model_name(name)).collect())
    }
}

impl Member<'_> {
    /// Its bytes: no more than one beyond its size, whatever the archive holds.
    pub fn bytes(&mut self) -> Result<impl Read, ModelError> {
        let path = self.archive.path.clone();
        let entry = self.archive.zip.by_index(self.index).map_err(|error| refused(&path, &self.name, &error))?;
        Ok(entry.take(self.size_bytes.saturating_add(1)))
    }
}

/// What a file in an archive is called. Its name may begin with a `/`, which counts for nothing.
pub fn inside(archive: &Path, member: &str) -> PathBuf {
    archive.join(member.trim_start_matches('/'))
}

fn refused(path: &Path, member: &str, error: &ZipError) -> ModelError {
    let path = if member.is_empty() { path.to_owned() } else { inside(path, member) };
    match error {
        ZipError::Io(error) if error.raw_os_error().is_some() => {
            let source = io::Error::new(error.kind(), error.to_string());
            Err::<(), _>(source).doing(|| format!("read `{}`", path.display())).expect_err("it is an error")
        }
        ZipError::CompressionMethodNotSupported(_) | ZipError::UnsupportedArchive(_) => {
            ModelError::BadArgument(format!(
                "`{}` is packed in a way that cannot be read here ({error}); unpack it and import the file",
                escape_line(&path.to_string_lossy())
            ))
        }
        other => ModelError::BadFile { path, source: GgufError::Damaged(format!("as an archive: {other}")) },
    }
}

fn listed(models: &[(usize, String)]) -> String {
    let mut names: Vec<_> =
        models.iter().take(LISTED_MAX).map(|(_, name)| format!("`{}`", escape_line(name))).collect();
    if models.len() > LISTED_MAX {
        names.push(format!("{} more", models.len() - LISTED_MAX));
    }
    names.join(", ")
}
