//! The one table of commands that are written instead of a message, and what a text is: a command, a mistake in one,
//! or a message.
//!
//! Only one line that begins with a slash and a lower-case word counts, so that a path or a comment in code is a
//! message. A message of that form is written with one more slash, or with a space first.

use super::msg::Command;

/// A command that can be written.
pub struct SlashCommand {
    name: &'static str,
    takes: Takes,
    pub about: &'static str,
}

/// What may follow a command's name.
enum Takes {
    Nothing(Command),
    /// A message's number, or nothing.
    Number(fn(Option<u32>) -> Command),
}

/// Every command, in the order of the help.
pub static COMMANDS: &[SlashCommand] = &[
    SlashCommand {
        name: "context",
        takes: Takes::Nothing(Command::Context),
        about: "show what the context holds, message by message",
    },
    SlashCommand { name: "help", takes: Takes::Nothing(Command::Help), about: "show the keys and these commands" },
    SlashCommand { name: "models", takes: Takes::Nothing(Command::Models), about: "choose another model, or get one" },
    SlashCommand {
        name: "pin",
        takes: Takes::Number(Command::Pin),
        about: "keep message N of /context in the cache, or your last",
    },
    SlashCommand {
        name: "spec",
        takes: Takes::Nothing(Command::Drafts),
        about: "tell what guessing tokens brought to the last answer",
    },
    SlashCommand {
        name: "unpin",
        takes: Takes::Number(Command::Unpin),
        about: "let message N of /context leave the cache, or your last",
    },
];

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// To be sent to the model.
    Message(String),
    Command(Command),
    /// No command, for this reason.
    Mistake(String),
}

impl SlashCommand {
    /// The command as it is written.
    pub fn shown(&self) -> String {
        match self.takes {
            Takes::Nothing(_) => format!("/{}", self.name),
            Takes::Number(_) => format!("/{} [N]", self.name),
        }
    }

    fn read(&self, argument: &str) -> Written {
        let name = self.name;
        match (&self.takes, argument) {
            (Takes::Nothing(command), "") => Written::Command(*command),
            (Takes::Nothing(_), _) => Written::Mistake(format!("`/{name}` stands alone; {AS_A_MESSAGE}")),
            (Takes::Number(command), "") => Written::Command(command(None)),
            (Takes::Number(command), _) => match argument.parse() {
                Ok(number) => Written::Command(command(Some(number))),
                Err(_) => Written::Mistake(format!(
                    "`/{name}` takes the number of a message, which `/context` shows, or nothing; {AS_A_MESSAGE}"
                )),
            },
        }
    }
}

const AS_A_MESSAGE: &str = "to send this to the model, write a space or one more slash first";

/// What a text in the composer is.
pub fn read(text: &str) -> Written {
    let Some((name, argument)) = command(text) else {
        return Written::Message(unescaped(text).to_owned());
    };
    match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) => command.read(argument),
        None => {
            let names: Vec<String> = COMMANDS.iter().map(|command| format!("`/{}`", command.name)).collect();
            Written::Mistake(format!("`/{name}` is no command; there are {}; {AS_A_MESSAGE}", names.join(", ")))
        }
    }
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
            assert!(sentence.contains("write a space or one more slash first"), "{sentence}");
        }
        let Written::Mistake(sentence) = read("/pni") else { panic!() };
        assert!(sentence.contains("`/context`, `/help`, `/models`, `/pin`, `/spec`, `/unpin`"), "{sentence}");
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
            assert!(matches!(read(&format!("/{}", command.name)), Written::Command(_)), "{}", command.name);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn every_message_can_be_written(text in "/{0,3}[a-z]{0,4}[ \n/A-Z]?[a-z0-9]{0,3}") {
            prop_assert_eq!(read(&written(&text)), message(&text));
        }
    }
}
