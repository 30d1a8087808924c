//! How fast models were seen to be on this machine: remembered for a file as long as it is untouched.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::fit::{Curve, Speed};
use super::identity;

/// Part of a new measurement in what is remembered where that was faster: what else a machine does makes it slower for a
/// while, and nothing makes it faster than it is. So one busy minute does not count for all, and the first quiet answer
/// puts right what a busy one began with.
const NEWEST_IF_SLOWER: f64 = 0.25;

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Seen {
    /// Which program it was, and what it ran on.
    conditions: String,
    decode: Option<f64>,
    prefill: Option<f64>,
    curve: Option<Curve>,
}

impl Seen {
    fn recall(model: &Path, file: &Path, conditions: &str) -> Option<Self> {
        let seen: Self = serde_json::from_str(&identity::recall(model, file)?).ok()?;
        (seen.conditions == conditions).then_some(seen)
    }

    fn remember(&self, model: &Path, file: &Path) {
        if let Ok(fact) = serde_json::to_string(self) {
            identity::remember(model, file, &fact);
        }
    }
}

/// How fast the model in this file was, and how fast it read prompts, if it ran here under these conditions.
pub fn recall(model: &Path, file: &Path, conditions: &str) -> Option<(f64, Option<f64>)> {
    let seen = Seen::recall(model, file, conditions)?;
    Some((seen.decode?, seen.prefill))
}

/// How long prompts and answers of any length take with the model in this file, if that was measured here under these
/// conditions.
pub fn recall_curve(model: &Path, file: &Path, conditions: &str) -> Option<Curve> {
    Seen::recall(model, file, conditions)?.curve
}

/// Remembers such a curve.
pub fn remember_curve(model: &Path, file: &Path, conditions: &str, curve: &Curve) {
    let seen = Seen::recall(model, file, conditions).unwrap_or_default();
    Seen { conditions: conditions.to_owned(), curve: Some(*curve), ..seen }.remember(model, file);
}

/// What is believed of a model: what was seen, or what is predicted where nothing was.
pub fn believed(seen: Option<(f64, Option<f64>)>, predicted: Option<Speed>) -> Option<Speed> {
    match (seen, predicted) {
        (Some((decode, prefill)), predicted) => {
            Some(Speed { decode, prefill: prefill.or(predicted.and_then(|speed| speed.prefill)) })
        }
        (None, predicted) => predicted,
    }
}

/// Remembers what an answer showed, in tokens per second: a faster one at once, a slower one in part.
pub fn remember(model: &Path, file: &Path, conditions: &str, decode: f64, prefill: Option<f64>) {
    let moved = |old: f64, new: f64| if new > old { new } else { old + NEWEST_IF_SLOWER * (new - old) };
    let old = Seen::recall(model, file, conditions).unwrap_or_default();
    let prefill = match (old.prefill, prefill) {
        (Some(old), Some(new)) => Some(moved(old, new)),
        (old, new) => new.or(old),
    };
    let decode = Some(old.decode.map_or(decode, |old| moved(old, decode)));
    Seen { conditions: conditions.to_owned(), decode, prefill, ..old }.remember(model, file);
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
        assert_eq!(
            recall(&model, &file, "2 threads"),
            Some((20.0, Some(100.0))),
            "the first answer was on a busy machine"
        );
        remember(&model, &file, "2 threads", 12.0, Some(20.0));
        assert_eq!(recall(&model, &file, "2 threads"), Some((18.0, Some(80.0))), "and this one perhaps, too");
        assert_eq!(recall(&model, &file, "1 threads"), None);
        std::fs::write(&model, "other weights").expect("written");
        assert_eq!(recall(&model, &file, "2 threads"), None);
    }

    #[test]
    fn a_curve_stays_when_answers_show_speeds_and_speeds_stay_when_a_curve_comes() {
        let folder = tempfile::tempdir().expect("a folder");
        let (model, file) = (folder.path().join("m.gguf"), folder.path().join("speeds.json"));
        std::fs::write(&model, "weights").expect("written");
        let curve = Curve { prompt_token_seconds: 0.01, written_token_seconds: 0.1, ..Curve::default() };
        remember_curve(&model, &file, "2 threads", &curve);
        assert_eq!(recall(&model, &file, "2 threads"), None);
        remember(&model, &file, "2 threads", 10.0, None);
        assert_eq!(recall_curve(&model, &file, "2 threads"), Some(curve));
        remember_curve(&model, &file, "2 threads", &Curve::default());
        assert_eq!(recall(&model, &file, "2 threads"), Some((10.0, None)));
        assert_eq!(recall_curve(&model, &file, "2 threads"), Some(Curve::default()));
        assert_eq!(recall_curve(&model, &file, "1 thread"), None);
    }

    #[test]
    fn what_was_seen_is_believed_rather_than_what_was_predicted() {
        let predicted = Some(Speed { decode: 5.0, prefill: Some(50.0) });
        assert_eq!(believed(None, predicted), predicted);
        assert_eq!(believed(Some((9.0, None)), predicted), Some(Speed { decode: 9.0, prefill: Some(50.0) }));
        assert_eq!(believed(Some((9.0, Some(80.0))), None), Some(Speed { decode: 9.0, prefill: Some(80.0) }));
        assert_eq!(believed(Some((9.0, None)), None), Some(Speed { decode: 9.0, prefill: None }));
    }
}
