//! Values with limits, read the same way from the command line, the environment and the file: what is out of
//! range is refused with a sentence before it can reach the engine.

use std::fmt;
use std::str::FromStr;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::engine::protocol::Think;

/// A number from `LEAST` to `MOST`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Within<const LEAST: u32, const MOST: u32>(f32);

/// 0 is greedy; beyond 5 the answer is noise.
pub type Temperature = Within<0, 5>;
pub type Probability = Within<0, 1>;
/// Below 1 it would reward repetition.
pub type Penalty = Within<1, 5>;

impl<const LEAST: u32, const MOST: u32> Within<LEAST, MOST> {
    pub fn get(self) -> f32 {
        self.0
    }

    fn check(number: f64) -> Result<Self, String> {
        if (f64::from(LEAST)..=f64::from(MOST)).contains(&number) {
            Ok(Self(number as f32))
        } else {
            Err(format!("{number} is not between {LEAST} and {MOST}"))
        }
    }
}

impl<const LEAST: u32, const MOST: u32> FromStr for Within<LEAST, MOST> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::check(text.parse().map_err(|_| format!("it must be a number between {LEAST} and {MOST}"))?)
    }
}

impl<'de, const LEAST: u32, const MOST: u32> Deserialize<'de> for Within<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number<const LEAST: u32, const MOST: u32>;

        impl<const LEAST: u32, const MOST: u32> Visitor<'_> for Number<LEAST, MOST> {
            type Value = Within<LEAST, MOST>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "a number between {LEAST} and {MOST}")
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
                Within::check(number).map_err(E::custom)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Within::check(number as f64).map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Within::check(number as f64).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Number)
    }
}

impl<const LEAST: u32, const MOST: u32> Serialize for Within<LEAST, MOST> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Through the shortest text that is this number: 0.8 and not 0.800000011920929.
        serializer.serialize_f64(self.0.to_string().parse().unwrap_or(f64::from(self.0)))
    }
}

/// A whole number from `LEAST` to `MOST`, or the word `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auto<const LEAST: u32, const MOST: u32> {
    Auto,
    Number(u32),
}

impl<const LEAST: u32, const MOST: u32> Auto<LEAST, MOST> {
    /// The number, or `None` for `auto`.
    pub fn number(self) -> Option<u32> {
        match self {
            Auto::Auto => None,
            Auto::Number(number) => Some(number),
        }
    }

    fn check(number: Option<u32>) -> Result<Self, String> {
        match number {
            Some(number) if (LEAST..=MOST).contains(&number) => Ok(Auto::Number(number)),
            _ => Err(format!("it must be `auto` or a whole number between {LEAST} and {MOST}")),
        }
    }
}

impl<const LEAST: u32, const MOST: u32> FromStr for Auto<LEAST, MOST> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "auto" { Ok(Auto::Auto) } else { Self::check(text.parse().ok()) }
    }
}

impl<'de, const LEAST: u32, const MOST: u32> Deserialize<'de> for Auto<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrWord<const LEAST: u32, const MOST: u32>;

        impl<const LEAST: u32, const MOST: u32> Visitor<'_> for NumberOrWord<LEAST, MOST> {
            type Value = Auto<LEAST, MOST>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "\"auto\" or a whole number between {LEAST} and {MOST}")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                Auto::check(number.try_into().ok()).map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                Auto::check(number.try_into().ok()).map_err(E::custom)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                if text == "auto" { Ok(Auto::Auto) } else { Err(E::invalid_value(Unexpected::Str(text), &self)) }
            }
        }

        deserializer.deserialize_any(NumberOrWord)
    }
}

impl<const LEAST: u32, const MOST: u32> Serialize for Auto<LEAST, MOST> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Auto::Auto => serializer.serialize_str("auto"),
            Auto::Number(number) => serializer.serialize_u32(*number),
        }
    }
}

/// A whole number from 0 to `MOST`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpTo<const MOST: u32>(u32);

impl<const MOST: u32> UpTo<MOST> {
    pub fn get(self) -> u32 {
        self.0
    }

    fn check(number: Option<u32>) -> Result<Self, String> {
        let number = number.filter(|number| *number <= MOST);
        number.map(Self).ok_or_else(|| format!("it must be a whole number between 0 and {MOST}"))
    }
}

impl<const MOST: u32> FromStr for UpTo<MOST> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::check(text.parse().ok())
    }
}

