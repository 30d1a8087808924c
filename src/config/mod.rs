//! What the program is to do, from four layers: defaults < `config.toml` < environment < command line. Where its
//! files are. Not what was typed: that is [`crate::cli`].

mod directories;
mod engines;
mod environment;
mod extract;
mod file;
mod forms;
mod kept;
mod layers;
mod look;
mod names;
mod refused;
mod settings;
mod standing;
mod table;
mod value;

use std::path::PathBuf;

use clap::ValueEnum;
pub use directories::Directories;
pub use engines::{Chosen, EngineName, Engines, KEY_VARIABLE};
pub use environment::variable as variable_of;
pub use extract::Extract;
#[cfg(fuzzing)]
pub use file::read_any;
pub use layers::Layers;
pub use look::{Motion, Notify, Pieces, Saying, Status, StatusItem, StatusLine, ThemeName};
pub use names::{OF_ANSWERS, is_strange, meant as setting_meant, unknown_variables};
pub use refused::why as why_refused;
pub use settings::{Output, Settings, Switch, is_switch};
pub use standing::{Changed, Origin, SettingsFile, Standing, unknown as unknown_setting};
pub use table::{About, about as about_setting, table as about_settings};
pub use value::{Auto, Penalty, Probability, Room, Temperature};

use crate::chat::Sampling;
use crate::engine::SnapshotSettings;
use crate::engine::probe::Probe;
use crate::engine::protocol::{
    Constraint, DeviceChoice, GenerateOptions, KvSettings, LoadSettings, Reach, SpeculationOptions,
};
use crate::models::Found;

/// The commented sample of `config.toml`.
pub const SAMPLE: &str = include_str!("../../assets/config.toml");

/// All settings, decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    pub model: Option<String>,
    /// What answers.
    pub engine: EngineName,
    /// Folders that models of others are in; one that begins with `~` is below the person's home.
    pub model_folders: Vec<PathBuf>,
    pub system: Option<String>,
    pub output: Output,
    /// The part of an answer to `-p` that goes to stdout.
    pub extract: Option<Extract>,
    pub generate: GenerateOptions,
    pub context: Option<u32>,
    pub threads: Option<u32>,
    /// Whether weights are copied in the order that kernels want; `None` lets the engine choose.
    pub repack: Option<bool>,
    pub device: DeviceChoice,
    pub gpu_layers: Option<u32>,
    pub kv: KvSettings,
    /// The model that guesses tokens, by name or path.
    /// Load models that have no room in memory.
    pub insists: bool,
    /// The engine may do what the program may.
    pub leaves_out_sandbox: bool,
    pub draft_model: Option<String>,
    /// When to compute ahead what is being written.
    pub prefill_while_typing: Switch,
    pub snapshots: Room,
    /// What prompts begin with is kept on disk.
    pub cache_prompt: bool,
    pub private: bool,
    pub offline: bool,
    /// Messages are edited with the keys of vi.
    pub vi_keys: bool,
    /// The chat has a few lines at the bottom of the screen.
    pub inline: bool,
    /// Whether the chat is in plain lines.
    pub plain: Switch,
    /// What is said there, and how.
    pub saying: Saying,
    /// Whether pictures are shown in the chat.
    pub images: Switch,
    /// The wheel of the mouse is the terminal's.
    pub leaves_mouse: bool,
    /// The window keeps its title.
    pub leaves_title: bool,
    /// How the end of an answer is told while the window has no focus.
    pub notify: Notify,
    /// Whether the chat is drawn with ASCII characters only.
    pub ascii: Switch,
    /// What lies over the chat has no frame.
    pub leaves_out_borders: bool,
    /// How much moves on the screen.
    pub motion: Motion,
    /// Whether less is drawn to spare the battery.
    pub save_power: Switch,
    /// What the status line shows.
    pub status: StatusLine,
    /// The colours of the chat.
    pub theme: ThemeName,
    /// Bytes a second that a download may bring.
    pub limit_rate: Option<u64>,
    pub quiet: bool,
    pub verbose: bool,
}

/// The form of an answer, where it has to be known although not all settings can be read.
pub fn form(
    directories: Option<&Directories>,
    environment: impl Fn(&str) -> Option<String>,
    typed: Option<Output>,
) -> Output {
    let variable = || Output::from_str(&environment("TUICHAT_OUTPUT")?, true).ok();
    let in_file = || file::read(&directories?.config_file()).ok()?.settings.output;
    typed.or_else(variable).or_else(in_file).unwrap_or_default()
}

/// Every setting at its default, as the sample shows them.
pub fn defaults() -> Settings {
    // The sample is part of the program, and a test reads it.
    file::parse(&uncommented_sample()).map(|read| read.settings).unwrap_or_default()
}

