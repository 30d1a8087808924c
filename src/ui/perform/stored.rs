//! What is asked of the store, on its thread, and what is made of its replies.

use std::time::Duration;

use super::shown::{found, opened_chat, rows, sent_read};
use super::{MOST_FOUND, Performer};
use crate::store::{self, ChatId, MessageId, Stamp, Store};
use crate::ui::composer::Part;
use crate::ui::msg::{Changes, Effect, Exported, Msg, OpenedChat, Save, Slot};
use crate::ui::{export, folds};

/// More than anybody looks through; the filter works on these.
const MOST_CHATS: usize = 1000;
/// As many messages sent before as anybody walks through, and so many bytes of them.
const MOST_SENT: usize = 1000;
const MOST_SENT_BYTES: usize = 2 * 1024 * 1024;
/// How soon what another program writes is seen.
const LOOK_OUTSIDE: Duration = Duration::from_secs(1);

impl Performer {
    /// Tells when another program has written to the file of chats.
    pub fn watch_store(&self) {
        let replies = self.replies.clone();
        if let Some(store) = &self.store {
            // The loop is gone only when the program ends.
            store.watch(LOOK_OUTSIDE, move || drop(replies.send(Msg::WrittenOutside)));
        }
    }

    /// Does what is about chats.
    pub(super) fn ask_store(&self, effect: Effect) {
        match effect {
            Effect::Save(save) => self.save(save),
            Effect::Pin { message, is_pinned } => self.pin(message, is_pinned),
            Effect::Rename { chat, title } => self.rename(chat, title),
            Effect::Export { path, name, what: Exported::Stored { chat, form }, replaces } => self.ask(
                move |store| {
                    let text = form.write(&store.whole_chat(chat)?);
                    let result = export::write(path.as_deref(), &name, &text, replaces);
                    Ok((path, result))
                },
                |(path, result)| Msg::Exported { path, result },
            ),
            Effect::ListChats => self.ask(|store| store.chats(MOST_CHATS), |chats| Msg::Chats(rows(chats))),
            Effect::SearchChats(words) => self.search(words),
            Effect::OpenChat(id) => {
                self.ask(move |store| read_chat(store, id), Msg::ChatOpened);
                self.read_draft(Some(id));
                self.take_chat(id);
            }
            Effect::TakeChat(id) => self.take_chat(id),
            Effect::LeaveChat => self.call(Store::leave_chat, |left| left.err().map(Msg::StoreFailed)),
            Effect::ReadChanges { chat, seen } => self.read_changes(chat, seen),
            Effect::GoOn { chat, message } => {
                self.ask(move |store| go_on(store, chat, &message), Msg::Forked);
            }
            Effect::SaveDraft { chat, parts, adds: true } => self.add_to_draft(chat, parts),
            Effect::SaveDraft { chat, parts, adds: false } => self.save_draft(chat, parts),
            Effect::ReadDraft(chat) => self.read_draft(chat),
            Effect::ReadSent => self.ask(|store| store.sent(MOST_SENT, MOST_SENT_BYTES), sent_read),
            Effect::GoTo { .. } | Effect::DeleteMessage { .. } | Effect::RestoreMessage { .. } => {
                self.call(move |store| rearrange(store, &effect), |done| done.err().map(Msg::StoreFailed));
            }
            Effect::Fork { chat, message } => self.ask_of_saved(move |store| fork(store, &chat, &message), Msg::Forked),
            Effect::DeleteChat(id) => self.ask(move |store| store.delete_chat(id), move |()| Msg::ChatDeleted(id)),
            Effect::RestoreChat => self.ask(Store::restore_chat, Msg::ChatRestored),
            Effect::TagChat { chat, add, remove } => self.ask_of_saved(
                move |store| chat.get().map(|id| store.tag_chat(*id, &add, &remove)).transpose(),
                Msg::Tagged,
            ),
            Effect::ArchiveChat { chat, is_archived } => self.call(
                move |store| chat.get().map_or(Ok(()), |id| store.archive_chat(*id, is_archived)),
                |archived| archived.err().map(Msg::StoreFailed),
            ),
            other => tracing::error!("nothing does {other:?}"),
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

    fn search(&self, words: String) {
        let wanted = words.clone();
        self.ask(
            move |store| store.search(&wanted, MOST_FOUND),
            move |hits| Msg::FoundMessages { words, found: found(hits) },
        );
    }

    fn read_changes(&self, chat: ChatId, seen: Option<Stamp>) {
        self.call(
            move |store| read_changes(store, chat, seen),
            |changes| {
                let changes = changes.inspect_err(|error| tracing::warn!(%error, "the chat was not read again"));
                Some(Msg::Changed(changes.ok().flatten().map(Box::new)))
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

    /// Asks something about what may not have been written, and so is not there; that was reported then.
    fn ask_of_saved<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Store) -> store::Result<Option<T>> + Send + 'static,
        answer: fn(T) -> Msg,
    ) {
        self.call(question, move |result| match result {
            Ok(found) => found.map(answer),
            Err(sentence) => Some(Msg::StoreFailed(sentence)),
        });
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
        Effect::RestoreMessage { message } => message.get().map_or(Ok(()), |id| store.restore_message(*id)),
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
