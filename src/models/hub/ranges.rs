//! Which bytes of a file are there, and which of the others are being fetched by whom. Pure.

use std::ops::Range;

/// Places in a file, from its first byte to behind its last.
pub type Span = Range<u64>;

/// The least that is worth a request of its own, and the most that is left to one: what one request brings is
/// hashed only when all before it is there.
const PIECE_BYTES_MIN: u64 = 1 << 20;
const PIECE_BYTES_MAX: u64 = 32 << 20;

/// Bytes of a file, as spans that are in order and apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

impl Spans {
    /// All bytes before `end`.
    pub fn up_to(end: u64) -> Self {
        std::iter::once(0..end).collect()
    }

    /// Adds bytes; some of them may be there.
    pub fn insert(&mut self, span: Span) {
        if span.is_empty() {
            return;
        }
        let first = self.0.partition_point(|known| known.end < span.start);
        let behind = self.0.partition_point(|known| known.start <= span.end);
        let start = self.0.get(first).map_or(span.start, |known| known.start.min(span.start));
        let end = self.0[..behind].last().map_or(span.end, |known| known.end.max(span.end));
        self.0.splice(first..behind, std::iter::once(start..end));
    }

    /// Only those before `end`.
    pub fn before(&self, end: u64) -> Self {
        self.0.iter().map(|span| span.start..span.end.min(end)).collect()
    }

    /// How many bytes.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|span| span.end - span.start).sum()
    }

    /// How many there are without a gap from the beginning.
    pub fn unbroken(&self) -> u64 {
        self.0.first().filter(|span| span.start == 0).map_or(0, |span| span.end)
    }

    /// What is between them, and behind them up to `total`.
    pub fn gaps(&self, total: u64) -> impl Iterator<Item = Span> {
        let starts = std::iter::once(0).chain(self.0.iter().map(|span| span.end));
        let ends = self.0.iter().map(|span| span.start).chain([total]);
        starts.zip(ends).map(|(start, end)| start..end).filter(|gap| !gap.is_empty())
    }

    pub fn iter(&self) -> impl Iterator<Item = &Span> {
        self.0.iter()
    }
}

impl FromIterator<Span> for Spans {
    fn from_iter<I: IntoIterator<Item = Span>>(spans: I) -> Self {
        let mut all = Self::default();
        spans.into_iter().for_each(|span| all.insert(span));
        all
    }
}

/// What one request is to bring: the bytes from `next` to `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub id: u64,
    pub next: u64,
    pub end: u64,
}

/// Who fetches what.
#[derive(Debug)]
pub struct Claims {
    total: u64,
    claims: Vec<Claim>,
    last_id: u64,
}

impl Claims {
    /// Of a file of so many bytes.
    pub fn new(total: u64) -> Self {
        Self { total, claims: Vec::new(), last_id: 0 }
    }

    /// Takes the first bytes that are neither there nor claimed: all up to the next that are, if there is but one
    /// connection, otherwise fewer the less is left, so that all connections end at about the same time.
    pub fn take(&mut self, there: &Spans, connections: usize) -> Option<Claim> {
        let mut known = there.clone();
        self.claims.iter().for_each(|claim| known.insert(claim.next..claim.end));
        let gap = known.gaps(self.total).next()?;
        let share = (self.total - known.bytes()) / (2 * connections.max(1) as u64);
        let piece = share.clamp(PIECE_BYTES_MIN, PIECE_BYTES_MAX);
        let is_whole = connections <= 1 || gap.end - gap.start < piece + PIECE_BYTES_MIN;
        let end = if is_whole { gap.end } else { gap.start + piece };
        self.last_id += 1;
        let claim = Claim { id: self.last_id, next: gap.start, end };
        self.claims.push(claim.clone());
        Some(claim)
    }

    /// Notes that the next bytes of a claim came, and says where they belong. `None` if there are more than it has.
    pub fn advance(&mut self, id: u64, bytes: u64) -> Option<u64> {
        let claim = self.claims.iter_mut().find(|claim| claim.id == id)?;
        let place = claim.next;
        claim.next = place.checked_add(bytes).filter(|next| *next <= claim.end)?;
        Some(place)
    }

    /// How many bytes of a claim are still to come.
    pub fn left(&self, id: u64) -> u64 {
        self.claims.iter().find(|claim| claim.id == id).map_or(0, |claim| claim.end - claim.next)
    }

    /// Gives up what is left of a claim.
    pub fn release(&mut self, id: u64) {
        self.claims.retain(|claim| claim.id != id);
    }

