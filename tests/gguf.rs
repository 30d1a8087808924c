//! Header preflight: what is read from a good file, and how bad ones are refused.

mod common;

use std::fs;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use common::tiny_gguf::{self, TinyModel, Value};
use proptest::prelude::*;
use tuichat::models::gguf::{self, GgufError, Header, read_header, read_header_from};

/// The file of the tiny model as it is by default.
static GOOD: LazyLock<Vec<u8>> = LazyLock::new(|| TinyModel::default().bytes());

fn read(bytes: &[u8]) -> Result<Header, GgufError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.gguf");
    fs::write(&path, bytes).expect("written");
    read_header(&path)
}

fn refusal(bytes: &[u8]) -> String {
    match read(bytes) {
        Ok(header) => panic!("accepted: {:?}", header.metadata.keys()),
        Err(GgufError::Io(error)) => panic!("not the file's fault: {error}"),
        Err(error) => error.to_string(),
    }
}

fn refusal_with(key: &str, value: Value) -> String {
    refusal(&TinyModel::default().set(key, value).bytes())
}

#[test]
fn a_good_header_tells_what_the_model_is() {
    let header = read(&TinyModel::default().context(2048).bytes()).expect("the tiny model is good");
    assert_eq!(header.version, 3);
    assert_eq!((header.architecture(), header.name()), ("llama", Some("Tiny")));
    assert_eq!(header.size_label(), Some("372K"));
    assert_eq!(header.chat_template(), Some(tiny_gguf::CHATML));
    assert_eq!(header.context_length(), Some(2048));
    assert_eq!(header.block_count(), Some(2));
    assert_eq!(header.embedding_length(), Some(128));
    assert_eq!((header.head_count(), header.head_count_kv()), (Some(4), Some(2)));
    assert_eq!((header.key_length(), header.value_length()), (Some(32), Some(32)));
    assert_eq!(header.quantization(), "F32");
    assert_eq!(header.tensors.len(), 3 + 2 * 9);
    assert_eq!(header.parameter_count(), 2 * 272 * 128 + 128 + 2 * (2 * 128 + 3 * 128 * 128 + 3 * 128 * 256));
    assert_eq!(header.split(), None);
}

#[test]
fn a_header_is_read_without_the_weights_behind_it() {
    let whole = read(&GOOD).expect("good");
    let start = std::io::Cursor::new(&GOOD[..whole.data_offset as usize]);
    let header = read_header_from(start.clone(), whole.file_bytes).expect("good");
    assert_eq!((header.metadata, header.tensors), (whole.metadata, whole.tensors));
    let cut = read_header_from(start, whole.file_bytes - 1).expect_err("a byte is missing");
    assert!(cut.to_string().contains("damaged or cut short"), "{cut}");
}

#[test]
fn a_base_model_has_no_template_and_an_undeclared_quantization_is_seen_from_the_tensors() {
    let header = read(&TinyModel::default().template(None).without("general.file_type").bytes()).expect("good");
    assert_eq!(header.chat_template(), None);
    assert_eq!(header.quantization(), "F32");
}

#[test]
fn every_truncation_of_the_header_is_refused() {
    let bytes = &*GOOD;
    let data_offset = read(bytes).expect("good").data_offset as usize;
    for length in (0..data_offset).step_by(37).chain([data_offset, bytes.len() - 1]) {
        let sentence = refusal(&bytes[..length]);
        let expected = if length < 4 { "not a GGUF file" } else { "damaged or cut short" };
        assert!(sentence.contains(expected), "{length}: {sentence}");
    }
}

#[test]
fn other_files_and_versions_are_named_as_what_they_are() {
    let mut bytes = GOOD.clone();
    assert!(refusal(b"PK\x03\x04 a zip archive").contains("not a GGUF file"));
    assert!(read_header(Path::new("/")).is_err());
    bytes[4] = 1;
    assert!(refusal(&bytes).contains("version 1"));
    bytes[4..8].copy_from_slice(&3u32.to_be_bytes());
    assert!(refusal(&bytes).contains("big-endian"));
}

