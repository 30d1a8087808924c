//! Models for machines without network: a folder of GGUF files, with a `SHA256SUMS` as `sha256sum` writes it and one
//! small JSON file for each. And the way back.
//!
//! ```text
//! NAME.gguf       the model
//! NAME.json       a sheet: name, hash, size, quantization, origin
//! SHA256SUMS      the hashes of all of these files
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::elsewhere::{ModelFile, gguf_files};
use super::import::{Import, copy_hashing, hash_at_rest};
use super::library::{Installed, Library, Origin};
use super::{Found, name};
use crate::models::error::{DiskContext, FailureClass, ModelError};
use crate::models::files::{check_space, sync_folder, write_atomically};
use crate::models::gguf::read_header;
use crate::models::progress::Listener;
use crate::platform::files;
use crate::sha256::{self, is_sha256};
use crate::text::escape_line;

const SUMS: &str = "SHA256SUMS";
const SUMS_BYTES_MAX: u64 = 16 << 20;
/// Folders below the one that is imported.
const DEPTH: usize = 5;

/// What an export wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// The model's file in the folder.
    pub file: PathBuf,
    /// Its SHA-256.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
}

/// What is written beside an exported model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Sheet {
    name: String,
    sha256: String,
    size_bytes: u64,
    quantization: String,
    #[serde(default)]
    origin: serde_json::Value,
}

impl Library {
    /// Writes a model into `folder`, which is made if it is missing. The file is a copy, whose hash is
    /// computed while it is written. Writing the same once more is no error.
    ///
    /// # Errors
    /// If the model cannot be read or is not what it should be, the folder holds something else under one of the
    /// names, or the disk is full or refuses.
    pub fn export(&self, model: &Found, folder: &Path, listener: Listener) -> Result<Exported, ModelError> {
        let writing = || format!("write into `{}`", folder.display());
        let header =
            read_header(&model.path).map_err(|source| ModelError::BadFile { path: model.path.clone(), source })?;
        if header.split().is_some() {
            return Err(ModelError::BadArgument(format!(
                "`{}` is in several files; copy those beside `{}` to the other machine, and use them there with `-m`",
                model.name,
                escape_line(&model.path.display().to_string())
            )));
        }
        fs::create_dir_all(folder).doing(|| format!("make the folder `{}`", folder.display()))?;
        let name = model.name.split_once('/').map_or(model.name.as_str(), |(_, own_part)| own_part);
        let name = name::from_file_name(name);
        let file = folder.join(format!("{name}.gguf"));
        let sums = Sums::read(folder)?.unwrap_or_default();

        let source = fs::canonicalize(&model.path).doing(|| format!("read `{}`", model.path.display()))?;
        let sha256 = place(&source, &file, model.sha256.as_deref(), listener)?;
        let size_bytes = header.file_bytes;
        let (quantization, origin) = (header.quantization(), self.origin_of(model)?);
        let sheet = Sheet { name, sha256: sha256.clone(), size_bytes, quantization, origin };
        let mut text = serde_json::to_vec_pretty(&sheet).map_err(io::Error::from).doing(writing)?;
        text.push(b'\n');
        let sheet_file = file.with_extension("json");
        check_is_ours(&sheet_file, &sheet)?;
        write_shared(&sheet_file, &text).doing(|| format!("write `{}`", sheet_file.display()))?;
        sums.with(&file, &sha256).with(&sheet_file, &sha256::of(&text)).write(folder)?;
        Ok(Exported { file, sha256, size_bytes })
    }

    /// Takes all models of a folder into the library. If the folder was written by [`Library::export`], or brings a
    /// `SHA256SUMS` of its own, every model must have its hash in it, and gets its name and origin back. A file that
    /// is refused does not keep the others from being taken; a disk that refuses does.
    ///
    /// # Errors
    /// If the folder holds no model, or a model of the folder has no hash, or a listed one is missing.
    pub fn import_folder(
        &self,
        folder: &Path,
        how: Import,
        listener: Listener,
    ) -> Result<Vec<Result<Installed, ModelError>>, ModelError> {
        let sums = Sums::read(folder)?;
        let mut files = gguf_files(folder, DEPTH);
        if sums.is_none() {
            files.retain(|path| ModelFile::at(path.clone()).is_some());
        }
        let shown = escape_line(&folder.to_string_lossy());
        if let Some(sums) = &sums {
            sums.check_names(folder, &files)?;
        }
        match files.as_slice() {
            [] => return Err(ModelError::NotFound(format!("`{shown}` holds no GGUF file"))),
            [_] => {}
            [..] if how.name.is_none() && how.expected_sha256.is_none() => {}
            several => {
                return Err(ModelError::BadArgument(format!(
                    "`{shown}` holds {} models, and one name or hash is not for all of them; import them one by one",
                    several.len()
                )));
            }
        }
        let mut outcomes = Vec::new();
        for file in files {
            let outcome = self.import_listed(&file, folder, sums.as_ref(), how, &mut *listener);
            let is_over = outcome.as_ref().is_err_and(|error| error.class() == FailureClass::Disk);
            outcomes.push(outcome);
            if is_over {
                break;
            }
        }
        Ok(outcomes)
    }

