//! How long the model takes to compute n tokens at once, against one: measured in the steps that answers are made of,
//! by how full the cache is, and for some sizes while nobody waits (`engine/calibrate.rs`). What was not measured yet is
//! expected to be what lies between the measured sizes, and cheap beyond them; so it is tried where a draft is likely to
//! be right, and then it is known. Such a trial costs next to nothing if the draft is right, since several tokens at once
//! take hardly longer than one after the other; what it may cost if the draft is wrong is counted half way to that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most tokens in one step whose time is kept.
pub const MOST_ROWS: usize = 64;
/// Part of a new measurement in an average, once there are several.
const NEWEST: f64 = 0.15;
/// A measurement counts for no more than so many times the average: the machine was busy with something else.
const OUTLIER: f64 = 3.0;
/// Single tokens to be measured before anything is compared with them.
const LEAST_PLAIN: u32 = 3;
/// What a further token adds to a step, as a part of the time of one, before anything is known. On two cores 0.5 to
/// 0.7 was measured for models of 0.1 to 1.5 billion parameters; a GPU has room for more at once.
const SLOPE_CPU: f64 = 0.55;
const SLOPE_GPU: f64 = 0.12;
/// Beyond the largest measured size a further token is expected to add this part of what it did so far.
const CHEAP: f64 = 0.55;
/// How many times the largest measured size is tried next.
const MOST_GROWTH: usize = 4;
/// Cells from which on the next depth begins: attention costs by the cell, and differently for one row and for many.
const DEPTHS: [usize; 5] = [1024, 2048, 4096, 8192, 16_384];

/// Sizes that are timed while nobody waits, the most important first. On two cores a step of 7 to 12 tokens of a model
/// of 1.5 billion parameters is a bad one, and 16 are as fast as 10: what lies between cannot be told from few sizes.
const TIMED: [usize; 6] = [4, 16, 2, 32, 8, 3];
/// Bounds of what can be believed, the upper one by the token.
const LEAST_RATIO: f64 = 0.5;
const MOST_RATIO: f64 = 4.0;
/// What an earlier run measured counts for so many measurements at most: the machine may have become another.
const MOST_RECALLED: u32 = 4;

/// What was measured, for keeping: by depth and number of tokens the ratio, and how many measurements it is of. How long
/// a single token takes is not kept, since it is measured at once, and depends on what else the machine does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times(Vec<BTreeMap<usize, (f64, u32)>>);

impl Times {
    /// Whether it is the same, up to this part of each ratio.
    pub fn is_like(&self, other: &Self, part: f64) -> bool {
        let flat = |times: &Self| -> BTreeMap<(usize, usize), f64> {
            let depths = times.0.iter().enumerate();
            depths.flat_map(|(depth, sizes)| sizes.iter().map(move |(size, known)| ((depth, *size), known.0))).collect()
        };
        let (one, other) = (flat(self), flat(other));
        one.len() == other.len()
            && one.iter().all(|(key, ratio)| other.get(key).is_some_and(|other| (ratio / other - 1.0).abs() <= part))
    }
}

/// An average that begins as a mean, and then follows what is new.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Average {
    value: f64,
    count: u32,
}

impl Average {
    fn push(&mut self, value: f64) {
        self.count = self.count.saturating_add(1);
        let value = if self.count > 2 { value.min(self.value * OUTLIER) } else { value };
        self.value += (value - self.value) * NEWEST.max(1.0 / f64::from(self.count));
    }
}

/// What was measured at one depth.
#[derive(Clone, Debug, PartialEq)]
struct Curve {
    /// Seconds of a single token.
    plain: Average,
    /// Of n tokens, the time as a multiple of a single one's; by n.
    ratios: Vec<Average>,
}

impl Default for Curve {
    fn default() -> Self {
        Self { plain: Average::default(), ratios: vec![Average::default(); MOST_ROWS + 1] }
    }
}

/// The times of steps of a model on a machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    curves: [Curve; DEPTHS.len() + 1],
    slope: f64,
}

