//! What `tuichat chats` tells as JSON. The keys of these objects are a contract, and not those of the store's own types.

use serde::Serialize;

use crate::chat::{Ended, Role, Sampling, Stats};
use crate::store::{ChatSummary, Hit, StoredMessage};

/// A chat in a list.
#[derive(Serialize)]
pub(super) struct Summary<'a> {
    id: i64,
    title: &'a str,
    created_at: String,
    updated_at: String,
    message_count: u32,
    model: Option<&'a str>,
    tags: &'a [String],
    archived: bool,
}

#[derive(Serialize)]
pub(super) struct Whole<'a> {
    #[serde(flatten)]
    pub(super) chat: Summary<'a>,
    pub(super) messages: Vec<Shown<'a>>,
}

#[derive(Serialize)]
pub(super) struct Shown<'a> {
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
            tags: &chat.tags,
            archived: chat.is_archived,
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

/// A message that was found.
#[derive(Serialize)]
pub(super) struct Found<'a> {
    chat: i64,
    title: &'a str,
    archived: bool,
    message: i64,
    role: Role,
    created_at: String,
    excerpt: &'a str,
    /// Where the words stand in the excerpt, in characters: from, to.
    matches: Vec<[usize; 2]>,
}

impl<'a> From<&'a Hit> for Found<'a> {
    fn from(hit: &'a Hit) -> Self {
        let excerpt = hit.excerpt.text.as_str();
        let characters = |bytes: usize| excerpt[..bytes].chars().count();
        Self {
            chat: hit.chat.0,
            title: &hit.title,
            archived: hit.is_archived,
            message: hit.message.0,
            role: hit.role,
            created_at: hit.created_at.to_string(),
            excerpt,
            matches: hit.excerpt.marks.iter().map(|mark| [characters(mark.start), characters(mark.end)]).collect(),
        }
    }
}
