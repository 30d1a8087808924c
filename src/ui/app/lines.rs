//! Lines that are typed where there is no screen to write on. A line is a command, or a message; what is kept in the
//! composer meanwhile (a draft, a text that was put there, a question that got no answer) is sent by an empty line, and
//! else a message is added to it or takes its place.

use std::time::Instant;

use super::{App, Outbox};
use crate::ui::composer::{Part, split_attached};
use crate::ui::msg::{Command, Effect, Msg};
use crate::ui::slash::{self, Written};

/// Whether this asks to stop.
pub(super) fn is_stop(msg: &Msg) -> bool {
    match msg {
        Msg::Command(command) => *command == Command::Stop,
        Msg::Line(line) => slash::read(line.trim_end()) == Written::Command(Command::Stop),
        _ => false,
    }
}

impl App {
    /// A line was typed.
    pub(super) fn line_typed(&mut self, line: &str, now: Instant) -> Vec<Effect> {
        self.look_ahead(now);
        if line.trim().is_empty() {
            return self.send_written(now);
        }
        match slash::read(line.trim_end()) {
            Written::Mistake(sentence) => {
                self.notice(sentence);
                Vec::new()
            }
            Written::Command(command) => self.written_command(command, now),
            Written::Message(_) => {
                if self.replaces_written() {
                    let (attached, _) = split_attached(&self.composer.parts());
                    self.composer.set(&attached);
                } else if self.has_written() {
                    self.composer.newline();
                }
                match self.composer.paste(line) {
                    Ok(()) => self.send_written(now),
                    Err(sentence) => {
                        self.notice(sentence);
                        Vec::new()
                    }
                }
            }
        }
    }

    /// Whether something is written beside what is attached.
    fn has_written(&self) -> bool {
        split_attached(&self.composer.parts()).1.iter().any(|part| match part {
            Part::Text(text) | Part::Paste(text) => !text.trim().is_empty(),
            Part::File { .. } | Part::Image(_) => false,
        })
    }

    /// Whether a message that is typed now takes the place of what is kept: a question that was sent before, and is not
    /// the beginning of another one.
    pub fn replaces_written(&self) -> bool {
        self.edited_message().is_some() || self.composer.is_given_back()
    }

    /// Whether nothing is under way that a person waits for.
    pub fn is_settled(&self) -> bool {
        let is_looking = self.is_starting() || self.opening.is_some() || self.is_finding() || self.is_getting();
        !self.is_busy() && !is_looking && !self.is_loading() && self.running().is_none()
    }

    /// Whether a question waits for its answer.
    pub fn is_busy(&self) -> bool {
        let is_unsent = matches!(self.outbox, Some(Outbox::Saving | Outbox::Ready));
        is_unsent || self.is_answering() || (self.queued().len() > 0 && !self.holds_queue())
    }

    /// Whether a model is on its way from the disk.
    pub fn is_loading(&self) -> bool {
        matches!(self.activity, super::Activity::Loading(_) | super::Activity::Trying(_))
    }
}

#[cfg(test)]
mod tests {
    use crate::chat::Ended;
    use crate::engine::protocol::{EngineError, Step};
    use crate::ui::app::tester::{Tester, prompt, user};
    use crate::ui::msg::{Effect, Msg};

    fn line(tester: &mut Tester, text: &str) -> Vec<Effect> {
        tester.update(Msg::Line(text.into()))
    }

    #[test]
    fn a_line_is_sent_and_a_command_done() {
        let mut tester = Tester::ready();
        line(&mut tester, "/set temp 0.3");
        assert!(tester.app.take_notices()[0].starts_with("`temp` is `0.3`"));
        assert!(tester.app.take_notices().is_empty());
        assert_eq!(prompt(&line(&mut tester, "one")).unwrap().messages, [user("one")]);
        assert!(!tester.app.is_settled());
        tester.token("first", 1);
        tester.finish(Ended::Stop);
        assert!(tester.app.is_settled());
        assert_eq!(prompt(&line(&mut tester, "//set")).unwrap().messages.last(), Some(&user("/set")));
    }

    #[test]
    fn a_question_without_an_answer_is_sent_again_by_an_empty_line_or_gives_way() {
        for (typed, sent) in [("", "one"), ("two", "two")] {
            let mut tester = Tester::ready();
            line(&mut tester, "one");
            tester.answer(Step::Failed(EngineError::Failed("it broke".into())));
            assert!(tester.app.replaces_written());
            assert_eq!(prompt(&line(&mut tester, typed)).unwrap().messages, [user(sent)]);
        }
    }

    #[test]
    fn a_draft_and_a_paste_are_gone_on_with() {
        let mut tester = Tester::ready();
        tester.update(Msg::Paste("pasted\nlines".into()));
        line(&mut tester, "/stats");
        tester.command(crate::ui::msg::Command::ClosePopup);
        assert_eq!(prompt(&line(&mut tester, "Sum up")).unwrap().messages, [user("pasted\nlines\nSum up")]);
    }

    #[test]
    fn a_question_that_is_edited_gives_way_and_a_command_leaves_it() {
        let mut tester = Tester::ready();
        line(&mut tester, "one");
        tester.token("first", 1);
        tester.finish(Ended::Stop);
        line(&mut tester, "/edit");
        line(&mut tester, "/set top-k 3");
        assert_eq!(tester.app.composer().text(), "one");
        assert_eq!(prompt(&line(&mut tester, "other")).unwrap().messages, [user("other")]);
    }
}
