//! What is wrong with a command line, in a sentence, and what to type instead.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::habits;
use super::unread::{self, Unread};
use crate::config;
use crate::exit::Failure;
use crate::text::plain::alternatives;

/// What to type where a prompt is missing.
const PROMPT: &str = "`-p TEXT` answers a text, `-p -` what is piped in";

/// Whether the parser stopped at a mistake, and not because help or the version was asked for, or because nothing is
/// there of what a command needs.
pub fn is_mistake(error: &clap::Error) -> bool {
    error.use_stderr() && error.kind() != ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
}

/// The mistake in a line, which begins with the program's name.
pub fn failure(error: &clap::Error, line: &[OsString]) -> Failure {
    let commands = Unread::of(line).commands;
    let (sentence, hint) = match error.kind() {
        ErrorKind::InvalidUtf8 => not_utf8(line),
        _ => value_apart(error, line).unwrap_or_else(|| told(error, &commands, line)),
    };
    Failure::usage(sentence).hint(hint)
}

fn told(error: &clap::Error, commands: &[String], line: &[OsString]) -> (String, String) {
    let named = |kind| text(error, kind).map(|argument| name(&argument));
    let argument = named(ContextKind::InvalidArg).unwrap_or_default();
    let value = text(error, ContextKind::InvalidValue).unwrap_or_default();
    let help = help(commands);
    match error.kind() {
        ErrorKind::InvalidValue | ErrorKind::ValueValidation if value.is_empty() => (
            format!("`{argument}` has no value"),
            if is_positional(&argument) { help } else { instead(error, &argument) },
        ),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let why = config::why_refused(error).map(|why| format!(": {why}")).unwrap_or_default();
            let hint = if commands.is_empty() { explained(&argument) } else { help };
            (format!("`{argument}` cannot be `{value}`{why}"), hint)
        }
        ErrorKind::UnknownArgument if is_positional(&argument) => {
            (format!("`{argument}` is one word too many"), if commands.is_empty() { question(&argument) } else { help })
        }
        ErrorKind::UnknownArgument if commands == ["batch"] && argument == "-o" => {
            let sentence = "a batch has no `-o`: each result is a line of JSON, whatever is set";
            (sentence.into(), "`--output FILE` writes the results into a file, else they go to stdout".into())
        }
        ErrorKind::UnknownArgument if commands.is_empty() && argument == "--json" => {
            ("an answer has no `--json`".into(), "`-o json` prints it as JSON; `--schema` makes it JSON itself".into())
        }
        ErrorKind::UnknownArgument => no_option(&argument, named(ContextKind::SuggestedArg), commands),
        ErrorKind::InvalidSubcommand => {
            let word = text(error, ContextKind::InvalidSubcommand).unwrap_or_default();
            let hint = match guess(commands, &word) {
                Some(guess) => guess,
                None if commands.is_empty() => question(&with_what_follows(line, &word)),
                None => help,
            };
            (format!("there is no command `{}`", [commands, &[word]].concat().join(" ")), hint)
        }
        ErrorKind::ArgumentConflict if !argument.is_empty() => {
            conflict(&argument, &strings(error, ContextKind::PriorArg))
        }
        ErrorKind::MissingRequiredArgument => missing(&strings(error, ContextKind::InvalidArg), help),
        ErrorKind::NoEquals => (format!("the value of `{argument}` goes behind a `=`"), format!("type `{argument}=…`")),
        ErrorKind::TooFewValues => (first_line(error), PROMPT.into()),
        _ => (first_line(error), help),
    }
}

/// An option that there is not behind these commands; the parser finds it `near` another.
fn no_option(argument: &str, near: Option<String>, commands: &[String]) -> (String, String) {
    let of = if commands.is_empty() { String::new() } else { format!(" of `tuichat {}`", commands.join(" ")) };
    let command = super::command_named(super::definition(), commands.iter().map(String::as_str));
    let of_others = command.as_ref().and_then(|command| habits::option(command, argument));
    let near = near.filter(|near| command.as_ref().is_none_or(|command| habits::is_shown(command, near)));
    let meant = of_others.or(near.map(|near| format!("`{near}`")));
    let hint = meant.map_or_else(|| help(commands), |meant| format!("{meant} may be meant"));
    (format!("`{argument}` is no option{of}"), hint)
}

