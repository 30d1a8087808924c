//! `tuichat chats import`: chats of this program elsewhere, and of others.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use serde::Serialize;

use super::super::{print, print_json};
use crate::exchange::import::{ImportError, Report, import};
use crate::exit::{Exit, Failure};
use crate::store::Store;
use crate::text::{counted, escape_line};

/// What is told as JSON. The keys are a contract.
#[derive(Serialize)]
struct Told<'a> {
    imported: usize,
    known: usize,
    prompts: usize,
    problems: &'a [String],
    more_problems: usize,
}

/// # Errors
/// If a file cannot be read or nothing in it is a chat.
pub(super) fn run(store: &mut Store, files: &[PathBuf], json: bool, quiet: bool) -> Result<Exit, Failure> {
    let mut all = Report::default();
    for file in files {
        let name = escape_line(&file.to_string_lossy());
        let shows_progress = !quiet && std::io::stderr().is_terminal();
        let report = import(file, store, &mut |count| {
            if shows_progress && count.is_multiple_of(20) {
                // Progress that cannot be shown is no failure.
                let _ = write!(std::io::stderr(), "\r{name}: {count} chats ");
            }
        });
        if shows_progress {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
        let report = report.map_err(failure)?;
        if !json {
            print(&format!("{name}: {}\n", sentence(&report)))?;
            for problem in &report.problems {
                eprintln!("warning: {name}: {problem}");
            }
            if report.more_problems > 0 {
                eprintln!("warning: {name}: and {} more of these", report.more_problems);
            }
        }
        all.chats += report.chats;
        all.known += report.known;
        all.prompts += report.prompts;
        all.more_problems += report.more_problems;
        all.problems.extend(report.problems.into_iter().map(|problem| format!("{name}: {problem}")));
    }
    if json {
        print_json(&Told {
            imported: all.chats,
            known: all.known,
            prompts: all.prompts,
            problems: &all.problems,
            more_problems: all.more_problems,
        })?;
    }
    Ok(if all.is_empty() && !all.problems.is_empty() { Exit::Error } else { Exit::Success })
}

fn failure(error: ImportError) -> Failure {
    match error {
        ImportError::Store(error) => error.into(),
        other => Failure::error(other.to_string()),
    }
}

/// What came of a file.
fn sentence(report: &Report) -> String {
    let mut parts = vec![format!("{} imported", counted(report.chats as u64, "chat"))];
    if report.known > 0 {
        parts.push(format!("{} here already", report.known));
    }
    if report.prompts > 0 {
        parts = vec![format!("{} imported, which Up and Ctrl-R find", counted(report.prompts as u64, "prompt"))];
    }
    let broken = report.problems.len() + report.more_problems;
    if broken > 0 {
        parts.push(format!("{broken} not imported"));
    }
    parts.join(", ")
}
