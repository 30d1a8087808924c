//! The loop: takes everything that happened, changes the state, does what it asks for, and draws.
//!
//! It sleeps until something happens. What is queued is taken at once and drawn together, at most
//! [`FRAMES_PER_SECOND`] times a second, so that a flood of tokens costs few frames; what a key changes is drawn at
//! once. While a frame is on its way over a slow line, none is drawn.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::time::Duration;

use crossterm::event::{Event as TerminalEvent, MouseEventKind};
use ratatui::layout::Rect;
use tokio::time::{Instant, sleep_until};

use super::background;
use super::backstage::Backstage;
use super::clipboard::{self, Multiplexer};
use super::keyboard::Keyboard;
use super::msg::{Effect, Msg};
use super::notifying::{self, Watch};
use super::scrollback::{self, Scrollback};
use super::signals::Signals;
use super::terminal::Terminal;
use super::{Setup, editor, keys, pictures, view};
use crate::engine::protocol::Event as EngineEvent;

/// Text grows smoothly so; half as many again took more than 2 % of a core at 100 tokens a second.
const FRAMES_PER_SECOND: u32 = 20;
/// Over SSH every frame travels.
const FRAMES_PER_SECOND_REMOTE: u32 = 10;
/// What a key does is seen sooner than the next frame of an answer would come, which then waits its full time again.
const BEFORE_KEY: Duration = Duration::from_millis(8);
/// A terminal that has told its background once may have another one when it is looked at again.
const ASK_BACKGROUND_AFTER: Duration = Duration::from_secs(5);
/// Who leaves waits so long for a reply that would be typed into the shell otherwise.
const LAST_REPLY: Duration = Duration::from_millis(100);
/// The signal that continues the program after a stop of its own is here by then.
const CONTINUED_WITHIN: Duration = Duration::from_secs(1);
/// Lines that a notch of the wheel moves.
const WHEEL_LINES: i16 = 3;

/// Something that woke the loop.
enum Wake {
    Terminal(Option<TerminalEvent>),
    Engine(Option<EngineEvent>),
    Message(Msg),
    /// The program was continued after a stop that it did not ask for.
    Continued,
    Draw,
    /// The frame before the one that is wanted is out.
    Written,
}

/// Whether something has happened that goes on happening by itself: an answer grows, a download gets on.
fn is_motion(message: &Msg) -> bool {
    let is_of_engine = matches!(message, Msg::Answer(_) | Msg::Model(_) | Msg::Ahead(_));
    is_of_engine || matches!(message, Msg::Downloading { .. } | Msg::Sensed(_) | Msg::Tick)
}

/// Everything the loop listens to and holds.
pub struct EventLoop<'t> {
    backstage: Backstage,
    terminal: &'t mut Terminal,
    keyboard: Keyboard,
    /// The person's editor has the terminal.
    is_lent: bool,
    signals: Signals,
    /// When the program went on after a stop that it asked for, and took the terminal again.
    went_on: Option<Instant>,
    multiplexer: Multiplexer,
    watch: Watch,
    scrollback: Scrollback,
    /// When the terminal was asked about its background; `None` where it may not be.
    asked_background: Option<Instant>,
    /// What the window is called, where it is.
    title: Option<Vec<u8>>,
    /// The least time between two frames, unless the person wants fewer.
    between_frames: Duration,
    next_frame: Instant,
    last_frame: Instant,
    changed: bool,
}

impl<'t> EventLoop<'t> {
    /// Starts the engine and draws the first frame; the model is loaded behind it.
    pub fn start(terminal: &'t mut Terminal, setup: Setup) -> anyhow::Result<Self> {
        let environment = |name: &str| std::env::var(name).ok();
        let is_remote = ["SSH_CONNECTION", "SSH_TTY"].iter().any(|name| environment(name).is_some());
        let frames = if is_remote { FRAMES_PER_SECOND_REMOTE } else { FRAMES_PER_SECOND };
        let multiplexer = Multiplexer::detect(&environment);
        let watch = Watch::new(setup.notify.detect(&environment), multiplexer);
        let title = setup.title.then(Vec::new);
        let mut event_loop = Self {
            backstage: Backstage::set_up(setup)?,
            terminal,
            keyboard: Keyboard::listen()?,
            is_lent: false,
            signals: Signals::listen()?,
            went_on: None,
            multiplexer,
            watch,
            scrollback: Scrollback::default(),
            asked_background: None,
            title,
            between_frames: Duration::from_secs(1) / frames,
            next_frame: Instant::now(),
            last_frame: Instant::now(),
            changed: false,
        };
        event_loop.draw()?;
        if background::may_be_asked(&environment) {
            event_loop.ask_background()?;
        }
        event_loop.backstage.prepare()?;
        Ok(event_loop)
    }

