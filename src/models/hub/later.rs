//! `Retry-After`: how long a server asks to be left alone.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// What the header means at this moment: a number of seconds, or a date of HTTP.
pub fn wait(header: &str, now: Timestamp) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTimeParser::new().parse_timestamp(header).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

/// Seconds that are begun count as whole ones.
pub fn seconds_up(wait: Duration) -> u64 {
    wait.as_secs_f64().ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_understood() {
        let now: Timestamp = "2026-01-31T12:00:00Z".parse().expect("a time");
        let seconds = |header| wait(header, now).map(|wait| wait.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("Sat, 31 Jan 2026 12:01:30 GMT"), Some(90));
        assert_eq!(seconds("Sat, 31 Jan 2026 11:00:00 GMT"), Some(0), "the time has come");
        for header in ["", "soon", "-1", "1.5", "Sat, 99 Jan 2026 11:00:00 GMT"] {
            assert_eq!(seconds(header), None, "{header}");
        }
    }

    #[test]
    fn a_second_that_has_begun_is_a_whole_one() {
        let seconds = [0, 1, 1000, 1001, 59_000].map(|milliseconds| seconds_up(Duration::from_millis(milliseconds)));
        assert_eq!(seconds, [0, 1, 1, 2, 59]);
    }
}
