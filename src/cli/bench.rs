//! What is typed behind `tuichat bench`.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::bench::kv::{Budget, Part, Policy};

#[derive(clap::Args, Clone, Debug, PartialEq)]
pub struct BenchCommand {
    /// The models; without any, the one that a chat would take
    #[arg(value_name = "NAME|PATH")]
    pub models: Vec<String>,

    /// What to measure
    #[arg(long, value_enum, value_name = "SUITE", default_value = "kv")]
    pub suite: Suite,

    /// Draw the needles, and where texts begin, from this number: others for another
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Needles, up to five to a text; each is asked for under every policy, budget and circumstance
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub cases: u32,

    /// Only these ways to make the cache smaller
    #[arg(long, value_enum, value_delimiter = ',', value_name = "POLICY,…", default_values_t = Policy::ALL)]
    pub policies: Vec<Policy>,

    /// Cells that may stay, in percent of those of a text [default: 100,50,25,12.5]
    #[arg(long, value_delimiter = ',', value_name = "PERCENT,…")]
    pub budgets: Vec<Budget>,

    /// Tokens of a text with needles, questions and answers [default: 2k,4k,8k]
    #[arg(long, value_delimiter = ',', value_name = "TOKENS,…")]
    pub lengths: Vec<Length>,

    /// Tokens before what is timed [default: 0,1k,2k,4k,8k,16k]
    #[arg(long, value_delimiter = ',', value_name = "TOKENS,…")]
    pub depths: Vec<Depth>,

    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART,…")]
    pub only: Vec<Part>,

    /// One JSON object per measurement, as it is made, instead of tables
    #[arg(long)]
    pub json: bool,

    /// Draw a chart of the needles into this file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,

    /// Threads that compute; without it, those of a chat
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=512))]
    pub threads: Option<u32>,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Ways to make the KV cache smaller: what they find again, how far they are from the whole cache, bytes, speed
    Kv,
}

/// Tokens of a text with needles: 1k to 64k.
pub type Length = Tokens<1024, 65_536>;
/// Tokens before what is timed: 0 to 256k.
pub type Depth = Tokens<0, 262_144>;

/// A number of tokens; `4k` is 4096.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tokens<const LEAST: u32, const MOST: u32>(pub u32);

impl<const LEAST: u32, const MOST: u32> std::str::FromStr for Tokens<LEAST, MOST> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (digits, factor) = match text.strip_suffix(['k', 'K']) {
            Some(digits) => (digits, 1024),
            None => (text, 1),
        };
        let tokens = digits.parse::<u32>().ok().and_then(|number| number.checked_mul(factor));
        tokens
            .filter(|tokens| (LEAST..=MOST).contains(tokens))
            .map(Self)
            .ok_or_else(|| format!("it must be a number of tokens between {LEAST} and {MOST}, or thousands like 4k"))
    }
}
