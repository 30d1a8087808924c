//! Does what the state asks for: hands work to the engine, to the store and to where models come from, and brings their
//! replies back as messages. Never waits.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use super::composer::Part;
use super::msg::{
    Changes, ChatRow, Effect, Exported, FoundMessage, Msg, OpenedChat, OpenedMessage, Save, SentMessage, Slot,
};
use super::{Supply, attaching, clipboard, days, export, folds, last_theme, pictures};
use crate::chat::Message;
use crate::engine::Engine;
use crate::engine::protocol::{CancelFlag, ChatKey, Event, RequestId, Work};
use crate::hardware::power;
use crate::models::offers::{Offer, Place};
use crate::store::{self, ChatId, ChatTree, MessageId, Stamp, Store, StoredMessage};
use crate::{prompts, text_file};

/// More than anybody looks through; the filter works on these.
const MOST_CHATS: usize = 1000;
/// More than anybody walks through.
pub(in crate::ui) const MOST_FOUND: usize = 100;

/// As many messages sent before as anybody walks through, and so many bytes of them.
const MOST_SENT: usize = 1000;
const MOST_SENT_BYTES: usize = 2 * 1024 * 1024;

/// How long leaving waits for what was computed to be written.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);
/// How long leaving waits for a download to put down what it has.
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked whether it has.
const POLL: Duration = Duration::from_millis(5);
/// How often the battery is looked at.
const LOOK_AT_BATTERY: Duration = Duration::from_secs(30);
/// How soon what another program writes is seen.
const LOOK_OUTSIDE: Duration = Duration::from_secs(1);
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

