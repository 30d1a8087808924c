//! Answers, which come to disk while they are being written.

use jiff::Timestamp;

use rusqlite::OptionalExtension;

use super::messages::{NewMessage, from_json, to_json};
use super::{ChatId, MessageId, Result, Store, StoreError};
use crate::chat::{Ended, Role, Sampling, Stats};

impl Store {
    /// Begins an answer to `parent`, and makes it the chat's leaf. Until [`finish_answer`](Store::finish_answer) it
    /// counts as being written, for as long as this store is open.
    pub fn begin_answer(
        &mut self,
        chat: ChatId,
        parent: MessageId,
        model: &str,
        sampling: &Sampling,
    ) -> Result<MessageId> {
        let writer = Some(self.writer_number()?);
        self.insert(&NewMessage {
            chat,
            parent: Some(parent),
            role: Role::Assistant,
            text: "",
            model: Some(model),
            sampling: to_json(sampling),
            ended: None,
            writer,
            folds: None,
        })
    }

    /// Opens an answer again that has ended and that nothing follows, so that it can be added to as if it had been
    /// begun here, and makes it the chat's leaf.
    pub fn continue_answer(&mut self, id: MessageId) -> Result<()> {
        let writer = self.writer_number()?;
        let continued = self.write(|transaction| {
            let continued = transaction.execute(
                "UPDATE messages SET ended = NULL, writer = ?2
                 WHERE id = ?1 AND role = 'assistant' AND ended IS NOT NULL AND NOT EXISTS (
                     SELECT 1 FROM messages child WHERE child.chat = messages.chat AND child.parent = messages.id)",
                (id, writer),
            )?;
            if continued > 0 {
                transaction.execute(
                    "UPDATE chats SET leaf = ?1, newest = (SELECT max(newest) FROM chats), updated_at = ?2, archived = 0
                     WHERE id = (SELECT chat FROM messages WHERE id = ?1)",
                    (id, Timestamp::now().as_millisecond()),
                )?;
            }
            Ok(continued)
        })?;
        if continued == 0 { Err(StoreError::NotToBeContinued(id)) } else { Ok(()) }
    }

    /// Adds what came since the last call to an answer that was begun here.
    pub fn append_answer(&mut self, id: MessageId, text: &str, thinking: &str) -> Result<()> {
        let writer = self.writer.as_ref().map(|writer| writer.number);
        let appended = self.write(|transaction| {
            transaction
                .prepare_cached(
                    "UPDATE messages SET text = text || ?3, thinking = thinking || ?4 WHERE id = ?1 AND writer = ?2",
                )?
                .execute((id, writer, text, thinking))
        })?;
        if appended == 0 { Err(StoreError::NotBeingWritten(id)) } else { Ok(()) }
    }

