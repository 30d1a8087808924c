//! Which chat is open in which program: so that nobody writes into a chat behind another window's back, and the chat
//! that was open last is found again.
//!
//! A program that opens a chat writes its number as a writer beside it (see `writers`). Its lock tells whether it still
//! runs, so a number that a dead program left behind means nothing.

use rusqlite::OptionalExtension;

use super::writers::is_running;
use super::{ChatId, Result, Store, StoreError};

impl Store {
    /// Makes a chat the one that is open here, in the place of the one before, and the last one that was open. Nothing
    /// changes if another program has it open; tells whether it is open here.
    ///
    /// # Errors
    /// If there is no such chat.
    pub fn take_chat(&mut self, id: ChatId) -> Result<bool> {
        let own = self.writer_number()?;
        if self.is_open_elsewhere(id)? {
            return Ok(false);
        }
        let taken = self.write(|transaction| {
            transaction.execute("UPDATE chats SET opener = NULL WHERE opener = ?1 AND id <> ?2", (own, id))?;
            transaction.execute(
                "UPDATE chats SET opener = ?1, opened = (SELECT max(opened) + 1 FROM chats) WHERE id = ?2",
                (own, id),
            )
        })?;
        if taken == 0 { Err(StoreError::NoSuchChat(id)) } else { Ok(true) }
    }

    /// No chat is open here any more.
    pub fn leave_chat(&mut self) -> Result<()> {
        let Some(own) = self.writer.as_ref().map(|writer| writer.number) else { return Ok(()) };
        self.write(|transaction| {
            transaction.execute("UPDATE chats SET opener = NULL WHERE opener = ?1", [own]).map(drop)
        })
    }

    /// Whether another program that runs has a chat open, or is writing an answer in it.
    ///
    /// # Errors
    /// If there is no such chat.
    pub fn is_open_elsewhere(&self, id: ChatId) -> Result<bool> {
        let found = self.read(|connection| {
            let opener: Option<Option<i64>> = connection
                .prepare_cached("SELECT opener FROM chats WHERE id = ?1")?
                .query_row([id], |row| row.get(0))
                .optional()?;
            let Some(opener) = opener else { return Ok(None) };
            let writers = "SELECT DISTINCT writer FROM messages WHERE writer IS NOT NULL AND chat = ?1";
            let mut writers = connection.prepare_cached(writers)?;
            let writers = writers.query_map([id], |row| row.get(0))?;
            opener.map(Ok).into_iter().chain(writers).collect::<rusqlite::Result<Vec<i64>>>().map(Some)
        })?;
        let numbers = found.ok_or(StoreError::NoSuchChat(id))?;
        Ok(numbers.into_iter().any(|number| self.is_of_another(number)))
    }

    /// Whether this is the number of another program that runs.
    pub(super) fn is_of_another(&self, number: i64) -> bool {
        let own = self.writer.as_ref().map(|writer| writer.number);
        let Some(path) = &self.path else { return false };
        own != Some(number) && is_running(path, number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Role, Sampling};
    use crate::store::MessageId;

    /// Two programs with the same chats, of which there are two.
    fn windows() -> (tempfile::TempDir, [Store; 2], [ChatId; 2]) {
        let folder = tempfile::tempdir().unwrap();
        let mut stores = [(); 2].map(|()| Store::open(&folder.path().join("chats.db")).unwrap());
        let chats = ["Trees", "Bread"].map(|title| {
            let chat = stores[0].create_chat(title, None).unwrap();
            stores[0].add_message(chat, None, Role::User, "Hello").unwrap();
            chat
        });
        (folder, stores, chats)
    }

    #[test]
    fn a_chat_is_open_in_one_window_until_that_goes_to_another_or_ends() {
        let (_folder, [mut one, mut two], [trees, bread]) = windows();
        assert!(one.take_chat(trees).unwrap() && one.take_chat(trees).unwrap());
        assert!(!two.take_chat(trees).unwrap());
        assert!(two.is_open_elsewhere(trees).unwrap() && !one.is_open_elsewhere(trees).unwrap());
        let open: Vec<bool> = two.chats(9).unwrap().iter().map(|chat| chat.is_open_elsewhere).collect();
        assert_eq!(open, [false, true]);
        let is_open = |store: &Store| store.chat(trees).unwrap().unwrap().is_open_elsewhere;
        assert!(is_open(&two) && !is_open(&one));
        assert!(matches!(two.delete_chat(trees), Err(StoreError::OpenElsewhere(_))));

        assert!(one.take_chat(bread).unwrap() && two.take_chat(trees).unwrap());
        two.leave_chat().unwrap();
        assert!(one.take_chat(trees).unwrap());
        drop(one);
        assert!(two.take_chat(trees).unwrap(), "the lock is gone with the program");
        assert!(matches!(two.take_chat(ChatId(99)), Err(StoreError::NoSuchChat(_))));
    }

    #[test]
    fn a_number_that_is_used_again_opens_no_chat() {
        let (folder, [mut one, two], [trees, bread]) = windows();
        one.take_chat(trees).unwrap();
        drop((one, two));
        let [mut next, other] = [(); 2].map(|()| Store::open(&folder.path().join("chats.db")).unwrap());
        next.take_chat(bread).unwrap();
        assert!(!other.is_open_elsewhere(trees).unwrap() && other.is_open_elsewhere(bread).unwrap());
    }

    #[test]
    fn a_chat_in_which_an_answer_is_being_written_elsewhere_is_open_there() {
        let (_folder, [mut one, two], [trees, _]) = windows();
        let question = one.tree(trees).unwrap().leaf.unwrap();
        let answer: MessageId = one.begin_answer(trees, question, "SmolLM2", &Sampling::default()).unwrap();
        assert!(two.is_open_elsewhere(trees).unwrap());
        assert_eq!(two.tree(trees).unwrap().messages.last().unwrap().ended, None, "it is not interrupted");
        one.finish_answer(answer, crate::chat::Ended::Stop, &Default::default(), None).unwrap();
        assert!(!two.is_open_elsewhere(trees).unwrap());
    }

    #[test]
    fn the_chat_to_go_on_with_is_the_one_that_was_open_last() {
        let (_folder, [mut one, mut two], [trees, bread]) = windows();
        assert_eq!(one.last_chat().unwrap(), Some(bread), "it was written last");
        one.take_chat(trees).unwrap();
        assert_eq!(two.last_chat().unwrap(), Some(trees));
        two.take_chat(bread).unwrap();
        assert_eq!(one.last_chat().unwrap(), Some(bread));
        one.add_message(trees, None, Role::User, "Hello").unwrap();
        assert_eq!(two.last_chat().unwrap(), Some(trees));
    }
}
