//! Cores that a person asks for: `fast`, `slow`, `all`, or their numbers.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use super::set::CoreSet;
use super::topology::Cpu;

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cores {
    /// One thread of each of those that a chat takes by itself.
    Fast,
    /// One thread of each of the others.
    Slow,
    /// One thread of each.
    All,
    These(CoreSet),
}

impl FromStr for Cores {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "fast" | "big" => Ok(Self::Fast),
            "slow" | "little" => Ok(Self::Slow),
            "all" => Ok(Self::All),
            _ => numbers(text)
                .map(Self::These)
                .ok_or_else(|| "it must be `fast`, `slow`, `all`, or numbers of cores like `0,2` or `4-7`".to_owned()),
        }
    }
}

/// Numbers and ranges; none may be empty, turned around or beyond what there can be.
fn numbers(text: &str) -> Option<CoreSet> {
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (first.trim().parse::<usize>().ok()?, last.trim().parse::<usize>().ok()?);
        if first > last || last >= CoreSet::MOST {
            return None;
        }
    }
    CoreSet::parse(text)
}

impl fmt::Display for Cores {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fast => formatter.write_str("fast"),
            Self::Slow => formatter.write_str("slow"),
            Self::All => formatter.write_str("all"),
            Self::These(cores) => write!(formatter, "{cores}"),
        }
    }
}

impl Serialize for Cores {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_string())
    }
}

impl Cpu {
    /// The cores that are meant, if this process can be held to them.
    ///
    /// # Errors
    /// A sentence: which of them it may not use, or that there are none.
    pub fn meant(&self, wish: &Cores) -> Result<CoreSet, String> {
        if !self.pins {
            return Err("this system cannot hold a program to some of its cores".into());
        }
        let (fast, all) = self.fast_and_all();
        match wish {
            Cores::Fast => Ok(fast),
            Cores::All => Ok(all),
            Cores::Slow => {
                let slow: CoreSet = all.numbers().filter(|core| !fast.contains(*core)).collect();
                if slow.is_empty() { Err("there are no slow cores: all are alike".into()) } else { Ok(slow) }
            }
            Cores::These(cores) => self.these(cores),
        }
    }

    fn these(&self, cores: &CoreSet) -> Result<CoreSet, String> {
        let there: CoreSet = self.cores.iter().map(|core| core.number).collect();
        let allowed: CoreSet = self.allowed().iter().map(|core| core.number).collect();
        let without = |set: &CoreSet| cores.numbers().filter(|core| !set.contains(*core)).collect::<CoreSet>();
        let (missing, forbidden) = (without(&there), without(&allowed));
        let named = |set: &CoreSet| if set.len() == 1 { format!("core {set}") } else { format!("cores {set}") };
        let is = |set: &CoreSet| if set.len() == 1 { "is" } else { "are" };
        if !missing.is_empty() {
            return Err(format!("{} {} not there: this machine has {}", named(&missing), is(&missing), named(&there)));
        }
        if !forbidden.is_empty() {
            return Err(format!("this program may not use {}: it may use {}", named(&forbidden), named(&allowed)));
        }
        Ok(*cores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hardware::boards;

    fn wish(text: &str) -> Cores {
        text.parse().unwrap()
    }

    #[test]
    fn words_and_lists_are_read_and_nonsense_is_refused() {
        for text in ["fast", "slow", "all", "0,2", "4-7", "0-1,6"] {
            assert_eq!(wish(text).to_string(), text);
        }
        for text in ["", "7-4", "-1", "a", "0,,2", "1-", "0-18446744073709551615", "99999"] {
            assert!(text.parse::<Cores>().unwrap_err().contains("`4-7`"), "{text}");
        }
    }

    #[test]
    fn words_mean_the_cores_of_the_board() {
        let set = |cpu: &Cpu, text: &str| cpu.meant(&wish(text)).map(|cores| cores.to_string());
        let board = boards::orange_pi_5_pro().cpu();
        assert_eq!(["fast", "slow", "all"].map(|text| set(&board, text).unwrap()), ["4-7", "0-3", "0-7"]);
        let laptop = boards::laptop_on_battery().cpu();
        assert_eq!(["fast", "slow", "all"].map(|text| set(&laptop, text).unwrap()), ["0,2", "4-11", "0,2,4-11"]);
        let equal = boards::raspberry_pi_4().cpu();
        assert_eq!(set(&equal, "fast").unwrap(), "0-3");
        assert!(set(&equal, "slow").unwrap_err().contains("all are alike"));
    }

    #[test]
    fn cores_that_are_not_there_or_not_allowed_are_named() {
        let board = boards::orange_pi_5_pro();
        let refused = |allowed: &str, text: &str| board.tree.read(allowed).meant(&wish(text)).unwrap_err();
        assert_eq!(refused("0-7", "6-9"), "cores 8-9 are not there: this machine has cores 0-7");
        assert_eq!(refused("0-3", "3-4"), "this program may not use core 4: it may use cores 0-3");
        let mac = Cpu { pins: false, ..board.cpu() };
        assert!(mac.meant(&Cores::All).unwrap_err().contains("cannot hold"));
    }
}
