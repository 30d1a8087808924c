//! One-shot: one prompt, one answer, and out. stdout is the answer and nothing else; stderr is for people; the
//! exit code says how it went.
//!
//! Everything that happens (the engine's events, signals, the model's hash) arrives in one channel and is dealt
//! with by one thread, in order.

pub mod batch;
mod extract;
mod printer;
mod question;
mod report;
mod saved;
mod start;

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

pub use question::{Question, Stdin};
pub use saved::SavedChat;

use crate::chat::{Ended, Stats};
use crate::closed_stdout;
use crate::config::{Extract, Output};
use crate::engine::constraint::Validator;
use crate::engine::protocol::{
    CancelFlag, Channel, Constraint, Event, GenerateOptions, LoadSettings, ModelInfo, Piece, Prompt, RequestId,
    Rereading, Step, Trial, Work,
};
use crate::engine::{self, Engine, Source};
use crate::exit::{Exit, Failure};
use crate::remarks::Remarks;
use crate::signals;
use extract::{Extractor, Part};
use printer::{Phase, Printer, Progress};
use report::Report;
use start::Start;

/// What is said where `--cache-prompt` keeps nothing.
const NOT_KEPT: &str = "note: nothing of this prompt is kept: `--cache-prompt` keeps a system prompt and what `--file` puts \
    before the prompt, from 64 tokens on and as long as it fits into the KV cache";

/// How long the program stays after an answer to learn how long steps of a model take; only the first times, and it is
/// kept. (An interrupt ends it at once.)
const TIMING_WITHIN: Duration = Duration::from_millis(1500);

/// How often it is looked whether everything is written.
const POLL: Duration = Duration::from_millis(5);

/// What is to be answered, and by what.
pub struct Job {
    pub source: Source,
    pub load: LoadSettings,
    pub prompt: Prompt,
    pub options: GenerateOptions,
    /// What the whole answer is checked against.
    pub schema: Option<Validator>,
    /// The part of it that is printed; `None` prints all.
    pub extract: Option<Extract>,
    pub quiet: bool,
    /// Thoughts are told on stderr even where nobody looks on.
    pub tells_thoughts: bool,
    /// The chat that the prompt's last message goes on with.
    pub chat: Option<SavedChat>,
    /// Something of this is kept on disk, and has to be there when the program ends.
    pub keeps: bool,
    /// Tell what the start went into.
    pub verbose: bool,
    /// What to type where there is no memory for the model, a file of so many bytes: names one that fits, if there is one.
    pub smaller: Box<dyn FnOnce(u64) -> Option<String> + Send>,
    /// Finds the SHA-256 of the model's file, if it is one. It is asked for where the form shows it.
    pub hash: Option<Box<dyn FnOnce() -> Result<String, String> + Send>>,
}

/// Answers on stdout, in this form, what `prepare` finds is to be answered.
///
/// # Errors
/// Why there is no answer, or only a part of one. With the JSON forms stdout has been told already.
pub fn run(form: Output, prepare: impl FnOnce() -> Result<Job, Failure>) -> Result<Exit, Failure> {
    let began = Start::now();
    closed_stdout::check()?;
    let stdout = io::stdout().lock();
    let is_terminal = stdout.is_terminal();
    let mut printer = Printer::new(stdout, form, is_terminal);
    match prepare().and_then(|job| Ok((set_up(job.source.clone())?, job))) {
        Ok(((engine, happenings, sender), mut job)) => {
            // A schema is about the whole answer, and so are the object of JSON and a chat in which it is saved.
            let ends_with_part = form == Output::Text && job.schema.is_none() && job.chat.is_none();
            let mut run = Run {
                engine,
                happenings,
                printer,
                remarks: Remarks::on_stderr(job.quiet).telling_thoughts(job.tells_thoughts),
                form,
                report: Report {
                    logprobs: (job.options.weighed > 0).then(Vec::new),
                    chat: job.chat.as_ref().map(|chat| chat.key().0),
                    ..Report::default()
                },
                chat: job.chat.take(),
                last_progress: None,
                stopped_by: None,
                full_context: None,
                rereading: None,
                wants_beginning: job.options.shared.is_some(),
                keeps: job.keeps,
                wants_thoughts: job.tells_thoughts,
                extractor: job.extract.clone().map(Extractor::new),
                ends_with_part,
                has_grammar: matches!(job.options.constraint, Some(Constraint::Grammar(_))),
                hash: Hash::NotAsked,
                start: job.verbose.then_some(began),
                start_line: None,
            };
            let outcome = run.answer(job, sender);
            let outcome = run.end_saved(outcome);
            let ended = run.end(outcome);
            if let Some(line) = run.start_line.take() {
                run.remarks.note(&line);
            }
            if ended.is_ok() {
                run.time_steps();
            }
            run.wait_for_disk();
            ended
        }
        Err(failure) => {
            let mut report = Report::default();
            report.set_failure(&failure);
            printer.end(&report).map_err(|error| Failure::output(&error))?;
            Err(failure)
        }
    }
}

