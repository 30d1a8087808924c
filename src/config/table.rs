//! What is known of every setting: its group, what it is for, its default, and what it can be. It is read from the
//! commented sample and from the command line's definition, so that there is no second list.

use std::sync::LazyLock;

use clap::CommandFactory;
use serde_json::Value;

use super::environment::SettingsLine;
use super::{SAMPLE, defaults};

/// What is known of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub key: String,
    /// The heading below which it stands in the sample.
    pub group: String,
    /// What it is for, in a sentence or a few.
    pub explanation: String,
    /// Its default as it is typed, and as the file has it.
    pub default: String,
    pub(super) default_toml: String,
    /// The words that it can be.
    pub words: Vec<String>,
    /// It can be something else, too.
    pub is_open: bool,
    /// It is several texts.
    pub is_list: bool,
}

/// Every setting, in the order of the sample.
pub fn table() -> &'static [About] {
    static TABLE: LazyLock<Vec<About>> = LazyLock::new(read);
    &TABLE
}

/// The setting of this name, written as in the file or as on the command line.
pub fn about(name: &str) -> Option<&'static About> {
    let key = name.replace('-', "_");
    table().iter().find(|about| about.key == key)
}

fn read() -> Vec<About> {
    let line = SettingsLine::command();
    let defaults = serde_json::to_value(defaults()).unwrap_or_default();
    let (mut group, mut words, mut table) = (String::new(), Vec::new(), Vec::new());
    for sample in SAMPLE.lines() {
        let comment = sample.strip_prefix('#').unwrap_or_default();
        if let Some(heading) = comment.strip_prefix(" --- ") {
            group = heading.trim_end_matches('-').trim().to_owned();
            words.clear();
        } else if let Some(sentence) = comment.strip_prefix(' ') {
            words.push(sentence);
        } else if let Some((key, default)) = comment.split_once(" = ") {
            let (choices, is_open) = choices(&line, key);
            table.push(About {
                key: key.to_owned(),
                group: group.clone(),
                explanation: std::mem::take(&mut words).join(" "),
                default: typed(&defaults[key]),
                default_toml: default.to_owned(),
                words: choices,
                is_open,
                is_list: defaults[key].is_array(),
            });
        } else {
            words.clear();
        }
    }
    table
}

/// The words that a setting can be, and whether it can be something else.
fn choices(line: &clap::Command, key: &str) -> (Vec<String>, bool) {
    let Some(argument) = line.get_arguments().find(|argument| argument.get_id() == key) else {
        return (Vec::new(), true);
    };
    let possible = argument.get_possible_values();
    if !possible.is_empty() {
        return (possible.iter().map(|value| value.get_name().to_owned()).collect(), false);
    }
    let names = argument.get_value_names().unwrap_or_default().iter().flat_map(|name| name.split('|'));
    let (words, open): (Vec<&str>, Vec<&str>) =
        names.partition(|name| name.chars().all(|character| character.is_lowercase() || character.is_ascii_digit()));
    let as_switch = |word: &str| match word {
        "yes" => "on".to_owned(),
        "no" => "off".to_owned(),
        word => word.to_owned(),
    };
    (words.into_iter().map(as_switch).collect(), !open.is_empty())
}

/// A value as it is typed: words and numbers as they are, switches as `on` and `off`, lists with commas where that says
/// it all.
pub(super) fn typed(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(is_on) => if *is_on { "on" } else { "off" }.into(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let is_plain = |character: char| character.is_alphanumeric() || "._-/~:".contains(character);
            let plain: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
            match plain.filter(|items| items.iter().all(|item| !item.is_empty() && item.chars().all(is_plain))) {
                Some(items) => items.join(", "),
                None => value.to_string(),
            }
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Settings;

    fn of(key: &str) -> &'static About {
        about(key).unwrap_or_else(|| panic!("there is no {key}"))
    }

    #[test]
    fn every_setting_is_there_once_with_a_group_and_an_explanation() {
        let mut keys: Vec<&str> = table().iter().map(|about| about.key.as_str()).collect();
        let mut known = Settings::keys();
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(keys, known);
        for about in table() {
            assert!(!about.group.is_empty() && about.explanation.ends_with('.'), "{about:?}");
            assert!(about.is_open || about.words.len() > 1, "{about:?}");
        }
    }

    #[test]
    fn what_a_setting_can_be_is_known_from_how_it_is_typed() {
        assert_eq!((of("vi_keys").words.join(" "), of("vi_keys").is_open), ("on off".into(), false));
        assert_eq!((of("output").words.join(" "), of("output").is_open), ("text json ndjson".into(), false));
        assert_eq!((of("kv_evict").words.join(" "), of("kv_evict").is_open), ("auto off window score".into(), false));
        assert_eq!((of("think").words.join(" "), of("think").is_open), ("on off auto".into(), true));
        assert_eq!((of("temp").words.len(), of("temp").is_open), (0, true));
        assert_eq!((of("notify").words.len(), of("notify").is_open), (5, false));
        assert!(of("model_folders").is_list && !of("model").is_list);
    }

    #[test]
    fn defaults_are_as_they_would_be_typed() {
        let defaults =
            ["top-k", "temp", "mouse", "vi_keys", "seed", "stop", "model"].map(|key| of(key).default.as_str());
        assert_eq!(defaults, ["40", "0.8", "on", "off", "auto", "", ""]);
    }

    #[test]
    fn a_list_is_written_with_commas_where_that_says_it_all() {
        assert_eq!(typed(&serde_json::json!(["~/models", "/mnt"])), "~/models, /mnt");
        assert_eq!(typed(&serde_json::json!(["a, b", "\n"])), r#"["a, b","\n"]"#);
    }
}
