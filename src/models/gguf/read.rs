//! The walk through the bytes of a header.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64;

use super::{Header, Tensor, TensorType, Value};
use crate::text::{cause, escape_line};

/// Why a file is refused.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The file cannot be read.
    #[error("it cannot be read: {}", cause(.0))]
    Io(#[from] io::Error),
    /// The first four bytes are not GGUF's.
    #[error("it is not a GGUF file")]
    NotGguf,
    /// A version that llama.cpp does not read.
    #[error("it is of GGUF version {0}, and only versions 2 and 3 can be read")]
    Version(u32),
    /// The header promises more than the file holds.
    #[error("it is damaged or cut short: {0}")]
    Damaged(String),
    /// The file is whole but nothing that llama.cpp can load as a model.
    #[error("it cannot be loaded as a model: {0}")]
    Unloadable(String),
}

/// Longest key and tensor name; llama.cpp's tensor names are under 64 bytes.
const KEY_BYTES_MAX: u64 = 4096;
const TENSOR_NAME_BYTES_MAX: u64 = 63;
/// Longest text that is kept: chat templates are a few kilobytes.
const TEXT_BYTES_MAX: u64 = 16 << 20;
/// All kept texts and numbers together.
const KEPT_BYTES_MAX: u64 = 64 << 20;
/// The whole header, what is not kept included: with the largest vocabularies it takes about 16 MiB.
const HEADER_BYTES_MAX: u64 = 256 << 20;
/// Real files have some hundred keys and a few thousand tensors.
const METADATA_COUNT_MAX: u64 = 65_536;
const TENSOR_COUNT_MAX: u64 = 65_536;
/// The largest vocabularies have about 262 000 tokens.
const TEXT_ARRAY_MAX: u64 = 4 << 20;
/// Arrays of numbers up to this length are kept: there are at most 512 layers.
const NUMBERS_KEPT_MAX: u64 = 1024;
const DIMENSIONS_MAX: u32 = 4;
const ALIGNMENT_DEFAULT: u64 = 32;

/// llama.cpp aborts where this number is of another type.
const SPLIT_NUMBER_KEY: &str = "split.no";

/// The key whose texts must differ from each other: llama.cpp aborts where two tokens are the same.
const TOKENS_KEY: &str = "tokenizer.ggml.tokens";

pub fn read(path: &Path) -> Result<Header, GgufError> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(GgufError::NotGguf);
    }
    let file_bytes = file.metadata()?.len();
    read_from(file, file_bytes)
}

pub fn read_from(reader: impl Read + Seek, file_bytes: u64) -> Result<Header, GgufError> {
    let mut input = Input { reader: BufReader::with_capacity(1 << 16, reader), left: file_bytes, used: 0, kept: 0 };
    let version = read_version(&mut input)?;
    let tensor_count = input.u64()?;
    let metadata_count = input.u64()?;
    if tensor_count > TENSOR_COUNT_MAX || metadata_count > METADATA_COUNT_MAX {
        return Err(damaged(format!("it claims {tensor_count} tensors and {metadata_count} metadata entries")));
    }
    let metadata = read_metadata(&mut input, metadata_count)?;
    let alignment = alignment(&metadata)?;
    let tensors = read_tensors(&mut input, tensor_count, alignment)?;
    let data_offset = input
        .used
        .checked_next_multiple_of(alignment)
        .ok_or_else(|| damaged("its data would begin beyond any file".into()))?;
    let header = Header { version, metadata, tensors, data_offset, file_bytes };
    check_data_is_whole(&header)?;
    Ok(header)
}

fn read_version(input: &mut Input<impl Read + Seek>) -> Result<u32, GgufError> {
    let magic = input.array::<4>().map_err(|error| match error {
        GgufError::Damaged(_) => GgufError::NotGguf,
        other => other,
    })?;
    if &magic != b"GGUF" {
        return Err(GgufError::NotGguf);
    }
    match input.u32()? {
        version @ (2 | 3) => Ok(version),
        version if version.swap_bytes() <= 3 => {
            Err(GgufError::Unloadable("it is written for big-endian machines".into()))
        }
        version => Err(GgufError::Version(version)),
    }
}

fn read_metadata(input: &mut Input<impl Read + Seek>, count: u64) -> Result<HashMap<String, Value>, GgufError> {
    let mut metadata = HashMap::new();
    for _ in 0..count {
        let key = input.text(KEY_BYTES_MAX)?;
        if key.is_empty() {
            return Err(damaged("a metadata key is empty".into()));
        }
        let value = read_value(input, &key)?;
        if metadata.insert(key.clone(), value).is_some() {
            return Err(damaged(format!("the metadata key `{}` comes twice", escape_line(&key))));
        }
    }
    Ok(metadata)
}

