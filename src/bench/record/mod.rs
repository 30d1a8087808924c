//! The form of a run: lines of JSON, one for the run, one for each case when it has been measured, one for the end. They
//! are what `--json` prints and what is kept, and everything that is told of a run is told from them. Names are
//! llama-bench's where it has them; keys may be added, never renamed.

mod case;

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use case::Case;

use super::machine::Machine;
use crate::hardware::health::Health;

/// Who measured itself, where nothing else is said.
pub const TUICHAT: &str = "tuichat";

/// A run as it was written, whole or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub head: Head,
    pub cases: Vec<Case>,
    /// What a search is based on, in its order.
    pub timings: Vec<Timing>,
    /// Units of work that are done; their cases need not be measured again. A unit may have any number of cases.
    pub done: Vec<String>,
    /// `None` where it was killed, or is still being written.
    pub end: Option<End>,
}

/// A line of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "lowercase")]
pub enum Line {
    Run(Box<Head>),
    Case(Box<Case>),
    Timing(Box<Timing>),
    Done {
        unit: String,
    },
    End(Box<End>),
    /// Of a later version.
    #[serde(other, skip_serializing)]
    Other,
}

/// What holds for the whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// `2026-11-27-0931-quick`: sorts by time.
    pub id: String,
    pub started: Timestamp,
    pub suite: String,
    /// Versions.
    pub tuichat: String,
    #[serde(default)]
    pub llama_cpp: String,
    #[serde(default)]
    pub machine: Machine,
    /// What was measured, and with what.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// What was typed.
    #[serde(default)]
    pub command: Vec<String>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A single timing of a search, with what it takes to go on with the search; what that is, is the suite's own business.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The name of the model's file, without the folders.
    pub model: String,
    /// From 1 on, of each model.
    pub number: usize,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// How a run ended, and whether it is to be trusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    pub ended: Timestamp,
    pub status: Status,
    pub valid: bool,
    /// What speaks against the figures, in words.
    pub doubts: Vec<String>,
    pub health: BeforeAndAfter,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Every case was measured.
    Whole,
    /// Somebody stopped it, or it was killed; it can be gone on with.
    Stopped,
    Failed,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Whole => "whole",
            Status::Stopped => "stopped",
            Status::Failed => "failed",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BeforeAndAfter {
    pub before: Condition,
    pub after: Condition,
}

/// How the machine felt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Condition {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub celsius: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mhz: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap_bytes: Option<u64>,
    /// The bits of a Raspberry Pi, counts of Intel's processors, the kernel's deepest cooling state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_bits: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooling_state: Option<u32>,
}

impl From<&Health> for Condition {
    fn from(health: &Health) -> Self {
        Self {
            celsius: health.celsius,
            mhz: health.mhz,
            load: health.load,
            swap_bytes: health.swap_bytes,
            throttled_bits: health.throttling.raspberry,
            throttled_count: health.throttling.count,
            cooling_state: health.throttling.cooling,
        }
    }
}

impl Run {
    /// A run of which nothing has been measured yet.
    pub fn new(head: Head) -> Self {
        Self { head, cases: Vec::new(), timings: Vec::new(), done: Vec::new(), end: None }
    }

