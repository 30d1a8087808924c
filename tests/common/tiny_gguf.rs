//! Makes a model file of real structure and random weights: small enough to write and load in milliseconds, whole
//! enough for llama.cpp to load it, tokenise with it and decode. It needs the standard library only, so unit
//! tests can take it in with `#[path]` as well.
//!
//! ```text
//! TinyModel::default().write(&path)?;                                   // a chat model with a ChatML template
//! TinyModel::default().template(None).write(&path)?;                    // a base model
//! TinyModel::default().context(2048).ending().write(&path)?;            // ends its turn at once
//! TinyModel::default().write_split(&folder, "tiny", 3)?;                 // in three files
//! TinyModel::default().forgetful().write(&path)?;                       // goes round in circles
//! TinyModel::default().of_experts().write(&path)?;                      // a mixture of experts
//! TinyModel::default().recurrent().write(&path)?;                       // a hybrid, with a recurrent layer
//! TinyModel::default().set("llama.block_count", Value::U32(0)).write(&path)?;   // a bad one
//! ```
//!
//! The words are byte-level BPE (pre-tokeniser `smollm`): a token for every byte, a few merges, and the special
//! tokens of [`SPECIAL_TOKENS`]. Answers are printable ASCII nonsense that depends on the whole prompt; the same
//! seed and the same prompt give the same nonsense.

use std::io;
use std::path::{Path, PathBuf};

/// Layers of every tiny model.
pub const BLOCK_COUNT: u32 = 2;
/// Width of a token's embedding.
pub const EMBEDDING_LENGTH: u32 = 128;
/// Attention heads, 32 wide each: the smallest head that a quantised KV cache takes.
pub const HEAD_COUNT: u32 = 4;
/// Heads of the KV cache.
pub const HEAD_COUNT_KV: u32 = 2;
const FEED_FORWARD_LENGTH: u32 = 256;
/// Experts of a layer in a model of experts, and to how many of them a token goes.
const EXPERTS: u32 = 4;
const EXPERTS_USED: u32 = 2;
/// Tokens that a recurrent layer looks at.
const SHORT_CONVOLUTION: u32 = 3;
const ALIGNMENT: usize = 32;

/// The tokens that are not bytes or merges, with llama.cpp's token type: 3 is CONTROL, 4 is USER_DEFINED.
pub const SPECIAL_TOKENS: [(&str, i32); 4] =
    [("<|endoftext|>", 3), ("<|im_start|>", 3), ("<|im_end|>", 3), ("<think>", 4)];
/// Ids of the special tokens, in their order; bytes and merges follow.
pub const END_OF_TEXT: u32 = 0;
/// `<|im_start|>`.
pub const TURN_START: u32 = 1;
/// `<|im_end|>`, which ends a turn.
pub const TURN_END: u32 = 2;
/// `<think>`, a token that text matches even where special tokens are not parsed.
pub const THINK: u32 = 3;

/// A chat template of the ChatML family.
pub const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

const MERGES: [&str; 12] = ["t h", "th e", "Ġ the", "i n", "a n", "an d", "Ġ a", "e r", "o n", "Ġ i", "h e", "Ġ w"];

/// A metadata value.
#[derive(Clone, Debug)]
pub enum Value {
    U16(u16),
    I32(i32),
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    I32s(Vec<i32>),
}

/// A tiny model to be written.
#[derive(Clone, Debug)]
pub struct TinyModel {
    metadata: Vec<(String, Value)>,
    seed: u64,
    ends_at_once: bool,
    is_forgetful: bool,
    has_experts: bool,
    is_recurrent: bool,
}

impl Default for TinyModel {
    /// A chat model named "Tiny" with a ChatML template and a context of 1024 tokens.
    fn default() -> Self {
        let (metadata, seed) = (default_metadata(), 1);
        Self { metadata, seed, ends_at_once: false, is_forgetful: false, has_experts: false, is_recurrent: false }
    }
}