    /// Takes one file of a folder, held against the folder's hashes and with what its sheet says.
    fn import_listed(
        &self,
        file: &Path,
        folder: &Path,
        sums: Option<&Sums>,
        how: Import,
        listener: Listener,
    ) -> Result<Installed, ModelError> {
        let Some(sums) = sums else { return self.import(file, how, listener) };
        let listed = sums.hash_of(folder, file);
        let sheet = sums.sheet_of(folder, file)?.filter(|sheet| Some(sheet.sha256.as_str()) == listed);
        let origin: Option<Origin> = sheet.as_ref().and_then(|sheet| serde_json::from_value(sheet.origin.clone()).ok());
        // Where a file was on another machine says nothing here.
        let origin = origin.filter(|origin| matches!(origin, Origin::Hub { .. }));
        let sheet_name = sheet.as_ref().map(|sheet| sheet.name.as_str());
        let expected_sha256 = how.expected_sha256.or(listed);
        let name = how.name.or(sheet_name);
        self.import(file, Import { name, expected_sha256, origin: origin.as_ref(), ..how }, listener)
    }

    fn origin_of(&self, model: &Found) -> Result<serde_json::Value, ModelError> {
        let origin = match self.list()?.into_iter().find(|own| own.name == model.name) {
            Some(own) => serde_json::to_value(own.origin),
            None => {
                let mut borrowed = self.elsewhere().look().into_iter();
                Ok(borrowed.find(|it| it.name == model.name).map_or(serde_json::Value::Null, |it| it.origin()))
            }
        };
        origin.map_err(io::Error::from).doing(|| "write down where a model is from".into())
    }
}

/// Puts the file's content at `target` and returns its hash.
fn place(source: &Path, target: &Path, expected: Option<&str>, listener: Listener) -> Result<String, ModelError> {
    let writing = || format!("write `{}`", target.display());
    let verified = |actual: String| match expected {
        Some(expected) if expected != actual => Err(ModelError::WrongHash {
            what: format!("`{}`", source.display()),
            actual,
            expected: expected.to_owned(),
        }),
        _ => Ok(actual),
    };
    if target.symlink_metadata().is_ok() {
        let sha256 = verified(hash_at_rest(source, &mut *listener)?.0)?;
        let is_same = target.is_file() && hash_at_rest(target, listener)?.0 == sha256;
        return if is_same { Ok(sha256) } else { Err(taken(target)) };
    }
    let folder = target.parent().unwrap_or(Path::new("."));
    let metadata = source.metadata().doing(|| format!("read `{}`", source.display()))?;
    check_space(folder, metadata.len())?;
    let mut copy = tempfile::Builder::new().prefix(".export-").tempfile_in(folder).doing(writing)?;
    let mut reader = File::open(source).doing(|| format!("read `{}`", source.display()))?;
    let sha256 = verified(copy_hashing(&mut reader, source, metadata.len(), &mut copy, listener)?)?;
    // What is exported is for whoever gets the folder.
    files::share(copy.path()).doing(writing)?;
    match copy.persist_noclobber(target) {
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Err(taken(target)),
        Err(error) => Err(error.error).doing(writing),
        Ok(_) => sync_folder(folder).doing(writing).map(|()| sha256),
    }
}

/// Refuses to write over what is not the sheet of the same model.
fn check_is_ours(sheet_file: &Path, sheet: &Sheet) -> Result<(), ModelError> {
    if sheet_file.symlink_metadata().is_err() {
        return Ok(());
    }
    let there: Option<Sheet> = fs::read(sheet_file).ok().and_then(|text| serde_json::from_slice(&text).ok());
    if there.is_some_and(|there| there.sha256 == sheet.sha256) { Ok(()) } else { Err(taken(sheet_file)) }
}

fn taken(path: &Path) -> ModelError {
    ModelError::BadArgument(format!(
        "`{}` is there already and is something else; export into another folder, or move it away",
        escape_line(&path.to_string_lossy())
    ))
}

fn write_shared(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_atomically(path, bytes)?;
    files::share(path)
}

/// The hashes of a folder's files, by their names.
#[derive(Debug, Default)]
struct Sums(BTreeMap<String, String>);

