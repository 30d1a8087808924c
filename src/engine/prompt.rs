//! A rendered conversation as tokens: what the template wrote may be control tokens, what a person, a file or the
//! model wrote never is.
//!
//! llama.cpp matches the texts of special tokens anywhere in what it tokenises. So every place where such a text
//! touches a message's body is cut in two, behind its first character, and the parts are tokenised apart. Without
//! such a place the whole text is tokenised in one call, exactly as llama.cpp's own tools do.

use std::collections::{HashMap, HashSet};

use aho_corasick::AhoCorasick;

use super::llama::{Model, Token, TokenKind};
use super::template::{Body, Rendered};
use crate::chat::Role;

/// Takes the space that would be put before a part in the middle of a text. No vocabulary has words with it.
const ANCHOR: &str = "\u{1}";

/// The texts that llama.cpp would turn into special tokens.
#[derive(Debug)]
pub struct SpecialTexts {
    /// `None` for a vocabulary without any.
    matcher: Option<AhoCorasick>,
    /// Those of one character, which cannot be cut in two and are tokenised by themselves, as plain text.
    single: HashSet<String>,
}

impl SpecialTexts {
    /// Collects them from the model's vocabulary: all control tokens, and of the tokens that the model's makers added
    /// those in brackets (`<think>`, `[INST]`). The other added ones are ordinary text (runs of spaces, words).
    pub fn of(model: &Model) -> Self {
        let special = (0..model.vocabulary_size() as Token)
            .filter(|token| match model.token_kind(*token) {
                TokenKind::Text => false,
                TokenKind::Control => true,
                TokenKind::UserDefined => is_bracketed(&model.token_text(*token)),
            })
            .map(|token| model.token_text(token))
            .filter(|text| !text.is_empty());
        Self::new(special)
    }

    fn new(texts: impl IntoIterator<Item = String>) -> Self {
        let texts: Vec<String> = texts.into_iter().collect();
        // Building fails only beyond 2^31 states, which no vocabulary reaches.
        let matcher = if texts.is_empty() { None } else { AhoCorasick::new(&texts).ok() };
        let single = texts.into_iter().filter(|text| text.chars().count() == 1).collect();
        Self { matcher, single }
    }

    /// Where the rendered text must be cut, in order: behind the first character of every special text that has at
    /// least one byte in a body (and before it, if that character is all of it).
    fn cuts(&self, rendered: &Rendered) -> Vec<usize> {
        let Some(matcher) = &self.matcher else { return Vec::new() };
        let mut cuts = Vec::new();
        for found in matcher.find_overlapping_iter(&rendered.text) {
            if rendered.is_of_message(found.range()) {
                let first = rendered.text[found.start()..].chars().next().map_or(1, char::len_utf8);
                if found.len() == first {
                    cuts.push(found.start());
                }
                cuts.push(found.start() + first);
            }
        }
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    }
}

fn is_bracketed(text: &str) -> bool {
    let inner = text.strip_prefix('<').and_then(|text| text.strip_suffix('>'));
    let inner = inner.or_else(|| text.strip_prefix('[').and_then(|text| text.strip_suffix(']')));
    inner.is_some_and(|inner| !inner.trim().is_empty())
}

/// Answers by their text, with the tokens they were made of. A model need not produce the tokens that its own text
/// would be tokenised to, so without this the next turn would find another prompt than the one in the cache. Holds no
/// answer with a special token in it.
pub type KnownAnswers = HashMap<String, Vec<Token>>;

/// The tokens of a rendered conversation.
pub fn tokenize(model: &Model, special: &SpecialTexts, known: &KnownAnswers, rendered: &Rendered) -> Vec<Token> {
    let mut text = 0;
    let mut tokens = Vec::new();
    if model.adds_begin_token()
        && let Some(begin) = model.begin_token()
    {
        tokens.push(begin);
        // Most templates write it themselves; it is wanted once.
        let written = model.token_text(begin);
        if !written.is_empty() && rendered.text.starts_with(&written) && !rendered.is_of_message(0..written.len()) {
            text = written.len();
        }
    }
    let mut cuts = special.cuts(rendered).into_iter().peekable();
    // Tokenises the text up to `end`, apart at the cuts. Cuts before its beginning lie in an answer that was passed over.
    let mut advance = |text: &mut usize, end: usize, tokens: &mut Vec<Token>| {
        while let Some(cut) = cuts.next_if(|cut| *cut < end).or_else(|| (*text < end).then_some(end)) {
            if cut > *text {
                let part = &rendered.text[*text..cut];
                let continues = tokens.last().is_some_and(|last| model.token_kind(*last) == TokenKind::Text);
                tokens.extend(tokenize_part(model, part, !special.single.contains(part), continues));
                *text = cut;
            }
        }
    };
    for body in &rendered.bodies {
        if let Some(answer) = known.get(&rendered.text[body.range.clone()]) {
            advance(&mut text, body.range.start, &mut tokens);
            tokens.extend(answer);
            text = body.range.end;
        }
    }
    advance(&mut text, rendered.text.len(), &mut tokens);
    tokens
}

/// The tokens of a text that the program itself puts behind what the model wrote.
pub fn tokenize_continuation(model: &Model, text: &str) -> Vec<Token> {
    tokenize_part(model, text, true, true)
}

/// The tokens of an answer by itself, as it goes on behind what stands before it.
pub fn tokenize_answer(model: &Model, special: &SpecialTexts, answer: &str) -> Vec<Token> {
    let mut rendered = Rendered { text: answer.to_owned(), ..Rendered::default() };
    rendered.bodies.push(Body { range: 0..answer.len(), message: 0, role: Role::Assistant });
    let mut tokens = Vec::new();
    let mut start = 0;
    for end in special.cuts(&rendered).into_iter().chain([answer.len()]).filter(|end| *end > 0) {
        let part = &answer[start..end];
        tokens.extend(tokenize_part(model, part, !special.single.contains(part), true));
        start = end;
    }
    tokens
}

/// The tokens of a part of a text, which may continue ordinary text before it.
fn tokenize_part(model: &Model, part: &str, parse_special: bool, continues: bool) -> Vec<Token> {
    if continues && adds_space(model) {
        let anchor = model.tokenize(ANCHOR, false);
        let tokens = model.tokenize(&format!("{ANCHOR}{part}"), parse_special);
        if let Some(rest) = tokens.strip_prefix(&anchor[..]) {
            return rest.to_vec();
        }
    }
    model.tokenize(part, parse_special)
}

/// Whether the vocabulary puts a space before whatever it is given, as SentencePiece does.
fn adds_space(model: &Model) -> bool {
    model.tokenize("a", false).first().is_some_and(|first| model.piece(*first).starts_with(b" "))
}
