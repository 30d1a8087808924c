//! Taking a deletion back. What is deleted is gone from the disk at once; this program keeps it in memory until it ends.

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::tree::BELOW;
use super::{ChatId, MessageId, Result, Store, StoreError};

/// So many deletions of chats, and as many of messages, can be taken back.
pub const MOST_DELETIONS: usize = 10;

/// The tables that a chat has rows in, the one that others refer to first, and what in them names it.
const TABLES: [(&str, &str); 4] = [("chats", "id"), ("messages", "chat"), ("tags", "chat"), ("drafts", "chat")];

/// A chat as it was on disk.
#[derive(Debug)]
pub(super) struct Deleted {
    id: ChatId,
    tables: Vec<Rows>,
}

/// A message and everything below it as they were on disk.
#[derive(Debug)]
pub(super) struct DeletedMessages {
    id: MessageId,
    chat: ChatId,
    rows: Rows,
}

/// Rows of a table, as they were.
#[derive(Debug)]
struct Rows {
    table: &'static str,
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
}

impl Deleted {
    /// Reads all of a chat; `None` if there is no such chat.
    pub(super) fn read(connection: &Connection, id: ChatId) -> rusqlite::Result<Option<Self>> {
        let tables = TABLES.into_iter().map(|(table, key)| Rows::read(connection, table, &format!("{key} = ?1"), id.0));
        let tables: Vec<Rows> = tables.collect::<rusqlite::Result<_>>()?;
        let is_there = tables.first().is_some_and(|chats| !chats.rows.is_empty());
        Ok(is_there.then_some(Self { id, tables }))
    }
}

impl DeletedMessages {
    /// Reads a message and everything below it.
    pub(super) fn read(connection: &Connection, chat: ChatId, id: MessageId) -> rusqlite::Result<Self> {
        let condition = format!("id IN ({BELOW} SELECT id FROM below)");
        Ok(Self { id, chat, rows: Rows::read(connection, "messages", &condition, id.0)? })
    }
}

impl Rows {
    fn read(connection: &Connection, table: &'static str, condition: &str, id: i64) -> rusqlite::Result<Self> {
        // A message stands behind its parent.
        let mut statement = connection.prepare(&format!("SELECT * FROM {table} WHERE {condition} ORDER BY 1"))?;
        let columns: Vec<String> = statement.column_names().into_iter().map(str::to_owned).collect();
        let row = |row: &rusqlite::Row<'_>| (0..columns.len()).map(|column| row.get(column)).collect();
        let rows = statement.query_map([id], row)?.collect::<rusqlite::Result<_>>()?;
        Ok(Self { table, columns, rows })
    }

    fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let places = vec!["?"; self.columns.len()].join(", ");
        let sql = format!("INSERT INTO {} ({}) VALUES ({places})", self.table, self.columns.join(", "));
        let mut insert = connection.prepare(&sql)?;
        for row in &self.rows {
            // The last message is there only when all are, and nobody has the chat open.
            let written = self.columns.iter().zip(row).map(|(column, value)| match column.as_str() {
                "leaf" | "opener" if self.table == "chats" => &Value::Null,
                _ => value,
            });
            insert.execute(params_from_iter(written))?;
        }
        Ok(())
    }

    /// What a column of the first row holds.
    fn value(&self, name: &str) -> Option<&Value> {
        let column = self.columns.iter().position(|column| column == name)?;
        self.rows.first()?.get(column)
    }
}

impl Store {
    pub(super) fn remember_deleted(&mut self, deleted: Deleted) {
        self.deleted.push(deleted);
        if self.deleted.len() > MOST_DELETIONS {
            self.deleted.remove(0);
        }
    }

    pub(super) fn remember_deleted_messages(&mut self, deleted: DeletedMessages) {
        self.deleted_messages.push(deleted);
        if self.deleted_messages.len() > MOST_DELETIONS {
            self.deleted_messages.remove(0);
        }
    }

    /// Brings the chat back that was deleted last by this store, with its number and all its messages; `None` if there
    /// is none.
    pub fn restore_chat(&mut self) -> Result<Option<ChatId>> {
        let Some(deleted) = self.deleted.pop() else { return Ok(None) };
        let id = deleted.id;
        let restored = self.write(|transaction| {
            deleted.tables.iter().try_for_each(|rows| rows.write(transaction))?;
            if let Some(leaf) = deleted.tables.first().and_then(|chats| chats.value("leaf")) {
                transaction.execute("UPDATE chats SET leaf = ?2 WHERE id = ?1", (id, leaf))?;
            }
            Ok(())
        });
        if let Err(error) = restored {
            // What was wrong may be put right.
            self.deleted.push(deleted);
            return Err(error);
        }
        Ok(Some(id))
    }

