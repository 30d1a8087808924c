//! What a terminal can show, as far as the environment tells.

use super::palette::Depth;
use crate::config::Switch;

/// What there is to draw with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    pub depth: Depth,
    /// Colours are wanted, and the terminal is known to have some.
    pub has_colours: bool,
    pub is_light: bool,
    /// More than ASCII characters arrive.
    pub speaks_unicode: bool,
    /// Only ASCII characters are drawn.
    pub ascii: bool,
    /// Frames are drawn.
    pub borders: bool,
}

impl Terminal {
    /// The terminal that these environment variables describe.
    pub fn detect(env: &impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let terminal = set("TERM").unwrap_or_default();
        let speaks_unicode = speaks_unicode(&set);
        Self {
            depth: depth(&terminal, &set),
            has_colours: set("NO_COLOR").is_none() && terminal != "dumb" && !terminal.ends_with("-mono"),
            is_light: has_light_background(set("COLORFGBG")),
            speaks_unicode,
            ascii: !speaks_unicode,
            borders: true,
        }
    }

    /// The same, drawn on as the person wants it.
    #[must_use]
    pub fn drawn_with(self, ascii: Switch, borders: bool) -> Self {
        let ascii = match ascii {
            Switch::Auto => !self.speaks_unicode,
            set => set == Switch::On,
        };
        Self { ascii, borders, ..self }
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

    fn detect(variables: &[(&str, &str)]) -> Terminal {
        Terminal::detect(&|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn no_color_means_no_colour_whatever_the_terminal_can_do() {
        assert!(!detect(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")]).has_colours);
        assert!(!detect(&[("TERM", "dumb")]).has_colours);
        assert!(!detect(&[("TERM", "xterm-mono")]).has_colours);
        assert!(detect(&[("NO_COLOR", ""), ("COLORTERM", "truecolor")]).has_colours);
        assert!(detect(&[]).has_colours);
    }

    #[test]
    fn the_number_of_colours_follows_the_terminal() {
        assert_eq!(detect(&[("COLORTERM", "24bit"), ("TERM", "xterm")]).depth, Depth::True);
        assert_eq!(detect(&[("TERM", "xterm-256color")]).depth, Depth::TwoHundredFiftySix);
        assert_eq!(detect(&[("TERM", "xterm")]).depth, Depth::Sixteen);
        assert_eq!(detect(&[]).depth, Depth::Sixteen);
    }

    #[test]
    fn a_light_background_is_recognised() {
        for (colours, is_light) in [("0;15", true), ("0;default;7", true), ("15;0", false), ("rubbish", false)] {
            assert_eq!(detect(&[("COLORFGBG", colours)]).is_light, is_light, "{colours}");
        }
    }

    #[test]
    fn borders_are_ascii_unless_the_locale_is_utf8() {
        assert!(!detect(&[("LANG", "en_GB.UTF-8")]).ascii);
        assert!(detect(&[("LANG", "en_GB.UTF-8"), ("LC_ALL", "C")]).ascii);
        assert!(!detect(&[("LANG", "C"), ("LC_CTYPE", "C.utf8")]).ascii);
        assert_eq!(detect(&[]).ascii, !cfg!(windows));
    }

    #[test]
    fn what_a_person_wants_goes_before_the_locale_and_back_to_it() {
        let terminal = detect(&[("LANG", "en_GB.UTF-8")]).drawn_with(Switch::On, false);
        assert_eq!((terminal.ascii, terminal.borders), (true, false));
        assert!(!terminal.drawn_with(Switch::Auto, true).ascii);
    }
}
