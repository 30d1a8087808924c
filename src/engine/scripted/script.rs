//! The file that a scripted model replays.
//!
//! ```toml
//! load_ms = 20              # how long loading takes
//! prefill_ms = 40           # how long each prefill takes
//! token_ms = 5              # time between tokens
//! cells = 4096              # KV cells it claims to have
//! has_template = true
//! policy = "score"          # what it claims to do when they run out: off (default), window, score
//! fail_load = "sentence"    # optional: loading fails with this
//!
//! [[answer]]                # used in order, from the first again after the last
//! text = "Hello there"      # a token is a word with the space before it
//! ended = "stop"            # how it ends: stop (default), length, stop_string, loop, error
//! panics = true             # optional: the engine's thread panics there instead
//! evicted = [0, 12]         # optional: tokens of each message that have left the cache by then
//!
//! [[answer.recalled]]       # optional: what was brought back for it
//! message = 0
//! role = "user"
//! text = "Some earlier words"
//! ```

use std::path::Path;

use serde::Deserialize;

use crate::chat::Ended;
use crate::engine::protocol::Passage;

/// What the scripted model does. See the module's documentation for the file's form.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    pub load_ms: u64,
    pub prefill_ms: u64,
    pub token_ms: u64,
    pub cells: u32,
    pub has_template: bool,
    pub policy: String,
    pub fail_load: Option<String>,
    #[serde(rename = "answer")]
    pub answers: Vec<Answer>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    pub text: String,
    #[serde(default = "stop")]
    pub ended: Ended,
    #[serde(default)]
    pub evicted: Vec<u32>,
    #[serde(default)]
    pub recalled: Vec<Passage>,
    /// The engine panics in place of the answer's end.
    #[serde(default)]
    pub panics: bool,
}

fn stop() -> Ended {
    Ended::Stop
}

impl Default for Script {
    fn default() -> Self {
        Self {
            load_ms: 0,
            prefill_ms: 0,
            token_ms: 0,
            cells: 4096,
            has_template: true,
            policy: "off".into(),
            fail_load: None,
            answers: Vec::new(),
        }
    }
}

impl Script {
    /// Reads a script from a TOML file.
    pub fn read(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read {}: {}", path.display(), crate::text::cause(&error)))?;
        toml::from_str(&text).map_err(|error| format!("{} is not a script: {error}", path.display()))
    }
}

/// The script's tokens: each word with the white space before it.
pub(super) fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut in_word = false;
    for (index, character) in text.char_indices() {
        if character.is_whitespace() {
            if in_word {
                words.push(&text[start..index]);
                start = index;
            }
            in_word = false;
        } else {
            in_word = true;
        }
    }
    if start < text.len() {
        words.push(&text[start..]);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_every_character() {
        for text in ["", "one", " one  two\n\nthree ", "\n", "a b"] {
            assert_eq!(words(text).concat(), text);
        }
    }
}
