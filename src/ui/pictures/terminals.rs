//! Which terminals can show pictures, told by their environment variables. They are not asked: an answer that comes
//! late would be read as keys.

use super::Protocol;
use crate::config::Switch;

/// How the terminal that these variables describe is sent pictures; `None` if it is not known to show any. Over SSH
/// they are sent only when asked for, and never through a terminal multiplexer, which would swallow or spoil them.
pub fn protocol(switch: Switch, env: &impl Fn(&str) -> Option<String>) -> Option<Protocol> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    let terminal = set("TERM").unwrap_or_default();
    let is_multiplexed = ["TMUX", "STY", "ZELLIJ"].into_iter().any(|name| set(name).is_some())
        || ["tmux", "screen"].into_iter().any(|name| terminal.starts_with(name));
    let is_remote = ["SSH_CONNECTION", "SSH_TTY"].into_iter().any(|name| set(name).is_some());
    let is_off = switch == Switch::Off || (switch == Switch::Auto && is_remote);
    if is_off || is_multiplexed || terminal.is_empty() || matches!(terminal.as_str(), "dumb" | "linux") {
        return None;
    }
    let program = set("TERM_PROGRAM").unwrap_or_default();
    // What a program of the environment left behind says less than the terminal's own name.
    match terminal.as_str() {
        "xterm-kitty" | "xterm-ghostty" => return Some(Protocol::Kitty),
        "foot" | "foot-extra" | "mlterm" => return Some(Protocol::Sixel),
        "wezterm" => return Some(Protocol::Iterm),
        _ => {}
    }
    match program.as_str() {
        "ghostty" => Some(Protocol::Kitty),
        "iTerm.app" | "WezTerm" => Some(Protocol::Iterm),
        // A terminal started from another may have inherited these.
        "" if set("KITTY_WINDOW_ID").is_some() => Some(Protocol::Kitty),
        "" if set("KONSOLE_VERSION")
            .is_some_and(|version| version.parse().is_ok_and(|number: u32| number >= 220_400)) =>
        {
            Some(Protocol::Iterm)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(switch: Switch, variables: &[(&str, &str)]) -> Option<Protocol> {
        protocol(switch, &|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn terminals_are_known_by_their_variables() {
        let xterm = ("TERM", "xterm-256color");
        for (variables, expected) in [
            (vec![("TERM", "xterm-kitty")], Some(Protocol::Kitty)),
            (vec![("TERM", "xterm-ghostty")], Some(Protocol::Kitty)),
            (vec![xterm, ("KITTY_WINDOW_ID", "1")], Some(Protocol::Kitty)),
            (vec![xterm, ("TERM_PROGRAM", "iTerm.app")], Some(Protocol::Iterm)),
            (vec![xterm, ("TERM_PROGRAM", "WezTerm")], Some(Protocol::Iterm)),
            (vec![xterm, ("KONSOLE_VERSION", "240802")], Some(Protocol::Iterm)),
            (vec![xterm, ("KONSOLE_VERSION", "200400")], None),
            (vec![("TERM", "foot")], Some(Protocol::Sixel)),
            (vec![xterm], None),
            (vec![xterm, ("TERM_PROGRAM", "vscode"), ("KITTY_WINDOW_ID", "1")], None),
            (vec![("TERM", "dumb"), ("KITTY_WINDOW_ID", "1")], None),
            (vec![("TERM", "linux"), ("KITTY_WINDOW_ID", "1")], None),
            (vec![("TERM", "tmux-256color"), ("KITTY_WINDOW_ID", "1")], None),
            (vec![("TERM", "xterm-kitty"), ("TMUX", "/tmp/x")], None),
            (vec![("KITTY_WINDOW_ID", "1")], None),
        ] {
            assert_eq!(told(Switch::Auto, &variables), expected, "{variables:?}");
        }
    }

    #[test]
    fn over_ssh_pictures_are_sent_only_when_asked_for() {
        let remote = [("TERM", "xterm-kitty"), ("SSH_CONNECTION", "a b")];
        assert_eq!(told(Switch::Auto, &remote), None);
        assert_eq!(told(Switch::On, &remote), Some(Protocol::Kitty));
        assert_eq!(told(Switch::Off, &[("TERM", "xterm-kitty")]), None);
    }
}
