//! The layer of settings in `config.toml`.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::de::DeTable;

use super::engines::{self, Engines};
use super::names::meant;
use super::settings::Settings;
use crate::text::cause;
use crate::text::plain::plain;

/// What the file says, and what it says that nobody understands.
#[derive(Debug, Default, PartialEq)]
pub struct Read {
    pub settings: Settings,
    /// The servers that it describes.
    pub engines: Engines,
    pub warnings: Vec<String>,
}

/// Reads the file. A file that is not there is an empty one.
///
/// # Errors
/// A sentence with the place in the file.
pub fn read(path: &Path) -> Result<Read, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text).map_err(|problem| format!("{}, {problem}", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Read::default()),
        Err(error) => Err(format!("cannot read {}: {}", path.display(), cause(&error))),
    }
}

/// Understands the text of a config file.
///
/// # Errors
/// The place and the problem.
pub fn parse(text: &str) -> Result<Read, String> {
    let problem = |error: toml::de::Error| format!("{}: {}", place(text, error.span()), plain(error.message()));
    let table = DeTable::parse(text).map_err(problem)?;
    let known = Settings::keys();
    let warnings = table
        .get_ref()
        .keys()
        .filter(|key| key.get_ref() != engines::TABLE && !known.iter().any(|known| known == key.get_ref()))
        .map(|key| {
            let name = key.get_ref();
            let near = meant(name);
            let near = near.map(|near| format!("; `{near}` may be meant")).unwrap_or_default();
            format!("config.toml, {}: there is no setting `{name}`{near}", place(text, Some(key.span())))
        })
        .collect();
    let settings = Settings::deserialize(toml::Deserializer::from(table.clone())).map_err(problem)?;
    let engines = Engines::deserialize(toml::Deserializer::from(table)).map_err(problem)?;
    Ok(Read { settings, engines, warnings })
}

/// Reads any text as a config file: it is settings, or a sentence with its place that cannot move a cursor.
#[cfg(fuzzing)]
pub fn read_any(text: &str) {
    match parse(text) {
        Ok(read) => assert!(read.warnings.iter().all(|warning| warning.starts_with("config.toml, line "))),
        Err(problem) => assert!(problem.starts_with("line ") && !problem.contains('\u{1b}'), "{problem:?}"),
    }
}

fn place(text: &str, span: Option<Range<usize>>) -> String {
    let before = text.get(..span.map_or(0, |span| span.start)).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&character| character != '\n').count() + 1;
    format!("line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_unknown_key_is_a_warning_and_the_rest_counts() {
        let read = parse("temp = 0.5\ntop_q = 3\n").unwrap();
        assert_eq!(read.settings.temp, "0.5".parse().ok());
        assert_eq!(read.warnings, ["config.toml, line 2, column 1: there is no setting `top_q`; `top_k` may be meant"]);
    }

    #[test]
    fn a_wrong_value_is_told_with_its_place() {
        for (text, expected) in [
            ("top_k = 1\ntemp = 9.5\n", "line 2, column 8: 9.5 is not between 0 and 5"),
            ("threads = 0", "line 1, column 11: it must be `auto` or a whole number between 1 and 512"),
            ("device = \"tpu\"", "line 1, column 10: a device is auto, cpu,"),
            ("stop = \"x\"", "line 1, column 8: it is the text \"x\", and must be a list"),
            ("temp = \"hot\"", "line 1, column 8: it is the text \"hot\", and must be a number between 0 and 5"),
            ("logprobs = 1.5", "line 1, column 12: it is `1.5`, and must be a whole number between 0 and 20"),
            ("top_k = -1", "line 1, column 9: it is `-1`, and must be a whole number, 0 or more"),
            ("temp 1", "line 1, column 6"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.starts_with(expected), "{problem}");
        }
    }

    #[test]
    fn every_switch_is_true_or_a_word() {
        for name in ["private", "offline", "quiet", "verbose", "vi_keys", "inline", "cache_prompt", "mouse", "recall"] {
            let read = |value: &str| parse(&format!("{name} = {value}")).map(|read| read.settings);
            assert_eq!(read("\"on\""), read("true"), "{name}");
            assert_eq!(read("\"no\""), read("false"), "{name}");
            assert!(read("\"on\"").is_ok() && read("\"on\"") != read("\"off\""), "{name}");
            assert!(read("\"perhaps\"").unwrap_err().ends_with("it must be \"on\" or \"off\""), "{name}");
        }
    }

    #[test]
    fn whole_numbers_and_words_are_read_as_on_the_command_line() {
        let settings =
            parse("temp = 1\nctx = \"auto\"\nseed = 7\nstop = [\"a\", \"b\"]\nquiet = true").unwrap().settings;
        assert_eq!(settings.temp, "1".parse().ok());
        assert_eq!(settings.ctx, "auto".parse().ok());
        assert_eq!(settings.seed, "7".parse().ok());
        assert_eq!(settings.stop, Some(vec!["a".into(), "b".into()]));
        assert_eq!(settings.quiet, Some(true));
    }

    /// A line of a file that somebody may have written, or a program that did not know what it did.
    fn line() -> impl Strategy<Value = String> {
        let key = prop_oneof![
            4 => proptest::sample::select(Settings::keys()),
            1 => "[a-z_.\\[\\]]{0,9}",
            1 => any::<String>().prop_map(|text| format!("{text:?}")),
        ];
        let words = [
            "true",
            "nan",
            "-inf",
            "\"auto\"",
            "\"off\"",
            "[]",
            "{}",
            "[1, \"a\", [2]]",
            "{ a = 1 }",
            "1979-05-27",
            "0x7f",
        ];
        let value = prop_oneof![
            2 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned),
            2 => "-?[0-9]{1,40}",
            1 => "-?[0-9]{1,4}\\.[0-9]{1,4}(e[+-]?[0-9]{1,4})?",
            2 => any::<String>().prop_map(|text| format!("{text:?}")),
            1 => "\\PC{0,20}",
        ];
        prop_oneof![9 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")), 1 => any::<String>()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1024))]
        #[test]
        fn any_text_is_settings_or_a_sentence_with_its_place(lines in proptest::collection::vec(line(), 0..6)) {
            match parse(&lines.join("\n")) {
                Ok(read) => prop_assert!(read.warnings.iter().all(|warning| warning.starts_with("config.toml, line "))),
                Err(problem) => {
                    prop_assert!(problem.starts_with("line ") && problem.contains(": "), "{problem:?}");
                    prop_assert!(!problem.contains('\u{1b}'), "{problem:?}");
                }
            }
        }
    }
}
