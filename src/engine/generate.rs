//! One answer: prefill in chunks, then the token loop.

use std::time::{Duration, Instant};

use super::context::Ledger;
use super::llama::{Context, Decoded, Model, Token, TokenKind};
use super::prompt::{self, SpecialTexts};
use super::protocol::{CancelFlag, Channel, EngineError, Finish, GenerateOptions, Piece, Prompt, Step};
use super::sampler::Sampler;
use super::stop::{Filtered, StopFilter};
use super::template::{Rendered, Template, render_plain};
use super::thinking::ThinkingFilter;
use crate::chat::{Ended, Stats};
use crate::text::Utf8Stream;

/// A model with its context and what is in the cache.
pub struct Session<'model> {
    pub model: &'model Model,
    pub context: Context<'model>,
    /// `None` for a base model; the error of a template that does not compile.
    pub template: Option<Result<Template, String>>,
    pub special: SpecialTexts,
    pub ledger: Ledger,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Go {
    On,
    Cancelled,
    /// No cell is left.
    Full,
}

impl Session<'_> {
    /// Answers the prompt, saying so piece by piece through `emit`, which returns `false` when nobody listens.
    pub fn answer(
        &mut self,
        prompt: &Prompt,
        options: &GenerateOptions,
        cancel: &[&CancelFlag],
        emit: &dyn Fn(Step) -> bool,
    ) -> Result<Finish, EngineError> {
        let started = Instant::now();
        let rendered = self.render(prompt)?;
        let tokens = prompt::tokenize(self.model, &self.special, self.ledger.answers(), &rendered);
        self.check_length(&tokens)?;
        let mut sampler = Sampler::new(&options.sampling);
        let mut stats = Stats::default();
        stats.usage.prompt_tokens = tokens.len() as u32;
        let mut go = self.prefill(&tokens, cancel, emit, &mut stats)?;
        stats.timings.prefill_ms = milliseconds(started.elapsed());
        let mut writer = Writer::new(options, rendered.text.trim_end().ends_with("<think>"));
        let mut first_token_at = None;
        let ended = loop {
            match go {
                Go::On => {}
                Go::Cancelled => break Ended::Cancelled,
                Go::Full => break Ended::Length,
            }
            let token = self.sample(&mut sampler)?;
            let now = Instant::now();
            let first = *first_token_at.get_or_insert(now);
            stats.usage.completion_tokens += 1;
            stats.timings.time_to_first_token_ms = milliseconds(first - started);
            stats.timings.decode_ms = milliseconds(now - first);
            if self.model.is_end_of_generation(token) {
                break Ended::Stop;
            }
            writer.push(token, &self.readable(token));
            if !writer.send(stats.usage.completion_tokens, emit) {
                break Ended::Cancelled;
            }
            if writer.stopped {
                break Ended::StopString;
            }
            if options.max_tokens.is_some_and(|most| stats.usage.completion_tokens >= most) {
                break Ended::Length;
            }
            go = self.decode(&[token], cancel)?;
            stats.decode_calls += 1;
        };
        writer.finish();
        writer.send(stats.usage.completion_tokens, emit);
        if let Some((text, tokens)) = writer.exact_answer() {
            self.ledger.remember(text, tokens);
        }
        stats.cells_used = self.ledger.next_position();
        Ok(Finish { ended, stats, seed: sampler.seed() })
    }

    /// The conversation as the model is to see it.
    pub fn render(&mut self, prompt: &Prompt) -> Result<Rendered, EngineError> {
        match &mut self.template {
            None => Ok(render_plain(&prompt.messages)),
            Some(Ok(template)) => template.render(&prompt.messages).map_err(EngineError::Template),
            Some(Err(error)) => Err(EngineError::Template(error.clone())),
        }
    }

    /// At least one cell must be left for an answer.
    fn check_length(&self, tokens: &[Token]) -> Result<(), EngineError> {
        let cells = self.context.cells();
        let needed = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        if tokens.is_empty() {
            return Err(EngineError::Failed("there is nothing to answer; type a message or use `--prompt`".into()));
        }
        if needed >= cells {
            return Err(EngineError::ContextFull { needed: needed.saturating_add(1), cells });
        }
        Ok(())
    }

    /// Computes what is new in the prompt, and the logits of its last token.
    fn prefill(
        &mut self,
        tokens: &[Token],
        cancel: &[&CancelFlag],
        emit: &dyn Fn(Step) -> bool,
        stats: &mut Stats,
    ) -> Result<Go, EngineError> {
        let cached = self.keep(self.ledger.reusable(tokens));
        stats.usage.cached_prompt_tokens = cached as u32;
        let progress =
            |done: usize| Step::Prefilling { done: done as u32, total: tokens.len() as u32, cached: cached as u32 };
        let mut done = cached;
        for chunk in tokens[cached..].chunks(self.context.batch_size()) {
            if !emit(progress(done)) || cancel.iter().any(|flag| flag.is_cancelled()) {
                return Ok(Go::Cancelled);
            }
            match self.decode(chunk, cancel)? {
                Go::On => done += chunk.len(),
                other => return Ok(other),
            }
        }
        Ok(Go::On)
    }

    /// Cuts the cache to its first `length` tokens, or to nothing where it cannot be cut; returns what is left.
    fn keep(&mut self, length: usize) -> usize {
        if length < self.ledger.tokens().len() {
            let kept = if self.context.truncate(length as u32) { length } else { 0 };
            if kept == 0 {
                self.context.clear();
            }
            self.ledger.truncate(kept);
        }
        self.ledger.tokens().len()
    }

    /// Computes tokens behind what is in the cache. After a cancel, the ledger holds what was computed before it.
    fn decode(&mut self, tokens: &[Token], cancel: &[&CancelFlag]) -> Result<Go, EngineError> {
        let before = self.ledger.next_position();
        if before as usize + tokens.len() > self.context.cells() as usize {
            return Ok(Go::Full);
        }
        let decoded = self.context.decode(tokens, before, cancel);
        if decoded == Decoded::Done {
            self.ledger.push(tokens);
            return Ok(Go::On);
        }
        let computed = self.context.last_position().map_or(0, |last| last + 1).saturating_sub(before) as usize;
        self.ledger.push(&tokens[..computed.min(tokens.len())]);
        match decoded {
            Decoded::Done => Ok(Go::On),
            Decoded::Cancelled => Ok(Go::Cancelled),
            Decoded::Full => Ok(Go::Full),
            Decoded::Failed(status) => {
                self.keep(0);
                Err(EngineError::Failed(format!(
                    "the model failed while computing (llama.cpp's status {status}); send the message again, or restart tuichat if it fails again"
                )))
            }
        }
    }

    fn sample(&mut self, sampler: &mut Sampler) -> Result<Token, EngineError> {
        let token = sampler.sample(self.context.logits(), self.ledger.tokens());
        token.ok_or_else(|| {
            EngineError::Failed(
                "the model computed no number for any token, so the file or the hardware is damaged; check the file with `tuichat models check`".into(),
            )
        })
    }

    /// The bytes of a token as they are shown. Control tokens are nothing to read, except the tags around a reasoning
    /// model's thoughts, which some vocabularies make control tokens.
    fn readable(&self, token: Token) -> Vec<u8> {
        let bytes = self.model.piece(token);
        if !bytes.is_empty() || self.model.token_kind(token) == TokenKind::Text {
            return bytes;
        }
        let text = self.model.token_text(token);
        if matches!(text.as_str(), "<think>" | "</think>") { text.into_bytes() } else { bytes }
    }
}

