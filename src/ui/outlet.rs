//! What is drawn on its way to the terminal. A thread writes it, so that a slow line (a serial console, a full pipe of
//! SSH) holds up neither keys, nor answers, nor what is saved: the loop draws the next frame only when the one before
//! is out, and what changed meanwhile comes in one frame.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::tty::{self, Output};

/// Bytes given to the system at once. In between it is seen whether they are still wanted.
const PART: usize = 4096;

/// Collects what is written, and hands it to the thread with each flush.
#[derive(Debug)]
pub struct Outlet {
    frame: Vec<u8>,
    line: Line,
}

/// The thread that writes, as others see it.
#[derive(Clone, Debug)]
pub struct Line {
    frames: Sender<Vec<u8>>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Frames that are not out.
    waiting: AtomicUsize,
    is_broken: AtomicBool,
    is_closed: AtomicBool,
    /// For those who wait in a future, and those who wait on a thread.
    out: Notify,
    lock: Mutex<()>,
    is_out: Condvar,
}

impl Line {
    /// Starts the thread that writes to this file.
    ///
    /// # Errors
    /// If the system has no thread for that.
    pub fn to(mut file: impl Output + Send + 'static) -> io::Result<Self> {
        let (frames, incoming) = channel::<Vec<u8>>();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        std::thread::Builder::new().name("screen".into()).spawn(move || {
            for frame in incoming {
                if write(&mut file, &frame, &shared.is_closed).is_err() {
                    shared.is_broken.store(true, Ordering::SeqCst);
                }
                let _lock = shared.lock.lock().unwrap_or_else(PoisonError::into_inner);
                shared.waiting.fetch_sub(1, Ordering::SeqCst);
                shared.is_out.notify_all();
                shared.out.notify_one();
            }
        })?;
        Ok(Self { frames, state })
    }

    /// Whether something is not out yet.
    pub fn is_busy(&self) -> bool {
        self.state.waiting.load(Ordering::SeqCst) > 0
    }

    /// Waits until something is out.
    pub async fn written(&self) {
        self.state.out.notified().await;
    }

    /// Waits until everything is out, but no longer than this.
    pub fn drain(&self, longest: Duration) {
        let lock = self.state.lock.lock().unwrap_or_else(PoisonError::into_inner);
        // Who gives up does not need to know.
        drop(self.state.is_out.wait_timeout_while(lock, longest, |()| self.is_busy()));
    }

    /// What is not out yet is not wanted any more, until the line is opened again.
    pub fn close(&self) {
        self.state.is_closed.store(true, Ordering::SeqCst);
    }

    pub fn open(&self) {
        self.state.is_closed.store(false, Ordering::SeqCst);
    }
}

impl Outlet {
    pub fn new(line: Line) -> Self {
        Self { frame: Vec::new(), line }
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    /// # Errors
    /// If something before could not be written: the terminal is gone.
    fn flush(&mut self) -> io::Result<()> {
        if self.line.state.is_broken.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if !self.frame.is_empty() {
            self.line.state.waiting.fetch_add(1, Ordering::SeqCst);
            let frame = std::mem::take(&mut self.frame);
            self.line.frames.send(frame).map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        Ok(())
    }
}

fn write(file: &mut impl Output, bytes: &[u8], is_closed: &AtomicBool) -> io::Result<()> {
    for mut part in bytes.chunks(PART) {
        while !part.is_empty() {
            if is_closed.load(Ordering::SeqCst) {
                return Ok(());
            }
            match tty::write(file, part) {
                Ok(written) => part = &part[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn line() -> (Outlet, Line, io::PipeReader) {
        let (reader, writer) = io::pipe().unwrap();
        let line = Line::to(writer).unwrap();
        (Outlet::new(line.clone()), line, reader)
    }

    const LONG: Duration = Duration::from_secs(20);

    #[test]
    fn what_is_flushed_comes_out_in_order() {
        let (mut outlet, line, mut reader) = line();
        for word in ["one ", "two ", "three"] {
            outlet.write_all(word.as_bytes()).unwrap();
            outlet.flush().unwrap();
        }
        line.drain(LONG);
        assert!(!line.is_busy());
        let mut text = [0; 13];
        reader.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"one two three");
    }

    #[test]
    fn nobody_waits_for_a_reader_that_does_not_read() {
        let (mut outlet, line, mut reader) = line();
        let frame = vec![b'x'; 1 << 20];
        outlet.write_all(&frame).unwrap();
        outlet.flush().unwrap();
        assert!(line.is_busy());
        line.drain(Duration::from_millis(1));
        assert!(line.is_busy());
        let mut read = vec![0; frame.len()];
        reader.read_exact(&mut read).unwrap();
        line.drain(LONG);
        assert!(!line.is_busy());
    }

    #[test]
    fn a_reader_that_is_gone_is_an_error_of_the_next_frame() {
        let (mut outlet, line, reader) = line();
        drop(reader);
        outlet.write_all(b"lost").unwrap();
        outlet.flush().unwrap();
        line.drain(LONG);
        assert!(outlet.flush().is_err());
    }

    #[test]
    fn a_closed_line_writes_nothing_more() {
        let (mut outlet, line, mut reader) = line();
        line.close();
        outlet.write_all(b"not wanted").unwrap();
        outlet.flush().unwrap();
        line.drain(LONG);
        line.open();
        outlet.write_all(b"wanted").unwrap();
        outlet.flush().unwrap();
        let mut text = [0; 6];
        reader.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"wanted");
    }
}
