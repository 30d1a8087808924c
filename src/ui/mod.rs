//! The terminal interface: a chat with one model.
//!
//! What happens becomes a message (`msg`, keys through the table in `keys`), `app` changes its state by it and
//! answers with effects, `perform` does them, `view` draws the state. Only `event_loop` and `terminal` touch
//! the terminal. Commands that are written instead of a message have their table in `slash`.
//!
//! - `backstage`: what the screen and plain lines both stand on. `plain`: the chat in lines, without a screen.
//! - `inline` and `scrollback`: a few lines at the bottom of the screen, and what is written above them for good.
//! - `transcript` and `composer`: the two parts of the screen with a state of their own.
//! - `clipboard`: copying, through the terminal and to the machine's own clipboard.
//! - `export`: the conversation as a file for others. `files`: those that a path may mean. `fuzzy`: which things a few
//!   letters mean.
//! - `days`: times in a few words. `folds`: which parts of a message were pasted or attached.
//! - `background`: whether the terminal is light or dark.
//! - `notifying`: what is told to the terminal about the program as a whole.
//! - `attaching`: reading files for messages. `editor`: the person's own. `keyboard`: what is typed.
//! - `calm`: how often is drawn what moves by itself. `status_line`: what the status line shows.
//! - `supply`: where the models come from that can be chosen.
//! - `pictures`: those attached to questions, shown where the terminal can.
//! - `markdown`: an answer's text to styled lines. `theme`: the styles.

mod app;
mod attaching;
mod background;
mod backstage;
pub mod calm;
mod clipboard;
mod composer;
mod days;
mod editor;
mod event_loop;
mod export;
mod files;
mod folds;
mod fuzzy;
mod inline;
pub mod keyboard;
pub mod keys;
mod last_theme;
mod links;
pub mod markdown;
mod msg;
pub mod notifying;
mod outlet;
mod perform;
mod pictures;
pub mod plain;
mod scrollback;
pub mod signals;
pub mod slash;
mod supply;
pub mod terminal;
pub mod theme;
mod transcript;
pub mod tty;
mod view;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

pub use app::{Opening, counts_from};
pub use supply::Supply;

use crate::config::{Motion, Notify, Saying, SettingsFile, StatusLine, Switch, ThemeName};
use crate::engine;
use crate::engine::protocol::{GenerateOptions, LoadSettings};
use crate::store;

/// How the chat is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// Drawn on the whole screen.
    Screen,
    /// Drawn in a few lines at the bottom; what was said is above them in the terminal's scrollback.
    Inline,
    /// Said in lines, one after the other.
    Lines(Saying),
}

/// What the chat is started with.
pub struct Setup {
    pub face: Face,
    pub engine: engine::Source,
    /// Opens the store and finds a model, which may take long; `None` if there can be no chat. Called on a thread of its
    /// own once the terminal is ours.
    pub prepare: Box<dyn FnOnce() -> Option<Prepared> + Send>,
    /// A chat is to be gone on with, which one is known later.
    pub resumes: bool,
    /// Chats are to be saved.
    pub saves: bool,
    /// Where other models come from.
    pub supply: Arc<dyn Supply>,
    /// The folder of texts that can be put into the composer.
    pub prompts: PathBuf,
    /// Nothing is downloaded.
    pub is_offline: bool,
    pub options: GenerateOptions,
    /// The system message of new chats.
    pub system: Option<String>,
    /// Whether a message is computed while it is being written.
    pub prefill_while_typing: Switch,
    /// The text is edited with the keys of vi.
    pub vi_keys: bool,
    /// Whether pictures are shown.
    pub images: Switch,
    /// The wheel is the program's, and not the terminal's.
    pub mouse: bool,
    /// The window is named.
    pub title: bool,
    /// How the end of an answer is told while the window has no focus.
    pub notify: Notify,
    /// Whether only ASCII characters are drawn; `Auto` goes by the locale.
    pub ascii: Switch,
    /// What lies over the chat has a frame.
    pub borders: bool,
    /// How much moves on the screen.
    pub motion: Motion,
    /// Whether less is drawn to spare the battery.
    pub save_power: Switch,
    /// What the status line shows.
    pub status: StatusLine,
    /// `config.toml`, to be shown and changed.
    pub settings: SettingsFile,
    /// The theme that is set; else the one that was chosen last is taken, and remembered in this file.
    pub theme: ThemeName,
    pub theme_file: Option<PathBuf>,
    /// The folder in which pictures of the clipboard are kept that are attached.
    pub pictures: Option<PathBuf>,
    /// The folder of the person's own themes.
    pub themes: PathBuf,
    /// What the person should know at once.
    pub notices: Vec<String>,
}

/// What was found behind the first frame.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The model to load; else a sentence that says why there is none and what to type.
    pub model: Result<LoadSettings, String>,
    pub opening: Opening,
    /// Where chats are saved; `None` saves nothing.
    pub store: Option<store::Handle>,
    /// The chat to go on with.
    pub resume: Option<store::ChatId>,
    pub notices: Vec<String>,
}

/// What is left of a chat that has ended.
pub struct Ended {
    /// Where there was a screen: dropping it gives back the rest of the terminal, after everything else is done, so that
    /// nothing that is typed meanwhile is echoed.
    pub terminal: Option<terminal::Terminal>,
    /// An answer failed, and a script cannot have seen it.
    pub has_failed: bool,
}

/// Runs the chat until the person leaves. The screen is given back before this returns, whatever happened.
///
/// # Errors
/// If standard output is no terminal, or the system refuses a thread or a signal handler.
pub fn run(setup: Setup) -> anyhow::Result<Ended> {
    if let Face::Lines(saying) = setup.face {
        let has_failed = plain::run(setup, saying)?;
        return Ok(Ended { terminal: None, has_failed });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _context = runtime.enter();
    let focus = setup.notify != Notify::Off;
    let inline = setup.face == Face::Inline;
    // The wheel goes through the scrollback.
    let wanted = terminal::Wanted { mouse: setup.mouse && !inline, focus, title: setup.title, inline };
    let mut terminal = terminal::Terminal::enter(wanted)
        .context("the chat needs a terminal; ask with `tuichat -p TEXT` where there is none")?;
    let event_loop = event_loop::EventLoop::start(&mut terminal, setup)?;
    runtime.block_on(event_loop.run());
    Ok(Ended { terminal: Some(terminal), has_failed: false })
}
