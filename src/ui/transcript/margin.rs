//! The margin beside a message: how the KV cache holds its text. A mark is put on lines that are in view as they are
//! collected, so it costs no layout and moves nothing.

use ratatui::text::{Line, Span};

use crate::engine::protocol::MessageCost;
use crate::ui::theme::Theme;

/// How the KV cache holds a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hold {
    pub evicted: Evicted,
    /// The person wants it kept.
    pub is_pinned: bool,
}

/// How much of a message's text has left the KV cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Evicted {
    #[default]
    Nothing,
    Part,
    All,
}

impl From<&MessageCost> for Evicted {
    fn from(cost: &MessageCost) -> Self {
        match cost.evicted_tokens {
            0 => Evicted::Nothing,
            evicted if evicted < cost.tokens => Evicted::Part,
            _ => Evicted::All,
        }
    }
}

impl Hold {
    /// The mark of it, one column wide; nothing for a message that is simply there.
    pub fn mark(self, theme: &Theme) -> Option<&'static str> {
        Some(match (self.evicted, self.is_pinned, theme.ascii) {
            (Evicted::All, _, false) => "┊",
            (Evicted::All, _, true) => ":",
            (Evicted::Part, _, false) => "│",
            (Evicted::Part, _, true) => "|",
            (Evicted::Nothing, true, false) => "┃",
            (Evicted::Nothing, true, true) => "*",
            (Evicted::Nothing, false, _) => return None,
        })
    }
}

/// Puts a mark into the first column of a line, whose margin is its first span; what stood there moves right by one.
pub fn put(mark: &'static str, line: &mut Line<'static>, theme: &Theme) {
    if let Some(margin) = line.spans.first_mut() {
        let speaker: String = margin.content.chars().take(1).collect();
        margin.content = speaker.into();
        line.spans.insert(0, Span::styled(mark, theme.dim));
    }
}
