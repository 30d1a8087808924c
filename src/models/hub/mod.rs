//! Getting models from the hub: which files, at which commit, with which hashes; then their bytes, verified.
//!
//! The list of a repository's files and its newest commit come from hf-hub, and so do the hits of a search. The bytes do
//! not, because its
//! streams hide the answer's status, `Content-Range` and `ETag`, without which a download cannot be continued
//! safely, and because it fetches most files through a second protocol with its own connections, caches and
//! statistics. So `transfer` uses reqwest, which hf-hub brings along, on the plain addresses that every file of
//! the hub also has; the second protocol is never started.

mod choice;
mod http;
mod journal;
mod later;
mod locate;
mod pace;
mod part;
mod ranges;
mod reference;
mod remote_header;
mod search;
mod transfer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hf_hub::{HFClient, HFError};
use jiff::Timestamp;
use reqwest::{StatusCode, Url};

pub(super) use choice::{has_quantization, is_model as is_model_name};
pub use http::{header, is_loopback, reason};
pub use later::wait as retry_after;
pub use reference::{Reference, Wanted};
pub use remote_header::RemoteHeader;
pub use search::Hit;

use super::catalog::{self, Entry, File};
use super::error::{DiskContext, ModelError};
use super::files::{check_space, sync_folder};
use super::gguf::split::PartName;
use super::gguf::{GgufError, Header, read_header};
use super::identity::parse_sha256;
use super::local::{Installed, Library, Origin, Split, name};
use super::progress::{Listener, Progress, Step, within};
use http::{Http, HttpError, Passing};
use locate::RemoteFile;
use part::Part;

/// The address of the hub where `HF_ENDPOINT` names no other.
pub const ENDPOINT_DEFAULT: &str = "https://huggingface.co";
const CANCEL_PAUSE: Duration = Duration::from_millis(50);
/// So many connections fetch one file.
const CONNECTIONS: usize = 4;
/// Whoever is asked to wait longer is told when to try again.
const WAIT_MAX: Duration = Duration::from_secs(300);

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
    connections: usize,
    bytes_per_second: Option<u64>,
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
    /// A file of the catalogue.
    pub fn of(entry: &Entry, file: &File) -> Self {
        let wanted = Wanted::File(file.name.clone());
        let reference = Reference { repository: entry.repository.clone(), revision: entry.revision.clone(), wanted };
        Self { reference, name: Some(entry.installed_name(file)), expected_sha256: file.sha256.clone() }
    }

    /// Reads the argument of `tuichat models pull`: a name of the catalogue, or a file of the hub.
    ///
    /// # Errors
    /// If it is neither.
    pub fn from_argument(argument: &str) -> Result<Self, ModelError> {
        if let Some((entry, file)) = catalog::by_argument(argument) {
            return Ok(Self::of(entry, file));
        }
        if !argument.contains('/') && !argument.starts_with("hf:") {
            return Err(ModelError::NotFound(unknown(argument)));
        }
        Ok(Self { reference: Reference::parse(argument)?, name: None, expected_sha256: None })
    }
}

/// The hub that is asked.
fn endpoint() -> String {
    let named = std::env::var("HF_ENDPOINT").ok().filter(|endpoint| !endpoint.is_empty());
    named.unwrap_or_else(|| ENDPOINT_DEFAULT.into())
}

/// Where a repository is, as people write it: `huggingface.co/OWNER/REPO`.
pub fn address(repository: &str) -> String {
    let endpoint = endpoint();
    let host = endpoint.split_once("://").map_or(endpoint.as_str(), |(_, host)| host);
    format!("{}/{repository}", host.trim_end_matches('/'))
}

