//! Taking a file of this machine into the library: a GGUF file, or one in an archive.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::archive::{Archive, inside};
use super::library::{Installed, Library, Manifest, Origin};
use super::name;
use crate::models::catalog;
use crate::models::error::{DiskContext, ModelError};
use crate::models::files::{check_space, sync_folder};
use crate::models::gguf::{GgufError, Header, read_header, read_header_of};
use crate::models::identity::{Stamp, hash, parse_sha256};
use crate::models::progress::{Listener, Meter, Step};
use crate::platform::files;
use crate::sha256::Sha256;

const CHUNK_BYTES: usize = 1 << 20;

/// What becomes of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Taking {
    /// It is copied, and stays as it is.
    #[default]
    Copy,
    /// It is used where it is, and never touched.
    Link,
    /// It is moved into the library.
    Move,
}

/// What an import may be told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Import<'a> {
    /// The name to install it under; otherwise the catalogue or the file gives it one.
    pub name: Option<&'a str>,
    /// The SHA-256 it must have, in hex.
    pub expected_sha256: Option<&'a str>,
    /// What becomes of the file.
    pub taking: Taking,
    /// Which file of an archive to take, as its list of contents spells it.
    pub member: Option<&'a str>,
    /// Where it came from, if that is known better than by its path.
    pub origin: Option<&'a Origin>,
}

impl Library {
    /// Takes a GGUF file, or the one in an archive, into the library: its header is checked, its hash computed, and
    /// only when all is well and on disk does it appear under its name. Importing the same content again is no error.
    ///
    /// # Errors
    /// If the file cannot be read or is no loadable model, the hash is another than the expected one, the name
    /// is bad or belongs to other content, the archive holds no or several models, or the disk is full or refuses.
    /// Nothing is left behind then, and a file that was to be moved is where it was.
    pub fn import(&self, file: &Path, how: Import, listener: Listener) -> Result<Installed, ModelError> {
        if let Some(name) = how.name {
            name::check(name)?;
        }
        if !file.exists() {
            return Err(ModelError::NotFound(format!("there is no file `{}`", shown(file))));
        }
        if let Some(archive) = Archive::open(file)? {
            return self.import_from_archive(archive, file, how, listener);
        }
        if how.member.is_some() {
            return Err(ModelError::BadArgument(format!("`{}` is no archive, so there is nothing in it", shown(file))));
        }
        if header_of(file)?.split().is_some() {
            let path = shown(file);
            return Err(ModelError::BadArgument(format!(
                "`{path}` is one of several files of a model, which are used where they are: `tuichat -m {path}`"
            )));
        }
        match how.taking {
            Taking::Copy => self.import_by_copy(file, how, listener),
            Taking::Link => self.import_by_link(file, how, listener),
            Taking::Move => self.import_by_move(file, how, listener),
        }
    }

    fn import_by_copy(&self, file: &Path, how: Import, listener: Listener) -> Result<Installed, ModelError> {
        let header = header_of(file)?;
        let mut copy = self.begin_copy(header.file_bytes)?;
        let mut source = File::open(file).doing(|| format!("read `{}`", file.display()))?;
        let sha256 = copy_hashing(&mut source, file, header.file_bytes, &mut copy, listener)?;
        check_hash(&sha256, how, file)?;
        let name = how.name.map(str::to_owned).unwrap_or_else(|| default_name(&sha256, file));
        let manifest = Manifest::new(sha256, &header, origin(file, how));
        self.install(&name, manifest, |blob| copy.persist(blob).map(drop).map_err(|error| error.error))
    }

    fn import_by_link(&self, file: &Path, how: Import, listener: Listener) -> Result<Installed, ModelError> {
        let header = header_of(file)?;
        let (sha256, stamp) = hash_at_rest(file, listener)?;
        check_hash(&sha256, how, file)?;
        let name = how.name.map(str::to_owned).unwrap_or_else(|| default_name(&sha256, file));
        self.install_link(&name, Manifest::new(sha256, &header, origin(file, how)), absolute(file), stamp)
    }

    fn import_by_move(&self, file: &Path, how: Import, listener: Listener) -> Result<Installed, ModelError> {
        if file.is_symlink() {
            return Err(ModelError::BadArgument(format!(
                "`{}` is a link to a file; move the file itself, or copy it with `--copy`",
                shown(file)
            )));
        }
        let header = header_of(file)?;
        let blobs = self.make_blobs_folder()?;
        let device = |path: &Path| Some(files::id_of(path, &path.metadata().ok()?).ok()?.device);
        if device(file) == device(&blobs) {
            match self.rename_into(file, &header, how, listener) {
                Err(ModelError::Disk { source, .. }) if source.kind() == io::ErrorKind::CrossesDevices => {}
                other => return other,
            }
        }
        let installed = self.import_by_copy(file, how, listener)?;
        remove_moved(file)?;
        Ok(installed)
    }

    fn rename_into(
        &self,
        file: &Path,
        header: &Header,
        how: Import,
        listener: Listener,
    ) -> Result<Installed, ModelError> {
        let (sha256, _) = hash_at_rest(file, listener)?;
        check_hash(&sha256, how, file)?;
        let name = how.name.map(str::to_owned).unwrap_or_else(|| default_name(&sha256, file));
        let blob = self.blob(&sha256);
        let was_there = blob.exists();
        let installed = self.install(&name, Manifest::new(sha256, header, origin(file, how)), |blob| {
            File::open(file)?.sync_all()?;
            fs::rename(file, blob)?;
            files::give_to_owner(blob)
        });
        match &installed {
            // Two names of one file: a rename from the one to the other leaves both.
            Ok(_) if file.exists() && fs::canonicalize(file).ok() != fs::canonicalize(&blob).ok() => {
                remove_moved(file)?;
            }
            Err(_) if !was_there && !file.exists() => {
                fs::rename(&blob, file).doing(|| format!("put `{}` back", file.display()))?;
            }
            _ => {}
        }
        installed
    }

