//! Which tokens of a prompt are whose message, and which of them ask the question.

use std::ops::Range;

use super::llama::{Model, Token, TokenKind};
use super::template::{Body, Rendered};
use crate::chat::Role;

/// A message of so many tokens is a question and nothing else.
const WHOLE_QUESTION_TOKENS: usize = 192;
/// A question beside a document has at most so many.
const MOST_QUESTION_TOKENS: usize = 64;

/// The tokens of a message's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its message, counted as they were rendered.
    pub message: usize,
    pub role: Role,
    pub tokens: Range<usize>,
}

/// The tokens of each body, in order. What is in none of them is the template's.
pub fn parts(rendered: &Rendered, ends: &[usize]) -> Vec<Part> {
    let part = |body: &Body| Part { message: body.message, role: body.role, tokens: tokens_of(&body.range, ends) };
    rendered.bodies.iter().map(part).collect()
}

/// The tokens that begin in these bytes.
pub fn tokens_of(bytes: &Range<usize>, ends: &[usize]) -> Range<usize> {
    // The token behind `index` begins where that one ends.
    let beginning_at =
        |byte: usize| if byte == 0 { 0 } else { (ends.partition_point(|end| *end < byte) + 1).min(ends.len()) };
    let start = beginning_at(bytes.start);
    start..beginning_at(bytes.end).max(start)
}

/// The tokens that ask: the last message of a person, or of a long one its first and its last paragraph, since what is
/// long is a document with a question before or behind it.
pub fn question(rendered: &Rendered, ends: &[usize]) -> Vec<Range<usize>> {
    let Some(body) = rendered.bodies.iter().rfind(|body| body.role == Role::User) else { return Vec::new() };
    let whole = tokens_of(&body.range, ends);
    if whole.len() <= WHOLE_QUESTION_TOKENS {
        return vec![whole];
    }
    let text = &rendered.text[body.range.clone()];
    let first = text.find("\n\n").map(|end| tokens_of(&(body.range.start..body.range.start + end), ends));
    let is_question = |first: &Range<usize>| first.len() <= MOST_QUESTION_TOKENS && !text.starts_with("--- file");
    let last = text.rfind("\n\n").map_or(0, |start| start + 2);
    let last = tokens_of(&(body.range.start + last..body.range.end), ends);
    let last = last.start.max(last.end.saturating_sub(MOST_QUESTION_TOKENS))..last.end;
    first.filter(is_question).into_iter().chain([last]).collect()
}

/// What is computed to see what the question attends to: its last tokens, and what the template writes behind it.
pub fn question_tokens(tokens: &[Token], asking: &[Range<usize>]) -> Vec<Token> {
    let Some(last) = asking.last() else { return Vec::new() };
    let asked: Vec<Token> = asking.iter().flat_map(|range| &tokens[range.clone()]).copied().collect();
    let behind = &tokens[last.end..];
    let behind = &behind[..behind.len().min(MOST_QUESTION_TOKENS)];
    asked[asked.len().saturating_sub(MOST_QUESTION_TOKENS)..].iter().chain(behind).copied().collect()
}

/// Where in the rendered text each token ends, in bytes: exact but for the spaces that some vocabularies add, and for
/// text that they normalise.
pub fn ends(model: &Model, rendered: &Rendered, tokens: &[Token]) -> Vec<usize> {
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

    /// One token for each word with the space before it, or for a line end.
    fn rendered(bodies: &[(Role, &str)]) -> (Rendered, Vec<usize>) {
        let mut rendered = Rendered { text: "<>".into(), bodies: Vec::new(), doubts: Vec::new() };
        for (message, (role, text)) in bodies.iter().enumerate() {
            let start = rendered.text.len();
            rendered.text.push_str(text);
            rendered.bodies.push(Body { range: start..rendered.text.len(), message, role: *role });
            rendered.text.push_str("<>");
        }
        let mut ends = Vec::new();
        let mut previous = 'x';
        for (index, character) in rendered.text.char_indices() {
            if index > 0 && (" \n<".contains(character) || previous == '>' || previous == '\n') {
                ends.push(index);
            }
            previous = character;
        }
        ends.push(rendered.text.len());
        (rendered, ends)
    }

    #[test]
    fn every_message_has_its_tokens() {
        let (rendered, ends) = rendered(&[(Role::System, "Be brief"), (Role::User, "Why is that")]);
        let parts = parts(&rendered, &ends);
        assert_eq!(parts.iter().map(|part| part.tokens.clone()).collect::<Vec<_>>(), [1..3, 4..7]);
    }

    #[test]
    fn a_short_message_is_a_question_as_a_whole() {
        let (rendered, ends) =
            rendered(&[(Role::User, "One two"), (Role::Assistant, "Three"), (Role::User, "Why that")]);
        assert_eq!(question(&rendered, &ends), std::iter::once(6..8).collect::<Vec<_>>());
    }

    #[test]
    fn of_a_document_the_paragraphs_at_its_ends_ask() {
        let words = "word ".repeat(300);
        let before = format!("What is it?\n\n{}", words.trim_end());
        let (text, ends) = rendered(&[(Role::User, &before)]);
        let ranges = question(&text, &ends);
        assert_eq!((ranges[0].clone(), ranges[1].len()), (1..4, MOST_QUESTION_TOKENS));
        let behind = format!("--- file: x ---\n\n{words}\n\nWhat is it?");
        let (text, ends) = rendered(&[(Role::User, &behind)]);
        let asked = question(&text, &ends);
        assert_eq!(asked.len(), 1);
        assert_eq!(&text.text[ends[asked[0].start - 1]..ends[asked[0].end - 1]], "What is it?");
    }
}