/// What there is instead of a name that the catalogue does not have.
fn unknown(argument: &str) -> String {
    let shown = crate::text::escape_line(argument);
    let listed = |names: Vec<&str>| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let (name, quantization) = argument.split_once(':').unwrap_or((argument, ""));
    if let Some(entry) = catalog::by_name(name).filter(|_| !quantization.is_empty()) {
        let there = listed(entry.files.iter().map(|file| file.quantization.as_str()).collect());
        return format!("`{}` is not known in that quantization; there are {there}", entry.name);
    }
    let wanted = name.to_lowercase();
    let alike = |entry: &&Entry| !wanted.is_empty() && entry.name.contains(&wanted);
    let near: Vec<&str> = catalog::entries().iter().filter(alike).map(|entry| entry.name.as_str()).collect();
    let hint = match near.is_empty() {
        true => "`tuichat models list --catalog` lists those that are".to_owned(),
        false => format!("do you mean {}", listed(near)),
    };
    format!("no model named `{shown}` is known; {hint}; for others write `hf:OWNER/REPO`")
}

impl Hub {
    /// The hub that `HF_ENDPOINT` names, or else huggingface.co, with the token of `HF_TOKEN` or of the file that
    /// the hub's own tools write.
    ///
    /// # Errors
    /// If `HF_ENDPOINT` is no address that can be used, or one of the hub's variables forbids the network.
    pub fn from_environment() -> Result<Self, ModelError> {
        if let Some(variable) = offline_variables(variable).first() {
            return Err(ModelError::Network(format!(
                "`{variable}` is set, so the hub is not asked; unset it, or bring a file with `tuichat models import \
                 FILE`"
            )));
        }
        Self::new(&endpoint(), token(variable))
    }

    /// The hub at this address.
    ///
    /// # Errors
    /// If the address is not https; http is good enough on this machine.
    pub fn new(endpoint: &str, token: Option<String>) -> Result<Self, ModelError> {
        match Url::parse(endpoint) {
            Ok(endpoint) if http::is_safe(&endpoint) => Ok(Self {
                endpoint,
                token,
                patience: Patience::default(),
                connections: CONNECTIONS,
                bytes_per_second: None,
            }),
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

    /// The same hub, asked for a file by so many connections at once.
    pub fn with_connections(self, connections: usize) -> Self {
        Self { connections, ..self }
    }

    /// The same hub, read no faster than this over all connections; `None` is as fast as it gives.
    pub fn limited_to(self, bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second, ..self }
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
        runtime()?.block_on(self.pull(library, what, cancel, listener))
    }

    /// Downloads a model into the library, with all its files if it is split, going on where an earlier run stopped. It
    /// appears under its name when it is whole, has the hash that the hub told beforehand, has a header that can be
    /// loaded and is on disk.
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
        let files = locate::locate(self, &http, &what.reference, listener).await?;
        let first = &files[0];
        check_expected(first, what.expected_sha256.as_deref())?;
        let name = what.name.clone().unwrap_or_else(|| default_name(first));
        let origin = origin(first, &what.reference);
        match split(&files) {
            None => self.pull_single(&http, library, first, &name, origin, listener).await,
            Some(split) => self.pull_split(&http, library, &files, split, &name, origin, listener).await,
        }
    }

    async fn pull_single(
        &self,
        http: &Http,
        library: &Library,
        file: &RemoteFile,
        name: &str,
        origin: Origin,
        listener: Listener<'_>,
    ) -> Result<Installed, ModelError> {
        library.check_free(name, &file.sha256, &origin)?;
        let blobs = library.make_blobs_folder()?;
        let blob = library.blob(&file.sha256);
        let sha256 = file.sha256.clone();
        if is_spoilt(&blob, file.size_bytes) {
            fs::remove_file(&blob).doing(|| format!("remove `{}`", blob.display()))?;
        }
        let Some(part) = Part::open(&blob, file.size_bytes, listener).await? else {
            let header = read_header(&blob).map_err(|source| ModelError::BadFile { path: blob, source })?;
            let is_there = |blob: &Path| blob.metadata().map(drop);
            return library.install_from_hub(name, sha256, &header, origin, is_there);
        };
        check_space(&blobs, file.size_bytes.saturating_sub(part.bytes()))?;
        let part = self.fetch_verified(http, file, part, listener).await?;
        let header = match part.header() {
            Ok(header) => header,
            Err(source) => {
                part.discard()?;
                return Err(ModelError::BadFile { path: PathBuf::from(file.shown()), source });
            }
        };
        library.install_from_hub(name, sha256, &header, origin, |blob| part.persist(blob))
    }

