//! What an earlier run of a batch wrote, so that another goes on behind it.

use std::collections::HashSet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::tally::Tally;
use crate::exit::Failure;
use crate::models::sync_folder;
use crate::text::cause;

/// The results that are there.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Earlier {
    /// The ids of the items that are done, as JSON.
    pub done: HashSet<String>,
    pub tally: Tally,
    /// Bytes of whole lines. What follows them was cut short by a kill.
    pub whole_bytes: u64,
    /// Where the lines of items that failed are, in bytes.
    failed: Vec<Range<u64>>,
}

/// What of a line tells that its item is done.
#[derive(Deserialize)]
struct Written {
    id: Value,
    finish_reason: String,
    error: Option<WrittenError>,
}

#[derive(Deserialize)]
struct WrittenError {
    exit_code: u8,
}

impl Earlier {
    /// Reads results. A last line without its end is none.
    ///
    /// # Errors
    /// A sentence, if something else than results of a batch is there.
    pub fn read(mut lines: impl BufRead) -> Result<Self, String> {
        let mut earlier = Self::default();
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let bytes = lines.read_until(b'\n', &mut line).map_err(|error| cause(&error))?;
            if line.last() != Some(&b'\n') {
                break;
            }
            let begin = earlier.whole_bytes;
            earlier.whole_bytes += bytes as u64;
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let written: Written =
                serde_json::from_slice(&line).map_err(|_| format!("its line {number} is no result of a batch"))?;
            if written.error.is_some() {
                earlier.failed.push(begin..earlier.whole_bytes);
            }
            earlier.tally.add(written.error.map(|error| error.exit_code));
            if !earlier.done.insert(written.id.to_string()) {
                return Err(format!("its line {number} is the second for the id {}", written.id));
            }
            tracing::trace!(id = %written.id, reason = written.finish_reason, "is done already");
        }
        Ok(earlier)
    }
}

/// A file to write results into.
#[derive(Debug)]
pub struct Results {
    file: File,
    /// The file that was there before the lines of items that failed were taken out, which keeps others from it.
    _locked: Option<File>,
}

