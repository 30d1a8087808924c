//! The command line: exactly what was typed. What it means together with the file and the environment is
//! [`crate::config`]'s business.

mod batch;
mod bench;
mod chats;
mod engines;
mod habits;
pub mod mistakes;
mod models;
pub mod unread;

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use batch::{BatchCommand, Parallel};
pub use bench::{BenchCommand, RunsCommand, Suite, Telling, Tokens};
pub use chats::{ChatsCommand, Form};
pub use engines::EnginesCommand;
pub use models::ModelsCommand;

use crate::config::Settings;
use crate::engine::protocol::Think;
use crate::prompts::Variable;
use crate::store::ChatId;

/// A paragraph is one line, which the parser breaks as wide as the terminal is; what is indented must not be broken.
const EXAMPLES: &str = "\
Examples:
  tuichat                                        chat
  tuichat --resume                               go on with the last chat
  tuichat -p 'Why is the sky blue?'              one answer, on stdout
  git diff | tuichat -p 'Describe this change'   the prompt, then what is piped
  tuichat -p 'Sum this up' --file paper.pdf      a file, then the prompt
  tuichat -p 'And shorter?' --continue           in the last chat

`tuichat help options` lists all options. Each from --model on is also a key of config.toml (--top-k: top_k) and an environment variable (TUICHAT_TOP_K). Of an option that is typed twice the last one counts, unless it is repeatable. `tuichat help COMMAND` explains a command, `tuichat help OPTION` an option, `tuichat help TOPIC` one of these topics: scripting, schema, extract, prompts, kv, speculation, models, engines, chats, config, exit-codes, keys";

/// The options that `tuichat --help` shows; `tuichat help options` has all.
const COMMON: [&str; 20] = [
    "prompt",
    "prompt_name",
    "variables",
    "files",
    "resume",
    "continues",
    "model",
    "engine",
    "system",
    "output",
    "extract",
    "schema",
    "temp",
    "max_tokens",
    "seed",
    "think",
    "cache_prompt",
    "private",
    "offline",
    "quiet",
];

const COMPLETIONS: &str = "\
To have it in every shell (in zsh, behind the line with compinit; in PowerShell, as a line of the file $PROFILE):
  bash  echo 'source <(tuichat completions bash)' >> ~/.bashrc
  zsh   echo 'source <(tuichat completions zsh)' >> ~/.zshrc
  fish  tuichat completions fish > ~/.config/fish/completions/tuichat.fish
  pwsh  tuichat completions powershell | Out-String | Invoke-Expression";

/// Talk to language models that run on your own machine
#[derive(Parser, Clone, Debug, PartialEq)]
#[command(name = "tuichat", version, after_help = EXAMPLES, max_term_width = 110, disable_help_subcommand = true,
          args_override_self = true)]
pub struct Arguments {
    #[command(flatten)]
    pub talk: Talk,
    #[command(flatten)]
    pub settings: Settings,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What is said this time only, and so is no setting.
#[derive(clap::Args, Clone, Debug, Default, PartialEq)]
pub struct Talk {
    /// Answer TEXT on stdout and leave; `-` reads it from stdin, and what is piped in comes after it
    #[arg(short, long, value_name = "TEXT|-", allow_hyphen_values = true)]
    pub prompt: Option<String>,

    /// Answer a text that has a name: one of yours (`NAME.md` in the folder `prompts` beside config.toml), or one that
    /// comes along; what -p says follows it
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub prompt_name: Option<String>,

    /// Put TEXT where the text of --prompt-name says {{NAME}} (repeatable)
    #[arg(long = "var", value_name = "NAME=TEXT", requires = "prompt_name")]
    pub variables: Vec<Variable>,

    /// Put a file's text before the prompt (repeatable): text, code, HTML, PDF, a folder or 'src/**/*.rs'; `-` is what is
    /// piped in
    #[arg(long = "file", value_name = "PATH", num_args = 1..)]
    pub files: Vec<PathBuf>,

