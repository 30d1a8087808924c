//! What was measured of a model's steps is kept on disk, so that it is measured once and not in every run: for a file of
//! weights as long as it is untouched, and for what it ran with. What is damaged or makes no sense is forgotten.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::cost::{Costs, Times};
use crate::models::identity;

/// A ratio that moved by less than this part is not worth a write.
const NOTICEABLE: f64 = 0.1;

/// Where the times of a model's steps are kept.
#[derive(Clone, Debug)]
pub struct TimesFile {
    /// The model's file.
    pub model: PathBuf,
    pub file: PathBuf,
    /// Which program it is; what others found is dropped.
    pub version: String,
    /// What the model runs with, beginning with the version.
    pub conditions: String,
}

impl TimesFile {
    /// What was measured before, under the same conditions.
    pub fn recall(&self) -> Times {
        self.remembered().remove(&self.conditions).unwrap_or_default()
    }

    /// Keeps what was measured, if that is not what is kept already; `true` if it was written.
    pub fn remember(&self, costs: &Costs) -> bool {
        let times = costs.times();
        let mut known = self.remembered();
        if known.get(&self.conditions).unwrap_or(&Times::default()).is_like(&times, NOTICEABLE) {
            return false;
        }
        known.retain(|conditions, _| conditions.starts_with(&self.version));
        known.insert(self.conditions.clone(), times);
        if let Ok(fact) = serde_json::to_string(&known) {
            identity::remember(&self.model, &self.file, &fact);
        }
        true
    }

    fn remembered(&self) -> BTreeMap<String, Times> {
        let fact = identity::recall(&self.model, &self.file);
        fact.and_then(|fact| serde_json::from_str(&fact).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(folder: &tempfile::TempDir, conditions: &str) -> TimesFile {
        let model = folder.path().join("model.gguf");
        if !model.exists() {
            std::fs::write(&model, "weights").unwrap();
        }
        let file = folder.path().join("times.json");
        TimesFile { model, file, version: "1".into(), conditions: conditions.into() }
    }

    fn costs(ratio: f64) -> Costs {
        let mut costs = Costs::new(false);
        (0..3).for_each(|_| costs.measured(1, 0, 0.1));
        costs.measured(4, 0, 0.1 * ratio);
        costs
    }

    #[test]
    fn what_was_measured_is_there_in_the_next_run_under_the_same_conditions() {
        let folder = tempfile::tempdir().unwrap();
        assert!(of(&folder, "1, 2 threads").remember(&costs(3.0)));
        let mut next = Costs::new(false);
        next.recall(&of(&folder, "1, 2 threads").recall());
        assert!((next.ratio(4, 0) - 3.0).abs() < 1e-9, "{}", next.ratio(4, 0));
        assert_eq!(next.plain(0), None, "how fast the machine is now is measured now");
        assert_eq!(of(&folder, "1, 1 threads").recall(), Times::default());
    }

    #[test]
    fn only_what_changed_noticeably_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = of(&folder, "1, 2 threads");
        assert!(!file.remember(&Costs::new(false)) && !file.file.exists());
        assert!(file.remember(&costs(3.0)));
        assert!(!file.remember(&costs(3.1)));
        assert!(file.remember(&costs(4.0)));
    }

    #[test]
    fn what_another_version_found_is_dropped_and_what_other_conditions_gave_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        of(&folder, "0, 2 threads").remember(&costs(3.0));
        of(&folder, "1, 1 threads").remember(&costs(3.0));
        of(&folder, "1, 2 threads").remember(&costs(2.0));
        assert_eq!(of(&folder, "0, 2 threads").recall(), Times::default());
        assert!(of(&folder, "1, 1 threads").recall() != Times::default());
    }

    #[test]
    fn another_file_of_weights_or_a_damaged_memory_is_nothing_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = of(&folder, "1, 2 threads");
        file.remember(&costs(3.0));
        std::fs::write(&file.model, "other weights").unwrap();
        assert_eq!(file.recall(), Times::default());
        file.remember(&costs(3.0));
        let written = std::fs::read(&file.file).unwrap();
        std::fs::write(&file.file, &written[..written.len() / 2]).unwrap();
        assert_eq!(file.recall(), Times::default());
        assert!(file.remember(&costs(3.0)) && file.recall() != Times::default());
    }
}