/// Turns tokens into the pieces of an answer.
struct Writer {
    utf8: Utf8Stream,
    thinking: ThinkingFilter,
    stop: StopFilter,
    /// Whether a stop string came.
    stopped: bool,
    ready: Vec<(Channel, String)>,
    /// All tokens so far and the bytes they stand for; `plain` while every byte of them was shown as the answer.
    tokens: Vec<Token>,
    bytes: usize,
    answer: String,
    plain: bool,
}

impl Writer {
    fn new(options: &GenerateOptions, starts_thinking: bool) -> Self {
        Self {
            utf8: Utf8Stream::default(),
            thinking: ThinkingFilter::new(starts_thinking),
            stop: StopFilter::new(&options.stop),
            stopped: false,
            ready: Vec::new(),
            tokens: Vec::new(),
            bytes: 0,
            answer: String::new(),
            plain: true,
        }
    }

    fn push(&mut self, token: Token, bytes: &[u8]) {
        self.tokens.push(token);
        self.bytes += bytes.len();
        // A control token in mid-answer leaves no trace in the text, so the text does not tell the tokens any more.
        self.plain &= !bytes.is_empty();
        let text = self.utf8.push(bytes);
        self.pass(&text);
    }

    /// No more tokens will come: what was kept back is shown after all.
    fn finish(&mut self) {
        if self.stopped {
            return;
        }
        let text = self.utf8.finish();
        self.pass(&text);
        if let Some((channel, text)) = self.thinking.finish() {
            self.show(channel, text);
        }
        let held = self.stop.finish();
        self.ready.push((Channel::Answer, held));
    }

    fn pass(&mut self, text: &str) {
        for (channel, text) in self.thinking.push(text) {
            self.show(channel, text);
        }
    }

    fn show(&mut self, channel: Channel, text: String) {
        if self.stopped {
            return;
        }
        let text = match channel {
            Channel::Thinking => text,
            Channel::Answer => match self.stop.push(&text) {
                Filtered::Continue(text) => text,
                Filtered::Stop(text) => {
                    self.stopped = true;
                    text
                }
            },
        };
        self.ready.push((channel, text));
    }

    /// Emits what is ready; `false` when nobody listens.
    fn send(&mut self, tokens: u32, emit: &dyn Fn(Step) -> bool) -> bool {
        for (channel, text) in self.ready.drain(..).filter(|(_, text)| !text.is_empty()) {
            match channel {
                Channel::Answer => self.answer.push_str(&text),
                Channel::Thinking => self.plain = false,
            }
            if !emit(Step::Token(Piece { channel, text, tokens })) {
                return false;
            }
        }
        true
    }

    /// The answer and its tokens, if the text is exactly what the tokens stand for.
    fn exact_answer(self) -> Option<(String, Vec<Token>)> {
        let exact = self.plain && self.answer.len() == self.bytes && !self.answer.is_empty();
        exact.then_some((self.answer, self.tokens))
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
