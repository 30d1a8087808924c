//! The program `tuichat`: read the command line, run, print the error, leave with the exit code.
//!
//! Nothing here switches hf-hub's statistics off: they belong to its second way of downloading, which
//! [`tuichat::models::hub`] never starts.
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

use tuichat::cli::{Arguments, mistakes};
use tuichat::commands::completions;
use tuichat::exit::{Exit, Failure};
use tuichat::{closed_stdout, cpu_check, text};

fn main() -> ExitCode {
    // First of all, before anything that was compiled for this processor and might not run on it.
    if cpu_check::complain(&mut std::io::stderr()) {
        return Exit::Error.into();
    }
    if completions::answer() {
        return Exit::Success.into();
    }
    let line: Vec<OsString> = std::env::args_os().collect();
    let arguments = match Arguments::read(&line) {
        Ok(arguments) => arguments,
        Err(message) if mistakes::is_mistake(&message) => return fail(&tuichat::refuse(&message, &line)),
        Err(message) => {
            // Help and version are such messages too; a reader that does not want them to the end is no error.
            if !message.use_stderr()
                && let Err(failure) = closed_stdout::check()
            {
                return fail(&failure);
            }
            let _ = message.print();
            return if message.use_stderr() { Exit::Usage.into() } else { Exit::Success.into() };
        }
    };
    match tuichat::run(arguments) {
        Ok(exit) => exit.into(),
        Err(failure) => fail(&failure),
    }
}

fn fail(failure: &Failure) -> ExitCode {
    if failure.exit != Exit::ClosedPipe {
        // Messages quote files and models, which must not command the terminal.
        // A closed stderr is no reason to panic.
        let _ = writeln!(std::io::stderr(), "{}", text::escape(&failure.to_string()));
    }
    failure.exit.into()
}
