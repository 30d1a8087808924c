//! What `--spec-fuzzy` costs and brings: letters are read into JSON, and their fields compared with what the letters
//! say, at several thresholds. At 0 an answer is exactly the model's own.

use serde::Serialize;
use serde_json::Value;

use super::answers::{self, Answer};
use super::tasks::{Class, Letter, Task};
use super::{Settings, Way};
use crate::bench::Ended;
use crate::bench::report::Report;
use crate::bench::statistics::{Interval, mean};
use crate::engine::lab::Lab;

/// Letters that are read; each has eight fields.
const LETTERS: u32 = 14;
/// Those that judge themselves have numbers beyond those of the tasks.
const FIRST: u32 = 1000;

/// A way to guess at one threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub way: Way,
    pub threshold: f32,
    /// Fields that are as in the letter, and all.
    pub right: u32,
    pub fields: u32,
    pub speeds: Vec<f64>,
    /// The logarithm of each answer's speed over that of the same letter in the same way at threshold 0.
    pub gains: Vec<f64>,
    pub drafted: u32,
    pub accepted: u32,
}

impl Row {
    /// How many times as fast as at threshold 0, with a 95 % confidence interval.
    pub fn ratio(&self) -> Interval {
        Interval::of(&self.gains).exp()
    }
}

#[derive(Serialize)]
struct Record<'a> {
    suite: &'static str,
    test: &'static str,
    spec: Way,
    fuzzy: f32,
    n_fields: u32,
    n_right: u32,
    avg_ts: f64,
    /// None where threshold 0 was not asked for.
    ratio: Option<f64>,
    ratio_low: Option<f64>,
    ratio_high: Option<f64>,
    n_drafted: u32,
    n_accepted: u32,
    /// Logarithms of how many times as fast a letter was read as at threshold 0.
    samples_gain: &'a [f64],
}

/// Reads all letters in all ways that guess, at all thresholds.
///
/// # Errors
/// If it was stopped, the model fails or a record cannot be written.
pub fn measure(lab: &Lab, settings: &Settings, report: &Report) -> Result<(), Ended> {
    for way in settings.ways.iter().copied().filter(|way| *way != Way::Off) {
        let unit = format!("fuzzy answers, {way}");
        if report.is_done(lab.subject(), &unit) {
            continue;
        }
        let mut rig = lab.chat(answers::CELLS, way.needs_model())?;
        answers::warm_up(&mut rig)?;
        let of = |threshold: &f32| Row {
            way,
            threshold: *threshold,
            right: 0,
            fields: 0,
            speeds: Vec::new(),
            gains: Vec::new(),
            drafted: 0,
            accepted: 0,
        };
        let mut way_rows: Vec<Row> = settings.fuzzy.iter().map(of).collect();
        for number in 0..LETTERS {
            report.progress(&format!("fuzzy answers, {way}: letter {} of {LETTERS}", number + 1));
            let letter = Letter::draw(settings.seed, FIRST + number);
            let task = Task { class: Class::Json, prompt: letter.prompt(), most_tokens: 160 };
            let mut order: Vec<usize> = (0..way_rows.len()).collect();
            if number % 2 == 1 {
                order.reverse();
            }
            let mut speeds = vec![None; way_rows.len()];
            for place in order {
                let row = &mut way_rows[place];
                let answer = answers::ask(&mut rig, &task, way, row.threshold)?;
                row.add(&letter, &answer);
                speeds[place] = answer.speed;
            }
            let Some(exact) = way_rows.iter().position(|row| row.threshold == 0.0) else { continue };
            for (row, speed) in way_rows.iter_mut().zip(&speeds) {
                row.gains.extend(answers::gain(*speed, speeds[exact]));
            }
        }
        for row in way_rows {
            let key = format!("fuzzy answers, {way}, {}", row.threshold);
            report.case(lab.subject(), &key, &row.record())?;
        }
        report.done(lab.subject(), &unit)?;
        report.note(&format!("fuzzy answers, {way}: done"));
    }
    Ok(())
}

impl Row {
    fn add(&mut self, letter: &Letter, answer: &Answer) {
        self.right += right_fields(&letter.fields, &answer.text);
        self.fields += letter.fields.len() as u32;
        self.speeds.extend(answer.speed);
        self.drafted += answer.drafted;
        self.accepted += answer.accepted;
    }

    fn record(&self) -> Record<'_> {
        let ratio = self.ratio();
        Record {
            suite: "spec",
            test: "fuzzy",
            spec: self.way,
            fuzzy: self.threshold,
            n_fields: self.fields,
            n_right: self.right,
            avg_ts: mean(&self.speeds),
            ratio: (!self.gains.is_empty()).then_some(ratio.middle),
            ratio_low: ratio.low(),
            ratio_high: ratio.high(),
            n_drafted: self.drafted,
            n_accepted: self.accepted,
            samples_gain: &self.gains,
        }
    }
}

/// How many of these fields the JSON object in an answer has, with these values; upper case and lower case are one.
fn right_fields(fields: &[(&'static str, String)], answer: &str) -> u32 {
    let object = answer.find('{').zip(answer.rfind('}')).and_then(|(start, end)| answer.get(start..=end));
    let Some(Value::Object(object)) = object.and_then(|text| serde_json::from_str(text).ok()) else { return 0 };
    let is_right = |(name, value): &&(&str, String)| {
        let found = object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, found)| match found {
            Value::String(text) => text.trim().to_owned(),
            other => other.to_string(),
        });
        found.is_some_and(|found| found.eq_ignore_ascii_case(value))
    };
    fields.iter().filter(is_right).count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_right_if_it_has_the_value_of_the_letter() {
        let fields = [("sender", "Petra".to_owned()), ("quantity", "12".to_owned()), ("date", "3 May".to_owned())];
        assert_eq!(
            right_fields(&fields, "```json\n{\"Sender\": \"petra \", \"quantity\": 12, \"date\": \"4 May\"}\n```"),
            2
        );
        assert_eq!(right_fields(&fields, "{\"quantity\": \"12\""), 0, "cut");
        assert_eq!(right_fields(&fields, "none"), 0);
    }
}