    /// Gives up all claims.
    pub fn clear(&mut self) {
        self.claims.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn spans_that_touch_become_one() {
        let spans: Spans = [5..7, 0..2, 7..9, 2..3, 20..20, 8..12].into_iter().collect();
        assert_eq!(spans.0, [0..3, 5..12]);
        assert_eq!((spans.bytes(), spans.unbroken()), (10, 3));
        assert_eq!(spans.gaps(15).collect::<Vec<_>>(), [3..5, 12..15]);
        assert_eq!(spans.before(6).0, [0..3, 5..6]);
        assert_eq!(Spans::default().gaps(4).next(), Some(0..4));
    }

    #[test]
    fn a_single_connection_takes_everything() {
        let mut claims = Claims::new(100 * MIB);
        let claim = claims.take(&Spans::up_to(5), 1).expect("something is missing");
        assert_eq!((claim.next, claim.end), (5, 100 * MIB));
        assert_eq!(claims.take(&Spans::up_to(5), 1), None);
    }

    #[test]
    fn pieces_become_smaller_towards_the_end() {
        let mut claims = Claims::new(1000 * MIB);
        let pieces: Vec<Claim> = std::iter::from_fn(|| claims.take(&Spans::default(), 4)).collect();
        assert!(
            pieces.is_sorted_by(|one, next| one.end == next.next && one.end - one.next >= next.end - next.next - MIB)
        );
        assert_eq!(pieces[0].end, PIECE_BYTES_MAX);
        assert!(pieces.last().is_some_and(|last| last.end == 1000 * MIB && last.end - last.next < 2 * MIB));
        assert!(pieces.len() < 80, "{}", pieces.len());
    }

    #[test]
    fn a_piece_is_a_part_of_what_is_left_and_none_is_too_small() {
        let first = |total| Claims::new(total).take(&Spans::default(), 4).map(|claim| claim.end);
        assert_eq!(first(64 * MIB), Some(8 * MIB));
        assert_eq!((first(2 * MIB - 1), first(2 * MIB)), (Some(2 * MIB - 1), Some(MIB)));
    }

    #[test]
    fn what_a_broken_connection_left_is_taken_by_the_next() {
        let mut claims = Claims::new(100 * MIB);
        let first = claims.take(&Spans::default(), 4).expect("something is missing");
        assert_eq!(claims.advance(first.id, MIB), Some(0));
        assert_eq!(claims.advance(first.id, 100 * MIB), None, "that is more than was asked for");
        assert_eq!(claims.left(first.id), first.end - MIB);
        claims.release(first.id);
        let second = claims.take(&Spans::up_to(MIB), 4).expect("something is missing");
        assert_eq!(second.next, MIB);
    }

    proptest! {
        #[test]
        fn bytes_may_be_added_in_any_order(ends in prop::collection::vec((0u64..200, 0u64..40), 0..40)) {
            let spans: Spans = ends.iter().map(|(start, length)| *start..start + length).collect();
            let mut naive = vec![false; 240];
            ends.iter().for_each(|(start, length)| naive[*start as usize..(start + length) as usize].fill(true));
            prop_assert_eq!(spans.bytes(), naive.iter().filter(|there| **there).count() as u64);
            prop_assert!(spans.0.iter().all(|span| !span.is_empty()));
            prop_assert!(spans.0.windows(2).all(|pair| pair[0].end < pair[1].start));
            prop_assert!(spans.0.iter().all(|span| naive[span.start as usize..span.end as usize].iter().all(|there| *there)));
        }

        /// Connections come, bring some of what they were asked for, and break off, in any order.
        #[test]
        fn every_byte_is_asked_for_until_it_came_and_never_by_two_at_once(
            total in 1u64..200 * MIB,
            steps in prop::collection::vec((0usize..4, 0.0f64..1.0, any::<bool>()), 0..200),
        ) {
            let (mut claims, mut there, mut open) = (Claims::new(total), Spans::default(), Vec::<Claim>::new());
            // After the steps all goes well.
            let rest = std::iter::repeat_n((0, 1.0, true), 1000);
            for (lane, part, ends) in steps.into_iter().chain(rest) {
                while open.len() < 4 && let Some(claim) = claims.take(&there, 4) {
                    prop_assert!(open.iter().all(|other| other.end <= claim.next || claim.end <= other.next));
                    prop_assert!(there.before(claim.end).gaps(claim.end).last() == Some(claim.next..claim.end)
                        || open.iter().any(|other| other.end == claim.next));
                    open.push(claim);
                }
                if open.is_empty() {
                    break;
                }
                let index = lane % open.len();
                let claim = &mut open[index];
                let bytes = ((claim.end - claim.next) as f64 * part) as u64;
                prop_assert_eq!(claims.advance(claim.id, bytes), Some(claim.next));
                there.insert(claim.next..claim.next + bytes);
                claim.next += bytes;
                if ends {
                    prop_assert_eq!(claims.left(claim.id), claim.end - claim.next);
                    claims.release(claim.id);
                    open.swap_remove(index);
                }
            }
            prop_assert_eq!(there, Spans::up_to(total));
        }
    }
}
