//! The network: what would be asked, and by which way. Nothing is asked here, and no secret is shown.

use reqwest::Url;
use serde::Serialize;

use super::finding::{Finding, Section, object};
use super::system::System;
use crate::config::Config;
use crate::models::hub::{self, Hub};

const PROXY_VARIABLES: [&str; 8] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"];

/// What is known of the way to the hub.
#[derive(Debug, Serialize)]
pub struct Network {
    /// The setting `offline`.
    offline: bool,
    /// Variables of the hub's own tools that forbid the network.
    offline_variables: Vec<&'static str>,
    /// Where models come from, without what is secret in an address.
    endpoint: String,
    endpoint_is_set: bool,
    /// There is a token, in a variable or in the file of the hub's tools.
    has_token: bool,
    proxy_variables: Vec<&'static str>,
    limit_rate: Option<u64>,
    #[serde(skip)]
    findings: Vec<Finding>,
}

impl Network {
    pub fn read(system: &System<'_>, config: &Config) -> Self {
        let variable = |name: &str| system.set(name);
        let set = system.set("HF_ENDPOINT");
        let endpoint = set.as_deref().unwrap_or(hub::ENDPOINT_DEFAULT);
        let offline_variables = hub::offline_variables(variable);
        let mut findings = Vec::new();
        if let Err(error) = Hub::new(endpoint, None) {
            let what = match has_secret(endpoint) {
                true => "`HF_ENDPOINT` is no address of a hub; it must begin with https://".to_owned(),
                false => error.to_string(),
            };
            findings.push(Finding::problem(what, "`unset HF_ENDPOINT` goes back to huggingface.co"));
        }
        if config.offline {
            findings.push(Finding::note(
                "nothing is downloaded, because `offline` is set",
                "take it back with `--offline=no`, or in config.toml or `TUICHAT_OFFLINE`, to get models",
            ));
        }
        if !offline_variables.is_empty() && !config.offline {
            let names = super::system::listed(&offline_variables);
            findings.push(Finding::note(
                format!("the hub is not asked for models, because of {names}"),
                format!("`unset {}` to get models", offline_variables.join(" ")),
            ));
        }
        findings.extend(PROXY_VARIABLES.iter().filter(|name| !name.eq_ignore_ascii_case("no_proxy")).filter_map(
            |name| {
                let value = system.set(name)?;
                let is_address = |text: &str| Url::parse(text).is_ok_and(|url| url.has_host());
                let is_good = is_address(&value) || is_address(&format!("http://{value}"));
                (!is_good).then(|| {
                    Finding::warning(
                        format!("`{name}` is no address of a proxy, and downloads may fail"),
                        format!("`export {name}=http://HOST:PORT`, or `unset {name}`"),
                    )
                })
            },
        ));
        Self {
            offline: config.offline,
            offline_variables,
            endpoint: without_secret(endpoint),
            endpoint_is_set: set.is_some(),
            has_token: hub::token(variable).is_some(),
            proxy_variables: system.all_set(&PROXY_VARIABLES),
            limit_rate: config.limit_rate,
            findings,
        }
    }

    pub fn section(&self) -> Section {
        let by = if self.endpoint_is_set { " (by `HF_ENDPOINT`)" } else { "" };
        let mut facts = vec![("hub", format!("{}{by}", self.endpoint))];
        facts.push((
            "token",
            if self.has_token { "set".into() } else { "none, which public models do not need".into() },
        ));
        if !self.proxy_variables.is_empty() {
            facts.push(("proxy", format!("set by {}", self.proxy_variables.join(", "))));
        }
        if let Some(bytes) = self.limit_rate {
            facts.push(("limit", format!("{}/s", crate::text::file_size(bytes))));
        }
        facts.push(("asked now", "nothing".into()));
        Section { name: "network", title: "Network", facts, findings: self.findings.clone(), object: object(self) }
    }
}

fn has_secret(address: &str) -> bool {
    address.contains('@')
}

/// An address without a name, a password and what comes behind `?`.
fn without_secret(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else {
        return if has_secret(address) { "set, but no address".into() } else { address.to_owned() };
    };
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.to_string().trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::super::system::fixture::Fixture;
    use super::*;

    fn read(variables: &[(&'static str, &'static str)], config: &Config) -> Section {
        Fixture::new(&[], variables).examine(|system| Network::read(system, config).section())
    }

    #[test]
    fn without_anything_set_the_usual_hub_is_named() {
        let section = read(&[], &Config::default());
        assert_eq!((section.level(), section.facts[0].1.as_str()), (Level::Ok, "https://huggingface.co"));
    }

    #[test]
    fn no_secret_is_shown() {
        let variables = [
            ("HF_TOKEN", "hf_secret"),
            ("HTTPS_PROXY", "http://me:secret@proxy:3128"),
            ("HF_ENDPOINT", "https://me:secret@hub.example/x?key=secret"),
        ];
        let section = read(&variables, &Config::default());
        assert!(!format!("{section:?}").contains("secret"), "{section:?}");
        assert_eq!(section.object["endpoint"], "https://hub.example/x");
        assert_eq!((&section.object["has_token"], section.level()), (&true.into(), Level::Ok));
    }

    #[test]
    fn what_keeps_models_from_coming_is_told() {
        let section = read(&[("HF_HUB_OFFLINE", "1")], &Config::default());
        assert!(section.findings[0].remedy.as_ref().unwrap().contains("unset HF_HUB_OFFLINE"));
        assert_eq!(read(&[("HF_HUB_OFFLINE", "0")], &Config::default()).findings, []);
        let section = read(&[], &Config { offline: true, ..Config::default() });
        assert_eq!((section.level(), section.findings.len()), (Level::Note, 1));
        let section = read(&[("HF_ENDPOINT", "http://hub.example")], &Config::default());
        assert_eq!(section.level(), Level::Problem);
        let section = read(&[("HTTPS_PROXY", "http://")], &Config::default());
        assert_eq!(section.level(), Level::Warning);
        assert_eq!(read(&[("HTTPS_PROXY", "proxy:3128")], &Config::default()).findings, []);
    }
}
