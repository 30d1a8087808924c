//! One answer: prefill, then the token loop.

use std::time::{Duration, Instant};

use super::llama::{Token, TokenKind};
use super::prompt;
use super::protocol::{CancelFlag, EngineError, Finish, GenerateOptions, Prompt, Step};
use super::sampler::Sampler;
use super::session::{Go, Session};
use super::thinking::{Tags, ThoughtLimit};
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
        let rendered = self.render(prompt, options.think)?;
        let tags = self.tags();
        let tokens = prompt::tokenize(self.model, &self.special, self.ledger.answers(), &rendered);
        self.check_length(&tokens)?;
        let mut sampler = Sampler::new(&options.sampling);
        let mut stats = Stats::default();
        stats.usage.prompt_tokens = tokens.len() as u32;
        let mut go = self.prefill(&tokens, cancel, emit, &mut stats)?;
        stats.timings.prefill_ms = milliseconds(started.elapsed());
        let mut writer = Writer::new(options, tags, rendered.opens(&tags));
        let mut thoughts = ThoughtLimit::new(options.think.most_tokens());
        let mut first_token_at = None;
        let ended = loop {
            match go {
                Go::On => {}
                Go::Cancelled => break Ended::Cancelled,
                Go::Full => break Ended::Length,
            }
            let forced = thoughts.next(writer.is_thinking(), |any| {
                // The tag itself may be a control token: it is the program that writes it.
                prompt::tokenize_continuation(self.model, &writer.closing(any))
            });
            let token = match forced {
                Some(token) => token,
                None => self.sample(&mut sampler)?,
            };
            let now = Instant::now();
            let first = *first_token_at.get_or_insert(now);
            stats.usage.completion_tokens += 1;
            stats.timings.time_to_first_token_ms = milliseconds(first - started);
            stats.timings.decode_ms = milliseconds(now - first);
            if forced.is_none() && self.model.is_end_of_generation(token) {
                break Ended::Stop;
            }
            writer.push(token, &self.readable(token, &tags));
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
            self.remember(text, tokens);
        }
        stats.cells_used = self.ledger.next_position();
        Ok(Finish { ended, stats, seed: sampler.seed() })
    }

    fn sample(&mut self, sampler: &mut Sampler) -> Result<Token, EngineError> {
        let token = sampler.sample(self.context.logits(), self.ledger.tokens());
        token.ok_or_else(|| {
            EngineError::Failed(
                "the model computed no number for any token, so the file or the hardware is damaged; check the file with `tuichat models check`".into(),
            )
        })
    }

    /// Remembers an answer by its text, and without the white space at its ends, which many templates cut off.
    fn remember(&mut self, text: String, tokens: Vec<Token>) {
        let is_space = |token: &&Token| self.model.piece(**token).iter().all(u8::is_ascii_whitespace);
        let before = tokens.iter().take_while(is_space).count();
        let behind = tokens[before..].iter().rev().take_while(is_space).count();
        let core = &tokens[before..tokens.len() - behind];
        let bytes: Vec<u8> = core.iter().flat_map(|token| self.model.piece(*token)).collect();
        if before + behind > 0 && !core.is_empty() && bytes == text.trim().as_bytes() {
            self.ledger.remember(text.trim().to_owned(), core.to_vec());
        }
        self.ledger.remember(text, tokens);
    }

    /// The bytes of a token as they are shown. Control tokens are nothing to read, except the tags around a reasoning
    /// model's thoughts, which some vocabularies make control tokens.
    fn readable(&self, token: Token, tags: &Tags) -> Vec<u8> {
        let bytes = self.model.piece(token);
        if !bytes.is_empty() || self.model.token_kind(token) == TokenKind::Text {
            return bytes;
        }
        let text = self.model.token_text(token);
        if tags.contain(&text) { text.into_bytes() } else { bytes }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
