//! `tuichat help`: a command as its definition has it, or a topic in words, with examples. The topics lie in
//! `assets/help/`; the first line of each says what it is about.

use std::fmt::Write;

use clap::{Arg, Command};

use super::print;
use crate::cli;
use crate::config::{self, Settings};
use crate::exit::Failure;
use crate::text::plain::meant;
use crate::ui::keys::{self, Mode};

/// The topics by their names.
const TOPICS: [(&str, &str); 11] = [
    ("scripting", include_str!("../../assets/help/scripting.txt")),
    ("schema", include_str!("../../assets/help/schema.txt")),
    ("extract", include_str!("../../assets/help/extract.txt")),
    ("prompts", include_str!("../../assets/help/prompts.txt")),
    ("kv", include_str!("../../assets/help/kv.txt")),
    ("speculation", include_str!("../../assets/help/speculation.txt")),
    ("models", include_str!("../../assets/help/models.txt")),
    ("engines", include_str!("../../assets/help/engines.txt")),
    ("chats", include_str!("../../assets/help/chats.txt")),
    ("config", include_str!("../../assets/help/config.txt")),
    ("exit-codes", include_str!("../../assets/help/exit-codes.txt")),
];
/// The variable that is no setting.
const HOME: &str = "TUICHAT_HOME=FOLDER puts everything below one folder: settings, chats, models, what is remembered, \
                    the log.\n\n`tuichat help config` says more.";
const KEYS: &str = "The keys of the chat; F1 shows them there, with the commands that are written.";
const OPTIONS: &str = "All options, those of chats and answers.";
/// What else a topic may be called.
const OTHER_NAMES: [(&str, &str); 15] = [
    ("pipe", "scripting"),
    ("pipes", "scripting"),
    ("stdin", "scripting"),
    ("script", "scripting"),
    ("environment", "config"),
    ("oneshot", "scripting"),
    ("json", "scripting"),
    ("grammar", "schema"),
    ("spec", "speculation"),
    ("settings", "config"),
    ("exit", "exit-codes"),
    ("prompt", "prompts"),
    ("engine", "engines"),
    ("server", "engines"),
    ("servers", "engines"),
];
const PARTS_OF_KEYS: [(Mode, &str); 5] = [
    (Mode::Chat, "In the chat"),
    (Mode::Select, "With a message chosen"),
    (Mode::Chats, "In the list of chats"),
    (Mode::SearchChats, "In the search of all chats"),
    (Mode::Models, "In the list of models"),
];

/// Prints what there is to say about a command or a topic; without any, what `--help` says.
///
/// # Errors
/// If there is neither, or it cannot be printed.
pub fn run(words: &[String]) -> Result<(), Failure> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let topic = match words[..] {
        [] => return print(&with_topics()),
        [word] if is_option(word) => None,
        [word] => topic(word),
        _ => None,
    };
    // The options of the program are no subcommand's.
    let command = cli::command_named(cli::definition(), words.iter().copied())
        .map(|mut command| command.render_long_help().to_string());
    let option = if command.is_none() { option(&words) } else { None };
    let parts: Vec<String> =
        command.into_iter().chain(topic).chain(option).map(|part| part.trim_end().into()).collect();
    match &parts[..] {
        [] => {
            let hint = match perhaps(&words) {
                Some(meant) => format!("`tuichat help {meant}` may be meant"),
                None => "`tuichat help` lists them".into(),
            };
            Err(Failure::usage(format!("there is no command, option or topic `{}`", words.join(" "))).hint(hint))
        }
        parts => print(&(parts.join("\n\n") + "\n")),
    }
}

/// Whether a word can only be an option or its variable, and no topic.
fn is_option(word: &str) -> bool {
    word.starts_with('-') || word.starts_with("TUICHAT_")
}

/// The topics, each with what it is about.
pub fn topics() -> impl Iterator<Item = (&'static str, &'static str)> {
    let first_line = |text: &'static str| text.lines().next().unwrap_or_default();
    let written = TOPICS.iter().map(move |(name, text)| (*name, first_line(text)));
    written.chain([("keys", KEYS), ("options", OPTIONS)])
}

