//! Why the figures of a run are not to be trusted, if they are not.

use jiff::Timestamp;
use serde_json::Map;

use super::Ended;
use super::peers::cases::is_peer;
use super::record::{BeforeAndAfter, Case, Condition, End, Run, Status};
use crate::hardware::health::Health;

/// Programs that may compute beside the measurement, at its start.
const MOST_LOAD: f64 = 0.5;
/// The width of the interval of 95 % to either side, as a part of the mean.
const MOST_SPREAD: f64 = 0.05;
/// How far the anchor may be from what it was at first, and the last rounds of a case from its first.
const MOST_DRIFT: f64 = 0.05;
/// What may be swapped without memory being short.
const LITTLE: u64 = 1 << 20;

/// Means beside the worst one that are named.
const MOST_NAMED: usize = 3;

/// The test that is repeated during a run, and what its case tells: its speed as a part of what it was at first.
pub const ANCHOR: &str = "anchor";
pub const ANCHOR_RATIO: &str = "anchor_ratio";

/// The end of a run: how it ended, how the machine felt before and after, and whether its figures are to be trusted.
pub fn end(ended: &Result<(), Ended>, run: &Run, [before, after]: [&Health; 2], now: Timestamp) -> End {
    let doubts = doubts(run, before, after);
    let mut rest = Map::new();
    let status = match ended {
        Ok(()) => Status::Whole,
        Err(Ended::Stopped) => Status::Stopped,
        Err(Ended::Failed(failure)) => {
            rest.insert("failure".into(), failure.message.clone().into());
            Status::Failed
        }
    };
    let health = BeforeAndAfter { before: Condition::from(before), after: Condition::from(after) };
    End { ended: now, status, valid: doubts.is_empty() && ended.is_ok(), doubts, health, rest }
}

/// What speaks against figures that would be measured now, in words.
pub fn beforehand(now: &Health) -> Vec<String> {
    let load = now.load.filter(|load| *load > MOST_LOAD);
    let load = load.map(|load| format!("other programs are computing (load {load:.1})"));
    // What happened earlier is no fault of what is measured now.
    let throttling = now.throttling.since(&now.throttling);
    load.into_iter().chain(throttling.map(|words| format!("the machine holds itself back: {words}"))).collect()
}

/// What speaks against the figures, in words; nothing if nothing does.
pub fn doubts(run: &Run, before: &Health, after: &Health) -> Vec<String> {
    let mut doubts = Vec::new();
    if let Some(load) = before.load.filter(|load| *load > MOST_LOAD) {
        doubts.push(format!("other programs were computing at the start (load {load:.1})"));
    }
    if let Some(words) = after.throttling.since(&before.throttling) {
        doubts.push(format!("the machine held itself back: {words}"));
    }
    let swapped = |case: &Case| case.swap_bytes.is_some_and(|bytes| bytes > LITTLE);
    let grew = after.swap_bytes.zip(before.swap_bytes).is_some_and(|(after, before)| after > before + LITTLE);
    if grew || run.cases.iter().any(swapped) {
        doubts.push("memory was short: more was swapped at the end than at the start".into());
    }
    let worst = |of: fn(&Case) -> Option<f64>| {
        // What others do is their own business.
        let ours = run.cases.iter().filter(|case| !is_peer(case));
        let cases = ours.filter_map(|case| Some((case, of(case)?)));
        cases.max_by(|(_, one), (_, other)| one.total_cmp(other))
    };
    doubts.extend(differed(run));
    if let Some((case, lost)) = worst(lost).filter(|(_, lost)| *lost > MOST_DRIFT) {
        let left = (1.0 - lost) * 100.0;
        doubts.push(format!(
            "it became slower: the last rounds of {} had {left:.0} % of the first ones' speed",
            name(case)
        ));
    }
    if let Some((case, _)) = worst(drift).filter(|(_, drift)| *drift > MOST_DRIFT) {
        let ratio = case.number(ANCHOR_RATIO).unwrap_or(1.0) * 100.0;
        doubts.push(format!(
            "the machine changed during the run: what was measured first had {ratio:.0} % of its speed later"
        ));
    }
    doubts
}

