//! What a person has the interface do.

use std::path::PathBuf;

use crate::config::About;
use crate::engine::protocol::Think;
use crate::ui::app::Select;
use crate::ui::app::Setting;
use crate::ui::markdown::parts::PartKind;

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
    Quit,
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
    Spec,
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
