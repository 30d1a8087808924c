//! What the interface wants done.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::Slot;
use crate::chat::{Ended, Sampling, Stats};
use crate::config::{About, ThemeName};
use crate::engine::protocol::{GenerateOptions, LoadSettings, Prompt, Think};
use crate::exchange::Form;
use crate::models::offers::Offer;
use crate::store::{ChatId, MessageId, Stamp};
use crate::ui::composer::Part;
use crate::ui::files::Folder;
use crate::ui::folds::Fold;
use crate::ui::pictures::Wanted;

/// What is written to a file.
#[derive(Clone, Debug)]
pub enum Exported {
    Text(String),
    /// A chat as the store has it.
    Stored {
        chat: ChatId,
        form: Form,
    },
}

/// Something to be done outside the interface's state.
#[derive(Clone, Debug)]
pub enum Effect {
    Load(Box<LoadSettings>),
    Generate(Prompt, GenerateOptions),
    CancelAnswer,
    /// Say what this would cost.
    Plan(Prompt, Think),
    /// Compute this ahead, and say what it would cost.
    Prefill {
        prompt: Prompt,
        think: Think,
        /// Not while the machine runs on a battery that is nearly empty.
        spare_battery: bool,
    },
    CancelAhead,
    /// Write what was computed for the chat to disk.
    Snapshot,
    /// Delete what was computed for a chat.
    Forget(ChatId),
    Save(Save),
    /// Write whether the person wants a message to stay in the KV cache.
    Pin {
        message: Slot<MessageId>,
        is_pinned: bool,
    },
    /// Give a chat another title.
    Rename {
        chat: Slot<ChatId>,
        title: String,
    },
    /// Have the chat go on from this message; `None` is before the first.
    GoTo {
        chat: Slot<ChatId>,
        leaf: Option<Slot<MessageId>>,
    },
    /// Delete a message and everything below it.
    DeleteMessage {
        message: Slot<MessageId>,
    },
    /// Bring a deleted message back, with everything below it.
    RestoreMessage {
        message: Slot<MessageId>,
    },
    /// Copy the branch that ends with this message into a new chat. Answered by [`Msg::Forked`].
    Fork {
        chat: Slot<ChatId>,
        message: Slot<MessageId>,
    },
    /// Go on with a chat of another window if that has left it, else with a copy up to this message. Answered by
    /// [`Msg::Forked`].
    GoOn {
        chat: ChatId,
        message: Slot<MessageId>,
    },
    /// Read the chat again unless it is as it was seen last. Answered by [`Msg::Changed`].
    ReadChanges {
        chat: ChatId,
        seen: Option<Stamp>,
    },
    /// This chat is the one that is open here.
    TakeChat(ChatId),
    /// No saved chat is open here any more.
    LeaveChat,
    /// Put a text into the clipboard.
    Copy {
        text: String,
        /// What it is, in words.
        what: String,
    },
    /// Write the conversation to a file: to this path, else to one of this name.
    Export {
        path: Option<PathBuf>,
        name: String,
        what: Exported,
        /// A file that is there gives way.
        replaces: bool,
    },
    /// Read the system prompt from a file.
    ReadSystem(PathBuf),
    ListPrompts,
    ListFiles(Folder),
    /// Read a file, or several, that are to be attached.
    Attach(String),
    /// Run a line of shell. Answered by [`Msg::Ran`].
    Run {
        line: String,
        stop: Arc<AtomicBool>,
    },
    /// Read what is in the machine's own clipboard. Answered by [`Msg::Attached`].
    AttachClipboard {
        /// A picture must not touch the disk.
        is_private: bool,
    },
    /// Look whether files have these names, which were sent with an `@` before them. Answered by [`Msg::NotAttached`].
    LookForFiles(Vec<String>),
    /// Read a picture that is in view.
    ReadPicture(Wanted),
    /// Keep what is being written, in the place of what was kept before; without a chat, that of a new one.
    SaveDraft {
        chat: Slot<ChatId>,
        parts: Vec<Part>,
        /// Behind what was kept before, which nobody has seen.
        adds: bool,
    },
    /// Read what was being written in a chat, or in a new one.
    ReadDraft(Option<ChatId>),
    /// Read what was sent before, in all chats.
    ReadSent,
    ListChats,
    /// Find the newest messages that have all of these words. Answered by [`Msg::FoundMessages`].
    SearchChats(String),
    OpenChat(ChatId),
    DeleteChat(ChatId),
    /// Bring the chat back that was deleted last.
    RestoreChat,
    /// Give a chat these tags, and take those away. Answered by [`Msg::Tagged`].
    TagChat {
        chat: Slot<ChatId>,
        add: Vec<String>,
        remove: Vec<String>,
    },
    ArchiveChat {
        chat: Slot<ChatId>,
        is_archived: bool,
    },
    ListModels,
    /// Find the model at this path, or at this place on the hub. Answered by [`Msg::ModelFound`].
    FindModel(String),
    /// Find out how to load a model; it is downloaded if it is not here. A download ends the one before.
    Get {
        choice: u64,
        offer: Offer,
    },
    StopDownload,
    /// Read how all settings stand. Answered by [`Msg::Settings`].
    ReadSettings,
    /// Change a setting in `config.toml`; no value is its default. Answered by [`Msg::SettingChanged`].
    ChangeSetting {
        about: &'static About,
        value: Option<String>,
    },
    /// Read the machine's sensors. Answered by [`Msg::Sensed`].
    Sense,
    /// The model of this name is to be the one for the next start.
    Remember(String),
    /// This theme is to be the one for the next start.
    RememberTheme(ThemeName),
    Suspend,
    /// Something else may have written on the screen: all of it is drawn anew.
    Redraw,
    /// Let the person's editor have the terminal and this text.
    EditOutside {
        text: String,
        /// It must not touch the disk.
        is_private: bool,
    },
    Leave,
}

