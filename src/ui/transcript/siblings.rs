//! Where a message has others in its place: an edited question, another answer.

use ratatui::text::Line;

use super::entry::marked;
use crate::ui::theme::Theme;

/// Which of the messages in one place this is, counted from 1, and how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Siblings {
    pub place: usize,
    pub count: usize,
}

impl Siblings {
    /// Lines that it takes to say so: none where there is nothing to choose.
    pub(super) fn height(self) -> usize {
        usize::from(self.count > 1)
    }

    pub(super) fn line(self, theme: &Theme) -> Line<'static> {
        let (left, right) = if theme.ascii { ('<', '>') } else { ('‹', '›') };
        marked(&format!("{left} {}/{} {right}", self.place, self.count), theme.dim)
    }
}