impl Costs {
    /// Nothing was measured yet.
    pub fn new(on_gpu: bool) -> Self {
        let curves = std::array::from_fn(|_| Curve::default());
        Self { curves, slope: if on_gpu { SLOPE_GPU } else { SLOPE_CPU } }
    }

    /// A step of so many tokens, with so many cells in use, took so many seconds.
    pub fn measured(&mut self, tokens: usize, cells: usize, seconds: f64) {
        if seconds <= 0.0 {
            return;
        }
        let plain = self.plain(cells);
        let curve = &mut self.curves[depth(cells)];
        match (tokens, plain) {
            (1, _) => curve.plain.push(seconds),
            (2..=MOST_ROWS, Some(plain)) => curve.ratios[tokens].push(seconds / plain),
            _ => {}
        }
    }

    /// So many tokens were found to take so many times as long as one.
    pub fn timed(&mut self, tokens: usize, cells: usize, ratio: f64) {
        if let Some(known) = self.curves[depth(cells)].ratios.get_mut(tokens) {
            known.push(ratio.clamp(LEAST_RATIO, MOST_RATIO * tokens as f64));
        }
    }

    /// Which of these sizes is to be timed next: one that was not measured where so many cells are in use, and is not
    /// expected to take more than so many seconds.
    pub fn to_time(&self, cells: usize, most: usize, seconds: f64) -> Option<usize> {
        let plain = self.plain(cells)?;
        let curve = &self.curves[depth(cells)];
        let is_short = |size: &usize| *size <= most && self.ratio(*size, cells) * plain <= seconds;
        TIMED.into_iter().filter(is_short).find(|size| curve.ratios[*size].count == 0)
    }

    /// What was measured, for keeping.
    pub fn times(&self) -> Times {
        let of = |curve: &Curve| {
            let known = curve.ratios.iter().enumerate().filter(|(_, ratio)| ratio.count > 0);
            known.map(|(tokens, ratio)| (tokens, (ratio.value, ratio.count))).collect()
        };
        Times(self.curves.iter().map(of).collect())
    }

    /// What an earlier run measured, as far as it makes sense.
    pub fn recall(&mut self, times: &Times) {
        for (curve, sizes) in self.curves.iter_mut().zip(&times.0) {
            for (tokens, (value, count)) in sizes {
                let is_sane = (2..=MOST_ROWS).contains(tokens) && *count > 0 && is_plausible(*tokens, *value);
                if is_sane && curve.ratios[*tokens].count == 0 {
                    curve.ratios[*tokens] = Average { value: *value, count: (*count).min(MOST_RECALLED) };
                }
            }
        }
    }

    /// Seconds of a single token; unknown before some were measured.
    pub fn plain(&self, cells: usize) -> Option<f64> {
        self.nearest(cells, |curve| curve.plain.count >= LEAST_PLAIN).map(|curve| curve.plain.value)
    }

    /// How much longer than one so many tokens take.
    pub fn ratio(&self, tokens: usize, cells: usize) -> f64 {
        let at = |tokens: usize| if tokens <= 1 { Some(1.0) } else { self.measured_ratio(tokens, cells) };
        let below = (1..=tokens).rev().find_map(|size| at(size).map(|ratio| (size, ratio)));
        let above = (tokens..=MOST_ROWS).find_map(|size| at(size).map(|ratio| (size, ratio)));
        match (below.unwrap_or((1, 1.0)), above) {
            ((below, ratio), _) if below == tokens => ratio,
            ((1, _), None) => 1.0 + (tokens - 1) as f64 * self.slope,
            ((below, ratio), None) => ratio + (tokens - below) as f64 * (ratio - 1.0) / (below - 1) as f64 * CHEAP,
            ((below, low), Some((above, high))) => {
                low + (high - low) * (tokens - below) as f64 / (above - below) as f64
            }
        }
    }

    /// What was measured of a size, at this depth or the nearest where it was.
    fn measured_ratio(&self, tokens: usize, cells: usize) -> Option<f64> {
        let is_known = |curve: &Curve| curve.ratios.get(tokens).is_some_and(|ratio| ratio.count > 0);
        self.nearest(cells, is_known).map(|curve| curve.ratios[tokens].value)
    }

