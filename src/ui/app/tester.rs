//! An app driven by hand, for tests of the interface.

use std::path::PathBuf;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::*;
use crate::chat::{Ended, Message, Role, Stats, Usage};
use crate::config::{StatusItem, StatusLine, ThemeName};
use crate::engine::protocol::{
    Channel, DeviceInfo, Finish, KvInfo, LoadSettings, MessageCost, Piece, Pin, Prompt, Step,
};
use crate::models::Found;
use crate::models::offers::Place;
use crate::store::MessageId;
use crate::ui::Prepared;
use crate::ui::calm::Calm;
use crate::ui::keys;
use crate::ui::msg::{OpenedChat, OpenedMessage, Save};
use crate::ui::theme::{self, Theme, Themes};
use crate::ui::transcript::Entry;

const WITHOUT_COLOURS: theme::Terminal = theme::Terminal {
    depth: theme::Depth::Sixteen,
    has_colours: false,
    is_light: false,
    speaks_unicode: true,
    ascii: false,
    borders: true,
};

/// An app with a clock of its own.
pub(in crate::ui) struct Tester {
    pub app: App,
    pub(super) now: Instant,
}

pub(in crate::ui) fn settings() -> LoadSettings {
    LoadSettings { path: PathBuf::from("/models/tiny.gguf"), ..LoadSettings::default() }
}

pub(in crate::ui) fn model(has_template: bool) -> ModelInfo {
    ModelInfo {
        name: "Tiny 1B".into(),
        path: "/models/tiny.gguf".into(),
        server: None,
        quantization: Some("Q4_K_M".into()),
        parameters: Some(1_000_000),
        size: Some(1_000_000),
        trained_context: Some(8192),
        has_template,
        load_ms: 1.0,
        load_parts: Vec::new(),
        kv: Some(KvInfo {
            type_k: "f16".into(),
            type_v: "f16".into(),
            cells: 4096,
            bytes: 1,
            policy: "score".into(),
            reason: "4096 tokens take 1 MiB in f16, and there is room for them".into(),
        }),
        draft: None,
        device: Some(DeviceInfo {
            backend: "CPU".into(),
            name: "a processor".into(),
            gpu_layers: 0,
            threads: 4,
            prefill_threads: 4,
            cores: "0-3".into(),
            reason: "there is no other".into(),
            repacked: false,
            repack_reason: "no weights have another order on this processor".into(),
            cores_reason: "4 of 4 cores: all of them".into(),
            batch: 512,
            batch_reason: "as usual".into(),
            notice: None,
            elsewhere: None,
        }),
    }
}

/// A store of which nobody asks anything.
fn store() -> crate::store::Handle {
    let store = crate::store::Store::in_memory().expect("there is memory for it");
    crate::store::Handle::spawn(store).expect("there is a thread for it").0
}

/// What is known at the start, with a store.
pub(in crate::ui) fn prepared(model: Result<LoadSettings, String>) -> Prepared {
    Prepared { model, opening: Opening::Chat, store: Some(store()), resume: None, notices: Vec::new() }
}

impl Tester {
    pub fn start(model: Result<LoadSettings, String>, has_store: bool, resume: Option<ChatId>) -> (Self, Vec<Effect>) {
        Self::open(model, Opening::Chat, has_store, resume)
    }

    /// There is no model, and the list of those to choose among is open.
    pub fn choosing(wanted: Option<&str>) -> (Self, Vec<Effect>) {
        let opening = Opening::Models { chosen: wanted.map(str::to_owned) };
        Self::open(Err("no model is here yet".into()), opening, true, None)
    }

    fn open(
        model: Result<LoadSettings, String>,
        opening: Opening,
        has_store: bool,
        resume: Option<ChatId>,
    ) -> (Self, Vec<Effect>) {
        let mut tester = Self::starting(has_store, resume.is_some());
        let effects = tester.update(Msg::Started(Some(Box::new(Prepared {
            opening,
            store: has_store.then(store),
            resume,
            ..prepared(model)
        }))));
        if has_store && resume.is_none() {
            tester.update(Msg::DraftRead { chat: None, parts: Vec::new() });
        }
        (tester, effects)
    }

