//! Going on with an answer that ended before it was done (a limit, a stop, a kill): a prompt whose last message is the
//! assistant's. The model sees the conversation up to that answer and the answer so far, and its next token follows.
//!
//! An answer that was made here is known by its tokens, so nothing is computed again and the rest is what would have
//! come at once. One that comes from disk is tokenised from its text, by itself.

use super::prompt;
use super::protocol::{GenerateOptions, Prompt};
use super::session::Session;
use super::template::Rendered;
use super::writer::Writer;
use crate::chat::Role;

impl Prompt {
    /// Whether an answer is to be gone on with, instead of a new one to be begun.
    pub fn continues_answer(&self) -> bool {
        self.messages.last().is_some_and(|last| last.role == Role::Assistant && !last.text.is_empty())
    }
}

impl Session<'_> {
    /// Sees to it that the answer at the end of this text is known by its tokens.
    pub(super) fn know_last_answer(&mut self, rendered: &Rendered) {
        let Some(answer) = rendered.last_body() else { return };
        if !self.ledger.known_answers().contains_key(answer) {
            let tokens = prompt::tokenize_answer(self.model, &self.special, answer);
            self.ledger.remember(answer.to_owned(), tokens);
        }
    }

    /// What turns the tokens that follow this prompt into text.
    pub(super) fn writer(&self, prompt: &Prompt, rendered: &Rendered, options: &GenerateOptions) -> Writer {
        let mut writer = Writer::new(options, rendered.opens_thoughts());
        if prompt.continues_answer()
            && let Some(answer) = rendered.last_body()
            && let Some(tokens) = self.ledger.known_answers().get(answer)
        {
            writer.go_on(answer, tokens.iter().map(|token| (*token, self.readable(*token))));
        }
        writer
    }
}
