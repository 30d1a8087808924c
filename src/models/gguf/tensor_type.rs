//! The ways in which GGUF files store numbers: `enum ggml_type` with block sizes from ggml, `enum llama_ftype`
//! from llama.cpp.

/// How a tensor's numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TensorType(u32);

/// Number, name, numbers per block, bytes per block. The gaps are types that ggml has removed.
const TENSOR_TYPES: [(u32, &str, u64, u64); 35] = [
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    (9, "Q8_1", 32, 36),
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (30, "BF16", 1, 2),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
    (41, "Q1_0", 128, 18),
    (42, "Q2_0", 64, 18),
];

impl TensorType {
    /// The type with this number in a file, if there is one.
    pub fn from_number(number: u32) -> Option<Self> {
        TENSOR_TYPES.iter().any(|(known, ..)| *known == number).then_some(Self(number))
    }

    /// The type with this name, such as `Q4_K`.
    pub fn from_name(name: &str) -> Option<Self> {
        TENSOR_TYPES.iter().find(|(_, known, ..)| *known == name).map(|(number, ..)| Self(*number))
    }

    /// Its number in a file.
    pub fn number(self) -> u32 {
        self.0
    }

    /// The type's name, such as `Q4_K`.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// How many numbers share a block; a row is a whole number of blocks.
    pub fn block_elements(self) -> u64 {
        self.row().2
    }

    /// How many bytes a block takes.
    pub fn block_bytes(self) -> u64 {
        self.row().3
    }

    fn row(self) -> (u32, &'static str, u64, u64) {
        TENSOR_TYPES.into_iter().find(|(number, ..)| *number == self.0).unwrap_or(TENSOR_TYPES[0])
    }
}

/// The name of a whole file's quantization by its `general.file_type`.
pub fn file_type_name(number: u64) -> Option<&'static str> {
    Some(match number {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        7 => "Q8_0",
        8 => "Q5_0",
        9 => "Q5_1",
        10 => "Q2_K",
        11 => "Q3_K_S",
        12 => "Q3_K_M",
        13 => "Q3_K_L",
        14 => "Q4_K_S",
        15 => "Q4_K_M",
        16 => "Q5_K_S",
        17 => "Q5_K_M",
        18 => "Q6_K",
        19 => "IQ2_XXS",
        20 => "IQ2_XS",
        21 => "Q2_K_S",
        22 => "IQ3_XS",
        23 => "IQ3_XXS",
        24 => "IQ1_S",
        25 => "IQ4_NL",
        26 => "IQ3_S",
        27 => "IQ3_M",
        28 => "IQ2_S",
        29 => "IQ2_M",
        30 => "IQ4_XS",
        31 => "IQ1_M",
        32 => "BF16",
        36 => "TQ1_0",
        37 => "TQ2_0",
        38 => "MXFP4",
        39 => "NVFP4",
        40 => "Q1_0",
        41 => "Q2_0",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn removed_and_unknown_types_are_refused() {
        for number in [4, 5, 31, 36, 43, u32::MAX] {
            assert_eq!(TensorType::from_number(number), None);
        }
    }

    #[test]
    fn a_known_type_tells_its_block() {
        let kind = TensorType::from_number(12).expect("12 is Q4_K");
        assert_eq!((kind.name(), kind.block_elements(), kind.block_bytes()), ("Q4_K", 256, 144));
    }
}
