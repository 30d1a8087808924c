//! The chats as a list: made, found, named, deleted.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction};

use super::deleted::Deleted;
use super::messages::{NewMessage, insert_message, text, timestamp};
use super::migrations::STEPS;
use super::{ChatId, Result, Store, StoreError, disk};
use crate::chat::Role;

/// What a list of chats shows of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatSummary {
    pub id: ChatId,
    /// As it was given: escape it before showing it.
    pub title: String,
    pub created_at: Timestamp,
    /// When its last message was added or its last answer ended.
    pub updated_at: Timestamp,
    /// On the branch that it goes on with, without the system prompt.
    pub messages: u32,
    /// That of the newest answer.
    pub model: Option<String>,
    /// Another program that runs has it open.
    pub is_open_elsewhere: bool,
    /// By the alphabet.
    pub tags: Vec<String>,
    /// Lists leave it out until it is asked for.
    pub is_archived: bool,
}

/// The columns of a summary; `c` is the chat.
const SUMMARY: &str = "c.id, c.title, c.created_at, c.updated_at,
    (WITH RECURSIVE branch (id, parent, role) AS (
        SELECT id, parent, role FROM messages WHERE id = c.leaf
        UNION ALL
        SELECT above.id, above.parent, above.role FROM branch JOIN messages above
            ON above.id = branch.parent AND above.id < branch.id)
     SELECT count(*) FROM branch WHERE role <> 'system'),
    (SELECT model FROM messages WHERE chat = c.id AND model IS NOT NULL ORDER BY id DESC LIMIT 1),
    (SELECT group_concat(tag, ' ') FROM (SELECT tag FROM tags WHERE chat = c.id ORDER BY tag)), c.archived, c.opener";

