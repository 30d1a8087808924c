//! Files on Windows. Who may read a file follows from the folder it is in, and those of a person's profile are for that
//! person alone; so files are not given rights of their own.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::{FileExt, MetadataExt};
use std::path::Path;

use winapi_util::Handle;
use winapi_util::file::{Information, information};

use crate::platform::FileId;

/// What to type before the name of a file to see who may do what with it.
pub const SHOWS_RIGHTS: &str = "icacls";

/// Which file this is. Windows tells it of open files alone.
///
/// # Errors
/// If the file cannot be opened, or its file system has no numbers.
pub fn id_of(path: &Path, _metadata: &Metadata) -> io::Result<FileId> {
    let known = information(&Handle::from_path_any(path)?)?;
    Ok(FileId { device: known.volume_serial_number(), number: known.file_index() })
}

/// When it was written to last, as two numbers to be compared with others of the same file.
pub fn written_at(metadata: &Metadata) -> (i64, i64) {
    // In steps of 100 nanoseconds, since 1601.
    let (seconds, rest) = (metadata.last_write_time() / 10_000_000, metadata.last_write_time() % 10_000_000);
    (seconds as i64, rest as i64 * 100)
}

/// What it takes on the disk: files have no holes here unless that is asked for.
pub fn bytes_on_disk(metadata: &Metadata) -> u64 {
    metadata.len()
}

/// As the folder has it.
pub fn for_owner(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// As the folder above has it.
pub fn folder_for_owner() -> DirBuilder {
    DirBuilder::new()
}

/// Nothing to do, see above.
///
/// # Errors
/// None here.
pub fn give_to_owner(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Nothing to do, see above.
///
/// # Errors
/// None here.
pub fn give_folder_to_owner(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Nothing to do, see above.
///
/// # Errors
/// None here.
pub fn share(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// There are none of this kind.
pub fn rights(_metadata: &Metadata) -> Option<u32> {
    None
}

/// Not asked.
pub fn is_of_others(_metadata: &Metadata) -> bool {
    false
}

/// Whether files can be made in this folder. Only trying tells; the file is gone with its handle.
pub fn may_write_in(folder: &Path) -> bool {
    tempfile::tempfile_in(folder).is_ok()
}

/// Opens what may be anything, for reading.
///
/// # Errors
/// If it cannot be opened.
pub fn open_at_once(path: impl AsRef<Path>) -> io::Result<File> {
    File::open(path)
}

/// Nothing to do: folders cannot be opened as files are, and NTFS keeps a journal of names.
///
/// # Errors
/// None here.
pub fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Gives a file another name, in another folder: `target` as seen from there. Symbolic links are for administrators here,
/// so it is a hard one.
///
/// # Errors
/// If the name is taken, or the disk refuses.
pub fn link(target: &Path, name: &Path) -> io::Result<()> {
    std::fs::hard_link(name.parent().unwrap_or(Path::new("")).join(target), name)
}

/// Reads from a place in a file.
///
/// # Errors
/// If there are not so many bytes, or they cannot be read.
pub fn read_exact_at(file: &File, mut bytes: &mut [u8], mut place: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.seek_read(bytes, place) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => (bytes, place) = (&mut bytes[count..], place + count as u64),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes to a place in a file.
///
/// # Errors
/// If the disk refuses.
pub fn write_all_at(file: &File, mut bytes: &[u8], mut place: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.seek_write(bytes, place) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => (bytes, place) = (&bytes[count..], place + count as u64),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether this open file is still the one at that path.
///
/// # Errors
/// If there is none.
pub fn is_still_at(file: &File, path: &Path) -> io::Result<bool> {
    let open = information(file)?;
    let named = information(&Handle::from_path_any(path)?)?;
    let id = |known: &Information| (known.volume_serial_number(), known.file_index());
    Ok(id(&open) == id(&named))
}
