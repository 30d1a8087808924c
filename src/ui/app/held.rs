//! What the KV cache holds of the conversation: the figures of the gauge, the marks beside the messages, what was
//! brought back, and what the person pins.

use std::time::Instant;

use super::App;
use super::elsewhere::NOT_HERE;
use crate::engine::protocol::{Cost, Finish, MessageCost, Passage, Pin};
use crate::ui::msg::Effect;
use crate::ui::transcript::{Entry, Evicted, Recalled};

/// Tokens of the chat and where they are, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Cells of the KV cache in use.
    pub used: u32,
    /// Tokens of the conversation that have left the cache.
    pub evicted: u32,
    /// Tokens in the cache that the person wants kept.
    pub pinned: u32,
}

impl App {
    /// What the cache holds of this chat.
    pub fn held(&self) -> Held {
        self.held
    }

    /// Whether it is known what the cache holds; a server does not tell.
    pub fn tells_cache(&self) -> bool {
        self.model.as_ref().is_none_or(|model| model.tells_cache())
    }

    /// Whether text leaves the cache when it is full; else what does not fit is refused.
    pub fn evicts(&self) -> bool {
        self.model.as_ref().and_then(|model| model.kv.as_ref()).is_some_and(|kv| kv.policy != "off")
    }

    /// The model has read so many tokens of the prompt and of its answer. Those that have left the cache count as
    /// read, and when it is full others make room. A server does not tell while it answers.
    pub(super) fn hold_read(&mut self, tokens: u32) {
        if !self.tells_cache() {
            return;
        }
        let cells = self.model.as_ref().and_then(|model| model.cells()).unwrap_or(u32::MAX);
        self.held.used = tokens.saturating_sub(self.held.evicted).min(cells);
    }

    /// What the next turn starts from.
    pub(super) fn hold_planned(&mut self, cost: &Cost) {
        self.held.evicted = cost.evicted_tokens;
        self.held.pinned = pinned(&cost.messages);
        self.tell_unkept_pins(cost);
        self.hold_read(cost.prompt_tokens);
    }

    /// Says which pins are of no use, when that changes.
    fn tell_unkept_pins(&mut self, cost: &Cost) {
        let too_long = cost.messages.iter().zip(1..).filter(|(message, _)| message.pin == Pin::TooLong);
        let too_long: Vec<u32> = too_long.map(|(_, number)| number).collect();
        let is_new = too_long.iter().any(|number| !self.unkept_pins.contains(number));
        if is_new && let Some(number) = too_long.last() {
            self.notice(format!(
                "message {number} is too long to be kept: pins keep at most half of the cache, {} tokens; `/unpin` others, or restart with a larger `--kv-mem` or `--ctx`",
                cost.cells / 2
            ));
        }
        self.unkept_pins = too_long;
    }

    /// What an answer left behind. The first time in a chat that text has left the cache, that is told.
    pub(super) fn hold_finished(&mut self, finish: &Finish) {
        if finish.stats.cells_used > 0 {
            self.held.used = finish.stats.cells_used;
        }
        if finish.stats.by_server.is_some_and(|told| told.prompt) {
            self.held.used = finish.stats.usage.prompt_tokens.saturating_add(finish.stats.usage.completion_tokens);
        }
        if finish.held.is_empty() {
            return;
        }
        self.held.evicted = finish.held.iter().map(|message| message.evicted_tokens).sum();
        self.held.pinned = pinned(&finish.held);
        self.mark_messages(&finish.held);
        if self.held.evicted > 0 && !std::mem::replace(&mut self.eviction_told, true) {
            let come_back = if self.recalls { ", and come back when a message is about them" } else { "" };
            self.transcript.note(
                format!(
                    "the conversation no longer fits into the context: {} tokens left the cache; they are marked{come_back}",
                    self.held.evicted
                ),
                false,
            );
        }
    }

    /// Marks what has left the cache. The messages come in the prompt's order: the system prompt, then what was said.
    pub(super) fn mark_messages(&mut self, messages: &[MessageCost]) {
        let said = messages.iter().skip(self.system_messages());
        for (hold, message) in self.transcript.holds_mut().zip(said) {
            hold.evicted = Evicted::from(message);
        }
    }

    fn system_messages(&self) -> usize {
        usize::from(self.system.is_some())
    }

    /// Text was brought back for the question that is being answered.
    pub(super) fn recalled(&mut self, passages: &[Passage]) {
        if let Some(question) = self.transcript.last_question_mut() {
            question.recalled = Recalled::from(passages);
        }
    }

