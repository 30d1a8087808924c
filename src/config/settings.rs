//! One layer of settings, as typed, set in the environment or written in `config.toml`: everything is optional.
//!
//! One rule names a setting everywhere: the flag `--top-k` is the key `top_k` of the file and the variable
//! `TUICHAT_TOP_K` of the environment.

use clap::ValueEnum;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use serde::de::{Error, IntoDeserializer};
use serde::{Deserialize, Deserializer, Serialize};

use super::engines::EngineName;
use super::extract::Extract;
use super::look::{Motion, Notify, Pieces, Status, StatusItem, ThemeName};
use super::value::{Auto, OrAuto, OrOff, Penalty, Probability, Room, Size, Temperature, UpTo};
use crate::engine::KvTypes;
use crate::engine::protocol::{DeviceChoice, Evict, Speculate, Think};

/// The form of a one-shot answer on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// The answer, as it is written
    #[default]
    Text,
    /// One object with the answer and what it cost
    Json,
    /// One object per line, as things happen; the last is that of json
    #[value(alias = "jsonl")]
    #[serde(alias = "jsonl")]
    Ndjson,
}

/// Whether to do something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    /// Where it is worth it
    #[default]
    Auto,
    /// Always
    On,
    /// Never
    Off,
}

impl<'de> Deserialize<'de> for Switch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match WordOrSwitch::deserialize(deserializer)? {
            WordOrSwitch::Word(word) if word == "auto" => Ok(Switch::Auto),
            other => other
                .is_on()
                .map(|is_on| if is_on { Switch::On } else { Switch::Off })
                .ok_or_else(|| D::Error::custom("it must be \"auto\", \"on\" or \"off\"")),
        }
    }
}

/// In the file, switches may be written as the words of the command line or as true and false.
#[derive(Deserialize)]
#[serde(untagged, expecting = "it must be \"on\" or \"off\"")]
enum WordOrSwitch {
    Switch(bool),
    Word(String),
}

impl WordOrSwitch {
    fn is_on(&self) -> Option<bool> {
        match self {
            WordOrSwitch::Switch(is_on) => Some(*is_on),
            WordOrSwitch::Word(word) => switch(word).ok(),
        }
    }
}

/// Whether this is how a switch is set.
pub fn is_switch(text: &str) -> bool {
    switch(text).is_ok()
}

/// A switch as it is typed.
fn switch(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "on" | "yes" | "y" | "true" | "t" | "1" => Ok(true),
        "off" | "no" | "n" | "false" | "f" | "0" => Ok(false),
        _ => Err("it must be `on` or `off`, or `yes` or `no`".into()),
    }
}

/// A switch as it is typed, or `auto`.
fn switch_or_auto(text: &str) -> Result<Switch, String> {
    match switch(text) {
        _ if text.eq_ignore_ascii_case("auto") => Ok(Switch::Auto),
        Ok(true) => Ok(Switch::On),
        Ok(false) => Ok(Switch::Off),
        Err(_) => Err("it must be `on`, `off` or `auto`".into()),
    }
}

fn on_or_off<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    let is_on = WordOrSwitch::deserialize(deserializer)?.is_on();
    is_on.map(Some).ok_or_else(|| D::Error::custom("it must be \"on\" or \"off\""))
}