#[test]
fn absurd_counts_and_lengths_are_refused_without_reserving_memory() {
    for (place, what) in [(8, "tensors"), (16, "metadata entries"), (24, "a text of")] {
        for claim in [u64::MAX, i64::MAX as u64, 1 << 40] {
            let mut bytes = GOOD.clone();
            bytes[place..place + 8].copy_from_slice(&claim.to_le_bytes());
            let sentence = refusal(&bytes);
            assert!(sentence.contains(what) && sentence.contains(&claim.to_string()), "{sentence}");
        }
    }
}

#[test]
fn many_short_lists_are_refused_before_they_fill_the_memory() {
    let numbers = Value::I32s(vec![1; 1024]);
    let model = (0..2100).fold(TinyModel::default(), |model, key| model.set(&format!("k{key}"), numbers.clone()));
    let sentence = refusal(&model.bytes());
    assert!(sentence.contains("metadata takes more than 64 MiB"), "{sentence}");
}

#[test]
fn a_header_longer_than_any_is_refused_without_being_read() {
    // GGUF 3 without tensors, and a list of 2^30 bytes as its only metadata.
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    [0u64, 1, 1].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    bytes.push(b'k');
    [9u32, 0].iter().for_each(|kind| bytes.extend(kind.to_le_bytes()));
    bytes.extend((1u64 << 30).to_le_bytes());
    let refused = read_header_from(std::io::Cursor::new(bytes), 1 << 40).expect_err("it is too long");
    assert!(refused.to_string().contains("header takes more than 256 MiB"), "{refused}");
}

/// The tiny model with the bytes after the name of a tensor replaced from `skip` on.
fn with_tensor_bytes(name: &str, skip: usize, replacement: &[u8]) -> Vec<u8> {
    let mut bytes = GOOD.clone();
    let at = bytes.windows(name.len()).position(|window| window == name.as_bytes()).expect("the tensor is there");
    let start = at + name.len() + skip;
    bytes[start..start + replacement.len()].copy_from_slice(replacement);
    bytes
}

#[test]
fn tensors_that_cannot_be_are_refused() {
    // After the name: the number of dimensions (4 bytes), each size (8), the type (4), the offset (8).
    let matrix = "blk.0.attn_q.weight";
    assert!(refusal(&with_tensor_bytes(matrix, 0, &5u32.to_le_bytes())).contains("5 dimensions"));
    assert!(refusal(&with_tensor_bytes(matrix, 4, &(u64::MAX / 2).to_le_bytes())).contains("claims the size"));
    assert!(refusal(&with_tensor_bytes(matrix, 20, &31u32.to_le_bytes())).contains("unknown type 31"));
    assert!(refusal(&with_tensor_bytes(matrix, 20, &12u32.to_le_bytes())).contains("no whole blocks of Q4_K"));
    assert!(refusal(&with_tensor_bytes(matrix, 24, &32u64.to_le_bytes())).contains("is at 32"));
    let twice = with_tensor_bytes("blk.1.attn_q", 0, b".");
    let position = twice.windows(5).rposition(|window| window == b"blk.1").expect("there");
    let mut twice = twice;
    twice[position + 4] = b'0';
    assert!(refusal(&twice).contains("comes twice"));
}

