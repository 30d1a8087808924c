//! How a peer compares with this program: by rounds, each of which has both. Pure.

use crate::bench::statistics::Interval;

/// Their speed as a multiple of ours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    /// The geometric mean of the rounds' ratios, with the bounds of its interval of 95 %.
    pub ratio: f64,
    pub low: Option<f64>,
    pub high: Option<f64>,
    pub rounds: usize,
}

/// Compares speeds of rounds with ours, of which the first is that of round 1; `None` where no round has both.
pub fn compare(theirs: &[(u32, f64)], ours: &[f64]) -> Option<Compared> {
    let of_ours = |round: u32| ours.get(round.checked_sub(1)? as usize).copied().filter(|speed| *speed > 0.0);
    let logs: Vec<f64> = theirs
        .iter()
        .filter_map(|(round, speed)| Some((speed / of_ours(*round)?).ln()))
        .filter(|log| log.is_finite())
        .collect();
    if logs.is_empty() {
        return None;
    }
    let interval = Interval::of(&logs).exp();
    Some(Compared { ratio: interval.middle, low: interval.low(), high: interval.high(), rounds: logs.len() })
}

impl Compared {
    /// Whether the interval leaves the possibility that both are as fast.
    pub fn may_be_equal(&self) -> bool {
        !matches!((self.low, self.high), (Some(low), Some(high)) if low > 1.0 || high < 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_compared_with_their_own() {
        let compared = compare(&[(1, 20.0), (2, 40.0), (3, 10.0)], &[10.0, 20.0, 5.0]).unwrap();
        assert!((compared.ratio - 2.0).abs() < 1e-9 && compared.rounds == 3);
        assert!(!compared.may_be_equal());
        let compared = compare(&[(1, 9.0), (2, 22.0)], &[10.0, 20.0]).unwrap();
        assert!(compared.may_be_equal() && compared.low.unwrap() < compared.ratio);
        let one = compare(&[(2, 10.0)], &[1.0, 10.0, 1.0]).unwrap();
        assert_eq!((one.ratio, one.low, one.may_be_equal()), (1.0, None, true));
        assert_eq!(compare(&[(4, 1.0)], &[1.0]), None);
        assert_eq!(compare(&[(1, 1.0)], &[0.0]), None);
    }
}
