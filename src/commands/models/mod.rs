//! `tuichat models`: what there is, and getting, checking and removing it, one file for each kind of work. stdout is the
//! result; progress is for stderr.

mod check;
mod elsewhere;
mod export;
mod import;
mod list;
mod pull;
mod rm;
mod search;
mod show;

use std::io;
use std::path::Path;

use super::{Surroundings, aside, print};
use crate::cli::ModelsCommand;
use crate::exit::{Exit, Failure};
use crate::models::{Import, ModelError, Progress, Step, Taking, create_private};
use crate::remarks::Remarks;
use crate::text::file_size as size;

/// # Errors
/// If it cannot be done.
pub fn run(command: ModelsCommand, surroundings: &Surroundings) -> Result<Exit, Failure> {
    let _log = surroundings.begin()?;
    let library = surroundings.library();
    match command {
        ModelsCommand::List { catalog, json } => list::run(&library, catalog, json, surroundings)?,
        ModelsCommand::Pull { reference } => pull::run(reference.as_deref(), &library, surroundings)?,
        ModelsCommand::Search { words, limit, json } => search::run(&words.join(" "), limit, json, surroundings)?,
        ModelsCommand::Show { model, template: true, .. } => show::template(&library.resolve(Some(&model))?)?,
        ModelsCommand::Show { model, json, .. } => show::run(&model, &library, json, surroundings)?,
        ModelsCommand::Rm { model } => rm::run(&model, &library, surroundings)?,
        ModelsCommand::Import { file, name, sha256, link, moved, member, copy: _ } => {
            let taking = match (link, moved) {
                (true, _) => Taking::Link,
                (_, true) => Taking::Move,
                _ => Taking::Copy,
            };
            let (name, expected_sha256, member) = (name.as_deref(), sha256.as_deref(), member.as_deref());
            let how = Import { name, expected_sha256, taking, member, origin: None };
            import::run(&file, how, &library, surroundings)?;
        }
        ModelsCommand::Export { models, folder } => export::run(&models, &folder, &library, surroundings)?,
        ModelsCommand::Check { model, json, no_load } => {
            let how = check::How { as_json: json, loads: !no_load };
            check::run(&model, &library.resolve(Some(&model))?, how, surroundings)?;
        }
        ModelsCommand::Path { model: None } => print(&format!("{}\n", surroundings.directories.models.display()))?,
        ModelsCommand::Path { model: Some(name) } => {
            print(&format!("{}\n", library.resolve(Some(&name))?.path.display()))?;
        }
    }
    Ok(Exit::Success)
}

fn make_private(folder: &Path) -> Result<(), Failure> {
    create_private(folder).map_err(|error| {
        Failure::disk(format!("cannot make the folder {}: {}", folder.display(), crate::text::cause(&error)))
    })
}

/// Prints what a model that was got is called from now on.
fn tell_name(name: &str, surroundings: &Surroundings) -> Result<(), Failure> {
    print(&format!("{name}\n"))?;
    aside(surroundings, &format!("that is its name here: `tuichat -m {name}` talks with it"));
    Ok(())
}

fn remarks(surroundings: &Surroundings) -> Remarks<io::Stderr> {
    Remarks::on_stderr(surroundings.config.quiet)
}

/// Does what takes a while and shows how far it is.
pub(super) fn with_progress<T>(
    surroundings: &Surroundings,
    work: impl FnOnce(&mut dyn FnMut(Progress)) -> Result<T, ModelError>,
) -> Result<T, ModelError> {
    let mut remarks = remarks(surroundings);
    let outcome = work(&mut |progress| remarks.progress(&status(&progress)));
    remarks.clear();
    outcome
}

fn status(progress: &Progress) -> String {
    let doing = match progress.step {
        Step::Waiting => return "another tuichat is downloading this; waiting for it".into(),
        Step::Postponed { seconds } => return format!("the hub asked to wait; going on in {}", duration(seconds)),
        Step::Downloading => "downloading",
        Step::Copying => "copying",
        Step::Hashing => "checking",
    };
    let percent = progress.done_bytes.saturating_mul(100) / progress.total_bytes.max(1);
    let mut status = format!("{doing} {percent} % of {}", size(progress.total_bytes));
    if let Some(speed) = progress.bytes_per_second {
        status.push_str(&format!(", {}/s", size(speed as u64)));
    }
    if let Some(seconds) = progress.seconds_left().filter(|seconds| *seconds > 0) {
        status.push_str(&format!(", {} left", duration(seconds)));
    }
    status
}

/// Seconds in the two largest units that they fill.
fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_one_line_that_says_how_far_and_how_fast() {
        let progress = Progress {
            step: Step::Downloading,
            done_bytes: 49_181_216,
            total_bytes: 98_362_432,
            bytes_per_second: Some(2_000_000.0),
        };
        assert_eq!(status(&progress), "downloading 50 % of 98.4 MB, 2.0 MB/s, 25 s left");
        let slower = Progress { bytes_per_second: Some(614_765.2), ..progress };
        assert_eq!(status(&slower), "downloading 50 % of 98.4 MB, 0.6 MB/s, 1 min 20 s left");
        let waiting = Progress { step: Step::Postponed { seconds: 7200 }, ..progress };
        assert_eq!(status(&waiting), "the hub asked to wait; going on in 2 h 0 min");
    }

    #[test]
    fn an_empty_file_is_no_division_by_nothing() {
        let progress = Progress { step: Step::Hashing, done_bytes: 0, total_bytes: 0, bytes_per_second: None };
        assert_eq!(status(&progress), "checking 0 % of 0.0 MB");
    }
}