/// What there is to say about an option, behind the command that has it: as it is typed, as config.toml calls it, or by
/// its variable.
fn option(words: &[&str]) -> Option<String> {
    let (word, commands) = words.split_last()?;
    if *word == "TUICHAT_HOME" && commands.is_empty() {
        return Some(HOME.to_owned());
    }
    let command = cli::command_named(cli::definition(), commands.iter().copied())?;
    let found = command.get_arguments().find(|argument| is_named(argument, word))?.clone().help_heading(None::<&str>);
    let setting = Settings::keys().into_iter().find(|key| found.get_id() == key.as_str());
    let mut alone = Command::new("tuichat").disable_help_flag(true).arg(found).help_template("{options}");
    alone = alone.max_term_width(110);
    let mut text = alone.render_long_help().to_string().trim_end().to_owned();
    if let Some(key) = setting {
        let default =
            config::SAMPLE.lines().find_map(|line| line.strip_prefix('#')?.strip_prefix(&format!("{key} = ")));
        let default = default.unwrap_or_default();
        let _ = write!(text, "\n\nIn config.toml: {key} = {default}\n");
        let _ = write!(text, "In the environment: {}", config::variable_of(&key));
    }
    let topic = word.trim_start_matches('-');
    if topic.len() < word.len() && commands.is_empty() && self::topic(topic).is_some() {
        let _ = write!(text, "\n\n`tuichat help {topic}` says more.");
    }
    let whole = ["tuichat", "help"].into_iter().chain(commands.iter().copied()).collect::<Vec<_>>().join(" ");
    let whole = if commands.is_empty() { "tuichat help options".to_owned() } else { whole };
    Some(format!("{text}\n\n`{whole}` lists the others."))
}

/// Whether a word names this option: `-o`, `--top-k`, `--top-k=40`, `top_k`, `TUICHAT_TOP_K`.
fn is_named(argument: &Arg, word: &str) -> bool {
    if argument.is_hide_set() {
        return false;
    }
    if let Some(letter) = word.strip_prefix('-').filter(|letter| letter.chars().count() == 1) {
        return argument.get_short().map(String::from).as_deref() == Some(letter);
    }
    let name = match word.strip_prefix("TUICHAT_") {
        Some(_) => return config::variable_of(argument.get_id().as_str()) == word,
        None => word.split('=').next().unwrap_or_default().trim_start_matches('-').replace('_', "-"),
    };
    let names = argument.get_long().into_iter().chain(argument.get_all_aliases().into_iter().flatten());
    names.into_iter().any(|known| known == name)
}

/// What was perhaps meant by words that are no command, no topic and no option.
fn perhaps(words: &[&str]) -> Option<String> {
    let (name, commands) = words.split_last()?;
    let command = cli::command_named(cli::definition(), commands.iter().copied())?;
    let inner = command.get_subcommands().filter(|inner| !inner.is_hide_set()).map(Command::get_name);
    let options = command.get_arguments().filter(|argument| !argument.is_hide_set()).filter_map(Arg::get_long);
    let topics = if commands.is_empty() { topics().map(|(name, _)| name).collect() } else { Vec::new() };
    let meant = match name.strip_prefix("TUICHAT_") {
        Some(key) => config::variable_of(&config::setting_meant(key)?),
        None => {
            let name = name.trim_start_matches('-');
            let near = meant(name, topics.into_iter().chain(inner).chain(options)).map(str::to_owned);
            near.or_else(|| config::setting_meant(name).filter(|_| commands.is_empty()))?
        }
    };
    Some(commands.iter().copied().chain([meant.as_str()]).collect::<Vec<_>>().join(" "))
}

fn with_topics() -> String {
    let mut text = cli::definition().render_help().to_string();
    text.push_str("\nTopics:\n");
    for (name, about) in topics() {
        let _ = writeln!(text, "  {name:<13} {about}");
    }
    text
}

fn topic(word: &str) -> Option<String> {
    let name = OTHER_NAMES.iter().find(|(other, _)| *other == word).map_or(word, |(_, name)| name);
    match name {
        "keys" => Some(keys_in_words()),
        "options" => Some(cli::definition().render_long_help().to_string()),
        _ => TOPICS.iter().find(|(topic, _)| *topic == name).map(|(_, text)| (*text).to_owned()),
    }
}

