//! What can be chosen of how the chat looks and speaks: plain values, which `ui` follows.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// What a theme is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum ThemeName {
    /// What suits the terminal.
    #[default]
    Auto,
    /// No colours.
    Mono,
    /// That of a file.
    Of(String),
}

impl From<String> for ThemeName {
    fn from(name: String) -> Self {
        match name.as_str() {
            "auto" => Self::Auto,
            "mono" => Self::Mono,
            _ => Self::Of(name),
        }
    }
}

impl From<ThemeName> for String {
    fn from(name: ThemeName) -> Self {
        name.to_string()
    }
}

impl FromStr for ThemeName {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(name.to_owned().into())
    }
}

impl fmt::Display for ThemeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Auto => "auto",
            Self::Mono => "mono",
            Self::Of(name) => name,
        })
    }
}

/// How much moves on the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Motion {
    /// Little, where the environment asks for that
    #[default]
    Auto,
    /// As it comes
    Full,
    /// An answer grows twice a second
    Reduced,
}

/// How the person is told that an answer is done while the window has no focus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Notify {
    /// As the terminal is known to, else by the bell
    #[default]
    Auto,
    /// By the terminal's bell
    Bell,
    /// By the sequence OSC 9
    Osc9,
    /// By the sequence OSC 777
    Osc777,
    /// Not at all
    Off,
}

/// Whether and how much is said about what the program does, in plain lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// What it does, how far it is and what it cost
    #[default]
    Full,
    /// That it begins and has ended
    Brief,
    /// Nothing
    Off,
}

/// How much of an answer is said at once, in plain lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pieces {
    /// Whole sentences, and words where a sentence takes long
    #[default]
    Sentences,
    /// Whole words
    Words,
    /// Whole lines, and words where a line takes long
    Lines,
}

/// What is said in plain lines, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Saying {
    pub status: Status,
    pub pieces: Pieces,
}

/// One thing that the status line can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StatusItem {
    /// The model's name
    Model,
    /// Where it is computed
    Device,
    /// Tokens a second
    Speed,
    /// How long the first token took
    FirstToken,
    /// What guessing tokens brought
    Speculation,
    /// What a message will cost, while it is written
    Cost,
    /// What is in the context, and what has left it
    Context,
    /// The hottest place that is measured
    Temperature,
    /// That the machine holds itself back
    Throttling,
    /// The battery's charge, while it is in use
    Battery,
    /// Nothing
    None,
}

/// The items in their order. What the program does stands before them always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusLine(pub Vec<StatusItem>);

impl Default for StatusLine {
    fn default() -> Self {
        use StatusItem::{Battery, Context, Cost, Device, Model, Speculation, Speed, Throttling};
        Self(vec![Model, Device, Speed, Speculation, Cost, Context, Throttling, Battery])
    }
}

impl StatusLine {
    pub fn has(&self, item: StatusItem) -> bool {
        self.0.contains(&item)
    }

    /// Whether a sensor of the machine has to be read for it.
    pub fn asks_for_sensors(&self) -> bool {
        self.0.iter().any(|item| matches!(item, StatusItem::Temperature | StatusItem::Throttling | StatusItem::Battery))
    }
}
