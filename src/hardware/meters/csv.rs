//! Lines of a meter beside the machine: `time,watts`, or `time,volts,amps`, with a line that names the columns or
//! without. Pure.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// More than this is no machine that is measured here.
const MOST_WATTS: f64 = 100_000.0;
/// Numbers below this are no seconds since 1970, but since some start of the meter's own.
const LEAST_UNIX: f64 = 1e9;

/// Watts at a moment, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub at: f64,
    /// The moment after which it could be told: later than `at` where it is the mean of a while.
    pub until: f64,
    pub watts: f64,
    /// The seconds count from a start of the meter's own, and not from 1970.
    pub is_relative: bool,
}

/// Where a line has its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Columns {
    separator: char,
    time: usize,
    power: Power,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Power {
    Watts(Column),
    Product { volts: Column, amperes: Column },
}

/// A column, and what its numbers are to be multiplied with.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Column {
    place: usize,
    scale: f64,
}

/// What the first line of a file says.
#[derive(Clone, Debug, PartialEq)]
pub enum First {
    /// It names the columns.
    Names(Columns),
    /// It is a sample already.
    Sample(Columns),
}

impl Columns {
    /// What the first line says; `None` for one that is neither names nor a sample.
    pub fn of(line: &str) -> Option<First> {
        let separator = [';', '\t', ','].into_iter().find(|separator| line.contains(*separator))?;
        let fields: Vec<String> = line.split(separator).map(|field| clean(field).to_lowercase()).collect();
        if let Some(columns) = Self::named(&fields, separator) {
            return Some(First::Names(columns));
        }
        let column = |place| Column { place, scale: 1.0 };
        let power = match fields.len() {
            2 => Power::Watts(column(1)),
            3 => Power::Product { volts: column(1), amperes: column(2) },
            _ => return None,
        };
        let columns = Self { separator, time: 0, power };
        columns.sample(line).map(|_| First::Sample(columns))
    }

    fn named(fields: &[String], separator: char) -> Option<Self> {
        let find = |names: &[&str]| {
            let is = |field: &String| {
                let words: Vec<&str> = field.split(|character: char| !character.is_alphabetic()).collect();
                words.iter().any(|word| names.contains(word))
            };
            fields.iter().position(is)
        };
        let column = |names: &[&str], thousandths: &[&str]| {
            let thousandth = find(thousandths).map(|place| Column { place, scale: 1e-3 });
            thousandth.or_else(|| find(names).map(|place| Column { place, scale: 1.0 }))
        };
        let time = find(&["time", "timestamp", "datetime", "date", "ts", "seconds", "unix"])?;
        let watts = column(&["watts", "watt", "power", "w"], &["milliwatts", "mw"]);
        let volts = column(&["volts", "volt", "voltage", "v"], &["millivolts", "mv"]);
        let amperes = column(&["amps", "amp", "amperes", "current", "a"], &["milliamps", "milliamperes", "ma"]);
        let power = match (watts, volts, amperes) {
            (Some(watts), ..) => Power::Watts(watts),
            (None, Some(volts), Some(amperes)) => Power::Product { volts, amperes },
            _ => return None,
        };
        Some(Self { separator, time, power })
    }

    /// What a line says; `None` for one that is no sample.
    pub fn sample(&self, line: &str) -> Option<Sample> {
        let fields: Vec<&str> = line.split(self.separator).map(clean).collect();
        let field = |place: usize| {
            // Where numbers have commas, columns are not separated by such.
            fields.get(place).map(|field| field.replace(',', "."))
        };
        let number = |column: Column| {
            let number = field(column.place)?.parse::<f64>().ok().filter(|number| number.is_finite())?;
            Some(number * column.scale)
        };
        let watts = match self.power {
            Power::Watts(watts) => number(watts)?,
            Power::Product { volts, amperes } => number(volts)? * number(amperes)?,
        };
        let (at, is_relative) = moment(&field(self.time)?)?;
        (0.0..MOST_WATTS).contains(&watts).then_some(Sample { at, until: at, watts, is_relative })
    }
}

/// Without spaces and quotation marks around it.
fn clean(field: &str) -> &str {
    field.trim().trim_matches('"').trim()
}

/// Seconds since 1970, or since a start of the meter's own: from seconds, thousandths or millionths of such, or a date and
/// a time, which is that of this place where no other is named.
fn moment(text: &str) -> Option<(f64, bool)> {
    if let Ok(number) = text.parse::<f64>() {
        let seconds = match number {
            _ if !number.is_finite() || number < 0.0 => return None,
            _ if number >= LEAST_UNIX * 1e6 => number / 1e6,
            _ if number >= LEAST_UNIX * 1e3 => number / 1e3,
            _ => number,
        };
        return Some((seconds, seconds < LEAST_UNIX));
    }
    let timestamp = text.parse::<Timestamp>().ok().or_else(|| {
        let local = text.parse::<DateTime>().ok()?;
        local.to_zoned(TimeZone::system()).ok().map(|zoned| zoned.timestamp())
    })?;
    Some((timestamp.as_nanosecond() as f64 / 1e9, false))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(first: &str) -> (Columns, bool) {
        match Columns::of(first).unwrap_or_else(|| panic!("{first}")) {
            First::Names(columns) => (columns, true),
            First::Sample(columns) => (columns, false),
        }
    }

    #[test]
    fn columns_are_known_by_their_names_or_by_their_number() {
        let told = |first: &str, line: &str| of(first).0.sample(line).map(|sample| (sample.at, sample.watts));
        let at = 1_795_000_000.25;
        for (first, line, watts) in [
            ("time,watts", "1795000000.25,6.5", 6.5),
            ("Timestamp; Power (mW)", "1795000000,25; 6500", 6.5),
            ("volts,amps,time", "5.0,1.3,1795000000.25", 6.5),
            ("\"time\",\"voltage [V]\",\"current [mA]\"", "\"1795000000250\",\"5\",\"1300\"", 6.5),
            ("1795000000.25,6.5", "1795000000.25,6.5", 6.5),
            ("1795000000.25\t5.0\t1.3", "1795000000.25\t5.0\t1.3", 6.5),
            ("n,date,w,note", "7,2026-11-18T11:06:40.25Z,6.5,warm", 6.5),
        ] {
            let (told_at, told_watts) = told(first, line).unwrap_or_else(|| panic!("{first}: {line}"));
            assert!(
                (told_at - at).abs() < 1e-3 && (told_watts - watts).abs() < 1e-9,
                "{first}: {told_at} {told_watts}"
            );
        }
        assert!(of("time,watts").1 && !of("3.5,6.5").1);
    }

    #[test]
    fn times_may_count_from_a_start_of_their_own() {
        let sample = of("12.5,6.5").0.sample("12.5,6.5").unwrap();
        assert_eq!((sample.at, sample.is_relative), (12.5, true));
        assert!(!of("time,watts").0.sample("1795000000,6.5").unwrap().is_relative);
    }

    #[test]
    fn what_is_no_sample_is_none() {
        for first in ["", "nonsense", "a,b", "1,2,3,4", "watts,volts"] {
            assert_eq!(Columns::of(first), None, "{first}");
        }
        let (columns, _) = of("time,watts");
        for line in ["", "1795000000", "1795000000,", "1795000000,nan", "1795000000,-3", "yesterday,3", ",3", "1e400,3"]
        {
            assert_eq!(columns.sample(line), None, "{line}");
        }
    }
}
