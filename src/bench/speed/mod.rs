//! The suites `quick` and `depth`: how fast a model reads and writes on this machine, at the beginning of a conversation
//! and behind longer and longer ones. What `pp512` and `tg128` mean is what they mean to llama-bench.

mod tables;
mod timing;
mod trust;

use std::time::Duration;

use crate::bench::Ended;
use crate::bench::energy::Sampler;
use crate::bench::report::Report;
use crate::engine::KvTypes;
use crate::engine::lab::{Lab, Subject};
use crate::hardware::health::Health;
use crate::hardware::meters::{Choice, Meter};
use crate::hardware::{bandwidth, memory};
use crate::models::fit::Anatomy;
use crate::models::gguf;

pub use timing::Row;

/// How long it is seen what the machine draws while it does nothing.
const IDLE: Duration = Duration::from_secs(5);

/// What is measured, and with what.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub seed: u64,
    /// Tokens of the prompt that is timed.
    pub prompt: usize,
    /// Tokens that are written one by one.
    pub written: usize,
    /// Tokens before what is timed.
    pub depths: Vec<u32>,
    /// How often each is timed.
    pub rounds: u32,
    /// Fewer rounds, but three at least, where they would take longer than this.
    pub within: Option<Duration>,
    pub power: Choice,
}

/// What a model came to.
#[derive(Clone, Debug)]
pub struct Results {
    subject: Subject,
    prompt: usize,
    written: usize,
    rows: Vec<Row>,
    /// Bytes per second that the machine reads from memory.
    bandwidth: Option<f64>,
    /// Most memory that the program took.
    peak_bytes: Option<u64>,
    before: Health,
    after: Health,
    power: Power,
}

/// What is known of the power.
#[derive(Clone, Debug, Default)]
struct Power {
    /// What was asked, or why nothing.
    about: String,
    idle_watts: Option<f64>,
}

impl Results {
    pub fn of(subject: &Subject) -> Self {
        Self {
            subject: subject.clone(),
            prompt: 0,
            written: 0,
            rows: Vec::new(),
            bandwidth: None,
            peak_bytes: None,
            before: Health::default(),
            after: Health::default(),
            power: Power::default(),
        }
    }

    /// All that was measured, as tables.
    pub fn tables(&self) -> String {
        tables::render(self)
    }
}

/// What one token reads from memory at least.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reads {
    weights: f64,
    kv_per_token: f64,
}

/// Measures a model, adding to `results` as it goes.
///
/// # Errors
/// If it was stopped, the model fails or a record cannot be written.
pub fn run(lab: &Lab, settings: &Settings, report: &Report, results: &mut Results) -> Result<(), Ended> {
    let settings = within_training(settings, lab.subject(), report);
    (results.prompt, results.written) = (settings.prompt, settings.written);
    results.before = Health::read();
    report.progress("how fast the machine reads memory");
    results.bandwidth = bandwidth::measure(lab.subject().threads as usize);
    let programs: Vec<_> = std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect();
    let sampler = Meter::find(&settings.power, std::path::Path::new("/"), &programs).and_then(|meter| {
        report.progress("what the machine draws while it does nothing");
        let about = meter.about();
        Sampler::start(meter, IDLE).map(|sampler| (sampler, about))
    });
    results.power = match &sampler {
        Ok((sampler, about)) => Power { about: (*about).to_owned(), idle_watts: sampler.idle_watts },
        Err(sentence) => Power { about: sentence.clone(), idle_watts: None },
    };
    let sampler = sampler.ok().map(|(sampler, _)| sampler);
    let ended = measure(lab, &settings, sampler.as_ref(), report, results);
    results.after = Health::read();
    results.peak_bytes = memory::peak_bytes();
    report.clear();
    ended
}

fn measure(
    lab: &Lab,
    settings: &Settings,
    sampler: Option<&Sampler>,
    report: &Report,
    results: &mut Results,
) -> Result<(), Ended> {
    let reads = reads(lab.subject());
    let deepest = settings.depths.iter().copied().max().unwrap_or_default();
    let cells = deepest + (settings.prompt.max(settings.written) + 1) as u32;
    let rig = lab.rig(cells, KvTypes::default())?;
    let rows = timing::time(rig, lab, settings, sampler, report)?;
    for mut row in rows {
        row.of_bandwidth = results.bandwidth.zip(reads).and_then(|(speed, reads)| row.share_of(speed, reads));
        row.record(lab.subject(), settings, results, report)?;
        results.rows.push(row);
    }
    Ok(())
}

fn reads(subject: &Subject) -> Option<Reads> {
    let anatomy = Anatomy::of_header(&gguf::read_header(&subject.path).ok()?);
    Some(Reads { weights: anatomy.read_bytes(), kv_per_token: anatomy.kv_bytes_per_token as f64 })
}

/// The settings without what is longer than the texts that the model was trained with.
fn within_training(settings: &Settings, subject: &Subject, report: &Report) -> Settings {
    let most = match subject.trained_context {
        0 => u32::MAX,
        trained => trained,
    };
    let timed = settings.prompt.max(settings.written) as u32;
    let (depths, left_out): (Vec<u32>, Vec<u32>) =
        settings.depths.iter().partition(|depth| depth.saturating_add(timed) <= most);
    if !left_out.is_empty() {
        let left_out: Vec<String> = left_out.iter().map(u32::to_string).collect();
        report.note(&format!(
            "note: {} was trained with texts of {most} tokens, so these depths are left out: {}",
            subject.name,
            left_out.join(", ")
        ));
    }
    Settings { depths, ..settings.clone() }
}
