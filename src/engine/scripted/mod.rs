//! A model that replays a script: what must be deterministic (the interface's tests, demonstrations) runs against
//! it through the same channel as against a real one. Chosen by `--engine scripted:FILE`.

mod script;

use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use script::words;
pub use script::{Answer, Script};

use super::Sink;
use super::protocol::{
    Batch, CancelFlag, Channel, Cost, DeviceInfo, EngineError, Event, Finish, GenerateOptions, KvInfo, Lanes,
    LoadSettings, MessageCost, ModelInfo, Piece, Pin, Prompt, Request, RequestId, Step, Work,
};
use crate::chat::{Ended, Message, Role, Stats, Timings, Usage};

/// Answers requests until their sender is gone.
pub(super) fn serve(script: Script, requests: Receiver<Request>, shutdown: CancelFlag, sink: impl Sink) {
    let mut player = Player {
        script,
        shutdown,
        sink,
        next_answer: 0,
        loaded: false,
        cells_used: 0,
        evicted: Vec::new(),
        item: None,
    };
    while let Some(request) = super::next_request(&requests) {
        if !player.perform(request) {
            return;
        }
    }
}

struct Player<S> {
    script: Script,
    shutdown: CancelFlag,
    sink: S,
    next_answer: usize,
    loaded: bool,
    cells_used: u32,
    /// Tokens that have left the cache, for each message that was in it.
    evicted: Vec<u32>,
    /// The item of a batch that is being answered.
    item: Option<usize>,
}

impl<S: Sink> Player<S> {
    /// `false` when nobody listens any more.
    fn perform(&mut self, Request { id, cancel, work }: Request) -> bool {
        let last = match work {
            Work::Load(settings) => self.load(id, &cancel, &settings),
            Work::Generate(prompt, options) => self.generate(id, &cancel, &prompt, &options),
            Work::Batch(batch) => self.batch(id, &cancel, &batch),
            Work::Plan(prompt, _) => self.plan(&prompt),
            Work::Prefill(prompt, _) => {
                self.take_up(&prompt);
                self.cells_used = self.cells_for(&prompt);
                self.plan(&prompt)
            }
            Work::Snapshot | Work::Forget(_) | Work::TimeSteps => Step::Done,
            Work::Unload => {
                self.loaded = false;
                Step::Unloaded
            }
        };
        self.send(id, last)
    }

    fn load(&mut self, id: RequestId, cancel: &CancelFlag, settings: &LoadSettings) -> Step {
        let started = Instant::now();
        for percent in [0.0, 0.5, 1.0] {
            self.send(id, Step::Loading(percent));
            if !self.wait(Duration::from_millis(self.script.load_ms / 3), cancel) {
                return Step::Cancelled;
            }
        }
        if let Some(sentence) = &self.script.fail_load {
            return Step::Failed(EngineError::BadModel(sentence.clone()));
        }
        self.loaded = true;
        self.cells_used = 0;
        self.evicted.clear();
        Step::Ready(Box::new(self.model_info(settings, started.elapsed())))
    }

    fn model_info(&self, settings: &LoadSettings, took: Duration) -> ModelInfo {
        ModelInfo {
            name: settings.name.clone().unwrap_or_else(|| "scripted".into()),
            path: settings.path.clone(),
            server: None,
            quantization: Some("none".into()),
            parameters: Some(0),
            size: Some(0),
            trained_context: Some(self.script.cells),
            has_template: self.script.has_template,
            load_ms: milliseconds(took),
            load_parts: Vec::new(),
            kv: Some(KvInfo {
                type_k: "none".into(),
                type_v: "none".into(),
                cells: self.script.cells,
                bytes: 0,
                policy: self.script.policy.clone(),
                reason: "the engine is scripted".into(),
            }),
            draft: None,
            device: Some(DeviceInfo {
                backend: "script".into(),
                name: "a file".into(),
                gpu_layers: 0,
                threads: 1,
                prefill_threads: 1,
                cores: "0".into(),
                reason: "the engine is scripted".into(),
                repacked: false,
                repack_reason: "the engine is scripted".into(),
                cores_reason: "the engine is scripted".into(),
                batch: 512,
                batch_reason: "as usual".into(),
                notice: None,
                elsewhere: None,
            }),
        }
    }

