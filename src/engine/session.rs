//! A model with its context: conversations become tokens, and tokens what is in the KV cache.

use std::time::Instant;

use super::context::Ledger;
use super::eviction::{Asking, Eviction};
use super::kv::Snapshots;
use super::llama::{Context, Decoded, Model, Token};
use super::parts;
use super::prompt::{self, SpecialTexts};
use super::protocol::{CancelFlag, EngineError, Prompt, Step, Think};
use super::rereading::Sizes;
use super::resume::Chats;
use super::speculative::Speculator;
use super::speed::PrefillSpeed;
use super::template::{Rendered, Template, render_plain};
use super::thinking::Tags;

/// Where a prompt does not fit, at most this part of the cells is computed at once, but no less than the tokens from
/// which on llama.cpp computes attention in tiles.
const CHUNK_PART: usize = 4;
const LEAST_CHUNK: usize = 64;

/// A model with its context and what is in the cache.
pub struct Session<'model> {
    pub model: &'model Model,
    pub context: Context<'model>,
    /// `None` for a base model; the error of a template that does not compile.
    pub template: Option<Result<Template, String>>,
    pub special: SpecialTexts,
    pub ledger: Ledger,
    pub eviction: Eviction,
    /// Nothing that left the cache is brought back.
    pub no_recall: bool,
    /// Whose tokens these are, and what is kept of other chats.
    pub chats: Chats,
    pub speed: PrefillSpeed,
    pub speculator: Speculator<'model>,
    /// What has to have room in memory.
    pub sizes: Sizes,
}

/// Whether to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Go {
    On,
    Cancelled,
    /// No cell is left.
    Full,
}

impl<'model> Session<'model> {
    /// A model with an empty context, and where the caches of chats are kept on disk.
    pub fn new(model: &'model Model, context: Context<'model>, snapshots: Option<Snapshots>) -> Self {
        let sizes = Sizes { weights: model.size(), cells: context.cells(), ..Sizes::default() };
        let text_of = |token: Option<Token>| token.map(|token| model.token_text(token)).unwrap_or_default();
        let (begin, end) = (text_of(model.begin_token()), text_of(model.end_token()));
        Self {
            model,
            context,
            template: model.chat_template().map(|source| Template::new(&source, &begin, &end)),
            special: SpecialTexts::of(model),
            ledger: Ledger::default(),
            eviction: Eviction::default(),
            no_recall: false,
            chats: Chats::new(snapshots),
            speed: PrefillSpeed::default(),
            speculator: Speculator::new(false, None),
            sizes,
        }
    }
}

impl<'model> Session<'model> {
    /// The conversation as the model is to see it, with the cache of its chat in the context.
    pub(super) fn take_up(&mut self, prompt: &Prompt, think: Think) -> Result<(Rendered, Vec<Token>), EngineError> {
        self.go_to(prompt.chat);
        let rendered = self.render(prompt, think)?;
        let tokens = prompt::tokenize(self.model, &self.special, self.ledger.known_answers(), &rendered);
        self.restore_for(&tokens);
        self.begin_turn(prompt, &rendered, &tokens);
        Ok((rendered, tokens))
    }

    /// Tells the eviction which tokens are whose, and which of them ask.
    fn begin_turn(&mut self, prompt: &Prompt, rendered: &Rendered, tokens: &[Token]) {
        let ends = parts::ends(self.model, rendered, tokens);
        let pinned = (0..prompt.messages.len()).filter(|message| prompt.messages[*message].is_pinned).collect();
        let asking = parts::question(rendered, &ends);
        let question = parts::question_tokens(tokens, &asking);
        let asked = asking.iter().flat_map(|range| &tokens[range.clone()]).copied().collect();
        self.eviction.begin(
            parts::parts(rendered, &ends),
            pinned,
            Asking { ranges: asking, text: asked, probe: question, is_answered: prompt.continues_answer() },
        );
    }

    pub(super) fn render(&mut self, prompt: &Prompt, think: Think) -> Result<Rendered, EngineError> {
        let rendered = match &mut self.template {
            None => render_plain(&prompt.messages),
            Some(Ok(template)) if prompt.continues_answer() => {
                template.render_continued(&prompt.messages, think).map_err(EngineError::Template)?
            }
            Some(Ok(template)) => template.render(&prompt.messages, think).map_err(EngineError::Template)?,
            Some(Err(error)) => return Err(EngineError::Template(error.clone())),
        };
        if prompt.continues_answer() {
            self.know_last_answer(&rendered);
        }
        Ok(rendered)
    }

    /// How the model marks its thoughts.
    pub fn tags(&self) -> Tags {
        match &self.template {
            Some(Ok(template)) => template.tags(),
            _ => Tags::default(),
        }
    }

    /// At least one cell must be left for an answer, where nothing may leave the cache for it.
    pub(super) fn check_length(&self, tokens: &[Token]) -> Result<(), EngineError> {
        let cells = self.context.cells();
        let needed = u32::try_from(tokens.len()).unwrap_or(u32::MAX);
        if tokens.is_empty() {
            return Err(EngineError::Failed("there is nothing to answer; type a message or use `--prompt`".into()));
        }
        if needed >= cells && !self.evicts() {
            return Err(EngineError::ContextFull { needed: needed.saturating_add(1), cells });
        }
        Ok(())
    }

