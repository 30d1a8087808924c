//! The theme: which is in force, and `/theme`.

use super::App;
use crate::config::{Switch, ThemeName};
use crate::ui::msg::Effect;
use crate::ui::theme::{Terminal, Theme, Themes};

/// What the interface looks like, and could.
#[derive(Clone, Debug)]
pub struct Look {
    pub(super) theme: Theme,
    pub(super) themes: Themes,
    terminal: Terminal,
    /// What is set in `config.toml` or at the start.
    set: ThemeName,
    /// What is in force.
    name: ThemeName,
}

impl Look {
    /// The look at the start, and a sentence if the theme that is set is not there.
    pub fn at_the_start(
        themes: Themes,
        terminal: Terminal,
        set: ThemeName,
        last: Option<&ThemeName>,
    ) -> (Self, Option<String>) {
        let (theme, sentence) = themes.first(&set, last, &terminal);
        let name = themes.first_name(&set, last, &terminal);
        (Self { theme, themes, terminal, set, name }, sentence)
    }

    /// The terminal has told what its background is.
    pub(super) fn background_is(&mut self, is_light: bool) {
        self.terminal.is_light = is_light;
        if self.name == ThemeName::Auto
            && let Ok(theme) = self.themes.get(&self.name, &self.terminal)
        {
            self.theme = theme;
        }
    }

    /// Whether there are colours that a background matters to.
    pub fn has_colours(&self) -> bool {
        self.terminal.has_colours
    }

    /// Draws as the settings say now; `auto` is what suits the terminal. A sentence tells that the theme is not
    /// there.
    pub(super) fn draw_with(&mut self, theme: &ThemeName, ascii: Switch, borders: bool) -> Option<String> {
        self.terminal = self.terminal.drawn_with(ascii, borders);
        (self.theme.ascii, self.theme.borders) = (self.terminal.ascii, self.terminal.borders);
        let before = std::mem::replace(&mut self.set, theme.clone());
        if before == *theme {
            return None;
        }
        self.name = self.themes.first_name(theme, None, &self.terminal);
        let (theme, sentence) = self.themes.first(theme, None, &self.terminal);
        self.theme = theme;
        sentence
    }
}

impl App {
    pub fn theme(&self) -> &Theme {
        &self.look.theme
    }

    pub fn look(&self) -> &Look {
        &self.look
    }

    /// Takes another theme, or tells which there are.
    pub(super) fn use_theme(&mut self, name: Option<String>) -> Vec<Effect> {
        let Some(name) = name else {
            let names: Vec<String> = self.look.themes.names().map(|name| format!("`{name}`")).collect();
            self.notice(format!(
                "`/theme NAME` changes the colours: {}; yours lie in the folder `themes` beside `config.toml`",
                names.join(", ")
            ));
            return Vec::new();
        };
        let name = ThemeName::from(name);
        match self.look.themes.get(&name, &self.look.terminal) {
            Ok(theme) => (self.look.theme, self.look.name) = (theme, name.clone()),
            Err(sentence) => {
                self.notice(sentence);
                return Vec::new();
            }
        }
        let set = &self.look.set;
        if *set != ThemeName::Auto && *set != name {
            self.notice(format!("`theme` is set to `{set}`, which is in force again at the next start"));
        }
        vec![Effect::RememberTheme(name)]
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Switch, ThemeName};
    use crate::ui::app::tester::Tester;
    use crate::ui::msg::{Effect, Msg};
    use crate::ui::theme::{Depth, Theme};

    #[test]
    fn a_theme_that_is_chosen_is_remembered_and_one_that_is_set_comes_back() {
        let mut tester = Tester::ready();
        let effects = tester.send("/theme light");
        assert!(matches!(&effects[..], [Effect::RememberTheme(ThemeName::Of(name))] if name == "light"), "{effects:?}");
        assert!(tester.app.notices().is_empty());
        tester.app.look.set = "dark".to_owned().into();
        tester.send("/theme mono");
        assert!(tester.app.notices()[0].contains("`theme` is set to `dark`"), "{:?}", tester.app.notices());
    }

    #[test]
    fn what_the_settings_say_is_drawn_with_at_once() {
        let mut tester = Tester::ready();
        let look = &mut tester.app.look;
        look.terminal.has_colours = true;
        let nord = ThemeName::from("nord".to_owned());
        assert_eq!(look.draw_with(&nord, Switch::On, false), None);
        assert!(look.theme.ascii && !look.theme.borders && look.theme.accent.fg.is_some());
        let told = look.draw_with(&"pink".to_owned().into(), Switch::Auto, true).unwrap();
        assert!(told.starts_with("there is no theme `pink`"), "{told}");
        assert!(!look.theme.ascii && look.theme.borders);
    }

    #[test]
    fn the_theme_follows_the_background_unless_one_was_chosen() {
        let mut tester = Tester::ready();
        tester.app.look.terminal.has_colours = true;
        tester.app.look.terminal.depth = Depth::True;
        tester.send("/theme auto");
        tester.update(Msg::Background { is_light: true });
        assert_eq!(*tester.app.theme(), Theme::light());
        tester.update(Msg::Background { is_light: false });
        assert_eq!(*tester.app.theme(), Theme::dark());
        tester.send("/theme nord");
        let nord = *tester.app.theme();
        tester.update(Msg::Background { is_light: true });
        assert_eq!(*tester.app.theme(), nord);
        tester.send("/theme auto");
        assert_eq!(*tester.app.theme(), Theme::light(), "what was told is known");
    }

    #[test]
    fn a_theme_that_is_not_there_changes_nothing_and_names_those_that_are() {
        let mut tester = Tester::ready();
        let before = *tester.app.theme();
        assert!(tester.send("/theme pink").is_empty());
        assert_eq!(*tester.app.theme(), before);
        assert!(tester.app.notices()[0].contains("no theme `pink`; there are `auto`, `mono`"));
        tester.send("/theme");
        let told = tester.app.notices().last().expect("it tells which there are");
        assert!(told.contains("`nord`") && told.contains("the folder `themes`"), "{told}");
    }
}
