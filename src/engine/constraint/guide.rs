//! Sampling under a grammar.
//!
//! The sampler draws from all tokens first. If the grammar takes the token, that was all, and it cost next to nothing.
//! If not, that token is left out and the sampler draws again; and after a few tokens the grammar is asked about the
//! whole vocabulary, and the sampler draws from what it allows.
//!
//! Without truncation (top-k and so on) that is exactly the distribution over the allowed tokens: leaving out tokens
//! that are not allowed never changes how much more probable one allowed token is than another, and one of them is
//! drawn in the end. With truncation, what is cut away is cut from what was not left out yet.

use cpu_time::ThreadTime;

use crate::engine::llama::{Grammar, Model, Token};
use crate::engine::protocol::{Constraint, EngineError};
use crate::engine::sampler::Sampler;

/// A grammar that can be read in many ways at once doubles its work with every token; such an answer is given up
/// before it stops the program.
const MOST_SECONDS: f64 = 3.0;
/// Tokens that are drawn and refused before the whole vocabulary is gone through, which costs as much as dozens.
const MOST_DRAWS: u32 = 8;

/// What holds an answer to its constraint, from its first token on.
pub struct Guide<'model> {
    grammar: Grammar<'model>,
    model: &'model Model,
    /// The logits of the tokens that were not refused yet.
    left: Vec<f32>,
    pub cost: Cost,
}

/// What holding an answer to its constraint took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    pub tokens: u32,
    /// Tokens that were refused at first.
    pub refused: u32,
    /// Tokens for which the whole vocabulary had to be gone through.
    pub masks: u32,
    /// Time of the processor, for all of them.
    pub seconds: f64,
}

impl<'model> Guide<'model> {
    pub fn new(model: &'model Model, constraint: &Constraint) -> Result<Self, EngineError> {
        let gbnf = super::grammar(constraint).map_err(EngineError::Failed)?;
        let grammar = Grammar::new(model, &gbnf)
            .ok_or_else(|| EngineError::Failed("llama.cpp does not take the grammar; try a simpler one".into()))?;
        Ok(Self { grammar, model, left: Vec::new(), cost: Cost::default() })
    }

    /// Takes tokens that the answer has already; `false` if the grammar does not.
    pub fn follow(&mut self, tokens: &[Token]) -> bool {
        tokens.iter().all(|token| self.grammar.allows(*token) && self.grammar.accept(*token))
    }

    /// The next token of the answer, given the one that was drawn from all; `None` if the answer is complete and the
    /// model has no token to say so. A token that ends the answer comes only where the grammar can end.
    pub fn next(
        &mut self,
        drawn: Token,
        sampler: &mut Sampler,
        logits: &[f32],
        recent: &[Token],
    ) -> Result<Option<Token>, EngineError> {
        let started = seconds_of_this_thread();
        self.cost.tokens += 1;
        let token =
            if self.grammar.allows(drawn) { Some(drawn) } else { self.draw_again(drawn, sampler, logits, recent) };
        let Some(token) = token else {
            // Where nothing may follow, an answer can still be complete only if no token could have said so.
            return if self.model.has_end_of_generation() { Err(dead_end()) } else { Ok(None) };
        };
        if !self.model.is_end_of_generation(token) && !self.grammar.accept(token) {
            return Err(dead_end());
        }
        let seconds = seconds_of_this_thread() - started;
        self.cost.seconds += seconds;
        if seconds > MOST_SECONDS {
            return Err(EngineError::Failed(
                "the grammar can be read in too many ways to be followed any further; write it so that fewer rules begin alike".into(),
            ));
        }
        Ok(Some(token))
    }

    fn draw_again(&mut self, refused: Token, sampler: &mut Sampler, logits: &[f32], recent: &[Token]) -> Option<Token> {
        self.cost.refused += 1;
        self.left.clear();
        self.left.extend_from_slice(logits);
        let mut refused = refused;
        for _ in 1..MOST_DRAWS {
            if let Some(logit) = usize::try_from(refused).ok().and_then(|token| self.left.get_mut(token)) {
                *logit = f32::NEG_INFINITY;
            }
            refused = sampler.sample(&self.left, recent)?;
            if self.grammar.allows(refused) {
                return Some(refused);
            }
        }
        self.cost.masks += 1;
        if self.grammar.mask(&mut self.left) { sampler.sample(&self.left, recent) } else { None }
    }
}

/// Time that this thread has computed: a machine that is busy with something else does not count.
fn seconds_of_this_thread() -> f64 {
    ThreadTime::now().as_duration().as_secs_f64()
}

fn dead_end() -> EngineError {
    EngineError::Failed(
        "the grammar allows nothing that the model could write next; check its sets of characters, or use another model"
            .into(),
    )
}
