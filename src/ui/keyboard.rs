//! Keys, pastes, the wheel and changes of size, as they come, and what the terminal replies between them. They are read on a thread of their own: a terminal that hangs up, or
//! stops in the middle of a key's bytes, holds the reader for ever, and must not hold the interface.
//!
//! The thread can be told to leave what is typed to another program, an editor.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossterm::event::Event;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::background::{Found, Replies};
use super::tty;

/// How long the thread may take to let go of the terminal.
const LETS_GO_WITHIN: Duration = Duration::from_millis(500);

/// A reply comes at once; what has begun like one and does not go on was typed.
const REPLY_GOES_ON_WITHIN: Duration = Duration::from_millis(100);

/// Whether the thread reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    /// It is told to stop reading.
    Closing,
    /// It does not read.
    Closed,
}

#[derive(Debug)]
struct Shared {
    gate: Mutex<Gate>,
    changed: Condvar,
    /// Replies of the terminal about its background that have not come.
    awaited: AtomicUsize,
}

impl Shared {
    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, gate: Gate) {
        *self.gate() = gate;
        self.changed.notify_all();
    }

    /// On the thread that reads: waits while the terminal is not to be read.
    fn pass(&self) {
        let mut gate = self.gate();
        if *gate == Gate::Closing {
            *gate = Gate::Closed;
            self.changed.notify_all();
        }
        // Only the lock could fail, and it is healed above.
        drop(self.changed.wait_while(gate, |gate| *gate == Gate::Closed));
    }
}

/// What is typed.
#[derive(Debug)]
pub struct Keyboard {
    /// Closed when the terminal is gone.
    pub events: UnboundedReceiver<Event>,
    /// What the terminal replied: whether its background is light.
    pub background: UnboundedReceiver<bool>,
    shared: Arc<Shared>,
}

impl Keyboard {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub fn listen() -> io::Result<Self> {
        let (sender, events) = unbounded_channel();
        let (told, background) = unbounded_channel();
        let shared =
            Arc::new(Shared { gate: Mutex::new(Gate::Open), changed: Condvar::new(), awaited: AtomicUsize::new(0) });
        let gate = Arc::clone(&shared);
        std::thread::Builder::new().name("keys".into()).spawn(move || {
            // Ends when the terminal is gone, or nobody listens.
            read(&gate, &sender, &told);
        })?;
        Ok(Self { events, background, shared })
    }

    /// The terminal was asked about its background: a reply is not taken for keys.
    pub fn expect_background(&self) {
        self.shared.awaited.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether the terminal was asked and has not replied.
    pub fn expects_background(&self) -> bool {
        self.shared.awaited.load(Ordering::SeqCst) > 0
    }

    /// Leaves what is typed to another program, from when this returns; whether that was possible.
    pub fn pause(&self) -> bool {
        self.shared.set(Gate::Closing);
        tty::wake_reader();
        let gate = self.shared.gate();
        let waited = self.shared.changed.wait_timeout_while(gate, LETS_GO_WITHIN, |gate| *gate == Gate::Closing);
        let (mut gate, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *gate == Gate::Closing {
            *gate = Gate::Open;
        }
        *gate == Gate::Closed
    }

    /// Reads again.
    pub fn resume(&self) {
        self.shared.set(Gate::Open);
    }
}

fn read(shared: &Shared, events: &UnboundedSender<Event>, background: &UnboundedSender<bool>) -> Option<()> {
    let mut replies = Replies::default();
    loop {
        shared.pass();
        if replies.are_begun() && !crossterm::event::poll(REPLY_GOES_ON_WITHIN).ok()? {
            send_all(events, replies.give_up())?;
            continue;
        }
        if let Some(pause) = tty::READER_LOOKS_UP
            && !crossterm::event::poll(pause).ok()?
        {
            continue;
        }
        let event = crossterm::event::read().ok()?;
        if shared.awaited.load(Ordering::SeqCst) == 0 {
            events.send(event).ok()?;
            continue;
        }
        match replies.take(event) {
            Found::Nothing => {}
            Found::Typed(typed) => send_all(events, typed)?,
            Found::Reply { is_light } => {
                shared.awaited.fetch_sub(1, Ordering::SeqCst);
                background.send(is_light).ok()?;
            }
        }
    }
}

fn send_all(events: &UnboundedSender<Event>, typed: Vec<Event>) -> Option<()> {
    typed.into_iter().try_for_each(|event| events.send(event)).ok()
}