impl Sums {
    /// Those in `folder`, if it has any.
    fn read(folder: &Path) -> Result<Option<Self>, ModelError> {
        let path = folder.join(SUMS);
        let reading = || format!("read `{}`", path.display());
        let metadata = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.doing(reading)?,
        };
        if metadata.len() > SUMS_BYTES_MAX {
            return Err(ModelError::BadArgument(format!("`{}` is too large for a list of hashes", path.display())));
        }
        let text = fs::read_to_string(&path).doing(reading)?;
        let mut sums = BTreeMap::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let (name, sha256) = parse(line).ok_or_else(|| {
                let (path, number) = (escape_line(&path.to_string_lossy()), number + 1);
                ModelError::BadArgument(format!("`{path}`, line {number}, is not as `sha256sum` writes it"))
            })?;
            sums.insert(name, sha256);
        }
        Ok(Some(Self(sums)))
    }

    fn with(mut self, file: &Path, sha256: &str) -> Self {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.0.insert(name, sha256.to_owned());
        self
    }

    fn write(&self, folder: &Path) -> Result<(), ModelError> {
        let text: String = self.0.iter().map(|(name, sha256)| line(name, sha256)).collect();
        let path = folder.join(SUMS);
        write_shared(&path, text.as_bytes()).doing(|| format!("write `{}`", path.display()))
    }

    fn hash_of(&self, folder: &Path, file: &Path) -> Option<&str> {
        self.0.get(file.strip_prefix(folder).ok()?.to_str()?).map(String::as_str)
    }

    /// Refuses a folder where a model has no hash, or a listed one is missing.
    fn check_names(&self, folder: &Path, files: &[PathBuf]) -> Result<(), ModelError> {
        if let Some(file) = files.iter().find(|file| self.hash_of(folder, file).is_none()) {
            return Err(ModelError::Unlisted { path: file.clone(), list: folder.join(SUMS) });
        }
        let is_missing = |name: &&String| name.ends_with(".gguf") && !folder.join(name).exists();
        match self.0.keys().find(is_missing) {
            Some(name) => Err(ModelError::NotFound(format!(
                "`{}` lists `{}`, which is not there; copy the folder once more",
                escape_line(&folder.join(SUMS).to_string_lossy()),
                escape_line(name)
            ))),
            None => Ok(()),
        }
    }

    /// What the sheet beside a model says, if it is as it was written.
    fn sheet_of(&self, folder: &Path, file: &Path) -> Result<Option<Sheet>, ModelError> {
        let path = file.with_extension("json");
        let Some(expected) = self.hash_of(folder, &path) else { return Ok(None) };
        let text = fs::read(&path).doing(|| format!("read `{}`", path.display()))?;
        let actual = sha256::of(&text);
        if actual != *expected {
            let what = format!("`{}`", escape_line(&path.to_string_lossy()));
            return Err(ModelError::WrongHash { what, actual, expected: expected.to_owned() });
        }
        Ok(serde_json::from_slice(&text).ok())
    }
}

/// A line as GNU's `sha256sum` writes it: a `\` before it says that the name is escaped.
fn line(name: &str, sha256: &str) -> String {
    let escaped = name.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
    let mark = if escaped == name { "" } else { "\\" };
    format!("{mark}{sha256}  {escaped}\n")
}

/// The name and the hash of a line, in text or binary mode.
fn parse(line: &str) -> Option<(String, String)> {
    let (line, is_escaped) = line.strip_prefix('\\').map_or((line, false), |rest| (rest, true));
    let (sha256, rest) = line.split_at_checked(64)?;
    let name = rest.strip_prefix("  ").or_else(|| rest.strip_prefix(" *"))?;
    let sha256 = sha256.to_ascii_lowercase();
    let name = if is_escaped { unescape(name)? } else { name.to_owned() };
    let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
    (is_sha256(&sha256) && !name.is_empty()).then_some((name, sha256))
}

fn unescape(name: &str) -> Option<String> {
    let mut characters = name.chars();
    let mut unescaped = String::new();
    while let Some(character) = characters.next() {
        unescaped.push(match character {
            '\\' => match characters.next()? {
                'n' => '\n',
                'r' => '\r',
                '\\' => '\\',
                _ => return None,
            },
            other => other,
        });
    }
    Some(unescaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_hashes_is_read_as_it_is_written() {
        let sha256 = "0123456789abcdef".repeat(4);
        for name in ["a.gguf", "with space.gguf", "back\\slash.gguf", "new\nline.gguf"] {
            let written = line(name, &sha256);
            assert_eq!(parse(written.trim_end_matches('\n')), Some((name.into(), sha256.clone())), "{written}");
        }
        assert_eq!(parse(&format!("{} *./x.gguf", sha256.to_uppercase())), Some(("x.gguf".into(), sha256.clone())));
        for bad in ["", "x.gguf", &format!("{sha256} x.gguf"), &format!("{sha256}  "), &format!("{}é  x", &sha256[1..])]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