    /// What so many tokens are to be feared to take: what was measured, else no less than a size beyond, or half way from
    /// what is expected to one after the other.
    pub fn worst_ratio(&self, tokens: usize, cells: usize) -> f64 {
        let expected = self.ratio(tokens, cells);
        let known = self.known(cells).into_iter().find(|(size, _)| *size >= tokens);
        known.map_or((expected + tokens as f64) / 2.0, |(_, ratio)| ratio.min(tokens as f64).max(expected))
    }

    /// The largest step that may be tried: one that is not far beyond those that were measured.
    pub fn most(&self, cells: usize) -> usize {
        let largest = self.known(cells).last().map_or(1, |(tokens, _)| *tokens);
        (largest * MOST_GROWTH).min(MOST_ROWS)
    }

    /// The sizes that were measured, with their ratios at this depth or the nearest.
    pub fn known(&self, cells: usize) -> Vec<(usize, f64)> {
        (2..=MOST_ROWS).filter_map(|tokens| Some((tokens, self.measured_ratio(tokens, cells)?))).collect()
    }

    fn nearest(&self, cells: usize, is_known: impl Fn(&Curve) -> bool) -> Option<&Curve> {
        let wanted = depth(cells);
        let near = |distance: usize| [wanted.checked_sub(distance), wanted.checked_add(distance)];
        let depths = (0..self.curves.len()).flat_map(near).flatten();
        depths.filter_map(|depth| self.curves.get(depth)).find(|curve| is_known(curve))
    }
}

/// Whether so many tokens may take so many times as long as one on any machine.
fn is_plausible(tokens: usize, ratio: f64) -> bool {
    (LEAST_RATIO..=MOST_RATIO * tokens as f64).contains(&ratio)
}

