//! A batch: many items, each a prompt with settings of its own, answered by a model that is loaded once. Every item
//! becomes one line, written whole; a failure of an item is told there, and the others go on.

mod earlier;
mod held_to;
mod items;
mod line;
mod no_items;
mod order;
mod progress;
mod tally;

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

pub use earlier::{Earlier, begin, go_on};
pub use held_to::HeldTo;
pub use items::{Asked, Item, STDIN, read};

use super::printer::Phase;
use super::report::Report;
use super::{Happening, file_bytes, set_up};
use crate::chat::Ended;
use crate::closed_stdout;
use crate::engine::protocol::{
    Batch, CancelFlag, Constraint, EngineError, Finish, GenerateOptions, Lanes, LoadSettings, RequestId, Step, Trial,
    Work,
};
use crate::engine::{Engine, Source};
use crate::exit::{Exit, Failure};
use crate::remarks::Remarks;
use crate::text;
use order::Order;
use tally::Tally;

/// How often it is told how far a batch is.
const TOLD_EVERY: Duration = Duration::from_millis(200);

/// What is to be answered, and by what.
pub struct Job {
    pub source: Source,
    /// `None` where no item is to be answered.
    pub load: Option<LoadSettings>,
    /// Those that are not done.
    pub items: Vec<Item>,
    pub held_to: HeldTo,
    /// What an earlier run did.
    pub earlier: Earlier,
    /// So many are answered side by side; `None` lets the engine choose.
    pub lanes: Option<u32>,
    /// Write results as they come, not in the order of the items.
    pub as_done: bool,
    /// Where results go.
    pub out: Box<dyn Write>,
    pub quiet: bool,
    /// Tell how it was done, and how fast.
    pub verbose: bool,
    /// What to type where there is no memory for the model, a file of so many bytes: names one that fits, if there is one.
    pub smaller: Box<dyn FnOnce(u64) -> Option<String> + Send>,
    /// The file that the results go into, if that is not stdout.
    pub written: Option<PathBuf>,
}

/// stdout, for results: made harmless if it is a terminal.
///
/// # Errors
/// If it is closed.
pub fn stdout() -> Result<Box<dyn Write>, Failure> {
    closed_stdout::check()?;
    let stdout = io::stdout().lock();
    Ok(if stdout.is_terminal() { Box::new(Escaped(stdout)) } else { Box::new(stdout) })
}