/// Which means are known badly, the worst first.
fn differed(run: &Run) -> Option<String> {
    let ours = run.cases.iter().filter(|case| !is_peer(case));
    let mut wide: Vec<(f64, &Case)> =
        ours.filter_map(|case| Some((spread(case)?, case))).filter(|(spread, _)| *spread > MOST_SPREAD).collect();
    wide.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    let told =
        |(spread, case): &(f64, &Case)| format!("the mean of {} is known to ± {:.0} %", name(case), spread * 100.0);
    let (worst, others) = (wide.first()?, &wide[1..]);
    let short = |(spread, case): &(f64, &Case)| format!("{} to ± {:.0} %", name(case), spread * 100.0);
    let parts: Vec<String> = std::iter::once(told(worst)).chain(others.iter().take(MOST_NAMED).map(short)).collect();
    let more = match others.len().saturating_sub(MOST_NAMED) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    Some(format!("rounds differed: {} only{more}", parts.join(", ")))
}

fn name(case: &Case) -> String {
    match case.text("item") {
        Some(item) if !item.starts_with('d') => format!("{} ({item})", case.test),
        _ => case.test.clone(),
    }
}

/// Half the interval of 95 %, as a part of the mean.
fn spread(case: &Case) -> Option<f64> {
    // Of a start it is the time that is told.
    let (mean, high) = match case.avg_ts {
        Some(mean) => (mean, case.ci95_high_ts?),
        None => (case.number("start_ms")?, case.number("ci95_high_start_ms")?),
    };
    (mean > 0.0).then(|| (high - mean) / mean)
}

/// What the second half of the rounds lost of the first half's speed, where there is an interval.
fn lost(case: &Case) -> Option<f64> {
    case.ci95_high_ts?;
    let (samples, half) = (&case.samples_ts, case.samples_ts.len() / 2);
    let sum = |samples: &[f64]| samples.iter().sum::<f64>();
    (half > 0).then(|| 1.0 - sum(&samples[samples.len() - half..]) / sum(&samples[..half]))
}

/// How far the anchor is from what it was.
fn drift(case: &Case) -> Option<f64> {
    Some((case.number(ANCHOR_RATIO)? - 1.0).abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record::Line;
    use crate::bench::record::tests::empty;
    use crate::bench::speed::tests_of::quiet;

    fn run() -> Run {
        let mut run = empty("quick");
        quiet(&[0]).into_iter().for_each(|case| run.add(Line::Case(Box::new(case))));
        run
    }

    fn quiet_machine() -> (Health, Health) {
        let before = Health { celsius: Some(48.2), load: Some(0.1), swap_bytes: Some(0), ..Health::default() };
        (before, Health { celsius: Some(61.0), ..before })
    }

    #[test]
    fn a_quiet_steady_run_is_trusted() {
        let (before, after) = quiet_machine();
        assert_eq!(doubts(&run(), &before, &after), Vec::<String>::new());
    }

    #[test]
    fn each_thing_that_spoils_a_run_is_named() {
        let (mut before, mut after) = quiet_machine();
        let mut bad = run();
        before.load = Some(1.7);
        after.swap_bytes = Some(50 << 20);
        after.throttling.raspberry = Some(0x4_0004);
        let samples_ts = vec![10.0, 10.0, 8.0, 8.0];
        let more = Case { key: "b".into(), avg_ts: Some(9.0), ci95_high_ts: Some(10.8), samples_ts, ..Case::default() };
        bad.cases.push(Case { test: "tg128 @ d4096".into(), ..more });
        let rest = [("start_ms", 100.0), ("ci95_high_start_ms", 140.0)];
        let rest = rest.map(|(name, number)| (name.to_owned(), number.into())).into_iter().collect();
        let start = Case { key: "d".into(), test: "cold start".into(), rest, ..Case::default() };
        let told = doubts(&Run { cases: vec![start], ..bad.clone() }, &quiet_machine().0, &quiet_machine().1);
        assert_eq!(told, ["rounds differed: the mean of cold start is known to ± 40 % only"]);
        let mut two = bad.clone();
        let wide = Case {
            key: "e".into(),
            test: "pp512".into(),
            avg_ts: Some(9.0),
            ci95_high_ts: Some(13.5),
            ..Case::default()
        };
        two.cases.push(wide);
        let told = doubts(&two, &quiet_machine().0, &quiet_machine().1);
        assert_eq!(told[0], "rounds differed: the mean of pp512 is known to ± 50 %, tg128 @ d4096 to ± 20 % only");
        let rest = [(ANCHOR_RATIO.to_owned(), 0.9.into())].into_iter().collect();
        bad.cases.push(Case { key: "c".into(), test: ANCHOR.into(), rest, ..Case::default() });
        let doubts = doubts(&bad, &before, &after).join("\n");
        let parts = ["load 1.7", "throttled itself", "swapped", "tg128 @ d4096 is known to ± 20 % only"];
        for part in parts.into_iter().chain(["80 % of the first", "90 % of its speed later"]) {
            assert!(doubts.contains(part), "{part}: {doubts}");
        }
    }
}
