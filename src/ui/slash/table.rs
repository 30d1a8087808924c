//! The rows of the table of written commands.

use super::{Group, SlashCommand, Takes};
use crate::ui::msg::Command;

const fn row(
    group: Group,
    name: &'static str,
    aliases: &'static [&'static str],
    takes: Takes,
    about: &'static str,
) -> SlashCommand {
    SlashCommand { group, name, aliases, takes, about }
}

const fn nothing(command: Command) -> Takes {
    Takes::Nothing(command)
}

/// Something or nothing may follow; `shown` says what, in capitals.
const fn maybe(shown: &'static str, read: fn(Option<&str>) -> Result<Command, String>) -> Takes {
    Takes::Maybe { shown, read }
}

/// Something has to follow.
const fn needed(shown: &'static str, read: fn(&str) -> Result<Command, String>) -> Takes {
    Takes::Needed { shown, read }
}

/// Every command, in the order of the help: by groups, in these the most used first.
pub static COMMANDS: &[SlashCommand] = &[
    row(Group::Chats, "new", &[], nothing(Command::NewChat), "begin a new chat"),
    row(Group::Chats, "resume", &["chats"], nothing(Command::Chats), "list the chats"),
    row(
        Group::Chats,
        "rename",
        &["title"],
        needed("TITLE", |title| Ok(Command::Rename(title.into()))),
        "give this chat another title",
    ),
    row(Group::Messages, "continue", &[], nothing(Command::Continue), "go on with the last answer"),
    row(Group::Model, "models", &[], nothing(Command::Models), "choose another model, or get one"),
    row(Group::Model, "spec", &[], nothing(Command::Drafts), "tell what guessing tokens brought to the last answer"),
    row(Group::Context, "context", &[], nothing(Command::Context), "show what the context holds, message by message"),
    row(
        Group::Context,
        "pin",
        &[],
        maybe("N", |text| number(text).map(Command::Pin)),
        "keep message N of /context in the cache, or your last",
    ),
    row(
        Group::Context,
        "unpin",
        &[],
        maybe("N", |text| number(text).map(Command::Unpin)),
        "let message N of /context leave the cache, or your last",
    ),
    row(Group::Program, "help", &[], nothing(Command::Help), "show the keys and these commands"),
    row(Group::Program, "quit", &["exit"], nothing(Command::Leave), "leave"),
];

/// The number of a message.
fn number(text: Option<&str>) -> Result<Option<u32>, String> {
    let number = text.map(str::parse).transpose();
    number.map_err(|_| "it takes the number of a message, which `/context` shows, or nothing".into())
}
