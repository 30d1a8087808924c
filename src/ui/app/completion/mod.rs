//! The menu of what a command, what follows its name, or a path behind `@` may become while it is written.

use std::time::Instant;

use super::{App, Popup, Setting, setting, settings};
use crate::config::about_settings;
use crate::text::escape_line;
use crate::ui::composer::Composer;
use crate::ui::files::Folder;
use crate::ui::fuzzy::{BEGINS_SO, Rank, Search};
use crate::ui::msg::Effect;
use crate::ui::slash::{self, COMMANDS, Choices, SlashCommand};

/// More than anybody looks through.
const MOST_ITEMS: usize = 50;

/// The menu while it is open.
#[derive(Debug)]
pub struct Completion {
    place: Place,
    typed: String,
    pub items: Vec<Item>,
    /// Nothing is chosen where what was typed may be meant as it is.
    pub chosen: Option<usize>,
}

/// What is being written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    /// A command's name.
    Name,
    /// What follows it.
    Argument(&'static SlashCommand),
    Value(&'static Setting),
    /// A path in a command.
    Path,
    /// A path in a message.
    Mention,
}

/// One of the things it may become.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub shown: String,
    pub about: String,
    pub key: Option<&'static str>,
    /// What is written in its place.
    written: String,
    /// The command that this is the name of.
    command: Option<&'static SlashCommand>,
}

impl Item {
    fn word(word: &str, about: impl Into<String>) -> Self {
        Self { shown: word.into(), about: about.into(), key: None, written: word.into(), command: None }
    }
}

impl Completion {
    fn item(&self) -> Option<&Item> {
        self.items.get(self.chosen?)
    }

    fn move_by(&mut self, by: i16) {
        let last = self.items.len() as i16 - 1;
        let from = self.chosen.map_or(if by > 0 { -1 } else { last + 1 }, |chosen| chosen as i16);
        let to = from + by;
        self.chosen = Some(if to < 0 {
            last
        } else if to > last {
            0
        } else {
            to
        } as usize);
    }
}

impl App {
    pub fn completion(&self) -> Option<&Completion> {
        self.completion.as_ref()
    }

    /// Something was written, or there is more to choose among: what it may become now.
    pub(super) fn complete(&mut self, is_fresh: bool) -> Vec<Effect> {
        let place = if matches!(self.popup, Popup::Closed) { place(&self.composer) } else { None };
        let Some((place, typed)) = place else {
            self.completion = None;
            self.completion_closed = None;
            return Vec::new();
        };
        if self.completion_closed != Some(place) {
            self.completion_closed = None;
        }
        let before = self.completion.take().filter(|before| before.place == place);
        if self.completion_closed.is_some() {
            return Vec::new();
        }
        let effects = self.ask_for_choices(place, &typed, before.is_none());
        if let Some(before) = before.filter(|before| before.typed == typed && !is_fresh) {
            self.completion = Some(before);
            return effects;
        }
        let mut items = self.items(place, &typed);
        items.truncate(MOST_ITEMS);
        let is_meant = match place {
            // What only has the letters somewhere is offered, and not done by a hurried Enter.
            Place::Name => {
                items.first().is_some_and(|item| item.command.is_some_and(|command| begins_so(command, &typed)))
            }
            Place::Value(_) => false,
            // What is not there may be meant all the same, and is told then.
            // A folder is attached whole.
            Place::Path => {
                !typed.is_empty()
                    && !typed.ends_with('/')
                    && items.first().is_some_and(|item| item.written.starts_with(&typed))
            }
            Place::Argument(_) | Place::Mention => !typed.is_empty(),
        };
        let chosen = is_meant.then_some(0);
        // Where nothing fits there is no menu, but what it is about is remembered, so that nothing is asked for anew.
        self.completion = Some(Completion { place, typed, items, chosen });
        effects
    }

    /// Whether the menu is on the screen.
    pub fn is_completing(&self) -> bool {
        self.completion.as_ref().is_some_and(|completion| !completion.items.is_empty())
    }

    fn ask_for_choices(&mut self, place: Place, typed: &str, is_new: bool) -> Vec<Effect> {
        match place {
            Place::Path | Place::Mention => {
                let folder = Folder::of(typed);
                let is_known = !is_new && (self.files_asked.as_ref() == Some(&folder));
                if is_known {
                    return Vec::new();
                }
                self.files_asked = Some(folder.clone());
                vec![Effect::ListFiles(folder)]
            }
            Place::Argument(command) if is_new => match command.choices {
                Choices::Chats if self.has_store => vec![Effect::ListChats],
                Choices::Models => vec![Effect::ListModels],
                Choices::Prompts => vec![Effect::ListPrompts],
                _ => Vec::new(),
            },
            Place::Name | Place::Argument(_) | Place::Value(_) => Vec::new(),
        }
    }

