//! How fast a machine computes with weights of each type, and what that makes of a model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Anatomy;
use crate::models::gguf::TensorType;

/// How fast a machine computes with weights, as measured with the kernels that a chat uses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rates {
    /// Bytes of weights per second while one token is computed after the other, by the type's name. It is bound by the
    /// memory or by the kernel, whichever is slower.
    pub decode: BTreeMap<String, f64>,
    /// Seconds for each row of weights beside its bytes while one token is computed after the other, by the type's name:
    /// short rows are slower than long ones.
    pub row_seconds: BTreeMap<String, f64>,
    /// Bytes of weights per second and token while a prompt is computed, by the type's name.
    pub prefill: BTreeMap<String, f64>,
    /// Seconds that a layer takes for a token beside its weights: norms, attention to little, threads that wait for each
    /// other.
    pub layer_seconds: f64,
    /// The same for a token of a prompt.
    pub prompt_layer_seconds: f64,
}

/// Tokens per second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// While an answer is written, with little in the KV cache.
    pub decode: f64,
    /// While a prompt is read; `None` where only short ones were seen.
    pub prefill: Option<f64>,
}

impl Rates {
    /// The types of a model of which nothing is known yet.
    pub fn missing(&self, anatomy: &Anatomy) -> Vec<TensorType> {
        let counts = |kind: TensorType| !matches!(kind.name(), "F32" | "F64");
        let kinds = anatomy.weights.iter().filter(|matrices| matrices.read_bytes > 0.0).map(|matrices| matrices.kind);
        kinds.filter(|kind| counts(*kind) && !self.decode.contains_key(kind.name())).collect()
    }

    /// Adds what was measured later.
    pub fn extend(&mut self, other: Self) {
        self.decode.extend(other.decode);
        self.row_seconds.extend(other.row_seconds);
        self.prefill.extend(other.prefill);
        self.layer_seconds = other.layer_seconds;
        self.prompt_layer_seconds = other.prompt_layer_seconds;
    }
}

impl Anatomy {
    /// How fast it would be. `None` if a type that it has was not measured.
    pub fn speed(&self, rates: &Rates) -> Option<Speed> {
        let mut decode_seconds = self.layers as f64 * rates.layer_seconds;
        let mut prefill_seconds = self.layers as f64 * rates.prompt_layer_seconds;
        for matrices in &self.weights {
            let name = matrices.kind.name();
            // Norms and the like are few bytes, and in what a layer takes.
            if matrices.read_bytes == 0.0 || matches!(name, "F32" | "F64") {
                continue;
            }
            decode_seconds += matrices.read_bytes / rates.decode.get(name)?;
            decode_seconds += matrices.read_rows * rates.row_seconds.get(name).copied().unwrap_or(0.0);
            prefill_seconds += matrices.read_bytes / rates.prefill.get(name)?;
        }
        let is_known = decode_seconds > 0.0 && prefill_seconds > 0.0;
        is_known.then(|| Speed { decode: 1.0 / decode_seconds, prefill: Some(1.0 / prefill_seconds) })
    }
}
