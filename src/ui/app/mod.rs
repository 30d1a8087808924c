//! The chat's state and how it changes: [`App::update`] takes a message and returns effects. It does no input or
//! output and reads no clock, so its tests need no terminal, engine or store.

mod ahead;
mod asking;
mod attaching;
mod branches;
mod chats;
mod completion;
mod composing;
mod confirming;
mod continuing;
mod copying;
mod dispatch;
mod drafts;
mod editing;
mod elsewhere;
mod filtering;
mod finding;
mod getting;
mod held;
mod history;
mod kept;
mod lines;
mod look;
mod naming;
mod news;
mod palette;
mod panel;
mod picker;
mod private;
mod queue;
mod reading;
mod renewing;
mod retrying;
mod saving;
mod searching;
mod selecting;
mod sensors;
mod settings;
mod shown;
mod starting;
mod stats;
mod system;
mod tagging;
mod texts;
mod tree;
mod turn;
mod versions;
mod words;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crossterm::event::KeyEvent;

use super::calm::Calm;
use super::composer::{Composer, Edited, Field};
use super::files::Folder;
use super::msg::{ChatRow, Command, Effect, Msg, Slot};
use super::pictures::Protocol;
use super::transcript::Transcript;
use crate::chat::Stats;
use crate::config::{StatusLine, Switch};
use crate::engine::protocol::{GenerateOptions, ModelInfo, Trial};
use crate::models::offers::Offer;
use crate::prompts::PromptText;
use crate::store::ChatId;

use ahead::Ahead;
pub use asking::{Ask, Question};
use attaching::Running;
pub use branches::Sibling;
pub use chats::ChatList;
pub use completion::Completion;
pub use confirming::Confirm;
use continuing::Continued;
use editing::Editing;
use elsewhere::Elsewhere;
use finding::Wanted;
use getting::Getting;
pub use getting::Stopped;
pub use held::Held;
use history::History;
use kept::Kept;
pub use look::Look;
use news::News;
pub use palette::{Palette, Row as PaletteRow};
pub use panel::Panel;
pub use picker::Picker;
use private::Private;
use queue::Queue;
use reading::Reading;
pub use renewing::counts_from;
use retrying::Again;
pub use searching::ChatSearch;
use searching::Jump;
pub use selecting::{Select, Selection};
pub use sensors::Sensed;
use sensors::Sensors;
pub use settings::{Setting, setting};
use starting::Starting;
use stats::Spent;
use tree::Tree;
use turn::Unsaved;
pub use words::Words;

/// A second Ctrl-C within this time leaves.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// Notices on the screen at once; older ones give way.
const MOST_NOTICES: usize = 3;

/// What the program is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum Activity {
    /// There is no model to talk to, for this reason.
    NoModel(String),
    /// The model is being loaded; so much of it is there, 0 to 1.
    Loading(f32),
    /// A model is loaded, and something is tried on it, once.
    Trying(Trial),
    Idle,
    /// The model reads: `done` of `total` tokens.
    Prefilling {
        done: u32,
        total: u32,
    },
    /// What of an earlier document is in the cache is chosen anew: `done` of `total` tokens were looked through.
    Selecting {
        done: u32,
        total: u32,
    },
    Answering(Pace),
    /// The answer was told to stop and has not ended yet.
    Stopping,
}

/// How fast an answer comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    first_at: Instant,
    first_tokens: u32,
    prompt_tokens: u32,
}

/// A question that is not being answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outbox {
    /// It is being written to disk.
    Saving,
    /// It is safe (or nothing is saved) and waits for the model.
    Ready,
}

/// What lies over the chat.
#[derive(Debug, Default)]
pub enum Popup {
    #[default]
    Closed,
    /// The keys, scrolled down by so many lines.
    Help {
        top: u16,
        /// What was typed to narrow them.
        filter: Field,
    },
    Chats(ChatList),
    /// Messages of all chats are looked for.
    Search(ChatSearch),
    Models(Picker),
    /// Whether to download a model.
    Confirm(Confirm),
    /// Something else that is asked before it is done.
    Ask(Ask),
    /// What the context holds, scrolled down by so many lines.
    Context {
        top: u16,
    },
    /// Something told in many words.
    Words(Words),
    Palette(Palette),
    Settings(Panel),
}

