//! What stands beside the figures: the machine, what it was measured with, how it felt, and whether the figures are to be
//! trusted, in words.

use serde_json::Value;

use super::sections::{is_anchor, plain};
use crate::bench::record::{Condition, Run, Status};
use crate::text::escape_line;

/// Names and what they are.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    pub title: &'static str,
    pub of: Vec<(String, String)>,
}

/// Whether the figures are to be trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub trust: Trust,
    /// A sentence.
    pub sentence: String,
    /// What speaks against the figures.
    pub doubts: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    Valid,
    Doubtful,
    /// It is not there as a whole.
    Partial,
    /// Nobody looked.
    Unknown,
}

/// How many cases were measured. What only watches over the run is none.
pub fn measured(run: &Run) -> usize {
    run.cases.iter().filter(|case| !is_anchor(case)).count()
}

pub fn verdict(run: &Run) -> Verdict {
    let cases = match measured(run) {
        1 => "1 case".to_owned(),
        count => format!("{count} cases"),
    };
    let Some(end) = &run.end else {
        let sentence = if run.head.suite == LLAMA_BENCH {
            format!("{cases}, measured by llama-bench, which does not look whether its figures are to be trusted")
        } else {
            format!("{cases}: the run has no end, so it was killed or is still being written")
        };
        let trust = if run.head.suite == LLAMA_BENCH { Trust::Unknown } else { Trust::Partial };
        return Verdict { trust, sentence, doubts: Vec::new() };
    };
    let doubts: Vec<String> = end.doubts.iter().map(|doubt| escape_line(doubt)).collect();
    let (trust, sentence) = match (end.status, end.valid) {
        (Status::Stopped, _) => (Trust::Partial, format!("{cases}: it was stopped before its end")),
        (Status::Failed, _) => (Trust::Partial, format!("{cases}: it failed before its end")),
        (Status::Whole, true) => (Trust::Valid, format!("{cases}: nothing speaks against the figures")),
        (Status::Whole, false) => (Trust::Doubtful, format!("{cases}: the figures are not to be trusted")),
    };
    Verdict { trust, sentence, doubts }
}

/// What the runs of llama-bench have as their suite.
pub const LLAMA_BENCH: &str = "llama-bench";

/// Everything that stands beside the figures.
pub fn of(run: &Run) -> Vec<Facts> {
    let groups = [about(run), machine(run), settings(run), health(run)];
    groups.into_iter().filter(|facts| !facts.of.is_empty()).collect()
}

/// On what it was measured, with which versions, and when, in a line.
pub fn in_a_line(run: &Run) -> String {
    let (head, machine) = (&run.head, &run.head.machine);
    let mut about = vec![machine.line()];
    let versions = [("tuichat ", &head.tuichat), ("llama.cpp ", &head.llama_cpp)];
    let versions = versions.iter().filter(|(_, version)| !version.is_empty());
    about.extend(versions.map(|(name, version)| format!("{name}{version}")));
    about.extend([&machine.os, &machine.kernel].into_iter().flatten().cloned());
    about.extend(machine.governor.as_ref().map(|governor| format!("governor {governor}")));
    about.push(format!("suite {}, {}", head.suite, started(run)));
    about.join("; ")
}

/// When it was, in the place's own time.
pub fn started(run: &Run) -> String {
    run.head.started.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

fn about(run: &Run) -> Facts {
    let head = &run.head;
    let duration = run.end.as_ref().map(|end| {
        let seconds = (end.ended.as_second() - head.started.as_second()).max(0);
        format!("{}:{:02} minutes", seconds / 60, seconds % 60)
    });
    let facts = [
        ("run", Some(head.id.clone())),
        ("started", (head.started.as_second() != 0).then(|| started(run))),
        ("took", duration),
        ("suite", Some(head.suite.clone())),
        ("tuichat", Some(head.tuichat.clone())),
        ("llama.cpp", Some(head.llama_cpp.clone())),
        ("typed", Some(head.command.join(" "))),
    ];
    collect("Run", facts)
}

fn machine(run: &Run) -> Facts {
    let machine = &run.head.machine;
    let class = |class: &super::super::machine::CoreClass| {
        let clock = class.max_mhz.map(|mhz| format!(" at up to {:.2} GHz", mhz / 1000.0)).unwrap_or_default();
        format!("{}{clock}", class.words())
    };
    let cores: Vec<String> = machine.cores.iter().map(class).collect();
    let facts = [
        ("board", machine.board.clone()),
        ("processor", machine.cpu.clone()),
        ("cores", Some(cores.join(" + "))),
        ("memory", machine.memory_bytes.map(|bytes| format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)))),
        ("system", machine.os.clone()),
        ("kernel", machine.kernel.clone()),
        ("governor", machine.governor.clone()),
        ("architecture", Some(machine.arch.clone())),
    ];
    collect("Machine", facts)
}

