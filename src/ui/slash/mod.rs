//! Commands that are written instead of a message, and what a text is: a command, a mistake in one, or a message.
//!
//! Only one line that begins with a slash and a lower-case word counts, so that a path or a comment in code is a
//! message. A message of that form is written with one more slash, or with a space first.
//!
//! There is one table of them, `table`: what was written is read by it, and the help is written from it.

mod table;

pub use table::COMMANDS;

use super::keys;
use super::msg::Command;

/// A command that can be written.
#[derive(Debug)]
pub struct SlashCommand {
    pub group: Group,
    pub name: &'static str,
    /// Other names that are understood, and not shown.
    aliases: &'static [&'static str],
    takes: Takes,
    /// What there is to choose among for what follows the name.
    pub choices: Choices,
    pub about: &'static str,
}

/// What may follow a command's name.
#[derive(Debug)]
enum Takes {
    Nothing(Command),
    /// Something or nothing.
    Maybe {
        /// What it is, in capitals.
        shown: &'static str,
        /// The command; else a sentence that says what it takes.
        read: fn(Option<&str>) -> Result<Command, String>,
    },
    /// Something, never nothing.
    Needed {
        shown: &'static str,
        read: fn(&str) -> Result<Command, String>,
    },
}

/// What there is to choose among for what follows a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choices {
    /// Anything may follow.
    None,
    Words(&'static [&'static str]),
    Chats,
    Models,
    Prompts,
    Themes,
    /// A setting of the chat, and its value behind it.
    Settings,
    /// A setting of `config.toml`.
    AllSettings,
    Files,
    /// What is attached to the message that is being written.
    Attached,
}

/// What commands are about, for the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Chats,
    Messages,
    Model,
    Context,
    Program,
}

impl Group {
    pub const ALL: [Self; 5] = [Self::Chats, Self::Messages, Self::Model, Self::Context, Self::Program];

    pub fn heading(self) -> &'static str {
        match self {
            Self::Chats => "Chats",
            Self::Messages => "Messages",
            Self::Model => "The model and its answers",
            Self::Context => "The context",
            Self::Program => "The program",
        }
    }
}

/// What was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Written {
    /// To be sent to the model.
    Message(String),
    Command(Command),
    /// No command, for this reason.
    Mistake(String),
}

/// There is one of each name.
impl PartialEq for SlashCommand {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl SlashCommand {
    /// The command as it is written.
    pub fn shown(&self) -> String {
        match self.takes {
            Takes::Nothing(_) => format!("/{}", self.name),
            Takes::Maybe { shown, .. } => format!("/{} [{shown}]", self.name),
            Takes::Needed { shown, .. } => format!("/{} {shown}", self.name),
        }
    }

    /// What it does where nothing follows its name.
    pub fn alone(&self) -> Option<Command> {
        match &self.takes {
            Takes::Nothing(command) => Some(command.clone()),
            Takes::Maybe { read, .. } => read(None).ok(),
            Takes::Needed { .. } => None,
        }
    }

    /// The key that does the same.
    pub fn key(&self) -> Option<&'static str> {
        keys::shown_for(&self.alone()?)
    }

    /// Its name, and the others that are understood.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// Whether something may follow its name.
    pub fn takes_something(&self) -> bool {
        !matches!(self.takes, Takes::Nothing(_))
    }

    pub fn is_called(&self, name: &str) -> bool {
        self.name == name || self.aliases.contains(&name)
    }

    fn read(&self, argument: &str) -> Written {
        let name = self.name;
        let command = match (&self.takes, argument) {
            (Takes::Nothing(command), "") => Ok(command.clone()),
            (Takes::Nothing(_), _) => Err("it stands alone".into()),
            (Takes::Maybe { read, .. }, _) => read(Some(argument).filter(|text| !text.is_empty())),
            (Takes::Needed { .. }, "") => Err(format!("it is written with something behind it: `{}`", self.shown())),
            (Takes::Needed { read, .. }, _) => read(argument),
        };
        match command {
            Ok(command) => Written::Command(command),
            Err(reason) => Written::Mistake(format!("`/{name}`: {reason}; {AS_A_MESSAGE}")),
        }
    }
}

const AS_A_MESSAGE: &str = "if it is a message, put a space before it";

/// What commands are called elsewhere, or where what one would call so is done here.
const USUAL: [(&str, &str); 12] = [
    ("clear", "`/new` begins a new chat, Ctrl-L draws the screen anew"),
    ("delete", "Shift-Tab chooses a message, `d` twice deletes it; Del in Ctrl-O deletes a chat"),
    ("undelete", "`/redo` brings a message back, Ctrl-U in Ctrl-O a chat"),
    ("history", "`/resume` lists the chats, `/search` looks through them"),
    ("list", "`/resume` lists the chats, `/model` the models"),
    ("load", "`/model` chooses a model, `/resume` a chat, `/attach` a file"),
    ("open", "`/attach` takes a file, `/resume` opens a chat"),
    ("regenerate", "`/retry`?"),
    ("reset", "`/new`?"),
    ("show", "`/stats`, `/context` and `/set` show what there is"),
    ("temp", "`/set temp`?"),
    ("temperature", "`/set temp`?"),
];

