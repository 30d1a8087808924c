//! What the machine's sensors say, for the status line and for sparing the battery. They are read when something is drawn
//! anyway, and not each time: a chat in which nothing happens reads none.

use std::path::Path;
use std::time::{Duration, Instant};

use super::App;
use crate::hardware::health::{Health, Throttling};
use crate::hardware::power::{self, Power};
use crate::ui::msg::Effect;

/// How often they are read at most.
const AGAIN: Duration = Duration::from_secs(5);

/// What they say at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sensed {
    pub power: Option<Power>,
    /// Degrees of the hottest place that is measured.
    pub celsius: Option<f64>,
    pub throttling: Throttling,
}

impl Sensed {
    /// What the files below `root` say.
    pub fn read(root: &Path) -> Self {
        let Health { celsius, throttling, .. } = Health::read_under(root);
        Self { power: power::read(root), celsius, throttling }
    }
}

/// What they said last.
#[derive(Debug, Default)]
pub struct Sensors {
    asked_at: Option<Instant>,
    last: Option<Sensed>,
    is_throttled: bool,
}

impl Sensors {
    pub(super) fn read(&mut self, now: Sensed) {
        // Counts are since the machine's start, so the first ones say nothing.
        let before = self.last.map_or(now.throttling, |last| last.throttling);
        self.is_throttled = now.throttling.since(&before).is_some();
        self.last = Some(now);
    }
}

impl App {
    /// What is to be read now that something is drawn.
    pub fn sense(&mut self, now: Instant) -> Option<Effect> {
        let is_wanted = self.status.asks_for_sensors() || self.calm.asks_for_battery();
        let is_due = self.sensors.asked_at.is_none_or(|at| now >= at + AGAIN);
        (is_wanted && is_due).then(|| {
            self.sensors.asked_at = Some(now);
            Effect::Sense
        })
    }

    /// The least time between two frames of what moves by itself.
    pub fn between_frames(&self, usual: Duration) -> Duration {
        self.calm.between_frames(usual, self.battery().is_some())
    }

    /// The battery, while it is in use; within, its charge in percent.
    pub fn battery(&self) -> Option<Option<u8>> {
        let power = self.sensors.last?.power.filter(|power| power.on_battery)?;
        Some(power.charge_percent)
    }

    /// Degrees of the hottest place that is measured.
    pub fn celsius(&self) -> Option<f64> {
        self.sensors.last?.celsius
    }

    /// Whether the machine holds itself back.
    pub fn is_throttled(&self) -> bool {
        self.sensors.is_throttled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StatusItem;
    use crate::config::Switch;
    use crate::ui::app::tester::Tester;
    use crate::ui::msg::Msg;

    #[test]
    fn sensors_are_read_when_something_is_drawn_and_not_each_time() {
        let mut tester = Tester::ready();
        let (now, wakes_at) = (tester.now, tester.app.wake_at());
        assert!(matches!(tester.app.sense(now), Some(Effect::Sense)));
        assert!(tester.app.sense(now + AGAIN / 2).is_none());
        assert!(tester.app.sense(now + AGAIN).is_some());
        assert_eq!(tester.app.wake_at(), wakes_at, "nobody is woken for them");
    }

    #[test]
    fn where_nobody_asks_for_them_none_is_read() {
        let mut tester = Tester::ready();
        tester.show_status(&[StatusItem::Model, StatusItem::Speed]);
        tester.app.calm.save_power = Switch::Off;
        let now = tester.now;
        assert!(tester.app.sense(now).is_none());
    }

    #[test]
    fn a_machine_is_throttled_while_it_says_something_new() {
        let hot = |count| Sensed {
            throttling: Throttling { count: Some(count), ..Throttling::default() },
            ..Sensed::default()
        };
        let mut tester = Tester::ready();
        for (count, is_throttled) in [(7, false), (9, true), (9, false)] {
            tester.update(Msg::Sensed(hot(count)));
            assert_eq!(tester.app.is_throttled(), is_throttled, "{count}");
        }
    }

    #[test]
    fn on_a_battery_frames_are_fewer() {
        let usual = Duration::from_millis(33);
        let mut tester = Tester::ready();
        assert_eq!(tester.app.between_frames(usual), usual);
        let power = Some(Power { on_battery: true, charge_percent: Some(43) });
        tester.update(Msg::Sensed(Sensed { power, ..Sensed::default() }));
        assert_eq!(tester.app.battery(), Some(Some(43)));
        assert!(tester.app.between_frames(usual) > usual);
        let power = Some(Power { on_battery: false, charge_percent: Some(43) });
        tester.update(Msg::Sensed(Sensed { power, ..Sensed::default() }));
        assert_eq!((tester.app.battery(), tester.app.between_frames(usual)), (None, usual));
    }
}
