//! Going on with an answer that ended before it was done (a limit, a stop, a kill): a prompt whose last message is the
//! assistant's. The model sees the conversation up to that answer and the answer so far, and its next token follows.
//!
//! An answer that was made here is known by its tokens, so nothing is computed again and the rest is what would have
//! come at once. One that comes from disk is tokenised from its text, by itself.

use super::answering::readable;
use super::constraint::Guide;
use super::prompt;
use super::protocol::{EngineError, GenerateOptions, Prompt};
use super::session::Session;
use super::template::Rendered;
use super::thinking::Tags;
use super::writer::Writer;
use crate::chat::Role;

impl Prompt {
    /// Whether an answer is to be gone on with, instead of a new one to be begun.
    pub fn continues_answer(&self) -> bool {
        self.messages.last().is_some_and(|last| last.role == Role::Assistant && !last.text.is_empty())
    }
}

impl<'model> Session<'model> {
    /// Sees to it that the answer at the end of this text is known by its tokens.
    pub(super) fn know_last_answer(&mut self, rendered: &Rendered) {
        let Some(answer) = rendered.last_body() else { return };
        if !self.ledger.known_answers().contains_key(answer) {
            let tokens = prompt::tokenize_answer(self.model, &self.special, answer);
            self.ledger.remember(answer.to_owned(), tokens);
        }
    }

    /// What holds the answer to its constraint, from where it goes on.
    pub(super) fn guide(
        &self,
        prompt: &Prompt,
        rendered: &Rendered,
        options: &GenerateOptions,
    ) -> Result<Option<Guide<'model>>, EngineError> {
        let Some(constraint) = &options.constraint else { return Ok(None) };
        let mut guide = Guide::new(self.model, constraint)?;
        let answer = rendered.last_body().filter(|_| prompt.continues_answer());
        let so_far = answer.and_then(|answer| self.ledger.known_answers().get(answer));
        if so_far.is_none_or(|tokens| guide.follow(tokens)) {
            return Ok(Some(guide));
        }
        Err(EngineError::Failed(
            "the answer so far does not follow the schema or grammar that is set now; send a new message instead"
                .into(),
        ))
    }

    /// What turns the tokens that follow this prompt into text.
    pub(super) fn writer(
        &self,
        prompt: &Prompt,
        rendered: &Rendered,
        options: &GenerateOptions,
        tags: &Tags,
    ) -> Writer {
        let mut writer = Writer::new(options, *tags, rendered.opens(tags));
        if prompt.continues_answer()
            && let Some(answer) = rendered.last_body()
            && let Some(tokens) = self.ledger.known_answers().get(answer)
        {
            writer.go_on(answer, tokens.iter().map(|token| (*token, readable(self.model, *token, tags))));
        }
        writer
    }
}
