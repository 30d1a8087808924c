//! Messages that were sent and wait for their turn: for the end of an answer, for a model. The first of them becomes
//! the question as soon as no other one is being saved or answered, and then they follow one another.
//!
//! When an answer fails or is stopped they stay until the person says how to go on, so that nothing is asked that was
//! meant to follow another answer.

use std::collections::VecDeque;
use std::time::Instant;

use super::App;
use super::composing::{look_for_names, message};
use crate::ui::composer::{Part, Turn};
use crate::ui::msg::Effect;

/// What waits, the first to be sent first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<(Turn, Vec<Part>)>,
    /// That of the next message.
    next_turn: Turn,
    /// Nothing is sent until the person sends again.
    is_held: bool,
    /// Changes with everything that waits.
    revision: u64,
}

impl Queue {
    fn push_front(&mut self, parts: Vec<Part>) {
        let turn = self.waiting.front().map_or(self.next_turn, |(turn, _)| turn - 1);
        self.waiting.push_front((turn, parts));
        self.pushed();
    }

    fn push_back(&mut self, parts: Vec<Part>) {
        self.waiting.push_back((self.next_turn, parts));
        self.pushed();
    }

    fn pushed(&mut self) {
        self.next_turn += 1;
        self.revision += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    pub(super) fn clear(&mut self) {
        *self = Self { revision: self.revision + 1, ..Self::default() };
    }
}

impl App {
    /// Sends what was written, or puts it behind what waits. What is sent while the others are held comes first.
    pub(super) fn send_written(&mut self, now: Instant) -> Vec<Effect> {
        if self.edited_message().is_some() {
            return self.send_edited(now);
        }
        let is_held = self.queue.is_held;
        if message(&self.composer.parts()).trim().is_empty() {
            return if is_held { self.release_queue() } else { Vec::new() };
        }
        if let Some(refusal) = self.refusal() {
            self.notice(refusal);
            return Vec::new();
        }
        if self.elsewhere.is_some() {
            return self.send_from_elsewhere();
        }
        self.notices.clear();
        let parts = self.composer.take();
        if is_held {
            self.queue.push_front(parts);
        } else {
            self.queue.push_back(parts);
        }
        self.release_queue()
    }

    /// Sends this behind what waits.
    pub(super) fn send_in_turn(&mut self, parts: Vec<Part>) -> Vec<Effect> {
        self.queue.push_back(parts);
        self.send_next()
    }

    fn release_queue(&mut self) -> Vec<Effect> {
        self.queue.is_held = false;
        self.send_next()
    }

    /// Asks what waits first, if its turn has come.
    pub(super) fn send_next(&mut self) -> Vec<Effect> {
        let is_answering = self.is_answering() || self.is_answered_outside();
        let is_busy = self.outbox.is_some() || is_answering || self.opening.is_some();
        if self.queue.is_held || is_busy || self.refusal().is_some() {
            return Vec::new();
        }
        let Some((_, parts)) = self.queue.waiting.pop_front() else { return Vec::new() };
        self.queue.revision += 1;
        let mut effects = self.ask(&parts);
        effects.extend(look_for_names(&parts));
        effects
    }

    /// Something went otherwise than it was meant to: what waits is not sent behind it.
    pub(super) fn hold_queue(&mut self) {
        let waiting = match self.queue.waiting.len() {
            0 => return,
            1 => "a message waits: Enter sends it, behind what is in the text field; Esc takes it back".to_owned(),
            count => format!(
                "{count} messages wait: Enter sends them, behind what is in the text field; Esc takes back the last one"
            ),
        };
        self.queue.is_held = true;
        self.notice(waiting);
    }

    /// Puts the message that waits at this place back into the composer, else the last one; whether there was one.
    pub(super) fn take_back(&mut self, place: Option<usize>) -> bool {
        let index = place.unwrap_or(self.queue.waiting.len()).wrapping_sub(1);
        let Some((turn, parts)) = self.queue.waiting.remove(index) else { return false };
        self.queue.revision += 1;
        self.composer.give_back_in_turn(turn, &parts);
        self.queue.is_held &= !self.queue.waiting.is_empty();
        true
    }

    /// What waits, each as it would be sent.
    pub fn queued(&self) -> impl ExactSizeIterator<Item = &[Part]> {
        self.queue.waiting.iter().map(|(_, parts)| parts.as_slice())
    }