    /// Go on with a chat: the last one, or that with this ID
    #[arg(long, value_name = "ID|last", num_args = 0..=1, default_missing_value = "last",
          conflicts_with_all = ["prompt", "prompt_name", "files", "private"])]
    pub resume: Option<ChatName>,

    /// Go on with a saved chat, the last one or that with this ID: -p is asked and answered in it
    #[arg(long = "continue", value_name = "ID", num_args = 0..=1, default_missing_value = "last",
          conflicts_with_all = ["resume", "private"])]
    pub continues: Option<ChatName>,
}

/// A chat that is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatName {
    Last,
    Id(ChatId),
}

impl std::str::FromStr for ChatName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "last" => Ok(ChatName::Last),
            number => number.parse().map(ChatName::Id),
        }
    }
}

#[derive(Subcommand, Clone, Debug, PartialEq)]
pub enum Command {
    Batch(Box<BatchCommand>),
    /// Get models, and see which there are
    #[command(subcommand)]
    Models(ModelsCommand),
    /// See the servers that can answer instead of this program, and try one
    #[command(subcommand)]
    Engines(EnginesCommand),
    /// See earlier chats, search them, and put them in order
    #[command(subcommand)]
    Chats(ChatsCommand),
    /// See the settings and where they come from
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Measure models on this machine
    Bench(Box<BenchCommand>),
    /// Look at this machine, the settings and the files, and say what is wrong and what to do
    Doctor {
        /// One JSON object instead of a page
        #[arg(long)]
        json: bool,
    },
    /// See what happens inside
    #[command(subcommand)]
    Debug(DebugCommand),
    /// Print the script that lets a shell complete commands and names of models
    #[command(after_help = COMPLETIONS)]
    Completions {
        shell: Shell,
    },
    /// Print a manual page, for `man -l`: of the program and all its commands, or of one command
    Man {
        /// A command: `models`, `models pull`
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
        /// Write a page for the program and for each command into this folder instead
        #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
        out: Option<PathBuf>,
    },
    /// Explain a command, an option, a setting or a topic, with examples
    Help {
        #[arg(value_name = "COMMAND|OPTION|TOPIC")]
        words: Vec<String>,
    },
    /// Load a model file that was never loaded: what the program runs in a child before it does so itself
    #[command(name = crate::engine::probe::COMMAND, hide = true)]
    Probe {
        file: Option<PathBuf>,
        /// On this device instead of the CPU
        #[arg(long)]
        on: Option<String>,
    },
    /// Make text of what comes through stdin: what the program runs in a child before it attaches it
    #[command(name = crate::documents::CHILD_COMMAND, hide = true)]
    Read {
        format: crate::documents::Format,
    },
}

/// A shell that can complete.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    #[value(name = "powershell", alias = "pwsh")]
    PowerShell,
}

impl Shell {
    /// The name of its program.
    pub fn name(self) -> &'static str {
        match self {
            Shell::Bash => "bash",
            Shell::Zsh => "zsh",
            Shell::Fish => "fish",
            Shell::PowerShell => "powershell",
        }
    }
}

