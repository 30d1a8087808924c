//! Lines as they are typed, or come from a pipe. The terminal keeps its own way of editing a line, which screen readers
//! know. A thread reads: a terminal that hangs must not hold the chat.

use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::ui::tty::{LONGEST_LINE, has_input};

/// Nobody types two lines within so short a time: they were pasted.
const TOGETHER: Duration = Duration::from_millis(40);
/// More than any message.
const MOST_BYTES: u64 = 32 * 1024 * 1024;

/// What was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    Line(String),
    /// Lines that came at once.
    Pasted(String),
    /// A line of which the terminal may have lost the end.
    Cut(String),
}

/// The lines. Each is read when it is asked for: what is typed meanwhile may be for another program.
pub struct Lines {
    lines: UnboundedReceiver<Typed>,
    asked: Sender<()>,
    /// One was asked for and has not come.
    is_asked: bool,
    /// A person types them, and sees them.
    pub is_terminal: bool,
}

impl Lines {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has no thread for it.
    pub fn listen() -> io::Result<Self> {
        let is_terminal = io::stdin().is_terminal();
        let (sender, lines) = unbounded_channel();
        let (asked, wanted) = channel();
        std::thread::Builder::new().name("lines".into()).spawn(move || read(is_terminal, &wanted, &sender))?;
        Ok(Self { lines, asked, is_asked: false, is_terminal })
    }

    /// Has the next line read, unless it is already.
    pub fn ask(&mut self) {
        if !std::mem::replace(&mut self.is_asked, true) {
            // At the end of stdin nobody listens.
            let _ = self.asked.send(());
        }
    }

    /// The line that was asked for; nothing at the end of stdin.
    pub async fn next(&mut self) -> Option<Typed> {
        let typed = self.lines.recv().await;
        self.is_asked = false;
        typed
    }
}

fn read(is_terminal: bool, wanted: &Receiver<()>, lines: &UnboundedSender<Typed>) {
    let mut stdin = BufReader::new(io::stdin());
    while wanted.recv().is_ok()
        && let Some(first) = line(&mut stdin)
    {
        let mut all = vec![first];
        while is_terminal && has_more(&stdin) {
            let Some(next) = line(&mut stdin) else { break };
            all.push(next);
        }
        let typed = match &mut all[..] {
            // A key that is held.
            lines if lines.iter().all(|line| line.trim().is_empty()) => Typed::Line(String::new()),
            [line] if is_terminal && line.len() >= LONGEST_LINE => Typed::Cut(std::mem::take(line)),
            [line] => Typed::Line(std::mem::take(line)),
            lines => Typed::Pasted(lines.join("\n")),
        };
        if lines.send(typed).is_err() {
            break;
        }
    }
}

/// The next line without its end; nothing at the end of the input.
fn line(stdin: &mut impl BufRead) -> Option<String> {
    let mut bytes = Vec::new();
    let read = stdin.take(MOST_BYTES).read_until(b'\n', &mut bytes).ok()?;
    if read == 0 {
        return None;
    }
    if bytes.ends_with(b"\n") {
        bytes.pop();
    }
    if bytes.ends_with(b"\r") {
        bytes.pop();
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether another line comes with the one before.
fn has_more(stdin: &BufReader<io::Stdin>) -> bool {
    let is_there = || !stdin.buffer().is_empty() || has_input();
    if is_there() {
        return true;
    }
    std::thread::sleep(TOGETHER);
    is_there()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_they_are_told_to_and_bad_bytes_are_marked() {
        let mut input = io::Cursor::new(b"one\r\n\ntw\xffo\nlast".to_vec());
        let lines: Vec<String> = std::iter::from_fn(|| line(&mut input)).collect();
        assert_eq!(lines, ["one", "", "tw\u{fffd}o", "last"]);
    }
}