    /// Whether what waits is sent only when the person says so.
    pub fn holds_queue(&self) -> bool {
        self.queue.is_held
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::chat::Ended;
    use crate::engine::protocol::{EngineError, Step};
    use crate::ui::app::Activity;
    use crate::ui::app::tester::{Tester, assistant, model, prompt, saves, user};
    use crate::ui::composer::sent;
    use crate::ui::msg::{Command, Save};

    fn queued(tester: &Tester) -> Vec<String> {
        tester.app.queued().map(sent).collect()
    }

    /// An answer to "one" has begun, and these wait.
    fn waiting(texts: &[&str]) -> Tester {
        let mut tester = Tester::ready();
        tester.send("one");
        tester.token("first", 1);
        for text in texts {
            assert!(tester.send(text).is_empty());
        }
        tester
    }

    #[test]
    fn what_is_sent_during_an_answer_follows_in_its_order() {
        let mut tester = waiting(&["two", "three"]);
        assert!(tester.app.composer.is_empty() && tester.app.notices().is_empty());
        assert_eq!(queued(&tester), ["two", "three"]);
        let effects = tester.finish(Ended::Stop);
        assert_eq!(prompt(&effects).unwrap().messages, [user("one"), assistant("first"), user("two")]);
        assert_eq!(queued(&tester), ["three"]);
        tester.token("second", 1);
        let effects = tester.finish(Ended::Stop);
        assert_eq!(prompt(&effects).unwrap().messages.last(), Some(&user("three")));
        tester.token("third", 1);
        assert!(prompt(&tester.finish(Ended::Stop)).is_none());
    }

    #[test]
    fn a_question_from_the_queue_is_on_disk_before_the_engine_is_asked() {
        let mut tester = Tester::saving();
        tester.send("one");
        tester.question_is_saved(1);
        tester.token("first", 1);
        tester.send("two");
        let effects = tester.finish(Ended::Stop);
        assert!(matches!(saves(&effects)[..], [.., Save::Question { text, .. }] if text == "two"));
        assert!(prompt(&effects).is_none());
        assert!(prompt(&tester.question_is_saved(3)).is_some());
    }

    #[test]
    fn escape_takes_back_the_last_message_first_and_then_stops_the_answer() {
        let mut tester = waiting(&["two", "three"]);
        assert!(tester.command(Command::Stop).is_empty());
        assert_eq!((tester.app.composer.text().as_str(), queued(&tester)), ("three", vec!["two".to_owned()]));
        tester.command(Command::Stop);
        assert_eq!(tester.app.composer.text(), "two\nthree");
        assert!(matches!(tester.command(Command::Stop)[..], [Effect::CancelAnswer]));
    }

    #[test]
    fn any_message_that_waits_can_be_taken_back() {
        let mut tester = waiting(&["two", "three", "four"]);
        tester.key(KeyCode::Char('x'), KeyModifiers::CONTROL);
        tester.key(KeyCode::Char('2'), KeyModifiers::NONE);
        assert_eq!((tester.app.composer.text().as_str(), queued(&tester).len()), ("three", 2));
        tester.key(KeyCode::Char('x'), KeyModifiers::CONTROL);
        tester.key(KeyCode::Char('9'), KeyModifiers::NONE);
        assert_eq!(queued(&tester), ["two", "four"]);
    }

    #[test]
    fn what_is_taken_back_stands_in_the_order_in_which_it_was_sent() {
        let mut tester = waiting(&["two", "three", "four"]);
        tester.type_text("five");
        for place in ['2', '1', '1'] {
            tester.key(KeyCode::Char('x'), KeyModifiers::CONTROL);
            tester.key(KeyCode::Char(place), KeyModifiers::NONE);
        }
        assert_eq!(tester.app.composer.text(), "two\nthree\nfour\nfive");

        let mut tester = waiting(&["two", "three"]);
        tester.finish(Ended::Stop);
        tester.answer(Step::Failed(EngineError::Failed("the graphics processor went away".into())));
        tester.command(Command::Stop);
        assert_eq!(tester.app.composer.text(), "two\nthree", "the one that failed was sent before");

        let mut tester = waiting(&["two", "three"]);
        tester.finish(Ended::Stop);
        tester.answer(Step::Failed(EngineError::Failed("the graphics processor went away".into())));
        tester.type_text("!");
        tester.command(Command::Stop);
        assert_eq!(tester.app.composer.text(), "two!\nthree");
    }

    #[test]
    fn ctrl_c_stops_the_answer_and_the_queue_waits_for_a_word() {
        let mut tester = waiting(&["two"]);
        assert!(matches!(tester.command(Command::Interrupt)[..], [Effect::CancelAnswer]));
        assert!(prompt(&tester.finish(Ended::Cancelled)).is_none());
        assert_eq!(
            tester.app.notices(),
            ["a message waits: Enter sends it, behind what is in the text field; Esc takes it back"]
        );
        let effects = tester.key(KeyCode::Enter, KeyModifiers::NONE);
        assert_eq!(prompt(&effects).unwrap().messages.last(), Some(&user("two")));
    }

    #[test]
    fn after_a_failure_the_queue_stays_and_the_failed_question_goes_first() {
        let mut tester = Tester::ready();
        tester.send("one");
        tester.send("two");
        tester.send("three");
        tester.answer(Step::Failed(EngineError::Failed("the graphics processor went away".into())));
        assert_eq!(tester.app.composer.text(), "one");
        assert_eq!(queued(&tester), ["two", "three"]);
        assert!(tester.app.notices()[0].starts_with("2 messages wait"), "{:?}", tester.app.notices());
        let effects = tester.key(KeyCode::Enter, KeyModifiers::NONE);
        assert_eq!(prompt(&effects).unwrap().messages, [user("one")]);
        tester.token("first", 1);
        let effects = tester.finish(Ended::Stop);
        assert_eq!(prompt(&effects).unwrap().messages.last(), Some(&user("two")));
    }

    #[test]
    fn several_messages_can_wait_for_the_model() {
        let mut tester = Tester::start(Ok(crate::ui::app::tester::settings()), false, None).0;
        tester.send("one");
        tester.send("two");
        assert_eq!(queued(&tester), ["two"]);
        let effects = tester.model(Step::Ready(Box::new(model(true))));
        assert_eq!(prompt(&effects).unwrap().messages, [user("one")]);
        tester.token("first", 1);
        assert_eq!(prompt(&tester.finish(Ended::Stop)).unwrap().messages.len(), 3);
    }

    #[test]
    fn when_there_is_no_model_any_more_the_queue_waits_for_another() {
        let mut tester = Tester::loading();
        tester.send("one");
        tester.send("two");
        tester.model(Step::Failed(EngineError::BadModel("`tiny.gguf` is damaged".into())));
        assert!(matches!(tester.app.activity(), Activity::NoModel(_)));
        assert_eq!((tester.app.composer.text().as_str(), queued(&tester)), ("one", vec!["two".to_owned()]));
        assert!(tester.app.holds_queue());
    }
}
