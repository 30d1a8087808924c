//! Noticing what other programs write.

use rusqlite::OptionalExtension;

use super::{ChatId, MessageId, Result, Store, StoreError};

/// A chat in short: another one when there is something else to show of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    title: String,
    leaf: Option<MessageId>,
    messages: i64,
    newest: Option<MessageId>,
    /// Answers that are being written, and how long they are.
    open_answers: i64,
    written: i64,
}

const STAMP: &str = "
    SELECT title, leaf,
        (SELECT count(*) FROM messages WHERE chat = ?1), (SELECT max(id) FROM messages WHERE chat = ?1),
        (SELECT count(*) FROM messages INDEXED BY messages_by_writer WHERE writer IS NOT NULL AND chat = ?1),
        (SELECT coalesce(sum(length(text) + length(thinking)), 0) FROM messages INDEXED BY messages_by_writer
            WHERE writer IS NOT NULL AND chat = ?1)
    FROM chats WHERE id = ?1";

impl Store {
    /// A number that is another one once another program has written to the file. What is written here leaves it as it
    /// is.
    pub fn outside_version(&self) -> Result<i64> {
        self.read(|connection| connection.pragma_query_value(None, "data_version", |row| row.get(0)))
    }

    /// What the chat looks like now. An answer whose program is gone is marked as interrupted first.
    ///
    /// # Errors
    /// If there is no such chat.
    pub fn stamp(&self, chat: ChatId) -> Result<Stamp> {
        let stamp = self.read_stamp(chat)?;
        if stamp.open_answers > 0 && self.mark_interrupted()? { self.read_stamp(chat) } else { Ok(stamp) }
    }

    fn read_stamp(&self, chat: ChatId) -> Result<Stamp> {
        let found = self.read(|connection| {
            let mut statement = connection.prepare_cached(STAMP)?;
            let read = |row: &rusqlite::Row<'_>| {
                Ok(Stamp {
                    title: row.get(0)?,
                    leaf: row.get(1)?,
                    messages: row.get(2)?,
                    newest: row.get(3)?,
                    open_answers: row.get(4)?,
                    written: row.get(5)?,
                })
            };
            statement.query_row([chat], read).optional()
        })?;
        found.ok_or(StoreError::NoSuchChat(chat))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Ended, Role, Sampling};

    #[test]
    fn what_another_program_writes_is_noticed_and_what_is_written_here_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let [mut one, mut two] = [(); 2].map(|()| Store::open(&folder.path().join("chats.db")).unwrap());
        let chat = one.create_chat("Trees", None).unwrap();
        let before = one.outside_version().unwrap();
        let question = one.add_message(chat, None, Role::User, "How tall?").unwrap();
        assert_eq!(one.outside_version().unwrap(), before);
        two.rename_chat(chat, "Tall trees").unwrap();
        assert_ne!(one.outside_version().unwrap(), before);

        let mut stamps = vec![one.stamp(chat).unwrap()];
        let mut next = |two: &Store, what: &str| {
            let stamp = one.stamp(chat).unwrap();
            assert!(!stamps.contains(&stamp), "{what}");
            assert_eq!(two.stamp(chat).unwrap(), stamp, "{what}");
            stamps.push(stamp);
        };
        let answer = two.begin_answer(chat, question, "SmolLM2", &Sampling::default()).unwrap();
        next(&two, "an answer begins");
        two.append_answer(answer, "30 ", "").unwrap();
        next(&two, "it grows");
        two.append_answer(answer, "", "hm").unwrap();
        next(&two, "its thoughts grow");
        two.finish_answer(answer, Ended::Stop, &Default::default(), None).unwrap();
        next(&two, "it ends");
        two.go_to(chat, Some(question)).unwrap();
        next(&two, "another branch");
        assert!(matches!(one.stamp(ChatId(99)), Err(StoreError::NoSuchChat(_))));
    }

    #[test]
    fn an_answer_whose_program_died_is_another_stamp() {
        let folder = tempfile::tempdir().unwrap();
        let [mut one, two] = [(); 2].map(|()| Store::open(&folder.path().join("chats.db")).unwrap());
        let chat = one.create_chat("Trees", None).unwrap();
        let question = one.add_message(chat, None, Role::User, "How tall?").unwrap();
        one.begin_answer(chat, question, "SmolLM2", &Sampling::default()).unwrap();
        let before = two.stamp(chat).unwrap();
        drop(one);
        assert_ne!(two.stamp(chat).unwrap(), before);
        assert_eq!(two.tree(chat).unwrap().messages.last().unwrap().ended, Some(Ended::Interrupted));
    }
}
