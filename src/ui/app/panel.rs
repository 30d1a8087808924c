//! The panel of settings over the chat: all of `config.toml`, what each is and where that is from, to be changed in
//! place.

use super::{App, Popup};
use crate::config::{About, Changed, Standing};
use crate::text::escape_line;
use crate::ui::composer::Field;
use crate::ui::msg::Effect;

/// What is written behind a setting to take it back to its default.
const DEFAULT: &str = "default";

/// The panel while it is open.
#[derive(Debug, Default)]
pub struct Panel {
    /// How all settings stand, or why that is not known; `None` until they were read.
    standings: Option<Result<Vec<Standing>, String>>,
    pub filter: Field,
    pub chosen: usize,
    /// The value that is being written for the chosen one.
    pub value: Option<Field>,
    /// What came of the last change, in a sentence.
    pub told: Option<String>,
}

impl Panel {
    pub fn is_read(&self) -> bool {
        self.standings.is_some()
    }

    /// Why it is not known how the settings stand.
    pub fn problem(&self) -> Option<&str> {
        self.standings.as_ref()?.as_ref().err().map(String::as_str)
    }

    /// The settings in which all of the words stand that were typed: first the one of this name, then those whose names
    /// begin so, those with the words in their names, and the others.
    pub fn matching(&self) -> Vec<&Standing> {
        let filter = self.filter.text().trim().to_lowercase();
        let name = filter.replace('-', "_");
        let has_all = |text: &str| filter.split_whitespace().all(|word| text.contains(word));
        let rank = |standing: &Standing| {
            let About { key, group, explanation, .. } = standing.about;
            let names = format!("{key} {}", key.replace('_', "-"));
            match () {
                () if *key == name => Some(0),
                () if key.starts_with(&name) => Some(1),
                () if has_all(&names) => Some(2),
                () => {
                    let text = format!("{names} {group} {explanation} {} {}", standing.value, standing.from());
                    has_all(&text.to_lowercase()).then_some(3)
                }
            }
        };
        let all = self.standings.iter().flatten().flatten();
        let mut ranked: Vec<(u8, &Standing)> = all.filter_map(|it| Some((rank(it)?, it))).collect();
        ranked.sort_by_key(|(rank, _)| *rank);
        ranked.into_iter().map(|(_, standing)| standing).collect()
    }

    pub fn chosen_standing(&self) -> Option<&Standing> {
        self.matching().get(self.chosen).copied()
    }

    /// The line that is written in: a value, or what narrows the list.
    pub(super) fn field_mut(&mut self) -> &mut Field {
        self.value.as_mut().unwrap_or(&mut self.filter)
    }

    /// Another line is written there now.
    pub(super) fn narrow(&mut self) {
        self.told = None;
        if self.value.is_none() {
            self.chosen = 0;
        }
    }

    pub(super) fn move_by(&mut self, by: i16) {
        if self.value.is_none() {
            let last = self.matching().len().saturating_sub(1);
            self.chosen = self.chosen.saturating_add_signed(by.into()).min(last);
            self.told = None;
        }
    }

    /// The settings stand so now; the choice stays on its own.
    fn take(&mut self, standings: Result<Vec<Standing>, String>) {
        let chosen = self.chosen_standing().map(|standing| standing.about);
        self.standings = Some(standings);
        let place = chosen.and_then(|about| self.matching().iter().position(|standing| standing.about == about));
        self.chosen = place.unwrap_or(self.chosen);
    }
}

impl App {
    /// Opens the panel, narrowed by these words.
    pub(super) fn open_panel(&mut self, words: Option<&str>) -> Vec<Effect> {
        let filter = words.map(Field::holding).unwrap_or_default();
        self.popup = Popup::Settings(Panel { filter, ..Panel::default() });
        vec![Effect::ReadSettings]
    }

    pub(super) fn settings_read(&mut self, standings: Result<Vec<Standing>, String>) {
        if let Popup::Settings(panel) = &mut self.popup {
            panel.take(standings);
        }
    }

    /// The words that a setting can be.
    fn words_for(&self, about: &About) -> Vec<String> {
        match about.key.as_str() {
            "theme" => self.look.themes.names().map(str::to_owned).collect(),
            _ if about.is_list => Vec::new(),
            _ => about.words.clone(),
        }
    }

