//! Reading the bytes in which llama.cpp hands out a KV cache (`llama_state_seq_get_data`): which positions the cells
//! hold, and their values. The layout is llama.cpp's own business (`llama_kv_cache::state_write`), so everything here
//! checks what it reads and gives up rather than guess; a test compares it with a real context.

use llama_cpp_sys_2 as sys;

/// What the bytes begin with, before the number of the sequence.
const MAGIC: u32 = 0xaf14_3cd8;

/// A cache as bytes, of which the beginning was read.
#[derive(Debug)]
pub struct State<'b> {
    /// Behind the positions.
    rest: Reader<'b>,
    positions: Vec<u32>,
}

impl<'b> State<'b> {
    /// `None` for a layout that is not known. Of a cache with a sliding window this is the part that holds everything.
    pub fn read(bytes: &'b [u8]) -> Option<Self> {
        let mut reader = Reader { bytes };
        let Beginning { positions, .. } = Beginning::read(&mut reader)?;
        Some(Self { rest: reader, positions })
    }

    /// The positions of the cells, in the cells' order.
    pub fn positions(&self) -> &[u32] {
        &self.positions
    }

    /// Calls `each` with the values of the last layers, one in so many of all: for each cell a row of all KV heads, as
    /// f32. `None` if the layout is not known.
    pub fn for_each_late_layer(&self, one_in: u32, mut each: impl FnMut(&[f32])) -> Option<()> {
        let mut reader = Reader { bytes: self.rest.bytes };
        let cells = self.positions.len();
        if cells == 0 {
            return Some(());
        }
        let (is_transposed, layers) = (reader.u32()?, reader.u32()?);
        let _rotations = (reader.u32()?, reader.u32()?);
        if is_transposed != 0 {
            return None;
        }
        let first = layers - layers.div_ceil(one_in.max(1));
        let mut values = Vec::new();
        // The keys of all layers come first.
        for layer in 0..layers.checked_mul(2)? {
            // A signed number with Microsoft's compiler.
            let kind = sys::ggml_type::from_le_bytes(reader.array()?);
            let row_bytes = usize::try_from(u64::from_le_bytes(reader.array()?)).ok()?;
            let rows = reader.take(row_bytes.checked_mul(cells)?)?;
            if layer >= layers + first {
                let numbers = to_floats(kind, rows, &mut values).filter(|numbers| *numbers > 0)?;
                each(&values[..numbers]);
            }
        }
        Some(())
    }
}

/// What stands before the form of the layers.
pub(super) struct Beginning {
    /// Bytes before the number of cells.
    pub length: usize,
    pub positions: Vec<u32>,
}

impl Beginning {
    /// `None` for a layout that is not known.
    pub fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let bytes = reader.bytes;
        if reader.u32()? == MAGIC {
            reader.u32()?;
        } else {
            reader.bytes = bytes;
        }
        let streams = reader.u32()?;
        let length = bytes.len() - reader.bytes.len();
        let cells = reader.u32()? as usize;
        if streams != 1 || cells > bytes.len() / 12 {
            return None;
        }
        let mut positions = Vec::with_capacity(cells);
        for _ in 0..cells {
            let position = i32::from_le_bytes(reader.array()?);
            let (sequences, _sequence) = (reader.u32()?, reader.u32()?);
            positions.push(u32::try_from(position).ok().filter(|_| sequences == 1)?);
        }
        Some(Self { length, positions })
    }
}

/// Numbers of a ggml type as f32; returns how many. `None` for a type that cannot be read.
fn to_floats(kind: sys::ggml_type, bytes: &[u8], floats: &mut Vec<f32>) -> Option<usize> {
    const KNOWN: [sys::ggml_type; 8] = [
        sys::GGML_TYPE_F32,
        sys::GGML_TYPE_F16,
        sys::GGML_TYPE_Q8_0,
        sys::GGML_TYPE_Q5_1,
        sys::GGML_TYPE_Q5_0,
        sys::GGML_TYPE_Q4_1,
        sys::GGML_TYPE_Q4_0,
        sys::GGML_TYPE_IQ4_NL,
    ];
    if !KNOWN.contains(&kind) {
        return None;
    }
    if kind == sys::GGML_TYPE_F32 {
        floats.clear();
        floats.extend(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)));
        return Some(floats.len());
    }
    // SAFETY: a type that is known has traits.
    let traits = unsafe { sys::ggml_get_type_traits(kind).as_ref()? };
    let (block, size) = (usize::try_from(traits.blck_size).ok()?, traits.type_size);
    let numbers = bytes.len().checked_div(size)? * block;
    floats.resize(numbers, 0.0);
    // SAFETY: the bytes hold so many numbers, and the floats have room for them. The alignment of ggml's blocks is that
    // of their f16 scale; the copy gives more.
    unsafe {
        let mut aligned = vec![0_u64; bytes.len().div_ceil(8)];
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), aligned.as_mut_ptr().cast::<u8>(), bytes.len());
        traits.to_float?(aligned.as_ptr().cast(), floats.as_mut_ptr(), i64::try_from(numbers).ok()?);
    }
    Some(numbers)
}

#[derive(Debug)]
pub(super) struct Reader<'b> {
    pub bytes: &'b [u8],
}

impl<'b> Reader<'b> {
    pub fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_or_made_up_is_not_read() {
        for bytes in [&[][..], &[1, 0, 0], &[255; 64], &[0xd8, 0x3c, 0x14, 0xaf, 0, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0]] {
            assert!(State::read(bytes).is_none(), "{bytes:?}");
        }
    }
}
