//! Whether the terminal's background is light or dark: asking the terminal (OSC 11), and finding its reply among the keys,
//! where it comes. A terminal that does not know the question says nothing, and nobody waits for it.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

/// What the terminal is asked.
pub const QUERY: &[u8] = b"\x1b]11;?\x1b\\";

/// How a reply begins.
const HEAD: &str = "\x1b]11;";
/// No reply has more characters.
const LONGEST: usize = 64;

/// Whether this terminal may be asked: a few draw what they do not understand.
pub fn may_be_asked(environment: &dyn Fn(&str) -> Option<String>) -> bool {
    let set = |name| environment(name).filter(|value| !value.is_empty());
    let terminal = set("TERM").unwrap_or_default();
    let is_old = ["dumb", "linux", "ansi", "cons25", "eterm", "sun", "vt1", "vt2", "vt3", "vt5", "wyse"]
        .iter()
        .any(|name| terminal.starts_with(name));
    // GNU screen asks nobody; tmux, which calls itself so as well, answers itself.
    let is_screen = set("STY").is_some() && set("TMUX").is_none();
    // On Windows a reply comes as keys that are pressed and let go, which no reply looks like here.
    !cfg!(windows) && !terminal.is_empty() && !terminal.ends_with("-mono") && !is_old && !is_screen
}

/// What events came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// They may become a reply.
    Nothing,
    /// They are none, and are what was typed.
    Typed(Vec<Event>),
    /// The background is light, or dark.
    Reply { is_light: bool },
}

/// Finds replies among what is typed. What only looks like one is handed on as it came.
#[derive(Debug, Default)]
pub struct Replies {
    held: Vec<Event>,
    /// The characters that they were.
    text: String,
}

impl Replies {
    /// Whether something is held back that may become a reply.
    pub fn are_begun(&self) -> bool {
        !self.held.is_empty()
    }

    /// Another event.
    pub fn take(&mut self, event: Event) -> Found {
        let text = format!("{}{}", self.text, characters(&event).unwrap_or_default());
        let goes_on = text.len() > self.text.len() && is_beginning(&text);
        if !goes_on {
            let mut typed = self.give_up();
            // It may be the beginning of another one.
            if !typed.is_empty() && characters(&event).is_some_and(|text| is_beginning(&text)) {
                self.hold(event);
            } else {
                typed.push(event);
            }
            return Found::Typed(typed);
        }
        self.hold(event);
        let Some(body) = body(&self.text) else { return Found::Nothing };
        match is_light(body) {
            Some(is_light) => {
                self.give_up();
                Found::Reply { is_light }
            }
            None => Found::Typed(self.give_up()),
        }
    }

    fn hold(&mut self, event: Event) {
        self.text.push_str(&characters(&event).unwrap_or_default());
        self.held.push(event);
    }

    /// No more comes: what is held was typed.
    pub fn give_up(&mut self) -> Vec<Event> {
        self.text.clear();
        std::mem::take(&mut self.held)
    }
}

/// The characters that the terminal sent for this key.
fn characters(event: &Event) -> Option<String> {
    let Event::Key(KeyEvent { code, modifiers, kind: KeyEventKind::Press, .. }) = event else { return None };
    let alt = if modifiers.contains(KeyModifiers::ALT) { "\x1b" } else { "" };
    match (code, *modifiers - KeyModifiers::SHIFT - KeyModifiers::ALT) {
        (KeyCode::Char(character), KeyModifiers::NONE) => Some(format!("{alt}{character}")),
        (KeyCode::Char('g'), KeyModifiers::CONTROL) => Some("\x07".to_owned()),
        _ => None,
    }
}

/// Whether a reply may begin so.
fn is_beginning(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(HEAD) else { return HEAD.starts_with(text) };
    let rest = rest.strip_suffix("\x1b\\").or(rest.strip_suffix('\x07')).unwrap_or(rest);
    text.len() <= LONGEST
        && rest.chars().all(|character| character.is_ascii_alphanumeric() || "#:/".contains(character))
}

/// What stands between the beginning and the end of a whole reply.
fn body(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(HEAD)?;
    rest.strip_suffix("\x1b\\").or(rest.strip_suffix('\x07'))
}

