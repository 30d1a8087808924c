//! Chats whose KV cache is kept in memory while another one has the context: the latest ones that fit.

use super::Kept;
use crate::engine::protocol::ChatKey;

/// Kept chats, the one used longest ago first.
#[derive(Debug, Default)]
pub struct Shelf {
    kept: Vec<Kept>,
}

impl Shelf {
    /// Puts a chat on the shelf; the ones used longest ago leave until all states fit into `most_bytes`.
    pub fn put(&mut self, kept: Kept, most_bytes: u64) {
        self.remove(kept.chat);
        self.kept.push(kept);
        while self.bytes() > most_bytes && !self.kept.is_empty() {
            self.kept.remove(0);
        }
    }

    /// Takes a chat from the shelf.
    pub fn take(&mut self, chat: ChatKey) -> Option<Kept> {
        let place = self.kept.iter().position(|kept| kept.chat == chat)?;
        Some(self.kept.remove(place))
    }

    pub fn remove(&mut self, chat: ChatKey) {
        self.kept.retain(|kept| kept.chat != chat);
    }

    fn bytes(&self) -> u64 {
        self.kept.iter().map(|kept| kept.state.len() as u64).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::kv::About;

    fn kept(chat: i64, bytes: usize) -> Kept {
        Kept { chat: ChatKey(chat), about: About::default(), state: Arc::new(vec![0; bytes]), is_written: false }
    }

    #[test]
    fn the_chats_used_longest_ago_leave_first() {
        let mut shelf = Shelf::default();
        for chat in 1..=3 {
            shelf.put(kept(chat, 10), 30);
        }
        let first = shelf.take(ChatKey(1)).unwrap();
        shelf.put(first, 30);
        shelf.put(kept(4, 10), 30);
        assert!(shelf.take(ChatKey(2)).is_none());
        assert!([1, 3, 4].into_iter().all(|chat| shelf.take(ChatKey(chat)).is_some()));
    }

    #[test]
    fn what_never_fits_is_not_kept() {
        let mut shelf = Shelf::default();
        shelf.put(kept(1, 31), 30);
        assert!(shelf.take(ChatKey(1)).is_none());
    }

    #[test]
    fn a_chat_is_there_once() {
        let mut shelf = Shelf::default();
        shelf.put(kept(1, 10), 30);
        shelf.put(kept(1, 20), 30);
        assert_eq!(shelf.take(ChatKey(1)).unwrap().state.len(), 20);
        assert!(shelf.take(ChatKey(1)).is_none());
    }
}
