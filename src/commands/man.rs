//! `tuichat man`: pages in the form that `man` reads, written from the command line's definition: one about the program
//! and all its commands, or one for a command.

use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_mangen::Man;

use super::print;
use crate::cli;
use crate::exit::Failure;
use crate::text::cause;
use crate::text::plain::meant;

/// Prints the page of the program, or of the command that is named, or writes all pages into a folder.
///
/// # Errors
/// If there is no such command, or a page cannot be written.
pub fn run(words: &[String], folder: Option<&Path>) -> Result<(), Failure> {
    if let Some(folder) = folder {
        let written = std::fs::create_dir_all(folder).and_then(|()| write_all(folder));
        return written
            .map_err(|error| Failure::disk(format!("cannot write pages to {}: {}", folder.display(), cause(&error))));
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let page = match (&words[..], cli::command_named(definition(), words.iter().copied())) {
        ([], _) => whole_page(),
        (_, Some(command)) => page(&command),
        (_, None) => {
            let hint = near(&words).unwrap_or_else(|| "`tuichat --help` lists the commands".into());
            return Err(Failure::usage(format!("there is no command `{}`", words.join(" "))).hint(hint));
        }
    };
    print(&String::from_utf8_lossy(&page.map_err(|error| Failure::output(&error))?))
}

/// The page that may be meant by words of which one is no command.
fn near(words: &[&str]) -> Option<String> {
    let is_none = |count: &usize| cli::command_named(definition(), words[..*count].iter().copied()).is_none();
    let count = (1..=words.len()).find(is_none)?;
    let (word, commands) = words[..count].split_last()?;
    let command = cli::command_named(definition(), commands.iter().copied())?;
    let inner = meant(word, command.get_subcommands().filter(|inner| is_shown(inner)).map(Command::get_name))?;
    let page = [commands, &[inner], &words[count..]].concat().join(" ");
    Some(format!("`tuichat man {page}` may be meant"))
}

/// The page of the program, and one for each command, each under the name that `man` looks for.
fn write_all(folder: &Path) -> io::Result<()> {
    std::fs::write(folder.join("tuichat.1"), whole_page()?)?;
    let mut open: Vec<Command> = cli::command_named(definition(), []).into_iter().collect();
    while let Some(command) = open.pop() {
        for subcommand in command.get_subcommands().filter(|subcommand| is_shown(subcommand)) {
            let name = subcommand.get_display_name().unwrap_or_else(|| subcommand.get_name());
            std::fs::write(folder.join(format!("{name}.1")), page(subcommand)?)?;
            open.push(subcommand.clone());
        }
    }
    Ok(())
}

/// The command line with all that can be said about its options: a page is no place to be short.
fn definition() -> Command {
    fn whole(command: Command) -> Command {
        command.mut_args(|argument| argument.hide_short_help(false)).mut_subcommands(whole)
    }
    whole(cli::definition())
}

fn is_shown(command: &Command) -> bool {
    !command.is_hide_set() && command.get_name() != "help"
}

/// A page whose head and foot name the program and its version, not only the command.
fn titled(command: &Command) -> Man {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    Man::new(command.clone())
        .title(name)
        .source(concat!("tuichat ", env!("CARGO_PKG_VERSION")))
        .manual("tuichat manual")
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    titled(command).render(&mut page)?;
    Ok(page)
}

fn whole_page() -> io::Result<Vec<u8>> {
    let mut command = definition();
    command.build();
    let mut page = Vec::new();
    let man = titled(&command);
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
    if !is_shown(command) {
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