    /// Brings a message back that this store deleted, with everything that was deleted with it. Where the chat goes on
    /// stays.
    ///
    /// # Errors
    /// If it was not deleted by this store, or too many were since; if what it hung below is gone.
    pub fn restore_message(&mut self, id: MessageId) -> Result<()> {
        let place = self.deleted_messages.iter().rposition(|deleted| deleted.id == id);
        let deleted = self.deleted_messages.remove(place.ok_or(StoreError::NotToBeRestored(id))?);
        let restored = self.write(|transaction| {
            deleted.rows.write(transaction)?;
            transaction.execute(
                "UPDATE chats SET newest = coalesce(newest, (SELECT max(id) FROM messages WHERE chat = ?1)) WHERE id = ?1",
                [deleted.chat],
            )
        });
        if restored.is_err() {
            // What was wrong may be put right.
            self.deleted_messages.push(deleted);
        }
        restored.map(drop)
    }

    /// Whether a deletion can be taken back.
    pub fn can_restore(&self) -> bool {
        !self.deleted.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Ended, Role, Sampling, Stats};
    use crate::store::StoreError;

    fn branched(store: &mut Store) -> ChatId {
        let chat = store.create_chat("Trees", Some("Be brief")).unwrap();
        let question = store.add_message(chat, None, Role::User, "What is a tree?").unwrap();
        let answer = store.begin_answer(chat, question, "SmolLM2", &Sampling::default()).unwrap();
        store.append_answer(answer, "A plant", "Hm").unwrap();
        store.finish_answer(answer, Ended::Length, &Stats::default(), Some(7)).unwrap();
        store.add_message(chat, Some(question), Role::Assistant, "A graph").unwrap();
        store.go_to(chat, Some(answer)).unwrap();
        store.tag_chat(chat, &["botany".into()], &[]).unwrap();
        store.set_draft(Some(chat), "And shrubs?").unwrap();
        chat
    }

    #[test]
    fn a_deletion_is_taken_back_whole() {
        let mut store = Store::in_memory().unwrap();
        let chat = branched(&mut store);
        let before = (store.tree(chat).unwrap(), store.chat(chat).unwrap(), store.draft(Some(chat)).unwrap());
        assert!(!store.can_restore());
        store.delete_chat(chat).unwrap();
        assert!(store.can_restore() && store.search("plant", 9).unwrap().is_empty());
        assert_eq!(store.restore_chat().unwrap(), Some(chat));
        let after = (store.tree(chat).unwrap(), store.chat(chat).unwrap(), store.draft(Some(chat)).unwrap());
        assert_eq!(after, before);
        assert_eq!(store.search("plant", 9).unwrap().len(), 1);
        assert_eq!(store.restore_chat().unwrap(), None);
    }

    #[test]
    fn the_last_deletions_come_back_first_and_not_all_of_them() {
        let mut store = Store::in_memory().unwrap();
        let chats: Vec<_> = (0..12).map(|_| branched(&mut store)).collect();
        for chat in &chats {
            store.delete_chat(*chat).unwrap();
        }
        let mut restored = Vec::new();
        while let Some(chat) = store.restore_chat().unwrap() {
            restored.push(chat);
        }
        assert!(restored.iter().eq(chats.iter().rev().take(MOST_DELETIONS)), "{restored:?}");
    }

    #[test]
    fn a_deleted_message_comes_back_with_all_that_hung_below_it() {
        let mut store = Store::in_memory().unwrap();
        let chat = branched(&mut store);
        let before = store.tree(chat).unwrap();
        let question = before.messages[1].id;
        store.delete_message(question).unwrap();
        assert_eq!((store.tree(chat).unwrap().messages.len(), store.chats(9).unwrap().len()), (1, 0));
        store.restore_message(question).unwrap();
        assert_eq!(store.tree(chat).unwrap().messages, before.messages);
        assert_eq!((store.search("plant", 9).unwrap().len(), store.chats(9).unwrap().len()), (1, 1));
        let again = store.restore_message(question);
        assert!(matches!(again, Err(StoreError::NotToBeRestored(id)) if id == question), "{again:?}");
    }

    #[test]
    fn a_message_whose_parent_was_deleted_after_it_comes_back_once_that_is_back() {
        let mut store = Store::in_memory().unwrap();
        let chat = branched(&mut store);
        let before = store.tree(chat).unwrap().messages;
        let (question, answer) = (before[1].id, before[2].id);
        store.delete_message(answer).unwrap();
        store.delete_message(question).unwrap();
        assert!(store.restore_message(answer).is_err());
        store.restore_message(question).unwrap();
        store.restore_message(answer).unwrap();
        assert_eq!(store.tree(chat).unwrap().messages, before);
    }

    #[test]
    fn what_cannot_be_brought_back_now_can_be_later() {
        let mut store = Store::in_memory().unwrap();
        let chat = branched(&mut store);
        store.delete_chat(chat).unwrap();
        store.connection.pragma_update(None, "query_only", true).unwrap();
        assert!(matches!(store.restore_chat(), Err(StoreError::ReadOnly { .. })));
        store.connection.pragma_update(None, "query_only", false).unwrap();
        assert_eq!(store.restore_chat().unwrap(), Some(chat));
    }
}
