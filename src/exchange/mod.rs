//! Chats as files: for people to read, for other programs, and back again.
//!
//! - `readable` writes the branch that a chat goes on with as Markdown or plain text, `html` as a page that needs nothing
//!   beside it. JSON has everything that the store knows, so that importing it gives the same chat.
//! - `import` reads chats of this program and of others.
//!
//! What is written is harmless where it is meant for a program that obeys it (HTML), and as it was said everywhere else.

mod html;
pub mod import;
mod readable;

use std::path::Path;

use crate::chat::{Ended, Role};
use crate::store::{WholeChat, WholeMessage};

/// The form of a file.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// The branch that the chat goes on with, for people
    #[default]
    #[value(alias = "md")]
    Markdown,
    /// Everything: all branches, settings, models, times; `import` takes it back
    Json,
    /// A page for a browser, without scripts and without anything from elsewhere
    Html,
    /// Without marks of Markdown beside those of the answers
    #[value(alias = "txt")]
    Text,
}

impl Form {
    /// The form that a file's name asks for.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "md" | "markdown" => Some(Self::Markdown),
            "json" => Some(Self::Json),
            "html" | "htm" => Some(Self::Html),
            "txt" | "text" => Some(Self::Text),
            _ => None,
        }
    }

    /// The form of this name, as it is written in a command.
    pub fn named(word: &str) -> Option<Self> {
        <Self as clap::ValueEnum>::from_str(word, true).ok()
    }

    pub fn extension(self) -> &'static str {
        match self {
            Self::Markdown => "md",
            Self::Json => "json",
            Self::Html => "html",
            Self::Text => "txt",
        }
    }

    /// The chat in this form.
    pub fn write(self, chat: &WholeChat) -> String {
        match self {
            Self::Markdown => readable::markdown(chat),
            // Plain data under text keys always has a form.
            Self::Json => serde_json::to_string_pretty(chat).unwrap_or_default() + "\n",
            Self::Html => html::page(chat),
            Self::Text => readable::text(chat),
        }
    }
}

/// What a file is called unless something else is asked for: the title as a word.
pub fn file_name(title: &str, form: Form) -> String {
    let mut name = String::new();
    for character in title.chars() {
        if character.is_alphanumeric() {
            name.extend(character.to_lowercase());
        } else if !name.ends_with('-') && !name.is_empty() {
            name.push('-');
        }
        // File systems have a limit, in bytes.
        if name.len() >= 120 {
            break;
        }
    }
    let name = name.trim_end_matches('-');
    format!("{}.{}", if name.is_empty() { "chat" } else { name }, form.extension())
}

/// Who speaks, in words.
fn who(message: &WholeMessage) -> &str {
    match message.role {
        Role::System => "System prompt",
        Role::User => "You",
        Role::Assistant => message.model.as_deref().unwrap_or("Assistant"),
    }
}

/// How an answer ended, if it did not as it should.
fn how(message: &WholeMessage) -> Option<&'static str> {
    message.finish_reason.filter(|ended| *ended != Ended::Stop).map(Ended::as_str)
}

#[cfg(test)]
mod tests;
