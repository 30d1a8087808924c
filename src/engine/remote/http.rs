//! Requests to a server and what it answers, line by line, with the times at which the lines came.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::{Client, Response, Url};
use serde_json::Value;

use crate::engine::protocol::CancelFlag;
use crate::models::hub::{header, is_loopback, reason, retry_after};
use crate::text::escape_line;

const CONNECT: Duration = Duration::from_secs(10);
/// A board may compute a long prompt for many minutes before its first word.
const SILENCE: Duration = Duration::from_secs(30 * 60);
/// How often it is looked whether somebody asked to stop.
const POLL: Duration = Duration::from_millis(50);
/// Longer answers are none to what is asked here.
const MOST_BYTES: usize = 64 << 20;
const MOST_CHARACTERS: usize = 200;

/// Why a request brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    Stopped,
    /// The server answers with this status, and how long it wants to be left alone.
    Status {
        status: u16,
        wait: Option<Duration>,
        sentence: String,
    },
    /// It cannot be reached, or is gone.
    Lost(String),
    /// What it says is nothing that was asked for.
    Strange(String),
}

impl Refusal {
    /// What happened; `None` if somebody stopped it.
    pub fn sentence(self) -> Option<String> {
        match self {
            Refusal::Stopped => None,
            Refusal::Status { sentence, .. } | Refusal::Lost(sentence) | Refusal::Strange(sentence) => Some(sentence),
        }
    }
}

/// Connections to one server.
#[derive(Debug)]
pub struct Http {
    client: Client,
    base: Url,
    key: Option<String>,
}

impl Http {
    /// Connections that are kept open between requests, or not: between two measurements nobody would notice that the
    /// server closes one.
    ///
    /// # Errors
    /// If no connections can be made at all.
    pub fn new(base: &Url, key: Option<&str>, keeps_connections: bool) -> Result<Self, String> {
        let mut builder = Client::builder()
            .user_agent(concat!("tuichat/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none())
            .http1_only();
        if !keeps_connections {
            builder = builder.pool_max_idle_per_host(0);
        }
        if base.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(base) {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| format!("cannot prepare a connection: {}", reason(&error)))?;
        Ok(Self { client, base: base.clone(), key: key.map(str::to_owned) })
    }

    /// Asks for the JSON at a path below the server's own.
    pub async fn json(&self, path: &str, body: Option<&Value>, stops: &[&CancelFlag]) -> Result<Value, Refusal> {
        let mut lines = self.lines(path, body, stops).await?;
        let mut text = String::new();
        while let Some((line, _)) = lines.next(stops).await? {
            text.push_str(&line);
            text.push('\n');
        }
        let strange = || format!("{} answers with something that is no JSON", lines.named);
        serde_json::from_str(&text).map_err(|_| Refusal::Strange(strange()))
    }

    /// Asks, and gives the lines of the answer as they come.
    pub async fn lines(&self, path: &str, body: Option<&Value>, stops: &[&CancelFlag]) -> Result<Lines, Refusal> {
        let url = self.base.join(path).map_err(|_| Refusal::Strange(format!("`{path}` is no path")))?;
        let named = format!("`{url}`");
        let mut request = match body {
            Some(body) => self.client.post(url).header("content-type", "application/json").body(body.to_string()),
            None => self.client.get(url),
        };
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let response = or_stopped(stops, request.send()).await?;
        let response = response.map_err(|error| Refusal::Lost(format!("{named}: {}", reason(&error))))?;
        let is_success = response.status().is_success();
        let lines = Lines { response, rest: Vec::new(), bytes: 0, named };
        if is_success { Ok(lines) } else { Err(lines.refused(stops).await) }
    }
}

/// The lines of an answer.
pub struct Lines {
    response: Response,
    /// What came behind the last line that was given.
    rest: Vec<u8>,
    bytes: usize,
    named: String,
}

impl Lines {
    /// The next line without its end, and when it came; `None` at the end.
    pub async fn next(&mut self, stops: &[&CancelFlag]) -> Result<Option<(String, Instant)>, Refusal> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Ok(Some((String::from_utf8_lossy(&line).trim_end().to_owned(), Instant::now())));
            }
            let chunk = or_stopped(stops, self.response.chunk()).await?;
            let broken = |_| Refusal::Lost(format!("{} broke off in the middle of an answer", self.named));
            let Some(chunk) = chunk.map_err(broken)? else {
                let rest = std::mem::take(&mut self.rest);
                let line = String::from_utf8_lossy(&rest).trim_end().to_owned();
                return Ok((!rest.is_empty()).then(|| (line, Instant::now())));
            };
            self.bytes += chunk.len();
            if self.bytes > MOST_BYTES {
                return Err(Refusal::Strange(format!("{} answers without end", self.named)));
            }
            self.rest.extend_from_slice(&chunk);
        }
    }

    /// What an answer means that is no success.
    async fn refused(mut self, stops: &[&CancelFlag]) -> Refusal {
        let status = self.response.status();
        let wait = header(&self.response, "retry-after").and_then(|header| retry_after(header, Timestamp::now()));
        let leads_to = header(&self.response, "location").filter(|_| status.is_redirection()).map(escape_line);
        let mut body = String::new();
        loop {
            match self.next(stops).await {
                Ok(Some((line, _))) => body.push_str(&line),
                Err(Refusal::Stopped) => return Refusal::Stopped,
                Ok(None) | Err(_) => break,
            }
        }
        let said = said(&body).or(leads_to.map(|place| format!("it is at `{place}` now")));
        let said = said.map(|said| format!(": {said}")).unwrap_or_default();
        let sentence = format!("{} answers with status {}{said}", self.named, status.as_u16());
        Refusal::Status { status: status.as_u16(), wait, sentence }
    }
}

/// Waits for something, unless it is asked to stop.
async fn or_stopped<T>(stops: &[&CancelFlag], what: impl Future<Output = T>) -> Result<T, Refusal> {
    tokio::select! {
        biased;
        done = what => Ok(done),
        () = stopped(stops) => Err(Refusal::Stopped),
    }
}

/// Waits so long, unless it is asked to stop.
pub async fn wait(time: Duration, stops: &[&CancelFlag]) -> Result<(), Refusal> {
    or_stopped(stops, tokio::time::sleep(time)).await
}

async fn stopped(stops: &[&CancelFlag]) {
    while !stops.iter().any(|stop| stop.is_cancelled()) {
        tokio::time::sleep(POLL).await;
    }
}

/// What the server says of a mistake.
fn said(body: &str) -> Option<String> {
    said_of(&serde_json::from_str(body).ok()?)
}

/// The same of JSON, whether it is in `error`, in its `message`, in `message` or in `detail`.
pub fn said_of(body: &Value) -> Option<String> {
    let error = body.get("error").unwrap_or(body);
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let said = text(error).or_else(|| ["message", "detail"].iter().find_map(|key| text(error.get(key)?)))?;
    let said: String = escape_line(&said).chars().take(MOST_CHARACTERS).collect();
    (!said.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_found_in_each_of_the_usual_forms() {
        for (body, expected) in [
            (r#"{"error": {"code": 500, "message": "no\nslot"}}"#, Some("no slot")),
            (r#"{"error": "model 'x' not found"}"#, Some("model 'x' not found")),
            (r#"{"message": "too long"}"#, Some("too long")),
            (r#"{"detail": "Not Found"}"#, Some("Not Found")),
            ("Internal Server Error", None),
            ("{}", None),
        ] {
            assert_eq!(said(body).as_deref(), expected, "{body}");
        }
    }
}