    /// A conversation with fewer messages than the last is another one, of which nothing was evicted.
    fn take_up(&mut self, prompt: &Prompt) {
        if prompt.messages.len() < self.evicted.len() {
            self.evicted.clear();
        }
    }

    /// Cells that a prompt takes up.
    fn cells_for(&self, prompt: &Prompt) -> u32 {
        count(prompt).saturating_sub(self.evicted.iter().sum()).min(self.script.cells)
    }

    fn plan(&mut self, prompt: &Prompt) -> Step {
        if !self.loaded {
            return Step::Failed(EngineError::NoModel);
        }
        self.take_up(prompt);
        let messages = self.held(&prompt.messages);
        let pinned = messages.iter().filter(|message| message.pin.is_wanted());
        Step::Planned(Box::new(Cost {
            prompt_tokens: count(prompt),
            cached_tokens: self.cells_used.min(self.cells_for(prompt).saturating_sub(1)),
            evicted_tokens: messages.iter().map(|message| message.evicted_tokens).sum(),
            pinned_tokens: pinned.map(|message| message.cached_tokens).sum(),
            cells: self.script.cells,
            first_token_ms: Some(self.script.prefill_ms as f64),
            messages,
            ..Cost::default()
        }))
    }

    /// What the cache holds of these messages: of those that were in it, what has not left it.
    fn held(&self, messages: &[Message]) -> Vec<MessageCost> {
        let mut costs: Vec<MessageCost> = messages.iter().map(cost).collect();
        for (cost, evicted) in costs.iter_mut().zip(&self.evicted) {
            cost.evicted_tokens = cost.tokens.min(*evicted);
            cost.cached_tokens = cost.tokens - cost.evicted_tokens;
        }
        costs
    }

    /// Lets leave what the answer says has left by its end, and tells what is held then.
    fn evict(&mut self, prompt: &Prompt, answer: &Answer, stats: &mut Stats) -> Vec<MessageCost> {
        let before: u32 = self.evicted.iter().sum();
        let said = Message::new(
            Role::Assistant,
            words(&answer.text).into_iter().take(stats.usage.completion_tokens as usize).collect::<String>(),
        );
        let messages: Vec<Message> = prompt.messages.iter().cloned().chain([said]).collect();
        self.evicted.clone_from(&answer.evicted);
        self.evicted.resize(messages.len(), 0);
        let held = self.held(&messages);
        self.evicted = held.iter().map(|message| message.evicted_tokens).collect();
        let evicted = self.evicted.iter().sum::<u32>();
        stats.usage.evicted_tokens = evicted.saturating_sub(before);
        let tokens = stats.usage.prompt_tokens + stats.usage.completion_tokens;
        stats.cells_used = tokens.saturating_sub(evicted).min(self.script.cells);
        held
    }

    fn generate(&mut self, id: RequestId, cancel: &CancelFlag, prompt: &Prompt, options: &GenerateOptions) -> Step {
        if !self.loaded {
            return Step::Failed(EngineError::NoModel);
        }
        let started = Instant::now();
        self.take_up(prompt);
        let total = count(prompt);
        if total >= self.script.cells && self.script.policy == "off" {
            return Step::Failed(EngineError::ContextFull { needed: total, cells: self.script.cells });
        }
        let resident = self.cells_for(prompt);
        let cached = self.cells_used.min(resident.saturating_sub(1));
        let mut stats = Stats {
            usage: Usage { prompt_tokens: total, cached_prompt_tokens: cached, ..Usage::default() },
            cells_used: resident,
            ..Stats::default()
        };
        let seed = options.sampling.seed.unwrap_or(1);
        for quarter in 0..4 {
            let before = cached + total.saturating_sub(resident);
            self.send(id, Step::Prefilling { done: before + (total - before) * quarter / 4, total, cached });
            if !self.wait(Duration::from_millis(self.script.prefill_ms / 4), cancel) {
                return Step::Finished(Finish {
                    ended: Ended::Cancelled,
                    repetition: None,
                    stats,
                    seed,
                    held: Vec::new(),
                });
            }
        }
        stats.timings.prefill_ms = milliseconds(started.elapsed());
        let answer = self.script.answers.get(self.next_answer % self.script.answers.len().max(1)).cloned();
        self.next_answer += 1;
        let (mut ended, mut held) = (Ended::Stop, Vec::new());
        if let Some(answer) = answer {
            if !answer.recalled.is_empty() {
                self.send(id, Step::Recalled(answer.recalled.clone()));
            }
            ended = self.replay(id, cancel, &answer, options, started, &mut stats);
            held = self.evict(prompt, &answer, &mut stats);
        }
        self.cells_used = stats.cells_used;
        match ended {
            Ended::Error => Step::Failed(EngineError::Failed("the script says that the engine fails here".into())),
            ended => Step::Finished(Finish { ended, repetition: None, stats, seed, held }),
        }
    }

