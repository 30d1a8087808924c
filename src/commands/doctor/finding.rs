//! What an examination finds: facts, and findings with what to do about them.

use serde::Serialize;
use serde_json::Value;

/// How much a finding matters, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// It was looked at, and is as it should be.
    Ok,
    /// Good to know; it may be meant.
    Note,
    /// Something is slower, smaller or less safe than it could be.
    Warning,
    /// Something does not work.
    Problem,
}

impl Level {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub level: Level,
    /// What is so, as a sentence without a full stop.
    pub what: String,
    /// What to do or type about it; `None` only where it is as it should be.
    pub remedy: Option<String>,
}

impl Finding {
    pub fn ok(what: impl Into<String>) -> Self {
        Self { level: Level::Ok, what: what.into(), remedy: None }
    }

    pub fn note(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Note, what: what.into(), remedy: Some(remedy.into()) }
    }

    pub fn warning(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Warning, ..Self::note(what, remedy) }
    }

    pub fn problem(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Problem, ..Self::note(what, remedy) }
    }

    /// A sentence that ends, behind its last `mark`, with what to do.
    pub fn of_sentence(level: Level, sentence: &str, mark: &str, otherwise: &str) -> Self {
        let (what, remedy) = sentence.rsplit_once(mark).unwrap_or((sentence, otherwise));
        Self { level, what: what.to_owned(), remedy: Some(remedy.to_owned()) }
    }
}

/// One part of the examination.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Its key in the JSON.
    pub name: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// Names of facts and what they are, to be read by a person.
    pub facts: Vec<(&'static str, String)>,
    pub findings: Vec<Finding>,
    /// The facts for a script.
    pub object: Value,
}

impl Section {
    /// The worst of its findings.
    pub fn level(&self) -> Level {
        self.findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
    }
}

/// A value for a script. What cannot be written as JSON is `null`.
pub fn object(facts: &impl Serialize) -> Value {
    serde_json::to_value(facts).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_cut_where_it_begins_to_say_what_to_do() {
        let finding = Finding::of_sentence(Level::Problem, "`a: b` is full: free some space", ": ", "?");
        assert_eq!(finding, Finding::problem("`a: b` is full", "free some space"));
        assert_eq!(Finding::of_sentence(Level::Note, "it is so", ": ", "look"), Finding::note("it is so", "look"));
    }
}