#[test]
fn what_aborts_llama_cpp_is_refused_in_a_sentence() {
    let cases = [
        ("llama.block_count", Value::U32(0), "0 layers"),
        ("llama.block_count", Value::U32(513), "513 layers"),
        ("llama.nextn_predict_layers", Value::U32(3), "predict ahead"),
        ("llama.expert_count", Value::U32(1025), "expert counts"),
        ("llama.expert_count", Value::U32(8), "expert counts"),
        ("llama.expert_used_count", Value::U32(2), "expert counts"),
        ("llama.expert_group_count", Value::U32(2), "expert counts"),
        ("llama.rope.scaling.type", Value::Text("sideways".into()), "scaling positions"),
        ("llama.context_length", Value::U32(0), "context length"),
        ("llama.embedding_length", Value::U32(0), "embedding length"),
        ("llama.attention.head_count", Value::U32(129), "attention heads"),
        ("llama.attention.head_count_kv", Value::U32(1 << 30 | 2), "KV cache"),
        ("tokenizer.ggml.tokens", Value::Texts(vec![]), "no vocabulary"),
        ("tokenizer.ggml.tokens", Value::Texts(vec!["a".into(), "b".into(), "a".into()]), "`a` twice"),
        ("tokenizer.ggml.model", Value::Text("no_vocab".into()), "no vocabulary"),
        ("general.architecture", Value::Text("clip".into()), "vision"),
        ("general.type", Value::Text("adapter".into()), "adapter"),
        ("general.alignment", Value::U32(24), "power of two"),
        ("general.alignment", Value::U32(0), "power of two"),
        ("split.count", Value::U32(3), "split into 3 files"),
        ("split.no", Value::U32(0), "wrong type"),
    ];
    for (key, value, expected) in cases {
        let sentence = refusal_with(key, value.clone());
        assert!(sentence.contains(expected), "{key} = {value:?}: {sentence}");
    }
}

#[test]
fn what_is_missing_is_named() {
    for (key, expected) in [
        ("general.architecture", "architecture"),
        ("llama.block_count", "how many layers"),
        ("llama.context_length", "context length"),
        ("tokenizer.ggml.model", "how text becomes tokens"),
        ("tokenizer.ggml.tokens", "no vocabulary"),
    ] {
        let sentence = refusal(&TinyModel::default().without(key).bytes());
        assert!(sentence.contains(expected), "{key}: {sentence}");
    }
}

#[test]
fn a_begin_token_outside_the_vocabulary_is_refused_where_it_would_be_added() {
    let model = TinyModel::default().set("tokenizer.ggml.bos_token_id", Value::U32(5000));
    assert!(read(&model.bytes()).is_ok());
    let adding = model.set("tokenizer.ggml.add_bos_token", Value::Bool(true));
    assert!(refusal(&adding.bytes()).contains("not in its vocabulary"));
    let nameless = TinyModel::default().without("tokenizer.ggml.bos_token_id");
    let gemma = nameless.set("tokenizer.ggml.model", Value::Text("gemma4".into()));
    assert!(refusal(&gemma.bytes()).contains("not in its vocabulary"));
}

#[test]
fn names_from_the_file_cannot_move_the_cursor() {
    let sentence = refusal_with("llama.rope.scaling.type", Value::Text("\u{1b}[2J".into()));
    assert!(sentence.contains("<U+001B>"), "{sentence}");
}

static HEADER_BYTES: LazyLock<usize> = LazyLock::new(|| read(&GOOD).expect("good").data_offset as usize);

/// The file whose header is damaged anew each time.
static FILE: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(|| Mutex::new(GOOD.clone()));

/// What a mutation puts where.
fn mutations() -> impl Strategy<Value = Vec<(f64, Vec<u8>)>> {
    let extremes = prop::sample::select(vec![0u64, 1, 255, 1 << 31, 1 << 32, i64::MAX as u64, u64::MAX]);
    let replacement = prop_oneof![
        any::<u8>().prop_map(|byte| vec![byte]),
        any::<u32>().prop_map(|word| word.to_le_bytes().to_vec()),
        extremes.prop_map(|word| word.to_le_bytes().to_vec()),
    ];
    prop::collection::vec((0.0..1.0, replacement), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5000, ..ProptestConfig::default() })]

    #[test]
    fn no_mutated_header_panics_or_is_misread(mutations in mutations(), cut in prop::option::weighted(0.2, 0.0..1.0)) {
        let header_bytes = *HEADER_BYTES;
        let mut header = GOOD[..header_bytes].to_vec();
        for (place, replacement) in mutations {
            let start = (place * (header_bytes - replacement.len()) as f64) as usize;
            header[start..start + replacement.len()].copy_from_slice(&replacement);
        }
        let length = cut.map_or(GOOD.len(), |cut: f64| (cut * GOOD.len() as f64) as usize);
        let mut file = FILE.lock().expect("no other test uses it");
        file[..header_bytes].copy_from_slice(&header);
        match read_header_from(std::io::Cursor::new(&file[..length]), length as u64) {
            Ok(header) => {
                let end = header.tensors.iter().map(|tensor| header.data_offset + tensor.offset + tensor.bytes).max();
                prop_assert!(end.unwrap_or(0) <= length as u64);
            }
            Err(GgufError::Io(error)) => prop_assert!(false, "not the file's fault: {error}"),
            Err(error) => prop_assert!(!error.to_string().chars().any(char::is_control), "{error:?}"),
        }
    }
}

