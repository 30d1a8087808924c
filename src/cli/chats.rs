//! `tuichat chats …` as it is typed.

use std::path::PathBuf;

use clap::Subcommand;

use super::ChatName;
use crate::config::Output;
use crate::exchange;
use crate::store::{ChatId, read_tag};

#[derive(Subcommand, Clone, Debug, PartialEq)]
pub enum ChatsCommand {
    /// List the chats, the latest first
    List {
        /// Only those with this tag (repeatable)
        #[arg(long = "tag", value_name = "TAG", value_parser = read_tag)]
        tags: Vec<String>,
        /// Those that were put away, and only those
        #[arg(long)]
        archived: bool,
        /// Those that were put away, too
        #[arg(long, conflicts_with = "archived")]
        all: bool,
        #[command(flatten)]
        form: Form,
    },
    /// Find messages that have all of the words, in all chats and on all branches, the newest first
    Search {
        /// Words or parts of words; what stands in double quotes is looked for as it is
        #[arg(required = true)]
        words: Vec<String>,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=10_000))]
        limit: u16,
        #[command(flatten)]
        form: Form,
    },
    /// Print a chat
    Show {
        /// The number of a chat, or `last`
        #[arg(value_name = "ID|last")]
        id: ChatName,
        #[command(flatten)]
        form: Form,
    },
    /// Give a chat another title
    Rename {
        /// The number of a chat, or `last`
        #[arg(value_name = "ID|last")]
        id: ChatName,
        #[arg(required = true)]
        title: Vec<String>,
    },
    /// Give a chat tags, or take them away, and print which it has
    Tag {
        /// The number of a chat, or `last`
        #[arg(value_name = "ID|last")]
        id: ChatName,
        #[arg(value_name = "TAG", value_parser = read_tag)]
        tags: Vec<String>,
        /// Take this tag away (repeatable)
        #[arg(long, value_name = "TAG", value_parser = read_tag)]
        remove: Vec<String>,
    },
    /// Put chats away: lists leave them out until they are asked for, or something is written there
    Archive {
        #[arg(required = true)]
        id: Vec<ChatId>,
        /// Take them back
        #[arg(long)]
        undo: bool,
    },
    /// Write chats as files: Markdown, HTML and text for people, JSON with everything for `chats import`
    Export {
        /// The numbers of chats, or `last`
        #[arg(value_name = "ID|last", required_unless_present = "all")]
        id: Vec<ChatName>,
        /// All chats, those that were put away too
        #[arg(long, conflicts_with = "id")]
        all: bool,
        /// The form; without it, what the name of --out says, else markdown. Several chats as json are one a line
        #[arg(long, value_name = "FORM")]
        format: Option<exchange::Form>,
        /// Into this file, or of several chats one each into this folder; without it, on stdout
        #[arg(long, value_name = "PATH")]
        out: Option<PathBuf>,
        /// Put it in the place of a file that is there
        #[arg(long, requires = "out")]
        force: bool,
    },
    /// Take chats from files: of `chats export`, ChatGPT's conversations.json, JSON or JSON lines with messages and roles, Ollama's history and db.sqlite
    Import {
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// One JSON object with what came of it
        #[arg(long)]
        json: bool,
    },
    /// Delete a chat for good
    Rm { id: ChatId },
}

/// How what is told is written.
#[derive(clap::Args, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Form {
    /// JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// `json` as --json, `ndjson` for an object a line
    #[arg(short, long, value_name = "FORM", conflicts_with = "json")]
    pub output: Option<Output>,
}

impl Form {
    pub fn output(self) -> Output {
        if self.json { Output::Json } else { self.output.unwrap_or_default() }
    }
}
