//! The machines that lend a model their memory and processors: servers of llama.cpp's RPC, as a person names them.

use std::fmt;
use std::net::IpAddr;

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// A name or an address; one of IPv6 without its brackets.
    pub host: String,
    pub port: u16,
}

/// How far away servers may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// On this machine only.
    #[default]
    Here,
    /// The same, since nothing may be fetched from anywhere.
    Offline,
    /// On other machines, too.
    Anywhere,
}

/// The servers among which a model is shared, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers {
    pub list: Vec<Server>,
    pub reach: Reach,
}

impl Server {
    /// Whether it is this machine by its name alone; nobody is asked what another name means.
    pub fn is_here(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port > 0)?;
        let bare = host.strip_prefix('[').map_or(Some(host), |rest| rest.strip_suffix(']'))?;
        let is_name = |host: &str| {
            !host.is_empty() && host.chars().all(|letter| letter.is_ascii_alphanumeric() || "-._".contains(letter))
        };
        let is_host = if bare.len() < host.len() { bare.parse::<IpAddr>().is_ok() } else { is_name(bare) };
        is_host.then(|| Self { host: bare.to_owned(), port })
    }
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(formatter, "[{}]:{}", self.host, self.port),
            false => write!(formatter, "{}:{}", self.host, self.port),
        }
    }
}

impl Servers {
    /// llama.cpp knows no more.
    const MOST: usize = 16;

    /// Reads `rpc:HOST:PORT`, of which there may be several with commas between; `rpc:` is needed once.
    pub fn parse(text: &str) -> Option<Self> {
        let list = text.strip_prefix("rpc:")?.split(',');
        let list = list.map(|part| Server::parse(part.strip_prefix("rpc:").unwrap_or(part)));
        let list = list.collect::<Option<Vec<_>>>()?;
        let is_twice = list.iter().enumerate().any(|(index, server)| list[..index].contains(server));
        (list.len() <= Self::MOST && !is_twice).then_some(Self { list, reach: Reach::default() })
    }

    /// # Errors
    /// A sentence, if one of them is further away than allowed.
    pub fn check_reach(&self) -> Result<(), String> {
        let Some(server) = self.list.iter().find(|server| !server.is_here()) else { return Ok(()) };
        match self.reach {
            Reach::Anywhere => Ok(()),
            Reach::Offline => {
                Err(format!("`rpc:{server}` is on another machine, and `offline` is set; `--offline=no` allows it"))
            }
            Reach::Here => Err(format!(
                "`rpc:{server}` is on another machine, and llama.cpp's RPC neither encrypts what it sends nor asks who is \
                 there; `--rpc-network on` allows it, for a network that you trust"
            )),
        }
    }

    /// Their names, for a sentence.
    pub fn names(&self) -> String {
        self.list.iter().map(Server::to_string).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, server) in self.list.iter().enumerate() {
            write!(formatter, "{}rpc:{server}", if index > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_with_their_ports_and_commas_between() {
        for (text, shown) in [
            ("rpc:127.0.0.1:50052", "rpc:127.0.0.1:50052"),
            ("rpc:localhost:1,rpc:board.local:65535", "rpc:localhost:1,rpc:board.local:65535"),
            ("rpc:127.0.0.1:1,127.0.0.1:2", "rpc:127.0.0.1:1,rpc:127.0.0.1:2"),
            ("rpc:[::1]:50052", "rpc:[::1]:50052"),
        ] {
            assert_eq!(Servers::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "rpc",
            "rpc:",
            "rpc:host",
            "rpc:host:",
            "rpc::1",
            "rpc:host:0",
            "rpc:host:70000",
            "rpc:a b:1",
            "rpc:::1:2",
            "rpc:[::1:2",
            "rpc:[name]:2",
            "rpc:a:1,",
            "rpc:a:1,rpc:a:1",
            "rpc:a/b:1",
            "rpc:a:1;b:2",
        ] {
            assert_eq!(Servers::parse(text), None, "{text}");
        }
    }

    #[test]
    fn other_machines_are_reached_only_where_that_is_allowed() {
        let check = |text: &str, reach| Servers { reach, ..Servers::parse(text).unwrap() }.check_reach();
        for here in ["rpc:127.0.0.1:1", "rpc:127.3.0.9:1", "rpc:localhost:1", "rpc:LOCALHOST:1", "rpc:[::1]:1"] {
            assert_eq!(check(here, Reach::Here), Ok(()), "{here}");
            assert_eq!(check(here, Reach::Offline), Ok(()), "{here}");
        }
        for there in ["rpc:10.0.0.2:1", "rpc:localhost.evil.example:1", "rpc:0.0.0.0:1", "rpc:localhost:1,board:1"] {
            assert!(check(there, Reach::Here).unwrap_err().contains("`--rpc-network on`"), "{there}");
            assert!(check(there, Reach::Offline).unwrap_err().contains("`--offline=no`"), "{there}");
            assert_eq!(check(there, Reach::Anywhere), Ok(()), "{there}");
        }
    }
}
