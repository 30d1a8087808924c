//! What can be told of a command line that cannot be read as a whole: whose mistake it is, and in which form whoever
//! typed it expects an answer.

use std::ffi::OsString;

use clap::{Arg, Command, ValueEnum};

use crate::config::Output;

/// What was understood of the line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// The names of the commands, one in the other; without any it is about a chat or an answer.
    pub commands: Vec<String>,
    /// What `-o` says of the form of an answer.
    pub output: Option<Output>,
    /// Whether there is a prompt to answer.
    pub has_prompt: bool,
}

impl Unread {
    /// Looks through a line that begins with the program's name.
    pub fn of(line: &[OsString]) -> Self {
        let mut command = super::definition();
        command.build();
        let mut found = Self::default();
        let mut words = line.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).peekable();
        while let Some(word) = words.next() {
            if word == "--" {
                break;
            }
            let Some((argument, beside)) = option(&command, &word) else {
                if let Some(inner) = command.find_subcommand(&word).cloned() {
                    found.commands.push(inner.get_name().to_owned());
                    command = inner;
                }
                continue;
            };
            let value = beside.or_else(|| words.next_if(|next| takes(argument, next)));
            match argument.get_id().as_str() {
                "output" => found.output = value.and_then(|form| Output::from_str(&form, true).ok()).or(found.output),
                "prompt" | "prompt_name" => found.has_prompt = true,
                _ => {}
            }
            while most(argument) > 1 && words.next_if(|next| !next.starts_with('-')).is_some() {}
        }
        found
    }
}

/// The option that stands where a prompt should, such as behind `-p $UNSET`. A prompt that is an option's name is typed
/// as `--prompt=…`.
pub fn instead_of_prompt(line: &[OsString]) -> Option<String> {
    let command = super::definition();
    let mut words = line.iter().skip(1).map(|word| word.to_string_lossy());
    words.find(|word| matches!(&**word, "--" | "-p" | "--prompt")).filter(|word| word != "--")?;
    let next = words.next()?.into_owned();
    let is_name = next.starts_with("--") || next.chars().count() == 2;
    let (argument, _) = option(&command, &next).filter(|_| is_name && !next.contains(char::is_whitespace))?;
    (!argument.is_hide_set()).then_some(next)
}

/// Whether a word is an option of any command that is on by itself, and whose value would follow behind a `=`.
pub fn is_switch(word: &str) -> bool {
    fn has(command: &Command, word: &str) -> bool {
        let of_this = option(command, word).is_some_and(|(argument, _)| argument.is_require_equals_set());
        of_this || command.get_subcommands().any(|inner| has(inner, word))
    }
    !word.contains('=') && has(&super::definition(), word)
}

/// The option that a word names, with the value that is part of the word.
fn option<'command>(command: &'command Command, word: &str) -> Option<(&'command Arg, Option<String>)> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value.to_owned())));
        let argument = command.get_arguments().find(|argument| argument.get_long() == Some(name))?;
        return Some((argument, value));
    }
    let short = word.strip_prefix('-')?;
    let letter = short.chars().next()?;
    let argument = command.get_arguments().find(|argument| argument.get_short() == Some(letter))?;
    let beside = &short[letter.len_utf8()..];
    let beside = beside.strip_prefix('=').unwrap_or(beside);
    Some((argument, Some(beside.to_owned()).filter(|beside| !beside.is_empty())))
}

fn most(argument: &Arg) -> usize {
    argument.get_num_args().map_or(0, |range| range.max_values())
}

/// Whether the word behind an option is its value.
fn takes(argument: &Arg, next: &str) -> bool {
    let least = argument.get_num_args().map_or(0, |range| range.min_values());
    let may_begin_with_hyphen = argument.is_allow_hyphen_values_set() && least > 0;
    most(argument) > 0 && !argument.is_require_equals_set() && (may_begin_with_hyphen || !next.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_no_prompt_unless_it_is_typed_as_one() {
        let of = |line: &[&str]| {
            instead_of_prompt(&std::iter::once(&"tuichat").chain(line).map(OsString::from).collect::<Vec<_>>())
        };
        assert_eq!(of(&["-p", "--offline"]).as_deref(), Some("--offline"));
        assert_eq!(of(&["-q", "--prompt", "-o", "json"]).as_deref(), Some("-o"));
        assert_eq!(of(&["-p", "--temp=0"]).as_deref(), Some("--temp=0"));
        for line in [&["-p", "--hi"][..], &["--prompt=--offline"], &["-p", "-m is minus m"], &["-p", "-"], &["-p"]] {
            assert_eq!(of(line), None, "{line:?}");
        }
    }

    fn of(line: &str) -> (String, Option<Output>, bool) {
        let line: Vec<OsString> = format!("tuichat {line}").split(' ').map(Into::into).collect();
        let found = Unread::of(&line);
        (found.commands.join(" "), found.output, found.has_prompt)
    }

    #[test]
    fn the_form_that_was_asked_for_is_found_beside_any_mistake() {
        for (line, output) in [
            ("-p x --nosuch -o json", Some(Output::Json)),
            ("--temp 9 -p x --output=ndjson", Some(Output::Ndjson)),
            ("-ojson -p x --temp", Some(Output::Json)),
            ("-o=json --file a b c -p x", Some(Output::Json)),
            ("-p x -o xml", None),
            ("-p -o json", None),
            ("--system -o -p x", None),
            ("-p x -- -o json", None),
            ("--quiet -o text -p x", Some(Output::Text)),
            ("--file a -o json -p x", Some(Output::Json)),
        ] {
            assert_eq!(of(line).1, output, "{line}");
        }
        assert!(of("--file a b -p x").2 && of("--prompt-name x").2 && !of("--system -p").2);
    }

    #[test]
    fn the_command_of_a_mistake_is_found() {
        assert_eq!(of("models pull --nosuch x").0, "models pull");
        assert_eq!(of("--quiet batch -o json").0, "batch");
        assert_eq!(of("-p models --nosuch").0, "");
        assert_eq!(of("--resume models").0, "");
    }
}
