//! Before a message is sent: what it will cost, and computing it while it is being written. And after: writing what
//! was computed to disk when nobody does anything.
//!
//! One request at a time is with the engine. What changes meanwhile is asked about when that one is answered.

use std::time::{Duration, Instant};

use super::{Activity, App, Held, Popup};
use crate::chat::{Message, Role};
use crate::config::Switch;
use crate::engine::protocol::{Cost, Prompt, Step};
use crate::ui::msg::Effect;

/// Keys pressed within this time are dealt with together.
const GATHER: Duration = Duration::from_millis(150);
/// Nobody did anything for so long: time to write what was computed.
const IDLE_AFTER: Duration = Duration::from_secs(60);

/// What is known of the next turn, and when to ask for more.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    pub(super) switch: Switch,
    /// When to ask the engine.
    due: Option<Instant>,
    /// The engine was asked and has not answered.
    asked: bool,
    /// The text that it was asked about, and whether it was told to stop with that.
    text: String,
    cancelled: bool,
    /// Something changed since it was asked.
    changed: bool,
    cost: Option<Box<Cost>>,
    /// Tokens that are computed ahead now: how many, of how many.
    progress: Option<(u32, u32)>,
    /// When that began, and how many there were then.
    began: Option<(Instant, u32)>,
    /// When to write what was computed to disk.
    snapshot_due: Option<Instant>,
    /// The cost of the message is to be told, because this was attached.
    tells_cost_of: Option<String>,
}

impl Ahead {
    pub(super) fn new(switch: Switch) -> Self {
        Self { switch, ..Self::default() }
    }

    /// What the message costs with this is told as soon as it is known.
    pub(super) fn tells_cost_of(&mut self, attached: String) {
        self.tells_cost_of = Some(attached);
    }

    /// What was attached, if its cost is to be told.
    pub(super) fn take_told_cost(&mut self) -> Option<String> {
        self.tells_cost_of.take()
    }
}

impl App {
    /// What the next turn costs may have changed.
    pub(super) fn look_ahead(&mut self, now: Instant) {
        if let Some(due) = &mut self.ahead.snapshot_due {
            *due = now + IDLE_AFTER;
        }
        self.ahead.due.get_or_insert(now + GATHER);
    }

    /// Something was computed that is worth keeping.
    pub(super) fn keep_later(&mut self, now: Instant) {
        self.ahead.snapshot_due = Some(now + IDLE_AFTER);
    }

    pub(super) fn ahead_due_at(&self) -> Option<Instant> {
        if !self.can_look_ahead() {
            return None;
        }
        [self.ahead.due, self.ahead.snapshot_due].into_iter().flatten().min()
    }

    /// A server does not tell what a prompt will cost, and is not asked to compute what may never be sent.
    fn can_look_ahead(&self) -> bool {
        let is_free = self.activity == Activity::Idle && self.outbox.is_none() && self.opening.is_none();
        is_free && self.tells_cache()
    }

    /// What is to be asked of the engine now.
    pub(super) fn take_ahead(&mut self, now: Instant) -> Vec<Effect> {
        if !self.can_look_ahead() {
            return Vec::new();
        }
        let mut effects = Vec::new();
        if self.ahead.due.is_some_and(|due| now >= due) {
            self.ahead.due = None;
            effects.extend(if self.ahead.asked { self.stop_what_is_obsolete() } else { self.ask_ahead() });
        }
        if self.ahead.snapshot_due.is_some_and(|due| now >= due) {
            self.ahead.snapshot_due = None;
            effects.push(Effect::Snapshot);
        }
        effects
    }

    fn ask_ahead(&mut self) -> Option<Effect> {
        self.ahead.changed = false;
        self.ahead.cancelled = false;
        let effect = self.question_ahead();
        self.ahead.asked = effect.is_some();
        effect
    }

    /// While the engine is busy with another text: what changed is asked about afterwards, and at once if that text
    /// is not how this one begins.
    fn stop_what_is_obsolete(&mut self) -> Option<Effect> {
        self.ahead.changed = true;
        let whole_words = self.ahead.text.trim_end().rsplit_once(char::is_whitespace).map_or("", |(words, _)| words);
        let draft = self.draft();
        let is_obsolete = draft.trim().is_empty() || !draft.starts_with(whole_words);
        let stops = is_obsolete && !self.ahead.text.is_empty() && !self.ahead.cancelled;
        self.ahead.cancelled |= stops;
        stops.then_some(Effect::CancelAhead)
    }

