//! The runs that are kept, a file for each in one folder: beginning one, going on with one, finding one.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::record::{Head, Line, Run, Status};
use crate::exit::Failure;
use crate::models::create_private;
use crate::text::cause;

const ENDING: &str = "jsonl";
/// What a person calls the newest run.
pub const LAST: &str = "last";
/// Runs of one suite that begin in the same minute.
const MOST_ALIKE: u32 = 100;

/// The folder of runs. It need not exist.
#[derive(Clone, Debug)]
pub struct History {
    folder: PathBuf,
}

/// The file of a run that is being written. Nobody else writes it meanwhile.
#[derive(Debug)]
pub struct Kept {
    file: File,
}

/// A run in a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    pub path: PathBuf,
    /// What is wrong with the file, if it cannot be read.
    pub run: Result<Run, String>,
    /// It is being written right now.
    pub is_running: bool,
}

impl History {
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Begins the file of a run, and names the run after the time and its suite.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn begin(&self, head: &mut Head) -> io::Result<Kept> {
        create_private(&self.folder)?;
        let first = name_of(head);
        let names = (2..=MOST_ALIKE).map(|number| format!("{first}-{number}"));
        for name in std::iter::once(first.clone()).chain(names) {
            let path = self.folder.join(format!("{name}.{ENDING}"));
            match OpenOptions::new().append(true).create_new(true).open(path) {
                Ok(file) => {
                    // On a file system without locks, two could go on with a run at once; no more than that.
                    let _ = file.try_lock();
                    head.id = name;
                    return Ok(Kept { file });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other(format!("there are {MOST_ALIKE} runs called {first}")))
    }

    /// Takes up a run that did not come to its end.
    ///
    /// # Errors
    /// If there is none of that name, it came to its end, or it is under way.
    pub fn take_up(&self, name: &str) -> Result<(Run, Kept), Failure> {
        let path = self.find(name)?;
        let failed =
            |error: &io::Error| Failure::disk(format!("cannot go on with {}: {}", path.display(), cause(error)));
        let mut file = OpenOptions::new().read(true).append(true).open(&path).map_err(|error| failed(&error))?;
        if let Err(std::fs::TryLockError::WouldBlock) = file.try_lock() {
            return Err(Failure::usage(format!("`{}` is being measured by another tuichat", id_of(&path))));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| failed(&error))?;
        let (run, whole) =
            Run::parse(&bytes).map_err(|words| Failure::usage(format!("{}: {words}", path.display())))?;
        if run.status() == Status::Whole {
            let hint = format!("`tuichat bench show {}` prints it", run.head.id);
            return Err(Failure::usage(format!("`{}` came to its end", run.head.id)).hint(hint));
        }
        file.set_len(whole as u64).map_err(|error| failed(&error))?;
        Ok((run, Kept { file }))
    }

    /// The file of a run: by its ID, the beginning of it, `last`, or a path.
    ///
    /// # Errors
    /// If there is none, or several begin so.
    pub fn find(&self, name: &str) -> Result<PathBuf, Failure> {
        let path = Path::new(name);
        if (name.contains('/') || path.extension().is_some_and(|ending| ending == ENDING)) && path.is_file() {
            return Ok(path.to_owned());
        }
        let files = self.files();
        let listing = "`tuichat bench list` shows the runs that are kept";
        if name == LAST {
            return files
                .last()
                .cloned()
                .ok_or_else(|| Failure::usage("no run is kept yet").hint("`tuichat bench` makes one"));
        }
        let begin_so: Vec<&PathBuf> = files.iter().filter(|file| id_of(file).starts_with(name)).collect();
        let exact = begin_so.iter().find(|file| id_of(file) == name);
        match (exact, &begin_so[..]) {
            (Some(file), _) => Ok((*file).clone()),
            (None, [file]) => Ok((*file).clone()),
            (None, []) => Err(Failure::usage(format!("there is no run `{name}`")).hint(listing)),
            (None, several) => {
                let ids: Vec<String> = several.iter().map(|file| format!("`{}`", id_of(file))).collect();
                let sentence = format!("`{name}` is the beginning of several: {}", ids.join(", "));
                Err(Failure::usage(sentence).hint("type as much of one as tells it from the others"))
            }
        }
    }

    /// All runs, the newest last.
    pub fn list(&self) -> Vec<Listed> {
        let listed = |path: PathBuf| {
            let locked = File::open(&path).map(|file| file.try_lock_shared());
            let is_running = matches!(locked, Ok(Err(std::fs::TryLockError::WouldBlock)));
            Listed { run: Run::read(&path), path, is_running }
        };
        self.files().into_iter().map(listed).collect()
    }

    /// The IDs of all runs, the newest last.
    pub fn ids(&self) -> Vec<String> {
        self.files().iter().map(|file| id_of(file)).collect()
    }

    /// The files, by their names and so by time.
    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|ending| ending == ENDING))
            .collect();
        files.sort_by_key(|path| id_of(path));
        files
    }
}