    /// Runs until the person leaves, the program is told to end, or the terminal is gone.
    pub async fn run(mut self) {
        // It comes before any key.
        let mut flow = match self.terminal.take_typed_ahead() {
            Some(typed) => self.update(Msg::TypedAhead(typed)),
            None => ControlFlow::Continue(()),
        };
        while flow.is_continue() {
            let wake = self.wake().await;
            flow = self.handle(wake);
            if flow.is_continue() {
                flow = self.handle_queued();
            }
        }
        if self.keyboard.expects_background() && self.asked_background.is_some_and(|at| at.elapsed() < LAST_REPLY) {
            let _ = tokio::time::timeout(LAST_REPLY, self.keyboard.background.recv()).await;
        }
        // What is typed from now on is the shell's.
        self.keyboard.pause();
        if self.terminal.is_inline() && !self.is_lent {
            // What was said last; a terminal that is gone hears nothing more.
            let _ = self.draw();
        }
        // Before the engine is dropped, which waits for its thread.
        self.terminal.leave_screen();
        self.backstage.finish().await;
    }

    /// Waits for the next thing. Frames are not waited for while nothing changed, nor ticks while nothing moves.
    async fn wake(&mut self) -> Wake {
        let tick_at = self.backstage.rest().map(Instant::from_std);
        let far = self.next_frame;
        let line = self.terminal.line();
        let is_wanted = self.changed && !self.is_lent;
        let is_held_up = is_wanted && line.is_busy();
        // Then it takes along what the engine says until then, instead of being woken for each token.
        let is_frame_due = is_wanted && !is_held_up;
        tokio::select! {
            event = self.keyboard.events.recv() => Wake::Terminal(event),
            event = self.backstage.engine_events.recv(), if self.backstage.engine_is_there && !is_frame_due => Wake::Engine(event),
            Some(message) = self.backstage.replies.recv() => Wake::Message(message),
            Some(is_light) = self.keyboard.background.recv() => Wake::Message(Msg::Background { is_light }),
            Some(()) = self.signals.terminate.recv() => Wake::Message(Msg::Terminate),
            // Ctrl-C in an editor is the editor's.
            Some(()) = self.signals.interrupt.recv(), if !self.is_lent => Wake::Message(Msg::Terminate),
            Some(()) = self.signals.hangup.recv() => Wake::Message(Msg::Terminate),
            Some(()) = self.signals.continued.recv() => Wake::Continued,
            () = sleep_until(tick_at.unwrap_or(far)), if tick_at.is_some() => Wake::Message(Msg::Tick),
            () = sleep_until(self.next_frame), if is_frame_due => Wake::Draw,
            () = line.written(), if is_held_up => Wake::Written,
        }
    }

    /// Takes what is queued already, so that one frame shows it all.
    fn handle_queued(&mut self) -> ControlFlow<()> {
        while let Ok(event) = self.backstage.engine_events.try_recv() {
            if self.handle(Wake::Engine(Some(event))).is_break() {
                return ControlFlow::Break(());
            }
        }
        while let Ok(event) = self.keyboard.events.try_recv() {
            if self.handle(Wake::Terminal(Some(event))).is_break() {
                return ControlFlow::Break(());
            }
            // Keys may come faster than they can be followed; what they do is seen all the same.
            if self.changed && Instant::now() >= self.next_frame {
                break;
            }
        }
        ControlFlow::Continue(())
    }

