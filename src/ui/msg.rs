//! What happens to the interface (messages) and what it wants done (effects), as plain data.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use crossterm::event::KeyEvent;

use super::Prepared;
use super::app::{Select, Sensed};
use super::composer::Part;
use crate::chat::{Ended, Message, Sampling, Stats};
use crate::config::{About, Changed, Standing};
use crate::engine::protocol::{GenerateOptions, LoadSettings, Prompt, Step, Think};
use crate::exchange::Form;
use crate::models::Progress;
use crate::models::offers::Offer;
use crate::prompts::PromptText;
use crate::store::{ChatId, Hit, MessageId, Stamp};

use super::app::Setting;
use super::export::Refused;
use super::files::Folder;
use super::folds::Fold;
use super::markdown::parts::PartKind;
use super::pictures::{self, Wanted};
use super::theme::ThemeName;

/// Where the store puts the id of something once it is written. Writes are done in order, so an effect can name a
/// message whose id is not known yet.
pub type Slot<T> = Arc<OnceLock<T>>;

/// A message that was sent before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMessage {
    pub text: String,
    /// What of it was pasted or attached.
    pub folds: Vec<Fold>,
    /// It was written instead of a message, in this run.
    pub is_command: bool,
}

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

/// What a bound key or a written command does.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Send,
    Newline,
    Undo,
    Redo,
    DeleteToLineStart,
    /// The next key belongs to this one.
    Prefix,
    /// Put the text in the place of the token beside the cursor.
    OpenToken,
    /// Attach to the message: the file or files at this path, `!` and a line of shell, or the clipboard.
    Attach(String),
    /// Attach what this line of shell says, if the person agrees.
    Run(String),
    AttachClipboard,
    /// Take out the file of this name, else the last one.
    Detach(Option<String>),
    /// Write in the person's editor.
    EditOutside,
    /// Search what was sent before, or go on searching.
    Search,
    /// Write what was found.
    TakeFound,
    CloseSearch,
    /// Take back the message that waits at this place, counted from 1.
    TakeBack(u8),
    Stop,
    Interrupt,
    Leave,
    Suspend,
    /// Draw all of the screen anew.
    Redraw,
    Help,
    /// The help, narrowed by these words.
    HelpOn(String),
    Context,
    Chats,
    /// Search the messages of all chats, for these words if there are any.
    SearchChats(Option<String>),
    /// Search them for what was typed in the list of chats.
    SearchTyped,
    OpenFound,
    Models,
    NewChat,
    /// Give this chat another title.
    Rename(String),
    /// Go to the chat of this number, or of these words in its title.
    Resume(String),
    /// Write the conversation to a file.
    Save(Option<PathBuf>),
    /// Show the system prompt, or change it.
    System(Option<String>),
    /// Put the text of this name into the composer.
    Prompt(String),
    /// Show the texts that there are.
    Prompts,
    /// Show commands, chats, models and texts.
    Palette,
    ChooseInPalette,
    /// Write what is chosen in the menu of completions.
    TakeCompletion,
    /// Write it, and do it if nothing is missing.
    RunCompletion,
    CloseCompletion,
    MoveInCompletion(i16),
    /// Go on with the model of this name.
    Model(String),
    /// Show what can be set in this chat.
    Settings,
    /// Show all settings, narrowed by these words.
    Panel(Option<String>),
    /// Write a setting to `config.toml`; no value is its default.
    Keep {
        about: &'static About,
        value: Option<String>,
    },
    /// Change the setting that is chosen in the panel, or write a value for it.
    ChangeChosen,
    /// Take the word before or behind for it.
    StepChosen(i16),
    /// Take it back to its default.
    ResetChosen,
    /// Tell what it is, where nothing can be changed in place.
    TellChosen,
    /// Change a setting, or tell it.
    Set {
        setting: &'static Setting,
        value: Option<String>,
    },
    Think(Option<Think>),
    /// Tell what the KV cache is made of.
    Kv,
    /// Tell what the last answer and the chat cost.
    Stats,
    Theme(Option<String>),
    /// Tell what guessing tokens brought to the last answer.
    Drafts,
    /// Go on with the last answer.
    Continue,
    /// Choose a message with the keyboard, and do something with it.
    Select(Select),
    /// Copy something to the clipboard.
    Copy(CopyOf),
    /// Write the question of this number anew, else the last one.
    EditMessage(Option<u32>),
    /// Ask for another answer to the last question.
    Retry(Retry),
    /// Copy the conversation up to the message of this number, or all of it, into a new chat.
    Fork(Option<u32>),
    /// Tell the other branches, or show one.
    Branch(Branch),
    /// Take the last exchange back.
    UndoExchange,
    RedoExchange,
    /// Keep a message in the KV cache: that of this number in the conversation, counted from 1, else the last question.
    Pin(Option<u32>),
    /// Let it leave again.
    Unpin(Option<u32>),
    ShowThinking,
    Scroll(Scroll),
    /// Moves the choice in a list, or the help's text.
    Move(i16),
    OpenChosen,
    DeleteChosen,
    /// Bring the chat back that was deleted last.
    RestoreChat,
    /// Write another title for the chosen chat.
    RenameChosen,
    /// Put the chosen chat away, or take it back.
    ArchiveChosen,
    /// List the chats that were put away, or the others.
    ShowArchived,
    /// Give this chat tags, or take some away; tell which it has.
    Tag(Option<String>),
    /// Put this chat away, or take it back.
    Archive(bool),
    /// Begin a chat of which nothing is written to disk.
    Private,
    /// Get the chosen model, and load it.
    ChooseModel,
    /// Do what was asked about: download a model, or run a command.
    Confirm,
    /// Ask about the smallest one instead.
    TakeSmallest,
    /// Do not.
    Refuse,
    StopDownload,
    ClosePopup,
}

