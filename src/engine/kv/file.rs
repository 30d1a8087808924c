//! A snapshot as a file: `MAGIC`, the length and the hash of a header in JSON, the header, the tokens, the state.
//! Numbers are little-endian. Every part has a hash (XXH3, 64 bits), so that damage is found before llama.cpp reads it.

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::About;
use crate::engine::context::Contents;
use crate::engine::llama::Token;

const MAGIC: &[u8; 16] = b"tuichat KV 2\0\0\0\0";
/// No header is longer; a chat of 16,000 answers of 1,000 tokens has one of 100 MB.
const MOST_HEADER_BYTES: u32 = 256 << 20;
/// Written or read at once, between two looks at whether to go on.
const CHUNK_BYTES: usize = 4 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    key: String,
    tokens: usize,
    tokens_hash: u64,
    state_bytes: u64,
    state_hash: u64,
    contents: Contents,
    answers: Vec<Vec<Token>>,
    prefill_speed: Option<f64>,
    clock: Option<Timestamp>,
}

/// Writes a snapshot. `go_on` is asked again and again.
///
/// # Errors
/// As the file's; [`io::ErrorKind::Interrupted`] if it was not to go on.
pub(super) fn write(
    file: &mut impl Write,
    key: &str,
    about: &About,
    state: &[u8],
    go_on: &dyn Fn() -> bool,
) -> io::Result<()> {
    let tokens: Vec<u8> = about.contents.tokens.iter().flat_map(|token| token.to_le_bytes()).collect();
    let header = Header {
        key: key.to_owned(),
        tokens: about.contents.tokens.len(),
        tokens_hash: xxh3_64(&tokens),
        state_bytes: state.len() as u64,
        state_hash: xxh3_64(state),
        contents: about.contents.clone(),
        answers: about.answers.clone(),
        prefill_speed: about.prefill_speed,
        clock: about.clock,
    };
    let header = serde_json::to_vec(&header)?;
    let length = u32::try_from(header.len()).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
    file.write_all(MAGIC)?;
    file.write_all(&length.to_le_bytes())?;
    file.write_all(&xxh3_64(&header).to_le_bytes())?;
    file.write_all(&header)?;
    file.write_all(&tokens)?;
    for chunk in state.chunks(CHUNK_BYTES) {
        if !go_on() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        file.write_all(chunk)?;
    }
    Ok(())
}

/// A snapshot of which everything but the state was read.
#[derive(Debug)]
pub(super) struct Opened {
    pub about: About,
    file: File,
    state_bytes: u64,
    state_hash: u64,
}

/// Reads all but the state of a snapshot that was made with this key. `None` if it is damaged or another's.
pub(super) fn open(mut file: File, key: &str) -> Option<Opened> {
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic).ok()?;
    let length = u32::from_le_bytes(read_array(&mut file)?);
    let hash = u64::from_le_bytes(read_array(&mut file)?);
    if magic != *MAGIC || length > MOST_HEADER_BYTES {
        return None;
    }
    let header = read_checked(&mut file, u64::from(length), hash)?;
    let mut header: Header = serde_json::from_slice(&header).ok()?;
    let token_bytes = u64::try_from(header.tokens).ok()?.checked_mul(size_of::<Token>() as u64)?;
    let tokens = read_checked(&mut file, token_bytes, header.tokens_hash)?;
    let mut contents = std::mem::take(&mut header.contents);
    contents.tokens = tokens.as_chunks().0.iter().map(|bytes| Token::from_le_bytes(*bytes)).collect();
    if header.key != key || !contents.is_consistent() {
        return None;
    }
    let Header { answers, prefill_speed, clock, state_bytes, state_hash, .. } = header;
    let about = About { contents, answers, prefill_speed, clock };
    Some(Opened { about, file, state_bytes, state_hash })
}

impl Opened {
    /// The file is being used now.
    ///
    /// # Errors
    /// If the system does not take note.
    pub fn touch(&self) -> io::Result<()> {
        self.file.set_modified(SystemTime::now())
    }

    /// Reads the state. `None` if it is damaged.
    pub fn state(mut self) -> Option<Vec<u8>> {
        read_checked(&mut self.file, self.state_bytes, self.state_hash)
    }
}