/// A terminal, which must not be given what it could obey. What is written to it is whole lines.
struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(text::escape(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Answers the items.
///
/// # Errors
/// Why they are not all answered; what is answered was written.
pub fn run(job: Job) -> Result<Exit, Failure> {
    let Job { items, held_to, earlier, as_done, out, quiet, .. } = job;
    let before = earlier.tally;
    let total = before.done + items.len();
    let mut run = Run {
        order: Order::new(as_done),
        out,
        remarks: Remarks::on_stderr(quiet),
        tally: before,
        before: before.done,
        total,
        answered: HashMap::new(),
        tokens: 0,
        lanes: None,
        began: Instant::now(),
        told: None,
        stopped_by: None,
        held_to,
        ids: Vec::new(),
        options: Vec::new(),
    };
    let mut batch = Batch { items: Vec::new(), lanes: job.lanes };
    let mut places = Vec::new();
    for (place, item) in items.into_iter().enumerate() {
        run.ids.push(item.id);
        match item.asked {
            Ok(Asked { prompt, options }) => {
                places.push(place);
                run.options.push(Some(options.clone()));
                batch.items.push((prompt, options));
            }
            Err(failure) => {
                run.options.push(None);
                run.fail(place, &failure)?;
            }
        }
    }
    let outcome = match job.load {
        None => Ok(()),
        Some(load) => {
            let (engine, happenings, _) = set_up(job.source)?;
            let bytes = file_bytes(&load.path);
            run.answer(&engine, &happenings, load, batch, &places).map_err(|failure| match failure.exit {
                Exit::NotEnoughMemory => (job.smaller)(bytes).into_iter().fold(failure, Failure::hint),
                _ => failure,
            })
        }
    };
    run.end(outcome, job.verbose, job.written.as_deref())
}

struct Run {
    order: Order,
    out: Box<dyn Write>,
    remarks: Remarks<io::Stderr>,
    tally: Tally,
    /// Items that an earlier run did.
    before: usize,
    total: usize,
    /// The answers under way, by their places among the items.
    answered: HashMap<usize, Report>,
    /// Tokens that were chosen.
    tokens: u64,
    lanes: Option<Lanes>,
    /// The first item.
    began: Instant,
    told: Option<Instant>,
    stopped_by: Option<Exit>,
    held_to: HeldTo,
    ids: Vec<serde_json::Value>,
    options: Vec<Option<GenerateOptions>>,
}

impl Run {
    /// Loads the model and answers the items, each of which has its place among all that are not done.
    fn answer(
        &mut self,
        engine: &Engine,
        happenings: &Receiver<Happening>,
        load: LoadSettings,
        batch: Batch,
        places: &[usize],
    ) -> Result<(), Failure> {
        if !self.load(engine, happenings, load)? {
            return Ok(());
        }
        self.began = Instant::now();
        let (id, cancel) = engine.submit(Work::Batch(Box::new(batch)));
        if self.stopped_by.is_some() {
            cancel.cancel();
        }
        loop {
            match self.next(engine, happenings, id, &cancel)? {
                Step::Prefilling { done, total, .. } => {
                    let percent = f64::from(done) * 100.0 / f64::from(total.max(1));
                    self.remarks.progress(&format!("reading what the items have in common {percent:.0} %"));
                }
                Step::Lanes(lanes) => {
                    self.began = Instant::now();
                    self.lanes = Some(lanes);
                    self.tell();
                }
                Step::Item(item, step) => {
                    let written = self.item(places[item], *step);
                    written.inspect_err(|_| cancel.cancel())?;
                }
                Step::Failed(error) => return Err(Failure::from(&error)),
                Step::Done => return Ok(()),
                _ => {}
            }
        }
    }

    /// `false` if a signal came first.
    fn load(
        &mut self,
        engine: &Engine,
        happenings: &Receiver<Happening>,
        settings: LoadSettings,
    ) -> Result<bool, Failure> {
        let (id, cancel) = engine.submit(Work::Load(Box::new(settings)));
        loop {
            match self.next(engine, happenings, id, &cancel)? {
                Step::Loading(part) => self.remarks.progress(&format!("loading the model {:.0} %", part * 100.0)),
                Step::Trying(Trial::Kv(_)) => {
                    self.remarks.progress(&Phase::Trying.to_string());
                }
                Step::Ready(model) => {
                    if let Some(notice) = model.device.as_ref().and_then(|device| device.notice.as_ref()) {
                        self.remarks.note(&format!("note: {notice}"));
                    }
                    if !model.has_template {
                        let name = &model.name;
                        self.remarks.note(&format!(
                            "note: {name} has no chat template; it continues the text and answers nothing"
                        ));
                    }
                    return Ok(true);
                }
                Step::Failed(error) => return Err(Failure::from(&error)),
                Step::Cancelled => return Ok(false),
                _ => {}
            }
        }
    }

    fn item(&mut self, place: usize, step: Step) -> Result<(), Failure> {
        match step {
            Step::Token(piece) => self.answered.entry(place).or_default().add_piece(&piece),
            Step::Weighed(weighed) => {
                self.answered.entry(place).or_default().logprobs.get_or_insert_default().push(*weighed);
            }
            Step::Finished(finish) => return self.finish(place, &finish),
            Step::Failed(error) => {
                let failure = match error {
                    // Its words are for a chat.
                    EngineError::ContextFull { needed, cells } => EngineError::ItemTooLong { needed, cells },
                    error => error,
                };
                return self.fail(place, &Failure::from(&failure));
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, place: usize, finish: &Finish) -> Result<(), Failure> {
        let mut report = self.answered.remove(&place).unwrap_or_default();
        self.tokens += u64::from(finish.stats.usage.completion_tokens);
        // It is not done, and a later run does it.
        if finish.ended == Ended::Cancelled {
            return Ok(());
        }
        report.set_finish(finish, 0.0);
        let options = self.options[place].as_ref();
        let form = options.and_then(|options| options.constraint.as_ref()).map(Constraint::name);
        let problem = match (form, options.and_then(|options| self.held_to.validator(options))) {
            (Some(form), _) if finish.ended == Ended::Length => Some(
                Failure::unsatisfied(format!("the answer was cut, so it does not satisfy the {form}"))
                    .hint("give it more room with `max_tokens` or `--ctx`"),
            ),
            (_, Some(validator)) => {
                validator.check(&report.text).err().map(|problem| Failure::unsatisfied(format!("the answer {problem}")))
            }
            _ => None,
        };
        if let Some(problem) = problem {
            report.set_error(&problem);
        }
        self.done(place, &report)
    }

    fn fail(&mut self, place: usize, failure: &Failure) -> Result<(), Failure> {
        let mut report = self.answered.remove(&place).unwrap_or_default();
        report.set_failure(failure);
        self.done(place, &report)
    }

    fn done(&mut self, place: usize, report: &Report) -> Result<(), Failure> {
        self.tally.add(report.error.as_ref().map(|error| error.exit_code));
        let ready = self.order.done(place, line::of(&self.ids[place], report));
        self.write(ready)?;
        self.tell();
        Ok(())
    }

    /// Writes each line whole.
    fn write(&mut self, lines: impl IntoIterator<Item = String>) -> Result<(), Failure> {
        for line in lines {
            self.remarks.clear();
            let written = self.out.write_all(line.as_bytes()).and_then(|()| self.out.flush());
            written.map_err(|error| Failure::output(&error))?;
        }
        Ok(())
    }

    fn tell(&mut self) {
        let now = Instant::now();
        if self.told.is_none_or(|told| now - told >= TOLD_EVERY) {
            self.told = Some(now);
            let status = progress::status(self.tally.done, self.before, self.total, self.began.elapsed());
            self.remarks.progress(&status);
        }
    }

    /// The next event of this request. A signal sets `cancel`.
    fn next(
        &mut self,
        engine: &Engine,
        happenings: &Receiver<Happening>,
        id: RequestId,
        cancel: &CancelFlag,
    ) -> Result<Step, Failure> {
        loop {
            match happenings.recv_timeout(Duration::from_millis(500)) {
                Ok(Happening::Engine(event)) if event.id == id => return Ok(event.step),
                Ok(Happening::Signal(exit)) => {
                    self.stopped_by = Some(exit);
                    cancel.cancel();
                }
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) if engine.is_alive() => {}
                Err(_) => {
                    return Err(Failure::error("the engine stopped without a word").hint("the log file may say why"));
                }
            }
        }
    }

    /// Writes what waited for earlier items that will not come, and says how it went.
    fn end(mut self, outcome: Result<(), Failure>, verbose: bool, written: Option<&Path>) -> Result<Exit, Failure> {
        self.remarks.clear();
        let is_open = !matches!(&outcome, Err(failure) if matches!(failure.exit, Exit::ClosedPipe | Exit::Disk));
        if is_open {
            let rest: Vec<String> = std::mem::take(&mut self.order).rest().collect();
            self.write(rest)?;
        }
        if let Some(lanes) = self.lanes.as_ref().filter(|_| verbose) {
            let summary = self.summary(lanes);
            self.remarks.note(&summary);
        }
        outcome?;
        let Some(exit) = self.stopped_by.filter(|_| self.tally.done < self.total) else {
            return self.tally.outcome(written);
        };
        let how = written.map(|path| format!("; go on with `--resume {}`", path.display())).unwrap_or_default();
        self.remarks.note(&format!("stopped: {} of {} items are done{how}", self.tally.done, self.total));
        Ok(exit)
    }

    fn summary(&self, lanes: &Lanes) -> String {
        let seconds = self.began.elapsed().as_secs_f64().max(f64::MIN_POSITIVE);
        let items = self.tally.done - self.before;
        format!(
            "{items} items in {seconds:.1} s: {:.2} items/s, {:.1} tokens/s; {} side by side ({}), {} tokens in common",
            items as f64 / seconds,
            self.tokens as f64 / seconds,
            lanes.lanes,
            lanes.reason,
            lanes.shared_tokens
        )
    }
}
