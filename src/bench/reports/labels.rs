//! What tells cases apart that have the same test: said where they differ, and only there.

use crate::bench::record::Case;

use super::sections::{kv_types, model, policy};

/// Which things differ among cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    model: bool,
    runtime: bool,
    threads: bool,
    kv_types: bool,
    cores: bool,
    task: bool,
    policy: bool,
    guesses: bool,
    /// Of cases whose test does not say it.
    depth: bool,
}

impl Labels {
    pub fn of(cases: &[&Case]) -> Self {
        fn differ<T: PartialEq>(cases: &[&Case], of: impl Fn(&Case) -> T) -> bool {
            cases.windows(2).any(|pair| of(pair[0]) != of(pair[1]))
        }
        Self {
            model: differ(cases, model),
            runtime: differ(cases, |case| case.runtime.clone()),
            threads: differ(cases, |case| case.n_threads),
            kv_types: differ(cases, kv_types),
            cores: differ(cases, |case| case.text("cores").map(str::to_owned)),
            task: differ(cases, |case| case.text("task").map(str::to_owned)),
            policy: differ(cases, policy),
            depth: differ(cases, |case| case.text("policy").map(|_| case.n_depth)),
            guesses: differ(cases, |case| case.text("spec").map(str::to_owned)),
        }
    }

    /// Without the threads, where they are what a chart is about.
    pub fn without_threads(self) -> Self {
        Self { threads: false, ..self }
    }

    /// Without the tokens before, where they are what a chart is about.
    pub fn without_depth(self) -> Self {
        Self { depth: false, ..self }
    }

    /// What tells this case from the others, but for its test; empty if nothing does.
    pub fn name(&self, case: &Case) -> String {
        let cores = case.text("cores").map(|cores| format!("cores {cores}")).unwrap_or_default();
        let parts = [
            (self.task, case.text("task").unwrap_or_default().to_owned()),
            (self.model, model(case)),
            (self.runtime, case.runtime.clone()),
            (self.threads, threads(case.n_threads)),
            (self.cores, cores),
            (self.kv_types, kv_types(case).unwrap_or_default()),
            (self.policy, policy(case)),
            (self.depth, format!("behind {}", case.n_depth)),
            (self.guesses, case.text("spec").map(|way| format!("guesses {way}")).unwrap_or_default()),
        ];
        let parts = parts.into_iter().filter(|(differs, part)| *differs && !part.is_empty());
        parts.map(|(_, part)| part).collect::<Vec<_>>().join(", ")
    }
}

fn threads(count: u32) -> String {
    if count == 1 { "1 thread".into() } else { format!("{count} threads") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_said() {
        let case = |threads| Case { model_filename: "a/tiny.gguf".into(), n_threads: threads, ..Case::default() };
        let cases = [case(1), case(2)];
        let cases: Vec<&Case> = cases.iter().collect();
        let labels = Labels::of(&cases);
        assert_eq!((labels.name(cases[0]).as_str(), labels.name(cases[1]).as_str()), ("1 thread", "2 threads"));
        assert_eq!(labels.without_threads().name(cases[0]), "");
        assert_eq!(Labels::of(&cases[..1]).name(cases[0]), "");
        let rest = |policy: &str, percent: f64| {
            [("policy".to_owned(), policy.into()), ("budget_percent".to_owned(), percent.into())].into_iter().collect()
        };
        let cases =
            [("none", 100.0), ("score", 12.5)].map(|(policy, percent)| Case { rest: rest(policy, percent), ..case(1) });
        let cases: Vec<&Case> = cases.iter().collect();
        let labels = Labels::of(&cases);
        assert_eq!((labels.name(cases[0]).as_str(), labels.name(cases[1]).as_str()), ("none", "score 12.5 %"));
    }
}