impl Effect {
    /// Whether it is something for the store to do.
    pub fn is_for_store(&self) -> bool {
        let writes = matches!(
            self,
            Self::Save(_) | Self::SaveDraft { .. } | Self::Pin { .. } | Self::Rename { .. } | Self::GoTo { .. }
        );
        let reads = matches!(self, Self::ReadDraft(_) | Self::ReadSent | Self::ListChats | Self::OpenChat(_));
        let searches = matches!(self, Self::SearchChats(_));
        let arranges = matches!(self, Self::RestoreChat | Self::TagChat { .. } | Self::ArchiveChat { .. });
        let is_about_chats = matches!(
            self,
            Self::Fork { .. } | Self::GoOn { .. } | Self::TakeChat(_) | Self::LeaveChat | Self::DeleteChat(_)
        );
        writes
            || reads
            || searches
            || arranges
            || is_about_chats
            || matches!(self, Self::DeleteMessage { .. } | Self::RestoreMessage { .. })
    }
}

/// Something to be written.
#[derive(Clone, Debug)]
pub enum Save {
    /// A question, and the chat if this is its first. Answered by [`Msg::QuestionSaved`].
    Question {
        chat: Slot<ChatId>,
        title: String,
        system: Option<String>,
        parent: Option<Slot<MessageId>>,
        message: Slot<MessageId>,
        text: String,
        folds: Vec<Fold>,
    },
    AnswerBegins {
        chat: Slot<ChatId>,
        parent: Slot<MessageId>,
        message: Slot<MessageId>,
        model: String,
        sampling: Sampling,
    },
    /// An answer that had ended is gone on with: what comes is added to it.
    AnswerContinues {
        message: Slot<MessageId>,
    },
    AnswerGrows {
        message: Slot<MessageId>,
        text: String,
        thinking: String,
    },
    AnswerEnds {
        message: Slot<MessageId>,
        ended: Ended,
        stats: Stats,
        seed: Option<u32>,
    },
}
