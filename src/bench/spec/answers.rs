//! Whole answers with and without guesses. Every task is answered in all ways, forwards and then backwards (ABBA), so
//! that what slows the machine down slows them all; a way's answers are compared with those without guesses of the same
//! half of a round.

use serde::Serialize;

use super::tasks::{Class, Task};
use super::{Settings, Way};
use crate::bench::Ended;
use crate::bench::report::Report;
use crate::bench::statistics::{Interval, deviation, mean};
use crate::chat::{Message, Role, Sampling};
use crate::engine::lab::{Lab, Rig};
use crate::engine::protocol::{GenerateOptions, SpeculationOptions, Think};

/// Cells for a task and its answer.
pub const CELLS: u32 = 4096;

/// A class of tasks answered in one way.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub class: Class,
    pub way: Way,
    /// Tokens per second of each answer.
    pub speeds: Vec<f64>,
    /// The logarithm of each answer's speed over that of the one without guesses of the same half of a round.
    pub gains: Vec<f64>,
    pub drafted: u32,
    pub accepted: u32,
    pub written: u32,
    /// Answers whose text is that without guesses.
    pub same: u32,
}

impl Row {
    /// How many times as fast as without guesses, with a 95 % confidence interval.
    pub fn ratio(&self) -> Interval {
        Interval::of(&self.gains).exp()
    }
}

/// The ways' ratios over all classes: the geometric mean, with a 95 % confidence interval.
pub fn over_all(rows: &[Row], way: Way) -> Interval {
    let classes: Vec<Interval> =
        rows.iter().filter(|row| row.way == way && !row.gains.is_empty()).map(|row| Interval::of(&row.gains)).collect();
    Interval::mean_of(&classes).exp()
}

#[derive(Serialize)]
struct Record<'a> {
    suite: &'static str,
    test: &'static str,
    task: Class,
    spec: Way,
    prompts: Vec<String>,
    max_tokens: u32,
    n_gen: u32,
    avg_ts: f64,
    stddev_ts: f64,
    samples_ts: &'a [f64],
    ratio: Option<f64>,
    ratio_low: Option<f64>,
    ratio_high: Option<f64>,
    n_drafted: u32,
    n_accepted: u32,
    n_answers: usize,
    n_same_text: u32,
    /// Logarithms of how many times as fast an answer came as the one without guesses.
    samples_gain: &'a [f64],
}

/// Answers all tasks in all ways.
///
/// # Errors
/// If it was stopped, the model fails or a record cannot be written.
pub fn measure(lab: &Lab, settings: &Settings, report: &Report) -> Result<(), Ended> {
    let unit = |class: &Class| format!("answers, {}", class.as_str());
    let is_done = |class: &Class| report.is_done(lab.subject(), &unit(class));
    if settings.classes.iter().all(is_done) {
        return Ok(());
    }
    let mut plain = lab.chat(CELLS, false)?;
    let mut with_model =
        settings.ways.iter().any(|way| way.needs_model()).then(|| lab.chat(CELLS, true)).transpose()?;
    for rig in [Some(&mut plain), with_model.as_mut()].into_iter().flatten() {
        report.progress("answers: timing steps");
        warm_up(rig)?;
    }
    for (place, class) in settings.classes.iter().enumerate() {
        if is_done(class) {
            continue;
        }
        let of = |way: &Way| Row {
            class: *class,
            way: *way,
            speeds: Vec::new(),
            gains: Vec::new(),
            drafted: 0,
            accepted: 0,
            written: 0,
            same: 0,
        };
        let mut class_rows: Vec<Row> = settings.ways.iter().map(of).collect();
        for round in 0..settings.rounds {
            for number in 0..settings.cases {
                let task = class.task(settings.seed, number);
                for is_back in [false, true] {
                    let (done, all) = (round * settings.cases + number + 1, settings.rounds * settings.cases);
                    let (kind, kinds) = (place + 1, settings.classes.len());
                    report.progress(&format!("{}, kind {kind} of {kinds}: {done} of {all}", class.as_str()));
                    half_round(&mut plain, with_model.as_mut(), &task, &mut class_rows, is_back)?;
                }
            }
        }
        for row in class_rows {
            record(lab, settings, report, &row)?;
        }
        report.done(lab.subject(), &unit(class))?;
        report.note(&format!("{}: done", class.as_str()));
    }
    Ok(())
}