    /// Closes an answer that was begun or continued here: how it ended, what it cost, and the seed that was drawn for
    /// it. What a continued answer cost is added to what it had cost before.
    pub fn finish_answer(&mut self, id: MessageId, ended: Ended, stats: &Stats, seed: Option<u32>) -> Result<()> {
        let writer = self.writer.as_ref().map(|writer| writer.number);
        let finished = self.write(|transaction| {
            let earlier: Option<Option<String>> = transaction
                .query_row("SELECT stats FROM messages WHERE id = ?1 AND writer = ?2", (id, writer), |row| row.get(0))
                .optional()?;
            let earlier: Option<Stats> = from_json(earlier.flatten());
            let stats = earlier.map_or(*stats, |earlier| earlier.followed_by(*stats));
            let finished = transaction.execute(
                "UPDATE messages SET ended = ?3, stats = ?4, writer = NULL,
                    sampling = iif(?5 IS NULL, sampling, json_set(sampling, '$.seed', ?5))
                 WHERE id = ?1 AND writer = ?2",
                (id, writer, ended.as_str(), to_json(&stats), seed),
            )?;
            if finished > 0 {
                transaction.execute(
                    "UPDATE chats SET updated_at = ?2 WHERE id = (SELECT chat FROM messages WHERE id = ?1)",
                    (id, Timestamp::now().as_millisecond()),
                )?;
            }
            Ok(finished)
        })?;
        if finished == 0 { Err(StoreError::NotBeingWritten(id)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Usage;
    use crate::store::messages::tests::asked;

    #[test]
    fn an_answer_grows_until_it_ends_and_keeps_how_it_was_made() {
        let (mut store, chat, question) = asked();
        let sampling = Sampling { temperature: 0.7, top_p: 0.1, seed: None, ..Sampling::default() };
        let answer = store.begin_answer(chat, question, "SmolLM2", &sampling).unwrap();
        store.append_answer(answer, "A pl", "Hm. ").unwrap();
        store.append_answer(answer, "ant", "Botany?").unwrap();
        let growing = store.branch(chat).unwrap().pop().unwrap();
        assert_eq!((growing.text.as_str(), growing.thinking.as_str()), ("A plant", "Hm. Botany?"));
        assert_eq!((growing.ended, growing.stats), (None, None));

        let stats = Stats { usage: Usage { completion_tokens: 3, ..Usage::default() }, ..Stats::default() };
        store.finish_answer(answer, Ended::Length, &stats, Some(u32::MAX)).unwrap();
        let ended = store.branch(chat).unwrap().pop().unwrap();
        assert_eq!((ended.ended, ended.stats), (Some(Ended::Length), Some(stats)));
        assert_eq!(ended.sampling, Some(Sampling { seed: Some(u32::MAX), ..sampling }));
        assert_eq!(ended.model.as_deref(), Some("SmolLM2"));
        assert_eq!(ended.parent, Some(question));
    }

    /// A chat whose last answer ended at a limit after three tokens.
    fn cut_answer() -> (Store, ChatId, MessageId) {
        let (mut store, chat, question) = asked();
        let answer = store.begin_answer(chat, question, "SmolLM2", &Sampling::default()).unwrap();
        store.append_answer(answer, "A pl", "Botany?").unwrap();
        let usage = Usage { completion_tokens: 3, ..Usage::default() };
        store.finish_answer(answer, Ended::Length, &Stats { usage, ..Stats::default() }, Some(7)).unwrap();
        (store, chat, answer)
    }

    #[test]
    fn an_answer_that_is_continued_grows_at_its_end_and_costs_both_parts() {
        let (mut store, chat, answer) = cut_answer();
        store.continue_answer(answer).unwrap();
        store.append_answer(answer, "ant", "").unwrap();
        let growing = store.branch(chat).unwrap().pop().unwrap();
        assert_eq!((growing.text.as_str(), growing.ended), ("A plant", None));
        let usage = Usage { completion_tokens: 2, ..Usage::default() };
        store.finish_answer(answer, Ended::Loop, &Stats { usage, ..Stats::default() }, None).unwrap();
        let ended = store.branch(chat).unwrap().pop().unwrap();
        assert_eq!((ended.id, ended.thinking.as_str(), ended.ended), (answer, "Botany?", Some(Ended::Loop)));
        assert_eq!(ended.stats.map(|stats| stats.usage.completion_tokens), Some(5));
        assert_eq!(ended.sampling.and_then(|sampling| sampling.seed), Some(7), "the seed of its beginning");
    }

    #[test]
    fn an_answer_is_continued_only_if_it_has_ended_and_nothing_follows() {
        let (mut store, chat, answer) = cut_answer();
        store.continue_answer(answer).unwrap();
        assert!(matches!(store.continue_answer(answer), Err(StoreError::NotToBeContinued(_))), "it is being written");
        store.finish_answer(answer, Ended::Stop, &Stats::default(), None).unwrap();
        let question = store.add_message(chat, Some(answer), Role::User, "How tall?").unwrap();
        for message in [answer, question, MessageId(99)] {
            let error = store.continue_answer(message).unwrap_err();
            assert!(matches!(error, StoreError::NotToBeContinued(_)), "{error}");
        }
        assert!(store.continue_answer(answer).is_err());
        assert_eq!(store.branch(chat).unwrap().pop().unwrap().id, question, "what is refused moves nothing");
    }

    #[test]
    fn the_end_of_an_answer_is_when_its_chat_was_written_to_and_a_refused_one_is_not() {
        let (mut store, chat, question) = asked();
        let answer = store.begin_answer(chat, question, "SmolLM2", &Sampling::default()).unwrap();
        let long_ago = Timestamp::UNIX_EPOCH;
        let set_back = |store: &Store| store.connection.execute("UPDATE chats SET updated_at = 0", []).unwrap();
        let updated = |store: &Store| store.chat(chat).unwrap().unwrap().updated_at;
        set_back(&store);
        store.finish_answer(answer, Ended::Stop, &Stats::default(), None).unwrap();
        assert!(updated(&store) > long_ago);
        set_back(&store);
        assert!(store.finish_answer(answer, Ended::Stop, &Stats::default(), None).is_err());
        assert_eq!(updated(&store), long_ago);
    }

    #[test]
    fn an_answer_that_is_continued_is_where_the_chat_goes_on() {
        let (mut store, chat, answer) = cut_answer();
        let sibling = store.add_message(chat, None, Role::User, "What is a forest?").unwrap();
        assert_eq!(store.branch(chat).unwrap().pop().unwrap().id, sibling);
        store.continue_answer(answer).unwrap();
        assert_eq!(store.branch(chat).unwrap().pop().unwrap().id, answer);
    }

    #[test]
    fn a_chat_whose_answer_is_continued_is_the_one_that_was_written_in_last() {
        let (mut store, chat, answer) = cut_answer();
        store.archive_chat(chat, true).unwrap();
        let other = store.create_chat("Other", None).unwrap();
        store.add_message(other, None, Role::User, "Hello").unwrap();
        store.connection.execute("UPDATE chats SET updated_at = updated_at - 5000", []).unwrap();
        store.continue_answer(answer).unwrap();
        let order: Vec<_> = store.chats(9).unwrap().into_iter().map(|chat| (chat.id, chat.is_archived)).collect();
        assert_eq!(order, [(chat, false), (other, false)]);
    }

    #[test]
    fn only_an_answer_that_is_being_written_can_be_added_to() {
        let (mut store, chat, question) = asked();
        assert!(matches!(store.append_answer(question, "!", ""), Err(StoreError::NotBeingWritten(_))));
        let answer = store.begin_answer(chat, question, "SmolLM2", &Sampling::default()).unwrap();
        store.finish_answer(answer, Ended::Stop, &Stats::default(), None).unwrap();
        assert!(matches!(store.append_answer(answer, "!", ""), Err(StoreError::NotBeingWritten(_))));
        let again = store.finish_answer(answer, Ended::Error, &Stats::default(), None);
        assert!(matches!(again, Err(StoreError::NotBeingWritten(_))));
        assert_eq!(store.branch(chat).unwrap().pop().unwrap().ended, Some(Ended::Stop));
    }

    #[test]
    fn numbers_that_another_version_wrote_do_not_keep_the_answer_from_being_read() {
        let (mut store, chat, question) = asked();
        let answer = store.begin_answer(chat, question, "SmolLM2", &Sampling::default()).unwrap();
        store.append_answer(answer, "A plant", "").unwrap();
        let written = r#"UPDATE messages SET stats = '{"decode_calls":7,"later":true}', sampling = '{"top_k":"all"}'"#;
        store.connection.execute(written, []).unwrap();
        let message = store.branch(chat).unwrap().pop().unwrap();
        assert_eq!((message.text.as_str(), message.sampling), ("A plant", None));
        assert_eq!(message.stats, Some(Stats { decode_calls: 7, ..Stats::default() }));
    }
}
