//! What answers: this program, or a server. Servers are described in `config.toml`, each in a table of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Directories;
use crate::engine::remote::Server;
use crate::platform::files;
use crate::text::{cause, escape_line};
use crate::text_file::at_home;

/// The table of `config.toml` that the servers are in.
pub(super) const TABLE: &str = "engines";
/// The variable with the key of a server that has no description.
pub const KEY_VARIABLE: &str = "TUICHAT_ENGINE_KEY";
/// Nobody's key is longer.
const MOST_KEY_BYTES: u64 = 16 << 10;

/// What answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EngineName {
    /// llama.cpp, in this program.
    #[default]
    Llama,
    /// A file that is replayed, for tests and pictures.
    Scripted(PathBuf),
    /// A server, by its address.
    Address(String),
    /// A server that is described in `config.toml`.
    Named(String),
}

impl FromStr for EngineName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("scripted", path)) if !path.is_empty() => Ok(Self::Scripted(path.into())),
            Some(("http" | "https", rest)) if rest.starts_with("//") => Ok(Self::Address(text.into())),
            None if text == "llama" => Ok(Self::Llama),
            None if is_name(text) => Ok(Self::Named(text.into())),
            _ => Err(
                "it must be `llama`, the name of a server in config.toml, or an address like `http://localhost:8080`"
                    .into(),
            ),
        }
    }
}

impl fmt::Display for EngineName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Llama => write!(formatter, "llama"),
            Self::Scripted(path) => write!(formatter, "scripted:{}", path.display()),
            Self::Address(text) | Self::Named(text) => write!(formatter, "{text}"),
        }
    }
}

impl Serialize for EngineName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EngineName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| character.is_alphanumeric() || "._-".contains(character))
}

/// The servers that `config.toml` describes, by their names.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Engines {
    engines: BTreeMap<String, Described>,
}

/// A server as it is described.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    url: String,
    /// The model that is asked there where none is named.
    model: Option<String>,
    key_env: Option<String>,
    key_file: Option<String>,
}

/// A server, and the model that is asked there where none is named.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    pub server: Server,
    pub model: Option<String>,
}

impl Engines {
    /// The names in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.engines.keys().map(String::as_str)
    }

    /// The model and the server that are meant by `MODEL@NAME`.
    pub fn at_engine<'typed>(&self, typed: &'typed str) -> Option<(&'typed str, &'typed str)> {
        let (model, engine) = typed.rsplit_once('@')?;
        (!model.is_empty() && self.engines.contains_key(engine)).then_some((model, engine))
    }

    /// A server as it is described, to be shown: without its key. `None` if its address is none.
    pub fn shown(&self, name: &str) -> Option<Chosen> {
        let described = self.engines.get(name)?;
        let server = Server::new(Some(name), &described.url, None).ok()?;
        Some(Chosen { server, model: described.model.clone() })
    }

    /// The server that is meant; `None` where this program answers itself. The key is read from where it is.
    ///
    /// # Errors
    /// A sentence: there is no such server, its address is none, or its key cannot be read.
    pub fn choose(
        &self,
        name: &EngineName,
        directories: &Directories,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Chosen>, String> {
        match name {
            EngineName::Llama | EngineName::Scripted(_) => Ok(None),
            EngineName::Address(address) => {
                let key = environment(KEY_VARIABLE).map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
                let server = Server::new(None, address, key)?;
                Ok(Some(Chosen { server, model: None }))
            }
            EngineName::Named(name) => {
                let described = self.engines.get(name).ok_or_else(|| self.unknown(name))?;
                let in_words = |problem: String| format!("engine `{}`: {problem}", escape_line(name));
                let key = described.key(&directories.config, &environment).map_err(in_words)?;
                let server = Server::new(Some(name), &described.url, key).map_err(in_words)?;
                Ok(Some(Chosen { server, model: described.model.clone() }))
            }
        }
    }

    /// That there is no such server, and which there are.
    pub fn unknown(&self, name: &str) -> String {
        let known: Vec<String> = self.names().map(|name| format!("`{}`", escape_line(name))).collect();
        let known = match known.is_empty() {
            true => "config.toml describes none".to_owned(),
            false => format!("config.toml describes {}", known.join(", ")),
        };
        format!(
            "there is no engine `{}`: {known}; `llama` is this program, and `tuichat help engines` tells how to add one",
            escape_line(name)
        )
    }
}

