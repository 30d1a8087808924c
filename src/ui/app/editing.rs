//! Writing a question anew: its text is in the composer until it is sent, which makes a sibling of it, or Esc gives
//! back what was being written before.

use std::time::Instant;

use super::App;
use super::composing::{look_for_names, message, written_again};
use super::tree::NodeId;
use crate::ui::composer::Part;
use crate::ui::msg::Effect;
use crate::ui::transcript::Entry;

/// A question that is being written anew.
#[derive(Debug)]
pub(super) struct Editing {
    node: NodeId,
    number: usize,
    text: String,
    /// What was being written before.
    before: Vec<Part>,
}

impl App {
    /// The number of the message that is being written anew, as `/context` counts.
    pub fn edited_message(&self) -> Option<usize> {
        self.editing.as_ref().map(|editing| editing.number)
    }

    /// The messages that stand before the one that is written anew, the system message included.
    pub(super) fn messages_before_edited(&self) -> Option<usize> {
        let message =
            self.branches.path().iter().position(|&node| Some(node) == self.editing.as_ref().map(|it| it.node))?;
        let entries = self.transcript.entries().iter().take(self.entry_of_message(message)?);
        Some(usize::from(self.system.is_some()) + entries.filter_map(Entry::message).count())
    }

    /// Edits the question of this number, or the last one.
    pub(super) fn edit_message(&mut self, number: Option<u32>) {
        match self.message_of(number) {
            Ok(message) => self.edit_at(message),
            Err(sentence) => self.notice(sentence),
        }
    }

    /// Puts a question of the branch into the composer.
    pub(super) fn edit_at(&mut self, message: usize) {
        if !self.can_branch() {
            return;
        }
        let entry = self.entry_of_message(message).and_then(|place| self.transcript.entries().get(place));
        let Some(Entry::Question(question)) = entry else {
            self.notice("an answer is the model's to write: `r` or `/retry` asks for another one");
            return;
        };
        let text = question.text.text().to_owned();
        let parts = written_again(&text, question.folds());
        let Some(&node) = self.branches.path().get(message) else { return };
        self.stop_selecting();
        self.stop_editing();
        let number = self.number_of(message);
        // A question without an answer is in the composer already.
        let before = if self.is_written(&text) { Vec::new() } else { self.composer.take() };
        self.composer.begin(&parts);
        self.editing = Some(Editing { node, number, text, before });
    }

    /// Gives back what was being written before; tells whether a question was being edited.
    pub(super) fn stop_editing(&mut self) -> bool {
        let editing = self.editing.take();
        editing.map(|editing| self.composer.begin(&editing.before)).is_some()
    }

    /// What was being written before, while a question is edited.
    pub(super) fn written_before_editing(&self) -> Option<Vec<Part>> {
        let before = self.editing.as_ref().map(|editing| &editing.before);
        before.filter(|before| !before.is_empty()).cloned()
    }

    /// Whether the text is a question that is edited and as it was.
    pub(super) fn edits_nothing(&self) -> bool {
        self.editing.as_ref().is_some_and(|editing| message(&self.composer.parts()) == editing.text)
    }

    /// The chat is left, and what was being written is kept with it.
    pub(super) fn forget_editing(&mut self) {
        self.editing = None;
    }

    /// Sends the question that was edited: it becomes a sibling of the one it was. Where nothing was changed, that is
    /// asked once more.
    pub(super) fn send_edited(&mut self, now: Instant) -> Vec<Effect> {
        let parts = self.composer.parts();
        let text = message(&parts);
        if text.trim().is_empty() || !self.can_branch() {
            return Vec::new();
        }
        if let Some(refusal) = self.refusal() {
            self.notice(refusal);
            return Vec::new();
        }
        let Some(editing) = self.editing.take() else { return Vec::new() };
        self.notices.clear();
        self.composer.begin(&editing.before);
        match self.branches.path().iter().position(|node| *node == editing.node) {
            Some(message) if editing.text == text => return self.retry_at(message, now),
            Some(message) => self.cut(message),
            None => {}
        }
        let mut effects = self.ask(&parts);
        effects.extend(look_for_names(&parts));
        effects
    }
}
