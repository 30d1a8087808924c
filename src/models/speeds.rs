//! How fast models were seen to be on this machine: remembered for a file as long as it is untouched.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::fit::Speed;
use super::identity;

/// Part of a new measurement in what is remembered, so that one busy minute does not count for all.
const NEWEST: f64 = 0.5;

#[derive(Serialize, Deserialize)]
struct Seen {
    /// Which program it was, and what it ran on.
    conditions: String,
    decode: f64,
    prefill: Option<f64>,
}

/// How fast the model in this file was, and how fast it read prompts, if it ran here under these conditions.
pub fn recall(model: &Path, file: &Path, conditions: &str) -> Option<(f64, Option<f64>)> {
    let seen: Seen = serde_json::from_str(&identity::recall(model, file)?).ok()?;
    (seen.conditions == conditions).then_some((seen.decode, seen.prefill))
}

/// What is believed of a model: what was seen, or what is predicted where nothing was.
pub fn believed(seen: Option<(f64, Option<f64>)>, predicted: Option<Speed>) -> Option<Speed> {
    match (seen, predicted) {
        (Some((decode, prefill)), predicted) => {
            Some(Speed { decode, prefill: prefill.or(predicted.map(|speed| speed.prefill)).unwrap_or(decode) })
        }
        (None, predicted) => predicted,
    }
}

/// Remembers what an answer showed, in tokens per second; both are moved towards it.
pub fn remember(model: &Path, file: &Path, conditions: &str, decode: f64, prefill: Option<f64>) {
    let moved = |old: f64, new: f64| old + NEWEST * (new - old);
    let (decode, prefill) = match recall(model, file, conditions) {
        None => (decode, prefill),
        Some((old, old_prefill)) => {
            let prefill = match (old_prefill, prefill) {
                (Some(old), Some(new)) => Some(moved(old, new)),
                (old, new) => new.or(old),
            };
            (moved(old, decode), prefill)
        }
    };
    let seen = Seen { conditions: conditions.to_owned(), decode, prefill };
    if let Ok(fact) = serde_json::to_string(&seen) {
        identity::remember(model, file, &fact);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_remembered_for_the_file_and_the_conditions() {
        let folder = tempfile::tempdir().expect("a folder");
        let (model, file) = (folder.path().join("m.gguf"), folder.path().join("speeds.json"));
        std::fs::write(&model, "weights").expect("written");
        assert_eq!(recall(&model, &file, "2 threads"), None);
        remember(&model, &file, "2 threads", 10.0, None);
        remember(&model, &file, "2 threads", 20.0, Some(100.0));
        assert_eq!(recall(&model, &file, "2 threads"), Some((15.0, Some(100.0))));
        assert_eq!(recall(&model, &file, "1 threads"), None);
        std::fs::write(&model, "other weights").expect("written");
        assert_eq!(recall(&model, &file, "2 threads"), None);
    }

    #[test]
    fn what_was_seen_is_believed_rather_than_what_was_predicted() {
        let predicted = Some(Speed { decode: 5.0, prefill: 50.0 });
        assert_eq!(believed(None, predicted), predicted);
        assert_eq!(believed(Some((9.0, None)), predicted), Some(Speed { decode: 9.0, prefill: 50.0 }));
        assert_eq!(believed(Some((9.0, Some(80.0))), None), Some(Speed { decode: 9.0, prefill: 80.0 }));
    }
}
