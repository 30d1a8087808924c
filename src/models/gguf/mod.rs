//! Reads the header of a GGUF file in plain Rust and refuses what is malformed, cut short or known to abort
//! llama.cpp, before any C++ sees the file.
//!
//! Nothing in the file is believed: every length is held against the bytes that are left, every sum is checked,
//! and what is kept in memory is bounded. Large arrays (a vocabulary) are walked but not kept. The weights are
//! not read; [`crate::models::identity`] knows whether they are the right ones.
//!
//! The format is specified in ggml's `docs/gguf.md`; limits that are llama.cpp's own are in `limits`.

mod limits;
mod read;
pub mod split;
mod tensor_type;

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

pub use read::GgufError;
pub use tensor_type::TensorType;

/// One metadata value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Any of the unsigned integer types.
    Unsigned(u64),
    /// Any of the signed integer types.
    Signed(i64),
    /// Either of the float types.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// Text; bytes that are not UTF-8 have become U+FFFD. Escape it before it reaches a terminal.
    Text(String),
    /// A short array of numbers or truth values, such as head counts by layer.
    Numbers(Vec<Value>),
    /// An array of which only the length is kept.
    Length(u64),
}

/// What the header says about one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The tensor's name, such as `blk.0.attn_q.weight`.
    pub name: String,
    /// Sizes, the contiguous one first.
    pub dimensions: Vec<u64>,
    /// How its numbers are stored.
    pub kind: TensorType,
    /// Where it begins, from the start of the data in its file.
    pub offset: u64,
    /// How many numbers it holds.
    pub elements: u64,
    /// How many bytes it takes.
    pub bytes: u64,
}

/// What of a file's tensors is stored in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeShare {
    /// How their numbers are stored.
    pub kind: TensorType,
    /// How many tensors there are.
    pub tensors: usize,
    /// The bytes that they take together.
    pub bytes: u64,
}

/// A header that passed all checks.
#[derive(Clone, Debug)]
pub struct Header {
    /// The format's version, 2 or 3.
    pub version: u32,
    /// The metadata by key.
    pub metadata: HashMap<String, Value>,
    /// The tensors in the file's order; those of all files of a split model.
    pub tensors: Vec<Tensor>,
    /// Where the tensors' data begins in the file; in the first of a split model.
    pub data_offset: u64,
    /// The size of the whole file; of all files of a split model together.
    pub file_bytes: u64,
}

/// Reads and checks the header of the file at `path`, and those of the others if it is the first file of a split model.
///
/// # Errors
/// If a file cannot be read, is no GGUF file, is damaged or cut short, or holds what llama.cpp cannot load, or a file
/// of a split model is missing.
pub fn read_header(path: &Path) -> Result<Header, GgufError> {
    let mut header = read::read(path)?;
    split::complete(&mut header, path)?;
    checked(header)
}

/// Like [`read_header`], of a file at `path` that is open: where this program has locked it, Windows lets no other
/// reader look at it.
///
/// # Errors
/// Like [`read_header`].
pub fn read_header_of(mut file: &File, path: &Path) -> Result<Header, GgufError> {
    file.rewind()?;
    let mut header = read::read_from(file, file.metadata()?.len())?;
    split::complete(&mut header, path)?;
    checked(header)
}

/// Reads and checks the header of a file of `file_bytes` bytes that begins where `reader` stands. What lies behind the
/// header is not asked for, so the reader need not have it.
///
/// # Errors
/// Like [`read_header`]; [`GgufError::Io`] is the reader's error.
pub fn read_header_from(reader: impl Read + Seek, file_bytes: u64) -> Result<Header, GgufError> {
    checked(read::read_from(reader, file_bytes)?)
}

fn checked(header: Header) -> Result<Header, GgufError> {
    limits::check(&header)?;
    Ok(header)
}

impl Header {
    /// The architecture, such as `llama` or `qwen2`.
    pub fn architecture(&self) -> &str {
        self.text("general.architecture").unwrap_or_default()
    }

    /// The name that the model's maker gave it.
    pub fn name(&self) -> Option<&str> {
        self.text("general.name")
    }

    /// The maker's words for the model's size, such as `135M`.
    pub fn size_label(&self) -> Option<&str> {
        self.text("general.size_label")
    }

    /// The default chat template, in Jinja; a base model has none.
    pub fn chat_template(&self) -> Option<&str> {
        self.text("tokenizer.chat_template")
    }

    /// How many layers the model has.
    pub fn block_count(&self) -> Option<u64> {
        self.of_architecture("block_count")
    }

