//! Which segments leave the cache: pure.

use std::ops::Range;

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

/// The importance of a segment: the mean of so many of its tokens, the best ones.
pub fn segment_score(tokens: impl Iterator<Item = f32>, telling: usize) -> f32 {
    let mut scores: Vec<f32> = tokens.collect();
    scores.sort_by(|one, other| other.total_cmp(one));
    scores.truncate(telling);
    if scores.is_empty() { f32::NEG_INFINITY } else { scores.iter().sum::<f32>() / scores.len() as f32 }
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

/// What lies both in ranges and in others; both in order.
pub fn common(ranges: &[Range<usize>], others: &[Range<usize>]) -> Vec<Range<usize>> {
    let parts = ranges
        .iter()
        .flat_map(|range| others.iter().map(move |other| range.start.max(other.start)..range.end.min(other.end)));
    parts.filter(|part| part.start < part.end).collect()
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
        assert_eq!(segment_score([0.0, 0.0, 9.0, 3.0, 6.0, 1.0].into_iter(), 3), 6.0);
        assert_eq!(segment_score([4.0].into_iter(), 3), 4.0);
        assert_eq!(segment_score([].into_iter(), 3), f32::NEG_INFINITY);
    }

    #[test]
    fn protected_parts_are_cut_out_of_segments() {
        assert_eq!(without(&[0..10, 10..20], &[3..5, 8..12, 30..40]), [0..3, 5..8, 12..20]);
        assert!(without(std::slice::from_ref(&(0..4)), std::slice::from_ref(&(0..4))).is_empty());
        assert_eq!(without(std::slice::from_ref(&(0..4)), &[]), std::slice::from_ref(&(0..4)));
    }

    #[test]
    fn what_ranges_have_in_common_is_found() {
        assert_eq!(common(&[0..10, 12..20], &[3..5, 8..15, 30..40]), [3..5, 8..10, 12..15]);
        assert!(common(&[], std::slice::from_ref(&(0..4))).is_empty());
    }

    #[test]
    fn ranges_that_touch_have_nothing_in_common() {
        assert_eq!(common(&[0..4, 6..9], &[2..6, 8..12]), [2..4, 8..9]);
        assert!(common(&[0..2, 4..6], &[2..4, 6..9]).is_empty());
    }
}
