//! The suite `cold`: what a start takes, step by step, when the model's file has to come from the disk, and when it is in
//! memory already. The system is asked to forget the file, which needs no privileges; that it did shows in the bytes that
//! were read.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value};

use super::Ended;
use super::footprint::Footprint;
use super::outlook::{Known, Outlook, Step};
use super::record::{Case, Run};
use super::report::{Report, base};
use super::speed::{memory, title, trusted};
use super::statistics::{Interval, mean};
use super::stream::Stream;
use super::suite::{self, Measurement, Models};
use super::table::Table;
use crate::engine::KvTypes;
use crate::engine::lab::Lab;
use crate::engine::protocol::LoadSettings;
use crate::exit::Failure;
use crate::hardware::paging::Paging;
use crate::text::{cause, mebibytes};

/// Of the first question.
const PROMPT: usize = 32;
const CELLS: u32 = 4096;
/// Less than this part of the file was read: it was not forgotten.
const LEAST_READ: f64 = 0.5;

/// What is measured, and with what.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    pub seed: u64,
    /// Starts of each kind.
    pub rounds: u32,
    pub threads: Option<u32>,
}

/// The suite.
pub struct Cold {
    pub settings: Settings,
}

/// Where a start finds the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Cold,
    Warm,
}

impl Start {
    const BOTH: [Self; 2] = [Self::Cold, Self::Warm];

    fn as_str(self) -> &'static str {
        match self {
            Start::Cold => "cold",
            Start::Warm => "warm",
        }
    }
}

/// The steps of a start, in their order, and what a record calls them.
const STEPS: [&str; 5] = ["checks_ms", "weights_ms", "context_ms", "prompt_ms", "token_ms"];

/// What a start took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Took {
    /// Milliseconds of each of [`STEPS`].
    steps: [f64; STEPS.len()],
    major_faults: f64,
    read_bytes: f64,
    /// The weights are pages of the file, so that faults tell how it came from the disk.
    is_mapped: bool,
}

impl Took {
    fn total(&self) -> f64 {
        self.steps.iter().sum()
    }
}

impl Measurement for Cold {
    fn settings(&self) -> Map<String, Value> {
        suite::settings(&self.settings)
    }

    fn measure(&mut self, models: &Models<'_>, report: &Report) -> Result<(), Ended> {
        for model in models.all {
            self.measure_one(model, models, report)?;
        }
        Ok(())
    }

    fn outlook(&self, _known: &Known<'_>) -> Outlook {
        let step = |start: Start| Step {
            test: format!("{} start", start.as_str()),
            rounds: self.settings.rounds,
            n_prompt: PROMPT as u32,
            n_gen: 1,
            ..Step::default()
        };
        // What the disk takes is what is to be found out.
        Outlook { steps: Start::BOTH.map(step).to_vec(), seconds: None, ..Outlook::default() }
    }

    fn tables(&self, run: &Run) -> String {
        render(run)
    }
}

impl Cold {
    fn measure_one(&self, model: &LoadSettings, models: &Models<'_>, report: &Report) -> Result<(), Ended> {
        let name = model.name.clone().unwrap_or_default();
        report.progress(&format!("{name}: loading it for the first time"));
        // A file that was never loaded is tried in a process of its own first; that is not what is measured here.
        let base = base(Lab::open(model, models.cancel)?.subject());
        let key = |start: Start| format!("{}: {} start", base.model(), start.as_str());
        if Start::BOTH.iter().all(|start| report.has(&key(*start))) {
            return Ok(());
        }
        let mut took = Start::BOTH.map(|start| (start, Vec::new()));
        let mut after = Footprint::default();
        for round in 0..self.settings.rounds {
            let mut order = [0, 1];
            if round % 2 == 1 {
                order.reverse();
            }
            for place in order {
                let (start, samples) = &mut took[place];
                let (number, all) = (round + 1, self.settings.rounds);
                report.progress(&format!("{name}: {} start {number} of {all}", start.as_str()));
                match start {
                    Start::Cold => forget(&model.path)?,
                    Start::Warm => remember(&model.path)?,
                }
                let (one, footprint) = self.start(model, models)?;
                samples.push(one);
                after = footprint;
            }
        }
        for (start, samples) in took {
            report.add(case(&base, key(start), start, &samples, after))?;
        }
        Ok(())
    }

