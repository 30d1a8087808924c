//! Two runs beside each other: for each test that both have, how many times as fast the second is, how sure that is, and
//! whether it is more than chance; and what else the two have not alike.

mod differences;
mod forms;
mod llama_bench;
mod pairs;
mod ratio;
mod source;
mod student;

use super::record::{Case, Run};
use differences::Difference;
use pairs::Pairs;

pub use forms::render;
pub use ratio::{Certainty, Ratio, Verdict};
pub use source::{find, read};

/// The second run as a multiple of the first.
#[derive(Debug)]
pub struct Comparison<'a> {
    pub first: &'a Run,
    pub second: &'a Run,
    pub pairs: Vec<Pair<'a>>,
    /// Tests that have no other.
    pub only_in_first: Vec<&'a Case>,
    pub only_in_second: Vec<&'a Case>,
    pub differences: Vec<Difference>,
}

/// A test that both runs have.
#[derive(Debug)]
pub struct Pair<'a> {
    pub first: &'a Case,
    pub second: &'a Case,
    pub ratio: Ratio,
}

impl<'a> Comparison<'a> {
    pub fn of(first: &'a Run, second: &'a Run) -> Self {
        let Pairs { pairs, only_in_first, only_in_second } = Pairs::of(&first.cases, &second.cases);
        let pairs = pairs.into_iter().filter_map(|(one, other)| {
            Some(Pair { first: one, second: other, ratio: Ratio::of(&samples(other), &samples(one))? })
        });
        Self {
            first,
            second,
            pairs: pairs.collect(),
            only_in_first,
            only_in_second,
            differences: differences::of(first, second),
        }
    }

    /// What the figures themselves are doubted for, in words.
    pub fn doubts(&self) -> Vec<String> {
        let of = |run: &Run| {
            let doubts = run.end.iter().flat_map(|end| &end.doubts);
            doubts.map(|doubt| format!("{}: {doubt}", run.head.id)).collect::<Vec<_>>()
        };
        let mut doubts = of(self.first);
        if self.second != self.first {
            doubts.extend(of(self.second));
        }
        doubts
    }
}

/// A mean is a sample where no others are told.
fn samples(case: &Case) -> Vec<f64> {
    if case.samples_ts.is_empty() { case.avg_ts.into_iter().collect() } else { case.samples_ts.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::reports::examples;

    #[test]
    fn a_comparison_has_a_ratio_for_each_pair_and_names_the_others() {
        let (first, mut second) = (examples::depth(), examples::depth());
        second.cases.iter_mut().for_each(|case| case.samples_ts.iter_mut().for_each(|speed| *speed *= 1.1));
        second.cases[3].n_depth = 4096;
        second.end.as_mut().unwrap().doubts = vec!["it was hot".into()];
        let comparison = Comparison::of(&first, &second);
        assert_eq!(comparison.pairs.len(), 3);
        assert!(comparison.pairs.iter().all(|pair| (pair.ratio.middle - 1.1).abs() < 1e-9));
        assert!(comparison.pairs.iter().all(|pair| pair.ratio.verdict() == Verdict::Faster));
        assert_eq!((comparison.only_in_first.len(), comparison.only_in_second.len()), (1, 1));
        assert_eq!(comparison.doubts(), ["2026-11-27-0931-depth: it was hot"]);
    }

    #[test]
    fn where_only_means_are_told_there_is_a_ratio_and_nothing_to_tell_chance_by() {
        let (first, mut second) = (examples::depth(), examples::depth());
        second.cases.iter_mut().for_each(|case| case.samples_ts.clear());
        let comparison = Comparison::of(&first, &second);
        assert!(comparison.pairs.iter().all(|pair| pair.ratio.verdict() == Verdict::Unknown));
    }
}
