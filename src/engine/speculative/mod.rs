//! Speculative decoding: tokens that are likely to come are guessed (drafted) and computed together with the last
//! one, and as many of them are kept as the model would have chosen itself. It pays where guesses are good and where
//! computing several tokens at once costs less than one after the other, which differs between models and machines;
//! so both are learned while answers are written, and where it does not pay, decoding is plain.
//!
//! - [`ngram`] guesses from what was said before, [`draft_model`] by a smaller model;
//! - [`verify`] chooses tokens so that an answer is distributed as without drafts, or nearly (fuzzy);
//! - [`cost`] knows how long computing n tokens takes, [`times_file`] keeps that on disk, [`chances`] how often guesses are right;
//! - [`controller`] decides how many tokens are drafted, and keeps the books of an answer; [`bursts`] decides when a draft
//!   model is asked;
//! - [`run`] is what was drafted and computed and not chosen yet; [`speculator`] is all of it together, for a session.

mod bursts;
mod chances;
mod controller;
mod cost;
mod draft_model;
mod ngram;
mod run;
#[cfg(test)]
mod simulation;
mod speculator;
mod times_file;
mod verify;

use super::llama::Token;
use super::protocol::CancelFlag;
use super::sampler::Odds;
use crate::chat::DraftedBy;

pub use bursts::Bursts;
pub use controller::{Book, Controller};
pub use draft_model::{DraftModel, check_vocabulary};
pub use ngram::Ngrams;
pub use run::Run;
pub use speculator::Speculator;
pub use times_file::TimesFile;
pub use verify::{Drafted, is_close, take_or_draw};

/// Something that guesses how a text goes on.
pub trait Drafter: std::fmt::Debug {
    /// The text is this now.
    fn begin(&mut self, text: &[Token]);

    /// It goes on with this token.
    fn push(&mut self, token: Token);

    /// At most so many tokens that may come next; none if there is nothing to go by, or one of the flags was set.
    fn draft(&mut self, most: usize, cancel: &[&CancelFlag]) -> Draft;
}

/// Tokens that may come next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// Who made it; `None` if there is none.
    pub by: Option<DraftedBy>,
    pub tokens: Vec<Token>,
    /// What speaks for one of n-grams.
    pub ground: Ground,
    /// With which probability each of them was drawn, and which others might have been; empty where they were not
    /// drawn.
    pub odds: Vec<Odds>,
    /// The draft model's logits for each of them, where a fuzzy answer needs them.
    pub logits: Vec<Vec<f32>>,
}

/// What speaks for a draft that was looked up in the text, by whomever: how often such guesses are right is learned for
/// all of them together ([`chances`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ground {
    /// So many tokens at the end of the text stand before the place that the draft is taken from, too.
    pub matched: usize,
    pub kind: Kind,
}

/// How the place was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// It has the longest match, but others as long go on with other tokens.
    #[default]
    Contested,
    /// Every place with a match as long goes on with the same token.
    Agreed,
    /// It is where a text goes on that was followed until a moment ago, as in a copy with changes.
    Resumed,
}

impl Ground {
    /// What speaks for the token that is drafted behind `tokens` others, if those are right.
    pub fn behind(self, tokens: usize) -> Self {
        let kind = if tokens > 0 && self.kind == Kind::Contested { Kind::Agreed } else { self.kind };
        Self { matched: self.matched + tokens, kind }
    }
}
