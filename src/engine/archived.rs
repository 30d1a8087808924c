//! Which tokens of a conversation have a row in the chat's archive on disk, and at which position: those that left the
//! cache once, whether they are in it again or not. Pure; the rows themselves are `kv::archive`'s.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::kv::evict::without;

/// Tokens that follow one another in the conversation, in the positions and in the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    tokens: Range<usize>,
    /// Of the first token.
    position: u32,
    row: u32,
    /// What the rows' hashes begin with: another program that goes on with the same chat has others.
    seed: u64,
}

impl Run {
    /// Its tokens from `start` to before `end`.
    fn part(&self, start: usize, end: usize) -> Option<Self> {
        let (start, end) = (start.max(self.tokens.start), end.min(self.tokens.end));
        let ahead = start.saturating_sub(self.tokens.start) as u32;
        let (position, row) = (self.position + ahead, self.row + ahead);
        (start < end).then_some(Self { tokens: start..end, position, row, seed: self.seed })
    }
}

/// A token in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchivedToken {
    pub token: usize,
    pub position: u32,
    pub row: u32,
    pub seed: u64,
}

/// The runs, in the order of their tokens and positions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archived {
    /// Tells the archive's file from earlier ones of the same chat; 0 while there is none.
    id: u64,
    /// Rows that were written so far.
    rows: u32,
    runs: Vec<Run>,
}

impl Archived {
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Behind the last token.
    pub fn end(&self) -> usize {
        self.runs.last().map_or(0, |run| run.tokens.end)
    }

    /// The tokens, as ranges in order.
    pub fn ranges(&self) -> impl Iterator<Item = &Range<usize>> {
        self.runs.iter().map(|run| &run.tokens)
    }

