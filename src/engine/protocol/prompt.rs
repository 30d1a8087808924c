//! What is to be answered, and how.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::chat::{Message, Sampling};

/// Names a conversation that goes on, for as long as anything of it is kept. Chats have positive numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ChatKey(pub i64);

impl ChatKey {
    /// The name of what several prompts begin with, from a hash of it: a negative number.
    pub fn of_beginning(hash: u64) -> Self {
        Self(-((hash >> 1).max(1) as i64))
    }

    pub fn is_of_beginning(self) -> bool {
        self.0 < 0
    }
}

/// A conversation to be answered, or gone on with if its last message is an answer. With a model that has no chat
/// template the texts are joined and continued.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prompt {
    /// Where the KV cache belongs to; `None` for a conversation that is not kept.
    pub chat: Option<ChatKey>,
    pub messages: Vec<Message>,
}

/// Prompts to be answered, none of which has to do with another. Nothing leaves the KV cache for them: one for which it
/// has no room fails.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    pub items: Vec<(Prompt, GenerateOptions)>,
    /// So many are answered side by side, as far as the context has sequences for them; `None` lets the engine choose.
    pub lanes: Option<u32>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct GenerateOptions {
    pub sampling: Sampling,
    /// At most so many tokens; `None` means until the model stops or the context is full.
    pub max_tokens: Option<u32>,
    /// The answer ends before the first of these.
    pub stop: Vec<String>,
    /// What the answer is held to; thoughts before it are free.
    pub constraint: Option<Constraint>,
    pub think: Think,
    /// Whether an answer that repeats itself is ended.
    pub loop_breaker: bool,
    pub speculation: SpeculationOptions,
    /// How many bytes of the last message later prompts will have, too, with all that is before it: what is computed of
    /// that is kept on disk for them, and taken from there where it is. `None` keeps and takes nothing.
    pub shared: Option<usize>,
    /// Tell what the model thought of each token, and of so many likeliest ones in its place; 0 tells nothing.
    pub weighed: u32,
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
            max_tokens: None,
            stop: Vec::new(),
            constraint: None,
            think: Think::default(),
            loop_breaker: true,
            speculation: SpeculationOptions::default(),
            shared: None,
            weighed: 0,
        }
    }
}

/// Whether tokens are guessed, and several computed at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpeculationOptions {
    pub by: Speculate,
    /// Most tokens that are guessed at once; `None` lets the engine choose.
    pub most: Option<u32>,
    /// How far an answer may be from what the model would say, for more of its guesses to be taken: 0 (not at all) to 1.
    pub fuzzy: f32,
}

/// What guesses tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speculate {
    /// What there is, where it pays.
    #[default]
    Auto,
    /// Nothing.
    Off,
    /// What was said before, whether it pays or not.
    Ngram,
    /// A smaller model, whether it pays or not.
    Draft,
}

/// When one of those who can guess is asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    Never,
    WhereItPays,
    Always,
}

impl Speculate {
    /// The words for all of them, in the order in which they are named to a person.
    pub const WORDS: [&'static str; 4] = ["auto", "off", "ngram", "draft"];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Off => "off",
            Self::Ngram => "ngram",
            Self::Draft => "draft",
        }
    }

    /// When guesses are looked up in the text.
    pub fn looks_up(self) -> Asked {
        match self {
            Self::Auto => Asked::WhereItPays,
            Self::Ngram => Asked::Always,
            Self::Off | Self::Draft => Asked::Never,
        }
    }

    /// When a smaller model guesses.
    pub fn asks_model(self) -> Asked {
        match self {
            Self::Auto => Asked::WhereItPays,
            Self::Draft => Asked::Always,
            Self::Off | Self::Ngram => Asked::Never,
        }
    }
}

impl FromStr for Speculate {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Ok(match word {
            "auto" => Self::Auto,
            "off" => Self::Off,
            "ngram" => Self::Ngram,
            "draft" => Self::Draft,
            _ => return Err("it must be `auto`, `off`, `ngram` or `draft`".into()),
        })
    }
}

/// What an answer is held to. [`crate::engine::constraint::check`] says whether it can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// JSON that satisfies this JSON schema, as far as the schema can be followed while the answer is written.
    Schema(String),
    /// A text of this grammar, in llama.cpp's GBNF.
    Grammar(String),
}

impl Constraint {
    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Schema(_) => "schema",
            Self::Grammar(_) => "grammar",
        }
    }
}

/// Whether a reasoning model is to think before it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Think {
    /// As its chat template has it.
    #[default]
    Auto,
    On,
    Off,
    /// With at most so many tokens; none is off.
    Budget(u32),
}

impl Think {
    /// What the chat template is told; `None` is nothing.
    pub fn is_wanted(self) -> Option<bool> {
        match self {
            Think::Auto => None,
            Think::On => Some(true),
            Think::Off | Think::Budget(0) => Some(false),
            Think::Budget(_) => Some(true),
        }
    }

    /// The most tokens of thoughts; `None` for any number.
    pub fn most_tokens(self) -> Option<u32> {
        match self {
            Think::Auto | Think::On => None,
            Think::Off => Some(0),
            Think::Budget(tokens) => Some(tokens),
        }
    }
}
