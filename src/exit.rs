//! How the program ends: the exit codes scripts can rely on, and the failure that carries one together with the
//! sentences for the person.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::engine::protocol::EngineError;
use crate::models::gguf::GgufError;
use crate::models::{FailureClass, ModelError};
use crate::store::StoreError;
use crate::text::cause;

/// The exit codes. They are a contract: codes may be added, never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Success = 0,
    Error = 1,
    Usage = 2,
    NotEnoughMemory = 3,
    BadModel = 4,
    Disk = 5,
    Network = 6,
    /// The answer does not satisfy the schema or grammar, or has no part that was asked for.
    Unsatisfied = 7,
    /// SIGHUP.
    HungUp = 129,
    /// SIGINT.
    Interrupted = 130,
    /// Nobody reads the output any more (SIGPIPE).
    ClosedPipe = 141,
    /// SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// The number the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// Why the program cannot do what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    /// One word for scripts: `usage`, `bad_model`, `context_full` and so on.
    pub kind: &'static str,
    /// What happened, as a sentence.
    pub message: String,
    /// What to type next, where the message does not say it behind its last semicolon.
    pub hint: Option<String>,
}

/// The kinds of failures whose message quotes an answer, which may have semicolons of its own.
const QUOTING: [&str; 2] = ["schema", "extract"];

impl Failure {
    fn new(exit: Exit, kind: &'static str, message: impl Into<String>) -> Self {
        Self { exit, kind, message: message.into(), hint: None }
    }

    /// Something typed, or set in a file or the environment, that cannot be done.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// A failure with no code of its own.
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Exit::Error, "error", message)
    }

    /// An answer that is not what the schema asks for.
    pub fn unsatisfied(message: impl Into<String>) -> Self {
        Self::new(Exit::Unsatisfied, "schema", message)
    }

    /// An answer without the part that was asked for.
    pub fn without_part(message: impl Into<String>) -> Self {
        Self::new(Exit::Unsatisfied, "extract", message)
    }

    /// A file system that refuses.
    pub fn disk(message: impl Into<String>) -> Self {
        Self::new(Exit::Disk, "disk", message)
    }

    /// Adds what to type next.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What happened, and what to do about it. The rooms below say both in one sentence, with a semicolon between.
    pub fn parts(&self) -> (&str, Vec<&str>) {
        let (message, advice) = match last_semicolon(&self.message).filter(|_| !QUOTING.contains(&self.kind)) {
            Some(at) => (&self.message[..at], Some(self.message[at + 1..].trim_start())),
            None => (self.message.as_str(), None),
        };
        (message, advice.into_iter().chain(self.hint.as_deref()).collect())
    }

    /// Output that could not be written. A closed pipe is no failure of ours and is not talked about.
    pub fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Exit::ClosedPipe, "closed_pipe", ""),
            _ => Self::disk(format!("cannot write the output: {}", cause(error))),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (message, hints) = self.parts();
        write!(formatter, "error: {message}")?;
        hints.iter().try_for_each(|hint| write!(formatter, "\nhint: {hint}"))
    }
}

/// The last semicolon that does not stand between backticks or double quotes, where names and texts are quoted.
fn last_semicolon(sentence: &str) -> Option<usize> {
    let (mut quote, mut last) = (None, None);
    for (at, character) in sentence.char_indices() {
        match (quote, character) {
            (Some(mark), _) if mark == character => quote = None,
            (Some(_), _) => {}
            (None, '`' | '"') => quote = Some(character),
            (None, ';') if sentence[at..].starts_with("; ") => last = Some(at),
            (None, _) => {}
        }
    }
    last
}

impl std::error::Error for Failure {}

impl From<&EngineError> for Failure {
    fn from(error: &EngineError) -> Self {
        let (exit, kind) = match error {
            EngineError::NotEnoughMemory(_) => (Exit::NotEnoughMemory, "not_enough_memory"),
            EngineError::BadModel(_) => (Exit::BadModel, "bad_model"),
            EngineError::ContextFull { .. } | EngineError::ItemTooLong { .. } => (Exit::Error, "context_full"),
            EngineError::Template(_) => (Exit::Error, "template"),
            EngineError::NoModel => (Exit::Error, "no_model"),
            EngineError::Server(_) => (Exit::Network, "server"),
            EngineError::Failed(_) | EngineError::ServerLost(_) => (Exit::Error, "engine"),
        };
        Self::new(exit, kind, error.to_string())
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        let (exit, kind) = match error.class() {
            FailureClass::Other if matches!(error, ModelError::BadArgument(_)) => (Exit::Usage, "usage"),
            FailureClass::Other => (Exit::Error, "no_model"),
            FailureClass::BadModelFile => (Exit::BadModel, "bad_model"),
            FailureClass::Disk => (Exit::Disk, "disk"),
            FailureClass::Network => (Exit::Network, "network"),
            FailureClass::Interrupted => (Exit::Interrupted, "cancelled"),
        };
        let failure = Self::new(exit, kind, error.to_string());
        match error {
            ModelError::WrongHash { .. } | ModelError::BadFile { source: GgufError::Damaged(_), .. } => {
                failure.hint("get the file again, or take it from elsewhere")
            }
            _ => failure,
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let sentence = match std::error::Error::source(&error) {
            Some(cause) => format!("{error} ({cause})"),
            None => error.to_string(),
        };
        match error {
            StoreError::DiskFull { .. }
            | StoreError::ReadOnly { .. }
            | StoreError::File { .. }
            | StoreError::Damaged { .. }
            | StoreError::Sqlite { .. } => Self::disk(sentence),
            _ => Self::error(sentence),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_stands_on_its_own_line() {
        let failure = Failure::usage("there is no prompt").hint("type `tuichat -p TEXT`");
        assert_eq!(failure.to_string(), "error: there is no prompt\nhint: type `tuichat -p TEXT`");
    }

    #[test]
    fn what_to_do_is_told_on_a_line_of_its_own_wherever_it_was_said() {
        for (failure, expected) in [
            (
                Failure::usage("`a; b` is a folder; name the files in it"),
                "error: `a; b` is a folder\nhint: name the files in it",
            ),
            (
                Failure::error("it is so; it is; type `a; b`").hint("or not"),
                "error: it is so; it is\nhint: type `a; b`\nhint: or not",
            ),
            (Failure::error("it says \"a; b\" here"), "error: it says \"a; b\" here"),
            (Failure::unsatisfied("the answer is a; b"), "error: the answer is a; b"),
        ] {
            assert_eq!(failure.to_string(), expected);
        }
    }

    #[test]
    fn a_bad_model_file_has_its_own_code() {
        let failure = Failure::from(&EngineError::BadModel("x.gguf is cut short".into()));
        assert_eq!((failure.exit.code(), failure.kind), (4, "bad_model"));
    }

    #[test]
    fn a_closed_pipe_is_told_apart_from_a_full_disk() {
        assert_eq!(Failure::output(&io::ErrorKind::BrokenPipe.into()).exit.code(), 141);
        assert_eq!(Failure::output(&io::ErrorKind::StorageFull.into()).exit.code(), 5);
    }
}