fn keys_in_words() -> String {
    let mut text = format!("{KEYS}\n");
    for (mode, heading) in PARTS_OF_KEYS {
        let _ = writeln!(text, "\n{heading}:");
        for binding in keys::help(mode) {
            let _ = writeln!(text, "  {:<22} {}", binding.shown, binding.about);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Arguments;
    use crate::exit::Exit;

    /// The words of the commands of a line, as a shell would take them, those behind a `|` apart.
    fn commands(line: &str) -> Vec<Vec<String>> {
        let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), None::<String>);
        let mut quote = None;
        for character in line.chars() {
            match (quote, character) {
                (Some(mark), _) if character == mark => quote = None,
                (Some(_), _) => word.get_or_insert_default().push(character),
                (None, '\'' | '"') => (quote, word) = (Some(character), Some(word.unwrap_or_default())),
                (None, ' ' | '|' | '>') => {
                    words.extend(word.take());
                    match character {
                        '|' => commands.push(std::mem::take(&mut words)),
                        // A file for the output ends what matters here.
                        '>' => break,
                        _ => {}
                    }
                }
                (None, '#') if word.is_none() => break,
                (None, _) => word.get_or_insert_default().push(character),
            }
        }
        assert_eq!(quote, None, "{line}");
        words.extend(word);
        commands.push(words);
        commands
    }

    #[test]
    fn every_example_is_a_command_line_that_is_taken() {
        for (topic, text) in TOPICS {
            let examples =
                text.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| line.contains("tuichat"));
            let mut count = 0;
            for example in examples {
                for command in
                    commands(example).iter().filter(|words| words.first().is_some_and(|word| word == "tuichat"))
                {
                    let read = Arguments::read(command);
                    assert!(read.is_ok(), "{topic}: {example}: {}", read.unwrap_err());
                    count += 1;
                }
            }
            assert!(count > 0 || topic == "exit-codes", "{topic} has no example");
        }
    }

    #[test]
    fn the_topics_are_those_that_help_names() {
        let help = cli::definition().get_after_help().unwrap().to_string();
        let (_, named) = help.split_once("one of these topics: ").unwrap();
        let named: Vec<&str> = named.trim().split(", ").collect();
        let topics: Vec<&str> = topics().map(|(name, _)| name).filter(|name| *name != "options").collect();
        assert_eq!(named, topics);
        assert!(OTHER_NAMES.iter().all(|(other, name)| topics.contains(name) && !topics.contains(other)));
        assert!(topics.iter().chain(&["oneshot", "options"]).all(|name| topic(name).is_some()));
    }

    #[test]
    fn an_option_is_explained_and_a_slip_is_understood() {
        let told = |words: &[&str]| option(words).unwrap_or_default();
        assert!(told(&["continue"]).trim_start().starts_with("--continue [<ID>]"), "{}", told(&["continue"]));
        assert!(told(&["--top_k"]).contains("most probable tokens"));
        assert!(told(&["models", "list", "--catalog"]).ends_with("`tuichat help models list` lists the others."));
        assert!(told(&["--engine"]).contains("`tuichat help engine` says more."));
        for word in ["-o", "--output", "--output=json", "output", "TUICHAT_OUTPUT"] {
            let told = told(&[word]);
            assert!(told.contains("The form of the answer to -p"), "{word}: {told}");
            assert!(told.contains("In config.toml: output = \"text\"\nIn the environment: TUICHAT_OUTPUT\n"), "{told}");
        }
        assert!(told(&["-p"]).contains("Answer TEXT on stdout") && !told(&["-p"]).contains("config.toml:"));
        assert!(told(&["--file"]).contains("Put a file's text before the prompt"));
        assert!(told(&["--model-folder"]).contains("TUICHAT_MODEL_FOLDERS"));
        assert!(told(&["--schema"]).contains("`tuichat help schema` says more."));
        assert!(told(&["TUICHAT_HOME"]).starts_with("TUICHAT_HOME=FOLDER"));
        for key in Settings::keys() {
            let told = told(&[&config::variable_of(&key)]);
            assert!(told.contains(&format!("In config.toml: {key} = ")), "{key}: {told}");
        }
        for (words, meant) in [
            (&["schemas"][..], Some("schema")),
            (&["scriptng"], Some("scripting")),
            (&["--continu"], Some("continue")),
            (&["models", "pul"], Some("models pull")),
            (&["temperature"], Some("temp")),
            (&["TUICHAT_TMEP"], Some("TUICHAT_TEMP")),
            (&["nothing"], None),
            (&["batch", "extra"], None),
        ] {
            assert_eq!(perhaps(words).as_deref(), meant, "{words:?}");
        }
    }

    #[test]
    fn lines_are_short_enough_for_a_terminal() {
        for (topic, text) in TOPICS {
            assert!(text.lines().all(|line| line.chars().count() <= 110), "{topic}");
        }
    }

    #[test]
    fn the_exit_codes_are_all_there() {
        let text = topic("exit").unwrap();
        for exit in [Exit::Success, Exit::Error, Exit::Usage, Exit::NotEnoughMemory, Exit::BadModel, Exit::Disk]
            .into_iter()
            .chain([
                Exit::Network,
                Exit::Unsatisfied,
                Exit::HungUp,
                Exit::Interrupted,
                Exit::ClosedPipe,
                Exit::Terminated,
            ])
        {
            let line = format!("  {:<5}", exit.code());
            assert!(text.lines().any(|written| written.starts_with(&line)), "{}", exit.code());
        }
    }
}
