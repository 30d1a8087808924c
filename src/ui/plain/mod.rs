//! The chat in plain lines, for screen readers and for terminals that cannot move their cursor: what is said is written
//! once and never drawn again, and what is typed is a line. It is another view of the same state: what happens in the
//! chat, and what commands do, is decided in `app` alone.
//!
//! - `voice` says what has not been said of the state yet, and `speech` an answer; `page` is what is written of it, `pieces` says how much of an
//!   answer at once, `status` what the program does, `told` what lies over the chat on a screen (texts, lists, questions).
//! - `stdin` are the lines that come, `heard` what one means. `keys` are those that sentences name.

mod heard;
mod keys;
mod page;
mod pieces;
mod speech;
mod status;
mod stdin;
mod told;
mod voice;

use std::collections::VecDeque;
use std::io::Write;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::time::sleep_until;

use super::Setup;
use super::backstage::Backstage;
use super::editor;
use super::msg::{Command, Effect, Msg};
use super::outlet::{Line, Outlet};
use super::signals::Signals;
use crate::config::Saying;
use crate::engine::protocol::Event as EngineEvent;
use heard::Heard;
use stdin::{Lines, Typed};
use told::Told;
use voice::Voice;

const GREETING: &str =
    "tuichat in plain lines. Type a message and press Enter. `/help` tells the commands, `/quit` leaves.";
/// What begins and ends a message of several lines.
const QUOTES: &str = "\"\"\"";
/// Who leaves waits so long for the last words to be out.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Nothing waits longer for what a command began.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether a message is the reply that is waited for.
type Reply = fn(&Msg) -> bool;

/// Something that woke the loop.
enum Wake {
    Typed(Option<Typed>),
    Engine(Option<EngineEvent>),
    Message(Msg),
    Interrupted,
    /// The program was continued after a stop.
    Continued,
}

/// Runs the chat until the person leaves or the input ends. Whether an answer failed, and no person can have heard of it.
///
/// # Errors
/// If the system refuses a thread or a signal handler.
pub fn run(setup: Setup, saying: Saying) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _context = runtime.enter();
    let talk = Talk::start(setup, saying)?;
    Ok(runtime.block_on(talk.run()))
}

/// Everything the loop listens to and holds.
struct Talk {
    backstage: Backstage,
    signals: Signals,
    stdin: Lines,
    /// Lines that could not be taken yet.
    typed: VecDeque<Typed>,
    stdin_has_ended: bool,
    /// The person's editor has the terminal.
    is_lent: bool,
    /// The lines of a message that has begun with quotes.
    collected: Option<Vec<String>>,
    /// Something that a command began, and that ends with a reply.
    awaited: Vec<(Reply, Instant)>,
    voice: Voice,
    line: Line,
    outlet: Outlet,
}

impl Talk {
    fn start(setup: Setup, saying: Saying) -> anyhow::Result<Self> {
        let line = Line::to(std::io::stdout()).context("the system cannot start a thread; close other programs")?;
        let mut talk = Self {
            backstage: Backstage::set_up(setup)?,
            signals: Signals::listen()?,
            stdin: Lines::listen()?,
            typed: VecDeque::new(),
            stdin_has_ended: false,
            is_lent: false,
            collected: None,
            awaited: Vec::new(),
            voice: Voice::new(saying),
            outlet: Outlet::new(line.clone()),
            line,
        };
        talk.voice.page.say(GREETING);
        // Who cannot be told anything is gone by the next word.
        let _ = talk.write();
        talk.backstage.prepare()?;
        Ok(talk)
    }

    async fn run(mut self) -> bool {
        let mut flow = ControlFlow::Continue(());
        while flow.is_continue() {
            let wake = self.wake().await;
            flow = self.handle(wake);
            if flow.is_continue() {
                flow = self.take_lines();
            }
            if self.write().is_err() && flow.is_continue() {
                flow = self.update(Msg::Terminate);
            }
        }
        self.voice.page.end_line();
        // Who is gone hears nothing more.
        let _ = self.write();
        self.line.drain(LAST_WORDS);
        self.backstage.finish().await;
        // A person has heard of it.
        self.voice.has_failed && !self.stdin.is_terminal
    }

    async fn wake(&mut self) -> Wake {
        let tick_at = self.backstage.rest().map(tokio::time::Instant::from_std);
        let wait_ends_at = self.awaited.first().map(|(_, since)| tokio::time::Instant::from_std(*since + PATIENCE));
        let now = tokio::time::Instant::now();
        // What is typed later may be for an editor that the line before opens.
        if self.typed.is_empty() && !self.is_lent {
            self.stdin.ask();
        }
        tokio::select! {
            typed = self.stdin.next(), if !self.stdin_has_ended => Wake::Typed(typed),
            event = self.backstage.engine_events.recv(), if self.backstage.engine_is_there => Wake::Engine(event),
            Some(message) = self.backstage.replies.recv() => Wake::Message(message),
            Some(()) = self.signals.terminate.recv() => Wake::Message(Msg::Terminate),
            Some(()) = self.signals.hangup.recv() => Wake::Message(Msg::Terminate),
            Some(()) = self.signals.interrupt.recv() => Wake::Interrupted,
            Some(()) = self.signals.continued.recv() => Wake::Continued,
            () = sleep_until(tick_at.unwrap_or(now)), if tick_at.is_some() => Wake::Message(Msg::Tick),
            () = sleep_until(wait_ends_at.unwrap_or(now)), if wait_ends_at.is_some() => Wake::Message(Msg::Tick),
        }
    }

