//! Names of settings: which belong to an answer, and which was meant by a name that none has.

use super::engines::KEY_VARIABLE;
use super::environment;
use super::settings::Settings;
use crate::text::plain;

/// The settings that an answer may have of its own: a text with a name brings them along, an item of a batch has them
/// beside its prompt.
pub const OF_ANSWERS: [&str; 12] = [
    "temp",
    "top_k",
    "top_p",
    "min_p",
    "repeat_penalty",
    "seed",
    "max_tokens",
    "stop",
    "schema",
    "grammar",
    "think",
    "loop_breaker",
];

/// What settings are called elsewhere.
const USUAL_NAMES: [(&str, &str); 10] = [
    ("temperature", "temp"),
    ("max_completion_tokens", "max_tokens"),
    ("n_predict", "max_tokens"),
    ("num_predict", "max_tokens"),
    ("repetition_penalty", "repeat_penalty"),
    ("json_schema", "schema"),
    ("num_ctx", "ctx"),
    ("context", "ctx"),
    ("system_prompt", "system"),
    ("format", "output"),
];

/// Variables that are no settings, but ours. The last one is read by `src/engine/llama/kernels/prompts.cpp`.
const OTHER_VARIABLES: [&str; 3] = ["TUICHAT_HOME", KEY_VARIABLE, "TUICHAT_KERNELS"];
/// What the names of variables begin with that tuichat's own tests read.
const OF_TESTS: [&str; 3] = ["TUICHAT_TEST_", "TUICHAT_EVAL_", "TUICHAT_SOAK_"];

/// The setting that was perhaps meant by a name that none has.
pub fn meant(name: &str) -> Option<String> {
    let name = name.to_lowercase();
    let usual = USUAL_NAMES.iter().find(|(usual, _)| *usual == name).map(|(_, name)| (*name).to_owned());
    let known = Settings::keys();
    usual.or_else(|| plain::meant(&name, known.iter().map(String::as_str)).map(str::to_owned))
}

/// A sentence for each of these environment variables that looks like a setting and is none. An empty one is not set.
pub fn unknown_variables(variables: impl IntoIterator<Item = (String, String)>) -> Vec<String> {
    let set = variables.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, _)| name);
    let mut strange: Vec<String> = set.filter(|name| is_strange(name)).collect();
    strange.sort();
    strange.iter().map(|name| unknown(name)).collect()
}

/// Whether this variable looks like one of ours and is none.
pub fn is_strange(variable: &str) -> bool {
    let is_known = OTHER_VARIABLES.contains(&variable)
        || OF_TESTS.iter().any(|beginning| variable.starts_with(beginning))
        || Settings::keys().iter().any(|key| environment::variable(key) == variable);
    variable.starts_with(environment::PREFIX) && !is_known
}

fn unknown(name: &str) -> String {
    let near = meant(name.trim_start_matches(environment::PREFIX)).map(|key| environment::variable(&key));
    let near = near.or_else(|| plain::meant(name, OTHER_VARIABLES).map(str::to_owned));
    let advice = match near {
        Some(near) => format!("`{near}` may be meant"),
        None => format!("`unset {name}` takes it away, `tuichat help config` tells the names"),
    };
    format!("the environment variable `{name}` is no setting; {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_an_answer_is_a_setting() {
        let known = Settings::keys();
        assert!(OF_ANSWERS.iter().all(|name| known.iter().any(|key| key == name)));
    }

    #[test]
    fn a_variable_that_is_no_setting_is_told_with_the_one_that_was_meant() {
        let told = |name: &str, value: &str| unknown_variables([(name.to_owned(), value.to_owned())]);
        for (name, near) in [
            ("TUICHAT_TMEP", "`TUICHAT_TEMP` may be meant"),
            ("TUICHAT_TEMPERATURE", "`TUICHAT_TEMP` may be meant"),
            ("TUICHAT_MAX_TOKEN", "`TUICHAT_MAX_TOKENS` may be meant"),
            ("TUICHAT_HOEM", "`TUICHAT_HOME` may be meant"),
            (
                "TUICHAT_COLOUR_OF_CAT",
                "`unset TUICHAT_COLOUR_OF_CAT` takes it away, `tuichat help config` tells the names",
            ),
        ] {
            assert_eq!(told(name, "1"), [format!("the environment variable `{name}` is no setting; {near}")]);
        }
        for name in ["TUICHAT_HOME", "TUICHAT_TEMP", "TUICHAT_TEST_MODEL", "TUICHATS", "HOME", "_TUICHAT_COMPLETE"] {
            assert!(told(name, "1").is_empty(), "{name}");
        }
        assert!(told("TUICHAT_TMEP", "").is_empty(), "an empty variable is none");
    }

    #[test]
    fn what_a_setting_is_called_elsewhere_is_understood() {
        let known = Settings::keys();
        for (usual, name) in USUAL_NAMES {
            assert!(known.iter().any(|key| key == name) && !known.iter().any(|key| key == usual), "{usual}");
            assert_eq!(meant(usual).as_deref(), Some(name));
        }
    }
}