/// Reads a snapshot whose header and rest are made up, with the hashes that belong to them, and goes on from what it
/// says, as an engine does.
#[cfg(fuzzing)]
pub fn go_on_from_made_up(header: &[u8], rest: &[u8]) {
    use crate::engine::context::Ledger;
    let Ok(mut header) = serde_json::from_slice::<Header>(header) else { return };
    let (tokens, state) = rest.split_at(header.tokens.saturating_mul(size_of::<Token>()).min(rest.len()));
    let state_bytes = usize::try_from(header.state_bytes).unwrap_or(usize::MAX).min(state.len());
    (header.tokens_hash, header.state_hash) = (xxh3_64(tokens), xxh3_64(&state[..state_bytes]));
    header.key = "key".into();
    let header = serde_json::to_vec(&header).expect("what was read is written");
    let length = (header.len() as u32).to_le_bytes();
    let bytes = [MAGIC, &length[..], &xxh3_64(&header).to_le_bytes(), &header, rest].concat();
    let Ok(mut file) = tempfile::tempfile() else { return };
    file.write_all(&bytes).expect("a temporary file is written");
    file.rewind().expect("a file has a beginning");
    let Some(opened) = open(file, "key") else { return };
    assert!(opened.about.contents.is_consistent());
    let mut ledger = Ledger::default();
    ledger.replace(opened.about.contents.clone());
    assert!(ledger.cells() <= ledger.tokens().len());
    ledger.push(&[1, 2]);
    assert!(ledger.contents().is_consistent());
    let _ = opened.state();
}

fn read_array<const N: usize>(file: &mut File) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}

/// Reads so many bytes, if there are so many and they have this hash.
fn read_checked(file: &mut File, length: u64, hash: u64) -> Option<Vec<u8>> {
    let left = file.metadata().ok()?.len().checked_sub(file.stream_position().ok()?)?;
    if length > left {
        return None;
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(length).ok()?).ok()?;
    file.take(length).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 == length && xxh3_64(&bytes) == hash).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::context::Ledger;

    fn about() -> About {
        let mut ledger = Ledger::default();
        ledger.push(&[1, -2, i32::MAX]);
        ledger.set_aside(1..2);
        ledger.evict(&(0..1));
        let contents = ledger.contents().clone();
        About { contents, answers: vec![vec![5, 6]], prefill_speed: Some(321.5), clock: Some(Timestamp::UNIX_EPOCH) }
    }

    fn bytes() -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, "key", &about(), b"the state", &|| true).unwrap();
        bytes
    }

    fn open_bytes(bytes: &[u8], key: &str) -> Option<Opened> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        open(file, key)
    }

    #[test]
    fn what_was_written_is_read() {
        let opened = open_bytes(&bytes(), "key").unwrap();
        assert_eq!(opened.about, about());
        assert_eq!(opened.state().unwrap(), b"the state");
    }

    #[test]
    fn a_snapshot_with_another_key_is_not_ours() {
        assert!(open_bytes(&bytes(), "kez").is_none());
    }

    #[test]
    fn every_changed_byte_and_every_missing_end_is_found() {
        let whole = bytes();
        let is_read = |bytes: &[u8]| open_bytes(bytes, "key").and_then(Opened::state).is_some();
        assert!(is_read(&whole));
        for place in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[place] ^= 0x10;
            assert!(!is_read(&damaged), "byte {place} of {}", whole.len());
            assert!(!is_read(&whole[..place]), "cut at {place}");
        }
    }

    #[test]
    fn writing_ends_when_it_is_not_to_go_on() {
        let error = write(&mut Vec::new(), "key", &about(), b"the state", &|| false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }

    /// The bytes of a snapshot whose header was made up, with the hash that belongs to it.
    fn made_up(header: &str, rest: &[u8]) -> Vec<u8> {
        let length = (header.len() as u32).to_le_bytes();
        [MAGIC, &length[..], &xxh3_64(header.as_bytes()).to_le_bytes(), header.as_bytes(), rest].concat()
    }

    /// The header and what follows it.
    fn parts() -> (String, Vec<u8>) {
        let whole = bytes();
        let start = MAGIC.len() + 12;
        let length = u32::from_le_bytes(whole[MAGIC.len()..MAGIC.len() + 4].try_into().unwrap()) as usize;
        (String::from_utf8(whole[start..start + length].to_vec()).unwrap(), whole[start + length..].to_vec())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]
        /// Numbers in the header are replaced, and the hash is right: whoever made the file up knew how.
        #[test]
        fn a_header_that_was_made_up_is_refused_or_holds_together(
            changes in proptest::collection::vec((0usize..64, prop_oneof![0u64..12, any::<u64>()]), 1..4),
        ) {
            let (mut header, rest) = parts();
            for (place, number) in changes {
                let numbers: Vec<_> = header.match_indices(|character: char| character.is_ascii_digit()).collect();
                let start = numbers[place % numbers.len()].0;
                let start = header[..start].rfind(|character: char| !character.is_ascii_digit()).unwrap() + 1;
                let length = header[start..].find(|character: char| !character.is_ascii_digit()).unwrap();
                header.replace_range(start..start + length, &number.to_string());
            }
            if let Some(opened) = open_bytes(&made_up(&header, &rest), "key") {
                prop_assert!(opened.about.contents.is_consistent());
                let mut ledger = Ledger::default();
                ledger.replace(opened.about.contents.clone());
                prop_assert!(ledger.cells() <= ledger.tokens().len());
                ledger.push(&[1, 2]);
                prop_assert!(ledger.contents().is_consistent());
                let _ = opened.state();
            }
        }
    }
}
