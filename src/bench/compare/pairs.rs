//! Which case of one run is which of another: the same test of the same model with as many threads and the same KV types.
//! Who computed it may differ; that is what is compared.

use std::path::Path;

use crate::bench::record::Case;
use crate::bench::reports::is_anchor;

/// What two cases must have alike where both tell it.
const MUST_AGREE: [&str; 9] =
    ["cores", "task", "policy", "budget_percent", "way", "class", "phase", "batch", "prompt_type"];

/// Cases of two runs that belong together, in the order of the second, and those that have no other.
#[derive(Clone, Debug, Default)]
pub struct Pairs<'a> {
    pub pairs: Vec<(&'a Case, &'a Case)>,
    pub only_in_first: Vec<&'a Case>,
    pub only_in_second: Vec<&'a Case>,
}

impl<'a> Pairs<'a> {
    /// Cases without a speed are left out.
    pub fn of(first: &'a [Case], second: &'a [Case]) -> Self {
        let timed = |cases: &'a [Case]| {
            cases.iter().filter(|case| case.avg_ts.is_some() && !is_anchor(case)).collect::<Vec<_>>()
        };
        let (mut left, mut pairs) = (timed(first), Self::default());
        for case in timed(second) {
            let matches = left.iter().enumerate().filter_map(|(place, other)| Some((place, likeness(other, case)?)));
            // The first of those that are as good.
            match matches.rev().max_by_key(|(_, likeness)| *likeness) {
                Some((place, _)) => pairs.pairs.push((left.remove(place), case)),
                None => pairs.only_in_second.push(case),
            }
        }
        pairs.only_in_first = left;
        pairs
    }
}

/// How well two cases go together; `None` if they do not.
fn likeness(one: &Case, other: &Case) -> Option<u32> {
    let model = same_model(one, other)?;
    let tokens = |case: &Case| (case.n_prompt, case.n_gen, case.n_depth);
    let agrees = |name: &&str| match (one.rest.get(*name), other.rest.get(*name)) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    };
    let is_same = tokens(one) == tokens(other)
        && (one.n_threads == other.n_threads)
        && types(one) == types(other)
        && MUST_AGREE.iter().all(agrees);
    let alike = MUST_AGREE.iter().filter(|name| one.rest.get(**name) == other.rest.get(**name)).count() as u32;
    is_same.then(|| 100 * model + 20 * u32::from(one.runtime == other.runtime) + alike)
}

/// By the name of its file; files of other names with as many weights in as many bytes are taken for the same, too.
fn same_model(one: &Case, other: &Case) -> Option<u32> {
    let name = |case: &Case| Path::new(case.model()).to_owned();
    let weights = |case: &Case| (case.model_size, case.model_n_params);
    match (name(one) == name(other), weights(one) == weights(other) && one.model_size > 0) {
        (true, true) => Some(2),
        (true, false) if one.model_size == 0 || other.model_size == 0 => Some(1),
        // The same name, and another model.
        (true, false) => None,
        (false, true) => Some(0),
        (false, false) => None,
    }
}

/// What is not said is what is usual.
fn types(case: &Case) -> [&str; 2] {
    [&case.type_k, &case.type_v].map(|kv_type| kv_type.as_deref().unwrap_or("f16"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::reports::examples::case;

    fn tg(change: impl Fn(&mut Case)) -> Case {
        let mut case = case("tg128", (0, 128, 0), &[10.0, 11.0]);
        change(&mut case);
        case
    }

    fn is_pair(one: &Case, other: &Case) -> bool {
        !Pairs::of(std::slice::from_ref(one), std::slice::from_ref(other)).pairs.is_empty()
    }

    #[test]
    fn the_same_test_of_the_same_model_is_a_pair_whoever_computed_it_and_wherever_the_file_lies() {
        let ours = tg(|_| {});
        assert!(is_pair(&ours, &tg(|case| case.runtime = "llama-bench".into())));
        assert!(is_pair(&ours, &tg(|case| case.model_filename = "/other/place/tiny-Q4_0.gguf".into())));
        assert!(is_pair(&ours, &tg(|case| case.model_filename = "sha256-1234".into())));
        assert!(is_pair(&ours, &tg(|case| (case.type_k, case.type_v) = (None, None))));
    }

    #[test]
    fn another_model_depth_number_of_threads_kv_type_or_set_of_cores_is_none() {
        let ours = tg(|case| drop(case.rest.insert("cores".into(), "big".into())));
        let others = [
            tg(|case| (case.model_filename, case.model_size) = ("other.gguf".into(), 1)),
            tg(|case| case.model_size = 1),
            tg(|case| case.n_depth = 512),
            tg(|case| case.n_threads = 4),
            tg(|case| case.type_k = Some("q8_0".into())),
            tg(|case| drop(case.rest.insert("cores".into(), "little".into()))),
        ];
        others.iter().for_each(|other| assert!(!is_pair(&ours, other), "{other:?}"));
    }

    #[test]
    fn each_case_has_one_other_the_most_alike_and_the_rest_is_named() {
        let peer = |case: &mut Case| case.runtime = "ollama".into();
        let (first, second) = ([tg(peer), tg(|_| {}), tg(|case| case.n_depth = 9)], [tg(|_| {}), tg(peer), tg(|_| {})]);
        let pairs = Pairs::of(&first, &second);
        assert_eq!(pairs.pairs.len(), 2);
        assert!(pairs.pairs.iter().all(|(one, other)| one.runtime == other.runtime));
        assert_eq!((pairs.only_in_first.len(), pairs.only_in_second.len()), (1, 1));
    }
}
