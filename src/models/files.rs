//! Writing so that a name never shows half a file, and knowing whether there is space.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::error::{DiskContext, ModelError};
use crate::hardware::volume::Volume;
use crate::platform::files;
pub use crate::platform::files::sync_folder;

/// What is left free for everything else on the disk.
pub(super) const RESERVE_BYTES: u64 = 64 << 20;

/// Makes a folder, and those above it, for its owner alone whatever the umask; a folder that is there stays as it is.
pub fn create_private(folder: &Path) -> io::Result<()> {
    files::folder_for_owner().recursive(true).create(folder)
}

/// Writes a whole small file, or leaves what was there before, whose permissions it keeps. Makes its folder if it is
/// missing.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    create_private(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    if let Ok(before) = fs::metadata(path) {
        file.as_file().set_permissions(before.permissions())?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(folder)
}

/// The same for a file that only one program writes at a time: what one that was killed leaves of it lies where the next
/// writes, and does not stay.
pub fn write_atomically_alone(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_added_extension("new");
    let mut options = fs::OpenOptions::new();
    let mut write = || {
        let mut file = files::for_owner(options.write(true).create(true).truncate(true)).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&new)))?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Refuses to begin what the disk cannot hold.
pub fn check_space(folder: &Path, bytes: u64) -> Result<(), ModelError> {
    let free_bytes = free_bytes(folder).doing(|| format!("see how much space is free in `{}`", folder.display()))?;
    if bytes == 0 || free_bytes >= bytes.saturating_add(RESERVE_BYTES) {
        return Ok(());
    }
    Err(no_space(folder, bytes))
}

/// That the disk does not hold these bytes.
pub fn no_space(folder: &Path, bytes: u64) -> ModelError {
    let (needed_bytes, free_bytes) = (bytes.saturating_add(RESERVE_BYTES), free_bytes(folder).unwrap_or(0));
    ModelError::NoSpace { folder: folder.to_owned(), needed_bytes, free_bytes }
}

/// Free bytes of the disk that holds a folder, which need not be there yet.
pub fn free_bytes_near(folder: &Path) -> Option<u64> {
    folder.ancestors().find(|folder| folder.exists()).and_then(|folder| free_bytes(folder).ok())
}

fn free_bytes(folder: &Path) -> io::Result<u64> {
    Ok(Volume::of(folder)?.free_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::FailureClass;

    #[test]
    fn what_does_not_fit_is_refused_with_what_is_needed_and_what_is_there() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = check_space(folder.path(), u64::MAX / 2).expect_err("no disk is that large");
        assert_eq!(error.class(), FailureClass::Disk);
        assert!(error.to_string().contains("MB are needed") && error.to_string().contains("models rm"), "{error}");
        assert!(check_space(folder.path(), 0).is_ok());
    }

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("new/file");
        write_atomically(&path, b"first").expect("written");
        write_atomically(&path, b"2nd").expect("written");
        assert_eq!(fs::read(&path).expect("read"), b"2nd");
        assert_eq!(fs::read_dir(folder.path().join("new")).expect("read").count(), 1);
    }
}
