//! The note beside an unfinished download, from any bytes: it vouches for spans of the file, in order and apart.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tuichat_fuzz::models::hub::journal::understood;

const SIZE_BYTES: u64 = 1000;

fuzz_target!(|bytes: &[u8]| {
    let spans = understood(bytes, SIZE_BYTES);
    let mut end = None;
    for span in spans.iter() {
        assert!(span.start < span.end && span.end <= SIZE_BYTES && end.is_none_or(|end| span.start > end), "{spans:?}");
        end = Some(span.end);
    }
    let missing: u64 = spans.gaps(SIZE_BYTES).map(|gap| gap.end - gap.start).sum();
    assert_eq!(spans.bytes() + missing, SIZE_BYTES);
});
