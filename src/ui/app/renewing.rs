//! What a running chat makes of a setting that was changed.

use super::App;
use super::settings::setting;
use crate::config::{About, Config};
use crate::engine::protocol::GenerateOptions;

/// From when on another value of a setting counts.
pub fn counts_from(about: &About) -> &'static str {
    match (about.key.as_str(), about.group.as_str()) {
        ("theme" | "ascii" | "borders" | "motion" | "save_power" | "status" | "vi_keys" | "offline", _)
        | ("prefill_while_typing", _) => "from now on",
        ("schema" | "grammar" | "sandbox", _) => "from the next start on",
        ("output" | "extract" | "logprobs" | "cache_prompt", _) => "with the next `tuichat -p`",
        ("system", _) => "in new chats",
        ("model_folders", _) => "with the next list of models",
        ("limit_rate", _) => "with the next download",
        ("spec" | "spec_max" | "spec_fuzzy", _) | (_, "Sampling") => "from the next answer on",
        (_, "Machine") => "with the next model that is loaded",
        _ => "from the next start on",
    }
}

impl App {
    /// Takes a setting as it is now, as far as a chat can that has begun. What it was by `/set` in this chat, if that
    /// comes to an end with it.
    pub(super) fn take_setting(&mut self, about: &About, config: &Config) -> Option<String> {
        let set_here = setting(&about.key).ok().and_then(|setting| self.set_here(setting));
        match about.key.as_str() {
            "theme" | "ascii" | "borders" => {
                let sentence = self.look.draw_with(&config.theme, config.ascii, !config.leaves_out_borders);
                sentence.into_iter().for_each(|sentence| self.notice(sentence));
            }
            "motion" => self.calm.motion = config.motion,
            "save_power" => self.calm.save_power = config.save_power,
            "status" => self.status.clone_from(&config.status),
            "vi_keys" => self.composer.use_keys_of_vi(config.vi_keys),
            "prefill_while_typing" => self.ahead.switch = config.prefill_while_typing,
            "offline" => self.is_offline = config.offline,
            "system" => self.new_system.clone_from(&config.system),
            key => self.take_option(key, config),
        }
        set_here
    }

    /// How answers are made, in new chats and in this one.
    fn take_option(&mut self, key: &str, config: &Config) {
        // A schema is checked at the start.
        let constraint = self.new_options.constraint.clone();
        self.new_options = GenerateOptions { constraint, ..config.generate.clone() };
        match (key, setting(key)) {
            ("spec_max", _) => self.options.speculation.most = self.new_options.speculation.most,
            ("spec_fuzzy", _) => self.options.speculation.fuzzy = self.new_options.speculation.fuzzy,
            // Its default in a chat is what new chats have.
            (_, Ok(setting)) => drop(self.apply(setting, "default")),
            _ => {}
        }
    }
}
