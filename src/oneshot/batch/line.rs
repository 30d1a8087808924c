//! The line that a batch writes for an item. Its keys are those of `-o json`, and as much of a contract.

use serde::Serialize;
use serde_json::Value;

use crate::chat::Repetition;
use crate::engine::protocol::Weighed;
use crate::oneshot::report::{self, Report, ToldUsage};

#[derive(Serialize)]
struct Line<'r> {
    schema: u32,
    id: &'r Value,
    text: &'r str,
    thinking: Option<&'r str>,
    logprobs: Option<&'r [Weighed]>,
    finish_reason: &'static str,
    repetition: Option<Repetition>,
    error: Option<&'r report::Error>,
    seed: Option<u32>,
    usage: Option<ToldUsage>,
    timings: Option<Timings>,
}

/// What is of one item among those that are computed beside it.
#[derive(Serialize)]
struct Timings {
    prefill_ms: Option<f64>,
    time_to_first_token_ms: f64,
    decode_ms: f64,
    prefill_tokens_per_second: Option<f64>,
    decode_tokens_per_second: Option<f64>,
}

/// The line for an item, with its end.
pub fn of(id: &Value, report: &Report) -> String {
    let line = Line {
        schema: report.schema,
        id,
        text: &report.text,
        thinking: report.thinking.as_deref(),
        logprobs: report.logprobs.as_deref(),
        finish_reason: report.finish_reason,
        repetition: report.repetition,
        error: report.error.as_ref(),
        seed: report.seed,
        usage: report.usage,
        timings: report.timings.as_ref().map(|timings| Timings {
            prefill_ms: timings.prefill_ms,
            time_to_first_token_ms: timings.time_to_first_token_ms,
            decode_ms: timings.decode_ms,
            prefill_tokens_per_second: timings.prefill_tokens_per_second,
            decode_tokens_per_second: timings.decode_tokens_per_second,
        }),
    };
    let mut text = serde_json::to_string(&line).expect("the keys are strings, and no number is out of range");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Failure;

    #[test]
    fn every_key_is_there_whatever_is_known() {
        let mut report = Report::default();
        report.set_failure(&Failure::usage("the item has no `prompt`"));
        let line = of(&"x".into(), &report);
        let object: Value = serde_json::from_str(&line).unwrap();
        let keys = [
            "schema",
            "id",
            "text",
            "thinking",
            "logprobs",
            "finish_reason",
            "repetition",
            "error",
            "seed",
            "usage",
            "timings",
        ];
        assert_eq!(object.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>(), keys);
        assert_eq!((&object["error"]["exit_code"], &object["finish_reason"]), (&Value::from(2), &"error".into()));
        assert!(line.ends_with("}\n") && line.lines().count() == 1);
    }
}
