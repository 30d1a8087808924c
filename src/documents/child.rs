//! Making text of a format in a process of its own, `tuichat __read FORMAT`, with little memory and time: a damaged or
//! malicious file may crash the reader, or keep it busy for ever, and all that comes of it is a sentence.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Format;
use crate::platform::processes;

/// The hidden command: what comes through stdin is told as text on stdout.
pub const COMMAND: &str = "__read";

const MOST_TIME: Duration = Duration::from_secs(30);
const MOST_MEMORY: u64 = 2 << 30;
/// Pages of HTML may be nested deeply.
const STACK: usize = 256 << 20;
/// One byte more than what may be sent is enough to know that it is too much.
const MOST_TEXT: u64 = (16 << 20) + 1;
const POLL: Duration = Duration::from_millis(2);

/// The text of what has this format.
///
/// # Errors
/// What is wrong with it, to be put behind the name of the file.
pub fn convert(format: Format, bytes: Vec<u8>) -> Result<String, String> {
    match program() {
        Some(program) => in_child(&program, format, bytes).unwrap_or_else(|error| {
            Err(format!("cannot be read, since the system starts no process for that: {error}"))
        }),
        None => format.convert(&bytes),
    }
}

/// This program, where it is one that knows the command.
fn program() -> Option<PathBuf> {
    if cfg!(test) { None } else { std::env::current_exe().ok() }
}

fn in_child(program: &Path, format: Format, bytes: Vec<u8>) -> io::Result<Result<String, String>> {
    let mut child = Command::new(program)
        .args([COMMAND, name(format)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    // A child that does not read to the end says why.
    let feeds = thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&bytes)));
    let told = thread::spawn(move || said(stdout));
    let complained = thread::spawn(move || said(stderr));
    let deadline = Instant::now() + MOST_TIME;
    let status = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if Instant::now() >= deadline => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            None => thread::sleep(POLL),
        }
    };
    let _ = feeds.join();
    let (told, complained) = (told.join().unwrap_or_default(), complained.join().unwrap_or_default());
    Ok(outcome(status, told, &complained))
}

fn outcome(status: Option<ExitStatus>, told: String, complained: &str) -> Result<String, String> {
    match status {
        Some(status) if status.success() => Ok(told),
        Some(status) if status.code() == Some(1) => {
            Err(complained.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("cannot be read").to_owned())
        }
        Some(_) => Err("cannot be read: it is damaged, or takes more memory than reading a file may".into()),
        None => Err(format!("cannot be read within {} seconds", MOST_TIME.as_secs())),
    }
}

fn said(pipe: Option<impl Read>) -> String {
    let mut words = Vec::new();
    if let Some(pipe) = pipe {
        let _ = pipe.take(MOST_TEXT).read_to_end(&mut words);
    }
    String::from_utf8_lossy(&words).into_owned()
}

fn name(format: Format) -> &'static str {
    match format {
        Format::Html => "html",
        Format::Pdf => "pdf",
    }
}

/// What the child does: makes text of what comes through stdin.
///
/// # Errors
/// What is wrong with it; it is told on stderr.
pub fn convert_stdin(format: Format) -> Result<(), String> {
    processes::limit(MOST_MEMORY, MOST_TIME);
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map_err(|error| format!("cannot be read: {error}"))?;
    let convert = move || format.convert(&bytes);
    let thread = thread::Builder::new().stack_size(STACK).spawn(convert);
    let thread = thread.map_err(|error| format!("cannot be read: {error}"))?;
    let text = thread.join().unwrap_or_else(|_| Err("cannot be read: it has a form that is not understood".into()))?;
    io::stdout().lock().write_all(text.as_bytes()).map_err(|_| "is more text than a model can take in".to_owned())
}
