//! What is laid out, for what, and how Markdown is read for it.

use pulldown_cmark::Options;

use super::code::Memory;
use crate::ui::links::Links;
use crate::ui::theme::Theme;

/// What models write, as far as it can be understood from a part of a message.
pub fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS | Options::ENABLE_GFM
}

/// The same, and footnotes if the whole message is there.
pub fn options_for(whole: bool) -> Options {
    options() | if whole { Options::ENABLE_FOOTNOTES } else { Options::empty() }
}

/// What a message is laid out for, and what is remembered of it.
pub struct Sheet<'a> {
    pub width: usize,
    pub theme: &'a Theme,
    pub memory: &'a mut Memory,
    pub links: &'a mut Links,
}

/// Which part of a message is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it: what is defined at its end has a meaning at its beginning.
    Whole,
    /// Some of its blocks.
    Blocks,
    /// Some of its blocks, the first of which goes on with a list whose next item has this number, if any.
    ListGoesOn(Option<u64>),
}

impl Part {
    /// Only the first block goes on with a list.
    pub fn behind_list(self) -> Self {
        match self {
            Part::ListGoesOn(_) => Part::Blocks,
            other => other,
        }
    }
}