/// What is set; `None` leaves it to the layer below.
#[derive(clap::Args, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The model to talk to: a name from `tuichat models list` (`MODEL@NAME` is one of a server), or a GGUF file's path
    #[arg(short, long, value_name = "NAME|PATH", value_parser = NonEmptyStringValueParser::new())]
    pub model: Option<String>,

    /// What answers: `llama` is this program, and NAME or URL a server that speaks OpenAI's protocol
    #[arg(long, value_name = "NAME|URL")]
    pub engine: Option<EngineName>,

    /// Look for models in this folder, too (repeatable, or with `:` between): they are used where they are
    #[arg(long, alias = "model-folder", global = true, value_name = "PATH", value_delimiter = ':')]
    pub model_folders: Option<Vec<String>>,

    /// What the model is told before the conversation; @FILE reads it from a file, off tells nothing
    #[arg(long, value_name = "TEXT|@FILE", allow_hyphen_values = true)]
    pub system: Option<String>,

    /// The form of the answer to -p
    #[arg(short, long, value_enum, value_name = "FORM")]
    pub output: Option<Output>,

    /// Print only the first part of the answer to -p that is this: a code block, one in a language, or a JSON value
    #[arg(long, value_name = "code|json|LANGUAGE")]
    pub extract: Option<OrOff<Extract>>,

    /// Tell for each token of the answer how likely it was, and the N likeliest ones, up to 20; with -o json or ndjson, and in a batch
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub logprobs: Option<UpTo<20>>,

    /// Randomness, 0 to 5; 0 always takes the most probable token [default: 0.8]
    #[arg(long, value_name = "T", allow_negative_numbers = true, help_heading = "Sampling")]
    pub temp: Option<Temperature>,

    /// Choose among the K most probable tokens; 0 for all [default: 40]
    #[arg(long, value_name = "K", allow_negative_numbers = true, help_heading = "Sampling")]
    pub top_k: Option<u32>,

    /// Choose among the most probable tokens that reach P together, 0 to 1; 1 for all [default: 0.95]
    #[arg(long, value_name = "P", allow_negative_numbers = true, help_heading = "Sampling")]
    pub top_p: Option<Probability>,

    /// Choose among tokens at least P times as probable as the best, 0 to 1; 0 for all [default: 0.05]
    #[arg(long, value_name = "P", allow_negative_numbers = true, help_heading = "Sampling")]
    pub min_p: Option<Probability>,

    /// Make tokens of the last 64 less probable, 1 to 5; 1 is off [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Sampling")]
    pub repeat_penalty: Option<Penalty>,

    /// Same seed, same answer; `auto` draws one for each answer
    #[arg(long, value_name = "N|auto", allow_negative_numbers = true, help_heading = "Sampling")]
    pub seed: Option<Auto<0, { u32::MAX }>>,

    /// End the answer after N tokens; `auto` when the model does
    #[arg(long, value_name = "N|auto", allow_negative_numbers = true, help_heading = "Sampling")]
    pub max_tokens: Option<Auto<1, { u32::MAX }>>,

    /// End the answer before this text (repeatable)
    #[arg(long, value_name = "TEXT", help_heading = "Sampling", allow_hyphen_values = true,
          value_parser = NonEmptyStringValueParser::new())]
    pub stop: Option<Vec<String>>,

    /// Hold the answer to a JSON schema: a file, the schema itself, or its short form 'name, age int, tags [str]'
    #[arg(long, value_name = "FILE|JSON|FIELDS|off", help_heading = "Sampling", value_parser = NonEmptyStringValueParser::new())]
    pub schema: Option<String>,

    /// Hold the answer to a grammar in llama.cpp's GBNF: a file, or the grammar itself 'root ::= "yes" | "no"'
    #[arg(long, value_name = "FILE|GRAMMAR|off", help_heading = "Sampling", value_parser = NonEmptyStringValueParser::new())]
    pub grammar: Option<String>,

    /// Whether a reasoning model thinks before it answers, or how many tokens long; `auto` leaves it to the model
    #[arg(long, value_name = "on|off|N|auto", allow_negative_numbers = true, help_heading = "Sampling")]
    pub think: Option<Think>,

    /// End an answer that repeats itself [default: on]
    #[arg(long, value_name = "on|off", value_parser = switch, hide_possible_values = true,
          help_heading = "Sampling")]
    #[serde(deserialize_with = "on_or_off")]
    pub loop_breaker: Option<bool>,

    /// Tokens the conversation may have; `auto` decides from the model and the memory
    #[arg(long, value_name = "N|auto", allow_negative_numbers = true, help_heading = "Machine")]
    pub ctx: Option<Auto<64, 16_777_216>>,

    /// Threads that compute; `auto` takes the fast cores, one thread on each, or what was the fastest when tried
    #[arg(long, value_name = "N|auto", allow_negative_numbers = true, help_heading = "Machine")]
    pub threads: Option<Auto<1, 512>>,

    /// Where the model runs; `vulkan:1` is the second of several such devices, `rpc:HOST:PORT` a server of llama.cpp's RPC
    /// (several with commas between)
    #[arg(long, value_name = "DEVICE", help_heading = "Machine", value_parser = device_parser())]
    pub device: Option<DeviceChoice>,

    /// Layers of the model on the graphics processor
    #[arg(long, value_name = "N|auto", allow_negative_numbers = true, help_heading = "Machine")]
    pub gpu_layers: Option<Auto<0, 10_000>>,

    /// Copy weights in the order that the processor's kernels want: answers are faster, loading takes longer, and on x86
    /// prompts do [default: auto]
    #[arg(long, value_enum, value_name = "auto|on|off", hide_possible_values = true, help_heading = "Machine")]
    pub repack: Option<Switch>,

    /// Number format of the KV cache: f16, q8_0, q5_1, q5_0, q4_1, q4_0 or iq4_nl, or two for keys and values; `auto`
    /// takes a smaller one than f16 only for want of memory, and if the model bears it [default: auto]
    #[arg(long, value_name = "TYPE|K/V|auto", help_heading = "Machine")]
    pub kv: Option<OrAuto<KvTypes>>,

    /// Memory of the KV cache (256M, 1G), which decides how many tokens it holds, or refuses a `--ctx` that takes more;
    /// `auto`: up to a quarter of what is free [default: auto]
    #[arg(long, value_name = "SIZE|auto", allow_negative_numbers = true, help_heading = "Machine")]
    pub kv_mem: Option<OrAuto<Size>>,

    /// What leaves a full KV cache: nothing (off), all but the beginning and what is recent
    /// (window), or what matters least (score); `auto`: the last of these that the model can [default: auto]
    #[arg(long, value_name = "auto|off|window|score", hide_possible_values = true, help_heading = "Machine",
          value_parser = evict_parser())]
    pub kv_evict: Option<Evict>,

    /// Bring text back that has left the KV cache, where a message seems to be about it [default: on]
    #[arg(long, value_name = "on|off", value_parser = switch, hide_possible_values = true,
          help_heading = "Machine")]
    #[serde(deserialize_with = "on_or_off")]
    pub recall: Option<bool>,

    /// The same as --recall=off
    #[arg(long, overrides_with = "recall", help_heading = "Machine")]
    #[serde(skip)]
    pub no_recall: bool,

    /// Refuse a model that has no room in memory; `off` lets it be read from the disk for every token [default: on]
    #[arg(long, value_name = "on|off", value_parser = switch, hide_possible_values = true,
          help_heading = "Machine")]
    #[serde(deserialize_with = "on_or_off")]
    pub memory_check: Option<bool>,

    /// Let what computes with a model write to tuichat's cache only and speak to nobody, where the system can see to it
    /// (Linux) [default: on]
    #[arg(long, value_name = "on|off", value_parser = switch, hide_possible_values = true,
          help_heading = "Machine")]
    #[serde(deserialize_with = "on_or_off")]
    pub sandbox: Option<bool>,

    /// Let `--device rpc:HOST:PORT` name other machines: nothing is encrypted on the way, and nobody is asked who they
    /// are [default: off]
    #[arg(long, value_name = "on|off", value_parser = switch, hide_possible_values = true, hide_short_help = true,
          help_heading = "Machine")]
    #[serde(deserialize_with = "on_or_off")]
    pub rpc_network: Option<bool>,

    /// Guess tokens and compute several at once: from what was said before (ngram), by a smaller model (draft), or not
    /// at all; `auto`: where it is faster [default: auto]
    #[arg(long, value_name = "auto|off|ngram|draft", hide_possible_values = true, help_heading = "Machine",
          value_parser = speculate_parser())]
    pub spec: Option<Speculate>,

    /// The smaller model that guesses; it must have the same vocabulary
    #[arg(long, value_name = "NAME|PATH", help_heading = "Machine", value_parser = NonEmptyStringValueParser::new())]
    pub draft_model: Option<String>,

    /// Most tokens that are guessed at once [default: auto, up to 31]
    #[arg(long, value_name = "N|auto", allow_negative_numbers = true, help_heading = "Machine")]
    pub spec_max: Option<Auto<1, 63>>,

    /// Take guesses that the model finds nearly as good as its own choice, 0 to 1; 0 takes no others [default: 0]
    #[arg(long, value_name = "F", allow_negative_numbers = true, help_heading = "Machine")]
    pub spec_fuzzy: Option<Probability>,

    /// Compute a message while it is being written; `auto`: not on a battery that is nearly empty
    #[arg(long, value_enum, value_name = "auto|on|off", hide_possible_values = true, help_heading = "Machine")]
    pub prefill_while_typing: Option<Switch>,

    /// Disk for what was computed of chats, so that a chat goes on at once; `auto`: up to 4G or a tenth of the free
    /// space, where reading is faster than computing
    #[arg(long, value_name = "SIZE|auto|off", help_heading = "Machine")]
    pub snapshots: Option<Room>,

    /// Keep what was computed of the system prompt and of what --file puts before the prompt, so that the next -p with
    /// the same begins at once
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "yes|no",
          value_parser = switch, hide_possible_values = true, help_heading = "Machine")]
    #[serde(deserialize_with = "on_or_off")]
    pub cache_prompt: Option<bool>,

    /// Write nothing to disk: no chat, no log
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "yes|no",
          value_parser = switch, hide_possible_values = true)]
    #[serde(deserialize_with = "on_or_off")]
    pub private: Option<bool>,

    /// Use no network
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "yes|no", value_parser = switch, hide_possible_values = true)]
    #[serde(deserialize_with = "on_or_off")]
    pub offline: Option<bool>,

    /// Edit messages with the keys of vi
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "yes|no",
          value_parser = switch, hide_possible_values = true)]
    #[serde(deserialize_with = "on_or_off")]
    pub vi_keys: Option<bool>,

    /// Chat in a few lines at the bottom of the screen, which leave what was said in the terminal's scrollback
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "yes|no",
          value_parser = switch, hide_possible_values = true)]
    #[serde(deserialize_with = "on_or_off")]
    pub inline: Option<bool>,

    /// Chat in plain lines, for screen readers and dumb terminals; `auto`: where ACCESSIBLE is set or TERM is dumb
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "on", value_name = "on|off|auto",
          value_parser = switch_or_auto, hide_possible_values = true)]
    pub plain: Option<Switch>,

    /// What plain lines say beside answers: all that is done, that it begins and ends, or nothing [default: full]
    #[arg(long, value_enum, value_name = "full|brief|off", hide_possible_values = true, hide_short_help = true)]
    pub plain_status: Option<Status>,

    /// How much of an answer plain lines say at once [default: sentences]
    #[arg(long, value_enum, value_name = "sentences|words|lines", hide_possible_values = true, hide_short_help = true)]
    pub plain_pieces: Option<Pieces>,

    /// Take the wheel of the mouse to scroll; `off` leaves the mouse to the terminal [default: on]
    #[arg(long, value_name = "on|off", value_parser = switch, hide_possible_values = true, hide_short_help = true)]
    #[serde(deserialize_with = "on_or_off")]
    pub mouse: Option<bool>,

    /// Name the window after the chat [default: on]
    #[arg(long, value_name = "on|off", value_parser = switch, hide_possible_values = true, hide_short_help = true)]
    #[serde(deserialize_with = "on_or_off")]
    pub title: Option<bool>,

    /// How to tell that an answer is done while the window has no focus; `auto`: as the terminal is known to, else by
    /// the bell
    #[arg(
        long,
        value_enum,
        value_name = "auto|bell|osc9|osc777|off",
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub notify: Option<Notify>,

    /// Draw with ASCII characters only; `auto`: where the locale is not UTF-8
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "on", value_name = "on|off|auto",
          value_parser = switch_or_auto, hide_possible_values = true, hide_short_help = true)]
    pub ascii: Option<Switch>,

    /// Draw frames round what lies over the chat, and rules [default: on]
    #[arg(long, value_name = "on|off", value_parser = switch, hide_possible_values = true, hide_short_help = true)]
    #[serde(deserialize_with = "on_or_off")]
    pub borders: Option<bool>,

    /// How much moves on the screen: with `reduced`, an answer grows twice a second; `auto`: where NO_MOTION or
    /// REDUCED_MOTION is set
    #[arg(long, value_enum, value_name = "auto|full|reduced", hide_possible_values = true, hide_short_help = true)]
    pub motion: Option<Motion>,

    /// Draw less often, to spare the battery; `auto`: while one is in use
    #[arg(long, value_enum, value_name = "auto|on|off", hide_possible_values = true, hide_short_help = true)]
    pub save_power: Option<Switch>,

    /// What the status line shows, in this order, with commas between: model, device, speed, first-token, speculation,
    /// cost, context, temperature, throttling, battery; or `none`
    #[arg(
        long,
        value_enum,
        value_name = "ITEMS",
        value_delimiter = ',',
        hide_possible_values = true,
        hide_short_help = true
    )]
    pub status: Option<Vec<StatusItem>>,

    /// Show pictures that are attached to messages, in terminals that are known to; `auto`: not over SSH
    #[arg(long, value_enum, value_name = "auto|on|off", hide_possible_values = true)]
    pub images: Option<Switch>,

    /// Colours of the chat: light, dark, mono, or another that /theme lists; `auto`: those chosen last with /theme,
    /// else what suits the terminal
    #[arg(long, value_name = "auto|NAME")]
    pub theme: Option<ThemeName>,

    /// Download no faster than this a second (500K, 2M) [default: off]
    #[arg(long, global = true, value_name = "SIZE|off", allow_negative_numbers = true, hide_short_help = true)]
    pub limit_rate: Option<OrOff<Size>>,

    /// Say nothing on stderr but errors
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "yes|no", value_parser = switch, hide_possible_values = true)]
    #[serde(deserialize_with = "on_or_off")]
    pub quiet: Option<bool>,

    /// Write more into the log file, and say how fast an answer (what its start went into) or a batch was
    #[arg(long, global = true, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          value_name = "yes|no", value_parser = switch, hide_possible_values = true)]
    #[serde(deserialize_with = "on_or_off")]
    pub verbose: Option<bool>,
}