/// Tells on stdout, where this form has room for it, why there is no answer.
///
/// # Errors
/// If it cannot be written.
pub fn refuse(form: Output, failure: &Failure) -> io::Result<()> {
    if closed_stdout::check().is_err() {
        return Ok(());
    }
    let stdout = io::stdout().lock();
    let is_terminal = stdout.is_terminal();
    let mut report = Report::default();
    report.set_failure(failure);
    Printer::new(stdout, form, is_terminal).end(&report)
}

/// How large a model's file is; of one that cannot be looked at, as large as any.
fn file_bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(u64::MAX, |file| file.len())
}

/// Starts the engine, and whatever else speaks into the channel.
fn set_up(source: Source) -> Result<(Engine, Receiver<Happening>, Sender<Happening>), Failure> {
    let (sender, happenings) = channel();
    let on_signal = sender.clone();
    signals::watch(move |exit| drop(on_signal.send(Happening::Signal(exit))))
        .map_err(|error| Failure::error(format!("cannot watch for signals: {error}")))?;
    let on_event = sender.clone();
    let engine = engine::spawn(source, move |event| on_event.send(Happening::Engine(event)).is_ok())
        .map_err(|error| Failure::error(format!("cannot start the engine: {error}")))?;
    Ok((engine, happenings, sender))
}

enum Happening {
    Engine(Event),
    Signal(Exit),
    Hashed(Result<String, String>),
}

/// The SHA-256 of the model's file.
enum Hash {
    NotAsked,
    Pending,
    Known(Option<String>),
}

struct Run<Out, Err> {
    engine: Engine,
    happenings: Receiver<Happening>,
    printer: Printer<Out>,
    remarks: Remarks<Err>,
    form: Output,
    report: Report,
    /// The chat that is gone on with.
    chat: Option<SavedChat>,
    last_progress: Option<Progress>,
    /// The exit code of the signal that came.
    stopped_by: Option<Exit>,
    /// The cells of the context, if they were what ended the answer.
    full_context: Option<u32>,
    /// The model had no room in memory.
    rereading: Option<Rereading>,
    /// What the prompt begins with is to be kept on disk.
    wants_beginning: bool,
    /// Something of this is.
    keeps: bool,
    /// The model was asked to think.
    wants_thoughts: bool,
    /// If only a part of the answer is wanted.
    extractor: Option<Extractor>,
    /// Whether the answer is stopped when that part is there.
    ends_with_part: bool,
    /// The answer is held to a grammar.
    has_grammar: bool,
    hash: Hash,
    /// If that is to be told.
    start: Option<Start>,
    start_line: Option<String>,
}