    /// Pins a message of the conversation, by its number there counted from 1, or the last question; or takes the pin
    /// away.
    pub(super) fn pin(&mut self, number: Option<u32>, is_pinned: bool, now: Instant) -> Vec<Effect> {
        if self.elsewhere.is_some() {
            self.notice(NOT_HERE);
            return Vec::new();
        }
        if is_pinned && !self.tells_cache() {
            self.notice("a server answers, and it does not know pins: they are for models of this machine");
            return Vec::new();
        }
        match self.entry_to_pin(number) {
            Ok((entry, number)) => self.pin_entry(entry, number, is_pinned, now),
            Err(sentence) => {
                self.notice(sentence);
                Vec::new()
            }
        }
    }

    /// The place in the transcript of a message, and its number.
    fn entry_to_pin(&self, number: Option<u32>) -> Result<(usize, usize), String> {
        match number.map(|number| number as usize) {
            Some(number) => self.entry_of_number(number).map(|place| (place, number)),
            None => {
                let questions = self.numbered().filter(|(_, entry, _)| matches!(entry, Entry::Question(_)));
                let last = questions.last().map(|(place, _, number)| (place, number));
                last.ok_or_else(|| "there is no message yet; send one, and `/pin` keeps it in the cache".into())
            }
        }
    }

    /// The place in the transcript of the message of this number, as `/context` counts.
    pub(super) fn entry_of_number(&self, number: usize) -> Result<usize, String> {
        if (1..=self.system_messages()).contains(&number) {
            return Err("message 1 is the system prompt, which stays where it is".into());
        }
        let found = self.numbered().find(|(_, _, other)| *other == number).map(|(place, ..)| place);
        found.ok_or_else(|| format!("there is no message {number}; `/context` shows their numbers"))
    }

    /// What the model is told of the transcript: places, entries, and numbers as `/context` counts them.
    pub(super) fn numbered(&self) -> impl Iterator<Item = (usize, &Entry, usize)> {
        let entries = self.transcript.entries().iter().enumerate().filter(|(_, entry)| entry.is_told());
        entries.zip(self.system_messages() + 1..).map(|((place, entry), number)| (place, entry, number))
    }

    fn pin_entry(&mut self, entry: usize, number: usize, is_pinned: bool, now: Instant) -> Vec<Effect> {
        let evicted = self.transcript.pin(entry, is_pinned);
        self.notice(match (is_pinned, evicted) {
            (true, Evicted::All) if self.recalls => format!(
                "message {number} is pinned, but all of it has left the cache, so there is nothing to keep; what a message \
                 is about still comes back"
            ),
            (true, Evicted::All) => {
                format!("message {number} is pinned, but all of it has left the cache, so there is nothing to keep")
            }
            (true, _) => {
                format!("message {number} is pinned: what the cache holds of it stays; `/unpin {number}` lets it go")
            }
            (false, _) => format!("message {number} is not pinned: it may leave the cache"),
        });
        self.look_ahead(now);
        let saved = self.transcript.entries().get(entry).and_then(Entry::saved).filter(|_| self.saves).cloned();
        saved.into_iter().map(|message| Effect::Pin { message, is_pinned }).collect()
    }
}