    /// One item after the other.
    fn batch(&mut self, id: RequestId, cancel: &CancelFlag, batch: &Batch) -> Step {
        if !self.loaded {
            return Step::Failed(EngineError::NoModel);
        }
        self.send(id, Step::Lanes(Lanes { lanes: 1, shared_tokens: 0, reason: "the engine is scripted".into() }));
        for (item, (prompt, options)) in batch.items.iter().enumerate() {
            self.item = Some(item);
            let last = self.generate(id, cancel, prompt, options);
            self.item = None;
            if cancel.is_cancelled() || !self.send(id, Step::Item(item, Box::new(last))) {
                break;
            }
        }
        Step::Done
    }

    fn replay(
        &self,
        id: RequestId,
        cancel: &CancelFlag,
        answer: &Answer,
        options: &GenerateOptions,
        started: Instant,
        stats: &mut Stats,
    ) -> Ended {
        let mut first = None;
        for (index, word) in words(&answer.text).into_iter().enumerate() {
            if options.max_tokens.is_some_and(|most| index as u32 >= most) {
                return Ended::Length;
            }
            if !self.wait(Duration::from_millis(self.script.token_ms), cancel) {
                return Ended::Cancelled;
            }
            let now = Instant::now();
            let first = *first.get_or_insert(now);
            stats.timings = Timings {
                time_to_first_token_ms: milliseconds(first - started),
                decode_ms: milliseconds(now - first),
                ..stats.timings
            };
            stats.usage.completion_tokens += 1;
            stats.decode_calls += 1;
            let tokens = stats.usage.completion_tokens;
            if !self.send(id, Step::Token(Piece { channel: Channel::Answer, text: word.into(), tokens })) {
                return Ended::Cancelled;
            }
        }
        assert!(!answer.panics, "the script says so");
        answer.ended
    }

    fn send(&self, id: RequestId, step: Step) -> bool {
        let step = match (self.item, step) {
            (None, step) => step,
            (Some(item), step @ Step::Token(_)) => Step::Item(item, Box::new(step)),
            (Some(_), _) => return true,
        };
        self.sink.send(Event { id, step })
    }

