//! What guessing tokens brought: how long steps of several tokens take, and how many times as fast answers came.

use super::shapes::{self, Bar, Chart, Line, Spot};
use crate::bench::record::Case;
use crate::bench::reports::sections::model;
use crate::bench::svg::{COLOURS, Drawing};

/// The charts of each model.
pub fn of(cases: &[Case]) -> Vec<Drawing> {
    let mut models: Vec<String> = Vec::new();
    for case in cases {
        if !models.contains(&model(case)) {
            models.push(model(case));
        }
    }
    let of_model = |(number, name): (usize, &String)| {
        let cases: Vec<&Case> = cases.iter().filter(|case| model(case) == *name).collect();
        let name = if models.len() > 1 { format!(", {name}") } else { String::new() };
        [steps(number, &name, &cases), answers(number, &name, &cases)]
    };
    models.iter().enumerate().flat_map(of_model).flatten().collect()
}

/// A line for each depth.
fn steps(number: usize, name: &str, cases: &[&Case]) -> Option<Drawing> {
    let mut lines: Vec<(u32, Line)> = Vec::new();
    for case in cases.iter().filter(|case| case.test == "step") {
        let (Some(at), Some(ratio)) = (case.number("n_tokens"), case.number("avg_ratio")) else { continue };
        let spot = Spot { at, value: ratio, bounds: None, shown: format!("{ratio:.2}") };
        match lines.iter_mut().find(|(depth, _)| *depth == case.n_depth) {
            Some((_, line)) => line.spots.push(spot),
            None => {
                let colour = COLOURS[lines.len() % COLOURS.len()];
                let name = format!("behind {} tokens", case.n_depth);
                lines.push((case.n_depth, Line { name, colour, spots: vec![spot] }));
            }
        }
    }
    let lines: Vec<Line> = lines.into_iter().map(|(_, line)| line).collect();
    let chart = Chart {
        id: &format!("steps-{number}"),
        title: &format!("Time of a step, as a multiple of one token's{name}"),
        over: "tokens in a step",
        along: |tokens| format!("{tokens:.0}"),
    };
    shapes::lines(&chart, &lines)
}

/// A bar for each kind of task and each way to guess but none.
fn answers(number: usize, name: &str, cases: &[&Case]) -> Option<Drawing> {
    let bar = |case: &&&Case| {
        let (task, way, ratio) = (case.text("task")?, case.text("spec")?, case.number("ratio")?);
        let bounds = case.number("ratio_low").zip(case.number("ratio_high"));
        let shown = match bounds {
            Some((low, high)) => format!("× {ratio:.2} ({low:.2} to {high:.2})"),
            None => format!("× {ratio:.2}"),
        };
        Some(Bar { label: format!("{task}, {way}"), shown, value: ratio, bounds })
    };
    let guessed = cases.iter().filter(|case| case.test == "answer" && case.text("spec") != Some("off"));
    let bars: Vec<Bar> = guessed.filter_map(|case| bar(&case)).collect();
    let title = format!("Answers with guesses: times as fast as without{name}");
    shapes::bars(&format!("guesses-{number}"), &title, COLOURS[2], &bars)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn case(test: &str, n_depth: u32, rest: serde_json::Value) -> Case {
        let rest = rest.as_object().unwrap().clone();
        Case { test: test.into(), model_filename: "a.gguf".into(), n_depth, rest, ..Case::default() }
    }

    #[test]
    fn steps_are_lines_by_depth_and_answers_bars_by_task() {
        let step =
            |depth, tokens: u32, ratio: f64| case("step", depth, json!({"n_tokens": tokens, "avg_ratio": ratio}));
        let answer = |way: &str, ratio: f64| {
            let rest = json!({"task": "edit", "spec": way, "ratio": ratio, "ratio_low": 1.5, "ratio_high": 2.1});
            case("answer", 0, rest)
        };
        let cases = [step(256, 2, 1.2), step(256, 8, 2.5), step(2048, 2, 1.3), answer("off", 1.0), answer("auto", 1.8)];
        let drawings: Vec<String> = of(&cases).iter().map(Drawing::inline).collect();
        assert_eq!(drawings.len(), 2);
        assert!(drawings[0].contains("behind 256 tokens: 1.20 at 2, 2.50 at 8; behind 2048 tokens: 1.30 at 2."));
        assert_eq!(drawings[1].matches("bar\"").count(), 1, "{}", drawings[1]);
        assert!(drawings[1].contains("edit, auto: × 1.80 (1.50 to 2.10)."), "{}", drawings[1]);
        assert!(of(&[]).is_empty());
    }
}