fn device_parser() -> impl TypedValueParser<Value = DeviceChoice> {
    DeviceParser
}

/// Takes a number behind a word; the words are what is completed.
#[derive(Clone)]
struct DeviceParser;

impl TypedValueParser for DeviceParser {
    type Value = DeviceChoice;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<DeviceChoice, clap::Error> {
        let parse = str::parse::<DeviceChoice>;
        let is_numbered = value.to_str().is_some_and(|text| text.contains(':') || text == "rpc");
        if is_numbered {
            return TypedValueParser::parse_ref(&parse, command, argument, value);
        }
        PossibleValuesParser::new(DeviceChoice::WORDS)
            .try_map(|word| word.parse::<DeviceChoice>())
            .parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = clap::builder::PossibleValue> + '_>> {
        Some(Box::new(DeviceChoice::WORDS.into_iter().map(Into::into)))
    }
}

fn evict_parser() -> impl TypedValueParser<Value = Evict> {
    PossibleValuesParser::new(["auto", "off", "window", "score"]).try_map(|word| {
        Evict::deserialize(IntoDeserializer::<serde::de::value::Error>::into_deserializer(word.as_str()))
    })
}

fn speculate_parser() -> impl TypedValueParser<Value = Speculate> {
    PossibleValuesParser::new(Speculate::WORDS).try_map(|word| word.parse::<Speculate>())
}

