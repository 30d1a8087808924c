//! What the tokens of one answer become, whoever computes them: the choice of the next one under the answer's settings,
//! its text piece by piece, and when it ends. One answer of a conversation, and each of several that are computed side by
//! side, is made of this.

use std::time::{Duration, Instant};

use super::constraint::Guide;
use super::llama::{Model, Token, TokenKind};
use super::prompt;
use super::protocol::{EngineError, GenerateOptions, Likely, Step, Weighed};
use super::repetition::RepetitionDetector;
use super::sampler::Sampler;
use super::thinking::{Tags, ThoughtLimit};
use super::writer::{ExactAnswer, Writer};
use crate::chat::{Ended, Repetition, Stats};

/// An answer under way.
pub struct Answering<'model> {
    model: &'model Model,
    tags: Tags,
    pub sampler: Sampler,
    writer: Writer,
    guide: Option<Guide<'model>>,
    thoughts: ThoughtLimit,
    detector: Option<RepetitionDetector>,
    pub repetition: Option<Repetition>,
    most_tokens: u32,
    started: Instant,
    first_token_at: Option<Instant>,
    pub stats: Stats,
}

impl<'model> Answering<'model> {
    /// An answer that was asked for at `started` and has at most so many tokens.
    pub fn new(
        model: &'model Model,
        options: &GenerateOptions,
        tags: Tags,
        writer: Writer,
        guide: Option<Guide<'model>>,
        most_tokens: u32,
        started: Instant,
    ) -> Self {
        Self {
            model,
            tags,
            sampler: Sampler::new(&options.sampling),
            writer,
            guide,
            thoughts: ThoughtLimit::new(options.think.most_tokens()),
            detector: options.loop_breaker.then(RepetitionDetector::default),
            repetition: None,
            most_tokens,
            started,
            first_token_at: None,
            stats: Stats::default(),
        }
    }

    /// Whether what is drawn may have to be drawn again.
    pub fn is_guided(&self) -> bool {
        self.guide.is_some()
    }

    /// How many more tokens may come.
    pub fn left(&self) -> u32 {
        self.most_tokens.saturating_sub(self.stats.usage.completion_tokens)
    }

    /// The token that must come next, whatever the model would say. Called once for each token.
    pub fn forced(&mut self) -> Option<Token> {
        let (model, writer) = (self.model, &self.writer);
        self.thoughts.next(writer.is_thinking(), |any| {
            // The tag itself may be a control token: it is the program that writes it.
            prompt::tokenize_continuation(model, &writer.closing(any))
        })
    }

    /// The token that was drawn, or another where it is part of the answer and the constraint does not take it; `None` if
    /// the answer can only end.
    pub fn hold(&mut self, drawn: Token, logits: &[f32], recent: &[Token]) -> Result<Option<Token>, EngineError> {
        let Some(guide) = &mut self.guide else { return Ok(Some(drawn)) };
        // A model that would end its turn among its thoughts begins its answer instead.
        let is_end = self.model.is_end_of_generation(drawn);
        if !is_end && self.writer.is_outside_answer(&readable(self.model, drawn, &self.tags)) {
            return Ok(Some(drawn));
        }
        self.writer.begin_answer();
        guide.next(drawn, &mut self.sampler, logits, recent)
    }

    /// Goes on with a token, and says what can be said of it; tells whether that was the last.
    /// `weighed` is what the model thought of it, if that is to be said.
    pub fn take(
        &mut self,
        token: Token,
        is_forced: bool,
        weighed: Option<(Likely, Vec<Likely>)>,
        emit: &dyn Fn(Step) -> bool,
    ) -> Option<Ended> {
        let now = Instant::now();
        let first = *self.first_token_at.get_or_insert(now);
        self.stats.usage.completion_tokens += 1;
        self.stats.timings.time_to_first_token_ms = milliseconds(first - self.started);
        self.stats.timings.decode_ms = milliseconds(now - first);
        if !is_forced && self.model.is_end_of_generation(token) {
            return Some(Ended::Stop);
        }
        let was_thinking = self.writer.is_thinking();
        self.writer.push(token, &readable(self.model, token, &self.tags));
        if let Some(weighed) = weighed {
            emit(Step::Weighed(Box::new(Weighed::new(weighed, was_thinking, &self.writer))));
        }
        if !self.writer.send(self.stats.usage.completion_tokens, emit) {
            return Some(Ended::Cancelled);
        }
        if self.writer.stopped {
            return Some(Ended::StopString);
        }
        self.repetition = self.detector.as_mut().and_then(|detector| detector.push(token));
        if self.repetition.is_some() {
            return Some(Ended::Loop);
        }
        (self.left() == 0).then_some(Ended::Length)
    }

    /// Says what was kept back: no more tokens will come.
    pub fn end(&mut self, ended: Ended, emit: &dyn Fn(Step) -> bool) {
        if let Some(guide) = &self.guide {
            tracing::debug!(cost = ?guide.cost, "the answer was held to its constraint");
        }
        self.writer.finish(ended != Ended::Stop);
        self.writer.send(self.stats.usage.completion_tokens, emit);
    }

    /// The answer with its tokens, if these stand for exactly its text.
    pub fn into_exact_answer(self) -> Option<ExactAnswer> {
        self.writer.exact_answer()
    }
}

/// The bytes of a token as they are shown. Control tokens are nothing to read, except the tags around a reasoning
/// model's thoughts, which some vocabularies make control tokens.
pub fn readable(model: &Model, token: Token, tags: &Tags) -> Vec<u8> {
    let bytes = model.piece(token);
    if !bytes.is_empty() || model.token_kind(token) == TokenKind::Text {
        return bytes;
    }
    let text = model.token_text(token);
    if tags.contain(&text) { text.into_bytes() } else { bytes }
}

/// A model that computes no number for any token.
pub fn no_number() -> EngineError {
    EngineError::Failed(
        "the model computed no number for any token, so the file or the hardware is damaged; check the file with `tuichat models check`".into(),
    )
}

pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