impl TinyModel {
    /// Sets the chat template; `None` makes a base model.
    pub fn template(self, template: Option<&str>) -> Self {
        match template {
            Some(template) => self.set("tokenizer.chat_template", Value::Text(template.to_owned())),
            None => self.without("tokenizer.chat_template"),
        }
    }

    /// Sets the context length that the model claims to be trained for.
    pub fn context(self, tokens: u32) -> Self {
        self.set("llama.context_length", Value::U32(tokens))
    }

    /// Other weights.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Makes `<|im_end|>` by far the likeliest token everywhere. Otherwise no answer ends by itself.
    pub fn ending(self) -> Self {
        Self { ends_at_once: true, ..self }
    }

    /// Lets each token depend on nothing but the one before it, so that a greedy answer soon goes round in a circle.
    pub fn forgetful(self) -> Self {
        Self { is_forgetful: true, ..self }
    }

    /// Gives each layer several feed-forward parts, of which a token goes through some.
    pub fn of_experts(self) -> Self {
        let counted = self.set("llama.expert_count", Value::U32(EXPERTS));
        Self { has_experts: true, ..counted.set("llama.expert_used_count", Value::U32(EXPERTS_USED)) }
    }

    /// Makes the first layer a recurrent one: a short convolution, as LFM2 has them. What is set by the names of `llama`
    /// has to be set before.
    pub fn recurrent(mut self) -> Self {
        for (key, _) in &mut self.metadata {
            *key = key.replace("llama.", "lfm2.");
        }
        let architecture = self.set("general.architecture", Value::Text("lfm2".into()));
        let heads = architecture.set("lfm2.attention.head_count_kv", Value::I32s(vec![0, HEAD_COUNT_KV as i32]));
        Self { is_recurrent: true, ..heads.set("lfm2.shortconv.l_cache", Value::U32(SHORT_CONVOLUTION)) }
    }

    /// Sets or replaces a metadata value, good or bad.
    pub fn set(mut self, key: &str, value: Value) -> Self {
        match self.metadata.iter_mut().find(|(existing, _)| existing == key) {
            Some((_, slot)) => *slot = value,
            None => self.metadata.push((key.to_owned(), value)),
        }
        self
    }

    /// Leaves a metadata value out.
    pub fn without(mut self, key: &str) -> Self {
        self.metadata.retain(|(existing, _)| existing != key);
        self
    }