fn depth(cells: usize) -> usize {
    DEPTHS.iter().position(|end| cells < *end).unwrap_or(DEPTHS.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs() -> Costs {
        let mut costs = Costs::new(false);
        (0..LEAST_PLAIN).for_each(|_| costs.measured(1, 0, 0.05));
        costs
    }

    #[test]
    fn nothing_is_known_before_single_tokens_were_measured() {
        let mut costs = Costs::new(false);
        costs.measured(8, 0, 0.4);
        costs.measured(1, 0, 0.05);
        assert_eq!((costs.plain(0), costs.known(0)), (None, Vec::new()));
        assert_eq!(super::tests::costs().plain(9999), Some(0.05), "of another depth, until this one is known");
    }

    #[test]
    fn what_was_measured_is_believed_and_what_lies_between_is_guessed() {
        let mut costs = costs();
        assert_eq!((costs.ratio(1, 0), costs.ratio(3, 0)), (1.0, 1.0 + 2.0 * SLOPE_CPU));
        costs.measured(5, 0, 0.15);
        costs.measured(9, 0, 0.35);
        let close = |ratio: f64, expected: f64| assert!((ratio - expected).abs() < 1e-9, "{ratio}, not {expected}");
        close(costs.ratio(5, 0), 3.0);
        close(costs.ratio(3, 0), 2.0);
        close(costs.ratio(7, 0), 5.0);
        close(costs.ratio(11, 0), 7.0 + 2.0 * 0.75 * CHEAP);
        close(costs.ratio(9, 5000), 7.0);
    }

    #[test]
    fn the_sizes_that_matter_are_timed_once_at_each_depth_unless_they_take_long() {
        assert_eq!(Costs::new(false).to_time(0, 64, 9.0), None, "not before single tokens were measured");
        let mut costs = costs();
        let mut sizes = Vec::new();
        while let Some(size) = costs.to_time(0, 64, 9.0) {
            costs.timed(size, 0, 0.5 * size as f64);
            sizes.push(size);
        }
        sizes.sort_unstable();
        assert_eq!(sizes, [2, 3, 4, 8, 16, 32]);
        assert_eq!(costs.ratio(16, 0), 8.0);
        assert_eq!((costs.to_time(2000, 64, 9.0), costs.to_time(2000, 3, 9.0)), (Some(4), Some(2)));
        assert_eq!(costs.to_time(2000, 64, 0.06), Some(2), "four would take 0.1 s");
    }

    #[test]
    fn larger_steps_are_tried_by_and_by() {
        let mut costs = costs();
        assert_eq!(costs.most(0), 4);
        costs.measured(4, 0, 0.1);
        assert_eq!(costs.most(0), 16);
        costs.measured(16, 0, 0.3);
        assert_eq!(costs.most(0), MOST_ROWS);
    }

    #[test]
    fn depths_are_told_apart() {
        let mut costs = costs();
        (0..LEAST_PLAIN).for_each(|_| costs.measured(1, 3000, 0.1));
        costs.measured(4, 0, 0.1);
        costs.measured(4, 3000, 0.4);
        assert_eq!((costs.ratio(4, 0), costs.ratio(4, 3000)), (2.0, 4.0));
    }

    #[test]
    fn a_step_that_was_held_up_does_not_spoil_the_average() {
        let mut costs = costs();
        costs.measured(1, 0, 5.0);
        assert!(costs.plain(0).unwrap() < 0.08, "{:?}", costs.plain(0));
    }

    #[test]
    fn what_makes_no_sense_is_not_recalled() {
        let times = |text| serde_json::from_str::<Times>(text).unwrap();
        let mut costs = costs();
        costs.recall(&times(
            r#"[{"0": [1.0, 9], "1": [1.0, 9], "4": [-2.0, 9], "8": [1e300, 9], "16": [9.0, 0], "900": [9.0, 9]}]"#,
        ));
        assert_eq!(costs.known(0), []);
        costs.recall(&times(r#"[{}, {"16": [8.5, 900]}, {}, {}, {}, {}, {}, {}, {"8": [4.0, 1]}]"#));
        assert_eq!(costs.known(2000), [(16, 8.5)]);
        (0..40).for_each(|_| costs.measured(16, 2000, 0.5));
        assert!((costs.ratio(16, 2000) - 10.0).abs() < 0.1, "what is new outweighs it: {}", costs.ratio(16, 2000));
    }

    #[test]
    fn an_average_is_a_mean_of_the_first_whatever_they_are() {
        let mut average = Average::default();
        [1.0, 100.0].into_iter().for_each(|value| average.push(value));
        assert_eq!(average.value, 50.5);
        average.push(10_000.0);
        assert!(
            (average.value - 50.5 * 5.0 / 3.0).abs() < 1e-9,
            "three times the average is the most that is believed"
        );
    }

    #[test]
    fn what_a_size_may_take_at_worst_is_what_a_larger_one_took_or_half_way_to_one_by_one() {
        let mut costs = costs();
        assert!((costs.worst_ratio(3, 0) - (1.0 + 2.0 * SLOPE_CPU + 3.0) / 2.0).abs() < 1e-9);
        costs.measured(5, 0, 0.125);
        assert_eq!((costs.worst_ratio(3, 0), costs.worst_ratio(2, 0)), (2.5, 2.0));
        assert!(costs.worst_ratio(6, 0) > costs.ratio(6, 0));
    }

    #[test]
    fn as_long_as_four_times_one_by_one_is_believed() {
        let mut costs = costs();
        costs.timed(32, 0, 100.0);
        costs.timed(16, 0, 100.0);
        assert_eq!(costs.known(0), [(16, 64.0), (32, 100.0)]);
        let mut costs = self::costs();
        costs.recall(&serde_json::from_str(r#"[{"16": [65.0, 1], "32": [100.0, 1]}]"#).unwrap());
        assert_eq!(costs.known(0), [(32, 100.0)]);
    }

    #[test]
    fn a_depth_begins_where_the_one_before_it_ends() {
        assert_eq!([0, 1023, 1024, 16_383, 16_384, 1 << 20].map(depth), [0, 0, 1, 4, 5, 5]);
    }
}
