//! Models that are split into several files, as llama.cpp's `gguf-split` writes them: the metadata is in the first,
//! each has some of the tensors, and their names say which is which. llama.cpp is given the first, and finds the
//! others beside it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::read::{self, GgufError};
use super::{Header, Value};
use crate::text::escape_line;

/// The name of one file of a split model, such as `model-00001-of-00003.gguf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartName<'a> {
    /// What stands before the numbers, with the folders before it.
    pub stem: &'a str,
    /// Which part it is, from 1.
    pub number: u64,
    /// How many there are.
    pub count: u64,
}

impl<'a> PartName<'a> {
    /// Reads a name. `None` if it is not that of a part.
    pub fn parse(file: &'a str) -> Option<Self> {
        let (rest, count) = file.strip_suffix(".gguf")?.rsplit_once("-of-")?;
        let (stem, number) = rest.rsplit_once('-')?;
        let digits = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
        let (number, count) = Some((number, count))
            .filter(|(number, count)| digits(number) && digits(count))
            .and_then(|(number, count)| Some((number.parse().ok()?, count.parse().ok()?)))?;
        let is_good = !stem.is_empty() && !stem.ends_with('/') && count > 1 && (1..=count).contains(&number);
        is_good.then_some(Self { stem, number, count })
    }

    /// The name of another part of the same model.
    pub fn other(&self, number: u64) -> String {
        format!("{}-{number:05}-of-{:05}.gguf", self.stem, self.count)
    }

    /// The names of all parts, in their order.
    pub fn all(&self) -> impl Iterator<Item = String> {
        (1..=self.count).map(|number| self.other(number))
    }
}

/// The files of the model at `path`, in their order: those of a split model where it is named by its first and the
/// others are there, otherwise the one.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let name = name_of(path).filter(|name| name.number == 1);
    let parts = name.and_then(|name| {
        let parts = name.all().map(|file| Some(path.with_file_name(file)).filter(|part| part.is_file()));
        parts.collect::<Option<Vec<_>>>()
    });
    parts.unwrap_or_else(|| vec![path.to_owned()])
}

fn name_of(path: &Path) -> Option<PartName<'_>> {
    path.file_name()?.to_str().and_then(PartName::parse)
}

/// Reads the other files of a split model, of which `header` is that of the first, and makes it one of all: it has
/// the tensors of all, with offsets from the start of the data in their own files, and `file_bytes` of all.
pub fn complete(header: &mut Header, path: &Path) -> Result<(), GgufError> {
    let Some((count, number)) = header.split() else { return Ok(()) };
    let Some(name) = name_of(path).filter(|name| (name.count, name.number) == (count, number)) else {
        return refuse(format!(
            "it is part {number} of a model split into {count} files, and they must be named like \
             `model-{number:05}-of-{count:05}.gguf`"
        ));
    };
    if number != 1 {
        let first = escape_line(&name.other(1));
        return refuse(format!("it is part {number} of a model split into {count} files; name the first, `{first}`"));
    }
    let mut names: HashSet<String> = header.tensors.iter().map(|tensor| tensor.name.clone()).collect();
    for number in 2..=count {
        let file = name.other(number);
        let shown = escape_line(&file);
        let path = path.with_file_name(&file);
        if !path.exists() {
            return refuse(format!("it is split into {count} files, and `{shown}` is missing beside it"));
        }
        let part = read::read(&path).map_err(|error| in_part(error, &shown))?;
        if part.split() != Some((count, number)) {
            return refuse(format!("it is split into {count} files, and `{shown}` is not part {number} of them"));
        }
        if let Some(twice) = part.tensors.iter().find(|tensor| !names.insert(tensor.name.clone())) {
            let tensor = escape_line(&twice.name);
            return Err(GgufError::Damaged(format!("the tensor `{tensor}` comes again in `{shown}`")));
        }
        header.tensors.extend(part.tensors);
        header.file_bytes = header.file_bytes.saturating_add(part.file_bytes);
    }
    match header.metadata.get("split.tensors.count") {
        Some(Value::Signed(expected)) if usize::try_from(*expected) == Ok(header.tensors.len()) => Ok(()),
        Some(Value::Signed(expected)) => {
            let found = header.tensors.len();
            Err(GgufError::Damaged(format!("its files have {found} tensors, and should have {expected}")))
        }
        _ => Err(GgufError::Damaged("it does not say how many tensors its files have".into())),
    }
}

/// Says in which file it is.
fn in_part(error: GgufError, shown: &str) -> GgufError {
    match error {
        GgufError::Io(error) => GgufError::Io(std::io::Error::new(error.kind(), format!("`{shown}`: {error}"))),
        GgufError::Damaged(what) => GgufError::Damaged(format!("{what} (in `{shown}`)")),
        GgufError::Unloadable(what) => GgufError::Unloadable(format!("{what} (in `{shown}`)")),
        other @ (GgufError::NotGguf | GgufError::Version(_)) => {
            GgufError::Unloadable(format!("of its other file `{shown}`: {other}"))
        }
    }
}

fn refuse(why: String) -> Result<(), GgufError> {
    Err(GgufError::Unloadable(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_parts_are_known_and_others_are_not() {
        let name = PartName::parse("sub/m-Q4_K_M-00002-of-00003.gguf").expect("a part");
        assert_eq!((name.stem, name.number, name.count), ("sub/m-Q4_K_M", 2, 3));
        assert_eq!(name.all().next().as_deref(), Some("sub/m-Q4_K_M-00001-of-00003.gguf"));
        assert_eq!(name.all().count(), 3);
        for file in [
            "m.gguf",
            "m-1-of-3.gguf",
            "m-00004-of-00003.gguf",
            "m-00000-of-00003.gguf",
            "m-00001-of-00001.gguf",
            "-00001-of-00002.gguf",
            "sub/-00001-of-00002.gguf",
            "m-00001-of-00002.bin",
            "m-0000a-of-00002.gguf",
            "m-+0001-of-00002.gguf",
        ] {
            assert_eq!(PartName::parse(file), None, "{file}");
        }
    }
}
