//! What was brought back into the context for a question: one line under it, and the passages on demand.

use ratatui::text::Line;

use super::entry::{Look, marked};
use super::wrap::WrappedText;
use crate::engine::protocol::Passage;

/// Passages of earlier messages that the model reads again before it answers.
#[derive(Debug, Default)]
pub struct Recalled {
    count: usize,
    text: WrappedText,
}

impl From<&[Passage]> for Recalled {
    fn from(passages: &[Passage]) -> Self {
        let told = passages.iter().map(|passage| {
            let number = u64::from(passage.message) + 1;
            format!("from message {number} ({}): {}", passage.role.as_str(), passage.text.trim())
        });
        Self { count: passages.len(), text: WrappedText::new(told.collect::<Vec<_>>().join("\n")) }
    }
}

impl Recalled {
    /// How many there are, if there are any.
    pub fn in_words(&self) -> Option<String> {
        (self.count > 0).then(|| Self::words(self.count))
    }

    fn words(count: usize) -> String {
        if count == 1 { "recalled 1 passage".into() } else { format!("recalled {count} passages") }
    }

    pub(super) fn height(&mut self, look: Look) -> usize {
        match (self.count, look.thinking) {
            (0, _) => 0,
            (_, false) => 1,
            (_, true) => 1 + self.text.lines(look.text_width()).len(),
        }
    }

    pub(super) fn line(&mut self, look: Look, index: usize) -> Line<'static> {
        let theme = look.theme;
        if let Some(index) = index.checked_sub(1) {
            let text = self.text.lines(look.text_width()).get(index).cloned().unwrap_or_default();
            return marked(&text, theme.dim);
        }
        let words = Self::words(self.count);
        let head = match (look.thinking, theme.ascii) {
            (false, false) => format!("▸ {words} (Ctrl-T shows them)"),
            (false, true) => format!("+ {words} (Ctrl-T shows them)"),
            (true, false) => format!("▾ {words}"),
            (true, true) => format!("- {words}"),
        };
        marked(&head, theme.dim)
    }
}
