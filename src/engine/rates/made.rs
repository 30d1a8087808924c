//! Models made to be timed: of the `llama` architecture, all matrices of one type and of one byte over and over. What they
//! say is nonsense; how long it takes is not.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::models::gguf::TensorType;

const ALIGNMENT: u64 = 32;
const EMBEDDINGS: &str = "token_embd.weight";
const LEAST_VOCABULARY: u32 = 256;
/// As the scale of a block in 16 bits it is 0.0006, and as a number of 32 bits small and normal as well.
const WEIGHT_BYTE: u8 = 0x11;

/// The sides of a made model.
#[derive(Clone, Copy, Debug)]
pub struct Sides {
    /// Rows of the output matrix.
    pub vocabulary: u32,
    pub layers: u32,
    pub embedding: u32,
    pub feed_forward: u32,
    pub heads: u32,
    pub kv_heads: u32,
}

/// Layers like those of a model of 1.5 B parameters, so many that the last cache of a processor holds little of them.
pub fn large(kind: TensorType) -> Sides {
    let one =
        Sides { vocabulary: LEAST_VOCABULARY, layers: 1, embedding: 2048, feed_forward: 5632, heads: 16, kv_heads: 4 };
    let layers = LARGE_BYTES / matrix_bytes(&tensors(one, kind));
    Sides { layers: layers.clamp(2, 12) as u32, ..one }
}

const LARGE_BYTES: u64 = 256 << 20;

/// As many layers as small models have, and together no smaller than the large ones: that weights come from memory and
/// not from a cache is part of what a layer takes.
pub const SMALL: Sides =
    Sides { vocabulary: LEAST_VOCABULARY, layers: 24, embedding: 768, feed_forward: 2048, heads: 12, kv_heads: 4 };

/// Many short rows: the output matrix of a small model.
pub const FLAT: Sides =
    Sides { vocabulary: 196_608, layers: 1, embedding: 512, feed_forward: 512, heads: 8, kv_heads: 8 };

/// A made model, which is gone when this is dropped.
pub struct MadeModel {
    place: Place,
    matrix_bytes: u64,
    rows: u64,
}

/// In memory where the system has files there: a card that wears out is not written to for this.
#[cfg(target_os = "linux")]
struct Place {
    _file: File,
    path: std::path::PathBuf,
}

#[cfg(not(target_os = "linux"))]
struct Place {
    path: tempfile::TempPath,
}

impl Place {
    #[cfg(target_os = "linux")]
    fn write(write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<Self> {
        use std::os::fd::AsRawFd;
        let file = File::from(rustix::fs::memfd_create("tuichat-made-model", rustix::fs::MemfdFlags::CLOEXEC)?);
        write(&file)?;
        let path = std::path::PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        Ok(Self { _file: file, path })
    }

    #[cfg(not(target_os = "linux"))]
    fn write(write: impl FnOnce(&File) -> io::Result<()>) -> io::Result<Self> {
        let file = tempfile::NamedTempFile::new()?;
        write(file.as_file())?;
        Ok(Self { path: file.into_temp_path() })
    }
}

struct Tensor {
    name: String,
    dimensions: Vec<u64>,
    kind: u32,
    bytes: u64,
    byte: u8,
}

impl MadeModel {
    /// Makes a model whose matrices are of this type.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub fn write(sides: Sides, kind: TensorType) -> io::Result<Self> {
        let tensors = tensors(sides, kind);
        let (matrix_bytes, rows) =
            (matrix_bytes(&tensors), matrices(&tensors).map(|tensor| tensor.dimensions[1]).sum());
        let place = Place::write(|file| {
            let mut output = BufWriter::with_capacity(1 << 20, file);
            let mut header = header(sides, &tensors);
            header.resize(header.len().next_multiple_of(ALIGNMENT as usize), 0);
            output.write_all(&header)?;
            for tensor in &tensors {
                let padded = tensor.bytes.next_multiple_of(ALIGNMENT);
                io::copy(&mut io::Read::take(io::repeat(tensor.byte), padded), &mut output)?;
            }
            output.flush()
        })?;
        Ok(Self { place, matrix_bytes, rows })
    }

    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// Rows of the matrices.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of the matrices, all of which are read for every token.
    pub fn matrix_bytes(&self) -> u64 {
        self.matrix_bytes
    }
}

