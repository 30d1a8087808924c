//! The palette: commands, chats, models and texts in one list that narrows as one types.

use std::time::Instant;

use super::settings::{SETTINGS, Setting, setting};
use super::{App, Popup};
use crate::config::{About, about_settings};
use crate::models::offers::{Offer, Place};
use crate::prompts::PromptText;
use crate::store::ChatId;
use crate::text::file_size;
use crate::ui::composer::{Field, Part};
use crate::ui::fuzzy::{Rank, Search};
use crate::ui::msg::Effect;
use crate::ui::slash::{COMMANDS, SlashCommand};

/// Rows of a group while nothing is typed: enough to see what there is.
const MOST_UNASKED: usize = 5;
/// And while something is.
const MOST_FITTING: usize = 20;

/// The palette while it is open.
#[derive(Debug, Default)]
pub struct Palette {
    pub filter: Field,
    pub chosen: usize,
    /// Only texts are shown.
    only_prompts: bool,
}

/// What a row does.
#[derive(Clone, Debug)]
enum Does {
    Command(&'static SlashCommand),
    Set(&'static Setting),
    /// The panel of settings, with this one chosen.
    Show(&'static About),
    /// The theme of this name.
    Colour(String),
    Open(ChatId),
    Use(Box<Offer>),
    Write(Box<PromptText>),
}

/// A row that can be chosen.
#[derive(Clone, Debug)]
pub struct Row {
    pub shown: String,
    pub about: String,
    pub key: Option<&'static str>,
    does: Does,
}

/// Rows of one kind.
#[derive(Debug)]
pub struct Group {
    pub heading: &'static str,
    pub rows: Vec<Row>,
}

impl App {
    pub(super) fn open_palette(&mut self, only_prompts: bool) -> Vec<Effect> {
        self.popup = Popup::Palette(Palette { only_prompts, ..Palette::default() });
        let mut effects = vec![Effect::ListPrompts];
        if !only_prompts {
            effects.push(Effect::ListModels);
            effects.extend(self.has_store.then_some(Effect::ListChats));
        }
        effects
    }

    /// Whether the person's texts were read.
    pub fn has_prompts(&self) -> bool {
        self.prompts.is_some()
    }

    /// What the palette shows: the group with what fits best comes first.
    pub fn palette_groups(&self, palette: &Palette) -> Vec<Group> {
        let mut search = Search::new(palette.filter.text());
        let most = if palette.filter.is_empty() { MOST_UNASKED } else { MOST_FITTING };
        let chats = self.chats.iter().flatten().filter(|row| !row.is_archived).map(|row| Row {
            shown: row.title.clone(),
            about: row.age.clone(),
            key: None,
            does: Does::Open(row.id),
        });
        let models = self.offers.iter().flatten().map(|offer| Row {
            shown: offer.name.clone(),
            about: if self.is_in_use(offer) { "in use".into() } else { about(offer) },
            key: None,
            does: Does::Use(Box::new(offer.clone())),
        });
        let prompts = self.prompts.iter().flatten().map(|text| Row {
            shown: text.name.clone(),
            about: text.beginning().into(),
            key: None,
            does: Does::Write(Box::new(text.clone())),
        });
        let prompts = group("Texts", usize::MAX, &mut search, prompts);
        let mut groups = if palette.only_prompts {
            vec![prompts]
        } else {
            vec![
                group("Commands", usize::MAX, &mut search, self.command_rows(palette)),
                group("Chats", most, &mut search, chats),
                group("Models", most, &mut search, models),
                prompts,
            ]
        };
        groups.retain(|(_, group)| !group.rows.is_empty());
        if !palette.filter.is_empty() {
            groups.sort_by_key(|(best, _)| *best);
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }

    /// What can be written instead of a message, and once something is typed, what is found by its name.
    fn command_rows(&self, palette: &Palette) -> impl Iterator<Item = Row> {
        let is_asked = !palette.filter.is_empty();
        let commands = COMMANDS.iter().map(|command| Row {
            shown: command.shown(),
            about: command.about.into(),
            key: command.key(),
            does: Does::Command(command),
        });
        // There are many, and they are found by their names.
        let settings = SETTINGS.iter().filter(move |_| is_asked).map(|setting| Row {
            shown: format!("/set {} VALUE", setting.name),
            about: setting.about.into(),
            key: None,
            does: Does::Set(setting),
        });
        // Those of `/set` are found there.
        let others = about_settings().iter().filter(move |about| is_asked && setting(&about.key).is_err());
        let others = others.map(|about| Row {
            shown: format!("/settings {}", about.key),
            about: about.explanation.clone(),
            key: None,
            does: Does::Show(about),
        });
        let themes = self.look.themes.names().filter(move |_| is_asked).map(|name| Row {
            shown: format!("/theme {name}"),
            about: "these colours".into(),
            key: None,
            does: Does::Colour(name.to_owned()),
        });
        commands.chain(settings).chain(others).chain(themes)
    }

    pub(super) fn move_in_palette(&mut self, by: i16) {
        let Popup::Palette(palette) = &self.popup else { return };
        let last = self.palette_groups(palette).iter().map(|group| group.rows.len()).sum::<usize>().saturating_sub(1);
        let chosen = palette.chosen.saturating_add_signed(by.into()).min(last);
        if let Popup::Palette(palette) = &mut self.popup {
            palette.chosen = chosen;
        }
    }

    pub(super) fn choose_in_palette(&mut self, now: Instant) -> Vec<Effect> {
        let Popup::Palette(palette) = &self.popup else { return Vec::new() };
        let rows = self.palette_groups(palette).into_iter().flat_map(|group| group.rows);
        let Some(row) = rows.into_iter().nth(palette.chosen) else { return Vec::new() };
        self.popup = Popup::Closed;
        self.notices.clear();
        match row.does {
            Does::Command(command) => match command.alone() {
                Some(command) => return self.command(command, now),
                None => self.begin_command(&format!("/{} ", command.name), &command.shown()),
            },
            Does::Set(setting) => self.begin_command(&format!("/set {} ", setting.name), &row.shown),
            Does::Show(about) => return self.open_panel(Some(&about.key)),
            Does::Colour(name) => return self.use_theme(Some(name)),
            Does::Open(chat) => return self.open_chat(chat),
            Does::Use(offer) => return self.choose_offer(*offer),
            Does::Write(text) => {
                let effects = self.write_prompt(&text);
                self.look_ahead(now);
                return effects;
            }
        }
        self.look_ahead(now);
        Vec::new()
    }

    /// A command that is nothing alone is begun where it is written.
    fn begin_command(&mut self, beginning: &str, shown: &str) {
        if self.composer.is_empty() {
            self.composer.set(&[Part::Text(beginning.into())]);
        } else {
            self.notice(format!("send or clear what is written, then write `{shown}`"));
        }
    }
}

/// What a model is good for, and what has to be downloaded first.
pub(super) fn about(offer: &Offer) -> String {
    match offer.place {
        Place::Here { .. } | Place::Server { .. } => offer.note.clone(),
        Place::Download { bytes: None, .. } => format!("to download; {}", offer.note),
        Place::Download { bytes: Some(bytes), .. } => format!("{} to download; {}", file_size(bytes), offer.note),
    }
}

/// The rows that fit, and how well the best of them does.
fn group(
    heading: &'static str,
    most: usize,
    search: &mut Search,
    rows: impl Iterator<Item = Row>,
) -> (Option<Rank>, Group) {
    let sorted = search.ranked(rows, |search, row| match row.does {
        Does::Command(command) => command
            .names()
            .filter_map(|name| search.rank(name))
            .min()
            .or_else(|| search.rank_of_description(&row.about)),
        Does::Set(setting) => search.rank(setting.name),
        Does::Show(about) => search.rank(&about.key),
        Does::Colour(ref name) => search.rank(name),
        _ => search.rank(&row.shown),
    });
    let best = sorted.first().map(|(rank, _)| *rank);
    (best, Group { heading, rows: sorted.into_iter().take(most).map(|(_, row)| row).collect() })
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;
    use crate::ui::app::tester::{Tester, chat_row as row, download, here};
    use crate::ui::msg::Msg;

    /// With the palette open and everything there.
    fn opened() -> Tester {
        let mut tester = Tester::saving();
        let effects = tester.key(KeyCode::Char('k'), KeyModifiers::CONTROL);
        assert!(matches!(effects[..], [Effect::ListPrompts, Effect::ListModels, Effect::ListChats]), "{effects:?}");
        tester.update(Msg::Chats(vec![row(4, "Theme parks"), row(9, "Rusty nails")]));
        tester.update(Msg::Offers(vec![here("qwen", None), here("smol", None)]));
        let texts = vec![PromptText { name: "review".into(), text: "Review this\n".into(), ..PromptText::default() }];
        tester.update(Msg::Prompts { texts, problems: Vec::new() });
        tester
    }

    fn headings(tester: &Tester) -> Vec<&'static str> {
        let Popup::Palette(palette) = tester.app.popup() else { panic!("no palette") };
        tester.app.palette_groups(palette).iter().map(|group| group.heading).collect()
    }

    fn enter(tester: &mut Tester) -> Vec<Effect> {
        tester.key(KeyCode::Enter, KeyModifiers::NONE)
    }

    #[test]
    fn everything_is_in_groups_and_the_best_fit_comes_first() {
        let mut tester = opened();
        assert_eq!(headings(&tester), ["Commands", "Chats", "Models", "Texts"]);
        tester.type_text("rusty");
        assert_eq!(headings(&tester), ["Chats"]);
        let effects = enter(&mut tester);
        assert!(matches!(effects[..], [Effect::OpenChat(ChatId(9))]), "{effects:?}");
        let mut tester = opened();
        tester.type_text("theme");
        assert_eq!(headings(&tester), ["Commands", "Chats"]);
    }

    #[test]
    fn enter_does_what_is_chosen() {
        let mut tester = opened();
        tester.type_text("smol");
        assert!(matches!(&enter(&mut tester)[..], [Effect::Get { offer, .. }] if offer.name == "smol"));
        let mut tester = opened();
        tester.type_text("review");
        enter(&mut tester);
        assert_eq!(tester.app.composer.text(), "Review this\n");
        let mut tester = opened();
        tester.type_text("kv cache");
        enter(&mut tester);
        assert!(tester.words().starts_with("The KV cache"));
    }

    #[test]
    fn a_command_that_needs_something_is_begun_in_the_composer() {
        let mut tester = opened();
        tester.type_text("rename");
        enter(&mut tester);
        assert_eq!(tester.app.composer.text(), "/rename ");
        tester.key(KeyCode::Char('p'), KeyModifiers::CONTROL);
        tester.type_text("rename");
        enter(&mut tester);
        assert_eq!(tester.app.composer.text(), "/rename ");
        assert!(tester.app.notices()[0].contains("send or clear"), "{:?}", tester.app.notices());
    }

    #[test]
    fn a_setting_is_found_by_its_name_and_begun_in_the_composer() {
        let mut tester = opened();
        tester.type_text("temp");
        enter(&mut tester);
        assert_eq!(tester.app.composer.text(), "/set temp ");
    }

    #[test]
    fn what_has_to_be_downloaded_says_so() {
        let mut tester = opened();
        tester.update(Msg::Offers(vec![download("qwen"), here("smol", None)]));
        tester.type_text("qwen");
        let Popup::Palette(palette) = tester.app.popup() else { panic!("no palette") };
        let groups = tester.app.palette_groups(palette);
        assert!(groups[0].rows[0].about.starts_with("398.0 MB to download"), "{groups:?}");
    }

    #[test]
    fn the_choice_stays_within_what_fits() {
        let mut tester = opened();
        for _ in 0..100 {
            tester.key(KeyCode::PageDown, KeyModifiers::NONE);
        }
        tester.type_text("smol");
        assert!(matches!(&enter(&mut tester)[..], [Effect::Get { offer, .. }] if offer.name == "smol"));
        let mut tester = opened();
        tester.type_text("nothing fits this");
        assert!(enter(&mut tester).is_empty());
        assert!(matches!(tester.app.popup(), Popup::Palette(_)));
        tester.key(KeyCode::Esc, KeyModifiers::NONE);
        assert!(matches!(tester.app.popup(), Popup::Closed));
    }

    #[test]
    fn texts_alone_are_listed_by_their_command() {
        let mut tester = Tester::ready();
        assert!(matches!(tester.send("/prompt")[..], [Effect::ListPrompts]));
        let texts = vec![PromptText { name: "review".into(), text: "Review this\n".into(), ..PromptText::default() }];
        tester.update(Msg::Prompts { texts, problems: Vec::new() });
        assert_eq!(headings(&tester), ["Texts"]);
    }
}