/// Whether a colour as X11 writes it, `rgb:ffff/ffff/ffff`, is light.
fn is_light(colour: &str) -> Option<bool> {
    let parts = colour.strip_prefix("rgb:").or(colour.strip_prefix("rgba:"))?;
    let share = |part: &str| {
        let most = 16_u32.checked_pow(u32::try_from(part.len()).ok()?)?.checked_sub(1).filter(|most| *most > 0)?;
        Some(f64::from(u32::from_str_radix(part, 16).ok()?) / f64::from(most))
    };
    let shares: Vec<f64> = parts.split('/').take(3).map(share).collect::<Option<_>>()?;
    let [red, green, blue] = shares[..] else { return None };
    Some(0.299 * red + 0.587 * green + 0.114 * blue > 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(character: char, modifiers: KeyModifiers) -> Event {
        Event::Key(KeyEvent::new(KeyCode::Char(character), modifiers))
    }

    /// The events that crossterm makes of a reply.
    fn events(body: &str, end: Event) -> Vec<Event> {
        let head = [key(']', KeyModifiers::ALT)].into_iter();
        let shifted = |character: char| {
            key(character, if character.is_ascii_uppercase() { KeyModifiers::SHIFT } else { KeyModifiers::NONE })
        };
        head.chain(format!("11;{body}").chars().map(shifted)).chain([end]).collect()
    }

    fn st() -> Event {
        key('\\', KeyModifiers::ALT)
    }

    #[test]
    fn a_reply_is_found_whatever_its_end_and_nothing_of_it_is_typed() {
        for (body, end, is_light) in [
            ("rgb:ffff/FFFF/ffff", st(), true),
            ("rgb:0000/0000/0000", key('g', KeyModifiers::CONTROL), false),
            ("rgb:ff/ff/f0", st(), true),
            ("rgba:1e1e/1e1e/2e2e/ffff", st(), false),
        ] {
            let mut replies = Replies::default();
            let events = events(body, end);
            let last = events.len() - 1;
            for (index, event) in events.into_iter().enumerate() {
                let expected = if index == last { Found::Reply { is_light } } else { Found::Nothing };
                assert_eq!(replies.take(event), expected, "{body} {index}");
            }
            assert!(!replies.are_begun());
        }
    }

    #[test]
    fn what_only_looks_like_a_reply_is_handed_on_in_its_order() {
        let (alt, x) = (key(']', KeyModifiers::ALT), key('x', KeyModifiers::NONE));
        let mut replies = Replies::default();
        assert_eq!(replies.take(x.clone()), Found::Typed(vec![x.clone()]));
        assert_eq!(replies.take(alt.clone()), Found::Nothing);
        assert_eq!(replies.take(x.clone()), Found::Typed(vec![alt.clone(), x.clone()]));
        assert_eq!(replies.take(alt.clone()), Found::Nothing);
        assert_eq!(replies.take(alt.clone()), Found::Typed(vec![alt.clone()]), "the second may be the beginning");
        assert_eq!(replies.give_up(), std::slice::from_ref(&alt));
        let odd = events("pink", st());
        let found: Vec<Found> = odd.iter().cloned().map(|event| replies.take(event)).collect();
        assert_eq!(found.last(), Some(&Found::Typed(odd)));
        let resize = Event::Resize(80, 24);
        replies.take(alt.clone());
        assert_eq!(replies.take(resize.clone()), Found::Typed(vec![alt, resize]));
    }

    #[test]
    fn terminals_that_draw_what_they_do_not_know_are_not_asked() {
        let asked = |variables: &[(&str, &str)]| {
            let variables: Vec<(String, String)> =
                variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            may_be_asked(&|name| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()))
        };
        assert!(asked(&[("TERM", "xterm-256color")]) && asked(&[("TERM", "tmux-256color"), ("TMUX", "/tmp/x")]));
        for terminal in ["", "dumb", "linux", "vt220", "xterm-mono", "ansi"] {
            assert!(!asked(&[("TERM", terminal)]), "{terminal}");
        }
        assert!(!asked(&[("TERM", "screen"), ("STY", "1.x")]));
    }
}
