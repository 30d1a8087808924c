//! The colours of a theme, as they are written in a file, and what becomes of them in a terminal.

use std::collections::BTreeMap;
use std::str::FromStr;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use super::{Syntax, Theme};

/// How many colours a terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    Sixteen,
    TwoHundredFiftySix,
    True,
}

/// What a colour is for. Every name but `paper` is the name of a style of [`Theme`] or [`Syntax`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Purpose {
    /// The background of the whole screen.
    Paper,
    Text,
    Dim,
    Border,
    Accent,
    User,
    Heading,
    Code,
    Quote,
    Error,
    Warning,
    /// The background of what is chosen.
    Selection,
    Comment,
    Keyword,
    String,
    Constant,
    Function,
    Type,
    Inserted,
}

/// One colour, and the one for terminals of 16 colours, which cannot be computed from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
pub(super) struct Ink {
    pub colour: Color,
    ansi: Option<Color>,
}

/// A colour in a file.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    One(String),
    Two([String; 2]),
}

impl TryFrom<Written> for Ink {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let colour = |text: &str| {
            Color::from_str(text)
                .map_err(|_| format!("`{text}` is no colour: write `\"#8b92a0\"`, or a name like `\"lightblue\"`"))
        };
        match written {
            Written::One(text) => Ok(Self { colour: colour(&text)?, ansi: None }),
            Written::Two([text, ansi]) => Ok(Self { colour: colour(&text)?, ansi: Some(colour(&ansi)?) }),
        }
    }
}

impl Ink {
    /// As the terminal can show it, if it can.
    fn at(self, depth: Depth) -> Option<Color> {
        match (depth, self.colour) {
            (Depth::Sixteen, Color::Rgb(..) | Color::Indexed(16..)) => self.ansi,
            (Depth::TwoHundredFiftySix, Color::Rgb(red, green, blue)) => {
                Some(Color::Indexed(nearest_indexed((red, green, blue))))
            }
            (_, colour) => Some(colour),
        }
    }
}

/// What kind of background the colours are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Background {
    Dark,
    Light,
}

/// The colours of a theme. What is not said is as in the palette for any dark, or any light, background.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Palette {
    pub background: Background,
    #[serde(default)]
    pub colours: BTreeMap<Purpose, Ink>,
}

impl Palette {
    /// The theme in a terminal of so many colours; `base` has every colour but paper and text.
    pub fn theme(&self, base: &Self, depth: Depth) -> Theme {
        let shown = |palette: &Self, purpose| palette.colours.get(&purpose).and_then(|ink| ink.at(depth));
        let colour = |purpose| shown(self, purpose).or_else(|| shown(base, purpose)).unwrap_or(Color::Reset);
        let style = |purpose| Style::new().fg(colour(purpose));
        let paper = shown(self, Purpose::Paper);
        // A colour of text that is made for one background is not shown on another.
        let text = shown(self, Purpose::Text).filter(|_| paper.is_some());
        Theme {
            paper,
            text: text.map_or(Style::new(), |text| Style::new().fg(text)),
            dim: style(Purpose::Dim),
            accent: style(Purpose::Accent),
            user: style(Purpose::User),
            heading: style(Purpose::Heading).add_modifier(Modifier::BOLD),
            emphasis: Style::new().add_modifier(Modifier::ITALIC),
            strong: Style::new().add_modifier(Modifier::BOLD),
            strikethrough: Style::new().add_modifier(Modifier::CROSSED_OUT),
            code: style(Purpose::Code),
            code_block: Style::new(),
            link: style(Purpose::Accent).add_modifier(Modifier::UNDERLINED),
            math: style(Purpose::Constant),
            quote: style(Purpose::Quote),
            error: style(Purpose::Error),
            warning: style(Purpose::Warning),
            selection: Style::new().bg(colour(Purpose::Selection)).add_modifier(Modifier::BOLD),
            border: style(Purpose::Border),
            status: style(Purpose::Dim),
            syntax: Some(Syntax {
                comment: style(Purpose::Comment),
                keyword: style(Purpose::Keyword),
                string: style(Purpose::String),
                constant: style(Purpose::Constant),
                function: style(Purpose::Function),
                type_name: style(Purpose::Type),
                attribute: style(Purpose::Accent),
                inserted: style(Purpose::Inserted),
                deleted: style(Purpose::Error),
            }),
            ascii: false,
            borders: true,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_of_256_colours_is_found() {
        assert_eq!(nearest_indexed((0, 0, 0)), 16);
        assert_eq!(nearest_indexed((255, 255, 255)), 231);
        assert_eq!(nearest_indexed((128, 128, 128)), 244);
        assert_eq!(nearest_indexed((95, 135, 255)), 69);
    }

    #[test]
    fn a_colour_is_a_number_or_a_name_with_perhaps_another_for_sixteen_colours() {
        let palette: Palette = toml::from_str(
            "background = \"dark\"\n[colours]\ndim = \"#102030\"\nuser = \"lightred\"\ncode = [\"#ffffff\", \"green\"]",
        )
        .unwrap();
        let ink = |purpose| palette.colours[&purpose];
        assert_eq!(ink(Purpose::Dim).at(Depth::True), Some(Color::Rgb(16, 32, 48)));
        assert_eq!(ink(Purpose::Dim).at(Depth::Sixteen), None);
        assert_eq!(ink(Purpose::User).at(Depth::True), Some(Color::LightRed));
        assert_eq!(ink(Purpose::User).at(Depth::Sixteen), Some(Color::LightRed));
        assert_eq!(ink(Purpose::Code).at(Depth::Sixteen), Some(Color::Green));
        assert_eq!(ink(Purpose::Code).at(Depth::TwoHundredFiftySix), Some(Color::Indexed(231)));
    }
}
