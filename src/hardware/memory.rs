//! How much memory there is for a model: the machine's, or the control group's where that is less.

use std::path::Path;

/// Bytes of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    pub total: u64,
    /// What can be used without swapping; memory that only caches files counts as free.
    pub available: u64,
}

impl Memory {
    /// Reads this machine's. `None` where it cannot be told (no `/proc`, and no Mac).
    #[cfg(not(target_os = "macos"))]
    pub fn read() -> Option<Self> {
        Self::read_under(Path::new("/"))
    }

    /// Reads this machine's. `None` where it cannot be told.
    #[cfg(target_os = "macos")]
    pub fn read() -> Option<Self> {
        super::macos::memory(&super::macos::sysctl()?, &super::macos::vm_stat()?)
    }

    /// Reads what the files below `root` say.
    pub fn read_under(root: &Path) -> Option<Self> {
        let meminfo = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
        let machine =
            Self { total: kibibytes(&meminfo, "MemTotal:")?, available: kibibytes(&meminfo, "MemAvailable:")? };
        Some(match control_group(root) {
            Some(group) => {
                Self { total: machine.total.min(group.total), available: machine.available.min(group.available) }
            }
            None => machine,
        })
    }
}

fn kibibytes(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
}

/// The tightest limit among this process's control group (version 2) and those above it.
fn control_group(root: &Path) -> Option<Memory> {
    let groups = std::fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mounted = root.join("sys/fs/cgroup");
    let mut folder = mounted.join(path.trim_start_matches('/'));
    let mut tightest: Option<Memory> = None;
    while folder.starts_with(&mounted) {
        if let Some(limit) = number(&folder.join("memory.max")) {
            let file_cache = cached_files(&folder.join("memory.stat"));
            let used = number(&folder.join("memory.current")).unwrap_or(0).saturating_sub(file_cache);
            let here = Memory { total: limit, available: limit.saturating_sub(used) };
            tightest = Some(tightest.map_or(here, |other| Memory {
                total: other.total.min(here.total),
                available: other.available.min(here.available),
            }));
        }
        if !folder.pop() {
            break;
        }
    }
    tightest
}

/// The number in a file; `None` for `max` and for what is not there.
fn number(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// Bytes that the group holds only as a cache of files.
fn cached_files(stat: &Path) -> u64 {
    let stat = std::fs::read_to_string(stat).unwrap_or_default();
    ["inactive_file ", "active_file "]
        .iter()
        .filter_map(|name| stat.lines().find_map(|line| line.strip_prefix(name))?.trim().parse::<u64>().ok())
        .sum()
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
    fn a_machine_that_does_not_tell_is_unknown() {
        assert_eq!(Memory::read_under(tree(&[]).path()), None);
        assert_eq!(Memory::read_under(tree(&[("proc/meminfo", "MemTotal: x kB")]).path()), None);
    }
}
