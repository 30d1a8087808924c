//! `tuichat man`: one page about the program and all its commands, in the form that `man` reads.

use std::io::{self, Write};

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use super::print;
use crate::cli::Arguments;
use crate::exit::Failure;

/// Prints the page.
///
/// # Errors
/// If it cannot be written.
pub fn run() -> Result<(), Failure> {
    let page = page().map_err(|error| Failure::output(&error))?;
    print(&String::from_utf8_lossy(&page))
}

fn page() -> io::Result<Vec<u8>> {
    let mut command = Arguments::command();
    command.build();
    let mut page = Vec::new();
    let man = Man::new(command.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    for subcommand in command.get_subcommands() {
        render(subcommand, &mut page)?;
    }
    man.render_extra_section(&mut page)?;
    man.render_version_section(&mut page)?;
    Ok(page)
}

/// A section for each command that does something, headed by what is typed.
fn render(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let is_help = command.get_name() == "help";
    if command.is_hide_set() || is_help {
        return Ok(());
    }
    if command.has_subcommands() {
        return command.get_subcommands().try_for_each(|subcommand| render(subcommand, page));
    }
    let typed = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_uppercase();
    writeln!(page, ".SH {typed}")?;
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    writeln!(page, "{}", about.replace('-', "\\-"))?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        let mut options = Vec::new();
        Man::new(command.clone()).render_options_section(&mut options)?;
        page.extend(String::from_utf8_lossy(&options).replacen(".SH OPTIONS\n", ".PP\n", 1).as_bytes());
    }
    Ok(())
}
