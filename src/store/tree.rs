//! A chat as a whole: all its branches, which of them it goes on with, copies of one, and what is cut off.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};

use super::chats::forget_words;
use super::deleted::DeletedMessages;
use super::messages::{StoredMessage, stored_message};
use super::{ChatId, MessageId, Result, Store, StoreError};
use crate::chat::Role;

/// All messages of a chat.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatTree {
    /// The oldest first, so that a parent comes before its children.
    pub messages: Vec<StoredMessage>,
    /// The last message of the branch that the chat goes on with; `None` where nothing stands below the system prompt.
    pub leaf: Option<MessageId>,
}

const ALL: &str = "
    SELECT id, parent, role, text, thinking, created_at, model, sampling, stats, ended, pinned, folds
    FROM messages WHERE chat = ?1 ORDER BY id";

/// A message and everything below it.
pub(super) const BELOW: &str = "
    WITH RECURSIVE below (id) AS (
        SELECT id FROM messages WHERE id = ?1
        UNION
        SELECT child.id FROM below JOIN messages parent ON parent.id = below.id
            JOIN messages child ON child.chat = parent.chat AND child.parent = parent.id)";

/// A message and everything above it, the root first.
const ABOVE: &str = "
    WITH RECURSIVE above (id, parent) AS (
        SELECT id, parent FROM messages WHERE chat = ?1 AND id = ?2
        UNION ALL
        SELECT next.id, next.parent FROM above JOIN messages next
            ON next.id = above.parent AND next.id < above.id)
    SELECT id, parent FROM above ORDER BY id";

const COPY: &str = "
    INSERT INTO messages (chat, parent, role, text, thinking, created_at, model, sampling, stats, ended, pinned, folds)
    SELECT ?2, ?3, role, text, thinking, created_at, model, sampling, stats, coalesce(ended, iif(role = 'assistant',
        'interrupted', NULL)), pinned, folds
    FROM messages WHERE id = ?1";

/// Before the title of a chat that was made of another one.
const FORK_OF: &str = "Fork of ";

impl Store {
    /// All messages of a chat, and where it goes on.
    pub fn tree(&self, chat: ChatId) -> Result<ChatTree> {
        let tree = self.read(|connection| read_tree(connection, chat))?.ok_or(StoreError::NoSuchChat(chat))?;
        // An answer without an end may be another program's that died since this store was opened.
        let is_open = |message: &StoredMessage| message.role == Role::Assistant && message.ended.is_none();
        if tree.messages.iter().any(is_open) && self.mark_interrupted()? {
            return self.read(|connection| read_tree(connection, chat))?.ok_or(StoreError::NoSuchChat(chat));
        }
        Ok(tree)
    }

    /// Has the chat go on from this message; `None` is directly below the system prompt. Its place in the list of
    /// chats stays.
    pub fn go_to(&mut self, chat: ChatId, leaf: Option<MessageId>) -> Result<()> {
        let gone = self.write(|transaction| {
            transaction.execute(
                "UPDATE chats SET leaf = ?2 WHERE id = ?1
                 AND (?2 IS NULL OR EXISTS (SELECT 1 FROM messages WHERE chat = ?1 AND id = ?2))",
                (chat, leaf),
            )
        })?;
        match (gone, leaf) {
            (1.., _) => Ok(()),
            (_, Some(message)) if self.chat(chat)?.is_some() => Err(StoreError::NoSuchMessage { chat, message }),
            _ => Err(StoreError::NoSuchChat(chat)),
        }
    }