    fn handle(&mut self, wake: Wake) -> ControlFlow<()> {
        let message = match wake {
            // A terminal that cannot be drawn on is gone, and the part of an answer is still to be saved.
            Wake::Draw => {
                if self.handle_queued().is_break() {
                    return ControlFlow::Break(());
                }
                self.draw().err().map(|_| Msg::Terminate)
            }
            Wake::Written => None,
            // The editor goes on, too.
            Wake::Continued if self.is_lent => None,
            Wake::Continued if self.went_on.take().is_some_and(|at| at.elapsed() < CONTINUED_WITHIN) => None,
            // A hang-up continues the program too, when there is nothing to take again.
            Wake::Continued => match self.take_again(Terminal::resume) {
                Ok(()) => {
                    self.changed = true;
                    None
                }
                Err(_) => Some(Msg::Terminate),
            },
            Wake::Message(message @ Msg::EditedOutside(_)) if self.take_back().is_ok() => Some(message),
            Wake::Message(Msg::EditedOutside(_)) => Some(Msg::Terminate),
            Wake::Message(message) => Some(self.backstage.pass(message)),
            Wake::Engine(event) => self.backstage.engine_said(event),
            Wake::Terminal(Some(event)) => self.terminal_message(event),
            // The terminal is gone.
            Wake::Terminal(None) => Some(Msg::Terminate),
        };
        match message {
            Some(message) => self.update(message),
            None => ControlFlow::Continue(()),
        }
    }

    fn terminal_message(&mut self, event: TerminalEvent) -> Option<Msg> {
        if !matches!(event, TerminalEvent::Resize(..)) {
            self.next_frame = self.next_frame.min(self.last_frame + BEFORE_KEY);
        }
        match event {
            TerminalEvent::Key(key) => keys::message(&self.backstage.app, key),
            TerminalEvent::Paste(text) => Some(Msg::Paste(text)),
            TerminalEvent::Mouse(mouse) => match mouse.kind {
                MouseEventKind::ScrollUp => Some(keys::wheel(&self.backstage.app, -WHEEL_LINES)),
                MouseEventKind::ScrollDown => Some(keys::wheel(&self.backstage.app, WHEEL_LINES)),
                _ => None,
            },
            // The size is asked for with each frame.
            TerminalEvent::Resize(..) => {
                self.changed = true;
                None
            }
            TerminalEvent::FocusGained => {
                self.watch.is_away = false;
                let is_due = self.asked_background.is_some_and(|at| at.elapsed() >= ASK_BACKGROUND_AFTER);
                if is_due && !self.keyboard.expects_background() && self.ask_background().is_err() {
                    return Some(Msg::Terminate);
                }
                None
            }
            TerminalEvent::FocusLost => {
                self.watch.is_away = true;
                None
            }
        }
    }

    fn update(&mut self, message: Msg) -> ControlFlow<()> {
        self.changed = true;
        // Who wants little motion does not wait for what was asked for.
        if !is_motion(&message) {
            self.next_frame = self.next_frame.min(self.last_frame + self.between_frames);
        }
        for effect in self.backstage.app.update(message, std::time::Instant::now()) {
            match effect {
                Effect::Leave => return ControlFlow::Break(()),
                Effect::Suspend => {
                    if self.take_again(Terminal::suspend).is_err() {
                        return self.update(Msg::Terminate);
                    }
                    self.went_on = Some(Instant::now());
                }
                Effect::Redraw => {
                    if self.terminal.wipe().is_err() {
                        return self.update(Msg::Terminate);
                    }
                }
                Effect::Copy { text, what } => {
                    if let Some(sequence) = clipboard::sequence(&text, self.multiplexer)
                        && self.terminal.write(&sequence).is_err()
                    {
                        return self.update(Msg::Terminate);
                    }
                    self.backstage.performer.perform(Effect::Copy { text, what });
                }
                Effect::EditOutside { text, is_private } => self.lend(text, is_private),
                effect => self.backstage.performer.perform(effect),
            }
        }
        if self.tell_terminal().is_err() {
            return self.update(Msg::Terminate);
        }
        ControlFlow::Continue(())
    }

