//! Waiting between blocks until the machine is as cool as it was, so that a case does not pay for the one before it.

use std::str::FromStr;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::bench::report::Report;
use crate::engine::lab::LabError;
use crate::engine::protocol::CancelFlag;
use crate::hardware::health::Health;

/// Below this a processor is cool, whatever it was before.
const COOL: f64 = 50.0;
/// As cool as it was, about.
const WARMER: f64 = 5.0;
/// A machine that has not cooled down by then will not.
const LONGEST: Duration = Duration::from_secs(60);
const EVERY: Duration = Duration::from_millis(500);

/// How long to wait before each block but the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CoolDown {
    /// Until the machine is about as cool as at the start, a minute at most; not where it does not tell.
    #[default]
    Auto,
    Off,
    Seconds(u16),
}

impl FromStr for CoolDown {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            _ => text.parse().map(Self::Seconds).map_err(|_| "it must be `auto`, `off`, or a number of seconds".into()),
        }
    }
}

/// Waits, as far as it is of use. `start` is how warm the machine was at the start of the run.
///
/// # Errors
/// If it was stopped meanwhile.
pub fn wait(rule: CoolDown, start: Option<f64>, report: &Report, cancel: &CancelFlag) -> Result<(), LabError> {
    let began = Instant::now();
    while goes_on(rule, start, Health::read().celsius, began.elapsed()) {
        if cancel.is_cancelled() {
            return Err(LabError::Cancelled);
        }
        let celsius = Health::read().celsius.map(|celsius| format!(", {celsius:.0} °C")).unwrap_or_default();
        report.progress(&format!("cooling down{celsius}"));
        std::thread::sleep(EVERY);
    }
    Ok(())
}

/// Whether there is more to wait for.
fn goes_on(rule: CoolDown, start: Option<f64>, now: Option<f64>, waited: Duration) -> bool {
    match (rule, now) {
        (CoolDown::Off, _) | (CoolDown::Auto, None) => false,
        (CoolDown::Seconds(seconds), _) => waited < Duration::from_secs(seconds.into()),
        (CoolDown::Auto, Some(now)) => waited < LONGEST && now > COOL.max(start.unwrap_or(COOL) + WARMER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_tells_waits_until_it_is_as_cool_as_it_was_but_not_forever() {
        let second = Duration::from_secs(1);
        let waits = |start, now| goes_on(CoolDown::Auto, start, now, second);
        assert!(waits(Some(55.0), Some(75.0)) && waits(None, Some(70.0)));
        assert!(!waits(Some(55.0), Some(59.0)), "a case without a fan is warm when it idles");
        assert!(!waits(Some(30.0), Some(49.0)) && !waits(Some(30.0), None));
        assert!(!goes_on(CoolDown::Auto, Some(40.0), Some(90.0), LONGEST));
    }

    #[test]
    fn seconds_are_waited_wherever_it_is_and_none_if_it_is_off() {
        assert!(goes_on(CoolDown::Seconds(5), None, None, Duration::from_secs(4)));
        assert!(!goes_on(CoolDown::Seconds(5), None, Some(90.0), Duration::from_secs(5)));
        assert!(!goes_on(CoolDown::Off, Some(40.0), Some(90.0), Duration::ZERO));
        assert_eq!(
            ["auto", "off", "30"].map(|text| text.parse::<CoolDown>().unwrap()),
            [CoolDown::Auto, CoolDown::Off, CoolDown::Seconds(30)]
        );
        assert!("soon".parse::<CoolDown>().is_err());
    }
}
