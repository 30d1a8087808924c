//! What a suite tells while it runs: records for programs on stdout, one object per line, and for people what is being
//! done on stderr. The names in a record are llama-bench's where it has them.

use std::cell::RefCell;
use std::io::{self, Write};

use serde::Serialize;

use crate::engine::lab::Subject;
use crate::exit::Failure;
use crate::remarks::Remarks;

/// Where a suite's records and remarks go.
pub struct Report {
    records: Option<RefCell<Box<dyn Write>>>,
    remarks: RefCell<Remarks<io::Stderr>>,
}

impl Report {
    /// Writes records to `records`, if to anything.
    pub fn new(records: Option<Box<dyn Write>>, quiet: bool) -> Self {
        Self { records: records.map(RefCell::new), remarks: RefCell::new(Remarks::on_stderr(quiet)) }
    }

    /// Writes a record at once: what is measured later may fail.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn record(&self, subject: &Subject, record: &impl Serialize) -> Result<(), Failure> {
        let Some(out) = &self.records else { return Ok(()) };
        let line = Line { subject: About::from(subject), record };
        let line = serde_json::to_string(&line).map_err(|error| Failure::error(error.to_string()))?;
        let mut out = out.borrow_mut();
        writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
    }

    /// What is being done, until something else is said.
    pub fn progress(&self, status: &str) {
        self.remarks.borrow_mut().progress(status);
    }

    /// A sentence that stays.
    pub fn note(&self, sentence: &str) {
        self.remarks.borrow_mut().note(sentence);
    }

    pub fn clear(&self) {
        self.remarks.borrow_mut().clear();
    }
}

#[derive(Serialize)]
struct Line<'a, R> {
    #[serde(flatten)]
    subject: About<'a>,
    #[serde(flatten)]
    record: &'a R,
}

/// What every record begins with.
#[derive(Serialize)]
struct About<'a> {
    tuichat_version: &'static str,
    llama_cpp_version: &'a str,
    backends: &'a str,
    model_filename: String,
    model_type: String,
    model_size: u64,
    model_n_params: u64,
    n_threads: u32,
}

impl<'a> From<&'a Subject> for About<'a> {
    fn from(subject: &'a Subject) -> Self {
        Self {
            tuichat_version: env!("CARGO_PKG_VERSION"),
            llama_cpp_version: &subject.library,
            backends: &subject.backend,
            model_filename: subject.path.to_string_lossy().into_owned(),
            model_type: describe(subject),
            model_size: subject.size,
            model_n_params: subject.parameters,
            n_threads: subject.threads,
        }
    }
}

/// `llama 134.52 M Q4_1`.
fn describe(subject: &Subject) -> String {
    let parameters = subject.parameters as f64;
    let parameters =
        if parameters < 1e9 { format!("{:.2} M", parameters / 1e6) } else { format!("{:.2} B", parameters / 1e9) };
    format!("{} {parameters} {}", subject.architecture, subject.quantization)
}
