//! The theme that was chosen last, remembered in a small file.

use std::path::Path;

use crate::config::ThemeName;
use crate::models::write_atomically;

/// What was chosen last, if anything was.
pub fn recall(file: Option<&Path>) -> Option<ThemeName> {
    let text = std::fs::read_to_string(file?).ok()?;
    let name = text.trim();
    (!name.is_empty()).then(|| name.to_owned().into())
}

/// It is the one for the next start.
pub fn remember(file: &Path, name: &ThemeName) {
    if let Err(error) = write_atomically(file, format!("{name}\n").as_bytes()) {
        tracing::warn!(%error, "the theme is not remembered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_remembered_is_recalled() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data/theme");
        assert_eq!((recall(None), recall(Some(&file))), (None, None));
        let light = ThemeName::from("light".to_owned());
        remember(&file, &light);
        assert_eq!(recall(Some(&file)), Some(light));
        std::fs::write(&file, "\n").unwrap();
        assert_eq!(recall(Some(&file)), None);
    }
}
