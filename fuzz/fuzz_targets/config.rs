//! `config.toml`, from any text: it is settings, or a sentence that says where the mistake is.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| tuichat::config::read_any(text));
