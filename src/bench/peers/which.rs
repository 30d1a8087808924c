//! Which other program is measured: `llama-bench=PATH`, `ollama=URL#MODEL`, `openai=URL#MODEL`. Pure.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use reqwest::Url;
use serde::{Serialize, Serializer};

/// A program to measure beside this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// llama.cpp's own bench, started for every round.
    LlamaBench(PathBuf),
    /// A server of Ollama.
    Ollama(Server),
    /// A server that answers as OpenAI's: llama-server, ik_llama.cpp's, vLLM.
    OpenAi(Server),
}

/// Where a server is, and what it calls the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Ends in `/`, so that paths can be put behind it.
    pub url: Url,
    pub model: Option<String>,
    /// What it wants to see before it answers.
    pub key: Option<String>,
}

impl Which {
    /// A server that answers as an engine does, too.
    pub fn of_engine(engine: &crate::engine::remote::Server, model: Option<String>) -> Self {
        let url = without_version(engine.base().clone());
        Which::OpenAi(Server { url, model, key: engine.key().map(str::to_owned) })
    }
}

const FORMS: &str = "`llama-bench=PATH`, `ollama=URL` or `openai=URL`";

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, place) = text.split_once('=').unwrap_or((text, ""));
        if place.is_empty() {
            return Err(format!("it must be {FORMS}"));
        }
        match kind {
            "llama-bench" => Ok(Which::LlamaBench(place.into())),
            "ollama" => server(place).map(Which::Ollama),
            "openai" => server(place).map(Which::OpenAi),
            _ => Err(format!("`{kind}` is no program that can be measured; it must be {FORMS}")),
        }
    }
}

impl Which {
    /// What records call it.
    pub fn runtime(&self) -> &'static str {
        match self {
            Which::LlamaBench(_) => "llama-bench",
            Which::Ollama(_) => "ollama",
            Which::OpenAi(_) => "openai",
        }
    }
}

impl Serialize for Which {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for Which {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Which::LlamaBench(path) => write!(formatter, "llama-bench={}", path.display()),
            Which::Ollama(server) | Which::OpenAi(server) => write!(formatter, "{}={}", self.runtime(), server.url),
        }
    }
}

/// `localhost:8080`, `http://board:8080/v1`, `http://127.0.0.1:11434#qwen2.5:0.5b`.
fn server(place: &str) -> Result<Server, String> {
    let whole = if place.contains("://") { place.to_owned() } else { format!("http://{place}") };
    let mut url = Url::parse(&whole).map_err(|_| format!("`{place}` is no address like `http://127.0.0.1:8080`"))?;
    if !["http", "https"].contains(&url.scheme()) || url.host_str().is_none() {
        return Err(format!("`{place}` is no address like `http://127.0.0.1:8080`"));
    }
    let model = url.fragment().filter(|model| !model.is_empty()).map(str::to_owned);
    url.set_fragment(None);
    url.set_query(None);
    Ok(Server { url: without_version(url), model, key: None })
}

/// What is typed may be the address of the server, or that of its API.
fn without_version(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/v1").unwrap_or(path);
    let path = format!("{path}/");
    url.set_path(&path);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_kind_and_a_place() {
        let which = |text: &str| text.parse::<Which>();
        assert_eq!(which("llama-bench=/opt/llama-bench"), Ok(Which::LlamaBench("/opt/llama-bench".into())));
        for (text, url, model) in [
            ("openai=http://127.0.0.1:8080", "http://127.0.0.1:8080/", None),
            ("openai=127.0.0.1:8080/v1/", "http://127.0.0.1:8080/", None),
            ("openai=https://board/llama/v1#big", "https://board/llama/", Some("big")),
        ] {
            let Ok(Which::OpenAi(server)) = which(text) else { panic!("{text}") };
            assert_eq!((server.url.as_str(), server.model.as_deref()), (url, model), "{text}");
        }
        let Ok(Which::Ollama(server)) = which("ollama=localhost:11434#qwen2.5:0.5b") else { panic!() };
        assert_eq!((server.url.as_str(), server.model.as_deref()), ("http://localhost:11434/", Some("qwen2.5:0.5b")));
    }

    #[test]
    fn what_is_no_peer_is_told() {
        for (text, part) in [
            ("", "it must be `llama-bench=PATH`"),
            ("ollama", "it must be `llama-bench=PATH`"),
            ("ollama=", "it must be `llama-bench=PATH`"),
            ("vllm=http://x", "`vllm` is no program that can be measured"),
            ("openai=ftp://x", "is no address like"),
            ("openai=http://", "is no address like"),
        ] {
            let problem = text.parse::<Which>().unwrap_err();
            assert!(problem.contains(part), "{text}: {problem}");
        }
    }
}