impl<Out: io::Write, Err: io::Write> Run<Out, Err> {
    fn answer(&mut self, job: Job, sender: Sender<Happening>) -> Result<(), Failure> {
        self.printer.start(&job.load.path).map_err(|error| Failure::output(&error))?;
        if self.form != Output::Text {
            self.hash = Hash::Known(None);
            if let Some(hash) = job.hash {
                self.hash = Hash::Pending;
                thread::spawn(move || drop(sender.send(Happening::Hashed(hash()))));
            }
        }
        if let Some(start) = &mut self.start {
            start.asked = Some(Instant::now());
        }
        let bytes = file_bytes(&job.load.path);
        let loaded = self.load(job.load).map_err(|failure| match failure.exit {
            Exit::NotEnoughMemory => (job.smaller)(bytes).into_iter().fold(failure, Failure::hint),
            _ => failure,
        });
        let Some(model) = loaded? else { return Ok(()) };
        if !model.has_template {
            let name = &model.name;
            self.remarks.note(&format!("note: {name} has no chat template; it continues the text and answers nothing"));
        }
        let sha256 = self.wait_for_hash()?;
        self.report.set_model(&model, sha256);
        if let (Some(chat), Some(question)) = (&mut self.chat, job.prompt.messages.last()) {
            chat.ask(&question.text, &model.name, &job.options.sampling)?;
        }
        let generated = self.generate(job.prompt, job.options, &model);
        let extracted = self.extract();
        generated.and(extracted)?;
        match &job.schema {
            Some(schema) if self.report.finish_reason != Ended::Cancelled.as_str() => self.check(schema),
            None if self.has_grammar => self.cut("grammar"),
            _ => Ok(()),
        }
    }

    /// Shows the rest of the part that was looked for, or says why there is none.
    fn extract(&mut self) -> Result<(), Failure> {
        let Some(extractor) = &mut self.extractor else { return Ok(()) };
        let reason = self.report.finish_reason;
        let is_cut = ![Ended::Stop, Ended::StopString].map(Ended::as_str).contains(&reason);
        let (rest, part) = extractor.finish(is_cut);
        self.printer.part(&rest).map_err(|error| Failure::output(&error))?;
        let name = extractor.name();
        let problem = match part {
            Part::Whole(text) => {
                self.report.extracted = Some(text);
                return Ok(());
            }
            Part::Cut(text) => {
                self.report.extracted = Some(text);
                Failure::without_part(format!("the answer was cut in the middle of its {name}"))
            }
            Part::None if is_cut => {
                Failure::without_part(format!("the answer was cut before there was a {name} in it"))
            }
            Part::None => {
                let hint = extractor.instead(&self.report.text);
                Failure::without_part(format!("there is no {name} in the answer")).hint(hint)
            }
        };
        if self.stopped_by.is_some() {
            // Whoever stopped it knows.
            return Ok(());
        }
        if self.form == Output::Text && self.report.extracted.is_none() && !self.report.text.is_empty() {
            self.remarks.note(&format!("the answer was:\n{}", self.report.text.trim_end()));
        }
        Err(if reason == Ended::Length.as_str() {
            problem.hint("give it more room with `--max-tokens`")
        } else {
            problem
        })
    }

    /// Whether the whole answer is what the schema asks for.
    fn check(&self, schema: &Validator) -> Result<(), Failure> {
        let Err(problem) = schema.check(&self.report.text) else { return Ok(()) };
        self.cut("schema")?;
        Err(Failure::unsatisfied(format!("the answer {problem}")))
    }

    /// An answer that was cut is only the beginning of what the schema or the grammar asks for.
    fn cut(&self, form: &str) -> Result<(), Failure> {
        if self.report.finish_reason != Ended::Length.as_str() {
            return Ok(());
        }
        let (reason, flag) = match self.full_context {
            Some(_) => ("the context is full", "--ctx"),
            None => ("it reached `--max-tokens`", "--max-tokens"),
        };
        let sentence = format!("the answer was cut because {reason}, so it does not satisfy the {form}");
        Err(Failure::unsatisfied(sentence).hint(format!("give it more room with `{flag}`")))
    }