/// What lies over the chat at the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Opening {
    #[default]
    Chat,
    /// The list of models, with the choice on the one of this name.
    Models { chosen: Option<String> },
}

/// What the interface starts from.
pub struct Start {
    /// A chat is to be gone on with.
    pub resumes: bool,
    /// Nothing is downloaded.
    pub is_offline: bool,
    pub options: GenerateOptions,
    pub system: Option<String>,
    /// Chats are to be saved.
    pub saves: bool,
    /// They are not, because the person wants it so.
    pub is_private: bool,
    pub notices: Vec<String>,
    pub look: Look,
    /// Whether a message is computed while it is being written.
    pub prefill_while_typing: Switch,
    pub calm: Calm,
    pub status: StatusLine,
    /// The text is edited with the keys of vi.
    pub vi_keys: bool,
    /// How the terminal is sent pictures; `None` if it is not.
    pub pictures: Option<Protocol>,
    /// The terminal is sent what is copied.
    pub copies_through_terminal: bool,
}

/// The whole state of the chat.
pub struct App {
    /// It is not known yet what there is to talk to.
    starting: Option<Starting>,
    activity: Activity,
    model: Option<Box<ModelInfo>>,
    /// What the model is called before it is loaded.
    model_file: String,
    /// How answers are made in new chats, and in this one.
    new_options: GenerateOptions,
    options: GenerateOptions,
    /// The system message of new chats, and that of this one.
    new_system: Option<String>,
    system: Option<String>,
    look: Look,
    transcript: Transcript,
    /// All messages of the chat; the transcript shows one branch of them.
    branches: Tree,
    /// The message that is chosen with the keyboard.
    selection: Option<Selection>,
    /// A question that is being written anew.
    editing: Option<Editing>,
    /// How the next answer differs from others, and what comes back if it does not come.
    again: Again,
    composer: Composer,
    /// Ctrl-X was pressed, and the next key belongs to it.
    is_prefixed: bool,
    /// What the person's editor has, and the text as it was then.
    outside: Option<(String, u64)>,
    queue: Queue,
    history: History,
    kept: Kept,
    completion: Option<Completion>,
    /// The menu was closed, and what was being written then.
    completion_closed: Option<completion::Place>,
    /// The folder of the path that is being written, and the files that were found last.
    files_asked: Option<Folder>,
    files: Vec<String>,
    outbox: Option<Outbox>,
    popup: Popup,
    notices: Vec<String>,
    /// So many of them were there before what the person does now: they give way to what is said to that.
    older_notices: usize,
    has_store: bool,
    /// This chat is written to the store.
    saves: bool,
    /// It is not, because the person wants it so.
    is_private: bool,
    /// The machine that what is said in it may go to.
    may_send_to: Option<String>,
    private: Private,
    chat: Slot<ChatId>,
    /// The title that the person gave this chat.
    title: Option<String>,
    /// This chat is being read from the store.
    opening: Option<ChatId>,
    /// What is to be chosen in it.
    jump: Option<Jump>,
    /// The chat is open in another window.
    elsewhere: Option<Elsewhere>,
    news: News,
    unsaved: Unsaved,
    /// The answer in progress goes on with one that had ended.
    continued: Option<Continued>,
    /// When Ctrl-C was pressed once.
    leave_asked: Option<Instant>,
    /// What that Ctrl-C cleared can still be brought back: the revision of the text after it.
    cleared: Option<u64>,
    tokens_per_second: Option<f64>,
    /// How many tokens the answer in progress may have.
    most_tokens: Option<u32>,
    /// What the last answer cost.
    last_answer: Option<Stats>,
    spent: Spent,
    /// How the prompt of the answer in progress is read.
    reading: Reading,
    held: Held,
    /// It was told that text has left the cache of this chat.
    eviction_told: bool,
    /// Pinned messages that are too long to be kept, by their numbers.
    unkept_pins: Vec<u32>,
    /// Text that has left the cache comes back when a message is about it.
    recalls: bool,
    ahead: Ahead,
    /// What models there were when it was looked the last time.
    offers: Option<Vec<Offer>>,
    /// Those among them that servers have.
    of_servers: Vec<Offer>,
    /// What chats there were, and what texts.
    chats: Option<Vec<ChatRow>>,
    prompts: Option<Vec<PromptText>>,
    wanted: Wanted,
    /// A file that is replaced if it is saved to once more.
    replaces_next: Option<PathBuf>,
    running: Option<Running>,
    getting: Getting,
    is_offline: bool,
    engine_is_lost: bool,
    calm: Calm,
    status: StatusLine,
    sensors: Sensors,
    /// How the terminal is sent pictures.
    pictures: Option<Protocol>,
    /// The terminal is sent what is copied.
    copies_through_terminal: bool,
}

