//! A chat as plain data, with everything that the store knows of it: what is exported, and what is imported.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use serde::{Deserialize, Serialize};

use super::messages::to_json;
use super::{ChatId, ChatTree, MessageId, Result, Store, StoreError, read_tag};
use crate::chat::{Ended, Role, Sampling, Stats};
use crate::sha256::Sha256;

/// The form of this data, for later programs.
pub const FORM: u32 = 1;

/// A chat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WholeChat {
    /// [`FORM`].
    pub tuichat: u32,
    pub title: String,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub archived: bool,
    /// The message that it goes on from; `None` is directly below the system prompt.
    pub leaf: Option<u32>,
    /// On all branches, a parent before its children.
    pub messages: Vec<WholeMessage>,
}

/// A message of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WholeMessage {
    /// From 1 on, within the chat.
    pub id: u32,
    pub parent: Option<u32>,
    pub role: Role,
    pub content: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub thinking: String,
    /// `None` where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<Ended>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats: Option<Stats>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub pinned: bool,
    /// Which parts of it are folded where it is shown, in the interface's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<String>,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// What became of a chat that was to be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    New(ChatId),
    /// It is here already, or was imported before.
    Known(ChatId),
}

impl WholeMessage {
    pub fn new(id: u32, parent: Option<u32>, role: Role, content: impl Into<String>) -> Self {
        Self {
            id,
            parent,
            role,
            content: content.into(),
            thinking: String::new(),
            created_at: None,
            model: None,
            sampling: None,
            finish_reason: (role == Role::Assistant).then_some(Ended::Stop),
            stats: None,
            pinned: false,
            folds: None,
        }
    }
}

impl WholeChat {
    fn of(chat: super::ChatSummary, tree: ChatTree) -> Self {
        let number = |id: MessageId| {
            let place = tree.messages.binary_search_by_key(&id, |message| message.id);
            place.ok().map(|place| place as u32 + 1)
        };
        let message = |(place, message): (usize, &super::StoredMessage)| WholeMessage {
            id: place as u32 + 1,
            parent: message.parent.and_then(number),
            role: message.role,
            content: message.text.clone(),
            thinking: message.thinking.clone(),
            created_at: Some(message.created_at),
            model: message.model.clone(),
            sampling: message.sampling.clone(),
            finish_reason: message.ended,
            stats: message.stats,
            pinned: message.is_pinned,
            folds: message.folds.clone(),
        };
        Self {
            tuichat: FORM,
            title: chat.title,
            created_at: chat.created_at,
            updated_at: chat.updated_at,
            tags: chat.tags,
            archived: chat.is_archived,
            leaf: tree.leaf.and_then(number),
            messages: tree.messages.iter().enumerate().map(message).collect(),
        }
    }

    /// The messages of the branch that it goes on with, the first first.
    pub fn branch(&self) -> Vec<&WholeMessage> {
        let find = |id: u32| self.messages.binary_search_by_key(&id, |message| message.id).ok();
        let system =
            || self.messages.iter().rposition(|message| message.parent.is_none() && message.role == Role::System);
        let mut next = self.leaf.map_or_else(system, find);
        let mut branch = Vec::new();
        while let Some(message) = next.and_then(|place| self.messages.get(place)) {
            branch.push(message);
            // A parent has a smaller number, so this ends.
            next = message.parent.filter(|parent| *parent < message.id).and_then(find);
        }
        branch.reverse();
        branch
    }

    /// Brings a chat from outside into the form that the store has: numbers from 1 on, parents before their children,
    /// one system prompt for a branch, at its beginning.
    ///
    /// # Errors
    /// A sentence, if it is no chat.
    pub fn put_right(mut self) -> std::result::Result<Self, String> {
        if self.tuichat > FORM {
            return Err("it was written by a newer tuichat; update this one to import it".into());
        }
        self.messages.sort_by_key(|message| message.id);
        if self.messages.windows(2).any(|pair| pair[0].id == pair[1].id) {
            return Err("two of its messages have the same `id`".into());
        }
        if !self.messages.iter().any(|message| message.role != Role::System) {
            return Err("it has no message".into());
        }
        self.drop_inner_system_prompts()?;
        let ids: Vec<u32> = self.messages.iter().map(|message| message.id).collect();
        let number = |id: u32| ids.binary_search(&id).ok().map(|place| place as u32 + 1);
        for message in &mut self.messages {
            let parent = message.parent;
            if parent.is_some_and(|parent| parent >= message.id) {
                return Err(format!("message {} does not come after its `parent`", message.id));
            }
            message.parent =
                parent.map(|id| number(id).ok_or_else(|| format!("it has no message {id}"))).transpose()?;
            if message.role != Role::Assistant {
                message.finish_reason = None;
            } else if message.finish_reason.is_none() {
                message.finish_reason = Some(Ended::Interrupted);
            }
        }
        self.leaf = match self.leaf {
            Some(id) => {
                Some(number(id).ok_or_else(|| format!("it goes on from message {id}, which it does not have"))?)
            }
            None => None,
        };
        for (place, message) in self.messages.iter_mut().enumerate() {
            message.id = place as u32 + 1;
        }
        self.tags = self.tags.iter().filter_map(|tag| read_tag(tag).ok()).collect();
        self.tags.sort();
        self.tags.dedup();
        Ok(self)
    }

