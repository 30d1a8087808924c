//! A snapshot of a KV cache whose header was made up by somebody who knew how to hash it: it is refused, or the engine
//! goes on from it as from any other. The first byte says how much of the rest is the header.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((&share, bytes)) = bytes.split_first() else { return };
    let (header, rest) = bytes.split_at(bytes.len() * usize::from(share) / 255);
    tuichat::engine::go_on_from_made_up(header, rest);
});
