//! Chats from files: of this program, of ChatGPT, of Ollama, and any that is written as messages with roles, one JSON
//! value for all of them or one a line.
//!
//! A file is read piece by piece and may be larger than memory; one chat must have room in it. What is no chat is a
//! sentence with its place, and the others are imported all the same.

mod chatgpt;
mod messages;
mod ollama;
mod pieces;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use jiff::Timestamp;
use serde_json::Value;

use crate::store::{FORM, Imported, Store, StoreError, WholeChat, WholeMessage};
use crate::text::{cause, escape_line};
use pieces::{Piece, Place};

/// So many sentences are told; of the others, their number.
const MOST_TOLD: usize = 20;
const TITLE_CHARACTERS: usize = 60;

/// What came of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Chats that are new.
    pub chats: usize,
    /// Chats that were here already.
    pub known: usize,
    /// Messages that were sent to another program, and are new.
    pub prompts: usize,
    /// What could not be imported, and why.
    pub problems: Vec<String>,
    /// Those that are not among them.
    pub more_problems: usize,
}

impl Report {
    fn problem(&mut self, sentence: String) {
        if self.problems.len() < MOST_TOLD {
            self.problems.push(sentence);
        } else {
            self.more_problems += 1;
        }
    }

    /// Whether nothing came of it.
    pub fn is_empty(&self) -> bool {
        self.chats + self.known + self.prompts == 0
    }
}

/// Why a file was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("cannot read `{0}`: {1}")]
    Unreadable(String, String),

    #[error("`{0}` is no file of chats that is known here: {1}")]
    Unknown(String, String),

    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Imports all chats of a file; `tell` hears of each how many there were.
///
/// # Errors
/// If the file cannot be read or is of no known form, or the store fails. What was imported before stays.
pub fn import(path: &Path, store: &mut Store, tell: &mut dyn FnMut(usize)) -> Result<Report, ImportError> {
    let shown = || escape_line(&path.to_string_lossy());
    let unreadable = |error: &std::io::Error| ImportError::Unreadable(shown(), cause(error));
    let file = File::open(path).map_err(|error| unreadable(&error))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(ImportError::Unknown(shown(), "it is a folder; name the files in it".into()));
    }
    let mut reader = BufReader::new(file);
    let start = first_bytes(&mut reader).map_err(|error| unreadable(&error))?;
    let modified = path.metadata().and_then(|metadata| metadata.modified()).ok();
    let time = modified.and_then(|time| Timestamp::try_from(time).ok()).unwrap_or_else(Timestamp::now);
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut importer = Importer { store, tell, report: Report::default(), time, name, loose: Vec::new() };
    match start {
        Start::Database => {
            drop(reader);
            ollama::chats(path, &mut |chat| importer.chat(chat)).map_err(|error| match error {
                ollama::Failed::Store(error) => ImportError::Store(error),
                ollama::Failed::Unknown(sentence) => ImportError::Unknown(shown(), sentence),
            })?;
        }
        Start::Json if !ollama::is_history(path) => pieces::read(reader, &mut |piece| importer.piece(piece))?,
        Start::Json | Start::Text if ollama::is_history(path) => {
            let prompts = ollama::prompts(reader, &mut importer.report).map_err(|error| unreadable(&error))?;
            importer.report.prompts = importer.store.import_prompts(&prompts)?;
        }
        Start::Json | Start::Text => {
            let sentence = "it begins with neither `{` nor `[`; `tuichat help chats` lists what can be imported";
            return Err(ImportError::Unknown(shown(), sentence.into()));
        }
        Start::Nothing => return Err(ImportError::Unknown(shown(), "it is empty".into())),
    }
    importer.finish()
}

/// What a file begins with.
enum Start {
    Database,
    Json,
    Text,
    Nothing,
}

/// Looks at the beginning, which stays to be read, but for a byte-order mark and white space.
fn first_bytes(reader: &mut impl BufRead) -> std::io::Result<Start> {
    if reader.fill_buf()?.starts_with(b"SQLite format 3\0") {
        return Ok(Start::Database);
    }
    loop {
        let buffer = reader.fill_buf()?;
        let blank = |byte: &&u8| byte.is_ascii_whitespace() || [0xef, 0xbb, 0xbf].contains(*byte);
        let skipped = buffer.iter().take_while(blank).count();
        match buffer.get(skipped) {
            Some(b'{' | b'[') => {
                reader.consume(skipped);
                return Ok(Start::Json);
            }
            Some(_) => return Ok(Start::Text),
            None if buffer.is_empty() => return Ok(Start::Nothing),
            None => reader.consume(skipped),
        }
    }
}

