//! The models folder.
//!
//! ```text
//! blobs/sha256-HEX         the content, under its hash: put there only when it is whole, verified and on disk
//! blobs/sha256-HEX.part    a download that is under way or was interrupted, and its journal; see `hub::part`
//! splits/HEX/…             the files of a split model under the names by which llama.cpp finds them: links to blobs
//! names/NAME.json          a name and what it stands for; several names may stand for one content. A linked model is
//!                          a name alone: its content is a file elsewhere
//! last-used                the name that was chatted with last
//! .lock                    held while names and blobs are put in or taken out
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::elsewhere::{Borrowed, Elsewhere, Owner, shell_word};
use super::name;
use crate::models::error::{DiskContext, ModelError};
use crate::models::files::{create_private, sync_folder, write_atomically};
use crate::models::gguf::split::PartName;
use crate::models::gguf::{GgufError, Header, read_header};
use crate::models::identity::{Stamp, hash_model, of_parts};
use crate::models::progress::Listener;
use crate::platform::files;
use crate::sha256::is_sha256;
use crate::text::escape_line;

/// Where an installed model came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub enum Origin {
    /// A file of this machine.
    File {
        /// Where it was.
        path: PathBuf,
    },
    /// A file of the hub.
    Hub {
        /// The repository, as in `OWNER/REPO`.
        repository: String,
        /// The commit it was taken from.
        commit: String,
        /// The file in the repository; of a split model, the first.
        file: String,
        /// The branch, tag or commit that was asked for, if one was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        revision: Option<String>,
    },
    /// A file in an archive of this machine.
    Archive {
        /// Where the archive was.
        path: PathBuf,
        /// The file in it.
        member: String,
    },
}

/// The files of a split model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::models) struct Split {
    /// What their names begin with, as in `STEM-00001-of-00003.gguf`.
    pub stem: String,
    /// Their hashes, in their order.
    pub parts: Vec<String>,
}

impl Split {
    /// The hash of all of it.
    pub fn sha256(&self) -> String {
        of_parts(self.parts.iter().map(String::as_str))
    }

    fn name(&self) -> PartName<'_> {
        PartName { stem: &self.stem, number: 1, count: self.parts.len() as u64 }
    }

    /// Whether it can be what somebody else wrote it to be.
    fn is_sound(&self) -> bool {
        let first = self.name().other(1);
        let is_name = Path::new(&first).file_name().is_some_and(|name| name == first.as_str());
        is_name && PartName::parse(&first) == Some(self.name()) && self.parts.iter().all(|part| is_sha256(part))
    }
}

/// What a name stands for, as it is written in the models folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    sha256: String,
    size_bytes: u64,
    quantization: String,
    origin: Origin,
    installed_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    split: Option<Split>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    linked: Option<Link>,
}

/// The file of a linked model, and what tells that it is as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Link {
    path: PathBuf,
    stamp: Stamp,
}

/// An installed model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The name it has.
    pub name: String,
    /// Where its content is; of a split model, its first file.
    pub path: PathBuf,
    /// Its content's SHA-256, in lower-case hex; that of a split model is of its files' hashes.
    pub sha256: String,
    /// Its size, with all its files.
    pub size_bytes: u64,
    /// Its quantization, such as `Q4_K_M`.
    pub quantization: String,
    /// Where it came from.
    pub origin: Origin,
    /// When it was installed, as in `2026-01-31T12:00:00Z`.
    pub installed_at: String,
    link: Option<Link>,
}

impl Installed {
    /// Whether its content is a file outside of the models folder, which is not tuichat's.
    pub fn is_linked(&self) -> bool {
        self.link.is_some()
    }

    /// The same, if its file can be used: what a linked model is linked to may have changed.
    pub(super) fn usable(self) -> Result<Self, ModelError> {
        let Some(link) = &self.link else { return Ok(self) };
        let again = || {
            format!(
                "`tuichat models import --link {} --name {}` takes it as it is, `tuichat models rm {1}` forgets it",
                shell_word(&link.path.to_string_lossy()),
                self.name
            )
        };
        match Stamp::at(&link.path) {
            Ok(stamp) if link.stamp.is_as_old_and_large(&stamp) => Ok(self),
            Ok(_) => {
                let what = format!("it changed since it was linked as `{}`; {}", self.name, again());
                Err(ModelError::BadFile { path: link.path.clone(), source: GgufError::Damaged(what) })
            }
            Err(error) => Err(ModelError::NotFound(format!(
                "the file that `{}` is linked to cannot be read ({error}): `{}`; bring it back, or forget it with \
                 `tuichat models rm {0}`",
                self.name,
                escape_line(&link.path.to_string_lossy())
            ))),
        }
    }
}

