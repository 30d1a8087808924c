//! `tuichat chats`: earlier chats, for a look from outside the interface.

use serde::Serialize;

use super::{Surroundings, print, print_json};
use crate::chat::{Ended, Role, Sampling, Stats};
use crate::cli::ChatsCommand;
use crate::engine::protocol::ChatKey;
use crate::engine::remove_snapshots;
use crate::exit::{Exit, Failure};
use crate::store::{ChatSummary, Store, StoreError, StoredMessage};
use crate::text;

/// # Errors
/// If the chats cannot be opened, or there is no such chat.
pub fn run(command: ChatsCommand, surroundings: &Surroundings) -> Result<Exit, Failure> {
    let _log = surroundings.begin()?;
    let mut store = Store::open(&surroundings.directories.chats_file())?;
    match command {
        ChatsCommand::List { json } => {
            let chats = store.chats(usize::MAX)?;
            if json {
                print_json(&chats.iter().map(Summary::from).collect::<Vec<_>>())?
            } else {
                print(&table(&chats))?
            }
        }
        ChatsCommand::Show { id, json } => {
            let messages = store.branch(id)?;
            if json {
                let chat = store.chat(id)?.ok_or(StoreError::NoSuchChat(id))?;
                let messages = messages.iter().map(Shown::from).collect();
                print_json(&Whole { chat: Summary::from(&chat), messages })?;
            } else {
                print(&transcript(&messages))?;
            }
        }
        ChatsCommand::Rm { id } => {
            store.delete_chat(id)?;
            remove_snapshots(&surroundings.directories.snapshots(), ChatKey(id.0));
        }
    }
    Ok(Exit::Success)
}

/// A chat in a list. The keys of these objects are a contract, and not those of the store's own types.
#[derive(Serialize)]
struct Summary<'a> {
    id: i64,
    title: &'a str,
    created_at: String,
    updated_at: String,
    message_count: u32,
    model: Option<&'a str>,
}

#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    chat: Summary<'a>,
    messages: Vec<Shown<'a>>,
}

#[derive(Serialize)]
struct Shown<'a> {
    id: i64,
    role: Role,
    content: &'a str,
    thinking: Option<&'a str>,
    created_at: String,
    model: Option<&'a str>,
    sampling: Option<&'a Sampling>,
    finish_reason: Option<Ended>,
    stats: Option<Stats>,
    pinned: bool,
}

impl<'a> From<&'a ChatSummary> for Summary<'a> {
    fn from(chat: &'a ChatSummary) -> Self {
        Self {
            id: chat.id.0,
            title: &chat.title,
            created_at: chat.created_at.to_string(),
            updated_at: chat.updated_at.to_string(),
            message_count: chat.messages,
            model: chat.model.as_deref(),
        }
    }
}

impl<'a> From<&'a StoredMessage> for Shown<'a> {
    fn from(message: &'a StoredMessage) -> Self {
        Self {
            id: message.id.0,
            role: message.role,
            content: &message.text,
            thinking: Some(message.thinking.as_str()).filter(|thinking| !thinking.is_empty()),
            created_at: message.created_at.to_string(),
            model: message.model.as_deref(),
            sampling: message.sampling.as_ref(),
            finish_reason: message.ended,
            stats: message.stats,
            pinned: message.is_pinned,
        }
    }
}

fn table(chats: &[ChatSummary]) -> String {
    let mut lines = String::new();
    for chat in chats {
        let when = chat.updated_at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M");
        let title = text::escape_line(&chat.title);
        lines.push_str(&format!("{:>6}  {when}  {:>4} messages  {title}\n", chat.id.0, chat.messages));
    }
    lines
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
