//! What Ollama keeps: the prompts that were written into `ollama run` (`~/.ollama/history`, without answers), and the
//! chats of its app (`db.sqlite`). `ollama run` itself keeps no chats.

use std::io::{self, BufRead, Read};
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Row};

use super::messages::in_a_row;
use super::{ImportError, Report, begun, written_time};
use crate::chat::Role;
use crate::store::{StoreError, WholeChat, WholeMessage};

/// A longer line is no prompt that was typed.
const MOST_LINE: u64 = 1024 * 1024;

/// Why the app's file was not read to its end.
pub(super) enum Failed {
    Unknown(String),
    Store(StoreError),
}

/// Whether a file is the history of `ollama run`, by its name: nothing in it tells.
pub(super) fn is_history(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name == "history" || name.ends_with("history.txt")
}

/// The prompts of a history, one a line, without what was said to the program itself.
pub(super) fn prompts(mut reader: impl BufRead, report: &mut Report) -> io::Result<Vec<String>> {
    let (mut prompts, mut line, mut number) = (Vec::new(), Vec::new(), 0);
    loop {
        line.clear();
        if reader.by_ref().take(MOST_LINE).read_until(b'\n', &mut line)? == 0 {
            return Ok(prompts);
        }
        number += 1;
        if line.len() as u64 == MOST_LINE && !line.ends_with(b"\n") {
            reader.skip_until(b'\n')?;
            report.problem(format!("line {number} is longer than a prompt can be"));
            continue;
        }
        match std::str::from_utf8(&line) {
            Ok(text) => {
                let text = text.trim();
                let is_command =
                    text.strip_prefix('/').is_some_and(|name| name.starts_with(|next: char| next.is_ascii_lowercase()));
                if !text.is_empty() && !is_command {
                    prompts.push(text.to_owned());
                }
            }
            Err(_) => report.problem(format!("line {number} is not UTF-8 text")),
        }
    }
}

/// Hands over the chats of the app's database, the oldest first.
pub(super) fn chats(
    path: &Path,
    each: &mut dyn FnMut(Result<WholeChat, String>) -> Result<(), ImportError>,
) -> Result<(), Failed> {
    let unknown = |error: rusqlite::Error| Failed::Unknown(crate::text::escape_line(&error.to_string()));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(unknown)?;
    if !is_of_ollama(&connection).map_err(unknown)? {
        let sentence = "it is a database of another program; of a tuichat elsewhere, export with \
            `TUICHAT_HOME=FOLDER tuichat chats export --all --format json`";
        return Err(Failed::Unknown(sentence.into()));
    }
    let mut listed =
        connection.prepare("SELECT id, title, created_at FROM chats ORDER BY created_at").map_err(unknown)?;
    let mut messages = connection
        .prepare("SELECT role, content, thinking, model_name, created_at FROM messages WHERE chat_id = ?1 ORDER BY id")
        .map_err(unknown)?;
    let mut rows = listed.query([]).map_err(unknown)?;
    let mut number = 0;
    while let Some(row) = rows.next().map_err(unknown)? {
        number += 1;
        let chat = chat(row, &mut messages).map_err(|error| error.to_string()).and_then(WholeChat::put_right);
        let chat = chat.map_err(|why| format!("chat {number}: {}", crate::text::escape_line(&why)));
        each(chat).map_err(|error| match error {
            ImportError::Store(error) => Failed::Store(error),
            other => Failed::Unknown(other.to_string()),
        })?;
    }
    Ok(())
}

fn is_of_ollama(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT (SELECT count(*) FROM pragma_table_info('chats') WHERE name IN ('id', 'title', 'created_at')) = 3
            AND (SELECT count(*) FROM pragma_table_info('messages')
                 WHERE name IN ('chat_id', 'role', 'content', 'thinking', 'model_name', 'created_at')) = 6",
        [],
        |row| row.get(0),
    )
}

fn chat(row: &Row<'_>, messages: &mut rusqlite::Statement<'_>) -> rusqlite::Result<WholeChat> {
    let id: String = row.get(0)?;
    let title: Option<String> = row.get(1)?;
    let created = stored_time(row, 2)?;
    let read = messages.query_map([id], |row| {
        let role: String = row.get(0)?;
        let Ok(role) = role.parse::<Role>() else { return Ok(None) };
        let content: Option<String> = row.get(1)?;
        let mut message = WholeMessage::new(0, None, role, content.unwrap_or_default());
        message.thinking = row.get::<_, Option<String>>(2)?.unwrap_or_default();
        message.model = row.get::<_, Option<String>>(3)?.filter(|_| role == Role::Assistant);
        message.created_at = stored_time(row, 4)?;
        // What only calls a tool says nothing.
        Ok(Some(message).filter(|message| !message.content.trim().is_empty()))
    })?;
    let read = read.filter_map(Result::transpose).collect::<rusqlite::Result<Vec<_>>>()?;
    let chat = begun(title.unwrap_or_default(), created.unwrap_or(Timestamp::UNIX_EPOCH), in_a_row(read));
    let created_at = created.unwrap_or(chat.created_at);
    Ok(WholeChat { created_at, updated_at: chat.updated_at.max(created_at), ..chat })
}

/// The app writes times as text.
fn stored_time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get_ref(column)?.as_str_or_null().ok().flatten().and_then(written_time))
}
