//! Going on with the last answer: its end is taken back, and what comes is added to it, on the screen and on disk.
//! If nothing comes it ends as it had ended before, unless the model says that it is complete.

use super::elsewhere::NOT_HERE;
use super::news::BEING_ANSWERED;
use super::turn::Unsaved;
use super::{Activity, App, Reading};
use crate::chat::Ended;
use crate::ui::msg::{Effect, Save, Scroll};
use crate::ui::transcript::{Answer, End};

const LOOP_ADVICE: &str = "Ctrl-G goes on with the answer; a higher `--temp` or `--repeat-penalty 1.1` makes \
    repetition rarer, `--loop-breaker off` allows it";

/// What an answer was that is gone on with.
#[derive(Debug)]
pub(super) struct Continued {
    end: End,
    bytes: usize,
}

impl App {
    /// Asks the engine to go on with the last answer, or says why that cannot be.
    pub(super) fn continue_answer(&mut self) -> Vec<Effect> {
        if let Some(reason) = self.reason_not_to_continue() {
            self.notice(reason);
            return Vec::new();
        }
        if self.branches.goes_on_below() {
            self.notice(
                "something follows this answer on another branch, so it stays as it is; `/retry` asks for another",
            );
            return Vec::new();
        }
        if self.holds_back() {
            return Vec::new();
        }
        let prompt = self.conversation();
        let Some(answer) = self.transcript.last_answer_mut().filter(|answer| answer.has_text()) else {
            self.notice(self.nothing_to_continue());
            return Vec::new();
        };
        let end = answer.reopen().unwrap_or(End::Ended(Ended::Interrupted));
        self.continued = Some(Continued { end, bytes: answer.document.text().len() });
        let message = answer.saved.clone();
        self.notices.clear();
        self.transcript.scroll(Scroll::Bottom, &self.look.theme);
        self.activity = Activity::Prefilling { done: 0, total: 0 };
        self.reading = Reading::default();
        let mut effects: Vec<Effect> = self.stop_looking_ahead().into_iter().collect();
        let options = self.options.clone();
        self.most_tokens = options.max_tokens;
        effects.push(Effect::Generate(prompt, options));
        if self.saves {
            self.unsaved = Unsaved::begin(message.clone());
            effects.push(Effect::Save(Save::AnswerContinues { message }));
        }
        effects
    }

    fn reason_not_to_continue(&self) -> Option<String> {
        let reason = match &self.activity {
            Activity::NoModel(reason) => reason,
            Activity::Loading(_) | Activity::Trying(_) => {
                "the model is still being loaded; press Ctrl-G again when it is there"
            }
            Activity::Prefilling { .. } | Activity::Selecting { .. } | Activity::Answering(_) | Activity::Stopping => {
                "an answer is in progress; Ctrl-G goes on with it once it has ended"
            }
            Activity::Idle if self.outbox.is_some() => "a message waits for its answer; Esc takes it back",
            Activity::Idle if self.opening.is_some() => "the chat is still being read; press Ctrl-G again in a moment",
            Activity::Idle if self.elsewhere.is_some() => NOT_HERE,
            Activity::Idle if self.is_answered_outside() => BEING_ANSWERED,
            Activity::Idle => return None,
        };
        Some(reason.to_owned())
    }

