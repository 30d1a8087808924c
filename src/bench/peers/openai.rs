//! A server that completes texts as OpenAI's does: llama-server, ik_llama.cpp's, vLLM and others. What it says of its
//! times counts, as llama-server does; else they are taken here, from the lines in which its answer comes.

use std::time::Instant;

use serde_json::{Value, json};

use super::client::{Client, Refusal};
use super::which::Server;
use super::{Peer, Problem, Round, Task, Timed};
use crate::engine::protocol::CancelFlag;
use crate::text::escape_line;

const COMPLETIONS: &str = "v1/completions";

pub struct OpenAi {
    client: Client,
    model: Option<String>,
    version: Option<String>,
    /// What the server takes, as far as it was tried.
    takes: Takes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Takes {
    /// A prompt as a list of tokens, not as text.
    tokens: bool,
    /// Words that not every server knows: not to end by itself, and to begin anew.
    more: bool,
}

/// From the fullest request to the plainest.
const WAYS: [Takes; 4] = [
    Takes { tokens: true, more: true },
    Takes { tokens: true, more: false },
    Takes { tokens: false, more: true },
    Takes { tokens: false, more: false },
];

/// What came of a completion.
#[derive(Debug, Default)]
struct Completed {
    /// When its pieces came.
    first: Option<Instant>,
    last: Option<Instant>,
    pieces: u32,
    prompt_tokens: Option<u32>,
    completion_tokens: Option<u32>,
    /// The server's own figures: tokens and milliseconds.
    prompt: Option<(u32, f64)>,
    predicted: Option<(u32, f64)>,
    /// It said that it was done.
    is_whole: bool,
    /// What it said of a mistake in the middle.
    mistake: Option<String>,
}

impl OpenAi {
    pub fn new(server: &Server) -> Result<Self, Problem> {
        Ok(Self { client: Client::new(server)?, model: server.model.clone(), version: None, takes: WAYS[0] })
    }

    /// Chooses among its models, and compares that with the file as far as the server tells of it.
    fn choose(&mut self, task: &Task, cancel: &CancelFlag, notes: &mut Vec<String>) -> Result<(), Problem> {
        let list = match self.client.get("v1/models", cancel) {
            Ok(list) => list,
            Err(Refusal::Status { .. }) if self.model.is_some() => return Ok(()),
            Err(refusal) => return Err(refusal.into()),
        };
        let models = list.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let id = |model: &Value| model.get("id").and_then(Value::as_str).map(str::to_owned);
        let model = match (&self.model, models) {
            (Some(name), _) => models.iter().find(|model| id(model).as_ref() == Some(name)),
            (None, [model]) => Some(model),
            (None, []) => return Err(Problem::Failed("it has no model".into())),
            (None, several) => {
                let names: Vec<String> = several.iter().filter_map(id).map(|id| escape_line(&id)).collect();
                let names = names.join(", ");
                return Err(Problem::Failed(format!(
                    "it has several models ({names}); name one with `openai=URL#NAME`"
                )));
            }
        };
        self.model = model.and_then(id).or(self.model.take());
        let shown = escape_line(self.model.as_deref().unwrap_or_default());
        let meta = |key: &str| model?.get("meta")?.get(key)?.as_u64();
        match (meta("n_params"), meta("size")) {
            (Some(parameters), _) if parameters != task.parameters => Err(Problem::Failed(format!(
                "its `{shown}` is another model: it has {parameters} parameters, and this one {}",
                task.parameters
            ))),
            (Some(_), Some(bytes)) if bytes.abs_diff(task.bytes) > task.bytes / 100 => Err(Problem::Failed(format!(
                "its `{shown}` is this model in another quantization: its weights have {bytes} bytes, and these {}",
                task.bytes
            ))),
            (Some(_), _) => Ok(()),
            (None, _) => {
                notes.push(format!("note: whether `{shown}` is made of the same file cannot be told"));
                Ok(())
            }
        }
    }

