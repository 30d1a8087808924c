//! What a prompt would cost, and computing ahead the part of it that will not change while it is being written.

use unicode_segmentation::UnicodeSegmentation;

use super::context::Match;
use super::llama::{Model, Token};
use super::parts;
use super::protocol::{CancelFlag, Cost, EngineError, MessageCost, Pin, Prompt, Step, Think};
use super::session::Session;
use super::template::Rendered;
use crate::chat::Role;
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
        // The question is computed behind a selection that is made for it.
        let most = self.eviction.question_start().filter(|_| self.archived() > 0).unwrap_or(certain.len());
        let certain = &certain[..most.min(certain.len())];
        let found = self.ledger.contents().compare(certain).length;
        let to_compute = tokens.len().saturating_sub(found) + CELLS_TO_LEAVE;
        if found < certain.len() && self.ledger.cells() + to_compute <= self.context.cells() as usize {
            let cached = self.reuse(certain);
            emit(Step::Expected(Box::new(self.cost(&rendered, &tokens))));
            self.prefill(certain, cached, certain.len(), cancel, emit)?;
        }
        Ok(self.cost(&rendered, &tokens))
    }

    fn cost(&self, rendered: &Rendered, tokens: &[Token]) -> Cost {
        let contents = self.ledger.contents();
        let found = contents.compare(tokens);
        // The last token is always computed: what follows it is drawn from that.
        let known = found.length.min(tokens.len().saturating_sub(1));
        let evicted = found.evicted(contents, known);
        let to_compute = tokens.len() - known + self.selection_cost();
        let seconds = self.speed.estimate(to_compute, known - evicted).map(|time| time.as_secs_f64());
        let messages = self.messages(rendered, tokens, &found, known);
        Cost {
            prompt_tokens: tokens.len() as u32,
            cached_tokens: (known - evicted) as u32,
            evicted_tokens: evicted as u32,
            pinned_tokens: messages
                .iter()
                .filter(|message| message.pin == Pin::Kept)
                .map(|message| message.cached_tokens)
                .sum(),
            left_out_tokens: found.left_out.iter().map(ExactSizeIterator::len).sum::<usize>() as u32,
            cells: self.context.cells(),
            first_token_ms: seconds.map(|seconds| seconds * 1000.0),
            messages,
        }
    }

    /// What the cache holds of each message of a prompt that was answered, and last of the answer.
    pub(super) fn held(&self, rendered: &Rendered, tokens: &[Token]) -> Vec<MessageCost> {
        let contents = self.ledger.contents();
        let found = contents.compare(tokens);
        let mut messages = self.messages(rendered, tokens, &found, found.length);
        let before = found.length + found.left_out.iter().map(ExactSizeIterator::len).sum::<usize>();
        let answer = before..contents.tokens.len();
        let held = contents.held.count(&answer);
        // An answer that was gone on with is the prompt's last message.
        if messages.last().is_none_or(|last| last.role != Role::Assistant) {
            messages.push(MessageCost {
                role: Role::Assistant,
                beginning: String::new(),
                tokens: 0,
                cached_tokens: 0,
                evicted_tokens: 0,
                pin: Pin::None,
            });
        }
        if let Some(last) = messages.last_mut() {
            last.tokens += answer.len() as u32;
            last.cached_tokens += held as u32;
            last.evicted_tokens += (answer.len() - held) as u32;
        }
        messages
    }

    /// What each message costs, of whose prompt the first `known` tokens were computed.
    fn messages(&self, rendered: &Rendered, tokens: &[Token], found: &Match, known: usize) -> Vec<MessageCost> {
        let contents = self.ledger.contents();
        let ends = parts::ends(self.model, rendered, tokens);
        let evicted = |length: usize| found.evicted(contents, length.min(known));
        let kept_pins = self.eviction.kept_pins(self.cells());
        parts::parts(rendered, &ends)
            .into_iter()
            .zip(&rendered.bodies)
            .map(|(part, body)| {
                let evicted = evicted(part.tokens.end) - evicted(part.tokens.start);
                let computed = part.tokens.end.min(known) - part.tokens.start.min(known);
                MessageCost {
                    role: part.role,
                    beginning: beginning(&rendered.text[body.range.clone()]),
                    tokens: part.tokens.len() as u32,
                    cached_tokens: (computed - evicted) as u32,
                    evicted_tokens: evicted as u32,
                    pin: self.pin(part.message, &kept_pins),
                }
            })
            .collect()
    }

    fn pin(&self, message: usize, kept: &[usize]) -> Pin {
        match self.eviction.is_pinned(message) {
            false => Pin::None,
            true if !self.evicts() || kept.contains(&message) => Pin::Kept,
            true => Pin::TooLong,
        }
    }
}

fn beginning(text: &str) -> String {
    let line = text.trim_start().lines().next().unwrap_or_default();
    escape_line(&line.chars().take(BEGINNING_CHARACTERS).collect::<String>())
}

/// The tokens up to the end of the last whole word of the last message.
fn certain_tokens<'t>(model: &Model, rendered: &Rendered, tokens: &'t [Token]) -> &'t [Token] {
    let Some(last) = rendered.bodies.last() else { return &[] };
    let certain = last.range.start + whole_words(&rendered.text[last.range.clone()]).len();
    let count = parts::ends(model, rendered, tokens).into_iter().take_while(|end| *end <= certain).count();
    &tokens[..count]
}

/// The text without its last word, which may still grow, and without the space before that.
fn whole_words(text: &str) -> &str {
    let start = text.split_word_bound_indices().next_back().map_or(0, |(start, _)| start);
    text[..start].trim_end()
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
