//! The events in which a server streams an answer: `data: {…}`, one a line, and `data: [DONE]` at the end.

use serde_json::Value;

use super::http::said_of;
use crate::chat::Ended;

/// What a line of the stream means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delta {
    /// What is added to the answer, and to the thoughts before it.
    pub answer: String,
    pub thoughts: String,
    pub ended: Option<Ended>,
    pub figures: Figures,
}

/// What the server counts and times. What it does not tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    pub prompt_tokens: Option<u32>,
    pub cached_tokens: Option<u32>,
    pub completion_tokens: Option<u32>,
    /// Milliseconds of prefill, as llama-server tells them.
    pub prefill_ms: Option<f64>,
}

impl Figures {
    /// What is known once `next` is known, too.
    pub fn with(self, next: Self) -> Self {
        Self {
            prompt_tokens: next.prompt_tokens.or(self.prompt_tokens),
            cached_tokens: next.cached_tokens.or(self.cached_tokens),
            completion_tokens: next.completion_tokens.or(self.completion_tokens),
            prefill_ms: next.prefill_ms.or(self.prefill_ms),
        }
    }
}

/// A line of the stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// A comment, an empty line, or a field that says nothing of the answer.
    Nothing,
    Delta(Box<Delta>),
    Done,
    /// What the server says of a mistake of its own.
    Mistake(String),
    /// No event at all.
    Strange,
}

/// Reads a line.
pub fn read(line: &str) -> Line {
    let line = line.trim();
    let Some(data) = line.strip_prefix("data:").map(str::trim) else { return beside_data(line) };
    if data == "[DONE]" {
        return Line::Done;
    }
    match serde_json::from_str::<Value>(data) {
        Ok(event @ Value::Object(_)) => of_event(&event),
        _ => Line::Strange,
    }
}

/// A line without data: what the protocol knows of, or a mistake that is told as plain JSON.
fn beside_data(line: &str) -> Line {
    let field = ["event:", "id:", "retry:", ":"].iter().any(|field| line.starts_with(field));
    if field || line.is_empty() {
        return Line::Nothing;
    }
    let object = line.strip_prefix("error:").unwrap_or(line).trim();
    match serde_json::from_str::<Value>(object).ok().and_then(|error| said_of(&error)) {
        Some(said) => Line::Mistake(said),
        None => Line::Strange,
    }
}

fn of_event(event: &Value) -> Line {
    if event.get("error").is_some_and(|error| !error.is_null()) {
        return Line::Mistake(said_of(event).unwrap_or_else(|| "an error without a word".into()));
    }
    let is_chunk = ["choices", "usage", "timings"].iter().any(|key| event.get(key).is_some());
    if !is_chunk {
        return said_of(event).map_or(Line::Strange, Line::Mistake);
    }
    let choice = event.pointer("/choices/0");
    let text = |key: &str| choice.and_then(|choice| choice.get("delta")?.get(key)?.as_str()).unwrap_or_default();
    let thoughts = [text("reasoning_content"), text("reasoning")];
    let ended = choice.and_then(|choice| choice.get("finish_reason")?.as_str()).map(ended);
    Line::Delta(Box::new(Delta {
        answer: text("content").to_owned(),
        thoughts: thoughts.into_iter().find(|text| !text.is_empty()).unwrap_or_default().to_owned(),
        ended,
        figures: figures(event),
    }))
}

fn ended(reason: &str) -> Ended {
    if reason == "length" { Ended::Length } else { Ended::Stop }
}

fn figures(event: &Value) -> Figures {
    let count = |place: &str| event.pointer(place).and_then(Value::as_u64).and_then(|count| u32::try_from(count).ok());
    // llama-server counts what it computed apart from what it had.
    let (computed, cached) = (count("/timings/prompt_n"), count("/timings/cache_n"));
    Figures {
        prompt_tokens: count("/usage/prompt_tokens").or(computed.map(|tokens| tokens + cached.unwrap_or(0))),
        cached_tokens: count("/usage/prompt_tokens_details/cached_tokens").or(cached),
        completion_tokens: count("/usage/completion_tokens").or(count("/timings/predicted_n")),
        prefill_ms: event.pointer("/timings/prompt_ms").and_then(Value::as_f64).filter(|ms| *ms >= 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delta(line: &str) -> Delta {
        match read(line) {
            Line::Delta(delta) => *delta,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn text_and_thoughts_are_told_apart() {
        assert_eq!(
            delta(r#"data: {"choices": [{"delta": {"role": "assistant", "content": null}}]}"#),
            Delta::default()
        );
        assert_eq!(delta(r#"data: {"choices": [{"delta": {"content": "Hi"}}]}"#).answer, "Hi");
        for key in ["reasoning_content", "reasoning"] {
            let line = format!(r#"data: {{"choices": [{{"delta": {{"{key}": "hm", "content": ""}}}}]}}"#);
            assert_eq!((delta(&line).thoughts.as_str(), delta(&line).answer.as_str()), ("hm", ""));
        }
    }

    #[test]
    fn the_end_says_why() {
        for (reason, ended) in [("stop", Ended::Stop), ("length", Ended::Length), ("eos", Ended::Stop)] {
            let line = format!(r#"data: {{"choices": [{{"delta": {{}}, "finish_reason": "{reason}"}}]}}"#);
            assert_eq!(delta(&line).ended, Some(ended));
        }
        assert_eq!(read("data: [DONE]"), Line::Done);
    }

    #[test]
    fn figures_are_taken_in_the_forms_of_both_servers() {
        let vllm = delta(
            r#"data: {"choices": [], "usage": {"prompt_tokens": 30, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 16}}}"#,
        );
        let expected =
            Figures { prompt_tokens: Some(30), cached_tokens: Some(16), completion_tokens: Some(5), prefill_ms: None };
        assert_eq!(vllm.figures, expected);
        let llama = delta(
            r#"data: {"choices": [{"delta": {}, "finish_reason": "stop"}], "timings": {"cache_n": 10, "prompt_n": 20, "prompt_ms": 40.5, "predicted_n": 5}}"#,
        );
        let expected = Figures { cached_tokens: Some(10), prefill_ms: Some(40.5), ..expected };
        assert_eq!(llama.figures, expected);
        assert_eq!(expected.with(Figures::default()), expected);
    }

    #[test]
    fn what_is_no_answer_is_told_from_what_says_nothing() {
        for line in ["", ": ping", "event: message", "id: 7", "retry: 100"] {
            assert_eq!(read(line), Line::Nothing, "{line}");
        }
        for line in ["<html>", "data: {\"choices\": [", "data: 7", "data: {}", "data: hello"] {
            assert_eq!(read(line), Line::Strange, "{line}");
        }
        for line in [
            r#"data: {"error": {"code": 500, "message": "no slot"}}"#,
            r#"error: {"code": 500, "message": "no slot"}"#,
            r#"{"error": "no slot"}"#,
            r#"data: {"object": "error", "message": "no slot"}"#,
        ] {
            assert_eq!(read(line), Line::Mistake("no slot".into()), "{line}");
        }
    }
}