    /// `None` if a signal came first.
    fn load(&mut self, settings: LoadSettings) -> Result<Option<Box<ModelInfo>>, Failure> {
        let (id, cancel) = self.engine.submit(Work::Load(Box::new(settings)));
        loop {
            match self.next_step(id, &cancel)? {
                Step::Loading(part) => self.show_progress(Phase::Loading, f64::from(part))?,
                Step::Trying(Trial::Kv(_)) => {
                    if self.last_progress.is_none_or(|shown| shown.phase != Phase::Trying) {
                        self.remarks.lasting(&format!("note: {}", Phase::Trying));
                    }
                    self.show_progress(Phase::Trying, 0.0)?;
                }
                Step::Trying(Trial::Threads(_)) => self.show_progress(Phase::Tuning, 0.0)?,
                Step::Ready(model) => {
                    if let Some(notice) = model.device.as_ref().and_then(|device| device.notice.as_ref()) {
                        self.remarks.note(&format!("note: {notice}"));
                    }
                    if let Some(problem) = model.draft.as_ref().and_then(|draft| draft.problem.as_ref()) {
                        self.remarks.warning(problem);
                    }
                    return Ok(Some(model));
                }
                Step::Failed(error) => return Err(Failure::from(&error)),
                Step::Cancelled => return Ok(None),
                Step::Prefilling { .. } | Step::Selecting { .. } | Step::Token(_) | Step::Finished(_) => {}
                Step::Recalled(_) | Step::Expected(_) | Step::Planned(_) | Step::Rereading(_) => {}
                Step::Weighed(_) => {}
                Step::Lanes(_) | Step::Item(..) | Step::Done | Step::Unloaded => {}
            }
        }
    }

    /// The answer begins after the hash is known: computed beside it, the hash would take cores from what the
    /// timings are to be true for.
    fn wait_for_hash(&mut self) -> Result<Option<String>, Failure> {
        let nothing_to_cancel = CancelFlag::default();
        loop {
            match &self.hash {
                Hash::NotAsked => return Ok(None),
                Hash::Known(hash) => return Ok(hash.clone()),
                Hash::Pending if self.stopped_by.is_some() => return Ok(None),
                Hash::Pending => self.wait(&nothing_to_cancel).map(drop)?,
            }
        }
    }

    fn generate(&mut self, prompt: Prompt, options: GenerateOptions, model: &ModelInfo) -> Result<(), Failure> {
        let most_tokens = options.max_tokens;
        let (id, cancel) = self.engine.submit(Work::Generate(prompt, options));
        if self.stopped_by.is_some() {
            cancel.cancel();
        }
        let followed = self.follow(id, &cancel, most_tokens, model);
        if followed.is_err() {
            cancel.cancel();
        }
        followed
    }

    /// Tells what comes of an answer, until it ends.
    fn follow(
        &mut self,
        id: RequestId,
        cancel: &CancelFlag,
        most_tokens: Option<u32>,
        model: &ModelInfo,
    ) -> Result<(), Failure> {
        loop {
            match self.next_step(id, cancel)? {
                Step::Prefilling { done, total, .. } => {
                    self.show_progress(Phase::Prefilling, f64::from(done) / f64::from(total.max(1)))?;
                }
                Step::Token(piece) => {
                    self.take(&piece)?;
                    if self.ends_with_part && self.extractor.as_ref().is_some_and(Extractor::is_done) {
                        cancel.cancel();
                    }
                }
                Step::Weighed(weighed) => {
                    self.printer.weighed(&weighed);
                    self.report.logprobs.get_or_insert_default().push(*weighed);
                }
                Step::Recalled(passages) => {
                    let plural = if passages.len() == 1 { "" } else { "s" };
                    self.remarks.note(&format!("recalled {} passage{plural}", passages.len()));
                    self.report.recalled.extend(passages);
                }
                // It stands behind the answer, not in it.
                Step::Rereading(rereading) => self.rereading = Some(rereading),
                Step::Finished(finish) => {
                    self.report.set_finish(&finish, model.load_ms);
                    if let Some(chat) = &mut self.chat {
                        chat.end(finish.ended, &finish.stats, Some(finish.seed))?;
                    }
                    let stats = &finish.stats;
                    let is_limit = most_tokens.is_some_and(|most| stats.usage.completion_tokens >= most);
                    // Nobody's limit is as many tokens as the cache has cells, where older text makes room.
                    let evicts = model.kv.as_ref().is_some_and(|kv| kv.policy != "off");
                    let fills = evicts && model.cells().is_some_and(|cells| stats.usage.completion_tokens >= cells);
                    let is_full = finish.ended == Ended::Length && !is_limit && !fills;
                    if let Some(start) = &self.start {
                        self.start_line = Some(start.line(model, stats));
                    }
                    self.full_context = model.cells().filter(|_| is_full);
                    return Ok(());
                }
                Step::Failed(error) => return Err(Failure::from(&error)),
                Step::Cancelled => return Ok(()),
                Step::Loading(_) | Step::Trying(_) | Step::Ready(_) | Step::Expected(_) | Step::Planned(_) => {}
                Step::Selecting { .. } | Step::Lanes(_) | Step::Item(..) | Step::Done | Step::Unloaded => {}
            }
        }
    }