impl App {
    /// The state at the start, before it is known what there is to talk to.
    pub fn new(start: Start) -> Self {
        Self {
            starting: Some(Starting { resumes: start.resumes }),
            activity: Activity::Loading(0.0),
            model: None,
            model_file: String::new(),
            new_options: start.options.clone(),
            options: start.options,
            new_system: start.system.clone(),
            system: start.system,
            look: start.look,
            transcript: Transcript::default(),
            branches: Tree::default(),
            selection: None,
            editing: None,
            again: Again::default(),
            composer: Composer::for_keys(start.vi_keys),
            is_prefixed: false,
            outside: None,
            queue: Queue::default(),
            history: History::default(),
            kept: Kept::starting(start.resumes),
            completion: None,
            completion_closed: None,
            files_asked: None,
            files: Vec::new(),
            outbox: None,
            popup: Popup::Closed,
            notices: start.notices,
            older_notices: 0,
            has_store: start.saves,
            saves: start.saves,
            is_private: start.is_private,
            may_send_to: None,
            private: Private::default(),
            chat: Slot::default(),
            title: None,
            opening: None,
            jump: None,
            elsewhere: None,
            news: News::default(),
            unsaved: Unsaved::default(),
            continued: None,
            leave_asked: None,
            cleared: None,
            tokens_per_second: None,
            most_tokens: None,
            last_answer: None,
            spent: Spent::default(),
            reading: Reading::default(),
            held: Held::default(),
            eviction_told: false,
            unkept_pins: Vec::new(),
            recalls: true,
            ahead: Ahead::new(start.prefill_while_typing),
            offers: None,
            of_servers: Vec::new(),
            chats: None,
            prompts: None,
            wanted: Wanted::default(),
            replaces_next: None,
            running: None,
            getting: Getting::default(),
            is_offline: start.is_offline,
            engine_is_lost: false,
            calm: start.calm,
            status: start.status,
            sensors: Sensors::default(),
            pictures: start.pictures,
            copies_through_terminal: start.copies_through_terminal,
        }
    }

    /// Changes the state by what happened at `now` and says what is to be done.
    pub fn update(&mut self, msg: Msg, now: Instant) -> Vec<Effect> {
        if self.leave_asked.is_some_and(|asked| now >= asked + LEAVE_WITHIN) {
            self.leave_asked = None;
        }
        let does = matches!(msg, Msg::Command(_) | Msg::Edit(_) | Msg::Paste(_) | Msg::Line(_));
        if does {
            self.is_prefixed = false;
        }
        self.older_notices = if does { self.notices.len() } else { 0 };
        // Who goes on does not want to leave.
        if (does || matches!(msg, Msg::Filter(_))) && !matches!(msg, Msg::Command(Command::Interrupt)) {
            self.leave_asked = None;
        }
        if does && !lines::is_stop(&msg) {
            self.getting.unask();
        }
        let is_fresh = matches!(
            msg,
            Msg::Chats(_) | Msg::Offers(_) | Msg::OffersOfServers(_) | Msg::Prompts { .. } | Msg::Files { .. }
        );
        let writes = does && !matches!(msg, Msg::Line(_)) || matches!(msg, Msg::Attached(_) | Msg::Ran(_));
        let was_switching = self.is_switching();
        let mut effects = self.happened(msg, now);
        if was_switching && !self.is_switching() {
            effects.extend(self.answer_if_possible());
        }
        if is_fresh || writes {
            effects.extend(self.complete(is_fresh));
        }
        effects.extend(self.keep_draft(now));
        effects.extend(self.ask_for_news());
        effects
    }

