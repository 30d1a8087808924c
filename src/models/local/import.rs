//! Taking a file of this machine into the library.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::library::{Installed, Library, Manifest, Origin};
use super::name;
use crate::models::catalog;
use crate::models::error::{DiskContext, ModelError};
use crate::models::files::check_space;
use crate::models::gguf::{GgufError, Header, read_header};
use crate::models::identity::{hex, parse_sha256};
use crate::models::progress::{Listener, Meter, Step};

const CHUNK_BYTES: usize = 1 << 20;

/// What an import may be told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Import<'a> {
    /// The name to install it under; otherwise the catalogue or the file gives it one.
    pub name: Option<&'a str>,
    /// The SHA-256 it must have, in hex.
    pub expected_sha256: Option<&'a str>,
}

impl Library {
    /// Copies a file into the library: its header is checked, its hash computed while copying, and only when
    /// all is well and on disk does it appear under its name. Importing the same content again is no error.
    ///
    /// # Errors
    /// If the file cannot be read or is no loadable model, the hash is another than the expected one, the name
    /// is bad or belongs to other content, or the disk is full or refuses. Nothing is left behind then.
    pub fn import(&self, file: &Path, how: Import, listener: Listener) -> Result<Installed, ModelError> {
        if let Some(name) = how.name {
            name::check(name)?;
        }
        let expected = how.expected_sha256.map(parse_sha256).transpose()?;
        let header = read_header(file).map_err(|source| ModelError::BadFile { path: file.to_owned(), source })?;
        if header.split().is_some() {
            let path = crate::text::escape_line(&file.display().to_string());
            return Err(ModelError::BadArgument(format!(
                "`{path}` is one of several files of a model, which are used where they are: `tuichat -m {path}`"
            )));
        }
        let mut copy = self.begin_copy(header.file_bytes)?;
        let sha256 = copy_hashing(file, &header, &mut copy, listener)?;
        if let Some(expected) = expected.filter(|expected| *expected != sha256) {
            let what = format!("`{}`", file.display());
            return Err(ModelError::WrongHash { what, actual: sha256, expected });
        }
        let name = how.name.map(str::to_owned).unwrap_or_else(|| default_name(&sha256, file));
        let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let manifest = Manifest::new(sha256, &header, Origin::File { path });
        self.install(&name, manifest, |blob| copy.persist(blob).map(drop).map_err(|error| error.error))
    }

    /// A file for the copy to be made, which vanishes unless it is given a name. It is locked, so that what a
    /// killed import left, which nobody locks any more, can be told from it and removed here.
    fn begin_copy(&self, bytes: u64) -> Result<NamedTempFile, ModelError> {
        const PREFIX: &str = "import-";
        let blobs = self.make_blobs_folder()?;
        let writing = || format!("write into `{}`", blobs.display());
        let _lock = self.lock()?;
        for entry in fs::read_dir(&blobs).doing(writing)?.flatten() {
            let is_abandoned = || File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok());
            if entry.file_name().to_string_lossy().starts_with(PREFIX) && is_abandoned() {
                fs::remove_file(entry.path()).doing(writing)?;
            }
        }
        check_space(&blobs, bytes)?;
        let copy = tempfile::Builder::new().prefix(PREFIX).tempfile_in(&blobs).doing(writing)?;
        copy.as_file().lock().doing(writing)?;
        Ok(copy)
    }
}

/// Copies the file at `path` and returns the hash of what was copied.
fn copy_hashing(
    path: &Path,
    header: &Header,
    copy: &mut NamedTempFile,
    listener: Listener,
) -> Result<String, ModelError> {
    let reading = || format!("read `{}`", path.display());
    let copy_path = copy.path().to_owned();
    let writing = || format!("write `{}`", copy_path.display());
    let mut source = File::open(path).doing(reading)?;
    let mut meter = Meter::new(Step::Copying, header.file_bytes, listener);
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut copied_bytes = 0;
    loop {
        let length = source.read(&mut chunk).doing(reading)?;
        if length == 0 {
            break;
        }
        hasher.update(&chunk[..length]);
        copy.write_all(&chunk[..length]).doing(writing)?;
        copied_bytes += length as u64;
        meter.report(copied_bytes);
    }
    if copied_bytes != header.file_bytes {
        let source = GgufError::Damaged("it changed while it was copied".into());
        return Err(ModelError::BadFile { path: path.to_owned(), source });
    }
    copy.as_file().sync_all().doing(writing)?;
    Ok(hex(hasher))
}

fn default_name(sha256: &str, file: &Path) -> String {
    match catalog::by_sha256(sha256) {
        Some((entry, file)) => entry.installed_name(file),
        None => name::from_file_name(&file.file_name().unwrap_or_default().to_string_lossy()),
    }
}