    /// Reads a file of lines. A last line that was cut off is left out.
    ///
    /// # Errors
    /// A sentence, if the file cannot be read or is none of a run.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let bytes = std::fs::read(path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
        Self::parse(&bytes)
            .map(|(run, _)| run)
            .map_err(|words| format!("`{shown}` is no run of `tuichat bench`: {words}"))
    }

    /// The run in these bytes, and how many of them are whole lines.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), String> {
        let mut run: Option<Self> = None;
        let mut whole = 0;
        for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let is_last = whole + line.len() == bytes.len();
            let read = match (line.iter().all(u8::is_ascii_whitespace), line.ends_with(b"\n")) {
                (true, _) => Ok(Line::Other),
                // A line without its end may be cut off where it happens to be JSON.
                (_, false) => break,
                _ => serde_json::from_slice(line),
            };
            match (read, &mut run) {
                (Ok(Line::Run(head)), None) => run = Some(Self::new(*head)),
                (Ok(_), None) => {
                    return Err(
                        "its first line does not say what was run; a run is what `--json` or `--out FILE.jsonl` wrote"
                            .into(),
                    );
                }
                (Ok(line), Some(run)) => run.add(line),
                // After a power cut, a line may be there by its length only.
                (Err(_), Some(_)) if is_last => break,
                (Err(_), None) => {
                    return Err("its first line is cut off or no JSON, so it is not known what was run".into());
                }
                (Err(error), Some(_)) => return Err(format!("line {}: {error}", number + 1)),
            }
            whole += line.len();
        }
        run.map(|run| (run, whole)).ok_or_else(|| "it has no whole line".into())
    }

    /// Takes what a line says. A case that is there already is not measured twice.
    pub fn add(&mut self, line: Line) {
        match line {
            Line::Case(case) if !self.has(&case.key) => self.cases.push(*case),
            Line::Timing(timing) => self.timings.push(*timing),
            Line::Done { unit } if !self.is_done(&unit) => self.done.push(unit),
            // A run that was gone on with has an end for each time.
            Line::End(end) => self.end = Some(*end),
            Line::Run(_) | Line::Case(_) | Line::Done { .. } | Line::Other => {}
        }
    }

    pub fn has(&self, key: &str) -> bool {
        self.cases.iter().any(|case| case.key == key)
    }

    pub fn is_done(&self, unit: &str) -> bool {
        self.done.iter().any(|done| done == unit)
    }

    /// How it ended; without an end it was killed.
    pub fn status(&self) -> Status {
        self.end.as_ref().map_or(Status::Stopped, |end| end.status)
    }

    /// The cases of each model that has some, in the order in which they were measured.
    pub fn by_model(&self) -> Vec<Vec<&Case>> {
        let of = |model: &str| self.cases.iter().filter(|case| case.model() == model).collect();
        self.models().into_iter().map(of).collect()
    }

    /// The models that were measured, each once.
    pub fn models(&self) -> Vec<&str> {
        let mut models: Vec<&str> = Vec::new();
        for case in &self.cases {
            if !models.contains(&case.model()) {
                models.push(case.model());
            }
        }
        models
    }

    /// All lines, as they are written.
    pub fn lines(&self) -> Vec<Line> {
        let head = std::iter::once(Line::Run(Box::new(self.head.clone())));
        let cases = self.cases.iter().map(|case| Line::Case(Box::new(case.clone())));
        let timings = self.timings.iter().map(|timing| Line::Timing(Box::new(timing.clone())));
        let done = self.done.iter().map(|unit| Line::Done { unit: unit.clone() });
        let end = self.end.iter().map(|end| Line::End(Box::new(end.clone())));
        head.chain(timings).chain(cases).chain(done).chain(end).collect()
    }
}

