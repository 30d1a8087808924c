//! Requests to the hub and to where it sends us: the token goes to the hub alone, and never from https to http.

use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Method, Response, StatusCode, Url};

use super::{Patience, later};
use crate::models::ModelError;

const REDIRECTS_MAX: usize = 10;

/// Why a request brought no usable answer.
#[derive(Debug)]
pub enum HttpError {
    /// Trying again may help.
    Passing(Passing),
    /// Trying again will not help.
    Final(ModelError),
}

impl HttpError {
    pub fn passing(reason: impl Into<String>) -> Self {
        Self::Passing(Passing::new(reason))
    }

    /// Of a request that was not answered.
    pub fn of(error: &reqwest::Error) -> Self {
        Self::Passing(Passing { is_unreachable: error.is_connect(), ..Passing::new(reason(error)) })
    }
}

/// A failure that may pass.
#[derive(Debug)]
pub struct Passing {
    pub reason: String,
    /// How long the server asked to be left alone.
    pub wait: Option<Duration>,
    /// There was no connection at all.
    pub is_unreachable: bool,
}

impl Passing {
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), wait: None, is_unreachable: false }
    }
}

/// A client of one hub.
#[derive(Clone, Debug)]
pub struct Http {
    /// For a hub on this machine: http needs no certificates, whose reading takes longer than asking such a hub.
    plain: Option<Client>,
    /// Made when it is needed.
    secure: OnceLock<Client>,
    patience: Patience,
    endpoint: Url,
    token: Option<String>,
}

impl Http {
    pub fn new(endpoint: &Url, token: Option<&str>, patience: &Patience) -> Result<Self, ModelError> {
        let plain = match endpoint.scheme() {
            "http" => Some(client(endpoint, patience, |builder| of_bytes(builder).tls_certs_only([]))?),
            _ => None,
        };
        let (endpoint, token) = (endpoint.clone(), token.map(str::to_owned));
        Ok(Self { plain, secure: OnceLock::new(), patience: *patience, endpoint, token })
    }

    fn client(&self, url: &Url) -> Result<&Client, ModelError> {
        if let Some(plain) = self.plain.as_ref().filter(|_| url.scheme() == "http") {
            return Ok(plain);
        }
        if let Some(secure) = self.secure.get() {
            return Ok(secure);
        }
        let secure = client(&self.endpoint, &self.patience, of_bytes)?;
        Ok(self.secure.get_or_init(|| secure))
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
            let client = self.client(&url).map_err(HttpError::Final)?;
            let mut request = client.request(method.clone(), url.clone()).headers(headers.clone());
            // Ranges and lengths are of the file itself.
            request = request.header(ACCEPT_ENCODING, "identity");
            if let Some(token) = self.token.as_ref().filter(|_| url.origin() == self.endpoint.origin()) {
                request = request.bearer_auth(token);
            }
            let response = request.send().await.map_err(|error| HttpError::of(&error))?;
            if !response.status().is_redirection() || is_final(&response) {
                return Ok(response);
            }
            url = next(&url, &response)?;
        }
        Err(HttpError::Final(ModelError::Network(format!("the hub at `{}` redirects without end", self.endpoint))))
    }
}

/// What a client that fetches bytes is: redirects are followed by [`Http::send`], and of the second version of HTTP all
/// connections to a host would be one.
fn of_bytes(builder: ClientBuilder) -> ClientBuilder {
    builder.redirect(Policy::none()).http1_only()
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
    client(endpoint, patience, |builder| builder.redirect(policy))
}

fn client(
    endpoint: &Url,
    patience: &Patience,
    more: impl FnOnce(ClientBuilder) -> ClientBuilder,
) -> Result<Client, ModelError> {
    let mut builder = Client::builder()
        .user_agent(concat!("tuichat/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(patience.connect)
        .read_timeout(patience.stall);
    builder = more(builder);
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

pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What an answer that is no success means. `page` is where the repository can be looked at.
pub fn refusal(response: &Response, page: &str) -> HttpError {
    let wait = header(response, "retry-after").and_then(|header| later::wait(header, Timestamp::now()));
    refusal_of(response.status(), wait, page)
}

/// The same of a status, and of how long the hub asked to be left alone.
pub fn refusal_of(status: StatusCode, wait: Option<Duration>, page: &str) -> HttpError {
    let sentence = match status {
        StatusCode::UNAUTHORIZED => format!(
            "the hub wants to know who asks: the repository is private, has conditions to accept, or does not exist; \
             look at {page}, accept the conditions there, and set `HF_TOKEN` to a token of yours"
        ),
        StatusCode::FORBIDDEN => format!(
            "the hub does not let you read this repository; open {page} and accept the conditions, or set `HF_TOKEN` \
             to a token that may read it"
        ),
        StatusCode::NOT_FOUND => format!("the hub has no such repository or file; check the name at {page}"),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
            return HttpError::Passing(Passing { wait, ..Passing::new(busy("is busy", status)) });
        }
        status if status.is_server_error() => {
            return HttpError::Passing(Passing { wait, ..Passing::new(busy("has a problem", status)) });
        }
        status => format!("the hub answers with status {}; look at {page}", status.as_u16()),
    };
    HttpError::Final(ModelError::Network(sentence))
}

fn busy(what: &str, status: StatusCode) -> String {
    format!("the hub {what} (status {})", status.as_u16())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_leads_to_https_or_stays_on_this_machine() {
        for (from, to, expected) in [
            ("https://hub.test/a", "https://files.test/a", true),
            ("https://hub.test/a", "http://files.test/a", false),
            ("http://127.0.0.1:1/a", "http://127.0.0.1:2/a", true),
            ("http://127.0.0.1:1/a", "https://files.test/a", true),
            ("http://127.0.0.1:1/a", "http://files.test/a", false),
            ("https://hub.test/a", "http://127.0.0.1:1/a", false),
            ("https://hub.test/a", "ftp://hub.test/a", false),
        ] {
            let [from, to] = [from, to].map(|url| url.parse::<Url>().expect("an address"));
            assert_eq!(may_follow(&from, &to), expected, "{from} to {to}");
        }
    }
}
