//! What is typed behind `tuichat bench`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::{Arguments, Command};
use crate::bench::history;
use crate::bench::kv::{Budget, Part, Policy};
use crate::bench::peers::Which;
use crate::bench::reports;
use crate::bench::spec::{Class, Way};
use crate::bench::speed::cooling::CoolDown;
use crate::config::{EngineName, Probability};
use crate::engine::lab::Format;
use crate::hardware::cores::Cores;
use crate::hardware::meters::Choice as Power;

const OF_SPEED: &str = "Options of --suite quick, depth, threads, sbc, quant and soak";
const OF_KV: &str = "Options of --suite kv";
const OF_SPEC: &str = "Options of --suite spec";

#[derive(clap::Args, Clone, Debug, PartialEq)]
#[command(args_conflicts_with_subcommands = true)]
pub struct BenchCommand {
    #[command(subcommand)]
    pub runs: Option<RunsCommand>,

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

    /// Go on with a run that was stopped or killed, the last one or that with this ID: same models, same settings, and what
    /// it has is not measured again
    #[arg(long = "continue", value_name = "ID|last", num_args = 0..=1, default_missing_value = history::LAST)]
    pub continues: Option<String>,

    /// Keep nothing of the run; without this, `tuichat bench list` has it
    #[arg(long)]
    pub private: bool,

    /// JSON lines instead of tables: the run, each case as it is measured, the end
    #[arg(long, conflicts_with = "format")]
    pub json: bool,

    #[command(flatten)]
    pub telling: Telling,

    /// Say in the end how many times as fast this run was as another: the ID of a run that is kept, `last`, a file of its
    /// lines, or one that `llama-bench -o json` wrote
    #[arg(long, value_name = "ID|last|FILE")]
    pub compare: Option<String>,

    /// No view of the run while it is measured, only a line that says what is being done
    #[arg(long)]
    pub no_live: bool,

    /// Measure nothing: say what a run would find here (board, cores, what tells its power, heat and throttling, and what is
    /// missing for that), what it would time, and about how long that would take
    #[arg(long, conflicts_with_all = ["continues", "compare", "format", "out"])]
    pub dry_run: bool,

    /// Threads that compute; without it, those of a chat
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=512))]
    pub threads: Option<u32>,

    /// Compute on these cores only, a thread on each: `fast`, `slow`, `all`, or their numbers. Typed several times, the sets
    /// are compared (suites sbc and threads)
    #[arg(long, value_name = "fast|slow|all|0,2|4-7")]
    pub cores: Vec<Cores>,

    /// Find out instead how these models are computed the fastest, and remember it for them: threads for answers and for
    /// prompts, their cores, tokens at once, the KV cache's format (of those that the model bears), guessing tokens. Chats
    /// and `-p` use it from then on
    #[arg(long, conflicts_with_all = ["suite", "seed", "cases", "depths", "threads", "cores"])]
    pub tune: bool,

    /// With `--tune`: measure every combination, too, and say how far what was found with few is from the best
    #[arg(long, requires = "tune")]
    pub exhaustive: bool,

    /// How often everything is timed, forwards and backwards in turn [default: 5, or fewer where quick would take longer than
    /// its two minutes; for spec 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub rounds: Option<u32>,

    /// Where to find what the machine draws: `auto` (Raspberry Pi 5, boards' sensors, batteries, RAPL), `none`, or `cmd:` and
    /// a command that prints watts [default: auto]
    #[arg(long, value_name = "auto|none|cmd:COMMAND", help_heading = OF_SPEED)]
    pub power: Option<Power>,

    /// The file into which a meter writes while the run goes on: lines `time,watts` or `time,volts,amps`, with a line that
    /// names the columns or without, or what macOS's `powermetrics` prints. Matched by their time to what is measured
    #[arg(long, value_name = "FILE", conflicts_with = "power", help_heading = OF_SPEED)]
    pub power_csv: Option<PathBuf>,

    /// How long to let the machine cool down between what is measured: `auto` (until it is as cool as at the start, where it
    /// tells its temperature; a minute at most), `off`, or seconds [default: auto]
    #[arg(long, value_name = "SECONDS|off|auto", help_heading = OF_SPEED)]
    pub cool_down: Option<CoolDown>,

    /// Measure another program in the same rounds, with the same model, threads and numbers of tokens (repeatable):
    /// llama.cpp's bench (`llama-bench=PATH`), Ollama (`ollama=URL`), or a server that answers as OpenAI's: llama-server,
    /// ik_llama.cpp's, vLLM (`openai=URL`); `#NAME` behind the URL names its model
    #[arg(long = "peer", value_name = "KIND=PLACE", help_heading = "Option of --suite quick")]
    pub peers: Vec<Which>,

    /// Measure a server in the same rounds that can answer instead of this program: one of config.toml, or its address
    #[arg(long, value_name = "NAME|URL", help_heading = "Option of --suite quick")]
    pub engine: Option<EngineName>,

    /// Into which to write a single file [default: Q8_0,Q6_K,Q5_K_M,Q4_K_M,Q4_0]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FORMAT,…", help_heading = "Option of --suite quant")]
    pub formats: Vec<Format>,

    /// How long to go on [default: 10]
    #[arg(long, value_name = "N", help_heading = "Option of --suite soak",
          value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub minutes: Option<u32>,

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

