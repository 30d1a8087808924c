//! What was drafted and computed behind the last token of an answer, as long as it is not known whether it will be
//! chosen.

use super::verify::Drafted;
use super::{Draft, Ground};
use crate::chat::DraftedBy;
use crate::engine::llama::{Context, Token};

/// A step of the model: one token, and those that were drafted behind it.
#[derive(Clone, Debug, Default)]
pub struct Run {
    draft: Draft,
    /// How many drafted tokens were computed. None in a plain step, for which a draft may be there all the same, to
    /// learn how good it would have been.
    computed: usize,
    /// How many of them were chosen.
    chosen: usize,
    /// How long drafting and computing took.
    pub seconds: f64,
}

impl Run {
    /// So many of these tokens are computed together with the one before them.
    pub fn new(draft: Draft, computed: usize) -> Self {
        Self { computed: computed.min(draft.tokens.len()), draft, chosen: 0, seconds: 0.0 }
    }

    /// Which row of logits is behind the last token that was chosen; `None` in a plain step.
    fn row(&self) -> Option<usize> {
        (self.computed > 0).then_some(self.chosen)
    }

    /// The logits behind the last token that was chosen.
    pub fn logits<'c>(&self, context: &'c mut Context<'_>) -> &'c [f32] {
        match self.row() {
            Some(row) => context.logits_of(row),
            None => context.logits(),
        }
    }

    /// Of the tokens that were computed, those up to the last one that was chosen.
    pub fn without_unchosen<'t>(&self, tokens: &'t [Token]) -> &'t [Token] {
        &tokens[..tokens.len().saturating_sub(self.unchosen())]
    }

    /// How many tokens at the end of what is in the cache were not chosen.
    fn unchosen(&self) -> usize {
        self.computed - self.chosen
    }

    pub fn drafted_by(&self) -> Option<DraftedBy> {
        self.draft.by.filter(|_| self.computed > 0)
    }

    pub fn computed(&self) -> usize {
        self.computed
    }

    pub fn computed_tokens(&self) -> &[Token] {
        &self.draft.tokens[..self.computed]
    }

    pub fn chosen(&self) -> usize {
        self.chosen
    }

    /// The token that was computed for this place.
    pub fn drafted(&self) -> Option<Drafted<'_>> {
        let token = *self.draft.tokens[..self.computed].get(self.chosen)?;
        let odds = self.draft.odds.get(self.chosen);
        let logits = self.draft.logits.get(self.chosen).map(Vec::as_slice);
        Some(Drafted { token, odds, logits })
    }

    /// The token that was looked up for this place, computed or not, and why.
    pub fn guess(&self) -> Option<(Token, Ground)> {
        let token = *self.draft.tokens.get(self.chosen)?;
        let is_looked_up = self.draft.by.is_some_and(DraftedBy::is_looked_up);
        (is_looked_up && self.chosen <= self.computed).then(|| (token, self.draft.ground.behind(self.chosen)))
    }

    /// The answer goes on with this token; `false` if that was not computed.
    pub fn follow(&mut self, token: Token) -> bool {
        let is_computed = self.drafted().is_some_and(|drafted| drafted.token == token);
        self.chosen += usize::from(is_computed);
        is_computed
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kind;
    use super::*;

    fn draft(tokens: &[Token]) -> Draft {
        let ground = Ground { matched: 4, kind: Kind::Contested };
        Draft { by: Some(DraftedBy::Ngram), tokens: tokens.to_vec(), ground, ..Draft::default() }
    }

    #[test]
    fn a_run_is_followed_as_long_as_what_was_drafted_is_chosen() {
        let mut run = Run::new(draft(&[7, 8, 9]), 3);
        assert_eq!((run.row(), run.unchosen()), (Some(0), 3));
        assert!(run.follow(7) && run.follow(8));
        assert_eq!((run.row(), run.unchosen(), run.drafted().map(|drafted| drafted.token)), (Some(2), 1, Some(9)));
        assert!(!run.follow(1));
        assert_eq!((run.row(), run.unchosen()), (Some(2), 1));
    }

    #[test]
    fn behind_the_last_drafted_token_there_is_a_row_and_no_draft() {
        let mut run = Run::new(draft(&[7]), 1);
        assert!(run.follow(7));
        assert_eq!((run.row(), run.unchosen(), run.guess()), (Some(1), 0, None));
        assert!(!run.follow(8));
    }

    #[test]
    fn in_a_plain_step_what_was_guessed_is_told_but_not_computed() {
        let mut run = Run::new(draft(&[7, 8]), 0);
        assert_eq!(run.guess(), Some((7, Ground { matched: 4, kind: Kind::Contested })));
        assert_eq!((run.row(), run.unchosen(), run.drafted().is_none()), (None, 0, true));
        assert!(!run.follow(7));
    }

    #[test]
    fn what_is_computed_in_part_has_a_guess_behind_it() {
        let mut run = Run::new(draft(&[7, 8]), 1);
        assert!(run.follow(7));
        assert_eq!(run.guess(), Some((8, Ground { matched: 5, kind: Kind::Agreed })));
        assert!(run.drafted().is_none());
    }

    #[test]
    fn only_what_was_computed_was_drafted_and_only_n_grams_guess() {
        assert_eq!(Run::new(draft(&[7, 8]), 1).drafted_by(), Some(DraftedBy::Ngram));
        assert_eq!(Run::new(draft(&[7, 8]), 0).drafted_by(), None);
        let by_model = Draft { by: Some(DraftedBy::Draft), ..draft(&[7, 8]) };
        assert_eq!(Run::new(by_model, 1).guess(), None);
    }
}
