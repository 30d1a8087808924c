//! How much this process had to read from the disk because memory did not hold it, as counters that only grow.

use std::path::Path;
use std::time::Duration;

use super::control_group::{Group, Version, number_of};
use crate::platform::processes::page_bytes;

/// Counters since the process, its control group or the machine began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paging {
    /// Page faults of this process that waited for the disk. One may read a page or many.
    pub major_faults: u64,
    /// Bytes that this process had read from the disk; `None` where the system does not count them.
    pub read_bytes: Option<u64>,
    /// Bytes of files that had been in memory not long before, and had to be read again: of the control group where it
    /// tells, else of the machine.
    pub read_again_bytes: Option<u64>,
    /// Time in which everything in the control group, or on the machine, waited for memory (the kernel's PSI, "full").
    pub stalled: Option<Duration>,
}

impl Paging {
    /// Reads this process's. `None` where the system does not tell (not Linux).
    pub fn read() -> Option<Self> {
        Self::read_under(Path::new("/"), page_bytes())
    }

    /// Reads what the files below `root` say on a machine with pages of so many bytes.
    pub fn read_under(root: &Path, page_bytes: u64) -> Option<Self> {
        let text = |path: &str| std::fs::read_to_string(root.join(path)).ok();
        let group = Group::of_memory(root);
        let of_group = |name: &str| group.as_ref().and_then(|group| group.read(name));
        let again = match group.as_ref().map(|group| group.version) {
            Some(Version::One) => "total_workingset_refault_file",
            _ => "workingset_refault_file",
        };
        let again = of_group("memory.stat").and_then(|stat| number_of(&stat, again)).or_else(|| {
            let machine = text("proc/vmstat")?;
            // Before Linux 5.9 there was one for all.
            number_of(&machine, "workingset_refault_file").or_else(|| number_of(&machine, "workingset_refault"))
        });
        let pressure = of_group("memory.pressure").or_else(|| text("proc/pressure/memory"));
        Some(Self {
            major_faults: major_faults(&text("proc/self/stat")?)?,
            read_bytes: text("proc/self/io").and_then(|io| number_of(&io, "read_bytes:")),
            read_again_bytes: again.map(|pages| pages.saturating_mul(page_bytes)),
            stalled: pressure.and_then(|pressure| stalled(&pressure)),
        })
    }
}

/// The 12th field; the second is the program's name in parentheses, and may have spaces and parentheses in it.
fn major_faults(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(9)?.parse().ok()
}

fn stalled(pressure: &str) -> Option<Duration> {
    let full = pressure.lines().find(|line| line.starts_with("full "))?;
    let total = full.split_whitespace().find_map(|word| word.strip_prefix("total="))?;
    Some(Duration::from_micros(total.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "42 (a (b) c) R 1 2 3 4 5 6 700 0 31 0 9 9\n";
    const PRESSURE: &str = "some avg10=1.00 avg60=0.00 avg300=0.00 total=9\nfull avg10=0.00 total=2500000\n";

    fn read(files: &[(&str, &str)]) -> Option<Paging> {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Paging::read_under(root.path(), 4096)
    }

    #[test]
    fn the_control_group_tells_before_the_machine_does() {
        let machine = [
            ("proc/self/stat", STAT),
            ("proc/self/io", "rchar: 7\nread_bytes: 8192\nwrite_bytes: 1\n"),
            ("proc/vmstat", "nr_free_pages 1\nworkingset_refault_anon 5\nworkingset_refault_file 10\n"),
            ("proc/pressure/memory", PRESSURE),
        ];
        let whole = Paging {
            major_faults: 31,
            read_bytes: Some(8192),
            read_again_bytes: Some(40_960),
            stalled: Some(Duration::from_micros(2_500_000)),
        };
        assert_eq!(read(&machine), Some(whole));
        let group = [
            ("proc/self/cgroup", "0::/box\n"),
            ("sys/fs/cgroup/box/memory.stat", "anon 1\nworkingset_refault_file 2\n"),
            ("sys/fs/cgroup/box/memory.pressure", "some total=3\nfull avg10=0.00 total=4\n"),
        ];
        let stalled = Some(Duration::from_micros(4));
        let expected = Paging { read_again_bytes: Some(8192), stalled, ..whole };
        assert_eq!(read(&[&machine[..], &group].concat()), Some(expected));
        let first = [
            ("proc/self/cgroup", "4:memory:/box\n0::/\n"),
            ("sys/fs/cgroup/memory/box/memory.stat", "workingset_refault_file 1\ntotal_workingset_refault_file 3\n"),
        ];
        let expected = Paging { read_again_bytes: Some(12_288), ..whole };
        assert_eq!(read(&[&machine[..], &first].concat()), Some(expected));
    }

    #[test]
    fn what_a_kernel_does_not_count_is_not_known() {
        let old = [("proc/self/stat", STAT), ("proc/vmstat", "workingset_refault 1\n")];
        let expected = Paging { major_faults: 31, read_again_bytes: Some(4096), ..Paging::default() };
        assert_eq!(read(&old), Some(expected));
        assert_eq!(read(&[("proc/self/stat", "nonsense")]), None);
        assert_eq!(read(&[]), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_counters() {
        assert!(Paging::read().is_some());
    }
}