/// A download on a thread of its own.
struct Download {
    cancel: Arc<AtomicBool>,
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
    download: Option<Download>,
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
        replies: UnboundedSender<Msg>,
    ) -> Self {
        Self {
            engine,
            store: None,
            early: Some(Vec::new()),
            supply,
            prompts,
            theme_file,
            download: None,
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

    /// Tells when another program has written to the file of chats.
    pub fn watch_store(&self) {
        let replies = self.replies.clone();
        if let Some(store) = &self.store {
            // The loop is gone only when the program ends.
            store.watch(LOOK_OUTSIDE, move || drop(replies.send(Msg::WrittenOutside)));
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
            Effect::CancelAnswer => {
                if let Some(cancel) = &self.cancel_answer {
                    cancel.cancel();
                }
            }
            Effect::Plan(prompt, think) => self.ask_ahead(Work::Plan(prompt, think)),
            Effect::Prefill { prompt, think, spare_battery } => {
                let is_spared = spare_battery && self.battery.is_low();
                self.ask_ahead(if is_spared { Work::Plan(prompt, think) } else { Work::Prefill(prompt, think) });
            }
            Effect::CancelAhead => {
                if let Some(cancel) = &self.cancel_ahead {
                    cancel.cancel();
                }
            }
            Effect::Snapshot => drop(self.submit(Work::Snapshot, Purpose::Errand)),
            Effect::Forget(chat) => drop(self.submit(Work::Forget(ChatKey(chat.0)), Purpose::Errand)),
            Effect::Save(save) => self.save(save),
            Effect::Pin { message, is_pinned } => self.pin(message, is_pinned),
            Effect::Rename { chat, title } => self.rename(chat, title),
            Effect::Export { path, name, what: Exported::Text(text), replaces } => {
                self.reply_from_a_thread("export", move || {
                    let result = export::write(path.as_deref(), &name, &text, replaces);
                    Msg::Exported { path, result }
                });
            }
            Effect::Export { path, name, what: Exported::Stored { chat, form }, replaces } => self.ask(
                move |store| {
                    let text = form.write(&store.whole_chat(chat)?);
                    let result = export::write(path.as_deref(), &name, &text, replaces);
                    Ok((path, result))
                },
                |(path, result)| Msg::Exported { path, result },
            ),
            Effect::ReadSystem(path) => self.reply_from_a_thread("system prompt", move || {
                Msg::SystemRead(text_file::read(&export::at_home(&path)))
            }),
            Effect::ListFiles(folder) => self.reply_from_a_thread("files", move || {
                let paths = folder.list();
                Msg::Files { folder, paths }
            }),
            Effect::ListPrompts => {
                let folder = self.prompts.clone();
                self.reply_from_a_thread("prompts", move || {
                    let (texts, problems) = prompts::all(&folder);
                    Msg::Prompts { texts, problems }
                });
            }
            Effect::Attach(path) => self.attach(path),
            Effect::LookForFiles(names) => self.reply_from_a_thread("names", move || {
                let (there, missing) = names.into_iter().partition(|name| attaching::is_there(name));
                Msg::NotAttached { there, missing }
            }),
            Effect::ReadPicture(wanted) => self.reply_from_a_thread("picture", move || {
                let outcome = pictures::read(&wanted);
                Msg::PictureRead { wanted, outcome }
            }),
            Effect::ListChats => self.ask(|store| store.chats(MOST_CHATS), |chats| Msg::Chats(rows(chats))),
            Effect::SearchChats(words) => {
                let wanted = words.clone();
                self.ask(
                    move |store| store.search(&wanted, MOST_FOUND),
                    move |hits| Msg::FoundMessages { words, found: found(hits) },
                );
            }
            Effect::OpenChat(id) => {
                self.ask(move |store| read_chat(store, id), Msg::ChatOpened);
                self.read_draft(Some(id));
                self.take_chat(id);
            }
            Effect::TakeChat(id) => self.take_chat(id),
            Effect::LeaveChat => self.call(Store::leave_chat, |left| left.err().map(Msg::StoreFailed)),
            Effect::ReadChanges { chat, seen } => self.call(
                move |store| read_changes(store, chat, seen),
                |changes| {
                    let changes = changes.inspect_err(|error| tracing::warn!(%error, "the chat was not read again"));
                    Some(Msg::Changed(changes.ok().flatten().map(Box::new)))
                },
            ),
            Effect::GoOn { chat, message } => {
                self.ask(move |store| go_on(store, chat, &message), Msg::Forked);
            }
            Effect::SaveDraft { chat, parts, adds: true } => self.add_to_draft(chat, parts),
            Effect::SaveDraft { chat, parts, adds: false } => self.save_draft(chat, parts),
            Effect::ReadDraft(chat) => self.read_draft(chat),
            Effect::ReadSent => self.ask(|store| store.sent(MOST_SENT, MOST_SENT_BYTES), sent_read),
            Effect::GoTo { .. } | Effect::DeleteMessage { .. } => {
                self.call(move |store| rearrange(store, &effect), |done| done.err().map(Msg::StoreFailed));
            }
            Effect::Fork { chat, message } => self.call(
                move |store| fork(store, &chat, &message),
                |forked| match forked {
                    Ok(chat) => chat.map(Msg::Forked),
                    Err(sentence) => Some(Msg::StoreFailed(sentence)),
                },
            ),
            Effect::Copy { text, what } => self.copy(text, what),
            Effect::DeleteChat(id) => self.ask(move |store| store.delete_chat(id), move |()| Msg::ChatDeleted(id)),
            Effect::RestoreChat => self.ask(Store::restore_chat, Msg::ChatRestored),
            Effect::TagChat { chat, add, remove } => self.call(
                move |store| chat.get().map(|id| store.tag_chat(*id, &add, &remove)).transpose(),
                |tagged| match tagged {
                    Ok(tags) => tags.map(Msg::Tagged),
                    Err(sentence) => Some(Msg::StoreFailed(sentence)),
                },
            ),
            Effect::ArchiveChat { chat, is_archived } => self.call(
                move |store| chat.get().map_or(Ok(()), |id| store.archive_chat(*id, is_archived)),
                |archived| archived.err().map(Msg::StoreFailed),
            ),
            Effect::ListModels => {
                let replies = self.replies.clone();
                self.on_a_thread(move |supply| drop(replies.send(Msg::Offers(supply.offers()))));
            }
            Effect::FindModel(typed) => {
                let replies = self.replies.clone();
                self.on_a_thread(move |supply| {
                    let found = supply.find(&typed).map(Box::new).map_err(|error| error.to_string());
                    drop(replies.send(Msg::ModelFound(found)));
                });
            }
            Effect::Get { choice, offer } => self.get(choice, offer),
            Effect::StopDownload => self.stop_download(),
            Effect::Remember(name) => drop(self.on_a_thread(move |supply| supply.remember(&name))),
            Effect::RememberTheme(name) => {
                if let Some(file) = self.theme_file.clone() {
                    self.on_a_thread(move |_| last_theme::remember(&file, &name));
                }
            }
            Effect::Suspend | Effect::EditOutside { .. } | Effect::Leave => {}
        }
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
                self.download = Some(Download { cancel, thread });
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
            download.cancel.store(true, Ordering::Relaxed);
        }
    }

    /// Reads a file on a thread of its own: it may lie on a disk that sleeps.
    fn attach(&self, path: String) {
        let replies = self.replies.clone();
        let read = move || {
            // The loop is gone only when the program ends.
            let _ = replies.send(Msg::Attached(attaching::read(&path)));
        };
        if thread::Builder::new().name("attaching".into()).spawn(read).is_err() {
            let sentence = "the system cannot start a thread; close other programs and try again";
            let _ = self.replies.send(Msg::Attached(Err(sentence.into())));
        }
    }

    /// Asks the supply something that may take long. `None` where the system has no thread for that.
    fn on_a_thread(&self, ask: impl FnOnce(&dyn Supply) + Send + 'static) -> Option<JoinHandle<()>> {
        let supply = Arc::clone(&self.supply);
        thread::Builder::new().name("models".into()).spawn(move || ask(&*supply)).ok()
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

    /// Lets the engine and the store end what they were told to do, and a download put down what it has.
    pub fn finish(mut self) {
        self.stop_download();
        let deadline = Instant::now() + STOP_WITHIN;
        self.engine.finish(LEAVE_WITHIN);
        if let Some(download) = self.download {
            while !download.thread.is_finished() && Instant::now() < deadline {
                thread::sleep(POLL);
            }
        }
    }

    fn save(&self, save: Save) {
        let is_question = matches!(save, Save::Question { .. });
        self.call(
            move |store| write(store, save),
            move |written| match written {
                Ok(()) => is_question.then_some(Msg::QuestionSaved),
                Err(sentence) => Some(Msg::SaveFailed(sentence)),
            },
        );
    }

    fn save_draft(&self, chat: Slot<ChatId>, parts: Vec<Part>) {
        self.call(
            move |store| store.set_draft(chat.get().copied(), &written_draft(&parts)),
            |saved| saved.err().map(|sentence| Msg::StoreFailed(format!("{sentence}; what you write is not kept"))),
        );
    }

    /// Keeps these parts behind what is kept already.
    fn add_to_draft(&self, chat: Slot<ChatId>, parts: Vec<Part>) {
        let add = move |store: &mut Store| {
            let chat = chat.get().copied();
            let mut messages = vec![store.draft(chat)?.map(parts_of_draft).unwrap_or_default(), parts];
            messages.retain(|parts| !parts.is_empty());
            store.set_draft(chat, &written_draft(&messages.join(&Part::Text("\n\n".into()))))
        };
        self.call(add, |saved| saved.err().map(Msg::StoreFailed));
    }

    fn read_draft(&self, chat: Option<ChatId>) {
        self.ask(
            move |store| store.draft(chat),
            move |draft| Msg::DraftRead { chat, parts: draft.map(parts_of_draft).unwrap_or_default() },
        );
    }

    /// Whether it can be taken was told when it was read.
    fn take_chat(&self, id: ChatId) {
        self.call(move |store| store.take_chat(id), |taken| taken.err().map(Msg::StoreFailed));
    }

    /// A message that could not be written has no id, and no pin; that was reported then.
    fn pin(&self, message: Slot<MessageId>, is_pinned: bool) {
        self.call(
            move |store| message.get().map_or(Ok(()), |id| store.pin_message(*id, is_pinned)),
            |pinned| pinned.err().map(Msg::StoreFailed),
        );
    }

    /// A chat whose first message could not be written has no id; that was reported then.
    fn rename(&self, chat: Slot<ChatId>, title: String) {
        self.call(
            move |store| chat.get().map_or(Ok(()), |id| store.rename_chat(*id, &title)),
            |renamed| renamed.err().map(Msg::StoreFailed),
        );
    }

    /// Copies to the machine's own clipboard, and tells whether there is one.
    fn copy(&mut self, text: String, what: String) {
        if self.clipboard.is_none() && self.has_clipboard {
            self.clipboard = clipboard::Native::start();
        }
        let (bytes, replies) = (text.len(), self.replies.clone());
        let reply = move |is_copied| {
            let message = if is_copied { Msg::Copied { what, bytes } } else { Msg::NotCopied { what } };
            // The loop is gone only when the program ends.
            let _ = replies.send(message);
        };
        match &self.clipboard {
            Some(clipboard) => clipboard.copy(text, reply),
            None => reply(false),
        }
    }

    fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Store) -> store::Result<T> + Send + 'static,
        answer: impl FnOnce(T) -> Msg + Send + 'static,
    ) {
        self.call(question, move |result| Some(result.map_or_else(Msg::StoreFailed, answer)));
    }

    /// Calls the store and sends what `reply` makes of its result to the loop.
    fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Store) -> store::Result<T> + Send + 'static,
        reply: impl FnOnce(Result<T, String>) -> Option<Msg> + Send + 'static,
    ) {
        let Some(store) = &self.store else { return };
        let result = store.call(call);
        let replies = self.replies.clone();
        tokio::spawn(async move {
            let result = match result.await {
                Ok(result) => result.map_err(|error| error.to_string()),
                Err(_) => Err("the store stopped unexpectedly; the log says why".to_owned()),
            };
            if let Some(msg) = reply(result) {
                // The loop is gone only when the program ends.
                let _ = replies.send(msg);
            }
        });
    }
}

