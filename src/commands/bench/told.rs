//! What becomes of a run that was measured or is kept: what is printed, what is written into a file, and with which other
//! run it is compared.

use std::path::{Path, PathBuf};

use crate::bench::compare::{self, Comparison};
use crate::bench::history::History;
use crate::bench::record::Run;
use crate::bench::reports::{self, Format, Trust};
use crate::bench::tables;
use crate::cli::{BenchCommand, Telling};
use crate::commands::{print, print_fitted};
use crate::exit::Failure;
use crate::text::escape_line;

/// What was asked to become of a run.
#[derive(Debug)]
pub struct Wish {
    /// What is printed; `None` for what the suite has.
    printed: Option<Format>,
    written: Option<(PathBuf, Format)>,
    /// The run to compare with, before this one.
    earlier: Option<Run>,
}

impl Wish {
    /// What was typed for a run that is going to be measured. Whatever is wrong with it is said before that.
    ///
    /// # Errors
    /// If a file has no format or no folder, or there is no run to compare with.
    pub fn of(command: &BenchCommand, history: &History) -> Result<Self, Failure> {
        let earlier = command.compare.as_deref().map(|name| compare::find(name, history)).transpose()?;
        let wish = Self::over(&command.telling, command.json)?;
        // Both are printed, the run for programs.
        Ok(Self { earlier, ..wish })
    }

    fn over(telling: &Telling, is_json: bool) -> Result<Self, Failure> {
        let json = is_json.then_some(Format::Jsonl);
        let written = match &telling.out {
            Some(path) => Some((path.clone(), Format::for_file(telling.format, path)?)),
            None => None,
        };
        if let Some((path, _)) = &written
            && let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir())
        {
            let sentence = format!("there is no folder `{}` to write `{}` into", folder.display(), path.display());
            return Err(Failure::disk(sentence).hint("make the folder first, or name another file"));
        }
        let printed = json.or(if written.is_some() { None } else { telling.format });
        Ok(Self { printed, written, earlier: None })
    }

    /// Lines are printed while they are made.
    pub fn is_json(&self) -> bool {
        self.printed == Some(Format::Jsonl)
    }

    /// Tables are printed, for people.
    pub fn prints_tables(&self) -> bool {
        matches!(self.printed, None | Some(Format::Table))
    }

    /// Tells a run that was measured; `tables` are those of its suite.
    ///
    /// # Errors
    /// If it cannot be printed or written.
    pub fn fulfil(&self, run: &Run, tables: impl FnOnce() -> String) -> Result<(), Failure> {
        match self.printed {
            Some(Format::Jsonl) => {}
            None | Some(Format::Table) => print_fitted(&tables())?,
            Some(format) => print(&reports::render(run, format))?,
        }
        if let Some(earlier) = &self.earlier {
            let format = match self.printed {
                Some(format @ (Format::Markdown | Format::Jsonl)) => format,
                _ => Format::Table,
            };
            let space = if format == Format::Jsonl { "" } else { "\n" };
            print(&format!("{space}{}", compare::render(&Comparison::of(earlier, run), format)?))?;
        }
        self.write(|format| Ok(reports::render(run, format)))
    }

    fn write(&self, render: impl FnOnce(Format) -> Result<String, Failure>) -> Result<(), Failure> {
        match &self.written {
            Some((path, format)) => reports::write(path, &render(*format)?),
            None => Ok(()),
        }
    }
}

/// Tells a run that is kept: into a file if one was named, else on stdout.
///
/// # Errors
/// If there is no such run, or it cannot be told so.
pub fn show(name: &str, history: &History, telling: &Telling, is_json: bool) -> Result<(), Failure> {
    let run = compare::find(name, history)?;
    tell(telling, is_json, |format| match format {
        Format::Table if Path::new(name).is_file() => Ok(tables::of(&run)),
        Format::Table => Ok(tables::of(&run) + &continued(&run)),
        other => Ok(reports::render(&run, other)),
    })
}

/// How to go on with a run that is kept here and is not whole.
fn continued(run: &Run) -> String {
    if reports::verdict(run).trust == Trust::Partial {
        format!("`tuichat bench --continue {}` goes on with it\n", escape_line(&run.head.id))
    } else {
        String::new()
    }
}

/// Tells how one run is beside another.
///
/// # Errors
/// If there is no such run, or it cannot be told so.
pub fn compare(names: [&str; 2], history: &History, telling: &Telling, is_json: bool) -> Result<(), Failure> {
    let [first, second] = names.map(|name| compare::find(name, history));
    let (first, second) = (first?, second?);
    tell(telling, is_json, |format| compare::render(&Comparison::of(&first, &second), format))
}

fn tell(
    telling: &Telling,
    is_json: bool,
    render: impl FnOnce(Format) -> Result<String, Failure>,
) -> Result<(), Failure> {
    let wish = Wish::over(telling, is_json)?;
    if wish.written.is_some() {
        return wish.write(render);
    }
    let format = wish.printed.unwrap_or(Format::Table);
    let text = render(format)?;
    if format == Format::Table { print_fitted(&text) } else { print(&text) }
}