    fn request(&self, task: &Task, number: u32, prompt: u32, written: u32) -> Value {
        // Another beginning each time: servers keep what they computed of the last prompts.
        let from = 1 + 17 * number as usize;
        let prompt: Value = if self.takes.tokens {
            task.tokens.iter().cycle().skip(from).take(prompt as usize).copied().collect()
        } else {
            let share = f64::from(prompt) / task.tokens.len().max(1) as f64;
            let characters = ((task.text.chars().count() as f64 * share) as usize).max(1);
            task.text.chars().cycle().skip(5 * from).take(characters).collect::<String>().into()
        };
        let mut body = json!({
            "model": self.model, "prompt": prompt, "max_tokens": written, "temperature": 0, "stream": true,
            "stream_options": {"include_usage": true},
        });
        if self.takes.more {
            body["ignore_eos"] = true.into();
            body["cache_prompt"] = false.into();
        }
        body
    }

    fn complete(&self, body: &Value, cancel: &CancelFlag) -> Result<(Completed, Instant), Refusal> {
        let mut completed = Completed::default();
        let began = Instant::now();
        self.client.stream(COMPLETIONS, body, cancel, |line, now| completed.take(line, now))?;
        match completed.mistake.take() {
            Some(mistake) => Err(Refusal::Strange(format!("it broke off: {mistake}"))),
            None if !completed.is_whole => Err(Refusal::Strange("it broke off in the middle of an answer".into())),
            None => Ok((completed, began)),
        }
    }

    /// Finds the fullest request that the server takes.
    fn try_ways(&mut self, task: &Task, cancel: &CancelFlag) -> Result<(), Problem> {
        let mut last = None;
        for takes in WAYS {
            self.takes = takes;
            match self.complete(&self.request(task, 0, 8, 2), cancel) {
                Ok(_) => return Ok(()),
                Err(refusal @ Refusal::Status { status: 400 | 404 | 415 | 422, .. }) => last = Some(refusal),
                Err(refusal) => return Err(refusal.into()),
            }
        }
        Err(last.map_or_else(|| Problem::Failed("it takes no request".into()), Problem::from))
    }
}

impl Peer for OpenAi {
    fn begin(&mut self, task: &Task, cancel: &CancelFlag, notes: &mut Vec<String>) -> Result<(), Problem> {
        self.choose(task, cancel, notes)?;
        if let Ok(props) = self.client.get("props", cancel) {
            self.version = props.get("build_info").and_then(Value::as_str).map(escape_line);
        }
        self.try_ways(task, cancel)
    }

    fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    fn round(&mut self, task: &Task, number: u32, cancel: &CancelFlag) -> Result<Round, Problem> {
        let (read, began) = self.complete(&self.request(task, number, task.prompt, 1), cancel)?;
        let (wrote, _) = self.complete(&self.request(task, number, 1, task.written + 1), cancel)?;
        let (prefill, decode) = (read.prefill(began), wrote.decode());
        if prefill.and_then(Timed::speed).is_none() || decode.and_then(Timed::speed).is_none() {
            return Err(Problem::Failed("its answer has too few tokens to be timed".into()));
        }
        Ok(Round { prefill, decode })
    }
}

impl Completed {
    /// Takes a line of an answer: `data: {…}`.
    fn take(&mut self, line: &str, now: Instant) {
        let Some(data) = line.strip_prefix("data:").map(str::trim) else {
            self.mistake = self.mistake.take().or_else(|| mistake(line));
            return;
        };
        if data == "[DONE]" {
            self.is_whole = true;
            return;
        }
        let Ok(data) = serde_json::from_str::<Value>(data) else { return };
        self.mistake = self.mistake.take().or_else(|| mistake_of(&data));
        let choice = data.pointer("/choices/0");
        if choice.and_then(|choice| choice.get("text")?.as_str()).is_some_and(|text| !text.is_empty()) {
            self.first.get_or_insert(now);
            self.last = Some(now);
            self.pieces += 1;
        }
        self.is_whole |= choice.is_some_and(|choice| choice.get("finish_reason").is_some_and(Value::is_string));
        let count = |place: &str| data.pointer(place).and_then(Value::as_u64).map(|count| count as u32);
        self.prompt_tokens = count("/usage/prompt_tokens").or(self.prompt_tokens);
        self.completion_tokens = count("/usage/completion_tokens").or(self.completion_tokens);
        let timed = |tokens: &str, time: &str| Some((count(tokens)?, data.pointer(time)?.as_f64()?));
        self.prompt = timed("/timings/prompt_n", "/timings/prompt_ms").or(self.prompt);
        self.predicted = timed("/timings/predicted_n", "/timings/predicted_ms").or(self.predicted);
    }