    /// Takes a piece of the answer: for its report, its chat, and whoever looks on.
    fn take(&mut self, piece: &Piece) -> Result<(), Failure> {
        if let Some(start) = &mut self.start {
            start.first_token.get_or_insert_with(Instant::now);
        }
        match piece.channel {
            Channel::Answer => self.remarks.clear(),
            Channel::Thinking if self.form == Output::Text => self.remarks.thinking(&piece.text),
            Channel::Thinking => {}
        }
        self.report.add_piece(piece);
        if let Some(chat) = &mut self.chat {
            chat.add(piece);
        }
        self.print(piece).map_err(|error| Failure::output(&error))
    }

    /// What there is of an answer stays in its chat, whatever went wrong; what was computed for it is kept.
    fn end_saved(&mut self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        let Some(chat) = &mut self.chat else { return outcome };
        let ended = match &outcome {
            Err(failure) if failure.exit == Exit::ClosedPipe => Ended::Cancelled,
            Err(_) => Ended::Error,
            Ok(()) => Ended::Cancelled,
        };
        // Nothing is left to end where the answer has ended by itself.
        let saved = chat.end(ended, &Stats::default(), None);
        if self.keeps && self.stopped_by.is_none() {
            self.engine.submit(Work::Snapshot);
        }
        outcome.and(saved.map_err(Failure::from))
    }

    /// Prints a piece of the answer, or what it adds to the part that is wanted.
    fn print(&mut self, piece: &Piece) -> io::Result<()> {
        match &mut self.extractor {
            Some(extractor) => {
                let part = match piece.channel {
                    Channel::Answer => extractor.push(&piece.text),
                    Channel::Thinking => String::new(),
                };
                if self.form == Output::Ndjson { self.printer.piece(piece) } else { self.printer.part(&part) }
            }
            None => self.printer.piece(piece),
        }
    }

    /// Lets the engine learn how long steps take, unless the program was told to stop.
    fn time_steps(&mut self) {
        let (id, cancel) = self.engine.submit(Work::TimeSteps);
        let deadline = Instant::now() + TIMING_WITHIN;
        while self.stopped_by.is_none() && Instant::now() < deadline {
            match self.wait(&cancel) {
                Ok(Some(event)) if event.id == id => break,
                Ok(_) => {}
                Err(_) => break,
            }
        }
        cancel.cancel();
    }

    /// Lets the engine write what is kept, unless the program was told to stop.
    fn wait_for_disk(&mut self) {
        if !self.keeps || self.stopped_by.is_some() {
            return;
        }
        self.engine.take_no_more();
        while self.engine.is_alive() && self.stopped_by.is_none() {
            if let Ok(Happening::Signal(exit)) = self.happenings.recv_timeout(POLL) {
                self.stopped_by = Some(exit);
            }
        }
    }

    /// The next event of this request.
    fn next_step(&mut self, id: RequestId, cancel: &CancelFlag) -> Result<Step, Failure> {
        loop {
            match self.wait(cancel)? {
                Some(event) if event.id == id => return Ok(event.step),
                _ => {}
            }
        }
    }

