//! Getting models from the hub: which file, at which commit, with which hash; then its bytes, verified.
//!
//! The list of a repository's files and its newest commit come from hf-hub. The bytes do not, because its
//! streams hide the answer's status, `Content-Range` and `ETag`, without which a download cannot be continued
//! safely, and because it fetches most files through a second protocol with its own connections, caches and
//! statistics. So `transfer` uses reqwest, which hf-hub brings along, on the plain addresses that every file of
//! the hub also has; the second protocol is never started.

mod choice;
mod http;
mod locate;
mod part;
mod reference;
mod transfer;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::Url;

pub(super) use choice::is_model as is_model_name;
pub use reference::{Reference, Wanted};

use super::catalog::{self, Entry};
use super::error::{DiskContext, ModelError};
use super::files::check_space;
use super::gguf::read_header;
use super::identity::parse_sha256;
use super::local::{Installed, Library, Origin, name};
use super::progress::Listener;
use http::Http;
use locate::RemoteFile;
use part::Part;

const ENDPOINT_DEFAULT: &str = "https://huggingface.co";
const CANCEL_PAUSE: Duration = Duration::from_millis(50);

/// How long to wait for a hub that does not answer.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For the next bytes.
    pub stall: Duration,
    /// Before the second attempt; each later pause is twice as long, up to half a minute.
    pub back_off: Duration,
    /// Attempts in a row that bring nothing.
    pub attempts: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            back_off: Duration::from_secs(1),
            attempts: 6,
        }
    }
}

/// A hub of models.
#[derive(Clone, Debug)]
pub struct Hub {
    endpoint: Url,
    token: Option<String>,
    patience: Patience,
}

/// What to get.
#[derive(Clone, Debug)]
pub struct Pull {
    /// The file.
    pub reference: Reference,
    /// The name to install it under; otherwise the catalogue or the file gives it one.
    pub name: Option<String>,
    /// The SHA-256 that the hub must tell too, where it is known beforehand.
    pub expected_sha256: Option<String>,
}

impl Pull {
    /// Reads the argument of `tuichat models pull`: a name of the catalogue, or a file of the hub.
    ///
    /// # Errors
    /// If it is neither.
    pub fn from_argument(argument: &str) -> Result<Self, ModelError> {
        if let Some(entry) = catalog::by_name(argument) {
            return Ok(Self::from(entry));
        }
        if !argument.contains('/') && !argument.starts_with("hf:") {
            let known: Vec<_> = catalog::entries().iter().map(|entry| format!("`{}`", entry.name)).collect();
            return Err(ModelError::NotFound(format!(
                "no model named `{}` is known; known are {}; for others write `hf:OWNER/REPO`",
                crate::text::escape_line(argument),
                known.join(", ")
            )));
        }
        Ok(Self { reference: Reference::parse(argument)?, name: None, expected_sha256: None })
    }
}

impl From<&Entry> for Pull {
    fn from(entry: &Entry) -> Self {
        let wanted = Wanted::File(entry.file.clone());
        let reference = Reference { repository: entry.repository.clone(), wanted };
        Self { reference, name: Some(entry.name.clone()), expected_sha256: entry.sha256.clone() }
    }
}

impl Hub {
    /// The hub that `HF_ENDPOINT` names, or else huggingface.co, with the token of `HF_TOKEN` or of the file that
    /// the hub's own tools write.
    ///
    /// # Errors
    /// If `HF_ENDPOINT` is no address that can be used.
    pub fn from_environment() -> Result<Self, ModelError> {
        let endpoint = std::env::var("HF_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty());
        Self::new(endpoint.as_deref().unwrap_or(ENDPOINT_DEFAULT), token_from_environment())
    }

    /// The hub at this address.
    ///
    /// # Errors
    /// If the address is not https; http is good enough on this machine.
    pub fn new(endpoint: &str, token: Option<String>) -> Result<Self, ModelError> {
        match Url::parse(endpoint) {
            Ok(endpoint) if http::is_safe(&endpoint) => Ok(Self { endpoint, token, patience: Patience::default() }),
            _ => Err(ModelError::BadArgument(format!(
                "`{}` is no address of a hub; `HF_ENDPOINT` must begin with https://",
                crate::text::escape_line(endpoint)
            ))),
        }
    }

    /// The same hub with other waiting times.
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// [`Hub::pull`] for callers that have no runtime; inside one it would panic.
    ///
    /// # Errors
    /// As [`Hub::pull`].
    pub fn pull_blocking(
        &self,
        library: &Library,
        what: &Pull,
        cancel: &AtomicBool,
        listener: Listener<'_>,
    ) -> Result<Installed, ModelError> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .doing(|| "prepare a download".into())?
            .block_on(self.pull(library, what, cancel, listener))
    }

    /// Downloads a model into the library, going on where an earlier run stopped. It appears under its name when
    /// it is whole, has the hash that the hub told beforehand, has a header that can be loaded and is on disk.
    ///
    /// # Errors
    /// If the file cannot be found, fetched, verified or stored, or `cancel` becomes true; see [`ModelError`].
    pub async fn pull(
        &self,
        library: &Library,
        what: &Pull,
        cancel: &AtomicBool,
        listener: Listener<'_>,
    ) -> Result<Installed, ModelError> {
        tokio::select! {
            biased;
            () = cancelled(cancel) => Err(ModelError::Cancelled),
            outcome = self.pull_to_the_end(library, what, listener) => outcome,
        }
    }

