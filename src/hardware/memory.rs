//! How much memory there is for a model: the machine's, or the control group's where that is less.

use std::path::Path;

use super::control_group::{Group, Version, number_of};

/// Bytes of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    pub total: u64,
    /// What can be used without swapping; memory that only caches files counts as free.
    pub available: u64,
}

impl Memory {
    /// Reads this machine's. `None` where it cannot be told (no `/proc`, no Mac, and no Windows).
    #[cfg(not(any(target_os = "macos", windows)))]
    pub fn read() -> Option<Self> {
        Self::read_under(Path::new("/"))
    }

    /// Reads this machine's. `None` where it cannot be told.
    #[cfg(target_os = "macos")]
    pub fn read() -> Option<Self> {
        super::macos::memory(&super::macos::sysctl()?, &super::macos::vm_stat()?)
    }

    /// Reads this machine's. `None` where it cannot be told.
    #[cfg(windows)]
    pub fn read() -> Option<Self> {
        super::windows::memory()
    }

    /// Reads what the files below `root` say.
    pub fn read_under(root: &Path) -> Option<Self> {
        let meminfo = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
        let machine =
            Self { total: kibibytes(&meminfo, "MemTotal:")?, available: kibibytes(&meminfo, "MemAvailable:")? };
        Some(control_group(root).map_or(machine, |group| machine.tighter(group)))
    }

    /// What both have.
    fn tighter(self, other: Self) -> Self {
        Self { total: self.total.min(other.total), available: self.available.min(other.available) }
    }
}

/// The most memory that this process has had resident, in bytes; `None` where the system does not tell.
pub fn peak_bytes() -> Option<u64> {
    kibibytes(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

fn kibibytes(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The tightest limit among this process's control group and those above it.
fn control_group(root: &Path) -> Option<Memory> {
    let group = Group::of_memory(root)?;
    let (limits, used, cached): (&[&str], _, _) = match group.version {
        Version::Two => (&["memory.max", "memory.high"], "memory.current", ["inactive_file", "active_file"]),
        Version::One => {
            (&["memory.limit_in_bytes"], "memory.usage_in_bytes", ["total_inactive_file", "total_active_file"])
        }
    };
    let limited = group.folders().filter_map(|folder| {
        let limit = limits.iter().filter_map(|name| number(&folder.join(name))).min()?;
        let stat = std::fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let file_cache: u64 = cached.iter().filter_map(|name| number_of(&stat, name)).sum();
        let used = number(&folder.join(used)).unwrap_or(0).saturating_sub(file_cache);
        Some(Memory { total: limit, available: limit.saturating_sub(used) })
    });
    limited.reduce(Memory::tighter)
}

/// The number in a file; `None` for `max` and for what is not there.
fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMINFO: &str = "MemTotal:        8000000 kB\nMemFree:  100 kB\nMemAvailable:    6000000 kB\n";

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn without_a_control_group_the_machine_counts() {
        let root = tree(&[("proc/meminfo", MEMINFO)]);
        let memory = Memory::read_under(root.path()).unwrap();
        assert_eq!(memory, Memory { total: 8_000_000 * 1024, available: 6_000_000 * 1024 });
    }

    #[test]
    fn the_tightest_limit_of_the_groups_above_counts_and_cached_files_are_free() {
        let root = tree(&[
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "0::/user/box\n"),
            ("sys/fs/cgroup/user/memory.max", "1000000\n"),
            ("sys/fs/cgroup/user/memory.current", "700000\n"),
            ("sys/fs/cgroup/user/memory.stat", "anon 5\ninactive_file 200000\nactive_file 100000\n"),
            ("sys/fs/cgroup/user/box/memory.max", "max\n"),
        ]);
        let memory = Memory::read_under(root.path()).unwrap();
        assert_eq!(memory, Memory { total: 1_000_000, available: 600_000 });
    }

    #[test]
    fn what_throttles_a_group_limits_it_too() {
        let root = tree(&[
            ("proc/meminfo", MEMINFO),
            ("proc/self/cgroup", "0::/box\n"),
            ("sys/fs/cgroup/box/memory.max", "2000000\n"),
            ("sys/fs/cgroup/box/memory.high", "1000000\n"),
            ("sys/fs/cgroup/box/memory.current", "100000\n"),
        ]);
        assert_eq!(Memory::read_under(root.path()), Some(Memory { total: 1_000_000, available: 900_000 }));
    }

    #[test]
    fn groups_of_the_first_version_limit_as_well_and_no_limit_is_a_large_number() {
        let group = "sys/fs/cgroup/memory/docker/box";
        let files = |path: &str, limit: &str| {
            tree(&[
                ("proc/meminfo", MEMINFO),
                ("proc/self/cgroup", &format!("4:cpu,memory:{path}\n1:name=systemd:/\n0::/\n")),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
                ("sys/fs/cgroup/memory/memory.usage_in_bytes", "5000000\n"),
                (&format!("{group}/memory.limit_in_bytes"), limit),
                (&format!("{group}/memory.usage_in_bytes"), "700000\n"),
                (
                    &format!("{group}/memory.stat"),
                    "inactive_file 1\ntotal_inactive_file 200000\ntotal_active_file 100000\n",
                ),
            ])
        };
        let memory = |path, limit| Memory::read_under(files(path, limit).path()).unwrap();
        assert_eq!(memory("/docker/box", "1000000\n"), Memory { total: 1_000_000, available: 600_000 });
        assert_eq!(memory("/docker/box", "9223372036854771712\n").total, 8_000_000 * 1024);
        // In a container, the path is often that outside of it.
        assert_eq!(memory("/outside/of/it", "1000000\n").total, 8_000_000 * 1024);
    }

    #[test]
    fn a_machine_that_does_not_tell_is_unknown() {
        assert_eq!(Memory::read_under(tree(&[]).path()), None);
        assert_eq!(Memory::read_under(tree(&[("proc/meminfo", "MemTotal: x kB")]).path()), None);
    }
}
