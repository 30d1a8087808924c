//! One answer: prefill, then the token loop.

use std::time::{Duration, Instant};

use super::llama::{Token, TokenKind};
use super::protocol::{CancelFlag, EngineError, Finish, GenerateOptions, Prompt, Step};
use super::repetition::RepetitionDetector;
use super::sampler::Sampler;
use super::session::{Go, Session};
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
        let (rendered, tokens) = self.take_up(prompt)?;
        self.check_length(&tokens)?;
        let mut sampler = Sampler::new(&options.sampling);
        let mut stats = Stats::default();
        stats.usage.prompt_tokens = tokens.len() as u32;
        // The logits of the last token are needed, so it is always computed.
        let cached = self.reuse(&tokens[..tokens.len() - 1]);
        stats.usage.cached_prompt_tokens = cached as u32;
        let mut go = self.prefill(&tokens, cached, cancel, emit)?;
        stats.timings.prefill_ms = milliseconds(started.elapsed());
        let mut writer = self.writer(prompt, &rendered, options);
        let mut detector = options.loop_breaker.then(RepetitionDetector::default);
        let mut repetition = None;
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
            repetition = detector.as_mut().and_then(|detector| detector.push(token));
            if repetition.is_some() {
                break Ended::Loop;
            }
            if options.max_tokens.is_some_and(|most| stats.usage.completion_tokens >= most) {
                break Ended::Length;
            }
            go = self.decode(&[token], cancel)?;
            stats.decode_calls += 1;
        };
        writer.finish(ended != Ended::Stop);
        writer.send(stats.usage.completion_tokens, emit);
        if let Some(answer) = writer.exact_answer() {
            self.ledger.answered(tokens.len(), answer.thoughts, answer.text, answer.tokens);
        }
        stats.cells_used = self.ledger.next_position();
        Ok(Finish { ended, repetition, stats, seed: sampler.seed() })
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
    pub(super) fn readable(&self, token: Token) -> Vec<u8> {
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
