//! Which segments leave the cache: pure.

use std::ops::Range;

/// So many of a segment's tokens, the best ones, tell its importance.
const TELLING_TOKENS: usize = 3;

/// A sentence or line that may leave.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its tokens, by their places in the conversation.
    pub tokens: Range<usize>,
    /// Cells it takes.
    pub cells: usize,
    /// What scores lowest leaves first.
    pub score: f32,
}

/// The importance of a segment: the mean of its best tokens'.
pub fn segment_score(tokens: impl Iterator<Item = f32>) -> f32 {
    let mut best = [f32::NEG_INFINITY; TELLING_TOKENS];
    for score in tokens {
        if let Some(place) = best.iter().position(|other| score > *other) {
            best[place..].rotate_right(1);
            best[place] = score;
        }
    }
    let found = best.iter().filter(|score| score.is_finite());
    let count = found.clone().count();
    if count == 0 { f32::NEG_INFINITY } else { found.sum::<f32>() / count as f32 }
}

/// The least important candidates, as few as free so many cells; of equals, the oldest.
pub fn least_important(mut candidates: Vec<Candidate>, cells: usize) -> Vec<Range<usize>> {
    candidates.sort_by(|one, other| {
        one.score.total_cmp(&other.score).then_with(|| one.tokens.start.cmp(&other.tokens.start))
    });
    let mut freed = 0;
    let mut chosen = Vec::new();
    for candidate in candidates {
        if freed >= cells {
            break;
        }
        freed += candidate.cells;
        chosen.push(candidate.tokens);
    }
    chosen
}

/// Ranges without what lies in others; both in order.
pub fn without(ranges: &[Range<usize>], others: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut left = Vec::new();
    for range in ranges {
        let mut start = range.start;
        for other in others.iter().filter(|other| other.end > range.start && other.start < range.end) {
            if start < other.start {
                left.push(start..other.start);
            }
            start = start.max(other.end);
        }
        if start < range.end {
            left.push(start..range.end);
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(start: usize, cells: usize, score: f32) -> Candidate {
        Candidate { tokens: start..start + cells, cells, score }
    }

    #[test]
    fn the_least_important_leave_first_and_no_more_than_needed() {
        let candidates = vec![candidate(0, 5, 0.9), candidate(5, 5, 0.1), candidate(10, 5, 0.2), candidate(15, 5, 0.1)];
        assert_eq!(least_important(candidates.clone(), 6), [5..10, 15..20]);
        assert!(least_important(candidates.clone(), 0).is_empty());
        assert_eq!(least_important(candidates, 100).len(), 4);
    }

    #[test]
    fn a_few_tokens_tell_how_important_a_sentence_is() {
        assert_eq!(segment_score([0.0, 0.0, 9.0, 3.0, 6.0, 1.0].into_iter()), 6.0);
        assert_eq!(segment_score([4.0].into_iter()), 4.0);
        assert_eq!(segment_score([].into_iter()), f32::NEG_INFINITY);
    }

    #[test]
    fn protected_parts_are_cut_out_of_segments() {
        assert_eq!(without(&[0..10, 10..20], &[3..5, 8..12, 30..40]), [0..3, 5..8, 12..20]);
        assert!(without(std::slice::from_ref(&(0..4)), std::slice::from_ref(&(0..4))).is_empty());
        assert_eq!(without(std::slice::from_ref(&(0..4)), &[]), std::slice::from_ref(&(0..4)));
    }
}