/// What a text in the composer is.
pub fn read(text: &str) -> Written {
    let Some((name, argument)) = command(text) else {
        return Written::Message(unescaped(text).to_owned());
    };
    match called(name) {
        Some(command) => command.read(argument),
        None => {
            let usual = USUAL.iter().find(|(usual, _)| *usual == name).map(|(_, ours)| format!(" ({ours})"));
            let near = || nearest(name).map_or(String::new(), |meant| format!(" (`/{meant}`?)"));
            let meant = usual.unwrap_or_else(near);
            Written::Mistake(format!("`/{name}` is no command{meant}; `/help` lists them; {AS_A_MESSAGE}"))
        }
    }
}

/// The command of this name.
pub fn called(name: &str) -> Option<&'static SlashCommand> {
    COMMANDS.iter().find(|command| command.is_called(name))
}

/// The command whose name was perhaps meant.
fn nearest(name: &str) -> Option<&'static str> {
    let names = COMMANDS.iter().flat_map(|command| command.aliases.iter().chain([&command.name]));
    let distances = names.map(|known| (strsim::osa_distance(name, known), *known));
    distances.filter(|(distance, known)| *distance <= known.len() / 3).min().map(|(_, known)| known)
}

/// A message as it is written in the composer, so that [`read`] makes the message of it again.
pub fn written(message: &str) -> String {
    if is_command_with_slashes(message) { format!("/{message}") } else { message.to_owned() }
}

/// The text without the slash that makes a message of it.
fn unescaped(text: &str) -> &str {
    match text.strip_prefix('/') {
        Some(rest) if is_command_with_slashes(rest) => rest,
        _ => text,
    }
}

/// Whether this is a command but for the number of its slashes.
fn is_command_with_slashes(text: &str) -> bool {
    let without = text.trim_start_matches('/');
    without.len() < text.len() && command(&text[text.len() - without.len() - 1..]).is_some()
}

/// The name and the rest of a text that is to be read as a command.
fn command(text: &str) -> Option<(&str, &str)> {
    let line = text.strip_prefix('/')?.trim_end();
    let (name, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let is_word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase());
    (is_word && !line.contains('\n')).then_some((name, argument.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(text: &str) -> Written {
        Written::Message(text.into())
    }

    #[test]
    fn a_command_is_a_line_with_a_slash_and_its_name() {
        assert_eq!(read("/context"), Written::Command(Command::Context));
        assert_eq!(read("/pin"), Written::Command(Command::Pin(None)));
        assert_eq!(read("/pin  12 \n"), Written::Command(Command::Pin(Some(12))));
        assert_eq!(read("/unpin 3"), Written::Command(Command::Unpin(Some(3))));
    }

    #[test]
    fn what_is_no_command_says_which_there_are_and_how_to_send_it() {
        for text in ["/pni", "/pin first", "/pin -1", "/pin 99999999999", "/context now", "/etc is full"] {
            let Written::Mistake(sentence) = read(text) else { panic!("{text}") };
            assert!(sentence.contains("if it is a message, put a space before it"), "{sentence}");
        }
        let Written::Mistake(sentence) = read("/pni") else { panic!() };
        assert!(sentence.starts_with("`/pni` is no command (`/pin`?); `/help` lists them"), "{sentence}");
        let Written::Mistake(sentence) = read("/temp 0.3") else { panic!() };
        assert!(sentence.starts_with("`/temp` is no command (`/set temp`?); `/help` lists them"), "{sentence}");
        assert!(USUAL.iter().all(|(usual, _)| called(usual).is_none()));
    }

    #[test]
    fn another_name_is_understood() {
        assert_eq!(read("/exit"), read("/quit"));
    }

    #[test]
    fn paths_comments_and_longer_texts_are_messages() {
        for text in
            ["/usr/bin is full", "/", "/ pin", "/Pin", "/2", "// pin", "//", "/pin\n3", " /pin", "pin", "", "/pin."]
        {
            assert_eq!(read(text), message(text), "{text:?}");
        }
    }

    #[test]
    fn one_more_slash_makes_a_message_of_a_command() {
        for (text, said) in [("//pin", "/pin"), ("///pin 3", "//pin 3"), ("//nothing here", "/nothing here")] {
            assert_eq!(read(text), message(said));
            assert_eq!(written(said), text);
        }
    }

    #[test]
    fn every_command_is_read_back_from_its_name() {
        for command in COMMANDS {
            match (command.alone(), read(&format!("/{}", command.name))) {
                (Some(alone), Written::Command(read)) => assert_eq!(read, alone),
                (None, Written::Mistake(sentence)) => assert!(sentence.contains(&command.shown()), "{sentence}"),
                (_, written) => panic!("/{}: {written:?}", command.name),
            }
        }
    }

    #[test]
    fn no_name_is_two_commands_and_each_can_be_written() {
        let mut names: Vec<&str> =
            COMMANDS.iter().flat_map(|command| [&[command.name], command.aliases].concat()).collect();
        assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase())));
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn commands_stand_together_by_what_they_are_about() {
        let groups: Vec<Group> = COMMANDS.iter().map(|command| command.group).collect();
        let mut kinds = groups.clone();
        kinds.dedup();
        assert_eq!(kinds, Group::ALL);
    }

    #[test]
    fn the_key_of_a_command_is_that_of_the_table_of_keys() {
        let key = |name: &str| COMMANDS.iter().find(|command| command.name == name).unwrap().key();
        assert_eq!(key("context"), Some("F3"));
        assert_eq!(key("continue"), Some("Ctrl-G"));
        assert_eq!(key("pin"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn every_message_can_be_written(text in "/{0,3}[a-z]{0,4}[ \n/A-Z]?[a-z0-9]{0,3}") {
            prop_assert_eq!(read(&written(&text)), message(&text));
        }
    }
}