    /// The files of a folder were found.
    pub(super) fn files_found(&mut self, folder: Folder, paths: Vec<String>) {
        if self.files_asked.as_ref() == Some(&folder) {
            self.files = paths;
        }
    }

    fn items(&self, place: Place, typed: &str) -> Vec<Item> {
        let mut search = Search::new(typed);
        match place {
            Place::Name => {
                let sorted = search.ranked(COMMANDS, rank_of_command);
                sorted.into_iter().map(|(_, command)| name_item(command)).collect()
            }
            Place::Argument(command) => self.choices(command.choices, &mut search),
            Place::Value(setting) => {
                let words = setting.words.iter().map(|word| Item::word(word, ""));
                sorted_items(&mut search, words)
            }
            Place::Path | Place::Mention if typed.is_empty() || typed.ends_with('/') => {
                let inside = self.files.iter().filter(|path| path.len() > typed.len() && path.starts_with(typed));
                let near = inside.filter(|path| !path[typed.len()..].trim_end_matches('/').contains('/'));
                near.take(MOST_ITEMS).map(|path| Item::word(path, "")).collect()
            }
            Place::Path | Place::Mention => {
                let fitting = search.sorted(&self.files, |path| vec![(*path).clone()]);
                fitting.into_iter().take(MOST_ITEMS).map(|(_, path)| Item::word(path, "")).collect()
            }
        }
    }

    fn choices(&self, choices: Choices, search: &mut Search) -> Vec<Item> {
        match choices {
            Choices::None | Choices::Files => Vec::new(),
            Choices::Attached => {
                let names = self.composer.attached_names();
                sorted_items(search, names.into_iter().map(|name| Item::word(name, "")))
            }
            Choices::Words(words) => sorted_items(search, words.iter().map(|word| Item::word(word, ""))),
            Choices::Themes => sorted_items(search, self.look.themes.names().map(|name| Item::word(name, ""))),
            Choices::Settings => {
                let items = settings::SETTINGS.iter().map(|setting| {
                    let about = format!("{}: {}", self.setting_now(setting), setting.about);
                    Item { written: format!("{} ", setting.name), ..Item::word(setting.name, about) }
                });
                sorted_items(search, items)
            }
            Choices::AllSettings => {
                let items = about_settings().iter().map(|about| Item {
                    written: format!("{} ", about.key),
                    ..Item::word(&about.key, about.explanation.as_str())
                });
                sorted_items(search, items)
            }
            Choices::Models => {
                // What is here goes before what would have to be downloaded.
                let offers = |here: bool| self.offers.iter().flatten().filter(move |offer| offer.is_here() == here);
                let mut items = |here| {
                    sorted_items(
                        search,
                        offers(here).map(|offer| Item::word(&offer.name, super::palette::about(offer))),
                    )
                };
                let here = items(true);
                here.into_iter().chain(items(false)).collect()
            }
            Choices::Prompts => {
                let items = self.prompts.iter().flatten().map(|text| Item::word(&text.name, text.beginning()));
                sorted_items(search, items)
            }
            Choices::Chats => {
                let rows =
                    search.sorted(self.chats.iter().flatten(), |row| vec![row.id.0.to_string(), row.title.clone()]);
                let item = |row: &crate::ui::msg::ChatRow| {
                    let number = row.id.0.to_string();
                    Item { shown: format!("{number} {}", escape_line(&row.title)), ..Item::word(&number, &row.age) }
                };
                rows.into_iter().take(MOST_ITEMS).map(|(_, row)| item(row)).collect()
            }
        }
    }

    pub(super) fn move_in_completion(&mut self, by: i16) {
        if let Some(completion) = &mut self.completion {
            completion.move_by(by);
        }
    }

    /// Closes the menu until something else is written.
    pub(super) fn close_completion(&mut self) {
        self.completion_closed = self.completion.take().map(|completion| completion.place);
    }

    /// Tab: what is chosen is written, or the first.
    pub(super) fn take_completion(&mut self) -> Vec<Effect> {
        let Some(completion) = &mut self.completion else { return Vec::new() };
        completion.chosen.get_or_insert(0);
        let Some(item) = completion.item().cloned() else { return Vec::new() };
        let (place, typed) = (completion.place, completion.typed.len());
        if place == Place::Mention && !item.written.ends_with('/') {
            return self.mention(&item.written, typed + 1);
        }
        self.composer.replace_before_cursor(typed, &item.written);
        Vec::new()
    }