impl Kept {
    /// Writes a line that is on the disk when this returns.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, line: &Line) -> io::Result<()> {
        self.file.write_all(line.to_text().as_bytes())?;
        self.file.sync_data()
    }
}

/// The ID of the run in this file.
pub fn id_of(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn name_of(head: &Head) -> String {
    let started = head.started.to_zoned(TimeZone::system());
    format!("{}-{}", started.strftime("%Y-%m-%d-%H%M"), head.suite)
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::{case, empty};
    use super::*;

    fn history() -> (tempfile::TempDir, History) {
        let folder = tempfile::tempdir().unwrap();
        let history = History::new(folder.path().join("bench"));
        (folder, history)
    }

    /// Keeps a run of one case and gives its ID; the file is closed without an end.
    fn keep(history: &History, suite: &str) -> String {
        let mut head = empty(suite).head;
        let mut kept = history.begin(&mut head).unwrap();
        kept.write(&Line::Run(Box::new(head.clone()))).unwrap();
        kept.write(&Line::Case(Box::new(case("a")))).unwrap();
        head.id
    }

    #[test]
    fn runs_have_names_that_sort_by_time_and_are_found_by_their_beginning() {
        let (_folder, history) = history();
        let first = keep(&history, "quick");
        let (second, third) = (keep(&history, "quick"), keep(&history, "threads"));
        assert!(first.starts_with("2026-11-27-") && first.ends_with("-quick"), "{first}");
        assert_eq!(second, format!("{first}-2"));
        let found = |name: &str| history.find(name).map(|path| id_of(&path)).map_err(|failure| failure.message);
        assert_eq!(found(&first), Ok(first.clone()), "although another begins so");
        assert_eq!(found(&third[..third.len() - 2]), Ok(third.clone()));
        assert_eq!(found(LAST), Ok(third));
        assert!(found("2026").unwrap_err().contains("several") && found("1999").unwrap_err().contains("no run"));
        assert!(history.find("2026").unwrap_err().hint.is_some_and(|hint| hint.contains("as much of one")));
        let path = history.find(&first).unwrap();
        assert_eq!(history.find(&path.display().to_string()).unwrap(), path);
        assert_eq!(history.list().len(), 3);
    }

    #[test]
    fn a_killed_run_is_taken_up_without_what_was_torn_and_by_one_at_a_time() {
        let (_folder, history) = history();
        let id = keep(&history, "quick");
        let path = history.find(&id).unwrap();
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"record\":\"case\",\"key\":\"b").unwrap();
        let (run, mut kept) = history.take_up(LAST).unwrap();
        assert_eq!(run.cases, [case("a")]);
        assert!(history.take_up(&id).unwrap_err().message.contains("another tuichat"));
        assert!(history.list()[0].is_running);
        kept.write(&Line::Case(Box::new(case("b")))).unwrap();
        drop(kept);
        assert!(!history.list()[0].is_running);
        assert_eq!(Run::read(&path).unwrap().cases, [case("a"), case("b")]);
    }

    #[test]
    fn without_a_folder_there_are_no_runs() {
        let (_folder, history) = history();
        assert!(history.list().is_empty() && history.find(LAST).is_err());
    }
}