    /// Leaves in the cache what these tokens begin with, without the thoughts that they leave out; returns how many
    /// of them that is.
    pub(super) fn reuse(&mut self, tokens: &[Token]) -> usize {
        let found = self.ledger.contents().compare(tokens);
        let Some(first) = found.left_out.first().map(|aside| aside.start) else { return self.keep(found.length) };
        if !self.context.can_evict() {
            return self.keep(first);
        }
        let mut removed = 0;
        for aside in found.left_out {
            let range = aside.start - removed..aside.end - removed;
            removed += range.len();
            for span in self.ledger.cut(&range) {
                if !self.context.remove(span) {
                    return self.keep(0);
                }
            }
        }
        let left = self.keep(found.length);
        if self.compact().is_ok() { left } else { 0 }
    }

    /// Computes the tokens behind the first `cached` of a prompt, up to the first `until`, in parts, saying before each
    /// how many of all are done.
    pub(super) fn prefill(
        &mut self,
        tokens: &[Token],
        cached: usize,
        until: usize,
        cancel: &[&CancelFlag],
        emit: &dyn Fn(Step) -> bool,
    ) -> Result<Go, EngineError> {
        let total = tokens.len() as u32;
        let mut done = cached;
        while done < until {
            let progress = Step::Prefilling { done: done as u32, total, cached: cached as u32 };
            if !emit(progress) || cancel.iter().any(|flag| flag.is_cancelled()) {
                return Ok(Go::Cancelled);
            }
            let (started, behind) = (Instant::now(), self.ledger.cells());
            let chunk = &tokens[done..done + self.next_chunk(until - done)];
            match self.compute(chunk, tokens.len() - done - chunk.len(), cancel)? {
                Go::On => done += chunk.len(),
                other => return Ok(other),
            }
            self.speed.measured(chunk.len(), behind, started.elapsed());
        }
        Ok(Go::On)
    }

    /// How many of so many tokens are computed at once: a batch, or less where that is much of a small cache.
    fn next_chunk(&self, tokens: usize) -> usize {
        let (batch, question) = (self.context.batch_size(), self.eviction.question().len());
        if tokens <= self.room() || !self.evicts() {
            return tokens.min(batch);
        }
        let part = (self.cells() / CHUNK_PART).max(LEAST_CHUNK);
        tokens.min(part).min(batch.saturating_sub(question)).max(1)
    }

    /// Computes a part of a prompt, of which so many tokens will follow, and makes room for it.
    fn compute(&mut self, chunk: &[Token], following: usize, cancel: &[&CancelFlag]) -> Result<Go, EngineError> {
        let question = self.eviction.question().len();
        let overflows = self.evicts() && following > 0 && self.room() < chunk.len() + following;
        let asks = overflows && question > 0;
        if !self.make_room(chunk.len() + if asks { question } else { 0 })? {
            return Ok(Go::Full);
        }
        // What follows will need room, and the question tells what it may take.
        if asks && self.room() - chunk.len() < self.next_chunk(following) + question {
            return self.decode_and_ask(chunk, cancel);
        }
        self.extend_by(chunk, cancel)
    }

    /// Computes tokens behind what is in the cache, makes room for them, and learns what they attend to.
    pub(super) fn extend(&mut self, tokens: &[Token], cancel: &[&CancelFlag]) -> Result<Go, EngineError> {
        if !self.make_room(tokens.len())? {
            return Ok(Go::Full);
        }
        self.extend_by(tokens, cancel)
    }

    fn extend_by(&mut self, tokens: &[Token], cancel: &[&CancelFlag]) -> Result<Go, EngineError> {
        self.watch(tokens.len());
        let go = self.decode(tokens, cancel)?;
        if go == Go::On {
            self.learn();
        }
        Ok(go)
    }

    /// Cuts the cache to its first `length` tokens, to fewer where those would end with evicted ones, or to nothing
    /// where it cannot be cut; returns what is left.
    pub(super) fn keep(&mut self, length: usize) -> usize {
        if length < self.ledger.tokens().len() {
            self.ledger.truncate(length);
            if self.ledger.cells() == 0 || !self.context.truncate(self.ledger.next_position()) {
                self.context.clear();
                self.ledger.truncate(0);
            }
        }
        self.ledger.tokens().len()
    }

    /// Computes tokens behind what is in the cache. After a cancel, the ledger holds what was computed before it.
    pub(super) fn decode(&mut self, tokens: &[Token], cancel: &[&CancelFlag]) -> Result<Go, EngineError> {
        self.decode_by(Context::decode, tokens, cancel)
    }

    /// Like [`Session::decode`], with the logits of every token.
    pub(super) fn decode_with_all_logits(
        &mut self,
        tokens: &[Token],
        cancel: &[&CancelFlag],
    ) -> Result<Go, EngineError> {
        self.decode_by(Context::decode_with_all_logits, tokens, cancel)
    }

    fn decode_by(
        &mut self,
        decode: impl FnOnce(&mut Context<'model>, &[Token], u32, &[&CancelFlag]) -> Decoded,
        tokens: &[Token],
        cancel: &[&CancelFlag],
    ) -> Result<Go, EngineError> {
        let before = self.ledger.next_position();
        if self.room() < tokens.len() {
            return Ok(Go::Full);
        }
        let decoded = decode(&mut self.context, tokens, before, cancel);
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
}
