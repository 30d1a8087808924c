//! What the interface looks like: one named style for each purpose. Views never name a colour themselves.
//!
//! - `terminal`: what can be shown. `palette`: the colours of a theme, and what a terminal makes of them.
//! - `themes`: those that come with the program and the person's own, by their names.

mod palette;
mod terminal;
mod themes;

use ratatui::style::{Color, Modifier, Style};

pub use palette::Depth;
pub use terminal::Terminal;
pub use themes::Themes;

/// The styles of the whole interface. Plain data, cheap to copy and to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// The background of the screen; without one the terminal's own stays.
    pub paper: Option<Color>,
    /// Ordinary text.
    pub text: Style,
    /// What matters less than the text round it: hints, times, the address behind a link.
    pub dim: Style,
    /// What should catch the eye: list markers, the focused item, keys in the help.
    pub accent: Style,
    /// What the user said.
    pub user: Style,
    pub heading: Style,
    pub emphasis: Style,
    pub strong: Style,
    pub strikethrough: Style,
    /// Code within a sentence.
    pub code: Style,
    /// Code on lines of its own, where no syntax colour applies.
    pub code_block: Style,
    pub link: Style,
    /// Formulas.
    pub math: Style,
    pub quote: Style,
    pub error: Style,
    pub warning: Style,
    /// The chosen row of a list, marked text.
    pub selection: Style,
    /// Lines round popups, tables and beside quotes.
    pub border: Style,
    /// The status line.
    pub status: Style,
    /// Colours of code; without them code is not analysed at all.
    pub syntax: Option<Syntax>,
    /// Whether lines and marks are drawn with ASCII characters only.
    pub ascii: bool,
    /// Whether frames and rules are drawn.
    pub borders: bool,
}

/// The styles of the parts of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Syntax {
    pub comment: Style,
    pub keyword: Style,
    pub string: Style,
    /// Numbers, truth values, escapes: whatever stands for itself.
    pub constant: Style,
    pub function: Style,
    pub type_name: Style,
    /// Names that describe something else: attributes, annotations, keys.
    pub attribute: Style,
    /// Added lines of a diff.
    pub inserted: Style,
    /// Removed lines of a diff.
    pub deleted: Style,
}

impl Theme {
    /// No colour at all: only bold, underlined, crossed out and reversed text.
    pub fn plain() -> Self {
        let (plain, bold) = (Style::new(), Style::new().add_modifier(Modifier::BOLD));
        let underlined = Style::new().add_modifier(Modifier::UNDERLINED);
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        Self {
            paper: None,
            text: plain,
            dim: plain,
            accent: bold,
            user: bold,
            heading: bold,
            emphasis: underlined,
            strong: bold,
            strikethrough: Style::new().add_modifier(Modifier::CROSSED_OUT),
            code: bold,
            code_block: plain,
            link: underlined,
            math: plain,
            quote: plain,
            error: bold,
            warning: bold,
            selection: reversed,
            border: plain,
            status: reversed,
            syntax: None,
            ascii: false,
            borders: true,
        }
    }

    /// What lies below everything that is drawn.
    pub fn canvas(&self) -> Style {
        Style { bg: self.paper, ..self.text }
    }

    /// For a dark background and true colours.
    #[cfg(test)]
    pub fn dark() -> Self {
        themes::any_dark().theme(themes::any_dark(), Depth::True)
    }

    /// For a light background and true colours.
    #[cfg(test)]
    pub fn light() -> Self {
        themes::any_light().theme(themes::any_light(), Depth::True)
    }
}
