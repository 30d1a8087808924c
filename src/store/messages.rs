//! The messages of a chat: a tree in which an edited question or another try at an answer is a sibling of the first,
//! and nothing is overwritten.

use jiff::Timestamp;
use rusqlite::types::{FromSqlError, Type};
use rusqlite::{Connection, ErrorCode, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{ChatId, MessageId, Result, Store, StoreError};
use crate::chat::{Ended, Role, Sampling, Stats};

/// A message as it is on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredMessage {
    pub id: MessageId,
    /// `None` for a root: the system prompt, or the first message of a chat without one.
    pub parent: Option<MessageId>,
    pub role: Role,
    pub text: String,
    pub thinking: String,
    pub created_at: Timestamp,
    /// What answered.
    pub model: Option<String>,
    /// How the answer was sampled, with the seed that was used.
    pub sampling: Option<Sampling>,
    /// What the answer cost; `None` if it never ended properly.
    pub stats: Option<Stats>,
    /// `None` for an answer that is being written, and for all that is not an answer.
    pub ended: Option<Ended>,
    /// The person wants it to stay in the KV cache.
    pub is_pinned: bool,
    /// Which parts of it are folded where it is shown, in the interface's words.
    pub folds: Option<String>,
}

/// A message on its way to disk.
pub(super) struct NewMessage<'a> {
    pub(super) chat: ChatId,
    pub(super) parent: Option<MessageId>,
    pub(super) role: Role,
    pub(super) text: &'a str,
    pub(super) model: Option<&'a str>,
    pub(super) sampling: Option<String>,
    pub(super) ended: Option<Ended>,
    pub(super) writer: Option<i64>,
    pub(super) folds: Option<&'a str>,
}

impl<'a> NewMessage<'a> {
    /// A message that nobody will add to.
    pub(super) fn whole(chat: ChatId, parent: Option<MessageId>, role: Role, text: &'a str) -> Self {
        let ended = (role == Role::Assistant).then_some(Ended::Stop);
        Self { chat, parent, role, text, model: None, sampling: None, ended, writer: None, folds: None }
    }
}

/// From the chat's leaf (the system prompt where there is none) up to the root. A parent is older than its child;
/// saying so again keeps a damaged file from sending us in circles.
const BRANCH: &str = "
    WITH RECURSIVE branch (id, parent) AS (
        SELECT id, parent FROM messages WHERE id = (
            SELECT coalesce(leaf, (
                SELECT max(id) FROM messages WHERE chat = ?1 AND parent IS NULL AND role = 'system'
            )) FROM chats WHERE id = ?1)
        UNION ALL
        SELECT above.id, above.parent FROM branch JOIN messages above
            ON above.id = branch.parent AND above.id < branch.id)
    SELECT m.id, m.parent, role, text, thinking, created_at, model, sampling, stats, ended, pinned, folds
    FROM branch JOIN messages m ON m.id = branch.id ORDER BY branch.id";

impl Store {
    /// Adds a whole message below `parent`, and makes it the chat's leaf. `None` puts it directly below the system
    /// prompt, or at the root of a chat without one. An assistant's message counts as ended by itself. The message is
    /// on disk when this returns.
    pub fn add_message(
        &mut self,
        chat: ChatId,
        parent: Option<MessageId>,
        role: Role,
        text: &str,
    ) -> Result<MessageId> {
        self.insert(&NewMessage::whole(chat, parent, role, text))
    }

    /// Adds a question as [`add_message`](Store::add_message) does, with which parts of it are folded where it is shown.
    pub fn add_question(
        &mut self,
        chat: ChatId,
        parent: Option<MessageId>,
        text: &str,
        folds: Option<&str>,
    ) -> Result<MessageId> {
        self.insert(&NewMessage { folds, ..NewMessage::whole(chat, parent, Role::User, text) })
    }

    /// The messages from the chat's root to its leaf: the message last added, or the one that was
    /// [chosen](Store::go_to) since. Siblings stay in the store.
    pub fn branch(&self, chat: ChatId) -> Result<Vec<StoredMessage>> {
        let branch = self.read(|connection| read_branch(connection, chat))?;
        // An answer without an end may be another program's that died since this store was opened.
        let is_open = |message: &StoredMessage| message.role == Role::Assistant && message.ended.is_none();
        if branch.iter().any(is_open) && self.mark_interrupted()? {
            return self.read(|connection| read_branch(connection, chat));
        }
        if branch.is_empty() && self.chat(chat)?.is_none() {
            return Err(StoreError::NoSuchChat(chat));
        }
        Ok(branch)
    }

