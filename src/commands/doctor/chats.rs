//! The chats: how many there are, and whether their file is whole and one that this program understands.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::finding::{Finding, Level, Section, object};
use super::system::{System, typed};
use crate::store::{self, Inspection, StoreError};
use crate::text::{counted, file_size};

/// How long SQLite may look at the file.
const PATIENCE: Duration = Duration::from_millis(400);

/// What is known of the chats.
#[derive(Debug, Serialize)]
pub struct Chats {
    file: PathBuf,
    chats: Option<u64>,
    messages: Option<u64>,
    size_bytes: Option<u64>,
    schema: Option<u32>,
    /// Whether the file is whole; `None` where it was not, or not wholly, looked at.
    is_whole: Option<bool>,
    #[serde(skip)]
    finding: Option<Finding>,
    #[serde(skip)]
    shown: String,
}

impl Chats {
    /// Looks at the file.
    pub fn read(system: &System<'_>, file: &Path) -> Self {
        let (inspection, finding) = match store::inspect(file, PATIENCE) {
            Ok(Some(inspection)) => {
                let finding = finding(system, file, &inspection);
                (Some(inspection), finding)
            }
            Ok(None) => (None, None),
            Err(error) => (None, Some(refusal(&error))),
        };
        let of = |part: fn(&Inspection) -> u64| inspection.as_ref().map(part);
        Self {
            file: file.to_owned(),
            chats: of(|it| it.chats),
            messages: of(|it| it.messages),
            size_bytes: of(|it| it.size_bytes),
            schema: inspection.as_ref().map(|it| it.schema.0),
            is_whole: inspection.as_ref().and_then(|it| it.is_whole),
            finding,
            shown: system.shown(file),
        }
    }

    pub fn section(&self) -> Section {
        let mut facts = vec![("file", self.shown.clone())];
        if let (Some(chats), Some(messages), Some(bytes)) = (self.chats, self.messages, self.size_bytes) {
            let (chats, messages) = (counted(chats, "chat"), counted(messages, "message"));
            facts.push(("content", format!("{chats}, {messages}, {}", file_size(bytes))));
        } else if self.finding.is_none() {
            facts.push(("content", "nothing yet".into()));
        }
        if self.chats.is_some() && self.is_whole.is_none() {
            let file = typed(&self.file);
            facts.push((
                "integrity",
                format!("too large to look at all of it now: `sqlite3 {file} 'PRAGMA quick_check'`"),
            ));
        }
        Section {
            name: "chats",
            title: "Chats",
            facts,
            findings: self.finding.clone().into_iter().collect(),
            object: object(self),
        }
    }
}

fn finding(system: &System<'_>, file: &Path, inspection: &Inspection) -> Option<Finding> {
    match inspection.is_whole {
        Some(true) => Some(Finding::ok("their file is whole")),
        Some(false) => {
            let complaint = inspection.complaint.as_deref().unwrap_or_default();
            let name = typed(file);
            Some(Finding::problem(
                format!("`{}` is damaged: {complaint}", system.shown(file)),
                format!(
                    "copy it first: `cp {name} {name}.copy`; then `sqlite3 {name}.copy .recover` writes down what can be \
                     read"
                ),
            ))
        }
        None => None,
    }
}

fn refusal(error: &StoreError) -> Finding {
    let otherwise = "choose another folder with `TUICHAT_HOME=FOLDER`";
    Finding::of_sentence(Level::Problem, &error.to_string(), ": ", otherwise)
}

#[cfg(test)]
mod tests {
    use super::super::system::fixture::Fixture;
    use super::*;
    use crate::store::Store;

    fn section(file: &Path) -> Section {
        Fixture::new(&[], &[]).examine(|system| Chats::read(system, file).section())
    }

    #[test]
    fn chats_are_counted_and_their_file_is_ok() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chats.db");
        assert_eq!(section(&file).facts[1].1, "nothing yet");
        Store::open(&file).unwrap().create_chat("One", None).unwrap();
        let section = section(&file);
        assert!(section.facts[1].1.starts_with("1 chat, 0 messages, "), "{:?}", section.facts);
        assert_eq!((section.level(), &section.object["chats"]), (Level::Ok, &1.into()));
    }

    #[test]
    fn what_is_no_database_is_a_problem_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("chats.db");
        std::fs::write(&file, "not at all a database".repeat(100)).unwrap();
        let section = section(&file);
        assert_eq!(section.level(), Level::Problem);
        assert!(section.findings[0].remedy.as_ref().unwrap().starts_with("`mv "), "{:?}", section.findings);
    }
}
