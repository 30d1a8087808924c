//! Two sets of speeds beside each other: how many times the one is the other, between which bounds, and whether that
//! is more than chance.
//!
//! It is Welch's t test on the logarithms of the samples. The difference of their means is the logarithm of the ratio,
//! so that the interval of 95 % contains 1 exactly where the test shows no difference at 5 %, and the ratio of B to A
//! is the inverse of that of A to B. The spreads need not be alike, and the numbers of samples need not be either.

use super::student;
use crate::bench::statistics::{deviation, mean};

/// What is called a difference is seen by chance as often as this.
const CHANCE: f64 = 0.05;

/// How many times the speeds of the first are those of the second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// Of the geometric means.
    pub middle: f64,
    /// `None` where one of the two has fewer than two samples.
    pub certainty: Option<Certainty>,
}

/// How sure a ratio is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Certainty {
    /// Bounds of 95 %.
    pub low: f64,
    pub high: f64,
    /// How often chance alone brings a ratio as far from 1.
    pub probability: f64,
}

/// What can be said of a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Faster,
    Slower,
    /// Chance brings as much.
    NoneShown,
    /// Too few samples to say anything.
    Unknown,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::NoneShown => "no difference shown",
            Self::Unknown => "too few samples to tell",
        }
    }
}

impl Ratio {
    /// The speeds of `new` as a multiple of those of `old`. `None` where there are none, or one is no speed.
    pub fn of(new: &[f64], old: &[f64]) -> Option<Self> {
        let (new, old) = (logarithms(new)?, logarithms(old)?);
        let difference = mean(&new) - mean(&old);
        let certainty = (new.len() > 1 && old.len() > 1).then(|| certainty(difference, &new, &old));
        Some(Self { middle: difference.exp(), certainty })
    }

    pub fn verdict(&self) -> Verdict {
        match self.certainty {
            None => Verdict::Unknown,
            Some(Certainty { probability, .. }) if probability >= CHANCE => Verdict::NoneShown,
            Some(_) if self.middle > 1.0 => Verdict::Faster,
            Some(_) => Verdict::Slower,
        }
    }
}

fn logarithms(samples: &[f64]) -> Option<Vec<f64>> {
    let are_speeds = !samples.is_empty() && samples.iter().all(|sample| sample.is_finite() && *sample > 0.0);
    are_speeds.then(|| samples.iter().map(|sample| sample.ln()).collect())
}

fn certainty(difference: f64, new: &[f64], old: &[f64]) -> Certainty {
    let squares = [new, old].map(|samples| deviation(samples).powi(2) / samples.len() as f64);
    let error = (squares[0] + squares[1]).sqrt();
    if error == 0.0 {
        let probability = if difference == 0.0 { 1.0 } else { 0.0 };
        return Certainty { low: difference.exp(), high: difference.exp(), probability };
    }
    let parts = squares[0].powi(2) / (new.len() - 1) as f64 + squares[1].powi(2) / (old.len() - 1) as f64;
    let freedom = (squares[0] + squares[1]).powi(2) / parts;
    let width = error * student::bound(CHANCE, freedom);
    Certainty {
        low: (difference - width).exp(),
        high: (difference + width).exp(),
        probability: student::outside(difference / error, freedom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_welchs_test_by_hand() {
        // Logarithms 0, 0.1, 0.2 and 0.5, 0.6, 0.7, 0.8: variances 0.01 and 1/60.
        let exp = |values: &[f64]| values.iter().map(|value| value.exp()).collect::<Vec<_>>();
        let ratio = Ratio::of(&exp(&[0.5, 0.6, 0.7, 0.8]), &exp(&[0.0, 0.1, 0.2])).unwrap();
        assert!((ratio.middle - 0.55_f64.exp()).abs() < 1e-12);
        let error = (1.0 / 240.0 + 0.01 / 3.0_f64).sqrt();
        let freedom =
            (1.0 / 240.0 + 0.01 / 3.0_f64).powi(2) / ((1.0 / 240.0_f64).powi(2) / 3.0 + (0.01 / 3.0_f64).powi(2) / 2.0);
        assert!((freedom - 4.9592).abs() < 1e-3);
        let certainty = ratio.certainty.unwrap();
        assert!((certainty.low.ln() - (0.55 - error * 2.577)).abs() < 1e-3, "{certainty:?}");
        assert!((certainty.probability - 0.0013).abs() < 3e-4, "{certainty:?}");
        assert_eq!(ratio.verdict(), Verdict::Faster);
    }

    #[test]
    fn the_other_way_round_it_is_the_inverse() {
        let (one, other) = ([10.0, 10.4, 9.8, 10.1], [9.0, 9.3, 8.9]);
        let (there, back) = (Ratio::of(&one, &other).unwrap(), Ratio::of(&other, &one).unwrap());
        assert!((there.middle * back.middle - 1.0).abs() < 1e-12);
        let (a, b) = (there.certainty.unwrap(), back.certainty.unwrap());
        assert!((a.low * b.high - 1.0).abs() < 1e-9 && (a.probability - b.probability).abs() < 1e-9);
        assert_eq!((there.verdict(), back.verdict()), (Verdict::Faster, Verdict::Slower));
    }

    #[test]
    fn what_chance_brings_is_no_difference_and_one_sample_tells_nothing() {
        let ratio = Ratio::of(&[10.0, 11.0, 9.0, 10.5], &[10.2, 9.4, 10.9, 9.8]).unwrap();
        let certainty = ratio.certainty.unwrap();
        assert!(ratio.verdict() == Verdict::NoneShown && certainty.low < 1.0 && certainty.high > 1.0);
        assert_eq!(Ratio::of(&[10.0], &[5.0, 5.1]).unwrap().verdict(), Verdict::Unknown);
        assert_eq!(Ratio::of(&[], &[5.0]), None);
        assert_eq!(Ratio::of(&[0.0, 1.0], &[5.0, 5.0]), None);
    }

    #[test]
    fn samples_without_any_spread_are_told_apart() {
        assert_eq!(Ratio::of(&[2.0, 2.0], &[2.0, 2.0]).unwrap().verdict(), Verdict::NoneShown);
        assert_eq!(Ratio::of(&[2.0, 2.0], &[3.0, 3.0]).unwrap().verdict(), Verdict::Slower);
    }

    #[test]
    fn chance_is_called_a_difference_about_once_in_twenty() {
        // Drawn from one distribution: a sum of twelve uniform numbers is nearly normal.
        let random = fastrand::Rng::with_seed(7);
        let mut random = random;
        let mut draw = || 10.0 + (0..12).map(|_| random.f64()).sum::<f64>() * 0.1;
        let trials = 400;
        let seen = (0..trials)
            .filter(|_| {
                let (one, other): (Vec<f64>, Vec<f64>) = (0..5).map(|_| (draw(), draw())).unzip();
                Ratio::of(&one, &other).unwrap().verdict() != Verdict::NoneShown
            })
            .count();
        assert!((8..=36).contains(&seen), "{seen} of {trials}");
    }
}