impl<'de, const MOST: u32> Deserialize<'de> for UpTo<MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number<const MOST: u32>;

        impl<const MOST: u32> Visitor<'_> for Number<MOST> {
            type Value = UpTo<MOST>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "a whole number between 0 and {MOST}")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                UpTo::check(number.try_into().ok()).map_err(E::custom)
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                UpTo::check(number.try_into().ok()).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Number)
    }
}

impl<const MOST: u32> Serialize for UpTo<MOST> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

/// A number of bytes, written as a number with `K`, `M` or `G` (1024 of the former) or without. Never none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(u64);

/// A smaller number that has no unit lacks one.
const LEAST_WITHOUT_UNIT: u64 = 1 << 20;
const UNITS: [(char, u64); 3] = [('G', 1 << 30), ('M', 1 << 20), ('K', 1 << 10)];

impl Size {
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `2GB` and `2GiB` are 2G, `2B` are two bytes.
        let short = text.strip_suffix("iB").or(text.strip_suffix('B')).unwrap_or(text);
        let letter = short.chars().last().map(|letter| letter.to_ascii_uppercase());
        let unit = UNITS.into_iter().find(|(unit, _)| letter == Some(*unit));
        let digits = if unit.is_some() { &short[..short.len() - 1] } else { short };
        let number: Option<u64> = digits.trim_end().parse().ok();
        let bytes = number.and_then(|number| number.checked_mul(unit.map_or(1, |(_, bytes)| bytes)));
        match bytes.filter(|bytes| *bytes > 0) {
            // Who types 8 means no 8 bytes.
            Some(bytes) if bytes < LEAST_WITHOUT_UNIT && digits == text => {
                Err(format!("{bytes} has no unit: {bytes}M are mebibytes, {bytes}G gibibytes"))
            }
            Some(bytes) => Ok(Size(bytes)),
            None => Err("it must be a size like 500M or 2G".into()),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.into_iter().find(|(_, unit)| self.0.is_multiple_of(*unit)) {
            Some((letter, unit)) => write!(formatter, "{}{letter}", self.0 / unit),
            None => write!(formatter, "{}B", self.0),
        }
    }
}

/// Something that is written as a text, or the word `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrAuto<T> {
    Auto,
    Chosen(T),
}

impl<T> OrAuto<T> {
    /// What was chosen, or `None` for `auto`.
    pub fn chosen(self) -> Option<T> {
        match self {
            OrAuto::Auto => None,
            OrAuto::Chosen(value) => Some(value),
        }
    }
}

impl<T: FromStr<Err = String>> FromStr for OrAuto<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(OrAuto::Auto),
            _ => text.parse().map(OrAuto::Chosen).map_err(|problem| format!("{problem}, or `auto`")),
        }
    }
}

impl<T: fmt::Display> fmt::Display for OrAuto<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrAuto::Auto => formatter.write_str("auto"),
            OrAuto::Chosen(value) => value.fmt(formatter),
        }
    }
}

