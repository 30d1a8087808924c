//! Requests to the hub and to where it sends us: the token goes to the hub alone, and never from https to http.

use std::net::IpAddr;

use reqwest::header::{ACCEPT_ENCODING, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, StatusCode, Url};

use super::Patience;
use crate::models::ModelError;

const REDIRECTS_MAX: usize = 10;

/// Why a request brought no usable answer.
#[derive(Debug)]
pub enum HttpError {
    /// Trying again may help.
    Passing(String),
    /// Trying again will not help.
    Final(ModelError),
}

/// A client of one hub.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    endpoint: Url,
    token: Option<String>,
}

impl Http {
    pub fn new(endpoint: &Url, token: Option<&str>, patience: &Patience) -> Result<Self, ModelError> {
        let client = client(endpoint, patience, Policy::none())?;
        Ok(Self { client, endpoint: endpoint.clone(), token: token.map(str::to_owned) })
    }

    /// Sends a request and follows redirects until an answer that `is_final` or none at all.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: &HeaderMap,
        is_final: impl Fn(&Response) -> bool,
    ) -> Result<Response, HttpError> {
        let mut url = url.clone();
        for _ in 0..REDIRECTS_MAX {
            let mut request = self.client.request(method.clone(), url.clone()).headers(headers.clone());
            // Ranges and lengths are of the file itself.
            request = request.header(ACCEPT_ENCODING, "identity");
            if let Some(token) = self.token.as_ref().filter(|_| url.origin() == self.endpoint.origin()) {
                request = request.bearer_auth(token);
            }
            let response = request.send().await.map_err(|error| HttpError::Passing(reason(&error)))?;
            if !response.status().is_redirection() || is_final(&response) {
                return Ok(response);
            }
            url = next(&url, &response)?;
        }
        Err(HttpError::Final(ModelError::Network(format!("the hub at `{}` redirects without end", self.endpoint))))
    }
}

/// A client that trusts redirects as little as [`Http`] does, for hf-hub.
pub fn metadata_client(endpoint: &Url, patience: &Patience) -> Result<Client, ModelError> {
    let policy = Policy::custom(|attempt| {
        let from = attempt.previous().last();
        if attempt.previous().len() >= REDIRECTS_MAX || from.is_some_and(|from| !may_follow(from, attempt.url())) {
            attempt.stop()
        } else {
            attempt.follow()
        }
    });
    client(endpoint, patience, policy)
}

fn client(endpoint: &Url, patience: &Patience, redirects: Policy) -> Result<Client, ModelError> {
    let mut builder = Client::builder()
        .user_agent(concat!("tuichat/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(patience.connect)
        .read_timeout(patience.stall)
        .redirect(redirects);
    if is_loopback(endpoint) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| ModelError::Network(format!("cannot prepare a connection: {}", reason(&error))))
}

fn next(from: &Url, response: &Response) -> Result<Url, HttpError> {
    match from.join(header(response, "location").unwrap_or_default()) {
        Ok(next) if may_follow(from, &next) => Ok(next),
        _ => Err(HttpError::Final(ModelError::Network(format!(
            "`{}` redirects to an address that is not safe to follow",
            from.host_str().unwrap_or_default()
        )))),
    }
}

fn may_follow(from: &Url, to: &Url) -> bool {
    match to.scheme() {
        "https" => true,
        "http" => from.scheme() == "http" && is_loopback(to),
        _ => false,
    }
}

/// Whether a hub at this address can be used: https, or http on this machine.
pub fn is_safe(endpoint: &Url) -> bool {
    endpoint.scheme() == "https" || (endpoint.scheme() == "http" && is_loopback(endpoint))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What a status that is no success means for this repository.
pub fn refusal(status: StatusCode, repository: &str) -> HttpError {
    let sentence = match status {
        StatusCode::UNAUTHORIZED => format!(
            "the hub wants to know who asks for `{repository}`: it is private, has conditions to accept, or does not \
             exist; check the name, or set `HF_TOKEN` to a token of yours"
        ),
        StatusCode::FORBIDDEN => format!(
            "the hub does not let you read `{repository}`; accept the conditions on its page, or set `HF_TOKEN` to a \
             token that may read it"
        ),
        StatusCode::NOT_FOUND => format!("the hub has no such repository or file in `{repository}`; check the name"),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            return HttpError::Passing(format!("the hub is busy (status {})", status.as_u16()));
        }
        status if status.is_server_error() => {
            return HttpError::Passing(format!("the hub has a problem (status {})", status.as_u16()));
        }
        status => format!("the hub answers for `{repository}` with status {}", status.as_u16()),
    };
    HttpError::Final(ModelError::Network(sentence))
}

/// A header as text, if it is there and is text.
pub fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

/// The innermost reason of a failed request, without the address, which may hold a signature.
pub fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.downcast_ref::<reqwest::Error>() {
        Some(_) => "the request failed".into(),
        None => crate::text::escape_line(&innermost.to_string()),
    }
}
