//! What was read from the store.

use crate::chat::{Ended, Message};
use crate::store::{ChatId, Hit, MessageId, Stamp};
use crate::ui::folds::Fold;

/// A message that was sent before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMessage {
    pub text: String,
    /// What of it was pasted or attached.
    pub folds: Vec<Fold>,
    /// It was written instead of a message, in this run.
    pub is_command: bool,
}

/// A chat as the list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatRow {
    pub id: ChatId,
    pub title: String,
    /// How long ago it was changed, in words.
    pub age: String,
    /// The part of the list in which it stands, by its age.
    pub day: String,
    pub messages: u32,
    pub is_open_elsewhere: bool,
    pub tags: Vec<String>,
    /// It is put away, and left out of lists.
    pub is_archived: bool,
}

/// A message that a search has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundMessage {
    pub hit: Hit,
    /// When it was written, in words.
    pub when: String,
}

/// A chat that was read from the store.
#[derive(Clone, Debug)]
pub struct OpenedChat {
    pub id: ChatId,
    pub title: String,
    /// On all its branches, a parent before its children.
    pub messages: Vec<OpenedMessage>,
    /// The last message of the branch that the chat goes on with.
    pub leaf: Option<MessageId>,
    /// Another window has it open.
    pub is_elsewhere: bool,
}

/// The open chat after something was written to it.
#[derive(Clone, Debug)]
pub struct Changes {
    pub chat: OpenedChat,
    pub stamp: Stamp,
}

/// A message that was read from the store.
#[derive(Clone, Debug)]
pub struct OpenedMessage {
    pub id: MessageId,
    pub parent: Option<MessageId>,
    pub message: Message,
    pub thinking: String,
    /// What of a question was pasted or attached.
    pub folds: Vec<Fold>,
    /// How an answer ended; `None` for a question, and for an answer that another window is writing.
    pub ended: Option<Ended>,
}
