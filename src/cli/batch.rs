//! What is typed behind `tuichat batch`.

use std::path::PathBuf;

use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::config::Settings;

/// Settings that mean nothing to a batch.
const MEANINGLESS: [&str; 28] = [
    "output",
    "extract",
    "cache_prompt",
    "kv_evict",
    "recall",
    "no_recall",
    "spec",
    "draft_model",
    "spec_max",
    "spec_fuzzy",
    "prefill_while_typing",
    "snapshots",
    "vi_keys",
    "inline",
    "plain",
    "plain_status",
    "plain_pieces",
    "mouse",
    "title",
    "notify",
    "ascii",
    "borders",
    "motion",
    "save_power",
    "status",
    "images",
    "theme",
    "limit_rate",
];

/// A paragraph is one line, which the parser breaks as wide as the terminal is; what is indented must not be broken.
const EXAMPLES: &str = "\
An item is a JSON object on a line of its own, with a prompt or a conversation, and settings of its own:
  {\"id\": \"a\", \"prompt\": \"Why is the sky blue?\", \"max_tokens\": 100}
  {\"prompt\": \"The longest river?\", \"schema\": \"name, km int\"}
  {\"id\": 7, \"system\": \"Rhyme\", \"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}

Its keys: id (else the number of the line), prompt or messages, system, temp, top_k, top_p, min_p, repeat_penalty, seed, max_tokens, stop, schema, grammar, think, loop_breaker. What it does not set is as in the options above.

Every item becomes a line with the keys of `-o json`:
  {\"id\": \"a\", \"text\": \"…\", \"finish_reason\": \"stop\", \"error\": null, …}

An item that fails has an `error`, and the others go on; --resume leaves it out as done, and with --retry-failed answers it again. What many items begin with alike (the system prompt, a text before the question) is computed once. Nothing leaves the KV cache: an item that is longer than it fails.

The exit code: 0 if every item has its answer, 7 if answers do not satisfy their schema and nothing else failed, 1 if other items failed, 2 if the items cannot be read or two have the same id, 130 after Ctrl-C; else as with -p.

Examples:
  tuichat batch questions.ndjson > answers.ndjson
  tuichat batch questions.ndjson --resume answers.ndjson   # after Ctrl-C
  tuichat batch questions.ndjson --resume answers.ndjson --retry-failed
  jq -Rc '{prompt: .}' questions.txt | tuichat batch -     # a question a line
  jq -c '{id: .number, prompt: .body}' issues.json | tuichat batch - --temp 0";

/// Answer many prompts from a file or a pipe
#[derive(clap::Args, Clone, Debug, PartialEq)]
#[command(after_help = EXAMPLES, mut_arg("output", |argument| argument.long("form").short(None)),
          mut_arg("logprobs", |argument| argument.help("Tell for each token of an answer how likely it was, and the N likeliest ones, up to 20")),
          mut_args(|argument| if MEANINGLESS.contains(&argument.get_id().as_str()) { argument.hide(true) } else { argument }))]
pub struct BatchCommand {
    /// The items, one JSON object a line; `-` reads them from stdin
    #[arg(value_name = "FILE|-")]
    pub items: PathBuf,

    /// Write the results into this file, which must not be there, instead of to stdout
    #[arg(id = "to", long = "output", visible_alias = "out", value_name = "FILE")]
    pub to: Option<PathBuf>,

    /// Go on behind the results in this file: items that have a line there are left out
    #[arg(long = "resume", value_name = "FILE", conflicts_with = "to")]
    pub resume_file: Option<PathBuf>,

    /// With --resume: answer items again whose line there has an `error`; these lines are taken out first
    #[arg(long, requires = "resume_file")]
    pub retry_failed: bool,

    /// Write each result when it is there, not in the order of the items
    #[arg(long)]
    pub as_done: bool,

    /// Answer so many items side by side, 1 to 64; `auto` takes as many as are the fastest on this machine
    #[arg(long, value_name = "N|auto", default_value = "auto", value_parser = parallel)]
    pub parallel: Parallel,

    #[command(flatten)]
    pub settings: Settings,
}

/// An option of a batch that was typed and would have no effect on it.
pub fn meaningless(matches: &ArgMatches) -> Option<String> {
    let of_batch = matches.subcommand_matches("batch")?;
    let typed = |name: &&&str| of_batch.value_source(name) == Some(ValueSource::CommandLine);
    // A batch may have to download its model.
    let name = MEANINGLESS.iter().filter(|name| **name != "limit_rate").find(typed)?;
    Some(if *name == "output" { "--form".into() } else { format!("--{}", name.replace('_', "-")) })
}

/// How many items are answered side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parallel {
    Auto,
    Lanes(u32),
}

impl Parallel {
    /// Where it is not said how many.
    const MOST: u32 = 32;

    pub fn lanes(self) -> Option<u32> {
        match self {
            Parallel::Auto => None,
            Parallel::Lanes(lanes) => Some(lanes),
        }
    }

    /// How many there may be.
    pub fn most(self) -> u32 {
        self.lanes().unwrap_or(Self::MOST)
    }
}

fn parallel(text: &str) -> Result<Parallel, String> {
    match text.parse() {
        _ if text == "auto" => Ok(Parallel::Auto),
        Ok(lanes @ 1..=64) => Ok(Parallel::Lanes(lanes)),
        _ => Err("it must be `auto` or a number between 1 and 64".into()),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::about_settings;

    /// A new setting of the screen has to be named above.
    #[test]
    fn no_option_of_a_batch_is_about_the_screen() {
        let definition = crate::cli::definition();
        let batch = definition.find_subcommand("batch").unwrap();
        let of_program =
            about_settings().iter().filter(|about| about.group == "Program").map(|about| about.key.as_str());
        let is_shown = |key: &&str| {
            batch.get_arguments().any(|argument| argument.get_id().as_str() == *key && !argument.is_hide_set())
        };
        let shown: Vec<&str> = of_program.filter(is_shown).collect();
        assert_eq!(shown, ["logprobs", "private", "offline", "quiet", "verbose"]);
    }
}
