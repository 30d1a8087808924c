//! What is handed over beside what is written: files, the output of a command (which is asked about before it runs), what
//! is in the clipboard. What it costs is told before it is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{App, Ask, Popup, Question};
use crate::engine::protocol::Cost;
use crate::text::escape_line;
use crate::ui::composer::{Part, named};
use crate::ui::days::duration;
use crate::ui::msg::Effect;

/// A line of shell that runs.
#[derive(Debug)]
pub(super) struct Running {
    line: String,
    stop: Arc<AtomicBool>,
}

/// A file of this name is `./clipboard`.
const CLIPBOARD: &str = "clipboard";

impl App {
    /// What `/attach` is given: a path, a pattern, `!` and a line of shell, or `clipboard`.
    pub(super) fn attach(&mut self, wanted: String) -> Vec<Effect> {
        match wanted.strip_prefix('!').map(str::trim) {
            Some("") => {
                self.notice("`/attach !COMMAND` attaches what a command says, as in `/attach !git diff`");
                Vec::new()
            }
            Some(line) => self.ask_to_run(line),
            None if wanted == CLIPBOARD => self.attach_clipboard(),
            None => vec![Effect::Attach(wanted)],
        }
    }

    pub(super) fn attach_clipboard(&mut self) -> Vec<Effect> {
        vec![Effect::AttachClipboard { is_private: self.is_private }]
    }

    /// Asks whether to run a line of shell.
    pub(super) fn ask_to_run(&mut self, line: &str) -> Vec<Effect> {
        match &self.running {
            Some(running) => {
                let running = escape_line(&running.line);
                self.notice(format!("`{running}` still runs; wait for its end, or stop it with Esc"));
            }
            None => self.popup = Popup::Ask(Ask::about(Question::Run(line.to_owned()))),
        }
        Vec::new()
    }

    /// Yes: it is run.
    pub(super) fn run(&mut self, line: String) -> Vec<Effect> {
        let stop = Arc::new(AtomicBool::new(false));
        self.running = Some(Running { line: line.clone(), stop: Arc::clone(&stop) });
        vec![Effect::Run { line, stop }]
    }

    /// The line of shell that runs.
    pub fn running(&self) -> Option<&str> {
        self.running.as_ref().map(|running| running.line.as_str())
    }

    /// Stops it; whether one ran.
    pub(super) fn stop_running(&mut self) -> bool {
        let Some(running) = &self.running else { return false };
        running.stop.store(true, Ordering::Relaxed);
        true
    }

    /// It has ended, with what it said or why there is nothing of it.
    pub(super) fn ran(&mut self, output: Result<Part, String>) {
        self.running = None;
        self.attached(output);
    }

    /// Something was read that is to be attached, or a sentence says why not.
    pub(super) fn attached(&mut self, read: Result<Part, String>) {
        let attached = read.and_then(|part| self.composer.attach(&part).map(|()| part));
        match attached {
            Ok(Part::Image(_)) => self.notice("the models here cannot see pictures: they are told the name only"),
            Ok(Part::File { name, .. }) => self.ahead.tells_cost_of(named(&name)),
            Ok(_) => {}
            Err(sentence) => self.notice(sentence),
        }
    }

    /// What a message costs now that something was attached to it, in a sentence.
    pub(super) fn tell_cost(&mut self, cost: &Cost) {
        let Some(name) = self.ahead.take_told_cost() else { return };
        self.notice(cost_in_words(&name, cost));
    }

    /// Tells which words looked as if they were to attach files, and were sent as they stand.
    pub(super) fn not_attached(&mut self, there: &[String], missing: &[String]) {
        for name in missing {
            self.notice(format!("`@{}` is no file here, so it was sent as it stands", escape_line(name)));
        }
        for name in there {
            let name = escape_line(name);
            self.notice(format!("`@{name}` was sent as it stands; `/attach {name}` attaches the file"));
        }
    }

    pub(super) fn detach(&mut self, name: Option<&str>) {
        let sentence = match (self.composer.detach(name), name) {
            (Some(_), _) => return,
            (None, Some(name)) => {
                format!("no file `{}` is attached; `/drop` takes out the last one", escape_line(name))
            }
            (None, None) => "no file is attached; `/attach PATH` attaches one".into(),
        };
        self.notice(sentence);
    }
}

