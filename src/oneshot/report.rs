//! The object of `-o json`. Its keys are a contract: they may be added, never renamed. A key is always there; it
//! is null where the run ended before its value was known.

use serde::Serialize;

use crate::chat::{DraftedBy, NotDrafted, Repetition, ServerTold, Stats, Usage};
use crate::engine::protocol::{Channel, DeviceInfo, Finish, ModelInfo, Passage, Piece, ServerInfo, Weighed};
use crate::exit::Failure;

/// What there is to say about one answer.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub schema: u32,
    pub text: String,
    /// The part of it that was asked for.
    pub extracted: Option<String>,
    pub thinking: Option<String>,
    /// What the model thought of each token, if that was asked for.
    pub logprobs: Option<Vec<Weighed>>,
    /// The saved chat that this is part of.
    pub chat: Option<i64>,
    pub finish_reason: &'static str,
    pub repetition: Option<Repetition>,
    pub error: Option<Error>,
    pub model: Option<Model>,
    pub seed: Option<u32>,
    pub usage: Option<ToldUsage>,
    pub timings: Option<Timings>,
    pub speculative: Option<Speculative>,
    /// Text that had left the KV cache and was put before the question again.
    pub recalled: Vec<Passage>,
    pub kv: Option<Kv>,
    pub device: Option<DeviceInfo>,
    /// The server that answered; null where this program did.
    pub server: Option<ToldServer>,
}

#[derive(Clone, Debug, Serialize)]
pub struct ToldServer {
    pub name: String,
    pub url: String,
    pub is_on_this_machine: bool,
    /// What answers there, and tokens that fit into its context; null where it does not say so.
    pub program: Option<String>,
    pub context: Option<u32>,
}

/// What an answer used. A server tells less than is known here, and what it does not tell is null.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ToldUsage {
    pub prompt_tokens: Option<u32>,
    pub cached_prompt_tokens: Option<u32>,
    pub kept_prompt_tokens: Option<u32>,
    pub completion_tokens: u32,
    pub evicted_tokens: Option<u32>,
}

