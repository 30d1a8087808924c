//! The results as a run's cases tell them.

use serde::de::DeserializeOwned;

use super::{Class, Results, Way, answers, fuzzy, steps};
use crate::bench::record::{Case, Run};
use crate::bench::report::subject_of;

/// What each model of a run of this suite came to.
pub fn of(run: &Run) -> Vec<Results> {
    let of_model = |cases: Vec<&Case>| {
        let mut results = Results::of(&subject_of(cases[0]));
        cases.into_iter().for_each(|case| {
            // A case of a later version is passed over.
            let _ = add(&mut results, case);
        });
        results
    };
    run.by_model().into_iter().map(of_model).collect()
}

fn add(results: &mut Results, case: &Case) -> Option<()> {
    let count = |name: &str| case.number(name).unwrap_or_default() as u32;
    let numbers = |name: &str| value::<Vec<f64>>(case, name).unwrap_or_default();
    match case.test.as_str() {
        "step" => results.steps.push(steps::Row {
            depth: case.n_depth,
            tokens: count("n_tokens") as usize,
            single: vec![case.number("avg_single_ms")? / 1000.0],
            ratios: numbers("samples_ratio"),
        }),
        "answer" => results.answers.push(answers::Row {
            class: value::<Class>(case, "task")?,
            way: value::<Way>(case, "spec")?,
            speeds: case.samples_ts.clone(),
            gains: numbers("samples_gain"),
            drafted: count("n_drafted"),
            accepted: count("n_accepted"),
            written: case.n_gen,
            same: count("n_same_text"),
        }),
        "fuzzy" => results.fuzzy.push(fuzzy::Row {
            way: value::<Way>(case, "spec")?,
            threshold: case.number("fuzzy")? as f32,
            right: count("n_right"),
            fields: count("n_fields"),
            speeds: case.avg_ts.into_iter().collect(),
            gains: numbers("samples_gain"),
            drafted: count("n_drafted"),
            accepted: count("n_accepted"),
        }),
        _ => {}
    }
    Some(())
}

fn value<T: DeserializeOwned>(case: &Case, name: &str) -> Option<T> {
    serde_json::from_value(case.rest.get(name)?.clone()).ok()
}
