//! What a run tells while it is measured: its lines to a file that is kept and, for programs, to stdout; and for people
//! what is being done, on stderr. All that is told passes here, and is at hand until the end.

use std::cell::{Cell, Ref, RefCell};
use std::io::{self, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::energy::Watch;
use super::history::Kept;
use super::live::{Event, Live};
use super::record::{Case, End, Line, Run, TUICHAT, Timing};
use crate::engine::lab::Subject;
use crate::exit::Failure;
use crate::remarks::Remarks;
use crate::text::cause;

/// The key under which a case, and the settings of a run, have the cores that were asked for.
pub const CORES: &str = "cores";

/// A run that is being measured, and where its lines and remarks go.
pub struct Report {
    run: RefCell<Run>,
    out: Option<RefCell<Box<dyn Write>>>,
    kept: RefCell<Option<Kept>>,
    remarks: RefCell<Remarks<io::Stderr>>,
    /// The view, while somebody looks on.
    live: RefCell<Option<Live>>,
    /// Sentences for when the terminal is given back.
    held: RefCell<Vec<String>>,
    /// Records without a key of their own are counted.
    counted: Cell<u32>,
}

impl Report {
    /// Tells of this run, which may have cases already; lines go to `out` and to what is kept, if there are such.
    pub fn new(run: Run, out: Option<Box<dyn Write>>, kept: Option<Kept>, quiet: bool) -> Self {
        Self {
            run: RefCell::new(run),
            out: out.map(RefCell::new),
            kept: RefCell::new(kept),
            remarks: RefCell::new(Remarks::on_stderr(quiet)),
            live: RefCell::default(),
            held: RefCell::default(),
            counted: Cell::default(),
        }
    }

    /// Shows everything in this view from now on, until [`Report::leave`].
    pub fn show_in(&self, live: Live) {
        for case in &self.run.borrow().cases {
            live.tell(Event::finished(case));
        }
        *self.live.borrow_mut() = Some(live);
    }

    /// Gives the terminal back, and says what was to be said.
    pub fn leave(&self) {
        drop(self.live.take());
        for sentence in self.held.take() {
            self.note(&sentence);
        }
    }

    /// Something that a view shows, and nobody else needs.
    pub fn show(&self, event: Event) {
        if let Some(live) = &*self.live.borrow() {
            live.tell(event);
        }
    }

    /// A token was written.
    pub fn wrote(&self) {
        if let Some(live) = &*self.live.borrow() {
            live.wrote();
        }
    }

    /// What tells the watts from now on.
    pub fn watch(&self, watch: Watch) {
        if let Some(live) = &*self.live.borrow() {
            live.watch(watch);
        }
    }

    /// Tells what is known already: stdout hears all of it, the file what a new run begins with.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(&self, is_new: bool) -> Result<(), Failure> {
        let lines = self.run.borrow().lines();
        for line in &lines {
            // A run that is gone on with has not come to its end.
            if !matches!(line, Line::End(_)) {
                self.say(line)?;
            }
        }
        lines.iter().filter(|_| is_new).for_each(|line| self.keep(line));
        self.run.borrow_mut().end = None;
        Ok(())
    }

    /// Takes a case that has been measured: what is measured later may fail.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn add(&self, mut case: Case) -> Result<(), Failure> {
        if self.has(&case.key) {
            return Ok(());
        }
        if let Some(cores) = self.cores()
            && !case.rest.contains_key(CORES)
        {
            case.rest.insert(CORES.into(), cores);
        }
        self.write(Line::Case(Box::new(case)))
    }

    /// Takes a case of a suite whose records have a form of their own. Of the same key there is one.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn case(&self, subject: &Subject, key: &str, record: &impl Serialize) -> Result<(), Failure> {
        let bad = |error: serde_json::Error| Failure::error(error.to_string());
        let mut fields = Map::new();
        for part in [serde_json::to_value(base(subject)), serde_json::to_value(record)] {
            if let Value::Object(part) = part.map_err(bad)? {
                fields.extend(part);
            }
        }
        fields.insert("key".into(), format!("{}: {key}", file_name(subject)).into());
        self.add(serde_json::from_value(Value::Object(fields)).map_err(bad)?)
    }

    /// The same, where nothing is gone on with: the key is a number.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn record(&self, subject: &Subject, record: &impl Serialize) -> Result<(), Failure> {
        self.counted.set(self.counted.get() + 1);
        self.case(subject, &self.counted.get().to_string(), record)
    }

    /// Takes a single timing of a search: with all of them, a search that was killed goes on.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn timing(&self, subject: &Subject, timing: &impl Serialize) -> Result<(), Failure> {
        let model = file_name(subject);
        let number = self.run.borrow().timings.iter().filter(|timing| timing.model == model).count() + 1;
        match serde_json::to_value(timing) {
            Ok(Value::Object(rest)) => self.write(Line::Timing(Box::new(Timing { model, number, rest }))),
            Ok(_) => Ok(()),
            Err(error) => Err(Failure::error(error.to_string())),
        }
    }

    /// The timings of a model that are there, up to one that another version wrote in another form.
    pub fn timings<T: DeserializeOwned>(&self, subject: &Subject) -> Vec<T> {
        let (run, model) = (self.run.borrow(), file_name(subject));
        let of_model = run.timings.iter().filter(|timing| timing.model == model);
        of_model.map_while(|timing| serde_json::from_value(Value::Object(timing.rest.clone())).ok()).collect()
    }

    /// The cores that all cases have, if some were asked for.
    fn cores(&self) -> Option<Value> {
        match self.run.borrow().head.settings.get(CORES)?.as_array()?.as_slice() {
            [cores] => Some(cores.clone()),
            _ => None,
        }
    }

    /// Whether a case with this key was measured, this time or before.
    pub fn has(&self, key: &str) -> bool {
        self.run.borrow().has(key)
    }

    /// Whether this part of the work on a model was done, this time or before.
    pub fn is_done(&self, subject: &Subject, unit: &str) -> bool {
        self.run.borrow().is_done(&format!("{}: {unit}", file_name(subject)))
    }

    /// A part of the work on a model is done, with all its cases.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn done(&self, subject: &Subject, unit: &str) -> Result<(), Failure> {
        self.write(Line::Done { unit: format!("{}: {unit}", file_name(subject)) })
    }

    /// The run is over.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn end(&self, end: End) -> Result<(), Failure> {
        self.write(Line::End(Box::new(end)))
    }

    /// What has been measured so far.
    pub fn run(&self) -> Ref<'_, Run> {
        self.run.borrow()
    }

    /// What is being done, until something else is said.
    pub fn progress(&self, status: &str) {
        match &*self.live.borrow() {
            Some(live) => live.tell(Event::Doing(status.to_owned())),
            None => self.remarks.borrow_mut().progress(status),
        }
    }

    /// A sentence that stays.
    pub fn note(&self, sentence: &str) {
        match &*self.live.borrow() {
            Some(live) => {
                live.tell(Event::Noted(sentence.to_owned()));
                self.held.borrow_mut().push(sentence.to_owned());
            }
            None => self.remarks.borrow_mut().note(sentence),
        }
    }

    pub fn clear(&self) {
        match &*self.live.borrow() {
            Some(live) => live.tell(Event::Doing(String::new())),
            None => self.remarks.borrow_mut().clear(),
        }
    }

    fn write(&self, line: Line) -> Result<(), Failure> {
        self.keep(&line);
        if let Line::Case(case) = &line {
            self.show(Event::finished(case));
        }
        let said = self.say(&line);
        self.run.borrow_mut().add(line);
        said
    }

    fn say(&self, line: &Line) -> Result<(), Failure> {
        let Some(out) = &self.out else { return Ok(()) };
        let mut out = out.borrow_mut();
        out.write_all(line.to_text().as_bytes()).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
    }

    /// A full disk is no reason to throw away what is being measured.
    fn keep(&self, line: &Line) {
        let mut kept = self.kept.borrow_mut();
        if let Some(Err(error)) = kept.as_mut().map(|kept| kept.write(line)) {
            *kept = None;
            self.note(&format!("warning: the run is not kept from here on: {}", cause(&error)));
        }
    }
}

