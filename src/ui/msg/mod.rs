//! What happens to the interface (messages) and what it wants done (effects), as plain data.

mod command;
mod effect;
mod read;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use crossterm::event::KeyEvent;

pub use command::{Branch, Command, CopyOf, Retry, Scroll};
pub use effect::{Effect, Exported, Save};
pub use read::{Changes, ChatRow, FoundMessage, OpenedChat, OpenedMessage, SentMessage};

use super::Prepared;
use super::app::Sensed;
use super::composer::Part;
use crate::config::{About, Changed, Standing};
use crate::engine::protocol::{LoadSettings, Step};
use crate::models::Progress;
use crate::models::offers::Offer;
use crate::prompts::PromptText;
use crate::store::ChatId;

use super::export::Refused;
use super::files::Folder;
use super::pictures::{self, Wanted};

/// Where the store puts the id of something once it is written. Writes are done in order, so an effect can name a
/// message whose id is not known yet.
pub type Slot<T> = Arc<OnceLock<T>>;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Msg {
    /// The store is open and a model was looked for; `None` if there can be no chat.
    Started(Option<Box<Prepared>>),
    /// What was typed before the terminal was ours, in whole lines.
    TypedAhead(String),
    /// A line that was typed where lines are all there is, or several that are one message.
    Line(String),
    /// A key that is bound, see `keys`.
    Command(Command),
    /// A key that edits the composer's text.
    Edit(KeyEvent),
    /// A key that edits the line that narrows a list, or that is looked for.
    Filter(KeyEvent),
    /// This is written in the place of all of that line.
    Fill(String),
    Paste(String),
    /// A file that was to be attached, or a sentence that says why it cannot be.
    Attached(Result<Part, String>),
    /// A line of shell has ended: its output is to be attached, or a sentence says why there is none.
    Ran(Result<Part, String>),
    /// Sentences for the person.
    Notices(Vec<String>),
    /// Names were sent as they stand: those of files that are there, and those that are none.
    NotAttached {
        there: Vec<String>,
        missing: Vec<String>,
    },
    /// What came of reading a picture.
    PictureRead {
        wanted: Wanted,
        outcome: pictures::Outcome,
    },
    /// What was being written in a chat, or in a new one, when it was left.
    DraftRead {
        chat: Option<ChatId>,
        parts: Vec<Part>,
    },
    /// What was written in the editor, or a sentence that says why it is as it was.
    EditedOutside(Result<String, String>),
    /// What was sent before, the newest first.
    SentRead(Vec<SentMessage>),
    /// The engine's word about the model it was told to load.
    Model(Step),
    /// The engine's word about the answer in progress.
    Answer(Step),
    /// The engine's word about the next turn.
    Ahead(Step),
    /// The engine's thread is gone; another one took its place, or could not.
    EngineLost {
        is_back: bool,
    },
    /// The question is on disk.
    QuestionSaved,
    Chats(Vec<ChatRow>),
    /// Another program has written to the file of chats.
    WrittenOutside,
    /// The open chat as it is on disk; `None` if it is as it was, or gone.
    Changed(Option<Box<Changes>>),
    /// The newest messages that have all of these words.
    FoundMessages {
        words: String,
        found: Vec<FoundMessage>,
    },
    ChatOpened(OpenedChat),
    ChatDeleted(ChatId),
    /// The chat that was deleted last is there again; `None` if there is none to bring back.
    ChatRestored(Option<ChatId>),
    /// The tags that the open chat has.
    Tagged(Vec<String>),
    /// The chat was copied up to a message; this is the copy. After [`Effect::GoOn`] it may be the chat itself.
    Forked(OpenedChat),
    /// So many bytes of this are in the machine's own clipboard.
    Copied {
        what: String,
        bytes: usize,
    },
    /// There is no clipboard of the machine's own for this.
    NotCopied {
        what: String,
    },
    /// What models there are to choose among.
    Offers(Vec<Offer>),
    /// The models of servers, which tell later.
    OffersOfServers(Vec<Offer>),
    /// The model that was typed as a path or a place on the hub, else a sentence.
    ModelFound(Result<Box<Offer>, String>),
    /// How far the download is that was the choice of this number.
    Downloading {
        choice: u64,
        progress: Progress,
    },
    /// How to load the model that was the choice of this number; else a sentence that says why it cannot be had.
    Got {
        choice: u64,
        result: Result<Box<LoadSettings>, String>,
    },
    /// The texts that can be put into the composer by their names, and what is wrong with others.
    Prompts {
        texts: Vec<PromptText>,
        problems: Vec<String>,
    },
    /// The files of a folder, as they would be written.
    Files {
        folder: Folder,
        paths: Vec<String>,
    },
    /// The conversation was to be written to this path: where it is, else why not.
    Exported {
        path: Option<PathBuf>,
        result: Result<PathBuf, Refused>,
    },
    /// The file of a system prompt, else a sentence.
    SystemRead(Result<String, String>),
    /// The conversation could not be written, with a sentence.
    SaveFailed(String),
    /// Something else that was asked of the store failed, with a sentence.
    StoreFailed(String),
    /// How all settings stand, or why that is not known.
    Settings(Result<Vec<Standing>, String>),
    /// A setting was changed in `config.toml`; else a sentence that says why not.
    SettingChanged {
        about: &'static About,
        result: Result<Box<Changed>, String>,
    },
    /// What the machine's sensors say now.
    Sensed(Sensed),
    /// The terminal told that its background is light, or dark.
    Background {
        is_light: bool,
    },
    /// The time that [`super::app::App::wake_at`] asked for has come.
    Tick,
    /// The program was told to end (SIGTERM, SIGHUP).
    Terminate,
}
