//! What is told to the terminal about the program as a whole: that an answer is done, while the person looks elsewhere,
//! and the title of the window.

use std::time::{Duration, Instant};

use super::clipboard::Multiplexer;
use crate::config::Notify;
use crate::text::escape_line;

/// Who waited less is still there.
const LONG: Duration = Duration::from_secs(5);
const WORDS: &str = "The answer is done";

impl Notify {
    /// What this terminal understands.
    pub fn detect(self, environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let is = |name: &str, values: &[&str]| environment(name).is_some_and(|value| values.contains(&value.as_str()));
        match self {
            Self::Auto if is("TERM_PROGRAM", &["iTerm.app", "WezTerm", "ghostty"]) => Self::Osc9,
            Self::Auto if environment("KITTY_WINDOW_ID").is_some() => Self::Osc9,
            Self::Auto if is("TERM", &["foot", "foot-extra", "rxvt-unicode", "rxvt-unicode-256color"]) => Self::Osc777,
            Self::Auto => Self::Bell,
            set => set,
        }
    }

    fn sequence(self, multiplexer: Multiplexer) -> Option<Vec<u8>> {
        let plain = match self {
            Self::Off => return None,
            Self::Auto | Self::Bell => return Some(b"\x07".to_vec()),
            Self::Osc9 => format!("\x1b]9;tuichat: {WORDS}\x07"),
            Self::Osc777 => format!("\x1b]777;notify;tuichat;{WORDS}\x07"),
        };
        Some(match multiplexer {
            Multiplexer::None => plain.into_bytes(),
            Multiplexer::Tmux => format!("\x1bPtmux;{}\x1b\\", plain.replace('\x1b', "\x1b\x1b")).into_bytes(),
            Multiplexer::Screen => format!("\x1bP{plain}\x1b\\").into_bytes(),
        })
    }
}

/// Notices when an answer that took long is done.
#[derive(Debug)]
pub struct Watch {
    notify: Notify,
    multiplexer: Multiplexer,
    /// The terminal has said that the window lost the focus.
    pub is_away: bool,
    answering_since: Option<Instant>,
}

impl Watch {
    pub fn new(notify: Notify, multiplexer: Multiplexer) -> Self {
        Self { notify, multiplexer, is_away: false, answering_since: None }
    }

    /// What is written to the terminal now that an answer is in progress, or is not any more.
    pub fn look(&mut self, is_answering: bool, now: Instant) -> Option<Vec<u8>> {
        if is_answering {
            self.answering_since.get_or_insert(now);
            return None;
        }
        let since = self.answering_since.take()?;
        let is_wanted = self.is_away && now.saturating_duration_since(since) >= LONG;
        if is_wanted { self.notify.sequence(self.multiplexer) } else { None }
    }
}

/// The sequence that names the window.
pub fn title(chat: Option<&str>) -> Vec<u8> {
    match chat {
        Some(chat) => format!("\x1b]2;{} - tuichat\x07", escape_line(chat)),
        None => "\x1b]2;tuichat\x07".into(),
    }
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(is_away: bool, seconds: u64) -> Option<Vec<u8>> {
        let now = Instant::now();
        let mut watch = Watch::new(Notify::Osc9, Multiplexer::None);
        watch.is_away = is_away;
        assert_eq!(watch.look(true, now), None);
        let told = watch.look(false, now + Duration::from_secs(seconds));
        assert_eq!(watch.look(false, now + Duration::from_secs(60)), None, "it is told once");
        told
    }

    #[test]
    fn who_looks_elsewhere_is_told_of_the_end_of_a_long_answer() {
        assert_eq!(watched(true, 6).unwrap(), b"\x1b]9;tuichat: The answer is done\x07");
        assert_eq!(watched(true, 1), None);
        assert_eq!(watched(false, 60), None);
    }

    #[test]
    fn each_way_has_its_sequence_and_passes_through_tmux() {
        let sequence =
            |notify: Notify, multiplexer| notify.sequence(multiplexer).map(|it| String::from_utf8(it).unwrap());
        assert_eq!(sequence(Notify::Off, Multiplexer::None), None);
        assert_eq!(sequence(Notify::Bell, Multiplexer::Tmux).unwrap(), "\x07");
        assert_eq!(
            sequence(Notify::Osc777, Multiplexer::Tmux).unwrap(),
            "\x1bPtmux;\x1b\x1b]777;notify;tuichat;The answer is done\x07\x1b\\"
        );
    }

    #[test]
    fn the_terminal_says_which_way_it_knows() {
        let detect = |name: &'static str, value: &'static str| {
            Notify::Auto.detect(&move |asked: &str| (asked == name).then(|| value.to_owned()))
        };
        assert_eq!(detect("TERM_PROGRAM", "WezTerm"), Notify::Osc9);
        assert_eq!(detect("TERM", "foot"), Notify::Osc777);
        assert_eq!(detect("TERM", "xterm-256color"), Notify::Bell);
        assert_eq!(Notify::Off.detect(&|_| Some("WezTerm".into())), Notify::Off);
    }

    #[test]
    fn a_title_cannot_end_its_sequence() {
        assert_eq!(title(None), b"\x1b]2;tuichat\x07");
        assert_eq!(title(Some("a\x07\x1bb")), b"\x1b]2;a<U+0007><U+001B>b - tuichat\x07");
    }
}