    /// It is not known yet what there is to talk to.
    pub fn starting(saves: bool, resumes: bool) -> Self {
        let app = App::new(Start {
            resumes,
            is_offline: false,
            options: GenerateOptions::default(),
            system: None,
            saves,
            is_private: false,
            notices: Vec::new(),
            look: Look::at_the_start(Themes::included(), WITHOUT_COLOURS, ThemeName::Auto, None).0,
            prefill_while_typing: Switch::Auto,
            calm: Calm::default(),
            status: StatusLine::default(),
            vi_keys: false,
            pictures: None,
            copies_through_terminal: true,
        });
        Self { app, now: Instant::now() }
    }

    /// The model is being loaded and chats are saved.
    pub fn loading() -> Self {
        Self::start(Ok(settings()), true, None).0
    }

    pub fn without_model(reason: &str) -> Self {
        Self::start(Err(reason.into()), true, None).0
    }

    /// The model is there and nothing is saved.
    pub fn ready() -> Self {
        let mut tester = Self::start(Ok(settings()), false, None).0;
        tester.model(Step::Ready(Box::new(model(true))));
        tester
    }

    /// The model is there and chats are saved.
    pub fn saving() -> Self {
        let mut tester = Self::loading();
        tester.model(Step::Ready(Box::new(model(true))));
        tester
    }

    /// The model is there, and messages are edited with the keys of vi.
    pub fn with_vi() -> Self {
        let mut tester = Self::ready();
        tester.app.composer = Composer::for_keys(true);
        tester
    }

    pub fn be_fuzzy(&mut self) {
        self.app.options.speculation.fuzzy = 0.3;
    }

    pub fn be_offline(&mut self) {
        self.app.is_offline = true;
    }

    pub fn wear(&mut self, theme: Theme) {
        self.app.look.theme = Theme { borders: self.app.look.theme.borders, ..theme };
    }

    pub fn use_ascii(&mut self) {
        self.app.look.theme.ascii = true;
    }

    pub fn leave_out_borders(&mut self) {
        self.app.look.theme.borders = false;
    }

    pub fn show_status(&mut self, items: &[StatusItem]) {
        self.app.status = StatusLine(items.to_vec());
    }

    pub fn update(&mut self, msg: Msg) -> Vec<Effect> {
        self.app.update(msg, self.now)
    }

    pub fn command(&mut self, command: Command) -> Vec<Effect> {
        self.update(Msg::Command(command))
    }

    pub fn key(&mut self, code: KeyCode, modifiers: KeyModifiers) -> Vec<Effect> {
        match keys::message(&self.app, KeyEvent::new(code, modifiers)) {
            Some(msg) => self.update(msg),
            None => Vec::new(),
        }
    }

    pub fn type_text(&mut self, text: &str) {
        for character in text.chars() {
            self.key(KeyCode::Char(character), KeyModifiers::NONE);
        }
    }

    pub fn send(&mut self, text: &str) -> Vec<Effect> {
        self.type_text(text);
        self.key(KeyCode::Enter, KeyModifiers::NONE)
    }

    pub fn model(&mut self, step: Step) -> Vec<Effect> {
        self.update(Msg::Model(step))
    }

    pub fn answer(&mut self, step: Step) -> Vec<Effect> {
        self.update(Msg::Answer(step))
    }

    pub fn token(&mut self, text: &str, tokens: u32) -> Vec<Effect> {
        self.answer(Step::Token(Piece { channel: Channel::Answer, text: text.into(), tokens }))
    }

    pub fn think(&mut self, text: &str, tokens: u32) -> Vec<Effect> {
        self.answer(Step::Token(Piece { channel: Channel::Thinking, text: text.into(), tokens }))
    }

    pub fn finish(&mut self, ended: Ended) -> Vec<Effect> {
        self.finish_holding(ended, &[])
    }

    /// Ends an answer after which the cache holds the messages so: their tokens, and how many of them it does not.
    pub fn finish_holding(&mut self, ended: Ended, held: &[(u32, u32)]) -> Vec<Effect> {
        self.finish_after(5, ended, held)
    }

    /// The same of an answer of so many tokens.
    pub fn finish_after(&mut self, completion_tokens: u32, ended: Ended, held: &[(u32, u32)]) -> Vec<Effect> {
        let held = held.iter().map(|&(tokens, evicted)| message_cost(Role::User, "", tokens, evicted)).collect();
        let usage = Usage { prompt_tokens: 10, completion_tokens, ..Usage::default() };
        let stats = Stats { usage, cells_used: 15, ..Stats::default() };
        self.answer(Step::Finished(Finish { ended, repetition: None, stats, seed: 7, held }))
    }

    pub fn wait(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
    }

