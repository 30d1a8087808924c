//! How much memory there is.

use std::path::Path;

/// Bytes of memory in all; `None` where the system has no `/proc/meminfo`.
pub fn total_bytes(root: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let kibibytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.trim().strip_suffix(" kB")?;
    kibibytes.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(meminfo: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("proc")).unwrap();
        std::fs::write(root.path().join("proc/meminfo"), meminfo).unwrap();
        root
    }

    #[test]
    fn the_total_is_told_in_bytes() {
        let root = root("MemTotal:        3884340 kB\nMemFree:          123456 kB\n");
        assert_eq!(total_bytes(root.path()), Some(3_884_340 * 1024));
    }

    #[test]
    fn what_cannot_be_read_is_not_known() {
        assert_eq!(total_bytes(root("MemTotal: lots\n").path()), None);
        assert_eq!(total_bytes(Path::new("/no/such/root")), None);
    }
}
