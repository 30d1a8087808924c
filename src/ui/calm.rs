//! How often the screen is drawn while something on it moves by itself: less often for whoever wants little motion, and
//! on a battery. What a key does is seen at once all the same.

use std::time::Duration;

use crate::config::{Motion, Switch};

/// Between two frames of little motion.
const REDUCED: Duration = Duration::from_millis(500);
/// Between two frames on a battery.
const SPARING: Duration = Duration::from_millis(100);

/// Variables by which other programs are asked for little motion. None of them is a standard.
const ASK: [&str; 2] = ["NO_MOTION", "REDUCED_MOTION"];

/// What is wanted of the frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calm {
    pub motion: Motion,
    /// The environment asks for little motion.
    pub is_asked_for: bool,
    pub save_power: Switch,
}

impl Calm {
    /// What these settings come to under these environment variables.
    pub fn detect(motion: Motion, save_power: Switch, environment: &impl Fn(&str) -> Option<String>) -> Self {
        let is_set = |name: &&str| environment(name).is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
        Self { motion, is_asked_for: ASK.iter().any(is_set), save_power }
    }

    pub fn is_reduced(self) -> bool {
        self.motion == Motion::Reduced || (self.motion == Motion::Auto && self.is_asked_for)
    }

    /// Whether it depends on the battery how often is drawn.
    pub fn asks_for_battery(self) -> bool {
        self.save_power == Switch::Auto
    }

    /// The least time between two frames of what moves by itself, where `usual` is that of others.
    pub fn between_frames(self, usual: Duration, is_on_battery: bool) -> Duration {
        let is_sparing = match self.save_power {
            Switch::Auto => is_on_battery,
            set => set == Switch::On,
        };
        let sparing = if is_sparing { SPARING } else { Duration::ZERO };
        let reduced = if self.is_reduced() { REDUCED } else { Duration::ZERO };
        usual.max(sparing).max(reduced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Duration = Duration::from_millis(33);

    #[test]
    fn little_motion_is_wanted_by_the_setting_or_by_the_environment() {
        let detect = |motion, variables: &[(&str, &str)]| {
            let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, it)| (*it).to_owned());
            Calm::detect(motion, Switch::Off, &value)
        };
        assert!(!detect(Motion::Auto, &[("NO_MOTION", "0"), ("REDUCED_MOTION", "")]).is_reduced());
        assert!(detect(Motion::Auto, &[("NO_MOTION", "1")]).is_reduced());
        assert!(detect(Motion::Auto, &[("REDUCED_MOTION", "true")]).is_reduced());
        assert!(!detect(Motion::Full, &[("NO_MOTION", "1")]).is_reduced());
        assert_eq!(detect(Motion::Reduced, &[]).between_frames(USUAL, false), REDUCED);
    }

    #[test]
    fn on_a_battery_less_is_drawn_unless_that_is_switched_off() {
        let calm = |save_power| Calm { save_power, ..Calm::default() };
        assert_eq!(calm(Switch::Auto).between_frames(USUAL, false), USUAL);
        assert_eq!(calm(Switch::Auto).between_frames(USUAL, true), SPARING);
        assert_eq!(calm(Switch::On).between_frames(USUAL, false), SPARING);
        assert_eq!(calm(Switch::Off).between_frames(USUAL, true), USUAL);
    }
}
