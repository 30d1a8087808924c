//! From branch to branch of a chat: to a sibling, back by one exchange and forward again, into a chat of its own, and
//! cutting a branch off.

use std::time::Instant;

use super::App;
use super::composing::written_again;
use super::elsewhere::NOT_HERE;
use super::news::BEING_ANSWERED;
use super::tree::{Deletion, NodeId, Tree};
use crate::store::MessageId;
use crate::ui::msg::{Effect, Scroll, Slot};
use crate::ui::transcript::Entry;

/// Which of two neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sibling {
    Older,
    Newer,
}

impl App {
    /// Why the conversation cannot become another one.
    pub(super) fn reason_not_to_branch(&self) -> Option<&'static str> {
        self.reason_to_wait().or_else(|| self.elsewhere.is_some().then_some(NOT_HERE))
    }

    /// Why nothing can be done with the conversation now.
    pub(super) fn reason_to_wait(&self) -> Option<&'static str> {
        // The first Esc goes on writing.
        let is_chosen = self.selection.is_some();
        if self.is_answering() {
            return Some(match is_chosen {
                true => "an answer is in progress; stop it with Esc twice first",
                false => "an answer is in progress; stop it with Esc first",
            });
        }
        if self.outbox.is_some() {
            return Some(match is_chosen {
                true => "a message waits for its answer; Esc twice takes it back",
                false => "a message waits for its answer; Esc takes it back",
            });
        }
        if self.is_answered_outside() {
            return Some(BEING_ANSWERED);
        }
        self.opening.is_some().then_some("the chat is still being read; try again in a moment")
    }

    /// Whether the conversation can become another one; says why not.
    pub(super) fn can_branch(&mut self) -> bool {
        let reason = self.reason_not_to_branch();
        reason.inspect(|reason| self.notice(*reason)).is_none()
    }

    /// The place among the entries of a message of the branch, counted from 0.
    pub(super) fn entry_of_message(&self, message: usize) -> Option<usize> {
        self.transcript.messages().nth(message)
    }

    /// The place on the branch of the message of this number, as `/context` counts; `None` is the last question.
    pub(super) fn message_of(&self, number: Option<u32>) -> Result<usize, String> {
        let place = match number {
            Some(number) => self.entry_of_number(number as usize)?,
            None => {
                let entries = self.transcript.entries();
                let last = entries.iter().rposition(|entry| matches!(entry, Entry::Question(_)));
                last.ok_or("there is no question yet; write one and send it with Enter")?
            }
        };
        let message = self.transcript.messages().position(|other| other == place);
        message.ok_or_else(|| "there is no such message".into())
    }

    /// The number of the message at this place of the branch.
    pub(super) fn number_of(&self, message: usize) -> usize {
        let place = self.entry_of_message(message);
        self.numbered().find(|(other, ..)| Some(*other) == place).map_or(0, |(_, _, number)| number)
    }

    /// Takes the messages from this one on off the screen; they stay in the chat.
    pub(super) fn cut(&mut self, from: usize) {
        self.branches.cut(from, &mut self.transcript);
    }

    /// Puts a question or an answer at the end of the conversation.
    pub(super) fn push_message(&mut self, entry: Entry) {
        self.transcript.push(entry);
        self.branches.add(&mut self.transcript);
    }

    /// Shows another branch and has the chat go on from its end.
    pub(super) fn show_branch(&mut self, branch: &[NodeId], now: Instant) -> Vec<Effect> {
        self.branches.show(branch, &mut self.transcript);
        if let Some(message) = self.selection.as_ref().map(|selection| selection.message) {
            self.choose(message);
        }
        self.branch_changed(now)
    }

    /// The conversation ends elsewhere now: that is written, and what is known of the one before is no longer right.
    pub(super) fn branch_changed(&mut self, now: Instant) -> Vec<Effect> {
        self.unkept_pins.clear();
        self.tokens_per_second = None;
        self.look_ahead(now);
        self.leaf_effect().into_iter().collect()
    }

    fn leaf_effect(&self) -> Option<Effect> {
        // A chat that has no message yet has no place to go on from.
        let is_begun = self.saves && !self.branches.is_empty();
        is_begun.then(|| Effect::GoTo { chat: self.chat.clone(), leaf: self.last_saved() })
    }

    /// Shows the message that stands before or after this one in its place, and what was said last below it.
    pub(super) fn go_to_sibling(&mut self, message: usize, which: Sibling, now: Instant) -> Vec<Effect> {
        let Some(&node) = self.branches.path().get(message) else { return Vec::new() };
        let siblings = self.branches.siblings(node);
        let here = siblings.iter().position(|&other| other == node).unwrap_or_default();
        let there = match which {
            Sibling::Older => here.checked_sub(1),
            Sibling::Newer => Some(here + 1),
        };
        let is_last = message + 1 == self.branches.path().len();
        let branch = match there.and_then(|there| siblings.get(there)) {
            Some(&other) => self.branches.branch_through(other),
            // To the right of the end is what was taken back.
            None if which == Sibling::Newer && is_last && self.branches.goes_on_below() => return self.redo(now),
            None if siblings.len() > 1 => return self.nothing_there(which),
            None => {
                self.notice("there is no other branch here: `e` edits a question, `r` asks for another answer");
                return Vec::new();
            }
        };
        if !self.can_branch() {
            return Vec::new();
        }
        self.show_branch(&branch, now)
    }

    fn nothing_there(&mut self, which: Sibling) -> Vec<Effect> {
        self.notice(match which {
            Sibling::Older => "this is the first of these branches",
            Sibling::Newer => "this is the last of these branches",
        });
        Vec::new()
    }

    /// Takes the last exchange back: its question goes to the composer, the chat goes on before it.
    pub(super) fn undo_exchange(&mut self, now: Instant) -> Vec<Effect> {
        if !self.can_branch() {
            return Vec::new();
        }
        let entries = self.transcript.entries();
        let last = self.transcript.messages().enumerate().filter_map(|(message, place)| match entries.get(place) {
            Some(Entry::Question(question)) => Some((message, question)),
            _ => None,
        });
        let last = last.last().map(|(message, question)| {
            let text = question.text.text().to_owned();
            (message, written_again(&text, question.folds()), text)
        });
        let Some((message, parts, text)) = last else {
            self.notice("there is nothing to take back");
            return Vec::new();
        };
        self.stop_editing();
        // A question that got no answer is in the composer already.
        if !self.is_written(&text) {
            self.composer.give_back(&parts);
        }
        self.branches.note_undo();
        self.cut(message);
        self.transcript.scroll(Scroll::Bottom, &self.look.theme);
        self.notice(
            "the last exchange is taken back, and nothing is deleted: `/redo` (Ctrl-K finds it) brings it back",
        );
        self.branch_changed(now)
    }

    /// Goes to what was said last below the end of the conversation.
    pub(super) fn redo(&mut self, now: Instant) -> Vec<Effect> {
        if !self.can_branch() {
            return Vec::new();
        }
        let Some(branch) = self.branches.redo() else { return self.bring_back(now) };
        let end = self.branches.path().len();
        let effects = self.show_branch(&branch, now);
        // The question that undo put into the composer is where it was.
        let brought_back = self.entry_of_message(end).and_then(|place| self.transcript.entries().get(place));
        if brought_back.is_some_and(|entry| self.is_written(entry.text())) {
            self.composer.take();
        }
        self.transcript.scroll(Scroll::Bottom, &self.look.theme);
        effects
    }

    /// Brings back what was deleted last in this chat, and goes there.
    fn bring_back(&mut self, now: Instant) -> Vec<Effect> {
        let Some(Deletion { node, shown: branch }) = self.branches.put_back() else {
            let has_branches = self.transcript.entries().iter().any(|entry| entry.siblings().count > 1);
            self.notice(match has_branches {
                true => "nothing was taken back here, and nothing deleted; other branches are at messages marked like ‹\u{a0}1/2\u{a0}›",
                false => "nothing was taken back here, and nothing deleted, so there is nothing to bring back",
            });
            return Vec::new();
        };
        let mut effects = self.show_branch(&branch, now);
        let place = branch.iter().position(|&other| other == node).and_then(|message| self.entry_of_message(message));
        let saved = place.and_then(|place| self.transcript.entries().get(place)).and_then(Entry::saved).cloned();
        if self.saves
            && let Some(message) = saved
        {
            // Before the chat goes on from there.
            effects.insert(0, Effect::RestoreMessage { message });
        }
        self.transcript.scroll(Scroll::Bottom, &self.look.theme);
        self.notice("the deleted message is there again, with what followed it");
        effects
    }

    /// Deletes a message of the branch and everything below it, on all branches. A sibling takes its place, or the
    /// conversation ends above.
    pub(super) fn delete_from(&mut self, message: usize, now: Instant) -> Vec<Effect> {
        let Some(&node) = self.branches.path().get(message) else { return Vec::new() };
        if !self.can_branch() {
            return Vec::new();
        }
        self.stop_editing();
        let shown = self.branches.path().to_vec();
        let siblings = self.branches.siblings(node);
        let here = siblings.iter().position(|&other| other == node).unwrap_or_default();
        let sibling = here.checked_sub(1).or(Some(here + 1)).and_then(|there| siblings.get(there).copied());
        let saved = self.entry_of_message(message).and_then(|place| self.transcript.entries().get(place));
        let saved: Option<Slot<MessageId>> = saved.and_then(Entry::saved).cloned();
        self.cut(message);
        let branch = sibling.map_or_else(|| self.branches.path().to_vec(), |node| self.branches.branch_through(node));
        let mut effects = self.show_branch(&branch, now);
        self.branches.delete(Deletion { node, shown }, &mut self.transcript);
        if self.saves
            && let Some(message) = saved
        {
            effects.push(Effect::DeleteMessage { message });
            // What was computed holds it, too.
            effects.extend(self.chat.get().copied().map(Effect::Forget));
        }
        self.notice(
            "the message and what followed it are deleted; `u` or `/redo` brings them back until you leave the chat",
        );
        let last = self.transcript.entries().iter().rfind(|entry| !matches!(entry, Entry::Note(_)));
        if matches!(last, Some(Entry::Question(_))) {
            self.notice("the question is left without an answer: `/retry` asks it again");
        }
        effects
    }

    /// Copies the conversation up to the message of this number, or all of it, into a new chat.
    pub(super) fn fork(&mut self, number: Option<u32>) -> Vec<Effect> {
        let message = match number {
            Some(_) => self.message_of(number),
            None => Ok(self.branches.path().len().saturating_sub(1)),
        };
        match message {
            Ok(message) => self.fork_at(message),
            Err(sentence) => {
                self.notice(sentence);
                Vec::new()
            }
        }
    }

    /// Copies the conversation up to this message into a new chat.
    pub(super) fn fork_at(&mut self, message: usize) -> Vec<Effect> {
        if self.is_private {
            return self.fork_private(message);
        }
        if !self.saves {
            self.notice(
                "this chat could not be saved, so a fork would take its place; edit (`/edit`) or ask again (`/retry`) \
                 instead, which keeps both",
            );
            return Vec::new();
        }
        if let Some(reason) = self.reason_to_wait() {
            self.notice(reason);
            return Vec::new();
        }
        let saved = self.entry_of_message(message).and_then(|place| self.transcript.entries().get(place));
        let Some(message) = saved.and_then(Entry::saved).cloned() else {
            self.notice("there is no message yet to copy into a new chat");
            return Vec::new();
        };
        vec![Effect::Fork { chat: self.chat.clone(), message }]
    }
}

impl Tree {
    pub(super) fn is_empty(&self) -> bool {
        !self.goes_on_below() && self.path().is_empty()
    }
}
