//! Getting the bytes of a file, from where an earlier attempt stopped, until they are all there.

use reqwest::header::{ETAG, HeaderMap, HeaderValue, IF_RANGE, RANGE};
use reqwest::{Method, Response, StatusCode};

use super::Hub;
use super::http::{Http, HttpError, header, reason, refusal};
use super::locate::RemoteFile;
use super::part::Part;
use crate::models::ModelError;
use crate::models::progress::{Listener, Meter, Step};

/// How often a download may begin again from nothing: a server that gives no ranges and breaks off each time
/// would otherwise be asked for ever.
const RESTARTS_MAX: u32 = 5;

/// Fills `part` until it is as long as the file is. Whether the bytes are the right ones is seen afterwards.
pub async fn fetch(
    hub: &Hub,
    http: &Http,
    file: &RemoteFile,
    part: &mut Part,
    listener: Listener<'_>,
) -> Result<(), ModelError> {
    let mut transfer = Transfer { http, file, etag: None, restarts: 0 };
    let mut meter = Meter::new(Step::Downloading, part.bytes(), file.size_bytes, listener);
    let mut failures = 0;
    meter.report(part.bytes());
    while part.bytes() < file.size_bytes {
        let before = part.bytes();
        let outcome = transfer.attempt(part, &mut meter).await;
        let reason = match outcome {
            Ok(()) => continue,
            Err(HttpError::Final(error)) => return Err(error),
            Err(HttpError::Passing(reason)) => reason,
        };
        tracing::info!(reason, bytes = part.bytes(), "a download was interrupted");
        failures = if part.bytes() > before { 1 } else { failures + 1 };
        hub.wait_before_retry(failures, &reason).await?;
    }
    Ok(())
}

struct Transfer<'a> {
    http: &'a Http,
    file: &'a RemoteFile,
    /// What the server called the content when the bytes so far were fetched.
    etag: Option<HeaderValue>,
    restarts: u32,
}

impl Transfer<'_> {
    /// One request, and as many bytes as it brings.
    async fn attempt(&mut self, part: &mut Part, meter: &mut Meter<'_>) -> Result<(), HttpError> {
        let headers = self.range_headers(part.bytes());
        let mut response = self.http.send(Method::GET, &self.file.url, &headers, |_| false).await?;
        self.accept(&response, part)?;
        while let Some(chunk) = response.chunk().await.map_err(|error| HttpError::Passing(reason(&error)))? {
            if part.bytes() + chunk.len() as u64 > self.file.size_bytes {
                return Err(self.restart(part, "the server sent more than the whole file"));
            }
            part.append(&chunk).map_err(HttpError::Final)?;
            meter.report(part.bytes());
        }
        match part.bytes() < self.file.size_bytes {
            true => Err(HttpError::Passing("the connection ended early".into())),
            false => Ok(()),
        }
    }

    fn range_headers(&self, from: u64) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if from > 0 {
            if let Ok(range) = HeaderValue::try_from(format!("bytes={from}-")) {
                headers.insert(RANGE, range);
            }
            // A weak tag does not promise the same bytes, and servers must refuse it here.
            if let Some(etag) = self.etag.clone().filter(|etag| !etag.as_bytes().starts_with(b"W/")) {
                headers.insert(IF_RANGE, etag);
            }
        }
        headers
    }

    /// Makes sure that the bytes to come go on exactly where those in `part` end.
    fn accept(&mut self, response: &Response, part: &mut Part) -> Result<(), HttpError> {
        let etag = response.headers().get(ETAG).cloned();
        match response.status() {
            StatusCode::PARTIAL_CONTENT if self.etag.is_some() && etag != self.etag => {
                return Err(self.restart(part, "the file changed on the server"));
            }
            StatusCode::PARTIAL_CONTENT if !self.continues(response, part.bytes()) => {
                return Err(self.restart(part, "the server sent another range than it was asked for"));
            }
            StatusCode::PARTIAL_CONTENT => {}
            StatusCode::OK => {
                if response.content_length().is_some_and(|length| length != self.file.size_bytes) {
                    return Err(HttpError::Passing("the server sent something else than the file".into()));
                }
                if part.bytes() > 0 {
                    self.count_restart(part)?;
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE => return Err(self.restart(part, "the server refused to continue")),
            status => return Err(refusal(status, &self.file.repository)),
        }
        self.etag = etag;
        Ok(())
    }

    /// Whether `Content-Range` is what was asked for: from here to the end of a file of the right size.
    fn continues(&self, response: &Response, from: u64) -> bool {
        let size = self.file.size_bytes;
        header(response, "content-range") == Some(&format!("bytes {from}-{}/{size}", size - 1))
    }

    fn restart(&mut self, part: &mut Part, why: &str) -> HttpError {
        match self.count_restart(part) {
            Ok(()) => HttpError::Passing(why.into()),
            Err(error) => error,
        }
    }

    fn count_restart(&mut self, part: &mut Part) -> Result<(), HttpError> {
        self.restarts += 1;
        self.etag = None;
        part.restart().map_err(HttpError::Final)?;
        if self.restarts <= RESTARTS_MAX {
            return Ok(());
        }
        Err(HttpError::Final(ModelError::Network(format!(
            "the download of `{}` had to begin again {RESTARTS_MAX} times and is given up; try again later",
            self.file.shown()
        ))))
    }
}
