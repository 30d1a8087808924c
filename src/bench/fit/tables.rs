//! The curve as people read it: its coefficients, how far it is off, and what it says of usual questions.

use super::{Fit, Results, seconds};
use crate::bench::table::Table;
use crate::models::fit::USUAL;

pub(super) fn render(results: &Results) -> String {
    let title = results.subject.title();
    let Some(fit) = &results.fit else { return title };
    format!("{title}{}\n{}\n{}{}\n", coefficients(fit), unseen(fit), usual(fit), trust(fit))
}

fn coefficients(fit: &Fit) -> String {
    let mut table = Table::new(["seconds", ""]);
    let curve = &fit.curve;
    for (name, value) in [
        ("a, for a request", curve.start_seconds),
        ("b, for each token of the prompt", curve.prompt_token_seconds),
        ("c, for its square", curve.prompt_square_seconds),
        ("d, for each token of the answer", curve.written_token_seconds),
        ("e, for each token before one of the answer", curve.written_place_seconds),
    ] {
        table.push(vec![name.into(), format!("{value:.3e}")]);
    }
    format!("a prompt of p tokens and an answer of o take a + b p + c p² + o (d + e (p + o/2))\n{}", table.render())
}

fn unseen(fit: &Fit) -> String {
    let mut table = Table::new(["not shown to the curve", "measured", "predicted", "off by"]);
    for (run, error) in fit.unseen.iter().zip(fit.errors()) {
        table.push(vec![
            format!("{} and {} tokens", run.prompt, run.written),
            format!("{:.2} s", seconds(run)),
            format!("{:.2} s", fit.curve.seconds(run.prompt, run.written)),
            format!("{:.1} %", error * 100.0),
        ]);
    }
    table.render()
}

fn usual(fit: &Fit) -> String {
    let mut table = Table::new(["predicted", "tokens", "first token", "whole"]);
    for request in &USUAL {
        let (first, whole) = fit.curve.of(request);
        table.push(vec![
            request.name.into(),
            format!("{} and {}", request.prompt, request.written),
            format!("{first:.2} s"),
            format!("{whole:.1} s"),
        ]);
    }
    table.render()
}

fn trust(fit: &Fit) -> String {
    let error = fit.median_error().unwrap_or_default() * 100.0;
    let sentence = if fit.is_remembered {
        "`tuichat models show` and the chat tell times by it"
    } else {
        "it is not remembered; try again when the machine is idle, with the threads of a chat"
    };
    format!("off by {error:.1} % in the middle of what it was not shown; {sentence}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::fit::{Curve, Timed};

    #[test]
    fn the_page_tells_the_curve_how_far_it_is_off_and_what_usual_requests_take() {
        let curve = Curve {
            start_seconds: 0.01,
            prompt_token_seconds: 0.005,
            prompt_square_seconds: 1e-7,
            written_token_seconds: 0.05,
            written_place_seconds: 1e-6,
        };
        let run = Timed { prompt: 100, written: 10, prompt_seconds: 0.5, written_seconds: 0.5 };
        let fit = Fit { curve, shown: Vec::new(), unseen: vec![run], is_remembered: true };
        let page = [coefficients(&fit), unseen(&fit), usual(&fit), trust(&fit)].concat();
        insta::assert_snapshot!(page);
    }
}
