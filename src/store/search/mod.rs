//! Finding words in all messages of all chats, while they are typed.
//!
//! The index (`messages_index`) knows every three characters that follow each other, so it finds parts of words, in
//! languages with and without spaces. What is shorter is not in it: a short word beside longer ones is looked for in
//! what these find, and alone in all messages, the newest first.

mod excerpt;
mod words;

use std::ops::Range;

use jiff::Timestamp;
use rusqlite::{Row, ToSql};

pub use excerpt::Excerpt;

use super::messages::timestamp;
use super::{ChatId, MessageId, Result, Store};
use crate::chat::Role;
use words::Words;

/// A message that has all the words that were looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    pub chat: ChatId,
    /// As it was given: escape it before showing it.
    pub title: String,
    pub is_archived: bool,
    pub message: MessageId,
    pub role: Role,
    pub created_at: Timestamp,
    /// Where the first of them stands in the message, in bytes; `None` where that cannot be told.
    pub place: Option<Range<usize>>,
    /// What stands around the first of them.
    pub excerpt: Excerpt,
}

const COLUMNS: &str = "m.id, m.chat, m.role, m.created_at, c.title, c.archived, m.text";

impl Store {
    /// The newest messages that have all of these words, `most` at most. Upper and lower case are the same, and what
    /// stands in quotation marks is looked for as it is.
    pub fn search(&self, written: &str, most: usize) -> Result<Vec<Hit>> {
        let words = Words::read(written);
        if words.is_empty() || most == 0 {
            return Ok(Vec::new());
        }
        match words.query() {
            Some(query) => {
                let sql = format!(
                    "SELECT {COLUMNS} FROM messages_index f JOIN messages m ON m.id = f.rowid
                     JOIN chats c ON c.id = m.chat WHERE messages_index MATCH ?1 ORDER BY f.rowid DESC"
                );
                self.hits(&sql, &[&query], &words, most)
            }
            None => {
                let sql = format!(
                    "SELECT {COLUMNS} FROM messages m JOIN chats c ON c.id = m.chat
                     WHERE m.role <> 'system' ORDER BY m.id DESC"
                );
                self.hits(&sql, &[], &words, most)
            }
        }
    }

    fn hits(&self, sql: &str, parameters: &[&dyn ToSql], words: &Words, most: usize) -> Result<Vec<Hit>> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query(parameters)?;
            let mut hits = Vec::new();
            while let Some(row) = rows.next()? {
                // The index has looked for the long ones.
                if words.short_ones_are_in(row.get_ref(6)?.as_str()?) {
                    hits.push(hit(row, words)?);
                }
                if hits.len() == most {
                    break;
                }
            }
            Ok(hits)
        })
    }
}

fn hit(row: &Row<'_>, words: &Words) -> rusqlite::Result<Hit> {
    let role: String = row.get(2)?;
    let text = row.get_ref(6)?.as_str()?;
    let place = words.find(text, 0);
    Ok(Hit {
        message: row.get(0)?,
        chat: row.get(1)?,
        // Of these two: system prompts are not searched.
        role: if role == Role::User.as_str() { Role::User } else { Role::Assistant },
        created_at: timestamp(row, 3)?,
        title: row.get(4)?,
        is_archived: row.get(5)?,
        excerpt: Excerpt::around(text, place.as_ref().map_or(0, |place| place.start), words),
        place,
    })
}

#[cfg(test)]
mod tests;