    /// Lets time pass until something is due, and does it.
    pub fn tick_when_due(&mut self) -> Vec<Effect> {
        if let Some(due) = self.app.wake_at() {
            self.now = self.now.max(due);
        }
        self.update(Msg::Tick)
    }

    /// Saves the question as the store would.
    pub fn question_is_saved(&mut self, id: i64) -> Vec<Effect> {
        self.app.chat.get_or_init(|| ChatId(1));
        if let Some(question) = self.app.transcript.last_question_mut() {
            question.saved.get_or_init(|| MessageId(id));
        }
        self.update(Msg::QuestionSaved)
    }

    pub fn answer_texts(&self) -> Vec<String> {
        let entries = self.app.transcript.entries().iter();
        entries
            .filter_map(|entry| match entry {
                Entry::Answer(answer) => Some(answer.document.text().to_owned()),
                _ => None,
            })
            .collect()
    }

    /// What is told over the chat, a line for each row.
    pub fn words(&self) -> String {
        let Popup::Words(words) = self.app.popup() else { panic!("nothing is told: {:?}", self.app.notices()) };
        let rows = words.rows.iter().map(|(about, said)| format!("{about} {said}").trim().to_owned());
        [vec![words.title.clone()], rows.collect()].concat().join("\n")
    }

    pub fn notes(&self) -> Vec<&str> {
        let entries = self.app.transcript.entries().iter();
        entries
            .filter_map(|entry| match entry {
                Entry::Note(note) => Some(note.text.text()),
                _ => None,
            })
            .collect()
    }
}

/// A model that is on this machine.
pub(in crate::ui) fn here(name: &str, owner: Option<&str>) -> Offer {
    let found = Found { name: name.into(), path: format!("/here/{name}.gguf").into(), sha256: None };
    Offer { place: Place::Here { owner: owner.map(str::to_owned), found }, ..download(name) }
}

/// A model that can be downloaded.
pub(in crate::ui) fn download(name: &str) -> Offer {
    Offer {
        name: name.into(),
        place: Place::Download {
            bytes: Some(398_000_000),
            from: format!("huggingface.co/someone/{name}"),
            free_bytes: Some(34_000_000_000),
        },
        verdict: None,
        tokens_per_second: None,
        note: format!("good at being {name}"),
        is_recommended: false,
    }
}

/// What a message costs that was computed.
pub(in crate::ui) fn message_cost(role: Role, beginning: &str, tokens: u32, evicted_tokens: u32) -> MessageCost {
    let (beginning, cached_tokens) = (beginning.to_owned(), tokens - evicted_tokens);
    MessageCost { role, beginning, tokens, cached_tokens, evicted_tokens, pin: Pin::None }
}

pub(in crate::ui) fn prompt(effects: &[Effect]) -> Option<&Prompt> {
    effects.iter().find_map(|effect| match effect {
        Effect::Generate(prompt, _) => Some(prompt),
        _ => None,
    })
}

pub(in crate::ui) fn saves(effects: &[Effect]) -> Vec<&Save> {
    let saves = effects.iter().filter_map(|effect| match effect {
        Effect::Save(save) => Some(save),
        _ => None,
    });
    saves.collect()
}

pub(super) fn leaves(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Leave))
}

pub(in crate::ui) fn user(text: &str) -> Message {
    Message::new(Role::User, text)
}

pub(in crate::ui) fn assistant(text: &str) -> Message {
    Message::new(Role::Assistant, text)
}

pub(in crate::ui) fn stored(id: i64, role: Role, text: &str, ended: Option<Ended>) -> OpenedMessage {
    let message = Message::new(role, text);
    OpenedMessage { id: MessageId(id), parent: None, message, thinking: String::new(), folds: Vec::new(), ended }
}

/// A chat of one branch as the store hands it out: each message follows the one before.
pub(in crate::ui) fn opened(chat: i64, mut messages: Vec<OpenedMessage>) -> OpenedChat {
    let mut above = None;
    for message in &mut messages {
        message.parent = above.replace(message.id);
    }
    OpenedChat { id: ChatId(chat), title: format!("Chat {chat}"), leaf: above, messages, is_elsewhere: false }
}

/// A chat of the list.
pub(in crate::ui) fn chat_row(id: i64, title: &str) -> ChatRow {
    ChatRow {
        id: ChatId(id),
        title: title.into(),
        age: "1 h ago".into(),
        day: "Today".into(),
        messages: 2,
        is_open_elsewhere: false,
        tags: Vec::new(),
        is_archived: false,
    }
}
