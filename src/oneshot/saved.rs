//! A chat on disk that a question goes on with: the question and the answer are saved in it, the answer while it comes,
//! as the chat itself saves them.

use std::time::{Duration, Instant};

use crate::chat::{Ended, Message, Role, Sampling, Stats};
use crate::engine::protocol::{Channel, ChatKey, Piece};
use crate::store::{ChatId, MessageId, Result, Store, StoredMessage};

/// How often the answer is written to disk.
const SAVE_EVERY: Duration = Duration::from_secs(1);

/// A chat that is gone on with.
#[derive(Debug)]
pub struct SavedChat {
    store: Store,
    chat: ChatId,
    branch: Vec<StoredMessage>,
    answer: Option<Answer>,
}

/// The answer that is being written.
#[derive(Debug)]
struct Answer {
    id: MessageId,
    /// What came since it was written last.
    text: String,
    thinking: String,
    written: Instant,
}

impl SavedChat {
    /// # Errors
    /// If there is no such chat, or it cannot be read.
    pub fn open(store: Store, chat: ChatId) -> Result<Self> {
        let branch = store.branch(chat)?;
        Ok(Self { store, chat, branch, answer: None })
    }

    pub fn key(&self) -> ChatKey {
        ChatKey(self.chat.0)
    }

    /// What the model is told of it. An answer without a word says nothing.
    pub fn messages(&self) -> impl Iterator<Item = Message> {
        let told = self.branch.iter().filter(|stored| stored.role != Role::Assistant || !stored.text.is_empty());
        told.map(|stored| Message { is_pinned: stored.is_pinned, ..Message::new(stored.role, stored.text.as_str()) })
    }

    /// The question is on disk when this returns, and the answer is begun.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn ask(&mut self, question: &str, model: &str, sampling: &Sampling) -> Result<()> {
        let parent = self.branch.last().map(|message| message.id);
        let asked = self.store.add_message(self.chat, parent, Role::User, question)?;
        let id = self.store.begin_answer(self.chat, asked, model, sampling)?;
        self.answer = Some(Answer { id, text: String::new(), thinking: String::new(), written: Instant::now() });
        Ok(())
    }

    /// Takes in a piece of the answer. What the disk refuses now is tried again, at the latest when the answer ends.
    pub fn add(&mut self, piece: &Piece) {
        let Some(answer) = &mut self.answer else { return };
        match piece.channel {
            Channel::Answer => answer.text.push_str(&piece.text),
            Channel::Thinking => answer.thinking.push_str(&piece.text),
        }
        if answer.written.elapsed() >= SAVE_EVERY
            && let Err(error) = self.write()
        {
            tracing::warn!(%error, "a part of an answer was not saved");
        }
    }

    /// The answer is whole, or all there will be of it.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn end(&mut self, ended: Ended, stats: &Stats, seed: Option<u32>) -> Result<()> {
        self.write()?;
        let Some(answer) = self.answer.take() else { return Ok(()) };
        self.store.finish_answer(answer.id, ended, stats, seed)
    }

    fn write(&mut self) -> Result<()> {
        let Some(answer) = &mut self.answer else { return Ok(()) };
        answer.written = Instant::now();
        self.store.append_answer(answer.id, &answer.text, &answer.thinking)?;
        answer.text.clear();
        answer.thinking.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(channel: Channel, text: &str) -> Piece {
        Piece { channel, text: text.into(), tokens: 1 }
    }

    #[test]
    fn a_question_and_its_answer_are_behind_what_was_there() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("chats.db");
        let mut store = Store::open(&path).unwrap();
        let chat = store.create_chat("Trees", Some("Be brief")).unwrap();
        let first = store.add_message(chat, None, Role::User, "What is a tree?").unwrap();
        store.begin_answer(chat, first, "SmolLM2", &Sampling::default()).unwrap();
        drop(store);

        let mut saved = SavedChat::open(Store::open(&path).unwrap(), chat).unwrap();
        let told: Vec<String> = saved.messages().map(|message| message.text).collect();
        assert_eq!(told, ["Be brief", "What is a tree?"], "an answer of which nothing came is not told");
        saved.ask("How tall?", "SmolLM2", &Sampling::default()).unwrap();
        saved.add(&piece(Channel::Thinking, "hm"));
        saved.add(&piece(Channel::Answer, "30 "));
        saved.add(&piece(Channel::Answer, "m"));
        saved.end(Ended::Stop, &Stats::default(), Some(7)).unwrap();

        let branch = Store::open(&path).unwrap().branch(chat).unwrap();
        let texts: Vec<&str> = branch.iter().map(|message| message.text.as_str()).collect();
        assert_eq!(texts, ["Be brief", "What is a tree?", "", "How tall?", "30 m"]);
        let answer = branch.last().unwrap();
        assert_eq!((answer.thinking.as_str(), answer.ended), ("hm", Some(Ended::Stop)));
        assert_eq!(answer.sampling.as_ref().and_then(|sampling| sampling.seed), Some(7));
    }
}