/// What every case of a model begins with.
pub fn base(subject: &Subject) -> Case {
    let rest = [("model_name", subject.name.as_str()), ("backends", subject.backend.as_str())];
    Case {
        runtime: TUICHAT.into(),
        model_filename: subject.path.to_string_lossy().into_owned(),
        model_type: describe(subject),
        model_size: subject.size,
        model_n_params: subject.parameters,
        n_threads: subject.threads,
        rest: rest.map(|(name, value)| (name.to_owned(), Value::from(value))).into_iter().collect(),
        ..Case::default()
    }
}

/// What a case tells of its model.
pub fn subject_of(case: &Case) -> Subject {
    let mut words = case.model_type.split(' ');
    let (architecture, quantization) = (words.next().unwrap_or_default(), words.next_back().unwrap_or_default());
    Subject {
        path: case.model_filename.clone().into(),
        name: case.text("model_name").unwrap_or_else(|| case.model()).to_owned(),
        architecture: architecture.to_owned(),
        quantization: quantization.to_owned(),
        parameters: case.model_n_params,
        size: case.model_size,
        trained_context: 0,
        backend: case.text("backends").unwrap_or("CPU").to_owned(),
        threads: case.n_threads,
        threads_reason: String::new(),
        library: String::new(),
    }
}

fn file_name(subject: &Subject) -> String {
    subject.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// `llama 134.52 M Q4_1`.
fn describe(subject: &Subject) -> String {
    let parameters = subject.parameters as f64;
    let parameters =
        if parameters < 1e9 { format!("{:.2} M", parameters / 1e6) } else { format!("{:.2} B", parameters / 1e9) };
    format!("{} {parameters} {}", subject.architecture, subject.quantization)
}
