//! An engine with a model in it, spoken to as the interface does.

use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tuichat::chat::{Message, Sampling};
use tuichat::engine::protocol::{
    CancelFlag, Channel, ChatKey, Cost, DeviceChoice, EngineError, Event, Evict, Finish, GenerateOptions, KvSettings,
    LoadSettings, ModelInfo, Prompt, Step, Work,
};
use tuichat::engine::{Access, Engine, Source, spawn};

/// However slow the machine, an engine says something within this time.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// How to load a model on the CPU, with nothing kept on disk.
pub fn settings(model: &Path, cells: u32, threads: u32) -> LoadSettings {
    LoadSettings {
        path: model.to_owned(),
        context: Some(cells),
        threads: Some(threads),
        device: DeviceChoice::Cpu,
        kv: KvSettings { evict: Evict::Off, ..KvSettings::default() },
        ..LoadSettings::default()
    }
}

/// Greedy answers of at most so many tokens.
pub fn greedy(max_tokens: u32) -> GenerateOptions {
    let sampling = Sampling { temperature: 0.0, ..Sampling::default() };
    GenerateOptions { sampling, max_tokens: Some(max_tokens), ..GenerateOptions::default() }
}

/// A conversation, of a chat that is kept or of none.
pub fn prompt(chat: Option<i64>, messages: &[Message]) -> Prompt {
    Prompt { chat: chat.map(ChatKey), messages: messages.to_vec() }
}

/// A running engine and what it says.
pub struct Running {
    engine: Engine,
    events: Receiver<Event>,
}

/// One answer as it came.
#[derive(Debug)]
pub struct Answer {
    pub thoughts: String,
    pub text: String,
    pub finish: Finish,
}

impl Running {
    /// Without a model.
    pub fn start() -> Self {
        let (sender, events) = channel();
        let engine = spawn(Source::Llama(Access::All), move |event| sender.send(event).is_ok()).unwrap();
        Self { engine, events }
    }

    /// With a model in it.
    pub fn with(settings: LoadSettings) -> Self {
        let running = Self::start();
        running.load(settings).unwrap();
        running
    }

    pub fn load(&self, settings: LoadSettings) -> Result<ModelInfo, EngineError> {
        self.submit(Work::Load(Box::new(settings)));
        match self.last() {
            Step::Ready(info) => Ok(*info),
            Step::Failed(error) => Err(error),
            other => panic!("{other:?}"),
        }
    }

    pub fn submit(&self, work: Work) -> CancelFlag {
        self.engine.submit(work).1
    }

    pub fn next(&self) -> Step {
        self.events.recv_timeout(PATIENCE).expect("the engine says nothing").step
    }

    /// The terminal event of the request under way.
    pub fn last(&self) -> Step {
        loop {
            let step = self.next();
            if step.is_terminal() {
                return step;
            }
        }
    }

    /// What this work, a plan or computing ahead, says that the prompt costs.
    pub fn cost(&self, work: Work) -> Cost {
        self.submit(work);
        match self.last() {
            Step::Planned(cost) => *cost,
            other => panic!("{other:?}"),
        }
    }

    /// The text without thoughts, and how it ended.
    pub fn ask(&self, prompt: Prompt, options: GenerateOptions) -> (String, Finish) {
        self.submit(Work::Generate(prompt, options));
        self.answer()
    }

    /// The same of an answer under way.
    pub fn answer(&self) -> (String, Finish) {
        let answer = self.whole_answer().unwrap();
        (answer.text, answer.finish)
    }

    /// The rest of an answer under way.
    pub fn whole_answer(&self) -> Result<Answer, EngineError> {
        let (mut thoughts, mut text) = (String::new(), String::new());
        loop {
            match self.next() {
                Step::Token(piece) if piece.channel == Channel::Thinking => thoughts.push_str(&piece.text),
                Step::Token(piece) => text.push_str(&piece.text),
                Step::Finished(finish) => return Ok(Answer { thoughts, text, finish }),
                Step::Failed(error) => return Err(error),
                _ => {}
            }
        }
    }

    /// Ends the engine, whatever it does, and hands out what it had said.
    pub fn stop(self) -> impl Iterator<Item = Event> {
        drop(self.engine);
        self.events.into_iter()
    }

    /// Waits for what the engine was told to do, and for what it writes.
    pub fn finish(self) {
        self.engine.finish(PATIENCE);
    }
}
