//! What is typed behind `tuichat bench`.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::bench::kv::{Budget, Part, Policy};
use crate::bench::spec::{Class, Way};
use crate::config::Probability;
use crate::hardware::meters::Choice as Power;

const OF_SPEED: &str = "Options of --suite quick and depth";
const OF_KV: &str = "Options of --suite kv";
const OF_SPEC: &str = "Options of --suite spec";

#[derive(clap::Args, Clone, Debug, PartialEq)]
pub struct BenchCommand {
    /// The models; without any, the one that a chat would take
    #[arg(value_name = "NAME|PATH")]
    pub models: Vec<String>,

    /// What to measure
    #[arg(long, value_enum, value_name = "SUITE", default_value = "quick")]
    pub suite: Suite,

    /// Draw needles, tasks, and where texts begin, from this number: others for another
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Needles, up to five to a text, each asked for under every policy, budget and circumstance [default: 40]; tasks of
    /// each class [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub cases: Option<u32>,

    /// Tokens before what is timed [default: 0 for quick; 0,1k,2k,4k,8k,16k for depth and kv; 256,2k for spec]
    #[arg(long, value_delimiter = ',', value_name = "TOKENS,…")]
    pub depths: Vec<Depth>,

    /// One JSON object per measurement, as it is made, instead of tables
    #[arg(long)]
    pub json: bool,

    /// Threads that compute; without it, those of a chat
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=512))]
    pub threads: Option<u32>,

    /// Find out instead how many threads are the fastest with these models, and remember it for them: chats use it from then on
    #[arg(long, conflicts_with_all = ["suite", "seed", "cases", "depths", "threads"])]
    pub tune: bool,

    /// How often everything is timed, forwards and backwards in turn [default: 5; for spec 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: Option<u32>,

    /// Where to find what the machine draws: `auto` (Raspberry Pi 5, boards' sensors, batteries, RAPL), `none`, or `cmd:` and
    /// a command that prints watts [default: auto]
    #[arg(long, value_name = "auto|none|cmd:COMMAND", help_heading = OF_SPEED)]
    pub power: Option<Power>,

    /// Only these ways to make the cache smaller [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "POLICY,…", help_heading = OF_KV)]
    pub policies: Vec<Policy>,

    /// Cells that may stay, in percent of those of a text [default: 100,50,25,12.5]
    #[arg(long, value_delimiter = ',', value_name = "PERCENT,…", help_heading = OF_KV)]
    pub budgets: Vec<Budget>,

    /// Tokens of a text with needles, questions and answers [default: 2k,4k,8k]
    #[arg(long, value_delimiter = ',', value_name = "TOKENS,…", help_heading = OF_KV)]
    pub lengths: Vec<Length>,

    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART,…", help_heading = OF_KV)]
    pub only: Vec<Part>,

    /// Draw a chart of the needles into this file
    #[arg(long, value_name = "FILE", help_heading = OF_KV)]
    pub svg: Option<PathBuf>,

    /// Only these ways to guess [default: all there are]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WAY,…", help_heading = OF_SPEC)]
    pub ways: Vec<Way>,

    /// Only these kinds of tasks [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND,…", help_heading = OF_SPEC)]
    pub tasks: Vec<Class>,

    /// Only compare answers at these thresholds of `--spec-fuzzy`: how many fields of letters are read rightly, how fast
    #[arg(long, value_delimiter = ',', value_name = "F,…", help_heading = OF_SPEC)]
    pub fuzzy: Vec<Probability>,

    /// The model that guesses; without it, the one of the settings, if there is one
    #[arg(long, value_name = "NAME|PATH", help_heading = OF_SPEC)]
    pub draft_model: Option<String>,
}

impl BenchCommand {
    /// An option that was typed and that the suite has no use for.
    pub fn useless_option(&self) -> Option<&'static str> {
        let of_kv = [
            (!self.policies.is_empty(), "--policies"),
            (!self.budgets.is_empty(), "--budgets"),
            (!self.lengths.is_empty(), "--lengths"),
            (!self.only.is_empty(), "--only"),
            (self.svg.is_some(), "--svg"),
        ];
        let of_spec = [
            (!self.ways.is_empty(), "--ways"),
            (!self.tasks.is_empty(), "--tasks"),
            (!self.fuzzy.is_empty(), "--fuzzy"),
            (self.draft_model.is_some(), "--draft-model"),
        ];
        let of_speed = [(self.power.is_some(), "--power")];
        let of_tasks = [(self.cases.is_some(), "--cases")];
        let of_times = [(self.rounds.is_some(), "--rounds")];
        let suite = (!self.tune).then_some(self.suite);
        let is_speed = matches!(suite, Some(Suite::Quick | Suite::Depth));
        let mut others: Vec<(bool, &'static str)> = Vec::new();
        if suite != Some(Suite::Spec) {
            others.extend(of_spec);
        }
        if suite != Some(Suite::Kv) {
            others.extend(of_kv);
        }
        if !is_speed {
            others.extend(of_speed);
        }
        if is_speed || suite == Some(Suite::Fit) {
            others.extend(of_tasks);
        }
        if matches!(suite, None | Some(Suite::Kv)) {
            others.extend(of_times);
        }
        others.into_iter().find_map(|(is_typed, option)| is_typed.then_some(option))
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// How fast a prompt of 512 tokens is read and 128 are written (pp512 and tg128 of llama-bench), in two minutes or less
    Quick,
    /// The same with shorter ones, behind longer and longer conversations
    Depth,
    /// How long a prompt and an answer of any length take, as a curve, and how far that is off; `models show` and the chat go by it
    Fit,
    /// Ways to make the KV cache smaller: what they find again, how far they are from the whole cache, bytes, speed
    Kv,
    /// Guessing tokens: the time of steps of several tokens, and of answers of five kinds with guesses and without
    Spec,
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
