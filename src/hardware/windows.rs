//! What Windows says of the machine. The crate `sysinfo` asks it.

use std::io;
use std::path::Path;

use sysinfo::{CpuRefreshKind, Disks, MemoryRefreshKind, RefreshKind, System};

use super::cores::{Core, CoreSet, Cpu, FULL_CAPACITY};
use super::memory::Memory;
use super::volume::{Kind, Nature, Volume};

/// The file systems that Windows has on disks.
const KINDS: [Kind; 5] = [
    Kind { name: "NTFS", nature: Nature::Local },
    Kind { name: "ReFS", nature: Nature::Local },
    Kind { name: "exFAT", nature: Nature::Foreign },
    Kind { name: "FAT32", nature: Nature::Foreign },
    Kind { name: "FAT", nature: Nature::Foreign },
];

/// The processor. All its cores are taken to be alike, and threads are not held to any.
pub fn cpu() -> Cpu {
    let system = System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()));
    let count = system.cpus().len();
    let threads = System::physical_core_count().map_or(1, |cores| count / cores.max(1)).max(1);
    let core = |number: usize| {
        let first = number / threads * threads;
        Core {
            number,
            capacity: FULL_CAPACITY,
            siblings: (first..(first + threads).min(count)).collect::<CoreSet>(),
            kind: None,
            is_allowed: true,
        }
    };
    Cpu {
        name: system.cpus().first().map(|cpu| cpu.brand().trim().to_owned()).filter(|name| !name.is_empty()),
        board: None,
        cores: (0..count).map(core).collect(),
        quota: None,
        pins: false,
    }
}

/// Memory.
pub fn memory() -> Option<Memory> {
    let system = System::new_with_specifics(RefreshKind::nothing().with_memory(MemoryRefreshKind::everything()));
    let memory = Memory { total: system.total_memory(), available: system.available_memory() };
    (memory.total > 0).then_some(memory)
}

/// The disk that holds `path`, which has to exist.
///
/// # Errors
/// If there is no such file, or it is on none of the disks that have a letter or a folder here (`\\server\share`).
pub fn volume(path: &Path) -> io::Result<Volume> {
    path.metadata()?;
    let path = std::path::absolute(path)?;
    // As the system itself writes it, `\\?\C:\…`, it would begin otherwise than its disk.
    let path = path.to_str().and_then(|path| path.strip_prefix(r"\\?\")).map_or(path.as_path(), Path::new);
    let disks = Disks::new_with_refreshed_list();
    let holds_it = disks.iter().filter(|disk| path.starts_with(disk.mount_point()));
    let disk = holds_it.max_by_key(|disk| disk.mount_point().components().count());
    let disk = disk.ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "its disk has no letter"))?;
    let name = disk.file_system();
    Ok(Volume {
        free_bytes: disk.available_space(),
        total_bytes: disk.total_space(),
        kind: KINDS.into_iter().find(|kind| name.eq_ignore_ascii_case(kind.name)),
        is_read_only: disk.is_read_only(),
    })
}
