//! Which tokens of a conversation are in the cells of the KV cache, and at which positions. Tokens that left the cache
//! stay part of the conversation: they are what the positions between the runs belonged to.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::llama::Span;

/// Tokens that follow one another in the conversation and in the positions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    tokens: Range<usize>,
    /// Of the first token.
    position: u32,
}

impl Run {
    fn next_position(&self) -> u32 {
        self.position + self.tokens.len() as u32
    }

    fn span(&self, tokens: Range<usize>) -> Option<Span> {
        let start = self.position + (tokens.start - self.tokens.start) as u32;
        Span::new(start, start + tokens.len() as u32)
    }
}

/// The runs, in order; their positions grow as their tokens do. Since the cache is compacted after every eviction, the
/// token of the n-th cell is the n-th of all these tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    runs: Vec<Run>,
}

/// Tokens in cells that follow one another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub tokens: Range<usize>,
    /// Position and cell of the first.
    pub position: u32,
    pub cell: usize,
}

impl Held {
    /// What is held if these tokens are in cells at these positions; both grow.
    pub fn of(cells: impl IntoIterator<Item = (usize, u32)>) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for (token, position) in cells {
            match runs.last_mut() {
                Some(last) if last.tokens.end == token && last.next_position() == position => last.tokens.end += 1,
                _ => runs.push(Run { tokens: token..token + 1, position }),
            }
        }
        Self { runs }
    }

    /// Those of these tokens that are in cells.
    pub fn stretches(&self, tokens: &Range<usize>) -> Vec<Stretch> {
        let mut cell = 0;
        let mut stretches = Vec::new();
        for run in &self.runs {
            let common = intersection(&run.tokens, tokens);
            if !common.is_empty() {
                let ahead = common.start - run.tokens.start;
                stretches.push(Stretch { tokens: common, position: run.position + ahead as u32, cell: cell + ahead });
            }
            cell += run.tokens.len();
        }
        stretches
    }

    /// Cells in use.
    pub fn cells(&self) -> usize {
        self.runs.iter().map(|run| run.tokens.len()).sum()
    }

    /// The position behind the last one that is used.
    pub fn next_position(&self) -> u32 {
        self.runs.last().map_or(0, Run::next_position)
    }

    /// The indices of the tokens in cells, in order.
    pub fn tokens(&self) -> impl Iterator<Item = usize> + '_ {
        self.runs.iter().flat_map(|run| run.tokens.clone())
    }

    /// Their positions, in order.
    pub fn positions(&self) -> impl Iterator<Item = u32> + '_ {
        self.runs.iter().flat_map(|run| run.position..run.next_position())
    }

    /// How many of these tokens are in cells.
    pub fn count(&self, tokens: &Range<usize>) -> usize {
        self.runs.iter().map(|run| intersection(&run.tokens, tokens).len()).sum()
    }

    /// Whether a token is in a cell.
    pub fn has(&self, token: usize) -> bool {
        let behind = self.runs.partition_point(|run| run.tokens.start <= token);
        behind > 0 && self.runs[behind - 1].tokens.contains(&token)
    }

    /// The largest number of first tokens, at most `length`, of which the last one is in a cell.
    pub fn floor(&self, length: usize) -> usize {
        self.runs.iter().rev().find(|run| run.tokens.start < length).map_or(0, |run| run.tokens.end.min(length))
    }

    /// Tokens were computed behind everything: those with these indices.
    pub fn push(&mut self, tokens: Range<usize>) {
        if tokens.is_empty() {
            return;
        }
        match self.runs.last_mut() {
            Some(last) if last.tokens.end == tokens.start => last.tokens.end = tokens.end,
            _ => {
                let position = self.next_position();
                self.runs.push(Run { tokens, position });
            }
        }
    }

    /// Only the first `length` tokens are left; the last of them must be in a cell, see [`Held::floor`].
    pub fn truncate(&mut self, length: usize) {
        self.runs.retain(|run| run.tokens.start < length);
        if let Some(last) = self.runs.last_mut() {
            last.tokens.end = last.tokens.end.min(length);
        }
    }

    /// Tokens leave the cache; returns the positions to be removed.
    pub fn evict(&mut self, tokens: &Range<usize>) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut left = Vec::with_capacity(self.runs.len() + 1);
        for run in self.runs.drain(..) {
            let gone = intersection(&run.tokens, tokens);
            if gone.is_empty() {
                left.push(run);
                continue;
            }
            spans.extend(run.span(gone.clone()));
            if run.tokens.start < gone.start {
                left.push(Run { tokens: run.tokens.start..gone.start, position: run.position });
            }
            if gone.end < run.tokens.end {
                let position = run.position + (gone.end - run.tokens.start) as u32;
                left.push(Run { tokens: gone.end..run.tokens.end, position });
            }
        }
        self.runs = left;
        spans
    }

    /// Tokens are no longer part of the conversation: they leave the cache, and the indices of those behind them
    /// become smaller, while the positions stay. Returns the positions to be removed.
    pub fn cut(&mut self, tokens: &Range<usize>) -> Vec<Span> {
        let spans = self.evict(tokens);
        for run in self.runs.iter_mut().filter(|run| run.tokens.start >= tokens.end) {
            run.tokens = run.tokens.start - tokens.len()..run.tokens.end - tokens.len();
        }
        spans
    }

    /// Closes the gaps between the positions; returns which positions move and where to, in an order in which none
    /// is moved onto another.
    pub fn close_gaps(&mut self) -> Vec<(Span, u32)> {
        let mut moves = Vec::new();
        let mut position = 0;
        for run in &mut self.runs {
            if run.position != position {
                moves.extend(run.span(run.tokens.clone()).map(|span| (span, position)));
                run.position = position;
            }
            position = run.next_position();
        }
        moves
    }

    /// Whether these are runs of at most so many tokens, as they are unless a file was made up.
    pub fn is_consistent(&self, tokens: usize) -> bool {
        let mut end = 0;
        let mut position = Some(0);
        self.runs.iter().all(|run| {
            let is_behind = run.tokens.start >= end && position.is_some_and(|position| run.position >= position);
            end = run.tokens.end;
            position = u32::try_from(run.tokens.len()).ok().and_then(|length| run.position.checked_add(length));
            is_behind
                && run.tokens.start < run.tokens.end
                && position.is_some_and(|position| position <= i32::MAX as u32)
        }) && end <= tokens
    }
}