impl Write for Results {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Opens a file to write results into, behind those that are there. With `retries` the lines of items that failed are
/// taken out first, so that these are not done.
///
/// # Errors
/// If it cannot be, another run writes there, or something else is there.
pub fn go_on(path: &Path, retries: bool) -> Result<(Results, Earlier), Failure> {
    let file = open(path)?;
    let earlier = read(&file, path)?;
    let (file, earlier, _locked) = if retries && !earlier.failed.is_empty() {
        let kept = without_failed(&file, path, &earlier).map_err(|error| cannot_write(path, &error))?;
        let earlier = read(&kept, path)?;
        (kept, earlier, Some(file))
    } else {
        (file, earlier, None)
    };
    file.set_len(earlier.whole_bytes).map_err(|error| cannot_write(path, &error))?;
    (&file).seek(SeekFrom::End(0)).map_err(|error| cannot_write(path, &error))?;
    Ok((Results { file, _locked }, earlier))
}

fn read(file: &File, path: &Path) -> Result<Earlier, Failure> {
    let read = Earlier::read(BufReader::new(file));
    read.map_err(|problem| {
        Failure::usage(format!("cannot go on with `{}`: {problem}", path.display()))
            .hint("name the file that the earlier run wrote, or another one that is not there yet")
    })
}

/// Puts a file without the lines of items that failed in the place of this one, all at once. It is locked before it has
/// the name.
fn without_failed(mut file: &File, path: &Path, earlier: &Earlier) -> io::Result<File> {
    // What a link leads to is replaced, and not the link.
    let path = path.canonicalize()?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut kept = tempfile::NamedTempFile::new_in(folder)?;
    let ends = earlier.failed.iter().map(|range| range.start).chain([earlier.whole_bytes]);
    let begins = [0].into_iter().chain(earlier.failed.iter().map(|range| range.end));
    for (begin, end) in begins.zip(ends) {
        file.seek(SeekFrom::Start(begin))?;
        io::copy(&mut file.take(end - begin), &mut kept)?;
    }
    kept.as_file().set_permissions(file.metadata()?.permissions())?;
    kept.as_file().sync_all()?;
    // It has no name that another run could know, so nobody else can have locked it.
    let _ = kept.as_file().try_lock();
    let mut kept = kept.persist(&path)?;
    sync_folder(folder)?;
    kept.seek(SeekFrom::Start(0))?;
    Ok(kept)
}

/// Opens a file for results that is not there, or empty.
///
/// # Errors
/// If it cannot be, another run writes there, or something is there.
pub fn begin(path: &Path) -> Result<Results, Failure> {
    let file = open(path)?;
    let shown = path.display();
    let is_file = |length: u64| length > 0;
    if file.metadata().is_ok_and(|metadata| metadata.is_file() && is_file(metadata.len())) {
        return Err(Failure::usage(format!("`{shown}` is there already, and nothing was written to it"))
            .hint(format!("go on with it by `--resume {shown}`, or name another file")));
    }
    Ok(Results { file, _locked: None })
}

fn open(path: &Path) -> Result<File, Failure> {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    let file = opened.map_err(|error| cannot_write(path, &error))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Err(Failure::usage(format!("another run writes to `{}`; wait for it, or stop it", path.display())))
        }
        // Not every file system knows locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Failure {
    Failure::disk(format!("cannot write `{}`: {}", path.display(), cause(error)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(id: &str, error: &str) -> String {
        format!("{{\"id\": {id}, \"text\": \"x\", \"finish_reason\": \"stop\", \"error\": {error}}}\n")
    }

    fn read(text: &str) -> Result<Earlier, String> {
        Earlier::read(text.as_bytes())
    }

    #[test]
    fn ids_that_have_a_whole_line_are_done() {
        let text = [line("\"a\"", "null"), "\n".into(), line("7", "{\"exit_code\": 7}")].concat();
        let earlier = read(&text).unwrap();
        assert_eq!(earlier.done, HashSet::from(["\"a\"".into(), "7".into()]));
        assert_eq!((earlier.whole_bytes, earlier.tally.unsatisfied, earlier.tally.failed), (text.len() as u64, 1, 0));
    }

    #[test]
    fn wherever_the_last_line_was_cut_its_item_is_not_done() {
        let (first, second) = (line("1", "null"), line("2", "null"));
        for cut in 0..second.len() {
            let earlier = read(&format!("{first}{}", &second[..cut])).unwrap();
            assert_eq!(earlier.done, HashSet::from(["1".into()]), "{cut}");
            assert_eq!(earlier.whole_bytes, first.len() as u64);
        }
        assert_eq!(read(&format!("{first}{second}")).unwrap().done.len(), 2);
    }

    #[test]
    fn what_is_no_result_is_not_gone_on_with() {
        let problem = |text: &str| read(text).unwrap_err();
        assert_eq!(problem("hello\n"), "its line 1 is no result of a batch");
        assert_eq!(problem(&format!("{}{{\"prompt\": 1}}\n", line("1", "null"))), "its line 2 is no result of a batch");
        assert_eq!(problem(&line("1", "null").repeat(2)), "its line 2 is the second for the id 1");
    }

    #[test]
    fn what_was_torn_is_cut_off_and_others_keep_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.ndjson");
        std::fs::write(&path, format!("{}{{\"id\": 2, \"te", line("1", "null"))).unwrap();
        assert_eq!(begin(&path).unwrap_err().exit.code(), 2);
        let (mut file, earlier) = go_on(&path, false).unwrap();
        assert_eq!(earlier.done.len(), 1);
        assert!(go_on(&path, false).unwrap_err().message.starts_with("another run writes to"));
        file.write_all(line("2", "null").as_bytes()).unwrap();
        drop(file);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), line("1", "null") + &line("2", "null"));
        let new = folder.path().join("new.ndjson");
        assert_eq!(go_on(&new, false).unwrap().1, Earlier::default());
    }

    #[test]
    fn lines_of_items_that_failed_are_taken_out_where_these_are_to_be_done_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.ndjson");
        let (good, bad) = ("{\"exit_code\": 7}", "{\"exit_code\": 1}");
        let text = [line("1", bad), line("2", "null"), line("3", good), line("4", "null")].concat();
        std::fs::write(&path, format!("{text}{{\"id\": 5")).unwrap();
        let (mut file, earlier) = go_on(&path, true).unwrap();
        assert_eq!(earlier.done, HashSet::from(["2".into(), "4".into()]));
        assert_eq!(earlier.tally, Tally { done: 2, ..Tally::default() });
        assert!(go_on(&path, true).unwrap_err().message.starts_with("another run writes to"));
        file.write_all(line("1", "null").as_bytes()).unwrap();
        drop(file);
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written, [line("2", "null"), line("4", "null"), line("1", "null")].concat());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn any_bytes_are_results_up_to_a_whole_line_or_a_sentence(
            lines in proptest::collection::vec(
                prop_oneof![
                    "[0-9]{1,2}|\"[ab]\"|null|\\[\\]".prop_map(|id| line(&id, "null").into_bytes()),
                    "-?[0-9]{1,9}|\\{\\}".prop_map(|error| line("9", &format!("{{\"exit_code\": {error}}}")).into_bytes()),
                    proptest::collection::vec(any::<u8>(), 0..40),
                ],
                0..6,
            ),
            cut in 0usize..80,
        ) {
            let mut bytes = lines.concat();
            bytes.truncate(bytes.len().saturating_sub(cut));
            match Earlier::read(&bytes[..]) {
                Ok(earlier) => {
                    let whole = earlier.whole_bytes as usize;
                    prop_assert!(whole <= bytes.len() && bytes[whole..].iter().all(|byte| *byte != b'\n'));
                    prop_assert!(earlier.failed.iter().all(|range| range.end <= earlier.whole_bytes));
                    prop_assert!(earlier.tally.done == earlier.done.len());
                }
                Err(sentence) => prop_assert!(sentence.starts_with("its line "), "{sentence}"),
            }
        }
    }
}