    /// A key for the text. Its first and its last row lead to what was sent before.
    fn edit_text(&mut self, key: KeyEvent, now: Instant) -> Vec<Effect> {
        self.close_words();
        self.stop_selecting();
        self.look_ahead(now);
        match self.composer.edit(key) {
            Edited::Done => {}
            Edited::AboveFirst => return self.walk_back(),
            Edited::BelowLast => self.walk_forward(),
        }
        Vec::new()
    }

    fn paste(&mut self, text: &str) -> Vec<Effect> {
        self.close_words();
        if !matches!(self.popup, Popup::Closed) || self.history.is_searching() {
            return self.paste_in_field(text);
        }
        // What is pasted is to be written, whatever is chosen.
        self.stop_selecting();
        if let Err(sentence) = self.composer.paste(text) {
            self.notice(sentence);
        }
        Vec::new()
    }

    fn move_in_popup(&mut self, by: i16) {
        match &mut self.popup {
            Popup::Closed => self.move_in_search(by),
            Popup::Help { top, .. } | Popup::Context { top } | Popup::Words(Words { top, .. }) => {
                *top = top.saturating_add_signed(by)
            }
            Popup::Confirm(Confirm { top, .. }) | Popup::Ask(Ask { top, .. }) => *top = top.saturating_add_signed(by),
            Popup::Chats(list) => list.move_by(by),
            Popup::Search(search) => search.move_by(by),
            Popup::Models(_) => self.move_in_models(by),
            Popup::Palette(_) => self.move_in_palette(by),
            Popup::Settings(panel) => panel.move_by(by),
        }
    }

    /// What lies over the chat is closed. Else the first press stops the answer or clears the text; each asks for a second one, which leaves. What the first
    /// of two cleared stays with the chat.
    fn interrupt(&mut self, now: Instant) -> Vec<Effect> {
        if self.leave_asked.is_some() {
            if self.cleared == Some(self.composer.revision()) {
                self.composer.undo();
            }
            return self.leave(crate::chat::Ended::Cancelled);
        }
        if self.close_search() {
            return Vec::new();
        }
        if !matches!(self.popup, Popup::Closed) {
            self.popup = Popup::Closed;
            return Vec::new();
        }
        self.leave_asked = Some(now);
        self.cleared = None;
        if self.selection.is_some() {
            self.stop_selecting();
        } else if self.stop_running() {
            self.notices.clear();
        } else if self.is_answering() {
            self.notices.clear();
            return self.stop_answer();
        } else if !self.composer.is_empty() {
            self.composer.clear();
            self.cleared = Some(self.composer.revision());
        }
        Vec::new()
    }

    /// Says something until the next message is sent or Esc is pressed.
    fn notice(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        let older = std::mem::take(&mut self.older_notices).min(self.notices.len());
        self.notices.drain(..older);
        self.notices.retain(|old| *old != sentence);
        self.notices.push(sentence);
        let surplus = self.notices.len().saturating_sub(MOST_NOTICES);
        self.notices.drain(..surplus);
    }

    /// When [`Msg::Tick`] is wanted; never, while nothing moves.
    pub fn wake_at(&self) -> Option<Instant> {
        let forget = self.leave_asked.map(|asked| asked + LEAVE_WITHIN);
        [forget, self.unsaved.due_at(), self.ahead_due_at(), self.draft_due_at(), self.news_due_at()]
            .into_iter()
            .flatten()
            .min()
    }
}

#[cfg(test)]
mod branching_tests;
#[cfg(test)]
mod deleting_tests;
#[cfg(test)]
mod rig;
#[cfg(test)]
pub(super) mod tester;
#[cfg(test)]
mod tests;
