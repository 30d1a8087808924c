//! What the status line shows, and in which order: the person's choice of its items.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

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
