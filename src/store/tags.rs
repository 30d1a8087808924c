//! What a person says of a chat as a whole beside its title: tags, and that it is put away.

use super::{ChatId, Result, Store, StoreError};

/// Longer ones are sentences.
const MOST_CHARACTERS: usize = 40;

/// A tag as it is kept: in small letters, without the `#` that may be written before it.
///
/// # Errors
/// A sentence, if it cannot be one.
pub fn read_tag(written: &str) -> std::result::Result<String, String> {
    let tag = written.trim().trim_start_matches('#').to_lowercase();
    let is_word = |character: char| character.is_alphanumeric() || "-_.+/".contains(character);
    match tag.chars().count() {
        0 => Err("a tag is a word: `/tag recipes`".into()),
        1..=MOST_CHARACTERS if tag.chars().all(is_word) => Ok(tag),
        1..=MOST_CHARACTERS => Err(format!(
            "`{}` is no tag: it is one word of letters, digits and `-_.+/`",
            crate::text::escape_line(&tag)
        )),
        _ => Err(format!("a tag has at most {MOST_CHARACTERS} letters")),
    }
}

impl Store {
    /// Gives a chat these tags and takes those away, and tells which it has then.
    ///
    /// # Errors
    /// If there is no such chat.
    pub fn tag_chat(&mut self, id: ChatId, add: &[String], remove: &[String]) -> Result<Vec<String>> {
        self.write(|transaction| {
            for tag in add {
                let sql = "INSERT OR IGNORE INTO tags (chat, tag) SELECT id, ?2 FROM chats WHERE id = ?1";
                transaction.execute(sql, (id, tag))?;
            }
            for tag in remove {
                transaction.execute("DELETE FROM tags WHERE chat = ?1 AND tag = ?2", (id, tag))?;
            }
            Ok(())
        })?;
        Ok(self.chat(id)?.ok_or(StoreError::NoSuchChat(id))?.tags)
    }

    /// Puts a chat away, so that lists leave it out, or takes it back.
    ///
    /// # Errors
    /// If there is no such chat.
    pub fn archive_chat(&mut self, id: ChatId, is_archived: bool) -> Result<()> {
        let changed = self.write(|transaction| {
            transaction.execute("UPDATE chats SET archived = ?2 WHERE id = ?1", (id, is_archived))
        })?;
        if changed == 0 { Err(StoreError::NoSuchChat(id)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Role;

    #[test]
    fn a_tag_is_a_word_in_small_letters() {
        assert_eq!(read_tag(" #Work "), Ok("work".into()));
        assert_eq!(read_tag("c++/日本"), Ok("c++/日本".into()));
        for odd in ["", "#", "two words", "a,b", "\u{1b}[31m", &"x".repeat(41)] {
            assert!(read_tag(odd).is_err(), "{odd:?}");
        }
        assert_eq!(read_tag("#"), Err("a tag is a word: `/tag recipes`".into()));
        assert_eq!(read_tag("a,b"), Err("`a,b` is no tag: it is one word of letters, digits and `-_.+/`".into()));
    }

    #[test]
    fn tags_are_given_and_taken_away_and_go_with_their_chat() {
        let mut store = Store::in_memory().unwrap();
        let chat = store.create_chat("Trees", None).unwrap();
        store.add_message(chat, None, Role::User, "Hello").unwrap();
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(store.tag_chat(chat, &words(&["work", "rust", "work"]), &[]).unwrap(), ["rust", "work"]);
        assert_eq!(store.tag_chat(chat, &words(&["art"]), &words(&["rust", "none"])).unwrap(), ["art", "work"]);
        assert_eq!(store.chats(9).unwrap()[0].tags, ["art", "work"]);
        assert!(matches!(store.tag_chat(ChatId(9), &words(&["x"]), &[]), Err(StoreError::NoSuchChat(_))));
        store.delete_chat(chat).unwrap();
        let left: i64 = store.connection.query_row("SELECT count(*) FROM tags", [], |row| row.get(0)).unwrap();
        assert_eq!(left, 0);
    }

    #[test]
    fn a_chat_that_was_put_away_comes_back_when_it_is_written_to() {
        let mut store = Store::in_memory().unwrap();
        let chat = store.create_chat("Trees", None).unwrap();
        store.add_message(chat, None, Role::User, "Hello").unwrap();
        let is_archived = |store: &Store| store.chats(9).unwrap()[0].is_archived;
        assert!(!is_archived(&store));
        store.archive_chat(chat, true).unwrap();
        assert!(is_archived(&store));
        store.add_message(chat, None, Role::User, "Again").unwrap();
        assert!(!is_archived(&store));
        assert!(matches!(store.archive_chat(ChatId(9), true), Err(StoreError::NoSuchChat(_))));
    }
}