    /// Enter: takes the next word, or begins to write a value; what is written is kept.
    pub(super) fn change_chosen(&mut self) -> Vec<Effect> {
        let Popup::Settings(panel) = &mut self.popup else { return Vec::new() };
        let Some(standing) = panel.chosen_standing().cloned() else { return Vec::new() };
        match &panel.value {
            Some(value) => {
                let text = value.text().trim();
                if text == standing.value {
                    self.stop_writing_value();
                    return Vec::new();
                }
                let text = (!text.is_empty()).then(|| text.to_owned());
                self.keep_setting(standing.about, text)
            }
            None if standing.about.is_open || standing.about.is_list => {
                panel.value = Some(Field::offering(&standing.value));
                panel.told = None;
                Vec::new()
            }
            None => self.step_chosen(1),
        }
    }

    /// Left and Right: the word before or behind.
    pub(super) fn step_chosen(&mut self, by: i16) -> Vec<Effect> {
        let Popup::Settings(panel) = &self.popup else { return Vec::new() };
        let Some(standing) = panel.chosen_standing() else { return Vec::new() };
        let words = self.words_for(standing.about);
        if words.is_empty() {
            return Vec::new();
        }
        let count = words.len() as i16;
        let place = match words.iter().position(|word| *word == standing.value) {
            Some(place) => (place as i16 + by).rem_euclid(count),
            None if by > 0 => 0,
            None => count - 1,
        };
        self.keep_setting(standing.about, words.into_iter().nth(place as usize))
    }

    /// Takes the chosen setting back to its default.
    pub(super) fn reset_chosen(&mut self) -> Vec<Effect> {
        let Popup::Settings(panel) = &self.popup else { return Vec::new() };
        let Some(standing) = panel.chosen_standing() else { return Vec::new() };
        self.keep_setting(standing.about, None)
    }

    /// Has a setting written to `config.toml`; no value is its default.
    pub(super) fn keep_setting(&mut self, about: &'static About, value: Option<String>) -> Vec<Effect> {
        let value = value.filter(|value| value != DEFAULT);
        vec![Effect::ChangeSetting { about, value }]
    }

    /// The value that was being written is given up.
    pub(super) fn stop_writing_value(&mut self) -> bool {
        let Popup::Settings(panel) = &mut self.popup else { return false };
        let is_given_up = panel.value.take().is_some();
        if is_given_up {
            panel.told = None;
        }
        is_given_up
    }

    pub(super) fn setting_changed(&mut self, about: &'static About, result: Result<Changed, String>) -> Vec<Effect> {
        let (standings, sentence) = match result {
            Ok(Changed { standings, config }) => {
                let set_here = self.take_setting(about, &config);
                let standing = standings.iter().find(|standing| standing.about == about);
                let mut sentence = standing.map_or(String::new(), came_of_it);
                if let Some(value) = set_here {
                    let value = escape_line(&value);
                    sentence.push_str(&format!("; in this chat, too, where `/set` had made it `{value}`"));
                }
                (Some(standings), sentence)
            }
            Err(sentence) => (None, sentence),
        };
        let Popup::Settings(panel) = &mut self.popup else {
            self.notice(sentence);
            return Vec::new();
        };
        if let Some(standings) = standings {
            panel.value = None;
            panel.take(Ok(standings));
        }
        panel.told = Some(sentence);
        Vec::new()
    }

    /// Tells what the chosen setting is and how it is changed, where nothing can be changed in place.
    pub(super) fn tell_chosen(&mut self) {
        let Popup::Settings(panel) = &self.popup else { return };
        let Some(standing) = panel.chosen_standing() else { return };
        let key = &standing.about.key;
        let sentence = format!(
            "`{key}` is {}, {}: {} `/settings {key} VALUE` changes it, `/settings {key} default` takes it back",
            shown(standing),
            origin(standing),
            standing.about.explanation,
        );
        self.popup = Popup::Closed;
        self.notice(sentence);
    }
}

fn shown(standing: &Standing) -> String {
    if standing.value.is_empty() { standing.shown().into() } else { format!("`{}`", escape_line(&standing.value)) }
}

fn origin(standing: &Standing) -> String {
    if standing.is_default() { "its default".into() } else { format!("by {}", standing.from()) }
}

