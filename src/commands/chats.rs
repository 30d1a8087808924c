//! `tuichat chats`: earlier chats, for a look from outside the interface.

use serde_json::{Value, json};

use super::{Surroundings, print, print_json};
use crate::chat::{Ended, Role};
use crate::cli::ChatsCommand;
use crate::exit::{Exit, Failure};
use crate::store::{ChatSummary, Store, StoredMessage};
use crate::text;

/// # Errors
/// If the chats cannot be opened, or there is no such chat.
pub fn run(command: ChatsCommand, surroundings: &Surroundings) -> Result<Exit, Failure> {
    let _log = surroundings.begin()?;
    let mut store = Store::open(&surroundings.directories.chats_file())?;
    match command {
        ChatsCommand::List { json } => {
            let chats = store.chats(usize::MAX)?;
            if json { print_json(&chats.iter().map(summary).collect::<Vec<_>>())? } else { print(&table(&chats))? }
        }
        ChatsCommand::Show { id, json } => {
            let messages = store.branch(id)?;
            if json {
                let mut object = store.chat(id)?.as_ref().map_or(json!({}), summary);
                object["messages"] = messages.iter().map(message).collect();
                print_json(&object)?;
            } else {
                print(&transcript(&messages))?;
            }
        }
        ChatsCommand::Rm { id } => store.delete_chat(id)?,
    }
    Ok(Exit::Success)
}

fn summary(chat: &ChatSummary) -> Value {
    json!({
        "id": chat.id.0,
        "title": chat.title,
        "created_at": chat.created_at.to_string(),
        "updated_at": chat.updated_at.to_string(),
        "message_count": chat.messages,
        "model": chat.model,
    })
}

fn message(message: &StoredMessage) -> Value {
    json!({
        "id": message.id.0,
        "role": message.role,
        "content": message.text,
        "thinking": Some(&message.thinking).filter(|thinking| !thinking.is_empty()),
        "created_at": message.created_at.to_string(),
        "model": message.model,
        "sampling": message.sampling,
        "finish_reason": message.ended,
        "stats": message.stats,
    })
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
        text.push_str(&format!("## {who}{how}\n\n{}\n\n", message.text.trim_end()));
    }
    text
}