    fn handle(&mut self, wake: Wake) -> ControlFlow<()> {
        match wake {
            Wake::Typed(Some(typed)) => {
                self.typed.push_back(typed);
                ControlFlow::Continue(())
            }
            Wake::Typed(None) => {
                self.stdin_has_ended = true;
                ControlFlow::Continue(())
            }
            Wake::Engine(event) => match self.backstage.engine_said(event) {
                Some(message) => self.update(message),
                None => ControlFlow::Continue(()),
            },
            Wake::Message(message) => {
                let message = self.backstage.pass(message);
                if matches!(message, Msg::EditedOutside(_)) && std::mem::take(&mut self.is_lent) {
                    self.voice.page.was_written_on();
                }
                if let Some(place) = self.awaited.iter().position(|(is_it, _)| is_it(&message)) {
                    self.awaited.remove(place);
                }
                self.update(message)
            }
            // Both are the editor's.
            Wake::Interrupted | Wake::Continued if self.is_lent => ControlFlow::Continue(()),
            Wake::Interrupted => self.interrupted(),
            Wake::Continued => {
                // The shell has written here.
                self.voice.page.was_written_on();
                self.look()
            }
        }
    }

    fn interrupted(&mut self) -> ControlFlow<()> {
        if self.stdin.is_terminal {
            self.voice.page.was_written_on();
        }
        // What was pasted or quoted and not sent is given up, as the line is that was being typed.
        self.collected = None;
        self.voice.is_collecting = false;
        self.update(Msg::Command(Command::Interrupt))
    }

    /// Takes the lines that can be taken now, and leaves when there will be no more.
    fn take_lines(&mut self) -> ControlFlow<()> {
        while self.takes_line()
            && let Some(typed) = self.typed.pop_front()
        {
            if self.hear(typed).is_break() {
                return ControlFlow::Break(());
            }
        }
        let is_done = self.stdin.is_terminal || self.takes_line();
        if !self.stdin_has_ended || !self.typed.is_empty() || !is_done {
            return ControlFlow::Continue(());
        }
        match self.collected.take() {
            Some(lines) => {
                self.voice.is_collecting = false;
                self.send(lines.join("\n"))
            }
            None => self.update(Msg::Command(Command::Quit)),
        }
    }

    /// A person types when it suits; the lines of a script are taken one after the other, each when what the one before
    /// it began has come to its end.
    fn takes_line(&mut self) -> bool {
        let app = &self.backstage.app;
        if self.is_lent || app.is_starting() || told::told(app) == Some(Told::NotYet) {
            return false;
        }
        let is_settled = app.is_settled();
        self.stdin.is_terminal || self.collected.is_some() || (is_settled && !self.is_waiting())
    }

    /// Whether something was begun that ends with a reply.
    fn is_waiting(&mut self) -> bool {
        let now = Instant::now();
        self.awaited.retain(|(_, since)| now.saturating_duration_since(*since) < PATIENCE);
        !self.awaited.is_empty()
    }

    fn hear(&mut self, typed: Typed) -> ControlFlow<()> {
        match &typed {
            _ if self.stdin.is_terminal => self.voice.page.typed(),
            Typed::Line(line) | Typed::Cut(line) | Typed::Pasted(line) => self.voice.page.show(line),
        }
        let is_open = self.voice.told().is_none();
        match typed {
            Typed::Line(line) | Typed::Pasted(line) if self.collected.is_some() => self.collect(line),
            Typed::Line(line) if is_open && line.trim_start().starts_with(QUOTES) => {
                self.collected = Some(Vec::new());
                self.voice.is_collecting = true;
                let begun = line.trim_start().strip_prefix(QUOTES).unwrap_or_default().to_owned();
                if begun.is_empty() { ControlFlow::Continue(()) } else { self.collect(begun) }
            }
            Typed::Pasted(lines) if is_open => {
                let words = format!("{} lines were pasted, and are not sent yet.", lines.lines().count());
                self.voice.page.say(&words);
                self.update(Msg::Paste(lines))
            }
            Typed::Cut(line) if is_open => {
                self.voice.page.say(
                    "The terminal passes on no longer line than this, and what came behind it is lost. Nothing was \
                     sent. `/attach FILE` sends a long text from a file.",
                );
                self.update(Msg::Paste(line))
            }
            Typed::Line(line) | Typed::Pasted(line) | Typed::Cut(line) => {
                match heard::heard(&self.backstage.app, self.voice.told(), &line) {
                    Heard::Messages(messages) => self.update_all(messages),
                    Heard::More => {
                        self.voice.tell_more();
                        self.look()
                    }
                    Heard::Mistake(words) => {
                        self.voice.page.say(&page::sentence(&words));
                        self.look()
                    }
                }
            }
        }
    }

