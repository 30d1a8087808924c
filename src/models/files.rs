//! Writing so that a name never shows half a file, and knowing whether there is space.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use super::error::{DiskContext, ModelError};

/// What is left free for everything else on the disk.
const RESERVE_BYTES: u64 = 64 << 20;

/// Writes a whole small file, or leaves what was there before. Makes its folder if it is missing.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(folder)
}

/// Makes the names in a folder survive a power cut.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Refuses to begin what the disk cannot hold.
pub fn check_space(folder: &Path, bytes: u64) -> Result<(), ModelError> {
    let statistics = rustix::fs::statvfs(folder)
        .map_err(io::Error::from)
        .doing(|| format!("see how much space is free in `{}`", folder.display()))?;
    let free_bytes = statistics.f_bavail.saturating_mul(statistics.f_frsize);
    let needed_bytes = bytes.saturating_add(RESERVE_BYTES);
    if bytes == 0 || free_bytes >= needed_bytes {
        return Ok(());
    }
    Err(ModelError::NoSpace { folder: folder.to_owned(), needed_bytes, free_bytes })
}