impl From<&Stats> for ToldUsage {
    fn from(stats: &Stats) -> Self {
        let Usage { prompt_tokens, cached_prompt_tokens, kept_prompt_tokens, completion_tokens, evicted_tokens } =
            stats.usage;
        let is_told = |by_server: fn(ServerTold) -> bool| stats.by_server.is_none_or(by_server);
        Self {
            prompt_tokens: is_told(|told| told.prompt).then_some(prompt_tokens),
            cached_prompt_tokens: is_told(|told| told.cached).then_some(cached_prompt_tokens),
            kept_prompt_tokens: is_told(|_| false).then_some(kept_prompt_tokens),
            completion_tokens,
            evicted_tokens: is_told(|_| false).then_some(evicted_tokens),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Error {
    pub kind: &'static str,
    pub message: String,
    pub hint: Option<String>,
    pub exit_code: u8,
}

#[derive(Clone, Debug, Serialize)]
pub struct Model {
    pub name: String,
    /// Its file; of a server's model, what it is called there.
    pub path: String,
    pub sha256: Option<String>,
    pub quantization: Option<String>,
    pub parameters: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Timings {
    pub load_ms: f64,
    pub prefill_ms: Option<f64>,
    pub eviction_ms: Option<f64>,
    pub time_to_first_token_ms: f64,
    pub decode_ms: f64,
    pub prefill_tokens_per_second: Option<f64>,
    pub decode_tokens_per_second: Option<f64>,
    /// Page faults that waited for the disk; null where the system does not tell.
    pub major_faults: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Speculative {
    pub drafter: Option<&'static str>,
    pub drafted: u32,
    pub accepted: u32,
    pub decode_calls: u32,
    /// Calls of the model in which drafts were verified.
    pub verified_calls: u32,
    /// What all calls took, and what they would have taken without drafts, as far as is known.
    pub spent_ms: f64,
    pub plain_ms: f64,
    pub speedup: Option<f64>,
    pub fuzzy: f32,
    pub off_reason: Option<&'static str>,
}

#[derive(Clone, Debug, Serialize)]
pub struct Kv {
    pub type_k: String,
    pub type_v: String,
    pub cells: u32,
    pub cells_used: Option<u32>,
    pub bytes: u64,
    /// Tokens of the conversation that are not in the cache any more.
    pub evicted_tokens: Option<u32>,
    pub policy: String,
    pub reason: String,
}

impl Default for Report {
    /// A run of which nothing is known yet; should it end so, that is an error.
    fn default() -> Self {
        Self {
            schema: 1,
            text: String::new(),
            extracted: None,
            thinking: None,
            logprobs: None,
            chat: None,
            finish_reason: "error",
            repetition: None,
            error: None,
            model: None,
            seed: None,
            usage: None,
            timings: None,
            speculative: None,
            recalled: Vec::new(),
            kv: None,
            device: None,
            server: None,
        }
    }
}

impl Report {
    pub fn add_piece(&mut self, piece: &Piece) {
        match piece.channel {
            Channel::Answer => self.text.push_str(&piece.text),
            Channel::Thinking => self.thinking.get_or_insert_default().push_str(&piece.text),
        }
    }

    pub fn set_model(&mut self, model: &ModelInfo, sha256: Option<String>) {
        self.model = Some(Model {
            name: model.name.clone(),
            path: model.path.to_string_lossy().into_owned(),
            sha256,
            quantization: model.quantization.clone(),
            parameters: model.parameters,
        });
        self.kv = model.kv.as_ref().map(|kv| Kv {
            type_k: kv.type_k.clone(),
            type_v: kv.type_v.clone(),
            cells: kv.cells,
            cells_used: None,
            bytes: kv.bytes,
            evicted_tokens: None,
            policy: kv.policy.clone(),
            reason: kv.reason.clone(),
        });
        self.device = model.device.clone();
        self.server = model.server.as_ref().map(|ServerInfo { server, program, context }| ToldServer {
            name: server.name().to_owned(),
            url: server.address().to_owned(),
            is_on_this_machine: server.is_on_this_machine(),
            program: program.clone(),
            context: *context,
        });
    }

    pub fn set_finish(&mut self, finish: &Finish, load_ms: f64) {
        let Stats { timings, decode_calls, speculation, cells_used, major_faults, by_server, .. } = finish.stats;
        let has_prefill = by_server.is_none_or(|told| told.prefill);
        self.finish_reason = finish.ended.as_str();
        self.repetition = finish.repetition;
        self.seed = Some(finish.seed);
        self.usage = Some(ToldUsage::from(&finish.stats));
        self.timings = Some(Timings {
            load_ms: thousandths(load_ms),
            prefill_ms: has_prefill.then(|| thousandths(timings.prefill_ms)),
            eviction_ms: by_server.is_none().then(|| thousandths(timings.eviction_ms)),
            time_to_first_token_ms: thousandths(timings.time_to_first_token_ms),
            decode_ms: thousandths(timings.decode_ms),
            prefill_tokens_per_second: finish.stats.prefill_tokens_per_second().map(thousandths),
            decode_tokens_per_second: finish.stats.decode_tokens_per_second().map(thousandths),
            major_faults,
        });
        self.speculative = by_server.is_none().then(|| Speculative {
            drafter: speculation.drafter.map(DraftedBy::as_str),
            drafted: speculation.drafted,
            accepted: speculation.accepted,
            decode_calls,
            verified_calls: speculation.verified_calls,
            spent_ms: thousandths(speculation.spent_ms),
            plain_ms: thousandths(speculation.plain_ms),
            speedup: speculation.speedup().map(thousandths),
            fuzzy: speculation.fuzzy,
            off_reason: speculation.off.map(NotDrafted::as_str),
        });
        if let Some(kv) = &mut self.kv {
            kv.cells_used = Some(cells_used);
            kv.evicted_tokens = Some(finish.held.iter().map(|message| message.evicted_tokens).sum());
        }
    }

    /// A run that failed.
    pub fn set_failure(&mut self, failure: &Failure) {
        self.finish_reason = "error";
        self.set_error(failure);
    }

    /// An answer that ended as it ended, and will not do.
    pub fn set_error(&mut self, failure: &Failure) {
        let (message, hints) = failure.parts();
        self.error = Some(Error {
            kind: failure.kind,
            message: message.to_owned(),
            hint: (!hints.is_empty()).then(|| hints.join("; ")),
            exit_code: failure.exit.code(),
        });
    }
}

/// Milliseconds are told to the microsecond: more digits are noise.
fn thousandths(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_that_mean_nothing_are_left_out() {
        assert_eq!(serde_json::to_string(&thousandths(247.354_354_000_000_02)).unwrap(), "247.354");
    }

    #[test]
    fn a_failure_before_anything_was_known_has_every_key() {
        let mut report = Report::default();
        report.set_failure(&Failure::usage("there is no prompt to answer"));
        let object = serde_json::to_value(&report).unwrap();
        for key in ["schema", "text", "thinking", "finish_reason", "model", "seed", "usage", "timings", "kv", "device"]
        {
            assert!(object.get(key).is_some(), "{key}");
        }
        assert_eq!(object["error"]["kind"], "usage");
        assert_eq!(object["error"]["exit_code"], 2);
    }

    #[test]
    fn thinking_is_apart_from_the_answer() {
        let mut report = Report::default();
        report.add_piece(&Piece { channel: Channel::Thinking, text: "hm".into(), tokens: 1 });
        report.add_piece(&Piece { channel: Channel::Answer, text: "yes".into(), tokens: 2 });
        assert_eq!((report.thinking.as_deref(), report.text.as_str()), (Some("hm"), "yes"));
    }
}