    async fn pull_to_the_end(
        &self,
        library: &Library,
        what: &Pull,
        listener: Listener<'_>,
    ) -> Result<Installed, ModelError> {
        let http = Http::new(&self.endpoint, self.token.as_deref(), &self.patience)?;
        let file = locate::locate(self, &http, &what.reference).await?;
        check_expected(&file, what.expected_sha256.as_deref())?;
        let name = what.name.clone().unwrap_or_else(|| default_name(&file));
        let origin = origin(&file);
        library.check_free(&name, &file.sha256, &origin)?;

        let blobs = library.make_blobs_folder()?;
        let blob = library.blob(&file.sha256);
        let Some(part) = Part::open(&blob, file.size_bytes, listener).await? else {
            let header = read_header(&blob).map_err(|source| ModelError::BadFile { path: blob, source })?;
            let is_there = |blob: &std::path::Path| blob.metadata().map(drop);
            return library.install_from_hub(&name, file.sha256, &header, origin, is_there);
        };
        check_space(&blobs, file.size_bytes.saturating_sub(part.bytes()))?;
        let part = self.fetch_verified(&http, &file, part, listener).await?;
        let header = match read_header(part.path()) {
            Ok(header) => header,
            Err(source) => {
                part.discard()?;
                return Err(ModelError::BadFile { path: PathBuf::from(file.shown()), source });
            }
        };
        library.install_from_hub(&name, file.sha256, &header, origin, |blob| part.persist(blob))
    }

    /// The part with all bytes of the file and the right hash. If bytes of an earlier run spoil it, it is fetched
    /// once more from the beginning.
    async fn fetch_verified(
        &self,
        http: &Http,
        file: &RemoteFile,
        mut part: Part,
        listener: Listener<'_>,
    ) -> Result<Part, ModelError> {
        let mut has_old_bytes = part.bytes() > 0;
        loop {
            transfer::fetch(self, http, file, &mut part, listener).await?;
            let actual = part.finish()?;
            if actual == file.sha256 {
                return Ok(part);
            }
            if !has_old_bytes {
                part.discard()?;
                let what = format!("what the hub sent for `{}`", file.shown());
                return Err(ModelError::WrongHash { what, actual, expected: file.sha256.clone() });
            }
            part.restart()?;
            has_old_bytes = false;
        }
    }

    /// Waits after the given number of failures in a row, or gives up.
    async fn wait_before_retry(&self, failures: u32, reason: &str) -> Result<(), ModelError> {
        const PAUSE_MAX: Duration = Duration::from_secs(30);
        if failures >= self.patience.attempts {
            return Err(self.unreachable(reason));
        }
        let doublings = failures.saturating_sub(1).min(16);
        tokio::time::sleep((self.patience.back_off * (1 << doublings)).min(PAUSE_MAX)).await;
        Ok(())
    }

    fn unreachable(&self, reason: &str) -> ModelError {
        ModelError::Network(format!(
            "cannot get the file from the hub at `{}`: {reason}; check the connection and try again, or import a file \
             with `tuichat models import FILE`",
            self.endpoint
        ))
    }
}

async fn cancelled(cancel: &AtomicBool) {
    while !cancel.load(Ordering::Relaxed) {
        tokio::time::sleep(CANCEL_PAUSE).await;
    }
}

fn check_expected(file: &RemoteFile, expected: Option<&str>) -> Result<(), ModelError> {
    let Some(expected) = expected.map(parse_sha256).transpose()?.filter(|expected| *expected != file.sha256) else {
        return Ok(());
    };
    let what = format!("`{}` on the hub", file.shown());
    Err(ModelError::WrongHash { what, actual: file.sha256.clone(), expected })
}

fn default_name(file: &RemoteFile) -> String {
    let known = catalog::by_sha256(&file.sha256).or_else(|| catalog::by_file(&file.repository, &file.file));
    known.map_or_else(|| name::from_file_name(&file.file), |entry| entry.name.clone())
}

fn origin(file: &RemoteFile) -> Origin {
    Origin::Hub { repository: file.repository.clone(), commit: file.commit.clone(), file: file.file.clone() }
}

/// The token in the places where hf-hub looks for it, which does not give it away.
fn token_from_environment() -> Option<String> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if variable("HF_HUB_DISABLE_IMPLICIT_TOKEN").is_some() {
        return None;
    }
    let home = variable("HF_HOME").map(PathBuf::from);
    let home = home.or_else(|| variable("XDG_CACHE_HOME").map(|cache| PathBuf::from(cache).join("huggingface")));
    let home = home.or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".cache/huggingface")));
    let files = [variable("HF_TOKEN_PATH").map(PathBuf::from), home.map(|home| home.join("token"))];
    let token = variable("HF_TOKEN").or_else(|| {
        let texts = files.into_iter().flatten().filter_map(|file| std::fs::read_to_string(file).ok());
        texts.map(|text| text.trim().to_owned()).find(|token| !token.is_empty())
    });
    token.map(|token| token.trim().to_owned())
}