    /// Says whether the person wants a message to stay in the KV cache.
    pub fn pin_message(&mut self, id: MessageId, is_pinned: bool) -> Result<()> {
        let pinned = self.write(|transaction| {
            transaction.execute("UPDATE messages SET pinned = ?2 WHERE id = ?1", (id, is_pinned))
        })?;
        if pinned == 0 { Err(StoreError::NotToBePinned(id)) } else { Ok(()) }
    }

    /// Adds a row and makes it the chat's leaf.
    pub(super) fn insert(&mut self, new: &NewMessage<'_>) -> Result<MessageId> {
        let now = Timestamp::now();
        let inserted = self.write(|transaction| {
            let Some(id) = insert_message(transaction, new, now)? else { return Ok(None) };
            transaction
                .prepare_cached(
                    "UPDATE chats SET leaf = ?2, newest = ?2, updated_at = ?3, archived = 0,
                        opened = (SELECT max(opened) + 1 FROM chats)
                     WHERE id = ?1",
                )?
                .execute((new.chat, id, now.as_millisecond()))?;
            Ok(Some(id))
        })?;
        match (inserted, new.parent) {
            (Some(id), _) => Ok(id),
            (None, Some(message)) if self.chat(new.chat)?.is_some() => {
                Err(StoreError::NoSuchMessage { chat: new.chat, message })
            }
            (None, _) => Err(StoreError::NoSuchChat(new.chat)),
        }
    }
}

