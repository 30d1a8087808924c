//! A person's own `models.toml`, from any text: it is read, or refused in one line.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tuichat_fuzz::models::catalog::parse;

fuzz_target!(|text: &str| {
    match parse(text) {
        Ok(entries) => assert!(entries.iter().all(|entry| !entry.files.is_empty())),
        Err(sentence) => assert!(!sentence.is_empty() && !sentence.contains('\n'), "{sentence:?}"),
    }
});
