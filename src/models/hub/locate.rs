//! From a reference to files at one commit, with their sizes and hashes.

use hf_hub::HFError;
use reqwest::{Method, Response, Url, header::HeaderMap};

use super::http::{Http, HttpError, header, refusal};
use super::reference::{Reference, Wanted, is_file};
use super::{Hub, choice};
use crate::models::ModelError;
use crate::models::gguf::split::PartName;
use crate::models::progress::Listener;
use crate::sha256::is_sha256;

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

/// The files that the reference means: one, or all parts of a split model in their order.
pub async fn locate(
    hub: &Hub,
    http: &Http,
    reference: &Reference,
    listener: Listener<'_>,
) -> Result<Vec<RemoteFile>, ModelError> {
    if let Some((commit, file)) = pinned(reference) {
        return Ok(vec![describe(hub, http, reference, commit, file, listener).await?]);
    }
    let (commit, files) = list(hub, reference, listener).await?;
    let mut located = Vec::new();
    for file in choice::choose(reference, &files)? {
        located.push(describe(hub, http, reference, &commit, file, listener).await?);
    }
    Ok(located)
}

/// The commit and the file, if the reference names both and there are no other parts: then nothing has to be looked up.
fn pinned(reference: &Reference) -> Option<(&str, &str)> {
    match (reference.revision.as_deref(), &reference.wanted) {
        (Some(revision), Wanted::File(file)) if is_commit(revision) && PartName::parse(file).is_none() => {
            Some((revision, file))
        }
        _ => None,
    }
}

fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

async fn describe(
    hub: &Hub,
    http: &Http,
    reference: &Reference,
    commit: &str,
    file: &str,
    listener: Listener<'_>,
) -> Result<RemoteFile, ModelError> {
    if !is_file(file) {
        return Err(unusable(hub, "names a file in a way that is not safe"));
    }
    let url = file_url(hub, &reference.repository, commit, file)?;
    let response = head(hub, http, &url, &reference.repository, listener).await?;

    let sha256 = header(&response, "x-linked-etag").map(|etag| etag.trim_matches('"').to_ascii_lowercase());
    let sha256 = sha256.filter(|hash| is_sha256(hash));
    let size_bytes = header(&response, "x-linked-size").and_then(|size| size.parse().ok()).filter(|size| *size > 0);
    let (Some(sha256), Some(size_bytes)) = (sha256, size_bytes) else {
        return Err(ModelError::Network(format!(
            "the hub does not tell the size and SHA-256 of `{file}`, so it could not be verified; download it \
             yourself and use `tuichat models import FILE`"
        )));
    };
    let (repository, commit, file) = (reference.repository.clone(), commit.to_owned(), file.to_owned());
    Ok(RemoteFile { repository, commit, file, url, size_bytes, sha256 })
}

/// The commit that is meant, the newest if none is, and its files.
async fn list(hub: &Hub, reference: &Reference, listener: Listener<'_>) -> Result<(String, Vec<String>), ModelError> {
    let client = hub.metadata_client()?;
    let (owner, name) = hf_hub::split_id(&reference.repository);
    let repository = client.model(owner, name);
    let mut failures = 0;
    let info = loop {
        let request = repository.info().maybe_revision(reference.revision.clone());
        match request.send().await.map_err(|error| classify(hub, reference, error)) {
            Ok(info) => break info,
            Err(error) => hub.wait_before_retry(&mut failures, error, listener).await?,
        }
    };
    let commit = info.sha.filter(|commit| is_commit(commit));
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
async fn head(
    hub: &Hub,
    http: &Http,
    url: &Url,
    repository: &str,
    listener: Listener<'_>,
) -> Result<Response, ModelError> {
    let mut failures = 0;
    loop {
        let knows_hash = |response: &Response| response.headers().contains_key("x-linked-etag");
        let error = match http.send(Method::HEAD, url, &HeaderMap::new(), knows_hash).await {
            Ok(response) if knows_hash(&response) || response.status().is_success() => return Ok(response),
            Ok(response) => refusal(&response, &hub.page(repository)),
            Err(error) => error,
        };
        hub.wait_before_retry(&mut failures, error, listener).await?;
    }
}

fn classify(hub: &Hub, reference: &Reference, error: HFError) -> HttpError {
    match error {
        HFError::RevisionNotFound { .. } => HttpError::Final(ModelError::NotFound(format!(
            "`{}` has no revision `{}`; its branches, tags and commits are at {}",
            reference.repository,
            reference.revision.as_deref().unwrap_or_default(),
            hub.page(&reference.repository)
        ))),
        error => hub.classify(&hub.page(&reference.repository), error),
    }
}

fn unusable(hub: &Hub, what: &str) -> ModelError {
    ModelError::Network(format!("the hub at `{}` {what}", hub.endpoint))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_file_of_a_commit_needs_no_look_at_the_repository() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        let is_pinned = |argument: &str| pinned(&Reference::parse(argument).expect("a good reference")).is_some();
        assert!(is_pinned(&format!("hf:a/b@{commit}/m.gguf")));
        assert!(!is_pinned(&format!("hf:a/b@{commit}/m-00001-of-00002.gguf")));
        assert!(!is_pinned(&format!("hf:a/b@{commit}:Q8_0")));
        for revision in ["main", &commit[1..], &commit.replace('a', "g")] {
            assert!(!is_commit(revision) && !is_pinned(&format!("hf:a/b@{revision}/m.gguf")), "{revision}");
        }
    }
}