/// A model in three files, in a folder of its own; the path of the first.
fn in_three_files() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let first = TinyModel::default().write_split(folder.path(), "tiny", 3).expect("written");
    (folder, first)
}

#[test]
fn a_split_model_is_read_as_one() {
    let (_folder, first) = in_three_files();
    let header = gguf::read_header(&first).expect("a good model");
    let whole = read(&GOOD).expect("a good model");
    let names = |header: &gguf::Header| header.tensors.iter().map(|tensor| tensor.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&header), names(&whole));
    assert_eq!(header.parameter_count(), whole.parameter_count());
    assert_eq!((header.split(), header.name()), (Some((3, 1)), Some("Tiny")));
    let files = gguf::split::files(&first);
    let sizes: Vec<u64> = files.iter().map(|file| std::fs::metadata(file).expect("there").len()).collect();
    assert_eq!((sizes.len(), header.file_bytes), (3, sizes.iter().sum()));
}

#[test]
fn a_split_model_that_is_not_whole_is_told_with_the_file_that_is_wrong() {
    let refusal = |spoil: &dyn Fn(&std::path::Path)| {
        let (folder, first) = in_three_files();
        spoil(folder.path());
        gguf::read_header(&first).expect_err("refused").to_string()
    };
    let second = "tiny-00002-of-00003.gguf";
    let missing = refusal(&|folder| std::fs::remove_file(folder.join(second)).expect("removed"));
    assert!(missing.contains(&format!("`{second}` is missing")), "{missing}");
    let twice = refusal(&|folder| {
        std::fs::copy(folder.join("tiny-00003-of-00003.gguf"), folder.join(second)).expect("copied");
    });
    assert!(twice.contains(&format!("`{second}` is not part 2")), "{twice}");
    let short = refusal(&|folder| {
        let file = std::fs::File::options().write(true).open(folder.join(second)).expect("opened");
        file.set_len(file.metadata().expect("there").len() - 100).expect("cut");
    });
    assert!(short.contains("should have") && short.contains(second), "{short}");
    let other = refusal(&|folder| std::fs::write(folder.join(second), "no model").expect("written"));
    assert!(other.contains(second) && other.contains("not a GGUF file"), "{other}");
    let fewer = refusal(&|folder| {
        let parts = TinyModel::default().parts(4);
        let renumbered =
            [("split.no", 1), ("split.count", 3)].into_iter().fold(parts[1].clone(), |part, (key, value)| {
                let place = part.windows(key.len()).position(|window| window == key.as_bytes()).expect("there");
                let value_at = place + key.len() + 4;
                [&part[..value_at], &[value, 0], &part[value_at + 2..]].concat()
            });
        std::fs::write(folder.join(second), renumbered).expect("written");
    });
    assert!(fewer.contains("comes again") || fewer.contains("tensors, and should have"), "{fewer}");
}

#[test]
fn any_other_file_of_a_split_model_names_the_first() {
    let (folder, first) = in_three_files();
    let error = gguf::read_header(&folder.path().join("tiny-00002-of-00003.gguf")).expect_err("not the first");
    assert!(error.to_string().contains("name the first, `tiny-00001-of-00003.gguf`"), "{error}");
    let renamed = folder.path().join("renamed.gguf");
    std::fs::copy(first, &renamed).expect("copied");
    let error = gguf::read_header(&renamed).expect_err("the others cannot be found");
    assert!(error.to_string().contains("must be named like"), "{error}");
}
