//! What two runs have not alike beside their figures: versions, machines, settings. A ratio may come from any of it.

use serde_json::{Map, Value};

use crate::bench::record::Run;
use crate::bench::reports::{NOTHING, flatten};

/// A name, and what it is in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub what: String,
    pub first: String,
    pub second: String,
}

pub fn of(first: &Run, second: &Run) -> Vec<Difference> {
    let (one, other) = (facts(first), facts(second));
    let find = |facts: &[(String, String)], name: &str| {
        facts.iter().find(|(other, _)| other == name).map(|(_, fact)| fact.clone()).filter(|fact| !fact.is_empty())
    };
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in one.iter().chain(&other) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let differs = |name: &str| {
        let (first, second) = (find(&one, name), find(&other, name));
        // Settings that one of them does not know are none of both.
        let is_told = first.is_some() && second.is_some();
        let word = |fact: Option<String>| fact.unwrap_or_else(|| NOTHING.into());
        (is_told && first != second).then(|| Difference {
            what: name.to_owned(),
            first: word(first),
            second: word(second),
        })
    };
    names.into_iter().filter_map(differs).collect()
}

fn facts(run: &Run) -> Vec<(String, String)> {
    let head = &run.head;
    let mut all = vec![("suite".to_owned(), head.suite.clone())];
    let parts = [("tuichat", &head.tuichat), ("llama.cpp", &head.llama_cpp)];
    all.extend(parts.into_iter().map(|(name, value)| (name.to_owned(), value.clone())));
    let machine = serde_json::to_value(&head.machine).unwrap_or(Value::Null);
    let machine = machine.as_object().cloned().unwrap_or_default();
    all.extend(named(&machine));
    all.extend(named(&head.settings));
    all
}

fn named(map: &Map<String, Value>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (name, value) in map {
        flatten(name, value, &mut all);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::reports::examples;

    #[test]
    fn what_is_alike_or_known_of_one_only_is_not_said() {
        let (first, mut second) = (examples::depth(), examples::depth());
        assert_eq!(of(&first, &second), []);
        second.head.llama_cpp = "b7001".into();
        second.head.machine.governor = Some("performance".into());
        second.head.machine.kernel = None;
        second.head.settings.insert("rounds".into(), 10.into());
        second.head.settings.insert("more".into(), true.into());
        let told: Vec<String> =
            of(&first, &second).iter().map(|it| format!("{}: {} and {}", it.what, it.first, it.second)).collect();
        assert_eq!(told, ["llama.cpp: b7000 and b7001", "governor: ondemand and performance", "rounds: 3 and 10"]);
    }
}