    /// Each file becomes a content of the library when it is verified; the model has a name when all are there.
    #[expect(clippy::too_many_arguments, reason = "what a pull has found out")]
    async fn pull_split(
        &self,
        http: &Http,
        library: &Library,
        files: &[RemoteFile],
        split: Split,
        name: &str,
        origin: Origin,
        listener: Listener<'_>,
    ) -> Result<Installed, ModelError> {
        library.check_free(name, &split.sha256(), &origin)?;
        let blobs = library.make_blobs_folder()?;
        let total_bytes = files.iter().map(|file| file.size_bytes).sum();
        let missing =
            files.iter().map(|file| file.size_bytes.saturating_sub(there_bytes(&library.blob(&file.sha256), file)));
        check_space(&blobs, missing.sum())?;
        let mut done_bytes = 0;
        for file in files {
            let blob = library.blob(&file.sha256);
            let mut listener = within(listener, done_bytes, total_bytes);
            if let Some(part) = Part::open(&blob, file.size_bytes, &mut listener).await? {
                let part = self.fetch_verified(http, file, part, &mut listener).await?;
                part.persist(&blob)
                    .and_then(|()| sync_folder(&blobs))
                    .doing(|| format!("write `{}`", blob.display()))?;
            }
            done_bytes += file.size_bytes;
        }
        let first = library.lay_out(&split)?;
        match read_header(&first).and_then(whole) {
            Ok(header) => library.install_split_from_hub(name, split, &header, origin),
            Err(source) => {
                library.discard_split(&split)?;
                Err(ModelError::BadFile { path: PathBuf::from(files[0].shown()), source })
            }
        }
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
            let actual = part.finish(listener).await?;
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

    /// A client for what hf-hub knows to ask.
    fn metadata_client(&self) -> Result<HFClient, ModelError> {
        let mut builder = HFClient::builder()
            .endpoint(self.endpoint.as_str())
            .client(http::metadata_client(&self.endpoint, &self.patience)?)
            .cache_enabled(false)
            .retry_max_attempts(0);
        if let Some(token) = &self.token {
            builder = builder.token(token);
        }
        builder
            .build()
            .map_err(|_| ModelError::Network(format!("the hub's address `{}` cannot be used", self.endpoint)))
    }

    /// Whether asking again may help. `page` is what was asked about.
    fn classify(&self, page: &str, error: HFError) -> HttpError {
        let status = match &error {
            HFError::AuthRequired { .. } => Some(StatusCode::UNAUTHORIZED),
            HFError::Forbidden { .. } => Some(StatusCode::FORBIDDEN),
            HFError::RepoNotFound { .. } => Some(StatusCode::NOT_FOUND),
            HFError::RateLimited { .. } => Some(StatusCode::TOO_MANY_REQUESTS),
            HFError::Http { context } => Some(context.status),
            _ => None,
        };
        match (status, error) {
            (Some(status), HFError::RateLimited { retry_after, .. }) => http::refusal_of(status, retry_after, page),
            (Some(status), _) => http::refusal_of(status, None, page),
            (None, HFError::Request { source, .. }) => HttpError::of(&source),
            (None, _) => HttpError::Final(ModelError::Network(format!(
                "the hub at `{}` answers what cannot be understood",
                self.endpoint
            ))),
        }
    }

    /// Where a person can look at a repository.
    fn page(&self, repository: &str) -> String {
        format!("{}/{repository}", self.endpoint.as_str().trim_end_matches('/'))
    }

    /// Counts a failure and waits before the next attempt, or gives up. Where there is no connection at all no attempt
    /// helps: whoever is offline is told at once, and not after all those that a hub with hiccups deserves.
    async fn wait_before_retry(
        &self,
        failures: &mut u32,
        error: HttpError,
        listener: Listener<'_>,
    ) -> Result<(), ModelError> {
        let passing = match error {
            HttpError::Final(error) => return Err(error),
            HttpError::Passing(passing) if passing.is_unreachable => return Err(self.unreachable(&passing.reason)),
            HttpError::Passing(passing) => passing,
        };
        *failures += 1;
        let pause = self.pause_before_retry(*failures, &passing)?;
        let Some(wait) = passing.wait.map(|wait| self.bounded(wait)).transpose()? else {
            tokio::time::sleep(pause).await;
            return Ok(());
        };
        for seconds in (1..=later::seconds_up(wait.max(pause))).rev() {
            listener(Progress {
                step: Step::Postponed { seconds },
                done_bytes: 0,
                total_bytes: 0,
                bytes_per_second: None,
            });
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Ok(())
    }

    /// How long to wait after so many failures in a row, if there is another attempt.
    fn pause_before_retry(&self, failures: u32, passing: &Passing) -> Result<Duration, ModelError> {
        const PAUSE_MAX: Duration = Duration::from_secs(30);
        if failures >= self.patience.attempts {
            return Err(self.unreachable(&passing.reason));
        }
        let doublings = failures.saturating_sub(1).min(16);
        Ok((self.patience.back_off * (1 << doublings)).min(PAUSE_MAX))
    }

    /// The time for which the hub asked to be left alone, if that is not too long to wait for.
    fn bounded(&self, wait: Duration) -> Result<Duration, ModelError> {
        if wait <= WAIT_MAX {
            return Ok(wait);
        }
        let then = Timestamp::now().checked_add(wait).unwrap_or(Timestamp::MAX);
        let then = then.to_zoned(jiff::tz::TimeZone::system());
        Err(ModelError::Network(format!(
            "the hub at `{}` is busy and asks to be left alone until {}; try again then, what was downloaded is kept",
            self.endpoint,
            then.strftime("%Y-%m-%d %H:%M")
        )))
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
    let stem = PartName::parse(&file.file).map_or(file.file.as_str(), |part| part.stem);
    known.map_or_else(|| name::from_file_name(stem), |(entry, file)| entry.installed_name(file))
}

fn origin(file: &RemoteFile, reference: &Reference) -> Origin {
    let RemoteFile { repository, commit, file, .. } = file.clone();
    Origin::Hub { repository, commit, file, revision: reference.revision.clone() }
}

/// What the library has to know of a split model; `None` for a model of one file.
fn split(files: &[RemoteFile]) -> Option<Split> {
    let first = files.first().filter(|_| files.len() > 1)?;
    let file = first.file.rsplit('/').next().unwrap_or(&first.file);
    let stem = PartName::parse(file)?.stem.to_owned();
    Some(Split { stem, parts: files.iter().map(|file| file.sha256.clone()).collect() })
}

/// A header of several files is one of all of them.
/// Whether a content of the library was cut short or damaged since it was verified, as far as that is seen at once.
fn is_spoilt(blob: &Path, size_bytes: u64) -> bool {
    let is_there = blob.metadata().map(|metadata| metadata.len());
    is_there.is_ok_and(|bytes| {
        let is_damaged = |error| matches!(error, GgufError::Damaged(_) | GgufError::NotGguf);
        bytes != size_bytes || read_header(blob).is_err_and(is_damaged)
    })
}

fn whole(header: Header) -> Result<Header, GgufError> {
    if header.split().is_some() {
        return Ok(header);
    }
    Err(GgufError::Damaged("its first file does not say that it is one of several".into()))
}

/// What there is of a file already.
fn there_bytes(blob: &Path, file: &RemoteFile) -> u64 {
    if blob.is_file() { file.size_bytes } else { part::kept_bytes(blob, file.size_bytes) }
}

fn runtime() -> Result<tokio::runtime::Runtime, ModelError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().doing(|| "prepare a download".into())
}

/// hf-hub does not know them, but whoever sets them means every program.
const OFFLINE_VARIABLES: [&str; 2] = ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"];

/// Those of the hub's variables that forbid the network.
pub fn offline_variables(variable: impl Fn(&str) -> Option<String>) -> Vec<&'static str> {
    let is_switched_on = |name: &&str| {
        let value = variable(name).unwrap_or_default().to_ascii_lowercase();
        matches!(value.as_str(), "1" | "on" | "yes" | "true")
    };
    OFFLINE_VARIABLES.into_iter().filter(is_switched_on).collect()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The token in the places where hf-hub looks for it, which does not give it away. `variable` gives those that are set
/// to something.
pub fn token(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
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

#[cfg(test)]
mod tests;
