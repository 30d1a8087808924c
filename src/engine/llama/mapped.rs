//! What a process keeps of the files it has mapped. llama.cpp maps a model and copies those of its weights that a kernel
//! wants in another order; what they were copied from is not read again, but counts as the process's memory until
//! another wants it. Here it is handed back.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use crate::models::gguf::split;
use crate::platform::processes::page_bytes;

/// Bytes that are read between two times of handing back.
const STEP_BYTES: f32 = (64 << 20) as f32;
/// At least this part of what was read must have been copied.
const LEAST_COPIED: f32 = 0.25;

/// Hands back what was read of a model's files while the rest is read, if much of it is copied.
pub(super) struct Dropping {
    files: Vec<PathBuf>,
    bytes: f32,
    /// Memory that was not mapped from a file when it began.
    own_before: u64,
    /// The part of the whole at which is looked again.
    next: Cell<f32>,
}

impl Dropping {
    /// For the model at `path`, with all its files.
    pub fn of(path: &Path) -> Self {
        let files: Vec<PathBuf> =
            split::files(path).iter().filter_map(|file| std::fs::canonicalize(file).ok()).collect();
        let bytes: u64 = files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|file| file.len()).sum();
        Self { files, bytes: bytes.max(1) as f32, own_before: own_bytes(), next: Cell::new(0.0) }
    }

    /// This part of the model is read (0 to 1).
    pub fn at(&self, part: f32) {
        if part < self.next.get() && part < 1.0 {
            return;
        }
        self.next.set(part + STEP_BYTES / self.bytes);
        let copied = own_bytes().saturating_sub(self.own_before) as f32;
        if part > 0.0 && copied >= part * self.bytes * LEAST_COPIED {
            drop_pages(&self.files);
        }
    }
}

/// Bytes of this process in memory that are not mapped from a file; 0 where the system does not tell.
fn own_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let mut pages = statm.split_ascii_whitespace().skip(1).map_while(|number| number.parse::<u64>().ok());
    let (resident, shared) = (pages.next().unwrap_or(0), pages.next().unwrap_or(0));
    resident.saturating_sub(shared) * page_bytes()
}

/// Takes the pages of these files out of the process. They stay in the system's cache, and come back when they are
/// read.
#[cfg(target_os = "linux")]
fn drop_pages(files: &[PathBuf]) {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
    for (start, end) in maps.lines().filter_map(|line| mapping(line, files)) {
        // SAFETY: a mapping that can be read only and is shared holds what the file holds: the next look at a page brings
        // the same bytes.
        let dropped = unsafe {
            rustix::mm::madvise(start as *mut std::ffi::c_void, end - start, rustix::mm::Advice::LinuxDontNeed)
        };
        if let Err(error) = dropped {
            tracing::debug!(%error, "mapped weights stay in memory");
        }
    }
}

#[cfg(not(target_os = "linux"))]
fn drop_pages(_files: &[PathBuf]) {}

/// The addresses of a line of `/proc/self/maps`, if it is about one of these files, shared and only to be read.
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
fn mapping(line: &str, files: &[PathBuf]) -> Option<(usize, usize)> {
    let (fields, path) = line.split_once('/')?;
    let mut fields = fields.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let is_wanted = fields.next()? == "r--s" && files.iter().any(|file| file.to_str() == Some(&format!("/{path}")));
    let address = |text| usize::from_str_radix(text, 16).ok();
    is_wanted.then(|| Some((address(start)?, address(end)?)))?.filter(|(start, end)| start < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_models_own_mappings_are_dropped() {
        let files = [PathBuf::from("/models/a b.gguf")];
        let line = |rights: &str, path: &str| format!("7f0000000000-7f0000200000 {rights} 00000000 fd:01 42    {path}");
        assert_eq!(mapping(&line("r--s", "/models/a b.gguf"), &files), Some((0x7f00_0000_0000, 0x7f00_0020_0000)));
        for (rights, path) in [("r--p", "/models/a b.gguf"), ("rw-s", "/models/a b.gguf"), ("r--s", "/models/b.gguf")] {
            assert_eq!(mapping(&line(rights, path), &files), None, "{rights} {path}");
        }
        assert_eq!(mapping("7ffc1a000000-7ffc1a021000 rw-p 00000000 00:00 0   [stack]", &files), None);
    }
}