impl Store {
    /// Begins a chat. The system prompt is the root of its tree, the first message of every [`branch`](Store::branch):
    /// so it reaches the model in its place, and a chat shows which prompt each answer was given under. A chat that
    /// has nothing else is left out of [`chats`](Store::chats).
    pub fn create_chat(&mut self, title: &str, system: Option<&str>) -> Result<ChatId> {
        let now = Timestamp::now();
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO chats (title, created_at, updated_at) VALUES (?1, ?2, ?2)",
                (title, now.as_millisecond()),
            )?;
            let chat = ChatId(transaction.last_insert_rowid());
            if let Some(system) = system {
                insert_message(transaction, &NewMessage::whole(chat, None, Role::System, system), now)?;
            }
            Ok(chat)
        })
    }

    /// At most `most` chats that have messages, the one last written to first.
    pub fn chats(&self, most: usize) -> Result<Vec<ChatSummary>> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let chats: Vec<_> = self.read(|connection| {
            connection.prepare_cached(&newest_first())?.query_map([most], summary)?.collect::<rusqlite::Result<_>>()
        })?;
        // Many chats of an open window cost one look at its lock.
        let mut known = HashMap::new();
        let told = chats.into_iter().map(|(chat, opener)| {
            let is_open = |number| *known.entry(number).or_insert_with(|| self.is_of_another(number));
            ChatSummary { is_open_elsewhere: opener.is_some_and(is_open), ..chat }
        });
        Ok(told.collect())
    }

    /// One chat, if it exists.
    pub fn chat(&self, id: ChatId) -> Result<Option<ChatSummary>> {
        let found = self.read(|connection| {
            connection
                .prepare_cached(&format!("SELECT {SUMMARY} FROM chats c WHERE c.id = ?1"))?
                .query_row([id], summary)
                .optional()
        })?;
        let is_open = |opener: Option<i64>| opener.is_some_and(|number| self.is_of_another(number));
        Ok(found.map(|(chat, opener)| ChatSummary { is_open_elsewhere: is_open(opener), ..chat }))
    }

    /// The chat that was open last, or was last written to if that was later.
    pub fn last_chat(&self) -> Result<Option<ChatId>> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT id FROM chats WHERE newest IS NOT NULL ORDER BY opened DESC LIMIT 1")?
                .query_row([], |row| row.get(0))
                .optional()
        })
    }

    /// Gives a chat another title.
    pub fn rename_chat(&mut self, id: ChatId, title: &str) -> Result<()> {
        let renamed =
            self.write(|transaction| transaction.execute("UPDATE chats SET title = ?2 WHERE id = ?1", (id, title)))?;
        if renamed == 0 { Err(StoreError::NoSuchChat(id)) } else { Ok(()) }
    }

    /// Deletes a chat with its messages, and what is left of them elsewhere: in the write-ahead log and in the
    /// copies made before migrations. While this store is open, [`restore_chat`](Store::restore_chat) brings it back.
    ///
    /// # Errors
    /// If there is no such chat, or another program has it open.
    pub fn delete_chat(&mut self, id: ChatId) -> Result<()> {
        if self.is_open_elsewhere(id)? {
            return Err(StoreError::OpenElsewhere(id));
        }
        let deleted = self.write(|transaction| {
            let deleted = Deleted::read(transaction, id)?;
            transaction.execute("DELETE FROM chats WHERE id = ?1", [id])?;
            forget_words(transaction)?;
            Ok(deleted)
        })?;
        let deleted = deleted.ok_or(StoreError::NoSuchChat(id))?;
        self.remember_deleted(deleted);
        self.forget_deleted()
    }

    /// Removes what is left elsewhere of what was deleted: in the write-ahead log and in the copies made before
    /// migrations.
    pub(super) fn forget_deleted(&self) -> Result<()> {
        // Does less while another program reads, and nothing on a full disk. Neither undoes the deletion, so it is no
        // failure: the log is then overwritten later.
        if let Err(error) = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
            tracing::warn!(%error, "what was deleted stays in the write-ahead log for now");
        }
        self.remove_backups()
    }

    fn remove_backups(&self) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        for version in 1..=STEPS.len() as i64 {
            let backup = disk::backup_path(path, version);
            match std::fs::remove_file(&backup) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::file("remove", &backup, error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Takes what was deleted out of the index of words, which only notes that it is. To write the index anew takes as long
/// as it is large, which is less than to take a longer chat out of it, word by word.
pub(super) fn forget_words(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    transaction.execute("INSERT INTO messages_index (messages_index) VALUES ('optimize')", []).map(drop)
}

/// By the id of the message last added to a chat, since a clock may be set back; imported chats by their age.
fn newest_first() -> String {
    format!(
        "SELECT {SUMMARY} FROM chats c WHERE c.newest IS NOT NULL ORDER BY c.newest DESC, c.updated_at DESC LIMIT ?1"
    )
}

/// A chat, and the number of the program that has or had it open.
fn summary(row: &Row<'_>) -> rusqlite::Result<(ChatSummary, Option<i64>)> {
    let chat = ChatSummary {
        id: row.get(0)?,
        title: text(row, 1)?,
        created_at: timestamp(row, 2)?,
        updated_at: timestamp(row, 3)?,
        messages: row.get(4)?,
        model: row.get(5)?,
        is_open_elsewhere: false,
        tags: row
            .get::<_, Option<String>>(6)?
            .map_or_else(Vec::new, |tags| tags.split(' ').map(str::to_owned).collect()),
        is_archived: row.get(7)?,
    };
    Ok((chat, row.get(8)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Sampling;

    impl Store {
        /// How SQLite would run a query that has one parameter.
        pub(in crate::store) fn plan(&self, sql: &str) -> Vec<String> {
            let mut statement = self.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            statement.query_map([1], |row| row.get("detail")).unwrap().collect::<rusqlite::Result<_>>().unwrap()
        }
    }

    fn titles(store: &Store) -> Vec<String> {
        store.chats(10).unwrap().into_iter().map(|chat| chat.title).collect()
    }

    #[test]
    fn the_chat_last_written_to_comes_first_and_empty_ones_are_left_out() {
        let mut store = Store::in_memory().unwrap();
        assert_eq!(store.last_chat().unwrap(), None);
        let [first, second] = ["First", "Second"].map(|title| store.create_chat(title, Some("Be brief")).unwrap());
        store.create_chat("Empty", Some("Be brief")).unwrap();
        assert_eq!(titles(&store), [""; 0]);

        store.add_message(first, None, Role::User, "Hello").unwrap();
        let question = store.add_message(second, None, Role::User, "Hello").unwrap();
        assert_eq!(titles(&store), ["Second", "First"]);
        store.add_message(first, None, Role::User, "Hello again").unwrap();
        assert_eq!(titles(&store), ["First", "Second"]);
        store.begin_answer(second, question, "SmolLM2", &Sampling::default()).unwrap();
        assert_eq!(titles(&store), ["Second", "First"]);
        assert_eq!(store.last_chat().unwrap(), Some(second));
        assert_eq!(store.chats(1).unwrap().len(), 1);
    }

    #[test]
    fn a_clock_that_is_set_back_changes_no_order() {
        let mut store = Store::in_memory().unwrap();
        let [old, new] = ["Old", "New"].map(|title| store.create_chat(title, None).unwrap());
        let question = store.add_message(old, None, Role::User, "Hello").unwrap();
        let answer = store.add_message(new, None, Role::User, "Hello").unwrap();
        store.connection.execute("UPDATE chats SET created_at = -id, updated_at = -id", []).unwrap();
        store.connection.execute("UPDATE messages SET created_at = -id", []).unwrap();
        assert_eq!(titles(&store), ["New", "Old"]);
        assert_eq!(store.last_chat().unwrap(), Some(new));
        let later = store.add_message(old, Some(question), Role::User, "Still there?").unwrap();
        assert!(later > answer);
        let ids: Vec<_> = store.branch(old).unwrap().into_iter().map(|message| message.id).collect();
        assert_eq!(ids, [question, later]);
    }

    #[test]
    fn a_summary_counts_the_messages_of_its_branch_and_names_the_newest_model() {
        let mut store = Store::in_memory().unwrap();
        let chat = store.create_chat("Models", Some("Be brief")).unwrap();
        assert_eq!(store.chat(chat).unwrap().unwrap().model, None);
        let question = store.add_message(chat, None, Role::User, "Hello").unwrap();
        for model in ["SmolLM2", "Qwen2.5"] {
            store.begin_answer(chat, question, model, &Sampling::default()).unwrap();
        }
        let summary = store.chat(chat).unwrap().unwrap();
        assert_eq!((summary.messages, summary.model.as_deref()), (2, Some("Qwen2.5")));
        assert_eq!(store.chats(1).unwrap(), [summary]);
    }

    #[test]
    fn a_deleted_chat_is_gone_and_its_number_is_not_used_again() {
        let mut store = Store::in_memory().unwrap();
        let chat = store.create_chat("Secret", Some("Be brief")).unwrap();
        let question = store.add_message(chat, None, Role::User, "Hello").unwrap();
        store.add_message(chat, Some(question), Role::Assistant, "Hi").unwrap();
        store.delete_chat(chat).unwrap();
        assert_eq!(store.chat(chat).unwrap(), None);
        assert!(matches!(store.branch(chat), Err(StoreError::NoSuchChat(_))));
        assert!(matches!(store.delete_chat(chat), Err(StoreError::NoSuchChat(_))));
        assert!(matches!(store.rename_chat(chat, "Back"), Err(StoreError::NoSuchChat(_))));
        assert!(store.create_chat("Next", None).unwrap() > chat);
    }

    #[test]
    fn a_copy_of_what_was_deleted_that_cannot_be_removed_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("chats.db");
        let mut store = Store::open(&path).unwrap();
        let chat = store.create_chat("Secret", None).unwrap();
        std::fs::create_dir(disk::backup_path(&path.canonicalize().unwrap(), 1)).unwrap();
        let error = store.delete_chat(chat).unwrap_err();
        assert!(matches!(error, StoreError::File { action: "remove", .. }), "{error}");
        assert_eq!(store.chat(chat).unwrap(), None);
    }

    #[test]
    fn the_list_is_read_from_indices() {
        let plan = Store::in_memory().unwrap().plan(&newest_first());
        assert!(plan.iter().any(|step| step.contains("chats_by_newest")), "{plan:#?}");
        assert!(
            !plan.iter().any(|step| step.starts_with("SCAN messages") || step.contains("TEMP B-TREE")),
            "{plan:#?}"
        );
    }
}
