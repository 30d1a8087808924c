//! Keys, pastes and the wheel, as they come. They are read on a thread of their own: a terminal that hangs up, or
//! stops in the middle of a key's bytes, holds the reader for ever, and must not hold the interface.
//!
//! The thread can be told to leave what is typed to another program, an editor.

use std::fs::File;
use std::io::{self, IsTerminal, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossterm::event::Event;
use rustix::event::{PollFd, PollFlags, poll};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How long the thread may take to let go of the terminal.
const LETS_GO_WITHIN: Duration = Duration::from_millis(500);

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
    shared: Arc<Shared>,
    wake: PipeWriter,
}

impl Keyboard {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no thread for it, or there is no terminal to read.
    pub fn listen() -> io::Result<Self> {
        let (sender, events) = unbounded_channel();
        let shared = Arc::new(Shared { gate: Mutex::new(Gate::Open), changed: Condvar::new() });
        let (woken, wake) = io::pipe()?;
        let terminal = terminal()?;
        let gate = Arc::clone(&shared);
        let read = move || drop(read(&terminal, woken, &gate, &sender));
        std::thread::Builder::new().name("keys".into()).spawn(read)?;
        Ok(Self { events, shared, wake })
    }

    /// Leaves what is typed to another program, from when this returns; whether that was possible.
    pub fn pause(&mut self) -> bool {
        self.shared.set(Gate::Closing);
        if self.wake.write_all(b".").is_err() {
            self.shared.set(Gate::Open);
            return false;
        }
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

/// What crossterm reads from.
fn terminal() -> io::Result<OwnedFd> {
    let stdin = io::stdin();
    if stdin.is_terminal() { stdin.as_fd().try_clone_to_owned() } else { File::open("/dev/tty").map(OwnedFd::from) }
}

fn read(terminal: &OwnedFd, mut woken: PipeReader, shared: &Shared, sender: &UnboundedSender<Event>) -> io::Result<()> {
    loop {
        shared.pass();
        // What crossterm has read already is handed out first.
        if !crossterm::event::poll(Duration::ZERO)? && !wait(terminal, &mut woken)? {
            continue;
        }
        if sender.send(crossterm::event::read()?).is_err() {
            return Ok(());
        }
    }
}

/// Waits until something is typed, or the thread is woken; whether something is typed.
fn wait(terminal: &OwnedFd, woken: &mut PipeReader) -> io::Result<bool> {
    let mut waited = [PollFd::new(terminal, PollFlags::IN), PollFd::new(&*woken, PollFlags::IN)];
    match poll(&mut waited, None) {
        Err(rustix::io::Errno::INTR) => return Ok(false),
        result => result?,
    };
    let [typed, wakes] = waited.map(|waited| !waited.revents().is_empty());
    if wakes {
        woken.read_exact(&mut [0])?;
    }
    Ok(typed && !wakes)
}