    fn nothing_to_continue(&self) -> &'static str {
        match self.unanswered_text() {
            Some(_) => "the last message got no answer to go on with; send it again with Enter",
            None => "there is no answer to go on with; write a message and send it with Enter",
        }
    }

    /// How the answer in progress ends, and with which seed it is written to disk, if it was gone on with; tells what
    /// can be done about an end that is not as it should be.
    pub(super) fn settle_end(&mut self, end: End, seed: Option<u32>) -> (End, Option<u32>) {
        if end.ended() == Ended::Loop {
            self.notice(LOOP_ADVICE);
        }
        let Some(continued) = self.continued.take() else { return (end, seed) };
        let bytes = self.transcript.last_answer_mut().map_or(0, |answer: &mut Answer| answer.document.text().len());
        if bytes > continued.bytes {
            // On disk the seed of the beginning stays.
            return (end, None);
        }
        let notice = match end {
            End::Ended(Ended::Stop) => {
                self.notice("the model adds nothing to its answer: it ended its turn at once");
                return (end, None);
            }
            End::Ended(Ended::Cancelled | Ended::Interrupted) => return (continued.end, None),
            End::Failed(sentence) => sentence,
            End::Ended(_) | End::Repeated(_) | End::AtMost(_) | End::Full(_) | End::FillsCache(_) | End::Elsewhere => {
                "nothing came that belongs to the answer; it stays as it is".to_owned()
            }
        };
        self.notice(notice);
        (continued.end, None)
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::super::tester::{Tester, assistant, model, opened, prompt, saves, settings, stored, user};
    use super::*;
    use crate::chat::{Repetition, Role, Stats};
    use crate::engine::protocol::{EngineError, Finish, Step};
    use crate::store::{ChatId, MessageId};
    use crate::ui::msg::Msg;

    /// With an answer "half an" that ended like this and is saved.
    fn answered(ended: Ended) -> Tester {
        let mut tester = Tester::saving();
        tester.send("one");
        tester.question_is_saved(1);
        tester.app.transcript.last_answer_mut().unwrap().saved.get_or_init(|| MessageId(2));
        tester.token("half an", 2);
        tester.finish(ended);
        tester
    }

    fn go_on(tester: &mut Tester) -> Vec<Effect> {
        tester.key(KeyCode::Char('g'), KeyModifiers::CONTROL)
    }

    fn end(tester: &mut Tester) -> Option<End> {
        tester.app.transcript.last_answer_mut().unwrap().end.clone()
    }

    #[test]
    fn an_answer_goes_on_in_its_place_on_the_screen_and_on_disk() {
        for ended in [Ended::Length, Ended::Cancelled, Ended::Loop, Ended::Error, Ended::Interrupted, Ended::Stop] {
            let mut tester = answered(ended);
            let effects = go_on(&mut tester);
            assert_eq!(prompt(&effects).unwrap().messages, [user("one"), assistant("half an")]);
            let [Save::AnswerContinues { message }] = saves(&effects)[..] else { panic!("{effects:?}") };
            assert_eq!(message.get(), Some(&MessageId(2)));
            assert_eq!(end(&mut tester), None, "what was said of its end is gone");

            tester.token(" answer", 1);
            let effects = tester.finish(Ended::Stop);
            let [Save::AnswerGrows { text, message, .. }, Save::AnswerEnds { ended, seed, stats, .. }] =
                saves(&effects)[..]
            else {
                panic!("{effects:?}")
            };
            assert_eq!((text.as_str(), message.get()), (" answer", Some(&MessageId(2))));
            assert_eq!((*ended, *seed), (Ended::Stop, None), "the seed of its beginning stays");
            assert_eq!(stats.usage.completion_tokens, 5, "the store adds what it cost before");
            assert_eq!(tester.answer_texts(), ["half an answer"]);
            let effects = tester.send("two");
            assert!(saves(&effects).len() == 1 && prompt(&effects).is_none());
            let effects = tester.question_is_saved(3);
            assert_eq!(prompt(&effects).unwrap().messages[1], assistant("half an answer"));
        }
    }

    #[test]
    fn an_answer_can_be_gone_on_with_more_than_once() {
        let mut tester = answered(Ended::Length);
        go_on(&mut tester);
        tester.token(" answer", 1);
        tester.finish(Ended::Length);
        let effects = go_on(&mut tester);
        assert_eq!(prompt(&effects).unwrap().messages[1], assistant("half an answer"));
    }

    #[test]
    fn an_answer_that_a_crash_interrupted_goes_on_after_it_was_opened_again() {
        let (mut tester, _) = Tester::start(Ok(settings()), true, Some(ChatId(4)));
        tester.model(Step::Ready(Box::new(model(true))));
        assert!(go_on(&mut tester).is_empty(), "the chat is still being read");
        let messages =
            vec![stored(1, Role::User, "one", None), stored(2, Role::Assistant, "half an", Some(Ended::Interrupted))];
        tester.update(Msg::ChatOpened(opened(4, messages)));
        let effects = go_on(&mut tester);
        assert_eq!(prompt(&effects).unwrap().messages, [user("one"), assistant("half an")]);
        assert!(
            matches!(saves(&effects)[..], [Save::AnswerContinues { message }] if message.get() == Some(&MessageId(2)))
        );
    }

    #[test]
    fn a_model_that_has_nothing_to_add_is_told_and_the_answer_counts_as_complete() {
        let mut tester = answered(Ended::Length);
        go_on(&mut tester);
        let effects = tester.finish(Ended::Stop);
        assert!(tester.app.notices()[0].contains("ended its turn at once"), "{:?}", tester.app.notices());
        assert_eq!(end(&mut tester), Some(End::Ended(Ended::Stop)));
        assert!(matches!(saves(&effects)[..], [Save::AnswerEnds { ended: Ended::Stop, .. }]));
        assert!(tester.app.composer.is_empty());
    }

    #[test]
    fn an_answer_to_which_nothing_was_added_ends_as_it_had_ended() {
        let mut tester = answered(Ended::Length);
        go_on(&mut tester);
        tester.command(crate::ui::msg::Command::Stop);
        let effects = tester.finish(Ended::Cancelled);
        assert_eq!(end(&mut tester), Some(End::Full(4096)));
        assert!(matches!(saves(&effects)[..], [Save::AnswerEnds { ended: Ended::Length, .. }]));

        go_on(&mut tester);
        tester.answer(Step::Failed(EngineError::ContextFull { needed: 4097, cells: 4096 }));
        assert!(tester.app.notices()[0].contains("--ctx"), "{:?}", tester.app.notices());
        assert_eq!(end(&mut tester), Some(End::Full(4096)));
    }

    #[test]
    fn leaving_before_anything_was_added_leaves_the_end_as_it_was() {
        let mut tester = answered(Ended::Length);
        go_on(&mut tester);
        let effects = tester.update(Msg::Terminate);
        assert!(matches!(saves(&effects)[..], [Save::AnswerEnds { ended: Ended::Length, .. }]), "{effects:?}");
        let mut tester = answered(Ended::Length);
        go_on(&mut tester);
        tester.token(" answer", 1);
        let effects = tester.update(Msg::Terminate);
        assert!(matches!(saves(&effects)[..], [_, Save::AnswerEnds { ended: Ended::Interrupted, .. }]), "{effects:?}");
    }

    #[test]
    fn what_cannot_be_gone_on_with_is_a_sentence() {
        let refused = |mut tester: Tester, part: &str| {
            assert!(go_on(&mut tester).is_empty());
            assert!(tester.app.notices()[0].contains(part), "{:?}", tester.app.notices());
        };
        refused(Tester::ready(), "there is no answer to go on with");
        refused(Tester::loading(), "still being loaded");
        refused(Tester::without_model("there is no model"), "there is no model");
        let mut tester = Tester::ready();
        tester.send("one");
        tester.token("half", 1);
        refused(tester, "an answer is in progress");
        let mut tester = Tester::ready();
        tester.send("one");
        tester.finish(Ended::Cancelled);
        refused(tester, "got no answer to go on with");
        let mut tester = Tester::saving();
        tester.send("one");
        refused(tester, "Esc takes it back");
    }

    #[test]
    fn a_chat_that_is_not_saved_goes_on_without_a_write() {
        let mut tester = Tester::ready();
        tester.send("one");
        tester.token("half an", 1);
        tester.finish(Ended::Length);
        assert!(matches!(go_on(&mut tester)[..], [Effect::Generate(..)]));
    }

    #[test]
    fn an_answer_that_repeats_itself_says_what_and_what_can_be_done() {
        let mut tester = answered(Ended::Stop);
        tester.send("two");
        tester.question_is_saved(3);
        tester.token("ha ha", 2);
        let repetition = Some(Repetition { period: 12, times: 36 });
        let finish = Finish { ended: Ended::Loop, repetition, stats: Stats::default(), seed: 7, held: Vec::new() };
        let effects = tester.answer(Step::Finished(finish));
        assert_eq!(end(&mut tester), repetition.map(End::Repeated));
        assert!(matches!(saves(&effects)[..], [_, Save::AnswerEnds { ended: Ended::Loop, .. }]));
        assert!(tester.app.notices()[0].contains("Ctrl-G goes on"), "{:?}", tester.app.notices());
        go_on(&mut tester);
        assert!(tester.app.notices().is_empty());
    }
}
