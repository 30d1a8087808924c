//! A model cut into what can lie on another device than the rest: its layers, their experts, and what comes after them.

use crate::models::gguf::{Header, Value};

/// What of a model's tensors is for one of several experts, in the names of all architectures.
const EXPERTS: [&str; 2] = ["_exps.", "_chexps."];
/// Numbers of 4 bytes that are held while a batch is computed, as in [`super::Needs`].
const FEED_FORWARD_BUFFERS: u64 = 3;
const EMBEDDING_BUFFERS: u64 = 4;

/// One layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// Bytes of the weights that every token goes through.
    pub shared_bytes: u64,
    /// Bytes of the experts, of which a token goes to a few; 0 in a model without.
    pub expert_bytes: u64,
    /// Bytes of a token in the KV cache in 16 bits.
    pub kv_bytes: u64,
}

/// A model cut into layers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layers {
    pub layers: Vec<Layer>,
    /// Bytes of what comes after the last layer: where the embeddings serve as the output, a copy of them.
    pub output_bytes: u64,
    /// Tokens of the vocabulary.
    pub vocabulary: u64,
    /// Numbers that are held for each token of a batch.
    pub working_numbers: u64,
}

impl Layers {
    /// Cuts the model whose header was read.
    pub fn of_header(header: &Header) -> Self {
        let count = header.block_count().unwrap_or(0).min(1 << 12) as usize;
        let kv_heads = heads_of_layers(header, count);
        let head_numbers = header.key_length().unwrap_or(0).saturating_add(header.value_length().unwrap_or(0));
        let kv_bytes = |heads: &u64| heads.saturating_mul(head_numbers).saturating_mul(2);
        let mut layers: Vec<Layer> =
            kv_heads.iter().map(|heads| Layer { kv_bytes: kv_bytes(heads), ..Layer::default() }).collect();
        let mut output_bytes = 0_u64;
        let (mut embedding_bytes, mut has_output) = (0, false);
        for tensor in &header.tensors {
            let number =
                tensor.name.strip_prefix("blk.").and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
            match number.and_then(|number| layers.get_mut(number)) {
                Some(layer) => {
                    let is_expert = EXPERTS.iter().any(|mark| tensor.name.contains(mark));
                    let bytes = if is_expert { &mut layer.expert_bytes } else { &mut layer.shared_bytes };
                    *bytes = bytes.saturating_add(tensor.bytes);
                }
                None if tensor.name.starts_with("output") => {
                    has_output |= tensor.name == "output.weight";
                    output_bytes = output_bytes.saturating_add(tensor.bytes);
                }
                // The input is looked up by the CPU.
                None if tensor.name == "token_embd.weight" => embedding_bytes = tensor.bytes,
                None => {}
            }
        }
        if !has_output {
            output_bytes = output_bytes.saturating_add(embedding_bytes);
        }
        let used = header.of_architecture("expert_used_count").unwrap_or(0).max(1);
        let expert_width = header.of_architecture("expert_feed_forward_length").unwrap_or(0).saturating_mul(used);
        let width = expert_width.max(header.of_architecture("feed_forward_length").unwrap_or(0));
        let embedding = header.embedding_length().unwrap_or(0);
        let working_numbers =
            width.saturating_mul(FEED_FORWARD_BUFFERS).saturating_add(embedding.saturating_mul(EMBEDDING_BUFFERS));
        Self { layers, output_bytes, vocabulary: header.vocabulary_size().unwrap_or(0), working_numbers }
    }

    /// Layers as llama.cpp counts them: what comes after the last one is one, too.
    pub fn count(&self) -> u32 {
        u32::try_from(self.layers.len()).unwrap_or(u32::MAX - 1) + 1
    }

    /// Whether it has experts.
    pub fn has_experts(&self) -> bool {
        self.layers.iter().any(|layer| layer.expert_bytes > 0)
    }

