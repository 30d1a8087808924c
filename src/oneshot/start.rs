//! What the time from the start of the program to the first token went into: what `--verbose` tells.

use std::time::{Duration, Instant};

use crate::chat::Stats;
use crate::engine::protocol::ModelInfo;
use crate::hardware::memory;
use crate::text::mebibytes;

/// Parts that took less are not worth a word.
const LEAST_MS: f64 = 0.5;

/// Times of a run, as they pass.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// When the program began.
    pub began: Instant,
    /// When the engine was asked to load the model.
    pub asked: Option<Instant>,
    /// When the first token came.
    pub first_token: Option<Instant>,
}

impl Start {
    /// The program begins now.
    pub fn now() -> Self {
        Self { began: Instant::now(), asked: None, first_token: None }
    }

    /// A line about it. The parts do not add up to the whole: events take their time from thread to thread.
    pub fn line(&self, model: &ModelInfo, stats: &Stats) -> String {
        let since = |moment: Instant| milliseconds(moment - self.began);
        let program = self.asked.map(|asked| ("program", since(asked)));
        let load = model.load_parts.iter().map(|part| (part.what, part.ms));
        let computed = stats.usage.prompt_tokens.saturating_sub(stats.usage.cached_prompt_tokens);
        let prompt = [("prompt", stats.timings.prefill_ms)];
        let parts: Vec<String> = program
            .into_iter()
            .chain(load)
            .chain(prompt)
            .filter(|(_, ms)| *ms >= LEAST_MS)
            .map(|(what, ms)| format!("{what} {ms:.0}"))
            .collect();
        let first = self.first_token.map(|first| format!("first token after {:.0} ms", since(first)));
        let memory = memory::peak_bytes().map(|bytes| format!("; at most {} of memory", mebibytes(bytes)));
        format!(
            "{}: {} ms, the prompt of {computed} tokens{}{}",
            first.unwrap_or_else(|| "no token came".into()),
            parts.join(", "),
            memory.unwrap_or_default(),
            model.device.as_ref().map(|device| format!("; {}", device.repack_reason)).unwrap_or_default()
        )
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