impl Line {
    /// With the end of the line.
    pub fn to_text(&self) -> String {
        // Maps with names and numbers are always JSON.
        serde_json::to_string(self).map_or_else(|_| String::new(), |text| text + "\n")
    }
}

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A run of a suite without cases.
    pub fn empty(suite: &str) -> Run {
        Run::new(Head {
            id: format!("2026-11-27-0931-{suite}"),
            started: "2026-11-27T09:31:00Z".parse().unwrap(),
            suite: suite.into(),
            tuichat: "0.1.0".into(),
            llama_cpp: "b1".into(),
            machine: Machine::default(),
            settings: Map::new(),
            command: vec!["tuichat".into(), "bench".into()],
            rest: Map::new(),
        })
    }

    pub fn case(key: &str) -> Case {
        let rest = [("cores".to_owned(), Value::from("big"))].into_iter().collect();
        Case {
            key: key.into(),
            runtime: TUICHAT.into(),
            test: "tg128".into(),
            model_filename: "/m/tiny.gguf".into(),
            n_gen: 128,
            avg_ts: Some(10.5),
            samples_ts: vec![10.0, 11.0],
            rest,
            ..Case::default()
        }
    }

    fn timing(number: usize) -> Timing {
        let rest = [("token_seconds".to_owned(), Value::from(0.25))].into_iter().collect();
        Timing { model: "tiny.gguf".into(), number, rest }
    }

    fn whole() -> Run {
        let mut run = empty("quick");
        run.add(Line::Case(Box::new(case("a"))));
        run.add(Line::Done { unit: "first".into() });
        run.add(Line::Case(Box::new(case("b"))));
        run.add(Line::Timing(Box::new(timing(1))));
        run.add(Line::End(Box::new(End {
            ended: "2026-11-27T09:33:00Z".parse().unwrap(),
            status: Status::Whole,
            valid: false,
            doubts: vec!["it was hot".into()],
            health: BeforeAndAfter::default(),
            rest: Map::new(),
        })));
        run
    }

    fn text(run: &Run) -> String {
        run.lines().iter().map(Line::to_text).collect()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = text(&whole());
        assert!(
            text.starts_with(r#"{"record":"run","id":"2026-11-27-0931-quick","started":"2026-11-27T09:31:00Z""#),
            "{text}"
        );
        let (read, bytes) = Run::parse(text.as_bytes()).unwrap();
        assert_eq!((read.clone(), bytes), (whole(), text.len()));
        assert_eq!((read.status(), read.models()), (Status::Whole, vec!["tiny.gguf"]));
        assert_eq!(read.cases[0].text("cores"), Some("big"));
        assert_eq!((read.by_model().len(), read.by_model()[0].len(), read.timings.len()), (1, 2, 1));
    }

    #[test]
    fn a_run_cut_off_anywhere_has_what_was_whole_and_was_stopped() {
        let text = text(&whole());
        let head = text.find('\n').unwrap() + 1;
        for cut in head..text.len() {
            let (read, bytes) = Run::parse(&text.as_bytes()[..cut]).unwrap();
            let whole = text[..cut].rfind('\n').map_or("", |end| &text[..end]);
            assert_eq!(read.cases.len(), whole.matches(r#"{"record":"case""#).count(), "{cut}");
            assert_eq!(read.timings.len(), whole.matches(r#"{"record":"timing""#).count(), "{cut}");
            assert!(bytes <= cut && text[..bytes].ends_with('\n') && read.status() == Status::Stopped);
        }
        assert!(Run::parse(&text.as_bytes()[..head - 1]).is_err());
        let torn = format!("{}\n", &text[..head / 2]);
        assert!(Run::parse(torn.as_bytes()).unwrap_err().starts_with("its first line is cut off"));
    }

    #[test]
    fn zeros_at_the_end_are_what_a_power_cut_leaves() {
        let mut bytes = text(&whole()).into_bytes();
        let good = bytes.len();
        bytes.extend([0; 40]);
        bytes.push(b'\n');
        assert_eq!(Run::parse(&bytes).unwrap(), (whole(), good));
    }

    #[test]
    fn what_is_no_run_is_said_to_be_none() {
        for text in ["", "{}\n", "no\n", "{\"record\":\"case\",\"key\":\"a\"}\n"] {
            assert!(Run::parse(text.as_bytes()).is_err(), "{text}");
        }
        let mut broken = text(&whole());
        broken.insert_str(broken.find('\n').unwrap() + 1, "half a line\n");
        assert!(Run::parse(broken.as_bytes()).unwrap_err().starts_with("line 2: "));
    }

    #[test]
    fn lines_of_a_later_version_and_a_case_for_the_second_time_are_passed_over() {
        let more = text(&whole()).replacen("\n", "\n{\"record\":\"weather\",\"rain\":true}\n", 1);
        let again = more.clone() + &Line::Case(Box::new(case("a"))).to_text();
        assert_eq!(Run::parse(again.as_bytes()).unwrap().0, whole());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        #[test]
        fn a_run_that_is_damaged_anywhere_is_read_up_to_there_or_refused_with_the_line(
            damages in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut bytes = text(&whole()).into_bytes();
            for (place, byte) in damages {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes.truncate(cut.index(bytes.len()) + 1);
            match Run::parse(&bytes) {
                Ok((run, length)) => {
                    prop_assert!(length <= bytes.len());
                    prop_assert!(run.cases.len() <= 2 && run.timings.len() <= 1);
                }
                Err(words) => prop_assert!(words.starts_with("line ") || words.starts_with("it"), "{words}"),
            }
        }
    }
}
