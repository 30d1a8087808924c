//! A set of cores by their numbers, and how such sets are written.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

const WORDS: usize = 16;

/// Cores by their numbers, below [`CoreSet::MOST`]; written as a list of ranges (`0-3,6`).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct CoreSet([u64; WORDS]);

impl CoreSet {
    /// Cores with this number or above are never in a set.
    pub const MOST: usize = WORDS * 64;

    pub fn insert(&mut self, core: usize) {
        if core < Self::MOST {
            self.0[core / 64] |= 1 << (core % 64);
        }
    }

    pub fn contains(&self, core: usize) -> bool {
        core < Self::MOST && self.0[core / 64] & (1 << (core % 64)) != 0
    }

    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Ascending.
    pub fn numbers(&self) -> impl Iterator<Item = usize> {
        let set = *self;
        (0..Self::MOST).filter(move |core| set.contains(*core))
    }

    /// What is in both.
    pub fn intersection(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }

    /// Reads what Linux writes: `0-3,6`, also with an end of line, and nothing for no cores. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut set = Self::default();
        for range in text.trim().split(',').filter(|range| !range.is_empty()) {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (first.trim().parse::<usize>().ok()?, last.trim().parse::<usize>().ok()?);
            (first..=last.min(Self::MOST)).for_each(|core| set.insert(core));
        }
        Some(set)
    }
}

impl FromIterator<usize> for CoreSet {
    fn from_iter<Cores: IntoIterator<Item = usize>>(cores: Cores) -> Self {
        let mut set = Self::default();
        cores.into_iter().for_each(|core| set.insert(core));
        set
    }
}

impl fmt::Display for CoreSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&super::describe(&self.numbers().collect::<Vec<_>>()))
    }
}

impl fmt::Debug for CoreSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for CoreSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = if self.is_empty() { String::new() } else { self.to_string() };
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for CoreSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| de::Error::custom("it is no list of cores"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_ranges_are_read_and_written() {
        for text in ["0-3,6", "5", "0,2,4", "60-70,1023"] {
            assert_eq!(CoreSet::parse(&format!("{text}\n")).unwrap().to_string(), text);
        }
        assert_eq!(CoreSet::parse("\n"), Some(CoreSet::default()));
        assert_eq!(CoreSet::parse("a-b"), None);
        assert_eq!(CoreSet::parse("0-18446744073709551615").unwrap().len(), CoreSet::MOST);
    }

    #[test]
    fn numbers_beyond_the_largest_are_left_out() {
        let set: CoreSet = [1, CoreSet::MOST].into_iter().collect();
        assert_eq!(set.numbers().collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_set_survives_json() {
        for set in [CoreSet::default(), CoreSet::parse("4-7").unwrap()] {
            let json = serde_json::to_string(&set).unwrap();
            assert_eq!(serde_json::from_str::<CoreSet>(&json).unwrap(), set, "{json}");
        }
        assert!(serde_json::from_str::<CoreSet>("\"x\"").is_err());
    }
}