    /// How many tokens of context the model was trained for.
    pub fn context_length(&self) -> Option<u64> {
        self.of_architecture("context_length")
    }

    /// The width of a token's embedding.
    pub fn embedding_length(&self) -> Option<u64> {
        self.of_architecture("embedding_length")
    }

    /// Attention heads; the largest number where it differs by layer.
    pub fn head_count(&self) -> Option<u64> {
        self.of_architecture("attention.head_count")
    }

    /// Heads of the KV cache; the largest number where it differs by layer.
    pub fn head_count_kv(&self) -> Option<u64> {
        self.of_architecture("attention.head_count_kv").or_else(|| self.head_count())
    }

    /// The width of one head's keys.
    pub fn key_length(&self) -> Option<u64> {
        self.of_architecture("attention.key_length").or_else(|| self.head_width())
    }

    /// The width of one head's values.
    pub fn value_length(&self) -> Option<u64> {
        self.of_architecture("attention.value_length").or_else(|| self.head_width())
    }

    /// The name of the quantization, such as `Q4_K_M`: as the file declares it, else the type that most of the
    /// weights' bytes have.
    pub fn quantization(&self) -> String {
        let declared = self.unsigned("general.file_type").and_then(tensor_type::file_type_name);
        declared.map_or_else(|| self.commonest_type().to_owned(), str::to_owned)
    }

    /// How many weights the model has.
    pub fn parameter_count(&self) -> u64 {
        self.tensors.iter().fold(0, |sum, tensor| sum.saturating_add(tensor.elements))
    }

    /// How many tokens its vocabulary has.
    pub fn vocabulary_size(&self) -> Option<u64> {
        match self.metadata.get("tokenizer.ggml.tokens")? {
            Value::Length(tokens) => Some(*tokens),
            _ => None,
        }
    }

    /// How its tensors are stored, what takes most bytes first.
    pub fn tensors_by_type(&self) -> Vec<TypeShare> {
        let mut shares: Vec<TypeShare> = Vec::new();
        for tensor in &self.tensors {
            match shares.iter_mut().find(|share| share.kind == tensor.kind) {
                Some(share) => {
                    share.tensors += 1;
                    share.bytes = share.bytes.saturating_add(tensor.bytes);
                }
                None => shares.push(TypeShare { kind: tensor.kind, tensors: 1, bytes: tensor.bytes }),
            }
        }
        shares.sort_by_key(|share| (std::cmp::Reverse(share.bytes), share.kind.name()));
        shares
    }

    /// How many files the model is split into, if it is, and the number of this one, from 1.
    pub fn split(&self) -> Option<(u64, u64)> {
        let count = self.unsigned("split.count").filter(|count| *count > 1)?;
        Some((count, self.unsigned("split.no").unwrap_or(0).saturating_add(1)))
    }

    /// A text by its key.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.metadata.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A number that is not negative, by its key; the largest where it is an array.
    pub fn unsigned(&self, key: &str) -> Option<u64> {
        match self.metadata.get(key)? {
            Value::Numbers(numbers) => numbers.iter().filter_map(as_unsigned).max(),
            single => as_unsigned(single),
        }
    }

    /// Heads of the KV cache in all layers together.
    pub fn kv_heads_of_all_layers(&self) -> u64 {
        let key = format!("{}.attention.head_count_kv", self.architecture());
        match self.metadata.get(&key) {
            Some(Value::Numbers(of_layers)) => of_layers.iter().filter_map(as_unsigned).fold(0, u64::saturating_add),
            _ => self.head_count_kv().unwrap_or(0).saturating_mul(self.block_count().unwrap_or(0)),
        }
    }

    /// The length of an array that is not kept; 0 if there is none.
    pub fn length_of(&self, key: &str) -> u64 {
        match self.metadata.get(key) {
            Some(Value::Length(length)) => *length,
            _ => 0,
        }
    }

    /// A number under a key of the model's architecture; the largest where it is an array.
    pub fn of_architecture(&self, key: &str) -> Option<u64> {
        self.unsigned(&format!("{}.{key}", self.architecture()))
    }

    fn head_width(&self) -> Option<u64> {
        self.embedding_length()?.checked_div(self.head_count()?)
    }

    fn commonest_type(&self) -> &'static str {
        self.tensors_by_type().first().map_or("unknown", |share| share.kind.name())
    }
}

fn as_unsigned(value: &Value) -> Option<u64> {
    match value {
        Value::Unsigned(number) => Some(*number),
        Value::Signed(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}
