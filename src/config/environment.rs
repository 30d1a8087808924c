//! The environment's layer of settings: `TUICHAT_TOP_K=20` is `--top-k=20`.

use clap::Parser;

use super::refused;
use super::settings::Settings;

/// What the names of all variables begin with.
pub const PREFIX: &str = "TUICHAT_";

/// A command line of settings alone, so that a variable is read and refused exactly as its flag is.
#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
pub(super) struct SettingsLine {
    #[command(flatten)]
    settings: Settings,
}

/// Reads the variables with `lookup`. An empty variable is one that is not set.
///
/// # Errors
/// A sentence that names the variable.
pub fn read(lookup: impl Fn(&str) -> Option<String>) -> Result<Settings, String> {
    let mut layer = Settings::default();
    for key in Settings::keys() {
        let variable = variable(&key);
        let Some(value) = lookup(&variable).filter(|value| !value.is_empty()) else { continue };
        let of_variable = self::value(&key, &value).map_err(|why| {
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            format!("the environment variable `{variable}` cannot be `{value}`{why}")
        })?;
        layer = of_variable.over(layer);
    }
    Ok(layer)
}

/// A layer with one setting, whose value is read as on the command line.
///
/// # Errors
/// Why it cannot be that, as far as there is something to say.
pub(super) fn value(key: &str, value: &str) -> Result<Settings, Option<String>> {
    let flag = format!("--{}={value}", key.replace('_', "-"));
    let line = SettingsLine::try_parse_from([flag]);
    line.map(|line| line.settings).map_err(|error| refused::why(&error))
}

/// The variable of a setting.
pub fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_variable() {
        for key in Settings::keys() {
            let value = match key.as_str() {
                "output" => "json",
                "device" => "cpu",
                "cache_prompt" | "private" | "offline" | "vi_keys" | "inline" | "quiet" | "verbose"
                | "loop_breaker" | "recall" | "memory_check" | "sandbox" | "rpc_network" => "off",
                "kv" => "q8_0",
                "kv_mem" | "limit_rate" | "snapshots" => "64M",
                "kv_evict" => "window",
                "spec" => "off",
                "ctx" => "4096",
                "prefill_while_typing"
                | "repack"
                | "images"
                | "plain"
                | "plain_status"
                | "mouse"
                | "title"
                | "notify"
                | "save_power"
                | "borders"
                | "ascii" => "off",
                "motion" => "reduced",
                "status" => "speed,battery",
                "plain_pieces" => "words",
                "theme" => "dark",
                _ => "1",
            };
            let variable = format!("TUICHAT_{}", key.to_uppercase());
            let layer = read(|name| (name == variable).then(|| value.into())).unwrap();
            assert_ne!(layer, Settings::default(), "{variable}");
        }
    }

    #[test]
    fn a_wrong_value_is_told_with_its_variable() {
        let sentence = read(|name| (name == "TUICHAT_TEMP").then(|| "hot".into())).unwrap_err();
        let expected = "the environment variable `TUICHAT_TEMP` cannot be `hot`: it must be a number between 0 and 5";
        assert_eq!(sentence, expected);
        let sentence = read(|name| (name == "TUICHAT_OUTPUT").then(|| "xml".into())).unwrap_err();
        assert!(sentence.ends_with("cannot be `xml`: it must be `text`, `json` or `ndjson`"), "{sentence}");
        assert_eq!(read(|_| Some(String::new())), Ok(Settings::default()), "an empty variable is none");
    }

    #[test]
    fn a_switch_can_be_turned_off() {
        assert_eq!(read(|name| (name == "TUICHAT_QUIET").then(|| "no".into())).unwrap().quiet, Some(false));
    }
}
