//! Does what the state asks for: hands work to the engine, to the store and to where models come from, and brings their
//! replies back as messages. Never waits.
//!
//! `stored` is what is asked of the store, and `shown` what was read from it as the interface shows it. `attach` gets what
//! is attached to messages.

mod attach;
mod shown;
mod stored;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::app::Sensed;
use super::msg::{Effect, Exported, Msg};
use super::{Supply, attaching, clipboard, export, last_theme, pictures};
use crate::config::SettingsFile;
use crate::engine::Engine;
use crate::engine::protocol::{CancelFlag, ChatKey, Event, RequestId, Work};
use crate::hardware::power;
use crate::models::offers::{Offer, Place};
use crate::store;
use crate::{prompts, text_file};

#[cfg(test)]
pub(in crate::ui) use shown::opened_chat;
#[cfg(test)]
pub(in crate::ui) use stored::{fork, rearrange, write};

/// More than anybody walks through.
pub(in crate::ui) const MOST_FOUND: usize = 100;

/// How long leaving waits for what was computed to be written.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// How long leaving waits for a download to put down what it has.
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked whether it has.
const POLL: Duration = Duration::from_millis(5);
/// How often the battery is looked at.
const LOOK_AT_BATTERY: Duration = Duration::from_secs(30);
/// Below this nothing is computed that may turn out not to be needed.
const LOW_BATTERY_PERCENT: u8 = 30;

/// Whether the machine runs on a battery that is nearly empty.
#[derive(Debug, Default)]
struct Battery {
    looked_at: Option<Instant>,
    is_low: bool,
}

impl Battery {
    fn is_low(&mut self) -> bool {
        if self.looked_at.is_none_or(|at| at.elapsed() >= LOOK_AT_BATTERY) {
            self.looked_at = Some(Instant::now());
            let power = power::read(Path::new("/")).filter(|power| power.on_battery);
            let charge = power.and_then(|power| power.charge_percent);
            self.is_low = charge.is_some_and(|percent| percent < LOW_BATTERY_PERCENT);
        }
        self.is_low
    }
}

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Model,
    Answer,
    /// The next turn, before it is sent.
    Ahead,
    /// Something of which nobody waits for the end.
    Errand,
}

/// Work on a thread of its own that can be stopped: a download, a line of shell.
struct Stoppable {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// The way from effects to the engine, the store and the supply of models, and back.
pub struct Performer {
    engine: Engine,
    store: Option<store::Handle>,
    /// What is asked of the store before it is open; `None` once it is known whether there is one.
    early: Option<Vec<Effect>>,
    supply: Arc<dyn Supply>,
    /// The folder of the person's texts.
    prompts: PathBuf,
    /// Where the theme is remembered.
    theme_file: Option<PathBuf>,
    settings: SettingsFile,
    /// Where pictures of the clipboard are kept.
    pictures: Option<PathBuf>,
    download: Option<Stoppable>,
    command: Option<Stoppable>,
    replies: UnboundedSender<Msg>,
    requests: HashMap<RequestId, Purpose>,
    load: Option<(RequestId, CancelFlag)>,
    cancel_answer: Option<CancelFlag>,
    cancel_ahead: Option<CancelFlag>,
    battery: Battery,
    /// There may be a clipboard of the machine's own.
    has_clipboard: bool,
    /// Started with the first copy.
    clipboard: Option<clipboard::Native>,
}

impl Performer {
    pub fn new(
        engine: Engine,
        supply: Arc<dyn Supply>,
        prompts: PathBuf,
        theme_file: Option<PathBuf>,
        settings: SettingsFile,
        pictures: Option<PathBuf>,
        replies: UnboundedSender<Msg>,
    ) -> Self {
        Self {
            engine,
            store: None,
            early: Some(Vec::new()),
            supply,
            prompts,
            theme_file,
            settings,
            pictures,
            download: None,
            command: None,
            replies,
            requests: HashMap::new(),
            load: None,
            cancel_answer: None,
            cancel_ahead: None,
            battery: Battery::default(),
            has_clipboard: clipboard::Native::is_likely(&|name| std::env::var(name).ok()),
            clipboard: None,
        }
    }

    /// Takes another engine. Nobody answers any more what the one before it was asked.
    pub fn replace_engine(&mut self, engine: Engine) {
        self.engine = engine;
        self.requests.clear();
        self.load = None;
    }

    /// The store is there, or it is known that there is none: does what was asked of it before.
    pub fn begin(&mut self, store: Option<store::Handle>) {
        self.store = store;
        for effect in self.early.take().into_iter().flatten() {
            self.perform(effect);
        }
    }

    /// Whether it is known that there is a store, or none.
    pub fn is_prepared(&self) -> bool {
        self.early.is_none()
    }