    /// Names the window, and tells of an answer that is done.
    fn tell_terminal(&mut self) -> std::io::Result<()> {
        if self.is_lent {
            return Ok(());
        }
        let app = &self.backstage.app;
        let told = self.watch.look(app.is_answering(), std::time::Instant::now());
        let title = notifying::title(app.title().filter(|_| app.is_saved()));
        if let Some(told) = told {
            self.terminal.write(&told)?;
        }
        match &mut self.title {
            Some(known) if *known != title => {
                self.terminal.write(&title)?;
                *known = title;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Asks the terminal whether its background is light. Its reply is among the keys.
    fn ask_background(&mut self) -> std::io::Result<()> {
        if self.is_lent || !self.backstage.app.look().has_colours() || !std::io::stdin().is_terminal() {
            return Ok(());
        }
        self.keyboard.expect_background();
        self.asked_background = Some(Instant::now());
        self.terminal.write(background::QUERY)
    }

    /// Lets the person's editor have the terminal. Meanwhile everything goes on but drawing.
    fn lend(&mut self, text: String, is_private: bool) {
        let messages = self.backstage.messages.clone();
        if !self.keyboard.pause() {
            let sentence = "a key is still coming in, so the editor was not started; try again";
            let _ = messages.send(Msg::EditedOutside(Err(sentence.into())));
            return;
        }
        self.terminal.leave();
        self.is_lent = true;
        let edit = move || {
            // The loop is gone only when the program ends.
            let _ = messages.send(Msg::EditedOutside(editor::edit(&text, is_private)));
        };
        if std::thread::Builder::new().name("editor".into()).spawn(edit).is_err() {
            let sentence = "the system cannot start a thread; close other programs and try again";
            let _ = self.backstage.messages.send(Msg::EditedOutside(Err(sentence.into())));
        }
    }

    /// Takes the terminal back from the editor.
    fn take_back(&mut self) -> std::io::Result<()> {
        if std::mem::take(&mut self.is_lent) {
            self.terminal.resume()?;
            self.keyboard.resume();
        }
        Ok(())
    }

    /// Does something after which the terminal is taken anew. Where it is asked for its cursor then, nobody else reads.
    fn take_again(&mut self, take: impl FnOnce(&mut Terminal) -> std::io::Result<()>) -> std::io::Result<()> {
        if !self.terminal.is_inline() {
            return take(self.terminal);
        }
        self.keyboard.pause();
        let taken = take(self.terminal);
        self.keyboard.resume();
        taken
    }

    fn draw(&mut self) -> std::io::Result<()> {
        let is_inline = self.terminal.is_inline();
        if is_inline && !scrollback::needs_all(&self.backstage.app) {
            self.draw_lines()?;
        } else {
            if is_inline {
                self.terminal.set_full(true)?;
                self.backstage.app.layout_parts().0.hide_before(0);
            }
            self.draw_all()?;
        }
        if let Some(effect) = self.backstage.app.sense(std::time::Instant::now()) {
            self.backstage.performer.perform(effect);
        }
        self.changed = false;
        self.last_frame = Instant::now();
        self.next_frame = self.last_frame + self.backstage.app.between_frames(self.between_frames);
        Ok(())
    }

    /// Draws a few lines at the bottom, and writes what is finished above them.
    fn draw_lines(&mut self) -> std::io::Result<()> {
        self.terminal.set_full(false)?;
        if self.terminal.has_lost_lines() {
            self.take_again(Terminal::find_lines)?;
        }
        let Some(size) = self.terminal.size_of_lines() else { return Ok(()) };
        let screen = Rect::new(0, 0, size.width, size.height);
        let app = &mut self.backstage.app;
        let (finished, links) = self.scrollback.take(app, size.width.min(view::MOST_TEXT_WIDTH));
        let height = view::wanted_rows(app, screen);
        self.terminal.draw_lines((&finished, links), height, |frame| {
            let places = view::lay_out_on(app, frame.area(), screen);
            view::draw(app, &places, frame);
            app.transcript().link_targets()
        })
    }

    fn draw_all(&mut self) -> std::io::Result<()> {
        let app = &mut self.backstage.app;
        self.terminal.draw(|frame| {
            let places = view::lay_out(app, frame.area());
            view::draw(app, &places, frame);
            let shown = pictures::Shown::place(app.transcript().pictures(), frame.buffer_mut());
            (app.transcript().link_targets(), shown)
        })?;
        for wanted in self.backstage.app.wanted_pictures() {
            self.backstage.performer.perform(Effect::ReadPicture(wanted));
        }
        Ok(())
    }
}
