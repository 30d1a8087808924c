//! A run of `tuichat bench` as it is kept, from any bytes: its whole lines are read, and come back when they are written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tuichat_fuzz::bench::record::{Line, Run};

fuzz_target!(|bytes: &[u8]| {
    let Ok((run, length)) = Run::parse(bytes) else { return };
    assert!(length <= bytes.len());
    let (status, models) = (run.status(), run.models().len());
    assert_eq!(run.by_model().len(), models);
    let text: String = run.lines().iter().map(Line::to_text).collect();
    let (again, length) = Run::parse(text.as_bytes()).expect("what is written is read");
    assert_eq!((length, again.status(), again.cases.len()), (text.len(), status, run.cases.len()));
});
