//! From a reference to one file at one commit, with its size and hash.

use hf_hub::{HFClient, HFError};
use reqwest::{Method, Response, StatusCode, Url, header::HeaderMap};

use super::http::{Http, HttpError, header, metadata_client, refusal};
use super::reference::{Reference, is_file};
use super::{Hub, choice};
use crate::models::ModelError;
use crate::models::identity::is_sha256;

/// A file of the hub that can be fetched and verified.
#[derive(Clone, Debug)]
pub struct RemoteFile {
    pub repository: String,
    pub commit: String,
    pub file: String,
    pub url: Url,
    pub size_bytes: u64,
    pub sha256: String,
}

impl RemoteFile {
    /// What to call it in a sentence.
    pub fn shown(&self) -> String {
        format!("hf:{}/{}", self.repository, self.file)
    }
}

pub async fn locate(hub: &Hub, http: &Http, reference: &Reference) -> Result<RemoteFile, ModelError> {
    let (commit, files) = list(hub, reference).await?;
    let file = choice::choose(reference, &files)?;
    if !is_file(file) {
        return Err(unusable(hub, "names a file in a way that is not safe"));
    }
    let url = file_url(hub, &reference.repository, &commit, file)?;
    let response = head(hub, http, &url, &reference.repository).await?;

    let sha256 = header(&response, "x-linked-etag").map(|etag| etag.trim_matches('"').to_ascii_lowercase());
    let sha256 = sha256.filter(|hash| is_sha256(hash));
    let size_bytes = header(&response, "x-linked-size").and_then(|size| size.parse().ok()).filter(|size| *size > 0);
    let (Some(sha256), Some(size_bytes)) = (sha256, size_bytes) else {
        return Err(ModelError::Network(format!(
            "the hub does not tell the size and SHA-256 of `{file}`, so it could not be verified; download it \
             yourself and use `tuichat models import FILE`"
        )));
    };
    Ok(RemoteFile { repository: reference.repository.clone(), commit, file: file.to_owned(), url, size_bytes, sha256 })
}

/// The commit that is newest now, and its files.
async fn list(hub: &Hub, reference: &Reference) -> Result<(String, Vec<String>), ModelError> {
    let mut builder = HFClient::builder()
        .endpoint(hub.endpoint.as_str())
        .client(metadata_client(&hub.endpoint, &hub.patience)?)
        .cache_enabled(false)
        .retry_max_attempts(0);
    if let Some(token) = &hub.token {
        builder = builder.token(token);
    }
    let client = builder.build().map_err(|_| unusable(hub, "has an address that cannot be used"))?;
    let (owner, name) = hf_hub::split_id(&reference.repository);
    let mut failures = 0;
    let info = loop {
        match client.model(owner, name).info().send().await.map_err(|error| classify(hub, &reference.repository, error))
        {
            Ok(info) => break info,
            Err(HttpError::Final(error)) => return Err(error),
            Err(HttpError::Passing(reason)) => {
                failures += 1;
                hub.wait_before_retry(failures, &reason).await?;
            }
        }
    };
    let commit = info.sha.filter(|commit| commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let commit = commit.ok_or_else(|| unusable(hub, "does not say which commit is the newest"))?;
    let files = info.siblings.unwrap_or_default().into_iter().map(|sibling| sibling.rfilename).collect();
    Ok((commit, files))
}

fn file_url(hub: &Hub, repository: &str, commit: &str, file: &str) -> Result<Url, ModelError> {
    let mut url = hub.endpoint.clone();
    url.path_segments_mut()
        .map_err(|()| unusable(hub, "has an address that names no host"))?
        .pop_if_empty()
        .extend(repository.split('/'))
        .extend(["resolve", commit])
        .extend(file.split('/'));
    Ok(url)
}

/// The hub's own answer about a file. Redirects are followed only until the answer that has the file's hash: the
/// place where the bytes are kept does not know it.
async fn head(hub: &Hub, http: &Http, url: &Url, repository: &str) -> Result<Response, ModelError> {
    let mut failures = 0;
    loop {
        let knows_hash = |response: &Response| response.headers().contains_key("x-linked-etag");
        let error = match http.send(Method::HEAD, url, &HeaderMap::new(), knows_hash).await {
            Ok(response) if knows_hash(&response) || response.status().is_success() => return Ok(response),
            Ok(response) => refusal(response.status(), repository),
            Err(error) => error,
        };
        match error {
            HttpError::Final(error) => return Err(error),
            HttpError::Passing(reason) => {
                failures += 1;
                hub.wait_before_retry(failures, &reason).await?;
            }
        }
    }
}

/// Whether asking again may help. Where there is no connection at all it does not: whoever is offline is told at once,
/// and not after all the attempts that a hub with hiccups deserves.
fn classify(hub: &Hub, repository: &str, error: HFError) -> HttpError {
    let status = match &error {
        HFError::AuthRequired { .. } => Some(StatusCode::UNAUTHORIZED),
        HFError::Forbidden { .. } => Some(StatusCode::FORBIDDEN),
        HFError::RepoNotFound { .. } => Some(StatusCode::NOT_FOUND),
        HFError::RateLimited { .. } => Some(StatusCode::TOO_MANY_REQUESTS),
        HFError::Http { context } => Some(context.status),
        _ => None,
    };
    match (status, error) {
        (Some(status), _) => refusal(status, repository),
        (None, HFError::Request { source, .. }) if source.is_connect() => {
            HttpError::Final(hub.unreachable(&super::http::reason(&source)))
        }
        (None, HFError::Request { source, .. }) => HttpError::Passing(super::http::reason(&source)),
        (None, _) => HttpError::Final(unusable(hub, "answers what cannot be understood")),
    }
}

fn unusable(hub: &Hub, what: &str) -> ModelError {
    ModelError::Network(format!("the hub at `{}` {what}", hub.endpoint))
}
