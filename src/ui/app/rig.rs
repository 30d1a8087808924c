//! An app with a store in memory, for tests of messages and branches: what is asked for is done, and the screen, the tree
//! and the store can be compared.

use crossterm::event::{KeyCode, KeyModifiers};

use super::tester::*;
use super::*;
use crate::chat::{Ended, Role};
use crate::engine::protocol::Prompt;
use crate::store::{Store, StoredMessage};
use crate::ui::msg::Save;
use crate::ui::perform;

/// Which of how many each message is.
pub type Places = Vec<(usize, usize)>;

/// An app with a store in memory, or without one.
pub struct Rig {
    pub tester: Tester,
    pub store: Option<Store>,
    /// What the engine was asked last.
    pub prompt: Option<(Prompt, GenerateOptions)>,
    pub copied: Vec<String>,
}

impl Rig {
    pub fn new(saves: bool) -> Self {
        let tester = if saves { Tester::saving() } else { Tester::ready() };
        Self { tester, store: saves.then(|| Store::in_memory().unwrap()), prompt: None, copied: Vec::new() }
    }

    /// A chat of these questions, each answered with its capitals.
    pub fn of(saves: bool, questions: &[&str]) -> Self {
        let mut rig = Self::new(saves);
        questions.iter().for_each(|question| rig.ask(question, &question.to_uppercase()));
        rig
    }

    pub fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match (effect, self.store.as_mut()) {
                (Effect::Generate(prompt, options), _) => self.prompt = Some((prompt, options)),
                (Effect::Copy { text, .. }, _) => self.copied.push(text),
                (Effect::Save(save), Some(store)) => {
                    let is_question = matches!(save, Save::Question { .. });
                    perform::write(store, save).unwrap();
                    if is_question {
                        self.update(Msg::QuestionSaved);
                    }
                }
                (
                    effect @ (Effect::GoTo { .. } | Effect::DeleteMessage { .. } | Effect::RestoreMessage { .. }),
                    Some(store),
                ) => perform::rearrange(store, &effect).unwrap(),
                (Effect::Fork { chat, message }, Some(store)) => {
                    if let Some(forked) = perform::fork(store, &chat, &message).unwrap() {
                        self.update(Msg::Forked(forked));
                    }
                }
                (
                    Effect::Save(_)
                    | Effect::GoTo { .. }
                    | Effect::DeleteMessage { .. }
                    | Effect::RestoreMessage { .. }
                    | Effect::Fork { .. },
                    None,
                ) => panic!("nothing is saved"),
                _ => {}
            }
        }
    }

    pub fn update(&mut self, msg: Msg) {
        let effects = self.tester.update(msg);
        self.perform(effects);
    }

    pub fn command(&mut self, command: Command) {
        self.update(Msg::Command(command));
    }

    pub fn key(&mut self, code: KeyCode) {
        let effects = self.tester.key(code, KeyModifiers::NONE);
        self.perform(effects);
    }

    pub fn keys(&mut self, keys: &str) {
        for key in keys.chars() {
            self.key(KeyCode::Char(key));
        }
    }

    pub fn send(&mut self, text: &str) {
        let effects = self.tester.send(text);
        self.perform(effects);
    }

    /// Asks, and has it answered.
    pub fn ask(&mut self, question: &str, answer: &str) {
        self.send(question);
        self.answer(answer);
    }

    /// The model answers so; with nothing, it was stopped before the first word.
    pub fn answer(&mut self, text: &str) {
        if self.tester.app.is_answering() {
            if !text.is_empty() {
                let effects = self.tester.token(text, 1);
                self.perform(effects);
            }
            let effects = self.tester.finish(if text.is_empty() { Ended::Cancelled } else { Ended::Stop });
            self.perform(effects);
        }
    }

    /// Chooses the message at this place from the first on.
    pub fn choose(&mut self, message: usize) {
        self.command(Command::Select(Select::Begin));
        self.command(Command::Select(Select::First));
        for _ in 0..message {
            self.command(Command::Select(Select::Below));
        }
    }

    pub fn said(&self) -> Vec<String> {
        let transcript = &self.tester.app.transcript;
        transcript.messages().map(|place| transcript.entries()[place].text().to_owned()).collect()
    }

    /// Which of how many each message is, where it is one of several.
    pub fn siblings(&self) -> Places {
        let transcript = &self.tester.app.transcript;
        let siblings = transcript.messages().map(|place| transcript.entries()[place].siblings());
        siblings.map(|siblings| (siblings.place, siblings.count)).collect()
    }

    pub fn written(&self) -> String {
        self.tester.app.composer.text()
    }

    pub fn notices(&self) -> String {
        self.tester.app.notices().join("; ")
    }

    /// What the store tells of the chat on the screen: the texts of its branch and which of how many each is.
    pub fn stored(&self) -> Option<(Vec<String>, Places)> {
        let (store, chat) = (self.store.as_ref()?, *self.tester.app.chat.get()?);
        let branch = store.branch(chat).unwrap();
        let all = store.tree(chat).unwrap().messages;
        let siblings = branch.iter().map(|message| {
            let of_it = all.iter().filter(|other| {
                let is_said = |one: &StoredMessage| one.role == Role::Assistant && !one.text.trim().is_empty();
                let has_answer = || all.iter().any(|one| one.parent == Some(other.id) && is_said(one));
                let counts = is_said(other) || other.role == Role::User && has_answer();
                other.parent == message.parent && (counts || other.id == message.id)
            });
            let ids: Vec<_> = of_it.map(|other| other.id).collect();
            (ids.iter().position(|id| *id == message.id).unwrap() + 1, ids.len())
        });
        Some((branch.iter().map(|message| message.text.clone()).collect(), siblings.collect()))
    }

    pub fn assert_whole(&self) {
        let app = &self.tester.app;
        assert_eq!(app.branches.path().len(), app.transcript.messages().count());
        if let Some((texts, siblings)) = self.stored() {
            assert_eq!((self.said(), self.siblings()), (texts, siblings));
        }
    }

    /// The chat as it looks when it is opened again.
    pub fn reopen(&mut self) {
        if let Some((store, chat)) = self.store.as_ref().zip(self.tester.app.chat.get().copied()) {
            let tree = store.tree(chat).unwrap();
            self.tester.app.opening = Some(chat);
            self.update(Msg::ChatOpened(perform::opened_chat(chat, "A chat".into(), tree)));
        }
    }
}

/// Does this with a chat of two exchanges that is saved, and with one that is not.
pub fn both(test: impl Fn(Rig)) {
    for saves in [true, false] {
        let rig = Rig::of(saves, &["one", "two"]);
        test(rig);
    }
}
