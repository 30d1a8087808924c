//! The number formats a KV cache can be made of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The format of the keys or of the values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KvType {
    #[default]
    F16,
    #[serde(rename = "q8_0")]
    Q8,
    #[serde(rename = "q5_1")]
    Q5WithOffset,
    #[serde(rename = "q5_0")]
    Q5,
    #[serde(rename = "q4_1")]
    Q4WithOffset,
    #[serde(rename = "q4_0")]
    Q4,
    #[serde(rename = "iq4_nl")]
    Q4NonLinear,
}

impl KvType {
    pub const ALL: [Self; 7] =
        [Self::F16, Self::Q8, Self::Q5WithOffset, Self::Q5, Self::Q4WithOffset, Self::Q4, Self::Q4NonLinear];

    /// llama.cpp's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F16 => "f16",
            Self::Q8 => "q8_0",
            Self::Q5WithOffset => "q5_1",
            Self::Q5 => "q5_0",
            Self::Q4WithOffset => "q4_1",
            Self::Q4 => "q4_0",
            Self::Q4NonLinear => "iq4_nl",
        }
    }

    /// Bytes of 32 numbers, with their scales (ggml's block sizes).
    pub fn bytes_of_32(self) -> u64 {
        match self {
            Self::F16 => 64,
            Self::Q8 => 34,
            Self::Q5WithOffset => 24,
            Self::Q5 => 22,
            Self::Q4WithOffset => 20,
            Self::Q4 | Self::Q4NonLinear => 18,
        }
    }

    /// Whether numbers are rounded to fewer bits than llama.cpp's own default has.
    pub fn is_lossy(self) -> bool {
        self != Self::F16
    }
}

/// The formats of the keys and of the values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KvTypes {
    pub k: KvType,
    pub v: KvType,
}

impl KvTypes {
    /// What is rounded most of all that may be chosen without being asked for.
    pub const ROUNDEST: Self = Self { k: KvType::Q4, v: KvType::Q4 };

    /// Bytes of what takes so many in 16 bits, where the keys of a head have `key` numbers and the values `value`.
    pub fn bytes_of(self, exact: u64, key: u64, value: u64) -> u64 {
        let wide = |number: u64| u128::from(number);
        let both = wide(key) * wide(self.k.bytes_of_32()) + wide(value) * wide(self.v.bytes_of_32());
        let exact_both = (wide(key) + wide(value)).max(1) * wide(KvType::F16.bytes_of_32());
        u64::try_from(wide(exact).saturating_mul(both) / exact_both).unwrap_or(u64::MAX)
    }

    pub fn both(kind: KvType) -> Self {
        Self { k: kind, v: kind }
    }
}

impl fmt::Display for KvTypes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.k.as_str())?;
        if self.k != self.v { write!(formatter, "/{}", self.v.as_str()) } else { Ok(()) }
    }
}

impl FromStr for KvType {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("`{name}` is no type of a KV cache; there are {names}")
        })
    }
}

impl FromStr for KvTypes {
    type Err = String;

    /// `q8_0` for both, or `q8_0/q5_1` for the keys and the values.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            None => text.parse().map(Self::both),
            Some((k, v)) => Ok(Self { k: k.parse()?, v: v.parse()? }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_read_back_from_their_names() {
        for kind in KvType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            let types = KvTypes { k: KvType::Q8, v: kind };
            assert_eq!(types.to_string().parse(), Ok(types));
        }
        assert!("q3_k".parse::<KvTypes>().unwrap_err().contains("iq4_nl"));
    }

    #[test]
    fn what_takes_so_much_in_16_bits_takes_less_when_it_is_rounded() {
        let bytes = |types: &str, key, value| types.parse::<KvTypes>().unwrap().bytes_of(6400, key, value);
        assert_eq!((bytes("f16", 64, 64), bytes("q8_0", 64, 64)), (6400, 3400));
        assert_eq!((bytes("q8_0/f16", 64, 64), bytes("q8_0/f16", 192, 64)), (4900, 4150));
        assert_eq!(bytes("q8_0", 0, 0), 0);
        assert_eq!(KvTypes::both(KvType::F16).bytes_of(u64::MAX, 64, 64), u64::MAX);
    }
}