/// What is read for every token; embeddings are not.
fn matrices(tensors: &[Tensor]) -> impl Iterator<Item = &Tensor> {
    tensors.iter().filter(|tensor| tensor.name != EMBEDDINGS && tensor.dimensions.len() > 1)
}

fn matrix_bytes(tensors: &[Tensor]) -> u64 {
    matrices(tensors).map(|tensor| tensor.bytes).sum()
}

fn tensors(sides: Sides, kind: TensorType) -> Vec<Tensor> {
    let (width, inner) = (u64::from(sides.embedding), u64::from(sides.feed_forward));
    let kv_width = width / u64::from(sides.heads) * u64::from(sides.kv_heads);
    let numbers = |name: &str, dimensions: &[u64], byte| Tensor {
        name: name.to_owned(),
        dimensions: dimensions.to_vec(),
        kind: 0,
        bytes: 4 * dimensions.iter().product::<u64>(),
        byte,
    };
    let of_kind = |name: &str, columns: u64, rows: u64| Tensor {
        name: name.to_owned(),
        dimensions: vec![columns, rows],
        kind: kind.number(),
        bytes: columns * rows / kind.block_elements() * kind.block_bytes(),
        byte: WEIGHT_BYTE,
    };
    let vocabulary = u64::from(sides.vocabulary);
    // 0x3c over and over is 0.0115 in 32 bits.
    let mut tensors = vec![
        of_kind(EMBEDDINGS, width, vocabulary),
        numbers("output_norm.weight", &[width], 0x3c),
        of_kind("output.weight", width, vocabulary),
    ];
    for layer in 0..sides.layers {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        let matrix = |part: &str, columns: u64, rows: u64| of_kind(&name(part), columns, rows);
        tensors.extend([
            numbers(&name("attn_norm"), &[width], 0x3c),
            matrix("attn_q", width, width),
            matrix("attn_k", width, kv_width),
            matrix("attn_v", width, kv_width),
            matrix("attn_output", width, width),
            numbers(&name("ffn_norm"), &[width], 0x3c),
            matrix("ffn_gate", width, inner),
            matrix("ffn_down", inner, width),
            matrix("ffn_up", width, inner),
        ]);
    }
    tensors
}

/// The header as ggml's `docs/gguf.md` describes it.
fn header(sides: Sides, tensors: &[Tensor]) -> Vec<u8> {
    let numbers = [
        ("llama.vocab_size", sides.vocabulary),
        ("llama.context_length", 512),
        ("llama.block_count", sides.layers),
        ("llama.embedding_length", sides.embedding),
        ("llama.feed_forward_length", sides.feed_forward),
        ("llama.attention.head_count", sides.heads),
        ("llama.attention.head_count_kv", sides.kv_heads),
    ];
    let texts = [("general.architecture", "llama"), ("tokenizer.ggml.model", "no_vocab")];
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3u32.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend(((numbers.len() + texts.len() + 1) as u64).to_le_bytes());
    let text = |bytes: &mut Vec<u8>, text: &str| {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    };
    for (key, value) in texts {
        text(&mut bytes, key);
        bytes.extend(8u32.to_le_bytes());
        text(&mut bytes, value);
    }
    for (key, value) in numbers {
        text(&mut bytes, key);
        bytes.extend(4u32.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    text(&mut bytes, "llama.attention.layer_norm_rms_epsilon");
    bytes.extend(6u32.to_le_bytes());
    bytes.extend(1e-5f32.to_le_bytes());
    let mut offset = 0u64;
    for tensor in tensors {
        text(&mut bytes, &tensor.name);
        bytes.extend((tensor.dimensions.len() as u32).to_le_bytes());
        tensor.dimensions.iter().for_each(|size| bytes.extend(size.to_le_bytes()));
        bytes.extend(tensor.kind.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        offset += tensor.bytes.next_multiple_of(ALIGNMENT);
    }
    bytes
}
