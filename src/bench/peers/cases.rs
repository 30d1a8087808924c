//! What is told of peers: a case for the prompt and one for the answer of each, in the form of our own, and a table.

use serde_json::{Map, Value};

use super::{Measured, compare};
use crate::bench::record::{Case, TUICHAT};
use crate::bench::speed::speed;
use crate::bench::statistics::{Interval, deviation, mean};
use crate::bench::table::Table;

/// How many times as fast as this program, and the bounds of that.
const RATIO: &str = "ratio_to_tuichat";
const RATIO_LOW: &str = "ratio_ci95_low";
const RATIO_HIGH: &str = "ratio_ci95_high";
/// An interval whose bounds are so many times apart says nothing.
const TOO_WIDE: f64 = 10.0;
const VERSION: &str = "runtime_version";

/// Our own speeds in the same rounds, and what the tests are called.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    pub base: &'a Case,
    pub prefill: (&'a str, &'a [f64]),
    pub decode: (&'a str, &'a [f64]),
}

/// The cases of a peer; none of what it did not do.
pub fn of(measured: &Measured, beside: Beside<'_>) -> Vec<Case> {
    let one = |(test, ours): (&str, &[f64]), theirs: &[(u32, f64)], n_prompt: u32, n_gen: u32| {
        let samples_ts: Vec<f64> = theirs.iter().map(|(_, speed)| *speed).collect();
        let interval = Interval::of(&samples_ts);
        let mut rest: Map<String, Value> = beside.base.rest.clone();
        // The backends of our own are not theirs.
        rest.remove("backends");
        let compared = compare(theirs, ours);
        let facts = [
            (VERSION, measured.version.clone().map(Value::from)),
            (RATIO, compared.map(|compared| compared.ratio.into())),
            (RATIO_LOW, compared.and_then(|compared| compared.low).map(Value::from)),
            (RATIO_HIGH, compared.and_then(|compared| compared.high).map(Value::from)),
        ];
        rest.extend(facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        let case = Case {
            key: format!("{}: {}, {test}", beside.base.model(), measured.name),
            runtime: measured.name.clone(),
            test: test.to_owned(),
            n_prompt,
            n_gen,
            avg_ts: Some(mean(&samples_ts)),
            stddev_ts: Some(deviation(&samples_ts)),
            ci95_low_ts: interval.low(),
            ci95_high_ts: interval.high(),
            samples_ts,
            rest,
            ..beside.base.clone()
        };
        (!theirs.is_empty()).then_some(case)
    };
    let prompt = one(beside.prefill, &measured.prefill, measured.prompt, 0);
    let answer = one(beside.decode, &measured.decode, 0, measured.written);
    prompt.into_iter().chain(answer).collect()
}

/// What peers came to, for people; nothing without peers.
pub fn table(cases: &[&Case]) -> String {
    let theirs: Vec<&Case> = cases.iter().copied().filter(|case| is_peer(case)).collect();
    let mut names: Vec<&str> = theirs.iter().map(|case| case.runtime.as_str()).collect();
    names.dedup();
    let Some(first) = theirs.first() else { return String::new() };
    let find =
        |name: &str, kind: fn(&Case) -> bool| theirs.iter().copied().find(|case| case.runtime == name && kind(case));
    let test = |kind: fn(&Case) -> bool| {
        let found = theirs.iter().find(|case| kind(case));
        found.map_or(String::new(), |case| format!("{} tok/s", case.test))
    };
    let (prompt, answer) = (test(is_prompt), test(is_answer));
    let mut table = Table::new(["beside it", "version", &prompt, "of tuichat's", &answer, "of tuichat's"]);
    for name in names {
        let (prompt, answer) = (find(name, is_prompt), find(name, is_answer));
        let version = prompt.or(answer).and_then(|case| case.text(VERSION)).unwrap_or("–").to_owned();
        table.push(vec![name.into(), version, speed(prompt), ratio(prompt), speed(answer), ratio(answer)]);
    }
    let threads =
        format!("the others were asked for {} threads; in brackets, 95 % intervals of the ratios\n", first.n_threads);
    format!("{}{threads}", table.render())
}

fn is_prompt(case: &Case) -> bool {
    case.n_prompt > 0
}

fn is_answer(case: &Case) -> bool {
    case.n_gen > 0
}

/// Whether it is of another program, measured beside this one.
pub fn is_peer(case: &Case) -> bool {
    case.runtime != TUICHAT && case.text(VERSION).is_some() | case.number(RATIO).is_some()
}

/// `101 % (99 to 103)`.
fn ratio(case: Option<&Case>) -> String {
    let Some(ratio) = case.and_then(|case| case.number(RATIO)) else { return "–".into() };
    let bound = |name: &str| case.and_then(|case| case.number(name)).map(|bound| bound * 100.0);
    match (bound(RATIO_LOW), bound(RATIO_HIGH)) {
        (Some(low), Some(high)) if high > TOO_WIDE * low => format!("{:.0} % (not sure at all)", ratio * 100.0),
        (Some(low), Some(high)) => format!("{:.1} % ({low:.1} to {high:.1})", ratio * 100.0),
        _ => format!("{:.1} %", ratio * 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(prefill: &[(u32, f64)]) -> Vec<Case> {
        let base =
            Case { runtime: TUICHAT.into(), model_filename: "/m/a.gguf".into(), n_threads: 4, ..Case::default() };
        let measured = Measured {
            name: "llama-bench".into(),
            version: Some("1 (abc)".into()),
            prefill: prefill.to_vec(),
            decode: vec![(1, 10.0), (2, 10.0)],
            prompt: 512,
            written: 128,
            problem: None,
        };
        let (ours, own) = ([100.0, 100.0], [20.0, 20.0]);
        of(&measured, Beside { base: &base, prefill: ("pp512", &ours), decode: ("tg128", &own) })
    }

    #[test]
    fn a_peer_has_cases_like_our_own_with_the_ratio() {
        let cases = cases(&[(1, 101.0), (2, 103.0)]);
        let [prompt, answer] = &cases[..] else { panic!("{cases:?}") };
        assert_eq!((prompt.runtime.as_str(), prompt.test.as_str(), prompt.n_prompt), ("llama-bench", "pp512", 512));
        assert_eq!((answer.n_gen, answer.avg_ts, answer.number(RATIO)), (128, Some(10.0), Some(0.5)));
        assert_eq!(prompt.key, "a.gguf: llama-bench, pp512");
        let all: Vec<&Case> = cases.iter().collect();
        let table = table(&all);
        assert!(table.contains("102.0 % (") && table.contains("50.0 % (50.0 to 50.0)"), "{table}");
        assert!(table.contains("1 (abc)") && table.contains("asked for 4 threads"), "{table}");
    }

    #[test]
    fn what_a_peer_did_not_do_is_no_case() {
        let unsure = self::cases(&[(1, 10.0), (2, 900.0)]);
        assert!(table(&unsure.iter().collect::<Vec<_>>()).contains("95 % (not sure at all)"));
        let cases = cases(&[]);
        assert_eq!(cases.len(), 1);
        assert_eq!(table(&[]), "");
        assert!(cases.iter().all(is_peer) && !is_peer(&Case { runtime: TUICHAT.into(), ..Case::default() }));
    }
}
