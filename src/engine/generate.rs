//! One answer: prefill, then the token loop.

use std::time::{Duration, Instant};

use super::constraint::Guide;
use super::llama::{Token, TokenKind};
use super::prompt;
use super::protocol::{CancelFlag, EngineError, Finish, GenerateOptions, Prompt, Step};
use super::sampler::Sampler;
use super::session::{Go, Session};
use super::writer::Writer;
use crate::chat::{Ended, Stats};

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
        let mut guide = options.constraint.as_ref().map(|held| Guide::new(self.model, held)).transpose()?;
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
            let Some(token) = self.next_token(&mut sampler, &mut writer, guide.as_mut())? else { break Ended::Stop };
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
        if let Some(guide) = &guide {
            tracing::debug!(cost = ?guide.cost, "the answer was held to its constraint");
        }
        writer.finish();
        writer.send(stats.usage.completion_tokens, emit);
        if let Some((text, tokens)) = writer.exact_answer() {
            self.ledger.remember(text, tokens);
        }
        stats.cells_used = self.ledger.next_position();
        Ok(Finish { ended, stats, seed: sampler.seed() })
    }

    /// The next token, held to the constraint where it is part of the answer; `None` if the answer can only end.
    fn next_token(
        &mut self,
        sampler: &mut Sampler,
        writer: &mut Writer,
        guide: Option<&mut Guide<'_>>,
    ) -> Result<Option<Token>, EngineError> {
        let token = self.sample(sampler)?;
        let Some(guide) = guide else { return Ok(Some(token)) };
        // A model that would end its turn among its thoughts begins its answer instead.
        if !self.model.is_end_of_generation(token) && writer.is_outside_answer(&self.readable(token)) {
            return Ok(Some(token));
        }
        writer.begin_answer();
        guide.next(token, sampler, self.context.logits(), self.ledger.tokens())
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

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