impl Command {
    /// Whether the composer's text may be another afterwards.
    pub fn changes_text(&self) -> bool {
        let edits = matches!(self, Self::Newline | Self::Undo | Self::Redo | Self::DeleteToLineStart | Self::OpenToken);
        edits || matches!(self, Self::Interrupt | Self::Stop | Self::Detach(_) | Self::TakeBack(_) | Self::TakeFound)
    }
}

/// Which branch is to be shown; messages are counted from 1, as in `/context`, and their branches too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// None: which there are is to be told.
    List,
    /// The next one at this message.
    Next(u32),
    /// This one at this message.
    At(u32, u32),
}

/// What is copied to the clipboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyOf {
    LastAnswer,
    /// The last code block, or the last table.
    LastPart(PartKind),
    /// The message of this number in the conversation, counted from 1.
    Message(u32),
}

/// How a question is answered once more.
#[derive(Clone, Debug, PartialEq)]
pub enum Retry {
    Same,
    /// This answer only.
    Temperature(f32),
    /// By the model of this name, which then stays.
    Model(String),
}

/// A movement through the transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scroll {
    /// Lines down; negative is up.
    Lines(i16),
    PageUp,
    PageDown,
    Top,
    Bottom,
}

/// A chat as the list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatRow {
    pub id: ChatId,
    pub title: String,
    /// How long ago it was changed, in words.
    pub age: String,
    /// The part of the list in which it stands, by its age.
    pub day: String,
    pub messages: u32,
    pub is_open_elsewhere: bool,
    pub tags: Vec<String>,
    /// It is put away, and left out of lists.
    pub is_archived: bool,
}

/// A message that a search has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundMessage {
    pub hit: Hit,
    /// When it was written, in words.
    pub when: String,
}

/// A chat that was read from the store.
#[derive(Clone, Debug)]
pub struct OpenedChat {
    pub id: ChatId,
    pub title: String,
    /// On all its branches, a parent before its children.
    pub messages: Vec<OpenedMessage>,
    /// The last message of the branch that the chat goes on with.
    pub leaf: Option<MessageId>,
    /// Another window has it open.
    pub is_elsewhere: bool,
}

/// The open chat after something was written to it.
#[derive(Clone, Debug)]
pub struct Changes {
    pub chat: OpenedChat,
    pub stamp: Stamp,
}

/// A message that was read from the store.
#[derive(Clone, Debug)]
pub struct OpenedMessage {
    pub id: MessageId,
    pub parent: Option<MessageId>,
    pub message: Message,
    pub thinking: String,
    /// What of a question was pasted or attached.
    pub folds: Vec<Fold>,
    /// How an answer ended; `None` for a question, and for an answer that another window is writing.
    pub ended: Option<Ended>,
}

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
