//! Which server is meant: its address, its name and the key that it wants.

use std::fmt;

use reqwest::Url;

use crate::models::hub::is_loopback;
use crate::text::escape_line;

/// What OpenAI's own paths begin with, and those of every server that speaks as it does.
const USUAL_PATH: &str = "/v1/";

/// A server that answers as OpenAI's does: llama-server, vLLM, SGLang, Ollama and others.
#[derive(Clone, PartialEq, Eq)]
pub struct Server {
    name: String,
    /// Ends with a slash, so that paths can be joined to it.
    base: Url,
    key: Option<String>,
}

impl Server {
    /// A server at an address like `http://localhost:8080`; without a path it is `/v1`. Without a name it is called by its
    /// host and port.
    ///
    /// # Errors
    /// What is wrong with the address, behind its name.
    pub fn new(name: Option<&str>, address: &str, key: Option<String>) -> Result<Self, String> {
        let mut base: Url = address.parse().map_err(|_| format!("`{}` is no address", escape_line(address)))?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            return Err(format!("`{}` must begin with `http://` or `https://`", escape_line(address)));
        }
        if !base.username().is_empty() || base.password().is_some() {
            return Err("an address holds no password; name the key by `key_env` or `key_file` in config.toml".into());
        }
        if base.query().is_some() || base.fragment().is_some() {
            return Err(format!("`{}` must end with its path", escape_line(address)));
        }
        match base.path() {
            "" | "/" => base.set_path(USUAL_PATH),
            path if !path.ends_with('/') => base.set_path(&format!("{path}/")),
            _ => {}
        }
        if key.as_ref().is_some_and(|key| key.is_empty() || key.chars().any(|character| !character.is_ascii_graphic()))
        {
            return Err("its key must be letters, digits and signs on one line".into());
        }
        let name = name.map_or_else(|| authority(&base), str::to_owned);
        Ok(Self { name, base, key })
    }

    /// What a person calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is typed to mean it: its name, or its address where it has none of its own.
    pub fn typed(&self) -> &str {
        if self.is_described() { &self.name } else { self.address() }
    }

    /// Whether it has a name of its own.
    pub fn is_described(&self) -> bool {
        self.name != authority(&self.base)
    }

    pub fn base(&self) -> &Url {
        &self.base
    }

    /// What it wants to see before it answers.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    pub fn host(&self) -> &str {
        self.base.host_str().unwrap_or_default()
    }

    /// Whether what it is told stays on this machine.
    pub fn is_on_this_machine(&self) -> bool {
        is_loopback(&self.base)
    }

    /// Whether what it is told could be read on its way.
    pub fn is_open_on_the_way(&self) -> bool {
        self.base.scheme() == "http" && !self.is_on_this_machine()
    }

    /// Its address as it is shown.
    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Server({} at {}, {})", self.name, self.base, if self.has_key() { "a key" } else { "no key" })
    }
}

fn authority(base: &Url) -> String {
    let host = base.host_str().unwrap_or_default();
    base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(address: &str) -> Result<Server, String> {
        Server::new(None, address, None)
    }

    #[test]
    fn an_address_without_a_path_is_the_usual_one() {
        for (typed, address) in [
            ("http://localhost:8080", "http://localhost:8080/v1"),
            ("http://localhost:8080/", "http://localhost:8080/v1"),
            ("https://host/api/v3", "https://host/api/v3"),
            ("http://[::1]:9/v1/", "http://[::1]:9/v1"),
        ] {
            assert_eq!(server(typed).expect(typed).address(), address);
        }
    }

    #[test]
    fn an_address_that_cannot_be_used_says_why() {
        for (typed, part) in [
            ("localhost:8080", "must begin with `http://`"),
            ("ftp://host/", "must begin with `http://`"),
            ("http://", "is no address"),
            ("http://me:secret@host/", "holds no password"),
            ("http://host/?key=1", "must end with its path"),
        ] {
            let problem = server(typed).expect_err(typed);
            assert!(problem.contains(part) && !problem.contains("secret"), "{typed}: {problem}");
        }
        assert!(Server::new(None, "http://host", Some("a\r\nb".into())).is_err());
    }

    #[test]
    fn it_is_known_what_stays_on_this_machine_and_what_can_be_read_on_its_way() {
        for (typed, stays, open) in [
            ("http://127.0.0.1:8080", true, false),
            ("http://localhost", true, false),
            ("http://192.168.1.7:8000", false, true),
            ("https://example.org", false, false),
            ("http://localhost.example.org", false, true),
        ] {
            let server = server(typed).expect(typed);
            assert_eq!((server.is_on_this_machine(), server.is_open_on_the_way()), (stays, open), "{typed}");
        }
    }

    #[test]
    fn a_key_is_not_written_where_the_server_is() {
        let server = Server::new(Some("lab"), "http://host:1", Some("sk-1".into())).expect("a server");
        assert_eq!((server.name(), server.key()), ("lab", Some("sk-1")));
        assert!(!format!("{server:?}").contains("sk-1"));
    }
}
