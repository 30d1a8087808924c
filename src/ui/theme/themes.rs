//! The themes there are: those that come with the program, and the person's own, which lie as `NAME.toml` in a folder
//! and replace one of the same name.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use super::palette::{Background, Palette};
use super::{Terminal, Theme};
use crate::config::ThemeName;
use crate::text::escape_line;
use crate::text_file;

/// More than anybody has.
const MOST: usize = 200;

macro_rules! included {
    ($($name:literal),*) => { [$(($name, include_str!(concat!("../../../assets/themes/", $name, ".toml")))),*] };
}

const INCLUDED: [(&str, &str); 12] = included![
    "catppuccin-latte",
    "catppuccin-mocha",
    "dark",
    "dracula",
    "gruvbox-dark",
    "gruvbox-light",
    "high-contrast",
    "light",
    "nord",
    "solarized-dark",
    "solarized-light",
    "tokyo-night"
];

static PALETTES: LazyLock<BTreeMap<&'static str, Palette>> = LazyLock::new(|| {
    let parse = |(name, text)| (name, toml::from_str(text).expect("each is parsed by a test"));
    INCLUDED.into_iter().map(parse).collect()
});

/// The colours for any dark background.
pub(super) fn any_dark() -> &'static Palette {
    &PALETTES["dark"]
}

/// The colours for any light background.
pub(super) fn any_light() -> &'static Palette {
    &PALETTES["light"]
}

/// All themes that have colours, by their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Themes(BTreeMap<String, Palette>);

impl Themes {
    /// Those that come with the program.
    pub fn included() -> Self {
        Self(PALETTES.iter().map(|(name, palette)| ((*name).to_owned(), palette.clone())).collect())
    }

    /// These and the person's own, and a sentence for each file that is none.
    pub fn with_those_in(folder: &Path) -> (Self, Vec<String>) {
        let (mut themes, mut problems) = (Self::included(), Vec::new());
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().take(MOST);
        for path in entries.map(|entry| entry.path()) {
            if path.extension().is_none_or(|extension| extension != "toml") {
                continue;
            }
            let Some(name) = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()) else { continue };
            match read(&path) {
                Ok(_) if matches!(ThemeName::from(name.clone()), ThemeName::Auto | ThemeName::Mono) => {
                    problems.push(format!("`{}` needs another name: `{name}` has a meaning already", path.display()));
                }
                Ok(palette) => _ = themes.0.insert(name, palette),
                Err(problem) => problems.push(escape_line(&problem)),
            }
        }
        (themes, problems)
    }

    /// Every name that can be chosen.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        ["auto", "mono"].into_iter().chain(self.0.keys().map(String::as_str))
    }

    /// The theme of this name in a terminal.
    ///
    /// # Errors
    /// Which there are instead.
    pub fn get(&self, name: &ThemeName, terminal: &Terminal) -> Result<Theme, String> {
        let of = |palette: &Palette| {
            let base = if palette.background == Background::Light { any_light() } else { any_dark() };
            palette.theme(base, terminal.depth)
        };
        let suits = if terminal.is_light { "light" } else { "dark" };
        let theme = match name {
            ThemeName::Auto if terminal.has_colours => self.0.get(suits).map(of),
            ThemeName::Auto | ThemeName::Mono => Some(Theme::plain()),
            ThemeName::Of(name) => self.0.get(name).map(of),
        };
        let theme = theme.ok_or_else(|| {
            let names: Vec<String> = self.names().map(|name| format!("`{}`", escape_line(name))).collect();
            format!("there is no theme `{}`; there are {}", escape_line(&name.to_string()), names.join(", "))
        })?;
        Ok(Theme { ascii: terminal.ascii, borders: terminal.borders, ..theme })
    }

    /// What the theme at the start is called, see [`Themes::first`].
    pub fn first_name(&self, set: &ThemeName, last: Option<&ThemeName>, terminal: &Terminal) -> ThemeName {
        let wanted = wanted(set, last, terminal);
        if self.get(wanted, terminal).is_ok() { wanted.clone() } else { ThemeName::Auto }
    }

    /// The theme at the start: the one that is set, else the one that was chosen last; a terminal without colours
    /// has neither. If what is set is not there, a sentence tells it.
    pub fn first(&self, set: &ThemeName, last: Option<&ThemeName>, terminal: &Terminal) -> (Theme, Option<String>) {
        let suiting = || self.get(&ThemeName::Auto, terminal).unwrap_or_else(|_| Theme::plain());
        match self.get(wanted(set, last, terminal), terminal) {
            Ok(theme) => (theme, None),
            // What was chosen long ago may be gone, and nobody asked for it now.
            Err(_) if *set == ThemeName::Auto => (suiting(), None),
            Err(sentence) => (suiting(), Some(sentence)),
        }
    }
}

