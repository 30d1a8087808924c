//! One answer: prefill, then the token loop.

use std::time::Instant;

use super::answering::{Answering, milliseconds, no_number};
use super::llama::Token;
use super::protocol::{CancelFlag, EngineError, Finish, GenerateOptions, Prompt, Step};
use super::rereading::Watch;
use super::sampler::Sampler;
use super::session::{Go, Session};
use super::speculative::{Drafted, is_close, take_or_draw};
use super::writer::ExactAnswer;
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
        let mut disk = Watch::begin(self.sizes);
        let (rendered, tokens) = self.take_up(prompt, options.think)?;
        let tags = self.tags();
        self.check_length(&tokens)?;
        let beginning = self.take_beginning(&rendered, &tokens, options);
        let guide = self.guide(prompt, &rendered, options)?;
        let mut stats = Stats::default();
        stats.usage.prompt_tokens = tokens.len() as u32;
        let watched = self.context.watching_took();
        // The logits of the last token are needed, so it is always computed.
        let cached = self.reuse(&tokens[..tokens.len() - 1]);
        stats.usage.cached_prompt_tokens = cached as u32;
        stats.usage.kept_prompt_tokens = self.keep_beginning(beginning, &tokens, cached, cancel, emit)?;
        let cached = self.ledger.tokens().len();
        let (go, recalled) = self.prefill_with_recalled(&tokens, cached, cancel, emit)?;
        stats.timings.prefill_ms = milliseconds(started.elapsed());
        let watched = self.context.watching_took() - watched;
        stats.timings.eviction_ms = milliseconds(self.eviction.spent() + watched);
        let writer = self.writer(prompt, &rendered, options, &tags);
        // An answer that nobody limits may not push its own beginning out of the cache.
        let most_tokens = options.max_tokens.unwrap_or(self.cells() as u32);
        let mut answer = Answering::new(self.model, options, tags, writer, guide, most_tokens, started);
        answer.stats = stats;
        self.begin_answer(options);
        let ended = self.write_answer(&mut answer, go, options.weighed, &mut disk, cancel, emit)?;
        self.take_back_drafts()?;
        answer.end(ended, emit);
        let (mut stats, repetition, seed) = (answer.stats, answer.repetition, answer.sampler.seed());
        stats.decode_calls = self.speculator.calls();
        stats.speculation = self.speculator.told();
        if let Some(answer) = answer.into_exact_answer() {
            self.remember(tokens.len() + recalled, answer);
        }
        let (major_faults, is_reread, rereading) = disk.end(stats.usage.completion_tokens, Instant::now());
        (stats.major_faults, stats.is_reread) = (major_faults, is_reread);
        tracing::debug!(?major_faults, is_reread, "page faults of the answer that waited for the disk");
        if let Some(rereading) = rereading {
            emit(Step::Rereading(rereading));
        }
        stats.cells_used = self.ledger.cells() as u32;
        stats.usage.evicted_tokens = self.eviction.evicted();
        let held = self.held(&rendered, &tokens);
        Ok(Finish { ended, repetition, stats, seed, held })
    }

    /// Computes the prompt behind its first `cached` tokens, and before its question what is recalled for it; returns
    /// how many tokens that is.
    fn prefill_with_recalled(
        &mut self,
        tokens: &[Token],
        cached: usize,
        cancel: &[&CancelFlag],
        emit: &dyn Fn(Step) -> bool,
    ) -> Result<(Go, usize), EngineError> {
        let overflows = self.ledger.contents().evicted() > 0 || self.room() < tokens.len() - cached;
        let question = self.eviction.question_start().filter(|_| overflows && self.evicts()).unwrap_or(0);
        let selects = self.eviction.is_asked_anew() && self.archived() > 0;
        let mut go = self.prefill(tokens, cached, question, cancel, emit)?;
        let mut start = cached.max(question);
        if selects && go == Go::On {
            // Some of the question may have been computed while it was written.
            start = self.keep(question);
            go = self.select_anew(tokens.len() - start, cancel, emit)?;
        }
        if go != Go::On {
            return Ok((go, 0));
        }
        let recalled = self.recall();
        if recalled.passages.is_empty() {
            return Ok((self.prefill(tokens, start, tokens.len(), cancel, emit)?, 0));
        }
        if start > question {
            start = self.keep(question);
        }
        let count = recalled.tokens.len();
        let place = self.ledger.tokens().len();
        if !emit(Step::Recalled(recalled.passages)) {
            return Ok((Go::Cancelled, 0));
        }
        self.eviction.inserted(start, count);
        let go = self.extend(&recalled.tokens, cancel)?;
        if go != Go::On {
            return Ok((go, count));
        }
        let go = self.prefill(tokens, start, tokens.len(), cancel, emit)?;
        self.ledger.set_aside(place..place + count);
        Ok((go, count))
    }

    /// The token loop: writes the answer behind its prompt until it ends, and tells how. Of each token `weighed` likeliest
    /// ones are told, too.
    fn write_answer(
        &mut self,
        answer: &mut Answering<'_>,
        mut go: Go,
        weighed: u32,
        disk: &mut Watch,
        cancel: &[&CancelFlag],
        emit: &dyn Fn(Step) -> bool,
    ) -> Result<Ended, EngineError> {
        loop {
            match go {
                Go::On => {}
                Go::Cancelled => return Ok(Ended::Cancelled),
                Go::Full => return Ok(Ended::Length),
            }
            let forced = answer.forced();
            let chosen = match forced {
                Some(token) => Some(token),
                None => self.next_token(answer)?,
            };
            let Some(token) = chosen else { return Ok(Ended::Stop) };
            let is_end = forced.is_none() && self.model.is_end_of_generation(token);
            let weighed = (weighed > 0 && !is_end).then(|| self.weigh(token, weighed));
            if let Some(ended) = answer.take(token, forced.is_some(), weighed, emit) {
                return Ok(ended);
            }
            if let Some(rereading) = disk.token(answer.stats.usage.completion_tokens, Instant::now()) {
                emit(Step::Rereading(rereading));
            }
            go = self.advance(token, answer.left(), cancel)?;
        }
    }

    /// The next token, held to the constraint where it is part of the answer; `None` if the answer can only end.
    fn next_token(&mut self, answer: &mut Answering<'_>) -> Result<Option<Token>, EngineError> {
        let is_guided = answer.is_guided();
        let token = self.sample(&mut answer.sampler, is_guided)?;
        if !is_guided {
            return Ok(Some(token));
        }
        let run = self.speculator.run();
        answer.hold(token, run.logits(&mut self.context), run.without_unchosen(self.ledger.tokens()))
    }

    /// Draws a token. One that was drafted may be taken instead, where that comes to the same. (Under a guide, which may
    /// draw again, only drawing as ever does.)
    fn sample(&mut self, sampler: &mut Sampler, is_guided: bool) -> Result<Token, EngineError> {
        let run = self.speculator.run();
        let (logits, recent) = (run.logits(&mut self.context), run.without_unchosen(self.ledger.tokens()));
        let token = match run.drafted() {
            Some(drafted) if is_close(logits, drafted, self.speculator.fuzzy()) => Some(drafted.token),
            Some(Drafted { token, odds: Some(drafted_odds), .. }) if !is_guided => {
                let (first, second) = (sampler.random(), sampler.random());
                let odds = sampler.odds(logits, recent);
                odds.and_then(|odds| take_or_draw(&odds, token, drafted_odds, first, second))
            }
            _ => sampler.sample(logits, recent),
        };
        token.ok_or_else(no_number)
    }

    /// Remembers an answer by its text, and without the white space at its ends, which many templates cut off.
    fn remember(&mut self, asked: usize, answer: ExactAnswer) {
        let ExactAnswer { thoughts, text, tokens } = answer;
        let is_space = |token: &&Token| self.model.piece(**token).iter().all(u8::is_ascii_whitespace);
        let before = tokens.iter().take_while(is_space).count();
        let behind = tokens[before..].iter().rev().take_while(is_space).count();
        let core = &tokens[before..tokens.len() - behind];
        let bytes: Vec<u8> = core.iter().flat_map(|token| self.model.piece(*token)).collect();
        if before + behind > 0 && !core.is_empty() && bytes == text.trim().as_bytes() {
            self.ledger.remember(text.trim().to_owned(), core.to_vec());
        }
        self.ledger.answered(asked, thoughts, text, tokens);
    }
}