    fn import_from_archive(
        &self,
        mut archive: Archive,
        path: &Path,
        how: Import,
        listener: Listener,
    ) -> Result<Installed, ModelError> {
        if how.taking != Taking::Copy {
            return Err(ModelError::BadArgument(format!(
                "`{}` is an archive; what is in it can only be copied",
                shown(path)
            )));
        }
        let mut member = archive.member(how.member)?;
        let named = inside(path, &member.name);
        let mut copy = self.begin_copy(member.size_bytes)?;
        let size_bytes = member.size_bytes;
        let sha256 = copy_hashing(&mut member.bytes()?, &named, size_bytes, &mut copy, listener)?;
        let header = read_header_of(copy.as_file(), copy.path())
            .map_err(|source| ModelError::BadFile { path: named.clone(), source })?;
        check_hash(&sha256, how, &named)?;
        let name = how.name.map(str::to_owned).unwrap_or_else(|| default_name(&sha256, &named));
        let origin = Origin::Archive { path: absolute(path), member: member.name.clone() };
        let manifest = Manifest::new(sha256, &header, how.origin.cloned().unwrap_or(origin));
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

fn header_of(path: &Path) -> Result<Header, ModelError> {
    read_header(path).map_err(|source| ModelError::BadFile { path: path.to_owned(), source })
}

/// Copies what `source` gives, which must be `size_bytes` long, and returns the hash of what was copied. `named` is
/// what it is called where it is refused.
pub(super) fn copy_hashing(
    source: &mut dyn Read,
    named: &Path,
    size_bytes: u64,
    copy: &mut NamedTempFile,
    listener: Listener,
) -> Result<String, ModelError> {
    let damaged =
        |what: &str| ModelError::BadFile { path: named.to_owned(), source: GgufError::Damaged(what.to_owned()) };
    let copy_path = copy.path().to_owned();
    let writing = || format!("write `{}`", copy_path.display());
    let mut meter = Meter::new(Step::Copying, size_bytes, listener);
    let mut hasher = Sha256::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut copied_bytes = 0;
    loop {
        let length = match source.read(&mut chunk) {
            // Not the system says so but the archive's reader, of bytes that do not fit together.
            Err(error) if error.raw_os_error().is_none() && error.kind() != io::ErrorKind::Interrupted => {
                return Err(damaged(&error.to_string()));
            }
            other => other.doing(|| format!("read `{}`", named.display()))?,
        };
        if length == 0 {
            break;
        }
        if copied_bytes == 0 && !chunk[..length].starts_with(&b"GGUF"[..length.min(4)]) {
            return Err(ModelError::BadFile { path: named.to_owned(), source: GgufError::NotGguf });
        }
        copied_bytes += length as u64;
        if copied_bytes > size_bytes {
            return Err(damaged("it is longer than it was said to be"));
        }
        hasher.update(&chunk[..length]);
        copy.write_all(&chunk[..length]).doing(writing)?;
        meter.report(copied_bytes);
    }
    if copied_bytes != size_bytes {
        return Err(damaged("it ended before it should have, or changed while it was copied"));
    }
    copy.as_file().sync_all().doing(writing)?;
    Ok(hasher.finish())
}

/// The hash of a file that does not change meanwhile, and the stamp it has.
pub(super) fn hash_at_rest(path: &Path, listener: Listener) -> Result<(String, Stamp), ModelError> {
    let reading = || format!("read `{}`", path.display());
    let mut file = File::open(path).doing(reading)?;
    let stamp = |file: &File| file.metadata().and_then(|metadata| Stamp::of(path, &metadata)).doing(reading);
    let before = stamp(&file)?;
    let sha256 = hash(&mut file, before.size_bytes(), listener).doing(reading)?;
    if stamp(&file)? != before {
        let source = GgufError::Damaged("it changed while it was read".into());
        return Err(ModelError::BadFile { path: path.to_owned(), source });
    }
    Ok((sha256, before))
}

fn check_hash(sha256: &str, how: Import, named: &Path) -> Result<(), ModelError> {
    let expected = how.expected_sha256.map(parse_sha256).transpose()?;
    match expected.filter(|expected| expected != sha256) {
        Some(expected) => {
            Err(ModelError::WrongHash { what: format!("`{}`", shown(named)), actual: sha256.to_owned(), expected })
        }
        None => Ok(()),
    }
}

/// Takes away a file whose content is in the library.
fn remove_moved(file: &Path) -> Result<(), ModelError> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::remove_file(file)
        .and_then(|()| sync_folder(folder))
        .doing(|| format!("remove `{}`, which is in the library now", file.display()))
}

fn origin(file: &Path, how: Import) -> Origin {
    how.origin.cloned().unwrap_or_else(|| Origin::File { path: absolute(file) })
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn default_name(sha256: &str, file: &Path) -> String {
    match catalog::by_sha256(sha256) {
        Some((entry, file)) => entry.installed_name(file),
        None => name::from_file_name(&file.file_name().unwrap_or_default().to_string_lossy()),
    }
}

fn shown(path: &Path) -> String {
    crate::text::escape_line(&path.to_string_lossy())
}