    /// A system prompt in mid-conversation has no place here: what follows it follows what came before it.
    fn drop_inner_system_prompts(&mut self) -> std::result::Result<(), String> {
        let is_inner = |message: &WholeMessage| message.role == Role::System && message.parent.is_some();
        let inner: std::collections::HashMap<u32, Option<u32>> = self
            .messages
            .iter()
            .filter(|message| is_inner(message))
            .map(|message| (message.id, message.parent))
            .collect();
        if inner.is_empty() {
            return Ok(());
        }
        let outside = |mut id: Option<u32>| {
            // A parent has a smaller number, else it is refused below.
            while let Some((own, parent)) = id.and_then(|own| inner.get(&own).map(|parent| (own, *parent))) {
                if parent.is_some_and(|parent| parent >= own) {
                    return Err(format!("message {own} does not come after its `parent`"));
                }
                id = parent;
            }
            Ok(id)
        };
        self.messages.retain(|message| !is_inner(message));
        for message in &mut self.messages {
            message.parent = outside(message.parent)?;
        }
        self.leaf = outside(self.leaf)?;
        Ok(())
    }

    /// What is said in it, in short: two chats in which the same was said at the same times have the same.
    fn digest(&self) -> String {
        let mut hash = Sha256::default();
        for message in &self.messages {
            let time = message.created_at.map(|time| time.as_millisecond());
            let head = format!("{:?} {} {time:?} {}\n", message.parent, message.role.as_str(), message.content.len());
            hash.update(head);
            hash.update(&message.content);
            hash.update(&message.thinking);
        }
        hash.finish()
    }
}

impl Store {
    /// Everything of a chat.
    ///
    /// # Errors
    /// If there is no such chat.
    pub fn whole_chat(&self, id: ChatId) -> Result<WholeChat> {
        let tree = self.tree(id)?;
        let chat = self.chat(id)?.ok_or(StoreError::NoSuchChat(id))?;
        Ok(WholeChat::of(chat, tree))
    }

    /// Adds a chat that was [put right](WholeChat::put_right), unless it is here already. In the list it stands among the
    /// others by its age.
    pub fn import_chat(&mut self, chat: &WholeChat) -> Result<Imported> {
        let digest = chat.digest();
        if let Some(known) = self.find_same(chat, &digest)? {
            return Ok(Imported::Known(known));
        }
        self.write(|transaction| insert(transaction, chat, &digest)).map(Imported::New)
    }

    /// A chat that was made of the same, or one of this program's own in which the same was said.
    fn find_same(&self, chat: &WholeChat, digest: &str) -> Result<Option<ChatId>> {
        let (imported, as_old) = self.read(|connection| {
            let imported = connection
                .prepare_cached("SELECT id FROM chats WHERE origin = ?1")?
                .query_row([digest], |row| row.get(0))
                .optional()?;
            let created = chat.created_at.as_millisecond();
            let as_old: Vec<ChatId> = connection
                .prepare_cached("SELECT id FROM chats WHERE created_at = ?1 AND newest IS NOT NULL AND origin IS NULL")?
                .query_map([created], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            Ok((imported, as_old))
        })?;
        if imported.is_some() {
            return Ok(imported);
        }
        for id in as_old {
            if self.whole_chat(id)?.digest() == digest {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Keeps messages that were sent to another program, the oldest first, among those that were sent before. Tells how
    /// many of them are new.
    pub fn import_prompts(&mut self, prompts: &[String]) -> Result<usize> {
        self.write(|transaction| {
            let mut insert = transaction.prepare("INSERT OR IGNORE INTO prompts (text) VALUES (?1)")?;
            prompts.iter().map(|prompt| insert.execute([prompt])).sum()
        })
    }
}

fn insert(transaction: &Transaction<'_>, chat: &WholeChat, digest: &str) -> rusqlite::Result<ChatId> {
    let (created, updated) = (chat.created_at.as_millisecond(), chat.updated_at.as_millisecond());
    // Behind those that were written to before, and before those that were later.
    let newest: i64 = transaction.query_row(
        "SELECT coalesce(max(newest) FILTER (WHERE updated_at <= ?1), min(newest), 0) FROM chats",
        [updated],
        |row| row.get(0),
    )?;
    transaction.execute(
        "INSERT INTO chats (title, created_at, updated_at, newest, archived, origin) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![chat.title, created, updated, newest, chat.archived, digest],
    )?;
    let id = ChatId(transaction.last_insert_rowid());
    for tag in &chat.tags {
        transaction.execute("INSERT OR IGNORE INTO tags (chat, tag) VALUES (?1, ?2)", (id, tag))?;
    }
    let mut ids: Vec<MessageId> = Vec::with_capacity(chat.messages.len());
    let id_of = |ids: &[MessageId], number: u32| ids.get((number as usize).checked_sub(1)?).copied();
    for message in &chat.messages {
        let parent = message.parent.and_then(|parent| id_of(&ids, parent));
        ids.push(insert_message(transaction, id, parent, message, chat.updated_at)?);
    }
    let leaf = chat.leaf.and_then(|leaf| id_of(&ids, leaf));
    transaction.execute("UPDATE chats SET leaf = ?2 WHERE id = ?1", (id, leaf))?;
    Ok(id)
}

fn insert_message(
    connection: &Connection,
    chat: ChatId,
    parent: Option<MessageId>,
    message: &WholeMessage,
    otherwise: Timestamp,
) -> rusqlite::Result<MessageId> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO messages
            (chat, parent, role, text, thinking, created_at, model, sampling, stats, ended, pinned, folds)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?;
    insert
        .insert(params![
            chat,
            parent,
            message.role.as_str(),
            message.content,
            message.thinking,
            message.created_at.unwrap_or(otherwise).as_millisecond(),
            message.model,
            message.sampling.as_ref().and_then(to_json),
            message.stats.as_ref().and_then(to_json),
            message.finish_reason.map(Ended::as_str),
            message.pinned,
            message.folds,
        ])
        .map(MessageId)
}

#[cfg(test)]
mod tests;
