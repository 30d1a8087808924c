//! What a line means that was typed: a message or a command in the chat, the number of something in a list, an answer to
//! a question.

use crate::ui::app::{App, Popup};
use crate::ui::msg::{Command, Msg};

use super::told::{List, Told};

/// What a line comes to.
#[derive(Clone, Debug)]
pub enum Heard {
    Messages(Vec<Msg>),
    /// It means nothing here, for this reason.
    Mistake(String),
    /// The next rows of the list are to be told.
    More,
}

/// What a line means while this is told over the chat.
pub fn heard(app: &App, told: Option<&Told>, line: &str) -> Heard {
    let words = line.trim();
    match told {
        None | Some(Told::Words(_) | Told::NotYet) => Heard::Messages(vec![Msg::Line(line.to_owned())]),
        // A command goes before what is asked.
        Some(_) if words.starts_with('/') => {
            Heard::Messages(vec![Msg::Command(closing(app)), Msg::Line(line.to_owned())])
        }
        Some(Told::Question { prompt, .. }) => answer(app, prompt, &words.to_lowercase()),
        Some(Told::List(list)) => choice(app, list, words),
    }
}

fn closing(app: &App) -> Command {
    if matches!(app.popup(), Popup::Confirm(_) | Popup::Ask(_)) { Command::Refuse } else { Command::ClosePopup }
}

fn answer(app: &App, prompt: &str, words: &str) -> Heard {
    let command = match words {
        "y" | "yes" => Command::Confirm,
        "s" | "smallest" => Command::TakeSmallest,
        "" | "n" | "no" => closing(app),
        _ => return Heard::Mistake(format!("type {}", prompt.trim_end_matches(": ").to_lowercase())),
    };
    Heard::Messages(vec![Msg::Command(command)])
}

/// What is typed while a list is told: nothing, a number, a word with a number, or words to search for.
fn choice(app: &App, list: &List, words: &str) -> Heard {
    let (first, rest) = words.split_once(' ').map_or((words, ""), |(first, rest)| (first, rest.trim()));
    let is_of_chats = matches!(app.popup(), Popup::Chats(_));
    match first {
        "" => Heard::Messages(vec![Msg::Command(Command::ClosePopup)]),
        "more" if rest.is_empty() => Heard::More,
        "undelete" if is_of_chats => Heard::Messages(vec![Msg::Command(Command::RestoreChat)]),
        "archived" if is_of_chats => Heard::Messages(vec![Msg::Command(Command::ShowArchived)]),
        "delete" if is_of_chats => with_number(app, list, rest, vec![Msg::Command(Command::DeleteChosen)]),
        "archive" if is_of_chats => with_number(app, list, rest, vec![Msg::Command(Command::ArchiveChosen)]),
        "rename" if is_of_chats => {
            let (number, title) = rest.split_once(' ').unwrap_or((rest, ""));
            match title.trim() {
                "" => Heard::Mistake("type \"rename\", the number of a chat, and its new title".into()),
                title => with_number(app, list, number, renamed(title)),
            }
        }
        // Messages are searched for numbers, too.
        _ if is_number(words) && (has(list, words) || !matches!(app.popup(), Popup::Search(_))) => {
            with_number(app, list, words, vec![Msg::Command(opening(app))])
        }
        // The list is narrowed by these words, and no others.
        _ => Heard::Messages(vec![Msg::Fill(words.to_owned())]),
    }
}

fn opening(app: &App) -> Command {
    match app.popup() {
        Popup::Chats(_) => Command::OpenChosen,
        Popup::Search(_) => Command::OpenFound,
        Popup::Models(_) => Command::ChooseModel,
        Popup::Settings(_) => Command::TellChosen,
        _ => Command::ChooseInPalette,
    }
}

fn is_number(words: &str) -> bool {
    words.trim_start_matches('#').parse::<u64>().is_ok()
}

fn has(list: &List, number: &str) -> bool {
    list.rows.iter().any(|row| number.trim_start_matches('#').parse() == Ok(row.number))
}

/// Chooses the row of this number, and does something with it.
fn with_number(app: &App, list: &List, number: &str, does: Vec<Msg>) -> Heard {
    let Ok(number) = number.trim_start_matches('#').parse::<u64>() else {
        return Heard::Mistake("type the number of a chat behind that".into());
    };
    let Some(place) = list.rows.iter().position(|row| row.number == number) else {
        return Heard::Mistake(format!("there is no number {number} in this list"));
    };
    let by = (place as i64 - chosen_place(app) as i64).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
    let mut messages = vec![Msg::Command(Command::Move(by))];
    messages.extend(does);
    Heard::Messages(messages)
}

fn renamed(title: &str) -> Vec<Msg> {
    let mut messages = vec![Msg::Command(Command::RenameChosen)];
    messages.push(Msg::Fill(title.to_owned()));
    messages.push(Msg::Command(Command::OpenChosen));
    messages
}

fn chosen_place(app: &App) -> usize {
    match app.popup() {
        Popup::Chats(list) => list.chosen,
        Popup::Search(search) => search.chosen,
        Popup::Models(list) => list.chosen,
        Popup::Palette(palette) => palette.chosen,
        Popup::Settings(panel) => panel.chosen,
        _ => 0,
    }
}
