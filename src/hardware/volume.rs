//! Where files lie: how much room there is, and on what kind of file system.

use std::io;
use std::path::Path;

/// The file system that holds a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Bytes that this user may still write.
    pub free_bytes: u64,
    pub total_bytes: u64,
    /// Its kind, where it is one that is known: `ext4`, `NFS`.
    pub kind: Option<Kind>,
    /// Mounted so that nothing can be written.
    pub is_read_only: bool,
}

/// A kind of file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub name: &'static str,
    pub nature: Nature,
}

/// What matters about a kind of file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// On a disk of this machine.
    Local,
    /// On another machine: SQLite's locks and shared memory may not work, and mapped weights are read over the network.
    Network,
    /// Another program hands out the files (FUSE, 9p, virtiofs): slow to map, and locks depend on that program.
    Shared,
    /// In memory: gone after a restart.
    Memory,
    /// It knows no owners, and no files above 4 GiB or none of the usual rights.
    Foreign,
}

impl Volume {
    /// Asks about the file system that holds `path`, which has to exist.
    ///
    /// # Errors
    /// If the system does not tell.
    #[cfg(unix)]
    pub fn of(path: &Path) -> io::Result<Self> {
        let statistics = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(statistics.f_frsize);
        Ok(Self {
            free_bytes: bytes(statistics.f_bavail),
            total_bytes: bytes(statistics.f_blocks),
            kind: kind(path),
            is_read_only: statistics.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
        })
    }

    /// Asks about the disk that holds `path`, which has to exist.
    ///
    /// # Errors
    /// If the system does not tell.
    #[cfg(windows)]
    pub fn of(path: &Path) -> io::Result<Self> {
        super::windows::volume(path)
    }
}

/// Asks Linux for the number that each kind has.
#[cfg(target_os = "linux")]
fn kind(path: &Path) -> Option<Kind> {
    // Their type differs between processors; the numbers have 32 bits.
    let magic = rustix::fs::statfs(path).ok()?.f_type as u32;
    KINDS.into_iter().find(|(known, ..)| *known == magic).map(|(_, name, nature)| Kind { name, nature })
}

#[cfg(all(unix, not(target_os = "linux")))]
fn kind(_path: &Path) -> Option<Kind> {
    None
}

/// Linux's numbers, from `linux/magic.h` and the file systems' own sources.
#[cfg(target_os = "linux")]
const KINDS: [(u32, &str, Nature); 24] = [
    (0x0000_ef53, "ext4", Nature::Local),
    (0x9123_683e, "btrfs", Nature::Local),
    (0x5846_5342, "XFS", Nature::Local),
    (0xf2f5_2010, "F2FS", Nature::Local),
    (0x2fc1_2fc1, "ZFS", Nature::Local),
    (0xca45_1a4e, "bcachefs", Nature::Local),
    (0x794c_7630, "overlayfs", Nature::Local),
    (0x0000_f15f, "eCryptfs", Nature::Local),
    (0x7371_7368, "squashfs", Nature::Local),
    (0x0000_6969, "NFS", Nature::Network),
    (0xff53_4d42, "CIFS", Nature::Network),
    (0xfe53_4d42, "SMB", Nature::Network),
    (0x0000_517b, "SMB", Nature::Network),
    (0x00c3_6400, "Ceph", Nature::Network),
    (0x5346_414f, "AFS", Nature::Network),
    (0x6b41_4653, "AFS", Nature::Network),
    (0x0bd0_0bd0, "Lustre", Nature::Network),
    (0x0102_1997, "9p", Nature::Shared),
    (0x6573_5546, "FUSE", Nature::Shared),
    (0x0102_1994, "tmpfs", Nature::Memory),
    (0x8584_58f6, "ramfs", Nature::Memory),
    (0x0000_4d44, "FAT", Nature::Foreign),
    (0x2011_bab0, "exFAT", Nature::Foreign),
    (0x5346_544e, "NTFS", Nature::Foreign),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_there_has_a_file_system_with_room() {
        let folder = tempfile::tempdir().unwrap();
        let volume = Volume::of(folder.path()).unwrap();
        assert!(volume.total_bytes >= volume.free_bytes && !volume.is_read_only, "{volume:?}");
        assert!(Volume::of(&folder.path().join("nothing")).is_err());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn memory_is_told_from_a_disk() {
        let Ok(mounts) = std::fs::read_to_string("/proc/mounts") else { return };
        let Some(line) = mounts.lines().find(|line| line.split(' ').nth(2) == Some("tmpfs")) else { return };
        let Some(path) = line.split(' ').nth(1).map(Path::new).filter(|path| path.is_dir()) else { return };
        assert_eq!(kind(path).map(|kind| kind.nature), Some(Nature::Memory), "{}", path.display());
    }
}
