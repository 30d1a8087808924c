//! Why figures are not to be trusted, if they are not.

use super::Results;
use crate::bench::statistics::{Interval, mean};

/// Programs that may compute beside the measurement, at its start.
const MOST_LOAD: f64 = 0.5;
/// The width of the interval of 95 % to either side, as a part of the mean.
const MOST_SPREAD: f64 = 0.05;
/// How far the last round may be from the first.
const MOST_DRIFT: f64 = 0.05;

/// What speaks against the figures, in words; nothing if nothing does.
pub fn doubts(results: &Results) -> Vec<String> {
    let (before, after) = (&results.before, &results.after);
    let mut doubts = Vec::new();
    if let Some(load) = before.load.filter(|load| *load > MOST_LOAD) {
        doubts.push(format!("other programs were computing at the start (load {load:.1})"));
    }
    if let Some(words) = after.throttling.since(&before.throttling) {
        doubts.push(format!("the machine held itself back: {words}"));
    }
    if after.swap_bytes.zip(before.swap_bytes).is_some_and(|(after, before)| after > before + (1 << 20)) {
        doubts.push("memory was short: more was swapped at the end than at the start".into());
    }
    let samples = || results.rows.iter().flat_map(|row| [&row.prefill, &row.decode]);
    let widest = samples().filter_map(|samples| spread(samples)).max_by(f64::total_cmp);
    if let Some(widest) = widest.filter(|widest| *widest > MOST_SPREAD) {
        doubts.push(format!("rounds differed: a mean is known to ± {:.0} % only", widest * 100.0));
    }
    let drift = results.rows.iter().filter_map(|row| drift(&row.decode)).min_by(f64::total_cmp);
    if let Some(drift) = drift.filter(|drift| *drift < 1.0 - MOST_DRIFT) {
        doubts.push(format!("it became slower: the last rounds had {:.0} % of the first ones' speed", drift * 100.0));
    }
    doubts
}

/// Half the interval of 95 %, as a part of the mean.
fn spread(samples: &[f64]) -> Option<f64> {
    let interval = Interval::of(samples);
    Some((interval.high()? - interval.middle) / interval.middle)
}

/// The mean speed of the second half of the rounds as a part of the first half's.
fn drift(samples: &[f64]) -> Option<f64> {
    let half = samples.len() / 2;
    (half > 0).then(|| mean(&samples[samples.len() - half..]) / mean(&samples[..half]))
}

#[cfg(test)]
mod tests {
    use super::super::timing::Row;
    use super::*;
    use crate::bench::speed::tables::tests::results;

    #[test]
    fn a_quiet_steady_run_is_trusted() {
        assert_eq!(doubts(&results()), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_spoils_a_run_is_named() {
        let mut bad = results();
        bad.before.load = Some(1.7);
        bad.after.swap_bytes = Some(50 << 20);
        bad.after.throttling.raspberry = Some(0x4_0004);
        bad.rows.push(Row { decode: vec![10.0, 10.0, 8.0, 8.0], ..Row::default() });
        let doubts = doubts(&bad).join("\n");
        for part in ["load 1.7", "throttled itself", "swapped", "known to ± 20 % only", "80 % of the first"] {
            assert!(doubts.contains(part), "{part}: {doubts}");
        }
    }
}
