//! Memory: how much there is, who limits it, and which model that is enough for.

use serde::Serialize;
use serde_json::Value;

use super::finding::{Finding, Section, object};
use super::system::System;
use crate::hardware::memory::Memory;
use crate::text::{file_size, mebibytes};

/// What is known of the memory. Bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct MemoryFacts {
    /// The machine's.
    total_bytes: Option<u64>,
    /// What this program may take without swapping.
    available_bytes: Option<u64>,
    /// What a control group allows, where that is less than the machine has.
    limit_bytes: Option<u64>,
    swap_bytes: u64,
    swap_used_bytes: u64,
    /// Some of the swap is memory that is compressed.
    zram: bool,
    /// `vm.overcommit_memory`.
    overcommit: Option<u32>,
    /// The most demanding model of the catalogue that does well here.
    largest: Option<Largest>,
    /// There is a catalogue, and none of it fits.
    nothing_fits: bool,
}

/// A model of the catalogue on this machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Largest {
    pub name: String,
    pub quantization: String,
    pub bytes: u64,
    pub parameters: u64,
    /// How it does, for a person: `runs well, about 25 tok/s`.
    #[serde(skip)]
    pub sentence: String,
    pub fit: Value,
}

/// What the catalogue comes to on this machine.
#[derive(Clone, Debug, PartialEq)]
pub enum Fitting {
    Largest(Box<Largest>),
    Nothing,
}

impl MemoryFacts {
    /// `fitting` is `None` where it was not looked at.
    pub fn read(system: &System<'_>, fitting: Option<Fitting>) -> Self {
        let meminfo = system.read("proc/meminfo").unwrap_or_default();
        let total_bytes = kibibytes(&meminfo, "MemTotal:");
        let memory = Memory::read_under(system.root);
        let limit_bytes = memory.map(|memory| memory.total).filter(|limit| Some(*limit) < total_bytes);
        let swaps = system.read("proc/swaps").unwrap_or_default();
        let nothing_fits = fitting == Some(Fitting::Nothing);
        let largest = match fitting {
            Some(Fitting::Largest(largest)) => Some(*largest),
            Some(Fitting::Nothing) | None => None,
        };
        Self {
            total_bytes,
            available_bytes: memory.map(|memory| memory.available),
            limit_bytes,
            swap_bytes: kibibytes(&meminfo, "SwapTotal:").unwrap_or(0),
            swap_used_bytes: kibibytes(&meminfo, "SwapTotal:")
                .zip(kibibytes(&meminfo, "SwapFree:"))
                .map_or(0, |(total, free)| total.saturating_sub(free)),
            zram: swaps.lines().any(|line| line.starts_with("/dev/zram")),
            overcommit: system.read("proc/sys/vm/overcommit_memory").and_then(|text| text.parse().ok()),
            nothing_fits,
            largest,
        }
    }

    pub fn section(&self) -> Section {
        let mut facts = Vec::new();
        match self.total_bytes {
            Some(total) => facts.push(("total", mebibytes(total))),
            None => facts.push(("total", "the system does not tell".into())),
        }
        if let Some(limit) = self.limit_bytes {
            facts.push(("limit", format!("{} for this program, by a control group", mebibytes(limit))));
        }
        if let Some(available) = self.available_bytes {
            facts.push(("available", mebibytes(available)));
        }
        let kind = if self.zram { ", in compressed memory (zram)" } else { "" };
        facts.push(match self.swap_bytes {
            0 => ("swap", "none".into()),
            bytes => ("swap", format!("{}, {} of it used{kind}", mebibytes(bytes), mebibytes(self.swap_used_bytes))),
        });
        if let Some(Largest { name, quantization, bytes, sentence, .. }) = &self.largest {
            facts.push(("room for", format!("{name} ({quantization}, {}): {sentence}", file_size(*bytes))));
        }
        Section { name: "memory", title: "Memory", facts, findings: self.findings(), object: object(self) }
    }

    fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if self.nothing_fits {
            findings.push(Finding::warning(
                "no model of the catalogue fits into the memory that is available",
                "close other programs; `tuichat models list --catalog` shows what each would need",
            ));
        }
        if let (Some(limit), Some(total)) = (self.limit_bytes, self.total_bytes)
            && limit < total / 2
        {
            findings.push(Finding::note(
                format!("a control group allows {} of {}", mebibytes(limit), mebibytes(total)),
                "give the container or the service more, as with `docker update --memory`, if that is not meant",
            ));
        }
        if self.overcommit == Some(2) {
            findings.push(Finding::note(
                "the system gives out no more memory than it has (`vm.overcommit_memory` is 2), and may refuse a model \
                 that would fit",
                "if one is refused, type `sudo sysctl vm.overcommit_memory=0`",
            ));
        }
        if self.swap_bytes > 0 && self.swap_used_bytes > self.swap_bytes / 4 * 3 {
            findings.push(Finding::note(
                "most of the swap is used, so memory was short",
                "`top` shows who holds it (type M to sort by memory)",
            ));
        }
        if findings.is_empty() {
            findings.push(Finding::ok("there is room for a model"));
        }
        findings
    }
}

fn kibibytes(meminfo: &str, name: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::super::system::fixture::Fixture;
    use super::*;

    const MEMINFO: &str = "MemTotal: 8000000 kB\nMemAvailable: 6000000 kB\nSwapTotal: 1000 kB\nSwapFree: 100 kB\n";

    fn largest() -> Fitting {
        Fitting::Largest(Box::new(Largest {
            name: "example".into(),
            quantization: "Q4_K_M".into(),
            bytes: 1_500_000_000,
            parameters: 3,
            sentence: "runs well".into(),
            fit: Value::Null,
        }))
    }

    fn read(files: &[(&str, &str)], fitting: Fitting) -> MemoryFacts {
        Fixture::new(files, &[]).examine(|system| MemoryFacts::read(system, Some(fitting)))
    }

    #[test]
    fn a_control_group_is_told_from_the_machine() {
        let facts = read(
            &[
                ("proc/meminfo", MEMINFO),
                ("proc/self/cgroup", "0::/box\n"),
                ("sys/fs/cgroup/box/memory.max", "600000000\n"),
            ],
            largest(),
        );
        assert_eq!((facts.total_bytes, facts.limit_bytes), (Some(8_192_000_000), Some(600_000_000)));
        assert!(facts.findings()[0].what.contains("573 MiB of 7813 MiB"), "{:?}", facts.findings());
    }

    #[test]
    fn overcommit_and_a_full_swap_are_notes() {
        let facts = read(
            &[
                ("proc/meminfo", MEMINFO),
                ("proc/sys/vm/overcommit_memory", "2\n"),
                ("proc/swaps", "Filename Type Size\n/dev/zram0 partition 1000 900 100\n"),
            ],
            largest(),
        );
        assert!(facts.zram);
        let findings = facts.findings();
        assert!(findings.iter().all(|finding| finding.level == Level::Note), "{findings:?}");
        assert_eq!(findings.len(), 2);
        assert!(facts.section().facts.iter().any(|(_, fact)| fact.ends_with("(zram)")));
    }

    #[test]
    fn a_machine_for_no_model_is_warned_of() {
        let facts = read(&[("proc/meminfo", "MemTotal: 9 kB\nMemAvailable: 5 kB\n")], Fitting::Nothing);
        assert_eq!(facts.findings()[0].level, Level::Warning);
        assert_eq!(facts.section().object["largest"], Value::Null);
    }

    #[test]
    fn plenty_is_ok() {
        let meminfo = "MemTotal: 8000000 kB\nMemAvailable: 6000000 kB\n";
        assert_eq!(read(&[("proc/meminfo", meminfo)], largest()).findings()[0].level, Level::Ok);
    }
}