/// What a change has come to, in a sentence.
fn came_of_it(standing: &Standing) -> String {
    let (key, value) = (&standing.about.key, shown(standing));
    match standing.is_overruled() {
        true => format!(
            "config.toml is changed, but in this run `{key}` stays {value}: `{}` goes before it",
            standing.from()
        ),
        false => format!("`{key}` is {value} {}", super::renewing::counts_from(standing.about)),
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::config::{Directories, SettingsFile};
    use crate::ui::app::tester::Tester;
    use crate::ui::msg::Msg;

    const NONE: KeyModifiers = KeyModifiers::NONE;

    /// A chat whose settings lie in a folder of their own.
    struct Desk {
        tester: Tester,
        file: SettingsFile,
        path: std::path::PathBuf,
        _home: tempfile::TempDir,
    }

    impl Desk {
        fn new(text: &str) -> Self {
            let home = tempfile::tempdir().unwrap();
            let directories = Directories::find(Some(home.path().into())).unwrap();
            std::fs::create_dir_all(&directories.config).unwrap();
            std::fs::write(directories.config_file(), text).unwrap();
            let typed = crate::config::Settings { min_p: "0.2".parse().ok(), ..Default::default() };
            let file = SettingsFile::find(&directories, |_| None, typed).unwrap();
            Self { tester: Tester::ready(), file, path: directories.config_file(), _home: home }
        }

        /// Does what is asked for, as the performer would.
        fn perform(&mut self, effects: Vec<Effect>) {
            for effect in effects {
                let message = match effect {
                    Effect::ReadSettings => Msg::Settings(self.file.standings()),
                    Effect::ChangeSetting { about, value } => {
                        let result = self.file.change(&about.key, value.as_deref()).map(Box::new);
                        Msg::SettingChanged { about, result }
                    }
                    other => panic!("{other:?}"),
                };
                self.tester.update(message);
            }
        }

        fn press(&mut self, code: KeyCode) {
            let effects = self.tester.key(code, NONE);
            self.perform(effects);
        }

        fn open(&mut self, words: &str) {
            let effects = self.tester.send(&format!("/settings {words}"));
            self.perform(effects);
        }

        fn panel(&self) -> &Panel {
            match self.tester.app.popup() {
                Popup::Settings(panel) => panel,
                other => panic!("{other:?}"),
            }
        }

        fn told(&self) -> &str {
            self.panel().told.as_deref().unwrap_or_default()
        }

        fn text(&self) -> String {
            std::fs::read_to_string(&self.path).unwrap()
        }
    }

    #[test]
    fn a_switch_is_toggled_in_place_and_in_force_at_once() {
        let mut desk = Desk::new("# mine\nascii = \"off\" # unicode\n");
        desk.open("ascii");
        desk.press(KeyCode::Enter);
        assert_eq!(desk.text(), "# mine\nascii = \"auto\" # unicode\n");
        desk.press(KeyCode::Right);
        assert_eq!(desk.text(), "# mine\nascii = \"on\" # unicode\n");
        assert!(desk.tester.app.theme().ascii);
        assert_eq!(desk.told(), "`ascii` is `on` from now on");
        desk.press(KeyCode::Left);
        assert!(!desk.tester.app.theme().ascii);
        desk.press(KeyCode::Delete);
        assert_eq!(desk.text(), "# mine\n#ascii = \"auto\" # unicode\n");
        assert_eq!(desk.panel().chosen_standing().unwrap().from(), "default");
    }

    #[test]
    fn a_value_is_written_and_refused_with_the_sentence_of_the_command_line() {
        let mut desk = Desk::new("");
        desk.open("temp");
        assert_eq!(desk.panel().chosen_standing().unwrap().about.key, "temp");
        desk.press(KeyCode::Enter);
        assert_eq!(desk.panel().value.as_ref().unwrap().text(), "0.8");
        desk.tester.key(KeyCode::Char('u'), KeyModifiers::CONTROL);
        desk.tester.type_text("hot");
        desk.press(KeyCode::Enter);
        assert_eq!(desk.told(), "`temp` cannot be `hot`: it must be a number between 0 and 5");
        assert!(desk.panel().value.is_some() && desk.text().is_empty());
        desk.tester.key(KeyCode::Char('u'), KeyModifiers::CONTROL);
        desk.tester.type_text("0.3");
        desk.press(KeyCode::Enter);
        assert_eq!((desk.text().as_str(), desk.panel().value.is_none()), ("temp = 0.3\n", true));
        assert_eq!(desk.told(), "`temp` is `0.3` from the next answer on");
        assert_eq!(desk.tester.app.options.sampling.temperature, 0.3);
        assert_eq!(desk.tester.app.new_options.sampling.temperature, 0.3);
        desk.press(KeyCode::Enter);
        desk.press(KeyCode::Esc);
        assert!(desk.panel().value.is_none(), "the first Esc gives the value up");
        desk.press(KeyCode::Esc);
        assert!(matches!(desk.tester.app.popup(), Popup::Closed));
    }

    #[test]
    fn what_was_set_in_this_chat_does_not_end_without_a_word() {
        let mut desk = Desk::new("");
        desk.tester.send("/set temp 0.2");
        let effects = desk.tester.send("/settings temp 0.3");
        desk.perform(effects);
        assert_eq!(
            desk.tester.app.notices().last().map(String::as_str),
            Some("`temp` is `0.3` from the next answer on; in this chat, too, where `/set` had made it `0.2`")
        );
        assert_eq!(desk.tester.app.options.sampling.temperature, 0.3);
        let effects = desk.tester.send("/settings temp 0.4");
        desk.perform(effects);
        assert!(!desk.tester.app.notices().last().unwrap().contains("/set"), "{:?}", desk.tester.app.notices());
    }

    #[test]
    fn what_goes_before_the_file_is_told() {
        let mut desk = Desk::new("");
        desk.open("min_p");
        desk.press(KeyCode::Delete);
        assert_eq!(
            desk.told(),
            "config.toml is changed, but in this run `min_p` stays `0.2`: `--min-p` goes before it"
        );
    }

    #[test]
    fn a_file_with_a_mistake_is_told_and_stays() {
        let mut desk = Desk::new("temp = \"hot\"\n");
        desk.open("");
        assert!(desk.panel().problem().unwrap().contains("config.toml, line 1, column 8"));
        desk.press(KeyCode::Esc);
        let effects = desk.tester.send("/settings top_k 3");
        desk.perform(effects);
        assert!(desk.tester.app.notices()[0].contains("it was not changed"), "{:?}", desk.tester.app.notices());
        assert_eq!(desk.text(), "temp = \"hot\"\n");
    }

    #[test]
    fn the_panel_narrows_by_names_first_and_by_what_is_explained() {
        let mut desk = Desk::new("top_k = 7\n");
        desk.open("");
        let all = desk.panel().matching().len();
        assert_eq!(all, crate::config::Settings::keys().len());
        desk.tester.type_text("mouse");
        assert_eq!(desk.panel().matching()[0].about.key, "mouse");
        for _ in 0.."mouse".len() {
            desk.press(KeyCode::Backspace);
        }
        desk.tester.type_text("config.toml");
        assert!(desk.panel().matching().iter().any(|standing| standing.about.key == "top_k"));
    }

    #[test]
    fn a_whole_name_is_the_first_that_is_found() {
        let mut desk = Desk::new("");
        desk.open("status");
        let keys: Vec<&str> = desk.panel().matching().iter().map(|standing| standing.about.key.as_str()).collect();
        assert_eq!(keys[..2], ["status", "plain_status"]);
    }

    #[test]
    fn a_written_command_changes_a_setting_too() {
        let mut desk = Desk::new("");
        for (text, notice) in [
            ("/settings top-k 7", "`top_k` is `7` from the next answer on"),
            ("/settings ctx 4096", "`ctx` is `4096` with the next model that is loaded"),
            ("/settings theme nord", "`theme` is `nord` from now on"),
            ("/settings top_k default", "`top_k` is `40` from the next answer on"),
            ("/settings mouse off", "`mouse` is `off` from the next start on"),
            ("/settings sandbox off", "`sandbox` is `off` from the next start on"),
        ] {
            let effects = desk.tester.send(text);
            desk.perform(effects);
            assert_eq!(desk.tester.app.notices().last().map(String::as_str), Some(notice), "{text}");
        }
        assert_eq!(desk.text(), "#top_k = 40\nctx = 4096\ntheme = \"nord\"\nmouse = \"off\"\nsandbox = \"off\"\n");
    }

    #[test]
    fn every_word_of_every_setting_is_taken_by_the_file() {
        let desk = Desk::new("");
        let standings = desk.file.standings().unwrap();
        for about in standings.iter().map(|standing| standing.about).filter(|about| !about.is_list) {
            for word in desk.tester.app.words_for(about) {
                let changed = desk.file.change(&about.key, Some(&word));
                let changed = changed.unwrap_or_else(|problem| panic!("{} {word}: {problem}", about.key));
                let value = changed.standings.iter().find(|it| it.about == about).map(|it| it.value.clone());
                assert!(about.key == "min_p" || value == Some(word), "{about:?} is {value:?}");
            }
            desk.file.change(&about.key, None).unwrap();
        }
        let reset = crate::config::SAMPLE.lines().filter(|line| line.starts_with('#') && !line.starts_with("# "));
        assert!(desk.text().lines().all(|line| reset.clone().any(|known| known == line)), "{}", desk.text());
    }
}
