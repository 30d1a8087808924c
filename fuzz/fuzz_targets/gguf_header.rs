//! The header of a GGUF file, from any bytes: it is read or refused in a sentence, and nothing else happens.
#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use tuichat_fuzz::models::gguf::{self, GgufError, Header};

/// The size of a file whose weights are there, though they are not among the bytes.
const LARGE_FILE: u64 = 1 << 40;

fuzz_target!(|bytes: &[u8]| {
    let length = bytes.len() as u64;
    match gguf::read_header_from(Cursor::new(bytes), length) {
        Ok(header) => check(&header),
        Err(GgufError::Io(error)) => panic!("no more was to be read than there is: {error}"),
        Err(error) => check_sentence(&error),
    }
    match gguf::read_header_from(Cursor::new(bytes), LARGE_FILE) {
        Ok(header) => check(&header),
        Err(error) => check_sentence(&error),
    }
});

fn check(header: &Header) {
    for tensor in &header.tensors {
        assert!(header.data_offset + tensor.offset + tensor.bytes <= header.file_bytes, "{tensor:?}");
    }
    assert!(header.block_count().is_some() && header.context_length().is_some());
    let widths = (header.key_length(), header.value_length(), header.head_count_kv());
    let words = (header.quantization(), header.parameter_count(), header.chat_template(), header.size_label());
    std::hint::black_box((widths, words, header.split(), header.name()));
}

fn check_sentence(error: &GgufError) {
    assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
}
