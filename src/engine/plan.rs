//! What a prompt would cost, and computing ahead the part of it that will not change while it is being written.

use unicode_segmentation::UnicodeSegmentation;

use super::llama::{Model, Token, TokenKind};
use super::protocol::{CancelFlag, Cost, EngineError, MessageCost, Prompt, Step, Think};
use super::session::Session;
use super::template::Rendered;
use crate::text::escape_line;

/// Cells that computing ahead leaves for the rest of the message and its answer.
const CELLS_TO_LEAVE: usize = 256;
/// Characters of a message that tell which it is.
const BEGINNING_CHARACTERS: usize = 60;

impl Session<'_> {
    /// What answering this prompt would cost now.
    pub fn plan(&mut self, prompt: &Prompt, think: Think) -> Result<Cost, EngineError> {
        let (rendered, tokens) = self.take_up(prompt, think)?;
        Ok(self.cost(&rendered, &tokens))
    }

    /// Computes the prompt up to the last word of its last message that is whole, unless the chat is nearly full, and
    /// says what is left to pay.
    pub fn prefill_ahead(
        &mut self,
        prompt: &Prompt,
        think: Think,
        cancel: &[&CancelFlag],
        emit: &dyn Fn(Step) -> bool,
    ) -> Result<Cost, EngineError> {
        let (rendered, tokens) = self.take_up(prompt, think)?;
        let certain = certain_tokens(self.model, &rendered, &tokens);
        let found = self.ledger.contents().compare(certain).length;
        if found < certain.len() && tokens.len() + CELLS_TO_LEAVE <= self.context.cells() as usize {
            let cached = self.reuse(certain);
            emit(Step::Expected(Box::new(self.cost(&rendered, &tokens))));
            self.prefill(certain, cached, cancel, emit)?;
        }
        Ok(self.cost(&rendered, &tokens))
    }

    fn cost(&self, rendered: &Rendered, tokens: &[Token]) -> Cost {
        let found = self.ledger.contents().compare(tokens);
        // The last token is always computed: what follows it is drawn from that.
        let cached = found.length.min(tokens.len().saturating_sub(1));
        let seconds = self.speed.estimate(tokens.len() - cached).map(|time| time.as_secs_f64());
        Cost {
            prompt_tokens: tokens.len() as u32,
            cached_tokens: cached as u32,
            evicted_tokens: 0,
            pinned_tokens: 0,
            left_out_tokens: found.left_out.iter().map(ExactSizeIterator::len).sum::<usize>() as u32,
            cells: self.context.cells(),
            first_token_ms: seconds.map(|seconds| seconds * 1000.0),
            messages: messages(self.model, rendered, tokens, cached),
        }
    }
}

/// What each message costs.
fn messages(model: &Model, rendered: &Rendered, tokens: &[Token], cached: usize) -> Vec<MessageCost> {
    let mut costs: Vec<MessageCost> = rendered
        .bodies
        .iter()
        .map(|body| MessageCost {
            role: body.role,
            beginning: beginning(&rendered.text[body.range.clone()]),
            tokens: 0,
            cached_tokens: 0,
            evicted_tokens: 0,
            is_pinned: false,
        })
        .collect();
    let mut start = 0;
    for (index, end) in ends(model, rendered, tokens).into_iter().enumerate() {
        let body = rendered.bodies.partition_point(|body| body.range.end <= start);
        if rendered.bodies.get(body).is_some_and(|body| body.range.start <= start) {
            costs[body].tokens += 1;
            costs[body].cached_tokens += u32::from(index < cached);
        }
        start = end;
    }
    costs
}

fn beginning(text: &str) -> String {
    let line = text.trim_start().lines().next().unwrap_or_default();
    escape_line(&line.chars().take(BEGINNING_CHARACTERS).collect::<String>())
}

/// The tokens up to the end of the last whole word of the last message.
fn certain_tokens<'t>(model: &Model, rendered: &Rendered, tokens: &'t [Token]) -> &'t [Token] {
    let Some(last) = rendered.bodies.last() else { return &[] };
    let certain = last.range.start + whole_words(&rendered.text[last.range.clone()]).len();
    let count = ends(model, rendered, tokens).into_iter().take_while(|end| *end <= certain).count();
    &tokens[..count]
}

/// The text without its last word, which may still grow, and without the space before that.
fn whole_words(text: &str) -> &str {
    let start = text.split_word_bound_indices().next_back().map_or(0, |(start, _)| start);
    text[..start].trim_end()
}

/// Where in the rendered text each token ends, in bytes: exact but for the spaces that some vocabularies add, and for
/// text that they normalise.
fn ends(model: &Model, rendered: &Rendered, tokens: &[Token]) -> Vec<usize> {
    let text = rendered.text.as_bytes();
    let mut place = 0;
    let mut ends = Vec::with_capacity(tokens.len());
    for token in tokens {
        let is_text = model.token_kind(*token) == TokenKind::Text;
        let piece = if is_text { model.piece(*token) } else { model.token_text(*token).into_bytes() };
        let rest = &text[place..];
        let length = match piece.strip_prefix(b" ") {
            _ if rest.starts_with(&piece) => piece.len(),
            Some(without_space) if rest.starts_with(without_space) => without_space.len(),
            // Something was added that the text does not have, or written otherwise: what follows tells.
            _ if !is_text => 0,
            _ => piece.len(),
        };
        place = (place + length).min(text.len());
        ends.push(place);
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_not_certain() {
        for (text, certain) in [
            ("", ""),
            ("Hel", ""),
            ("Hello ", "Hello"),
            ("Hello wor", "Hello"),
            ("Hello world. ", "Hello world."),
            ("don't kno", "don't"),
            ("两只老虎", "两只老"),
        ] {
            assert_eq!(whole_words(text), certain, "{text:?}");
        }
    }

    #[test]
    fn the_beginning_of_a_message_is_one_short_line() {
        assert_eq!(beginning("\n  First\nSecond"), "First");
        assert_eq!(beginning(&"x".repeat(100)).chars().count(), BEGINNING_CHARACTERS);
    }
}