fn pinned(messages: &[MessageCost]) -> u32 {
    messages.iter().filter(|message| message.pin == Pin::Kept).map(|message| message.cached_tokens).sum()
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::chat::{Ended, Role};
    use crate::engine::protocol::Step;
    use crate::store::{ChatId, MessageId};
    use crate::ui::app::tester::{Tester, message_cost, model, opened, prompt, saves, settings, stored};
    use crate::ui::msg::{Msg, Save};
    use crate::ui::transcript::Hold;

    /// A question and its answer, after which the cache holds them so.
    fn turn(tester: &mut Tester, held: &[(u32, u32)]) {
        tester.send("one");
        tester.token("first", 2);
        tester.finish_holding(Ended::Stop, held);
    }

    fn evictions(tester: &mut Tester) -> Vec<Evicted> {
        tester.app.transcript.holds_mut().map(|hold| hold.evicted).collect()
    }

    fn pins(tester: &mut Tester) -> Vec<bool> {
        tester.app.transcript.holds_mut().map(|hold| hold.is_pinned).collect()
    }

    fn pin_effects(effects: &[Effect]) -> Vec<(Option<MessageId>, bool)> {
        let pins = effects.iter().filter_map(|effect| match effect {
            Effect::Pin { message, is_pinned } => Some((message.get().copied(), *is_pinned)),
            _ => None,
        });
        pins.collect()
    }

    /// A chat of a system prompt, a question and an answer, opened from the store.
    fn resumed(pinned: bool) -> Tester {
        let (mut tester, _) = Tester::start(Ok(settings()), true, Some(ChatId(4)));
        tester.model(Step::Ready(Box::new(model(true))));
        let mut question = stored(2, Role::User, "one", None);
        question.message.is_pinned = pinned;
        let answer = stored(3, Role::Assistant, "first", Some(Ended::Stop));
        let messages = vec![stored(1, Role::System, "Be brief", None), question, answer];
        tester.update(Msg::ChatOpened(opened(4, messages)));
        tester
    }

    #[test]
    fn the_gauge_tells_cells_apart_from_what_was_read() {
        let mut tester = Tester::ready();
        turn(&mut tester, &[(4000, 3900), (900, 0)]);
        assert_eq!(tester.app.held(), Held { used: 15, evicted: 3900, pinned: 0 });
        tester.send("two");
        tester.answer(Step::Prefilling { done: 5000, total: 6000, cached: 900 });
        assert_eq!(tester.app.held().used, 1100);
        tester.answer(Step::Prefilling { done: 9000, total: 9000, cached: 900 });
        assert_eq!(tester.app.held().used, 4096, "there are no more cells");
        tester.token("x", 1);
        assert_eq!(tester.app.held().used, 4096);
    }

    #[test]
    fn messages_are_marked_by_their_order_in_the_prompt() {
        let mut tester = resumed(false);
        let messages = vec![
            message_cost(Role::System, "Be brief", 2, 0),
            message_cost(Role::User, "one", 9, 9),
            message_cost(Role::Assistant, "first", 9, 3),
            message_cost(Role::User, "", 0, 0),
        ];
        let cost = Cost { prompt_tokens: 30, evicted_tokens: 12, messages, ..Cost::default() };
        tester.tick_when_due();
        tester.update(Msg::Ahead(Step::Planned(Box::new(cost.clone()))));
        assert_eq!(evictions(&mut tester), [Evicted::All, Evicted::Part]);
        assert_eq!(tester.app.held(), Held { used: 18, evicted: 12, pinned: 0 });

        tester.app.transcript.note("a note is no message", false);
        tester.send("two");
        tester.question_is_saved(5);
        tester.token("second", 2);
        tester.finish_holding(Ended::Stop, &[(2, 0), (9, 1), (9, 0), (5, 5), (6, 0)]);
        assert_eq!(evictions(&mut tester), [Evicted::Part, Evicted::Nothing, Evicted::All, Evicted::Nothing]);
    }

    #[test]
    fn what_was_asked_about_another_chat_marks_nothing() {
        let mut tester = resumed(false);
        tester.tick_when_due();
        tester.type_text("x");
        let messages = vec![message_cost(Role::User, "another", 9, 9); 4];
        tester.update(Msg::Ahead(Step::Planned(Box::new(Cost { messages, ..Cost::default() }))));
        assert_eq!(evictions(&mut tester), [Evicted::Nothing; 2]);
    }

    #[test]
    fn an_answer_without_a_word_is_no_message_of_the_next_prompt() {
        let mut tester = Tester::ready();
        tester.send("one");
        tester.think("hm", 2);
        tester.finish_holding(Ended::Stop, &[(5, 5), (9, 9)]);
        assert_eq!(evictions(&mut tester), [Evicted::All]);
    }

    #[test]
    fn the_first_time_text_leaves_the_cache_of_a_chat_it_is_told() {
        let mut tester = Tester::ready();
        turn(&mut tester, &[(10, 0), (5, 0)]);
        assert!(tester.notes().is_empty());
        turn(&mut tester, &[(10, 7), (5, 0), (3, 0), (2, 0)]);
        let told = "the conversation no longer fits into the context: 7 tokens left the cache; they are marked, and \
            come back when a message is about them";
        assert_eq!(tester.notes(), [told]);
        turn(&mut tester, &[(10, 10), (5, 5), (3, 0), (2, 0)]);
        assert_eq!(tester.notes().len(), 1);
        tester.key(KeyCode::Char('n'), KeyModifiers::CONTROL);
        assert_eq!(tester.app.held(), Held::default());
        turn(&mut tester, &[(10, 7), (5, 0)]);
        assert_eq!(tester.notes().len(), 1, "another chat");

        let mut settings = settings();
        settings.kv.no_recall = true;
        let (mut tester, _) = Tester::start(Ok(settings), false, None);
        tester.model(Step::Ready(Box::new(model(true))));
        turn(&mut tester, &[(10, 7), (5, 0)]);
        assert!(tester.notes()[0].ends_with("they are marked"), "{:?}", tester.notes());
    }

    #[test]
    fn the_last_question_is_pinned_or_the_message_of_a_number() {
        let mut tester = resumed(false);
        assert_eq!(pin_effects(&tester.send("/pin")), [(Some(MessageId(2)), true)]);
        assert!(tester.app.notices()[0].contains("message 2 is pinned"), "{:?}", tester.app.notices());
        assert!(tester.app.composer.is_empty());
        assert_eq!(pin_effects(&tester.send("/pin 3")), [(Some(MessageId(3)), true)]);
        assert_eq!(pins(&mut tester), [true, true]);
        let effects = tester.tick_when_due();
        assert!(matches!(effects[..], [Effect::Plan(..)]), "the next turn may cost something else: {effects:?}");
        assert_eq!(pin_effects(&tester.send("/unpin")), [(Some(MessageId(2)), false)]);
        assert_eq!(pins(&mut tester), [false, true]);

        tester.send("two");
        let effects = tester.question_is_saved(5);
        let pinned: Vec<bool> = prompt(&effects).unwrap().messages.iter().map(|message| message.is_pinned).collect();
        assert_eq!(pinned, [false, false, true, false]);
        tester.send("/pin");
        assert_eq!(pins(&mut tester), [false, true, true], "while it is being answered");
    }

    #[test]
    fn a_pin_on_what_has_left_wholly_is_not_said_to_keep_anything() {
        for (recalls, ending) in [(true, "about still comes back"), (false, "nothing to keep")] {
            let mut tester = Tester::ready();
            tester.app.recalls = recalls;
            turn(&mut tester, &[(10, 10), (5, 2)]);
            tester.send("/pin 1");
            let said = tester.app.notices()[0].clone();
            assert!(
                said.contains("has left the cache, so there is nothing to keep") && said.ends_with(ending),
                "{said}"
            );
            tester.send("/pin 2");
            assert!(tester.app.notices()[0].contains("what the cache holds of it stays"), "{:?}", tester.app.notices());
        }
    }

    #[test]
    fn what_cannot_be_pinned_is_a_sentence() {
        let refused = |tester: &mut Tester, text: &str, words: &str| {
            assert!(tester.send(text).is_empty());
            assert!(tester.app.notices()[0].contains(words), "{:?}", tester.app.notices());
        };
        refused(&mut Tester::ready(), "/pin", "there is no message yet");
        refused(&mut Tester::ready(), "/pin 1", "there is no message 1");
        refused(&mut resumed(false), "/pin 1", "message 1 is the system prompt");
        refused(&mut resumed(false), "/unpin 4", "there is no message 4");
        refused(&mut resumed(false), "/pin 0", "there is no message 0");
    }

    #[test]
    fn a_pin_that_cannot_be_kept_is_told_once() {
        let mut tester = Tester::ready();
        turn(&mut tester, &[]);
        tester.send("/pin");
        let plan = |tester: &mut Tester, pins: [Pin; 2]| {
            tester.tick_when_due();
            let message = |pin| MessageCost { pin, ..message_cost(Role::User, "one", 900, 0) };
            let messages = pins.map(message).to_vec();
            tester.update(Msg::Ahead(Step::Planned(Box::new(Cost { cells: 1024, messages, ..Cost::default() }))));
            std::mem::take(&mut tester.app.notices)
        };
        let told = plan(&mut tester, [Pin::Kept, Pin::TooLong]);
        assert!(told.last().is_some_and(|notice| notice.contains("message 2 is too long to be kept")), "{told:?}");
        assert!(told.last().is_some_and(|notice| notice.contains("512 tokens")), "{told:?}");
        tester.send("/context");
        assert!(plan(&mut tester, [Pin::Kept, Pin::TooLong]).is_empty());
        tester.send("/context");
        assert!(!plan(&mut tester, [Pin::TooLong, Pin::TooLong]).is_empty());
    }

    #[test]
    fn pins_come_back_with_their_chat() {
        let mut tester = resumed(true);
        assert_eq!(pins(&mut tester), [true, false]);
        let hold = Hold { is_pinned: true, ..Hold::default() };
        assert_eq!(hold.mark(tester.app.theme()), Some("┃"));
    }

    #[test]
    fn a_pin_of_a_chat_that_is_not_saved_is_kept_on_the_screen() {
        let mut tester = Tester::ready();
        turn(&mut tester, &[]);
        assert!(tester.send("/pin").is_empty());
        assert_eq!(pins(&mut tester), [true, false]);
    }

    #[test]
    fn a_command_is_neither_sent_nor_computed_ahead() {
        let mut tester = Tester::saving();
        assert!(saves(&tester.send("/nothing")).is_empty());
        assert_eq!(tester.app.composer.text(), "/nothing", "it can be mended");
        assert!(tester.app.notices()[0].contains("`/nothing` is no command"), "{:?}", tester.app.notices());
        assert!(tester.tick_when_due().is_empty(), "there is nothing to compute");
        tester.key(KeyCode::Home, KeyModifiers::NONE);
        let effects = tester.send("/");
        let [Save::Question { text, .. }] = saves(&effects)[..] else { panic!("{effects:?}") };
        assert_eq!(text, "/nothing");
        tester.key(KeyCode::Esc, KeyModifiers::NONE);
        assert_eq!(tester.app.composer.text(), "//nothing", "as it would have to be written again");
    }
}