    fn question_ahead(&mut self) -> Option<Effect> {
        let mut prompt = self.answered_conversation();
        let draft = self.draft();
        self.ahead.text.clear();
        if draft.trim().is_empty() {
            let is_empty = prompt.messages.iter().all(|message| message.role == Role::System);
            if is_empty && !matches!(self.popup, Popup::Context { .. }) {
                self.ahead.cost = None;
                self.held = Held::default();
                return None;
            }
            // A conversation that ends with an answer would be planned as one that goes on with it.
            prompt.messages.push(Message::new(Role::User, ""));
            return Some(Effect::Plan(prompt, self.options.think));
        }
        self.ahead.text.clone_from(&draft);
        prompt.messages.push(Message::new(Role::User, draft));
        let think = self.options.think;
        Some(match self.ahead.switch {
            Switch::Off => Effect::Plan(prompt, think),
            Switch::Auto => Effect::Prefill { prompt, think, spare_battery: true },
            Switch::On => Effect::Prefill { prompt, think, spare_battery: false },
        })
    }

    /// The conversation without a question that is in the composer again, and what follows it.
    fn answered_conversation(&self) -> Prompt {
        let mut prompt = self.conversation();
        if let Some(before) = self.messages_before_edited() {
            prompt.messages.truncate(before);
            return prompt;
        }
        if self.unanswered_text().is_some() && prompt.messages.last().is_some_and(|last| last.role == Role::User) {
            prompt.messages.pop();
        }
        prompt
    }

    /// A message is sent: nothing needs to be known of it any more. Says whether the engine still computes it ahead.
    pub(super) fn stop_looking_ahead(&mut self) -> Option<Effect> {
        self.ahead.due = None;
        self.ahead.changed = false;
        self.ahead.cost = None;
        self.ahead.progress = None;
        self.ahead.tells_cost_of = None;
        self.ahead.asked.then_some(Effect::CancelAhead)
    }

    pub(super) fn ahead_step(&mut self, step: Step, now: Instant) {
        match step {
            Step::Prefilling { done, total, .. } => {
                self.ahead.progress = Some((done, total));
                let (since, before) = *self.ahead.began.get_or_insert((now, done));
                if let Some(cost) = &mut self.ahead.cost {
                    pay(cost, done);
                    if cost.first_token_ms.is_none() && done > before {
                        let per_token = (now - since).as_secs_f64() * 1000.0 / f64::from(done - before);
                        cost.first_token_ms = Some(per_token * f64::from(cost.prompt_tokens.saturating_sub(done)));
                    }
                }
                return;
            }
            Step::Expected(cost) if self.activity == Activity::Idle => {
                self.expect(cost);
                return;
            }
            Step::Expected(_) => return,
            Step::Planned(cost) if self.activity == Activity::Idle => self.expect(cost),
            // A template that fails on this is told when the message is sent.
            _ => self.ahead.cost = None,
        }
        self.ahead.asked = false;
        self.ahead.progress = None;
        self.ahead.began = None;
        if std::mem::take(&mut self.ahead.changed) {
            self.look_ahead(now);
        }
    }

    /// The next turn costs this. What was asked about an earlier state tells nothing of the messages there are now.
    fn expect(&mut self, cost: Box<Cost>) {
        self.hold_planned(&cost);
        if self.ahead.due.is_none() && !self.ahead.changed {
            self.mark_messages(&cost.messages);
            if !self.ahead.text.is_empty() {
                self.tell_cost(&cost);
            }
        }
        self.ahead.cost = Some(cost);
    }

    /// What the message in the composer will cost, or the conversation so far while there is none.
    pub fn cost(&self) -> Option<&Cost> {
        self.ahead.cost.as_deref()
    }

    /// Tokens that are computed ahead now: how many, of how many.
    pub fn progress_ahead(&self) -> Option<(u32, u32)> {
        self.ahead.progress
    }
}

