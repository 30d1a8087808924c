//! The results as a run's cases tell them.

use serde::de::DeserializeOwned;

use super::continuation::Row as Continued;
use super::needles::Setup;
use super::policy::{Budget, Policy};
use super::speed::Row as Timed;
use super::{Knowledge, Results};
use crate::bench::record::{Case, Run};
use crate::bench::report::subject_of;

/// What each model of a run of this suite came to.
pub fn of(run: &Run) -> Vec<Results> {
    let of_model = |cases: Vec<&Case>| {
        let mut results = Results::of(&subject_of(cases[0]));
        cases.into_iter().for_each(|case| add(&mut results, case));
        results
    };
    run.by_model().into_iter().map(of_model).collect()
}

/// A case of a later version is passed over.
fn add(results: &mut Results, case: &Case) {
    let Some(policy) = value::<Policy>(case, "policy") else { return };
    let Some(budget) = case.number("budget_percent").and_then(Budget::of_percent) else { return };
    let bytes = case.kv_bytes.unwrap_or_default();
    match case.test.as_str() {
        "needle" => {
            let Some(question) = value::<Knowledge>(case, "question") else { return };
            let recall = value(case, "recall").unwrap_or(false);
            let is_exact = value(case, "is_exact").unwrap_or(false);
            results.needles.add(Setup { policy, budget, question, recall }, u32::from(is_exact), 1, bytes);
        }
        "continuation" => {
            let summary = serde_json::to_value(&case.rest).and_then(serde_json::from_value);
            results.continuations.put(Continued { policy, budget, bytes, summary: summary.unwrap_or_default() });
        }
        _ => {
            let cells = case.number("n_cells").unwrap_or_default() as usize;
            let row =
                Timed { policy, budget, depth: case.n_depth, cells, bytes, prefill: Vec::new(), decode: Vec::new() };
            let row = results.speeds.row(row);
            let samples = if case.n_prompt > 0 { &mut row.prefill } else { &mut row.decode };
            samples.extend(&case.samples_ts);
        }
    }
}

fn value<T: DeserializeOwned>(case: &Case, name: &str) -> Option<T> {
    serde_json::from_value(case.rest.get(name)?.clone()).ok()
}