/// The name of the theme at the start.
fn wanted<'a>(set: &'a ThemeName, last: Option<&'a ThemeName>, terminal: &Terminal) -> &'a ThemeName {
    match (set, last) {
        _ if !terminal.has_colours => &ThemeName::Mono,
        (ThemeName::Auto, Some(last)) => last,
        (set, _) => set,
    }
}

fn read(path: &Path) -> Result<Palette, String> {
    toml::from_str(&text_file::read(path)?).map_err(|error: toml::de::Error| {
        let sentence = error.message().trim_end_matches('.');
        format!("the theme `{}` is not used: {sentence}", path.display())
    })
}

#[cfg(test)]
mod tests {
    use ratatui::style::Color;

    use super::*;
    use crate::ui::theme::Depth;
    use crate::ui::theme::palette::Purpose;

    const TERMINAL: Terminal = Terminal {
        depth: Depth::True,
        has_colours: true,
        is_light: false,
        speaks_unicode: true,
        ascii: false,
        borders: true,
    };

    /// The relative luminance of a colour (WCAG 2.1).
    fn luminance(colour: Color) -> f64 {
        let Color::Rgb(red, green, blue) = colour else { panic!("{colour} has no numbers") };
        let linear = |value: u8| {
            let share = f64::from(value) / 255.0;
            if share <= 0.03928 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
    }

    /// From 1 (none) to 21 (WCAG 2.1).
    fn contrast(one: Color, other: Color) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn every_colour_of_every_theme_can_be_read_on_its_paper() {
        let themes = Themes::included();
        assert_eq!(themes.0.len(), INCLUDED.len());
        for (name, palette) in &themes.0 {
            let colour = |purpose| palette.colours.get(&purpose).map(|ink| ink.colour);
            let is_light = palette.background == Background::Light;
            let (white, black) = (Color::Rgb(255, 255, 255), Color::Rgb(30, 30, 30));
            let paper = colour(Purpose::Paper).unwrap_or(if is_light { white } else { black });
            let text = colour(Purpose::Text).unwrap_or(if is_light { Color::Rgb(0, 0, 0) } else { white });
            for (purpose, ink) in &palette.colours {
                let least = match (name.as_str(), purpose) {
                    (_, Purpose::Paper) => continue,
                    (_, Purpose::Selection) => {
                        let seen = contrast(text, ink.colour);
                        assert!(seen >= 4.5, "{name}: text on what is chosen has {seen:.2}");
                        continue;
                    }
                    (_, Purpose::Border) => 1.6,
                    ("high-contrast", _) => 7.0,
                    (_, Purpose::Text) => 5.5,
                    _ => 3.7,
                };
                let seen = contrast(ink.colour, paper);
                assert!(seen >= least, "{name}: {purpose:?} has {seen:.2} of {least}");
            }
        }
    }

    #[test]
    fn the_two_themes_for_any_background_say_every_colour_and_leave_the_background() {
        for palette in [any_dark(), any_light()] {
            assert_eq!(palette.colours.len(), 17);
            for depth in [Depth::Sixteen, Depth::TwoHundredFiftySix, Depth::True] {
                let theme = palette.theme(palette, depth);
                assert_eq!((theme.paper, theme.text.fg), (None, None));
                assert!(theme.border.fg.is_some_and(|colour| colour != Color::Reset));
            }
        }
    }

    #[test]
    fn the_theme_that_suits_is_light_or_dark_and_without_colours_where_there_are_none() {
        let get = |terminal| Themes::included().get(&ThemeName::Auto, &terminal).unwrap();
        assert_eq!(get(TERMINAL), Theme::dark());
        assert_eq!(get(Terminal { is_light: true, ..TERMINAL }), Theme::light());
        assert_eq!(
            get(Terminal { has_colours: false, ascii: true, ..TERMINAL }),
            Theme { ascii: true, ..Theme::plain() }
        );
    }

    #[test]
    fn a_theme_by_its_name_has_the_colours_of_the_terminal_and_its_characters() {
        let name = ThemeName::from("nord".to_owned());
        let get = |terminal| Themes::included().get(&name, &terminal).unwrap();
        assert_eq!(get(TERMINAL).paper, Some(Color::Rgb(0x2e, 0x34, 0x40)));
        assert!(matches!(
            get(Terminal { depth: Depth::TwoHundredFiftySix, ..TERMINAL }).paper,
            Some(Color::Indexed(_))
        ));
        let sixteen = get(Terminal { depth: Depth::Sixteen, ascii: true, ..TERMINAL });
        assert_eq!((sixteen.paper, sixteen.text.fg, sixteen.accent.fg), (None, None, Some(Color::Cyan)));
        assert!(sixteen.ascii);
    }

    #[test]
    fn what_is_set_goes_before_what_was_chosen_last_and_no_color_before_both() {
        let themes = Themes::included();
        let (auto, light, mono) = (ThemeName::Auto, ThemeName::from("light".to_owned()), ThemeName::Mono);
        assert_eq!(themes.first(&auto, None, &TERMINAL), (Theme::dark(), None));
        assert_eq!(themes.first(&auto, Some(&light), &TERMINAL), (Theme::light(), None));
        assert_eq!(themes.first(&mono, Some(&light), &TERMINAL), (Theme::plain(), None));
        let without = Terminal { has_colours: false, ..TERMINAL };
        assert_eq!(themes.first(&light, Some(&light), &without), (Theme::plain(), None));
    }

    #[test]
    fn a_theme_that_is_set_and_not_there_is_told_and_one_that_was_chosen_once_is_not() {
        let (themes, pink) = (Themes::included(), ThemeName::from("pink".to_owned()));
        let (theme, told) = themes.first(&pink, None, &TERMINAL);
        assert_eq!(theme, Theme::dark());
        assert!(told.unwrap().starts_with("there is no theme `pink`; there are `auto`, `mono`, `catppuccin-latte`"));
        assert_eq!(themes.first(&ThemeName::Auto, Some(&pink), &TERMINAL), (Theme::dark(), None));
    }

    #[test]
    fn ones_own_themes_lie_in_a_folder_and_go_before_those_that_come_along() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("mine.toml", "background = \"light\"\n[colours]\npaper = \"#fffff0\"\n");
        write("nord.toml", "background = \"dark\"\n[colours]\naccent = \"#ff0000\"\n");
        write("odd.toml", "background = \"dark\"\n[colours]\nink = \"#ff0000\"\n");
        write("bad.toml", "background = \"dark\"\n[colours]\ndim = \"#ff\"\n");
        write("mono.toml", "background = \"dark\"\n");
        write("notes.txt", "nothing");
        let (themes, mut problems) = Themes::with_those_in(folder.path());
        problems.sort();
        let get = |name: &str| themes.get(&name.to_owned().into(), &TERMINAL).unwrap();
        assert_eq!(get("mine"), Theme { paper: Some(Color::Rgb(255, 255, 240)), ..Theme::light() });
        assert_eq!(get("nord").accent.fg, Some(Color::Rgb(255, 0, 0)));
        assert_eq!(problems.len(), 3, "{problems:#?}");
        let told = |words: &str| assert!(problems.iter().any(|line| line.contains(words)), "{problems:#?}");
        told("`#ff` is no colour");
        told("unknown variant `ink`, expected one of `paper`, `text`");
        told("`mono` has a meaning already");
        assert_eq!(Themes::with_those_in(&folder.path().join("none")), (Themes::included(), Vec::new()));
    }
}
