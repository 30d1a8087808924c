//! Two ways to the clipboard, for copies: a sequence for the terminal (OSC 52), which works over SSH, and the machine's own
//! clipboard, on a thread of its own since a display that hangs must not hold the interface. That one can be
//! read, too.

use std::sync::mpsc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::RgbaImage;

/// What terminals take in one sequence: many stop at 100,000 bytes of it.
pub const MOST_BYTES: usize = 74_994;

/// GNU screen passes on strings of up to this length.
const SCREEN_CHUNK: usize = 512;

/// What stands between the program and the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multiplexer {
    None,
    Tmux,
    Screen,
}

impl Multiplexer {
    pub fn detect(environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let is_set = |name| environment(name).is_some_and(|value| !value.is_empty());
        if is_set("TMUX") {
            Self::Tmux
        } else if is_set("STY") {
            Self::Screen
        } else {
            Self::None
        }
    }
}

/// What is written to the terminal so that it puts `text` into the clipboard; `None` if that is too much for it.
pub fn sequence(text: &str, multiplexer: Multiplexer) -> Option<Vec<u8>> {
    if text.len() > MOST_BYTES {
        return None;
    }
    let plain = format!("\x1b]52;c;{}\x07", STANDARD.encode(text));
    Some(match multiplexer {
        Multiplexer::None => plain.into_bytes(),
        // tmux takes the plain form where `set-clipboard` is on, and passes the other on where `allow-passthrough` is.
        Multiplexer::Tmux => format!("{plain}\x1bPtmux;{}\x1b\\", plain.replace('\x1b', "\x1b\x1b")).into_bytes(),
        Multiplexer::Screen => {
            let chunks = plain.as_bytes().chunks(SCREEN_CHUNK);
            chunks.flat_map(|chunk| [b"\x1bP", chunk, b"\x1b\\"].concat()).collect()
        }
    })
}

/// The machine's own clipboard.
#[derive(Debug)]
pub struct Native {
    jobs: mpsc::Sender<Job>,
}

/// What is to be done with the clipboard, and who hears of it.
enum Job {
    Copy(String, Box<dyn FnOnce(bool) + Send>),
    Read(Box<dyn FnOnce(Option<Content>) + Send>),
}

/// What is in the clipboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    Text(String),
    Picture(RgbaImage),
}

impl Native {
    /// Whether there may be one: not over SSH, where it would be the other machine's.
    pub fn is_likely(environment: &dyn Fn(&str) -> Option<String>) -> bool {
        let is_set = |name: &&str| environment(name).is_some_and(|value| !value.is_empty());
        let is_remote = ["SSH_CONNECTION", "SSH_TTY"].iter().any(&is_set);
        let has_display = cfg!(target_os = "macos") || ["WAYLAND_DISPLAY", "DISPLAY"].iter().any(&is_set);
        has_display && !is_remote
    }

    /// Starts its thread, which keeps what was copied for as long as the program runs.
    pub fn start() -> Option<Self> {
        let (sender, jobs) = mpsc::channel::<Job>();
        let serve = move || {
            let mut clipboard = None;
            for job in jobs {
                if clipboard.is_none() {
                    clipboard =
                        arboard::Clipboard::new().inspect_err(|error| tracing::info!(%error, "no clipboard")).ok();
                }
                match job {
                    Job::Copy(text, done) => done(clipboard.as_mut().is_some_and(|clipboard| {
                        let copied = clipboard.set_text(text);
                        copied.inspect_err(|error| tracing::info!(%error, "cannot copy to the clipboard")).is_ok()
                    })),
                    Job::Read(done) => done(clipboard.as_mut().and_then(content)),
                }
            }
        };
        std::thread::Builder::new().name("clipboard".into()).spawn(serve).ok()?;
        Some(Self { jobs: sender })
    }

    /// Copies `text`, and tells `done` whether that went well.
    pub fn copy(&self, text: String, done: impl FnOnce(bool) + Send + 'static) {
        let _ = self.jobs.send(Job::Copy(text, Box::new(done)));
    }

    /// Tells `done` what is in the clipboard; nothing if that is neither text nor a picture.
    pub fn read(&self, done: impl FnOnce(Option<Content>) + Send + 'static) {
        let _ = self.jobs.send(Job::Read(Box::new(done)));
    }
}

fn content(clipboard: &mut arboard::Clipboard) -> Option<Content> {
    if let Ok(text) = clipboard.get_text()
        && !text.is_empty()
    {
        return Some(Content::Text(text));
    }
    let picture = clipboard.get_image().ok()?;
    let size = (u32::try_from(picture.width).ok()?, u32::try_from(picture.height).ok()?);
    RgbaImage::from_raw(size.0, size.1, picture.bytes.into_owned()).map(Content::Picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment<'a>(set: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
        |name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn the_terminal_is_told_in_base64() {
        assert_eq!(sequence("Hé\n", Multiplexer::None).unwrap(), b"\x1b]52;c;SMOpCg==\x07");
    }

    #[test]
    fn in_tmux_it_is_told_plainly_and_through_it() {
        let sent = sequence("Hi", Multiplexer::Tmux).unwrap();
        assert_eq!(sent, b"\x1b]52;c;SGk=\x07\x1bPtmux;\x1b\x1b]52;c;SGk=\x07\x1b\\");
    }

    #[test]
    fn screen_gets_short_strings_that_add_up() {
        let text = "x".repeat(2000);
        let sent = String::from_utf8(sequence(&text, Multiplexer::Screen).unwrap()).unwrap();
        let chunks: Vec<&str> = sent.split("\x1b\\").collect();
        assert!(chunks.iter().all(|chunk| chunk.len() <= SCREEN_CHUNK + 2), "{sent:?}");
        let joined = sent.replace("\x1bP", "").replace("\x1b\\", "");
        assert_eq!(joined.into_bytes(), sequence(&text, Multiplexer::None).unwrap());
    }

    #[test]
    fn what_is_too_much_for_terminals_is_not_sent() {
        assert!(sequence(&"x".repeat(MOST_BYTES), Multiplexer::None).unwrap().len() <= 100_000);
        assert_eq!(sequence(&"x".repeat(MOST_BYTES + 1), Multiplexer::Tmux), None);
    }

    #[test]
    fn multiplexers_and_displays_are_told_by_the_environment() {
        assert_eq!(Multiplexer::detect(&environment(&[("TMUX", "/tmp/x"), ("STY", "1")])), Multiplexer::Tmux);
        assert_eq!(Multiplexer::detect(&environment(&[("STY", "1.x")])), Multiplexer::Screen);
        assert_eq!(Multiplexer::detect(&environment(&[("TMUX", "")])), Multiplexer::None);
        assert!(Native::is_likely(&environment(&[("DISPLAY", ":0")])));
        assert!(!Native::is_likely(&environment(&[("DISPLAY", ":10"), ("SSH_TTY", "/dev/pts/1")])));
    }
}