    /// From nothing to the first token.
    fn start(&self, model: &LoadSettings, models: &Models<'_>) -> Result<(Took, Footprint), Ended> {
        let before = Paging::read();
        let lab = Lab::open(model, models.cancel)?;
        let began = Instant::now();
        let mut rig = lab.rig(CELLS.min(trained(&lab)), KvTypes::default())?;
        let context = began.elapsed();
        let tokens = Stream::of_all(&lab, self.settings.seed).take(PROMPT + 1);
        let began = Instant::now();
        rig.go_on(&tokens[..PROMPT])?;
        let prompt = began.elapsed();
        rig.go_on(&tokens[PROMPT..])?;
        let token = began.elapsed() - prompt;
        let after = Paging::read();
        let more = |of: fn(&Paging) -> Option<u64>| {
            let (now, then) = (after.as_ref().and_then(of), before.as_ref().and_then(of));
            now.zip(then).map_or(0.0, |(now, then)| now.saturating_sub(then) as f64)
        };
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let opening = lab.opening();
        let took = Took {
            steps: [opening.checks, opening.weights, context, prompt, token].map(ms),
            major_faults: more(|paging| Some(paging.major_faults)),
            read_bytes: more(|paging| paging.read_bytes),
            is_mapped: opening.is_mapped,
        };
        Ok((took, Footprint::read()))
    }
}

fn trained(lab: &Lab) -> u32 {
    match lab.subject().trained_context {
        0 => CELLS,
        trained => trained,
    }
}

/// Asks the system to forget what it has of the file in memory.
#[cfg(target_os = "linux")]
fn forget(path: &Path) -> Result<(), Failure> {
    let failed = |words: String| Failure::disk(format!("cannot have `{}` forgotten: {words}", path.display()));
    let file = File::open(path).map_err(|error| failed(cause(&error)))?;
    // What is not on the disk yet cannot be forgotten.
    let _ = file.sync_all();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).map_err(|error| failed(cause(&error.into())))
}

/// This system has no such thing.
#[cfg(not(target_os = "linux"))]
fn forget(_path: &Path) -> Result<(), Failure> {
    Err(Failure::usage("`--suite cold` needs Linux: this system cannot be asked to forget a file"))
}

/// Has the file in memory, as far as there is room.
fn remember(path: &Path) -> Result<(), Failure> {
    let read = File::open(path).and_then(|mut file| std::io::copy(&mut file, &mut std::io::sink()));
    read.map(drop).map_err(|error| Failure::disk(format!("cannot read `{}`: {}", path.display(), cause(&error))))
}

fn case(base: &Case, key: String, start: Start, samples: &[Took], after: Footprint) -> Case {
    let column = |of: &dyn Fn(&Took) -> f64| samples.iter().map(of).collect::<Vec<f64>>();
    let mut rest = base.rest.clone();
    rest.insert("start".into(), start.as_str().into());
    for (place, name) in STEPS.iter().enumerate() {
        rest.insert((*name).into(), mean(&column(&|took| took.steps[place])).into());
    }
    let totals = column(&Took::total);
    let interval = Interval::of(&totals);
    rest.insert("start_ms".into(), mean(&totals).into());
    for (name, bound) in [("ci95_low_start_ms", interval.low()), ("ci95_high_start_ms", interval.high())] {
        rest.extend(bound.map(|bound| (name.to_owned(), bound.into())));
    }
    rest.insert("samples_start_ms".into(), totals.into());
    rest.insert("is_mapped".into(), samples.iter().any(|took| took.is_mapped).into());
    rest.insert("read_bytes".into(), (mean(&column(&|took| took.read_bytes)) as u64).into());
    Case {
        key,
        test: format!("{} start", start.as_str()),
        n_prompt: PROMPT as u32,
        n_gen: 1,
        ttft_ms: Some(mean(&column(&|took| took.total() - took.steps[STEPS.len() - 1]))),
        pss_file_bytes: after.file_bytes,
        pss_anonymous_bytes: after.anonymous_bytes,
        major_faults: Some(mean(&column(&|took| took.major_faults)).round() as u64),
        rest,
        ..base.clone()
    }
}