impl Described {
    fn key(&self, folder: &Path, environment: impl Fn(&str) -> Option<String>) -> Result<Option<String>, String> {
        match (&self.key_env, &self.key_file) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err("its key is in `key_env` or in `key_file`, and both are set; remove one".into()),
            (Some(variable), None) => match environment(variable).filter(|key| !key.is_empty()) {
                Some(key) => Ok(Some(key.trim().to_owned())),
                None => Err(format!(
                    "its key belongs into the environment variable `{0}`, which is not set; type `export {0}=…`",
                    escape_line(variable)
                )),
            },
            (None, Some(path)) => key_in(&folder.join(at_home(Path::new(path)))).map(Some),
        }
    }
}

/// The key in a file that nobody else may read.
fn key_in(path: &Path) -> Result<String, String> {
    let shown = escape_line(&path.display().to_string());
    let cannot = |error: std::io::Error| format!("its key cannot be read: {shown}: {}", cause(&error));
    let about = std::fs::metadata(path).map_err(cannot)?;
    if about.len() > MOST_KEY_BYTES {
        return Err(format!("{shown} is too long to be a key; name the file that holds it alone"));
    }
    if files::rights(&about).is_some_and(|rights| rights & 0o077 != 0) {
        return Err(format!("{shown} holds a key and can be read by others; type `chmod 600 {shown}`"));
    }
    let text = std::fs::read_to_string(path).map_err(cannot)?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::file::parse;
    use super::*;

    const FILE: &str = "temp = 0.5\n[engines.lab]\nurl = \"http://lab:8000\"\nmodel = \"m\"\nkey_env = \"LAB_KEY\"\n\
                        [engines.open]\nurl = \"http://localhost:8080\"\n[engines.filed]\nurl = \"http://localhost\"\n\
                        key_file = \"lab.key\"\n";

    fn choose(name: &str, folder: &Path, key: Option<&str>) -> Result<Option<Chosen>, String> {
        let engines = parse(FILE).expect("a config").engines;
        let directories = Directories::find(Some(folder.to_owned())).expect("directories");
        let environment =
            |variable: &str| (variable == "LAB_KEY" || variable == KEY_VARIABLE).then(|| key.map(str::to_owned))?;
        engines.choose(&name.parse()?, &directories, environment)
    }

    #[test]
    fn an_engine_is_this_program_a_name_or_an_address() {
        for text in ["llama", "scripted:x.toml", "lab", "http://localhost:8080", "https://host/v1"] {
            assert_eq!(text.parse::<EngineName>().expect(text).to_string(), text);
        }
        for text in ["", "two words", "localhost:8080", "ftp://host", "scripted:"] {
            assert!(text.parse::<EngineName>().unwrap_err().contains("http://localhost:8080"), "{text}");
        }
    }

    #[test]
    fn servers_are_described_behind_the_settings() {
        let read = parse(FILE).unwrap();
        assert_eq!((read.warnings.len(), read.engines.names().collect::<Vec<_>>()), (0, vec!["filed", "lab", "open"]));
        for (text, part) in [
            ("[engines.x]\nport = 1\n", "line 2, column 1"),
            ("[engines.x]\n", "url"),
            ("engines = 3\n", "line 1, column 11"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn a_server_is_found_with_its_key_and_its_model() {
        let folder = tempfile::tempdir().unwrap();
        let lab = choose("lab", folder.path(), Some("sk")).unwrap().expect("a server");
        assert_eq!((lab.server.name(), lab.model.as_deref(), lab.server.has_key()), ("lab", Some("m"), true));
        assert!(choose("lab", folder.path(), None).unwrap_err().contains("`export LAB_KEY=…`"));
        assert!(!choose("open", folder.path(), Some("sk")).unwrap().expect("a server").server.has_key());
        let typed = choose("http://host:1", folder.path(), Some("sk")).unwrap().expect("a server");
        assert_eq!((typed.server.name(), typed.server.has_key()), ("host:1", true));
        assert_eq!(choose("llama", folder.path(), None), Ok(None));
        let unknown = choose("nowhere", folder.path(), None).unwrap_err();
        assert!(unknown.contains("`filed`, `lab`, `open`") && unknown.contains("help engines"), "{unknown}");
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_others_can_read_is_not_used() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let config = Directories::find(Some(folder.path().to_owned())).unwrap().config;
        std::fs::create_dir_all(&config).unwrap();
        assert!(choose("filed", folder.path(), None).unwrap_err().contains("cannot be read"));
        let path = config.join("lab.key");
        std::fs::write(&path, "sk-1\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(choose("filed", folder.path(), None).unwrap_err().contains("type `chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(choose("filed", folder.path(), None).unwrap().expect("a server").server.has_key());
    }
}
