//! Times in a few words, as a person would say them today.

use jiff::civil::Date;
use jiff::{Timestamp, Zoned};

/// Now, where the person is.
pub fn today() -> Zoned {
    Zoned::now()
}

/// The time of a message: the hour of today and yesterday, else the day.
pub fn short(time: Timestamp, now: &Zoned) -> String {
    let (zoned, day) = local(time, now);
    let format = match since(day, now.date()) {
        0 => "today %H:%M",
        1 => "yesterday %H:%M",
        2..7 => "%A %H:%M",
        _ if day.year() == now.year() => "%-d %B",
        _ => "%-d %B %Y",
    };
    zoned.strftime(format).to_string()
}

/// The part of a list in which something of that time stands.
pub fn heading(time: Timestamp, now: &Zoned) -> String {
    let (zoned, day) = local(time, now);
    match since(day, now.date()) {
        0 => "Today".into(),
        1 => "Yesterday".into(),
        2..7 => "The last 7 days".into(),
        7..30 => "The last 30 days".into(),
        _ if day.year() == now.year() => zoned.strftime("%B").to_string(),
        _ => zoned.strftime("%B %Y").to_string(),
    }
}

fn local(time: Timestamp, now: &Zoned) -> (Zoned, Date) {
    let zoned = time.to_zoned(now.time_zone().clone());
    let day = zoned.date();
    (zoned, day)
}

/// How many days ago that was. A clock may have been set back: what is to come is today.
fn since(day: Date, today: Date) -> i32 {
    today.since(day).map_or(0, |span| span.get_days()).max(0)
}

/// A wait in words.
pub fn duration(milliseconds: f64) -> String {
    let seconds = milliseconds / 1000.0;
    match seconds {
        ..0.95 => format!("{:.1} s", seconds.max(0.1)),
        ..120.0 => format!("{seconds:.0} s"),
        _ => format!("{:.0} min", seconds / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(time: &str) -> (String, String) {
        let now: Zoned = "2026-11-27T01:30[Asia/Tokyo]".parse().unwrap();
        let time: Zoned = format!("{time}[Asia/Tokyo]").parse().unwrap();
        (short(time.timestamp(), &now), heading(time.timestamp(), &now))
    }

    #[test]
    fn a_time_is_told_by_the_day_of_the_person() {
        for (time, words, under) in [
            ("2026-11-27T00:05", "today 00:05", "Today"),
            ("2026-11-26T23:59", "yesterday 23:59", "Yesterday"),
            ("2026-11-25T08:00", "Wednesday 08:00", "The last 7 days"),
            ("2026-11-21T08:00", "Saturday 08:00", "The last 7 days"),
            ("2026-11-20T08:00", "20 November", "The last 30 days"),
            ("2026-10-03T08:00", "3 October", "October"),
            ("2025-10-03T08:00", "3 October 2025", "October 2025"),
            ("2026-11-29T08:00", "today 08:00", "Today"),
        ] {
            assert_eq!(told(time), (words.into(), under.into()), "{time}");
        }
    }
}