/// All that a run of this suite came to.
pub fn render(run: &Run) -> String {
    let mut text = String::new();
    for cases in run.by_model() {
        text += &title(cases[0]);
        let headings =
            ["start", "checks", "weights", "context", "prompt", "token", "total", "read", "faults", "memory"];
        let mut table = Table::new(headings);
        for case in &cases {
            let ms = |name: &str| case.number(name).map_or_else(|| "–".into(), |ms| format!("{ms:.0} ms"));
            let mut row = vec![case.text("start").unwrap_or_default().to_owned()];
            row.extend(STEPS.iter().map(|name| ms(name)));
            row.push(total(case));
            row.push(case.number("read_bytes").map_or_else(|| "–".into(), |bytes| mebibytes(bytes as u64)));
            row.push(faults(case));
            row.push(memory(Some(case)));
            table.push(row);
        }
        text += &table.render();
        text += &remark(&cases);
    }
    text + &trusted(run)
}

/// Weights that are copied when they are loaded cause none.
fn faults(case: &Case) -> String {
    match case.major_faults {
        Some(_) if case.rest.get("is_mapped") == Some(&Value::Bool(false)) => "not mapped".into(),
        Some(faults) => faults.to_string(),
        None => "–".into(),
    }
}

fn total(case: &Case) -> String {
    let Some(middle) = case.number("start_ms") else { return "–".into() };
    match case.number("ci95_high_start_ms") {
        Some(high) => format!("{middle:.0} ± {:.0} ms", high - middle),
        None => format!("{middle:.0} ms"),
    }
}

/// What the table does not say.
fn remark(cases: &[&Case]) -> String {
    let of = |start: Start| cases.iter().find(|case| case.text("start") == Some(start.as_str()));
    let Some((cold, warm)) = of(Start::Cold).zip(of(Start::Warm)) else { return String::new() };
    let read = cold.number("read_bytes").unwrap_or_default();
    if read < LEAST_READ * cold.model_size as f64 {
        return "not to be trusted: little of the file was read, so the system did not forget it (another program uses it, or \
                it lies on a file system that keeps files in memory)\n"
            .into();
    }
    let seconds = |case: &Case| case.number("start_ms").unwrap_or_default() / 1000.0;
    let more = seconds(cold) - seconds(warm);
    let rate = if more > 0.0 { format!(", {:.0} MB/s", read / more / 1e6) } else { String::new() };
    format!("a cold start takes {more:.2} s more, in which {} are read{rate}\n", mebibytes(read as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record::Line;
    use crate::bench::record::tests::empty;

    fn run(read: f64) -> Run {
        run_of(read, true)
    }

    fn run_of(read: f64, is_mapped: bool) -> Run {
        let mut run = empty("cold");
        let base = Case { model_filename: "/m/tiny.gguf".into(), model_size: 200_000_000, ..Case::default() };
        let took = |weights, read_bytes| Took {
            steps: [10.0, weights, 20.0, 100.0, 10.0],
            major_faults: 9.0,
            read_bytes,
            is_mapped,
        };
        for (start, took) in [(Start::Cold, took(2060.0, read)), (Start::Warm, took(60.0, 0.0))] {
            let case = case(&base, start.as_str().into(), start, &[took, took], Footprint::default());
            run.add(Line::Case(Box::new(case)));
        }
        run
    }

    #[test]
    fn a_cold_start_stands_beside_a_warm_one_with_its_steps() {
        let text = render(&run(200e6));
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[2], "cold 10 ms 2060 ms 20 ms 100 ms 10 ms 2200 ± 0 ms 191 MiB 9 –");
        assert_eq!(lines[3], "warm 10 ms 60 ms 20 ms 100 ms 10 ms 200 ± 0 ms 0 MiB 9 –");
        assert_eq!(lines[4], "a cold start takes 2.00 s more, in which 191 MiB are read, 100 MB/s");
    }

    #[test]
    fn weights_that_were_copied_cause_no_faults_that_tell_anything() {
        let text = render(&run_of(200e6, false));
        assert_eq!(text.matches("191 MiB  not mapped").count(), 1, "{text}");
        assert_eq!(text.matches("not mapped").count(), 2, "{text}");
    }

    #[test]
    fn a_file_that_was_not_forgotten_makes_no_cold_start() {
        assert!(render(&run(1e6)).contains("not to be trusted: little of the file was read"));
    }

    #[test]
    fn the_first_token_comes_before_it_is_gone_on_with() {
        assert_eq!(run(0.0).cases[1].ttft_ms, Some(190.0));
    }
}