fn read_value(input: &mut Input<impl Read + Seek>, key: &str) -> Result<Value, GgufError> {
    const U16: u32 = 2;
    const TEXT: u32 = 8;
    const ARRAY: u32 = 9;
    match input.u32()? {
        TEXT => Ok(Value::Text(input.text(TEXT_BYTES_MAX)?)),
        ARRAY => {
            let kind = input.u32()?;
            let length = input.u64()?;
            match kind {
                TEXT => walk_texts(input, key, length),
                _ => read_numbers(input, key, kind, length),
            }
        }
        kind if key == SPLIT_NUMBER_KEY && kind != U16 => {
            Err(GgufError::Unloadable(format!("`{SPLIT_NUMBER_KEY}` is of the wrong type {kind}")))
        }
        kind => read_number(input, kind).map_err(|error| in_key(error, key)),
    }
}

/// Goes past an array of texts without keeping it. Tokens are compared by a 64-bit hash: that two different ones
/// share it is as good as impossible in an honest file.
fn walk_texts(input: &mut Input<impl Read + Seek>, key: &str, length: u64) -> Result<Value, GgufError> {
    if length > TEXT_ARRAY_MAX {
        return Err(damaged(format!("the array `{}` claims {length} texts", escape_line(key))));
    }
    let mut seen = HashSet::new();
    let mut token = Vec::new();
    for _ in 0..length {
        let bytes = input.u64()?;
        if key != TOKENS_KEY {
            input.skip(bytes)?;
            continue;
        }
        input.bytes_into(&mut token, bytes, TEXT_BYTES_MAX)?;
        // llama.cpp gives empty tokens names of their own.
        if !token.is_empty() && !seen.insert(xxh3_64(&token)) {
            let token = escape_line(&String::from_utf8_lossy(&token));
            return Err(GgufError::Unloadable(format!("its vocabulary holds the token `{token}` twice")));
        }
    }
    Ok(Value::Length(length))
}

fn read_numbers(input: &mut Input<impl Read + Seek>, key: &str, kind: u32, length: u64) -> Result<Value, GgufError> {
    let bytes = number_bytes(kind).ok_or_else(|| in_key(unknown_kind(kind), key))?;
    let total = length.checked_mul(bytes).filter(|total| *total <= input.left);
    let Some(total) = total else {
        return Err(damaged(format!("the array `{}` claims {length} numbers", escape_line(key))));
    };
    if length > NUMBERS_KEPT_MAX {
        input.skip(total)?;
        return Ok(Value::Length(length));
    }
    input.keep(length * size_of::<Value>() as u64)?;
    (0..length).map(|_| read_number(input, kind)).collect::<Result<_, _>>().map(Value::Numbers)
}

