//! The shipped texts as one stream of tokens, for measurements that need many.

use crate::bench::draw::Draw;
use crate::bench::texts::TEXTS;
use crate::engine::lab::{Lab, Token};

/// The tokens of the texts, one text after the other and over again.
pub struct Stream {
    begin: Option<Token>,
    tokens: Vec<Token>,
    start: usize,
}

impl Stream {
    /// Begins at a place in the first half of this text.
    pub fn beginning_in(lab: &Lab, text: usize, draw: &mut Draw) -> Self {
        let texts = TEXTS.iter().cycle().skip(text).take(TEXTS.len());
        let tokens: Vec<Vec<Token>> = texts.map(|text| lab.tokenize(text.text)).collect();
        let start = draw.below(tokens.first().map_or(0, Vec::len) / 2);
        Self { begin: lab.begin_token(), tokens: tokens.concat(), start }
    }

    /// Begins at a place in the first text.
    pub fn of_all(lab: &Lab, seed: u64) -> Self {
        Self::beginning_in(lab, 0, &mut Draw::new(seed, 0))
    }

    /// So many tokens, with the one that every text begins with.
    pub fn take(&self, count: usize) -> Vec<Token> {
        let tokens = self.tokens.iter().cycle().skip(self.start).copied();
        self.begin.into_iter().chain(tokens).take(count).collect()
    }
}
