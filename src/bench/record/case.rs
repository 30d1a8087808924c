//! A case of a run: what was measured, and with what.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Something that was measured. What a kind of case has no use for is left out; what only some suites tell is in `rest`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Case {
    /// Only one case of a run has it.
    pub key: String,
    /// `tuichat`, or the program that was measured beside it.
    pub runtime: String,
    /// `pp512`, `tg128 @ d1024`, or a suite's own word.
    pub test: String,
    pub model_filename: String,
    /// `llama 134.52 M Q4_1`.
    pub model_type: String,
    pub model_size: u64,
    pub model_n_params: u64,
    pub n_prompt: u32,
    pub n_gen: u32,
    /// Tokens before what was timed.
    pub n_depth: u32,
    pub n_threads: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_k: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub type_v: Option<String>,
    /// Tokens per second: mean, deviation, bounds of the mean's interval of 95 %, and all samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg_ts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stddev_ts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ci95_low_ts: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ci95_high_ts: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub samples_ts: Vec<f64>,
    /// Of single tokens of an answer, over all repetitions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_ms_p5: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_ms_p50: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_ms_p95: Option<f64>,
    /// From the question to the first token, the mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttft_ms: Option<f64>,
    /// With what the machine draws anyway, and without.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joules_per_token: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub joules_per_token_net: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_watts: Option<f64>,
    /// Memory of this program after the case, its share of what it shares: pages of files, and others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pss_file_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pss_anonymous_bytes: Option<u64>,
    /// Of the KV cache that was in use at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kv_bytes: Option<u64>,
    /// Pages that had to be read from the disk during the case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub major_faults: Option<u64>,
    /// By how much more was swapped after the case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap_bytes: Option<u64>,
    /// How near an answer came to the speed at which memory can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share_of_bandwidth: Option<f64>,
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Case {
    /// A value that only some suites tell.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.rest.get(name)?.as_str()
    }

    /// A number that only some suites tell.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.rest.get(name)?.as_f64()
    }

    /// The name of the model's file, without the folders.
    pub fn model(&self) -> &str {
        let file = Path::new(&self.model_filename).file_name().and_then(|name| name.to_str());
        file.unwrap_or(&self.model_filename)
    }
}
