//! What can go wrong with model files, in sentences.

use std::io;
use std::path::PathBuf;

use super::files::RESERVE_BYTES;
use super::gguf::GgufError;

/// A failure of finding, importing, downloading or checking a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The argument names no model, or several.
    #[error("{0}")]
    NotFound(String),
    /// The name or reference cannot be used.
    #[error("{0}")]
    BadArgument(String),
    /// The file is no model that can be loaded.
    #[error("`{}` is refused: {source}", path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: GgufError,
    },
    /// The bytes are not the expected ones.
    #[error("{what} is not the file that was expected: its SHA-256 is {actual}, expected {expected}")]
    WrongHash {
        /// The file, in words.
        what: String,
        /// The hash of what is there.
        actual: String,
        /// The hash of what should be there.
        expected: String,
    },
    /// The folder's list of hashes has none for the file.
    #[error(
        "`{}` has no hash in `{}`, so nobody can tell whether it is whole; move the list away to import it all the same",
        path.display(),
        list.display()
    )]
    Unlisted {
        /// The file.
        path: PathBuf,
        /// The list.
        list: PathBuf,
    },
    /// Reading or writing failed.
    #[error("cannot {doing}: {source}")]
    Disk {
        /// What was being done, as in "cannot read `x`".
        doing: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The file would not fit.
    #[error(
        "not enough space in `{}`: {} MB are needed ({} MB of these stay free) and {} MB are free; make some, for example with \
         `tuichat models rm NAME`, and try again",
        folder.display(),
        needed_bytes.div_ceil(1_000_000),
        RESERVE_BYTES / 1_000_000,
        free_bytes / 1_000_000
    )]
    NoSpace {
        /// Where it would not fit.
        folder: PathBuf,
        /// What the file and a reserve need.
        needed_bytes: u64,
        /// What is there.
        free_bytes: u64,
    },
    /// The hub cannot be reached, refuses, or answers what cannot be used.
    #[error("{0}")]
    Network(String),
    /// The person stopped it; what was downloaded is kept.
    #[error("stopped; the same command goes on where it stopped")]
    Cancelled,
}

/// The kinds of failure that a script can tell apart by the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureClass {
    /// Exit code 1.
    Other,
    /// Exit code 4.
    BadModelFile,
    /// Exit code 5.
    Disk,
    /// Exit code 6.
    Network,
    /// Exit code 130.
    Interrupted,
}

impl ModelError {
    /// Which exit code the failure calls for.
    pub fn class(&self) -> FailureClass {
        match self {
            Self::NotFound(_) | Self::BadArgument(_) => FailureClass::Other,
            // A file that cannot be read is the disk's failure, not the model's.
            Self::BadFile { source: GgufError::Io(_), .. } => FailureClass::Disk,
            Self::BadFile { .. } | Self::WrongHash { .. } | Self::Unlisted { .. } => FailureClass::BadModelFile,
            Self::Disk { .. } | Self::NoSpace { .. } => FailureClass::Disk,
            Self::Network(_) => FailureClass::Network,
            Self::Cancelled => FailureClass::Interrupted,
        }
    }
}

/// Says what was being done when the system refused it.
pub(super) trait DiskContext<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, ModelError>;
}

impl<T> DiskContext<T> for io::Result<T> {
    fn doing(self, doing: impl FnOnce() -> String) -> Result<T, ModelError> {
        self.map_err(|source| ModelError::Disk { doing: doing(), source })
    }
}
