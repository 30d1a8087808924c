//! What a text says of itself above its first line, in TOML between two lines `+++`: what it is for, and under which
//! system prompt, with which model and settings it is answered.

use std::path::Path;

use serde::Deserialize;

use crate::config::{OF_ANSWERS, Settings};
use crate::text::plain::{meant, plain};
use crate::text_file;

const LINE: &str = "+++";

/// Settings that a text may have beside those of an answer: they are about the run in which it is answered.
const OF_RUNS: [&str; 4] = ["spec", "extract", "ctx", "kv_mem"];

/// What is known of a text besides the text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Head {
    pub description: Option<String>,
    pub system: Option<String>,
    pub model: Option<String>,
    /// As in `config.toml`.
    settings: toml::Table,
    /// Values for the gaps of the text that have none otherwise.
    pub variables: Vec<(String, String)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    description: Option<String>,
    system: Option<String>,
    model: Option<String>,
    #[serde(default)]
    settings: toml::Table,
    #[serde(default)]
    variables: toml::Table,
}

/// The head of a text and the rest of it. A system prompt `@FILE` is read; its path begins at `folder`.
///
/// # Errors
/// What is wrong with the head.
pub fn split(text: &str, folder: &Path) -> Result<(Head, String), String> {
    let Some((head, rest)) = parts(text)? else { return Ok((Head::default(), text.to_owned())) };
    let written: Written = toml::from_str(head).map_err(|error| plain(error.message()))?;
    for (name, value) in &written.settings {
        let known = || OF_ANSWERS.into_iter().chain(OF_RUNS);
        if !known().any(|known| known == name) {
            let near = meant(name, known());
            let near = near.map(|near| format!("; `{near}` may be meant")).unwrap_or_default();
            return Err(format!("`{name}` is no setting of a text{near}"));
        }
        // Each is understood alone, so that a wrong one is named.
        layer([(name.clone(), value.clone())].into_iter().collect())
            .map_err(|problem| format!("`{name}`: {problem}"))?;
    }
    let system = match written.system.as_deref().and_then(|system| system.strip_prefix('@')) {
        Some(path) => Some(text_file::read(&folder.join(path))?.trim_end().to_owned()),
        None => written.system.clone(),
    };
    let variables = written.variables.iter().map(|(name, value)| (name.clone(), values(value).join(" "))).collect();
    let Written { description, model, settings, .. } = written;
    let head = Head { description, system, model, settings, variables };
    Ok((head, rest.to_owned()))
}

/// What is between the two lines, and what is behind them.
fn parts(text: &str) -> Result<Option<(&str, &str)>, String> {
    let mut lines = text.split_inclusive('\n');
    let Some(first) = lines.next().filter(|line| line.trim_end() == LINE) else { return Ok(None) };
    let mut at = first.len();
    for line in lines {
        if line.trim_end() == LINE {
            return Ok(Some((&text[first.len()..at], &text[at + line.len()..])));
        }
        at += line.len();
    }
    Err("its head has no end: a second line `+++` is missing".into())
}

fn layer(settings: toml::Table) -> Result<Settings, String> {
    Settings::deserialize(settings).map_err(|error: toml::de::Error| plain(error.message()))
}

/// A value as it is typed; a list is several.
fn values(value: &toml::Value) -> Vec<String> {
    match value {
        toml::Value::String(text) => vec![text.clone()],
        toml::Value::Array(values) => values.iter().flat_map(self::values).collect(),
        other => vec![other.to_string()],
    }
}

impl Head {
    /// All of it that is a setting, as a layer below what is typed.
    pub fn layer(&self) -> Settings {
        let settings = layer(self.settings.clone()).expect("each was understood alone");
        Settings { system: self.system.clone(), model: self.model.clone(), ..settings }
    }

    /// The settings as they are written behind `/set`: names and values.
    pub fn written(&self) -> impl Iterator<Item = (&str, String)> {
        let each = self.settings.iter();
        each.flat_map(|(name, value)| values(value).into_iter().map(move |value| (name.as_str(), value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAIL: &str = "+++\ndescription = \"Reply to a mail\"\nsystem = \"Be kind\"\nmodel = \"qwen\"\n[settings]\n\
        temp = 0.3\nstop = [\"a\", \"b\"]\n[variables]\ntone = \"friendly\"\nwords = 50\n+++\nReply in {{words}} words.\n";

    fn read(text: &str) -> Result<(Head, String), String> {
        split(text, Path::new("/no/such/folder"))
    }

    #[test]
    fn a_head_tells_how_its_text_is_answered() {
        let (head, text) = read(MAIL).unwrap();
        assert_eq!(text, "Reply in {{words}} words.\n");
        assert_eq!(head.description.as_deref(), Some("Reply to a mail"));
        assert_eq!(head.variables, [("tone".into(), "friendly".into()), ("words".into(), "50".into())]);
        let layer = head.layer();
        assert_eq!((layer.system.as_deref(), layer.model.as_deref()), (Some("Be kind"), Some("qwen")));
        assert_eq!((layer.temp, layer.stop), ("0.3".parse().ok(), Some(vec!["a".into(), "b".into()])));
        let written: Vec<(&str, String)> = head.written().collect();
        assert_eq!(written, [("stop", "a".into()), ("stop", "b".into()), ("temp", "0.3".into())]);
    }

    #[test]
    fn a_text_without_a_head_stays_as_it_is() {
        for text in ["Review this", "", "---\ntitle: x\n---\n", "++++\n", " +++\n+++\n"] {
            assert_eq!(read(text), Ok((Head::default(), text.into())), "{text:?}");
        }
        assert_eq!(read("+++\r\n+++\r\nHi"), Ok((Head::default(), "Hi".into())));
    }

    #[test]
    fn what_is_wrong_with_a_head_is_named() {
        for (head, expected) in [
            ("description = \"x\"\n", "has no end"),
            ("temp = 1\n+++\n", "temp"),
            ("[settings]\ntmep = 1\n+++\n", "`tmep` is no setting of a text; `temp` may be meant"),
            ("[settings]\noffline = true\n+++\n", "`offline` is no setting of a text"),
            ("[settings]\ntemp = \"hot\"\n+++\n", "`temp`: "),
            ("system = \"@no.txt\"\n+++\n", "no.txt"),
        ] {
            let problem = read(&format!("+++\n{head}")).unwrap_err();
            assert!(problem.contains(expected), "{head:?}: {problem}");
        }
    }

    #[test]
    fn a_system_prompt_may_lie_in_a_file_beside_the_text() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("kind.txt"), "Be kind\n").unwrap();
        let (head, _) = split("+++\nsystem = \"@kind.txt\"\n+++\nHi", folder.path()).unwrap();
        assert_eq!(head.system.as_deref(), Some("Be kind"));
    }
}
