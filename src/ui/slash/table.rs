//! The rows of the table of written commands.

use super::{Choices, Group, SlashCommand, Takes};
use crate::config::{about_setting, setting_meant, unknown_setting};
use crate::ui::app::setting;
use crate::ui::markdown::parts::PartKind;
use crate::ui::msg::{Branch, Command, CopyOf, Retry};

const fn row(
    group: Group,
    name: &'static str,
    aliases: &'static [&'static str],
    takes: Takes,
    about: &'static str,
) -> SlashCommand {
    SlashCommand { group, name, aliases, takes, choices: Choices::None, about }
}

/// With something to choose among for what follows the name.
const fn among(choices: Choices, mut row: SlashCommand) -> SlashCommand {
    row.choices = choices;
    row
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
    row(Group::Chats, "private", &[], nothing(Command::Private), "begin a chat of which nothing is written to disk"),
    among(
        Choices::Chats,
        row(
            Group::Chats,
            "resume",
            &["chats"],
            maybe("CHAT", |words| Ok(words.map_or(Command::Chats, |words| Command::Resume(words.into())))),
            "list the chats, or go to one by number or title",
        ),
    ),
    row(
        Group::Chats,
        "search",
        &["find"],
        maybe("WORDS", |words| Ok(Command::SearchChats(words.map(Into::into)))),
        "search the messages of all chats",
    ),
    row(
        Group::Chats,
        "rename",
        &["title"],
        needed("TITLE", |title| Ok(Command::Rename(title.into()))),
        "give this chat another title",
    ),
    row(
        Group::Chats,
        "tag",
        &["tags"],
        maybe("WORDS", |words| Ok(Command::Tag(words.map(Into::into)))),
        "give this chat tags; `-work` takes one away",
    ),
    among(
        Choices::Words(&["undo"]),
        row(Group::Chats, "archive", &[], maybe("undo", archive), "put this chat away: lists leave it out"),
    ),
    among(
        Choices::Words(&["md", "json", "html", "txt"]),
        row(
            Group::Chats,
            "save",
            &["export"],
            maybe("PATH|FORM", |path| Ok(Command::Save(path.map(Into::into)))),
            "write this chat to a file: md, json, html or txt",
        ),
    ),
    row(
        Group::Messages,
        "retry",
        &["again"],
        maybe("HOW", |text| again(text).map(Command::Retry)),
        "another answer, as a branch: at a temperature, by model NAME",
    ),
    row(Group::Messages, "continue", &[], nothing(Command::Continue), "go on with the last answer"),
    row(Group::Messages, "stop", &[], nothing(Command::Stop), "stop the answer, or take back a waiting message"),
    row(
        Group::Messages,
        "edit",
        &[],
        maybe("N", |text| number(text).map(Command::EditMessage)),
        "write question N of /context anew, or the last one",
    ),
    row(
        Group::Messages,
        "branch",
        &["branches"],
        maybe("N K", |text| branch(text).map(Command::Branch)),
        "list other questions and answers, or show the K-th of message N",
    ),
    row(
        Group::Messages,
        "copy",
        &[],
        maybe("WHAT", |text| copied(text).map(Command::Copy)),
        "copy the last answer, code, table, or message N",
    ),
    row(Group::Messages, "undo", &[], nothing(Command::UndoExchange), "take the last exchange back"),
    row(
        Group::Messages,
        "redo",
        &[],
        nothing(Command::RedoExchange),
        "bring back what /undo took back, or undo a deletion",
    ),
    row(
        Group::Messages,
        "fork",
        &[],
        maybe("N", |text| number(text).map(Command::Fork)),
        "copy the chat up to message N of /context into a new one",
    ),
    among(
        Choices::Files,
        row(
            Group::Messages,
            "attach",
            &["file"],
            needed("PATH|!COMMAND", |wanted| Ok(Command::Attach(wanted.into()))),
            "attach a file, a folder, `src/**/*.rs`, or what a command says",
        ),
    ),
    row(
        Group::Messages,
        "run",
        &[],
        needed("COMMAND", |line| Ok(Command::Run(line.into()))),
        "attach what a command says, as `/attach !COMMAND`; it is asked about first",
    ),
    row(
        Group::Messages,
        "paste",
        &["clipboard"],
        nothing(Command::AttachClipboard),
        "attach what is in the clipboard, a text or a picture",
    ),
    among(
        Choices::Attached,
        row(
            Group::Messages,
            "drop",
            &["detach"],
            maybe("NAME", |name| Ok(Command::Detach(name.map(str::to_owned)))),
            "take out the file of this name, or the last one",
        ),
    ),
    row(
        Group::Messages,
        "editor",
        &[],
        nothing(Command::EditOutside),
        "write in $VISUAL or $EDITOR, or change there what is written",
    ),
    among(
        Choices::Prompts,
        row(
            Group::Messages,
            "prompt",
            &["prompts"],
            maybe("NAME", |name| Ok(name.map_or(Command::Prompts, |name| Command::Prompt(name.into())))),
            "put a text of yours into the text field",
        ),
    ),
    among(
        Choices::Models,
        row(
            Group::Model,
            "model",
            &["models"],
            maybe("NAME", |name| Ok(name.map_or(Command::Models, |name| Command::Model(name.into())))),
            "choose another model, or get one",
        ),
    ),
    among(
        Choices::Files,
        row(
            Group::Model,
            "system",
            &[],
            maybe("TEXT|@FILE", |text| Ok(Command::System(text.map(Into::into)))),
            "show or change the system prompt; a begun chat keeps its own",
        ),
    ),
    among(
        Choices::Settings,
        row(Group::Model, "set", &[], maybe("NAME VALUE", set), "list the settings, or change one"),
    ),
    among(
        Choices::Words(&["auto", "on", "off"]),
        row(
            Group::Model,
            "think",
            &[],
            maybe("on|off|N", |think| think.map(str::parse).transpose().map(Command::Think)),
            "whether the model thinks first, or for how long",
        ),
    ),
    row(Group::Model, "stats", &[], nothing(Command::Stats), "what the last answer and this chat cost"),
    row(Group::Model, "spec", &[], nothing(Command::Spec), "what guessing tokens brought to the last answer"),
    row(Group::Context, "context", &[], nothing(Command::Context), "what the context holds, message by message"),
    row(
        Group::Context,
        "pin",
        &[],
        maybe("N", |text| number(text).map(Command::Pin)),
        "keep message N of /context, or your last",
    ),
    row(
        Group::Context,
        "unpin",
        &[],
        maybe("N", |text| number(text).map(Command::Unpin)),
        "let message N leave again, or your last",
    ),
    row(Group::Context, "kv", &[], nothing(Command::Kv), "what the KV cache is made of, and why"),
    row(
        Group::Program,
        "thoughts",
        &[],
        nothing(Command::ShowThinking),
        "show or fold thoughts, pastes, files and recalls",
    ),
    among(
        Choices::Themes,
        row(
            Group::Program,
            "theme",
            &[],
            maybe("NAME", |name| Ok(Command::Theme(name.map(str::to_owned)))),
            "other colours: auto, light, dark, mono, nord, …",
        ),
    ),
    among(
        Choices::AllSettings,
        row(
            Group::Program,
            "settings",
            &["config"],
            maybe("NAME VALUE", settings),
            "show all settings, or change one in config.toml",
        ),
    ),
    row(
        Group::Program,
        "help",
        &[],
        maybe("WORDS", |words| Ok(words.map_or(Command::Help, |words| Command::HelpOn(words.into())))),
        "the keys and these commands, or those about something",
    ),
    row(Group::Program, "quit", &["exit", "q"], nothing(Command::Quit), "leave"),
];