    /// Another line of a message that has begun with quotes.
    fn collect(&mut self, line: String) -> ControlFlow<()> {
        let lines = self.collected.get_or_insert_default();
        let Some(last) = line.trim_end().strip_suffix(QUOTES) else {
            lines.push(line);
            return ControlFlow::Continue(());
        };
        let mut lines = self.collected.take().unwrap_or_default();
        lines.push(last.to_owned());
        self.voice.is_collecting = false;
        self.send(lines.join("\n").trim().to_owned())
    }

    /// Sends what was collected. It is a message, whatever it begins with.
    fn send(&mut self, text: String) -> ControlFlow<()> {
        if text.is_empty() {
            return self.look();
        }
        self.update(Msg::Line(super::slash::written(&text)))
    }

    fn update(&mut self, message: Msg) -> ControlFlow<()> {
        self.update_all([message])
    }

    /// Changes the state by these messages, does what it asks for, and says what came of it.
    fn update_all(&mut self, messages: impl IntoIterator<Item = Msg>) -> ControlFlow<()> {
        for message in messages {
            if let Msg::Line(line) = &message {
                self.voice.typed(line);
            }
            if self.change(message).is_break() {
                return ControlFlow::Break(());
            }
        }
        self.look()
    }

    fn change(&mut self, message: Msg) -> ControlFlow<()> {
        let now = Instant::now();
        for effect in self.backstage.app.update(message, now) {
            if let Some(reply) = reply(&effect) {
                self.awaited.push((reply, now));
            }
            match effect {
                Effect::Leave => return ControlFlow::Break(()),
                // The terminal's own Ctrl-Z stops the program.
                Effect::Suspend | Effect::Redraw => {}
                Effect::EditOutside { text, is_private } => self.lend(text, is_private),
                Effect::RememberTheme(name) => {
                    self.voice.tell_theme(&name);
                    self.backstage.performer.perform(Effect::RememberTheme(name));
                }
                effect => self.backstage.performer.perform(effect),
            }
        }
        ControlFlow::Continue(())
    }

    /// Lets the person's editor have the terminal. Meanwhile nothing is written and no line is read.
    fn lend(&mut self, text: String, is_private: bool) {
        let messages = self.backstage.messages.clone();
        if !self.stdin.is_terminal {
            let sentence = "there is no terminal for an editor; `/attach FILE` sends what is in a file";
            let _ = messages.send(Msg::EditedOutside(Err(sentence.into())));
            return;
        }
        // Who is gone edits nothing.
        let _ = self.write();
        self.line.drain(LAST_WORDS);
        self.is_lent = true;
        let sender = messages.clone();
        let edit = move || drop(sender.send(Msg::EditedOutside(editor::edit(&text, is_private))));
        if std::thread::Builder::new().name("editor".into()).spawn(edit).is_err() {
            let sentence = "the system cannot start a thread; close other programs and try again";
            let _ = messages.send(Msg::EditedOutside(Err(sentence.into())));
        }
    }

    fn look(&mut self) -> ControlFlow<()> {
        self.voice.is_waiting = self.is_waiting();
        while let Some(command) = self.voice.look(&mut self.backstage.app, Instant::now()) {
            if self.change(Msg::Command(command)).is_break() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn write(&mut self) -> std::io::Result<()> {
        if self.is_lent {
            return Ok(());
        }
        let text = self.voice.page.take();
        self.outlet.write_all(text.as_bytes())?;
        self.outlet.flush()
    }
}

/// How the reply to an effect is known, of one for whose end the next line of a script waits.
fn reply(effect: &Effect) -> Option<Reply> {
    Some(match effect {
        Effect::Attach(_) | Effect::AttachClipboard { .. } => |msg| matches!(msg, Msg::Attached(_)),
        Effect::ChangeSetting { .. } => |msg| matches!(msg, Msg::SettingChanged { .. }),
        Effect::ReadSystem(_) => |msg| matches!(msg, Msg::SystemRead(_)),
        Effect::Export { .. } => |msg| matches!(msg, Msg::Exported { .. } | Msg::StoreFailed(_)),
        Effect::FindModel(_) => |msg| matches!(msg, Msg::ModelFound(_)),
        Effect::Copy { .. } => |msg| matches!(msg, Msg::Copied { .. } | Msg::NotCopied { .. }),
        Effect::TagChat { .. } => |msg| matches!(msg, Msg::Tagged(_) | Msg::StoreFailed(_)),
        Effect::DeleteChat(_) => |msg| matches!(msg, Msg::ChatDeleted(_) | Msg::StoreFailed(_)),
        Effect::Fork { .. } | Effect::GoOn { .. } => |msg| matches!(msg, Msg::Forked(_) | Msg::StoreFailed(_)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
