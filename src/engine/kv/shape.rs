//! What a token takes in a model's KV cache, and in which formats llama.cpp can keep it there. From its source:
//! `llama_init_from_model` and `llama_kv_cache` for all, the `supports_op` of each back end for the attention kernels.

use super::types::{KvType, KvTypes};
use crate::engine::llama::Model;

/// All formats but f16 round 32 numbers at a time (ggml's block size).
const BLOCK: u32 = 32;
/// Heads of a multiple of this length are rotated before they are rounded (Walsh-Hadamard), which spreads the few
/// large numbers that rounding to few bits cannot bear.
const ROTATED: u32 = 64;

/// The sides of a model's KV cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub layers: u32,
    pub kv_heads: u32,
    /// Numbers of a key in one head, and of a value.
    pub key_length: u32,
    pub value_length: u32,
    /// Without it values cannot be rounded.
    pub has_flash_attention: bool,
    /// Keys and values are parts of the same numbers (DeepSeek's latent attention).
    pub has_shared_values: bool,
}

impl Shape {
    pub fn of(model: &Model) -> Self {
        let (key_length, value_length) = model.head_lengths();
        let architecture = model.metadata("general.architecture").unwrap_or_default();
        Self {
            layers: model.layers(),
            kv_heads: model.kv_heads(),
            key_length,
            value_length,
            has_flash_attention: architecture != "grok",
            has_shared_values: model.metadata(&format!("{architecture}.attention.key_length_mla")).is_some(),
        }
    }

    /// Bytes of K and V of one token, in all layers.
    pub fn bytes_per_cell(&self, types: KvTypes) -> u64 {
        let heads = u64::from(self.layers) * u64::from(self.kv_heads);
        let keys = heads * u64::from(self.key_length) * types.k.bytes_of_32();
        let values = heads * u64::from(self.value_length) * types.v.bytes_of_32();
        (keys + values).div_ceil(u64::from(BLOCK))
    }

    /// Whether llama.cpp can keep a cache of these types and attend to it where the model runs.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn check(&self, types: KvTypes, backend: &str) -> Result<(), String> {
        let sides = [("keys", types.k, self.key_length), ("values", types.v, self.value_length)];
        for (side, kind, length) in sides {
            if kind.is_lossy() && length % BLOCK != 0 {
                return Err(format!(
                    "this model's {side} have {length} numbers and {kind} takes {BLOCK} at a time; type `--kv f16`",
                    kind = kind.as_str()
                ));
            }
        }
        if types.v.is_lossy() && !self.has_flash_attention {
            return Err(format!(
                "this model's values can only be kept in f16, for want of flash attention; type `--kv {}/f16`",
                types.k.as_str()
            ));
        }
        if types.k != types.v && self.has_shared_values {
            return Err(format!(
                "this model's keys and values are the same numbers and need the same type; type `--kv {}`",
                types.k.as_str()
            ));
        }
        check_kernels(types, backend)
    }

    /// Whether every part that is rounded is rotated first.
    pub fn is_rotated(&self, types: KvTypes) -> bool {
        (!types.k.is_lossy() || self.key_length.is_multiple_of(ROTATED))
            && (!types.v.is_lossy() || self.value_length.is_multiple_of(ROTATED))
    }
}

/// The CPU and Vulkan take any pair. What a GPU does not take would go through the CPU, layer by layer.
fn check_kernels(types: KvTypes, backend: &str) -> Result<(), String> {
    let has_non_linear = [types.k, types.v].contains(&KvType::Q4NonLinear);
    match backend {
        "Metal" | "MTL" | "CUDA" if has_non_linear => {
            Err(format!("{backend} cannot attend to iq4_nl; type `--kv q4_0`"))
        }
        "Metal" | "MTL" if types.k != types.v => {
            Err(format!("Metal takes keys and values of the same type only; type `--kv {}`", types.k.as_str()))
        }
        _ => Ok(()),
    }
}

/// Whether there is a kernel that reads these types as they are. CUDA's default build has few (`GGML_CUDA_FA_QUANTS`)
/// and turns all other pairs into f16 for every token.
pub fn has_own_kernel(types: KvTypes, backend: &str) -> bool {
    backend != "CUDA" || (types.k == types.v && [KvType::F16, KvType::Q8, KvType::Q4].contains(&types.k))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LLAMA: Shape = Shape {
        layers: 30,
        kv_heads: 3,
        key_length: 64,
        value_length: 64,
        has_flash_attention: true,
        has_shared_values: false,
    };

    fn types(text: &str) -> KvTypes {
        text.parse().unwrap()
    }

    #[test]
    fn a_cell_takes_what_its_types_take() {
        // SmolLM2 135M: 30 layers of 3 heads of 2 × 64 numbers, 16 bits each.
        assert_eq!(LLAMA.bytes_per_cell(types("f16")), 23_040);
        assert_eq!(LLAMA.bytes_per_cell(types("q8_0")), 23_040 * 34 / 64);
        assert_eq!(LLAMA.bytes_per_cell(types("q8_0/q4_0")), 23_040 * 26 / 64);
        assert_eq!(Shape { key_length: 192, value_length: 128, ..LLAMA }.bytes_per_cell(types("f16")), 57_600);
    }

    #[test]
    fn each_back_end_takes_the_pairs_it_has_kernels_for() {
        for (text, backend, is_possible, is_fast) in [
            ("q8_0", "CPU", true, true),
            ("iq4_nl/f16", "CPU", true, true),
            ("q8_0/q4_0", "Vulkan", true, true),
            ("iq4_nl", "Vulkan", true, true),
            ("q5_1", "Metal", true, true),
            ("q8_0/q4_0", "Metal", false, true),
            ("iq4_nl", "Metal", false, true),
            ("q8_0", "CUDA", true, true),
            ("q8_0/q4_0", "CUDA", true, false),
            ("q5_1", "CUDA", true, false),
            ("iq4_nl", "CUDA", false, false),
        ] {
            assert_eq!(LLAMA.check(types(text), backend).is_ok(), is_possible, "{text} {backend}");
            assert_eq!(has_own_kernel(types(text), backend), is_fast, "{text} {backend}");
        }
    }

    #[test]
    fn what_a_model_cannot_is_said_with_what_it_can() {
        let odd = Shape { key_length: 80, ..LLAMA };
        assert!(odd.check(types("q8_0"), "CPU").unwrap_err().contains("keys have 80 numbers"));
        assert_eq!(odd.check(types("f16/q8_0"), "CPU"), Ok(()));
        let grok = Shape { has_flash_attention: false, ..LLAMA };
        assert!(grok.check(types("q8_0"), "CPU").unwrap_err().ends_with("`--kv q8_0/f16`"));
        let latent = Shape { has_shared_values: true, ..LLAMA };
        assert!(latent.check(types("q8_0/f16"), "CPU").unwrap_err().ends_with("`--kv q8_0`"));
    }

    #[test]
    fn only_heads_of_whole_blocks_of_64_are_rotated() {
        assert!(LLAMA.is_rotated(types("q4_0")));
        let odd = Shape { key_length: 96, ..LLAMA };
        assert!(!odd.is_rotated(types("q4_0")) && odd.is_rotated(types("f16/q4_0")));
        let odd = Shape { value_length: 96, ..LLAMA };
        assert!(!odd.is_rotated(types("q4_0")) && odd.is_rotated(types("q4_0/f16")));
    }
}