    /// Bytes of the last `count` layers, as llama.cpp counts them, with a KV cache of so many bytes for each byte of one in
    /// 16 bits and token (tokens, that is, times the size of its format). Of the first `without_experts` of all layers,
    /// the experts are left out.
    pub fn bytes_of_last(&self, count: u32, without_experts: u32, kv_scale: f64) -> u64 {
        if count == 0 {
            return 0;
        }
        let first = self.layers.len().saturating_sub(count as usize - 1);
        let layers = self.layers.iter().enumerate().skip(first);
        layers.fold(self.output_bytes, |sum, (number, layer)| {
            let experts = if number < without_experts as usize { 0 } else { layer.expert_bytes };
            let kv = (layer.kv_bytes as f64 * kv_scale) as u64;
            [layer.shared_bytes, experts, kv].into_iter().fold(sum, u64::saturating_add)
        })
    }

    /// Bytes of the buffers in which a batch of so many tokens is computed, with so many cells in the KV cache: what flows
    /// through the layers, the mask, and what is said about every token of the vocabulary.
    pub fn working_bytes(&self, batch: u64, cells: u64) -> u64 {
        let of_token = self.working_numbers.saturating_add(self.vocabulary).saturating_add(cells);
        of_token.saturating_mul(4).saturating_mul(batch)
    }
}

/// Heads of the KV cache, layer by layer.
fn heads_of_layers(header: &Header, count: usize) -> Vec<u64> {
    let same = header.head_count_kv().unwrap_or(0);
    let listed = match header.metadata.get(&format!("{}.attention.head_count_kv", header.architecture())) {
        Some(Value::Numbers(of_layers)) => of_layers.as_slice(),
        _ => &[],
    };
    let of_layer = |number: usize| match listed.get(number) {
        Some(Value::Unsigned(heads)) => *heads,
        Some(Value::Signed(heads)) => u64::try_from(*heads).unwrap_or(0),
        _ => same,
    };
    (0..count).map(of_layer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::gguf;
    use crate::tiny_gguf::TinyModel;

    fn layers_of(model: &TinyModel) -> (Layers, gguf::Header) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        model.write(&path).unwrap();
        let header = gguf::read_header(&path).unwrap();
        (Layers::of_header(&header), header)
    }

    #[test]
    fn all_layers_and_the_input_are_the_whole_model() {
        let (layers, header) = layers_of(&TinyModel::default());
        let sum: u64 = header.tensors.iter().map(|tensor| tensor.bytes).sum();
        let bytes_of = |name: &str| header.tensors.iter().find(|tensor| tensor.name == name).map(|it| it.bytes);
        let embedding = bytes_of("token_embd.weight").unwrap();
        let input = if bytes_of("output.weight").is_some() { embedding } else { 0 };
        assert_eq!(layers.bytes_of_last(layers.count(), 0, 0.0) + input, sum);
        assert_eq!(layers.count(), 3);
        let kv: u64 = layers.layers.iter().map(|layer| layer.kv_bytes).sum();
        assert_eq!(kv, 2 * 2 * 2 * 32 * 2, "two layers of two heads of two times 32 numbers of two bytes");
    }

    #[test]
    fn none_of_the_layers_take_nothing_and_each_takes_more() {
        let (layers, _) = layers_of(&TinyModel::default());
        let bytes: Vec<u64> = (0..=3).map(|count| layers.bytes_of_last(count, 0, 1000.0)).collect();
        assert_eq!(bytes[0], 0);
        assert!(bytes.is_sorted() && bytes[1] == layers.output_bytes, "{bytes:?}");
        assert_eq!(bytes[2] - bytes[1], layers.layers[1].shared_bytes + layers.layers[1].kv_bytes * 1000);
    }

    #[test]
    fn experts_can_be_left_out_from_the_first_layer_on() {
        let layer = Layer { shared_bytes: 10, expert_bytes: 100, kv_bytes: 1 };
        let layers = Layers { layers: vec![layer; 4], output_bytes: 5, ..Layers::default() };
        assert_eq!(layers.bytes_of_last(5, 0, 2.0), 5 + 4 * 112);
        assert_eq!(layers.bytes_of_last(5, 3, 2.0), 5 + 4 * 12 + 100);
        assert_eq!(layers.bytes_of_last(5, 4, 0.0), 45);
        assert!(layers.has_experts());
    }
}
