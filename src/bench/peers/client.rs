//! Requests to a server that is measured, and what it answers, line by line, with the times at which it came.

use std::time::Instant;

use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::Problem;
use super::which::Server;
use crate::engine::protocol::CancelFlag;
use crate::engine::remote::http::Http;
pub use crate::engine::remote::http::Refusal;

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        refusal.sentence().map_or(Problem::Stopped, Problem::Failed)
    }
}

/// A client of one server.
pub struct Client {
    http: Http,
    runtime: Runtime,
}

impl Client {
    /// # Errors
    /// If no connections can be made at all.
    pub fn new(server: &Server) -> Result<Self, Problem> {
        let http = Http::new(&server.url, server.key.as_deref(), false)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot prepare a connection: {error}"))?;
        Ok(Self { http, runtime })
    }

    /// The JSON at a path.
    pub fn get(&self, path: &str, cancel: &CancelFlag) -> Result<Value, Refusal> {
        self.runtime.block_on(self.http.json(path, None, &[cancel]))
    }

    /// The JSON that the server answers with.
    pub fn post(&self, path: &str, body: &Value, cancel: &CancelFlag) -> Result<Value, Refusal> {
        self.runtime.block_on(self.http.json(path, Some(body), &[cancel]))
    }

    /// Hands over each line of the answer when it is there.
    pub fn stream(
        &self,
        path: &str,
        body: &Value,
        cancel: &CancelFlag,
        mut on_line: impl FnMut(&str, Instant),
    ) -> Result<(), Refusal> {
        self.runtime.block_on(async {
            let mut lines = self.http.lines(path, Some(body), &[cancel]).await?;
            while let Some((line, now)) = lines.next(&[cancel]).await? {
                on_line(&line, now);
            }
            Ok(())
        })
    }
}