    /// What an event of the engine means to the state; nothing if its request is over.
    pub fn message(&mut self, event: Event) -> Option<Msg> {
        let purpose = *self.requests.get(&event.id)?;
        if event.step.is_terminal() {
            self.requests.remove(&event.id);
        }
        Some(match purpose {
            Purpose::Model => Msg::Model(event.step),
            Purpose::Answer => Msg::Answer(event.step),
            Purpose::Ahead => Msg::Ahead(event.step),
            Purpose::Errand => return None,
        })
    }

    /// Does everything but what is about the terminal, which is the loop's.
    pub fn perform(&mut self, effect: Effect) {
        if let Some(early) = &mut self.early
            && effect.is_for_store()
        {
            early.push(effect);
            return;
        }
        match effect {
            Effect::Load(settings) => {
                self.forget_load();
                self.load = Some(self.submit(Work::Load(settings), Purpose::Model));
            }
            Effect::Generate(prompt, options) => {
                self.cancel_answer = Some(self.submit(Work::Generate(prompt, options), Purpose::Answer).1);
            }
            Effect::CancelAnswer => self.cancel_answer.iter().for_each(CancelFlag::cancel),
            Effect::Plan(prompt, think) => self.ask_ahead(Work::Plan(prompt, think)),
            Effect::Prefill { prompt, think, spare_battery } => {
                let is_spared = spare_battery && self.battery.is_low();
                self.ask_ahead(if is_spared { Work::Plan(prompt, think) } else { Work::Prefill(prompt, think) });
            }
            Effect::CancelAhead => self.cancel_ahead.iter().for_each(CancelFlag::cancel),
            Effect::Snapshot => drop(self.submit(Work::Snapshot, Purpose::Errand)),
            Effect::Forget(chat) => drop(self.submit(Work::Forget(ChatKey(chat.0)), Purpose::Errand)),
            Effect::Export { path, name, what: Exported::Text(text), replaces } => {
                self.export(path, name, text, replaces);
            }
            Effect::ReadSystem(path) => self.reply_from_a_thread("system prompt", move || {
                Msg::SystemRead(text_file::read(&text_file::at_home(&path)))
            }),
            Effect::ListFiles(folder) => self.reply_from_a_thread("files", move || {
                let paths = folder.list();
                Msg::Files { folder, paths }
            }),
            Effect::ListPrompts => self.list_prompts(),
            Effect::Attach(path) => drop(self.attach(Msg::Attached, move || attaching::read(&path))),
            Effect::Run { line, stop } => self.run(line, stop),
            Effect::AttachClipboard { is_private } => self.attach_clipboard(is_private),
            Effect::LookForFiles(names) => self.reply_from_a_thread("names", move || {
                let (there, missing) = names.into_iter().partition(|name| attaching::is_there(name));
                Msg::NotAttached { there, missing }
            }),
            Effect::ReadPicture(wanted) => self.reply_from_a_thread("picture", move || {
                let outcome = pictures::read(&wanted);
                Msg::PictureRead { wanted, outcome }
            }),
            Effect::Copy { text, what } => self.copy(text, what),
            Effect::ListModels => {
                self.ask_supply(|supply| Msg::Offers(supply.offers()));
                self.ask_supply(|supply| Msg::OffersOfServers(supply.offers_of_servers()));
            }
            Effect::FindModel(typed) => self.ask_supply(move |supply| {
                let found = supply.find(&typed).map(Box::new).map_err(|error| error.to_string());
                Msg::ModelFound(found)
            }),
            Effect::Get { choice, offer } => self.get(choice, offer),
            Effect::StopDownload => self.stop_download(),
            Effect::ReadSettings => self.with_settings(|settings| Msg::Settings(settings.standings())),
            Effect::ChangeSetting { about, value } => self.with_settings(move |settings| {
                let result = settings.change(&about.key, value.as_deref()).map(Box::new);
                Msg::SettingChanged { about, result }
            }),
            Effect::Sense => self.reply_from_a_thread("sensors", || Msg::Sensed(Sensed::read(Path::new("/")))),
            Effect::Remember(name) => drop(self.on_a_thread(move |supply| supply.remember(&name))),
            Effect::RememberTheme(name) => {
                if let Some(file) = self.theme_file.clone() {
                    self.on_a_thread(move |_| last_theme::remember(&file, &name));
                }
            }
            Effect::Suspend | Effect::Redraw | Effect::EditOutside { .. } | Effect::Leave => {}
            effect => self.ask_store(effect),
        }
    }

    /// Writes a text into a file.
    fn export(&self, path: Option<PathBuf>, name: String, text: String, replaces: bool) {
        self.reply_from_a_thread("export", move || {
            let result = export::write(path.as_deref(), &name, &text, replaces);
            Msg::Exported { path, result }
        });
    }

