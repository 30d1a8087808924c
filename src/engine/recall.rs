//! Bringing back what left the cache: passages that the question seems to be about are put before it, behind all that
//! is in the cache, so that the cache stays as it is (the order of FlashBack, arXiv 2405.04065). The next prompt leaves
//! them out again.

use super::kv::search::search;
use super::kv::segments::segments;
use super::llama::{Token, TokenKind};
use super::parts::Part;
use super::prompt;
use super::protocol::Passage;
use super::session::Session;
use crate::chat::Role;

/// Part of the cells that recalled passages may take.
const CELLS_PART: usize = 10;
/// A passage has whole sentences up to so many tokens, or one longer one.
const PASSAGE_TOKENS: usize = 40;
/// What stands round the passages.
const BEFORE: &str = "Said earlier:";
const BEHIND: &str = "\n\n";

/// Passages that are to be put before a question.
#[derive(Clone, Debug, Default)]
pub struct Recalled {
    pub passages: Vec<Passage>,
    /// With what stands round them.
    pub tokens: Vec<Token>,
}

/// Some sentences of a message.
struct Found {
    message: usize,
    role: Role,
    text: String,
}

impl Session<'_> {
    /// The passages that left the cache and that the question seems to be about, in their order.
    pub(super) fn recall(&self) -> Recalled {
        let most = self.cells() / CELLS_PART;
        if self.no_recall || !self.evicts() || self.ledger.contents().evicted() == 0 {
            return Recalled::default();
        }
        let question = self.text_of(self.eviction.question_text());
        let mut found = Vec::new();
        let mut is_gone = Vec::new();
        for part in self.eviction.parts().iter().filter(|part| part.role != Role::System) {
            self.cut_into_passages(part, most.min(PASSAGE_TOKENS), &mut found, &mut is_gone);
        }
        let texts: Vec<&str> = found.iter().map(|passage| passage.text.as_str()).collect();
        let mut chosen = Vec::new();
        let mut recalled = Vec::new();
        for index in search(&texts, &question).into_iter().filter(|index| is_gone[*index]) {
            chosen.push(index);
            chosen.sort_unstable();
            let tokens = self.frame(chosen.iter().map(|index| texts[*index]));
            if tokens.len() <= most {
                recalled = tokens;
            } else {
                chosen.retain(|other| *other != index);
            }
        }
        let passage = |index: usize| {
            let Found { message, role, text } = &found[index];
            Passage { message: u32::try_from(*message).unwrap_or(u32::MAX), role: *role, text: text.trim().to_owned() }
        };
        Recalled { passages: chosen.into_iter().map(passage).collect(), tokens: recalled }
    }

    /// Cuts what was computed of a message into passages, and tells of each whether a sentence of it left the cache: that
    /// one may be what is asked for.
    fn cut_into_passages(&self, part: &Part, most: usize, found: &mut Vec<Found>, is_gone: &mut Vec<bool>) {
        let end = part.tokens.end.min(self.ledger.tokens().len());
        let tokens = self.ledger.tokens().get(part.tokens.start..end).unwrap_or_default();
        let pieces: Vec<Vec<u8>> = tokens.iter().map(|token| self.model.piece(*token)).collect();
        let segments = segments(&pieces);
        let mut rest = &segments[..];
        while let Some(first) = rest.first() {
            let count = rest.iter().take_while(|segment| segment.end - first.start <= most).count().max(1);
            let range = first.start..rest[count - 1].end;
            rest = &rest[count..];
            let held =
                self.ledger.contents().held.count(&(part.tokens.start + range.start..part.tokens.start + range.end));
            let text = String::from_utf8_lossy(&pieces[range.clone()].concat()).into_owned();
            found.push(Found { message: part.message, role: part.role, text });
            is_gone.push(held < range.len());
        }
    }

    /// The passages as they are put before a question: plain text, of which nothing is a control token.
    fn frame<'t>(&self, passages: impl Iterator<Item = &'t str>) -> Vec<Token> {
        let passages: String = passages.map(|text| format!(" {}", text.trim())).collect();
        prompt::tokenize_answer(self.model, &self.special, &format!("{BEFORE}{passages}{BEHIND}"))
    }

    fn text_of(&self, tokens: &[Token]) -> String {
        let is_text = |token: &&Token| self.model.token_kind(**token) == TokenKind::Text;
        let bytes: Vec<u8> = tokens.iter().filter(is_text).flat_map(|token| self.model.piece(*token)).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
