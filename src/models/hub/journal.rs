//! The note beside a part that says which of its bytes are surely on disk: the part may be larger, and have holes.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ranges::Spans;
use crate::models::files::write_atomically_alone;

#[derive(Debug, Serialize, Deserialize)]
struct Journal {
    version: u32,
    size_bytes: u64,
    /// Beginnings and ends.
    there: Vec<(u64, u64)>,
}

const VERSION: u32 = 1;

/// What the note says of a file of so many bytes; `None` if there is none. One that cannot be understood, or is
/// about another size, vouches for nothing.
pub fn read(path: &Path, size_bytes: u64) -> io::Result<Option<Spans>> {
    let text = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    Ok(Some(understood(&text, size_bytes)))
}

/// What the note vouches for.
pub fn understood(text: &[u8], size_bytes: u64) -> Spans {
    let journal = serde_json::from_slice(text).ok();
    let known = journal.filter(|journal: &Journal| journal.version == VERSION && journal.size_bytes == size_bytes);
    let spans: Spans =
        known.into_iter().flat_map(|journal| journal.there).map(|(start, end)| start..end.max(start)).collect();
    spans.before(size_bytes)
}

/// Replaces the note. What it says must be on disk before.
pub fn write(path: &Path, size_bytes: u64, there: &Spans) -> io::Result<()> {
    let there = there.iter().map(|span| (span.start, span.end)).collect();
    let journal = serde_json::to_vec(&Journal { version: VERSION, size_bytes, there })?;
    write_atomically_alone(path, &journal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_reads_back_and_a_strange_one_vouches_for_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("journal");
        assert_eq!(read(&path, 100).expect("readable"), None);
        let spans: Spans = [0..10, 20..100].into_iter().collect();
        write(&path, 100, &spans).expect("written");
        assert_eq!(read(&path, 100).expect("readable"), Some(spans));
        std::fs::write(path.with_added_extension("new"), "{\"ver").expect("what a killed program leaves");
        write(&path, 100, &[0..10, 20..100].into_iter().collect()).expect("written");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
        assert_eq!(read(&path, 99).expect("readable"), Some(Spans::default()), "another file");
        for text in ["", "{", "{\"version\":2,\"size_bytes\":100,\"there\":[[0,10]]}", "[]"] {
            std::fs::write(&path, text).expect("written");
            assert_eq!(read(&path, 100).expect("readable"), Some(Spans::default()), "{text}");
        }
        std::fs::write(&path, "{\"version\":1,\"size_bytes\":100,\"there\":[[9,3],[90,200]]}").expect("written");
        assert_eq!(read(&path, 100).expect("readable"), Some(std::iter::once(90..100).collect()));
    }

    #[test]
    fn a_journal_that_cannot_be_read_is_no_missing_one() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(read(folder.path(), 100).is_err());
    }
}
