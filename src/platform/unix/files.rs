//! Files on Unix.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{Access, OFlags};

use crate::platform::FileId;

/// What to type before the name of a file to see who may do what with it.
pub const SHOWS_RIGHTS: &str = "ls -ld";

const OWNER_ONLY: u32 = 0o600;
const OWNER_ONLY_FOLDER: u32 = 0o700;
const FOR_ALL_TO_READ: u32 = 0o644;

/// Which file this is of which much is known already.
///
/// # Errors
/// None here.
pub fn id_of(_path: &Path, metadata: &Metadata) -> io::Result<FileId> {
    Ok(FileId { device: metadata.dev(), number: metadata.ino() })
}

/// When it was written to last, as two numbers to be compared with others of the same file: seconds and nanoseconds.
pub fn written_at(metadata: &Metadata) -> (i64, i64) {
    (metadata.mtime(), metadata.mtime_nsec())
}

/// What it takes on the disk, without its holes.
pub fn bytes_on_disk(metadata: &Metadata) -> u64 {
    // Blocks of 512 bytes, on every system.
    metadata.blocks().saturating_mul(512)
}

/// A file that is made with these options is for its owner alone.
pub fn for_owner(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(OWNER_ONLY)
}

/// Makes folders for their owner alone.
pub fn folder_for_owner() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(OWNER_ONLY_FOLDER);
    builder
}

/// Gives a file to its owner alone, whatever the umask made of it.
///
/// # Errors
/// If the file system refuses.
pub fn give_to_owner(path: &Path) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY))
}

/// The same for a folder.
///
/// # Errors
/// If the file system refuses.
pub fn give_folder_to_owner(path: &Path) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY_FOLDER))
}

/// Lets everybody read a file.
///
/// # Errors
/// If the file system refuses.
pub fn share(path: &Path) -> io::Result<()> {
    std::fs::set_permissions(path, Permissions::from_mode(FOR_ALL_TO_READ))
}

/// The rights: 0o700.
pub fn rights(metadata: &Metadata) -> Option<u32> {
    Some(metadata.permissions().mode() & 0o777)
}

/// Whether it is somebody else's.
pub fn is_of_others(metadata: &Metadata) -> bool {
    metadata.uid() != rustix::process::geteuid().as_raw()
}

/// Whether files can be made in this folder.
pub fn may_write_in(folder: &Path) -> bool {
    rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Opens what may be anything, for reading: who opens a pipe would wait for a writer.
///
/// # Errors
/// If it cannot be opened.
pub fn open_at_once(path: impl AsRef<Path>) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

/// Makes the names in a folder survive a power cut.
///
/// # Errors
/// If the disk refuses.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Gives a file another name, in another folder: `target` as seen from there.
///
/// # Errors
/// If the name is taken, or the disk refuses.
pub fn link(target: &Path, name: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, name)
}

/// Reads from a place in a file.
///
/// # Errors
/// If there are not so many bytes, or they cannot be read.
pub fn read_exact_at(file: &File, bytes: &mut [u8], place: u64) -> io::Result<()> {
    file.read_exact_at(bytes, place)
}

/// Writes to a place in a file.
///
/// # Errors
/// If the disk refuses.
pub fn write_all_at(file: &File, bytes: &[u8], place: u64) -> io::Result<()> {
    file.write_all_at(bytes, place)
}

/// Whether this open file is still the one at that path.
///
/// # Errors
/// If there is none.
pub fn is_still_at(file: &File, path: &Path) -> io::Result<bool> {
    let (open, named) = (file.metadata()?, std::fs::metadata(path)?);
    Ok((open.dev(), open.ino()) == (named.dev(), named.ino()))
}