    fn list_prompts(&self) {
        let folder = self.prompts.clone();
        self.reply_from_a_thread("prompts", move || {
            let (texts, problems) = prompts::all(&folder);
            Msg::Prompts { texts, problems }
        });
    }

    /// Does something with `config.toml`, and sends what came of it.
    fn with_settings(&self, work: impl FnOnce(&SettingsFile) -> Msg + Send + 'static) {
        let settings = self.settings.clone();
        self.reply_from_a_thread("settings", move || work(&settings));
    }

    fn submit(&mut self, work: Work, purpose: Purpose) -> (RequestId, CancelFlag) {
        let (id, cancel) = self.engine.submit(work);
        self.requests.insert(id, purpose);
        (id, cancel)
    }

    fn ask_ahead(&mut self, work: Work) {
        self.cancel_ahead = Some(self.submit(work, Purpose::Ahead).1);
    }

    /// A load that is under way gives way to another, and nobody hears of it any more.
    fn forget_load(&mut self) {
        if let Some((id, cancel)) = self.load.take()
            && self.requests.remove(&id).is_some()
        {
            cancel.cancel();
        }
    }

    /// Finds out how to load a model, and downloads it if need be.
    fn get(&mut self, choice: u64, offer: Offer) {
        let cancel = Arc::new(AtomicBool::new(false));
        let is_download = matches!(offer.place, Place::Download { .. });
        let (replies, stop) = (self.replies.clone(), Arc::clone(&cancel));
        let thread = self.on_a_thread(move |supply| {
            let mut tell = |progress| drop(replies.send(Msg::Downloading { choice, progress }));
            let result = supply.get(&offer, &stop, &mut tell).map(Box::new).map_err(|error| error.to_string());
            // The loop is gone only when the program ends.
            let _ = replies.send(Msg::Got { choice, result });
        });
        match thread {
            Some(thread) if is_download => {
                self.stop_download();
                self.download = Some(Stoppable { stop: cancel, thread });
            }
            Some(_) => {}
            None => {
                let result = Err("the system cannot start a thread; close other programs and try again".into());
                let _ = self.replies.send(Msg::Got { choice, result });
            }
        }
    }

    fn stop_download(&mut self) {
        if let Some(download) = &self.download {
            download.stop.store(true, Ordering::Relaxed);
        }
    }

    /// The machine's own clipboard, where there may be one.
    fn native_clipboard(&mut self) -> Option<&clipboard::Native> {
        if self.clipboard.is_none() && self.has_clipboard {
            self.clipboard = clipboard::Native::start();
        }
        self.clipboard.as_ref()
    }

    /// Asks the supply something that may take long. `None` where the system has no thread for that.
    fn on_a_thread(&self, ask: impl FnOnce(&dyn Supply) + Send + 'static) -> Option<JoinHandle<()>> {
        let supply = Arc::clone(&self.supply);
        thread::Builder::new().name("models".into()).spawn(move || ask(&*supply)).ok()
    }

    /// Asks the supply something that may take long, and sends the answer.
    fn ask_supply(&self, ask: impl FnOnce(&dyn Supply) -> Msg + Send + 'static) {
        let replies = self.replies.clone();
        self.on_a_thread(move |supply| drop(replies.send(ask(supply))));
    }

    /// Does something with files that may take long, and sends what came of it.
    fn reply_from_a_thread(&self, name: &str, work: impl FnOnce() -> Msg + Send + 'static) {
        let replies = self.replies.clone();
        // The loop is gone only when the program ends.
        let thread = thread::Builder::new().name(name.into()).spawn(move || drop(replies.send(work())));
        if thread.is_err() {
            let sentence = "the system cannot start a thread; close other programs and try again";
            let _ = self.replies.send(Msg::StoreFailed(sentence.into()));
        }
    }

    /// Lets the engine and the store end what they were told to do, a download put down what it has, and ends a line of
    /// shell.
    pub fn finish(mut self) {
        self.stop_download();
        if let Some(command) = &self.command {
            command.stop.store(true, Ordering::Relaxed);
        }
        let deadline = Instant::now() + STOP_WITHIN;
        self.engine.finish(LEAVE_WITHIN);
        for work in [self.download, self.command].into_iter().flatten() {
            while !work.thread.is_finished() && Instant::now() < deadline {
                thread::sleep(POLL);
            }
        }
    }

    /// Copies to the machine's own clipboard, and tells whether there is one.
    fn copy(&mut self, text: String, what: String) {
        let (bytes, replies) = (text.len(), self.replies.clone());
        let reply = move |is_copied| {
            let message = if is_copied { Msg::Copied { what, bytes } } else { Msg::NotCopied { what } };
            // The loop is gone only when the program ends.
            let _ = replies.send(message);
        };
        match self.native_clipboard() {
            Some(clipboard) => clipboard.copy(text, reply),
            None => reply(false),
        }
    }
}
