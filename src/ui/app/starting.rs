//! The first moments: the terminal is ours and one can write, while the store is opened and a model is looked for.

use std::time::Instant;

use super::{Activity, App, Getting, Opening, Outbox, getting};
use crate::ui::Prepared;
use crate::ui::msg::Effect;

/// What is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Starting {
    /// A chat is to be gone on with.
    pub resumes: bool,
}

impl App {
    /// What was waited for is there.
    pub(super) fn started(&mut self, prepared: Prepared) -> Vec<Effect> {
        let Prepared { model, opening, store, resume, notices } = prepared;
        self.starting = None;
        notices.into_iter().for_each(|notice| self.notice(notice));
        if store.is_none() && self.has_store {
            self.lose_store();
        }
        let mut effects = Vec::new();
        self.getting = Getting::starting(model.as_ref().ok().cloned());
        match model {
            Ok(settings) => {
                self.model_file = getting::name(&settings);
                self.recalls = !settings.kv.no_recall;
                effects.push(Effect::Load(Box::new(settings)));
            }
            Err(reason) => {
                // That there is none yet is no failure.
                self.transcript.note(reason.clone(), opening == Opening::Chat);
                self.activity = Activity::NoModel(reason);
                if self.outbox.is_some() {
                    self.give_back_unanswered();
                }
                self.hold_queue();
            }
        }
        self.opening = resume;
        effects.extend(match resume {
            Some(chat) => Some(Effect::OpenChat(chat)),
            None => self.has_store.then_some(Effect::ReadDraft(None)),
        });
        // Who writes already is not to write into the list.
        if self.composer.is_empty() {
            effects.extend(self.open_on(opening));
        }
        effects
    }

    fn lose_store(&mut self) {
        self.has_store = false;
        self.kept.was_read();
        self.saves = false;
        if self.outbox.is_some() {
            self.outbox = Some(Outbox::Ready);
        }
    }

    /// What was typed before the terminal was ours: whole lines, each of which was to be sent.
    pub(super) fn typed_ahead(&mut self, text: &str, now: Instant) -> Vec<Effect> {
        let mut effects = Vec::new();
        for line in text.lines() {
            if let Err(sentence) = self.composer.paste(line) {
                self.notice(sentence);
            }
            effects.extend(self.send(now));
        }
        effects
    }

    /// Whether it is not known yet what there is to talk to.
    pub fn is_starting(&self) -> bool {
        self.starting.is_some()
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::chat::{Ended, Role};
    use crate::engine::protocol::Step;
    use crate::store::ChatId;
    use crate::ui::app::Popup;
    use crate::ui::app::tester::{Tester, model, opened, prepared, prompt, saves, settings, stored, user};
    use crate::ui::msg::{Msg, Save};

    fn start(tester: &mut Tester, prepared: Prepared) -> Vec<Effect> {
        tester.update(Msg::Started(Some(Box::new(prepared))))
    }

    #[test]
    fn what_is_sent_before_anything_is_known_is_saved_and_answered() {
        let mut tester = Tester::starting(true, false);
        let effects = tester.send("Early");
        assert!(matches!(saves(&effects)[..], [Save::Question { .. }]));
        let effects = start(&mut tester, prepared(Ok(settings())));
        assert!(matches!(effects[..], [Effect::Load(_), Effect::ReadDraft(None)]), "{effects:?}");
        tester.question_is_saved(1);
        let effects = tester.model(Step::Ready(Box::new(model(true))));
        assert_eq!(prompt(&effects).unwrap().messages, [user("Early")]);
    }

    #[test]
    fn a_store_that_cannot_be_opened_holds_nothing_up() {
        let mut tester = Tester::starting(true, false);
        tester.send("Early");
        let notices = vec!["this chat will not be saved: the disk is full".to_owned()];
        let effects =
            start(&mut tester, Prepared { store: None, notices: notices.clone(), ..prepared(Ok(settings())) });
        assert!(matches!(effects[..], [Effect::Load(_)]), "{effects:?}");
        assert_eq!(tester.app.notices(), notices);
        let effects = tester.model(Step::Ready(Box::new(model(true))));
        assert_eq!(prompt(&effects).unwrap().messages, [user("Early")]);
        assert!(saves(&effects).is_empty());
    }

    #[test]
    fn a_message_finds_no_model_and_comes_back() {
        let mut tester = Tester::starting(true, false);
        tester.send("Early");
        let chosen =
            Prepared { opening: Opening::Models { chosen: None }, ..prepared(Err("no model is here yet".into())) };
        start(&mut tester, chosen);
        assert_eq!(tester.app.composer.text(), "Early");
        assert!(matches!(tester.app.popup(), Popup::Closed), "what is typed next belongs to the message");
        assert_eq!(tester.notes(), ["no model is here yet"]);
    }

    #[test]
    fn nothing_is_sent_into_a_new_chat_while_another_one_is_to_be_resumed() {
        let mut tester = Tester::starting(true, true);
        assert!(tester.send("Early").is_empty());
        assert_eq!(tester.app.composer.text(), "Early");
        start(&mut tester, Prepared { resume: Some(ChatId(4)), ..prepared(Ok(settings())) });
        let answer = stored(2, Role::Assistant, "x", Some(Ended::Stop));
        tester.update(Msg::ChatOpened(opened(4, vec![stored(1, Role::User, "one", None), answer])));
        let effects = tester.key(KeyCode::Enter, KeyModifiers::NONE);
        assert!(matches!(saves(&effects)[..], [Save::Question { .. }]), "{effects:?}");
    }

    #[test]
    fn a_line_that_was_typed_ahead_is_sent_and_a_second_one_waits() {
        let mut tester = Tester::starting(true, false);
        let effects = tester.update(Msg::TypedAhead("Hello\nand more\n".into()));
        assert!(matches!(saves(&effects)[..], [Save::Question { text, .. }] if text == "Hello"), "{effects:?}");
        assert!(tester.app.composer.is_empty());
        assert_eq!(tester.app.queued().count(), 1);
    }
}