/// The sample with its settings switched on.
fn uncommented_sample() -> String {
    SAMPLE
        .lines()
        .flat_map(|line| [line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line), "\n"])
        .collect()
}
impl From<Settings> for Config {
    fn from(settings: Settings) -> Self {
        let (generate, kv, reach) = (settings.generate_options(), settings.kv_settings(), settings.reach());
        let folders = settings.model_folders.unwrap_or_default().into_iter().filter(|folder| !folder.is_empty());
        Self {
            model: settings.model.filter(|model| !model.is_empty()),
            engine: settings.engine.unwrap_or_default(),
            model_folders: folders.map(PathBuf::from).collect(),
            system: settings.system.filter(|system| !system.is_empty()),
            output: settings.output.unwrap_or_default(),
            extract: settings.extract.and_then(value::OrOff::chosen),
            generate,
            context: settings.ctx.and_then(value::Auto::number),
            threads: settings.threads.and_then(value::Auto::number),
            repack: match settings.repack.unwrap_or_default() {
                settings::Switch::Auto => None,
                settings::Switch::On => Some(true),
                settings::Switch::Off => Some(false),
            },
            device: settings.device.unwrap_or_default().within(reach),
            gpu_layers: settings.gpu_layers.and_then(value::Auto::number),
            kv,
            insists: !settings.memory_check.unwrap_or(true),
            leaves_out_sandbox: !settings.sandbox.unwrap_or(true),
            draft_model: settings.draft_model.filter(|model| !model.is_empty()),
            prefill_while_typing: settings.prefill_while_typing.unwrap_or_default(),
            snapshots: settings.snapshots.unwrap_or_default(),
            cache_prompt: settings.cache_prompt.unwrap_or_default(),
            private: settings.private.unwrap_or_default(),
            offline: settings.offline.unwrap_or_default(),
            vi_keys: settings.vi_keys.unwrap_or_default(),
            inline: settings.inline.unwrap_or_default(),
            plain: settings.plain.unwrap_or_default(),
            saying: Saying {
                status: settings.plain_status.unwrap_or_default(),
                pieces: settings.plain_pieces.unwrap_or_default(),
            },
            images: settings.images.unwrap_or_default(),
            leaves_mouse: !settings.mouse.unwrap_or(true),
            leaves_title: !settings.title.unwrap_or(true),
            notify: settings.notify.unwrap_or_default(),
            ascii: settings.ascii.unwrap_or_default(),
            leaves_out_borders: !settings.borders.unwrap_or(true),
            motion: settings.motion.unwrap_or_default(),
            save_power: settings.save_power.unwrap_or_default(),
            status: settings.status.map_or_else(StatusLine::default, StatusLine),
            theme: settings.theme.unwrap_or_default(),
            limit_rate: settings.limit_rate.and_then(value::OrOff::chosen).map(value::Size::bytes),
            quiet: settings.quiet.unwrap_or_default(),
            verbose: settings.verbose.unwrap_or_default(),
        }
    }
}

impl Settings {
    /// How far away servers may be that share a model.
    fn reach(&self) -> Reach {
        match (self.offline, self.rpc_network) {
            (Some(true), _) => Reach::Offline,
            (_, Some(true)) => Reach::Anywhere,
            _ => Reach::Here,
        }
    }

    fn sampling(&self) -> Sampling {
        let default = Sampling::default();
        Sampling {
            temperature: self.temp.map_or(default.temperature, value::Within::get),
            top_k: self.top_k.unwrap_or(default.top_k),
            top_p: self.top_p.map_or(default.top_p, value::Within::get),
            min_p: self.min_p.map_or(default.min_p, value::Within::get),
            repeat_penalty: self.repeat_penalty.map_or(default.repeat_penalty, value::Within::get),
            seed: self.seed.and_then(value::Auto::number),
        }
    }

    fn generate_options(&self) -> GenerateOptions {
        let stop = self.stop.iter().flatten().filter(|stop| !stop.is_empty()).cloned().collect();
        // An empty text takes back what a lower layer set.
        let schema = self.schema.clone().filter(|text| !text.is_empty()).map(Constraint::Schema);
        let grammar = self.grammar.clone().filter(|text| !text.is_empty()).map(Constraint::Grammar);
        GenerateOptions {
            sampling: self.sampling(),
            max_tokens: self.max_tokens.and_then(value::Auto::number),
            stop,
            constraint: schema.or(grammar),
            think: self.think.unwrap_or_default(),
            loop_breaker: self.loop_breaker.unwrap_or(true),
            speculation: SpeculationOptions {
                by: self.spec.unwrap_or_default(),
                most: self.spec_max.and_then(value::Auto::number),
                fuzzy: self.spec_fuzzy.map_or(0.0, value::Within::get),
            },
            shared: None,
            weighed: self.logprobs.map_or(0, value::UpTo::get),
        }
    }

    fn kv_settings(&self) -> KvSettings {
        KvSettings {
            types: self.kv.and_then(value::OrAuto::chosen),
            most_bytes: self.kv_mem.and_then(value::OrAuto::chosen).map(value::Size::bytes),
            evict: self.kv_evict.unwrap_or_default(),
            no_recall: !self.recall.unwrap_or(true),
            checks: None,
        }
    }
}

impl Config {
    /// How to load this model; `draft` guesses for it, `checks` is where it is remembered how well KV types did, and
    /// `step_times` how long its steps take.
    pub fn load_settings(
        &self,
        model: Found,
        draft: Option<Result<PathBuf, String>>,
        probe: Option<Probe>,
        snapshots: Option<SnapshotSettings>,
        checks: Option<PathBuf>,
        step_times: Option<PathBuf>,
    ) -> LoadSettings {
        LoadSettings {
            path: model.path,
            name: Some(model.name),
            context: self.context,
            threads: self.threads,
            device: self.device.clone(),
            gpu_layers: self.gpu_layers,
            repack: self.repack,
            probe,
            snapshots,
            kv: KvSettings { checks, ..self.kv.clone() },
            insists: self.insists,
            draft,
            step_times,
            ..LoadSettings::default()
        }
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_as_it_is_sets_nothing() {
        assert_eq!(file::parse(SAMPLE).unwrap().settings, Settings::default());
    }

    #[test]
    fn the_sample_shows_every_setting_at_its_default() {
        let text = uncommented_sample();
        let read = file::parse(&text).unwrap();
        assert_eq!(read.warnings, Vec::<String>::new());
        for key in Settings::keys() {
            assert!(text.lines().any(|line| line.starts_with(&format!("{key} = "))), "{key}");
        }
        assert_eq!(Config::from(read.settings), Config::default());
    }
}