#[derive(Subcommand, Clone, Debug, PartialEq, Eq)]
pub enum ConfigCommand {
    /// Print where config.toml is
    Path,
    /// Print the settings in force, those of this command line included, and where each is from
    Show,
    /// Print a commented config.toml with every setting
    PrintSample,
    /// Print what a setting is
    Get {
        /// As config.toml spells it, or as the option
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Change a setting in config.toml; its comments and everything else stay as they are
    Set {
        /// As config.toml spells it, or as the option
        #[arg(value_name = "NAME")]
        name: String,
        /// As for the option; several texts with commas between
        #[arg(value_name = "VALUE", allow_hyphen_values = true)]
        value: String,
    },
    /// Take a setting of config.toml back to its default
    Unset {
        /// As config.toml spells it, or as the option
        #[arg(value_name = "NAME")]
        name: String,
    },
}

#[derive(Subcommand, Clone, Debug, PartialEq)]
pub enum DebugCommand {
    /// Print what the model would see of a conversation, as JSON
    Prompt {
        /// A JSON array of messages: [{"role": "user", "content": "…"}]; `-` reads it from stdin
        #[arg(long, value_name = "FILE|-")]
        messages: PathBuf,
        /// With the template and the tokens of this model
        #[arg(short, long, value_name = "NAME|PATH")]
        model: Option<String>,
        /// With this Jinja template, without tokens
        #[arg(long, value_name = "FILE", conflicts_with = "model")]
        template: Option<PathBuf>,
        /// With the template told whether to think
        #[arg(long, value_name = "on|off|N|auto")]
        think: Option<Think>,
    },
}

/// The command line as clap knows it. `--help` shows its common options.
pub fn definition() -> clap::Command {
    let help = Arg::new("help").short('h').long("help").action(ArgAction::HelpShort);
    let help = help.help("Print this; `tuichat help options` has the other options");
    let definition = Arguments::command().mut_args(|argument| {
        // What every subcommand takes is few enough to be shown.
        let is_shown = COMMON.contains(&argument.get_id().as_str()) || argument.is_global_set();
        if is_shown { argument } else { argument.hide_short_help(true) }
    });
    definition.disable_help_flag(true).arg(help.global(true))
}

/// The command of this command line that the words name, knowing the names it has behind them.
pub fn command_named<'a>(
    mut command: clap::Command,
    words: impl IntoIterator<Item = &'a str>,
) -> Option<clap::Command> {
    command.build();
    for word in words {
        command = command.find_subcommand(word).filter(|found| !found.is_hide_set())?.clone();
    }
    Some(command)
}

/// What `help` is to explain may look like an option.
fn explained(mut line: Vec<std::ffi::OsString>) -> Vec<std::ffi::OsString> {
    let asks_for_help = |word: &std::ffi::OsString| word == "-h" || word == "--help";
    if line.get(1).is_some_and(|word| word == "help") && !line.iter().any(asks_for_help) {
        line.insert(2, "--".into());
    }
    line
}