fn cost_in_words(name: &str, cost: &Cost) -> String {
    let message = cost.messages.last().map_or(cost.prompt_tokens, |message| message.tokens);
    let share = |tokens: u32| u64::from(tokens) * 100 / u64::from(cost.cells.max(1));
    let size = format!("with {name} the message has {message} tokens");
    let in_cache = cost.prompt_tokens.saturating_sub(cost.evicted_tokens);
    let room = match share(message) {
        _ if in_cache > cost.cells => format!("more than the context of {} holds with what is in it", cost.cells),
        0 => "less than 1 % of the context".to_owned(),
        share => format!("{share} % of the context"),
    };
    let wait = cost
        .first_token_ms
        .map_or(String::new(), |wait| format!("; the answer would begin in about {}", duration(wait)));
    format!("{size}, {room}{wait}; `/drop` takes it out")
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::chat::Role;
    use crate::engine::protocol::{MessageCost, Pin, Step};
    use crate::ui::app::tester::{Tester, prompt};
    use crate::ui::msg::{Command, Msg};

    fn file(name: &str) -> Part {
        Part::File { name: name.into(), text: "milk\n".into() }
    }

    fn press(tester: &mut Tester, code: KeyCode) -> Vec<Effect> {
        tester.key(code, KeyModifiers::NONE)
    }

    #[test]
    fn a_command_is_run_only_when_it_was_asked_about() {
        let mut tester = Tester::ready();
        for written in ["/attach !git diff", "/run git diff"] {
            assert!(tester.send(written).is_empty());
            assert!(
                matches!(tester.app.popup(), Popup::Ask(asked) if asked.question == Question::Run("git diff".into()))
            );
            press(&mut tester, KeyCode::Esc);
            assert!(matches!(tester.app.popup(), Popup::Closed) && tester.app.running().is_none());
        }
        tester.send("/run git diff");
        let effects = press(&mut tester, KeyCode::Enter);
        assert!(matches!(&effects[..], [Effect::Run { line, .. }] if line == "git diff"), "{effects:?}");
        assert!(!tester.app.is_settled(), "the next line of a script waits for it");
        tester.send("/run ls");
        assert!(tester.app.notices()[0].starts_with("`git diff` still runs"), "{:?}", tester.app.notices());
        tester.update(Msg::Ran(Ok(file("output of `git diff`"))));
        let effects = tester.send("Sum up");
        assert!(prompt(&effects).unwrap().messages[0].text.starts_with("--- file: output of `git diff` ---\nmilk\n"));
    }

    #[test]
    fn a_command_that_runs_is_stopped_with_escape_and_ctrl_c() {
        for stop in [Command::Stop, Command::Interrupt] {
            let mut tester = Tester::ready();
            tester.type_text("a draft ");
            tester.command(Command::Run("sleep 9".into()));
            let effects = press(&mut tester, KeyCode::Enter);
            let [Effect::Run { stop: flag, .. }] = &effects[..] else { panic!("{effects:?}") };
            tester.command(stop);
            assert!(flag.load(Ordering::Relaxed) && tester.app.composer().text() == "a draft ");
            tester.update(Msg::Ran(Err("`sleep 9` was stopped, and nothing was attached".into())));
            assert!(tester.app.is_settled() && tester.app.notices()[0].contains("was stopped"));
        }
    }

    #[test]
    fn what_is_attached_is_told_with_its_cost_once() {
        let mut tester = Tester::ready();
        tester.update(Msg::Attached(Ok(file("src/a.txt"))));
        tester.tick_when_due();
        let message = MessageCost {
            role: Role::User,
            beginning: String::new(),
            tokens: 1024,
            cached_tokens: 0,
            evicted_tokens: 0,
            pin: Pin::None,
        };
        let cost = || Cost {
            prompt_tokens: 1100,
            cells: 4096,
            first_token_ms: Some(12_000.0),
            messages: vec![message.clone()],
            ..Cost::default()
        };
        tester.update(Msg::Ahead(Step::Expected(Box::new(cost()))));
        let told = "with a.txt the message has 1024 tokens, 25 % of the context; the answer would begin in about 12 s; \
            `/drop` takes it out";
        assert_eq!(tester.app.notices(), [told]);
        tester.command(Command::Stop);
        tester.update(Msg::Ahead(Step::Planned(Box::new(cost()))));
        assert!(tester.app.notices().is_empty());
        let full = Cost { prompt_tokens: 5000, ..cost() };
        assert!(cost_in_words("a", &full).contains("more than the context of 4096 holds"));
    }

    #[test]
    fn the_clipboard_is_asked_for_by_its_name() {
        let mut tester = Tester::ready();
        for written in ["/paste", "/attach clipboard"] {
            assert!(matches!(tester.send(written)[..], [Effect::AttachClipboard { is_private: false }]), "{written}");
        }
        assert!(tester.send("/attach !").is_empty());
        assert!(tester.app.notices()[0].contains("/attach !git diff"));
    }
}