fn intersection(one: &Range<usize>, other: &Range<usize>) -> Range<usize> {
    let start = one.start.max(other.start);
    start..one.end.min(other.end).max(start)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn held(runs: &[(Range<usize>, u32)]) -> Held {
        let runs = runs.iter().map(|(tokens, position)| Run { tokens: tokens.clone(), position: *position }).collect();
        Held { runs }
    }

    #[test]
    fn what_is_evicted_leaves_its_positions_behind() {
        let mut it = Held::default();
        it.push(0..10);
        assert_eq!(it.evict(&(3..5)), [Span::new(3, 5).unwrap()]);
        it.push(10..12);
        assert_eq!(it, held(&[(0..3, 0), (5..12, 5)]));
        assert_eq!((it.cells(), it.next_position(), it.count(&(2..6))), (10, 12, 2));
        assert_eq!((it.floor(12), it.floor(4), it.floor(3), it.floor(0)), (12, 3, 3, 0));
    }

    #[test]
    fn what_is_cut_makes_the_conversation_shorter_but_not_the_positions() {
        let mut it = Held::default();
        it.push(0..10);
        assert_eq!(it.cut(&(3..5)), [Span::new(3, 5).unwrap()]);
        assert_eq!(it, held(&[(0..3, 0), (3..8, 5)]));
        it.push(8..9);
        assert_eq!((it.cells(), it.next_position()), (9, 11));
    }

    #[test]
    fn gaps_close_from_the_front() {
        let mut it = held(&[(0..3, 0), (5..7, 5), (9..10, 9)]);
        let moves = it.close_gaps();
        assert_eq!(moves, [(Span::new(5, 7).unwrap(), 3), (Span::new(9, 10).unwrap(), 5)]);
        assert_eq!(it, held(&[(0..3, 0), (5..7, 3), (9..10, 5)]));
    }

    #[test]
    fn runs_that_cannot_be_are_told() {
        assert!(held(&[(0..3, 0), (5..7, 5)]).is_consistent(7));
        for made_up in [
            held(&[(0..3, 0), (5..7, 5)]),
            held(&[(0..3, 0), (2..4, 5)]),
            held(&[(0..3, 0), (3..4, 2)]),
            held(&[(3..3, 0)]),
            held(&[(0..3, u32::MAX - 1)]),
        ] {
            assert!(!made_up.is_consistent(6), "{made_up:?}");
        }
    }

    #[derive(Clone, Debug)]
    enum Act {
        Push(usize),
        Evict(usize, usize),
        Cut(usize, usize),
        Truncate(usize),
        CloseGaps,
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            (1..9usize).prop_map(Act::Push),
            (0..40usize, 1..9usize).prop_map(|(start, length)| Act::Evict(start, length)),
            (0..40usize, 1..5usize).prop_map(|(start, length)| Act::Cut(start, length)),
            (0..40usize).prop_map(Act::Truncate),
            Just(Act::CloseGaps),
        ];
        proptest::collection::vec(act, 1..40)
    }

    proptest! {
        /// Against the plainest model there is: for each token, its position if it has one.
        #[test]
        fn runs_are_what_a_list_of_positions_would_be(acts in acts()) {
            let mut it = Held::default();
            let mut plain: Vec<Option<u32>> = Vec::new();
            for act in acts {
                let length = plain.len();
                match act {
                    Act::Push(count) => {
                        let next = plain.iter().flatten().max().map_or(0, |last| last + 1);
                        plain.extend((0..count as u32).map(|index| Some(next + index)));
                        it.push(length..length + count);
                    }
                    Act::Evict(start, count) => {
                        let range = start.min(length)..(start + count).min(length);
                        let mut gone: Vec<u32> = plain[range.clone()].iter().flatten().copied().collect();
                        plain[range.clone()].fill(None);
                        let mut spans: Vec<u32> = it.evict(&range).iter().flat_map(Span::positions).collect();
                        gone.sort_unstable();
                        spans.sort_unstable();
                        prop_assert_eq!(spans, gone);
                    }
                    Act::Cut(start, count) => {
                        let range = start.min(length)..(start + count).min(length);
                        plain.drain(range.clone());
                        it.cut(&range);
                    }
                    Act::Truncate(wanted) => {
                        let floor = it.floor(wanted);
                        prop_assert!(floor <= wanted && (floor == 0 || plain[floor - 1].is_some()));
                        plain.truncate(floor);
                        it.truncate(floor);
                    }
                    Act::CloseGaps => {
                        for (rank, position) in plain.iter_mut().flatten().enumerate() {
                            *position = rank as u32;
                        }
                        it.close_gaps();
                    }
                }
                let positions: Vec<u32> = plain.iter().flatten().copied().collect();
                prop_assert_eq!(&it.positions().collect::<Vec<_>>(), &positions);
                let tokens: Vec<usize> = (0..plain.len()).filter(|index| plain[*index].is_some()).collect();
                prop_assert!((0..plain.len()).all(|token| it.has(token) == plain[token].is_some()));
                prop_assert_eq!(&it.tokens().collect::<Vec<_>>(), &tokens);
                prop_assert!(it.is_consistent(plain.len()));
                let same = Held::of(it.tokens().zip(it.positions()));
                prop_assert!(same.positions().eq(it.positions()) && same.tokens().eq(it.tokens()));
                for stretch in it.stretches(&(3..20)) {
                    prop_assert_eq!(tokens[stretch.cell], stretch.tokens.start);
                    prop_assert_eq!(plain[stretch.tokens.start], Some(stretch.position));
                }
            }
        }
    }
}