    /// Enter: what is chosen is written and done, if nothing is missing.
    pub(super) fn run_completion(&mut self, now: Instant) -> Vec<Effect> {
        let Some(completion) = &self.completion else { return self.send(now) };
        let Some(item) = completion.item() else { return self.send(now) };
        let goes_on = match (completion.place, item.command) {
            (Place::Name, Some(command)) if command.is_called(&completion.typed) => return self.send(now),
            (Place::Name, Some(command)) => command.alone().is_none(),
            (Place::Argument(_), _) if item.written.trim_end() == completion.typed => return self.send(now),
            (Place::Argument(_), _) => item.written.ends_with(' '),
            (Place::Path, _) => item.written.ends_with('/'),
            (Place::Mention, _) => true,
            (Place::Name | Place::Value(_), _) => false,
        };
        let effects = self.take_completion();
        if goes_on { effects } else { self.send(now) }
    }

    /// A file was chosen behind `@`: it is attached, and within a sentence its name stays.
    fn mention(&mut self, path: &str, bytes: usize) -> Vec<Effect> {
        let name = if self.composer.is_blank_before(bytes) { String::new() } else { format!("{path} ") };
        self.composer.replace_before_cursor(bytes, &name);
        vec![Effect::Attach(path.to_owned())]
    }
}

fn name_item(command: &'static SlashCommand) -> Item {
    let space = if command.takes_something() { " " } else { "" };
    Item {
        shown: command.shown(),
        about: command.about.into(),
        key: command.key(),
        written: format!("{}{space}", command.name),
        command: Some(command),
    }
}

/// How well a command fits. Of those that begin so the table's order decides, which has the most used first, and not
/// their length; what puts the chat away comes last. Another name than the one that is shown counts only if it begins so,
/// and then less.
fn rank_of_command(search: &mut Search, command: &&'static SlashCommand) -> Option<Rank> {
    let of_name = |search: &mut Search, name| match search.rank(name)? {
        (BEGINS_SO, ..) => Some((BEGINS_SO, u32::from(name != command.name), usize::from(name == "archive"))),
        rank => (name == command.name || rank.0 < BEGINS_SO).then_some(rank),
    };
    command.names().filter_map(|name| of_name(search, name)).min()
}

fn begins_so(command: &SlashCommand, typed: &str) -> bool {
    command.names().any(|name| name.starts_with(typed))
}

fn sorted_items(search: &mut Search, items: impl Iterator<Item = Item>) -> Vec<Item> {
    let sorted = search.sorted(items, |item| vec![item.shown.clone()]);
    sorted.into_iter().map(|(_, item)| item).collect()
}

/// What is being written in the composer, and how much of it there is.
fn place(composer: &Composer) -> Option<(Place, String)> {
    if let Some(line) = composer.command_before_cursor()
        && let Some(place) = place_in_command(line, composer)
    {
        return Some(place);
    }
    let is_command =
        composer.command_line().is_some_and(|line| !matches!(slash::read(line), slash::Written::Message(_)));
    composer.path_before_cursor().filter(|_| !is_command).map(|path| (Place::Mention, path.to_owned()))
}

fn place_in_command(line: &str, composer: &Composer) -> Option<(Place, String)> {
    let line = line.strip_prefix('/')?;
    let Some((name, argument)) = line.split_once(' ') else {
        let is_word = line.bytes().all(|byte| byte.is_ascii_lowercase());
        return is_word.then(|| (Place::Name, line.to_owned()));
    };
    let command = slash::called(name)?;
    let argument = argument.trim_start();
    match command.choices {
        Choices::None => None,
        Choices::Files => {
            // Where a text may follow, a path is what begins with the sign.
            let path = if argument.starts_with('@') { composer.path_before_cursor()? } else { argument };
            (command.name == "attach" || argument.starts_with('@')).then(|| (Place::Path, path.to_owned()))
        }
        Choices::Settings => match argument.split_once(' ') {
            Some((name, value)) => Some((Place::Value(setting(name).ok()?), value.trim_start().to_owned())),
            None => Some((Place::Argument(command), argument.to_owned())),
        },
        _ => Some((Place::Argument(command), argument.to_owned())),
    }
}

#[cfg(test)]
mod tests;