    /// Writes the file.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, self.bytes())
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        encode(&self.metadata, &self.tensors())
    }

    /// The file's bytes, and behind them others that no tensor has, up to so many in all.
    pub fn padded(&self, bytes: usize) -> Vec<u8> {
        let mut file = self.bytes();
        let mut random = Random(self.seed);
        while file.len() < bytes {
            file.extend(random.next().to_le_bytes());
        }
        file
    }

    /// Writes the model split into so many files, as llama.cpp's `gguf-split` does, and returns the first.
    pub fn write_split(&self, folder: &Path, stem: &str, count: u16) -> io::Result<PathBuf> {
        let names = (1..=count).map(|number| folder.join(format!("{stem}-{number:05}-of-{count:05}.gguf")));
        let names: Vec<_> = names.collect();
        names.iter().zip(self.parts(count)).try_for_each(|(name, bytes)| std::fs::write(name, bytes))?;
        Ok(names[0].clone())
    }

    /// The bytes of the files into which the model is split: the first has the metadata, each some of the tensors.
    pub fn parts(&self, count: u16) -> Vec<Vec<u8>> {
        let tensors = self.tensors();
        let bound = |number: u16| tensors.len() * usize::from(number) / usize::from(count);
        (0..count)
            .map(|number| {
                let mut metadata = if number == 0 { self.metadata.clone() } else { Vec::new() };
                metadata.extend([
                    ("split.no".to_owned(), Value::U16(number)),
                    ("split.count".to_owned(), Value::U16(count)),
                    ("split.tensors.count".to_owned(), Value::I32(tensors.len() as i32)),
                ]);
                encode(&metadata, &tensors[bound(number)..bound(number + 1)])
            })
            .collect()
    }

    fn tensors(&self) -> Vec<Tensor> {
        let mut random = Random(self.seed);
        let key_value_width = EMBEDDING_LENGTH / HEAD_COUNT * HEAD_COUNT_KV;
        let mut tensors = vec![
            embeddings(&mut random),
            Tensor::ones(
                if self.is_recurrent { "token_embd_norm.weight" } else { "output_norm.weight" },
                EMBEDDING_LENGTH,
            ),
            output(&mut random, self.ends_at_once),
        ];
        for block in 0..BLOCK_COUNT {
            let name = |part: &str| format!("blk.{block}.{part}.weight");
            let mut matrix = |part, columns, rows| Tensor::matrix(&name(part), columns, rows, 1.0, &mut random);
            tensors.push(Tensor::ones(&name("attn_norm"), EMBEDDING_LENGTH));
            if self.is_recurrent && block == 0 {
                tensors.extend([
                    matrix("shortconv.conv", SHORT_CONVOLUTION, EMBEDDING_LENGTH),
                    matrix("shortconv.in_proj", EMBEDDING_LENGTH, 3 * EMBEDDING_LENGTH),
                    matrix("shortconv.out_proj", EMBEDDING_LENGTH, EMBEDDING_LENGTH).without_first_row(),
                ]);
            } else {
                tensors.extend([
                    matrix("attn_q", EMBEDDING_LENGTH, EMBEDDING_LENGTH),
                    matrix("attn_k", EMBEDDING_LENGTH, key_value_width),
                    matrix("attn_v", EMBEDDING_LENGTH, key_value_width),
                    matrix("attn_output", EMBEDDING_LENGTH, EMBEDDING_LENGTH).without_first_row(),
                ]);
            }
            if self.is_recurrent && block > 0 {
                let head = EMBEDDING_LENGTH / HEAD_COUNT;
                tensors.extend(["attn_q_norm", "attn_k_norm"].map(|part| Tensor::ones(&name(part), head)));
            }
            tensors.push(Tensor::ones(&name("ffn_norm"), EMBEDDING_LENGTH));
            if self.has_experts {
                let inner = FEED_FORWARD_LENGTH * EXPERTS;
                tensors.extend([
                    matrix("ffn_gate_inp", EMBEDDING_LENGTH, EXPERTS),
                    matrix("ffn_gate_exps", EMBEDDING_LENGTH, inner).of_experts(),
                    matrix("ffn_down_exps", FEED_FORWARD_LENGTH, EMBEDDING_LENGTH * EXPERTS).of_experts(),
                    matrix("ffn_up_exps", EMBEDDING_LENGTH, inner).of_experts(),
                ]);
            } else {
                tensors.extend([
                    matrix("ffn_gate", EMBEDDING_LENGTH, FEED_FORWARD_LENGTH),
                    matrix("ffn_down", FEED_FORWARD_LENGTH, EMBEDDING_LENGTH).without_first_row(),
                    matrix("ffn_up", EMBEDDING_LENGTH, FEED_FORWARD_LENGTH),
                ]);
            }
        }
        if self.is_forgetful {
            let attention = tensors.iter_mut().filter(|tensor| tensor.name.ends_with("attn_output.weight"));
            attention.for_each(|tensor| tensor.weights.fill(0.0));
        }
        tensors
    }
}

