//! The header of a model that is not here: its first megabytes, by range requests, without a download.

use std::io::{Cursor, ErrorKind};

use reqwest::header::{HeaderMap, HeaderValue, RANGE};
use reqwest::{Method, StatusCode};

use super::http::{Http, HttpError, header, reason, refusal};
use super::locate::{self, RemoteFile};
use super::reference::Reference;
use super::{Hub, runtime};
use crate::models::ModelError;
use crate::models::gguf::{GgufError, Header, read_header_from};

/// The headers of models with large vocabularies have some 10 MB.
const FIRST_BYTES: u64 = 4 << 20;
/// Headers of more than 256 MiB are refused when they are read.
const MOST_BYTES: u64 = 256 << 20;

/// What the hub and the header say of a file.
#[derive(Clone, Debug)]
pub struct RemoteHeader {
    /// Its place, as in `hf:OWNER/REPO/FILE`.
    pub place: String,
    /// The commit it was read at.
    pub commit: String,
    /// The SHA-256 that the hub tells of the whole file.
    pub sha256: String,
    pub header: Header,
}

impl Hub {
    /// Reads the header of a file of the hub, and no more of it than that takes.
    ///
    /// # Errors
    /// If the file cannot be found or is no model that can be loaded, or the model is split into several files.
    pub fn header_blocking(&self, reference: &Reference) -> Result<RemoteHeader, ModelError> {
        runtime()?.block_on(self.header(reference))
    }

    /// How many bytes the hub says that a model has, with all its files.
    ///
    /// # Errors
    /// If it cannot be found.
    pub fn size_blocking(&self, reference: &Reference) -> Result<u64, ModelError> {
        runtime()?.block_on(async {
            let http = Http::new(&self.endpoint, self.token.as_deref(), &self.patience)?;
            let files = locate::locate(self, &http, reference, &mut |_| {}).await?;
            Ok(files.iter().map(|file| file.size_bytes).sum())
        })
    }

    async fn header(&self, reference: &Reference) -> Result<RemoteHeader, ModelError> {
        let http = Http::new(&self.endpoint, self.token.as_deref(), &self.patience)?;
        let files = locate::locate(self, &http, reference, &mut |_| {}).await?;
        let [file] = files.as_slice() else {
            return Err(ModelError::BadArgument(format!(
                "`{reference}` is in {} files, and what it is shows when they are here: `tuichat models pull {reference}`",
                files.len()
            )));
        };
        let mut wanted = FIRST_BYTES.min(file.size_bytes);
        let mut bytes = Vec::new();
        loop {
            self.read_up_to(&http, file, wanted, &mut bytes).await?;
            match read_header_from(Cursor::new(&bytes), file.size_bytes) {
                Ok(header) => {
                    let (place, commit, sha256) = (file.shown(), file.commit.clone(), file.sha256.clone());
                    return Ok(RemoteHeader { place, commit, sha256, header });
                }
                Err(GgufError::Io(error))
                    if error.kind() == ErrorKind::UnexpectedEof && wanted < file.size_bytes.min(MOST_BYTES) =>
                {
                    wanted = (2 * wanted).min(file.size_bytes);
                }
                Err(source) => return Err(ModelError::BadFile { path: file.shown().into(), source }),
            }
        }
    }

    /// Goes on with the beginning of a file until there are so many bytes of it.
    async fn read_up_to(
        &self,
        http: &Http,
        file: &RemoteFile,
        wanted: u64,
        bytes: &mut Vec<u8>,
    ) -> Result<(), ModelError> {
        let mut failures = 0;
        while (bytes.len() as u64) < wanted {
            let before = bytes.len();
            if let Err(error) = self.read_range(http, file, wanted, bytes).await {
                if bytes.len() > before {
                    failures = 0;
                }
                self.wait_before_retry(&mut failures, error, &mut |_| {}).await?;
            }
        }
        Ok(())
    }

    async fn read_range(
        &self,
        http: &Http,
        file: &RemoteFile,
        wanted: u64,
        bytes: &mut Vec<u8>,
    ) -> Result<(), HttpError> {
        let (from, to) = (bytes.len() as u64, wanted - 1);
        let mut headers = HeaderMap::new();
        if let Ok(range) = HeaderValue::try_from(format!("bytes={from}-{to}")) {
            headers.insert(RANGE, range);
        }
        let mut response = http.send(Method::GET, &file.url, &headers, |_| false).await?;
        let expected = format!("bytes {from}-{to}/{}", file.size_bytes);
        match response.status() {
            StatusCode::PARTIAL_CONTENT if header(&response, "content-range") == Some(&expected) => {}
            StatusCode::PARTIAL_CONTENT => {
                return Err(HttpError::passing("the server sent another range than it was asked for"));
            }
            // The whole file comes: of it no more is taken than is wanted.
            StatusCode::OK => bytes.clear(),
            _ => return Err(refusal(&response, &self.page(&file.repository))),
        }
        while let Some(chunk) = response.chunk().await.map_err(|error| HttpError::passing(reason(&error)))? {
            let left = wanted.saturating_sub(bytes.len() as u64).min(chunk.len() as u64);
            bytes.extend_from_slice(&chunk[..left as usize]);
            if left < chunk.len() as u64 || bytes.len() as u64 == wanted {
                return Ok(());
            }
        }
        Err(HttpError::passing("the connection ended early"))
    }
}