/// Brings what is read to the store.
struct Importer<'a> {
    store: &'a mut Store,
    tell: &'a mut dyn FnMut(usize),
    report: Report,
    /// When the file was written: for chats that do not say when they were.
    time: Timestamp,
    /// What the file is called: for a chat without a title.
    name: String,
    /// Messages that stand alone in the file: all of them are one chat.
    loose: Vec<WholeMessage>,
}

impl Importer<'_> {
    fn piece(&mut self, piece: Piece) -> Result<(), ImportError> {
        match piece {
            Piece::Value(place, value) => self.value(place, value),
            Piece::Broken(sentence) => {
                self.report.problem(sentence);
                Ok(())
            }
        }
    }

    fn value(&mut self, place: Place, value: Value) -> Result<(), ImportError> {
        match messages::read(value, self.time) {
            Ok(messages::Read::Chat(chat)) => self.chat(chat.put_right().map_err(|why| format!("{place}: {why}"))),
            Ok(messages::Read::Chats(values)) => {
                for value in values {
                    self.value(place, value)?;
                }
                Ok(())
            }
            Ok(messages::Read::Message(message)) => {
                self.loose.extend(message);
                Ok(())
            }
            Err(why) => self.chat(Err(format!("{place}: {why}"))),
        }
    }

    fn chat(&mut self, chat: Result<WholeChat, String>) -> Result<(), ImportError> {
        match chat {
            Ok(chat) => match self.store.import_chat(&named(chat))? {
                Imported::New(_) => self.report.chats += 1,
                Imported::Known(_) => self.report.known += 1,
            },
            Err(sentence) => self.report.problem(sentence),
        }
        (self.tell)(self.report.chats + self.report.known);
        Ok(())
    }

    fn finish(mut self) -> Result<Report, ImportError> {
        if !self.loose.is_empty() {
            let messages = messages::in_a_row(std::mem::take(&mut self.loose));
            let chat = begun(std::mem::take(&mut self.name), self.time, messages);
            self.chat(chat.put_right())?;
        }
        Ok(self.report)
    }
}

/// A chat of messages that may know when they were written.
fn begun(title: String, time: Timestamp, messages: Vec<WholeMessage>) -> WholeChat {
    let times = || messages.iter().filter_map(|message| message.created_at);
    let (first, last) = (times().min().unwrap_or(time), times().max().unwrap_or(time));
    WholeChat {
        tuichat: FORM,
        title,
        created_at: first,
        updated_at: last,
        tags: Vec::new(),
        archived: false,
        leaf: messages.last().map(|message| message.id),
        messages,
    }
}

/// A chat without a title is called by its first question.
fn named(mut chat: WholeChat) -> WholeChat {
    if chat.title.trim().is_empty() {
        let first = chat.messages.iter().find(|message| message.role == crate::chat::Role::User);
        let words: Vec<&str> = first.map_or("", |first| &first.content).split_whitespace().take(40).collect();
        chat.title = words.join(" ");
    }
    let title = escape_line(chat.title.trim());
    chat.title = match title.char_indices().nth(TITLE_CHARACTERS) {
        Some((end, _)) => format!("{}…", &title[..end]),
        None => title,
    };
    chat
}

/// A time as other programs write it: seconds since 1970, or a date with a time.
fn time(value: Option<&Value>) -> Option<Timestamp> {
    match value? {
        Value::Number(number) => {
            let seconds = number.as_f64()?;
            // Some count milliseconds.
            let milliseconds = if seconds.abs() < 1e11 { seconds * 1000.0 } else { seconds };
            Timestamp::from_millisecond(milliseconds as i64).ok()
        }
        Value::String(text) => written_time(text),
        _ => None,
    }
}

fn written_time(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let zoned = text.parse::<Timestamp>().ok();
    let plain = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    zoned.or_else(|| plain().map(|time| time.timestamp())).and_then(|time| {
        // As exact as the store is.
        Timestamp::from_millisecond(time.as_millisecond()).ok()
    })
}

#[cfg(test)]
mod tests;