    /// Waits until something happens. A signal sets `cancel`.
    fn wait(&mut self, cancel: &CancelFlag) -> Result<Option<Event>, Failure> {
        match self.happenings.recv_timeout(Duration::from_millis(500)) {
            Ok(Happening::Engine(event)) => return Ok(Some(event)),
            Ok(Happening::Signal(exit)) => {
                self.stopped_by = Some(exit);
                cancel.cancel();
            }
            Ok(Happening::Hashed(hash)) => {
                if let Err(sentence) = &hash {
                    self.remarks.warning(&format!("the model's hash is not known: {sentence}"));
                }
                self.hash = Hash::Known(hash.ok());
            }
            Err(RecvTimeoutError::Timeout) if self.engine.is_alive() => {}
            Err(_) => {
                return Err(Failure::error("the engine stopped without a word").hint("the log file may say why"));
            }
        }
        Ok(None)
    }

    fn show_progress(&mut self, phase: Phase, part: f64) -> Result<(), Failure> {
        let progress = Progress { phase, percent: (part * 100.0) as u8 };
        if self.last_progress == Some(progress) {
            return Ok(());
        }
        self.last_progress = Some(progress);
        let Progress { phase, percent } = progress;
        self.remarks.progress(&format!("{phase} {percent} %"));
        self.printer.progress(progress).map_err(|error| Failure::output(&error))
    }

    /// Writes what comes last, whatever the outcome.
    fn end(&mut self, outcome: Result<(), Failure>) -> Result<Exit, Failure> {
        self.remarks.clear();
        match &outcome {
            Err(failure) if failure.exit == Exit::ClosedPipe => return Err(failure.clone()),
            Err(failure) if failure.exit == Exit::Unsatisfied => self.report.set_error(failure),
            Err(failure) => self.report.set_failure(failure),
            Ok(()) if self.report.usage.is_none() => self.report.finish_reason = Ended::Cancelled.as_str(),
            Ok(()) => {}
        }
        self.printer.end(&self.report).map_err(|error| Failure::output(&error))?;
        if let Some(cells) = self.full_context {
            self.remarks.note(&format!(
                "note: the answer ended because the context of {cells} tokens is full; `--ctx` sets another"
            ));
        }
        if self.wants_beginning && self.report.usage.is_some_and(|usage| usage.kept_prompt_tokens == Some(0)) {
            self.remarks.note(NOT_KEPT);
        }
        let has_ended = self.report.usage.is_some() && self.report.finish_reason != Ended::Cancelled.as_str();
        if self.wants_thoughts && has_ended && self.report.thinking.is_none() {
            let model = self.report.model.as_ref().map_or("the model", |model| &model.name);
            self.remarks
                .note(&format!("note: `--think` asks for thoughts, and {model} had none; perhaps it cannot think"));
        }
        let evicted = self.report.usage.and_then(|usage| usage.evicted_tokens).unwrap_or(0);
        if evicted > 0 {
            self.remarks.note(&format!(
                "note: {evicted} tokens left the KV cache to make room for others; `--kv-mem` gives it more memory"
            ));
        }
        if let Some(rereading) = self.rereading {
            self.remarks.warning(&rereading.sentence("choose a smaller model with `-m`"));
        }
        let is_cut = self.report.finish_reason == Ended::Length.as_str();
        if is_cut && self.full_context.is_none() && self.form == Output::Text && outcome.is_ok() {
            let on = if self.chat.is_some() { ", `tuichat -p 'Go on' --continue` goes on with it" } else { "" };
            let tokens = self.report.usage.map_or(0, |usage| usage.completion_tokens);
            let tokens = if tokens == 1 { "1 token".to_owned() } else { format!("{tokens} tokens") };
            self.remarks.note(&format!(
                "note: the answer was cut after {tokens}; a higher `--max-tokens` gives it more room{on}"
            ));
        }
        if self.report.finish_reason == Ended::Loop.as_str() {
            let what = self.report.repetition.map(|repetition| format!(": {repetition}")).unwrap_or_default();
            self.remarks.note(&format!(
                "note: the answer was stopped because it repeats itself{what}; a higher `--temp` or `--repeat-penalty 1.1` makes that rarer, `--loop-breaker off` allows it"
            ));
        }
        outcome?;
        // A signal that came as the answer ended by itself stopped nothing.
        let stopped = self.stopped_by.filter(|_| self.report.finish_reason == Ended::Cancelled.as_str());
        Ok(stopped.unwrap_or(Exit::Success))
    }
}