fn settings(run: &Run) -> Facts {
    let mut of = Vec::new();
    for (name, value) in &run.head.settings {
        flatten(&escape_line(name), value, &mut of);
    }
    Facts { title: "Settings", of }
}

fn health(run: &Run) -> Facts {
    let Some(end) = &run.end else { return Facts::default() };
    let (before, after) = (&end.health.before, &end.health.after);
    let change = |of: fn(&Condition) -> Option<f64>, digits: usize, unit: &str| {
        let after = of(after)?;
        let before = of(before).map(|before| format!("{before:.digits$} to ")).unwrap_or_default();
        Some(format!("{before}{after:.digits$}{unit}"))
    };
    let mut facts = collect(
        "Before and after",
        [
            ("temperature", change(|at| at.celsius, 0, " °C")),
            ("clock", change(|at| at.mhz, 0, " MHz")),
            ("load", change(|at| at.load, 1, "")),
            ("swap in use", change(|at| at.swap_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20)), 0, " MiB")),
            ("throttled", change_of(before, after, |at| Some(format!("{:#x}", at.throttled_bits?)))),
            ("too hot", change_of(before, after, |at| Some(format!("{} times", at.throttled_count?)))),
            ("slowed down by", change_of(before, after, |at| Some(format!("{} steps", at.cooling_state?)))),
        ],
    );
    for (name, value) in &end.rest {
        if !matches!(value, Value::Array(values) if values.iter().any(|value| value.is_object() || value.is_array())) {
            flatten(&escape_line(name), value, &mut facts.of);
        }
    }
    facts
}

/// What it was before and after; once where it is the same.
fn change_of(before: &Condition, after: &Condition, of: fn(&Condition) -> Option<String>) -> Option<String> {
    let after = of(after)?;
    Some(
        of(before)
            .filter(|before| *before != after)
            .map_or_else(|| after.clone(), |before| format!("{before} to {after}")),
    )
}

/// Without what is not known.
fn collect<const N: usize>(title: &'static str, facts: [(&str, Option<String>); N]) -> Facts {
    let known = facts.into_iter().filter_map(|(name, fact)| Some((name, fact?))).filter(|(_, fact)| !fact.is_empty());
    Facts { title, of: known.map(|(name, fact)| (name.to_owned(), escape_line(&fact))).collect() }
}

/// Objects in objects as names with dots.
pub fn flatten(name: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value {
        Value::Null => {}
        Value::Object(values) => {
            for (inner, value) in values {
                flatten(&format!("{name}.{}", escape_line(inner)), value, into);
            }
        }
        value => into.push((name.to_owned(), plain(value))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::reports::examples;

    fn fact<'a>(all: &'a [Facts], title: &str, name: &str) -> Option<&'a str> {
        let facts = all.iter().find(|facts| facts.title == title)?;
        facts.of.iter().find(|(other, _)| other == name).map(|(_, fact)| fact.as_str())
    }

    #[test]
    fn machine_settings_and_how_it_felt_are_told_by_their_names() {
        let all = of(&examples::depth());
        assert_eq!(fact(&all, "Machine", "cores"), Some("4 Cortex-A76 at up to 2.40 GHz + 4 Cortex-A55"));
        assert_eq!(fact(&all, "Machine", "memory"), Some("8.0 GiB"));
        assert_eq!(fact(&all, "Settings", "depths"), Some("0, 1024"));
        assert_eq!(fact(&all, "Settings", "power.source"), Some("auto"));
        assert_eq!(fact(&all, "Before and after", "temperature"), Some("48 to 61 °C"));
        assert_eq!(fact(&all, "Run", "took"), Some("2:10 minutes"));
        assert_eq!(fact(&all, "Run", "started"), Some("2026-11-27 09:31 UTC"));
    }

    #[test]
    fn trust_is_said_in_a_sentence_and_doubts_are_named() {
        let mut run = examples::depth();
        assert_eq!(verdict(&run).trust, Trust::Valid);
        let end = run.end.as_mut().unwrap();
        (end.valid, end.doubts) = (false, vec!["the machine held itself back".into()]);
        let doubtful = verdict(&run);
        assert_eq!(
            (doubtful.trust, doubtful.doubts),
            (Trust::Doubtful, vec!["the machine held itself back".to_owned()])
        );
        run.end.as_mut().unwrap().status = Status::Stopped;
        assert!(verdict(&run).sentence.contains("stopped"));
        run.end = None;
        assert!(verdict(&run).sentence.contains("has no end") && verdict(&run).trust == Trust::Partial);
    }
}