/// An option that was typed with `others` beside which it has no place.
fn conflict(argument: &str, others: &[String]) -> (String, String) {
    let others: Vec<String> = others.iter().map(|other| name(other)).collect();
    let all: Vec<&str> = others.iter().map(String::as_str).chain([argument]).collect();
    let hint = match all.contains(&"--resume") && all.iter().any(|one| ["--prompt", "--prompt-name"].contains(one)) {
        true => "`--resume` opens a chat; `tuichat -p TEXT --continue` asks one question in it",
        false => "leave one of them out",
    };
    (format!("`{argument}` cannot be used with {}", alternatives(&others)), hint.into())
}

/// Words that a command needs and that were not typed.
fn missing(words: &[String], help: String) -> (String, String) {
    let missing: Vec<String> = words.iter().map(|word| shown(word)).collect();
    if missing == ["`--prompt-name NAME`"] {
        let sentence = "`--var` puts a value into the text that `--prompt-name` names, and no text is named";
        return (sentence.into(), "add `--prompt-name NAME`; `tuichat help prompts` explains it".into());
    }
    let verb = if missing.len() == 1 { "is" } else { "are" };
    (format!("{} {verb} missing", missing.join(" and ")), help)
}

/// The word of the line that is no UTF-8, which is shown as far as it is.
fn not_utf8(line: &[OsString]) -> (String, String) {
    let at = line.iter().position(|word| word.to_str().is_none()).unwrap_or_default();
    let word = line.get(at).map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let (option, text) = match word.split_once('=').filter(|_| word.starts_with("--")) {
        Some((option, value)) => (Some(option.to_owned()), value),
        None => (at.checked_sub(1).and_then(|before| line[before].to_str()).map(str::to_owned), word.as_str()),
    };
    let text: String = text.chars().take(60).collect();
    let sentence = match option.filter(|option| option.len() > 1 && option.starts_with('-')) {
        Some(option) => format!("what stands behind `{option}` is not UTF-8: `{text}`"),
        None => format!("word {at} of the command line is not UTF-8: `{text}`"),
    };
    (sentence, "convert it first, for instance with `iconv -t utf-8`".into())
}

/// A switch whose value stands apart from it, where it is taken for something else: `--quiet yes`.
fn value_apart(error: &clap::Error, line: &[OsString]) -> Option<(String, String)> {
    let kind = match error.kind() {
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        _ => return None,
    };
    let word = text(error, kind)?;
    let before = line.iter().zip(line.iter().skip(1)).find(|(_, next)| **next == *word)?.0.to_str()?;
    let is_value = config::is_switch(&word) && unread::is_switch(before);
    is_value.then(|| {
        (format!("the value of `{before}` goes behind a `=`"), format!("type `{before}={word}`, or `{before}` alone"))
    })
}

/// What to type instead of an option with an empty text, such as a script has in a variable that was never set.
fn instead(error: &clap::Error, argument: &str) -> String {
    match config::why_refused(error).filter(|why| why.starts_with("it must be")) {
        Some(why) => format!("leave it out; {why}"),
        None if ["--schema", "--grammar"].contains(&argument) => {
            format!("leave it out, or type `{argument} off` to take back what is set elsewhere")
        }
        None if argument == "--prompt" => PROMPT.into(),
        None => "leave it out, or say what it is to be".into(),
    }
}

/// What to type where a word is no command behind these, if that can be guessed.
pub fn guess(commands: &[String], word: &str) -> Option<String> {
    let command = super::command_named(super::definition(), commands.iter().map(String::as_str))?;
    habits::command(&command, commands, word)
}

/// A word of the line with the words behind it, up to an option: a question that stands there without quotes.
fn with_what_follows(line: &[OsString], word: &str) -> String {
    let from = line.iter().skip_while(|other| *other != word).map_while(|word| word.to_str());
    let words: Vec<&str> = from.take_while(|word| !word.starts_with('-')).collect();
    if words.is_empty() { word.to_owned() } else { words.join(" ") }
}

/// What to type where words stand that are no command.
pub fn question(words: &str) -> String {
    if super::definition().get_arguments().any(|option| option.get_long() == Some(words)) {
        return format!("`tuichat --{words}` may be meant; a question goes behind `-p`");
    }
    let quote = if words.contains('\'') { '"' } else { '\'' };
    let words: String = words.chars().take(60).collect();
    format!("a question goes behind `-p`: `tuichat -p {quote}{words}{quote}`")
}

/// Where an option is explained.
fn explained(option: &str) -> String {
    format!("`tuichat help {}` explains it", option.trim_start_matches('-'))
}