    /// Sleeps in small steps; `false` if the request was cancelled or the engine dropped meanwhile.
    fn wait(&self, duration: Duration, cancel: &CancelFlag) -> bool {
        let end = Instant::now() + duration;
        loop {
            if cancel.is_cancelled() || self.shutdown.is_cancelled() {
                return false;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(Duration::from_millis(5)));
        }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Tokens of a prompt: its words, and one more for each message.
fn count(prompt: &Prompt) -> u32 {
    prompt.messages.iter().map(|message| cost(message).tokens + 1).sum()
}

/// What a message costs of which nothing is cached.
fn cost(message: &Message) -> MessageCost {
    let tokens = words(&message.text).len() as u32;
    MessageCost {
        role: message.role,
        beginning: message.text.chars().take(60).collect(),
        tokens,
        cached_tokens: 0,
        evicted_tokens: 0,
        pin: if message.is_pinned { Pin::Kept } else { Pin::None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Message, Role};
    use crate::engine::protocol::Passage;
    use crate::engine::{Engine, Source, spawn};
    use std::sync::mpsc::{Receiver, channel};

    fn engine(script: Script) -> (Engine, Receiver<Event>) {
        let (sender, events) = channel();
        let engine = spawn(Source::Scripted(script), move |event| sender.send(event).is_ok()).unwrap();
        (engine, events)
    }

    fn load() -> Work {
        Work::Load(Box::new(LoadSettings { path: "x".into(), ..LoadSettings::default() }))
    }

    fn ask(text: &str) -> Work {
        let prompt = Prompt { chat: None, messages: vec![Message::new(Role::User, text)] };
        Work::Generate(prompt, GenerateOptions::default())
    }

    /// The events of one request, up to its terminal one.
    fn until_terminal(events: &Receiver<Event>, id: RequestId) -> Vec<Step> {
        let mut steps = Vec::new();
        loop {
            let event = events.recv_timeout(Duration::from_secs(5)).expect("a terminal event");
            assert_eq!(event.id, id);
            let terminal = event.step.is_terminal();
            steps.push(event.step);
            if terminal {
                return steps;
            }
        }
    }

    fn said(text: &str) -> Answer {
        Answer { text: text.into(), ended: Ended::Stop, evicted: Vec::new(), recalled: Vec::new(), panics: false }
    }

    fn answer(text: &str) -> Script {
        Script { answers: vec![said(text)], ..Script::default() }
    }

    #[test]
    fn an_answer_streams_word_by_word_and_ends_once() {
        let (engine, events) = engine(answer("Hello there, you"));
        let (id, _) = engine.submit(load());
        assert!(matches!(until_terminal(&events, id).last(), Some(Step::Ready(_))));
        let (id, _) = engine.submit(ask("hi"));
        let steps = until_terminal(&events, id);
        let text: String = steps
            .iter()
            .filter_map(|step| match step {
                Step::Token(piece) => Some(piece.text.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(text, "Hello there, you");
        assert!(matches!(steps.last(), Some(Step::Finished(finish)) if finish.ended == Ended::Stop));
    }

    #[test]
    fn a_script_may_let_text_leave_the_cache_and_bring_it_back() {
        let passage = Passage { message: 0, role: Role::User, text: "two".into() };
        let first = Answer { evicted: vec![2, 9], ..said("yes it is") };
        let second = Answer { evicted: vec![2, 3], recalled: vec![passage.clone()], ..said("two") };
        let script = Script { cells: 6, policy: "score".into(), answers: vec![first, second], ..Script::default() };
        let (engine, events) = engine(script);
        let (id, _) = engine.submit(load());
        until_terminal(&events, id);
        let mut messages: Vec<Message> = Vec::new();
        let mut turn = |said: Vec<Message>| {
            messages.extend(said);
            let prompt = Prompt { chat: None, messages: messages.clone() };
            let (id, _) = engine.submit(Work::Generate(prompt, GenerateOptions::default()));
            until_terminal(&events, id)
        };
        let Some(Step::Finished(finish)) = turn(vec![Message::new(Role::User, "one two three")]).pop() else {
            panic!()
        };
        let evicted: Vec<_> = finish.held.iter().map(|held| (held.cached_tokens, held.evicted_tokens)).collect();
        assert_eq!(evicted, [(1, 2), (0, 3)], "no more than there is");
        assert_eq!((finish.stats.usage.evicted_tokens, finish.stats.cells_used), (5, 2));
        let steps = turn(vec![Message::new(Role::Assistant, "yes it is"), Message::new(Role::User, "which?")]);
        assert!(steps.iter().any(|step| matches!(step, Step::Recalled(passages) if passages[..] == [passage.clone()])));
        let Some(Step::Finished(finish)) = steps.last() else { panic!() };
        assert_eq!(finish.stats.usage.evicted_tokens, 0, "nothing left in this turn");
    }

    #[test]
    fn a_question_without_a_model_fails_with_advice() {
        let (engine, events) = engine(answer("x"));
        let (id, _) = engine.submit(ask("hi"));
        assert!(matches!(until_terminal(&events, id)[..], [Step::Failed(EngineError::NoModel)]));
    }

    #[test]
    fn cancelling_ends_the_answer_with_what_there_is() {
        let (engine, events) = engine(Script { token_ms: 10_000, ..answer("never said") });
        engine.submit(load());
        let (id, cancel) = engine.submit(ask("hi"));
        cancel.cancel();
        let last = events.iter().find(|event| event.id == id && event.step.is_terminal()).unwrap();
        assert!(matches!(last.step, Step::Finished(finish) if finish.ended == Ended::Cancelled));
    }

    #[test]
    fn dropping_the_engine_in_mid_answer_ends_its_thread() {
        let (engine, _events) = engine(Script { token_ms: 60_000, ..answer("never said") });
        engine.submit(load());
        engine.submit(ask("hi"));
        let started = Instant::now();
        drop(engine);
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}
