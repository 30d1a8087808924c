//! A view of a run while it is measured, for a terminal. It has a thread of its own, which sleeps but for a few
//! milliseconds a second, so that what it shows is not what it costs.

mod state;
mod view;

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEventKind, KeyModifiers};

use crate::bench::energy::Watch;
use crate::bench::record::Case;
use crate::config::ThemeName;
use crate::engine::protocol::CancelFlag;
use crate::exit::Exit;
use crate::hardware::health::Health;
use crate::ui::keyboard::Keyboard;
use crate::ui::terminal::{Terminal, Wanted, restore_after_crash};
use crate::ui::theme::{self, Themes};
use state::State;

/// Between two frames.
const FRAME: Duration = Duration::from_millis(200);
/// Between two questions how the machine feels.
const FEEL: Duration = Duration::from_secs(2);

/// Nothing is drawn any more: the terminal was given back in a hurry.
static IS_OVER: AtomicBool = AtomicBool::new(false);

/// What a measurement tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Another model is measured; a line about it.
    Model(String),
    /// Cases that will be timed, each so often.
    Expected { cases: Vec<String>, repetitions: u32 },
    /// Cases are timed once, one after the other.
    Began { cases: Vec<String> },
    /// They were, at so many tokens per second each; a repetition that only warms up does not count.
    Timed { speeds: Vec<(String, f64)>, counts: bool },
    /// Those of which the fastest is being looked for, in any order; they take the place of those before.
    Contenders(Vec<Contender>),
    /// All of its repetitions are there.
    Finished { case: String, mean: Option<f64> },
    /// What is being done, until something else is.
    Doing(String),
    /// A sentence that stays.
    Noted(String),
}

/// One of several of which the fastest is being looked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Contender {
    pub name: String,
    /// Tokens per second, each time.
    pub speeds: Vec<f64>,
    /// It is being timed.
    pub is_running: bool,
    /// It has lost.
    pub is_out: bool,
}

impl Event {
    pub fn finished(case: &Case) -> Self {
        let item = case.text("item").map(|item| (item, case.text("task").is_some()));
        let name = match item {
            Some((item, has_task)) => called(&case.test, item, has_task),
            // Without the model, which stands above.
            None => case.key.split_once(": ").map_or(case.key.as_str(), |(_, key)| key).to_owned(),
        };
        Self::Finished { case: name, mean: case.avg_ts }
    }
}

/// What a case of an item is called: by its test, and by its item where that says more than the depth.
pub fn called(test: &str, item: &str, has_task: bool) -> String {
    let depth = item.strip_prefix('d').filter(|depth| !has_task && depth.parse::<u32>().is_ok());
    if depth.is_some() { test.to_owned() } else { format!("{test}, {item}") }
}

/// The view, for those who tell it something. Dropping it gives the terminal back.
#[derive(Debug)]
pub struct Live {
    events: Sender<Event>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    is_closed: AtomicBool,
    /// Tokens that were written one by one.
    written: AtomicU64,
    /// What tells the watts, if something does.
    watch: OnceLock<Watch>,
}

/// Whether somebody looks on at a terminal that can show a view.
pub fn is_wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
    let terminals = io::stdout().is_terminal() && io::stderr().is_terminal() && io::stdin().is_terminal();
    terminals && !is_dumb && !set("NO_COLOR")
}

impl Live {
    /// Takes the terminal. `q` and Ctrl-C ask for the end by the flag, and leave at once the second time.
    ///
    /// # Errors
    /// If the terminal cannot be taken, or the system has no thread.
    pub fn start(suite: &str, cancel: CancelFlag) -> io::Result<Self> {
        let (events, incoming) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let (seen, suite) = (Arc::clone(&shared), suite.to_owned());
        let (began, has_begun) = mpsc::channel();
        let thread = std::thread::Builder::new().name("view".into()).spawn(move || {
            let taken = Terminal::enter(Wanted { mouse: true, ..Wanted::default() })
                .and_then(|terminal| Ok((terminal, Keyboard::listen()?)));
            match taken {
                Ok((terminal, keyboard)) => {
                    // Whoever waits for it is there.
                    let _ = began.send(Ok(()));
                    let state = State::new(&suite, Instant::now());
                    Viewer { terminal, keyboard, state, incoming, shared: seen, cancel, next_feeling: Instant::now() }
                        .run();
                }
                Err(error) => drop(began.send(Err(error))),
            }
        })?;
        let gone = || io::Error::other("the thread of the view is gone");
        has_begun.recv().map_err(|_| gone())??;
        report_panics();
        Ok(Self { events, shared, thread: Some(thread) })
    }