impl Settings {
    /// This layer over `lower`: what is set here wins.
    pub fn over(self, lower: Self) -> Self {
        Self {
            model: self.model.or(lower.model),
            engine: self.engine.or(lower.engine),
            model_folders: self.model_folders.or(lower.model_folders),
            system: self.system.or(lower.system),
            output: self.output.or(lower.output),
            logprobs: self.logprobs.or(lower.logprobs),
            extract: self.extract.or(lower.extract),
            temp: self.temp.or(lower.temp),
            top_k: self.top_k.or(lower.top_k),
            top_p: self.top_p.or(lower.top_p),
            min_p: self.min_p.or(lower.min_p),
            repeat_penalty: self.repeat_penalty.or(lower.repeat_penalty),
            seed: self.seed.or(lower.seed),
            max_tokens: self.max_tokens.or(lower.max_tokens),
            stop: self.stop.or(lower.stop),
            schema: self.schema.or(lower.schema),
            grammar: self.grammar.or(lower.grammar),
            think: self.think.or(lower.think),
            loop_breaker: self.loop_breaker.or(lower.loop_breaker),
            ctx: self.ctx.or(lower.ctx),
            threads: self.threads.or(lower.threads),
            device: self.device.or(lower.device),
            gpu_layers: self.gpu_layers.or(lower.gpu_layers),
            repack: self.repack.or(lower.repack),
            kv: self.kv.or(lower.kv),
            kv_mem: self.kv_mem.or(lower.kv_mem),
            kv_evict: self.kv_evict.or(lower.kv_evict),
            recall: self.no_recall.then_some(false).or(self.recall).or(lower.recall),
            no_recall: false,
            memory_check: self.memory_check.or(lower.memory_check),
            sandbox: self.sandbox.or(lower.sandbox),
            rpc_network: self.rpc_network.or(lower.rpc_network),
            spec: self.spec.or(lower.spec),
            draft_model: self.draft_model.or(lower.draft_model),
            spec_max: self.spec_max.or(lower.spec_max),
            spec_fuzzy: self.spec_fuzzy.or(lower.spec_fuzzy),
            prefill_while_typing: self.prefill_while_typing.or(lower.prefill_while_typing),
            snapshots: self.snapshots.or(lower.snapshots),
            cache_prompt: self.cache_prompt.or(lower.cache_prompt),
            private: self.private.or(lower.private),
            offline: self.offline.or(lower.offline),
            vi_keys: self.vi_keys.or(lower.vi_keys),
            inline: self.inline.or(lower.inline),
            plain: self.plain.or(lower.plain),
            plain_status: self.plain_status.or(lower.plain_status),
            plain_pieces: self.plain_pieces.or(lower.plain_pieces),
            mouse: self.mouse.or(lower.mouse),
            title: self.title.or(lower.title),
            notify: self.notify.or(lower.notify),
            ascii: self.ascii.or(lower.ascii),
            borders: self.borders.or(lower.borders),
            motion: self.motion.or(lower.motion),
            save_power: self.save_power.or(lower.save_power),
            status: self.status.or(lower.status),
            images: self.images.or(lower.images),
            theme: self.theme.or(lower.theme),
            limit_rate: self.limit_rate.or(lower.limit_rate),
            quiet: self.quiet.or(lower.quiet),
            verbose: self.verbose.or(lower.verbose),
        }
    }