/// What a run is told as.
#[derive(clap::Args, Clone, Debug, Default, PartialEq)]
pub struct Telling {
    /// What to tell it as [default: table, or what the file's ending says]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<reports::Format>,

    /// Write it into this file: .html (a page with charts), .md, .csv, .jsonl or .txt
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What is done without measuring: with runs that are kept, and with what is known of this machine.
#[derive(clap::Subcommand, Clone, Debug, PartialEq)]
pub enum RunsCommand {
    /// Say which model to take on this machine, for quality, balance and speed: tokens per second, watts, hours on the battery
    Advice {
        /// JSON lines instead of sentences
        #[arg(long)]
        json: bool,
    },
    /// List the runs that are kept, the latest first
    List {
        /// One JSON array instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Print a run
    Show {
        /// Its ID or the beginning of it, `last`, or a file of JSON lines
        #[arg(value_name = "ID|last|FILE", default_value = history::LAST)]
        run: String,
        /// Its JSON lines instead of tables
        #[arg(long, conflicts_with = "format")]
        json: bool,
        #[command(flatten)]
        telling: Telling,
    },
    /// Compare two runs: how many times as fast the second is, test by test, and whether that is more than chance
    Compare {
        /// The ID of a run or the beginning of it, `last`, a file of its lines, or one that `llama-bench -o json` or `-o
        /// jsonl` wrote
        #[arg(value_name = "ID|last|FILE")]
        first: String,
        #[arg(value_name = "ID|last|FILE")]
        second: String,
        /// JSON lines instead of a table: the two runs, each pair of tests, tests that only one has
        #[arg(long, conflicts_with = "format")]
        json: bool,
        #[command(flatten)]
        telling: Telling,
    },
}

impl BenchCommand {
    /// Without anything typed but what goes with `--continue`.
    pub fn is_bare(&self) -> bool {
        let nothing = Arguments::read(["tuichat", "bench"]).map(|arguments| arguments.command);
        let told = Self { json: false, telling: Telling::default(), compare: None, no_live: false, ..self.clone() };
        let bare = Self { continues: None, ..told };
        matches!(nothing, Ok(Some(Command::Bench(nothing))) if *nothing == bare)
    }

    /// What is to tell the watts.
    pub fn source_of_power(&self) -> Power {
        let file = self.power_csv.clone().map(Power::File);
        file.or_else(|| self.power.clone()).unwrap_or(Power::Auto)
    }