fn help(commands: &[String]) -> String {
    match commands {
        [] => "`tuichat --help` tells more, `tuichat help options` lists all options".into(),
        _ => format!("`tuichat {} --help` tells more", commands.join(" ")),
    }
}

/// The parser's own sentence.
fn first_line(error: &clap::Error) -> String {
    let words = error.to_string();
    let first = words.lines().next().unwrap_or_default();
    first.strip_prefix("error: ").unwrap_or(first).to_owned()
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        _ => None,
    }
}

fn strings(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        _ => Vec::new(),
    }
}

/// `--temp` of `--temp <T>`, `--private` of `--private[=<yes|no>]`, `FILE` of `<FILE>`.
fn name(argument: &str) -> String {
    let name = if argument.starts_with('-') { argument.split([' ', '=', '[']).next() } else { None };
    name.unwrap_or(argument).trim_matches(['<', '>']).to_owned()
}

/// An option with what stands behind it: `` `--prompt-name NAME` ``.
fn shown(argument: &str) -> String {
    format!("`{}`", argument.replace(['<', '>'], ""))
}

fn is_positional(argument: &str) -> bool {
    !argument.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Arguments;

    fn told(line: &[&str]) -> (String, String) {
        let line: Vec<OsString> = ["tuichat"].iter().chain(line).map(Into::into).collect();
        let error = Arguments::read(line.clone()).expect_err("it is a mistake");
        assert!(is_mistake(&error), "{line:?}");
        let failure = failure(&error, &line);
        assert_eq!(failure.exit.code(), 2);
        (failure.message, failure.hint.unwrap_or_default())
    }

    /// What the usual hint is where no command is named.
    const ALL: &str = "`tuichat --help` tells more, `tuichat help options` lists all options";

    /// Lines, and for each the sentence and what to type.
    const MISTAKES: &[(&[&str], &str, &str)] = &[
        (
            &["--temp", "9", "-p", "x"],
            "`--temp` cannot be `9`: 9 is not between 0 and 5",
            "`tuichat help temp` explains it",
        ),
        (
            &["--temp", "hot"],
            "`--temp` cannot be `hot`: it must be a number between 0 and 5",
            "`tuichat help temp` explains it",
        ),
        (
            &["--top-k", "hot"],
            "`--top-k` cannot be `hot`: it must be a whole number, 0 or more",
            "`tuichat help top-k` explains it",
        ),
        (
            &["--top-k", "-1"],
            "`--top-k` cannot be `-1`: -1 is not between 0 and 4294967295",
            "`tuichat help top-k` explains it",
        ),
        (
            &["-o", "jsn"],
            "`--output` cannot be `jsn`: it must be `text`, `json` or `ndjson`; `json` may be meant",
            "`tuichat help output` explains it",
        ),
        (&["-o", ""], "`--output` has no value", "leave it out; it must be `text`, `json` or `ndjson`"),
        (&["--nosuch"], "`--nosuch` is no option", ALL),
        (
            &["-p", "x", "--json"],
            "an answer has no `--json`",
            "`-o json` prints it as JSON; `--schema` makes it JSON itself",
        ),
        (&["--promt", "x"], "`--promt` is no option", "`--prompt` may be meant"),
        (&["Sum up"], "there is no command `Sum up`", "a question goes behind `-p`: `tuichat -p 'Sum up'`"),
        (&["resume"], "there is no command `resume`", "`tuichat --resume` may be meant; a question goes behind `-p`"),
        (
            &["why", "is", "it", "blue", "--temp", "0"],
            "there is no command `why`",
            "a question goes behind `-p`: `tuichat -p 'why is it blue'`",
        ),
        (&["nosuch"], "there is no command `nosuch`", "a question goes behind `-p`: `tuichat -p 'nosuch'`"),
        (&["model"], "there is no command `model`", "`tuichat models` may be meant"),
        (
            &["list"],
            "there is no command `list`",
            "`tuichat models list`, `tuichat engines list`, `tuichat chats list` or `tuichat bench list` may be meant; a question goes behind `-p`",
        ),
        (
            &["pull", "qwen"],
            "there is no command `pull`",
            "`tuichat models pull` may be meant; a question goes behind `-p`",
        ),
        (&["models", "ls"], "there is no command `models ls`", "`tuichat models list` may be meant"),
        (&["-p", "x", "-n", "20"], "`-n` is no option", "`--max-tokens` may be meant"),
        (&["-p", "x", "-c", "20"], "`-c` is no option", "`--ctx` or `--continue` may be meant"),
        (&["-p", "x", "--regex", "a"], "`--regex` is no option", "`--grammar` or `--schema` may be meant"),
        (&["models", "list", "-o", "json"], "`-o` is no option of `tuichat models list`", "`--json` may be meant"),
        (&["models", "pul"], "there is no command `models pul`", "`tuichat models pull` may be meant"),
        (&["-p", "x", "Sum up"], "there is no command `Sum up`", "a question goes behind `-p`: `tuichat -p 'Sum up'`"),
        (
            &["-p", "x", "--resume"],
            "`--prompt` cannot be used with `--resume`",
            "`--resume` opens a chat; `tuichat -p TEXT --continue` asks one question in it",
        ),
        (
            &["-p", "x", "--continue", "--private"],
            "`--continue` cannot be used with `--private`",
            "leave one of them out",
        ),
        (
            &["-p", "x", "--var", "a=b"],
            "`--var` puts a value into the text that `--prompt-name` names, and no text is named",
            "add `--prompt-name NAME`; `tuichat help prompts` explains it",
        ),
        (
            &["-p", "x", "--quiet", "yes"],
            "the value of `--quiet` goes behind a `=`",
            "type `--quiet=yes`, or `--quiet` alone",
        ),
        (
            &["models", "list", "-p", "x", "--offline", "off"],
            "`-p` is no option of `tuichat models list`",
            "`tuichat models list --help` tells more",
        ),
        (
            &["models", "list", "--offline", "off"],
            "the value of `--offline` goes behind a `=`",
            "type `--offline=off`, or `--offline` alone",
        ),
        (
            &["-p", "x", "--quiet", "maybe"],
            "there is no command `maybe`",
            "a question goes behind `-p`: `tuichat -p 'maybe'`",
        ),
        (&["--temp", "0", "yes"], "there is no command `yes`", "a question goes behind `-p`: `tuichat -p 'yes'`"),
        (&["models", "show"], "`NAME|PATH|hf:…` is missing", "`tuichat models show --help` tells more"),
        (
            &["batch", "-o", "json"],
            "a batch has no `-o`: each result is a line of JSON, whatever is set",
            "`--output FILE` writes the results into a file, else they go to stdout",
        ),
        (&["batch", "a", "b"], "`b` is one word too many", "`tuichat batch --help` tells more"),
        (
            &["--schema", "", "-p", "x"],
            "`--schema` has no value",
            "leave it out, or type `--schema off` to take back what is set elsewhere",
        ),
        (&["-m", "", "-p", "x"], "`--model` has no value", "leave it out, or say what it is to be"),
        (
            &["--temp", "0", "models", "list"],
            "the options before the subcommand are for chats and answers, and would have no effect on it",
            "`tuichat models list --help` tells more",
        ),
    ];

    #[test]
    fn every_mistake_is_a_sentence_with_what_to_type() {
        for (line, sentence, hint) in MISTAKES {
            assert_eq!(told(line), ((*sentence).to_owned(), (*hint).to_owned()), "{line:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_word_that_is_not_utf_8_is_told_with_its_option() {
        use std::os::unix::ffi::OsStringExt;
        let told = |line: &[&[u8]]| {
            let words = line.iter().map(|word| OsString::from_vec(word.to_vec()));
            let line: Vec<OsString> = std::iter::once("tuichat".into()).chain(words).collect();
            failure(&Arguments::read(line.clone()).expect_err("it is a mistake"), &line).message
        };
        assert_eq!(told(&[b"-p", b"caf\xe9"]), "what stands behind `-p` is not UTF-8: `caf\u{fffd}`");
        assert_eq!(
            told(&[b"--quiet", b"--system=caf\xe9"]),
            "what stands behind `--system` is not UTF-8: `caf\u{fffd}`"
        );
        assert_eq!(told(&[b"help", b"caf\xe9"]), "word 2 of the command line is not UTF-8: `caf\u{fffd}`");
    }

    #[test]
    fn an_empty_text_is_no_value_of_an_option() {
        for option in
            ["--schema", "--grammar", "--stop", "--extract", "--prompt-name", "--model", "--draft-model", "--file"]
        {
            for line in [&["-p", "x", option, ""][..], &["batch", "-", option, ""]] {
                if line[0] == "batch" && ["--prompt-name", "--extract", "--draft-model", "--file"].contains(&option) {
                    continue;
                }
                let (sentence, hint) = told(line);
                assert_eq!(sentence, format!("`{option}` has no value"), "{line:?}");
                assert!(hint.starts_with("leave it out"), "{line:?}: {hint}");
            }
        }
    }
}
