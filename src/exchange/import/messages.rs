//! What one JSON value is: a chat of this program, of ChatGPT, one of messages with roles as most programs write them, a
//! message of such a chat, or several chats.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{begun, chatgpt, time};
use crate::chat::Role;
use crate::store::{WholeChat, WholeMessage};

/// What a value is.
#[derive(Debug)]
pub(super) enum Read {
    Chat(WholeChat),
    Chats(Vec<Value>),
    /// A message that is no chat alone; `None` of one that is for tools.
    Message(Option<WholeMessage>),
}

/// Reads a value. Chats that do not say when they were are of this time.
///
/// # Errors
/// A sentence, if it is nothing of that.
pub(super) fn read(value: Value, otherwise: Timestamp) -> Result<Read, String> {
    let Value::Object(mut object) = value else {
        return Err("it is no chat and no message: those are objects".into());
    };
    if object.contains_key("tuichat") {
        let chat = serde_json::from_value(Value::Object(object)).map_err(|error| {
            format!(
                "it says that it is a chat of tuichat, and is none: {}",
                crate::text::escape_line(&error.to_string())
            )
        })?;
        return Ok(Read::Chat(chat));
    }
    if object.get("mapping").is_some_and(Value::is_object) {
        return chatgpt::read(&object, otherwise).map(Read::Chat);
    }
    // Where the messages are, as one program or another calls them.
    for key in ["messages", "chat_messages", "conversations", "conversation"] {
        let Some(Value::Array(list)) = object.get_mut(key) else { continue };
        let list = std::mem::take(list);
        if list.iter().any(|element| element.get("mapping").is_some() || element.get("messages").is_some()) {
            return Ok(Read::Chats(list));
        }
        return messages(&object, list, otherwise).map(Read::Chat);
    }
    if let Some(Value::Array(list)) = object.get_mut("chats") {
        return Ok(Read::Chats(std::mem::take(list)));
    }
    match message(&object) {
        Some(message) => Ok(Read::Message(message)),
        None => Err("it is no chat that is known here: it has neither `messages` nor `mapping`, nor `role`".into()),
    }
}

fn messages(chat: &Map<String, Value>, list: Vec<Value>, otherwise: Timestamp) -> Result<WholeChat, String> {
    let mut read = Vec::new();
    for (index, element) in list.into_iter().enumerate() {
        let message = element.as_object().and_then(message);
        read.extend(message.ok_or_else(|| format!("message {} of it has no `role` and `content`", index + 1))?);
    }
    let model = text(chat, &["model"]).unwrap_or_default();
    for message in &mut read {
        if message.role == Role::Assistant && message.model.is_none() && !model.is_empty() {
            message.model = Some(model.to_owned());
        }
    }
    let title = text(chat, &["title", "name"]).unwrap_or_default().to_owned();
    let created = ["created_at", "create_time", "createdAt", "timestamp"].iter().find_map(|key| time(chat.get(*key)));
    let updated = ["updated_at", "update_time", "updatedAt"].iter().find_map(|key| time(chat.get(*key)));
    let begun = begun(title, created.unwrap_or(otherwise), in_a_row(read));
    let created_at = created.unwrap_or(begun.created_at);
    Ok(WholeChat { created_at, updated_at: updated.unwrap_or(begun.updated_at).max(created_at), ..begun })
}

/// Messages that follow each other, without branches. Two of the same speaker are one; a system prompt is the first.
pub(super) fn in_a_row(messages: Vec<WholeMessage>) -> Vec<WholeMessage> {
    let mut row: Vec<WholeMessage> = Vec::new();
    for message in messages {
        match row.last_mut() {
            Some(last) if last.role == message.role => join(last, message),
            _ => row.push(message),
        }
    }
    for (place, message) in row.iter_mut().enumerate() {
        message.id = place as u32 + 1;
        message.parent = (place > 0).then_some(place as u32);
    }
    row
}

/// Puts a message behind another one of the same speaker.
pub(super) fn join(first: &mut WholeMessage, second: WholeMessage) {
    for (one, other) in [(&mut first.content, second.content), (&mut first.thinking, second.thinking)] {
        if !one.is_empty() && !other.is_empty() {
            one.push_str("\n\n");
        }
        one.push_str(&other);
    }
    first.model = second.model.or(first.model.take());
}

/// A message with a role; `None` if it has none, and a message that is for tools is nothing.
fn message(object: &Map<String, Value>) -> Option<Option<WholeMessage>> {
    let role = text(object, &["role", "from", "sender", "author"])?;
    let said = ["content", "value", "text"].iter().find_map(|key| object.get(*key));
    let role = match role.to_ascii_lowercase().as_str() {
        "system" | "developer" => Role::System,
        "user" | "human" | "prompter" => Role::User,
        "assistant" | "model" | "gpt" | "bot" | "ai" | "chatgpt" => Role::Assistant,
        "tool" | "function" | "tool_result" | "tool_call" => return Some(None),
        _ => return None,
    };
    let content = match said {
        Some(said) => words(said),
        // An answer that only calls a tool.
        None if object.contains_key("tool_calls") => String::new(),
        None => return None,
    };
    if content.trim().is_empty() {
        return Some(None);
    }
    let mut message = WholeMessage::new(0, None, role, content);
    message.thinking = text(object, &["thinking", "reasoning_content", "reasoning"]).unwrap_or_default().to_owned();
    let times = ["created_at", "create_time", "createdAt", "timestamp"];
    message.created_at = times.iter().find_map(|key| time(object.get(*key)));
    message.model = text(object, &["model"]).filter(|_| role == Role::Assistant).map(str::to_owned);
    Some(Some(message))
}

/// Text, or the parts of it that are text.
pub(super) fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let parts = parts.iter().map(words).filter(|part| !part.trim().is_empty());
            parts.collect::<Vec<_>>().join("\n\n")
        }
        Value::Object(part) => text(part, &["text"]).unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}

/// The first of these keys that is text.
pub(super) fn text<'a>(object: &'a Map<String, Value>, keys: &[&str]) -> Option<&'a str> {
    keys.iter().find_map(|key| object.get(*key)?.as_str())
}