fn written_draft(parts: &[Part]) -> String {
    if parts.is_empty() { String::new() } else { serde_json::json!(parts).to_string() }
}

fn parts_of_draft(draft: String) -> Vec<Part> {
    // Of another version, perhaps; then it is shown as it is.
    serde_json::from_str(&draft).unwrap_or_else(|_| vec![Part::Text(draft)])
}

/// On the store's thread. A message whose beginning could not be written has no id; that was reported then.
pub(in crate::ui) fn write(store: &mut Store, save: Save) -> store::Result<()> {
    match save {
        Save::Question { chat, title, system, parent, message, text, folds } => {
            let is_new = chat.get().is_none();
            let chat = match chat.get() {
                Some(id) => *id,
                None => {
                    let id = store.create_chat(&title, system.as_deref())?;
                    *chat.get_or_init(|| id)
                }
            };
            let parent = parent.and_then(|slot| slot.get().copied());
            let id = store.add_question(chat, parent, &text, folds::written(&folds).as_deref())?;
            message.get_or_init(|| id);
            if is_new {
                store.take_chat(chat)?;
            }
        }
        Save::AnswerBegins { chat, parent, message, model, sampling } => {
            if let (Some(chat), Some(parent)) = (chat.get(), parent.get()) {
                let id = store.begin_answer(*chat, *parent, &model, &sampling)?;
                message.get_or_init(|| id);
            }
        }
        Save::AnswerContinues { message } => {
            if let Some(id) = message.get() {
                store.continue_answer(*id)?;
            }
        }
        Save::AnswerGrows { message, text, thinking } => {
            if let Some(id) = message.get() {
                store.append_answer(*id, &text, &thinking)?;
            }
        }
        Save::AnswerEnds { message, ended, stats, seed } => {
            if let Some(id) = message.get() {
                store.finish_answer(*id, ended, &stats, seed)?;
            }
        }
    }
    Ok(())
}

