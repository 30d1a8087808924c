//! The curve as people read it: its coefficients, how far it is off, and what it says of usual questions.

use serde_json::Value;

use super::{CURVE, TRUSTED};
use crate::bench::record::{Case, Run};
use crate::bench::speed::{title, trusted};
use crate::bench::table::Table;
use crate::models::fit::{Curve, USUAL};

/// All that a run of this suite came to.
pub fn render(run: &Run) -> String {
    let mut parts = Vec::new();
    for cases in run.by_model() {
        let whole = cases.iter().find(|case| case.test == CURVE);
        let curve = whole.and_then(|case| serde_json::from_value(Value::Object(case.rest.clone())).ok());
        if let Some((case, curve)) = whole.zip(curve) {
            let parts_of = [usual(&curve, &cases), unseen(&cases) + &trust(case) + "\n", coefficients(&curve)];
            parts.push(title(case) + &parts_of.join("\n"));
        }
    }
    parts.join("\n") + &trusted(run)
}

fn coefficients(curve: &Curve) -> String {
    let mut table = Table::new(["seconds", ""]);
    for (name, value) in [
        ("a, for a request", curve.start_seconds),
        ("b, for each token of the prompt", curve.prompt_token_seconds),
        ("c, for its square", curve.prompt_square_seconds),
        ("d, for each token of the answer", curve.written_token_seconds),
        ("e, for each cell that one of these reads", curve.written_place_seconds),
    ] {
        table.push(vec![name.into(), format!("{value:.3e}")]);
    }
    format!(
        "a prompt of p tokens and an answer of o that reads n KV cells take a + b p + c p² + d o + e n\n{}",
        table.render()
    )
}

fn unseen(cases: &[&Case]) -> String {
    let mut table = Table::new(["not shown to the curve", "undisturbed", "predicted", "off by", "as it was"]);
    for case in cases.iter().filter(|case| case.rest.get("was_shown") == Some(&Value::Bool(false))) {
        let number = |name: &str| case.number(name).unwrap_or_default();
        let measured = number("prompt_seconds") + number("written_seconds");
        let predicted = number("predicted_seconds");
        table.push(vec![
            format!("{} and {} tokens", case.n_prompt, case.n_gen),
            format!("{measured:.2} s"),
            format!("{predicted:.2} s"),
            format!("{:.1} %", (predicted / measured - 1.0).abs() * 100.0),
            case.number("median_seconds").map_or_else(String::new, |median| format!("{median:.2} s")),
        ]);
    }
    table.render()
}

fn usual(curve: &Curve, cases: &[&Case]) -> String {
    let mut table = Table::new(["predicted", "tokens", "first token", "whole"]);
    for request in &USUAL {
        let (first, whole) = curve.of(request);
        table.push(vec![
            request.name.into(),
            format!("{} and {}", request.prompt, request.written),
            format!("{first:.2} s"),
            format!("{whole:.1} s"),
        ]);
    }
    let longest = |tokens: fn(&Case) -> u32| cases.iter().map(|case| tokens(case)).max().unwrap_or_default();
    format!(
        "{}the longest that were timed: a prompt of {} tokens, an answer of {}; beyond them the curve is carried on\n",
        table.render(),
        longest(|case| case.n_prompt),
        longest(|case| case.n_gen)
    )
}

fn trust(case: &Case) -> String {
    let error = case.number("median_error").unwrap_or_default();
    let sentence = if case.rest.get("is_remembered") == Some(&Value::Bool(true)) {
        "it is remembered: `tuichat models show` and the chat tell times by the last such curve"
    } else if error > TRUSTED {
        "it is not remembered; try again when the machine is idle"
    } else {
        "it is not remembered, since chats compute with other threads"
    };
    format!("of these, half are off by at most {:.1} %; {sentence}", error * 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::record::tests::{case, empty};

    #[test]
    fn the_page_tells_the_curve_how_far_it_is_off_and_what_usual_requests_take() {
        let with = |key: &str, rest: Value| {
            let Value::Object(rest) = rest else { unreachable!("an object") };
            Case { test: key.into(), rest, model_type: "llama 134.52 M Q4_1".into(), n_threads: 2, ..case(key) }
        };
        let mut run = empty("fit");
        let pair = serde_json::json!({
            "prompt_seconds": 0.5, "written_seconds": 0.5, "median_seconds": 1.104, "predicted_seconds": 1.012,
            "was_shown": false
        });
        run.cases.push(Case { n_prompt: 100, n_gen: 10, ..with("pp100+tg10", pair) });
        let curve = Curve {
            start_seconds: 0.01,
            prompt_token_seconds: 0.005,
            prompt_square_seconds: 1e-7,
            written_token_seconds: 0.05,
            written_place_seconds: 1e-6,
        };
        let mut whole = serde_json::to_value(curve).unwrap();
        whole["median_error"] = 0.012.into();
        whole["is_remembered"] = true.into();
        run.cases.push(Case { n_prompt: 0, n_gen: 0, ..with(CURVE, whole) });
        insta::assert_snapshot!(render(&run));
    }
}