/// How a question is asked once more.
fn again(text: Option<&str>) -> Result<Retry, String> {
    let Some(text) = text else { return Ok(Retry::Same) };
    if let Some(name) = text.strip_prefix("model ").map(str::trim).filter(|name| !name.is_empty()) {
        return Ok(Retry::Model(name.to_owned()));
    }
    let number = ["temp ", "temperature "].iter().find_map(|name| text.strip_prefix(name));
    let temperature = number.unwrap_or(text).trim().parse::<f32>();
    let temperature = temperature.ok().filter(|temperature| (0.0..=5.0).contains(temperature));
    temperature
        .map(Retry::Temperature)
        .ok_or_else(|| "it takes a temperature from 0 to 5, `model` and a name, or nothing".into())
}

/// What is to be copied.
fn copied(text: Option<&str>) -> Result<CopyOf, String> {
    match text {
        None | Some("last") => Ok(CopyOf::LastAnswer),
        Some("code") => Ok(CopyOf::LastPart(PartKind::Code)),
        Some("table") => Ok(CopyOf::LastPart(PartKind::Table)),
        Some(number) => number
            .parse()
            .map(CopyOf::Message)
            .map_err(|_| "it takes `code`, `table`, the number of a message (`/context` shows them), or nothing for the last answer".into()),
    }
}

/// The number of a message.
fn number(text: Option<&str>) -> Result<Option<u32>, String> {
    let number = text.map(str::parse).transpose();
    number.map_err(|_| "it takes the number of a message, which `/context` shows, or nothing".into())
}

/// A message and one of its branches.
fn branch(text: Option<&str>) -> Result<Branch, String> {
    let wrong = || "it takes the number of a message, which it tells alone, and that of a branch".to_owned();
    let numbers = text.unwrap_or_default().split_whitespace().map(str::parse::<u32>);
    let numbers: Vec<u32> = numbers.collect::<Result<_, _>>().map_err(|_| wrong())?;
    match numbers[..] {
        [] => Ok(Branch::List),
        [message] => Ok(Branch::Next(message)),
        [message, branch] => Ok(Branch::At(message, branch)),
        _ => Err(wrong()),
    }
}

fn set(text: Option<&str>) -> Result<Command, String> {
    let Some(text) = text else { return Ok(Command::Settings) };
    let (name, value) = text.split_once([' ', '=']).map_or((text, ""), |(name, value)| (name, value.trim()));
    let setting = setting(name)?;
    let value = Some(value).filter(|value| !value.is_empty());
    value.map_or(Ok(()), |value| setting.check(value))?;
    Ok(Command::Set { setting, value: value.map(str::to_owned) })
}

/// The panel, narrowed; or a setting and its new value.
fn settings(text: Option<&str>) -> Result<Command, String> {
    let Some(text) = text else { return Ok(Command::Panel(None)) };
    match text.split_once([' ', '=']).map(|(name, value)| (about_setting(name), name, value.trim())) {
        Some((Some(about), _, value)) if !value.is_empty() => {
            Ok(Command::Keep { about, value: Some(value.to_owned()) })
        }
        Some((None, name, value)) if text.contains('=') || (!value.is_empty() && setting_meant(name).is_some()) => {
            Err(unknown_setting(name))
        }
        None if about_setting(text).is_none() => Ok(Command::Panel(setting_meant(text).or(Some(text.to_owned())))),
        _ => Ok(Command::Panel(Some(text.to_owned()))),
    }
}

fn archive(text: Option<&str>) -> Result<Command, String> {
    match text {
        None => Ok(Command::Archive(true)),
        Some("undo") => Ok(Command::Archive(false)),
        Some(_) => Err("it takes `undo`, or nothing".into()),
    }
}
