//! What the interface looks like: one named style for each purpose, chosen from what the terminal says it can
//! show. Views never name a colour themselves.

use clap::ValueEnum;
use ratatui::style::{Color, Modifier, Style};
use serde::{Deserialize, Serialize};

/// The styles of the whole interface. Plain data, cheap to copy and to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
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
}

/// A theme by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Named {
    /// What suits the terminal
    #[default]
    Auto,
    /// For a light background
    Light,
    /// For a dark background
    Dark,
    /// Without colour
    Mono,
}

impl Named {
    pub const ALL: [(&'static str, Self); 4] =
        [("auto", Self::Auto), ("light", Self::Light), ("dark", Self::Dark), ("mono", Self::Mono)];

    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, named)| *named == self).map_or("auto", |(name, _)| name)
    }
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

/// How many colours a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    Sixteen,
    TwoHundredFiftySix,
    True,
}

/// One colour in the two forms that cannot be computed from one another.
#[derive(Clone, Copy)]
struct Ink {
    rgb: (u8, u8, u8),
    ansi: Color,
}

const fn ink(rgb: u32, ansi: Color) -> Ink {
    Ink { rgb: ((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8), ansi }
}

impl Ink {
    fn at(self, depth: Depth) -> Color {
        let (red, green, blue) = self.rgb;
        match depth {
            Depth::Sixteen => self.ansi,
            Depth::TwoHundredFiftySix => Color::Indexed(nearest_indexed(self.rgb)),
            Depth::True => Color::Rgb(red, green, blue),
        }
    }
}

/// The colour of xterm's 6×6×6 cube or its grey ramp that is nearest to `rgb`.
fn nearest_indexed((red, green, blue): (u8, u8, u8)) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let step = |value: u8| (0..6u8).min_by_key(|&index| STEPS[usize::from(index)].abs_diff(value)).unwrap_or(0);
    let distance = |(r, g, b): (u8, u8, u8)| {
        [(r, red), (g, green), (b, blue)].map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).iter().sum::<u32>()
    };
    let (r, g, b) = (step(red), step(green), step(blue));
    let cube = (STEPS[usize::from(r)], STEPS[usize::from(g)], STEPS[usize::from(b)]);
    let mean = ((u16::from(red) + u16::from(green) + u16::from(blue)) / 3) as u8;
    let grey_index = (mean.saturating_sub(3) / 10).min(23);
    let grey = 8 + 10 * grey_index;
    if distance((grey, grey, grey)) < distance(cube) { 232 + grey_index } else { 16 + 36 * r + 6 * g + b }
}

struct Palette {
    dim: Ink,
    border: Ink,
    accent: Ink,
    user: Ink,
    heading: Ink,
    code: Ink,
    quote: Ink,
    error: Ink,
    warning: Ink,
    selection: Ink,
    comment: Ink,
    keyword: Ink,
    string: Ink,
    constant: Ink,
    function: Ink,
    type_name: Ink,
    inserted: Ink,
}

const DARK: Palette = Palette {
    dim: ink(0x8b92a0, Color::DarkGray),
    border: ink(0x5c6370, Color::DarkGray),
    accent: ink(0x6cb6eb, Color::Cyan),
    user: ink(0x8fd694, Color::Green),
    heading: ink(0x7cc4ff, Color::LightCyan),
    code: ink(0xe5b97a, Color::Yellow),
    quote: ink(0xb0b6c2, Color::Gray),
    error: ink(0xf07178, Color::LightRed),
    warning: ink(0xffcb6b, Color::LightYellow),
    selection: ink(0x2f4a66, Color::Blue),
    comment: ink(0x7f8896, Color::DarkGray),
    keyword: ink(0xc99cf0, Color::LightMagenta),
    string: ink(0x9ccf86, Color::Green),
    constant: ink(0xe8a06a, Color::Yellow),
    function: ink(0x74b0f4, Color::LightBlue),
    type_name: ink(0x5fc9c0, Color::Cyan),
    inserted: ink(0x8fd694, Color::Green),
};