/// On the store's thread. What could not be written has no id; that was reported then.
pub(in crate::ui) fn rearrange(store: &mut Store, effect: &Effect) -> store::Result<()> {
    match effect {
        Effect::GoTo { chat, leaf } => match (chat.get(), leaf.as_ref().map(|leaf| leaf.get())) {
            (Some(chat), None) => store.go_to(*chat, None),
            (Some(chat), Some(Some(leaf))) => store.go_to(*chat, Some(*leaf)),
            _ => Ok(()),
        },
        Effect::DeleteMessage { message } => message.get().map_or(Ok(()), |id| store.delete_message(*id)),
        _ => Ok(()),
    }
}

pub(in crate::ui) fn fork(
    store: &mut Store,
    chat: &Slot<ChatId>,
    message: &Slot<MessageId>,
) -> store::Result<Option<OpenedChat>> {
    let (Some(chat), Some(message)) = (chat.get(), message.get()) else { return Ok(None) };
    let copy = store.fork(*chat, *message)?;
    read_chat(store, copy).map(Some)
}

/// The chat itself, if no other window has it open any more, else a copy up to this message.
fn go_on(store: &mut Store, chat: ChatId, message: &Slot<MessageId>) -> store::Result<OpenedChat> {
    if store.take_chat(chat)? {
        return read_chat(store, chat);
    }
    let message = message.get().copied().ok_or(store::StoreError::NoSuchChat(chat))?;
    let copy = store.fork(chat, message)?;
    read_chat(store, copy)
}