impl<'de, T: FromStr<Err = String>> Deserialize<'de> for OrAuto<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl<T: fmt::Display> Serialize for OrAuto<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Something that is written as a text, or the word `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrOff<T> {
    Off,
    Chosen(T),
}

impl<T> OrOff<T> {
    /// What was chosen, or `None` for `off`.
    pub fn chosen(self) -> Option<T> {
        match self {
            OrOff::Off => None,
            OrOff::Chosen(value) => Some(value),
        }
    }
}

impl<T: FromStr<Err = String>> FromStr for OrOff<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(OrOff::Off),
            _ => text.parse().map(OrOff::Chosen).map_err(|problem| format!("{problem}, or `off`")),
        }
    }
}

impl<T: fmt::Display> fmt::Display for OrOff<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OrOff::Off => formatter.write_str("off"),
            OrOff::Chosen(value) => value.fmt(formatter),
        }
    }
}

impl<'de, T: FromStr<Err = String>> Deserialize<'de> for OrOff<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl<T: fmt::Display> Serialize for OrOff<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Room that something may take: a size, the word `auto`, or `off`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Room {
    #[default]
    Auto,
    Off,
    Bytes(u64),
}

impl FromStr for Room {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Room::Auto),
            "off" | "0" => Ok(Room::Off),
            _ => match text.parse::<Size>() {
                Ok(size) => Ok(Room::Bytes(size.bytes())),
                Err(problem) => Err(format!("{problem}, `auto`, or `off`")),
            },
        }
    }
}

impl fmt::Display for Room {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Room::Auto => formatter.write_str("auto"),
            Room::Off => formatter.write_str("off"),
            Room::Bytes(bytes) => Size(*bytes).fmt(formatter),
        }
    }
}

impl<'de> Deserialize<'de> for Room {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Room {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

const THINK: &str = "`auto`, `on`, `off` or a number of tokens";

impl FromStr for Think {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" => Ok(Think::Auto),
            "on" => Ok(Think::On),
            "off" => Ok(Think::Off),
            number => number.parse().map(Think::Budget).map_err(|_| format!("it must be {THINK}")),
        }
    }
}

impl<'de> Deserialize<'de> for Think {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrWord;

        impl Visitor<'_> for NumberOrWord {
            type Value = Think;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(THINK)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
                let tokens = number.try_into().map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))?;
                Ok(Think::Budget(tokens))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
                let tokens = number.try_into().map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))?;
                Ok(Think::Budget(tokens))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(NumberOrWord)
    }
}

impl Serialize for Think {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Think::Auto => serializer.serialize_str("auto"),
            Think::On => serializer.serialize_str("on"),
            Think::Off => serializer.serialize_str("off"),
            Think::Budget(tokens) => serializer.serialize_u32(*tokens),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_a_size_with_a_unit_or_a_word() {
        for (text, room) in [
            ("auto", Room::Auto),
            ("off", Room::Off),
            ("2G", Room::Bytes(2 << 30)),
            ("500m", Room::Bytes(500 << 20)),
            ("1234B", Room::Bytes(1234)),
        ] {
            assert_eq!(text.parse(), Ok(room), "{text}");
            assert!(room.to_string().eq_ignore_ascii_case(text), "{room}");
        }
        assert_eq!("2GB".parse(), "2GiB".parse::<Room>());
        assert_eq!("0".parse(), Ok(Room::Off));
        for text in ["", "G", "0G", "-1G", "B", "1.5G", "99999999999G", "é"] {
            assert!(text.parse::<Room>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_may_be_left_open_is_auto_or_a_text_and_reads_back() {
        for text in ["auto", "64M", "1000B"] {
            let size: OrAuto<Size> = text.parse().unwrap();
            assert_eq!(serde_json::to_value(size).unwrap(), text);
            assert_eq!(serde_json::from_value::<OrAuto<Size>>(text.into()).unwrap(), size);
        }
        assert_eq!("64M".parse().map(OrAuto::chosen), Ok(Some(Size(64 << 20))));
        assert_eq!("67108864".parse(), "64M".parse::<Size>());
        let without = "8 has no unit: 8M are mebibytes, 8G gibibytes, or `auto`";
        assert_eq!("8".parse::<OrAuto<Size>>(), Err(without.into()));
        assert_eq!("auto".parse::<OrAuto<Size>>().map(OrAuto::chosen), Ok(None));
        assert_eq!("off".parse::<OrAuto<Size>>(), Err("it must be a size like 500M or 2G, or `auto`".into()));
    }

    #[test]
    fn numbers_outside_the_limits_are_refused_with_the_limits() {
        assert_eq!("5".parse::<Temperature>().map(Within::get), Ok(5.0));
        assert_eq!("5.1".parse::<Temperature>(), Err("5.1 is not between 0 and 5".into()));
        for text in ["NaN", "-0.1", "inf", "warm", ""] {
            assert!(text.parse::<Temperature>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_count_is_auto_or_a_number_within_limits() {
        type Threads = Auto<1, 512>;
        assert_eq!("auto".parse::<Threads>().map(Auto::number), Ok(None));
        assert_eq!("8".parse::<Threads>().map(Auto::number), Ok(Some(8)));
        for text in ["0", "513", "-1", "Auto", "4294967297"] {
            assert!(text.parse::<Threads>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_is_written_as_it_was_typed() {
        let temperature: Temperature = "0.8".parse().unwrap();
        assert_eq!(serde_json::to_string(&temperature).unwrap(), "0.8");
    }

    #[test]
    fn how_to_think_is_a_word_or_a_number_and_reads_back() {
        for (text, think) in [
            ("auto", Think::Auto),
            ("on", Think::On),
            ("off", Think::Off),
            ("0", Think::Budget(0)),
            ("500", Think::Budget(500)),
        ] {
            assert_eq!(text.parse(), Ok(think));
            let json = serde_json::to_string(&think).unwrap();
            assert_eq!(serde_json::from_str::<Think>(&json).unwrap(), think);
        }
        for text in ["yes", "-1", "4294967296", "1.5", ""] {
            assert!(text.parse::<Think>().is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Think>("-1").is_err() && serde_json::from_str::<Think>("true").is_err());
    }
}
