//! A line of shell whose output is handed over: what it says on stdout and stderr, in its order, and how it ended.

use std::io::{self, Read};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Document, Reading};
use crate::platform::processes;
use crate::text::escape_line;

/// What the name of an output begins with.
pub const OUTPUT_OF: &str = "output of ";

const MOST_TIME: Duration = Duration::from_secs(60);
/// More than any model takes.
const MOST_BYTES: usize = 16 << 20;
/// What still comes when the shell has ended is of a process that it left behind.
const LAST_WORDS: Duration = Duration::from_millis(200);
const POLL: Duration = Duration::from_millis(5);

/// Runs a line as the shell would, without a terminal. A line that takes too long is ended, and so is one that is
/// stopped.
///
/// # Errors
/// A sentence, if it cannot be run, was stopped, or said nothing that can be handed over.
pub fn run(line: &str, is_stopped: &AtomicBool) -> Result<Reading, String> {
    run_for(line, is_stopped, MOST_TIME)
}

/// How a command ended.
enum Ended {
    By(ExitStatus),
    Stopped,
    Late,
}

fn run_for(line: &str, is_stopped: &AtomicBool, most_time: Duration) -> Result<Reading, String> {
    let shown = format!("`{}`", escape_line(line));
    let started = start(line).map_err(|error| format!("{shown} was not started: {error}"))?;
    let (mut child, output, reader) = started;
    let deadline = Instant::now() + most_time;
    let ended = loop {
        let is_full = output.lock().unwrap_or_else(PoisonError::into_inner).len() > MOST_BYTES;
        match child.try_wait().map_err(|error| format!("{shown} was lost: {error}"))? {
            Some(status) => break Ended::By(status),
            None if is_stopped.load(Ordering::Relaxed) => break Ended::Stopped,
            None if Instant::now() >= deadline || is_full => break Ended::Late,
            None => thread::sleep(POLL),
        }
    };
    if !matches!(ended, Ended::By(_)) {
        processes::end_with_children(&mut child);
    }
    let since = Instant::now();
    while !reader.is_finished() && since.elapsed() < LAST_WORDS {
        thread::sleep(POLL);
    }
    let bytes = std::mem::take(&mut *output.lock().unwrap_or_else(PoisonError::into_inner));
    told(&shown, ended, bytes, most_time)
}

type Output = Arc<Mutex<Vec<u8>>>;

fn start(line: &str) -> io::Result<(Child, Output, JoinHandle<()>)> {
    let (mut reader, writer) = io::pipe()?;
    let child = processes::lead(&mut processes::shell(line))
        .env("TERM", "dumb")
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()?;
    let output = Output::default();
    let shared = Arc::clone(&output);
    let read = move || {
        let mut part = [0; 1 << 14];
        while let Ok(count @ 1..) = reader.read(&mut part) {
            let mut output = shared.lock().unwrap_or_else(PoisonError::into_inner);
            output.extend_from_slice(&part[..count]);
            if output.len() > MOST_BYTES {
                break;
            }
        }
    };
    let reader = thread::Builder::new().name("output".into()).spawn(read)?;
    Ok((child, output, reader))
}

fn told(shown: &str, ended: Ended, bytes: Vec<u8>, most_time: Duration) -> Result<Reading, String> {
    if bytes.contains(&0) {
        return Err(format!("{shown} says no text, so nothing was attached"));
    }
    let is_full = bytes.len() > MOST_BYTES;
    let mut text = String::from_utf8_lossy(&bytes[..bytes.len().min(MOST_BYTES)]).into_owned();
    let end = match ended {
        Ended::Stopped => return Err(format!("{shown} was stopped, and nothing was attached")),
        Ended::By(status) if status.success() && text.trim().is_empty() => {
            return Err(format!("{shown} said nothing, so nothing was attached"));
        }
        Ended::By(status) if status.success() => None,
        Ended::By(status) => Some(match processes::crash(status) {
            Some(crash) => format!("ended by {crash}"),
            None => format!("exit status {}", status.code().unwrap_or(-1)),
        }),
        Ended::Late if is_full => Some("ended: it said more than 16 MiB".to_owned()),
        Ended::Late => Some(format!("ended after {} seconds", most_time.as_secs())),
    };
    let mut notes = Vec::new();
    if let Some(end) = end {
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&format!("[{end}]"));
        notes.push(format!("{shown}: {end}"));
    }
    Ok(Reading { documents: vec![Document { name: format!("{OUTPUT_OF}{shown}"), text }], notes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(line: &str) -> Result<(String, Vec<String>), String> {
        let mut reading = run_for(line, &AtomicBool::new(false), Duration::from_secs(20))?;
        Ok((reading.documents.remove(0).text, reading.notes))
    }

    #[test]
    fn both_streams_are_told_in_their_order_and_how_it_ended() {
        assert_eq!(ran("echo one; echo two >&2; echo three"), Ok(("one\ntwo\nthree\n".into(), vec![])));
        let (text, notes) = ran("printf oops; exit 3").unwrap();
        assert_eq!(
            (text.as_str(), &notes[..]),
            ("oops\n[exit status 3]", &["`printf oops; exit 3`: exit status 3".into()][..])
        );
        assert!(ran("kill -9 $$").unwrap().0.contains("ended by signal 9"));
        assert!(ran("no-such-command-here").unwrap().0.contains("[exit status 127]"));
    }

    #[test]
    fn nothing_and_no_text_are_sentences() {
        assert_eq!(ran("true").unwrap_err(), "`true` said nothing, so nothing was attached");
        assert!(ran("printf 'a\\0b'").unwrap_err().contains("says no text"));
    }

    #[test]
    fn what_takes_too_long_or_is_stopped_ends_with_all_that_it_started() {
        let begun = Instant::now();
        let slow = run_for("echo first; sleep 60 & sleep 60", &AtomicBool::new(false), Duration::from_millis(300));
        let slow = slow.unwrap();
        assert!(slow.documents[0].text.starts_with("first\n[ended after"), "{slow:?}");
        assert!(run_for("sleep 60", &AtomicBool::new(true), MOST_TIME).unwrap_err().contains("was stopped"));
        assert!(begun.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn a_process_that_is_left_behind_is_not_waited_for() {
        let begun = Instant::now();
        assert_eq!(ran("sleep 30 & echo here").unwrap().0, "here\n");
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}