/// So many tokens of the prompt were computed by now, those that have left the cache included.
fn pay(cost: &mut Cost, done: u32) {
    let rest = |cost: &Cost| {
        let paid = cost.cached_tokens.saturating_add(cost.evicted_tokens);
        f64::from(cost.prompt_tokens.saturating_sub(paid).max(1))
    };
    let before = rest(cost);
    cost.cached_tokens = cost.cached_tokens.max(done.saturating_sub(cost.evicted_tokens));
    cost.first_token_ms = cost.first_token_ms.map(|wait| wait * rest(cost) / before);
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::chat::Ended;
    use crate::store::ChatId;
    use crate::ui::app::tester::Tester;
    use crate::ui::msg::{Command, Msg};

    fn planned(prompt_tokens: u32, cached_tokens: u32) -> Step {
        Step::Planned(Box::new(Cost { prompt_tokens, cached_tokens, cells: 4096, ..Cost::default() }))
    }

    /// What is asked about: whether to compute it, and its last message.
    fn asked(effects: &[Effect]) -> Option<(bool, String)> {
        effects.iter().find_map(|effect| {
            let (computes, prompt) = match effect {
                Effect::Plan(prompt, _) => (false, prompt),
                Effect::Prefill { prompt, .. } => (true, prompt),
                _ => return None,
            };
            Some((computes, prompt.messages.last().map(|last| last.text.clone()).unwrap_or_default()))
        })
    }

    #[test]
    fn what_is_written_is_computed_once_for_keys_in_a_row() {
        let mut tester = Tester::ready();
        tester.type_text("Hello wor");
        assert_eq!(asked(&tester.tick_when_due()), Some((true, "Hello wor".into())));
        assert!(tester.app.wake_at().is_none(), "nothing is due while the engine has a request");
        tester.type_text("ld");
        assert!(tester.tick_when_due().is_empty(), "it goes on with what it was asked about");
        tester.update(Msg::Ahead(planned(12, 8)));
        assert_eq!(tester.app.cost().map(|cost| cost.cached_tokens), Some(8));
        assert_eq!(asked(&tester.tick_when_due()), Some((true, "Hello world".into())));
        tester.update(Msg::Ahead(planned(12, 11)));
        assert!(tester.app.wake_at().is_none(), "nothing changed since");
    }

    #[test]
    fn a_text_that_begins_otherwise_now_is_not_computed_any_further() {
        let mut tester = Tester::ready();
        tester.type_text("Hello world");
        tester.tick_when_due();
        tester.key(KeyCode::Home, KeyModifiers::NONE);
        tester.type_text("O ");
        assert!(matches!(tester.tick_when_due()[..], [Effect::CancelAhead]));
        tester.type_text("my ");
        assert!(tester.tick_when_due().is_empty(), "once");
        tester.update(Msg::Ahead(planned(9, 5)));
        assert_eq!(asked(&tester.tick_when_due()), Some((true, "O my Hello world".into())));
        tester.command(Command::Interrupt);
        assert!(matches!(tester.tick_when_due()[..], [Effect::CancelAhead]), "nothing is written any more");
    }

    #[test]
    fn the_cost_is_told_before_it_is_paid_and_falls_as_it_is() {
        let mut tester = Tester::ready();
        tester.type_text("Hello world");
        tester.tick_when_due();
        let cost = Cost { prompt_tokens: 110, cached_tokens: 10, first_token_ms: Some(5000.0), ..Cost::default() };
        tester.update(Msg::Ahead(Step::Expected(Box::new(cost))));
        tester.update(Msg::Ahead(Step::Prefilling { done: 60, total: 108, cached: 10 }));
        let cost = tester.app.cost().unwrap();
        assert_eq!((cost.cached_tokens, cost.first_token_ms), (60, Some(2500.0)));

        let cost = Cost { prompt_tokens: 110, cached_tokens: 60, first_token_ms: None, ..Cost::default() };
        tester.update(Msg::Ahead(Step::Expected(Box::new(cost))));
        tester.wait(1000);
        tester.update(Msg::Ahead(Step::Prefilling { done: 80, total: 108, cached: 10 }));
        let wait = tester.app.cost().unwrap().first_token_ms;
        assert_eq!(wait, Some(1500.0), "20 tokens took a second, and 30 are left");
    }

    #[test]
    fn what_has_left_the_cache_is_not_paid_again() {
        let mut tester = Tester::ready();
        tester.type_text("Hello world");
        tester.tick_when_due();
        let (evicted_tokens, first_token_ms) = (50, Some(5000.0));
        let cost = Cost { prompt_tokens: 160, cached_tokens: 10, evicted_tokens, first_token_ms, ..Cost::default() };
        tester.update(Msg::Ahead(Step::Expected(Box::new(cost))));
        tester.update(Msg::Ahead(Step::Prefilling { done: 110, total: 158, cached: 10 }));
        let cost = tester.app.cost().unwrap();
        assert_eq!((cost.cached_tokens, cost.first_token_ms), (60, Some(2500.0)));
    }

    #[test]
    fn a_message_that_is_sent_is_not_computed_ahead_any_more() {
        let mut tester = Tester::ready();
        tester.type_text("Hello world");
        tester.tick_when_due();
        tester.update(Msg::Ahead(Step::Prefilling { done: 3, total: 9, cached: 3 }));
        assert_eq!(tester.app.progress_ahead(), Some((3, 9)));
        let effects = tester.key(KeyCode::Enter, KeyModifiers::NONE);
        assert!(matches!(effects[..], [Effect::CancelAhead, Effect::Generate(..)]), "{effects:?}");
        assert_eq!((tester.app.cost(), tester.app.progress_ahead()), (None, None));
        tester.update(Msg::Ahead(planned(12, 11)));
        assert_eq!(tester.app.cost(), None, "an answer is in progress");
    }

    #[test]
    fn what_is_written_during_an_answer_is_computed_after_it() {
        let mut tester = Tester::ready();
        tester.send("Hello");
        tester.token("Hi", 1);
        tester.type_text("And now");
        assert!(tester.app.wake_at().is_none());
        tester.finish(Ended::Stop);
        assert_eq!(asked(&tester.tick_when_due()), Some((true, "And now".into())));
    }

    #[test]
    fn switched_off_only_the_cost_is_asked_for() {
        let mut tester = Tester::ready();
        tester.app.ahead.switch = Switch::Off;
        tester.type_text("Hello");
        assert_eq!(asked(&tester.tick_when_due()), Some((false, "Hello".into())));
    }

    #[test]
    fn a_chat_that_is_opened_is_taken_up_before_anything_is_written() {
        let mut tester = Tester::ready();
        tester.send("Hello");
        tester.token("Hi", 1);
        tester.finish(Ended::Stop);
        let effects = tester.tick_when_due();
        assert_eq!(asked(&effects), Some((false, String::new())));
        assert!(matches!(&effects[..], [Effect::Plan(prompt, _)] if prompt.messages.len() == 3));
        tester.update(Msg::Ahead(planned(20, 15)));
        assert_eq!(tester.app.held().used, 20);
    }

    #[test]
    fn a_question_that_came_back_is_not_asked_about_twice() {
        let mut tester = Tester::ready();
        tester.send("Hello");
        tester.finish(Ended::Cancelled);
        assert_eq!(asked(&tester.update(Msg::Tick)), None, "what was stopped is not computed all the same");
        tester.wait(200);
        assert_eq!(asked(&tester.update(Msg::Tick)), None);
        tester.type_text(" ");
        let effects = tester.tick_when_due();
        let [Effect::Prefill { prompt, .. }] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!(prompt.messages.len(), 1);
        assert_eq!(prompt.messages[0].text, "Hello ");
    }

    #[test]
    fn after_a_minute_without_a_key_what_was_computed_is_written() {
        let mut tester = Tester::ready();
        tester.send("Hello");
        tester.token("Hi", 1);
        tester.finish(Ended::Stop);
        tester.tick_when_due();
        tester.update(Msg::Ahead(planned(20, 15)));
        tester.wait(59_000);
        tester.type_text("x");
        tester.tick_when_due();
        tester.update(Msg::Ahead(planned(22, 15)));
        let before = tester.app.wake_at();
        let effects = tester.tick_when_due();
        assert!(matches!(effects[..], [Effect::Snapshot]), "{effects:?}");
        assert!(before.is_some() && tester.app.wake_at().is_none());
    }

    #[test]
    fn leaving_writes_what_was_computed_and_a_deleted_chat_is_forgotten() {
        let mut tester = Tester::saving();
        let effects = tester.command(Command::Quit);
        assert!(matches!(effects[..], [Effect::Snapshot, Effect::Leave]), "{effects:?}");
        let effects = tester.update(Msg::ChatDeleted(ChatId(7)));
        assert!(matches!(effects[..], [Effect::Forget(ChatId(7))]), "{effects:?}");
    }
}