/// Adds a row; `None` if the chat has no such parent or does not exist. The leaf is the caller's to move.
pub(super) fn insert_message(
    connection: &Connection,
    new: &NewMessage<'_>,
    now: Timestamp,
) -> rusqlite::Result<Option<MessageId>> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO messages (chat, parent, role, text, created_at, model, sampling, ended, writer, folds)
             VALUES (?1, coalesce(?2, iif(?3 = 'system', NULL, (
                 SELECT max(id) FROM messages WHERE chat = ?1 AND parent IS NULL AND role = 'system'
             ))), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?
        .insert(rusqlite::params![
            new.chat,
            new.parent,
            new.role.as_str(),
            new.text,
            now.as_millisecond(),
            new.model,
            new.sampling,
            new.ended.map(Ended::as_str),
            new.writer,
            new.folds,
        ]);
    match inserted {
        Ok(id) => Ok(Some(MessageId(id))),
        // The only constraints that what is asked can break are those on the chat and the parent.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_branch(connection: &Connection, chat: ChatId) -> rusqlite::Result<Vec<StoredMessage>> {
    connection.prepare_cached(BRANCH)?.query_map([chat], stored_message)?.collect()
}

pub(super) fn stored_message(row: &Row<'_>) -> rusqlite::Result<StoredMessage> {
    Ok(StoredMessage {
        id: row.get(0)?,
        parent: row.get(1)?,
        role: from_word(2, &row.get::<_, String>(2)?)?,
        text: text(row, 3)?,
        thinking: text(row, 4)?,
        created_at: timestamp(row, 5)?,
        model: row.get(6)?,
        sampling: from_json(row.get(7)?),
        stats: from_json(row.get(8)?),
        ended: row.get::<_, Option<String>>(9)?.map(|word| from_word(9, &word)).transpose()?,
        is_pinned: row.get(10)?,
        folds: row.get(11)?,
    })
}

/// Reads a text. In a damaged file it may hold bytes that are none: one of them is no reason to lose all the others.
pub(super) fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<String> {
    let value = row.get_ref(column)?;
    match value.as_bytes() {
        Ok(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
        Err(error) => Err(unreadable(column, value.data_type(), error)),
    }
}

/// Reads a time as it is stored, in milliseconds.
pub(super) fn timestamp(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let milliseconds = row.get(column)?;
    Timestamp::from_millisecond(milliseconds).map_err(|error| unreadable(column, Type::Integer, error))
}

fn from_word<T: std::str::FromStr<Err = String>>(column: usize, word: &str) -> rusqlite::Result<T> {
    word.parse().map_err(|error: String| unreadable(column, Type::Text, FromSqlError::Other(error.into())))
}

fn unreadable(column: usize, kind: Type, error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
}

/// The numbers about an answer are worth less than the answer: what cannot be written as JSON, or read back after
/// another version wrote it, is left out.
pub(super) fn to_json(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).inspect_err(|error| tracing::warn!(%error, "cannot store numbers")).ok()
}

pub(super) fn from_json<T: DeserializeOwned>(text: Option<String>) -> Option<T> {
    serde_json::from_str(&text?).inspect_err(|error| tracing::warn!(%error, "cannot read stored numbers")).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn texts(branch: &[StoredMessage]) -> Vec<&str> {
        branch.iter().map(|message| message.text.as_str()).collect()
    }

    /// A store with a chat of a system prompt and a question.
    pub(in crate::store) fn asked() -> (Store, ChatId, MessageId) {
        let mut store = Store::in_memory().unwrap();
        let chat = store.create_chat("Trees", Some("Be brief")).unwrap();
        let question = store.add_message(chat, None, Role::User, "What is a tree?").unwrap();
        (store, chat, question)
    }

    #[test]
    fn the_system_prompt_is_the_root_of_every_branch() {
        let (mut store, chat, question) = asked();
        let branch = store.branch(chat).unwrap();
        assert_eq!(texts(&branch), ["Be brief", "What is a tree?"]);
        assert_eq!((branch[0].role, branch[0].parent), (Role::System, None));
        assert_eq!(branch[1].parent, Some(branch[0].id));

        let edited = store.add_message(chat, None, Role::User, "What is a forest?").unwrap();
        assert!(edited > question);
        assert_eq!(texts(&store.branch(chat).unwrap()), ["Be brief", "What is a forest?"]);
    }

    #[test]
    fn a_chat_without_a_system_prompt_begins_with_its_first_message() {
        let mut store = Store::in_memory().unwrap();
        let chat = store.create_chat("Bare", None).unwrap();
        assert_eq!(store.branch(chat).unwrap(), []);
        store.add_message(chat, None, Role::User, "Hello").unwrap();
        assert_eq!(store.branch(chat).unwrap()[0].parent, None);
    }

    #[test]
    fn another_try_is_a_sibling_and_the_chat_goes_on_from_the_newest() {
        let (mut store, chat, question) = asked();
        let first = store.add_message(chat, Some(question), Role::Assistant, "A plant").unwrap();
        store.add_message(chat, Some(first), Role::User, "How tall?").unwrap();
        let second = store.begin_answer(chat, question, "SmolLM2", &Sampling::default()).unwrap();
        store.append_answer(second, "A graph", "").unwrap();
        assert_eq!(texts(&store.branch(chat).unwrap()), ["Be brief", "What is a tree?", "A graph"]);

        store.add_message(chat, Some(first), Role::User, "How old?").unwrap();
        assert_eq!(texts(&store.branch(chat).unwrap()), ["Be brief", "What is a tree?", "A plant", "How old?"]);
        assert_eq!(store.chat(chat).unwrap().unwrap().messages, 3, "those of the other branch do not count");
    }

    #[test]
    fn a_parent_must_be_in_the_same_chat() {
        let (mut store, chat, question) = asked();
        let other = store.create_chat("Other", None).unwrap();
        let error = store.add_message(other, Some(question), Role::User, "Hello").unwrap_err();
        assert!(matches!(error, StoreError::NoSuchMessage { .. }), "{error}");
        let error = store.begin_answer(chat, MessageId(99), "SmolLM2", &Sampling::default()).unwrap_err();
        assert!(matches!(error, StoreError::NoSuchMessage { .. }), "{error}");
        let error = store.add_message(ChatId(99), None, Role::User, "Hello").unwrap_err();
        assert!(matches!(error, StoreError::NoSuchChat(ChatId(99))), "{error}");
        let error = store.add_message(ChatId(99), Some(question), Role::User, "Hello").unwrap_err();
        assert!(matches!(error, StoreError::NoSuchChat(ChatId(99))), "{error}");
        assert!(matches!(store.branch(ChatId(99)), Err(StoreError::NoSuchChat(_))));
    }

    #[test]
    fn a_question_keeps_what_is_folded_in_it() {
        let (mut store, chat, question) = asked();
        store.add_question(chat, Some(question), "And this?", Some("[[0,3]]")).unwrap();
        let folds: Vec<_> = store.branch(chat).unwrap().into_iter().map(|message| message.folds).collect();
        assert_eq!(folds, [None, None, Some("[[0,3]]".to_owned())]);
    }

    #[test]
    fn text_comes_back_byte_for_byte() {
        let (mut store, chat, _) = asked();
        let odd = "\0 \x1b[31m \u{202e} 👨‍👩‍👧 ' \r\n";
        let question = store.add_message(chat, None, Role::User, odd).unwrap();
        let answer = store.begin_answer(chat, question, odd, &Sampling::default()).unwrap();
        store.append_answer(answer, odd, "").unwrap();
        store.append_answer(answer, odd, odd).unwrap();
        store.rename_chat(chat, odd).unwrap();
        let branch = store.branch(chat).unwrap();
        assert_eq!(texts(&branch)[1..], [odd, &odd.repeat(2)]);
        assert_eq!(branch[2].thinking, odd);
        assert_eq!(store.chat(chat).unwrap().unwrap().title, odd);
    }

    #[test]
    fn a_pin_stays_with_its_message_until_it_is_taken_away() {
        let (mut store, chat, question) = asked();
        let pins =
            |store: &Store| store.branch(chat).unwrap().iter().map(|message| message.is_pinned).collect::<Vec<_>>();
        assert_eq!(pins(&store), [false, false]);
        store.pin_message(question, true).unwrap();
        store.pin_message(question, true).unwrap();
        assert_eq!(pins(&store), [false, true]);
        let answer = store.begin_answer(chat, question, "SmolLM2", &Sampling::default()).unwrap();
        store.pin_message(answer, true).unwrap();
        store.append_answer(answer, "A plant", "").unwrap();
        assert_eq!(pins(&store), [false, true, true], "an answer in progress can be pinned");
        store.pin_message(question, false).unwrap();
        assert_eq!(pins(&store), [false, false, true]);

        let error = store.pin_message(MessageId(99), true).unwrap_err();
        assert!(error.to_string().contains("message 99 cannot be pinned or unpinned"), "{error}");
    }

    #[test]
    fn a_full_disk_is_told_apart_and_loses_nothing_that_was_saved() {
        let (mut store, chat, question) = asked();
        let pages: i64 = store.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        store.connection.pragma_update(None, "max_page_count", pages).unwrap();
        let large = "x".repeat(100_000);
        let error = store.add_message(chat, Some(question), Role::User, &large).unwrap_err();
        assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
        assert_eq!(texts(&store.branch(chat).unwrap()), ["Be brief", "What is a tree?"]);

        store.connection.pragma_update(None, "max_page_count", pages + 100).unwrap();
        store.add_message(chat, Some(question), Role::User, &large).unwrap();
        assert_eq!(store.branch(chat).unwrap().len(), 3);
    }

    #[test]
    fn a_chat_of_ten_thousand_messages_loads_whole_and_can_be_deleted() {
        let mut store = Store::in_memory().unwrap();
        let chat = store.create_chat("Long", None).unwrap();
        let mut parent = None;
        for number in 0..10_000 {
            let role = if number % 2 == 0 { Role::User } else { Role::Assistant };
            parent = Some(store.add_message(chat, parent, role, "Go on").unwrap());
        }
        let branch = store.branch(chat).unwrap();
        assert_eq!(branch.len(), 10_000);
        assert!(branch.windows(2).all(|pair| pair[1].parent == Some(pair[0].id)));
        store.delete_chat(chat).unwrap();
        let left: i64 = store.connection.query_row("SELECT count(*) FROM messages", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0);
    }

    #[test]
    fn a_branch_is_found_by_its_ids() {
        let (store, ..) = asked();
        let plan = store.plan(BRANCH);
        let scans = |step: &&String| step.starts_with("SCAN") && !step.ends_with("branch");
        assert_eq!(plan.iter().find(scans), None, "{plan:#?}");
    }
}