fn number_bytes(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

/// A number or truth value by its `enum gguf_type`.
fn read_number(input: &mut Input<impl Read + Seek>, kind: u32) -> Result<Value, GgufError> {
    Ok(match kind {
        0 => Value::Unsigned(u8::from_le_bytes(input.array()?).into()),
        1 => Value::Signed(i8::from_le_bytes(input.array()?).into()),
        2 => Value::Unsigned(u16::from_le_bytes(input.array()?).into()),
        3 => Value::Signed(i16::from_le_bytes(input.array()?).into()),
        4 => Value::Unsigned(input.u32()?.into()),
        5 => Value::Signed(i32::from_le_bytes(input.array()?).into()),
        6 => Value::Float(f32::from_le_bytes(input.array()?).into()),
        7 => Value::Bool(u8::from_le_bytes(input.array()?) != 0),
        10 => Value::Unsigned(input.u64()?),
        11 => Value::Signed(i64::from_le_bytes(input.array()?)),
        12 => Value::Float(f64::from_le_bytes(input.array()?)),
        other => return Err(unknown_kind(other)),
    })
}

fn alignment(metadata: &HashMap<String, Value>) -> Result<u64, GgufError> {
    match metadata.get("general.alignment") {
        None => Ok(ALIGNMENT_DEFAULT),
        Some(Value::Unsigned(alignment)) if alignment.is_power_of_two() => Ok(*alignment),
        Some(other) => Err(damaged(format!("its alignment is {other:?}, not a power of two"))),
    }
}

fn read_tensors(input: &mut Input<impl Read + Seek>, count: u64, alignment: u64) -> Result<Vec<Tensor>, GgufError> {
    let mut tensors = Vec::new();
    let mut names = HashSet::new();
    let mut expected_offset = 0u64;
    for _ in 0..count {
        let tensor = read_tensor(input)?;
        let name = escape_line(&tensor.name);
        if !names.insert(tensor.name.clone()) {
            return Err(damaged(format!("the tensor `{name}` comes twice")));
        }
        if tensor.offset != expected_offset {
            return Err(damaged(format!("the tensor `{name}` is at {}, not at {expected_offset}", tensor.offset)));
        }
        expected_offset = tensor
            .bytes
            .checked_next_multiple_of(alignment)
            .and_then(|padded| expected_offset.checked_add(padded))
            .ok_or_else(|| damaged(format!("the tensor `{name}` would end beyond any file")))?;
        tensors.push(tensor);
    }
    Ok(tensors)
}

fn read_tensor(input: &mut Input<impl Read + Seek>) -> Result<Tensor, GgufError> {
    let name = input.text(TENSOR_NAME_BYTES_MAX)?;
    let shown = escape_line(&name);
    let dimension_count = input.u32()?;
    if dimension_count > DIMENSIONS_MAX {
        return Err(damaged(format!("the tensor `{shown}` has {dimension_count} dimensions")));
    }
    let dimensions = (0..dimension_count).map(|_| input.u64()).collect::<Result<Vec<_>, _>>()?;
    let number = input.u32()?;
    let kind = TensorType::from_number(number)
        .ok_or_else(|| GgufError::Unloadable(format!("the tensor `{shown}` has the unknown type {number}")))?;
    let offset = input.u64()?;

    let row = dimensions.first().copied().unwrap_or(1);
    if !row.is_multiple_of(kind.block_elements()) {
        return Err(damaged(format!("the rows of the tensor `{shown}` are no whole blocks of {}", kind.name())));
    }
    let elements = dimensions
        .iter()
        .try_fold(1u64, |product, size| product.checked_mul(*size))
        .filter(|product| i64::try_from(*product).is_ok());
    let bytes = elements.and_then(|elements| (elements / kind.block_elements()).checked_mul(kind.block_bytes()));
    match (elements, bytes) {
        (Some(elements), Some(bytes)) => Ok(Tensor { name, dimensions, kind, offset, elements, bytes }),
        _ => Err(damaged(format!("the tensor `{shown}` claims the size {dimensions:?}"))),
    }
}

fn check_data_is_whole(header: &Header) -> Result<(), GgufError> {
    let Some(last) = header.tensors.last() else { return Ok(()) };
    let end = header.data_offset.checked_add(last.offset).and_then(|start| start.checked_add(last.bytes));
    match end {
        Some(end) if end <= header.file_bytes => Ok(()),
        Some(end) => Err(damaged(format!("it has {} bytes and should have {end}", header.file_bytes))),
        None => Err(damaged("its tensors would end beyond any file".into())),
    }
}

fn damaged(what: String) -> GgufError {
    GgufError::Damaged(what)
}

fn unknown_kind(kind: u32) -> GgufError {
    damaged(format!("a metadata value has the unknown type {kind}"))
}

fn in_key(error: GgufError, key: &str) -> GgufError {
    match error {
        GgufError::Damaged(what) => damaged(format!("{what} (key `{}`)", escape_line(key))),
        other => other,
    }
}

/// A file of which no more is asked than is left.
struct Input<R> {
    reader: BufReader<R>,
    left: u64,
    /// Bytes that were read or skipped.
    used: u64,
    /// Bytes of memory that hold what is kept.
    kept: u64,
}

impl<R: Read + Seek> Input<R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        self.take(N as u64)?;
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn u32(&mut self) -> Result<u32, GgufError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, GgufError> {
        self.array().map(u64::from_le_bytes)
    }

    fn text(&mut self, longest: u64) -> Result<String, GgufError> {
        let length = self.u64()?;
        let bytes = self.bytes(length, longest)?;
        self.keep(length)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn keep(&mut self, bytes: u64) -> Result<(), GgufError> {
        self.kept += bytes;
        if self.kept > KEPT_BYTES_MAX {
            return Err(damaged(format!("its metadata takes more than {} MiB", KEPT_BYTES_MAX >> 20)));
        }
        Ok(())
    }

    fn bytes(&mut self, length: u64, longest: u64) -> Result<Vec<u8>, GgufError> {
        let mut bytes = Vec::new();
        self.bytes_into(&mut bytes, length, longest)?;
        Ok(bytes)
    }

    fn bytes_into(&mut self, bytes: &mut Vec<u8>, length: u64, longest: u64) -> Result<(), GgufError> {
        if length > longest {
            return Err(damaged(format!("a text of {length} bytes stands where at most {longest} are allowed")));
        }
        self.take(length)?;
        bytes.resize(length as usize, 0);
        Ok(self.reader.read_exact(bytes)?)
    }

    fn skip(&mut self, length: u64) -> Result<(), GgufError> {
        self.take(length)?;
        let offset = i64::try_from(length).map_err(|_| damaged(format!("a value of {length} bytes")))?;
        Ok(self.reader.seek_relative(offset)?)
    }

    fn take(&mut self, length: u64) -> Result<(), GgufError> {
        self.left = self.left.checked_sub(length).ok_or_else(|| damaged("the file ends inside its header".into()))?;
        self.used += length;
        if self.used > HEADER_BYTES_MAX {
            return Err(damaged(format!("its header takes more than {} MiB", HEADER_BYTES_MAX >> 20)));
        }
        Ok(())
    }
}
