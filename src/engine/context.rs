//! The ledger of the KV cache: which tokens are in it, in order, so that a prompt is computed only from where it
//! differs from what was computed before.

use super::llama::Token;
use super::prompt::KnownAnswers;

/// Answers whose tokens are remembered; more than this many and the cache has long lost the oldest.
const MOST_ANSWERS: usize = 1024;

/// The tokens in the cache at positions 0, 1, 2, …
#[derive(Debug, Default)]
pub struct Ledger {
    tokens: Vec<Token>,
    answers: KnownAnswers,
}

impl Ledger {
    /// Everything in the cache.
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The next free position.
    pub fn next_position(&self) -> u32 {
        u32::try_from(self.tokens.len()).unwrap_or(u32::MAX)
    }

    /// How many tokens of the prompt need not be computed. Never all of them: the logits of the last are needed.
    pub fn reusable(&self, prompt: &[Token]) -> usize {
        let common = self.tokens.iter().zip(prompt).take_while(|(cached, wanted)| cached == wanted).count();
        common.min(prompt.len().saturating_sub(1))
    }

    /// Tokens were computed.
    pub fn push(&mut self, tokens: &[Token]) {
        self.tokens.extend_from_slice(tokens);
    }

    /// The cache was cut to this length.
    pub fn truncate(&mut self, length: usize) {
        self.tokens.truncate(length);
    }

    /// Remembers what an answer was made of.
    pub fn remember(&mut self, text: String, tokens: Vec<Token>) {
        if self.answers.len() >= MOST_ANSWERS {
            self.answers.clear();
        }
        self.answers.insert(text, tokens);
    }

    pub fn answers(&self) -> &KnownAnswers {
        &self.answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_reused_up_to_where_it_differs() {
        let mut ledger = Ledger::default();
        ledger.push(&[1, 2, 3, 4]);
        assert_eq!(ledger.reusable(&[1, 2, 9, 4, 5]), 2);
        assert_eq!(ledger.reusable(&[7]), 0);
    }

    #[test]
    fn the_last_token_of_a_prompt_is_always_computed() {
        let mut ledger = Ledger::default();
        ledger.push(&[1, 2, 3, 4]);
        assert_eq!(ledger.reusable(&[1, 2, 3]), 2);
        assert_eq!(ledger.reusable(&[]), 0);
    }
}