    /// Deletes a message with everything below it, and what is left of that elsewhere. A chat that went on from there
    /// goes on from the message above. While this store is open, [`restore_message`](Store::restore_message) brings it
    /// back.
    ///
    /// # Errors
    /// If there is no such message, or it is a system prompt.
    pub fn delete_message(&mut self, id: MessageId) -> Result<()> {
        let deleted = self.write(|transaction| {
            let found: Option<(ChatId, Option<MessageId>)> = transaction
                .query_row("SELECT chat, parent FROM messages WHERE id = ?1 AND role <> 'system'", [id], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            let Some((chat, parent)) = found else { return Ok(None) };
            let messages = DeletedMessages::read(transaction, chat, id)?;
            let leaf = format!("UPDATE chats SET leaf = ?2 WHERE id = ?3 AND leaf IN ({BELOW} SELECT id FROM below)");
            transaction.execute(&leaf, (id, parent, chat))?;
            // In one statement, since the rule between parent and child is looked at when it ends.
            transaction.execute(&format!("DELETE FROM messages WHERE id IN ({BELOW} SELECT id FROM below)"), [id])?;
            transaction.execute(
                "UPDATE chats SET newest = NULL WHERE id = ?1
                 AND NOT EXISTS (SELECT 1 FROM messages WHERE chat = ?1 AND role <> 'system')",
                [chat],
            )?;
            forget_words(transaction)?;
            Ok(Some(messages))
        })?;
        self.remember_deleted_messages(deleted.ok_or(StoreError::NotToBeDeleted(id))?);
        self.forget_deleted()
    }

    /// Copies the branch that ends with this message into a new chat, whose title names the one it comes from. An
    /// answer that is being written is copied as far as it has come.
    pub fn fork(&mut self, chat: ChatId, last: MessageId) -> Result<ChatId> {
        let now = Timestamp::now().as_millisecond();
        let forked = self.write(|transaction| {
            let branch: Vec<(MessageId, Option<MessageId>)> = transaction
                .prepare(ABOVE)?
                .query_map((chat, last), |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<rusqlite::Result<_>>()?;
            if branch.is_empty() {
                return Ok(None);
            }
            let title: String =
                transaction.query_row("SELECT title FROM chats WHERE id = ?1", [chat], |row| row.get(0))?;
            let title = format!("{FORK_OF}{}", title.strip_prefix(FORK_OF).unwrap_or(&title));
            transaction
                .execute("INSERT INTO chats (title, created_at, updated_at) VALUES (?1, ?2, ?2)", (title, now))?;
            let copy = ChatId(transaction.last_insert_rowid());
            let mut parent = None;
            let mut insert = transaction.prepare(COPY)?;
            for (message, _) in branch {
                parent = Some(MessageId(insert.insert((message, copy, parent))?));
            }
            transaction.execute(
                "UPDATE chats SET leaf = ?2, newest = ?2, opened = (SELECT max(opened) + 1 FROM chats) WHERE id = ?1
                 AND EXISTS (SELECT 1 FROM messages WHERE id = ?2 AND role <> 'system')",
                (copy, parent),
            )?;
            Ok(Some(copy))
        })?;
        match forked {
            Some(copy) => Ok(copy),
            None if self.chat(chat)?.is_some() => Err(StoreError::NoSuchMessage { chat, message: last }),
            None => Err(StoreError::NoSuchChat(chat)),
        }
    }
}

fn read_tree(connection: &Connection, chat: ChatId) -> rusqlite::Result<Option<ChatTree>> {
    let leaf = connection
        .prepare_cached("SELECT leaf FROM chats WHERE id = ?1")?
        .query_row([chat], |row| row.get(0))
        .optional()?;
    let Some(leaf) = leaf else { return Ok(None) };
    let messages =
        connection.prepare_cached(ALL)?.query_map([chat], stored_message)?.collect::<rusqlite::Result<_>>()?;
    Ok(Some(ChatTree { messages, leaf }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Ended, Sampling, Stats};
    use crate::store::messages::tests::asked;

    fn texts(store: &Store, chat: ChatId) -> Vec<String> {
        store.branch(chat).unwrap().into_iter().map(|message| message.text).collect()
    }

    /// A chat of a system prompt and a question with two answers, of which the first goes on.
    fn branched() -> (Store, ChatId, [MessageId; 4]) {
        let (mut store, chat, question) = asked();
        let first = store.add_message(chat, Some(question), Role::Assistant, "A plant").unwrap();
        let next = store.add_message(chat, Some(first), Role::User, "How tall?").unwrap();
        let second = store.add_message(chat, Some(question), Role::Assistant, "A graph").unwrap();
        (store, chat, [question, first, next, second])
    }

    #[test]
    fn a_chat_goes_on_from_the_message_that_was_chosen() {
        let (mut store, chat, [question, _, next, second]) = branched();
        assert_eq!(texts(&store, chat), ["Be brief", "What is a tree?", "A graph"]);
        store.go_to(chat, Some(next)).unwrap();
        assert_eq!(texts(&store, chat), ["Be brief", "What is a tree?", "A plant", "How tall?"]);
        store.go_to(chat, Some(question)).unwrap();
        assert_eq!(texts(&store, chat), ["Be brief", "What is a tree?"]);
        store.go_to(chat, None).unwrap();
        assert_eq!(texts(&store, chat), ["Be brief"]);
        let tree = store.tree(chat).unwrap();
        assert_eq!((tree.messages.len(), tree.leaf), (5, None));
        store.go_to(chat, Some(second)).unwrap();
        assert_eq!(store.tree(chat).unwrap().leaf, Some(second));
    }

    #[test]
    fn going_to_an_older_message_changes_no_order_of_chats() {
        let (mut store, chat, [question, ..]) = branched();
        let other = store.create_chat("Other", None).unwrap();
        store.add_message(other, None, Role::User, "Hello").unwrap();
        let order = |store: &Store| store.chats(9).unwrap().iter().map(|chat| chat.id).collect::<Vec<_>>();
        assert_eq!(order(&store), [other, chat]);
        store.add_message(chat, Some(question), Role::Assistant, "A hat").unwrap();
        store.go_to(chat, Some(question)).unwrap();
        assert_eq!(order(&store), [chat, other]);
        store.go_to(chat, None).unwrap();
        assert_eq!((order(&store), store.last_chat().unwrap()), (vec![chat, other], Some(chat)));
    }

    #[test]
    fn where_a_chat_goes_on_must_be_in_it() {
        let (mut store, chat, _) = branched();
        let other = store.create_chat("Other", None).unwrap();
        let elsewhere = store.add_message(other, None, Role::User, "Hello").unwrap();
        for message in [elsewhere, MessageId(99)] {
            let error = store.go_to(chat, Some(message)).unwrap_err();
            assert!(matches!(error, StoreError::NoSuchMessage { .. }), "{error}");
        }
        for message in [None, Some(elsewhere)] {
            assert!(matches!(store.go_to(ChatId(99), message), Err(StoreError::NoSuchChat(_))));
        }
        assert!(matches!(store.tree(ChatId(99)), Err(StoreError::NoSuchChat(_))));
    }

    #[test]
    fn a_deleted_message_takes_what_hangs_below_and_the_chat_goes_on_above() {
        let (mut store, chat, [question, first, next, second]) = branched();
        store.go_to(chat, Some(next)).unwrap();
        store.delete_message(first).unwrap();
        assert_eq!(texts(&store, chat), ["Be brief", "What is a tree?"]);
        let left: Vec<_> = store.tree(chat).unwrap().messages.iter().map(|message| message.id).collect();
        assert_eq!(left[1..], [question, second]);
        assert!(matches!(store.delete_message(first), Err(StoreError::NotToBeDeleted(_))));
        assert!(matches!(store.delete_message(left[0]), Err(StoreError::NotToBeDeleted(_))), "the system prompt");

        store.go_to(chat, Some(second)).unwrap();
        store.delete_message(question).unwrap();
        assert_eq!(texts(&store, chat), ["Be brief"]);
        assert!(store.chats(9).unwrap().is_empty(), "nothing is left of it");
        store.add_message(chat, None, Role::User, "Again").unwrap();
        assert_eq!(store.chats(9).unwrap().len(), 1);
    }

    #[test]
    fn a_long_chat_can_be_deleted_from_its_first_message() {
        let mut store = Store::in_memory().unwrap();
        let chat = store.create_chat("Long", None).unwrap();
        let mut parent = None;
        for number in 0..3000 {
            let role = if number % 2 == 0 { Role::User } else { Role::Assistant };
            parent = Some(store.add_message(chat, parent, role, "Go on").unwrap());
        }
        let first = store.tree(chat).unwrap().messages[0].id;
        store.delete_message(first).unwrap();
        assert_eq!(store.tree(chat).unwrap(), ChatTree { messages: Vec::new(), leaf: None });
    }

    #[test]
    fn a_fork_is_a_chat_of_its_own_with_the_branch_up_to_there() {
        let (mut store, chat, [question, first, next, _]) = branched();
        store.pin_message(question, true).unwrap();
        let answer = store.begin_answer(chat, next, "SmolLM2", &Sampling::default()).unwrap();
        store.append_answer(answer, "Very", "Hm").unwrap();
        store.finish_answer(answer, Ended::Length, &Stats { decode_calls: 3, ..Stats::default() }, Some(7)).unwrap();

        let fork = store.fork(chat, answer).unwrap();
        assert_eq!(store.chat(fork).unwrap().unwrap().title, "Fork of Trees");
        let (copied, original) = (store.branch(fork).unwrap(), store.branch(chat).unwrap());
        let told = |message: &StoredMessage| StoredMessage { id: MessageId(0), parent: None, ..message.clone() };
        assert_eq!(copied.iter().map(told).collect::<Vec<_>>(), original.iter().map(told).collect::<Vec<_>>());
        assert!(copied[0].id > answer && copied[0].parent.is_none());
        store.delete_chat(chat).unwrap();
        assert_eq!(store.branch(fork).unwrap(), copied);
        assert_eq!(store.last_chat().unwrap(), Some(fork));

        let again = store.fork(fork, copied[2].id).unwrap();
        assert_eq!(store.chat(again).unwrap().unwrap().title, "Fork of Trees");
        assert_eq!(texts(&store, again), ["Be brief", "What is a tree?", "A plant"]);
        assert!(matches!(store.fork(again, first), Err(StoreError::NoSuchMessage { .. })));
        assert!(matches!(store.fork(ChatId(99), first), Err(StoreError::NoSuchChat(_))));
    }

    #[test]
    fn a_tree_and_a_branch_are_found_by_their_ids() {
        let (store, ..) = asked();
        for query in [ALL.to_owned(), format!("{BELOW} SELECT id FROM below")] {
            let plan = store.plan(&query);
            let scans = |step: &&String| step.starts_with("SCAN") && !step.ends_with("below");
            assert_eq!(plan.iter().find(scans), None, "{plan:#?}");
        }
    }
}
