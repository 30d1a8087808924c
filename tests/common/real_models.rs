//! Models with real weights, which are on disk only where somebody fetched them: `make test` fetches the small one,
//! `make test-eval` the larger ones.

use std::io::Write;
use std::path::PathBuf;

/// The small model to talk to; `None`, and a sentence that says so, where there is none.
pub fn test_model() -> Option<PathBuf> {
    let path = std::env::var_os("TUICHAT_TEST_MODEL").map(PathBuf::from);
    if path.is_none() {
        say_skipped("TUICHAT_TEST_MODEL names no model; type `make test`");
    }
    path
}

/// A model for evaluation, by its file name.
pub fn eval_model(file: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("TUICHAT_EVAL_MODELS").map(PathBuf::from);
    if folder.is_none() {
        say_skipped("TUICHAT_EVAL_MODELS names no folder of models; type `make test-eval`");
    }
    folder.map(|folder| folder.join(file))
}

/// Says why a test did nothing, past the test runner, which shows what tests print only when they fail.
pub fn say_skipped(reason: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "skipped {name}: {reason}");
}