impl Arguments {
    /// Reads the command line, beginning with the program's name.
    ///
    /// # Errors
    /// What clap has to say: a mistake, or help and version, which were asked for.
    pub fn read<I, T>(line: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        let line: Vec<std::ffi::OsString> = line.into_iter().map(Into::into).collect();
        if let Some(option) = unread::instead_of_prompt(&line) {
            let sentence = format!("`-p` has no prompt: `{option}` is an option");
            return Err(definition().error(ErrorKind::TooFewValues, sentence));
        }
        let matches = definition().try_get_matches_from(explained(line))?;
        let arguments = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut definition()))?;
        let shows_settings =
            matches!(arguments.command, Some(Command::Config(ConfigCommand::Show) | Command::Doctor { .. }));
        let talks = arguments.talk != Talk::default();
        let sets = arguments.settings.concern_an_answer() && !shows_settings;
        if arguments.command.is_some() && (talks || sets) {
            let sentence =
                "the options before the subcommand are for chats and answers, and would have no effect on it";
            return Err(definition().error(ErrorKind::ArgumentConflict, sentence));
        }
        if let Some(option) = batch::meaningless(&matches) {
            let sentence = format!("`{option}` has no effect on a batch");
            return Err(definition().error(ErrorKind::ArgumentConflict, sentence));
        }
        Ok(arguments)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::kv::{Part, Policy};
    use crate::config::Output;

    fn read(line: &str) -> Result<Arguments, String> {
        Arguments::read(format!("tuichat {line}").split_whitespace()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_definition_is_consistent() {
        definition().debug_assert();
        let shown = |name: &&str| definition().get_arguments().any(|argument| argument.get_id() == *name);
        assert!(COMMON.iter().all(shown), "a name of an option that is gone");
    }

    #[test]
    fn no_line_of_help_is_broken_twice() {
        let mut open = vec![definition()];
        open[0].build();
        while let Some(command) = open.pop() {
            let about = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines: Vec<&str> = about.lines().collect();
            for line in &lines {
                assert!(!line.starts_with(' ') || line.chars().count() < 80, "{}: {line}", command.get_name());
            }
            for pair in lines.windows(2) {
                let is_text = |line: &str| line.starts_with(char::is_alphanumeric) && !line.ends_with(':');
                assert!(!(is_text(pair[0]) && is_text(pair[1])), "{}: {pair:?}", command.get_name());
            }
            open.extend(command.get_subcommands().cloned());
        }
    }

    /// A line, and what it changes about one without words.
    type Line = (&'static str, fn(&mut Arguments));

    const LINES: &[Line] = &[
        ("", |_| {}),
        ("-p hi", |it| it.talk.prompt = Some("hi".into())),
        ("-p -", |it| it.talk.prompt = Some("-".into())),
        ("-p --hi", |it| it.talk.prompt = Some("--hi".into())),
        ("--file a b -p hi", |it| {
            it.talk.files = vec!["a".into(), "b".into()];
            it.talk.prompt = Some("hi".into());
        }),
        ("--file a --file b", |it| it.talk.files = vec!["a".into(), "b".into()]),
        ("--prompt-name mail --var to=me --var tone=-x", |it| {
            it.talk.prompt_name = Some("mail".into());
            it.talk.variables = vec!["to=me".parse().unwrap(), "tone=-x".parse().unwrap()];
        }),
        ("--resume", |it| it.talk.resume = Some(ChatName::Last)),
        ("--resume 12", |it| it.talk.resume = Some(ChatName::Id(ChatId(12)))),
        ("-p hi --continue", |it| {
            it.talk.prompt = Some("hi".into());
            it.talk.continues = Some(ChatName::Last);
        }),
        ("--continue 3 --cache-prompt --logprobs 5", |it| {
            it.talk.continues = Some(ChatName::Id(ChatId(3)));
            it.settings.cache_prompt = Some(true);
            it.settings.logprobs = "5".parse().ok();
        }),
        ("--engine scripted:x", |it| it.settings.engine = Some("scripted:x".parse().unwrap())),
        ("-o ndjson", |it| it.settings.output = Some(Output::Ndjson)),
        ("--temp 0 --seed auto", |it| {
            it.settings.temp = "0".parse().ok();
            it.settings.seed = "auto".parse().ok();
        }),
        ("--stop a --stop -b", |it| it.settings.stop = Some(vec!["a".into(), "-b".into()])),
        ("-p a --temp 0 --quiet -p b --temp 1 --quiet=no", |it| {
            it.talk.prompt = Some("b".into());
            it.settings.temp = "1".parse().ok();
            it.settings.quiet = Some(false);
        }),
        ("--no-recall --recall on --recall off", |it| it.settings.recall = Some(false)),
        ("--model-folders a:b --model-folders c", |it| {
            it.settings.model_folders = Some(vec!["a".into(), "b".into(), "c".into()]);
        }),
        ("models list --limit-rate 1M --limit-rate 2M", |it| {
            it.settings.limit_rate = "2M".parse().ok();
            it.command = read("models list").unwrap().command;
        }),
        ("--think 500", |it| it.settings.think = Some(Think::Budget(500))),
        ("--private", |it| it.settings.private = Some(true)),
        ("--private=no", |it| it.settings.private = Some(false)),
        ("models pull --offline", |it| {
            it.settings.offline = Some(true);
            it.command = Some(Command::Models(ModelsCommand::Pull { reference: None }));
        }),
        ("help --file", |it| it.command = Some(Command::Help { words: vec!["--file".into()] })),
        ("help -p", |it| it.command = Some(Command::Help { words: vec!["-p".into()] })),
        ("help batch --quiet", |it| {
            it.command = Some(Command::Help { words: vec!["batch".into(), "--quiet".into()] });
        }),
        ("help", |it| it.command = Some(Command::Help { words: Vec::new() })),
        ("chats show 3 --json", |it| {
            let form = Form { json: true, output: None };
            it.command = Some(Command::Chats(ChatsCommand::Show { id: ChatName::Id(ChatId(3)), form }))
        }),
        ("bench a b --suite kv --budgets 50,12.5 --lengths 1k,2000 --policies none,q8_0 --only needle --json", |it| {
            it.command = Some(Command::Bench(Box::new(BenchCommand {
                runs: None,
                continues: None,
                telling: Telling::default(),
                compare: None,
                no_live: false,
                private: false,
                models: vec!["a".into(), "b".into()],
                suite: Suite::Kv,
                seed: 1,
                cases: None,
                policies: vec![Policy::Full, Policy::Q8],
                budgets: vec!["50".parse().unwrap(), "12.5".parse().unwrap()],
                lengths: vec![Tokens(1024), Tokens(2000)],
                depths: Vec::new(),
                only: vec![Part::Needle],
                json: true,
                svg: None,
                threads: None,
                cores: Vec::new(),
                dry_run: false,
                tune: false,
                exhaustive: false,
                ways: Vec::new(),
                tasks: Vec::new(),
                fuzzy: Vec::new(),
                rounds: None,
                power: None,
                power_csv: None,
                cool_down: None,
                minutes: None,
                peers: Vec::new(),
                engine: None,
                formats: Vec::new(),
                draft_model: None,
            })));
        }),
        ("--top-k 1 config show", |it| {
            it.settings.top_k = Some(1);
            it.command = Some(Command::Config(ConfigCommand::Show));
        }),
    ];

    #[test]
    fn a_command_line_is_read_or_refused() {
        for (line, change) in LINES {
            let mut expected = Arguments { talk: Talk::default(), settings: Settings::default(), command: None };
            change(&mut expected);
            assert_eq!(read(line).as_ref(), Ok(&expected), "{line}");
        }
    }

    #[test]
    fn a_mistake_is_named() {
        for (line, part) in [
            ("--temp 5.5", "5.5 is not between 0 and 5"),
            ("--top-p 2", "2 is not between 0 and 1"),
            ("--min-p NaN", "NaN is not between 0 and 1"),
            ("--repeat-penalty 0", "0 is not between 1 and 5"),
            ("--top-k -1", "-1 is not in 0..=4294967295"),
            ("--seed 4294967296", "between 0 and 4294967295"),
            ("--max-tokens 0", "between 1 and"),
            ("--think hard", "it must be `auto`, `on`, `off` or a number of tokens"),
            ("--ctx 5", "between 64 and"),
            ("--threads 0", "between 1 and 512"),
            ("--device tpu", "[possible values: auto, cpu, metal, cuda, vulkan]"),
            ("-p x --var a=b", "--prompt-name <NAME>"),
            ("--prompt-name x --var stdin=b", "`stdin` is what is piped in"),
            ("--extract a/b", "it must be `code`, `json`, or a language like `python`"),
            ("-o xml", "[possible values: text, json, ndjson]"),
            ("--engine localhost:8080", "an address like `http://localhost:8080`"),
            ("--resume yesterday", "`yesterday` is not the number of a chat"),
            ("--resume 3 -p hi", "cannot be used with"),
            ("--resume 3 --private", "cannot be used with"),
            ("-p hi --continue --private", "cannot be used with"),
            ("--resume --continue", "cannot be used with"),
            ("--continue yesterday", "`yesterday` is not the number of a chat"),
            ("--logprobs 21", "between 0 and 20"),
            ("--temp 0 models list", "before the subcommand"),
            ("-p hi chats list", "before the subcommand"),
            ("chats show x", "`x` is not the number of a chat"),
            ("bench --suite x", "[possible values: quick, depth, threads, sbc, cold, quant, soak, fit, kv, spec]"),
            ("bench --power wall", "it must be `auto`, `none`, or `cmd:`"),
            ("bench --budgets 50,101", "a budget is a number of percent between 0.1 and 100"),
            ("bench --lengths 100", "between 1024 and 65536"),
            ("bench --depths 4x", "or thousands like 4k"),
            ("bench --policies q3_k", "[possible values: none, q8_0"),
            ("bench --cases 0", "0 is not in 1..=100000"),
            ("bench --suite spec --ways on", "[possible values: off, auto, ngram, draft, auto+draft]"),
            ("hello", "unrecognized subcommand 'hello'"),
        ] {
            let error = read(line).expect_err(line);
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