fn default_metadata() -> Vec<(String, Value)> {
    let (tokens, types) = vocabulary();
    let entries = [
        ("general.architecture", Value::Text("llama".into())),
        ("general.name", Value::Text("Tiny".into())),
        ("general.size_label", Value::Text("372K".into())),
        ("general.file_type", Value::U32(0)),
        ("llama.block_count", Value::U32(BLOCK_COUNT)),
        ("llama.context_length", Value::U32(1024)),
        ("llama.embedding_length", Value::U32(EMBEDDING_LENGTH)),
        ("llama.feed_forward_length", Value::U32(FEED_FORWARD_LENGTH)),
        ("llama.attention.head_count", Value::U32(HEAD_COUNT)),
        ("llama.attention.head_count_kv", Value::U32(HEAD_COUNT_KV)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.vocab_size", Value::U32(tokens.len() as u32)),
        ("tokenizer.ggml.model", Value::Text("gpt2".into())),
        ("tokenizer.ggml.pre", Value::Text("smollm".into())),
        ("tokenizer.ggml.tokens", Value::Texts(tokens)),
        ("tokenizer.ggml.token_type", Value::I32s(types)),
        ("tokenizer.ggml.merges", Value::Texts(MERGES.map(String::from).to_vec())),
        ("tokenizer.ggml.bos_token_id", Value::U32(TURN_START)),
        ("tokenizer.ggml.eos_token_id", Value::U32(TURN_END)),
        ("tokenizer.ggml.padding_token_id", Value::U32(TURN_END)),
        ("tokenizer.ggml.add_bos_token", Value::Bool(false)),
        ("tokenizer.chat_template", Value::Text(CHATML.into())),
    ];
    entries.map(|(key, value)| (key.to_owned(), value)).to_vec()
}

/// The tokens' texts and llama.cpp's types of them: specials, then bytes, then merges.
fn vocabulary() -> (Vec<String>, Vec<i32>) {
    let specials = SPECIAL_TOKENS.iter().map(|(text, kind)| ((*text).to_owned(), *kind));
    let bytes = (0..=255).map(|byte| (byte_character(byte).to_string(), 1));
    let merges = MERGES.iter().map(|merge| (merge.replace(' ', ""), 1));
    specials.chain(bytes).chain(merges).unzip()
}

/// The visible character by which GPT-2's byte-level BPE writes a byte: printable bytes stand for themselves, the
/// others are moved up by 256 in their order.
fn byte_character(byte: u8) -> char {
    let stands_for_itself = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if stands_for_itself(byte) {
        return char::from(byte);
    }
    let moved_before = (0..byte).filter(|other| !stands_for_itself(*other)).count() as u32;
    char::from_u32(256 + moved_before).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Whether an answer may hold the token: printable ASCII, alone or merged.
fn is_readable(token: usize) -> bool {
    let (first_byte, first_merge) = (SPECIAL_TOKENS.len(), SPECIAL_TOKENS.len() + 256);
    token >= first_merge || (first_byte + 0x20..first_byte + 0x7f).contains(&token)
}

struct Tensor {
    name: String,
    dimensions: Vec<u32>,
    weights: Vec<f32>,
}

impl Tensor {
    fn ones(name: &str, size: u32) -> Self {
        Self { name: name.to_owned(), dimensions: vec![size], weights: vec![1.0; size as usize] }
    }

    /// Weights that keep the variance of what they are applied to, times `gain` squared.
    fn matrix(name: &str, columns: u32, rows: u32, gain: f32, random: &mut Random) -> Self {
        let bound = gain * (3.0 / columns as f32).sqrt();
        let weights = (0..columns * rows).map(|_| random.uniform(bound)).collect();
        Self { name: name.to_owned(), dimensions: vec![columns, rows], weights }
    }

    /// The rows of one expert after the other.
    fn of_experts(mut self) -> Self {
        self.dimensions[1] /= EXPERTS;
        self.dimensions.push(EXPERTS);
        self
    }

    /// Nothing is added to the first number of the hidden state: it stays as the embedding set it, which makes
    /// it a constant that the output matrix can weigh.
    fn without_first_row(mut self) -> Self {
        let columns = self.dimensions[0] as usize;
        self.weights[..columns].fill(0.0);
        self
    }
}

fn embeddings(random: &mut Random) -> Tensor {
    let rows = vocabulary().0.len() as u32;
    let mut tensor = Tensor::matrix("token_embd.weight", EMBEDDING_LENGTH, rows, 8.0, random);
    tensor.weights.chunks_mut(EMBEDDING_LENGTH as usize).for_each(|row| row[0] = 1.0);
    tensor
}

fn output(random: &mut Random, ends_at_once: bool) -> Tensor {
    let rows = vocabulary().0.len() as u32;
    let mut tensor = Tensor::matrix("output.weight", EMBEDDING_LENGTH, rows, 3.0, random);
    for (token, row) in tensor.weights.chunks_mut(EMBEDDING_LENGTH as usize).enumerate() {
        row[0] = match token {
            _ if is_readable(token) => 0.0,
            _ if ends_at_once && token == TURN_END as usize => 200.0,
            _ => -200.0,
        };
    }
    tensor
}

/// SplitMix64: public domain, by Sebastiano Vigna (https://prng.di.unimi.it/splitmix64.c).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from `-bound..bound`.
    fn uniform(&mut self, bound: f32) -> f32 {
        let unit = (self.next() >> 40) as f32 / (1u32 << 24) as f32;
        (unit * 2.0 - 1.0) * bound
    }
}

fn encode(metadata: &[(String, Value)], tensors: &[Tensor]) -> Vec<u8> {
    let mut file = b"GGUF".to_vec();
    file.extend(3u32.to_le_bytes());
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend((metadata.len() as u64).to_le_bytes());
    for (key, value) in metadata {
        put_text(&mut file, key);
        put_value(&mut file, value);
    }
    let mut offset = 0u64;
    for tensor in tensors {
        put_text(&mut file, &tensor.name);
        file.extend((tensor.dimensions.len() as u32).to_le_bytes());
        tensor.dimensions.iter().for_each(|size| file.extend(u64::from(*size).to_le_bytes()));
        file.extend(0u32.to_le_bytes());
        file.extend(offset.to_le_bytes());
        offset += (tensor.weights.len() * 4).next_multiple_of(ALIGNMENT) as u64;
    }
    for tensor in tensors {
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
        tensor.weights.iter().for_each(|weight| file.extend(weight.to_le_bytes()));
    }
    file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
    file
}

fn put_text(file: &mut Vec<u8>, text: &str) {
    file.extend((text.len() as u64).to_le_bytes());
    file.extend(text.as_bytes());
}

/// Writes the type's number and the value. The numbers are those of `enum gguf_type` in ggml's `gguf.h`.
fn put_value(file: &mut Vec<u8>, value: &Value) {
    let mut put_kind = |kinds: &[u32]| kinds.iter().for_each(|kind| file.extend(kind.to_le_bytes()));
    match value {
        Value::U16(number) => {
            put_kind(&[2]);
            file.extend(number.to_le_bytes());
        }
        Value::I32(number) => {
            put_kind(&[5]);
            file.extend(number.to_le_bytes());
        }
        Value::U32(number) => {
            put_kind(&[4]);
            file.extend(number.to_le_bytes());
        }
        Value::F32(number) => {
            put_kind(&[6]);
            file.extend(number.to_le_bytes());
        }
        Value::Bool(truth) => {
            put_kind(&[7]);
            file.push(u8::from(*truth));
        }
        Value::Text(text) => {
            put_kind(&[8]);
            put_text(file, text);
        }
        Value::Texts(texts) => {
            put_kind(&[9, 8]);
            file.extend((texts.len() as u64).to_le_bytes());
            texts.iter().for_each(|text| put_text(file, text));
        }
        Value::I32s(numbers) => {
            put_kind(&[9, 5]);
            file.extend((numbers.len() as u64).to_le_bytes());
            numbers.iter().for_each(|number| file.extend(number.to_le_bytes()));
        }
    }
}
