//! `tuichat chats`: earlier chats, for a look from outside the interface.

mod exporting;
mod importing;
mod told;

use serde::Serialize;
use told::{Found, Shown, Summary, Whole};

use super::chat::find;
use super::{Surroundings, aside, print, print_json};
use crate::chat::{Ended, Role};
use crate::cli::ChatsCommand;
use crate::config::Output;
use crate::engine::protocol::ChatKey;
use crate::engine::remove_snapshots;
use crate::exit::{Exit, Failure};
use crate::store::{ChatId, ChatSummary, Hit, Store, StoreError, StoredMessage};
use crate::text;

/// # Errors
/// If the chats cannot be opened, or there is no such chat.
pub fn run(command: ChatsCommand, surroundings: &Surroundings) -> Result<Exit, Failure> {
    let _log = surroundings.begin()?;
    let mut store = Store::open(&surroundings.directories.chats_file())?;
    match command {
        ChatsCommand::List { tags, archived, all, form } => {
            let mut chats = store.chats(usize::MAX)?;
            let nobody = nobody(chats.is_empty());
            chats.retain(|chat| all || chat.is_archived == archived);
            chats.retain(|chat| tags.iter().all(|tag| chat.tags.contains(tag)));
            let told = chats.iter().map(Summary::from).collect::<Vec<_>>();
            tell(form.output(), &told, || table(&chats), nobody, surroundings)?;
        }
        ChatsCommand::Search { words, limit, form } => {
            let hits = store.search(&as_typed(&words), limit.into())?;
            let told = hits.iter().map(Found::from).collect::<Vec<_>>();
            let text = || hits.iter().map(found).collect();
            tell(form.output(), &told, text, "no message has all of that", surroundings)?;
        }
        ChatsCommand::Show { id, form } => show(&store, find(&store, id)?, form.output())?,
        ChatsCommand::Rename { id, title } => {
            store.rename_chat(find(&store, id)?, &text::escape_line(title.join(" ").trim()))?;
        }
        ChatsCommand::Tag { id, tags, remove } => {
            let tags = store.tag_chat(find(&store, id)?, &tags, &remove)?;
            print(&tags.iter().map(|tag| format!("{tag}\n")).collect::<String>())?;
        }
        ChatsCommand::Archive { id, undo } => id.into_iter().try_for_each(|id| store.archive_chat(id, !undo))?,
        ChatsCommand::Export { id, all, format, out, force } => {
            let chats = match all {
                true => store.chats(usize::MAX)?.into_iter().map(|chat| chat.id).collect(),
                false => id.into_iter().map(|name| find(&store, name)).collect::<Result<Vec<_>, _>>()?,
            };
            if chats.is_empty() {
                aside(surroundings, "there is no chat to export");
            }
            exporting::run(&store, &chats, all, format, out.as_deref(), force)?;
        }
        ChatsCommand::Import { files, json } => {
            return importing::run(&mut store, &files, json, surroundings.config.quiet);
        }
        ChatsCommand::Rm { id } => {
            store.delete_chat(id)?;
            forget(id, surroundings);
        }
    }
    Ok(Exit::Success)
}

/// What a person is told in place of an empty list.
fn nobody(are_none: bool) -> &'static str {
    match are_none {
        true => "there is no chat; `tuichat` begins one, and `tuichat chats import FILE` takes one from elsewhere",
        false => "there is no such chat; `tuichat chats list --all` shows all",
    }
}

/// Prints the messages of a chat.
fn show(store: &Store, id: ChatId, form: Output) -> Result<(), Failure> {
    let messages = store.branch(id)?;
    match form {
        Output::Text => print(&transcript(&messages)),
        Output::Json => {
            let chat = store.chat(id)?.ok_or(StoreError::NoSuchChat(id))?;
            let messages = messages.iter().map(Shown::from).collect();
            print_json(&Whole { chat: Summary::from(&chat), messages })
        }
        Output::Ndjson => print(&lines(&messages.iter().map(Shown::from).collect::<Vec<_>>())?),
    }
}

/// Deletes what was computed of a chat.
fn forget(id: ChatId, surroundings: &Surroundings) {
    remove_snapshots(&surroundings.directories.snapshots(), ChatKey(id.0));
}

/// Prints a list in the form that is wanted; of an empty one a person is told `nobody`.
fn tell<T: Serialize>(
    form: Output,
    list: &[T],
    text: impl FnOnce() -> String,
    nobody: &str,
    surroundings: &Surroundings,
) -> Result<(), Failure> {
    match form {
        Output::Text if list.is_empty() => aside(surroundings, nobody),
        Output::Text => print(&text())?,
        Output::Json => print_json(&list)?,
        Output::Ndjson => print(&lines(list)?)?,
    }
    Ok(())
}

/// An object a line.
fn lines<T: Serialize>(list: &[T]) -> Result<String, Failure> {
    let line = |item: &T| serde_json::to_string(item).map(|line| line + "\n");
    list.iter().map(line).collect::<Result<_, _>>().map_err(|error| Failure::error(error.to_string()))
}

/// What is looked for. An argument with spaces was in quotation marks, which the shell has taken away.
fn as_typed(words: &[String]) -> String {
    let word = |word: &String| match word.contains(char::is_whitespace) && !word.contains('"') {
        true => format!("\"{word}\""),
        false => word.clone(),
    };
    words.iter().map(word).collect::<Vec<_>>().join(" ")
}

fn when(time: jiff::Timestamp) -> String {
    time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

fn table(chats: &[ChatSummary]) -> String {
    let mut lines = String::new();
    for chat in chats {
        let title = text::escape_line(&chat.title);
        let tags: String = chat.tags.iter().map(|tag| format!("  #{tag}")).collect();
        let archived = if chat.is_archived { "  (archived)" } else { "" };
        let what = if chat.messages == 1 { "message" } else { "messages" };
        let (id, when, messages) = (chat.id.0, when(chat.updated_at), chat.messages);
        lines.push_str(&format!("{id:>6}  {when}  {messages:>4} {what:<8}  {title}{tags}{archived}\n"));
    }
    lines
}

/// A message that was found, with `[` and `]` around what was looked for.
fn found(hit: &Hit) -> String {
    let (title, when) = (text::escape_line(&hit.title), when(hit.created_at));
    let pieces = hit.excerpt.pieces().map(|(piece, is_marked)| match (text::escape_line(piece), is_marked) {
        (piece, true) => format!("[{piece}]"),
        (piece, false) => piece,
    });
    let (before, after) =
        (if hit.excerpt.begins_before { "… " } else { "" }, if hit.excerpt.goes_on { " …" } else { "" });
    let excerpt: String = pieces.collect();
    let archived = if hit.is_archived { "  (archived)" } else { "" };
    let (chat, role) = (hit.chat.0, hit.role.as_str());
    format!("{chat:>6}  {when}  {role:<9}  {title}{archived}\n        {before}{excerpt}{after}\n")
}

fn transcript(messages: &[StoredMessage]) -> String {
    let mut text = String::new();
    for message in messages {
        let who = match (message.role, &message.model) {
            (Role::Assistant, Some(model)) => format!("assistant ({})", text::escape_line(model)),
            (role, _) => role.as_str().to_owned(),
        };
        let how = match message.ended {
            None | Some(Ended::Stop) => String::new(),
            Some(ended) => format!(" [{}]", ended.as_str()),
        };
        let pinned = if message.is_pinned { " [pinned]" } else { "" };
        text.push_str(&format!("## {who}{how}{pinned}\n\n{}\n\n", message.text.trim_end()));
    }
    text
}
