//! Chat or one answer? Decided from what was typed and what stdin and stdout are connected to. One thing never
//! happens: that a script finds itself in a chat.

use std::io::{self, IsTerminal};

use crate::cli::Arguments;
use crate::config::Switch;
use crate::exit::Failure;

/// What a run without a subcommand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Chat {
        /// In plain lines, without a screen.
        is_plain: bool,
    },
    OneShot,
}

/// What decides.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    pub has_prompt: bool,
    /// Whether options were typed that only one answer can obey: `-o`, `--extract`, `--file`, `--continue`.
    pub has_answer_options: bool,
    /// Whether a chat was asked for that is to go on: `--resume`.
    pub has_resume: bool,
    /// `--plain` was typed: a chat in lines, which a script may hold as well as a person.
    pub has_plain: bool,
    /// `ACCESSIBLE` is set: the person listens to what is written.
    pub is_accessible: bool,
    pub stdin_is_terminal: bool,
    pub stdout_is_terminal: bool,
    /// `TERM=dumb`: a terminal that cannot move its cursor.
    pub terminal_is_dumb: bool,
}

impl Circumstances {
    /// Those of this process.
    pub fn of(arguments: &Arguments) -> Self {
        Self {
            has_prompt: arguments.talk.prompt.is_some() || arguments.talk.prompt_name.is_some(),
            has_answer_options: arguments.settings.output.is_some()
                || arguments.settings.extract.is_some()
                || !arguments.talk.files.is_empty()
                || arguments.talk.continues.is_some(),
            has_resume: arguments.talk.resume.is_some(),
            has_plain: arguments.settings.plain == Some(Switch::On),
            is_accessible: std::env::var("ACCESSIBLE").is_ok_and(|value| is_on(&value)),
            stdin_is_terminal: io::stdin().is_terminal(),
            stdout_is_terminal: io::stdout().is_terminal(),
            terminal_is_dumb: std::env::var_os("TERM").is_some_and(|term| term == "dumb"),
        }
    }
}

/// Whether a variable of the environment says yes.
fn is_on(value: &str) -> bool {
    !matches!(value.to_lowercase().as_str(), "" | "0" | "no" | "off" | "false")
}

/// Decides; `plain` is what is set about plain lines.
///
/// # Errors
/// If it can be neither.
pub fn decide(circumstances: Circumstances, plain: Switch) -> Result<Mode, Failure> {
    const HINT: &str = "type `tuichat -p TEXT` for one answer on stdout, or `tuichat --plain` for a chat in lines";
    let is_plain = match plain {
        Switch::On => true,
        Switch::Auto => circumstances.is_accessible || circumstances.terminal_is_dumb,
        Switch::Off => false,
    };
    let is_answer = circumstances.has_prompt || circumstances.has_answer_options;
    if circumstances.has_plain && !is_answer {
        Ok(Mode::Chat { is_plain: true })
    } else if circumstances.has_resume && !circumstances.stdin_is_terminal {
        Err(Failure::usage("`--resume` goes on with a chat, and stdin is no terminal to chat at").hint(HINT))
    } else if circumstances.has_prompt || !circumstances.stdin_is_terminal {
        Ok(Mode::OneShot)
    } else if circumstances.has_answer_options {
        Err(Failure::usage("`-o`, `--extract`, `--file` and `--continue` go with a prompt, and there is none")
            .hint(HINT))
    } else if !circumstances.stdout_is_terminal {
        Err(Failure::usage("stdout is no terminal, so there can be no chat, and there is no prompt").hint(HINT))
    } else if circumstances.terminal_is_dumb && !is_plain {
        Err(Failure::usage("this terminal cannot show a chat (`TERM` is `dumb`), and `plain` is off").hint(HINT))
    } else {
        Ok(Mode::Chat { is_plain })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_A_TERMINAL: Circumstances = Circumstances {
        has_prompt: false,
        has_answer_options: false,
        has_resume: false,
        has_plain: false,
        is_accessible: false,
        stdin_is_terminal: true,
        stdout_is_terminal: true,
        terminal_is_dumb: false,
    };
    const ON_THE_SCREEN: Mode = Mode::Chat { is_plain: false };
    const IN_LINES: Mode = Mode::Chat { is_plain: true };

    fn decided(circumstances: Circumstances) -> Result<Mode, Failure> {
        decide(circumstances, Switch::Auto)
    }

    #[test]
    fn a_chat_cannot_go_on_in_a_pipe() {
        let piped = Circumstances { has_resume: true, stdin_is_terminal: false, ..AT_A_TERMINAL };
        assert!(decided(piped).is_err());
        assert_eq!(decided(Circumstances { has_resume: true, ..AT_A_TERMINAL }), Ok(ON_THE_SCREEN));
    }

    #[test]
    fn a_chat_needs_a_terminal_on_both_sides() {
        assert_eq!(decided(AT_A_TERMINAL), Ok(ON_THE_SCREEN));
        for circumstances in [
            Circumstances { stdout_is_terminal: false, ..AT_A_TERMINAL },
            Circumstances { is_accessible: true, stdout_is_terminal: false, ..AT_A_TERMINAL },
            Circumstances { has_answer_options: true, ..AT_A_TERMINAL },
        ] {
            let failure = decided(circumstances).unwrap_err();
            assert_eq!(failure.exit.code(), 2, "{circumstances:?}");
            assert!(failure.hint.is_some(), "{circumstances:?}");
        }
    }

    #[test]
    fn who_listens_and_a_terminal_that_cannot_draw_get_lines_unless_that_is_set_otherwise() {
        let dumb = Circumstances { terminal_is_dumb: true, ..AT_A_TERMINAL };
        let accessible = Circumstances { is_accessible: true, ..AT_A_TERMINAL };
        assert_eq!([dumb, accessible, AT_A_TERMINAL].map(decided), [Ok(IN_LINES), Ok(IN_LINES), Ok(ON_THE_SCREEN)]);
        assert_eq!(decide(AT_A_TERMINAL, Switch::On), Ok(IN_LINES));
        assert_eq!(decide(accessible, Switch::Off), Ok(ON_THE_SCREEN));
        assert!(decide(dumb, Switch::Off).is_err());
        assert!(["", "0", "off", "No"].iter().all(|value| !is_on(value)) && is_on("1"));
    }

    #[test]
    fn a_script_has_a_chat_only_if_plain_was_typed() {
        let piped = Circumstances { stdin_is_terminal: false, stdout_is_terminal: false, ..AT_A_TERMINAL };
        assert_eq!(decide(piped, Switch::On), Ok(Mode::OneShot), "a setting alone changes no script");
        let typed = Circumstances { has_plain: true, ..piped };
        assert_eq!(decide(typed, Switch::On), Ok(IN_LINES));
        assert_eq!(decide(Circumstances { has_resume: true, ..typed }, Switch::On), Ok(IN_LINES));
        assert_eq!(decide(Circumstances { has_prompt: true, ..typed }, Switch::On), Ok(Mode::OneShot));
    }

    #[test]
    fn a_prompt_typed_or_piped_is_answered_once() {
        for circumstances in [
            Circumstances { has_prompt: true, ..AT_A_TERMINAL },
            Circumstances { has_prompt: true, terminal_is_dumb: true, has_answer_options: true, ..AT_A_TERMINAL },
            Circumstances { stdin_is_terminal: false, ..AT_A_TERMINAL },
            Circumstances { stdin_is_terminal: false, stdout_is_terminal: false, ..AT_A_TERMINAL },
        ] {
            assert_eq!(decided(circumstances), Ok(Mode::OneShot), "{circumstances:?}");
        }
    }
}