/// What an answer in a chat that goes on finds known: how long steps take.
///
/// # Errors
/// If it was stopped, or the model fails.
pub fn warm_up(rig: &mut Rig<'_>) -> Result<(), Ended> {
    let task = Task { class: Class::Prose, prompt: "Count from one to twenty in words.".into(), most_tokens: 16 };
    ask(rig, &task, Way::Auto, 0.0)?;
    rig.time_steps();
    Ok(())
}

/// One answer in each way.
fn half_round<'lab>(
    plain: &mut Rig<'lab>,
    mut with_model: Option<&mut Rig<'lab>>,
    task: &Task,
    rows: &mut [Row],
    is_back: bool,
) -> Result<(), Ended> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    if is_back {
        order.reverse();
    }
    let mut texts = vec![(String::new(), None); rows.len()];
    for place in order {
        let row = &mut rows[place];
        let rig = match &mut with_model {
            Some(rig) if row.way.needs_model() => rig,
            _ => &mut *plain,
        };
        let answer = ask(rig, task, row.way, 0.0)?;
        row.speeds.extend(answer.speed);
        row.drafted += answer.drafted;
        row.accepted += answer.accepted;
        row.written += answer.written;
        texts[place] = (answer.text, answer.speed);
    }
    let Some(off) = rows.iter().position(|row| row.way == Way::Off) else { return Ok(()) };
    let (text, speed) = texts[off].clone();
    for (row, other) in rows.iter_mut().zip(&texts) {
        row.same += u32::from(other.0 == text);
        row.gains.extend(gain(other.1, speed));
    }
    Ok(())
}

/// The logarithm of how many times as fast one answer came as another, if both have a speed.
pub fn gain(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.zip(other).map(|(one, other)| (one / other).ln())
}

/// An answer and what came of guesses in it.
pub struct Answer {
    pub text: String,
    /// Tokens per second; none of an answer of one token.
    pub speed: Option<f64>,
    pub drafted: u32,
    pub accepted: u32,
    written: u32,
}

/// Greedy, so that all ways are to write the same.
///
/// # Errors
/// If it was stopped, or the model fails.
pub fn ask(rig: &mut Rig<'_>, task: &Task, way: Way, fuzzy: f32) -> Result<Answer, Ended> {
    let options = GenerateOptions {
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        max_tokens: Some(task.most_tokens),
        think: Think::Off,
        loop_breaker: false,
        speculation: SpeculationOptions { by: way.mode(), most: None, fuzzy },
        ..GenerateOptions::default()
    };
    let (answer, finish) = rig.ask(&[Message::new(Role::User, task.prompt.as_str())], &options)?;
    let stats = finish.stats;
    Ok(Answer {
        text: answer.text,
        speed: stats.decode_tokens_per_second(),
        drafted: stats.speculation.drafted,
        accepted: stats.speculation.accepted,
        written: stats.usage.completion_tokens,
    })
}

fn record(lab: &Lab, settings: &Settings, report: &Report, row: &Row) -> Result<(), Ended> {
    let ratio = row.ratio();
    let tasks: Vec<Task> = (0..settings.cases).map(|number| row.class.task(settings.seed, number)).collect();
    let record = Record {
        suite: "spec",
        test: "answer",
        task: row.class,
        spec: row.way,
        max_tokens: tasks.first().map_or(0, |task| task.most_tokens),
        prompts: tasks.into_iter().map(|task| task.prompt).collect(),
        n_gen: row.written,
        avg_ts: mean(&row.speeds),
        stddev_ts: deviation(&row.speeds),
        samples_ts: &row.speeds,
        ratio: (!row.gains.is_empty()).then_some(ratio.middle),
        ratio_low: ratio.low(),
        ratio_high: ratio.high(),
        n_drafted: row.drafted,
        n_accepted: row.accepted,
        n_answers: row.speeds.len(),
        n_same_text: row.same,
        samples_gain: &row.gains,
    };
    Ok(report.case(lab.subject(), &format!("answers, {}, {}", row.class.as_str(), row.way), &record)?)
}
