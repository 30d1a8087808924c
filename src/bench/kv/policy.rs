//! What is compared: ways to make a KV cache smaller, and how small.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use serde::{Deserialize, Serialize, Serializer};

use crate::engine::protocol::Evict;
use crate::engine::{KvType, KvTypes};

/// A way to make a KV cache smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum, Serialize, Deserialize)]
pub enum Policy {
    /// The whole cache in 16 bits: what the others are measured by
    #[value(name = "none")]
    #[serde(rename = "none")]
    Full,
    /// The whole cache in 8 bits
    #[value(name = "q8_0")]
    #[serde(rename = "q8_0")]
    Q8,
    /// The whole cache in 4 bits
    #[value(name = "q4_0")]
    #[serde(rename = "q4_0")]
    Q4,
    /// Some cells in 16 bits: the beginning and what is recent
    #[value(name = "window")]
    #[serde(rename = "window")]
    Window,
    /// Some cells in 16 bits: what is attended to
    #[value(name = "score")]
    #[serde(rename = "score")]
    Score,
    /// The same in 8 bits
    #[value(name = "score+q8_0")]
    #[serde(rename = "score+q8_0")]
    ScoreQ8,
}

impl Policy {
    pub const ALL: [Self; 6] = [Self::Full, Self::Q8, Self::Q4, Self::Window, Self::Score, Self::ScoreQ8];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "none",
            Self::Q8 => "q8_0",
            Self::Q4 => "q4_0",
            Self::Window => "window",
            Self::Score => "score",
            Self::ScoreQ8 => "score+q8_0",
        }
    }

    pub fn types(self) -> KvTypes {
        KvTypes::both(match self {
            Self::Full | Self::Window | Self::Score => KvType::F16,
            Self::Q8 | Self::ScoreQ8 => KvType::Q8,
            Self::Q4 => KvType::Q4,
        })
    }

    /// What is given up of the cells; nothing where the whole cache is kept, whatever the budget.
    pub fn evict(self) -> Evict {
        match self {
            Self::Full | Self::Q8 | Self::Q4 => Evict::Off,
            Self::Window => Evict::Window,
            Self::Score | Self::ScoreQ8 => Evict::Score,
        }
    }

    pub fn evicts(self) -> bool {
        self.evict() != Evict::Off
    }

    /// The budgets out of these that make a difference.
    pub fn budgets(self, asked: &[Budget]) -> Vec<Budget> {
        if !self.evicts() {
            return vec![Budget::WHOLE];
        }
        asked.iter().copied().filter(|budget| *budget != Budget::WHOLE).collect()
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// How many of the cells of a text may stay, in thousandths: 125 is an eighth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Budget(u32);

impl Budget {
    pub const WHOLE: Self = Self(1000);
    /// 100, 50, 25 and 12.5 %.
    pub const USUAL: [Self; 4] = [Self::WHOLE, Self(500), Self(250), Self(125)];

    /// The cells that may stay of so many: rounded up, so that there is at least one.
    pub fn cells(self, of: usize) -> usize {
        (of * self.0 as usize).div_ceil(1000)
    }

    /// `None` of what cannot be one.
    pub fn of_percent(percent: f64) -> Option<Self> {
        (0.1..=100.0).contains(&percent).then(|| Self((percent * 10.0).round() as u32))
    }

    pub fn percent(self) -> f64 {
        f64::from(self.0) / 10.0
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} %", self.percent())
    }
}

impl Serialize for Budget {
    /// In percent.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.percent())
    }
}

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let budget = text.parse().ok().and_then(Self::of_percent);
        budget.ok_or_else(|| "a budget is a number of percent between 0.1 and 100".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_rounded_up_to_whole_cells() {
        assert_eq!(Budget::USUAL.map(|budget| budget.cells(1001)), [1001, 501, 251, 126]);
        assert_eq!(Budget::USUAL.map(|budget| budget.cells(8)), [8, 4, 2, 1]);
        assert_eq!(Budget(1).cells(1), 1);
    }

    #[test]
    fn budgets_are_typed_in_percent() {
        assert_eq!("12.5".parse(), Ok(Budget(125)));
        assert_eq!("100".parse(), Ok(Budget::WHOLE));
        assert_eq!(Budget(125).to_string(), "12.5 %");
        assert_eq!(Budget(250).to_string(), "25 %");
        for wrong in ["0", "101", "-1", "x", "NaN", ""] {
            assert!(wrong.parse::<Budget>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_what_gives_up_cells_has_budgets() {
        assert_eq!(Policy::Q8.budgets(&Budget::USUAL), [Budget::WHOLE]);
        assert_eq!(Policy::Score.budgets(&Budget::USUAL), Budget::USUAL[1..]);
    }

    #[test]
    fn a_policy_is_called_in_tables_as_it_is_typed_and_written() {
        for policy in Policy::ALL {
            assert_eq!(Policy::from_str(policy.as_str(), false), Ok(policy));
            assert_eq!(serde_json::to_value(policy).unwrap(), policy.as_str());
        }
    }
}