    /// The tokens, in order.
    pub fn tokens(&self) -> impl Iterator<Item = ArchivedToken> + '_ {
        self.runs.iter().flat_map(|run| {
            let places = (run.position..).zip(run.row..);
            let token = |(token, (position, row))| ArchivedToken { token, position, row, seed: run.seed };
            run.tokens.clone().zip(places).map(token)
        })
    }

    /// These ranges, which are in order, without what is there.
    pub fn missing_of(&self, ranges: &[Range<usize>]) -> Vec<Range<usize>> {
        let there: Vec<Range<usize>> = self.ranges().cloned().collect();
        without(ranges, &there)
    }

    /// Adds tokens, none of which is there, of which the first is at this position. Returns its row; the others follow.
    pub fn add(&mut self, tokens: Range<usize>, position: u32, seed: u64) -> u32 {
        if self.id == 0 {
            self.id = fastrand::u64(1..);
        }
        let row = self.rows;
        self.rows += tokens.len() as u32;
        let place = self.runs.partition_point(|run| run.tokens.start < tokens.start);
        self.runs.insert(place, Run { tokens, position, row, seed });
        row
    }

    /// Only the first `length` tokens are left.
    pub fn truncate(&mut self, length: usize) {
        self.change(|run| [run.part(0, length), None]);
    }

    /// Tokens are no longer part of the conversation; the positions of those behind them stay.
    pub fn cut(&mut self, tokens: &Range<usize>) {
        self.change(|run| {
            let mut behind = run.part(tokens.end, usize::MAX);
            if let Some(run) = &mut behind {
                run.tokens = run.tokens.start - tokens.len()..run.tokens.end - tokens.len();
            }
            [run.part(0, tokens.start), behind]
        });
    }

    fn change(&mut self, change: impl Fn(&Run) -> [Option<Run>; 2]) {
        self.runs = self.runs.iter().flat_map(change).flatten().collect();
        // The next archive begins anew, so that rows that nothing needs do not stay for ever.
        if self.runs.is_empty() {
            *self = Self::default();
        }
    }

    /// Whether these are runs of at most so many tokens, as they are unless a file was made up.
    pub fn is_consistent(&self, tokens: usize) -> bool {
        let mut end = 0;
        let mut position = Some(0);
        self.runs.iter().all(|run| {
            let is_behind = run.tokens.start >= end && position.is_some_and(|position| run.position >= position);
            let length = u32::try_from(run.tokens.len()).ok();
            end = run.tokens.end;
            position = length.and_then(|length| run.position.checked_add(length));
            let last_row = length.and_then(|length| run.row.checked_add(length));
            is_behind
                && run.tokens.start < run.tokens.end
                && position.is_some_and(|position| position <= i32::MAX as u32)
                && last_row.is_some_and(|row| row <= self.rows)
        }) && end <= tokens
            && (self.id != 0 || self.runs.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_are_given_out_in_the_order_of_their_coming() {
        let mut it = Archived::default();
        assert_eq!((it.add(10..13, 10, 0), it.add(4..6, 4, 0)), (0, 3));
        let rows: Vec<(usize, u32, u32)> = it.tokens().map(|it| (it.token, it.position, it.row)).collect();
        assert_eq!(rows, [(4, 4, 3), (5, 5, 4), (10, 10, 0), (11, 11, 1), (12, 12, 2)]);
        assert_eq!(it.missing_of(&[0..5, 12..20]), [0..4, 13..20]);
        assert_eq!(it.ranges().cloned().collect::<Vec<_>>(), [4..6, 10..13]);
        assert_eq!((it.end(), Archived::default().end()), (13, 0));
    }

    #[test]
    fn an_archive_of_which_nothing_is_left_is_begun_anew() {
        let mut it = Archived::default();
        it.add(10..13, 10, 0);
        let first = it.id();
        it.truncate(10);
        assert_eq!((it.id(), it.runs.is_empty()), (0, true));
        it.add(10..13, 10, 0);
        assert!(it.id() != first && it.add(20..21, 20, 0) == 3);
    }

    #[test]
    fn runs_that_cannot_be_are_told() {
        let run = |tokens, position, row| Run { tokens, position, row, seed: 0 };
        let of = |id, rows, runs: &[Run]| Archived { id, rows, runs: runs.to_vec() };
        assert!(of(7, 5, &[run(0..3, 0, 2), run(5..7, 9, 0)]).is_consistent(7));
        for made_up in [
            of(7, 5, &[run(0..3, 0, 2), run(5..8, 9, 0)]),
            of(7, 5, &[run(0..3, 0, 3)]),
            of(0, 5, &[run(0..3, 0, 2)]),
            of(7, 5, &[run(0..3, 0, 2), run(2..4, 9, 0)]),
            of(7, 5, &[run(0..3, 7, 2), run(3..4, 9, 0)]),
            of(7, 5, &[run(3..3, 7, 2)]),
            of(7, u32::MAX, &[run(0..3, u32::MAX - 1, 0)]),
        ] {
            assert!(!made_up.is_consistent(7), "{made_up:?}");
        }
    }

    #[derive(Clone, Debug)]
    enum Act {
        Add(usize, usize),
        Truncate(usize),
        Cut(usize, usize),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            3 => (0..40usize, 1..9usize).prop_map(|(start, length)| Act::Add(start, length)),
            1 => (0..40usize).prop_map(Act::Truncate),
            1 => (0..40usize, 1..5usize).prop_map(|(start, length)| Act::Cut(start, length)),
        ];
        proptest::collection::vec(act, 1..30)
    }

    proptest! {
        /// Against the plainest model there is: for each token its position and its row, if it has one.
        #[test]
        fn runs_are_what_a_list_of_rows_would_be(acts in acts()) {
            let mut it = Archived::default();
            let mut plain: Vec<(u32, Option<u32>)> = (0..50).map(|position| (position, None)).collect();
            let mut rows = 0;
            for act in acts {
                match act {
                    Act::Add(start, count) => {
                        let wanted = start.min(plain.len())..(start + count).min(plain.len());
                        for range in it.missing_of(std::slice::from_ref(&wanted)) {
                            let first = plain[range.start].0;
                            // A run has no gap in its positions.
                            if plain[range.end - 1].0 - first != range.len() as u32 - 1 {
                                continue;
                            }
                            rows = if it.runs.is_empty() { 0 } else { rows };
                            prop_assert_eq!(it.add(range.clone(), first, 9), rows);
                            for place in range {
                                plain[place].1 = Some(rows);
                                rows += 1;
                            }
                        }
                    }
                    Act::Truncate(length) => {
                        plain.truncate(length);
                        it.truncate(length);
                    }
                    Act::Cut(start, count) => {
                        let range = start.min(plain.len())..(start + count).min(plain.len());
                        plain.drain(range.clone());
                        it.cut(&range);
                    }
                }
                let there: Vec<ArchivedToken> = plain
                    .iter()
                    .enumerate()
                    .filter_map(|(token, (position, row))| {
                        row.map(|row| ArchivedToken { token, position: *position, row, seed: 9 })
                    })
                    .collect();
                prop_assert_eq!(it.tokens().collect::<Vec<_>>(), there);
                prop_assert!(it.is_consistent(plain.len()));
            }
        }
    }
}