    /// Whether anything is set beyond what every subcommand takes.
    pub fn concern_an_answer(&self) -> bool {
        let rest =
            Self { model_folders: None, offline: None, limit_rate: None, quiet: None, verbose: None, ..self.clone() };
        rest != Self::default()
    }

    /// The names of all settings, as `config.toml` spells them.
    pub fn keys() -> Vec<String> {
        match serde_json::to_value(Self::default()) {
            Ok(serde_json::Value::Object(fields)) => fields.into_iter().map(|(key, _)| key).collect(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_layer_wins_where_it_says_something() {
        let upper = Settings { top_k: Some(7), ..Settings::default() };
        let lower = Settings { top_k: Some(1), model: Some("m".into()), ..Settings::default() };
        let both = upper.over(lower);
        assert_eq!((both.top_k, both.model.as_deref()), (Some(7), Some("m")));
    }

    #[test]
    fn no_recall_is_recall_turned_off() {
        let typed = Settings { no_recall: true, ..Settings::default() };
        let lower = Settings { recall: Some(true), ..Settings::default() };
        assert_eq!(typed.over(lower), Settings { recall: Some(false), ..Settings::default() });
    }

    #[test]
    fn what_is_about_the_program_and_not_about_answers_is_for_every_subcommand() {
        assert!(!Settings { quiet: Some(true), ..Settings::default() }.concern_an_answer());
        assert!(!Settings { limit_rate: "2M".parse().ok(), ..Settings::default() }.concern_an_answer());
        assert!(Settings { top_k: Some(1), ..Settings::default() }.concern_an_answer());
    }
}
