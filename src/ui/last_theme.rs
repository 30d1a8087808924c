//! The theme that was chosen last, remembered in a small file.

use std::path::Path;

use super::theme::Named;
use crate::models::write_atomically;

/// What was chosen last, if anything was.
pub fn recall(file: Option<&Path>) -> Option<Named> {
    let text = std::fs::read_to_string(file?).ok()?;
    Named::ALL.into_iter().find(|(name, _)| *name == text.trim()).map(|(_, named)| named)
}

/// It is the one for the next start.
pub fn remember(file: &Path, named: Named) {
    if let Err(error) = write_atomically(file, format!("{}\n", named.name()).as_bytes()) {
        tracing::warn!(%error, "the theme is not remembered");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_remembered_is_recalled_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("data/theme");
        assert_eq!((recall(None), recall(Some(&file))), (None, None));
        remember(&file, Named::Light);
        assert_eq!(recall(Some(&file)), Some(Named::Light));
        std::fs::write(&file, "pink\n").unwrap();
        assert_eq!(recall(Some(&file)), None);
    }
}