    fn prefill(&self, began: Instant) -> Option<Timed> {
        if let Some((tokens, milliseconds)) = self.prompt {
            return Some(Timed { tokens, seconds: milliseconds / 1000.0 });
        }
        // A token may have no text, so the end of the answer is the latest that its first token can have come.
        let first = self.first?;
        Some(Timed { tokens: self.prompt_tokens?, seconds: (first - began).as_secs_f64() })
    }

    /// The first token is not counted: it is part of what the prompt took.
    fn decode(&self) -> Option<Timed> {
        if let Some((tokens, milliseconds)) = self.predicted {
            return Some(Timed { tokens: tokens.saturating_sub(1), seconds: milliseconds / 1000.0 });
        }
        let tokens = self.completion_tokens.unwrap_or(self.pieces).saturating_sub(1);
        Some(Timed { tokens, seconds: (self.last? - self.first?).as_secs_f64() })
    }
}

/// A mistake that is told in a line of its own.
fn mistake(line: &str) -> Option<String> {
    mistake_of(&serde_json::from_str(line.strip_prefix("error:").unwrap_or(line).trim()).ok()?)
}

fn mistake_of(data: &Value) -> Option<String> {
    let error = data.get("error").or_else(|| data.get("message").map(|_| data))?;
    let said = error.as_str().or_else(|| error.get("message")?.as_str())?;
    Some(escape_line(said).chars().take(200).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn completed(lines: &[(u64, &str)]) -> (Completed, Instant) {
        let began = Instant::now();
        let mut completed = Completed::default();
        for (milliseconds, line) in lines {
            completed.take(line, began + Duration::from_millis(*milliseconds));
        }
        (completed, began)
    }

    fn near(timed: Option<Timed>, tokens: u32, seconds: f64) {
        let timed = timed.unwrap();
        assert!(timed.tokens == tokens && (timed.seconds - seconds).abs() < 1e-9, "{timed:?}");
    }

    #[test]
    fn the_servers_own_times_count() {
        let (completed, began) = completed(&[
            (900, r#"data: {"choices": [{"text": "a", "finish_reason": null}]}"#),
            (
                999,
                r#"data: {"choices": [{"text": "", "finish_reason": "length"}], "timings": {"prompt_n": 512, "prompt_ms": 256.0, "predicted_n": 129, "predicted_ms": 640.0}}"#,
            ),
            (999, "data: [DONE]"),
        ]);
        assert!(completed.is_whole);
        near(completed.prefill(began), 512, 0.256);
        near(completed.decode(), 128, 0.64);
    }

    #[test]
    fn without_them_the_pieces_are_timed() {
        let (completed, began) = completed(&[
            (500, r#"data: {"choices": [{"text": "a", "finish_reason": null}]}"#),
            (600, r#"data: {"choices": [{"text": "b", "finish_reason": null}]}"#),
            (700, r#"data: {"choices": [{"text": "c", "finish_reason": "length"}]}"#),
            (700, r#"data: {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 5}}"#),
        ]);
        assert!(completed.is_whole);
        near(completed.prefill(began), 100, 0.5);
        near(completed.decode(), 4, 0.2);
    }

    #[test]
    fn an_answer_that_breaks_off_or_tells_nothing_is_none() {
        let (completed, began) = completed(&[(5, r#"data: {"choices": [{"text": "a"}]}"#)]);
        assert!(!completed.is_whole && completed.prefill(began).is_none());
        assert_eq!(completed.decode().and_then(Timed::speed), None);
        let (completed, _) = self::completed(&[(5, r#"error: {"code": 500, "message": "no slot"}"#)]);
        assert_eq!(completed.mistake.as_deref(), Some("no slot"));
    }
}