/// The chat, unless it is as it was seen last.
fn read_changes(store: &Store, id: ChatId, seen: Option<Stamp>) -> store::Result<Option<Changes>> {
    let stamp = store.stamp(id)?;
    if seen.as_ref() == Some(&stamp) {
        return Ok(None);
    }
    Ok(Some(Changes { chat: read_chat(store, id)?, stamp }))
}

fn read_chat(store: &Store, id: ChatId) -> store::Result<OpenedChat> {
    let is_elsewhere = store.is_open_elsewhere(id)?;
    let tree = store.tree(id)?;
    let title = store.chat(id)?.map(|chat| chat.title).unwrap_or_default();
    Ok(OpenedChat { is_elsewhere, ..opened_chat(id, title, tree) })
}

pub(in crate::ui) fn opened_chat(id: ChatId, title: String, tree: ChatTree) -> OpenedChat {
    let messages = tree.messages.into_iter().map(opened).collect();
    OpenedChat { id, title, messages, leaf: tree.leaf, is_elsewhere: false }
}

fn opened(stored: StoredMessage) -> OpenedMessage {
    let folds = stored.folds.map_or(Vec::new(), |written| folds::read(&written, &stored.text));
    OpenedMessage {
        id: stored.id,
        parent: stored.parent,
        message: Message { is_pinned: stored.is_pinned, ..Message::new(stored.role, stored.text) },
        thinking: stored.thinking,
        folds,
        ended: stored.ended,
    }
}

fn sent_read(sent: Vec<store::Sent>) -> Msg {
    let read = |store::Sent { text, folds }| {
        let folds = folds.map_or(Vec::new(), |written| folds::read(&written, &text));
        SentMessage { text, folds }
    };
    Msg::SentRead(sent.into_iter().map(read).collect())
}

fn found(hits: Vec<store::Hit>) -> Vec<FoundMessage> {
    let today = days::today();
    hits.into_iter().map(|hit| FoundMessage { when: days::short(hit.created_at, &today), hit }).collect()
}

fn rows(chats: Vec<store::ChatSummary>) -> Vec<ChatRow> {
    let today = days::today();
    let now = today.timestamp();
    chats
        .into_iter()
        .map(|chat| ChatRow {
            id: chat.id,
            title: chat.title,
            age: age(now.as_second() - chat.updated_at.as_second()),
            day: days::heading(chat.updated_at, &today),
            messages: chat.messages,
            is_open_elsewhere: chat.is_open_elsewhere,
            tags: chat.tags,
            is_archived: chat.is_archived,
        })
        .collect()
}

/// How long ago something was, in the largest unit that fits.
fn age(seconds: i64) -> String {
    let (minute, hour, day) = (60, 3600, 86400);
    match seconds {
        ..60 => "just now".into(),
        _ if seconds < hour => format!("{} min ago", seconds / minute),
        _ if seconds < day => format!("{} h ago", seconds / hour),
        _ if seconds < 60 * day => format!("{} d ago", seconds / day),
        _ => format!("{} months ago", seconds / (30 * day)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_told_in_the_largest_unit_that_fits() {
        let told = [-5, 59, 60, 3599, 3600, 86400, 60 * 86400].map(age);
        assert_eq!(told, ["just now", "just now", "1 min ago", "59 min ago", "1 h ago", "1 d ago", "2 months ago"]);
    }
}