    pub fn tell(&self, event: Event) {
        // A view that is gone shows nothing.
        let _ = self.events.send(event);
    }

    /// A token was written. Costs next to nothing.
    pub fn wrote(&self) {
        self.shared.written.fetch_add(1, Ordering::Relaxed);
    }

    /// From now on this tells the watts.
    pub fn watch(&self, watch: Watch) {
        // The first one goes on telling.
        let _ = self.shared.watch.set(watch);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It panicked, and said so.
            let _ = thread.join();
        }
    }
}

/// A panic of another thread than the view's is told after the terminal was given back.
fn report_panics() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            IS_OVER.store(true, Ordering::SeqCst);
            restore_after_crash();
            usual(panic);
        }));
    });
}

/// What the thread has.
struct Viewer {
    terminal: Terminal,
    keyboard: Keyboard,
    state: State,
    incoming: Receiver<Event>,
    shared: Arc<Shared>,
    cancel: CancelFlag,
    next_feeling: Instant,
}

impl Viewer {
    fn run(mut self) {
        let terminal = theme::Terminal::detect(&|name| std::env::var(name).ok());
        let (theme, _) = Themes::included().first(&ThemeName::Auto, None, &terminal);
        while !self.shared.is_closed.load(Ordering::SeqCst) && !IS_OVER.load(Ordering::SeqCst) {
            self.take();
            // A line that is still writing a frame gets the next one later.
            if !self.terminal.line().is_busy()
                && self.terminal.draw_text(|frame| view::draw(&self.state, &theme, frame)).is_err()
            {
                // A terminal that is gone needs no view; the measurement goes on.
                break;
            }
            std::thread::park_timeout(FRAME);
        }
        self.keyboard.pause();
        self.terminal.leave();
    }

    /// Everything that happened since the last frame.
    fn take(&mut self) {
        let now = Instant::now();
        while let Ok(event) = self.incoming.try_recv() {
            self.state.update(event, now);
        }
        while let Ok(event) = self.keyboard.events.try_recv() {
            if asks_to_stop(&event) {
                self.stop();
            }
        }
        self.state.is_stopping = self.cancel.is_cancelled();
        self.state.pass(now, self.shared.written.load(Ordering::Relaxed));
        if now >= self.next_feeling {
            self.next_feeling = now + FEEL;
            let health = Health::read();
            self.state.feel(now, health.celsius, health.mhz, self.shared.watch.get().and_then(Watch::watts));
        }
    }

    fn stop(&mut self) {
        if self.cancel.is_cancelled() {
            self.terminal.leave();
            std::process::exit(i32::from(Exit::Interrupted.code()));
        }
        self.cancel.cancel();
    }
}

fn asks_to_stop(event: &TerminalEvent) -> bool {
    let TerminalEvent::Key(key) = event else { return false };
    let is_interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    let is_quit = matches!(key.code, KeyCode::Char('q' | 'Q')) && !key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press && (is_interrupt || is_quit)
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyEvent;

    use super::*;

    #[test]
    fn a_case_is_called_by_its_test_and_what_its_item_says_beside_the_depth() {
        let case = |test: &str, key: &str, rest: &[(&str, &str)]| {
            let rest = rest.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
            match Event::finished(&Case { key: key.into(), test: test.into(), rest, ..Case::default() }) {
                Event::Finished { case, .. } => case,
                other => format!("{other:?}"),
            }
        };
        assert_eq!(case("tg32 @ d1024", "m: d1024, tg32 @ d1024", &[("item", "d1024")]), "tg32 @ d1024");
        assert_eq!(case("tg128", "m: x", &[("item", "short-qa big"), ("task", "short-qa")]), "tg128, short-qa big");
        assert_eq!(case("soak", "m.gguf: slice 3 of 20", &[]), "slice 3 of 20");
    }

    #[test]
    fn q_and_the_interrupt_key_stop_and_others_do_not() {
        let key = |code, modifiers| TerminalEvent::Key(KeyEvent::new(code, modifiers));
        assert!(asks_to_stop(&key(KeyCode::Char('q'), KeyModifiers::NONE)));
        assert!(asks_to_stop(&key(KeyCode::Char('c'), KeyModifiers::CONTROL)));
        assert!(!asks_to_stop(&key(KeyCode::Char('c'), KeyModifiers::NONE)));
        assert!(!asks_to_stop(&key(KeyCode::Esc, KeyModifiers::NONE)));
        assert!(!asks_to_stop(&TerminalEvent::Resize(80, 24)));
    }
}
