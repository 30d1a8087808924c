//! Chat or one answer? Decided from what was typed and what stdin and stdout are connected to. One thing never
//! happens: that a script finds itself in a chat.

use std::io::{self, IsTerminal};

use crate::cli::Arguments;
use crate::exit::Failure;

/// What a run without a subcommand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Chat,
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
            stdin_is_terminal: io::stdin().is_terminal(),
            stdout_is_terminal: io::stdout().is_terminal(),
            terminal_is_dumb: std::env::var_os("TERM").is_some_and(|term| term == "dumb"),
        }
    }
}

/// # Errors
/// If it can be neither.
pub fn decide(circumstances: Circumstances) -> Result<Mode, Failure> {
    const HINT: &str = "type `tuichat -p TEXT` for one answer on stdout";
    if circumstances.has_resume && !circumstances.stdin_is_terminal {
        Err(Failure::usage("`--resume` goes on with a chat, and stdin is no terminal to chat at").hint(HINT))
    } else if circumstances.has_prompt || !circumstances.stdin_is_terminal {
        Ok(Mode::OneShot)
    } else if circumstances.has_answer_options {
        Err(Failure::usage("`-o`, `--extract`, `--file` and `--continue` go with a prompt, and there is none")
            .hint(HINT))
    } else if !circumstances.stdout_is_terminal {
        Err(Failure::usage("stdout is no terminal, so there can be no chat, and there is no prompt").hint(HINT))
    } else if circumstances.terminal_is_dumb {
        Err(Failure::usage("this terminal cannot show a chat (`TERM` is `dumb`)").hint(HINT))
    } else {
        Ok(Mode::Chat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chat_cannot_go_on_in_a_pipe() {
        let piped = Circumstances { has_resume: true, stdin_is_terminal: false, ..AT_A_TERMINAL };
        assert!(decide(piped).is_err());
        assert_eq!(decide(Circumstances { has_resume: true, ..AT_A_TERMINAL }).ok(), Some(Mode::Chat));
    }

    const AT_A_TERMINAL: Circumstances = Circumstances {
        has_prompt: false,
        has_answer_options: false,
        has_resume: false,
        stdin_is_terminal: true,
        stdout_is_terminal: true,
        terminal_is_dumb: false,
    };

    #[test]
    fn a_chat_needs_a_terminal_on_both_sides() {
        assert_eq!(decide(AT_A_TERMINAL), Ok(Mode::Chat));
        for circumstances in [
            Circumstances { stdout_is_terminal: false, ..AT_A_TERMINAL },
            Circumstances { terminal_is_dumb: true, ..AT_A_TERMINAL },
            Circumstances { has_answer_options: true, ..AT_A_TERMINAL },
        ] {
            let failure = decide(circumstances).unwrap_err();
            assert_eq!(failure.exit.code(), 2, "{circumstances:?}");
            assert!(failure.hint.is_some(), "{circumstances:?}");
        }
    }

    #[test]
    fn a_prompt_typed_or_piped_is_answered_once() {
        for circumstances in [
            Circumstances { has_prompt: true, ..AT_A_TERMINAL },
            Circumstances { has_prompt: true, terminal_is_dumb: true, has_answer_options: true, ..AT_A_TERMINAL },
            Circumstances { stdin_is_terminal: false, ..AT_A_TERMINAL },
            Circumstances { stdin_is_terminal: false, stdout_is_terminal: false, ..AT_A_TERMINAL },
        ] {
            assert_eq!(decide(circumstances), Ok(Mode::OneShot), "{circumstances:?}");
        }
    }
}