    /// An option that was typed and that the suite has no use for.
    pub fn useless_option(&self) -> Option<&'static str> {
        use Suite::{Cold, Depth, Fit, Kv, Quant, Quick, Sbc, Soak, Spec, Threads};
        /// An option, whether it was typed, and the suites that have a use for it.
        type Use<'a> = (&'static str, bool, &'a [Suite]);
        let uses: [Use<'_>; 20] = [
            ("--peer", !self.peers.is_empty(), &[Quick]),
            ("--engine", self.engine.is_some(), &[Quick]),
            ("--policies", !self.policies.is_empty(), &[Kv]),
            ("--budgets", !self.budgets.is_empty(), &[Kv]),
            ("--lengths", !self.lengths.is_empty(), &[Kv]),
            ("--only", !self.only.is_empty(), &[Kv]),
            ("--svg", self.svg.is_some(), &[Kv]),
            ("--ways", !self.ways.is_empty(), &[Spec]),
            ("--tasks", !self.tasks.is_empty(), &[Spec]),
            ("--fuzzy", !self.fuzzy.is_empty(), &[Spec]),
            ("--draft-model", self.draft_model.is_some(), &[Spec]),
            ("--cases", self.cases.is_some(), &[Kv, Spec]),
            ("--minutes", self.minutes.is_some(), &[Soak]),
            ("--formats", !self.formats.is_empty(), &[Quant]),
            ("--power", self.power.is_some(), &[Quick, Depth, Threads, Sbc, Quant, Soak]),
            ("--power-csv", self.power_csv.is_some(), &[Quick, Depth, Threads, Sbc, Quant, Soak]),
            ("--cool-down", self.cool_down.is_some(), &[Quick, Depth, Threads, Sbc]),
            ("--rounds", self.rounds.is_some(), &[Quick, Depth, Threads, Sbc, Quant, Cold, Fit, Spec]),
            ("--depths", !self.depths.is_empty(), &[Quick, Depth, Kv, Spec]),
            ("--threads", self.threads.is_some(), &[Quick, Depth, Sbc, Quant, Cold, Soak, Fit, Kv, Spec]),
        ];
        let is_of_use = |option: &str, suites: &[Suite]| match self.tune {
            true => self.exhaustive && option == "--rounds",
            false => suites.contains(&self.suite),
        };
        uses.iter()
            .find(|(option, is_typed, suites)| *is_typed && !is_of_use(option, suites))
            .map(|(option, ..)| *option)
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// How fast a prompt of 512 tokens is read and 128 are written (pp512 and tg128 of llama-bench), in two minutes or less
    Quick,
    /// The same with shorter ones, behind longer and longer conversations
    Depth,
    /// One thread to all, for answers and for prompts apart
    Threads,
    /// What boards are asked for: five kinds of questions and answers, on the fast cores, the slow ones and all where there
    /// are such, and whether answers are right; with several models one after the other
    Sbc,
    /// A start step by step, from the disk and from memory: checks, weights, context, prompt, first token
    Cold,
    /// One model in several formats of numbers: how fast each is, and what it still can; with one file, it is written anew in
    /// other formats for as long as that takes
    Quant,
    /// One answer after the other for minutes: the speed as the machine becomes warm
    Soak,
    /// How long a prompt and an answer of any length take, as a curve, and how far that is off; `models show` and the chat go by it
    Fit,
    /// Ways to make the KV cache smaller: what they find again, how far they are from the whole cache, bytes, speed
    Kv,
    /// Guessing tokens: the time of steps of several tokens, and of answers of five kinds with guesses and without
    Spec,
}

impl Suite {
    /// As it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Suite::Quick => "quick",
            Suite::Depth => "depth",
            Suite::Threads => "threads",
            Suite::Sbc => "sbc",
            Suite::Cold => "cold",
            Suite::Quant => "quant",
            Suite::Soak => "soak",
            Suite::Fit => "fit",
            Suite::Kv => "kv",
            Suite::Spec => "spec",
        }
    }
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