/// What a removal did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The name that is gone.
    pub name: String,
    /// Bytes that are free again: none if other names stand for the same content.
    pub freed_bytes: u64,
    /// The file that stays, if the model was linked.
    pub linked_to: Option<PathBuf>,
}

/// A download that was not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The file with what is there of it.
    pub path: PathBuf,
    /// The SHA-256 that the whole is to have.
    pub sha256: String,
    /// Bytes that it takes on the disk.
    pub disk_bytes: u64,
    /// A program is downloading it now.
    pub is_under_way: bool,
}

/// What a check found; the file is as it should be.
#[derive(Debug)]
pub struct Checked {
    /// What the file's header says.
    pub header: Header,
    /// The SHA-256 of the model's content, computed now.
    pub sha256: String,
    /// Its files and the SHA-256 of each: more than one if it is split.
    pub files: Vec<(PathBuf, String)>,
}

/// The models folder. Nothing is made in it before something is installed.
#[derive(Clone, Debug)]
pub struct Library {
    folder: PathBuf,
    elsewhere: Elsewhere,
}

impl Library {
    /// The library in this folder, which need not exist yet.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), elsewhere: Elsewhere::default() }
    }

    /// The same library, which also knows the models of other programs.
    pub fn with_elsewhere(self, elsewhere: Elsewhere) -> Self {
        Self { elsewhere, ..self }
    }

    /// The models of other programs that can be loaded, without those that are installed too, by owner and name.
    ///
    /// # Errors
    /// If the models folder is there but cannot be read.
    pub fn borrowed(&self) -> Result<Vec<Borrowed>, ModelError> {
        let installed = self.list()?;
        let mut models = self.elsewhere.list();
        models.retain(|model| !installed.iter().any(|own| model.is_content_of(&own.sha256, &own.path)));
        Ok(models)
    }

    /// The models of other programs.
    pub(super) fn elsewhere(&self) -> &Elsewhere {
        &self.elsewhere
    }

    /// All installed models, by name. Names that stand for nothing readable are left out and logged.
    ///
    /// # Errors
    /// If the folder is there but cannot be read.
    pub fn list(&self) -> Result<Vec<Installed>, ModelError> {
        let folder = self.names_folder();
        let reading = || format!("read `{}`", folder.display());
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.doing(reading)?,
        };
        let mut models = Vec::new();
        for entry in entries {
            let file_name = entry.doing(reading)?.file_name();
            let Some(name) = file_name.to_str().and_then(|file| file.strip_suffix(".json")) else { continue };
            match self.read(name) {
                Ok(Some(model)) => models.push(model),
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, name, "an installed model is left out"),
            }
        }
        models.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(models)
    }

    /// Names in the folder that stand for nothing that can be understood, with their files.
    pub fn unreadable_names(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.names_folder()).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_unreadable = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".json"));
            name.is_some_and(|name| self.manifest(name).is_err())
        };
        let mut unreadable: Vec<PathBuf> = files.filter(is_unreadable).collect();
        unreadable.sort();
        unreadable
    }

    /// Downloads that were begun and not finished.
    pub fn unfinished(&self) -> Vec<Unfinished> {
        let entries = fs::read_dir(self.folder.join("blobs")).into_iter().flatten().flatten();
        let of_entry = |path: PathBuf| {
            let sha256 = path.file_name()?.to_str()?.strip_prefix("sha256-")?.strip_suffix(".part")?.to_owned();
            let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
            // The part has holes.
            let disk_bytes = files::bytes_on_disk(&metadata);
            // Whoever works on it has locked it. The lock that this takes is gone at once.
            let is_under_way =
                File::open(&path).is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)));
            Some(Unfinished { path, sha256, disk_bytes, is_under_way })
        };
        let mut found: Vec<Unfinished> = entries.filter_map(|entry| of_entry(entry.path())).collect();
        found.sort_by(|one, other| one.path.cmp(&other.path));
        found
    }

    /// Takes a name away, and the content with it unless another name stands for it or it is only linked. The whole name is needed,
    /// in any case.
    ///
    /// # Errors
    /// If there is no such name, it is that of another program's model, or the disk refuses.
    pub fn remove(&self, name: &str) -> Result<Removed, ModelError> {
        self.check_is_ours(name)?;
        if name.starts_with("hf:") {
            let meant = self.resolve(Some(name))?.name;
            let sentence = format!("`{name}` is called `{meant}` here; type `tuichat models rm {meant}`");
            return Err(ModelError::BadArgument(escape_line(&sentence)));
        }
        let model = self.find(name)?;
        if !model.name.eq_ignore_ascii_case(name) {
            return Err(ModelError::BadArgument(format!(
                "only a whole name is removed; if you mean `{0}`, type `tuichat models rm {0}`",
                model.name
            )));
        }
        let _lock = self.lock()?;
        let removed = self.manifest(&model.name)?;
        let file = self.name_file(&model.name);
        fs::remove_file(&file).doing(|| format!("remove `{}`", file.display()))?;
        let freed_bytes = match removed {
            Some(removed) if !model.is_linked() => self.remove_unused(&removed.sha256, removed.hashes())?,
            _ => 0,
        };
        Ok(Removed { name: model.name, freed_bytes, linked_to: model.link.map(|link| link.path) })
    }

    /// Removes those of a model's contents that no name stands for any more, and says how much that was.
    fn remove_unused(&self, sha256: &str, hashes: &[String]) -> Result<u64, ModelError> {
        let mut others = Vec::new();
        for model in self.list()? {
            others.extend(self.manifest(&model.name)?);
        }
        let folder = self.split_folder(sha256);
        if folder.exists() && !others.iter().any(|other| other.sha256 == sha256) {
            fs::remove_dir_all(&folder).doing(|| format!("remove `{}`", folder.display()))?;
        }
        let in_use: Vec<_> = others.iter().flat_map(Manifest::hashes).collect();
        let mut freed_bytes = 0;
        for blob in hashes.iter().filter(|hash| !in_use.contains(hash)).map(|hash| self.blob(hash)) {
            let bytes = fs::metadata(&blob).map_or(0, |metadata| metadata.len());
            match fs::remove_file(&blob) {
                // Somebody has removed it by hand.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.doing(|| format!("remove `{}`", blob.display()))?,
            }
            freed_bytes += bytes;
        }
        Ok(freed_bytes)
    }

    /// Reads a whole model again: header and content. `expected_sha256` is what it must hash to, if that is known.
    ///
    /// # Errors
    /// If the file cannot be read, is no loadable model, or is not what it should be.
    pub fn check(path: &Path, expected_sha256: Option<&str>, listener: Listener) -> Result<Checked, ModelError> {
        let header = read_header(path).map_err(|source| ModelError::BadFile { path: path.to_owned(), source })?;
        let (sha256, files) = hash_model(path, listener)?;
        match expected_sha256 {
            Some(expected) if expected != sha256 => Err(ModelError::WrongHash {
                what: format!("`{}`", path.display()),
                actual: sha256,
                expected: expected.to_owned(),
            }),
            _ => Ok(Checked { header, sha256, files }),
        }
    }

    /// Remembers which model was used last, for the next start without `--model`.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn remember_used(&self, name: &str) -> Result<(), ModelError> {
        let own_part = name.split_once('/').filter(|_| Owner::of_name(name).is_some()).map_or(name, |(_, rest)| rest);
        name::check(own_part)?;
        let file = self.folder.join("last-used");
        write_atomically(&file, name.as_bytes()).doing(|| format!("write `{}`", file.display()))
    }

    /// The name that was used last.
    pub(in crate::models) fn last_used(&self) -> Option<String> {
        fs::read_to_string(self.folder.join("last-used")).ok()
    }

    /// The models installed from this repository of the hub.
    pub(in crate::models) fn of_repository(&self, wanted: &str) -> Result<Vec<Installed>, ModelError> {
        let mut models = self.list()?;
        models.retain(|model| match &model.origin {
            Origin::Hub { repository, .. } => repository.eq_ignore_ascii_case(wanted),
            Origin::File { .. } | Origin::Archive { .. } => false,
        });
        Ok(models)
    }

    /// Where content with this hash belongs.
    pub(in crate::models) fn blob(&self, sha256: &str) -> PathBuf {
        self.folder.join("blobs").join(format!("sha256-{sha256}"))
    }

    /// The folder of the contents, made if it is missing.
    pub(in crate::models) fn make_blobs_folder(&self) -> Result<PathBuf, ModelError> {
        let blobs = self.folder.join("blobs");
        create_private(&blobs).doing(|| format!("make the folder `{}`", blobs.display()))?;
        Ok(blobs)
    }

    /// Says now what [`Library::install_from_hub`] would say after a long download: that the name cannot be had.
    /// A newer file from the same place on the hub may take the place of the older one, and so may a file that was
    /// linked.
    pub(in crate::models) fn check_free(&self, name: &str, sha256: &str, origin: &Origin) -> Result<(), ModelError> {
        name::check(name)?;
        let Some(taken) = self.read(name)? else { return Ok(()) };
        let is_newer_version = match (&taken.origin, origin) {
            (Origin::Hub { repository: old, file: old_file, .. }, Origin::Hub { repository, file, .. }) => {
                old == repository && old_file == file
            }
            (Origin::File { path: old }, Origin::File { path }) => taken.is_linked() && old == path,
            _ => false,
        };
        if taken.sha256 == sha256 || is_newer_version {
            return Ok(());
        }
        Err(ModelError::BadArgument(format!(
            "another model is installed as `{name}`; give this one a name with `--name`, or remove the other with \
             `tuichat models rm {name}`"
        )))
    }

    /// Gives verified content from the hub its name. `place` puts it where it belongs.
    pub(in crate::models) fn install_from_hub(
        &self,
        name: &str,
        sha256: String,
        header: &Header,
        origin: Origin,
        place: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<Installed, ModelError> {
        self.install(name, Manifest::new(sha256, header, origin), place)
    }

    /// Puts the files of a split model, whose contents are there, side by side under the names by which llama.cpp
    /// finds them. Returns the first.
    pub(in crate::models) fn lay_out(&self, split: &Split) -> Result<PathBuf, ModelError> {
        let sha256 = split.sha256();
        let folder = self.split_folder(&sha256);
        create_private(&folder).doing(|| format!("make the folder `{}`", folder.display()))?;
        for (file, part) in split.name().all().zip(&split.parts) {
            let link = folder.join(&file);
            let made = match files::link(&Path::new("../../blobs").join(format!("sha256-{part}")), &link) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                other => other,
            };
            made.doing(|| format!("make the link `{}`", link.display()))?;
        }
        sync_folder(&folder).doing(|| format!("write `{}`", folder.display()))?;
        Ok(folder.join(split.name().other(1)))
    }

    /// Gives a split model from the hub, which was laid out and verified, its name.
    pub(in crate::models) fn install_split_from_hub(
        &self,
        name: &str,
        split: Split,
        header: &Header,
        origin: Origin,
    ) -> Result<Installed, ModelError> {
        let sha256 = split.sha256();
        let blobs: Vec<_> = split.parts.iter().map(|part| self.blob(part)).collect();
        let manifest = Manifest { split: Some(split), ..Manifest::new(sha256, header, origin) };
        // A removal may have come in between.
        self.install(name, manifest, |_| blobs.iter().try_for_each(|blob| blob.metadata().map(drop)))
    }

    /// Removes a split model that was laid out but cannot be used, and what of it no name stands for.
    pub(in crate::models) fn discard_split(&self, split: &Split) -> Result<(), ModelError> {
        let _lock = self.lock()?;
        self.remove_unused(&split.sha256(), &split.parts).map(drop)
    }

    /// Gives content its name. `place` puts it where it belongs.
    pub(super) fn install(
        &self,
        name: &str,
        manifest: Manifest,
        place: impl FnOnce(&Path) -> io::Result<()>,
    ) -> Result<Installed, ModelError> {
        let _lock = self.lock()?;
        self.check_free(name, &manifest.sha256, &manifest.origin)?;
        let blob = self.blob(&manifest.sha256);
        let blobs = self.make_blobs_folder()?;
        place(&blob).and_then(|()| sync_folder(&blobs)).doing(|| format!("write `{}`", blob.display()))?;
        let file = self.name_file(name);
        serde_json::to_vec_pretty(&manifest)
            .map_err(io::Error::from)
            .and_then(|json| write_atomically(&file, &json))
            .doing(|| format!("write `{}`", file.display()))?;
        let path = self.path_of(&manifest);
        Ok(manifest.installed(name, path))
    }

    /// Gives the file at `path` a name, where it is.
    pub(super) fn install_link(
        &self,
        name: &str,
        mut manifest: Manifest,
        path: PathBuf,
        stamp: Stamp,
    ) -> Result<Installed, ModelError> {
        if let Some(own) = self.read(name)?.filter(|own| !own.is_linked() && own.sha256 == manifest.sha256) {
            return Ok(own);
        }
        manifest.linked = Some(Link { path, stamp });
        self.install(name, manifest, |_| Ok(()))
    }

    /// The model of exactly this name.
    pub(super) fn read(&self, name: &str) -> Result<Option<Installed>, ModelError> {
        let manifest = self.manifest(name)?;
        Ok(manifest.map(|manifest| {
            let path = self.path_of(&manifest);
            manifest.installed(name, path)
        }))
    }

    /// What exactly this name stands for.
    fn manifest(&self, name: &str) -> Result<Option<Manifest>, ModelError> {
        name::check(name)?;
        let file = self.name_file(name);
        let reading = || format!("read `{}`", file.display());
        let text = match fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.doing(reading)?,
        };
        let manifest: Manifest = serde_json::from_str(&text).map_err(io::Error::from).doing(reading)?;
        if !is_sha256(&manifest.sha256) {
            return Err(ModelError::BadArgument(format!("`{}` names no SHA-256", file.display())));
        }
        if manifest.split.as_ref().is_some_and(|split| !split.is_sound()) {
            return Err(ModelError::BadArgument(format!("`{}` names no files of a split model", file.display())));
        }
        Ok(Some(manifest))
    }

    fn path_of(&self, manifest: &Manifest) -> PathBuf {
        match &manifest.split {
            Some(split) => self.split_folder(&manifest.sha256).join(split.name().other(1)),
            None => self.blob(&manifest.sha256),
        }
    }

    fn split_folder(&self, sha256: &str) -> PathBuf {
        self.folder.join("splits").join(sha256)
    }

    /// Holds the library until it is dropped.
    pub(super) fn lock(&self) -> Result<File, ModelError> {
        let path = self.folder.join(".lock");
        let locking = || format!("lock `{}`", path.display());
        create_private(&self.folder).doing(locking)?;
        let mut options = File::options();
        let file = files::for_owner(options.create(true).append(true)).open(&path).doing(locking)?;
        file.lock().doing(locking)?;
        Ok(file)
    }

    fn names_folder(&self) -> PathBuf {
        self.folder.join("names")
    }

    fn name_file(&self, name: &str) -> PathBuf {
        self.names_folder().join(format!("{name}.json"))
    }
}

impl Manifest {
    pub(super) fn new(sha256: String, header: &Header, origin: Origin) -> Self {
        let (size_bytes, quantization) = (header.file_bytes, header.quantization());
        let installed_at = format!("{:.0}", jiff::Timestamp::now());
        Self { sha256, size_bytes, quantization, origin, installed_at, split: None, linked: None }
    }

    /// The hashes of its files in the library: none of a linked model.
    fn hashes(&self) -> &[String] {
        match &self.split {
            _ if self.linked.is_some() => &[],
            Some(split) => &split.parts,
            None => std::slice::from_ref(&self.sha256),
        }
    }

    fn installed(self, name: &str, blob: PathBuf) -> Installed {
        let Self { sha256, size_bytes, quantization, origin, installed_at, split: _, linked: link } = self;
        let path = link.as_ref().map_or(blob, |link| link.path.clone());
        Installed { name: name.to_owned(), path, sha256, size_bytes, quantization, origin, installed_at, link }
    }
}