const LIGHT: Palette = Palette {
    dim: ink(0x6a7078, Color::DarkGray),
    border: ink(0xa5abb3, Color::DarkGray),
    accent: ink(0x0b62a8, Color::Blue),
    user: ink(0x1a6e32, Color::Green),
    heading: ink(0x0a4f8f, Color::Blue),
    code: ink(0x8a4b08, Color::Red),
    quote: ink(0x50565e, Color::DarkGray),
    error: ink(0xb3202a, Color::Red),
    warning: ink(0x8a5a00, Color::Magenta),
    selection: ink(0xbfdcf5, Color::Cyan),
    comment: ink(0x6a737d, Color::DarkGray),
    keyword: ink(0x8020a8, Color::Magenta),
    string: ink(0x1f7032, Color::Green),
    constant: ink(0xa04808, Color::Red),
    function: ink(0x1f50b8, Color::Blue),
    type_name: ink(0x0a6c70, Color::Cyan),
    inserted: ink(0x1a6e32, Color::Green),
};

impl Palette {
    fn theme(&self, depth: Depth) -> Theme {
        let colour = |ink: Ink| Style::new().fg(ink.at(depth));
        Theme {
            text: Style::new(),
            dim: colour(self.dim),
            accent: colour(self.accent),
            user: colour(self.user),
            heading: colour(self.heading).add_modifier(Modifier::BOLD),
            emphasis: Style::new().add_modifier(Modifier::ITALIC),
            strong: Style::new().add_modifier(Modifier::BOLD),
            strikethrough: Style::new().add_modifier(Modifier::CROSSED_OUT),
            code: colour(self.code),
            code_block: Style::new(),
            link: colour(self.accent).add_modifier(Modifier::UNDERLINED),
            math: colour(self.constant),
            quote: colour(self.quote),
            error: colour(self.error),
            warning: colour(self.warning),
            selection: Style::new().bg(self.selection.at(depth)).add_modifier(Modifier::BOLD),
            border: colour(self.border),
            status: colour(self.dim),
            syntax: Some(Syntax {
                comment: colour(self.comment),
                keyword: colour(self.keyword),
                string: colour(self.string),
                constant: colour(self.constant),
                function: colour(self.function),
                type_name: colour(self.type_name),
                attribute: colour(self.accent),
                inserted: colour(self.inserted),
                deleted: colour(self.error),
            }),
            ascii: false,
        }
    }
}

impl Theme {
    /// For a dark background and true colours.
    pub fn dark() -> Self {
        DARK.theme(Depth::True)
    }

    /// For a light background and true colours.
    pub fn light() -> Self {
        LIGHT.theme(Depth::True)
    }

    /// No colour at all: only bold, underlined, crossed out and reversed text.
    pub fn plain() -> Self {
        let (plain, bold) = (Style::new(), Style::new().add_modifier(Modifier::BOLD));
        let underlined = Style::new().add_modifier(Modifier::UNDERLINED);
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        Self {
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
        }
    }

    /// Another theme with as many colours as this one, which suits the terminal.
    pub fn named(&self, named: Named) -> Self {
        let depth = match self.accent.fg {
            Some(Color::Rgb(..)) => Depth::True,
            Some(Color::Indexed(_)) => Depth::TwoHundredFiftySix,
            _ => Depth::Sixteen,
        };
        let theme = match named {
            Named::Auto => *self,
            Named::Light => LIGHT.theme(depth),
            Named::Dark => DARK.theme(depth),
            Named::Mono => Self::plain(),
        };
        Self { ascii: self.ascii, ..theme }
    }

    /// The theme that is set, else the one that was chosen last; a terminal without colours stays so.
    pub fn preferring(&self, set: Named, last: Option<Named>) -> Self {
        match (self.accent.fg, set, last) {
            (None, ..) => *self,
            (_, Named::Auto, Some(last)) => self.named(last),
            (_, set, _) => self.named(set),
        }
    }

    /// The theme that suits the terminal which these environment variables describe.
    pub fn detect(env: &impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let terminal = set("TERM").unwrap_or_default();
        let theme = if set("NO_COLOR").is_some() || terminal == "dumb" || terminal.ends_with("-mono") {
            Self::plain()
        } else {
            let palette = if has_light_background(set("COLORFGBG")) { LIGHT } else { DARK };
            palette.theme(depth(&terminal, &set))
        };
        Self { ascii: !speaks_unicode(&set), ..theme }
    }
}

fn depth(terminal: &str, set: &impl Fn(&str) -> Option<String>) -> Depth {
    let true_colour = set("COLORTERM").is_some_and(|value| matches!(value.as_str(), "truecolor" | "24bit"));
    if true_colour || terminal.ends_with("-direct") || set("WT_SESSION").is_some() {
        Depth::True
    } else if terminal.contains("256color") {
        Depth::TwoHundredFiftySix
    } else {
        Depth::Sixteen
    }
}

