//! What people type who know other programs (llama-cli, llama-bench, Ollama, llm, aichat) or remember a command without
//! the group it is in: which option or command of ours they may mean.

use clap::{Arg, Command};

use crate::text::plain::{alternatives, meant};

/// Options of other programs, and ours that do the same. A letter means one thing here and another there, so it may have
/// several.
const OPTIONS: [(&str, &[&str]); 34] = [
    ("-n", &["max-tokens"]),
    ("--n-predict", &["max-tokens"]),
    ("--predict", &["max-tokens"]),
    ("--num-predict", &["max-tokens"]),
    ("--max-new-tokens", &["max-tokens"]),
    ("-c", &["ctx", "continue"]),
    ("--ctx-size", &["ctx"]),
    ("--num-ctx", &["ctx"]),
    ("-t", &["threads"]),
    ("-s", &["system", "seed"]),
    ("--system-prompt", &["system"]),
    ("-f", &["file"]),
    ("-a", &["file"]),
    ("--attachment", &["file"]),
    ("-x", &["extract"]),
    ("-q", &["quiet"]),
    ("-v", &["verbose"]),
    ("-r", &["rounds", "resume"]),
    ("--repetitions", &["rounds"]),
    ("--template", &["prompt-name"]),
    ("--param", &["var"]),
    ("--n-gpu-layers", &["gpu-layers"]),
    ("--json-schema", &["schema"]),
    ("-j", &["schema", "json"]),
    ("--format", &["output", "schema"]),
    ("--grammar-file", &["grammar"]),
    ("--regex", &["grammar", "schema"]),
    ("--reverse-prompt", &["stop"]),
    ("--cache-type-k", &["kv"]),
    ("--cache-type-v", &["kv"]),
    ("--top-logprobs", &["logprobs"]),
    ("--workers", &["parallel"]),
    ("-o", &["json", "out"]),
    ("--output", &["json", "out"]),
];

/// What commands are called elsewhere.
const COMMANDS: [(&str, &str); 10] = [
    ("ls", "list"),
    ("ps", "list"),
    ("remove", "rm"),
    ("delete", "rm"),
    ("download", "pull"),
    ("get", "pull"),
    ("install", "pull"),
    ("info", "show"),
    ("history", "chats list"),
    ("settings", "config show"),
];

/// What is done without a command here, or not at all.
const OTHER_WAYS: [(&str, &str); 5] = [
    ("chat", "`tuichat` alone opens the chat; `tuichat chats` may be meant"),
    ("run", "`tuichat -m NAME` opens a chat with a model, and `-p TEXT` behind it answers once"),
    ("serve", "there is no server: `tuichat -p TEXT` answers once, `tuichat batch FILE` many times"),
    ("start", "`tuichat` alone opens the chat"),
    ("version", "`tuichat --version` tells it"),
];

/// The options of this command that may be meant by one of another program: `` `--ctx` or `--continue` ``.
pub fn option(command: &Command, typed: &str) -> Option<String> {
    let (_, ours) = OPTIONS.iter().find(|(theirs, _)| *theirs == typed)?;
    let has = |name: &&&str| shown(command).any(|argument| argument.get_long() == Some(**name));
    let names: Vec<String> = ours.iter().filter(has).map(|name| format!("--{name}")).collect();
    (!names.is_empty()).then(|| alternatives(&names))
}

/// Whether a person can know of this option.
pub fn is_shown(command: &Command, typed: &str) -> bool {
    shown(command).any(|argument| argument.get_long() == typed.strip_prefix("--"))
}

fn shown(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|argument| !argument.is_hide_set())
}

/// What to type where a word is no command, if that can be guessed: behind `commands`, whose last one is `command`.
pub fn command(command: &Command, commands: &[String], word: &str) -> Option<String> {
    if let Some((_, way)) = OTHER_WAYS.iter().find(|(theirs, _)| commands.is_empty() && *theirs == word) {
        return Some((*way).to_owned());
    }
    let word = COMMANDS.iter().find(|(theirs, _)| *theirs == word).map_or(word, |(_, ours)| ours);
    let named = |names: &[&str]| {
        let whole = |name: &&str| [&["tuichat".to_owned()], commands, &[(*name).to_owned()]].concat().join(" ");
        format!("{} may be meant", alternatives(&names.iter().map(whole).collect::<Vec<_>>()))
    };
    if let Some(near) = meant(word, subcommands(command).map(Command::get_name)) {
        return Some(named(&[near]));
    }
    let of_groups = subcommands(command)
        .flat_map(|group| subcommands(group).map(move |inner| format!("{} {}", group.get_name(), inner.get_name())));
    let of_groups: Vec<String> =
        of_groups.filter(|name| name == word || name.split(' ').next_back() == Some(word)).collect();
    let of_groups: Vec<&str> = of_groups.iter().map(String::as_str).collect();
    // Who asks in plain words may begin with such a word, too.
    (!of_groups.is_empty()).then(|| format!("{}; a question goes behind `-p`", named(&of_groups)))
}

fn subcommands(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|inner| !inner.is_hide_set())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_that_is_offered_is_one_of_some_command() {
        fn has(command: &Command, name: &str) -> bool {
            is_shown(command, &format!("--{name}")) || command.get_subcommands().any(|inner| has(inner, name))
        }
        let definition = crate::cli::definition();
        for (theirs, ours) in OPTIONS {
            ours.iter().for_each(|name| assert!(has(&definition, name), "{theirs}: --{name}"));
        }
    }

    #[test]
    fn a_command_is_found_in_its_group() {
        let definition = crate::cli::definition();
        let guess = |words: &str| {
            let (commands, word) = words.rsplit_once(' ').unwrap_or(("", words));
            let commands: Vec<String> = commands.split_whitespace().map(str::to_owned).collect();
            let inner = crate::cli::command_named(definition.clone(), commands.iter().map(String::as_str)).unwrap();
            command(&inner, &commands, word).unwrap_or_default()
        };
        for (typed, expected) in [
            ("bathc", "`tuichat batch` may be meant"),
            ("pull", "`tuichat models pull` may be meant; a question goes behind `-p`"),
            ("download", "`tuichat models pull` may be meant; a question goes behind `-p`"),
            ("rm", "`tuichat models rm` or `tuichat chats rm` may be meant; a question goes behind `-p`"),
            ("history", "`tuichat chats list` may be meant; a question goes behind `-p`"),
            ("models ls", "`tuichat models list` may be meant"),
            ("models delete", "`tuichat models rm` may be meant"),
            ("bench lst", "`tuichat bench list` may be meant"),
            ("version", "`tuichat --version` tells it"),
            ("hello", ""),
            ("chats hello", ""),
        ] {
            assert_eq!(guess(typed), expected, "{typed}");
        }
        assert!(guess("ls").starts_with("`tuichat models list`, `tuichat engines list`, "));
    }
}
