//! Requests to a server that is measured, and what it answers, line by line, with the times at which it came.

use std::time::{Duration, Instant};

use reqwest::{Client as Http, Response, Url};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::Problem;
use crate::engine::protocol::CancelFlag;
use crate::models::hub::{is_loopback, reason};
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
    /// The server does not do this: its status, and a sentence.
    Status(u16, String),
    Failed(String),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Stopped => Problem::Stopped,
            Refusal::Status(_, sentence) | Refusal::Failed(sentence) => Problem::Failed(sentence),
        }
    }
}

/// A client of one server.
pub struct Client {
    http: Http,
    runtime: Runtime,
    base: Url,
}

impl Client {
    /// # Errors
    /// If no connections can be made at all.
    pub fn new(base: &Url) -> Result<Self, Problem> {
        let mut builder = Http::builder()
            .user_agent(concat!("tuichat/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none())
            // Between two rounds nobody would notice that the server closes a connection.
            .pool_max_idle_per_host(0)
            .http1_only();
        if base.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        if is_loopback(base) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| format!("cannot prepare a connection: {}", reason(&error)))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot prepare a connection: {error}"))?;
        Ok(Self { http, runtime, base: base.clone() })
    }

    /// The JSON at a path.
    pub fn get(&self, path: &str, cancel: &CancelFlag) -> Result<Value, Refusal> {
        self.ask(path, None, cancel)
    }

    /// The JSON that the server answers with.
    pub fn post(&self, path: &str, body: &Value, cancel: &CancelFlag) -> Result<Value, Refusal> {
        self.ask(path, Some(body), cancel)
    }

    fn ask(&self, path: &str, body: Option<&Value>, cancel: &CancelFlag) -> Result<Value, Refusal> {
        let mut text = String::new();
        self.stream(path, body, cancel, |line, _| {
            text.push_str(line);
            text.push('\n');
        })?;
        serde_json::from_str(&text)
            .map_err(|_| Refusal::Failed(format!("{} answers with something that is no JSON", self.named(path))))
    }

    /// Hands over each line of the answer when it is there.
    pub fn stream(
        &self,
        path: &str,
        body: Option<&Value>,
        cancel: &CancelFlag,
        on_line: impl FnMut(&str, Instant),
    ) -> Result<(), Refusal> {
        let url = self.base.join(path).map_err(|_| Refusal::Failed(format!("`{path}` is no path")))?;
        let request = match body {
            Some(body) => self.http.post(url).header("content-type", "application/json").body(body.to_string()),
            None => self.http.get(url),
        };
        let whole = async {
            let broken = |error: reqwest::Error| Refusal::Failed(format!("{}: {}", self.named(path), reason(&error)));
            let response = request.send().await.map_err(broken)?;
            self.read(path, response, on_line).await
        };
        self.runtime.block_on(async {
            tokio::select! {
                done = whole => done,
                () = stopped(cancel) => Err(Refusal::Stopped),
            }
        })
    }

    async fn read(
        &self,
        path: &str,
        mut response: Response,
        mut on_line: impl FnMut(&str, Instant),
    ) -> Result<(), Refusal> {
        let status = response.status();
        let (mut rest, mut bytes) = (Vec::new(), 0);
        loop {
            let chunk = response.chunk().await;
            let chunk = chunk
                .map_err(|_| Refusal::Failed(format!("{} broke off in the middle of an answer", self.named(path))))?;
            let now = Instant::now();
            let Some(chunk) = chunk else { break };
            bytes += chunk.len();
            if bytes > MOST_BYTES {
                return Err(Refusal::Failed(format!("{} answers without end", self.named(path))));
            }
            rest.extend_from_slice(&chunk);
            while status.is_success()
                && let Some(end) = rest.iter().position(|byte| *byte == b'\n')
            {
                let line: Vec<u8> = rest.drain(..=end).collect();
                on_line(String::from_utf8_lossy(&line).trim_end(), now);
            }
        }
        let rest = String::from_utf8_lossy(&rest);
        if status.is_success() {
            if !rest.is_empty() {
                on_line(&rest, Instant::now());
            }
            return Ok(());
        }
        let said = message(&rest).map(|said| format!(": {said}")).unwrap_or_default();
        Err(Refusal::Status(
            status.as_u16(),
            format!("{} answers with status {}{said}", self.named(path), status.as_u16()),
        ))
    }

    fn named(&self, path: &str) -> String {
        format!("`{}{path}`", self.base)
    }
}

async fn stopped(cancel: &CancelFlag) {
    while !cancel.is_cancelled() {
        tokio::time::sleep(POLL).await;
    }
}

/// What the server says of a mistake.
fn message(body: &str) -> Option<String> {
    let body: Value = serde_json::from_str(body).ok()?;
    let error = body.get("error").unwrap_or(&body);
    let said = error.as_str().or_else(|| error.get("message")?.as_str())?;
    let said: String = escape_line(said).chars().take(MOST_CHARACTERS).collect();
    (!said.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_is_found_in_each_of_the_usual_forms() {
        for (body, said) in [
            (r#"{"error": {"code": 500, "message": "no\nslot"}}"#, Some("no slot")),
            (r#"{"error": "model 'x' not found"}"#, Some("model 'x' not found")),
            (r#"{"message": "too long"}"#, Some("too long")),
            ("Internal Server Error", None),
            ("{}", None),
        ] {
            assert_eq!(message(body).as_deref(), said, "{body}");
        }
    }
}
