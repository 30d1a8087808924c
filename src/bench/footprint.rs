//! What this program takes of the machine's memory, told apart by what it is.

use crate::hardware::health::Health;

/// Bytes of memory now. What the system does not tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Pages of files, of shared ones this program's part: weights that are mapped.
    pub file_bytes: Option<u64>,
    /// Pages of no file: weights that were copied, the KV cache, everything else.
    pub anonymous_bytes: Option<u64>,
    /// What the machine swapped, whoever it belongs to.
    pub swapped_bytes: Option<u64>,
}

impl Footprint {
    pub fn read() -> Self {
        let rollup = std::fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
        Self { swapped_bytes: Health::read().swap_bytes, ..Self::parse(&rollup) }
    }

    fn parse(rollup: &str) -> Self {
        let bytes = |name: &str| {
            let line = rollup.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
        };
        Self { file_bytes: bytes("Pss_File:"), anonymous_bytes: bytes("Pss_Anon:"), swapped_bytes: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_files_and_others_are_told_apart() {
        let rollup = "5580-7ffe ---p 00000000 00:00 0 [rollup]\nPss:  300 kB\nPss_Anon:  100 kB\nPss_File:  200 kB\n";
        let footprint = Footprint::parse(rollup);
        assert_eq!((footprint.file_bytes, footprint.anonymous_bytes), (Some(200 << 10), Some(100 << 10)));
        assert_eq!(Footprint::parse("Pss: 300 kB\n"), Footprint::default(), "older kernels do not tell them apart");
    }
}