/// `COLORFGBG` is `foreground;background`, sometimes with a field between, as numbers of the 16 colours. The
/// dark ones are 0 to 6 and 8 (the rule that Vim has made customary).
fn has_light_background(colours: Option<String>) -> bool {
    let background = colours.as_deref().and_then(|value| value.rsplit(';').next()?.parse::<u8>().ok());
    background.is_some_and(|number| number == 7 || (9..=15).contains(&number))
}

/// Whether the locale's encoding can show more than ASCII. Windows has no such variables and is always able.
fn speaks_unicode(set: &impl Fn(&str) -> Option<String>) -> bool {
    let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
    let encoding = locale.map(|name| name.to_ascii_lowercase().replace('-', ""));
    encoding.map_or(cfg!(windows), |name| name.contains("utf8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(variables: &[(&str, &str)]) -> Theme {
        Theme::detect(&|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn no_color_means_no_colour_whatever_the_terminal_can_do() {
        let theme = detect(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor"), ("LANG", "C.UTF-8")]);
        assert_eq!(theme, Theme::plain());
        assert_eq!(theme.syntax, None);
        assert_eq!(detect(&[("TERM", "dumb"), ("LANG", "C.UTF-8")]), Theme::plain());
    }

    #[test]
    fn what_is_set_goes_before_what_was_chosen_last_and_no_color_before_both() {
        let dark = Theme::dark();
        assert_eq!(dark.preferring(Named::Auto, None), dark);
        assert_eq!(dark.preferring(Named::Auto, Some(Named::Light)), Theme::light());
        assert_eq!(dark.preferring(Named::Mono, Some(Named::Light)), Theme::plain());
        assert_eq!(Theme::plain().preferring(Named::Light, Some(Named::Light)), Theme::plain());
    }

    #[test]
    fn an_empty_no_color_is_not_set() {
        let theme = detect(&[("NO_COLOR", ""), ("COLORTERM", "truecolor"), ("LANG", "C.UTF-8")]);
        assert_eq!(theme, Theme::dark());
    }

    #[test]
    fn the_number_of_colours_follows_the_terminal() {
        let accent = |variables: &[(&str, &str)]| detect(variables).accent.fg;
        assert!(matches!(accent(&[("COLORTERM", "24bit"), ("TERM", "xterm")]), Some(Color::Rgb(..))));
        assert!(matches!(accent(&[("TERM", "xterm-256color")]), Some(Color::Indexed(16..))));
        assert_eq!(accent(&[("TERM", "xterm")]), Some(Color::Cyan));
        assert_eq!(accent(&[]), Some(Color::Cyan));
    }

    #[test]
    fn a_light_background_is_recognised() {
        let theme = |colours| detect(&[("COLORTERM", "truecolor"), ("LANG", "de_DE.utf8"), ("COLORFGBG", colours)]);
        assert_eq!(theme("0;15"), Theme::light());
        assert_eq!(theme("0;default;7"), Theme::light());
        assert_eq!(theme("15;0"), Theme::dark());
        assert_eq!(theme("rubbish"), Theme::dark());
    }

    #[test]
    fn a_theme_by_its_name_has_the_colours_of_the_terminal_and_its_characters() {
        let detected = detect(&[("COLORTERM", "truecolor"), ("LANG", "C")]);
        assert_eq!(detected.named(Named::Light), Theme { ascii: true, ..Theme::light() });
        assert_eq!(detected.named(Named::Mono), Theme { ascii: true, ..Theme::plain() });
        assert_eq!(detected.named(Named::Auto), detected);
        assert!(matches!(detect(&[("TERM", "xterm-256color")]).named(Named::Light).accent.fg, Some(Color::Indexed(_))));
    }

    #[test]
    fn borders_are_ascii_unless_the_locale_is_utf8() {
        assert!(!detect(&[("LANG", "en_GB.UTF-8")]).ascii);
        assert!(detect(&[("LANG", "en_GB.UTF-8"), ("LC_ALL", "C")]).ascii);
        assert!(!detect(&[("LANG", "C"), ("LC_CTYPE", "C.utf8")]).ascii);
        assert_eq!(detect(&[]).ascii, !cfg!(windows));
    }

    #[test]
    fn the_nearest_of_256_colours_is_found() {
        assert_eq!(nearest_indexed((0, 0, 0)), 16);
        assert_eq!(nearest_indexed((255, 255, 255)), 231);
        assert_eq!(nearest_indexed((128, 128, 128)), 244);
        assert_eq!(nearest_indexed((95, 135, 255)), 69);
    }
}
