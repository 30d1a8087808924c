//! What was being written in each chat, and in the one that has no message yet; and what was sent before.

use rusqlite::OptionalExtension;

use super::{ChatId, Result, Store};

/// A sent message that is longer is not handed out to be sent again.
const MOST_SENT_BYTES: i64 = 32 * 1024;

/// A message that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub text: String,
    /// Which parts of it are folded where it is shown, in the interface's words.
    pub folds: Option<String>,
}

impl Store {
    /// Keeps what is being written in a chat, or in a new one (`None`), in the place of what was kept before. Nothing
    /// is kept of an empty draft, or of a chat that is gone.
    pub fn set_draft(&mut self, chat: Option<ChatId>, draft: &str) -> Result<()> {
        self.write(|transaction| {
            transaction.execute("DELETE FROM drafts WHERE chat IS ?1", [chat])?;
            if draft.is_empty() {
                return Ok(());
            }
            transaction
                .execute(
                    "INSERT INTO drafts (chat, draft)
                     SELECT ?1, ?2 WHERE ?1 IS NULL OR EXISTS (SELECT 1 FROM chats WHERE id = ?1)",
                    (chat, draft),
                )
                .map(drop)
        })
    }

    /// What was being written in a chat, or in a new one.
    pub fn draft(&self, chat: Option<ChatId>) -> Result<Option<String>> {
        self.read(|connection| {
            connection.query_row("SELECT draft FROM drafts WHERE chat IS ?1", [chat], |row| row.get(0)).optional()
        })
    }

    /// The newest messages that the person sent, in all chats, the last one first: so many, in so many bytes, without
    /// very long ones. The copy of a message in a fork is no other message.
    pub fn sent(&self, most: usize, bytes: usize) -> Result<Vec<Sent>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT text, folds FROM messages WHERE role = 'user' AND octet_length(text) <= ?1
                 GROUP BY created_at, text ORDER BY min(id) DESC",
            )?;
            let mut rows = statement.query([MOST_SENT_BYTES])?;
            let (mut sent, mut taken) = (Vec::new(), 0);
            while let Some(row) = rows.next()? {
                let message = Sent { text: row.get(0)?, folds: row.get(1)? };
                taken += message.text.len();
                if sent.len() == most || taken > bytes {
                    break;
                }
                sent.push(message);
            }
            // Those of another program are the oldest, whenever they were sent.
            let mut statement = connection
                .prepare_cached("SELECT text FROM prompts WHERE octet_length(text) <= ?1 ORDER BY id DESC")?;
            let mut rows = statement.query([MOST_SENT_BYTES])?;
            while let Some(row) = rows.next()? {
                let message = Sent { text: row.get(0)?, folds: None };
                taken += message.text.len();
                if sent.len() >= most || taken > bytes {
                    break;
                }
                sent.push(message);
            }
            Ok(sent)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Role;

    #[test]
    fn every_chat_has_its_draft_and_so_has_a_new_one() {
        let mut store = Store::in_memory().unwrap();
        let chat = store.create_chat("Trees", None).unwrap();
        for (chat, draft) in [(None, "a new one"), (Some(chat), "first"), (Some(chat), "second"), (None, "a newer one")]
        {
            store.set_draft(chat, draft).unwrap();
        }
        assert_eq!(store.draft(Some(chat)).unwrap().as_deref(), Some("second"));
        assert_eq!(store.draft(None).unwrap().as_deref(), Some("a newer one"));
        store.set_draft(None, "").unwrap();
        assert_eq!(store.draft(None).unwrap(), None);
        store.delete_chat(chat).unwrap();
        assert_eq!(store.draft(Some(chat)).unwrap(), None, "it goes with its chat");
        store.set_draft(Some(chat), "too late").unwrap();
        assert_eq!(store.draft(Some(chat)).unwrap(), None);
    }

    #[test]
    fn what_was_sent_comes_newest_first_from_all_chats_and_within_bounds() {
        let mut store = Store::in_memory().unwrap();
        for title in ["one", "two"] {
            let chat = store.create_chat(title, Some("Be brief")).unwrap();
            let question = store.add_message(chat, None, Role::User, &format!("first of {title}")).unwrap();
            let answer = store.add_message(chat, Some(question), Role::Assistant, "yes").unwrap();
            store.add_message(chat, Some(answer), Role::User, &format!("second of {title}")).unwrap();
            store.add_message(chat, Some(answer), Role::User, &"x".repeat(MOST_SENT_BYTES as usize + 1)).unwrap();
        }
        let texts = |sent: Vec<Sent>| sent.into_iter().map(|sent| sent.text).collect::<Vec<_>>();
        assert_eq!(
            texts(store.sent(9, 1000).unwrap()),
            ["second of two", "first of two", "second of one", "first of one"]
        );
        assert_eq!(store.sent(2, 1000).unwrap().len(), 2);
        assert_eq!(store.sent(9, 30).unwrap().len(), 2);
        let two = "second of two".len() + "first of two".len();
        assert_eq!((store.sent(9, two).unwrap().len(), store.sent(9, two - 1).unwrap().len()), (2, 1));
    }

    #[test]
    fn what_was_sent_to_another_program_counts_against_the_same_bounds() {
        let mut store = Store::in_memory().unwrap();
        let chat = store.create_chat("one", None).unwrap();
        store.add_message(chat, None, Role::User, "12345").unwrap();
        store.import_prompts(&["abcde".into(), "fghij".into()]).unwrap();
        for (most, bytes, expected) in [(9, 15, 3), (9, 14, 2), (9, 10, 2), (9, 9, 1), (2, 99, 2), (1, 99, 1)] {
            assert_eq!(store.sent(most, bytes).unwrap().len(), expected, "{most} in {bytes} bytes");
        }
    }

    #[test]
    fn a_fork_changes_nothing_about_what_was_sent() {
        let mut store = Store::in_memory().unwrap();
        let old = store.create_chat("old", None).unwrap();
        let question = store.add_message(old, None, Role::User, "an old question").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2));
        let new = store.create_chat("new", None).unwrap();
        store.add_message(new, None, Role::User, "a new one").unwrap();
        let before = store.sent(9, 1000).unwrap();
        let fork = store.fork(old, question).unwrap();
        assert_eq!(store.sent(9, 1000).unwrap(), before);
        store.delete_chat(old).unwrap();
        assert_eq!(store.sent(9, 1000).unwrap().len(), 2, "the copy is left");
        store.add_message(fork, None, Role::User, "an old question").unwrap();
        assert_eq!(store.sent(9, 1000).unwrap()[0].text, "an old question", "it was sent once more");
    }
}
