//! What is asked before something is done that is not only the chat's business: running a line of shell, and letting a
//! private chat's text leave the machine.

use super::{App, Popup};
use crate::text::escape_line;
use crate::ui::msg::Effect;

/// A question over the chat, scrolled down by so many lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    pub question: Question,
    pub top: u16,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether to run this line of shell.
    Run(String),
    /// Whether what is said in a private chat may go to this machine.
    SendTo(String),
}

impl Question {
    /// What is asked.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Run(_) => "Run this command?",
            Self::SendTo(_) => "Send a private chat elsewhere?",
        }
    }

    /// What it is about.
    pub fn subject(&self) -> String {
        match self {
            Self::Run(line) => escape_line(line),
            Self::SendTo(host) => escape_line(host),
        }
    }

    /// What comes of it, in a sentence or two.
    pub fn consequence(&self) -> &'static str {
        match self {
            Self::Run(_) => {
                "It runs in a shell, without a terminal, for 60 seconds at most. What it says is attached to your message."
            }
            Self::SendTo(_) => {
                "The model answers on that machine, and all that was said goes there. Nothing of it is written to disk \
                 here; what is kept there is not known."
            }
        }
    }

    /// What the keys do.
    pub fn keys(&self) -> &'static str {
        match self {
            Self::Run(_) => "Enter runs it, Esc does not",
            Self::SendTo(_) => "Enter sends it, Esc does not",
        }
    }

    /// What Enter does.
    pub fn yes(&self) -> &'static str {
        match self {
            Self::Run(_) => "run it",
            Self::SendTo(_) => "send it",
        }
    }
}

impl Ask {
    pub(super) fn about(question: Question) -> Self {
        Self { question, top: 0 }
    }
}

impl App {
    /// Asks, once in a private chat, whether its text may go to the machine that the model is on; while `offline` is set it
    /// goes to none. `true` if nothing may be sent now.
    pub(super) fn holds_back(&mut self) -> bool {
        let host = self.model.as_ref().and_then(|model| model.sends_to()).map(str::to_owned);
        let Some(host) = host else { return false };
        if self.is_offline {
            if self.outbox.is_some() {
                self.give_back_unanswered();
            }
            let host = escape_line(&host);
            self.notice(format!(
                "the model is on {host}, and `offline` is set; F4 chooses a model of this machine, `/settings offline off` takes \
                 it back"
            ));
            return true;
        }
        let asks = self.is_private && self.may_send_to.as_ref() != Some(&host);
        if asks {
            self.popup = Popup::Ask(Ask::about(Question::SendTo(host)));
        }
        asks
    }

    /// Yes.
    pub(super) fn do_what_was_asked(&mut self, question: Question) -> Vec<Effect> {
        match question {
            Question::Run(line) => self.run(line),
            Question::SendTo(host) => {
                self.may_send_to = Some(host);
                self.answer_if_possible()
            }
        }
    }

    /// No, or no answer: nothing is done, and what waited comes back.
    pub(super) fn leave_what_was_asked(&mut self, question: &Question) {
        match question {
            Question::Run(_) => self.notice("nothing was run; `/run COMMAND` asks again"),
            Question::SendTo(_) => {
                if self.outbox.is_some() {
                    self.give_back_unanswered();
                }
                self.notice("nothing was sent; Enter asks again, and F4 chooses a model of this machine");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::engine::protocol::{ServerInfo, Step};
    use crate::engine::remote::Server;
    use crate::ui::app::tester::{Tester, model, prompt};

    /// A private chat with a model on another machine, or on a server of this one.
    fn private(address: &str) -> Tester {
        let mut tester = Tester::saving();
        tester.send("/private");
        let server = Server::new(Some("lab"), address, None).expect("a server");
        let server = Some(ServerInfo { server, program: None, context: None });
        tester.model(Step::Ready(Box::new(crate::engine::protocol::ModelInfo {
            server,
            kv: None,
            device: None,
            ..model(true)
        })));
        tester
    }

    fn asked(tester: &Tester) -> Option<String> {
        match tester.app.popup() {
            Popup::Ask(Ask { question, .. }) => Some(question.subject()),
            _ => None,
        }
    }

    #[test]
    fn a_private_chat_asks_once_before_its_text_goes_elsewhere() {
        let mut tester = private("http://lab.test:8000");
        assert_eq!(asked(&tester), None, "nothing was said yet");
        assert!(prompt(&tester.send("Hello")).is_none());
        assert_eq!(asked(&tester).as_deref(), Some("lab.test"));
        let effects = tester.key(KeyCode::Enter, KeyModifiers::NONE);
        assert_eq!(prompt(&effects).expect("a question").messages[0].text, "Hello");
        tester.finish(crate::chat::Ended::Stop);
        assert!(prompt(&tester.send("And?")).is_some(), "it is asked once");
    }

    #[test]
    fn who_does_not_want_that_has_the_message_back() {
        let mut tester = private("http://lab.test:8000");
        tester.send("Hello");
        assert!(prompt(&tester.key(KeyCode::Esc, KeyModifiers::NONE)).is_none());
        assert_eq!((asked(&tester), tester.app.composer().text().as_str()), (None, "Hello"));
        assert!(tester.app.notices()[0].starts_with("nothing was sent"), "{:?}", tester.app.notices());
        assert!(prompt(&tester.key(KeyCode::Enter, KeyModifiers::NONE)).is_none());
        assert_eq!(asked(&tester).as_deref(), Some("lab.test"));
    }

    #[test]
    fn offline_holds_back_what_would_leave_the_machine() {
        let mut tester = private("http://lab.test:8000");
        tester.app.is_offline = true;
        assert!(prompt(&tester.send("Hello")).is_none());
        assert_eq!((asked(&tester), tester.app.composer().text().as_str()), (None, "Hello"));
        assert!(tester.app.notices().iter().any(|notice| notice.contains("`offline` is set")));
    }

    #[test]
    fn a_model_that_another_machine_computes_a_part_of_is_asked_about_too() {
        let mut tester = Tester::saving();
        tester.send("/private");
        let mut info = model(true);
        info.device.as_mut().unwrap().elsewhere = Some("board.test".into());
        tester.model(Step::Ready(Box::new(info)));
        assert!(prompt(&tester.send("Hello")).is_none());
        assert_eq!(asked(&tester).as_deref(), Some("board.test"));
    }

    #[test]
    fn what_stays_on_this_machine_is_not_asked_about() {
        assert!(prompt(&private("http://localhost:8000").send("Hello")).is_some());
    }
}
